"""Scenes in which several people reach for the same goods: the last unit, and goods that somebody is just counting."""

import asyncio
from collections.abc import Coroutine, Sequence
from typing import Any

from edge.proving.online_orders import OnlineShop
from edge.proving.staff import Staff
from edge.proving.tills import Till
from edge.proving.world import World

LAST_UNITS_MAX = 2
WITHIN_S = 3.0
"""The line takes the order to the store in a moment, and the poll that fetches it may have just ended."""

SOLD_AWAY_S = (1.0, 200.0)
COUNTED_AFTER_S = (1.0, 60.0)


class Races:
    """`run` until the busy time is over."""

    def __init__(self, world: World, tills: Sequence[Till], staff: Staff, shop: OnlineShop) -> None:
        self._world = world
        self._tills = tills
        self._staff = staff
        self._shop = shop
        self._randomness = world.plan.randomness("races")

    async def run(self) -> None:
        """Both scenes, each now and then."""
        await asyncio.gather(self._reach_for_the_last(), self._count_what_was_sold())

    async def _reach_for_the_last(self) -> None:
        """A till and the web shop, or the web shop twice, want what is left of something scarce."""
        world, draw = self._world, self._randomness
        while await world.pause(world.plan.rates.races, draw):
            sku = draw.choice(world.scarce)
            milli = 1000 * draw.randint(1, LAST_UNITS_MAX)
            await self._staff.receive({sku: milli})
            wanted: list[Coroutine[Any, Any, object]] = [self._shop.order({sku: milli})]
            if draw.random() < 0.6:
                wanted.append(draw.choice(self._tills).serve([world.truth.items[sku].code]))
            if draw.random() < 0.6:
                wanted.append(self._shop.order({sku: milli}))
            world.tally.did("races for the last unit", sku, len(wanted))
            await asyncio.gather(*(self._soon(each) for each in wanted))

    async def _count_what_was_sold(self) -> None:
        """A till whose line is cut sells something; it is counted before anybody hears of the sale."""
        world, draw = self._world, self._randomness
        while await world.pause(world.plan.rates.counted_late, draw):
            till = draw.choice(self._tills)
            item = draw.choice(list(world.truth.items.values()))
            till.line.cut()
            await till.serve([item.code])
            await asyncio.sleep(draw.uniform(*SOLD_AWAY_S))
            await self._staff.count([item.sku])
            world.tally.did("counts before a late sale", item.sku)
            await asyncio.sleep(draw.uniform(*COUNTED_AFTER_S))
            till.line.mend()

    async def _soon(self, what: Coroutine[Any, Any, object]) -> None:
        await asyncio.sleep(self._randomness.uniform(0.0, WITHIN_S))
        await what
