"""Head office: imports the catalogue, changes everyday prices up and down, and has other ideas (`offers.py`)."""

import asyncio

import msgspec

from edge.proving.asgi import Question
from edge.proving.catalogue import Entry, make_items
from edge.proving.offers import Offers
from edge.proving.plan import CLEAR_OUT_S, OPENS_MINUTE
from edge.proving.ports import CURRENCY, OPERATOR_TOKEN, STORE_ID
from edge.proving.process import Gone
from edge.proving.world import World

TRY_AGAIN_S = 2.0
PRICES_MINOR = (49, 2_999)
CHANGED_AT_ONCE_MAX = 5
STEP_FACTORS = (0.75, 0.85, 0.93, 1.04, 1.1, 1.2, 1.35)
OFFER_SHARE = 0.45
"""Of what head office does: something else than moving everyday prices."""

GUARD_SHARE_PERCENT = 40
SECOND_THOUGHTS_SHARE = 0.4
SECOND_THOUGHTS_S = (0.2, 60.0)
TAX_CLASSES = ("", "full", "reduced")
TAXES = [{"tax_class": "full", "basis_points": 2100}, {"tax_class": "reduced", "basis_points": 1000}]
DEPOSITS_MINOR = (0, 0, 0, 25)


class _Registered(msgspec.Struct):
    token: str | None


class HeadOffice:
    """Owns the catalogue. What the hub acknowledged is the truth from then on."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._randomness = world.plan.randomness("head office")
        self.offers = Offers(world, self._put, lambda target: self._ask(Question.of("DELETE", target, OPERATOR_TOKEN),
                                                                        also=404))

    async def open_store(self) -> str:
        """Register the store and give it policy and catalogue; returns the store's token."""
        answer = await self._put(f"/v1/stores/{STORE_ID}", {"name": "Sim", "fresh_token": True})
        registered = msgspec.json.decode(answer, type=_Registered)
        assert registered.token is not None
        await self._put("/v1/policy", {"grace_s": self._world.plan.grace_s, "guard_share_percent": GUARD_SHARE_PERCENT,
                                       "clear_out_s": CLEAR_OUT_S, "hours": self._hours(), "taxes": TAXES,
                                       "held_price_alert_s": self._world.plan.held_price_alert_s,
                                       **self._waiting()})
        await self._import()
        return registered.token

    async def run(self) -> None:
        """Change prices until the busy time is over."""
        world = self._world
        while await world.pause(world.plan.rates.price_changes, self._randomness):
            if self._randomness.random() < OFFER_SHARE:
                await self.offers.something()
            else:
                await self._reprice()

    async def send_again(self) -> None:
        """The hub lost some of what it had acknowledged: everything that holds is sent to it once more."""
        truth = self._world.truth
        entries = [entry for sku in truth.items for entry in truth.entries(sku)]
        await self._put("/v1/catalogue", {"items": self._items(), "prices": entries})
        await self.offers.send_again()
        for path in tuple(truth.gone):
            await self._ask(Question.of("DELETE", path, OPERATOR_TOKEN), also=404)

    def _items(self) -> list[dict[str, object]]:
        return [{"sku": item.sku, "name": item.name, "codes": [item.gtin] if item.gtin else [],
                 "package_size": item.package, "tax_class": TAX_CLASSES[place % 3],
                 "deposit_minor": DEPOSITS_MINOR[place % 4]}
                for place, item in enumerate(self._world.truth.items.values())]

    def _hours(self) -> list[dict[str, int]]:
        closes_minute = self._world.plan.closes_minute
        if closes_minute is None:
            return []
        return [{"opens_minute": OPENS_MINUTE, "closes_minute": closes_minute}] * 7

    def _waiting(self) -> dict[str, object]:
        """How long orders wait, and when they do not."""
        waiting = self._world.plan.waiting
        closed = [day.isoformat() for day in self._world.closed_days]
        return {"hold_s": waiting.hold_s, "hold_max_s": waiting.hold_max_s, "answer_wait_s": waiting.answer_wait_s,
                "substitute_unanswered": waiting.substitute_unanswered, "safety_stock_milli": waiting.safety_milli,
                "closed_days": closed}

    async def _import(self) -> None:
        world = self._world
        for item in make_items(world.plan.items, self._randomness):
            world.truth.knows(item)
            world.witness.knows_item(item.sku, (item.gtin,) if item.gtin else ())
        prices = [Entry(f"regular-{sku}", sku, self._randomness.randint(*PRICES_MINOR), CURRENCY)
                  for sku in world.truth.items]
        await self._put("/v1/catalogue", {"items": self._items(), "prices": prices})
        for entry in prices:
            world.truth.took(entry)

    async def _reprice(self) -> None:
        """A few everyday prices move; now and then somebody thinks again, or takes it back."""
        truth = self._world.truth
        before = [truth.regular(sku) for sku in self.offers.products(self._randomness.randint(1, CHANGED_AT_ONCE_MAX))]
        await self._set([self._stepped(entry) for entry in before])
        if self._randomness.random() < SECOND_THOUGHTS_SHARE:
            await asyncio.sleep(self._randomness.uniform(*SECOND_THOUGHTS_S))
            again = self._randomness.random() < 0.5
            await self._set([self._stepped(entry) if again else entry for entry in before])

    async def _set(self, entries: list[Entry]) -> None:
        await self._put("/v1/catalogue/prices", entries)
        for entry in entries:
            self._world.truth.took(entry)
        self._world.tally.did("everyday prices changed", *(f"{entry.sku}={entry.price_minor}" for entry in entries))

    def _stepped(self, entry: Entry) -> Entry:
        factor = self._randomness.choice(STEP_FACTORS)
        price_minor = min(max(5, int(entry.price_minor * factor)), 9_999)
        return msgspec.structs.replace(entry, price_minor=price_minor)

    async def _put(self, target: str, body: object) -> bytes:
        return await self._ask(Question.of("PUT", target, OPERATOR_TOKEN, msgspec.json.encode(body)))

    async def _ask(self, question: Question, also: int = 200) -> bytes:
        """Asked until the hub answers: every request here may be sent again."""
        while True:
            try:
                answer = await self._world.hub.ask(question)
            except Gone:
                await asyncio.sleep(TRY_AGAIN_S)
                continue
            if answer.status >= 300 and answer.status != also:
                raise AssertionError(f"{question.target} was answered {answer.status}: {answer.body!r}")
            return answer.body


