"""What head office thinks of beside everyday prices: dated ones, clearance, member prices, promotions of every kind,
prices for this store alone, and mistakes that a supervisor has to catch."""

from collections.abc import Callable, Coroutine
from typing import Any

import msgspec

from edge.proving.catalogue import COUPONS, Entry, own_price_path, price_path, promotion_path
from edge.proving.ports import CURRENCY, STORE_ID
from edge.proving.receipts import PromotionTerms
from edge.proving.world import World

DATED_AHEAD_S = (5.0, 900.0)
LASTS_S = (60.0, 1800.0)
PRICE_PROMOTION_FACTORS = (0.7, 0.8, 0.9)
CLEARANCE_FACTORS = (0.4, 0.55, 0.7)
DATED_FACTORS = (0.8, 0.95, 1.1, 1.3)
OWN_FACTORS = (0.85, 0.95, 1.05, 1.2)
WILD_FACTORS = (0.3, 2.6)
"""Beyond what the store's price guard lets through."""

MEMBER_FACTORS = (0.6, 0.8)
HOT_PRODUCTS = 8
HOT_SHARE = 0.5
OFFERS_MAX = 14
OFFERED_TOGETHER = (1, 4)

Put = Callable[[str, object], Coroutine[Any, Any, bytes]]
Delete = Callable[[str], Coroutine[Any, Any, bytes]]


class Offers:
    """`put` and `delete` ask the hub until it has answered."""

    def __init__(self, world: World, put: Put, delete: Delete) -> None:
        self._world = world
        self._put = put
        self._delete = delete
        self._randomness = world.plan.randomness("offers")
        self._made = 0
        self._sane: dict[str, int] = {}

    async def something(self) -> None:
        """One of them."""
        one = self._randomness.choice((
            self._promote, self._promote, self._clear, self._dated, self._dated, self._with_an_end, self._own,
            self._wild, self._offer, self._offer, self._offer, self._take_back))
        await one()

    async def put_right(self, skus: list[str]) -> None:
        """A supervisor refused these prices: head office finds its mistake. A price that was refused once is not sent
        again as it was: the hub takes what changes nothing for what it has."""
        truth = self._world.truth
        entries = []
        for sku in skus:
            refused, price_minor = truth.regular(sku), self._sane.get(sku, 199) + 1
            entries.append(msgspec.structs.replace(
                refused, price_minor=price_minor + (price_minor == refused.price_minor)))
        if entries:
            await self._set_prices("prices put right", entries)

    async def send_again(self) -> None:
        """The hub lost some of what it had acknowledged."""
        truth = self._world.truth
        await self._put("/v1/catalogue/promotions", list(truth.offers.values()))
        if truth.own:
            await self._put(f"/v1/stores/{STORE_ID}/overlay", {"prices": list(truth.own.values())})

    def products(self, count: int) -> list[str]:
        """Often the few that everybody thinks of, so that changes chase each other."""
        skus = list(self._world.truth.items)
        if self._randomness.random() < HOT_SHARE:
            skus = skus[:HOT_PRODUCTS]
        return self._randomness.sample(skus, min(count, len(skus)))

    # --- price list entries -------------------------------------------------------------------------------------

    async def _promote(self) -> None:
        """A price that begins and ends by the store's clock; one that stands is taken back."""
        sku = self.products(1)[0]
        standing = self._world.truth.promotions(sku)
        if standing:
            await self._drop(standing[0])
            return
        self._made += 1
        begins_ms, ends_ms = self._span_ms()
        await self._set_prices("promotion prices", [Entry(
            f"promotion-{self._made}", sku, self._from_regular(sku, PRICE_PROMOTION_FACTORS), CURRENCY, "promotion", 10,
            begins_ms, ends_ms)])

    async def _clear(self) -> None:
        """Everything must go, until it is called off."""
        sku = self.products(1)[0]
        standing = self._world.truth.entry(sku, f"clearance-{sku}")
        if standing is not None:
            await self._drop(standing)
            return
        await self._set_prices("clearance prices", [Entry(
            f"clearance-{sku}", sku, self._from_regular(sku, CLEARANCE_FACTORS), CURRENCY, "clearance", 20)])

    async def _dated(self) -> None:
        """The next everyday price, told ahead; or it travels back before it began, or after."""
        sku = self.products(1)[0]
        standing = self._world.truth.entry(sku, f"dated-{sku}")
        if standing is not None:
            await self._drop(standing)
            return
        begins_ms, _ = self._span_ms()
        await self._set_prices("prices dated ahead", [Entry(
            f"dated-{sku}", sku, self._from_regular(sku, DATED_FACTORS), CURRENCY, "regular", 1, begins_ms)])

    async def _with_an_end(self) -> None:
        """Another everyday price for a while, from now on."""
        sku = self.products(1)[0]
        _, ends_ms = self._span_ms()
        await self._set_prices("prices with an end", [Entry(
            f"while-{sku}", sku, self._from_regular(sku, DATED_FACTORS), CURRENCY, "regular", 2, 0, ends_ms)])

    async def _wild(self) -> None:
        """A decimal point in the wrong place: the store's guard holds it until a supervisor decides."""
        sku = self.products(1)[0]
        before = self._world.truth.regular(sku)
        self._sane[sku] = before.price_minor
        await self._set_prices("wild prices", [msgspec.structs.replace(
            before, price_minor=max(3, int(before.price_minor * self._randomness.choice(WILD_FACTORS))))])

    async def _own(self) -> None:
        """This store has another price than its zone, or has it no longer."""
        truth = self._world.truth
        sku = self.products(1)[0]
        entry_id = f"regular-{sku}"
        if entry_id in truth.own:
            await self._delete(own_price_path(entry_id))
            truth.dropped_own(entry_id)
            self._world.tally.did("own prices ended", sku)
            return
        entry = msgspec.structs.replace(truth.regular(sku), price_minor=self._from_regular(sku, OWN_FACTORS))
        await self._put(f"/v1/stores/{STORE_ID}/overlay", {"prices": [entry]})
        truth.took_own(entry)
        self._world.tally.did("own prices", sku, entry.price_minor)

    async def _drop(self, entry: Entry) -> None:
        await self._delete(price_path(entry.id))
        self._world.truth.dropped(entry.sku, entry.id)
        self._world.tally.did("prices withdrawn", entry.id)

    async def _set_prices(self, what: str, entries: list[Entry]) -> None:
        await self._put("/v1/catalogue/prices", entries)
        for entry in entries:
            self._world.truth.took(entry)
            self._world.tally.did(what, entry.sku, entry.price_minor)

    # --- promotions ---------------------------------------------------------------------------------------------

    async def _offer(self) -> None:
        """A promotion of some kind, on products that have none yet; sometimes its terms change later."""
        truth = self._world.truth
        if len(truth.offers) >= OFFERS_MAX:
            await self._take_back()
            return
        taken = {sku for offer in truth.offers.values() for sku in offer.skus}
        skus = [sku for sku in self.products(self._randomness.randint(*OFFERED_TOGETHER)) if sku not in taken]
        if not skus:
            return
        self._made += 1
        kind, terms = self._terms(skus)
        begins_ms, ends_ms = self._span_ms()
        promotion = PromotionTerms(f"offer-{self._made}", self._randomness.randint(1, 9), kind, terms,
                                   self._randomness.choice((0, begins_ms)), self._randomness.choice((None, ends_ms)))
        truth.offers_soon(promotion)
        await self._put("/v1/catalogue/promotions", [promotion])
        truth.offers_now(promotion)
        self._world.tally.did(f"{kind} promotions" if not terms.get("member_only") else "member prices", promotion.id)

    async def _take_back(self) -> None:
        truth = self._world.truth
        if not truth.offers:
            return
        promotion_id = self._randomness.choice(list(truth.offers))
        await self._delete(promotion_path(promotion_id))
        truth.ended(promotion_id)
        self._world.tally.did("promotions withdrawn", promotion_id)

    def _terms(self, skus: list[str]) -> tuple[str, dict[str, Any]]:
        draw = self._randomness
        unit_minor = max(10, self._world.truth.regular(skus[0]).price_minor)
        kind, terms = draw.choice((
            ("percent", {"percent": draw.choice((10, 33, 50))}),
            ("amount", {"amount_minor": draw.choice((5, 50, 300))}),
            ("price", {"price_minor": int(unit_minor * draw.choice(MEMBER_FACTORS)), "member_only": True}),
            ("price", {"price_minor": int(unit_minor * draw.choice(MEMBER_FACTORS))}),
            ("multi-buy", {"pieces": draw.choice((2, 3)), "price_minor": int(unit_minor * 1.7),
                           "mixed": draw.random() < 0.5}),
            ("buy-get", {"buy": draw.choice((1, 2)), "get": 1, "percent": draw.choice((50, 100)),
                         "mixed": draw.random() < 0.5}),
            ("threshold", {"spend_minor": draw.choice((500, 3_000)), "off_minor": draw.choice((0, 100)),
                           "percent": draw.choice((5, 10))})))
        said: dict[str, Any] = {**terms, "skus": skus}
        if draw.random() < 0.2:
            said["coupon"] = draw.choice(COUPONS)
        if draw.random() < 0.2:
            said["times_max"] = draw.choice((1, 2))
        return kind, said

    def _span_ms(self) -> tuple[int, int]:
        begins_ms = self._world.clock.true_ms() + int(1000 * self._randomness.uniform(*DATED_AHEAD_S))
        return begins_ms, begins_ms + int(1000 * self._randomness.uniform(*LASTS_S))

    def _from_regular(self, sku: str, factors: tuple[float, ...]) -> int:
        return max(3, int(self._world.truth.regular(sku).price_minor * self._randomness.choice(factors)))
