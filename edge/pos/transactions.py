"""Taking a till's transactions, its close of day, and telling it what to send again (DESIGN.md sections 4 and 8).

A transaction is decoded and flagged in the event loop; whether it was seen before is decided in the writer.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Annotated

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
from edge.db.ledger import (
    VOIDED,
    Chain,
    Draft,
    Outcome,
    Receipt,
    draft,
    fact_of,
    is_recorded,
    raise_exception,
    record,
)
from edge.db.queries import LEDGER
from edge.db.rebase_rows import read_rebase
from edge.db.shortages import tell_negative, tell_short
from edge.domain.barcode import CODE_LENGTH_MAX
from edge.domain.till_clock import (
    CLOCK_FLAGS,
    Heard,
    contradicts_day,
    contradicts_order,
    milliseconds,
    on_the_wall,
    time_flags,
)
from edge.domain.transaction import fact_key, line_flags, meaning_digest, transaction_flags
from edge.limits import (
    AMOUNT_MINOR_MAX,
    CLOSE_MISSING_LISTED_MAX,
    GAPS_LISTED_MAX,
    KEY_CHARACTERS_MAX,
    SEQUENCE_MAX,
)
from edge.pickups.returns import as_return, note_transaction, order_reference
from edge.pos.till_clocks import TillClocks
from edge.prices.price_desk import PriceDesk
from edge.stock.late_facts import let_counts_stand, moment_of_sale
from edge.store import Store

_Int64 = Annotated[int, msgspec.Meta(ge=-2**63, le=2**63 - 1)]
_Amount = Annotated[int, msgspec.Meta(ge=-AMOUNT_MINOR_MAX, le=AMOUNT_MINOR_MAX)]
_Sequence = Annotated[int, msgspec.Meta(ge=0, le=SEQUENCE_MAX)]
_Code = Annotated[str, msgspec.Meta(max_length=CODE_LENGTH_MAX)]
_Key = Annotated[str, msgspec.Meta(max_length=KEY_CHARACTERS_MAX, pattern=r"^[^\x00-\x1f\x7f]*$")]


class LineIn(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A line as a till sends it: `code` as scanned, or `sku`. Quantities in thousandths, money in minor units.

    `order_id`: of a return (or a sale of less than nothing), the online order that it was part of, and `order_line`.
    A quantity may be anything a number can be: what is odd about it is flagged, never refused (P4).
    """

    line: _Int64
    quantity_milli: _Int64
    amount_minor: _Amount
    code: _Code = ""
    sku: _Key = ""
    kind: LineKind = LineKind.SALE
    unit_price_minor: _Amount | None = None
    scanned_at: datetime | None = None
    order_id: _Key = ""
    order_line: Annotated[int, msgspec.Meta(ge=0, le=2**31)] = 0


class TransactionIn(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body of `PUT /v1/transactions/{till}/{business_day}/{sequence}`. Times without an offset are the store's."""

    type: TransactionKind
    currency: Annotated[str, msgspec.Meta(pattern="^[A-Z]{3}$")]
    total_minor: _Amount
    occurred_at: datetime
    lines: list[LineIn]
    voids_sequence: _Sequence | None = None
    operator: _Key = ""


class CloseIn(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body of `POST /v1/tills/{till}/close`: the till's own account of its day."""

    business_day: str
    first: _Sequence
    last: _Sequence
    count: _Sequence
    total_minor: _Int64


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
    """What the ledger really holds of a till's day: everything in `missing`, before `first` and after `last` is to be
    sent again, if the till has it. `ranges`: what is missing as first and last sequence; `settled`: false while the hub
    is still sending history back, so that less may be missing than it seems. `clock_ahead_ms`: how far the till's clock
    is ahead of the store's by its last sales, negative for behind; `null` while they do not say.
    """

    till: str
    business_day: str
    first: int
    last: int
    count: int
    missing: list[int]
    ranges: list[tuple[int, int]]
    settled: bool
    clock_ahead_ms: int | None = None


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
        self.clocks = TillClocks(store)

    async def take(self, day: TillDay, sequence: int, body: TransactionIn) -> Receipt:
        """Record a transaction once; see `edge.db.ledger.record` for repeats and conflicts."""
        received_ms = self._store.clock.wall_ms()
        heard = Heard(received_ms, self._milliseconds(body.occurred_at, received_ms))
        fact = self._fact(day, sequence, body, heard)
        made = Draft(fact_key(day.till, day.business_day, sequence), fact, meaning_digest(fact), heard.occurred_ms,
                     day.business_day, heard.received_ms)
        chain = self._store.books.chain
        happened_ms = moment_of_sale(heard.occurred_ms, self.clocks.ahead_ms(day.till) or 0, heard.received_ms)
        receipt = await self._store.record(
            lambda connection: record_transaction(connection, chain, made, fact, happened_ms), short=True)
        if receipt.outcome is Outcome.NEW and self._store.clock.trusted:
            await self.clocks.heard(day.till, heard)
        return receipt

    async def close(self, till: str, body: CloseIn) -> CloseOut:
        """Compare the till's account with ours; what differs becomes an exception per till and day."""
        now_ms = self._store.clock.wall_ms()
        fact = TillClose(till=till, business_day=body.business_day, first_sequence=body.first,
                         last_sequence=body.last, count=body.count, total_minor=body.total_minor)
        key = (f"close/{till}/{body.business_day}/{body.first:010d}/{body.last:010d}/{body.count}/{body.total_minor}")
        made = draft(key, fact, occurred_ms=now_ms, recorded_ms=now_ms, business_day=body.business_day)
        chain = self._store.books.chain
        return await self._store.record(lambda connection: _record_close(connection, chain, made, fact))

    def high_water(self, till: str, business_day: str | None) -> HighWater:
        """What we have of a till's day, the newest one unless it is named."""
        reader = self._store.books.ledger_reader
        settled = read_rebase(reader) is None
        if business_day is None:
            newest = reader.execute(LEDGER.newest_till_day, (till,)).fetchone()
            business_day = str(newest[0]) if newest else ""
        day = TillDay(till, business_day)
        count, first_key, last_key = reader.execute(LEDGER.till_sequence_range, (
            fact_key(till, business_day, 0), fact_key(till, business_day, SEQUENCE_MAX))).fetchone()
        if not count:
            return HighWater(till, business_day, 0, 0, 0, [], [], settled, self.clocks.ahead_ms(till))
        first, last = int(first_key[-_SEQUENCE_DIGITS:]), int(last_key[-_SEQUENCE_DIGITS:])
        missing, _ = _missing(reader, day, first, last)
        return HighWater(till, business_day, first, last, count, missing, gaps_of(reader, day, first, last), settled,
                         self.clocks.ahead_ms(till))

    def _fact(self, day: TillDay, sequence: int, body: TransactionIn, heard: Heard) -> Transaction:
        lines = tuple(self._line(line, known, heard.received_ms)
                      for line, known in zip(body.lines, self._known_skus(body.lines), strict=True))
        flags = (*transaction_flags(body.type, body.total_minor, lines, self._store.clock.trusted),
                 *self._time_flags(day, heard))
        return Transaction(till=day.till, business_day=day.business_day, sequence=sequence, type=body.type,
                           currency=body.currency, total_minor=body.total_minor, lines=lines,
                           voids_sequence=body.voids_sequence, actor=body.operator, flags=flags)

    def _time_flags(self, day: TillDay, heard: Heard) -> tuple[Flag, ...]:
        """Against a clock that is not believed nothing is early or late."""
        odd = time_flags(heard, self.clocks.ahead_ms(day.till) or 0) if self._store.clock.trusted else ()
        contradicts = contradicts_day(heard.occurred_ms, day.business_day, self._store.identity.time_zone)
        return (*odd, Flag.CONTRADICTORY) if contradicts else odd

    def _known_skus(self, lines: Sequence[LineIn]) -> list[str]:
        """What each line sells as the catalogue knows it, by its SKU or else its code; empty for neither."""
        said = [line.sku if line.sku and self._prices.known_sku(line.sku) else "" for line in lines]
        by_code = iter(self._prices.skus_of([line.code for line, sku in zip(lines, said, strict=True) if not sku]))
        return [sku or next(by_code) for sku in said]

    def _line(self, line: LineIn, known: str, received_ms: int) -> SaleLine:
        order_id = order_reference(self._store.books.ledger_reader, line.order_id) if line.order_id else ""
        said = as_return(SaleLine(
            line=line.line, kind=line.kind, quantity_milli=line.quantity_milli, amount_minor=line.amount_minor,
            sku=known or line.sku, code=line.code, unit_price_minor=line.unit_price_minor,
            scanned_ms=self._milliseconds(line.scanned_at, received_ms) if line.scanned_at else None,
            order_id=order_id, order_line=line.order_line if order_id else 0))
        flags = line_flags(bool(known), said.quantity_milli)
        return msgspec.structs.replace(said, flags=flags) if flags else said

    def _milliseconds(self, moment: datetime, received_ms: int) -> int:
        """Since 1970. A till that names no offset means the store's own time."""
        aware = moment if moment.tzinfo else on_the_wall(moment, self._store.identity.time_zone, received_ms)
        return milliseconds(aware)


_FOR_NOBODY = frozenset({Flag.CLOCK_UNTRUSTED, Flag.VOIDED_FIRST})
"""An issue of the box, not of each of its sales; and what its void asked people to look at already."""

_SEQUENCE_DIGITS = 10
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def record_transaction(connection: Connection, chain: Chain, made: Draft, fact: Transaction,
                       happened_ms: int | None = None) -> Receipt:
    """One transaction inside the writer: record it once, then its till's day and what people should look at.

    `happened_ms`: when, by the store's clock as far as the till's error is known; else by the till's.
    """
    if fact.type is TransactionKind.VOID:
        made, fact = _with_voided_lines(connection, made, fact)
    made, fact = _with_its_order(connection, made, fact)
    made, fact = _marked_if_voided(connection, made, fact)
    receipt = record(connection, chain, made)
    if receipt.outcome is not Outcome.NEW:
        return receipt
    let_counts_stand(connection, chain, made, made.occurred_ms if happened_ms is None else happened_ms)
    note_transaction(connection, chain, made, fact)
    connection.execute(LEDGER.add_to_till_day, (fact.till, fact.business_day, fact.sequence, fact.sequence,
                                                fact.total_minor))
    if fact.type is not TransactionKind.VOID:
        _take_back_if_voided(connection, chain, made, fact)
    for flag in fact.flags:
        if flag in CLOCK_FLAGS:
            _raise_of_the_day(connection, chain, made, fact, flag)
        elif flag not in _FOR_NOBODY:
            _raise(connection, chain, made, fact, flag, _detail(fact, flag))
    tell_short(connection, chain, made, receipt.short_skus, fact.till)
    tell_negative(connection, chain, made, receipt, fact.till)
    return receipt


def _with_voided_lines(connection: Connection, made: Draft, fact: Transaction) -> tuple[Draft, Transaction]:
    """A void takes back the lines of its original as the store has them, once; what it cannot take back is flagged.

    Lines that the till puts into a void are not believed: they would come on top of the original's own.
    """
    if is_recorded(connection, made.fact_key):
        return made, fact  # a repeat or a conflict, without effect either way
    lines, flag = _voided_lines(connection, made, fact)
    flags = fact.flags if flag is None else (*fact.flags, flag)
    fact = msgspec.structs.replace(fact, lines=lines, flags=flags)
    return replace(made, fact=fact), fact


def _with_its_order(connection: Connection, made: Draft, fact: Transaction) -> tuple[Draft, Transaction]:
    """Flagged when its time is on the wrong side of the sale before or after it, wherever it came in between."""
    if Flag.CONTRADICTORY in fact.flags:
        return made, fact
    before, after = (fact_key(fact.till, fact.business_day, fact.sequence + step) for step in (-1, 1))
    occurred_ms = dict(connection.execute(LEDGER.till_occurred, (before, after)).fetchall())
    if not contradicts_order(made.occurred_ms, occurred_ms.get(before), occurred_ms.get(after)):
        return made, fact
    fact = msgspec.structs.replace(fact, flags=(*fact.flags, Flag.CONTRADICTORY))
    return replace(made, fact=fact), fact


def _marked_if_voided(connection: Connection, made: Draft, fact: Transaction) -> tuple[Draft, Transaction]:
    """A return of an online order whose void came first asks nobody for money."""
    of_order = fact.type is not TransactionKind.VOID and any(line.order_id for line in fact.lines)
    if not of_order or connection.execute(LEDGER.voided, (made.fact_key,)).fetchone() is None:
        return made, fact
    fact = msgspec.structs.replace(fact, flags=(*fact.flags, Flag.VOIDED_FIRST))
    return replace(made, fact=fact), fact


def _voided_lines(connection: Connection, made: Draft,
                  fact: Transaction) -> tuple[tuple[SaleLine, ...], Flag | None]:
    if fact.voids_sequence is None:
        return (), Flag.VOIDS_NO_SALE
    voided_key = fact_key(fact.till, fact.business_day, fact.voids_sequence)
    if not connection.execute(LEDGER.insert_voided, (voided_key, made.fact_key)).rowcount:
        return (), Flag.ALREADY_VOIDED
    original = fact_of(connection, voided_key)
    if original is None:
        return (), Flag.VOID_BEFORE_ORIGINAL
    if not isinstance(original, Transaction) or original.type is TransactionKind.VOID:
        return (), Flag.VOIDS_NO_SALE
    return original.lines, None


def _take_back_if_voided(connection: Connection, chain: Chain, made: Draft, fact: Transaction) -> None:
    """Its void came first: the goods go back now."""
    void = connection.execute(LEDGER.voided, (made.fact_key,)).fetchone()
    if void is None:
        return
    moves = tuple(_reversed(move) for move in stock_moves(fact))
    taken_back_ms = dict(connection.execute(LEDGER.till_occurred, (void[0], void[0])).fetchall())
    happened_ms = taken_back_ms.get(void[0], made.occurred_ms)
    reversal = draft(f"reversal/{made.fact_key}", Movement(VOIDED, moves, fact.till, void[0]),
                     occurred_ms=happened_ms, recorded_ms=made.recorded_ms, business_day=made.business_day)
    record(connection, chain, reversal)
    let_counts_stand(connection, chain, reversal, happened_ms)


def _reversed(move: StockMove) -> StockMove:
    return StockMove(move.sku, -move.sellable_milli, -move.reserved_milli, -move.staged_milli, -move.quarantine_milli)


def _raise(connection: Connection, chain: Chain, made: Draft, fact: Transaction, flag: Flag, detail: str) -> None:
    """Something odd about a transaction, for a person."""
    raised = ExceptionRaised(reason=flag, about=made.fact_key, detail=detail, till=fact.till,
                             business_day=fact.business_day)
    raise_exception(connection, chain, raised, made.recorded_ms, key=f"{flag}/{made.fact_key}")


def _raise_of_the_day(connection: Connection, chain: Chain, made: Draft, fact: Transaction, flag: Flag) -> None:
    """A till's time is odd: told once per till and day, with the first sale that it was seen in."""
    occurred, recorded = (_EPOCH + timedelta(milliseconds=each) for each in (made.occurred_ms, made.recorded_ms))
    raised = ExceptionRaised(reason=flag, about=made.fact_key, till=fact.till, business_day=fact.business_day,
                             detail=f"happened at {occurred:%Y-%m-%d %H:%M:%S} by the till, came in at "
                                    f"{recorded:%Y-%m-%d %H:%M:%S} (UTC); others of this day may be the same")
    raise_exception(connection, chain, raised, made.recorded_ms, key=f"{flag}/till/{fact.till}/{fact.business_day}")


def _detail(fact: Transaction, flag: Flag) -> str:
    lines = [f"line {line.line} ({line.sku or line.code or 'no code'}, {line.quantity_milli} thousandths)"
             for line in fact.lines if flag in line.flags]
    return ", ".join(lines[:5]) or f"total {fact.total_minor} (minor units)"


def _record_close(connection: Connection, chain: Chain, made: Draft, fact: TillClose) -> CloseOut:
    day = TillDay(fact.till, fact.business_day)
    record(connection, chain, made)
    connection.execute(LEDGER.close_till_day, (fact.till, fact.business_day))
    row = connection.execute(LEDGER.till_day, (fact.till, fact.business_day)).fetchone() or (0, 0, 0, 0, 0)
    count, _, _, total_minor, _ = row
    missing, missing_count = _missing(connection, day, fact.first_sequence, fact.last_sequence)
    agrees = not missing and count == fact.count and total_minor == fact.total_minor
    connection.execute(LEDGER.settle_till_closes, (made.recorded_ms, fact.till, fact.business_day))
    if not agrees:
        detail = (f"till says {fact.count} transactions, {fact.total_minor}; "
                  f"store has {count}, {total_minor} (minor units); {missing_count} missing")
        raised = ExceptionRaised(reason="till-close-differs", about=made.fact_key, detail=detail, till=fact.till,
                                 business_day=fact.business_day)
        key = f"differs/{made.fact_key}/{count}"
        raise_exception(connection, chain, raised, made.recorded_ms, key)
        connection.execute(LEDGER.reopen_exception, (key,))
    return CloseOut(True, fact.business_day, count, total_minor, agrees, missing, missing_count)


def list_gaps(connection: Connection, chain: Chain, since_day: str, recorded_ms: int) -> int:
    """After a restore: what is missing between a till's first and last sequence of a day becomes an exception, which
    the till's next close settles. Returns how many tills' days have gaps."""
    found = 0
    for till, business_day, first, last in connection.execute(LEDGER.till_days_since, (since_day,)).fetchall():
        ranges = gaps_of(connection, TillDay(till, business_day), first, last)
        if not ranges:
            continue
        found += 1
        named = ", ".join(str(begin) if begin == end else f"{begin} to {end}" for begin, end in ranges)
        raised = ExceptionRaised(reason="till-gap", about=f"till/{till}/{business_day}",
                                 detail=f"never arrived, or was lost: {named}; the till should send them again",
                                 till=till, business_day=business_day)
        raise_exception(connection, chain, raised, recorded_ms,
                        key=f"till-gap/{till}/{business_day}/{hashlib.sha256(named.encode()).hexdigest()[:16]}")
    return found


def gaps_of(connection: Connection, day: TillDay, first: int, last: int) -> list[tuple[int, int]]:
    """First and last of every run of sequences that the ledger does not hold, at most a named number of runs."""
    keys = (fact_key(day.till, day.business_day, first), fact_key(day.till, day.business_day, last))
    rows = connection.execute(LEDGER.till_sequence_gaps, (*keys, last, first, GAPS_LISTED_MAX)).fetchall()
    return [(begin, end) for begin, end in rows]


def take_past_transaction(connection: Connection, chain: Chain, fact: Transaction, key: str, recorded_ms: int) -> None:
    """A transaction that came back from the hub: its till's day, and what it means together with a void of ours.

    Its exceptions come back as facts of their own.
    """
    connection.execute(LEDGER.add_to_till_day, (fact.till, fact.business_day, fact.sequence, fact.sequence,
                                                fact.total_minor))
    made = Draft(key, fact, meaning_digest(fact), recorded_ms, fact.business_day, recorded_ms)
    if connection.execute(LEDGER.voided, (key,)).fetchone() is None:  # else a void of ours takes it back below
        note_transaction(connection, chain, made, fact)
    if fact.type is not TransactionKind.VOID:
        _take_back_if_voided(connection, chain, made, fact)
    elif fact.voids_sequence is not None:
        _void_from_the_past(connection, chain, made, fact)


def _void_from_the_past(connection: Connection, chain: Chain, made: Draft, fact: Transaction) -> None:
    voided_key = fact_key(fact.till, fact.business_day, fact.voids_sequence or 0)
    if Flag.ALREADY_VOIDED in fact.flags or Flag.VOIDS_NO_SALE in fact.flags:
        return
    if not connection.execute(LEDGER.insert_voided, (voided_key, made.fact_key)).rowcount:
        _raise(connection, chain, made, fact, Flag.ALREADY_VOIDED, f"{voided_key} was voided here too, by another void")
    elif Flag.VOID_BEFORE_ORIGINAL in fact.flags:
        original = fact_of(connection, voided_key)
        if isinstance(original, Transaction):  # it was sold here while the other life of this box took it back
            _take_back_if_voided(connection, chain, replace(made, fact_key=voided_key, fact=original), original)


def _missing(connection: Connection, day: TillDay, first: int, last: int) -> tuple[list[int], int]:
    """Sequences between `first` and `last` that never arrived, the first of them by name, and how many in all."""
    keys = (fact_key(day.till, day.business_day, first), fact_key(day.till, day.business_day, last))
    missing_count = last - first + 1 - connection.execute(LEDGER.till_transaction_count, keys).fetchone()[0]
    gaps = connection.execute(LEDGER.till_sequence_gaps, (*keys, last, first, CLOSE_MISSING_LISTED_MAX)).fetchall()
    named = islice((sequence for begin, end in gaps for sequence in range(begin, end + 1)), CLOSE_MISSING_LISTED_MAX)
    return list(named), missing_count
