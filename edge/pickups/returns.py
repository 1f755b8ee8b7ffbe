"""Returns of online orders, and what becomes of goods in quarantine (BORIS; DESIGN.md section 9, retail.md 2.4.7).

A return is a fact and moves goods into quarantine; grading is another and moves them out. Both count once by their id.
An order that this store gave away is held against what it gave; one that it never heard of is taken in all the same,
and the hub, which hears of every store, decides about the money.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import msgspec

from cloud_sync.contract.facts import (
    QUANTITY_MILLI_MAX,
    ExceptionRaised,
    Grading,
    LineKind,
    OrderReturn,
    ReturnedLine,
    SaleLine,
    Transaction,
)
from cloud_sync.contract.returns import Grade, graded, into_quarantine, returns_of
from edge.db.connection import Connection
from edge.db.ledger import Chain, Draft, Receipt, digest_of, is_recorded, raise_exception, record
from edge.db.queries import LEDGER
from edge.domain.card_data import has_card
from edge.errors import Rejected
from edge.limits import QUARANTINED_LISTED_MAX, RETURN_LINES_MAX
from edge.pickups.desk import PickupDesk
from edge.pickups.rows import read_lines
from edge.store import Store, Topic


@dataclass(frozen=True, slots=True)
class ReturnRequest:
    """Goods that a customer brings back. `return_id` makes a repeat harmless. A line needs its number or its SKU."""

    return_id: str
    order_id: str
    lines: tuple[ReturnedLine, ...]
    actor: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class GradingRequest:
    """What becomes of so much of a product in quarantine. `as_sku`: the article that reduced goods are sold as."""

    grading_id: str
    sku: str
    quantity_milli: int
    grade: Grade
    actor: str
    reason: str = ""
    as_sku: str = ""
    return_id: str = ""


@dataclass(frozen=True, slots=True)
class Returnable:
    """A line of an order that left from this store, and how much may still come back here: of the line, and of all
    lines of its product."""

    line: int
    sku: str
    handed_milli: int
    left_milli: int
    left_of_sku_milli: int


@dataclass(frozen=True, slots=True)
class Quarantined:
    """So much of a product waits to be graded."""

    sku: str
    quantity_milli: int


class ReturnDesk:
    """Takes goods back and grades them."""

    def __init__(self, store: Store, pickups: PickupDesk) -> None:
        self._store = store
        self._pickups = pickups

    def returnable(self, order_id: str) -> tuple[Returnable, ...]:
        """What left of an order from here; nothing for one that this store did not give away."""
        return returnable(self._store.books.ledger_reader, order_id)

    def quarantined(self) -> tuple[Quarantined, ...]:
        """What waits to be graded, at most a named number of products."""
        rows = self._store.books.ledger_reader.execute(LEDGER.quarantined, (QUARANTINED_LISTED_MAX,)).fetchall()
        return tuple(Quarantined(*row) for row in rows)

    async def take(self, request: ReturnRequest) -> Receipt:
        """Take goods back, once. Raises `Rejected` for more than left of an order that is known here."""
        if not 1 <= len(request.lines) <= RETURN_LINES_MAX:
            raise Rejected(f"{len(request.lines)} lines, not 1 to {RETURN_LINES_MAX}")
        if any(not 0 < line.quantity_milli <= QUANTITY_MILLI_MAX for line in request.lines):
            raise Rejected("what comes back has a quantity above zero")
        receipt = await self._store.record(lambda connection: self._take(connection, request))
        self._store.tell(Topic.PICKUP, request.order_id)
        return receipt

    async def grade(self, request: GradingRequest) -> Receipt:
        """Say what becomes of goods, once. Raises `Rejected` for more than waits in quarantine."""
        if not 0 < request.quantity_milli <= QUANTITY_MILLI_MAX:
            raise Rejected("what is graded has a quantity above zero")
        if request.as_sku and request.grade is not Grade.REDUCED:
            raise Rejected("only reduced goods are sold as another article")
        receipt = await self._store.record(lambda connection: self._grade(connection, request))
        self._store.tell(Topic.PICKUP)
        return receipt

    def _take(self, connection: Connection, request: ReturnRequest) -> Receipt:
        self._pickups.planned.settle_order(connection, request.order_id)
        meaning = (request.order_id, request.lines, request.reason)
        key, digest = f"return/{request.return_id}", digest_of(meaning)
        repeated = is_recorded(connection, key)
        lines, known = request.lines, False
        if not repeated:
            lines, known = _named(connection, request)
        fact = OrderReturn(request.return_id, request.order_id, lines, into_quarantine(lines), request.actor, known,
                           request.reason)
        receipt = record(connection, self._store.books.chain, self._draft(key, fact, digest))
        if not repeated:
            note_returned(connection, request.order_id, lines, self._store.clock.wall_ms())
        return receipt

    def _grade(self, connection: Connection, request: GradingRequest) -> Receipt:
        meaning = (request.sku, request.quantity_milli, request.grade, request.reason, request.as_sku,
                   request.return_id)
        key, digest = f"grading/{request.grading_id}", digest_of(meaning)
        if not is_recorded(connection, key):
            stock = connection.execute(LEDGER.stock, (request.sku,)).fetchone()
            waits_milli = max(0, stock[3]) if stock else 0
            if request.quantity_milli > waits_milli:
                raise Rejected(f"{request.sku}: {waits_milli} thousandths wait to be graded, not more")
        moves = graded(request.sku, request.quantity_milli, request.grade, request.as_sku)
        fact = Grading(request.grading_id, request.sku, request.quantity_milli, request.grade, moves, request.actor,
                       request.reason, request.return_id)
        return record(connection, self._store.books.chain, self._draft(key, fact, digest))

    def _draft(self, key: str, fact: OrderReturn | Grading, digest: bytes) -> Draft:
        now_ms = self._store.clock.wall_ms()
        return Draft(key, fact, digest, now_ms, self._store.business_day(now_ms), now_ms)


def returnable(connection: Connection, order_id: str) -> tuple[Returnable, ...]:
    """The lines of an order that left from this store, and what of each has not come back yet."""
    handed = [line for line in read_lines(connection, order_id) if line.handed_milli]
    by_line, by_sku = Counter[int](), Counter[str]()
    for number, sku, returned_milli in connection.execute(LEDGER.order_returns, (order_id,)).fetchall():
        by_line[number] += returned_milli
        by_sku[sku] += returned_milli
    out = Counter[str]()
    for line in handed:
        out[line.sku] += line.handed_milli
    left = {sku: max(0, milli - by_sku[sku]) for sku, milli in out.items()}
    return tuple(Returnable(line.line, line.sku, line.handed_milli, max(0, min(
        line.handed_milli - by_line[line.line], left[line.sku])), left[line.sku]) for line in handed)


def note_returned(connection: Connection, order_id: str, lines: Iterable[ReturnedLine], now_ms: int) -> None:
    """Add up what is back of an order; a negative quantity takes it back again."""
    for line in lines:
        connection.execute(LEDGER.add_order_return, (order_id, line.line, line.sku, line.quantity_milli, now_ms))


def note_transaction(connection: Connection, chain: Chain, made: Draft, fact: Transaction) -> None:
    """What a till's new transaction brings back of online orders. Nothing is refused (P4): what is more than left from
    here, and a void of what may have been refunded by now, is for a person."""
    of_order: dict[str, list[ReturnedLine]] = {}
    for line, returned in returns_of(fact):
        of_order.setdefault(line.order_id, []).append(returned)
    for order_id, lines in of_order.items():
        left = returnable(connection, order_id)
        note_returned(connection, order_id, lines, made.recorded_ms)
        voided = any(line.quantity_milli < 0 for line in lines)
        if voided:
            _ask_a_person(connection, chain, made, "return-voided", order_id,
                          f"a return of order {order_id} was voided at the till; it may have been refunded already")
        elif left and _beyond(left, lines):
            _ask_a_person(connection, chain, made, "return-beyond-order", order_id,
                          f"more came back of order {order_id} than left from here")


def take_past_return(connection: Connection, fact: OrderReturn, now_ms: int) -> None:
    """A return that came back from the hub after a restore."""
    note_returned(connection, fact.order_id, fact.lines, now_ms)


def order_reference(connection: Connection, order_id: str) -> str:
    """An order's id as somebody typed it; empty for a card's number that is no order of this store (P11)."""
    known = connection.execute(LEDGER.pickup_step_place, (order_id,)).fetchone() is not None
    return order_id if known or not has_card(order_id) else ""


def as_return(line: SaleLine) -> SaleLine:
    """A sale of less than nothing of an online order is its return."""
    if not line.order_id or line.quantity_milli >= 0:
        return line
    return msgspec.structs.replace(line, kind=LineKind.RETURN, quantity_milli=-line.quantity_milli,
                                   amount_minor=-line.amount_minor)


def _named(connection: Connection, request: ReturnRequest) -> tuple[tuple[ReturnedLine, ...], bool]:
    """The lines with product and number as far as they are known here, and whether the order left from here.

    Raises `Rejected` for more than left.
    """
    order_id, left = request.order_id, returnable(connection, request.order_id)
    if not left:
        if not order_reference(connection, order_id):
            raise Rejected("this is no order's number; it may be that of a card")
        if any(not line.sku for line in request.lines):
            raise Rejected(f"order {order_id} did not leave from this store: say which product comes back")
        return request.lines, False
    by_line = {each.line: each for each in left}
    lines = []
    for line in request.lines:
        found = by_line.get(line.line)
        if line.line and (found is None or line.sku not in ("", found.sku)):
            raise Rejected(f"nothing of line {line.line} of order {order_id} left from here")
        lines.append(ReturnedLine(found.sku, line.quantity_milli, found.line) if found else line)
    if any(not line.sku for line in lines):
        raise Rejected(f"order {order_id}: say which line or product comes back")
    if beyond := _beyond(left, lines):
        raise Rejected(f"order {order_id}: so much of {beyond} did not leave from here, or is back already")
    return tuple(lines), True


def _beyond(left: Sequence[Returnable], lines: Iterable[ReturnedLine]) -> str:
    """The first product of which more comes back than may; empty for none."""
    by_line = {each.line: each.left_milli for each in left}
    by_sku = {each.sku: each.left_of_sku_milli for each in left}
    for line in lines:
        by_sku[line.sku] = by_sku.get(line.sku, 0) - line.quantity_milli
        by_line[line.line] = by_line.get(line.line, 0) - line.quantity_milli
        if by_sku[line.sku] < 0 or (line.line and by_line[line.line] < 0):
            return line.sku
    return ""


def _ask_a_person(connection: Connection, chain: Chain, made: Draft, reason: str, order_id: str, detail: str) -> None:
    raised = ExceptionRaised(reason=reason, about=made.fact_key, detail=detail, till=getattr(made.fact, "till", ""),
                             business_day=made.business_day)
    raise_exception(connection, chain, raised, made.recorded_ms, key=f"{reason}/{made.fact_key}/{order_id}")
