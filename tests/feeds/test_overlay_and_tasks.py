"""What one store has otherwise than its zone, promotions, and what the chain asks its staff to do."""

import httpx
import pytest

from cloud_sync.contract.feeds import Feed
from edge.errors import Rejected
from edge.pos.access import Role
from tests.feeds.line import STORE, Shop, item, price_of

OVERLAY = f"/v1/stores/{STORE}/overlay"


async def test_an_overlays_row_wins_over_the_zones_and_uncovers_it_when_it_goes(shop: Shop) -> None:
    await shop.has(["milk", "bread"])
    await shop.in_step()
    await shop.puts(OVERLAY, {"prices": [price_of("milk", "0.79")]})
    await shop.until(lambda: shop.asks("milk") == "0.79")

    await shop.has(["milk"], "0.95")  # the zone moves on underneath
    await shop.in_step()
    assert shop.asks("milk") == "0.79"

    await shop.deletes(f"{OVERLAY}/prices/regular/milk")
    await shop.until(lambda: shop.asks("milk") == "0.95")
    await shop.until(lambda: shop.equal(Feed.OVERLAY))
    assert all(shop.state(feed).repairs == 0 for feed in (Feed.ITEMS, Feed.PRICES, Feed.OVERLAY))


async def test_an_item_of_one_store_only_comes_and_goes(shop: Shop) -> None:
    await shop.puts(OVERLAY, {"items": [item("local cheese")], "prices": [price_of("local cheese", "4.50")]})
    await shop.until(lambda: shop.asks("local cheese") == "4.50")
    await shop.deletes(f"{OVERLAY}/items/local cheese")
    await shop.until(lambda: shop.kit.prices.by_sku("local cheese") is None)


async def test_promotions_arrive_as_they_are(shop: Shop) -> None:
    wanted = {"id": "summer", "version": 3, "kind": "n-for-x", "terms": {"skus": ["milk"], "n": 3, "minor": 250},
              "valid_from_ms": 5, "valid_until_ms": 9}
    await shop.puts("/v1/catalogue/promotions", [wanted])
    reader = shop.kit.books.replica_reader
    await shop.until(lambda: reader.execute("SELECT 1 FROM promotion").fetchone() is not None)
    row = reader.execute("SELECT * FROM promotion").fetchone()
    assert row == ("summer", 3, "n-for-x", b'{"skus":["milk"],"n":3,"minor":250}', 5, 9)
    await shop.deletes("/v1/catalogue/promotions/summer")
    await shop.until(lambda: reader.execute("SELECT 1 FROM promotion").fetchone() is None)


async def test_a_promotion_that_ends_before_it_begins_is_refused(shop: Shop) -> None:
    answer = await shop.world.operator.put("/v1/catalogue/promotions", json=[
        {"id": "summer", "version": 1, "kind": "n-for-x", "valid_from_ms": 5, "valid_until_ms": 4}])
    assert answer.status_code == httpx.codes.UNPROCESSABLE_ENTITY


async def test_p2_a_task_is_listed_until_it_was_done_and_done_once(shop: Shop) -> None:
    path = f"/v1/stores/{STORE}/tasks/recall"
    await shop.puts(path, {"title": "Take lot 7 off the shelf", "due_ms": 10})
    await shop.until(lambda: len(shop.kit.tasks.open()) == 1)
    staff = shop.kit.caller(Role.STAFF)
    [task] = (await staff.get("/v1/tasks")).json()
    assert (task["id"], task["revision"], task["title"]) == ("recall", 1, "Take lot 7 off the shelf")
    for _ in range(2):
        answer = await staff.post("/v1/tasks/recall/done", json={"revision": 1})
        assert answer.status_code == httpx.codes.OK
    assert shop.kit.tasks.open() == []
    assert [entry.kind for entry in shop.kit.entries()] == ["task-done"]

    await shop.puts(path, {"title": "Take lots 7 and 8 off the shelf"})
    await shop.until(lambda: len(shop.kit.tasks.open()) == 1)
    assert shop.kit.tasks.open()[0].revision == 2
    await shop.deletes(path)
    await shop.until(lambda: shop.kit.tasks.open() == [])


async def test_a_task_that_nobody_gave_cannot_be_done(shop: Shop) -> None:
    with pytest.raises(Rejected, match="no task"):
        await shop.kit.tasks.done("recall", 1, "ana", "")


async def test_p11_a_till_sees_no_tasks(shop: Shop) -> None:
    assert (await shop.kit.caller(Role.TILL).get("/v1/tasks")).status_code == httpx.codes.FORBIDDEN
