"""In-process wake-up: long polls wait here, and whoever publishes doorbells listens here. Asyncio only, no threads.

A bell carries nothing: losing one costs at most a poll interval.
"""

import asyncio
from collections.abc import Callable

from cloud_sync.hub.feeds import FeedId
from cloud_sync.hub.limits import LONG_POLLS_MAX
from cloud_sync.hub.presence import Presences

Listener = Callable[[FeedId, int], None]
"""Called with the feed that grew and its head; must not block."""


class Bells:
    """One event per feed that somebody waits for. `presences`: which stores hear their doorbells, a hint."""

    def __init__(self) -> None:
        self._events: dict[FeedId, asyncio.Event] = {}
        self._seen: dict[FeedId, int] = {}
        self._listeners: list[Listener] = []
        self._waiting = 0
        self.rings = 0
        """How often any bell rang; the same number before and after a look means that none rang meanwhile."""
        self._closed = False
        self.presences = Presences()

    def listen(self, listener: Listener) -> None:
        """Hear of every growth from now on."""
        self._listeners.append(listener)

    def ring(self, feed: FeedId, head: int) -> None:
        """The feed has grown to `head`."""
        self.wake(feed)
        for listener in self._listeners:
            listener(feed, head)

    def wake(self, feed: FeedId) -> None:
        """Let those look who wait for this feed; whoever let it grow has told the listeners."""
        self.rings += 1
        event = self._events.pop(feed, None)
        self._seen.pop(feed, None)
        if event is not None:
            event.set()

    def next_ring(self, feed: FeedId, head: int) -> asyncio.Event:
        """Set when the feed has grown beyond `head`, where it was seen to end."""
        self._seen[feed] = min(head, self._seen.get(feed, head))
        return self._events.setdefault(feed, asyncio.Event())

    @property
    def awaited(self) -> dict[FeedId, int]:
        """Feeds somebody waits for, and where they were seen to end."""
        return dict(self._seen)

    async def wait(self, ring: asyncio.Event, timeout_s: float) -> bool:
        """Whether waiting made sense: false at once when too many wait already or the hub is closing."""
        if self._closed or self._waiting >= LONG_POLLS_MAX:
            return False
        self._waiting += 1
        try:
            async with asyncio.timeout(timeout_s):
                await ring.wait()
        except TimeoutError:
            pass
        finally:
            self._waiting -= 1
        return not self._closed

    def close(self) -> None:
        """Wake everybody for the last time."""
        self._closed = True
        for event in self._events.values():
            event.set()
        self._events.clear()
        self._seen.clear()
