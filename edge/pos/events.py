"""`GET /v1/events`: what a till or display wants to know as it happens, as server-sent events that can be resumed.

Events say that something changed and of what; what it is now is asked for, so that a client which missed some has
lost nothing but time. The last ones are kept in memory: `Last-Event-ID` goes on behind them, and a client that was away
for longer, or over a restart, is told `reset` and asks for everything it shows.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Mapping

import msgspec
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from edge.limits import EVENT_HEARTBEAT_S, EVENT_STREAMS_MAX, EVENT_SUBJECTS_MAX, EVENTS_KEPT_MAX
from edge.pos.access import Role
from edge.pos.app import Handler, principal_of
from edge.pos.problems import ProblemAnswer
from edge.pos.scanner import Scan
from edge.store import News, Store, Topic

SSE = "text/event-stream"
HEARTBEAT = b": still here\n\n"
RETRY_MS = 2_000
_TOLD = {Topic.PRICES: "prices", Topic.PICKUP: "pickups", Topic.POLICY: "policy"}
_PRICES_ONLY = frozenset({"prices", "policy", "reset"})


class Changed(msgspec.Struct, frozen=True, omit_defaults=True):
    """The data of an event: SKUs for `prices`, order ids for `pickups`. `more`: of so many things that they are not
    named; ask for all of them."""

    subjects: tuple[str, ...] = ()
    more: bool = False


class Events:
    """Remembers the last events and hands them to whoever follows. `run` is a part for the supervisor: it must be
    stopped before the server, because it ends the streams that the server waits for."""

    def __init__(self, store: Store) -> None:
        self._life = store.mint()
        self._kept: deque[tuple[int, str, bytes]] = deque(maxlen=EVENTS_KEPT_MAX)
        self._number = 0
        self._followers = 0
        self._open = True
        self._news = asyncio.Event()
        self.progress = 0

    def follow_news(self, news: News) -> None:
        """The store's listener."""
        name = _TOLD.get(news.topic)
        if name is None:
            return
        subjects = tuple(sorted(news.subjects))
        data = Changed(subjects) if len(subjects) <= EVENT_SUBJECTS_MAX else Changed(more=True)
        self._keep(name, data)

    def scanned(self, scan: Scan) -> None:
        """A scanner of the store read something; told to tills and people."""
        self._keep("scan", scan)

    def _keep(self, name: str, data: Changed | Scan) -> None:
        self._number += 1
        self._kept.append((self._number, name, msgspec.json.encode(data)))
        self._wake()

    async def run(self) -> None:
        """Until cancelled; then every stream ends."""
        self._open = True
        try:
            while True:
                self.progress += 1
                await asyncio.sleep(EVENT_HEARTBEAT_S)
        finally:
            self._open = False
            self._wake()

    def stream(self, role: Role, last_id: str) -> AsyncIterator[bytes]:
        """The events after `last_id`; what a role has no business with is left out. Raises a 503 problem when too many
        follow."""
        if self._followers >= EVENT_STREAMS_MAX or not self._open:
            raise ProblemAnswer(503, "busy", "Too many follow the events", retry_after_s=30)
        return self._stream(_PRICES_ONLY if role is Role.LOOKUP_ONLY else None, last_id)

    async def _stream(self, names: frozenset[str] | None, last_id: str) -> AsyncIterator[bytes]:
        self._followers += 1
        try:
            known = self._known(last_id)
            yield f"retry: {RETRY_MS}\n\n".encode()
            if known is None:
                known = self._number
                yield self._event(known, "reset", b"{}")
            while self._open:
                if known < self._number - len(self._kept):
                    known = self._number
                    yield self._event(known, "reset", b"{}")
                for number, name, data in [each for each in self._kept if each[0] > known]:
                    known = number
                    if names is None or name in names:
                        yield self._event(number, name, data)
                if known == self._number and not await self._something_new():
                    yield HEARTBEAT
        finally:
            self._followers -= 1

    async def _something_new(self) -> bool:
        news = self._news
        try:
            async with asyncio.timeout(EVENT_HEARTBEAT_S):
                await news.wait()
        except TimeoutError:
            return False
        return True

    def _known(self, last_id: str) -> int | None:
        """Up to which event the client knows all; `None` when that cannot be said."""
        life, _, number = last_id.partition(".")
        if life != self._life or not (number.isascii() and number.isdecimal()) or len(number) > 15:
            return None
        return int(number) if int(number) <= self._number else None

    def _event(self, number: int, name: str, data: bytes) -> bytes:
        return f"id: {self._life}.{number}\nevent: {name}\ndata: ".encode() + data + b"\n\n"

    def _wake(self) -> None:
        """Everybody who waits now goes on; who comes later waits for the next one."""
        self._news.set()
        self._news = asyncio.Event()


def event_handlers(events: Events) -> Mapping[str, Handler]:
    """The handler of events, by its name in `edge.pos.access.RULES`."""

    async def follow(request: Request) -> Response:
        last_id = request.headers.get("last-event-id") or request.query_params.get("last_event_id", "")
        stream = events.stream(principal_of(request).role, last_id[:100])
        return StreamingResponse(stream, media_type=SSE, headers={"Cache-Control": "no-cache"})

    return {"events": follow}
