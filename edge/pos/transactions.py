"""Taking a till's transactions, its close of day, and telling it what to send again (DESIGN.md sections 4 and 8).

A transaction is decoded and flagged in the event loop; whether it was seen before is decided in the writer.
"""

from dataclasses import dataclass
from datetime import datetime

import msgspec

from cloud_sync.contract.facts import (
    ExceptionRaised,
    Flag,
    LineKind,
    Movement,
    SaleLine,
    StockMove,
    TillClose,
    Transaction,
    TransactionKind,
    stock_moves,
)
from edge.db.connection import Connection
from edge.db.ledger import Chain, Draft, Outcome, Receipt, draft, fact_of, raise_exception, record
from edge.db.queries import LEDGER
from edge.domain.transaction import fact_key, line_flags, meaning_digest, transaction_flags
from edge.limits import CLOSE_MISSING_LISTED_MAX
from edge.prices.price_desk import PriceDesk
from edge.store import Store


class LineIn(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A line as a till sends it: `code` as scanned, or `sku`. Quantities in thousandths, money in minor units."""

    line: int
    quantity_milli: int
    amount_minor: int
    code: str = ""
    sku: str = ""
    kind: LineKind = LineKind.SALE
    unit_price_minor: int | None = None
    scanned_at: datetime | None = None


class TransactionIn(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body of `PUT /v1/transactions/{till}/{business_day}/{sequence}`."""

    type: TransactionKind
    currency: str
    total_minor: int
    occurred_at: datetime
    lines: list[LineIn]
    voids_sequence: int | None = None
    operator: str = ""


class CloseIn(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body of `POST /v1/tills/{till}/close`: the till's own account of its day."""

    business_day: str
    first: int
    last: int
    count: int
    total_minor: int


class CloseOut(msgspec.Struct, frozen=True):
    """What the store has of that day; `missing` lists the sequences to send again (at most a named number)."""

    recorded: bool
    business_day: str
    count: int
    total_minor: int
    agrees: bool
    missing: list[int]
    missing_count: int


class HighWater(msgspec.Struct, frozen=True):
    """How far the store has a till's day: everything in `missing` and after `last` is to be sent again."""

    till: str
    business_day: str
    last: int
    count: int
    missing: list[int]


@dataclass(frozen=True, slots=True)
class TillDay:
    """A till on a business day."""

    till: str
    business_day: str


class TransactionDesk:
    """Records what tills send."""

    def __init__(self, store: Store, prices: PriceDesk) -> None:
        self._store = store
        self._prices = prices

    async def take(self, day: TillDay, sequence: int, body: TransactionIn) -> Receipt:
        """Record a transaction once; see `edge.db.ledger.record` for repeats and conflicts."""
        fact = self._fact(day, sequence, body)
        made = Draft(fact_key(day.till, day.business_day, sequence), fact, meaning_digest(fact),
                     _milliseconds(body.occurred_at), day.business_day, self._store.clock.wall_ms())
        chain = self._store.books.chain
        return await self._store.record(lambda connection: record_transaction(connection, chain, made, fact))

    async def close(self, till: str, body: CloseIn) -> CloseOut:
        """Compare the till's account with ours; what differs becomes an exception per till and day."""
        now_ms = self._store.clock.wall_ms()
        fact = TillClose(till=till, business_day=body.business_day, first_sequence=body.first,
                         last_sequence=body.last, count=body.count, total_minor=body.total_minor)
        made = draft(f"close/{till}/{body.business_day}/{body.last:010d}/{body.count}/{body.total_minor}", fact,
                     occurred_ms=now_ms, recorded_ms=now_ms, business_day=body.business_day)
        chain = self._store.books.chain
        return await self._store.record(lambda connection: _record_close(connection, chain, made, fact))

    def high_water(self, till: str, business_day: str | None) -> HighWater:
        """What we have of a till's day, the newest one unless it is named."""
        reader = self._store.books.ledger_reader
        if business_day is None:
            newest = reader.execute(LEDGER.newest_till_day, (till,)).fetchone()
            if newest is None:
                return HighWater(till, "", 0, 0, [])
            business_day = str(newest[0])
        row = reader.execute(LEDGER.till_day, (till, business_day)).fetchone()
        if row is None:
            return HighWater(till, business_day, 0, 0, [])
        missing = _missing(reader, TillDay(till, business_day), row[1], row[2])
        return HighWater(till, business_day, row[2], row[0], missing[:CLOSE_MISSING_LISTED_MAX])

    def _fact(self, day: TillDay, sequence: int, body: TransactionIn) -> Transaction:
        lines = tuple(self._line(line) for line in body.lines)
        flags = transaction_flags(body.type, body.total_minor, lines, self._store.clock.trusted)
        return Transaction(till=day.till, business_day=day.business_day, sequence=sequence, type=body.type,
                           currency=body.currency, total_minor=body.total_minor, lines=lines,
                           voids_sequence=body.voids_sequence, actor=body.operator, flags=flags)

    def _line(self, line: LineIn) -> SaleLine:
        sku = self._prices.sku_of(line.sku or line.code)
        return SaleLine(line=line.line, kind=line.kind, quantity_milli=line.quantity_milli,
                        amount_minor=line.amount_minor, sku=sku or line.sku, code=line.code,
                        unit_price_minor=line.unit_price_minor,
                        scanned_ms=_milliseconds(line.scanned_at) if line.scanned_at else None,
                        flags=line_flags(bool(sku), line.quantity_milli))


def record_transaction(connection: Connection, chain: Chain, made: Draft, fact: Transaction) -> Receipt:
    """One transaction inside the writer: record it once, then its till's day and what people should look at."""
    if fact.type is TransactionKind.VOID:
        made, fact = _with_voided_lines(connection, made, fact)
    receipt = record(connection, chain, made)
    if receipt.outcome is not Outcome.NEW:
        return receipt
    connection.execute(LEDGER.add_to_till_day, (fact.till, fact.business_day, fact.sequence, fact.sequence,
                                                fact.total_minor))
    _take_back_if_voided(connection, chain, made, fact)
    _flag_for_people(connection, chain, made, fact)
    _endangered_orders(connection, chain, made, fact)
    return receipt


def _with_voided_lines(connection: Connection, made: Draft, fact: Transaction) -> tuple[Draft, Transaction]:
    """A void takes back the lines of its original, as far as that has arrived; else it waits for it, flagged."""
    voided_key = fact_key(fact.till, fact.business_day, fact.voids_sequence or 0)
    original = fact_of(connection, voided_key)
    if isinstance(original, Transaction):
        fact = msgspec.structs.replace(fact, lines=original.lines)
    elif not connection.execute(LEDGER.fact, (made.fact_key,)).fetchone():
        connection.execute(LEDGER.insert_early_void, (voided_key, made.fact_key))
        fact = msgspec.structs.replace(fact, flags=(*fact.flags, Flag.VOID_BEFORE_ORIGINAL))
    return Draft(made.fact_key, fact, made.digest, made.occurred_ms, made.business_day, made.recorded_ms), fact


def _take_back_if_voided(connection: Connection, chain: Chain, made: Draft, fact: Transaction) -> None:
    """Its void came first: the goods go back now."""
    early = connection.execute(LEDGER.early_void, (made.fact_key,)).fetchone()
    if early is None or fact.type is TransactionKind.VOID:
        return
    moves = tuple(_reversed(move) for move in stock_moves(fact))
    reversal = Movement(reason="void", moves=moves, actor=fact.till, document=early[0])
    record(connection, chain, draft(f"reversal/{made.fact_key}", reversal, occurred_ms=made.occurred_ms,
                                    recorded_ms=made.recorded_ms, business_day=made.business_day))


def _reversed(move: StockMove) -> StockMove:
    return StockMove(move.sku, -move.sellable_milli, -move.reserved_milli, -move.staged_milli, -move.quarantine_milli)


def _flag_for_people(connection: Connection, chain: Chain, made: Draft, fact: Transaction) -> None:
    for flag in fact.flags:
        raised = ExceptionRaised(reason=flag, about=made.fact_key, detail=_detail(fact, flag), till=fact.till,
                                 business_day=fact.business_day)
        raise_exception(connection, chain, raised, made.recorded_ms, key=f"{flag}/{made.fact_key}")


def _detail(fact: Transaction, flag: Flag) -> str:
    lines = [f"line {line.line} ({line.sku or line.code or 'no code'}, {line.quantity_milli} thousandths)"
             for line in fact.lines if flag in line.flags]
    return ", ".join(lines[:5]) or f"total {fact.total_minor} (minor units)"


def _endangered_orders(connection: Connection, chain: Chain, made: Draft, fact: Transaction) -> None:
    """A walk-in sale may take what an order was promised: the sale stands, a person is told which order (P4, P5)."""
    for sku in {line.sku for line in fact.lines if line.sku}:
        row = connection.execute(LEDGER.stock, (sku,)).fetchone()
        if row and row[0] < 0 < row[1]:
            orders = ", ".join(order for (order,) in connection.execute(LEDGER.orders_reserving, (sku,)).fetchall())
            raised = ExceptionRaised(reason=Flag.AVAILABLE_BELOW_ZERO, about=made.fact_key, till=fact.till,
                                     business_day=fact.business_day,
                                     detail=f"{sku} is sold below what orders were promised: {orders}")
            raise_exception(connection, chain, raised, made.recorded_ms,
                            key=f"{Flag.AVAILABLE_BELOW_ZERO}/{made.fact_key}/{sku}")


def _record_close(connection: Connection, chain: Chain, made: Draft, fact: TillClose) -> CloseOut:
    day = TillDay(fact.till, fact.business_day)
    record(connection, chain, made)
    connection.execute(LEDGER.close_till_day, (fact.till, fact.business_day))
    row = connection.execute(LEDGER.till_day, (fact.till, fact.business_day)).fetchone() or (0, 0, 0, 0, 0)
    count, _, _, total_minor, _ = row
    missing = _missing(connection, day, fact.first_sequence, fact.last_sequence)
    agrees = not missing and count == fact.count and total_minor == fact.total_minor
    if not agrees:
        detail = (f"till says {fact.count} transactions, {fact.total_minor}; "
                  f"store has {count}, {total_minor} (minor units); {len(missing)} missing")
        raised = ExceptionRaised(reason="till-close-differs", about=made.fact_key, detail=detail, till=fact.till,
                                 business_day=fact.business_day)
        raise_exception(connection, chain, raised, made.recorded_ms, key=f"differs/{made.fact_key}/{count}")
    return CloseOut(True, fact.business_day, count, total_minor, agrees, missing[:CLOSE_MISSING_LISTED_MAX],
                    len(missing))


def _missing(connection: Connection, day: TillDay, first: int, last: int) -> list[int]:
    """Sequences between `first` and `last` that never arrived."""
    rows = connection.execute(LEDGER.fact_keys_between, (fact_key(day.till, day.business_day, first),
                                                         fact_key(day.till, day.business_day, last))).fetchall()
    arrived = {int(key.rsplit("/", 1)[1]) for (key,) in rows}
    return [sequence for sequence in range(first, last + 1) if sequence not in arrived]


def _milliseconds(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)


