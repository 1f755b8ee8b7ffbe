"""Listening to the doorbell beside the line: connecting again, letting rings through at a pace, saying little."""

import asyncio
from collections.abc import Callable

from cloud_sync.client.errors import BellLost
from cloud_sync.client.limits import BELL_PACE_RINGS, BELL_PACE_S, BELL_STABLE_S
from cloud_sync.client.link_state import DoorbellState
from cloud_sync.client.loop import Line, Loop, now_s
from cloud_sync.client.port import Doorbell


class BellLoop(Loop):
    """Listens to the doorbell. Not watched: a bell that hangs costs nothing but time.

    A broker that lets us in and throws us out again and again is lost once and back once: after a connection that did
    not last, "back" is said only when the next one has lasted.
    """

    def __init__(self, doorbell: Doorbell, ring: Callable[[], None], line: Line) -> None:
        super().__init__("doorbell", line)
        self._doorbell = doorbell
        self._pace = RingPace(ring)
        self._connected_s: float | None = None
        self._lasting = True
        self._say_back: asyncio.TimerHandle | None = None
        line.monitor.doorbell(DoorbellState.LOST)

    async def turn(self) -> float:
        """One connection to the bell, from its beginning to its end."""
        self._connected_s = None
        try:
            await self._doorbell.listen(self._connected, self._pace.ring)
        finally:
            self._ended()
        raise BellLost("the connection ended")

    def _connected(self) -> None:
        """Whatever rang while nobody listened is made up for by one pull."""
        self._connected_s = now_s()
        if self._lasting:
            self.line.monitor.fine(self.name)
        else:
            self._say_back = asyncio.get_running_loop().call_later(BELL_STABLE_S, self.line.monitor.fine, self.name)
        self.line.monitor.doorbell(DoorbellState.CONNECTED)
        self._pace.ring()

    def _ended(self) -> None:
        self._pace.stop()
        if self._say_back is not None:
            self._say_back.cancel()
            self._say_back = None
        self.line.monitor.doorbell(DoorbellState.LOST)
        if self._connected_s is not None:
            self._lasting = now_s() - self._connected_s >= BELL_STABLE_S
            if self._lasting:
                self.backoff.reset()


class RingPace:
    """Lets `BELL_PACE_RINGS` rings through as they come, and one every `BELL_PACE_S` after them; a ring that is held
    back is made up for. So a bell gone mad in a whole fleet does not make the fleet storm its hub."""

    def __init__(self, ring: Callable[[], None]) -> None:
        self._ring = ring
        self._left = float(BELL_PACE_RINGS)
        self._counted_s = 0.0
        self._held_back: asyncio.TimerHandle | None = None

    def ring(self) -> None:
        if self._held_back is not None:
            return
        now = now_s()
        self._left = min(float(BELL_PACE_RINGS), self._left + (now - self._counted_s) / BELL_PACE_S)
        self._counted_s = now
        if self._left >= 1:
            self._left -= 1
            self._ring()
        else:
            wait_s = (1 - self._left) * BELL_PACE_S
            self._held_back = asyncio.get_running_loop().call_later(wait_s, self._make_up)

    def stop(self) -> None:
        """Nothing is made up for: the next connection begins with a ring."""
        if self._held_back is not None:
            self._held_back.cancel()
            self._held_back = None

    def _make_up(self) -> None:
        self._held_back = None
        self._left, self._counted_s = 0.0, now_s()
        self._ring()
