"""Counts: what somebody found of each item, when and where; the difference moves stock, or waits for a supervisor.

What was expected is the book's figure at the moment of counting, worked out in the transaction that records the count:
facts that happened after that moment are taken off it, whenever they came in. Who counts never sees it.
"""

import hashlib
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

import msgspec

from cloud_sync.contract.facts import (
    Count,
    CountedLine,
    CountReviewed,
    Fact,
    StockMove,
    Transaction,
    decode_fact,
    stock_moves,
)
from edge.db.connection import Connection
from edge.db.ledger import Draft, Outcome, Receipt, digest_of, is_recorded
from edge.db.queries import LEDGER, many
from edge.db.shortages import record_and_tell
from edge.domain.card_data import masked
from edge.errors import Rejected
from edge.limits import COUNT_AGE_MAX_S, COUNT_AHEAD_MAX_S, COUNT_WAITING_LISTED_MAX, TRANSACTION_LINES_MAX
from edge.prices.price_desk import PriceDesk
from edge.stock.answers import OutOfDate, Unknown, standing
from edge.stock.late_facts import moment_of_sale
from edge.store import Store, Topic

IN_FORCE, WAITING, RECOUNT, OUTDATED = "in-force", "waiting", "recount", "outdated"
_RECOUNT_SESSIONS_MAX = 1_000


@dataclass(frozen=True, slots=True)
class ApprovalRules:
    """From where on a supervisor decides: more units (in thousandths), or more value by the price list."""

    over_milli: int = 10_000
    over_minor: int = 5_000

    def asks(self, difference_milli: int, price_minor: int) -> bool:
        """Whether this difference is too large for staff alone. A price of 0 is not known."""
        value_minor = abs(difference_milli) * price_minor // 1000
        return abs(difference_milli) > self.over_milli or value_minor > self.over_minor


@dataclass(frozen=True, slots=True)
class Counted:
    """What was found of a SKU. `counted_ms`: when, `None` for now. `with_staged`: goods put aside for customers were
    counted too; else they are left out of what was expected."""

    sku: str
    counted_milli: int
    counted_ms: int | None = None
    with_staged: bool = False


@dataclass(frozen=True, slots=True)
class CountRequest:
    """A count to be recorded once per `count_id`."""

    count_id: str
    lines: tuple[Counted, ...]
    actor: str
    place: str = ""
    session: str = ""


@dataclass(frozen=True, slots=True)
class CountedRow:
    """One row of table `count_line`."""

    count_id: str
    sku: str
    place: str
    counted_milli: int
    expected_milli: int
    counted_ms: int
    with_staged: bool
    state: str
    actor: str

    @property
    def difference_milli(self) -> int:
        return self.counted_milli - self.expected_milli


class CountDesk:
    """Records counts and what supervisors decide about them.

    `till_ahead_ms`: how far a till's clock is ahead of the store's, `None` for unknown.
    """

    def __init__(self, store: Store, prices: PriceDesk, rules: ApprovalRules,
                 till_ahead_ms: Callable[[str], int | None]) -> None:
        self._store = store
        self._prices = prices
        self._rules = rules
        self._till_ahead_ms = till_ahead_ms

    async def take(self, request: CountRequest) -> bytes:
        """Record a count; returns the answer's JSON, which tells nothing of what was expected.

        Raises `Conflict` for another meaning of the same id, `Rejected` for one that cannot be.
        """
        now_ms = self._store.clock.wall_ms()
        _check(request.lines, now_ms, from_session=bool(request.session))
        lines, place = tuple(_kept(line, now_ms) for line in request.lines), masked(request.place)
        prices = {line.sku: self.price_minor(line.sku) for line in lines}
        meaning = (request.place, [(line.sku, line.counted_milli, line.counted_ms, line.with_staged)
                                   for line in request.lines])
        made = Draft(f"count/{request.count_id}", Count(place, (), request.actor),
                     digest_of(meaning), now_ms, self._store.business_day(now_ms), now_ms)

        def operation(connection: Connection) -> Receipt:
            sorted_out = self._sorted_out(connection, lines, prices, now_ms)
            fact = Count(place, sorted_out[IN_FORCE], request.actor, sorted_out[WAITING],
                         sorted_out[OUTDATED], request.session)
            receipt = record_and_tell(connection, self._store.books.chain, replace(made, fact=fact))
            if receipt.outcome is Outcome.NEW:
                remember_count(connection, request.count_id, fact, now_ms, own=True)
            return receipt

        answer = standing(await self._store.record(operation))
        self._store.tell(Topic.ISSUE)
        return answer

    async def review(self, act_id: str, count_id: str, sku: str, actor: str, *, approved: bool,
                     reason: str = "") -> bytes:
        """A supervisor's word on a line that waits: let it move stock, or have it counted again.

        Raises `Unknown`, `OutOfDate` for a line that does not wait any more, `Conflict`.
        """
        now_ms = self._store.clock.wall_ms()
        digest = digest_of((count_id, sku, approved, reason))

        def operation(connection: Connection) -> Receipt | Rejected:
            row = read_row(connection, count_id, sku)
            if row is None:
                return Unknown(f"nothing of {sku} was counted under {count_id}")
            fact_key = f"count-reviewed/{act_id}"
            if row.state != WAITING and not is_recorded(connection, fact_key):
                return OutOfDate(f"the count of {sku} does not wait any more")
            moves = (StockMove(sku, sellable_milli=row.difference_milli),) if approved else ()
            fact = CountReviewed(count_id, sku, approved, actor, row.counted_ms, reason, moves)
            made = Draft(fact_key, fact, digest, now_ms, self._store.business_day(now_ms), now_ms)
            receipt = record_and_tell(connection, self._store.books.chain, made)
            if receipt.outcome is Outcome.NEW:
                remember_review(connection, fact, now_ms)
            return receipt

        done = await self._store.record(operation)
        if isinstance(done, Rejected):
            raise done
        self._store.tell(Topic.ISSUE)
        return standing(done)

    def waiting(self) -> list[CountedRow]:
        """What waits for a supervisor, the oldest first."""
        rows = self._store.books.ledger_reader.execute(LEDGER.waiting_counts, (COUNT_WAITING_LISTED_MAX,)).fetchall()
        return [_row(row) for row in rows]

    def lines(self, count_id: str) -> list[CountedRow]:
        """What was counted under an id."""
        rows = self._store.books.ledger_reader.execute(LEDGER.count_lines, (count_id,)).fetchall()
        return [_row(row) for row in rows]

    def price_minor(self, sku: str) -> int:
        """What a unit is worth by the price list; 0 when it has no price."""
        price = self._prices.list_price(sku)
        return price[0] if price else 0

    def _sorted_out(self, connection: Connection, lines: Sequence[Counted], prices: dict[str, int], now_ms: int
                    ) -> dict[str, tuple[CountedLine, ...]]:
        """The lines by what becomes of them, with what was expected of each."""
        later = self._happened_later(connection, lines)
        found: dict[str, list[CountedLine]] = defaultdict(list)
        for line in lines:
            moment_ms = line.counted_ms if line.counted_ms is not None else now_ms
            expected_milli = _shelf_milli(connection, line) - later[line.sku]
            newest_ms = connection.execute(LEDGER.newest_count, (line.sku,)).fetchone()[0]
            state = IN_FORCE
            if newest_ms is not None and moment_ms < newest_ms:
                state = OUTDATED
            elif self._rules.asks(line.counted_milli - expected_milli, prices[line.sku]):
                state = WAITING
            found[state].append(CountedLine(line.sku, line.counted_milli, expected_milli, line.counted_ms,
                                            line.with_staged))
        return {state: tuple(found[state]) for state in (IN_FORCE, WAITING, OUTDATED)}

    def _happened_later(self, connection: Connection, lines: Sequence[Counted]) -> dict[str, int]:
        """By SKU, what moved on the shelf after the SKU was counted and is in the book already. Counts are left out: a
        newer one makes this one outdated, and an older one is older."""
        sums = dict.fromkeys((line.sku for line in lines), 0)
        moments = {line.sku: (line.counted_ms, line.with_staged) for line in lines if line.counted_ms is not None}
        if not moments:
            return sums
        oldest_ms = min(counted_ms for counted_ms, _ in moments.values())
        only = msgspec.json.encode(next(iter(moments))).decode() if len(moments) == 1 else "{"
        rows = connection.execute(LEDGER.stock_facts_since, (oldest_ms, only)).fetchall()
        for payload, occurred_ms, recorded_ms in rows:
            fact = decode_fact(payload)
            happened_ms = self._right_ms(fact, occurred_ms, recorded_ms)
            for move in stock_moves(fact):
                counted_ms, with_staged = moments.get(move.sku, (happened_ms, False))
                if happened_ms > counted_ms:
                    staged_milli = move.staged_milli if with_staged else 0
                    sums[move.sku] += move.sellable_milli + move.reserved_milli + staged_milli
        return sums

    def _right_ms(self, fact: Fact, occurred_ms: int, recorded_ms: int) -> int:
        """When a fact happened, by the store's clock."""
        if not isinstance(fact, Transaction):
            return occurred_ms
        return moment_of_sale(occurred_ms, self._till_ahead_ms(fact.till) or 0, recorded_ms)


def read_row(connection: Connection, count_id: str, sku: str) -> CountedRow | None:
    """What was counted of a SKU under an id."""
    row = connection.execute(LEDGER.count_line, (count_id, sku)).fetchone()
    return _row(row) if row else None


def remember_count(connection: Connection, count_id: str, fact: Count, occurred_ms: int, *, own: bool) -> None:
    """What a count's lines mean for facts that come later. `own`: this life of the box recorded it."""
    for state, lines in ((IN_FORCE, fact.lines), (WAITING, fact.waiting), (OUTDATED, fact.outdated)):
        for line in lines:
            moment_ms = line.counted_ms if line.counted_ms is not None else occurred_ms
            if state != OUTDATED:
                connection.execute(LEDGER.outdate_waiting_counts, (line.sku, moment_ms))
            connection.execute(LEDGER.put_count_line, (
                count_id, line.sku, fact.place, line.counted_milli, line.expected_milli, moment_ms,
                int(line.with_staged), state, fact.actor, int(own)))


def remember_review(connection: Connection, fact: CountReviewed, now_ms: int) -> None:
    """A line that waited is settled, or stands in a session of what is to be counted again."""
    connection.execute(LEDGER.set_count_state, (IN_FORCE if fact.approved else RECOUNT, fact.count, fact.sku))
    if fact.approved:
        return
    name = f"recount-{hashlib.sha256(fact.count.encode()).hexdigest()[:16]}"
    for number in range(1, _RECOUNT_SESSIONS_MAX):
        session_id = f"{name}-{number}"
        connection.execute(LEDGER.put_count_session, (session_id, "directed", "", 0, fact.actor, now_ms))
        session = connection.execute(LEDGER.count_session, (session_id,)).fetchone()
        if not session[6] and session[7] is None:
            connection.execute(LEDGER.put_count_wanted, (session_id, many([fact.sku])))
            return


def _kept(line: Counted, now_ms: int) -> Counted:
    """As it is written down: without a card's number, and not in the future (devices' clocks may be a little ahead)."""
    moment_ms = line.counted_ms if line.counted_ms is not None and line.counted_ms <= now_ms else None
    return replace(line, sku=masked(line.sku), counted_ms=moment_ms)


def _shelf_milli(connection: Connection, line: Counted) -> int:
    sellable, reserved, staged, _ = connection.execute(LEDGER.stock, (line.sku,)).fetchone() or (0, 0, 0, 0)
    return int(sellable + reserved + (staged if line.with_staged else 0))


def _check(lines: Iterable[Counted], now_ms: int, *, from_session: bool) -> None:
    """Raises `Rejected`. What a session holds was kept here, and is as old as it is."""
    seen = set()
    for line in lines:
        if line.sku in seen:
            raise Rejected(f"{line.sku} is counted twice: add its quantities up")
        seen.add(line.sku)
        if line.counted_ms is not None and line.counted_ms > now_ms + COUNT_AHEAD_MAX_S * 1000:
            raise Rejected(f"{line.sku} was counted in the future: set the clock of the device")
        if not from_session and line.counted_ms is not None and line.counted_ms < now_ms - COUNT_AGE_MAX_S * 1000:
            raise Rejected(f"{line.sku} was counted too long ago: count it again")
    if not 0 < len(seen) <= TRANSACTION_LINES_MAX:
        raise Rejected(f"a count has 1 to {TRANSACTION_LINES_MAX} lines")


def _row(row: tuple[str, str, str, int, int, int, int, str, str]) -> CountedRow:
    return CountedRow(row[0], row[1], row[2], row[3], row[4], row[5], bool(row[6]), row[7], row[8])
