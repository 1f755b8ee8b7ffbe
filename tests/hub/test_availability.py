"""What a web shop may sell: never more than the store has beyond its safety stock, and less the longer it is silent."""

import random

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloud_sync.contract.facts import Movement, PickupStep, StockMove
from cloud_sync.contract.ledger import Head, Hello
from cloud_sync.hub import limits
from cloud_sync.hub.limits import LEDGER_FRESH_S, LEDGER_WORTHLESS_S
from cloud_sync.hub.online_stock import ledger_known_until, online_milli
from cloud_sync.hub.times import rfc3339
from tests.hub.world import MONDAY_MS, HubWorld, StoreWorld

MILLI = st.integers(0, 10**12)
SILENCES = st.integers(0, 2000 * LEDGER_WORTHLESS_S)
MINUTE_MS = 60_000


@given(st.integers(-10**12, 10**12), MILLI, MILLI, SILENCES)
def test_p5_the_web_never_gets_more_than_sellable_less_safety_stock_nor_less_than_nothing(
        sellable_milli: int, safety_milli: int, unanswered_milli: int, silent_ms: int) -> None:
    figure = online_milli(sellable_milli, safety_milli, unanswered_milli, silent_ms)
    assert 0 <= figure <= max(0, sellable_milli - safety_milli - unanswered_milli)


@given(MILLI, MILLI, MILLI, SILENCES, SILENCES)
def test_figures_fall_and_never_rise_while_a_store_is_silent(sellable_milli: int, safety_milli: int,
                                                             unanswered_milli: int, one: int, other: int) -> None:
    sooner, later = sorted((one, other))
    assert online_milli(sellable_milli, safety_milli, unanswered_milli, sooner) >= online_milli(
        sellable_milli, safety_milli, unanswered_milli, later)


@given(MILLI, MILLI, MILLI, st.integers(0, 1000 * LEDGER_FRESH_S), st.integers(1000 * LEDGER_WORTHLESS_S, 10**15))
def test_a_store_that_speaks_gives_all_and_one_that_is_gone_nothing(
        sellable_milli: int, safety_milli: int, unanswered_milli: int, fresh_ms: int, gone_ms: int) -> None:
    kept_milli = safety_milli + unanswered_milli
    assert online_milli(sellable_milli, safety_milli, unanswered_milli, fresh_ms) == max(0, sellable_milli - kept_milli)
    assert online_milli(sellable_milli, safety_milli, unanswered_milli, gone_ms) == 0
    assert online_milli(sellable_milli, safety_milli, unanswered_milli, None) == 0


def test_half_way_into_silence_half_is_left():
    half_way_ms = 1000 * (LEDGER_FRESH_S + LEDGER_WORTHLESS_S) // 2
    assert online_milli(10_000, 2_000, 0, half_way_ms) == 4_000


@given(MILLI, MILLI, MILLI, st.booleans())
def test_a_ledger_is_never_known_longer_than_it_was_heard(hello_ms: int, push_ms: int, last_fact_ms: int,
                                                          backlog: bool) -> None:
    known_ms = ledger_known_until(hello_ms, push_ms, last_fact_ms, backlog=backlog)
    assert (known_ms or 0) <= max(hello_ms, push_ms)
    if backlog and push_ms > hello_ms:
        assert (known_ms or 0) <= max(hello_ms, last_fact_ms)


class Shelf:
    """A store whose ledger is written by the scene."""

    def __init__(self, hub: HubWorld, store: StoreWorld) -> None:
        self.hub, self.store, self.ledger, self.pushed = hub, store, store.ledger(), 0

    async def receives(self, sku: str, quantity_milli: int) -> None:
        moves = (StockMove(sku, sellable_milli=quantity_milli),)
        self.ledger.appends(Movement("receipt", moves, "ana"), f"receipt/{len(self.ledger.entries)}")
        await self.pushes()

    async def answers(self, order_id: str, step: str, state: str, *moves: StockMove) -> None:
        self.ledger.appends(PickupStep(order_id, f"{order_id}/{step}", step, state, 1, "ana", moves),
                            f"{order_id}/{step}")
        await self.pushes()

    async def pushes(self, last: int | None = None) -> None:
        answer = await self.store.push(self.ledger.push(self.pushed + 1, last))
        assert answer.status_code == 200, answer.text
        self.pushed = last or len(self.ledger.entries)

    async def says_hello(self, sequence: int | None = None) -> None:
        here = len(self.ledger.entries) if sequence is None else sequence
        hello = Hello(1, Head(here, self.ledger.hash_at(here)), 1)
        answer = await self.store.http.post(f"/v1/stores/{self.store.name}/hello", content=msgspec.json.encode(hello))
        assert answer.status_code == 200, answer.text


async def shelf(hub: HubWorld, name: str = "store-1") -> Shelf:
    return Shelf(hub, await hub.store(name))


async def available(hub: HubWorld, sku: str = "milk", store: str = "store-1") -> int:
    answer = await hub.operator.get("/v1/availability", params={"sku": sku, "store": store})
    assert answer.status_code == 200, answer.text
    return int(answer.json()["stores"][0]["items"][0]["available_milli"])


async def places(hub: HubWorld, order_id: str = "o1", quantity_milli: int = 2000, sku: str = "milk") -> None:
    lines = [{"line": 1, "sku": sku, "quantity_milli": quantity_milli, "price_minor": 99}]
    answer = await hub.operator.put(f"/v1/stores/store-1/orders/{order_id}", json={"currency": "EUR", "lines": lines})
    assert answer.status_code in (200, 201), answer.text


async def test_a_shop_asks_for_many_skus_in_many_stores(hub: HubWorld):
    first, second = await shelf(hub), await shelf(hub, "store-2")
    await first.receives("milk", 7000)
    hub.now_ms += 5 * MINUTE_MS
    await second.receives("bread/rye", 3500)
    shop = await hub.shop()
    answer = await shop.get("/v1/availability", params={"sku": ["milk", "bread/rye", "milk"]})
    assert answer.json() == {"time": rfc3339(hub.now_ms), "stores": [
        {"store": "store-1", "as_of": "2026-01-01T00:00:00.000Z", "items": [
            {"sku": "milk", "available_milli": 7000}, {"sku": "bread/rye", "available_milli": 0}]},
        {"store": "store-2", "as_of": "2026-01-01T00:05:00.000Z", "items": [
            {"sku": "milk", "available_milli": 0}, {"sku": "bread/rye", "available_milli": 3500}]}]}
    assert answer.headers["cache-control"] == "private, max-age=10"
    posted = await shop.post("/v1/availability", json={"skus": ["milk"], "stores": ["store-1"]})
    assert [(store["store"], store["items"]) for store in posted.json()["stores"]] == [
        ("store-1", [{"sku": "milk", "available_milli": 7000}])]


async def test_safety_stock_is_kept_from_the_web_the_policys_and_a_skus_own(hub: HubWorld):
    await (await shelf(hub)).receives("milk", 7000)
    await hub.operator.put("/v1/policy", json={"safety_stock_milli": 2000})
    assert await available(hub) == 5000
    await hub.operator.put("/v1/safety-stock/milk", json={"safety_stock_milli": 6500})
    assert await available(hub) == 500
    await hub.operator.put("/v1/safety-stock/milk", json={"safety_stock_milli": 1000})
    assert await available(hub) == 5000  # below the policy's the store itself promises nothing
    assert (await hub.operator.get("/v1/safety-stock/milk")).json() == {"safety_stock_milli": 2000}
    await hub.operator.put("/v1/safety-stock/milk", json={"safety_stock_milli": 9000})
    assert await available(hub) == 0
    assert (await hub.operator.delete("/v1/safety-stock/milk")).json() == {"safety_stock_milli": 2000}
    assert await available(hub) == 5000
    refused = await hub.operator.put("/v1/safety-stock/milk", json={"safety_stock_milli": -1})
    assert refused.status_code == 422


async def test_p5_a_placed_order_is_not_offered_again_before_or_after_the_store_answers(hub: HubWorld):
    store = await shelf(hub)
    await store.receives("milk", 7000)
    await places(hub, "o1", 2000)
    await places(hub, "o1", 2000)  # sent again
    assert await available(hub) == 5000
    await store.answers("o1", "accept", "accepted", StockMove("milk", sellable_milli=-2000, reserved_milli=2000))
    assert await available(hub) == 5000
    await places(hub, "o2", 4000)
    assert await available(hub) == 1000
    await store.answers("o2", "reject", "rejected")
    assert await available(hub) == 5000
    await places(hub, "o2", 4000)  # a commerce system that tries again after the end
    assert await available(hub) == 5000


async def test_orders_of_a_database_from_before_wait_for_their_answers_too(database_url: str,
                                                                          monkeypatch: pytest.MonkeyPatch):
    hub = HubWorld(database_url)
    store = await shelf(hub)
    await store.receives("milk", 9000)
    await places(hub, "o1", 2000)
    await places(hub, "o2", 3000)
    await store.answers("o1", "accept", "accepted", StockMove("milk", sellable_milli=-2000, reserved_milli=2000))
    with hub.storage.database.transaction() as connection:
        for statement in (*(f"DROP TABLE {name}" for name in (
                              "unanswered_line", "safety_stock", "webhook", "delivery", "silent_store", "sourcing",
                              "order_offer", "parcel", "sold_line", "transfer_line", "connector",
                              "connector_note")),
                          "ALTER TABLE store DROP COLUMN ledger_known_ms", "ALTER TABLE store DROP COLUMN time_zone",
                          "DELETE FROM store_feed WHERE feed = 'deliveries'",
                          "UPDATE hub_meta SET value = '1' WHERE name = 'schema_version'"):
            connection.exec_driver_sql(statement)
    hub.restart()
    assert await available(hub) == 4000
    hub.stop()


async def test_a_silent_store_offers_less_and_less_until_it_says_where_its_ledger_ends(hub: HubWorld):
    store = await shelf(hub)
    await store.receives("milk", 8000)
    hub.now_ms += 1000 * LEDGER_FRESH_S
    assert await available(hub) == 8000
    figures = []
    while hub.now_ms < MONDAY_MS + 1000 * LEDGER_WORTHLESS_S:
        hub.now_ms += 10 * MINUTE_MS
        figures.append(await available(hub))
    assert figures == sorted(figures, reverse=True)
    assert (len(set(figures)), figures[-1]) == (len(figures), 0)
    await store.store.feed("items")  # it polls: that does not say what it sold
    assert await available(hub) == 0
    await store.says_hello()
    assert await available(hub) == 8000


async def test_a_store_that_has_more_to_tell_is_known_only_as_far_as_it_told(hub: HubWorld):
    store = await shelf(hub)
    await store.receives("milk", 8000)  # its facts happened on Monday at midnight
    hub.now_ms += 1000 * LEDGER_WORTHLESS_S
    for _ in range(3):
        store.ledger.sells("milk")
    await store.says_hello()
    await store.pushes(3)
    assert await available(hub) == 0
    await store.pushes()
    assert await available(hub) == 5000


async def test_a_box_that_was_put_back_from_a_backup_says_hello_and_is_not_taken_for_fresh(hub: HubWorld):
    store = await shelf(hub)
    await store.receives("milk", 8000)
    await store.receives("milk", 1000)
    hub.now_ms += 1000 * LEDGER_WORTHLESS_S
    await store.says_hello(sequence=1)
    assert await available(hub) == 0


async def test_a_store_that_never_spoke_offers_nothing(hub: HubWorld):
    await hub.store()
    shop = await hub.shop()
    (store,) = (await shop.get("/v1/availability?sku=milk")).json()["stores"]
    assert store == {"store": "store-1", "as_of": None, "items": [{"sku": "milk", "available_milli": 0}]}


async def test_a_walk_in_that_took_the_last_one_leaves_nothing_for_the_web(hub: HubWorld):
    store = await shelf(hub)
    store.ledger.sells("milk")
    await store.pushes()
    assert await hub.stock_milli("milk") == -1000
    assert await available(hub) == 0


async def test_questions_without_sense_or_bound_are_refused(hub: HubWorld, monkeypatch: pytest.MonkeyPatch):
    await hub.store("store-1")
    await hub.store("store-2")
    shop = await hub.shop()
    monkeypatch.setattr("cloud_sync.hub.availability.AVAILABILITY_FIGURES_MAX", 3)
    many = [f"sku-{number}" for number in range(limits.AVAILABILITY_SKUS_MAX + 1)]
    assert (await shop.get("/v1/availability")).status_code == 422
    assert (await shop.get("/v1/availability?sku=")).status_code == 422
    assert (await shop.get("/v1/availability?sku=a%00b")).status_code == 422
    assert (await shop.get("/v1/availability?sku=milk&store=nowhere")).status_code == 404
    assert (await shop.post("/v1/availability", json={"skus": many, "stores": ["store-1"]})).status_code == 413
    assert (await shop.get("/v1/availability?sku=a&sku=b")).status_code == 413
    assert (await shop.get("/v1/availability?sku=a&sku=b&store=store-1")).status_code == 200


async def test_p11_a_shop_reads_figures_until_its_token_ends(hub: HubWorld):
    await hub.store()
    shop = await hub.shop()
    assert (await shop.get("/v1/availability?sku=milk")).status_code == 200
    kept = await hub.operator.put("/v1/shops/web")
    assert (kept.status_code, kept.json()["token"]) == (200, None)
    fresh = await hub.operator.put("/v1/shops/web", json={"fresh_token": True})
    assert (await shop.get("/v1/availability?sku=milk")).status_code == 401
    newer = hub.client(fresh.json()["token"])
    assert (await newer.get("/v1/availability?sku=milk")).status_code == 200
    assert (await newer.get("/v1/stores/store-1/status")).status_code == 403
    assert (await hub.operator.delete("/v1/shops/web")).status_code == 204
    assert (await newer.get("/v1/availability?sku=milk")).status_code == 401
    assert (await hub.operator.delete("/v1/shops/web")).status_code == 404
    hub.restart()  # the operator's token is renewed at every start; other credentials stay
    assert (await hub.operator.get("/v1/availability?sku=milk")).status_code == 200


@pytest.mark.parametrize("seed", range(4))
async def test_p5_whatever_happens_the_hub_offers_exactly_what_the_store_could_still_promise(hub: HubWorld, seed: int):
    """Orders, answers, sales and deliveries in any order; the store's own sums are the judge."""
    chance, store, safety_milli = random.Random(seed), await shelf(hub), 3000
    await hub.operator.put("/v1/policy", json={"safety_stock_milli": safety_milli})
    sellable_milli, unanswered = 0, dict[str, int]()
    for number in range(60):
        act = chance.choice(("receive", "sell", "place", "place", "answer", "answer"))
        if act == "receive":
            milli = 1000 * chance.randint(1, 9)
            await store.receives("milk", milli)
            sellable_milli += milli
        elif act == "sell":
            store.ledger.sells("milk", "milk")
            await store.pushes()
            sellable_milli -= 2000
        elif act == "place":
            unanswered[f"o{number}"] = 1000 * chance.randint(1, 4)
            await places(hub, f"o{number}", unanswered[f"o{number}"])
        elif unanswered:
            order_id = chance.choice(sorted(unanswered))
            milli = unanswered.pop(order_id)
            if sellable_milli - safety_milli >= milli:
                sellable_milli -= milli
                await store.answers(order_id, "accept", "accepted",
                                    StockMove("milk", sellable_milli=-milli, reserved_milli=milli))
            else:
                await store.answers(order_id, "reject", "rejected")
        assert await available(hub) == max(0, sellable_milli - safety_milli - sum(unanswered.values()))
    assert store.pushed > 20
