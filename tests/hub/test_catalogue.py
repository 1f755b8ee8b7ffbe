"""Catalogue and policy in: whole lists or nothing, every mistake named."""

import pytest

from cloud_sync.hub import limits
from tests.hub.world import HubWorld

GOOD_ITEM = {"sku": "milk", "name": "Milk"}
GOOD_PRICE = {"id": "r", "sku": "milk", "price_minor": 99, "currency": "EUR"}


@pytest.mark.parametrize(("bad", "says"), [
    ({"sku": "", "name": "x"}, "item 2 (''): sku is empty"),
    ({"sku": "a", "name": ""}, "name is empty"),
    ({"sku": "a", "name": "nul\0"}, "name holds a NUL character"),
    ({"sku": "a" * 201, "name": "x"}, "sku is longer than 200 characters"),
    ({"sku": "a", "name": "x", "codes": ["12 34"]}, "code '12 34' is not 1 to 48 digits"),
    ({"sku": "a", "name": "x", "age_limit_years": -1}, "age_limit_years -1"),
    ({"sku": "milk", "name": "x"}, "stands twice"),
    ({"sku": "a"}, "missing required field `name`"),
    ({"sku": 7, "name": "x"}, "Expected `str`, got `int`"),
])
async def test_one_bad_item_and_none_is_taken(hub: HubWorld, bad: dict[str, object], says: str):
    store = await hub.store()
    answer = await hub.operator.put("/v1/catalogue/items", json=[GOOD_ITEM, bad])
    assert answer.status_code == 422
    assert says in answer.json()["detail"]
    assert (await store.batches("items"))[0].changes == ()


@pytest.mark.parametrize(("change", "says"), [
    ({"id": ""}, "id is empty"), ({"price_minor": -1}, "price_minor -1"), ({"price_minor": 10**13}, "price_minor"),
    ({"price_minor": 2**63}, "price_minor"), ({"currency": "eur"}, "currency 'eur'"), ({"kind": "gift"}, "kind"),
    ({"valid_from_ms": 9, "valid_until_ms": 9}, "valid_until_ms"), ({"priority": 2**63}, "priority"),
    ({"price_minor": 0.99}, "Expected `int`"),
])
async def test_one_bad_price_and_none_is_taken(hub: HubWorld, change: dict[str, object], says: str):
    store = await hub.store()
    answer = await hub.operator.put("/v1/catalogue/prices", json=[GOOD_PRICE, {**GOOD_PRICE, "id": "s", **change}])
    assert answer.status_code == 422
    assert says in answer.json()["detail"]
    assert (await store.batches("prices"))[0].changes == ()


async def test_items_and_prices_together_are_all_or_nothing(hub: HubWorld):
    store = await hub.store()
    bad = {"items": [GOOD_ITEM], "prices": [{**GOOD_PRICE, "currency": "€"}]}
    assert (await hub.operator.put("/v1/catalogue", json=bad)).status_code == 422
    assert (await store.batches("items"))[0].changes == ()
    good = {"items": [GOOD_ITEM], "prices": [GOOD_PRICE]}
    assert (await hub.operator.put("/v1/catalogue", json=good)).status_code == 200
    assert len((await store.batches("items"))[0].changes) == len((await store.batches("prices"))[0].changes) == 1


async def test_all_mistakes_are_named_up_to_a_bound(hub: HubWorld):
    answer = await hub.operator.put("/v1/catalogue/items", json=[{"sku": f"s{n}", "name": ""} for n in range(50)])
    assert len(answer.json()["errors"]) == limits.PROBLEMS_SHOWN_MAX
    assert "49 more" in answer.json()["detail"]


@pytest.mark.parametrize(("change", "says"), [
    ({"grace_s": -1}, "grace_s"), ({"closed_days": ["Christmas"]}, "no date"), ({"prepare_s": -1}, "prepare_s"),
    ({"hours": [None]}, "1 days"), ({"hold_s": 9, "hold_max_s": 8}, "hold_s is longer"),
    ({"hours": [{"opens_minute": 600, "closes_minute": 540}] + [None] * 6}, "weekday 1"),
    ({"price_integrity": "whatever"}, "price_integrity"), ({"guard_share_percent": -5}, "guard_share_percent"),
    ({"safety_stock_milli": -5}, "safety_stock_milli"),
])
async def test_a_policy_no_store_could_follow_is_refused(hub: HubWorld, change: dict[str, object], says: str):
    answer = await hub.operator.put("/v1/policy", json=change)
    assert answer.status_code == 422
    assert says in answer.json()["detail"]


async def test_a_good_week_is_a_policy(hub: HubWorld):
    hours = [{"opens_minute": 540, "closes_minute": 1560}] * 6 + [None]
    assert (await hub.operator.put("/v1/policy", json={"hours": hours})).json()["changed"] == 1
