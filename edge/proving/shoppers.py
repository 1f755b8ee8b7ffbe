"""Shoppers: they read a shelf, walk for at most the grace, and ask a till. The witness judges what they are charged.

The cruellest shopper reads a screen in the moment before it changes and pays in the last moment of the grace.
"""

import asyncio
import itertools
from collections.abc import Coroutine

from drivers.port import LabelId
from edge.proving.errands import Errands
from edge.proving.plan import CLEAR_OUT_S, OPENS_MINUTE
from edge.proving.sightings import Span
from edge.proving.tills import Till
from edge.proving.world import LOOK_EVERY_S, World

LAST_MOMENT_S = 0.3
"""How long before the end of the grace the cruellest shopper asks."""

ASK_AGAIN_S = 0.2
"""A shopper whose store is down waits at the till, as long as the grace lasts."""

COMPARE_CLAIMS_EVERY_S = 30.0
CLOCK_TOLERANCE_S = 130.0
"""A wall clock that is believed may be wrong by two minutes; so many earlier is everybody out."""

ASK_AROUND = 5
ASK_AROUND_EVERY_S = 0.02
ASK_EVERYTHING_S = 600.0
"""How often somebody walks through the whole store with a price checker."""


class Shoppers:
    """Everybody who looks at labels."""

    def __init__(self, world: World, tills: list[Till]) -> None:
        self._world = world
        self._tills = tills
        self._randomness = world.plan.randomness("shoppers")
        self._walking = Errands(world)

    async def run(self) -> None:
        """Come and go until the busy time is over."""
        await asyncio.gather(self._come(), self._check_everything(), self._watch_screens(), self._compare_claims(),
                             self._go_home())

    async def done(self) -> None:
        """Wait for those who still walk."""
        await self._walking.done()

    async def _come(self) -> None:
        world = self._world
        while await world.pause(world.plan.rates.shoppers, self._randomness):
            labels = world.floor.read_by_shoppers()
            if labels:
                sku = world.floor.hangs[self._randomness.choice(labels)]
                self._walk(self._ask_within(sku, self._randomness.uniform(0, world.plan.grace_s)))

    async def _check_everything(self) -> None:
        while not self._world.over:
            for item in tuple(self._world.truth.items.values()):
                await self._tills[0].price(item.code)
            await asyncio.sleep(ASK_EVERYTHING_S)

    async def _watch_screens(self) -> None:
        """Tell the witness what screens did, and send the cruellest shoppers after every change."""
        world = self._world
        while True:
            before = {address: (len(label.said_done), len(label.history))
                      for address, label in world.floor.labels.items()}
            world.eyes.look()
            world.witness.look_back(world.clock.powered_s() - LOOK_EVERY_S)
            await asyncio.sleep(LOOK_EVERY_S)
            for address, label in tuple(world.floor.labels.items()):
                done, changes = before.get(address, (0, 0))
                for said in label.said_done[done:]:
                    self._claims_will_end(address, said.at_s + label.tag_type.settle_s)
                for change in label.history[changes:]:
                    self._screen_changed(address, change.at_s, change.version)

    async def _compare_claims(self) -> None:
        """What stands on a screen, the store must know of: again and again, and at once after a new start."""
        self._world.box.opened = self._compare_claims_now
        while True:
            await asyncio.sleep(COMPARE_CLAIMS_EVERY_S)
            if self._world.box.up:
                self._compare_claims_now()

    def _compare_claims_now(self) -> None:
        world = self._world
        world.eyes.look()
        world.violations += world.witness.claims_stand(world.box.store.open_claims())

    async def _go_home(self) -> None:
        """A store that keeps hours is empty some time after it closed, and fills again when it opens."""
        plan, loop = self._world.plan, asyncio.get_running_loop()
        closes_minute = plan.closes_minute
        if closes_minute is None:
            return
        for day in itertools.count():
            gone_s = self._seconds_until(day, closes_minute) + CLEAR_OUT_S - CLOCK_TOLERANCE_S
            await asyncio.sleep(max(0.0, gone_s - loop.time()))
            away_s = self._seconds_until(day + 1, OPENS_MINUTE) - loop.time()
            now_s = self._world.clock.powered_s()
            self._world.witness.nobody_there(Span(now_s, now_s + away_s))

    def _screen_changed(self, label: LabelId, at_s: float, version: str) -> None:
        """Whatever stood there before, somebody had just read it."""
        world = self._world
        world.tally.note("screen", label, version)
        latest_s = world.clock.powered_at(at_s) + world.plan.grace_s - LAST_MOMENT_S
        for sku in world.floor.recent.get(label, ()):
            self._walk(self._ask_at(sku, latest_s))

    def _claims_will_end(self, label: LabelId, settled_s: float) -> None:
        """Somebody asks in the very moment in which the store may let go of what the label showed before."""
        ends_s = self._world.clock.powered_at(min(settled_s, asyncio.get_running_loop().time()))
        ends_s += max(0.0, settled_s - asyncio.get_running_loop().time()) + self._world.plan.grace_s
        for sku in self._world.floor.recent.get(label, ()):
            self._walk(self._ask_around(sku, ends_s))

    def _walk(self, walk: Coroutine[None, None, None]) -> None:
        self._walking.begin(walk, "a shopper")

    async def _ask_within(self, sku: str, walk_s: float) -> None:
        await asyncio.sleep(walk_s)
        await self._ask(sku)

    async def _ask_at(self, sku: str, powered_s: float) -> None:
        """Ask at that moment, or as soon after it as the store answers again."""
        await self._world.powered_until(powered_s)
        for _ in range(20):
            if await self._ask(sku) is not None:
                return
            await asyncio.sleep(ASK_AGAIN_S)

    async def _ask_around(self, sku: str, powered_s: float) -> None:
        await self._world.powered_until(powered_s)
        for _ in range(ASK_AROUND):
            await self._ask(sku)
            await asyncio.sleep(ASK_AROUND_EVERY_S)

    def _seconds_until(self, day: int, minute: int) -> float:
        """A minute after local midnight of a day of the run, on the loop's clock."""
        return (day * 1440 + minute - self._world.plan.start_minute) * 60.0

    async def _ask(self, sku: str) -> int | None:
        till = self._randomness.choice(self._tills)
        return await till.price(self._world.truth.items[sku].code)
