"""Customers who order online and collect in the store, and the staff who pick for them.

Goods are received for the orders, but less than everybody wants, and some of them go over the tills as well, so that
some orders must be turned away (P5). A few customers cancel, some of them too late.
"""

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from edge.proving.stage.goods import Goods
from edge.proving.stage.http_line import LineBroken
from edge.proving.stage.hub_operator import HubOperator, HubRefused, OrderLine
from edge.proving.stage.play import Play
from edge.proving.stage.staff_hands import Pickup, StaffHands

LINES_MAX = 3
UNITS_MAX = 2
UNIT_MILLI = 1000
CONTESTED_SHARE = 0.06
"""Lines with goods that tills sell too, as fast as they come in."""

CANCEL_SHARE = 0.08
LATE_CANCEL_SHARE = 0.25
"""Of those who cancel: after they have collected."""

DELIVERY_UNITS = (2, 12)
DELIVERIES_EVERY_S = 4.0
STEP_PAUSE_S = 0.25
"""How long a pair of hands takes for a step."""

LOOK_EVERY_S = 0.3
CUSTOMERS = ("Ana", "Luis", "Carmen", "Jordi", "Maite", "Xoán", "Pilar", "Amin", "Elena", "Pau")
_FINISHED = frozenset({"handed_over", "rejected", "cancelled", "expired"})


@dataclass(slots=True)
class Order:
    """An order as its customer knows it."""

    order_id: str
    lines: tuple[OrderLine, ...]
    code: str
    cancels: bool = False
    cancels_late: bool = False
    state: str = "placed"


class OrderCrowd:
    """`quiet`: goods that hardly anybody buys in the store; `contested`: goods that many do. `pause_s`: between two
    orders."""

    def __init__(self, hub: HubOperator, play: Play, quiet: Sequence[Goods], contested: Sequence[Goods],
                 randomness: random.Random, pause_s: float) -> None:
        self.orders: dict[str, Order] = {}
        self._hub = hub
        self._play = play
        self._quiet = list(quiet)
        self._contested = list(contested)
        self._randomness = randomness
        self._pause_s = pause_s
        self._taken: set[str] = set()
        self._deliveries = 0

    def counts(self) -> Counter[str]:
        """Orders by where they stand as far as staff saw."""
        return Counter(order.state for order in self.orders.values())

    async def order(self) -> None:
        """Customers come until the play ends."""
        while await self._play.pause(self._pause_s * self._randomness.uniform(0.5, 1.5)):
            try:
                await self._place()
            except (HubRefused, LineBroken) as error:
                self._play.witness.note_trouble(f"an order failed: {error}")

    async def receive(self, hands: StaffHands) -> None:
        """Goods come in until the play ends, the first before any order."""
        while True:
            self._deliveries += 1
            movement_id = f"delivery-{self._deliveries}"
            goods = [*self._quiet, *self._contested]
            chosen = goods if self._deliveries == 1 else self._randomness.sample(goods, max(1, len(goods) // 4))
            await hands.receive(movement_id, {each.sku: UNIT_MILLI * self._randomness.randint(*DELIVERY_UNITS)
                                              for each in chosen})
            self._play.witness.acknowledged(f"movement/{movement_id}")
            if not await self._play.pause(DELIVERIES_EVERY_S):
                return

    async def pick(self, hands: StaffHands) -> None:
        """One member of staff: takes the oldest order that nobody has in hand, and sees it through."""
        while not self._play.ending.is_set():
            waiting = [pickup for pickup in await hands.pickups() if pickup.order_id not in self._taken
                       and pickup.order_id in self.orders]
            if not waiting:
                await self._play.pause(LOOK_EVERY_S)
                continue
            self._taken.add(waiting[0].order_id)
            await self._see_through(hands, waiting[0])

    async def look_at_all(self, hands: StaffHands) -> None:
        """Where every order stands in the store at the end."""
        for order in self.orders.values():
            pickup = await hands.pickup(order.order_id)
            if pickup is not None:
                order.state = pickup.state

    async def _place(self) -> None:
        order_id = f"online-{len(self.orders) + 1:05d}"
        chosen = self._chosen()
        lines = tuple(OrderLine(number, each.sku, UNIT_MILLI * self._randomness.randint(1, UNITS_MAX), each.price_minor)
                      for number, each in enumerate(chosen, start=1))
        quantities = Counter[str]()
        for line in lines:
            quantities[line.sku] += line.quantity_milli
        self._play.witness.placed(order_id, quantities)
        placed = await self._hub.place(order_id, lines, self._randomness.choice(CUSTOMERS))
        cancels = self._randomness.random() < CANCEL_SHARE
        late = cancels and self._randomness.random() < LATE_CANCEL_SHARE
        self.orders[order_id] = Order(order_id, lines, placed.pickup_code, cancels and not late, late)

    def _chosen(self) -> list[Goods]:
        """One to a few different products."""
        wanted = [self._randomness.choice(self._contested if self._randomness.random() < CONTESTED_SHARE
                                          else self._quiet) for _ in range(self._randomness.randint(1, LINES_MAX))]
        return list({each.sku: each for each in wanted}.values())

    async def _see_through(self, hands: StaffHands, pickup: Pickup) -> None:
        """From accepted to handed over; stops where the store says that the order is no longer there to be taken on."""
        order = self.orders[pickup.order_id]
        order.state = pickup.state
        if order.cancels:
            await self._cancel(order)
        steps: list[tuple[str, int | None]] = [("pick", line.line) for line in pickup.lines if not line.picked_milli]
        for step, line in [*steps, ("stage", None), ("ready", None)]:
            if not await self._step(hands, order, step, line):
                await self._put_back(hands, order)
                return
        if self._play.line_up:
            await self._tell_customer(order)
        handed_over = await self._step(hands, order, "hand_over", None, order.code)
        if handed_over and order.cancels_late:
            await self._cancel(order)

    async def _step(self, hands: StaffHands, order: Order, step: str, line: int | None, code: str = "") -> bool:
        if not await self._play.pause(STEP_PAUSE_S * self._randomness.uniform(0.5, 1.5)):
            return False
        transition_id = f"{order.order_id}/{step}/{line or 'all'}"
        taken = await hands.step(order.order_id, step, transition_id, line=line, code=code)
        found = await hands.pickup(order.order_id)
        if found is not None:
            order.state = found.state
        if taken:
            self._play.witness.acknowledged(f"pickup/{transition_id}")
        elif order.state not in _FINISHED:
            self._play.witness.note_trouble(f"order {order.order_id} is {order.state} and would not {step}")
        return taken

    async def _put_back(self, hands: StaffHands, order: Order) -> None:
        """What was picked for an order that was cancelled meanwhile goes back to the shelf."""
        found = await hands.pickup(order.order_id)
        if found is not None and found.state == "cancelled" and any(line.staged_milli for line in found.lines):
            await self._step(hands, order, "put_back", None)

    async def _cancel(self, order: Order) -> None:
        try:
            await self._hub.cancel(order.order_id)
        except (HubRefused, LineBroken) as error:
            self._play.witness.note_trouble(f"a cancellation failed: {error}")

    async def _tell_customer(self, order: Order) -> None:
        try:
            await self._hub.tell_customer(order.order_id, order.lines, self._play.clock.wall_ms())
        except (HubRefused, LineBroken) as error:
            self._play.witness.note_trouble(f"a customer could not be told: {error}")
