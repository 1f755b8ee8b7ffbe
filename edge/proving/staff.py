"""Staff: they hang labels, move them, take broken ones off and put them back, receive goods.

Everything somebody does carries an id and is done again until it was acknowledged, as the staff page does it.
"""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from functools import partial
from typing import Any

from drivers.port import LabelId
from edge.proving.ports import SHOWN, RunningStore
from edge.proving.process import Gone
from edge.proving.world import World

TRY_AGAIN_S = 2.0
TRIES_MAX = 3_000
TWICE_LABELLED = 8
"""So many products have two labels from the start: an end cap and their place in the aisle."""

EXCLUDED_S = (20.0, 900.0)
APPROVE_EVERY_S = 120.0
REFUSES_SHARE = 0.3
READ_REPORT_EVERY_S = 60.0
LOOK_AT_LABELS_EVERY_S = 97.0
RECEIVED_UNITS = (20, 400)
COUNTED_UNITS = (0, 120)

Act = Callable[[RunningStore], Coroutine[Any, Any, object]]


def _refuse(digest: str, store: RunningStore) -> Coroutine[Any, Any, None]:
    return store.refuse(digest)


class Staff:
    """Two hands: one thing after the other."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._randomness = world.plan.randomness("staff")
        self._acts = 0
        self._hands = asyncio.Lock()

    async def run(self) -> None:
        """Work until the busy time is over."""
        rates = self._world.plan.rates
        await asyncio.gather(
            self._now_and_then(rates.rebinds, self._rebind), self._now_and_then(rates.exclusions, self._exclude_awhile),
            self._now_and_then(rates.lights, self._light), self._now_and_then(rates.receipts, self._receive_some),
            self._now_and_then(rates.counts, self._count_some),
            self._approve(), self._look_at_labels())

    async def hang_all(self) -> None:
        """Before opening: every label that was heard gets a product."""
        world = self._world
        skus = list(world.truth.items)
        for place, label in enumerate(world.floor.labels):
            await self.bind(label, skus[place % (len(world.floor.labels) - TWICE_LABELLED)])

    async def receive(self, quantities_milli: dict[str, int]) -> None:
        """Goods came in."""
        self._acts += 1
        movement_id = f"delivery-{self._acts}"
        self._world.delivered[movement_id] = quantities_milli
        await self._do(lambda store: store.receive(movement_id, quantities_milli))
        self._world.witness.acknowledged(f"movement/{movement_id}")

    async def bind(self, label: LabelId, sku: str) -> None:
        """Hang a label under a product."""
        item = self._world.truth.items[sku]
        async with self._hands:
            self._world.floor.bound(label, sku)
            await self._act(label, "bind", lambda store, act_id: store.bind(label, item.code, act_id), on_shelf=True)

    async def take_off(self, label: LabelId, reason: str) -> None:
        """A label does not count any more."""
        async with self._hands:
            await self._act(label, "exclude", lambda store, act_id: store.exclude(label, act_id, reason),
                            off_shelf=True)

    async def put_back(self, label: LabelId) -> None:
        """It counts again."""
        async with self._hands:
            await self._act(label, "include", lambda store, act_id: store.include(label, act_id), on_shelf=True)

    async def approve_held(self) -> None:
        """Say yes to whatever the price guard holds."""
        await self._do(lambda store: store.approve_held())

    async def told_of(self, label: LabelId) -> bool:
        """Wait until the store says that a price waits for this label; false when the busy time is over before."""
        world = self._world
        while not world.over:
            await asyncio.sleep(READ_REPORT_EVERY_S)
            if world.box.up and label in world.box.store.labels_waited_for():
                world.tally.did("lost labels named by the store", label)
                return True
        return False

    # --- what they do all day -----------------------------------------------------------------------------------

    async def _now_and_then(self, per_hour: float, do: Callable[[], Coroutine[Any, Any, None]]) -> None:
        while await self._world.pause(per_hour, self._randomness):
            await do()

    async def _rebind(self) -> None:
        """A label moves to another product; sometimes it hangs under none in between."""
        label = self._randomness.choice(list(self._world.floor.hangs))
        if label in self._world.floor.off_shelf:
            return
        if self._randomness.random() < 0.25:
            async with self._hands:
                await self._act(label, "unbind", lambda store, act_id: store.unbind(label, act_id), off_shelf=True)
            await asyncio.sleep(self._randomness.uniform(1, 120))
        await self.bind(label, self._randomness.choice(list(self._world.truth.items)))

    async def _exclude_awhile(self) -> None:
        labels = self._world.floor.read_by_shoppers()
        if not labels:
            return
        label = self._randomness.choice(labels)
        await self.take_off(label, "a trolley ran into it")
        await asyncio.sleep(self._randomness.uniform(*EXCLUDED_S))
        if label not in self._world.floor.lost:
            await self.put_back(label)

    async def _light(self) -> None:
        label = self._randomness.choice(list(self._world.floor.labels))
        try:
            await self._world.box.do(lambda store: store.light(label))
        except Gone:
            return

    async def _receive_some(self) -> None:
        skus = self._randomness.sample([sku for sku in self._world.truth.items if sku not in self._world.scarce], 5)
        await self.receive({sku: 1000 * self._randomness.randint(*RECEIVED_UNITS) for sku in skus})

    async def _count_some(self) -> None:
        await self.count(self._randomness.sample(list(self._world.truth.items), 5))

    async def count(self, skus: Sequence[str]) -> None:
        """Somebody counts a few products; what is found is never quite what the books say."""
        self._acts += 1
        count_id = f"count-{self._acts}"
        counted = {sku: 1000 * self._randomness.randint(*COUNTED_UNITS) for sku in skus}
        await self._do(lambda store: store.count(count_id, counted))
        self._world.tally.note("count", count_id)
        self._world.witness.acknowledged(f"count/{count_id}")

    async def _approve(self) -> None:
        while not self._world.over:
            await asyncio.sleep(APPROVE_EVERY_S)
            await self._refuse_some()
            await self.approve_held()

    async def _refuse_some(self) -> None:
        """A supervisor says no to everyday prices that look wrong; head office will hear of it, whatever came of it."""
        world = self._world
        for digest, skus in (world.box.store.refusable() if world.box.up else {}).items():
            if self._randomness.random() < REFUSES_SHARE:
                world.refused += skus
                world.tally.did("price batches refused", digest)
                await self._do(partial(_refuse, digest))

    async def _look_at_labels(self) -> None:
        """Somebody looks at the wall of labels and believes what is green."""
        while not self._world.over:
            await asyncio.sleep(LOOK_AT_LABELS_EVERY_S)
            self.believe_the_wall()

    def believe_the_wall(self) -> None:
        """Tell the witness what the store says that labels show."""
        world = self._world
        if not world.box.up:
            return
        began_s = world.begun()
        for each in world.box.store.labels():
            if each.state == SHOWN and each.sku is not None:
                world.witness.label_claimed_shown(each.label, each.sku, world.asked(began_s))

    async def mistype(self) -> None:
        """A hurried hand gives a label's address that nobody has heard of."""
        self._acts += 1
        act_id = f"mistyped-{self._acts}"
        try:
            await self._world.box.do(lambda store: store.exclude("00000000000000ff", act_id, "mistyped"))
        except Gone:
            return
        except Exception as refusal:  # whatever the store says to nonsense; a bug of its own is in its log
            self._world.tally.note("refused", type(refusal).__name__)

    # --- doing things until they are acknowledged ----------------------------------------------------------------

    async def _act(self, label: LabelId, name: str, act: Callable[[RunningStore, str], Coroutine[Any, Any, object]],
                   *, on_shelf: bool = False, off_shelf: bool = False) -> None:
        """One act on a label. Shoppers stop trusting it when it is begun, and trust it again when it is done."""
        world = self._world
        self._acts += 1
        act_id = f"{name}-{self._acts}"
        began_s = world.begun()
        world.eyes.look()
        if off_shelf:
            world.floor.off_shelf.add(label)
            world.witness.off_shelf(label, world.asked(began_s))
        await self._do(lambda store: act(store, act_id))
        world.witness.acknowledged(f"staff/{act_id}")
        world.tally.note("act", act_id, label)
        world.eyes.look()
        if on_shelf:
            world.holds.begin_anew(*world.floor.recent.get(label, ()))
            world.floor.off_shelf.discard(label)
            world.witness.on_shelf(label, world.asked(began_s))

    async def _do(self, act: Act) -> None:
        """Again and again: the store may be down, or may not know the product again yet. Raises what lasts."""
        for attempt in range(TRIES_MAX):
            try:
                await self._world.box.do(act)
            except Gone:
                await asyncio.sleep(TRY_AGAIN_S)
            except Exception as refusal:
                if attempt == TRIES_MAX - 1:
                    raise
                self._world.tally.note("refused", type(refusal).__name__)
                await asyncio.sleep(TRY_AGAIN_S)
            else:
                return
        raise AssertionError("the store was down all the time")
