"""The live side: news become events on server-sent streams, gathered, bounded, and never a burden on the tills.

An event names topics and labels, nothing else; a page fetches what it shows of them. A page too slow to keep up is
told to fetch everything again; a lost stream costs nothing, because the page asks anew when it is back.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import msgspec

from edge.limits import (
    STAFF_COALESCE_S,
    STAFF_HEARTBEAT_S,
    STAFF_IDLE_SWEEP_S,
    STAFF_STREAM_EVENTS_MAX,
    STAFF_STREAM_S,
    STAFF_STREAMS_MAX,
    STAFF_SUBJECTS_MAX,
    STAFF_SWEEP_S,
)
from edge.pos.problems import ProblemAnswer
from edge.staff.label_index import LabelIndex
from edge.staff.sessions import Session, Sessions
from edge.store import News, Topic

HEARTBEAT = b": alive\n\n"
RETRY_MS = 2000
FETCH_ALL = b"event: all\ndata: {}\n\n"


class Event(msgspec.Struct, frozen=True):
    """What changed. `labels`: which, `None` for more than a named number of them."""

    topics: tuple[str, ...]
    labels: tuple[str, ...] | None


class Scanned(msgspec.Struct, frozen=True):
    """A code for the page to act on."""

    code: str


@dataclass(eq=False, slots=True)
class _Stream:
    session: Session
    waiting: deque[bytes] = field(default_factory=deque)
    wake: asyncio.Event = field(default_factory=asyncio.Event)
    closed: bool = False

    def put(self, event: bytes) -> None:
        if len(self.waiting) >= STAFF_STREAM_EVENTS_MAX:
            self.waiting.clear()
            event = FETCH_ALL
        self.waiting.append(event)
        self.wake.set()

    def close(self) -> None:
        self.closed = True
        self.wake.set()


class Live:
    """Follows the store's news, keeps the label index fresh, and tells the open pages."""

    def __init__(self, index: LabelIndex, sessions: Sessions, life: str) -> None:
        """`life`: names this run of the daemon, so that a page of an earlier one knows it missed something."""
        self._index = index
        self._sessions = sessions
        self._life = life
        self._told = 0
        self._streams: list[_Stream] = []
        self._topics: set[Topic] = set()
        self._labels: set[str] | None = set()
        self._skus: set[str] = set()
        self._news = asyncio.Event()
        self._open = True
        self.progress = 0

    def follow_news(self, news: News) -> None:
        """The store's listener."""
        self._topics.add(news.topic)
        if news.topic is Topic.LABEL:
            self._note(news.subjects)
        elif news.topic is Topic.PRICES and self._labels is not None:
            self._skus |= news.subjects
            if len(self._skus) > STAFF_SUBJECTS_MAX:
                self._labels = None
        self._news.set()

    async def run(self) -> None:
        """Tell pages until cancelled; then every stream ends, so that the server can stop."""
        self._open = True
        try:
            await self._index.fill()
            loop = asyncio.get_running_loop()
            swept_at = loop.time()
            while True:
                await self._wait_for_news(swept_at + self._sweep_s - loop.time())
                await self._tell()
                if loop.time() >= swept_at + self._sweep_s:
                    self._note(await self._index.sweep())
                    swept_at = loop.time()
                self.progress += 1
        finally:
            self._open = False
            for stream in self._streams:
                stream.close()

    @property
    def _sweep_s(self) -> float:
        return STAFF_SWEEP_S if self._streams else STAFF_IDLE_SWEEP_S

    @property
    def version(self) -> str:
        """How much pages have been told; stands in every page, so that its stream goes on from there."""
        return f"{self._life}.{self._told}"

    def end(self, session: Session) -> None:
        """The session ended: so do its streams."""
        for stream in self._streams:
            if stream.session is session:
                stream.close()

    def scanned(self, person: str, code: str) -> bool:
        """A counter's scanner read something: told to the page that its person came to last, and to no other. Returns
        whether there is one; a page that is hidden has no stream."""
        looked_at = next((stream for stream in reversed(self._streams)
                          if stream.session.principal.id == person and not stream.closed), None)
        if looked_at is None:
            return False
        looked_at.put(b"event: scan\ndata: " + msgspec.json.encode(Scanned(code)) + b"\n\n")
        return True

    def stream(self, session: Session, since: str) -> AsyncIterator[bytes]:
        """Events for one page of this session, which knows everything up to version `since`.

        Raises a 503 problem when too many pages are followed.
        """
        if len(self._streams) >= STAFF_STREAMS_MAX or not self._open:
            raise ProblemAnswer(503, "busy", "Too many pages are followed live", retry_after_s=30)
        return self._events(_Stream(session), since)

    async def _events(self, stream: _Stream, since: str) -> AsyncIterator[bytes]:
        """The stream counts only once it is read, so that one nobody reads cannot be left behind."""
        loop = asyncio.get_running_loop()
        ends_at = loop.time() + STAFF_STREAM_S
        self._streams.append(stream)
        self._news.set()  # somebody looks: sweep as often as that deserves
        try:
            yield f"retry: {RETRY_MS}\n".encode() + (HEARTBEAT if since == self.version else FETCH_ALL)
            while not stream.closed and loop.time() < ends_at:
                try:
                    async with asyncio.timeout(STAFF_HEARTBEAT_S):
                        await stream.wake.wait()
                except TimeoutError:
                    if self._sessions.is_over(stream.session):
                        break
                    yield HEARTBEAT
                    continue
                stream.wake.clear()
                while stream.waiting and not stream.closed:
                    yield stream.waiting.popleft()
        finally:
            self._streams.remove(stream)

    async def _wait_for_news(self, timeout_s: float) -> None:
        try:
            async with asyncio.timeout(max(0.0, timeout_s)):  # not wait_for: Python 3.11's may swallow a cancellation
                await self._news.wait()
        except TimeoutError:
            return
        await asyncio.sleep(STAFF_COALESCE_S)

    async def _tell(self) -> None:
        """With nobody following, news only count: a page that is opened looks the labels up itself."""
        self._news.clear()
        topics, labels, skus = self._topics, self._labels, self._skus
        self._topics, self._labels, self._skus = set(), set(), set()
        if not topics:
            return
        self._told += 1
        if not self._streams:
            return
        await self._index.catch_up()
        if labels is not None:
            labels |= {label for sku in skus for label in self._index.labels_of(sku)}
        named = None if labels is None or len(labels) > STAFF_SUBJECTS_MAX else tuple(sorted(labels))
        event = Event(tuple(sorted(topic.value for topic in topics)), named)
        told = f"id: {self.version}\nevent: changed\ndata: ".encode() + msgspec.json.encode(event) + b"\n\n"
        for stream in self._streams:
            stream.put(told)

    def _note(self, labels: "frozenset[str] | list[str]") -> None:
        if not labels:
            return
        self._topics.add(Topic.LABEL)
        if self._labels is not None:
            self._labels |= set(labels)
            if len(self._labels) > STAFF_SUBJECTS_MAX:
                self._labels = None
        self._news.set()
