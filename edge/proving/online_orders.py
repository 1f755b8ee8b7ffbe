"""Online orders: customers place them, change their minds and come to collect, all by way of the hub.

They hear of their orders by the hub's events, as a web shop does. What they ask for while the store's line is cut
(`in_the_dark`) meets goods that the crew picks and gives away meanwhile.
"""

import asyncio
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any

import msgspec

from edge.proving.asgi import Question
from edge.proving.errands import Errands
from edge.proving.order_record import HeardEvent, KnownOrder, OrderedLine
from edge.proving.ports import CURRENCY, OPERATOR_TOKEN, STORE_ID
from edge.proving.process import Gone
from edge.proving.world import World

TRY_AGAIN_S = 2.0
ORDER_LINES_MAX = 3
ORDER_UNITS_MAX = 4
PRICES_MINOR = (80, 100, 140)
MAY_SUBSTITUTE_SHARE = 0.6
LATE_ORDERS = 6
"""Minds are changed about the newest so many orders."""

TOLD_SHARE = 0.85
"""Customers who are told that their order is ready; nobody reaches the others."""

TOLD_S = (0.5, 20.0)
CURBSIDE_SHARE = 0.4
COMES_S = (5.0, 240.0)
ANSWERS_SHARE = 0.7
ANSWERS_S = (1.0, 120.0)
SAYS_YES_SHARE = 0.6
IN_HANDS = ("picking", "staged", "ready")
DARK_S = (5.0, 60.0)
SILENT_DARK_SHARE = 0.4
PERSON = {"display_name": "Ana P."}

UNHEARD_SHARE = 0.05
REPLY_LOST_SHARE = 0.08
REFUSED_SHARE = 0.03
"""What befalls an event on its way to the web shop."""


class _Placed(msgspec.Struct):
    pickup_code: str
    revision: int


class OnlineShop:
    """Customers at home, and the web shop that they order at."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._orders = world.orders.orders
        self._randomness = world.plan.randomness("online shop")
        self._line = world.plan.randomness("web shop's line")
        self._number = 0
        self._errands = Errands(world)
        self._ready: asyncio.Queue[KnownOrder] = asyncio.Queue()

    async def open(self) -> None:
        """Ask the hub for events about everything."""
        await self._insist(Question.of("PUT", "/v1/webhooks/shop", OPERATOR_TOKEN,
                                       msgspec.json.encode({"url": "https://shop.example/events"})))

    async def run(self) -> None:
        """Until the busy time is over."""
        rates = self._world.plan.rates
        await asyncio.gather(self._place(), self._now_and_then(rates.cancels, self._change_mind),
                             self._now_and_then(rates.dark_words, self._in_the_dark), self._tell_customers())

    async def done(self) -> None:
        """Wait for everything that was begun."""
        await self._errands.done()

    async def order(self, quantities_milli: Mapping[str, int]) -> str:
        """Somebody orders so much of each SKU; returns the order's id."""
        draw = self._randomness
        self._number += 1
        lines = tuple(OrderedLine(number, sku, milli, draw.choice(PRICES_MINOR), draw.random() < MAY_SUBSTITUTE_SHARE)
                      for number, (sku, milli) in enumerate(quantities_milli.items(), start=1))
        order = KnownOrder(f"order-{self._number:04}", lines, self._world.clock.true_ms())
        self._world.witness.placed(order.order_id, quantities_milli)
        self._world.orders.placed(order)
        await self._put(order)
        return order.order_id

    def offered(self, order_id: str, line: int) -> None:
        """The crew offers another product: its customer thinks about it, and mostly says something."""
        draw = self._randomness
        if draw.random() < ANSWERS_SHARE:
            after_s, accepted = draw.uniform(*ANSWERS_S), draw.random() < SAYS_YES_SHARE
            self._errands.begin(self._answer(self._orders[order_id], line, after_s, accepted), f"answers {order_id}")

    def hear(self, body: bytes) -> int:
        """An event arrives; the HTTP status that the hub gets for it, 0 for none."""
        point = 1.0 if self._world.over else self._line.random()
        if point < UNHEARD_SHARE:
            return 0
        if point < UNHEARD_SHARE + REFUSED_SHARE:
            return 500
        event = msgspec.json.decode(body, type=HeardEvent)
        if self._world.orders.heard(event):
            self._world.tally.note("event", event.type, event.subject)
            order = self._orders.get(event.data.order_id)
            if event.type == "trastienda.order.ready" and order is not None:
                self._ready.put_nowait(order)  # it is the hub that runs here, and may die: the shop goes on by itself
        return 0 if point < UNHEARD_SHARE + REFUSED_SHARE + REPLY_LOST_SHARE else 204

    async def send_again(self) -> None:
        """The hub lost some of what it had acknowledged: everything is sent to it once more."""
        for order in tuple(self._orders.values()):
            await self._put(order)
            if order.cancelled:
                await self._ask(order, "cancel-request")
            if order.cancelled_lines:
                await self._ask(order, "cancel-request", {"lines": sorted(order.cancelled_lines)})
            if order.arrived:
                await self._ask(order, "arrival", {"bay": "1"})
            for line, accepted in tuple(order.answers.items()):
                await self._ask(order, "answers", {"line": line, "accepted": accepted})
            if order.reassigned:
                await self._ask(order, "reassignment")

    # --- what customers do ----------------------------------------------------------------------------------------

    async def _place(self) -> None:
        world, draw = self._world, self._randomness
        while await world.pause(world.plan.rates.orders, draw):
            skus = draw.sample(list(world.truth.items), draw.randint(1, ORDER_LINES_MAX))
            await self.order({sku: 1000 * draw.randint(1, ORDER_UNITS_MAX) for sku in skus})

    async def _now_and_then(self, per_hour: float, do: Callable[[], Coroutine[Any, Any, None]]) -> None:
        while await self._world.pause(per_hour, self._randomness):
            await do()

    async def _change_mind(self) -> None:
        """A customer cancels all of it or a line; or the chain gives the order to another store."""
        order = self._one_of(list(self._orders.values())[-LATE_ORDERS:])
        if order is not None:
            await self._say_something(order)

    async def _in_the_dark(self) -> None:
        """The same while the store cannot hear it, about an order that the crew has in hands."""
        world, draw = self._world, self._randomness
        order = self._one_of([order for order in self._orders.values() if order.state in IN_HANDS])
        if order is None:
            return
        world.tally.count("line_cut")
        world.line.cut(silent=draw.random() < SILENT_DARK_SHARE)
        await self._say_something(order)
        world.tally.did("orders changed in the dark", order.order_id)
        await asyncio.sleep(draw.uniform(*DARK_S))
        world.line.mend()

    async def _say_something(self, order: KnownOrder) -> None:
        draw, tally = self._randomness, self._world.tally
        point = draw.random()
        if point < 0.5:
            order.cancelled = True
            await self._ask(order, "cancel-request")
            tally.did("orders cancelled", order.order_id)
        elif point < 0.75:
            line = draw.choice(order.lines).line
            order.cancelled_lines.add(line)
            self._world.witness.wants_less(order.order_id)
            await self._ask(order, "cancel-request", {"lines": [line]})
            tally.did("lines of orders cancelled", order.order_id, line)
        else:
            order.reassigned = True
            await self._ask(order, "reassignment")
            tally.did("orders reassigned", order.order_id)

    async def _tell_customers(self) -> None:
        """Whose order is ready, as the shop hears it."""
        loop = asyncio.get_running_loop()
        while not self._world.over:
            try:
                async with asyncio.timeout(max(0.0, self._world.ends_s - loop.time())):
                    order = await self._ready.get()
            except TimeoutError:
                return
            if order.notified_ms is None:
                self._errands.begin(self._tell_customer(order), f"{order.order_id} is ready")

    async def _tell_customer(self, order: KnownOrder) -> None:
        """She is told, and the hub hears that she was; then she comes, and some say so from the car park."""
        draw = self._randomness
        await asyncio.sleep(draw.uniform(*TOLD_S))
        if draw.random() > TOLD_SHARE:
            return
        order.notified_ms = self._world.clock.true_ms()
        order.notified_revision = await self._put(order)
        self._world.tally.did("customers told", order.order_id)
        if draw.random() < CURBSIDE_SHARE:
            await asyncio.sleep(draw.uniform(*COMES_S))
            order.arrived = True
            await self._ask(order, "arrival", {"bay": "1"})
            self._world.tally.did("customers at the kerb", order.order_id)

    async def _answer(self, order: KnownOrder, line: int, after_s: float, accepted: bool) -> None:
        await asyncio.sleep(after_s)
        order.answers[line] = accepted
        await self._ask(order, "answers", {"line": line, "accepted": accepted})
        self._world.tally.did("substitutes answered", order.order_id, line)

    def _one_of(self, orders: Sequence[KnownOrder]) -> KnownOrder | None:
        return self._randomness.choice(orders) if orders else None

    # --- asking the hub until it answers ------------------------------------------------------------------------

    async def _put(self, order: KnownOrder) -> int:
        """The order as it stands; the revision that the hub gave it."""
        body = {"lines": order.lines, "currency": CURRENCY, "placed_ms": order.placed_ms, "person": PERSON,
                "notified_ms": order.notified_ms}
        path = f"/v1/stores/{STORE_ID}/orders/{order.order_id}"
        answer = await self._insist(Question.of("PUT", path, OPERATOR_TOKEN, msgspec.json.encode(body)))
        placed = msgspec.json.decode(answer, type=_Placed)
        order.code = placed.pickup_code
        return placed.revision

    async def _ask(self, order: KnownOrder, what: str, body: Mapping[str, object] | None = None) -> None:
        target = f"/v1/stores/{STORE_ID}/orders/{order.order_id}/{what}"
        question = Question.of("POST", target, OPERATOR_TOKEN, msgspec.json.encode(body) if body else b"")
        await self._insist(question, also=404)  # a restored hub may not know it yet; it is told everything again

    async def _insist(self, question: Question, also: int = 200) -> bytes:
        while True:
            try:
                answer = await self._world.hub.ask(question)
            except Gone:
                await asyncio.sleep(TRY_AGAIN_S)
                continue
            if answer.status >= 300 and answer.status != also:
                raise AssertionError(f"{question.target} was answered {answer.status}: {answer.body!r}")
            return answer.body
