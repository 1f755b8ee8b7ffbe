"""Counts: what was found is recorded beside what was expected, and the difference moves; nothing is overwritten."""

from typing import Any

import httpx

from cloud_sync.contract.facts import Count, CountedLine, decode_fact, stock_moves
from edge.pos.access import Role
from tests.store_kit import StoreKit


async def counts(store: StoreKit, count_id: str, **found: int) -> httpx.Response:
    """`found`: pieces by SKU."""
    lines: list[dict[str, Any]] = [{"sku": sku, "counted_milli": 1000 * pieces} for sku, pieces in found.items()]
    async with store.caller(Role.STAFF, "ana") as client:
        return await client.post("/v1/counts", json={"count_id": count_id, "place": "aisle 4", "lines": lines})


async def test_p2_a_count_moves_the_difference_and_a_sale_in_between_stays_counted(store: StoreKit) -> None:
    await store.receives("milk", 10)
    await store.till().sells(1, "milk", 2)

    assert (await counts(store, "monday", milk=5)).status_code == 201
    assert store.stock("milk") == (5, 0, 0, 0)
    await store.till().sells(2, "milk", 1)
    assert store.stock("milk") == (4, 0, 0, 0)
    fact = decode_fact(store.entries()[-2].payload)
    assert fact == Count("aisle 4", (CountedLine("milk", 5_000, 8_000),), "ana")
    assert [move.sellable_milli for move in stock_moves(fact)] == [-3_000]


async def test_p2_a_count_sent_twice_counts_once_even_after_a_sale(store: StoreKit) -> None:
    await store.receives("milk", 10)
    first = await counts(store, "monday", milk=7)
    await store.till().sells(1, "milk", 2)
    again = await counts(store, "monday", milk=7)
    assert again.content == first.content
    assert store.stock("milk") == (5, 0, 0, 0)


async def test_the_same_id_with_another_finding_is_kept_for_a_person(store: StoreKit) -> None:
    await store.receives("milk", 10)
    await counts(store, "monday", milk=7)
    answer = await counts(store, "monday", milk=8)
    assert (answer.status_code, answer.json()["recorded"]) == (409, True)
    assert store.stock("milk") == (7, 0, 0, 0)
    assert store.exceptions() == ["conflict"]


async def test_p5_what_orders_reserved_stands_on_the_shelf_and_is_counted_with_it(store: StoreKit) -> None:
    await store.receives("milk", 10)
    await store.hub.places_order("o-1", {"milk": 3})
    assert store.stock("milk") == (7, 3, 0, 0)
    await counts(store, "monday", milk=9)
    assert store.stock("milk") == (6, 3, 0, 0)


async def test_a_sku_counted_twice_in_one_count_is_refused(store: StoreKit) -> None:
    async with store.caller(Role.STAFF, "ana") as client:
        lines = [{"sku": "milk", "counted_milli": 1000}] * 2
        answer = await client.post("/v1/counts", json={"count_id": "monday", "lines": lines})
    assert (answer.status_code, answer.json()["recorded"]) == (400, False)
    assert store.entries() == []
