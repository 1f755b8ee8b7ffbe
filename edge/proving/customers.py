"""Customers: they read what labels really show, walk for at most the grace, and pay. Nobody may pay more than was read
(P3): by lookup, by a whole basket, or at a till that charges by its copy of the price book.

Reading is done on the screens themselves, by the code that stands on them; what hangs where by the store's books, no
customer knows.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from edge.proving.catalogue import COUPONS
from edge.proving.errands import Errands
from edge.proving.shelf import Reading
from edge.proving.tills import MEMBER_SHARE, Till, Wanted
from edge.proving.world import World

READS_MAX = 4
BETWEEN_LABELS_S = (0.5, 15.0)
QUANTITY_MAX = 4
LAST_MOMENT_SHARE = 0.4
LAST_MOMENT_S = 0.3
"""How long before the end of the grace after the first reading those pay who take their time."""

WHOLE_BASKET_SHARE = 0.5
WAITS_S = (0.2, 3.0)
"""Nobody answers: a customer waits at the till, and then tries another."""

TRIES_MAX = 8


@dataclass(frozen=True, slots=True)
class _Taken:
    reading: Reading
    wanted: Wanted


class Customers:
    """Everybody who came to buy something."""

    def __init__(self, world: World, tills: Sequence[Till]) -> None:
        self._world = world
        self._tills = tills
        self._randomness = world.plan.randomness("customers")
        self._inside = Errands(world)

    async def run(self) -> None:
        """Come and go until the busy time is over."""
        world = self._world
        while await world.pause(world.plan.rates.customers, self._randomness):
            self._inside.begin(self._shop(), "a customer")

    async def done(self) -> None:
        """Wait for those who are still inside."""
        await self._inside.done()

    async def _shop(self) -> None:
        taken: list[_Taken] = []
        for _ in range(self._randomness.randint(1, READS_MAX)):
            one = self._takes()
            taken += [one] if one is not None else []
            await asyncio.sleep(self._randomness.uniform(*BETWEEN_LABELS_S))
        if taken:
            await self._walk(taken[0].reading.at_s)
            await self._pay(taken)

    def _takes(self) -> _Taken | None:
        """Reads a label that hangs somewhere, and takes what it names."""
        world = self._world
        labels = [label for label in world.floor.read_by_shoppers() if label not in world.floor.lost]
        if not labels:
            return None
        world.eyes.look()
        reading = world.witness.read(self._randomness.choice(labels), world.clock.powered_s())
        if reading is None:
            return None
        item = world.truth.on_label(reading.item)
        world.tally.note("read", reading.item, reading.price_minor)
        return _Taken(reading, Wanted(item.code, 1000 * self._randomness.randint(1, QUANTITY_MAX)))

    async def _walk(self, first_s: float) -> None:
        """To the till; some arrive at the last moment."""
        grace_s = self._world.plan.grace_s
        if self._randomness.random() < LAST_MOMENT_SHARE:
            await self._world.powered_until(first_s + grace_s - LAST_MOMENT_S)
        else:
            await asyncio.sleep(self._randomness.uniform(0.0, grace_s / 2))

    async def _pay(self, taken: Sequence[_Taken]) -> None:
        for _ in range(TRIES_MAX):
            till = self._randomness.choice(self._tills)
            paid = self._pay_basket if self._randomness.random() < WHOLE_BASKET_SHARE else self._pay_one_by_one
            if await paid(till, taken):
                return
            await asyncio.sleep(self._randomness.uniform(*WAITS_S))

    async def _pay_basket(self, till: Till, taken: Sequence[_Taken]) -> bool:
        """The whole basket at once; promotions may only lower what was read."""
        member = self._randomness.random() < MEMBER_SHARE
        wanted = [each.wanted for each in taken]
        coupons = COUPONS[:self._randomness.randrange(len(COUPONS) + 1)]
        priced = await till.receipt(wanted, member=member, coupons=coupons)
        if priced is None:
            return False
        receipt, asked = priced
        known = {line.line: line for line in receipt.lines}
        for number, each in enumerate(taken, start=1):
            line = known.get(number)
            if line is not None:
                self._world.witness.paid(each.reading, each.wanted.quantity_milli, line.net_minor, asked)
        till.sell_by(wanted, receipt, asked)
        self._world.tally.did("customers who paid a whole basket")
        return True

    async def _pay_one_by_one(self, till: Till, taken: Sequence[_Taken]) -> bool:
        priced = [(each, await till.quote(each.wanted.code)) for each in taken]
        if all(price is None for _, price in priced):
            return False
        for each, price in priced:
            if price is not None and price.judged:
                amount_minor = price.unit_minor * each.wanted.quantity_milli // 1000
                self._world.witness.paid(each.reading, each.wanted.quantity_milli, amount_minor, price.asked,
                                         price.copied_s)
        till.sell([(each.wanted, price) for each, price in priced])
        self._world.tally.did("customers who paid piece by piece")
        return True
