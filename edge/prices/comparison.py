"""Do hub, till and proven label say the same? On demand, and once after every business day (retail.md 4.3 rule 8).

The hub's side is the list price of this store's copy, and whether that copy is the hub's; the till's side is what the
store would let it charge, and which tills keep an older copy of the price book; the shelf's is what labels proved.
"""

import asyncio
from collections.abc import Callable

import msgspec
import structlog

from edge.db.queries import LEDGER
from edge.limits import (
    COMPARISON_AGAIN_S,
    COMPARISON_SLICE_LABELS,
    FACT_KEEP_DAYS,
    REPORT_ROWS_MAX,
)
from edge.nightly import Nightly
from edge.prices.price_book import PriceBook
from edge.prices.price_desk import PriceDesk
from edge.store import Store

_log = structlog.get_logger(__name__)


class Mismatch(msgspec.Struct, frozen=True):
    """A label where hub, till and shelf do not say the same. `proven_minor`: what it last proved, of `proven_sku`.

    `waits`: an increase that reaches the till when shelves and shoppers are through; nothing is wrong with it.
    """

    label: str
    proven_sku: str
    proven_minor: int
    charge_minor: int | None
    list_price_minor: int | None
    waits: bool


class Comparison(msgspec.Struct, frozen=True):
    """Every label that proved something: those where all agree, where an increase waits, and where they differ.

    `hub_agrees`: whether this store's price list is the hub's, `None` while that is not known. `late_tills` keep an
    older copy of the price book. `made_at`: in the store's time.
    """

    made_at: str
    labels: int
    agree: int
    wait: int
    differ: int
    mismatches: list[Mismatch]
    left_out: int
    hub_agrees: bool | None
    late_tills: list[str]


class Night(msgspec.Struct, frozen=True):
    """The comparison that was made after a business day."""

    business_day: str
    comparison: Comparison


class Comparer:
    """Compares; `hub_agrees` is asked for each time."""

    def __init__(self, store: Store, prices: PriceDesk, book: PriceBook, hub_agrees: Callable[[], bool | None]) -> None:
        self._store = store
        self._prices = prices
        self._book = book
        self._hub_agrees = hub_agrees

    async def compare(self) -> Comparison:
        """Some labels at a time: tills are answered in between. What differs comes before what waits."""
        wrong, waiting = list[Mismatch](), list[Mismatch]()
        rows = self._store.books.ledger_reader.execute(LEDGER.proven_prices).fetchall()
        for place, row in enumerate(rows):
            mismatch = self._mismatch(*row)
            if mismatch is not None:
                (waiting if mismatch.waits else wrong).append(mismatch)
            if place % COMPARISON_SLICE_LABELS == COMPARISON_SLICE_LABELS - 1:
                await asyncio.sleep(0)
        found = [*wrong, *waiting]
        shown = found[:REPORT_ROWS_MAX]
        made_at = self._store.local(self._store.clock.wall_ms()).isoformat(timespec="seconds")
        return Comparison(made_at, len(rows), len(rows) - len(found), len(waiting), len(wrong), shown,
                          len(found) - len(shown), self._hub_agrees(), [copy.till for copy in self._book.late()])

    def _mismatch(self, label: str, sku: str, proven_minor: int) -> Mismatch | None:
        quote = self._prices.priced(sku)
        if quote is None:
            return Mismatch(label, sku, proven_minor, None, None, waits=False)
        if proven_minor == quote.charge_minor == quote.list_price_minor:
            return None
        waits = quote.held_low and proven_minor >= quote.charge_minor
        return Mismatch(label, sku, proven_minor, quote.charge_minor, quote.list_price_minor, waits)


class NightlyComparison(Nightly):
    """Compares after each business day, and again while something differs. `run` is a part for the supervisor.

    `latest` is what people are told of; what was found at night stays on record.
    """

    def __init__(self, store: Store, comparer: Comparer) -> None:
        super().__init__(store, "the night's price comparison")
        self._comparer = comparer
        self._again_at_s = 0.0
        nights = self.nights(1)
        self.latest: Comparison | None = nights[0].comparison if nights else None

    async def look(self) -> None:
        """Compare if a night is due, or if something differed a while ago. Raises `Transient`, `Corrupt`."""
        if not self._store.clock.trusted:
            return  # nobody knows what day it is
        day, now_s = self._day_that_is_over(), asyncio.get_running_loop().time()
        is_due = self._store.books.ledger_reader.execute(LEDGER.price_comparison, (day,)).fetchone() is None
        if not is_due and (now_s < self._again_at_s or self.latest is None or not self.latest.differ):
            return
        self.latest = await self._comparer.compare()
        self._again_at_s = now_s + COMPARISON_AGAIN_S
        if is_due:
            _log.info("prices of hub, tills and labels compared", business_day=day, labels=self.latest.labels,
                      agree=self.latest.agree, wait=self.latest.wait, differ=self.latest.differ)
            values = (day, msgspec.json.encode(self.latest))
            oldest = self._store.business_day(self._store.clock.wall_ms() - FACT_KEEP_DAYS * 86_400_000)
            await self._store.books.ledger.submit(lambda connection: (
                connection.execute(LEDGER.put_price_comparison, values),
                connection.execute(LEDGER.prune_price_comparisons, (oldest,))))

    def nights(self, count_max: int) -> list[Night]:
        """The last ones, the newest first."""
        rows = self._store.books.ledger_reader.execute(LEDGER.price_comparisons, (count_max,)).fetchall()
        return [Night(day, msgspec.json.decode(report, type=Comparison)) for day, report in rows]
