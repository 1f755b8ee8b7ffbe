"""A POSLog transaction → a till's transaction, or the name of why it is none. Pure (retail.md 1.1).

Every line is accounted for: merchandise becomes a line, what was voided at the till and what is no merchandise is
counted by its name.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal, InvalidOperation
from xml.etree.ElementTree import Element

import msgspec

from cloud_sync.contract.facts import LineKind, TransactionKind
from edge.domain.money import currency_exponent
from edge.limits import KEY_CHARACTERS_MAX
from edge.pos.logged_sales import is_card
from edge.pos.poslog.dialect import Dialect, attribute, child, text_at
from edge.pos.poslog.xml_stream import local_name
from edge.pos.transactions import LineIn, TransactionIn

SALES = frozenset({"Sale", "SaleForPickup", "SaleForDelivery", "CustomerOrderForPickup"})
RETURNS = frozenset({"Return", "ReturnForPickup", "ReturnForDelivery"})
UNFINISHED = frozenset({"Suspended", "SuspendedDeleted", "InComplete", "InProcess", "Canceled", "TransactionVoided",
                        "Voided", "Failed"})
POST_VOIDED = "PostVoided"
INVENTORY = "InventoryControlTransaction"
TEXT_MAX = 64


class Unreadable(ValueError):
    """This transaction cannot be read; `str()` says what is wrong with it."""


@dataclass(frozen=True, slots=True)
class Stated:
    """Goods that an inventory control names: received, counted, moved or lost, as `kind` says. All as it was said."""

    kind: str
    code: str
    quantity: str


@dataclass(slots=True)
class Read:
    """A transaction of the log. `sale`: what is to be recorded, `None` with a `reason` by name. `lines`: how many lines
    became what. `stated`: goods of an inventory control, which a person has to look at."""

    till: str
    business_day: str
    sequence: int
    sale: TransactionIn | None = None
    reason: str = ""
    lines: Counter[str] = field(default_factory=Counter)
    stated: list[Stated] = field(default_factory=list)


def read_transaction(element: Element, dialect: Dialect, currency: str) -> Read:
    """`currency`: of a log that names none. Raises `Unreadable`."""
    places = dialect.transaction
    read = Read(_text(element, places.till, "till"), _day(text_at(element, places.business_day)),
                _sequence(text_at(element, places.sequence)))
    body = child(element, "RetailTransaction")
    if body is None:
        names = [local_name(each.tag) for each in element]
        read.reason = next((name for name in names if name.endswith("Transaction")), "empty")
    if attribute(element, "TrainingModeFlag").lower() in ("true", "1"):
        read.reason = "training"
        return read
    if body is None:
        control = child(element, INVENTORY)
        read.stated = list(_stated(control, dialect)) if control is not None else []
        return read
    status = attribute(body, "TransactionStatus")
    if status in UNFINISHED:
        read.reason = status
        return read
    read.sale = _sale(element, body, dialect, read, text_at(element, places.currency) or currency)
    return read


def _sale(element: Element, body: Element, dialect: Dialect, read: Read, currency: str) -> TransactionIn:
    try:
        exponent = currency_exponent(currency)
    except ValueError as error:
        raise Unreadable(str(error)) from error
    voids = _voided_sequence(body)
    order_id = _reference(text_at(element, dialect.transaction.order))
    lines = [] if voids is not None else list(_lines(body, dialect, exponent, read.lines, order_id))
    total = sum(-line.amount_minor if line.kind is LineKind.RETURN else line.amount_minor for line in lines)
    returned = bool(lines) and all(line.kind is LineKind.RETURN for line in lines)
    kind = TransactionKind.VOID if voids is not None else TransactionKind.RETURN if returned else TransactionKind.SALE
    operator = text_at(element, dialect.transaction.operator)[:TEXT_MAX]
    occurred_at = _moment(text_at(element, dialect.transaction.occurred_at))
    return TransactionIn(kind, currency, total, occurred_at, lines, voids, "" if is_card(operator) else operator)


def _lines(body: Element, dialect: Dialect, exponent: int, counted: Counter[str], order_id: str) -> Iterator[LineIn]:
    for number, item in enumerate((each for each in body if local_name(each.tag) == "LineItem"), start=1):
        what = next((each for each in item if local_name(each.tag) != "SequenceNumber"), None)
        name = local_name(what.tag) if what is not None else "empty"
        if any(attribute(item, flag).lower() in ("true", "1") for flag in ("VoidFlag", "CancelFlag", "DeleteFlag")):
            counted["voided at the till"] += 1
        elif what is None or name not in SALES | RETURNS:
            counted[name] += 1
        else:
            counted["merchandise"] += 1
            line = _line(what, _line_number(item, number), name, dialect, exponent)
            yield _of_order(line, what, dialect, order_id) if line.kind is LineKind.RETURN else line


def _of_order(line: LineIn, what: Element, dialect: Dialect, order_id: str) -> LineIn:
    """The return with the online order that it is of, if the log names one: its own, or its transaction's."""
    order_id = _reference(text_at(what, dialect.lines.order)) or order_id
    number = text_at(what, dialect.lines.order_line)
    known = number.isascii() and number.isdecimal() and len(number) <= 9
    return msgspec.structs.replace(line, order_id=order_id, order_line=int(number) if order_id and known else 0)


def _reference(text: str) -> str:
    """What can be an order's id. What cannot is no reason to refuse the return (P4)."""
    return text if text.isprintable() and len(text) <= KEY_CHARACTERS_MAX else ""


def _line(what: Element, number: int, name: str, dialect: Dialect, exponent: int) -> LineIn:
    places = dialect.lines
    code, amount = text_at(what, places.code), _number(text_at(what, places.amount), "amount")
    quantity = _number(text_at(what, places.quantity) or "1", "quantity")
    unit = text_at(what, places.unit_price)
    negative = dialect.returns == "negative" and (quantity < 0 or amount < 0)
    kind = LineKind.RETURN if name in RETURNS or negative else LineKind.SALE
    if kind is LineKind.RETURN:
        quantity, amount = abs(quantity), abs(amount)
    return LineIn(line=number, quantity_milli=_whole(quantity, 3), amount_minor=_whole(amount, exponent),
                  code="" if is_card(code) else code[:TEXT_MAX], kind=kind,
                  unit_price_minor=_whole(abs(_number(unit, "unit price")), exponent) if unit else None)


def _stated(control: Element, dialect: Dialect) -> Iterator[Stated]:
    """Whatever below has an item and a quantity. What v6 writes into each kind is not established (retail.md 1.1), so
    it is taken for no movement of goods."""
    for what in control:
        for element in what.iter():
            code = text_at(element, dialect.lines.code)
            if code and local_name(element.tag) not in ("POSIdentity", "ItemID"):
                yield Stated(local_name(what.tag), code[:TEXT_MAX], _quantity_said(element, dialect))


def _quantity_said(element: Element, dialect: Dialect) -> str:
    said = text_at(element, dialect.lines.quantity) or next(
        ((each.text or "").strip() for each in element if local_name(each.tag).endswith(("Quantity", "Count"))), "")
    return said[:TEXT_MAX] or "no quantity"


def _voided_sequence(body: Element) -> int | None:
    """The transaction that this one takes back, which may not have arrived yet."""
    for link in (each for each in body if local_name(each.tag) == "TransactionLink"):
        if attribute(link, "ReasonCode") == "Voided" or attribute(body, "TransactionStatus") == POST_VOIDED:
            number = child(link, "SequenceNumber")
            return _sequence((number.text or "").strip() if number is not None else "")
    if attribute(body, "TransactionStatus") == POST_VOIDED:
        raise Unreadable("it is post-voided and does not say which transaction it takes back")
    return None


def _line_number(item: Element, otherwise: int) -> int:
    number = child(item, "SequenceNumber")
    text = (number.text or "").strip() if number is not None else ""
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= 9 else otherwise


def _text(element: Element, places: tuple[str, ...], what: str) -> str:
    found = text_at(element, places)
    if not found or len(found) > TEXT_MAX:
        raise Unreadable(f"no {what} at {' or '.join(places)}" if not found else f"the {what} is too long")
    return found


def _day(text: str) -> str:
    try:
        return datetime.fromisoformat(text[:10]).date().isoformat()
    except ValueError as error:
        raise Unreadable(f"the business day is no date: {text[:40]!r}") from error


def _sequence(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) <= 10):
        raise Unreadable(f"the sequence is no number of up to ten digits: {text[:40]!r}")
    return int(text)


def _moment(text: str) -> datetime:
    try:
        return datetime.fromisoformat(text)
    except ValueError as error:
        raise Unreadable(f"it says no time that can be read: {text[:40]!r}") from error


def _number(text: str, what: str) -> Decimal:
    try:
        number = Decimal(text)
    except InvalidOperation as error:
        raise Unreadable(f"the {what} of a line is no number: {text[:40]!r}") from error
    if not number.is_finite() or abs(number) >= 10**12:
        raise Unreadable(f"the {what} of a line is beyond all measure: {text[:40]!r}")
    return number


def _whole(number: Decimal, exponent: int) -> int:
    scaled = number.scaleb(exponent)
    if scaled != scaled.to_integral_value():
        raise Unreadable(f"{number} has more decimals than {exponent}")
    return int(scaled)
