"""Following a feed: the engine that judges pages (`FeedReader`, pure) and the loop that fetches them (`FeedLoop`)."""

from dataclasses import dataclass

from cloud_sync.client.errors import BadAnswer
from cloud_sync.client.limits import LONG_POLL_S, REFETCH_SPREAD_S
from cloud_sync.client.loop import Line, Loop, now_s
from cloud_sync.client.port import StoreSide
from cloud_sync.client.wire import HubCalls, Page, Refetch
from cloud_sync.contract.feeds import BadPage, Batch, Cursor, Feed, decode_page


@dataclass(frozen=True, slots=True)
class Reading:
    """What to do with a page: `batches` to apply, in one transaction; `end`: the feed's end is reached with it."""

    batches: list[Batch]
    end: bool


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

    def read(self, page: bytes) -> Reading:
        """Raises `BadPage`; nothing of the page may then be applied.

        An empty page has nothing to apply, except where it gives a reader without a cursor its first one.
        """
        batches = decode_page(page, self.cursor)
        if not batches:
            raise BadPage("no checkpoint: the page was cut short")
        generations = {batch.checkpoint.generation for batch in batches}
        if len(generations) > 1:
            raise BadPage(f"one page of several generations: {', '.join(sorted(generations))}")
        if _cursor_after(batches) == self.cursor:
            return Reading([], end=True)
        return Reading(batches, end=False)

    def applied(self, batches: list[Batch]) -> None:
        """The store has committed them."""
        self.cursor = _cursor_after(batches)

    def reached_end(self) -> None:
        self.caught_up = True

    def retired(self, refetch: Refetch) -> None:
        """The cursor's generation is gone. Raises `BadAnswer` where there was no cursor to retire."""
        if self.cursor is None:
            raise BadAnswer(f"told to fetch generation {refetch.refetch} from its start, which is what was asked for")
        self.cursor, self.caught_up = None, False


class FeedLoop(Loop):
    """Long-polls one feed and has its pages applied."""

    def __init__(self, feed: Feed, store: StoreSide, hub: HubCalls, line: Line) -> None:
        super().__init__(f"feed {feed.value}", line)
        self._feed = feed
        self._store = store
        self._hub = hub
        self._reader = FeedReader()

    async def turn(self) -> float:
        """One poll and what follows from it."""
        await self.ready()
        reader = self._reader
        if not reader.settled:
            reader.resume(await self._store.cursor(self._feed))
        wait_s, asked_s = reader.wait_s, now_s()
        answer = await self._hub.page(self._feed, reader.cursor, wait_s, self.stamp)
        self.line.monitor.contact()
        if isinstance(answer, Refetch):
            return await self._refetch(answer)
        grown = await self._take(answer)
        self.line.monitor.feed(self._feed, reader.cursor, reader.caught_up)
        return 0 if grown or wait_s == 0 else self._rest_s(now_s() - asked_s)

    def lose_place(self) -> None:
        self._reader.lose_place()

    async def _take(self, page: Page) -> bool:
        """Apply a page; returns whether there was anything in it."""
        reading = self._reader.read(page.body)
        if reading.batches:
            await self._store.apply(self._feed, reading.batches)
            self._reader.applied(reading.batches)
        elif not self._reader.caught_up:
            await self._store.caught_up(self._feed)
            self._reader.reached_end()
        return bool(reading.batches)

    async def _refetch(self, refetch: Refetch) -> float:
        self._reader.retired(refetch)
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
