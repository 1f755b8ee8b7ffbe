"""Pushing the ledger: the engine that knows where the hub stands (`LedgerPush`, pure) and the loop (`PushLoop`).

The hub's head decides, hash and all; nothing is remembered here that a hello does not tell again. After each hello
one push goes out even when it is empty: it carries our hash at the hub's head, so that both sides notice a fork.
"""

import asyncio
from collections import deque
from enum import Enum

import msgspec

from cloud_sync.client.errors import BadAnswer, Refused
from cloud_sync.client.limits import PUSH_BYTES_MAX, PUSH_COALESCE_S, PUSH_ENTRIES_MAX, SLICE_S
from cloud_sync.client.link_state import Fence, FenceReason
from cloud_sync.client.loop import Backoff, Line, Loop, happened
from cloud_sync.client.port import RebaseSide, StoreSide, Stretch
from cloud_sync.client.rebase import Rebase
from cloud_sync.client.wire import HubCalls
from cloud_sync.contract.ledger import Entry, Fenced, Gap, Head, Push, Pushed, Welcome

_TOO_LARGE = 413
_FORKED = (FenceReason.FORK, FenceReason.AHEAD)


class PushState(Enum):
    """UNKNOWN: a hello has to say where the hub stands. FENCED: pushing would be wrong, see `LedgerPush.fence`."""

    UNKNOWN = "unknown"
    PUSHING = "pushing"
    FENCED = "fenced"


class LedgerPush:
    """Where the hub stands in this ledger, and what to send next. Pure; sequences count within `epoch`.

    `position`: the hub's head, `None` before it said. `verified`: the hub has agreed with our hash there. `resting`:
    nothing was left behind the last push.
    """

    def __init__(self) -> None:
        self.state = PushState.UNKNOWN
        self.epoch = 0
        self.position: int | None = None
        self.verified = False
        self.resting = False
        self.fence: Fence | None = None
        self.entries_max = PUSH_ENTRIES_MAX

    def welcomed(self, epoch: int, head: Head) -> None:
        """The hub says where this epoch ends at its side."""
        self.state, self.epoch, self.position = PushState.PUSHING, epoch, head.sequence
        self.verified = self.resting = False

    def lose_place(self) -> None:
        """Something failed: only the hub knows what it took."""
        if self.state is PushState.PUSHING:
            self.state = PushState.UNKNOWN

    def offer(self, stretch: Stretch | None, own_head: Head) -> Push | None:
        """What to push of the entries behind `position`; `None` when there is nothing, or nothing may be.

        Raises `ValueError` for entries that do not follow each other: the ledger is not what it must be.
        """
        assert self.position is not None, "there is no offer before a welcome"
        if not self._usable(stretch, self.position, own_head):
            return None
        assert stretch is not None
        _check_gapless(stretch, self.position)
        entries = _fitting(stretch.entries)
        self.resting = len(entries) == len(stretch.entries) < self.entries_max
        if not entries and self.verified:
            return None
        return Push(self.epoch, self.position + 1, stretch.previous_hash, entries)

    def pushed(self, push: Push, answer: Pushed) -> None:
        """The hub has committed up to there. Raises `BadAnswer` for what it cannot have."""
        before, after = push.first_sequence - 1, push.first_sequence - 1 + len(push.entries)
        if not before <= answer.acked_sequence <= after:
            raise BadAnswer(f"sequence {answer.acked_sequence} acknowledged, {before + 1} to {after} sent")
        if answer.acked_sequence == before and push.entries:
            raise BadAnswer(f"nothing acknowledged of {push.first_sequence} to {after}")
        if answer.acked_sequence < after:
            self.resting = False
        self.position, self.verified = answer.acked_sequence, True
        self.entries_max = min(PUSH_ENTRIES_MAX, self.entries_max * 2)
        self.fence = None

    def gap(self, push: Push, gap: Gap, stretch: Stretch | None, own_head: Head) -> None:
        """The hub ends elsewhere, at `gap.expected_sequence` − 1; `stretch` is ours there (only the hash counts).

        Equal hashes: go on from there. Another one, or none: FENCED. Raises `BadAnswer` for an impossible sequence.
        """
        theirs = gap.expected_sequence - 1
        if theirs < 0:
            raise BadAnswer(f"sequence {gap.expected_sequence} expected: they count from 1")
        if not self._usable(stretch, theirs, own_head):
            return
        assert stretch is not None
        if stretch.previous_hash != gap.head_hash:
            self._shut(FenceReason.FORK, theirs, f"hash {gap.head_hash} at the hub, {stretch.previous_hash} here")
        elif gap.expected_sequence == push.first_sequence:
            self._shut(FenceReason.BROKEN, theirs, f"the hub calls it a {gap.reason} although the heads agree")
        else:
            self.position, self.resting, self.verified, self.fence = theirs, False, True, None

    def too_large(self) -> bool:
        """The hub takes less at once; returns whether there is anything left to halve."""
        self.resting = False
        if self.entries_max == 1:
            return False
        self.entries_max //= 2
        return True

    def _usable(self, stretch: Stretch | None, sequence: int, own_head: Head) -> bool:
        """Whether the ledger holds entry `sequence`, in the epoch that the hub spoke of."""
        if stretch is None and own_head.sequence < sequence:
            self._shut(FenceReason.AHEAD, sequence, f"this ledger ends at {own_head.sequence}")
        elif stretch is None:
            self._shut(FenceReason.PRUNED, sequence, f"entry {sequence} and those before it are no longer kept")
        elif stretch.epoch != self.epoch:
            self.state = PushState.UNKNOWN
        else:
            return True
        return False

    def _shut(self, reason: FenceReason, sequence: int, detail: str) -> None:
        self.state, self.fence = PushState.FENCED, Fence(reason, self.epoch, sequence, detail)


class PushLoop(Loop):
    """Sends what the store appends, as soon as it is there, and remembers what the hub took."""

    def __init__(self, store: StoreSide, hub: HubCalls, line: Line, rebase: RebaseSide | None = None) -> None:
        super().__init__("ledger", line)
        self._store = store
        self._hub = hub
        self._side = rebase
        self._rebase = Rebase(store, rebase, hub, line, self.stamp) if rebase else None
        self._engine = LedgerPush()
        self._older: deque[tuple[int, Head, Head]] = deque()
        self._unsettled = Backoff(line.randomness)

    async def turn(self) -> float:
        """One stretch of the ledger, or a wait for one."""
        await self.ready()
        if self.line.displaced is not None:
            return await self._stand_aside(self.line.displaced)
        if self._rebase is not None and await self._rebase.step():
            self._engine.lose_place()
            self.line.monitor.fence(None)
            return 0
        await self._listen_to_hello()
        if self.line.doubtful and self._rebase is not None:
            return 0
        engine = self._engine
        if engine.state is PushState.PUSHING:
            if engine.resting and await happened(self._store.new_entries, SLICE_S):
                await asyncio.sleep(PUSH_COALESCE_S)
            await self._send(engine.position or 0)
        await self.while_shut()
        if engine.state is PushState.UNKNOWN:
            self.line.hello_due.set()
            return self._unsettled.next_s()
        self._unsettled.reset()
        if self._rebase is not None and engine.fence is not None and engine.fence.reason in _FORKED:
            self.line.doubt()
        else:
            self.line.monitor.fence(engine.fence)
        return 0

    def lose_place(self) -> None:
        """A hello follows, whoever was to blame: after a lost answer only the hub knows whether it committed."""
        self._engine.lose_place()
        self.line.hello_due.set()

    async def while_shut(self) -> None:
        """Count the backlog, so that people see it grow."""
        head, position = await self._store.head(), self._engine.position
        self.line.monitor.ledger(position, max(0, head.sequence - (position or 0)))

    async def _listen_to_hello(self) -> None:
        """Take the newest welcome; without a place in the ledger, wait for one."""
        if self._engine.state is not PushState.PUSHING:
            await happened(self.line.fresh_welcome, SLICE_S)
        welcome = self.line.welcome
        if self.line.fresh_welcome.is_set() and welcome is not None:
            self.line.fresh_welcome.clear()
            if self._rebase is not None and await self._rebase.parted(welcome):
                self.line.doubt()
            self._older = deque(await self._lacking(welcome)) if self._side else deque()
            self._engine.welcomed(self.line.epoch, welcome.head)
            self._next_epoch(welcome.head)

    async def _lacking(self, welcome: Welcome) -> list[tuple[int, Head, Head]]:
        """Older epochs of which a restored hub lacks the end: number, its end and ours."""
        assert self._side is not None
        ours = await self._side.older_heads()
        theirs = [welcome.heads.get(str(epoch), Head()) for epoch, _ in ours]
        return [(epoch, held, head) for (epoch, head), held in zip(ours, theirs, strict=True)
                if held.sequence < head.sequence]

    def _next_epoch(self, newest: Head) -> None:
        """Push the oldest epoch that lacks something, the one we write in last."""
        if self._older:
            epoch, held, _ = self._older[0]
            self._engine.welcomed(epoch, held)
        elif self._engine.epoch != self.line.epoch:
            self._engine.welcomed(self.line.epoch, newest)

    async def _stand_aside(self, fence: Fence) -> float:
        """Another box speaks for the store; a hello every now and then says whether that has changed."""
        self._engine.lose_place()
        self.line.monitor.fence(fence)
        await self.while_shut()
        await happened(self.line.fresh_welcome, SLICE_S)
        self.line.fresh_welcome.clear()
        return 0

    async def _send(self, position: int) -> None:
        engine, store = self._engine, self._store
        store.new_entries.clear()
        stretch = await self._entries_after(position, engine.entries_max)
        push = engine.offer(stretch, await self._head())
        if push is None:
            self._older_is_done()
            return
        push = msgspec.structs.replace(push, life=self.line.life,
                                       box_epoch=self.line.epoch if self._older else 0)
        try:
            answer = await self._hub.push(push)
        except Refused as refused:
            if refused.status == _TOO_LARGE and engine.too_large():
                return
            raise
        self.line.monitor.contact()
        if isinstance(answer, Fenced):
            engine.lose_place()
            return
        if isinstance(answer, Gap):
            ours = await self._entries_after(max(0, answer.expected_sequence - 1), 0)
            engine.gap(push, answer, ours, await self._head())
        else:
            engine.pushed(push, answer)
        if engine.state is PushState.PUSHING and engine.position is not None:
            await store.acknowledged(engine.epoch, engine.position)
        if engine.resting:
            self._older_is_done()

    async def _entries_after(self, sequence: int, count_max: int) -> Stretch | None:
        if self._older and self._side is not None:
            return await self._side.older_entries(self._older[0][0], sequence, count_max)
        return await self._store.entries_after(sequence, count_max)

    async def _head(self) -> Head:
        return self._older[0][2] if self._older else await self._store.head()

    def _older_is_done(self) -> None:
        if self._older and self.line.welcome is not None:
            self._older.popleft()
            self._next_epoch(self.line.welcome.head)


def _check_gapless(stretch: Stretch, position: int) -> None:
    for expected, entry in enumerate(stretch.entries, start=position + 1):
        if entry.sequence != expected:
            raise ValueError(f"ledger entry {entry.sequence} stands where {expected} belongs")


def _fitting(entries: tuple[Entry, ...]) -> tuple[Entry, ...]:
    """As many as fit into one push, at least one."""
    size = 0
    for count, entry in enumerate(entries):
        size += memoryview(entry.payload).nbytes
        if size > PUSH_BYTES_MAX and count > 0:
            return entries[:count]
    return entries
