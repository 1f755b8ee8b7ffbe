"""`POST /v1/baskets/price`: what a till that leaves the sums to the store is told (DESIGN.md sections 5 and 8)."""

from typing import Any

import msgspec

from cloud_sync.contract.documents import Promotion, TaxRate
from cloud_sync.contract.feeds import Feed
from edge.limits import BASKET_LINES_MAX
from edge.pos.access import Role
from tests.store_kit import MONDAY_NOON_MS, StoreKit, gtin_of


async def _price(store: StoreKit, *lines: dict[str, Any], status: int = 200, **more: Any) -> dict[str, Any]:
    async with store.caller(Role.TILL, "1") as till:
        answer = await till.post("/v1/baskets/price", json={
            "lines": [{"line": number, **line} for number, line in enumerate(lines)], **more})
    assert answer.status_code == status, answer.text
    return dict(answer.json())


async def _promotes(store: StoreKit, name: str, kind: str, from_ms: int = 0, until_ms: int | None = None,
                    **terms: Any) -> None:
    document = Promotion(name, 3, kind, msgspec.Raw(msgspec.json.encode(terms)), from_ms, until_ms)
    await store.hub.sends(Feed.PROMOTIONS, {name: document})


async def test_a_receipt_says_what_is_to_pay_and_why(store: StoreKit) -> None:
    await _promotes(store, "summer", "multi-buy", skus=["milk"], pieces=3, price_minor=250, text="3 for 2.50")
    receipt = await _price(store, {"code": gtin_of("milk"), "quantity_milli": 4000}, {"sku": "bread"})
    assert [line["net_minor"] for line in receipt["lines"]] == [349, 189]
    assert receipt["total_minor"] == 349 + 189
    assert receipt["promotions"] == [{"promotion": "summer", "version": 3, "kind": "multi-buy", "text": "3 for 2.50",
                                      "times": 1, "off_minor": 47, "lines": {"0": 47}}]
    assert receipt["p3"]


async def test_p3_a_basket_asks_what_the_shelf_shows(store: StoreKit) -> None:
    await store.label("aisle 4").shows("milk", "0.99")
    await store.hub.sets_price("milk", "1.09")
    (line,) = (await _price(store, {"sku": "milk"}))["lines"]
    assert (line["unit_minor"], line["list_price_minor"], line["held_low"]) == (99, 109, True)


async def test_promotions_begin_and_end_by_the_stores_clock_and_with_the_feed(store: StoreKit) -> None:
    async def total() -> int:
        return int((await _price(store, {"sku": "milk"}))["total_minor"])

    await _promotes(store, "hour", "percent", MONDAY_NOON_MS + 3_600_000, MONDAY_NOON_MS + 7_200_000, skus=["milk"],
                    percent=50)
    assert await total() == 99
    await store.time_passes(3600)
    assert await total() == 49
    await store.hub.sends(Feed.PROMOTIONS, {"hour": None})
    assert await total() == 99
    await _promotes(store, "hour", "percent", MONDAY_NOON_MS, MONDAY_NOON_MS + 7_200_000, skus=["milk"], percent=10)
    assert await total() == 89
    await store.time_passes(3600)
    assert await total() == 99


async def test_a_promotion_of_a_newer_hub_is_passed_over_and_harms_no_other(store: StoreKit) -> None:
    await _promotes(store, "odd", "lottery", skus=["milk"])
    await _promotes(store, "broken", "percent", skus=["milk"], percent=1000)
    await _promotes(store, "good", "amount", skus=["milk"], amount_minor=9)
    assert (await _price(store, {"sku": "milk"}))["total_minor"] == 90


async def test_coupons_that_did_nothing_are_named(store: StoreKit) -> None:
    await _promotes(store, "c", "amount", skus=["milk"], amount_minor=9, coupon="NINE")
    receipt = await _price(store, {"sku": "milk"}, coupons=["NINE", "TEN"])
    assert (receipt["total_minor"], receipt["coupons_unused"]) == (90, ["TEN"])
    assert (await _price(store, {"sku": "bread"}, coupons=["NINE"]))["coupons_unused"] == ["NINE"]


async def test_member_prices_are_for_members(store: StoreKit) -> None:
    await _promotes(store, "m", "price", skus=["milk"], price_minor=79, member_only=True)
    assert (await _price(store, {"sku": "milk"}))["total_minor"] == 99
    assert (await _price(store, {"sku": "milk"}, member=True))["total_minor"] == 79


async def test_taxes_deposits_and_coins_are_the_chains_to_say(store: StoreKit) -> None:
    await store.hub.has_items("cola", tax_class="food", deposit_minor=25)
    await store.hub.sets_price("cola", "1.04")
    await store.hub.sets_policy(taxes=(TaxRate("food", 400),), cash_step_minor=5)
    receipt = await _price(store, {"sku": "cola", "quantity_milli": 2000})
    assert receipt["taxes"] == [{"tax_class": "food", "basis_points": 400, "taxed_minor": 200, "tax_minor": 8}]
    assert (receipt["deposits_minor"], receipt["total_minor"], receipt["cash_minor"]) == (50, 258, 260)


async def test_what_is_unknown_is_named_and_in_no_sum(store: StoreKit) -> None:
    await store.hub.has_items("new")
    receipt = await _price(store, {"sku": "milk"}, {"code": "nothing"}, {"sku": "new"})
    assert (receipt["unknown"], receipt["total_minor"]) == ([1, 2], 99)


async def test_p10_what_is_no_basket_is_refused(store: StoreKit) -> None:
    await _price(store, *[{"sku": "milk"}] * (BASKET_LINES_MAX + 1), status=400)
    await _price(store, *[{"sku": "milk", "quantity_milli": 4_000_000}] * 2, status=422)
    async with store.caller(Role.TILL, "1") as till:
        twice = {"lines": [{"line": 1, "sku": "milk"}, {"line": 1, "sku": "bread"}]}
        assert (await till.post("/v1/baskets/price", json=twice)).status_code == 422
    assert (await _price(store))["total_minor"] == 0
