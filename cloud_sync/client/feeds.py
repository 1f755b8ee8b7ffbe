"""Following a feed: the engine that judges pages (`FeedReader`, pure) and the loop that fetches them (`FeedLoop`).

At every checkpoint that was applied the store's fingerprint is compared with the one that the checkpoint carries.
"""

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from cloud_sync.client.errors import Diverged
from cloud_sync.client.limits import AFTER_LOOK_S, LONG_POLL_S, RECORDS_AT_ONCE, REFETCH_SPREAD_S
from cloud_sync.client.loop import Line, Loop, now_s
from cloud_sync.client.port import StoreSide
from cloud_sync.client.repairs import Remedy, RepairJudge, rows_of
from cloud_sync.client.snapshots import cursor_of, missing
from cloud_sync.client.wire import HubCalls, Page, Refetch
from cloud_sync.contract.feeds import BadPage, Batch, Cursor, Feed, Record, batches_of, records_of
from cloud_sync.contract.snapshots import Row, decode_manifest


@dataclass(frozen=True, slots=True)
class Reading:
    """What to do with a page: `batches` to apply, in one transaction; `end`: the feed's end is reached with it.

    `root`: the fingerprint at its last checkpoint, empty when the hub gives none.
    """

    batches: list[Batch]
    end: bool
    root: str = ""


class FeedReader:
    """Where one feed's reader stands and what it makes of an answer. Pure; the loop does the talking.

    Until the end of the feed was reached once, polls do not wait, so that the end shows itself by an empty page.
    """

    def __init__(self) -> None:
        self.settled = False
        self.cursor: Cursor | None = None
        self.caught_up = False

    @property
    def wait_s(self) -> int:
        """How long the hub may hold the next poll."""
        return LONG_POLL_S if self.caught_up else 0

    def resume(self, cursor: Cursor | None) -> None:
        """The store says where it stands."""
        self.settled, self.cursor, self.caught_up = True, cursor, False

    def lose_place(self) -> None:
        """Something failed: only the store knows what was applied."""
        self.settled = False

    def read(self, records: Iterable[Record]) -> Reading:
        """What a page's records mean. Raises `BadPage`; nothing of the page may then be applied.

        An empty page has nothing to apply, except where it gives a reader without a cursor its first one.
        """
        batches = list(batches_of(records, self.cursor))
        if not batches:
            raise BadPage("no checkpoint: the page was cut short")
        generations = {batch.checkpoint.generation for batch in batches}
        if len(generations) > 1:
            raise BadPage(f"one page of several generations: {', '.join(sorted(generations))}")
        if any(batch.checkpoint.whole for batch in batches) and (self.cursor is not None or len(batches) > 1):
            raise BadPage("everything there is, to a reader who asked for what is new")
        root = batches[-1].checkpoint.root
        if _cursor_after(batches) == self.cursor:
            return Reading([], end=True, root=root)
        return Reading(batches, end=False, root=root)

    def applied(self, batches: list[Batch]) -> None:
        """The store has committed them."""
        self.cursor = _cursor_after(batches)

    def reached_end(self) -> None:
        self.caught_up = True

    def retired(self) -> None:
        """The cursor leads nowhere any more."""
        self.cursor, self.caught_up = None, False


class FeedLoop(Loop):
    """Long-polls one feed and has its pages applied."""

    def __init__(self, feed: Feed, store: StoreSide, hub: HubCalls, line: Line, after: Feed | None = None) -> None:
        """`after`: another feed that says how this one's documents are to be taken; nothing is asked for before it."""
        super().__init__(f"feed {feed.value}", line)
        self._feed = feed
        self._after = after
        self._store = store
        self._hub = hub
        self._reader = FeedReader()
        self._judge = RepairJudge()

    async def turn(self) -> float:
        """One poll and what follows from it."""
        await self.ready()
        if self._after is not None and await self._store.cursor(self._after) is None:
            return AFTER_LOOK_S
        reader = self._reader
        if not reader.settled:
            reader.resume(await self._store.cursor(self._feed))
        wait_s, asked_s = reader.wait_s, now_s()
        answer = await self._hub.page(self._feed, reader.cursor, wait_s, self.stamp)
        self.line.monitor.contact()
        if isinstance(answer, Refetch):
            return await (self._load_snapshot() if reader.cursor is None else self._refetch())
        reading = await self._take(answer)
        grown = bool(reading.batches)
        self.line.monitor.feed(self._feed, reader.cursor, reader.caught_up)
        if reading.root and not await self._is_equal(reading.root):
            await self._repair(reading.root)
        return 0 if grown or wait_s == 0 else self._rest_s(now_s() - asked_s)

    def lose_place(self) -> None:
        self._reader.lose_place()

    async def _take(self, page: Page) -> Reading:
        """Apply a page; returns what it was."""
        records: list[Record] = []
        for record in records_of(page.body):
            records.append(record)
            if len(records) % RECORDS_AT_ONCE == 0:
                await asyncio.sleep(0)  # tills are answered in between
        reading = self._reader.read(records)
        if reading.batches:
            await self._store.apply(self._feed, reading.batches)
            self._reader.applied(reading.batches)
        elif not self._reader.caught_up:
            await self._store.caught_up(self._feed)
            self._reader.reached_end()
        return reading

    async def _is_equal(self, root: str) -> bool:
        """Whether the store's copy is what the hub's is; also when there is nothing to compare."""
        ours = await self._store.root(self._feed)
        equal = ours is None or ours == root
        self.line.monitor.compared(self._feed, equal=equal)
        if equal:
            self._judge.equal()
        return equal

    async def _repair(self, root: str) -> None:
        """Fetch what differs, put it right, compare again. Raises `Diverged` when that did not help."""
        cursor = self._reader.cursor
        assert cursor is not None, "a checkpoint was applied"
        vector = await self._hub.vector(self._feed, cursor.generation)
        if isinstance(vector, Refetch):
            return  # the next poll says it again, and is obeyed
        plan = self._judge.judge(cursor, await self._store.vector(self._feed), vector)
        if plan.remedy is Remedy.READ_ON:
            return
        if plan.remedy is Remedy.REFETCH:
            await self._refetch()
            return
        rows = await self._rows(cursor, plan.buckets)
        if rows is None:
            return
        changed = await self._store.repair(self._feed, cursor, rows)
        self.line.monitor.repaired(self._feed, plan.buckets, sum(map(len, rows.values())), changed)
        if not await self._is_equal(root):
            raise Diverged(f"{changed} rows in {len(plan.buckets)} buckets were put right, and it still differs")

    async def _rows(self, cursor: Cursor, buckets: Sequence[int]) -> dict[int, Sequence[Row]] | None:
        """The hub's rows of these buckets; `None` when the hub has moved on in the meantime."""
        fetched: dict[int, Sequence[Row]] = {}
        for bucket in buckets:
            answer = await self._hub.bucket(self._feed, cursor.generation, bucket)
            self.stamp()
            rows = None if isinstance(answer, Refetch) else rows_of(cursor, bucket, answer)
            if rows is None:
                return None
            fetched[bucket] = rows
        return fetched

    async def _load_snapshot(self) -> float:
        """Fetch the feed as a snapshot, chunk by chunk; what an interrupted one left is used. Then follow the log."""
        manifest = decode_manifest(await self._hub.manifest(self._feed))
        held = await self._store.begin_snapshot(self._feed, manifest)
        for chunk in missing(manifest, held):
            body = await self._hub.chunk(self._feed, chunk.sha256, self.stamp)
            await self._store.take_chunk(self._feed, chunk, body)
            self.stamp()
        await self._store.switch(self._feed, manifest)
        self._reader.resume(cursor_of(manifest))
        self.line.monitor.feed(self._feed, self._reader.cursor, False)
        return 0

    async def _refetch(self) -> float:
        self._reader.retired()
        await self._store.forget(self._feed)
        self.line.monitor.feed(self._feed, None, False)
        return self.line.randomness.uniform(0, REFETCH_SPREAD_S)

    def _rest_s(self, held_s: float) -> float:
        """A hub that did not hold the poll is not asked at once again."""
        left_s = LONG_POLL_S - held_s
        return self.line.randomness.uniform(left_s / 2, left_s) if left_s > 0 else 0


def _cursor_after(batches: list[Batch]) -> Cursor:
    last = batches[-1].checkpoint
    return Cursor(last.generation, last.offset)
