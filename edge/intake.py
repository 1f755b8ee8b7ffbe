"""The store as the line to the hub sees it: feeds go in, ledger entries come out (DESIGN.md section 10).

Orders, tasks and deliveries have a local effect and go to `ledger.db`; everything else goes to `replica.db`. What was
changed is told to the rooms after its commit.
"""

import asyncio
from collections.abc import Mapping, Sequence
from functools import partial

import structlog

from cloud_sync.client.port import Stretch
from cloud_sync.contract.feeds import WITH_LOCAL_EFFECT, Batch, Cursor, Feed
from cloud_sync.contract.fingerprints import Bucket
from cloud_sync.contract.ledger import SCHEMA_VERSION, Head, Hello
from cloud_sync.contract.snapshots import BadSnapshot, Chunk, Manifest, Row
from edge.db import copies, loading, replica
from edge.db.ledger import entries_after, head, store_policy
from edge.db.loading import Recounted
from edge.db.queries import LEDGER
from edge.db.replica import Applied
from edge.errors import Corrupt, Transient
from edge.limits import COPY_SLICE_ROWS
from edge.pickups.desk import PickupDesk
from edge.prices.guard_desk import GuardDesk
from edge.stock.deliveries import DeliveryDesk
from edge.store import News, Store, Topic
from edge.tasks import TaskDesk

_log = structlog.get_logger(__name__)


class Intake:
    """Implements `cloud_sync.client.port.StoreSide` over the store's books."""

    def __init__(self, store: Store, pickups: PickupDesk, guard: GuardDesk, tasks: TaskDesk,
                 deliveries: DeliveryDesk) -> None:
        self._store = store
        self._guard = guard
        self._desks: Mapping[Feed, PickupDesk | TaskDesk | DeliveryDesk] = {
            Feed.ORDERS: pickups, Feed.TASKS: tasks, Feed.DELIVERIES: deliveries}
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
        return Hello(self._store.books.chain.epoch, await self.head(), SCHEMA_VERSION, cursors,
                     time_zone=self._store.identity.time_zone.key)

    async def cursor(self, feed: Feed) -> Cursor | None:
        """How far the store has come in a feed."""
        if feed in self._desks:
            return self._desks[feed].cursor()
        return loading.cursor(self._store.books.replica_reader, feed)

    async def apply(self, feed: Feed, batches: list[Batch]) -> None:
        """Apply whole batches in order, each with its cursor in one transaction."""
        for batch in batches:
            if feed in self._desks:
                await self._desks[feed].apply(batch)
            else:
                await self._apply_to_replica(feed, batch)

    async def forget(self, feed: Feed) -> None:
        """The feed is to be read from its beginning; orders and tasks that are known stay as they are."""
        if feed in self._desks:
            await self._store.books.ledger.submit(lambda c: c.execute(LEDGER.delete_cursor, (feed,)))
        else:
            await self._store.books.replica.submit(lambda c: loading.begin(c, feed))

    async def caught_up(self, feed: Feed) -> None:
        """The feed's end was reached: a copy that was read by pages comes into force."""
        if feed not in self._desks:
            moment, decisions = self._store.moment(), self._guard.decisions()
            await self._tell(feed, await self._store.books.replica.submit(
                lambda c: loading.end_of_pages(c, feed, moment, decisions)))
            await self._forget_old_copy(feed)

    async def root(self, feed: Feed) -> str | None:
        """The fingerprint of this store's copy; `None` while there is nothing to compare."""
        if feed in WITH_LOCAL_EFFECT:
            return None
        reader = self._store.books.replica_reader
        if copies.anything_touched(reader):
            moment = self._store.moment()
            await self._store.books.replica.submit(lambda c: replica.look_at_touched(c, moment))
        if loading.is_read_by_pages(reader, feed):
            return None
        return copies.copy_of(reader, feed).root

    async def vector(self, feed: Feed) -> Mapping[int, Bucket]:
        """The fingerprint's buckets, empty ones left out."""
        return copies.buckets_of_copy(self._store.books.replica_reader, feed)

    async def repair(self, feed: Feed, at: Cursor, buckets: Mapping[int, Sequence[Row]]) -> int:
        """Make these buckets what the hub says they are; returns how many rows that changed."""
        moment, decisions = self._store.moment(), self._guard.decisions()
        applied, rows = await self._store.books.replica.submit(
            lambda c: loading.repair(c, feed, at, buckets, moment, decisions))
        await self._tell(feed, applied)
        return rows

    async def begin_snapshot(self, feed: Feed, manifest: Manifest) -> frozenset[str]:
        """Returns the names of the chunks that are here already."""
        return await self._store.books.replica.submit(lambda c: loading.begin_snapshot(c, feed, manifest))

    async def take_chunk(self, feed: Feed, chunk: Chunk, body: bytes) -> None:
        """Checked and decoded on the writer's thread, away from the tills. Raises `BadSnapshot`."""
        await self._store.books.replica.submit(partial(loading.stage_chunk, feed=feed, chunk=chunk, body=body))

    async def switch(self, feed: Feed, manifest: Manifest) -> None:
        """Put the loaded copy in force. Raises `BadSnapshot`, and then nothing of it is kept."""
        moment, decisions = self._store.moment(), self._guard.decisions()
        replica_writer = self._store.books.replica
        try:
            applied = await replica_writer.submit(
                lambda c: loading.switch_to_snapshot(c, feed, manifest, moment, decisions))
        except BadSnapshot:
            await replica_writer.submit(lambda c: loading.drop(c, feed))
            raise
        await self._tell(feed, applied)
        await self._forget_old_copy(feed)

    async def recount(self, feed: Feed, after_key: str) -> Recounted:
        """Look at the next slice of the copy's rows again."""
        moment = self._store.moment()
        return await self._store.books.replica.submit(
            lambda c: loading.recount(c, feed, after_key, COPY_SLICE_ROWS, moment))

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
        loaded = await self._store.books.replica.submit(
            lambda connection: loading.take_batch(connection, feed, batch, moment, decisions))
        await self._tell(feed, loaded.applied)
        if batch.checkpoint.whole:
            await self._forget_old_copy(feed)

    async def _forget_old_copy(self, feed: Feed) -> None:
        """Slice by slice, so that nothing else waits long for the writer."""
        while loading.has_old_copy(self._store.books.replica_reader, feed):
            await self._store.books.replica.submit(lambda c: loading.forget_old_copy(c, feed, COPY_SLICE_ROWS))

    async def _tell(self, feed: Feed, applied: Applied) -> None:
        """A first load is news of every SKU."""
        if feed is Feed.PROMOTIONS:
            self._store.tell(Topic.PROMOTIONS)
        if applied.policy is not None:
            self._store.policy = policy = applied.policy
            self._store.tell(Topic.POLICY)
            try:
                await self._store.books.ledger.submit(lambda connection: store_policy(connection, policy))
            except (Transient, Corrupt) as trouble:  # it is in force; only a lost replica would miss it
                _log.warning("the policy could not be kept beside the ledger", reason=str(trouble))
        if applied.held_reason:
            self._store.tell(Topic.ISSUE)
        await self._store.tell_prices(applied.skus)
