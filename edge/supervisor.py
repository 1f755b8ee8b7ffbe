"""Keeps the daemon's parts running: starts them again with full jitter, gives up visibly, stops them in order.

What a part raises decides (STYLE.md). `Transient` is waited for as long as it takes: a disk that is full has room again
some day. Bugs are tried again a few times. `Rejected` and `Corrupt` would only come again, so the part is given up at
once. A part that was given up stands as FAILED in health while the others go on; if it was vital the supervisor ends
with `VitalPartFailed`, and systemd starts the process anew.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from enum import StrEnum
from random import Random

import structlog

from edge.errors import Corrupt, Rejected, Transient
from edge.heartbeats import Heartbeats, Pulse
from edge.limits import (
    PART_ERROR_CHARACTERS_MAX,
    PART_STOP_S,
    RESTART_BASE_S,
    RESTART_CAP_S,
    RESTART_FAILURES_MAX,
    RESTART_WINDOW_S,
    SUPERVISOR_STOP_S,
)

_log = structlog.get_logger(__name__)


class PartState(StrEnum):
    """What a part is doing."""

    RUNNING = "running"
    WAITING = "waiting"  # it failed and will be started again
    FAILED = "failed"    # given up; `restart()` tries once more
    STOPPED = "stopped"


@dataclass(frozen=True, slots=True)
class PartStatus:
    """A part as health shows it. `in_state_s`: for how long; `next_try_s`: seconds until it is started again."""

    name: str
    vital: bool
    state: PartState
    in_state_s: float
    failures: int
    last_error: str
    next_try_s: float | None


class VitalPartFailed(Exception):
    """The daemon cannot go on without this part; the cause is what the part raised last."""


class EndedByItself(Exception):
    """A part returned or cancelled itself although it must run until it is stopped."""


@dataclass(slots=True)
class _Part:
    name: str
    run: Callable[[], Awaitable[None]]
    vital: bool
    pulse: Pulse | None
    state: PartState = PartState.STOPPED
    since_s: float = 0.0
    next_try_at_s: float | None = None
    failures: int = 0
    recent_s: deque[float] = field(default_factory=lambda: deque(maxlen=RESTART_FAILURES_MAX))
    last_error: str = ""
    asked: asyncio.Event = field(default_factory=asyncio.Event)
    task: asyncio.Task[None] | None = None


class Supervisor:
    """The parts of one process. `random` shakes the pauses; `heartbeats` hears which parts are running."""

    def __init__(self, random: Random, heartbeats: Heartbeats) -> None:
        self._random = random
        self._heartbeats = heartbeats
        self._parts: dict[str, _Part] = {}
        self._vital_failure: asyncio.Future[None] | None = None

    def add(self, name: str, run: Callable[[], Awaitable[None]], *, vital: bool = False,
            pulse: Pulse | None = None) -> None:
        """A part: `run()` is called anew for every start and works until cancelled. Starts at once if others run.

        `pulse` is watched while the part runs, and only then. Raises `ValueError` for a name already taken.
        """
        if name in self._parts:
            raise ValueError(f"there is already a part called {name}")
        self._parts[name] = part = _Part(name, run, vital, pulse)
        if self._vital_failure is not None:
            self._start(part)

    async def remove(self, name: str) -> None:
        """Stop a part and forget it (a reload that drops a base station). Raises `KeyError` for an unknown name."""
        await self._stop(self._parts.pop(name), PART_STOP_S)

    def restart(self, name: str) -> None:
        """Try a waiting or failed part now, with its failures forgiven; a running one is left alone."""
        self._parts[name].asked.set()

    async def run(self) -> None:
        """Run all parts until cancelled, then stop them, the last one added first. Raises `VitalPartFailed`."""
        self._vital_failure = asyncio.get_running_loop().create_future()
        try:
            for part in self._parts.values():
                self._start(part)
            await self._vital_failure
        finally:
            self._vital_failure = None
            await self._stop_all()

    def status(self) -> list[PartStatus]:
        """Every part, in the order they were added. Call it in the event loop."""
        now_s = asyncio.get_running_loop().time()
        return [PartStatus(part.name, part.vital, part.state, now_s - part.since_s, part.failures, part.last_error,
                           None if part.next_try_at_s is None else max(0.0, part.next_try_at_s - now_s))
                for part in self._parts.values()]

    def _start(self, part: _Part) -> None:
        part.task = asyncio.create_task(self._keep(part), name=part.name)
        part.task.add_done_callback(lambda task: self._kept(part, task))

    def _kept(self, part: _Part, task: asyncio.Task[None]) -> None:
        """Supervision of a part ends only by being stopped; a mistake in it must not leave the part down unseen."""
        if not task.cancelled() and not task.cancelling() and (error := task.exception()) is not None:
            self._end_with(part, error)

    async def _keep(self, part: _Part) -> None:
        """One part's life: run, fail, pause, run again. Raises what a part raised while it was being stopped."""
        while True:
            error = await self._run_once(part)
            if _being_stopped():
                if not isinstance(error, EndedByItself):
                    raise error
                return
            pause_s = self._judge(part, error)
            part.asked.clear()
            try:
                async with asyncio.timeout(pause_s):
                    await part.asked.wait()
            except TimeoutError:
                continue
            part.recent_s.clear()

    async def _run_once(self, part: _Part) -> BaseException:
        """Run until it fails; returns why. Only the supervisor's own cancellation passes through."""
        _enter(part, PartState.RUNNING)
        try:
            if part.pulse is not None:
                self._heartbeats.watch(part.name, part.pulse)
            await part.run()
        except asyncio.CancelledError:
            if _being_stopped():
                raise
            return EndedByItself("cancelled itself")
        except (Exception, SystemExit) as error:  # uvicorn leaves by SystemExit when its port is taken
            return error
        finally:
            self._heartbeats.forget(part.name)
        return EndedByItself("returned although it must run until it is stopped")

    def _judge(self, part: _Part, error: BaseException) -> float | None:
        """Note the failure; the seconds until the next start, or None when the part is given up."""
        now_s = asyncio.get_running_loop().time()
        part.failures += 1
        part.recent_s.append(now_s)
        part.last_error = f"{type(error).__name__}: {error}"[:PART_ERROR_CHARACTERS_MAX]
        recent = sum(1 for at_s in part.recent_s if at_s > now_s - RESTART_WINDOW_S)
        hopeless = recent >= RESTART_FAILURES_MAX and not isinstance(error, Transient)
        if isinstance(error, Rejected | Corrupt) or hopeless:
            self._give_up(part, error)
            return None
        pause_s = full_jitter_s(self._random, recent)
        _enter(part, PartState.WAITING, now_s + pause_s)
        _log.warning("part failed, starts again", part=part.name, error=part.last_error, in_s=round(pause_s, 1),
                     exc_info=None if isinstance(error, Transient) else error)
        return pause_s

    def _give_up(self, part: _Part, error: BaseException) -> None:
        _enter(part, PartState.FAILED)
        _log.error("part given up", part=part.name, vital=part.vital, error=part.last_error, failures=part.failures,
                   exc_info=error)
        if part.vital:
            self._end_with(part, error)

    def _end_with(self, part: _Part, error: BaseException) -> None:
        """Let `run()` raise."""
        if self._vital_failure is not None and not self._vital_failure.done():
            failure = VitalPartFailed(f"{part.name} failed and nothing goes on without it: {part.last_error}")
            failure.__cause__ = error
            self._vital_failure.set_exception(failure)

    async def _stop_all(self) -> None:
        deadline_s = asyncio.get_running_loop().time() + SUPERVISOR_STOP_S
        for part in reversed(self._parts.values()):
            left_s = deadline_s - asyncio.get_running_loop().time()
            await self._stop(part, max(0.0, min(PART_STOP_S, left_s)))

    async def _stop(self, part: _Part, limit_s: float) -> None:
        """Cancel a part and wait for its own cleaning up, so long as that ends within the limit."""
        if part.task is None:
            return
        part.task.cancel()
        _done, running = await asyncio.wait([part.task], timeout=limit_s)
        if running:
            _log.error("part does not stop and is left behind", part=part.name, waited_s=limit_s)
        elif not part.task.cancelled() and (error := part.task.exception()) is not None:
            _log.error("part failed while stopping", part=part.name, exc_info=error)
        _enter(part, PartState.STOPPED)


def full_jitter_s(random: Random, failures: int) -> float:
    """A pause anywhere up to the doubling, capped bound of the n-th failure (from 1): nobody marches in step."""
    return random.uniform(0.0, min(RESTART_CAP_S, RESTART_BASE_S * 2.0 ** (failures - 1)))


def _being_stopped() -> bool:
    """Whether the supervisor has cancelled the task that asks."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def _enter(part: _Part, state: PartState, next_try_at_s: float | None = None) -> None:
    part.state, part.since_s, part.next_try_at_s = state, asyncio.get_running_loop().time(), next_try_at_s
