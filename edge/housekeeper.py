"""Housekeeping: dated prices begin, grace ends, the clock is stamped, people are forgotten.

Lookups are right without it, because they look at the clock themselves; the shelf learns of a dated change here.
"""

import asyncio
from collections import deque
from collections.abc import Iterable, Mapping
from functools import partial

import structlog

from edge.db.connection import Connection
from edge.db.ledger import store_clock
from edge.db.queries import LEDGER, REPLICA, many
from edge.db.replica import activate_due, look_again_at_dated
from edge.domain.prior_price import MS_PER_DAY
from edge.errors import Corrupt, Transient
from edge.forgetting import Forgetting
from edge.limits import (
    BOOK_LINES_AT_ONCE,
    FACT_KEEP_DAYS,
    HOUSEKEEPING_BATCH_MAX,
    HOUSEKEEPING_PAUSE_MAX_S,
    HOUSEKEEPING_PAUSE_MIN_S,
    NEWS_REST_S,
    PRICE_INTERVALS_BATCH_MAX,
    RECOUNT_EVERY_S,
    RECOUNT_FIRST_S,
    WRITE_TROUBLE_PAUSE_S,
)
from edge.pickups.desk import PickupDesk
from edge.prices.claim_book import expire
from edge.prices.price_book import PriceBook, mark_changed
from edge.prices.price_desk import PriceDesk, Quote
from edge.recount import Recount
from edge.store import News, Store, Topic

_log = structlog.get_logger(__name__)


class Housekeeper:
    """Runs beside the tills; each round does what is due and sleeps until the next thing is."""

    def __init__(self, store: Store, prices: PriceDesk, book: PriceBook, pickups: PickupDesk, recount: Recount) -> None:
        self._store = store
        self._book = book
        self._recount = recount
        self._recount_due_powered_ms: int | None = None
        self._prices = prices
        self._pickups = pickups
        self._wake = asyncio.Event()
        self._changed: deque[str] = deque()
        self._changed_set: set[str] = set()
        self._corrections_seen: int | None = None  # a start sees none: the last run's clock may have been wrong
        self._stamp_due_powered_ms = 0
        self._forgetting = Forgetting(store)
        self._troubled = False
        self.progress = 0

    def follow_news(self, news: News) -> None:
        """The store's listener: what changed a price is written down, and may have brought a new date."""
        if news.topic in (Topic.PRICES, Topic.PROMOTIONS, Topic.LABEL):
            if news.topic is Topic.PRICES:
                self._note(sorted(news.subjects))
            self._wake.set()

    async def run(self) -> None:
        """Keep house until cancelled. A disk that takes nothing stops the work, not the worker."""
        await self._find_what_was_missed()
        while True:
            self.progress += 1
            self._wake.clear()
            try:
                await self.round()
                self._troubled = False
                pause_s = self._pause_s()
            except (Transient, Corrupt) as trouble:
                if not self._troubled:
                    _log.error("housekeeping waits: the books cannot be written", reason=str(trouble))
                self._troubled, pause_s = True, WRITE_TROUBLE_PAUSE_S
            try:
                async with asyncio.timeout(pause_s):
                    await self._wake.wait()
            except TimeoutError:
                continue
            await asyncio.sleep(HOUSEKEEPING_PAUSE_MIN_S)  # news come in swarms

    async def round(self) -> None:
        """Do everything that is due now. Nothing is written when nothing is due."""
        store = self._store
        moment, now_powered_ms = store.moment(), store.clock.powered_ms()
        if store.clock.corrections != self._corrections_seen:
            corrections = store.clock.corrections
            await store.books.replica.submit(look_again_at_dated)
            self._corrections_seen = corrections
        activated: list[str] = []
        if self._is_past(self._next_price_ms(), moment.wall_ms):
            activated = await store.books.replica.submit(lambda c: activate_due(c, moment, HOUSEKEEPING_BATCH_MAX))
        lifted: list[str] = []
        if self._is_past(self._next_expiry_powered_ms(), now_powered_ms):
            lifted = await store.books.ledger.submit(lambda c: expire(c, now_powered_ms, HOUSEKEEPING_BATCH_MAX))
        await store.tell_prices({*activated, *lifted, *self._prices.promotions.turned()})
        if now_powered_ms >= self._stamp_due_powered_ms:
            await self._stamp(now_powered_ms)
        await self._write_intervals()

    async def _stamp(self, now_powered_ms: int) -> None:
        """What is done by the clock, every now and then: persist it, forget people whose time has come."""
        stamp = self._store.clock.stamp()
        await self._store.books.ledger.submit(lambda connection: store_clock(connection, stamp))
        if self._store.clock.trusted:  # a clock that ran ahead must not give up a customer who is on the way
            await self._pickups.erase_people()
            await self._pickups.keep_deadlines()
        await self._forgetting.some(now_powered_ms)
        await self._count_again(now_powered_ms)
        self._stamp_due_powered_ms = now_powered_ms + int(HOUSEKEEPING_PAUSE_MAX_S * 1000)

    async def _count_again(self, now_powered_ms: int) -> None:
        """A slice of the daily recount; the first round begins an hour after the start."""
        if self._recount_due_powered_ms is None:
            self._recount_due_powered_ms = now_powered_ms + int(RECOUNT_FIRST_S * 1000)
        if now_powered_ms >= self._recount_due_powered_ms and await self._recount.slice():
            self._recount_due_powered_ms = now_powered_ms + int(RECOUNT_EVERY_S * 1000)

    def _note(self, skus: Iterable[str]) -> None:
        for sku in skus:
            if sku not in self._changed_set:
                self._changed_set.add(sku)
                self._changed.append(sku)

    async def _find_what_was_missed(self) -> None:
        """What changed a price in the last moments of the store's last life was perhaps not written down: then a till's
        copy would never hear of it. Every product is compared with what was written last, some at a time."""
        missed: list[str] = []
        replica, after = self._store.books.replica_reader, ""
        while rows := replica.execute(REPLICA.skus_after, (after, BOOK_LINES_AT_ONCE)).fetchall():
            missed += self._missed_among([sku for (sku,) in rows])
            after = rows[-1][0]
            self.progress += 1
            await asyncio.sleep(0)  # lookups go first
        self._note(missed)
        self._book.looked_through(missed)

    def _missed_among(self, skus: list[str]) -> list[str]:
        quotes = self._prices.by_skus(skus)
        rows = self._store.books.ledger_reader.execute(LEDGER.last_charges, (many(skus),))
        written = {sku: (charge_minor, bool(held)) for sku, charge_minor, held in rows.fetchall()}
        return [sku for sku, quote in quotes.items() if (quote.charge_minor, quote.held_low) != written[sku]]

    async def _write_intervals(self) -> None:
        """Write down what a till could be asked to charge from now on, where that changed."""
        while self._changed:
            skus = [self._changed.popleft() for _ in range(min(len(self._changed), PRICE_INTERVALS_BATCH_MAX))]
            self._changed_set.difference_update(skus)
            found = self._prices.by_skus(skus)
            quotes = {sku: found.get(sku) for sku in skus}
            now = self._store.clock.wall_ms(), self._store.clock.powered_ms()
            try:
                await self._store.books.ledger.submit(partial(_write, quotes=quotes, now=now))
                self._book.written(skus)
                await asyncio.sleep(NEWS_REST_S)
            except (Transient, Corrupt):
                self._note(skus)
                raise

    def _pause_s(self) -> float:
        """Until the next date or the end of the next grace, at most a named pause."""
        clock = self._store.clock
        expiry_ms = self._next_expiry_powered_ms()
        pauses = [HOUSEKEEPING_PAUSE_MAX_S]
        for date_ms in (self._next_price_ms(), self._prices.promotions.next_turn_ms):
            if date_ms is not None:
                pauses.append((date_ms - clock.wall_ms()) / 1000)
        if expiry_ms is not None:
            pauses.append((expiry_ms - clock.powered_ms()) / 1000)
        return max(HOUSEKEEPING_PAUSE_MIN_S, min(pauses))

    def _next_price_ms(self) -> int | None:
        """When the next dated price begins or ends, by the wall clock."""
        boundary: int | None = self._store.books.replica_reader.execute(REPLICA.next_price_boundary).fetchone()[0]
        return boundary

    def _next_expiry_powered_ms(self) -> int | None:
        """When the next claim ends, by the powered clock."""
        expiry: int | None = self._store.books.ledger_reader.execute(LEDGER.next_claim_end).fetchone()[0]
        return expiry

    @staticmethod
    def _is_past(due_ms: int | None, now_ms: int) -> bool:
        return due_ms is not None and due_ms <= now_ms


def _write(connection: Connection, quotes: Mapping[str, Quote | None], now: tuple[int, int]) -> None:
    """`now`: by the wall clock and by the powered one, in milliseconds."""
    now_ms, now_powered_ms = now
    oldest_ms = now_ms - FACT_KEEP_DAYS * MS_PER_DAY
    rows = connection.execute(LEDGER.last_charges, (many(quotes),)).fetchall()
    before = {sku: (charge_minor, bool(held)) for sku, charge_minor, held in rows}
    mark_changed(connection, quotes)
    held = {sku: quote is not None and quote.held_low for sku, quote in quotes.items()}
    connection.executemany(LEDGER.put_hold, [(sku, now_ms, now_powered_ms) for sku in quotes if held[sku]])
    connection.executemany(LEDGER.delete_hold, [(sku,) for sku in quotes if before[sku][1] and not held[sku]])
    moved = [(sku, now_ms, quote.charge_minor) for sku, quote in quotes.items()
             if quote is not None and quote.charge_minor != before[sku][0]]
    connection.execute(LEDGER.put_intervals, (many(moved),))
    connection.execute(LEDGER.prune_intervals, (many(moved), oldest_ms))
