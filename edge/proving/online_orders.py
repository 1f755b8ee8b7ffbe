"""Online orders: customers place and cancel them at the hub, the crew in the store picks them and hands them over."""

import asyncio

import msgspec

from edge.proving.asgi import Question
from edge.proving.ports import CURRENCY, OPERATOR_TOKEN, STORE_ID
from edge.proving.process import Gone
from edge.proving.world import World

TRY_AGAIN_S = 2.0
ORDER_LINES_MAX = 3
ORDER_UNITS_MAX = 4


class _Placed(msgspec.Struct):
    pickup_code: str


class OnlineShop:
    """Customers at home. `codes`: order → the code its customer was told."""

    def __init__(self, world: World) -> None:
        self.codes: dict[str, str] = {}
        self._placed: dict[str, bytes] = {}
        self._cancelled: list[str] = []
        self._world = world
        self._randomness = world.plan.randomness("online shop")

    async def run(self) -> None:
        """Until the busy time is over."""
        await asyncio.gather(self._place(), self._cancel())

    async def _place(self) -> None:
        world, number = self._world, 0
        while await world.pause(world.plan.rates.orders, self._randomness):
            number += 1
            await self._order(f"order-{number:04}")

    async def _order(self, order_id: str) -> None:
        draw = self._randomness
        skus = draw.sample(list(self._world.truth.items), draw.randint(1, ORDER_LINES_MAX))
        quantities = {sku: 1000 * draw.randint(1, ORDER_UNITS_MAX) for sku in skus}
        lines = [{"line": line, "sku": sku, "quantity_milli": quantity_milli, "price_minor": 100}
                 for line, (sku, quantity_milli) in enumerate(quantities.items(), start=1)]
        body = msgspec.json.encode({"lines": lines, "currency": CURRENCY, "person": {"display_name": "Ana P."}})
        self._world.witness.placed(order_id, quantities)
        self._placed[order_id] = body
        await self._put(order_id)

    async def send_again(self) -> None:
        """The hub lost some of what it had acknowledged: everything is sent to it once more."""
        for order_id in tuple(self._placed):
            await self._put(order_id)
        for order_id in tuple(self._cancelled):
            await self._request_cancel(order_id)

    async def _put(self, order_id: str) -> None:
        path = f"/v1/stores/{STORE_ID}/orders/{order_id}"
        answer = await self._insist(Question.of("PUT", path, OPERATOR_TOKEN, self._placed[order_id]))
        self.codes[order_id] = msgspec.json.decode(answer, type=_Placed).pickup_code

    async def _request_cancel(self, order_id: str) -> None:
        target = f"/v1/stores/{STORE_ID}/orders/{order_id}/cancel-request"
        await self._insist(Question.of("POST", target, OPERATOR_TOKEN), also=404)  # a restored hub may not know it yet

    async def _cancel(self) -> None:
        world = self._world
        while await world.pause(world.plan.rates.cancels, self._randomness):
            if self.codes:
                order_id = self._randomness.choice(list(self.codes)[-5:])
                self._cancelled.append(order_id)
                await self._request_cancel(order_id)

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


class _Pickup(msgspec.Struct):
    order_id: str
    state: str


NEXT_STEP = {"accepted": "pick", "picking": "stage", "staged": "ready", "ready": "hand_over",
             "cancelled": "put_back", "expired": "put_back"}
PICKUP_ROUND_S = (20.0, 90.0)
WRONG_CODE_SHARE = 0.1
STEP_REPLY_LOST_SHARE = 0.1


class PickupCrew:
    """Picks, stages and hands over what the store lists. `codes`: order → what the customer was told."""

    def __init__(self, world: World, token: str, codes: dict[str, str]) -> None:
        self._world = world
        self._token = token
        self._codes = codes
        self._randomness = world.plan.randomness("pickup crew")
        self._steps = 0

    async def run(self) -> None:
        """One round after the other until the busy time is over."""
        while not self._world.over:
            await asyncio.sleep(self._randomness.uniform(*PICKUP_ROUND_S))
            for pickup in await self._open():
                if pickup.state in NEXT_STEP and self._randomness.random() < 0.5:
                    await self._step(pickup)

    async def _open(self) -> list[_Pickup]:
        try:
            answer = await self._world.box.request(Question.of("GET", "/v1/pickups", self._token))
        except Gone:
            return []
        return msgspec.json.decode(answer.body, type=list[_Pickup])

    async def _step(self, pickup: _Pickup) -> None:
        """One step, sent until it was answered; a step that was taken is asked for once more now and then."""
        self._steps += 1
        transition_id = f"{pickup.order_id}/{self._steps}"
        body: dict[str, str] = {"transition_id": transition_id, "step": NEXT_STEP[pickup.state]}
        if pickup.state == "ready":
            wrong = self._randomness.random() < WRONG_CODE_SHARE
            body["code"] = "WRONG1" if wrong else self._codes.get(pickup.order_id, "")
        question = Question.of("POST", f"/v1/pickups/{pickup.order_id}/steps", self._token, msgspec.json.encode(body))
        while True:
            try:
                answer = await self._world.box.request(question)
            except Gone:
                await asyncio.sleep(TRY_AGAIN_S)
                continue
            if self._randomness.random() < STEP_REPLY_LOST_SHARE:
                self._world.tally.count("till_reply_lost")
                continue
            break
        self._world.tally.note("step", transition_id, answer.status)
        if answer.status == 200:
            self._world.witness.acknowledged(f"pickup/{transition_id}")
