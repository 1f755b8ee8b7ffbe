"""The whole line of one store: hello first, then feeds and pushes, and the doorbell beside them."""

import asyncio
import random
from collections.abc import Callable, Mapping, Sequence

import msgspec

from cloud_sync.client.bell_loop import BellLoop
from cloud_sync.client.feeds import FeedLoop
from cloud_sync.client.ledger import PushLoop
from cloud_sync.client.limits import HELLO_AGAIN_MAX, HELLO_EVERY_S, SLICE_S
from cloud_sync.client.link_state import LinkMonitor, LinkState, Observer
from cloud_sync.client.loop import Line, Loop, happened, now_s
from cloud_sync.client.port import Doorbell, RebaseSide, StoreSide
from cloud_sync.client.transport import HubAddress
from cloud_sync.client.wire import HubCalls
from cloud_sync.contract.feeds import Feed
from cloud_sync.contract.ledger import Head, Verdict, Welcome


class HubLink:
    """Keeps one store and its hub telling the same story, for as long as `run` runs.

    `store` is the daemon's side, `doorbell` may be `None` (then polling only). `wall_ms` stamps what people see;
    nothing is decided by it. Everything else runs on the event loop's time. Without a `rebase` side a fork stays
    fenced. `enrolment` is shown to the hub's people.
    """

    def __init__(self, *, store_id: str, address: HubAddress, store: StoreSide, randomness: random.Random,
                 wall_ms: Callable[[], int], doorbell: Doorbell | None = None,
                 feeds: Sequence[Feed] = tuple(Feed), rebase: RebaseSide | None = None, enrolment: int = 0) -> None:
        self._hub = HubCalls(address, store_id)
        self._monitor = LinkMonitor(wall_ms)
        self._line = line = Line(self._monitor, randomness)
        self._watched: tuple[Loop, ...] = (
            HelloLoop(store, self._hub, line, rebase, enrolment),
            *(FeedLoop(feed, store, self._hub, line, _after(feed, feeds)) for feed in feeds),
            PushLoop(store, self._hub, line, rebase),
        )
        for feed, loop in zip(feeds, self._watched[1:], strict=False):
            if feed is Feed.ORDERS:  # what an order reserves follows from the ledger: not before it is whole
                loop.needs = line.agreed
        self._bell = BellLoop(doorbell, self.ring, line) if doorbell else None

    @property
    def state(self) -> LinkState:
        """The line now."""
        return self._monitor.state

    def observe(self, observer: Observer) -> None:
        """Hear of every change from now on; see `link_state.Observer`."""
        self._monitor.observe(observer)

    @property
    def hub(self) -> HubCalls:
        """The hub's calls, for somebody who asks by hand."""
        return self._hub

    @property
    def progress(self) -> Mapping[str, int]:
        """Per loop, how often it was seen to live. One that stands still for `limits.QUIET_S_MAX` hangs."""
        return {loop.name: loop.progress for loop in self._watched}

    def ring(self) -> None:
        """Pull now: bring forward whatever rests, except where the hub said Retry-After."""
        for loop in self._watched:
            loop.nudge.set()

    async def run(self) -> None:
        """Until cancelled; may then be run again. Whatever it knew, it begins with a hello."""
        self._line.suspect(retry_after_s=0)
        loops = (*self._watched, *((self._bell,) if self._bell else ()))
        for loop in loops:
            loop.lose_place()
        tasks = [asyncio.create_task(loop.run(), name=f"hub link: {loop.name}") for loop in loops]
        try:
            await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await self._hub.close()


class HelloLoop(Loop):
    """Says who we are: at the start, after every failure on the line, and every `HELLO_EVERY_S`."""

    vital = True

    def __init__(self, store: StoreSide, hub: HubCalls, line: Line, rebase: RebaseSide | None, enrolment: int) -> None:
        super().__init__("hello", line)
        self._store = store
        self._hub = hub
        self._rebase = rebase
        self._enrolment = enrolment
        self._turn = ""
        self._agains = 0

    async def turn(self) -> float:
        """Wait until a hello is due, and say it."""
        await self._until_due()
        await self.obey_retry_after()
        self.line.hello_due.clear()
        hello = msgspec.structs.replace(await self._store.hello(), enrolment=self._enrolment, life=self.line.life,
                                        answered=self._turn)
        welcome = await self._hub.hello(hello)
        self._turn = welcome.turn or self._turn
        if welcome.verdict == Verdict.AGAIN:
            return self._say_again()
        self._agains = 0
        was_displaced = self.line.displaced is not None
        self.line.welcomed(hello.box_epoch, welcome, doubtful=await self._is_doubtful(hello.head, welcome))
        if self.line.displaced is not None and not was_displaced:
            self.line.hello_due.set()  # answering its turn proves to the hub that two boxes are alive
        return 0

    def _say_again(self) -> float:
        """The hub wants to hear that this process lives."""
        self._agains += 1
        self.line.hello_due.set()
        return 0 if self._agains <= HELLO_AGAIN_MAX else self.line.randomness.uniform(0, SLICE_S)

    async def _is_doubtful(self, own_head: Head, welcome: Welcome) -> bool:
        """Whether the hub may hold what this ledger lacks: it says so, or its last entry is not ours.

        One before the oldest that is kept here cannot be compared: the push then says which entries are gone.
        """
        if self._rebase is None:
            return False
        if welcome.verdict == Verdict.REBASE or await self._rebase.under_way() is not None:
            return True
        ours = await self._store.entries_after(welcome.head.sequence, 0)
        if ours is None:
            return welcome.head.sequence > own_head.sequence
        return ours.previous_hash != welcome.head.hash

    def lose_place(self) -> None:
        self.line.hello_due.set()

    async def _until_due(self) -> None:
        end_s = now_s() + HELLO_EVERY_S
        while (left_s := end_s - now_s()) > 0:
            if await happened(self.line.hello_due, min(left_s, SLICE_S)):
                return
            self.stamp()


def _after(feed: Feed, feeds: Sequence[Feed]) -> Feed | None:
    """Orders are promised by the policy (what is kept back, how long they wait): not by defaults before it is known."""
    return Feed.POLICY if feed is Feed.ORDERS and Feed.POLICY in feeds else None
