"""Head office: imports the catalogue and changes prices: up, down, dated, promotions that end by themselves."""

import asyncio

import msgspec

from edge.proving.asgi import Question
from edge.proving.catalogue import Entry, make_items
from edge.proving.plan import CLEAR_OUT_S, OPENS_MINUTE
from edge.proving.ports import CURRENCY, OPERATOR_TOKEN, STORE_ID
from edge.proving.process import Gone
from edge.proving.world import World

TRY_AGAIN_S = 2.0
PRICES_MINOR = (49, 2_999)
CHANGED_AT_ONCE_MAX = 5
STEP_FACTORS = (0.75, 0.85, 0.93, 1.04, 1.1, 1.2, 1.35)
PROMOTION_FACTORS = (0.7, 0.8, 0.9)
DATED_AHEAD_S = (5.0, 900.0)
PROMOTION_LASTS_S = (60.0, 1800.0)
PROMOTION_SHARE = 0.25
GUARD_SHARE_PERCENT = 40
SECOND_THOUGHTS_SHARE = 0.4
SECOND_THOUGHTS_S = (0.2, 60.0)
HOT_SHARE = 0.5
"""Share of changes that go to a few products, so that increases and decreases chase each other."""

HOT_PRODUCTS = 8


class _Registered(msgspec.Struct):
    token: str | None


class HeadOffice:
    """Owns the catalogue. What the hub acknowledged is the truth from then on."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._randomness = world.plan.randomness("head office")
        self._promotions = 0

    async def open_store(self) -> str:
        """Register the store and give it policy and catalogue; returns the store's token."""
        answer = await self._put(f"/v1/stores/{STORE_ID}", {"name": "Sim", "fresh_token": True})
        registered = msgspec.json.decode(answer, type=_Registered)
        assert registered.token is not None
        await self._put("/v1/policy", {"grace_s": self._world.plan.grace_s, "guard_share_percent": GUARD_SHARE_PERCENT,
                                       "clear_out_s": CLEAR_OUT_S, "hours": self._hours()})
        await self._import()
        return registered.token

    async def run(self) -> None:
        """Change prices until the busy time is over."""
        world = self._world
        while await world.pause(world.plan.rates.price_changes, self._randomness):
            if self._randomness.random() < PROMOTION_SHARE:
                await self._promote()
            else:
                await self._reprice()

    async def send_again(self) -> None:
        """The hub lost some of what it had acknowledged: everything that holds is sent to it once more."""
        truth = self._world.truth
        entries = [entry for sku in truth.items for entry in (truth.regular(sku), *truth.promotions(sku))]
        await self._put("/v1/catalogue", {"items": self._items(), "prices": entries})
        for entry_id in truth.gone:
            await self._ask(Question.of("DELETE", f"/v1/catalogue/prices/{entry_id}", OPERATOR_TOKEN), also=404)

    def _items(self) -> list[dict[str, object]]:
        return [{"sku": item.sku, "name": item.name, "codes": [item.gtin] if item.gtin else [],
                 "package_size": item.package} for item in self._world.truth.items.values()]

    def _hours(self) -> list[dict[str, int]]:
        closes_minute = self._world.plan.closes_minute
        if closes_minute is None:
            return []
        return [{"opens_minute": OPENS_MINUTE, "closes_minute": closes_minute}] * 7

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
        before = [truth.regular(sku) for sku in self._products(self._randomness.randint(1, CHANGED_AT_ONCE_MAX))]
        await self._set([self._stepped(entry) for entry in before])
        if self._randomness.random() < SECOND_THOUGHTS_SHARE:
            await asyncio.sleep(self._randomness.uniform(*SECOND_THOUGHTS_S))
            again = self._randomness.random() < 0.5
            await self._set([self._stepped(entry) if again else entry for entry in before])

    async def _set(self, entries: list[Entry]) -> None:
        await self._put("/v1/catalogue/prices", entries)
        for entry in entries:
            self._world.truth.took(entry)
        self._world.tally.note("repriced", *(f"{entry.sku}={entry.price_minor}" for entry in entries))

    async def _promote(self) -> None:
        """A dated price that begins and ends by the store's clock; now and then an old one is taken back."""
        truth = self._world.truth
        sku = self._products(1)[0]
        standing = truth.promotions(sku)
        if standing:
            entry_id = standing[0].id
            await self._ask(Question.of("DELETE", f"/v1/catalogue/prices/{entry_id}", OPERATOR_TOKEN), also=404)
            truth.dropped(sku, entry_id)
            return
        self._promotions += 1
        begins_ms = self._world.clock.true_ms() + int(1000 * self._randomness.uniform(*DATED_AHEAD_S))
        ends_ms = begins_ms + int(1000 * self._randomness.uniform(*PROMOTION_LASTS_S))
        price_minor = max(1, int(truth.regular(sku).price_minor * self._randomness.choice(PROMOTION_FACTORS)))
        entry = Entry(f"promotion-{self._promotions}", sku, price_minor, CURRENCY, "promotion", 10, begins_ms, ends_ms)
        await self._put("/v1/catalogue/prices", [entry])
        truth.took(entry)
        self._world.tally.note("promotion", sku, price_minor)

    def _products(self, count: int) -> list[str]:
        skus = list(self._world.truth.items)
        if self._randomness.random() < HOT_SHARE:
            skus = skus[:HOT_PRODUCTS]
        return self._randomness.sample(skus, count)

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


