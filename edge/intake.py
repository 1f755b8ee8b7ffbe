"""The store as the line to the hub sees it: feeds go in, ledger entries come out (DESIGN.md section 10).

Items, prices and policy go to `replica.db`; orders have a local effect and go to `ledger.db`. What a batch changed
is told to the rooms after its commit.
"""

import asyncio

from cloud_sync.client.port import Stretch
from cloud_sync.contract.feeds import Batch, Cursor, Feed
from cloud_sync.contract.ledger import SCHEMA_VERSION, Head, Hello
from edge.db import replica
from edge.db.ledger import entries_after, head
from edge.db.queries import LEDGER
from edge.db.replica import Applied
from edge.pickups.desk import PickupDesk
from edge.prices.guard_desk import GuardDesk
from edge.store import News, Store, Topic


class Intake:
    """Implements `cloud_sync.client.port.StoreSide` over the store's books."""

    def __init__(self, store: Store, pickups: PickupDesk, guard: GuardDesk) -> None:
        self._store = store
        self._pickups = pickups
        self._guard = guard
        self._new_entries = asyncio.Event()

    @property
    def new_entries(self) -> asyncio.Event:
        """Set whenever facts were committed."""
        return self._new_entries

    def follow_news(self, news: News) -> None:
        """The store's listener."""
        if news.topic in (Topic.FACT, Topic.LABEL, Topic.PICKUP):
            self._new_entries.set()

    async def hello(self) -> Hello:
        """Who speaks and how far it has come."""
        known = {feed: cursor for feed in Feed if (cursor := await self.cursor(feed))}
        cursors = {str(feed): (cursor.generation, cursor.offset) for feed, cursor in known.items()}
        return Hello(self._store.books.chain.epoch, await self.head(), SCHEMA_VERSION, cursors)

    async def cursor(self, feed: Feed) -> Cursor | None:
        """How far the store has come in a feed."""
        if feed is Feed.ORDERS:
            return self._pickups.cursor()
        return replica.cursor(self._store.books.replica_reader, feed)

    async def apply(self, feed: Feed, batches: list[Batch]) -> None:
        """Apply whole batches in order, each with its cursor in one transaction."""
        for batch in batches:
            if feed is Feed.ORDERS:
                await self._pickups.apply(batch)
            else:
                await self._apply_to_replica(feed, batch)

    async def forget(self, feed: Feed) -> None:
        """The feed is to be read from its beginning; orders that are known stay as they are."""
        if feed is Feed.ORDERS:
            await self._store.books.ledger.submit(lambda c: c.execute(LEDGER.delete_cursor, (feed,)))
        else:
            await self._store.books.replica.submit(lambda c: replica.begin_rebuild(c, feed))

    async def caught_up(self, feed: Feed) -> None:
        """The feed's end was reached: rows of a retired generation go."""
        if feed is not Feed.ORDERS:
            moment = self._store.moment()
            self._tell(feed, await self._store.books.replica.submit(lambda c: replica.end_rebuild(c, feed, moment)))

    async def head(self) -> Head:
        """The ledger's end."""
        return head(self._store.books.ledger_reader, self._store.books.chain)

    async def entries_after(self, sequence: int, count_max: int) -> Stretch | None:
        """Entries to push; `None` when this ledger does not hold `sequence`."""
        books = self._store.books
        held = books.ledger_reader.execute(LEDGER.entry_hash, (books.chain.epoch, sequence or 1)).fetchone()
        if held is None and (sequence or head(books.ledger_reader, books.chain).sequence):
            return None
        previous_hash, entries = entries_after(books.ledger_reader, books.chain, sequence, count_max)
        return Stretch(books.chain.epoch, previous_hash, tuple(entries))

    async def acknowledged(self, epoch: int, sequence: int) -> None:
        """The hub says at every hello what it holds, so this need not outlive a restart."""
        if epoch == self._store.books.chain.epoch:
            self._store.acked_sequence = sequence

    async def _apply_to_replica(self, feed: Feed, batch: Batch) -> None:
        moment, decisions = self._store.moment(), self._guard.decisions()
        applied = await self._store.books.replica.submit(
            lambda connection: replica.apply_batch(connection, feed, batch, moment, decisions))
        if applied.policy is not None:
            self._store.policy = applied.policy
            self._store.tell(Topic.POLICY)
        if applied.held_reason:
            self._store.tell(Topic.ISSUE)
        self._tell(feed, applied)

    def _tell(self, feed: Feed, applied: Applied) -> None:
        if applied.skus and feed in (Feed.ITEMS, Feed.PRICES):
            self._store.tell(Topic.PRICES, *applied.skus)
