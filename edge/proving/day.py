"""One simulated run from opening to judgement: set up, let everybody live and everything fail, mend, drain, judge."""

import asyncio
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass
from typing import Any

from edge.proving.after_the_day import AfterTheDay
from edge.proving.customers import Customers
from edge.proving.faults import Faults
from edge.proving.head_office import HeadOffice
from edge.proving.online_orders import OnlineShop
from edge.proving.pickup_crew import PickupCrew
from edge.proving.races import Races
from edge.proving.shoppers import Shoppers
from edge.proving.sightings import Finding
from edge.proving.staff import Staff
from edge.proving.stock_watch import StockWatch
from edge.proving.tills import Till
from edge.proving.world import World

OPENING_UNITS_MILLI = 60_000
SCARCE_UNITS_MILLI = 2_000
SET_UP_S_MAX = 3600.0
"""A store whose catalogue and labels are not there after this has a fault of its own."""

SET_UP_LOOK_S = 2.0
PUT_RIGHT_EVERY_S = 300.0
SALES_IN_A_RUSH = 2
MISTAKES_IN_A_RUSH = 3


@dataclass(slots=True)
class Day:
    """Everybody in it."""

    world: World
    office: HeadOffice
    tills: Sequence[Till]
    till_token: str
    staff: Staff
    shop: OnlineShop
    crew: PickupCrew
    shoppers: Shoppers
    customers: Customers
    faults: Faults
    races: Races
    watch: StockWatch

    async def run(self) -> tuple[list[Finding], int]:
        """The promises as they were found in the end, and how many facts the hub holds."""
        world = self.world
        shelf = asyncio.get_running_loop().create_task(world.floor.shelf.run(), name="shelf")
        watch = asyncio.get_running_loop().create_task(self._watch(), name="watch")
        world.box.power_up()
        await self._set_up()
        world.ends_s = asyncio.get_running_loop().time() + world.plan.duration_s
        shoppers = asyncio.get_running_loop().create_task(self.shoppers.run(), name="shoppers")
        holds = asyncio.get_running_loop().create_task(world.holds.watch(world, self.tills), name="holds")
        people = [self._alive(work) for work in (
            *(till.run() for till in self.tills), self.staff.run(), self.office.run(), self.shop.run(),
            self.crew.run(), self.customers.run(), self._put_right(), self._rush(), self.races.run(),
            self.faults.run())]
        await asyncio.gather(*people)
        found = await self._end_of_day()
        for task in (shelf, watch, shoppers, holds):
            task.cancel()
        for ended in await asyncio.gather(shelf, watch, shoppers, holds, return_exceptions=True):
            if isinstance(ended, Exception):
                raise ended
        return found

    async def _end_of_day(self) -> tuple[list[Finding], int]:
        world, after = self.world, AfterTheDay(self.world, self.tills, self.till_token, self.watch)
        await self.faults.heal()
        await asyncio.sleep(SET_UP_LOOK_S)
        await self.shoppers.done()
        await self.customers.done()
        await self.shop.done()
        for till in self.tills:
            await till.done()
            await till.close_days()
        await self._tidy_up()
        world.violations += await after.drain(self.staff.approve_held)
        self.staff.believe_the_wall()
        findings, facts = await after.findings(), await after.facts()
        await world.box.kill_daemon()
        await world.hub.crash()
        return findings, facts

    async def _tidy_up(self) -> None:
        """People do what only people can: what waits for a word is decided."""
        await self._put_right_now()
        for _ in range(3):
            await self.staff.approve_held()
            await asyncio.sleep(SET_UP_LOOK_S)

    async def _put_right(self) -> None:
        """Head office hears of what supervisors refused."""
        while not self.world.over:
            await asyncio.sleep(PUT_RIGHT_EVERY_S)
            await self._put_right_now()

    async def _put_right_now(self) -> None:
        refused = sorted(set(self.world.refused))
        self.world.refused.clear()
        await self.office.offers.put_right(refused)

    async def _set_up(self) -> None:
        """Wait for catalogue and labels, then fill the shelves."""
        world = self.world
        for _ in range(int(SET_UP_S_MAX / SET_UP_LOOK_S)):
            await asyncio.sleep(SET_UP_LOOK_S)
            priced = await self.tills[0].price(list(world.truth.items.values())[-1].code) is not None
            if world.box.up and priced and len(world.box.store.labels()) == world.plan.labels:
                break
        else:
            raise AssertionError("the store did not come up with its catalogue and labels")
        await self.staff.receive({sku: SCARCE_UNITS_MILLI if sku in world.scarce else OPENING_UNITS_MILLI
                                  for sku in world.truth.items})
        await self.staff.hang_all()

    async def _rush(self) -> None:
        """Now and then everybody wants something at once: sales and mistakes meet in one commit."""
        world = self.world
        randomness = world.plan.randomness("rush")
        while await world.pause(world.plan.rates.rushes, randomness):
            at_once = [self.staff.mistype() for _ in range(MISTAKES_IN_A_RUSH)]
            at_once += [till.serve(till.basket()) for till in self.tills for _ in range(SALES_IN_A_RUSH)]
            randomness.shuffle(at_once)
            await asyncio.gather(*at_once)

    async def _watch(self) -> None:
        """A daemon that ends by itself is a violation, and is started again."""
        world = self.world
        while True:
            failure = await world.box.failure()
            world.violations.append(f"bug: the daemon ended by itself: {failure!r}")
            await asyncio.sleep(1.0)
            if world.clock.on:
                await world.box.kill_daemon()
                world.box.start_daemon()

    def _alive(self, work: Coroutine[Any, Any, None]) -> "asyncio.Task[None]":
        return asyncio.get_running_loop().create_task(work)
