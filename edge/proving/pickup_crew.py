"""The crew: it picks what the store lists, runs short, offers something else, gives goods away and puts them back.

Every step is sent until it was answered; what the store acknowledged has happened, whatever the hub says later.
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from edge.proving.asgi import Answer, Question
from edge.proving.online_orders import OnlineShop
from edge.proving.order_record import KnownOrder
from edge.proving.process import Gone
from edge.proving.unit_books import SHORT_REASONS
from edge.proving.world import World

TRY_AGAIN_S = 2.0
ROUND_S = (4.0, 24.0)
IN_HAND_SHARE = 0.6
"""Of the orders on the list, how many somebody does something about in one round."""

WRONG_CODE_SHARE = 0.08
REPLY_LOST_SHARE = 0.1
SENT_TWICE_SHARE = 0.05
GIVEN_TWICE_SHARE = 0.15
GIVEN_AWAY_AFTER_ALL_SHARE = 0.15
"""Orders that had ended and whose customer takes the goods along all the same."""

REASONS = sorted(SHORT_REASONS)


class _Line(msgspec.Struct):
    line: int
    sku: str
    quantity_milli: int
    picked_milli: int
    price_minor: int
    staged_milli: int
    handed_milli: int
    short_milli: int
    cancelled: bool
    replaces: int | None
    answer: str

    @property
    def is_wanted(self) -> bool:
        """As far as the list tells."""
        return not self.cancelled and self.answer != "declined"

    @property
    def to_pick_milli(self) -> int:
        """What nobody has picked yet."""
        to_pick = self.is_wanted and self.answer != "offered"
        return self.quantity_milli - self.picked_milli - self.short_milli if to_pick else 0


class _Pickup(msgspec.Struct):
    order_id: str
    state: str
    revision: int
    lines: list[_Line]


Body = dict[str, Any]
"""A step, in the words of the store's API."""


class PickupCrew:
    """Some people with one list."""

    def __init__(self, world: World, token: str, shop: OnlineShop) -> None:
        self._world = world
        self._token = token
        self._shop = shop
        self._randomness = world.plan.randomness("pickup crew")
        self._steps = 0
        self._choices: dict[str, Callable[[_Pickup], Body | None]] = {
            "accepted": self._picks, "picking": self._picks, "awaiting_substitution": self._picks,
            "staged": self._puts_aside, "ready": self._gives, "partially_handed_over": self._gives_the_rest}

    async def run(self) -> None:
        """One round after the other until the busy time is over."""
        while not self._world.over:
            await asyncio.sleep(self._randomness.uniform(*ROUND_S))
            for pickup in await self._list():
                known = self._world.orders.orders.get(pickup.order_id)
                if known is not None:
                    known.state = pickup.state
                    if self._randomness.random() < IN_HAND_SHARE:
                        await self._do_something(pickup, known)

    async def _list(self) -> list[_Pickup]:
        try:
            answer = await self._world.box.request(Question.of("GET", "/v1/pickups", self._token))
        except Gone:
            return []
        return msgspec.json.decode(answer.body, type=list[_Pickup])

    async def _do_something(self, pickup: _Pickup, known: KnownOrder) -> None:
        body = self._choices.get(pickup.state, self._clears_up)(pickup)
        if body is None:
            return
        if body["step"] == "hand_over":
            if self._world.restored and known.hand_overs:
                return  # the list may have forgotten it; the crew has not
            wrong = self._randomness.random() < WRONG_CODE_SHARE
            body["code"] = "WRONG1" if wrong else known.code
        if self._randomness.random() < 0.3:
            body["expected_rev"] = pickup.revision
        await self._step(known, body)

    # --- what to do next ----------------------------------------------------------------------------------------

    def _picks(self, pickup: _Pickup) -> Body | None:
        draw = self._randomness
        left = [line for line in pickup.lines if line.to_pick_milli > 0]
        point = draw.random()
        if not left:
            offered = any(line.answer == "offered" for line in pickup.lines)
            return None if offered or pickup.state != "picking" else {"step": "stage"}
        line = draw.choice(left)
        if point < 0.45:
            return {"step": "pick"}
        if point < 0.6:
            return {"step": "pick", "line": line.line}
        if point < 0.7:
            return {"step": "pick", "quantities": [_part(line, self._some(line.to_pick_milli))]}
        if point < 0.85:
            return self._runs_short(pickup, line)
        if point < 0.95:
            return self._offers(line)
        return {"step": "stage"}  # somebody in a hurry: it is refused while anything is to be picked

    def _runs_short(self, pickup: _Pickup, line: _Line) -> Body:
        draw = self._randomness
        put_aside = [each for each in pickup.lines if each.staged_milli]
        if put_aside and draw.random() < 0.4:
            line = draw.choice(put_aside)
            return {"step": "short", "short_reason": draw.choice(REASONS), "from_staged": True,
                    "quantities": [_part(line, self._some(line.staged_milli))]}
        body: Body = {"step": "short", "short_reason": draw.choice(REASONS)}
        if draw.random() < 0.5:
            return {**body, "line": line.line}
        return {**body, "quantities": [_part(line, self._some(line.to_pick_milli))]}

    def _offers(self, line: _Line) -> Body:
        """Never dearer; whether this customer takes another product at all is the store's to say."""
        draw = self._randomness
        other = draw.choice([sku for sku in self._world.truth.items if sku != line.sku])
        milli = self._some(line.to_pick_milli)
        return {"step": "offer", "short_reason": draw.choice(REASONS), "quantities": [_part(line, milli)],
                "substitute": {"sku": other, "quantity_milli": milli, "price_minor": line.price_minor - 5}}

    def _puts_aside(self, pickup: _Pickup) -> Body | None:
        put_aside = [line for line in pickup.lines if line.staged_milli]
        if put_aside and self._randomness.random() < 0.08:
            line = self._randomness.choice(put_aside)
            return {"step": "short", "short_reason": self._randomness.choice(REASONS), "from_staged": True,
                    "quantities": [_part(line, self._some(line.staged_milli))]}
        return {"step": "ready"}

    def _gives(self, pickup: _Pickup) -> Body | None:
        """She comes; takes all, or some; does not want it; or does not come."""
        draw = self._randomness
        there = [line for line in pickup.lines if line.is_wanted and line.staged_milli]
        point = draw.random()
        if point < 0.3:
            return None
        if point < 0.5:
            return {"step": "hand_over"}
        if point < 0.72 and there:
            return {"step": "hand_over", "quantities": [_part(line, line.staged_milli) for line in there]}
        if point < 0.84 and there:
            line = draw.choice(there)
            return {"step": "hand_over", "quantities": [_part(line, self._some(line.staged_milli))]}
        if point < 0.91:
            return {"step": "refuse"} if draw.random() < 0.5 or not there else {
                "step": "refuse", "line": draw.choice(there).line}
        return {"step": "no_show"}

    def _gives_the_rest(self, pickup: _Pickup) -> Body | None:
        there = [line for line in pickup.lines if line.is_wanted and line.staged_milli]
        if not there or self._randomness.random() < 0.15:
            return {"step": "refuse"} if there else {"step": "pick"}
        return {"step": "hand_over", "quantities": [_part(line, line.staged_milli) for line in there]}

    def _clears_up(self, pickup: _Pickup) -> Body | None:
        """An order that is over and whose goods still stand there."""
        draw = self._randomness
        put_aside = [line for line in pickup.lines if line.staged_milli]
        if not put_aside or draw.random() < 0.3:
            return None
        if draw.random() < GIVEN_AWAY_AFTER_ALL_SHARE:
            return {"step": "hand_over", "quantities": [_part(line, line.staged_milli) for line in put_aside]}
        if draw.random() < 0.3:
            line = draw.choice(put_aside)
            body: Body = {"step": "put_back", "quantities": [_part(line, self._some(line.staged_milli))]}
            return {**body, "short_reason": "damaged"} if draw.random() < 0.3 else body
        return {"step": "put_back"}

    def _some(self, milli: int) -> int:
        return 1000 * self._randomness.randint(1, max(1, milli // 1000))

    # --- doing it ----------------------------------------------------------------------------------------------

    async def _step(self, known: KnownOrder, body: Body) -> None:
        """One step, sent until it was answered; one that was taken is asked for once more now and then."""
        self._steps += 1
        transition_id = f"{known.order_id}/{self._steps}"
        question = Question.of("POST", f"/v1/pickups/{known.order_id}/steps", self._token,
                               msgspec.json.encode({"transition_id": transition_id, **body}))
        answer = await self._answered(question)
        world, step = self._world, body["step"]
        world.tally.note("step", transition_id, step, answer.status)
        if answer.status == 200:
            world.witness.acknowledged(f"pickup/{transition_id}")
            world.tally.did(f"pickups: {step}" + (f" {reason}" if (reason := body.get("short_reason")) else ""))
            self._happened(known, transition_id, body, msgspec.json.decode(answer.body, type=_Pickup))
            if step == "hand_over" and self._randomness.random() < GIVEN_TWICE_SHARE:
                await self._step(known, body)  # a confused hand, with an id of its own: nothing may leave twice
        elif answer.status >= 500:
            world.violations.append(f"bug: {step} of order {known.order_id} was answered {answer.status}: "
                                    f"{answer.body!r}")

    async def _answered(self, question: Question) -> Answer:
        while True:
            try:
                if self._randomness.random() < SENT_TWICE_SHARE:
                    self._world.tally.count("till_request_duplicated")
                    both = await asyncio.gather(self._world.box.request(question), self._world.box.request(question))
                    answer = both[self._randomness.randrange(2)]
                else:
                    answer = await self._world.box.request(question)
            except Gone:
                await asyncio.sleep(TRY_AGAIN_S)
                continue
            if answer.status == 503:
                await asyncio.sleep(TRY_AGAIN_S)
                continue
            if self._randomness.random() < REPLY_LOST_SHARE:
                self._world.tally.count("till_reply_lost")
                continue
            return answer

    def _happened(self, known: KnownOrder, transition_id: str, body: Body, after: _Pickup) -> None:
        known.state = after.state
        if body["step"] == "hand_over":
            known.hand_overs.append(f"pickup/{transition_id}")
            parts: Sequence[dict[str, int]] = body.get("quantities", ())
            known.handed_milli.update({part["line"]: part["quantity_milli"] for part in parts})
            known.all_named = known.all_named and bool(parts)
        elif body["step"] == "offer":
            new = max((line for line in after.lines if line.replaces is not None), key=lambda line: line.line)
            self._shop.offered(known.order_id, new.line)


def _part(line: _Line, milli: int) -> dict[str, int]:
    return {"line": line.line, "quantity_milli": milli}
