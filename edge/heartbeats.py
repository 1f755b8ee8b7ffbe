"""Is every part moving? Progress stamps, and the watchdog that systemd hears only while the answer is yes.

A watchdog fed by a timer certifies that timers fire (engineering.md 1.5). This one is fed from what parts did: a
counter that grows, or the fact that a part is busy and since when. Running in the event loop, it vouches for that too.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace

import structlog

from cloud_sync.client.limits import QUIET_S_MAX
from edge.limits import ROOM_QUIET_S_MAX, STATION_QUIET_S_MAX, WATCH_INTERVAL_S, WRITER_QUIET_S_MAX
from edge.sd_notify import Notifier

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class WatchLimits:
    """How often progress is looked at, and how long each kind of part may stand still, in seconds.

    `hub_s`: each loop of the line to the hub; `room_s`: planner, housekeeper, and one label from drawing to offer.
    """

    interval_s: float = WATCH_INTERVAL_S
    writer_s: float = WRITER_QUIET_S_MAX
    station_s: float = STATION_QUIET_S_MAX
    room_s: float = ROOM_QUIET_S_MAX
    hub_s: float = QUIET_S_MAX

    def at_least_every(self, interval_s: float) -> "WatchLimits":
        """The same, looked at no less often than this."""
        return replace(self, interval_s=min(self.interval_s, interval_s))


@dataclass(frozen=True, slots=True)
class Counter:
    """A part that always has a next round: `read()` must give another number within `limit_s`."""

    read: Callable[[], int]
    limit_s: float


@dataclass(frozen=True, slots=True)
class BusySince:
    """A part that may rest: `read()` is None while idle, else since when it is busy, on the clock of `Heartbeats`."""

    read: Callable[[], float | None]
    limit_s: float


Pulse = Counter | BusySince


@dataclass(frozen=True, slots=True)
class Stall:
    """A part that has not moved for `still_s`, which is more than its own limit."""

    name: str
    still_s: float
    limit_s: float


@dataclass(slots=True)
class _Watched:
    pulse: Pulse
    seen: int | None
    moved_at_s: float


class Heartbeats:
    """Every part that must keep moving. `now_s`: a clock that never goes back, such as the event loop's."""

    def __init__(self, now_s: Callable[[], float]) -> None:
        self._now_s = now_s
        self._watched: dict[str, _Watched] = {}

    def watch(self, name: str, pulse: Pulse) -> None:
        """From now on this part must move. Raises `ValueError` for a name already watched."""
        if name in self._watched:
            raise ValueError(f"{name} is already watched")
        self._watched[name] = _Watched(pulse, None, self._now_s())

    def forget(self, name: str) -> None:
        """The part has ended or been given up; whoever did that says so elsewhere."""
        self._watched.pop(name, None)

    def names(self) -> list[str]:
        """What is watched, in order of registration."""
        return list(self._watched)

    def stalled(self) -> list[Stall]:
        """The parts that stand still beyond their limit. Ask often: a counter's stamp is taken here."""
        now_s = self._now_s()
        still = ((name, watched, self._still_s(watched, now_s)) for name, watched in self._watched.items())
        return [Stall(name, still_s, watched.pulse.limit_s) for name, watched, still_s in still
                if still_s > watched.pulse.limit_s]

    def _still_s(self, watched: _Watched, now_s: float) -> float:
        if isinstance(watched.pulse, BusySince):
            since_s = watched.pulse.read()
            return 0.0 if since_s is None else now_s - since_s
        count = watched.pulse.read()
        if count != watched.seen:
            watched.seen, watched.moved_at_s = count, now_s
        return now_s - watched.moved_at_s


class Watchdog:
    """Sends WATCHDOG=1 every `interval_s` while nothing is stalled; logs once when something stalls, once when not."""

    def __init__(self, heartbeats: Heartbeats, notifier: Notifier, interval_s: float) -> None:
        self._heartbeats = heartbeats
        self._notifier = notifier
        self._interval_s = interval_s
        self._stalled: frozenset[str] = frozenset()

    async def run(self) -> None:
        """Watch until cancelled."""
        while True:
            self.beat()
            await asyncio.sleep(self._interval_s)

    def beat(self) -> bool:
        """Look once; returns whether all is moving and systemd was told so."""
        stalls = self._heartbeats.stalled()
        names = frozenset(stall.name for stall in stalls)
        if names != self._stalled:
            self._stalled = names
            self._tell(stalls)
        if not stalls:
            self._notifier.watchdog()
        return not stalls

    def _tell(self, stalls: list[Stall]) -> None:
        if not stalls:
            _log.info("all parts move again")
            self._notifier.status("all parts move again")
            return
        words = ", ".join(f"{stall.name} for {stall.still_s:.0f} s (limit {stall.limit_s:.0f} s)" for stall in stalls)
        _log.error("standing still: systemd is not told that all is well", parts=words)
        self._notifier.status(f"standing still: {words}")
