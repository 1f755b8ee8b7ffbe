"""Receipts by the witness's own reckoning: is what a till was told to print what was scanned, and what was promised?

Checked with other means than the store's: sums are added up again, and no promotion may take off more than its terms
give for the pieces that are there. Money in minor units, quantities in thousandths.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

MILLI = 1000


@dataclass(frozen=True, slots=True)
class AskedLine:
    """A line of a basket as the till asked: `code` as scanned."""

    line: int
    code: str
    quantity_milli: int


@dataclass(frozen=True, slots=True)
class AskedBasket:
    """What a till asked to be priced."""

    lines: tuple[AskedLine, ...]
    member: bool
    coupons: tuple[str, ...] = ()


class ReceiptLine(msgspec.Struct, frozen=True):
    """A line of the answer, as far as the witness reads it."""

    line: int
    sku: str
    quantity_milli: int
    unit_minor: int
    list_price_minor: int
    gross_minor: int
    off_minor: int
    net_minor: int
    deposit_minor: int


class AppliedPromotion(msgspec.Struct, frozen=True):
    """A promotion of the answer: how often it was applied, and what it took off which line."""

    promotion: str
    version: int
    times: int
    off_minor: int
    lines: dict[int, int]


class Receipt(msgspec.Struct, frozen=True):
    """The answer to `POST /v1/baskets/price`, as far as the witness reads it."""

    lines: list[ReceiptLine]
    promotions: list[AppliedPromotion]
    deposits_minor: int
    total_minor: int
    unknown: list[int]


class PromotionTerms(msgspec.Struct, frozen=True):
    """A promotion as the hub was given it, in the words of its API. `terms` as they were sent."""

    id: str
    version: int
    kind: str
    terms: dict[str, Any]
    valid_from_ms: int = 0
    valid_until_ms: int | None = None

    @property
    def skus(self) -> tuple[str, ...]:
        """The products it is for; none: all of them."""
        return tuple(self.terms.get("skus", ()))

    def says(self, name: str) -> Any:
        """One of its terms; nothing, 0 or false where it does not say."""
        return self.terms.get(name, 0)


Known = Mapping[tuple[str, int], PromotionTerms]
"""Every promotion that ever was, by id and version."""


def mistakes(basket: AskedBasket, receipt: Receipt, known: Known) -> Iterator[str]:
    """What is wrong with a receipt, but for prices per unit: those are the shelf's to judge."""
    yield from _lines_wrong(basket, receipt)
    yield from _sums_wrong(receipt)
    for applied in receipt.promotions:
        terms = known.get((applied.promotion, applied.version))
        if terms is None:
            yield f"promotion {applied.promotion}@{applied.version} was never given"
        else:
            yield from _given_wrongly(applied, terms, basket, receipt)
    yield from _pieces_given_twice(receipt, known)


def _lines_wrong(basket: AskedBasket, receipt: Receipt) -> Iterator[str]:
    printed = {line.line: line for line in receipt.lines}
    asked = {line.line: line for line in basket.lines}
    if sorted([*printed, *receipt.unknown]) != sorted(asked):
        yield f"asked were lines {sorted(asked)}, printed {sorted(printed)}, unknown {receipt.unknown}"
        return
    for number, line in printed.items():
        if line.quantity_milli != asked[number].quantity_milli:
            yield f"line {number} is for {line.quantity_milli}, asked were {asked[number].quantity_milli}"
        if line.gross_minor != _half_up(line.unit_minor * line.quantity_milli, MILLI):
            yield f"line {number}: {line.quantity_milli} at {line.unit_minor} is not {line.gross_minor}"
        if line.net_minor != line.gross_minor - line.off_minor:
            yield f"line {number}: {line.gross_minor} less {line.off_minor} is not {line.net_minor}"
        if not min(0, line.gross_minor) <= line.off_minor <= max(0, line.gross_minor):
            yield f"line {number}: {line.off_minor} off {line.gross_minor}"


def _sums_wrong(receipt: Receipt) -> Iterator[str]:
    off = Counter[int]()
    for applied in receipt.promotions:
        off.update(applied.lines)
        if sum(applied.lines.values()) != applied.off_minor:
            yield f"promotion {applied.promotion} takes {applied.off_minor} off, its lines say {applied.lines}"
    for line in receipt.lines:
        if off[line.line] != line.off_minor:
            yield f"line {line.line} has {line.off_minor} off, its promotions say {off[line.line]}"
    total = sum(line.net_minor + line.deposit_minor for line in receipt.lines)
    if total != receipt.total_minor or receipt.deposits_minor != sum(line.deposit_minor for line in receipt.lines):
        yield f"the lines and deposits come to {total}, the receipt says {receipt.total_minor}"


def _given_wrongly(applied: AppliedPromotion, terms: PromotionTerms, basket: AskedBasket,
                   receipt: Receipt) -> Iterator[str]:
    """To whom, for what, and no more than it says."""
    name = f"promotion {terms.id}"
    if terms.says("member_only") and not basket.member:
        yield f"{name} is for members, and was given to somebody else"
    if terms.says("coupon") and terms.says("coupon") not in basket.coupons:
        yield f"{name} needs the coupon {terms.says('coupon')!r}"
    touched = [line for line in receipt.lines if line.line in applied.lines]
    if terms.skus and not {line.sku for line in touched} <= set(terms.skus):
        yield f"{name} was applied to {sorted({line.sku for line in touched} - set(terms.skus))}"
        return
    if terms.says("times_max") and applied.times > terms.says("times_max"):
        yield f"{name} was applied {applied.times} times of {terms.says('times_max')}"
    of_it = [line for line in receipt.lines if line.quantity_milli > 0 and (not terms.skus or line.sku in terms.skus)]
    most = most_off(terms, [(line.sku, line.unit_minor, line.quantity_milli) for line in of_it])
    if applied.off_minor > most:
        yield f"{name} took {applied.off_minor} off where at most {most} is promised"


def most_off(terms: PromotionTerms, lines: Sequence[tuple[str, int, int]]) -> int:
    """The most that a promotion gives for these lines (SKU, price per unit, quantity), if nothing else touches them."""
    match terms.kind:
        case "percent":
            return sum(_each(quantity, lambda part, unit=unit: _half_up(_half_up(unit * part, MILLI)
                                                                         * terms.says("percent"), 100))
                       for _, unit, quantity in lines)
        case "amount":
            return sum(_each(quantity, lambda part, unit=unit: min(_half_up(unit * part, MILLI),
                                                                   _half_up(terms.says("amount_minor") * part, MILLI)))
                       for _, unit, quantity in lines)
        case "price":
            return sum(_each(quantity, lambda part, unit=unit: max(0, _half_up(unit * part, MILLI)
                                                                   - _half_up(terms.says("price_minor") * part, MILLI)))
                       for _, unit, quantity in lines)
        case "multi-buy":
            return sum(max(0, sum(group) - terms.says("price_minor"))
                       for group in _groups(lines, terms.says("pieces"), mixed=bool(terms.says("mixed"))))
        case "buy-get":
            size, percent = terms.says("buy") + terms.says("get"), terms.terms.get("percent", 100)
            return sum(sum(_half_up(unit * percent, 100) for unit in group[terms.says("buy"):])
                       for group in _groups(lines, size, mixed=bool(terms.says("mixed"))))
        case _:
            spent = sum(_half_up(unit * quantity, MILLI) for _, unit, quantity in lines)
            reached = spent // terms.says("spend_minor")
            times = reached if terms.says("repeats") else min(reached, 1)
            off = times * terms.says("off_minor") + _half_up(spent * terms.says("percent"), 100)
            return min(spent, off) if times else 0


def _each(quantity_milli: int, off: Any) -> int:
    """Piece by piece; what is weighed is one."""
    if quantity_milli % MILLI:
        return int(off(quantity_milli))
    return int(quantity_milli // MILLI * off(MILLI))


def _groups(lines: Iterable[tuple[str, int, int]], size: int, *, mixed: bool) -> Iterator[list[int]]:
    """Prices of whole pieces in groups of that size, the dearest together; of one product unless `mixed`."""
    kinds: dict[str, list[int]] = {}
    for sku, unit, quantity in lines:
        if quantity % MILLI == 0:
            kinds.setdefault("" if mixed else sku, []).extend([unit] * (quantity // MILLI))
    for units in kinds.values():
        units.sort(reverse=True)
        for start in range(0, len(units) - size + 1, size):
            yield units[start:start + size]


def _pieces_given_twice(receipt: Receipt, known: Known) -> Iterator[str]:
    """A piece counts for one promotion only, unless that goes on top of others."""
    taken = Counter[frozenset[str]]()
    for applied in receipt.promotions:
        terms = known.get((applied.promotion, applied.version))
        if terms is not None and not terms.says("stackable") and terms.kind != "threshold":
            sizes = {"multi-buy": terms.says("pieces"), "buy-get": terms.says("buy") + terms.says("get")}
            taken[frozenset(terms.skus)] += applied.times * sizes.get(terms.kind, 1)
    for skus, pieces in taken.items():
        there = sum(line.quantity_milli // MILLI if line.quantity_milli % MILLI == 0 else 1
                    for line in receipt.lines if line.sku in skus and line.quantity_milli > 0)
        if pieces > there:
            yield f"promotions took {pieces} pieces of {sorted(skus)}, there were {there}"


def _half_up(numerator: int, denominator: int) -> int:
    """Rounded to the nearest, halves away from nothing."""
    sign = -1 if numerator < 0 else 1
    return sign * ((abs(numerator) * 2 + denominator) // (denominator * 2))
