"""The rhythm shared by everything that talks to the hub: one gate, one Retry-After, back-off, progress.

After any failure on the line the gate closes and only the hello loop knocks, with full-jitter back-off; when the hub
has welcomed us again, the others go on. So a fleet asks a hub that comes back one small question per store.
"""

import asyncio
import random
from abc import ABC, abstractmethod

from cloud_sync.client.errors import BadAnswer, BellLost, Diverged, LineDown, Refused
from cloud_sync.client.limits import (
    BACKOFF_BASE_S,
    BACKOFF_CAP_S,
    RETRY_AFTER_S_MAX,
    RETRY_AFTER_SPREAD_S,
    RING_SPREAD_S,
    SLICE_S,
)
from cloud_sync.client.link_state import Fence, FenceReason, LinkMonitor, TroubleKind
from cloud_sync.contract.feeds import BadPage
from cloud_sync.contract.ledger import Verdict, Welcome
from cloud_sync.contract.snapshots import BadSnapshot


class Backoff:
    """Full-jitter exponential back-off: each pause is anything from 0 to a bound that doubles up to the cap."""

    def __init__(self, randomness: random.Random, base_s: float = BACKOFF_BASE_S, cap_s: float = BACKOFF_CAP_S) -> None:
        self._randomness = randomness
        self._base_s, self._cap_s = base_s, cap_s
        self._bound_s = base_s

    def next_s(self) -> float:
        """The pause after one more failure."""
        pause_s = self._randomness.uniform(0, self._bound_s)
        self._bound_s = min(self._cap_s, self._bound_s * 2)
        return pause_s

    def to_cap(self) -> None:
        """Trying soon makes no sense: a person has to do something first."""
        self._bound_s = self._cap_s

    def reset(self) -> None:
        self._bound_s = self._base_s


class Line:
    """What the loops of one store share. `welcome` is the hub's last one, `epoch` the box epoch that it answered.

    `life` tells this process from every other that had the credential. `agreed`: hub and ledger tell one story, so that
    what depends on the ledger (orders) may go on. `doubtful`: they may not, and somebody has to look. `displaced`:
    another box speaks for the store.
    """

    def __init__(self, monitor: LinkMonitor, randomness: random.Random) -> None:
        self.monitor = monitor
        self.randomness = randomness
        self.open = asyncio.Event()
        self.hello_due = asyncio.Event()
        self.hello_due.set()
        self.fresh_welcome = asyncio.Event()
        self.welcome: Welcome | None = None
        self.epoch = 0
        self.life = f"{randomness.getrandbits(64):016x}"
        self.agreed = asyncio.Event()
        self.doubtful = False
        self.displaced: Fence | None = None
        self._not_before_s = 0.0

    def welcomed(self, epoch: int, welcome: Welcome, *, doubtful: bool = False) -> None:
        """The hub speaks with us: open the gate."""
        self.displaced = None
        if welcome.verdict in (Verdict.SUPERSEDED, Verdict.TWIN):
            self.displaced = Fence(FenceReason(welcome.verdict), epoch, welcome.head.sequence, welcome.detail)
        self.doubtful = doubtful and self.displaced is None
        if doubtful or self.displaced is not None:
            self.agreed.clear()
        else:
            self.agreed.set()
        self.welcome, self.epoch = welcome, epoch
        self.monitor.contact()
        self.monitor.welcomed(welcome)
        self.fresh_welcome.set()
        self.open.set()

    def doubt(self) -> None:
        """Our ledger and the hub's do not continue each other: somebody has to look."""
        self.doubtful = True
        self.agreed.clear()

    def suspect(self, retry_after_s: float) -> None:
        """A request failed: close the gate until a hello comes through, not before the hub said."""
        self.open.clear()
        self.hello_due.set()
        if retry_after_s > 0:
            wait_s = min(retry_after_s, RETRY_AFTER_S_MAX) + self.randomness.uniform(0, RETRY_AFTER_SPREAD_S)
            self._not_before_s = max(self._not_before_s, now_s() + wait_s)

    def wait_s(self) -> float:
        """How much of the hub's Retry-After is left."""
        return max(0.0, self._not_before_s - now_s())


class Loop(ABC):
    """One thing done over and over. No exception ends it, only cancellation.

    `progress` grows whenever the loop is seen to live: at every answer and at least every `SLICE_S` of any wait. It
    stands still while a call hangs; `limits.QUIET_S_MAX` says from when on that is a fault. `needs`: what must be so,
    beside the open gate, for a turn.
    """

    vital = False
    """Whether the line counts as down whenever this loop fails, for whatever reason."""

    def __init__(self, name: str, line: Line) -> None:
        self.name = name
        self.line = line
        self.progress = 0
        self.nudge = asyncio.Event()
        self.needs = line.open
        self.backoff = Backoff(line.randomness)

    async def run(self) -> None:
        """For ever."""
        while True:
            self.nudge.clear()
            try:
                rest_s = await self.turn()
            except (Exception, asyncio.CancelledError) as error:
                _end_if_cancelled(error)
                rest_s = self._failed(error)
            else:
                _end_if_cancelled(None)
                self.backoff.reset()
                self.line.monitor.fine(self.name)
            self.stamp()
            await asyncio.sleep(0)
            await self.rest(rest_s)

    @abstractmethod
    async def turn(self) -> float:
        """Do it once; returns how many seconds to rest, which a ring may shorten."""

    def lose_place(self) -> None:  # noqa: B027 - most loops keep nothing between turns
        """The last turn failed somewhere: what was assumed of either side no longer holds."""

    async def while_shut(self) -> None:  # noqa: B027 - most loops have nothing to do meanwhile
        """Called about every `SLICE_S` while the gate is shut or the hub wants to be left alone."""

    def stamp(self) -> None:
        """Count progress."""
        self.progress += 1

    async def ready(self) -> None:
        """Wait until the hub has welcomed us and wants to be asked; while waiting for one, the other may change."""
        while (left_s := self.line.wait_s()) > 0 or not (self.line.open.is_set() and self.needs.is_set()):
            await self.while_shut()
            if left_s > 0:
                await asyncio.sleep(min(left_s, SLICE_S))
            else:
                await happened(self.needs if self.line.open.is_set() else self.line.open, SLICE_S)
            self.stamp()

    async def obey_retry_after(self) -> None:
        """Nothing shortens this wait, no ring either."""
        while (left_s := self.line.wait_s()) > 0:
            await asyncio.sleep(min(left_s, SLICE_S))
            self.stamp()

    async def rest(self, seconds: float) -> None:
        """Wait; the doorbell ends it early."""
        end_s = now_s() + seconds
        while (left_s := end_s - now_s()) > 0:
            if await happened(self.nudge, min(left_s, SLICE_S)):
                await asyncio.sleep(min(left_s, self.line.randomness.uniform(0, RING_SPREAD_S)))
                return
            self.stamp()

    def _failed(self, error: BaseException) -> float:
        """Say it once, close the gate where the line is to blame; returns the pause."""
        kind = _kind(error)
        self.line.monitor.trouble(self.name, kind, _text(error), severs=self.vital or kind is TroubleKind.LINE,
                                  exception=error if kind is TroubleKind.STORE else None)
        if isinstance(error, LineDown):
            self.line.suspect(error.retry_after_s)
        if isinstance(error, Refused) and error.credential:
            self.backoff.to_cap()
        self.lose_place()
        return self.backoff.next_s()


async def happened(event: asyncio.Event, timeout_s: float) -> bool:
    """Whether the event is set, or becomes so within the time."""
    if event.is_set():
        return True
    try:
        async with asyncio.timeout(timeout_s):
            await event.wait()
    except TimeoutError:
        return False
    return True


def now_s() -> float:
    """The loop's time, virtual in a simulator."""
    return asyncio.get_running_loop().time()


def _end_if_cancelled(error: BaseException | None) -> None:
    """Raises `CancelledError` when somebody cancelled this task, whatever a library made of it on the way here."""
    task = asyncio.current_task()
    if task is not None and task.cancelling() > 0:
        raise asyncio.CancelledError from error


def _kind(error: BaseException) -> TroubleKind:
    match error:
        case LineDown():
            return TroubleKind.LINE
        case Refused():
            return TroubleKind.REFUSED
        case BadAnswer() | BadPage() | BadSnapshot() | Diverged():
            return TroubleKind.NONSENSE
        case BellLost():
            return TroubleKind.DOORBELL
        case _:
            return TroubleKind.STORE


def _text(error: BaseException) -> str:
    told = isinstance(error, LineDown | Refused | BadAnswer | BadPage | BadSnapshot | Diverged | BellLost)
    return str(error) if told else repr(error)
