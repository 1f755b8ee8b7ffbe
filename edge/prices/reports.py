"""What a price manager asks the morning after: did tills charge what they should have, whom do we owe, which prices
wait and for whom (DESIGN.md section 5). Whether hub, till and shelf say the same is for `edge.prices.comparison`.

Read on demand from the books, aside from the event loop; nothing is kept beside them that could drift.
"""

from collections import defaultdict
from collections.abc import Awaitable, Callable
from contextlib import closing
from typing import Any

import msgspec

from cloud_sync.contract.facts import Flag, LineKind, SaleLine, Transaction, TransactionKind, decode_fact
from edge.db.connection import Connection
from edge.db.queries import LEDGER, REPLICA
from edge.domain.price_accuracy import SoldLine, Tally, judge
from edge.domain.prior_price import Applied
from edge.domain.till_clock import Step, corrected_ms
from edge.domain.transaction import fact_key
from edge.limits import HOLD_LABELS_NAMED_MAX, PRICE_HISTORY_MAX, REPORT_ROWS_MAX
from edge.prices.price_desk import PriceDesk
from edge.store import Store

OpenReader = Callable[[str], Connection]
Aside = Callable[[Callable[[], Any]], Awaitable[Any]]


class Refund(msgspec.Struct, frozen=True):
    """A line that was charged too much, and by how much. Money in minor units."""

    till: str
    business_day: str
    sequence: int
    line: int
    sku: str
    quantity_milli: int
    charged_minor: int
    refund_minor: int


class AccuracyReport(msgspec.Struct, frozen=True):
    """Lines sold in these business days. `over`: charged too much, `under`: less than any price of that time, as by a
    promotion that a till works out itself. `unknown`: the store has no price of that time, or no such product.
    `claims_struck`: how often a supervisor said that what a label shows does not count."""

    from_day: str
    to_day: str
    exact: int
    over: int
    under: int
    unknown: int
    over_minor: int
    claims_struck: int
    refunds: list[Refund]
    refunds_left_out: int


class Hold(msgspec.Struct, frozen=True):
    """A product whose increase waits: `labels` still may show less, since `since_ms` (`None`: since just now).

    `late`: for longer than the policy lets a price wait untold (`held_price_alert_s` beyond the grace); `waits_for`
    names labels that a person should look at, at most a named number of them.
    """

    sku: str
    name: str
    list_price_minor: int
    charge_minor: int
    labels: int
    since_ms: int | None
    late: bool
    waits_for: list[str]


class Announced(msgspec.Struct, frozen=True):
    """An offer that is no reduction by the 30-day rule, and is therefore shown as a plain price."""

    sku: str
    name: str
    price_minor: int
    kind: str


class PriceReports:
    """Works reports out when they are asked for."""

    def __init__(self, store: Store, prices: PriceDesk, open_reader: OpenReader, aside: Aside) -> None:
        self._store = store
        self._prices = prices
        self._open_reader = open_reader
        self._aside = aside

    async def accuracy(self, from_day: str, to_day: str) -> AccuracyReport:
        """Of the business days from one to the other, both included."""
        report = await self._aside(lambda: self._accuracy(from_day, to_day))
        assert isinstance(report, AccuracyReport)
        return report

    def holds(self) -> list[Hold]:
        """Increases that wait for labels, the oldest first."""
        rows = self._store.books.ledger_reader.execute(LEDGER.held_low).fetchall()
        late_powered_ms = late_since_powered_ms(self._store)
        found = [Hold(sku, quote.name, quote.list_price_minor, quote.charge_minor, labels, since_ms,
                      since_powered_ms is not None and since_powered_ms <= late_powered_ms, [])
                 for sku, labels, since_ms, since_powered_ms in rows
                 if (quote := self._prices.priced(sku)) is not None and quote.held_low]
        oldest = sorted(found, key=lambda hold: (hold.since_ms is None, hold.since_ms or 0, hold.sku))[:REPORT_ROWS_MAX]
        return [msgspec.structs.replace(hold, waits_for=self._labels_holding(hold.sku)) for hold in oldest]

    def _labels_holding(self, sku: str) -> list[str]:
        rows = self._store.books.ledger_reader.execute(LEDGER.labels_holding, (sku, HOLD_LABELS_NAMED_MAX)).fetchall()
        return [label for (label,) in rows]

    def not_announced(self) -> list[Announced]:
        """Offers that may not be called reductions."""
        rows = self._store.books.replica_reader.execute(REPLICA.announced, (REPORT_ROWS_MAX,)).fetchall()
        perishables = self._store.policy.perishables
        return [Announced(sku, name, price_minor, kind) for sku, name, price_minor, kind, *where in rows
                if self._prices.was_price(sku, price_minor, perishable=not set(where).isdisjoint(perishables)) is None]

    def _accuracy(self, from_day: str, to_day: str) -> AccuracyReport:
        with closing(self._open_reader("ledger.db")) as reader:
            voided = {key for (key,) in reader.execute(LEDGER.voided_keys)}
            history, clocks = _History(reader), _clocks(reader)
            tally, refunds = Tally(), list[Refund]()
            for payload, occurred_ms, received_ms in reader.execute(LEDGER.transactions_of_days, (from_day, to_day)):
                sale = decode_fact(payload)
                if isinstance(sale, Transaction) and sale.type is TransactionKind.SALE and fact_key(
                        sale.till, sale.business_day, sale.sequence) not in voided:
                    ahead_ms = occurred_ms - corrected_ms(clocks.get(sale.till, ()), occurred_ms, received_ms)
                    _judge(sale, occurred_ms, ahead_ms, history, tally, refunds)
            struck = reader.execute(LEDGER.struck_claims, (from_day, to_day)).fetchone()[0]
        shown = refunds[:REPORT_ROWS_MAX]
        return AccuracyReport(from_day, to_day, tally.exact, tally.over, tally.under, tally.unknown, tally.over_minor,
                              struck, shown, len(refunds) - len(shown))


def late_since_powered_ms(store: Store) -> int:
    """A price that was held low then or before is late: the powered clock's milliseconds."""
    return store.clock.powered_ms() - (store.policy.grace_s + store.policy.held_price_alert_s) * 1000


class _History:
    """What was charged for each product, read once."""

    def __init__(self, reader: Connection) -> None:
        self._reader = reader
        self._known: dict[str, list[Applied]] = defaultdict(list)

    def of(self, sku: str) -> list[Applied]:
        if sku not in self._known:
            rows = self._reader.execute(LEDGER.intervals_of, (sku, PRICE_HISTORY_MAX)).fetchall()
            self._known[sku] = [Applied(*row) for row in rows]
        return self._known[sku]


def _clocks(reader: Connection) -> dict[str, list[Step]]:
    """How every till's clock was, oldest first."""
    steps: dict[str, list[Step]] = defaultdict(list)
    for till, from_ms, ahead_ms in reader.execute(LEDGER.till_clock_steps):
        steps[till].append(Step(from_ms, ahead_ms))
    return steps


def _judge(sale: Transaction, occurred_ms: int, ahead_ms: int, history: _History, tally: Tally,
           refunds: list[Refund]) -> None:
    """`ahead_ms`: how far the till's clock was ahead when it said so."""
    for line in sale.lines:
        if line.kind is not LineKind.SALE or line.quantity_milli <= 0:
            continue
        sold = _sold(line, occurred_ms, ahead_ms)
        judgement = None if Flag.UNKNOWN_ITEM in line.flags else judge(sold, history.of(line.sku))
        tally.count(judgement)
        if judgement is not None and judgement.over_minor > 0:
            refunds.append(Refund(sale.till, sale.business_day, sale.sequence, line.line, line.sku, line.quantity_milli,
                                  line.amount_minor, judgement.over_minor))


def _sold(line: SaleLine, occurred_ms: int, ahead_ms: int) -> SoldLine:
    at_ms = occurred_ms if line.scanned_ms is None else line.scanned_ms
    return SoldLine(line.sku, line.quantity_milli, line.amount_minor, at_ms - ahead_ms, line.scanned_ms is not None)
