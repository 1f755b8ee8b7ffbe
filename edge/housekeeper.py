"""Housekeeping: dated prices begin, grace ends, the clock is stamped, people are forgotten.

Lookups are right without it, because they look at the clock themselves; the shelf learns of a dated change here.
"""

import asyncio
from collections import deque
from collections.abc import Iterable
from functools import partial

from edge.db.connection import Connection
from edge.db.ledger import store_clock
from edge.db.queries import LEDGER, REPLICA
from edge.db.replica import activate_due
from edge.limits import HOUSEKEEPING_BATCH_MAX, HOUSEKEEPING_PAUSE_MAX_S, PRICE_INTERVALS_BATCH_MAX
from edge.pickups.desk import PickupDesk
from edge.prices.claim_book import expire
from edge.prices.price_desk import NoPrice, PriceDesk
from edge.store import News, Store, Topic


class Housekeeper:
    """Runs beside the tills; each round does what is due and sleeps until the next thing is."""

    def __init__(self, store: Store, prices: PriceDesk, pickups: PickupDesk) -> None:
        self._store = store
        self._prices = prices
        self._pickups = pickups
        self._wake = asyncio.Event()
        self._changed: deque[str] = deque()
        self._changed_set: set[str] = set()
        self.progress = 0

    def follow_news(self, news: News) -> None:
        """The store's listener: what changed a price is written down, and may have brought a new date."""
        if news.topic in (Topic.PRICES, Topic.LABEL):
            if news.topic is Topic.PRICES:
                self._note(news.subjects)
            self._wake.set()

    async def run(self) -> None:
        """Keep house until cancelled."""
        while True:
            await self.round()
            self.progress += 1
            self._wake.clear()
            try:
                await asyncio.wait_for(self._wake.wait(), self._pause_s())
            except TimeoutError:
                continue

    async def round(self) -> None:
        """Do everything that is due now."""
        store = self._store
        store.clock.check()
        moment, now_powered_ms = store.moment(), store.clock.powered_ms()
        activated = await store.books.replica.submit(lambda c: activate_due(c, moment, HOUSEKEEPING_BATCH_MAX))
        stamp = store.clock.stamp()

        def operation(connection: Connection) -> list[str]:
            store_clock(connection, stamp)
            return expire(connection, now_powered_ms, HOUSEKEEPING_BATCH_MAX)

        lifted = await store.books.ledger.submit(operation)
        if activated or lifted:
            store.tell(Topic.PRICES, *activated, *lifted)
        await self._pickups.erase_people()
        await self._write_intervals()

    def _note(self, skus: Iterable[str]) -> None:
        for sku in skus:
            if sku not in self._changed_set:
                self._changed_set.add(sku)
                self._changed.append(sku)

    async def _write_intervals(self) -> None:
        """Write down what a till could be asked to charge from now on, where that changed."""
        while self._changed:
            skus = [self._changed.popleft() for _ in range(min(len(self._changed), PRICE_INTERVALS_BATCH_MAX))]
            self._changed_set.difference_update(skus)
            charges = [(sku, charge) for sku in skus if (charge := self._charge_of(sku)) is not None]
            now_ms = self._store.clock.wall_ms()
            await self._store.books.ledger.submit(partial(_write_intervals, charges=charges, now_ms=now_ms))

    def _charge_of(self, sku: str) -> int | None:
        try:
            quote = self._prices.by_sku(sku)
        except NoPrice:
            return None
        return quote.charge_minor if quote else None

    def _pause_s(self) -> float:
        """Until the next date or the end of the next grace, at most a named pause."""
        if self._changed:
            return 0.0
        books, clock = self._store.books, self._store.clock
        boundary_ms = books.replica_reader.execute(REPLICA.next_price_boundary).fetchone()[0]
        expiry_ms = books.ledger_reader.execute(LEDGER.next_cap_expiry).fetchone()[0]
        pauses = [HOUSEKEEPING_PAUSE_MAX_S]
        if boundary_ms is not None:
            pauses.append((boundary_ms - clock.wall_ms()) / 1000)
        if expiry_ms is not None:
            pauses.append((expiry_ms - clock.powered_ms()) / 1000)
        return max(0.05, min(pauses))


def _write_intervals(connection: Connection, charges: list[tuple[str, int]], now_ms: int) -> None:
    for sku, charge_minor in charges:
        last = connection.execute(LEDGER.last_interval, (sku,)).fetchone()
        if last is None or last[0] != charge_minor:
            connection.execute(LEDGER.put_interval, (sku, now_ms, charge_minor))
