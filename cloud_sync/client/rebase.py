"""Taking up the store's story again after a restore: find the fork, ask for a new epoch, take history back.

One bounded step at a time; what was done is kept by the store in the transaction that did it, so that a kill at any
point goes on from there (DESIGN.md section 10). The store sells on throughout and pushes again at the end.
"""

from collections.abc import Callable

from cloud_sync.client.errors import BadAnswer
from cloud_sync.client.loop import Line
from cloud_sync.client.port import Asking, Moving, RebaseSide, StoreSide, Taking
from cloud_sync.client.wire import HubCalls
from cloud_sync.contract.ledger import GENESIS_HASH, Fenced, Head, Welcome, chain_breaks_at
from cloud_sync.contract.rebase import EpochRequest, PastPage, Probes, probe_sequences


class Rebase:
    """Driven by the ledger's loop, which pushes nothing while `step` has something to do."""

    def __init__(self, store: StoreSide, side: RebaseSide, hub: HubCalls, line: Line,
                 stamp: Callable[[], None] = lambda: None) -> None:
        self._store = store
        self._side = side
        self._hub = hub
        self._line = line
        self._stamp = stamp
        self._settled: tuple[int, Head] | None = None
        """An older epoch that was looked at, with its end at the hub: what is too old to be kept here comes once."""

    async def step(self) -> bool:
        """Do the next piece; returns whether there was one. Raises what the line and the store raise."""
        under_way = await self._side.under_way()
        match under_way:
            case Asking():
                await self._ask(under_way)
            case Moving():
                await self._side.move()
            case Taking():
                await self._take(under_way)
            case None if self._line.doubtful:
                await self._look()
            case None:
                self._line.monitor.rebasing("")
                return False
        return True

    async def parted(self, welcome: Welcome) -> tuple[int, Head] | None:
        """The first epoch before this one, and its end here, in which the hub holds what this ledger does not.

        A restored hub may not know that the epoch is over, and take what another box that lives in it has to say.
        """
        for epoch, end in await self._side.older_heads():
            held = welcome.heads.get(str(epoch), Head())
            ours = await self._side.probes(epoch, [held.sequence]) if held.sequence else []
            unknown = ours[0].hash != held.hash if ours else held.sequence > end.sequence
            if unknown and (epoch, held) != self._settled:
                return epoch, end
        return None

    async def _look(self) -> None:
        """Whether the hub really holds what this ledger lacks, and from where on."""
        self._line.monitor.rebasing("looking for the last entry that hub and store have in common")
        hello, welcome = await self._store.hello(), self._line.welcome
        older = await self.parted(welcome) if welcome is not None else None
        epoch, head = older or (hello.box_epoch, hello.head)
        low, high, closed, end = Head(), head.sequence, False, Head()
        while True:
            asked = await self._side.probes(epoch, probe_sequences(low.sequence, high))
            located = await self._hub.locate(Probes(epoch, tuple(asked)))
            self._line.monitor.contact()
            closed, end = located.closed, located.head
            low = located.common if located.common.sequence > low.sequence else low
            above = [head.sequence for head in asked if head.sequence > low.sequence]
            high = above[0] - 1 if above else low.sequence
            if high <= low.sequence:
                break
        if older is not None:
            self._settled = epoch, end
        if end.sequence > low.sequence or (closed and older is None):
            await self._side.begin(epoch, low)
        else:  # entries that were on their way looked as if they were the hub's own
            self._hello_again()

    async def _ask(self, asking: Asking) -> None:
        self._line.monitor.rebasing(f"asking for a new epoch after entry {asking.common.sequence} of {asking.epoch}")
        asked = EpochRequest(asking.request, self._line.life, asking.epoch, asking.common)
        grant = await self._hub.ask_epoch(asked)
        self._line.monitor.contact()
        if isinstance(grant, Fenced):
            await self._side.give_up()
            self._hello_again()
        elif grant.epoch <= asking.epoch or grant.after_epoch != asking.epoch or grant.common != asking.common:
            raise BadAnswer(f"epoch {grant.epoch} after {grant.after_epoch}/{grant.common.sequence} does not answer "
                            f"what was asked behind {asking.epoch}/{asking.common.sequence}")
        else:
            await self._side.granted(grant)

    async def _take(self, taking: Taking) -> None:
        self._line.monitor.rebasing(f"taking history back, now at {taking.after[0]}/{taking.after[1]}")
        page = await self._hub.history(taking.after, taking.before, self._stamp)
        self._line.monitor.contact()
        check_page(self._hub.store, taking, page)
        await self._side.take(page)
        if page.end:
            self._hello_again()

    def _hello_again(self) -> None:
        """Only a fresh welcome says where we stand now."""
        self._line.doubtful = False
        self._line.fresh_welcome.clear()
        self._line.hello_due.set()


def check_page(store: str, taking: Taking, page: PastPage) -> None:
    """Raises `BadAnswer` for history that does not follow from what was taken before it."""
    if not page.entries and not page.end:
        raise BadAnswer("a page of history without entries, and not the last one")
    (epoch, sequence), before = taking.after, taking.after_hash
    for past in page.entries:
        if past.epoch < epoch or past.epoch >= taking.before:
            raise BadAnswer(f"history of epoch {past.epoch}, asked from {epoch} to before {taking.before}")
        if past.epoch > epoch:
            epoch, sequence, before = past.epoch, 0, GENESIS_HASH
        if past.entry.sequence != sequence + 1:
            raise BadAnswer(f"entry {past.entry.sequence} of epoch {epoch} stands where {sequence + 1} belongs")
        if chain_breaks_at(store, epoch, before, (past.entry,)) is not None:
            raise BadAnswer(f"the hash of entry {past.entry.sequence} of epoch {epoch} does not follow")
        sequence, before = past.entry.sequence, past.entry.hash
