"""Feeds out: whole checkpoints, cursors, long polls (DESIGN.md section 10)."""

import asyncio
import gzip
from collections.abc import Callable

import httpx
import msgspec
import pytest
import sqlalchemy as sa

from cloud_sync.contract.documents import Item, Policy, Price
from cloud_sync.contract.feeds import Cursor, Delete, Feed, Put
from cloud_sync.hub import bells, main
from cloud_sync.hub.app import HubApp, run_inline
from cloud_sync.hub.bells import Bells
from cloud_sync.hub.catalogue import Catalogue
from cloud_sync.hub.feeds import FeedId
from cloud_sync.hub.limits import RECHECK_S
from tests.hub.virtual_time import run_virtually
from tests.hub.world import HubWorld, decode_page

MILK = {"sku": "milk", "name": "Milk", "codes": ["4006381333931"]}
BREAD = {"sku": "bread", "name": "Bread"}


def numbered(first: int, last: int, name: str = "thing") -> list[dict[str, str]]:
    return [{"sku": f"sku-{number:05}", "name": name} for number in range(first, last + 1)]


async def test_what_the_chain_sets_reaches_the_store_as_one_checkpoint(hub: HubWorld):
    store = await hub.store()
    await hub.sets_items(MILK, BREAD)
    (batch,) = await store.batches("items")
    changes = [(change.key, change.version, change.offset) for change in batch.changes]
    assert changes == [("milk", 1, 1), ("bread", 1, 2)]
    assert isinstance(batch.changes[0], Put)
    assert msgspec.json.decode(batch.changes[0].doc, type=Item) == Item("milk", "Milk", ("4006381333931",))
    assert batch.checkpoint.offset == 2


async def test_prices_and_policy_come_as_their_documents(hub: HubWorld):
    store = await hub.store()
    entry = {"id": "regular:milk", "sku": "milk", "price_minor": 99, "currency": "EUR", "valid_from_ms": 5}
    assert (await hub.operator.put("/v1/catalogue/prices", json=[entry])).status_code == 200
    assert (await hub.operator.put("/v1/policy", json={"grace_s": 60})).status_code == 200
    (price,) = (await store.batches("prices"))[0].changes
    (policy,) = (await store.batches("policy"))[0].changes
    assert (price.key, policy.key) == ("regular:milk", "policy")
    assert msgspec.json.decode(price.doc, type=Price) == Price("milk", 99, "EUR", valid_from_ms=5)
    assert msgspec.json.decode(policy.doc, type=Policy) == Policy(grace_s=60)


async def test_setting_the_same_again_writes_nothing(hub: HubWorld):
    store = await hub.store()
    await hub.sets_items(MILK, BREAD)
    assert await hub.sets_items(BREAD, MILK) == {"changed": 0, "unchanged": 2, "offset": 2}
    assert await hub.sets_items(MILK, {**BREAD, "name": "Rye bread"}) == {"changed": 1, "unchanged": 1, "offset": 3}
    cursor = Cursor((await store.batches("items"))[0].checkpoint.generation, 2)
    (batch,) = await store.batches("items", cursor)
    assert [(change.key, change.version) for change in batch.changes] == [("bread", 2)]


async def test_a_deleted_price_goes_and_its_version_goes_on_growing(hub: HubWorld):
    store = await hub.store()
    entry = {"id": "promo/7", "sku": "milk", "price_minor": 79, "currency": "EUR", "kind": "promotion"}
    await hub.operator.put("/v1/catalogue/prices", json=[entry])
    assert (await hub.operator.delete("/v1/catalogue/prices/promo/7")).json()["offset"] == 2
    assert (await hub.operator.delete("/v1/catalogue/prices/promo/7")).status_code == 404
    assert (await hub.operator.delete("/v1/catalogue/items/never")).status_code == 404
    await hub.operator.put("/v1/catalogue/prices", json=[entry])
    changes = (await store.batches("prices"))[0].changes
    assert [(type(change), change.version) for change in changes] == [(Put, 1), (Delete, 2), (Put, 3)]


async def test_nothing_new_is_just_the_checkpoint(hub: HubWorld):
    store = await hub.store()
    (empty,) = await store.batches("items")
    assert (empty.changes, empty.checkpoint.offset) == ((), 0)
    await hub.sets_items(MILK)
    (batch,) = await store.batches("items")
    (nothing,) = await store.batches("items", Cursor(batch.checkpoint.generation, 1))
    assert (nothing.changes, nothing.checkpoint) == ((), batch.checkpoint)


async def test_a_page_is_cut_only_at_checkpoints(hub: HubWorld):
    await hub.store()
    for first in range(1, 31, 3):
        await hub.sets_items(*numbered(first, first + 2))
    log = FeedId(Feed.ITEMS, "default")
    ends = []
    after = None
    while True:
        page = hub.storage.page(log, after, records_max=7)
        if not page.records:
            break
        after = Cursor(page.checkpoint.generation, page.checkpoint.offset)
        ends.append(after.offset)
    assert ends == [6, 12, 18, 24, 30]


async def test_a_group_longer_than_a_page_is_never_cut(hub: HubWorld):
    await hub.store()
    await hub.sets_items(*numbered(1, 20))
    await hub.sets_items(*numbered(21, 22))
    page = hub.storage.page(FeedId(Feed.ITEMS, "default"), None, records_max=7)
    assert (len(page.records), page.checkpoint.offset) == (20, 20)


async def test_six_thousand_items_come_in_pages_of_at_most_five_thousand(hub: HubWorld):
    store = await hub.store()
    for first in range(1, 6001, 1500):
        await hub.sets_items(*numbered(first, first + 1499))
    pages = []
    after = None
    for _ in range(3):
        (batch,) = await store.batches("items", after)
        after = Cursor(batch.checkpoint.generation, batch.checkpoint.offset)
        pages.append(len(batch.changes))
    assert pages == [4500, 1500, 0]


async def test_a_retired_generation_or_a_cursor_ahead_of_the_log_is_told_to_fetch_again(hub: HubWorld):
    store = await hub.store()
    await hub.sets_items(MILK)
    (batch,) = await store.batches("items")
    generation = batch.checkpoint.generation
    for cursor in (Cursor("of another life", 0), Cursor(generation, 2)):
        answer = await store.feed("items", cursor)
        assert (answer.status_code, answer.json()["refetch"]) == (409, generation)
    hub.storage.database.renew_after_restore()
    answer = await store.feed("items", Cursor(generation, 1))
    assert answer.status_code == 409
    assert answer.json()["refetch"] not in ("", generation)


@pytest.mark.parametrize("query", ["after=3", "generation=x", "generation=x&after=minus", "wait_s=-1", "wait_s=soon",
                                   "generation=x&after=99999999999999999999", "generation=%00&after=1"])
async def test_half_a_cursor_is_told_plainly(hub: HubWorld, query: str):
    store = await hub.store()
    answer = await store.http.get(f"/v1/stores/store-1/feeds/items?{query}")
    assert (answer.status_code, answer.headers["content-type"]) == (422, "application/problem+json")


async def test_an_unknown_feed_is_not_found(hub: HubWorld):
    store = await hub.store()
    assert (await store.feed("rumours")).status_code == 404


async def test_zones_have_feeds_of_their_own(hub: HubWorld):
    north, south = await hub.store("north", zone="n"), await hub.store("south", zone="s")
    await hub.operator.put("/v1/catalogue/items?zone=n", json=[MILK])
    assert len((await north.batches("items"))[0].changes) == 1
    assert len((await south.batches("items"))[0].changes) == 0


async def test_status_tells_how_far_behind_a_store_is(hub: HubWorld):
    store = await hub.store()
    await hub.sets_items(*numbered(1, 5))
    (batch,) = await store.batches("items")
    assert (await hub.status()).feeds["items"].store_offset is None
    await hub.sets_items(*numbered(6, 8))
    await store.batches("items", Cursor(batch.checkpoint.generation, 5))
    lag = (await hub.status()).feeds["items"]
    assert (lag.head_offset, lag.store_offset, lag.lag) == (8, 5, 3)


async def test_a_large_page_is_packed_when_the_store_can_unpack_it(hub: HubWorld):
    store = await hub.store()
    await hub.sets_items(*numbered(1, 200))
    path, can_unpack = "/v1/stores/store-1/feeds/items", {"Accept-Encoding": "gzip"}
    async with store.http.stream("GET", path, headers=can_unpack) as answer:
        packed = b"".join([chunk async for chunk in answer.aiter_raw()])
    assert answer.headers["content-encoding"] == "gzip"
    assert len(decode_page(gzip.decompress(packed), None)[0].changes) == 200
    plain = await store.http.get(path, headers={"Accept-Encoding": "identity"})
    assert "content-encoding" not in plain.headers
    assert decode_page(plain.content, None)
    assert len(plain.content) > len(packed)


def test_a_long_poll_answers_as_soon_as_the_feed_grows(sqlite_url: str):
    async def scene() -> tuple[int, float]:
        hub = HubWorld(sqlite_url)
        store = await hub.store()
        poll = asyncio.create_task(store.feed("items", wait_s=50))
        await asyncio.sleep(0.5)
        assert not poll.done()
        await hub.sets_items(MILK)
        began_s = asyncio.get_running_loop().time()
        (batch,) = decode_page((await poll).content, None)
        hub.stop()
        return len(batch.changes), asyncio.get_running_loop().time() - began_s

    (changes, waited_s), _ = run_virtually(scene())
    assert (changes, waited_s) == (1, 0.0)


def test_a_long_poll_wakes_for_an_order_too(sqlite_url: str):
    async def scene() -> int:
        hub = HubWorld(sqlite_url)
        store = await hub.store()
        poll = asyncio.create_task(store.feed("orders", wait_s=50))
        await asyncio.sleep(1)
        await hub.operator.put("/v1/stores/store-1/orders/o1", json={
            "currency": "EUR", "lines": [{"line": 1, "sku": "milk", "quantity_milli": 1000, "price_minor": 99}]})
        changes = len(decode_page((await poll).content, None)[0].changes)
        hub.stop()
        return changes

    changes, passed_s = run_virtually(scene())
    assert (changes, passed_s) == (1, 1.0)


@pytest.mark.parametrize(("wait_s", "waited_s"), [(0, 0), (1, 1), (50, 50), (3000, 50)])
def test_a_long_poll_without_news_ends_in_time_with_an_empty_page(sqlite_url: str, wait_s: int, waited_s: int):
    async def scene() -> int:
        hub = HubWorld(sqlite_url)
        store = await hub.store()
        (batch,) = decode_page((await store.feed("items", wait_s=wait_s)).content, None)
        hub.stop()
        return len(batch.changes)

    changes, passed_s = run_virtually(scene())
    assert changes == 0
    assert passed_s == pytest.approx(waited_s)


async def test_a_poll_without_news_costs_two_reads(hub: HubWorld):
    store = await hub.store()
    (batch,) = await store.batches("items")
    said: list[str] = []
    after = Cursor(batch.checkpoint.generation, batch.checkpoint.offset)
    await store.feed("items", after)  # the store has said where it is
    sa.event.listen(hub.storage.database.engine, "before_cursor_execute", lambda *seen: said.append(seen[2].split()[0]))
    await store.feed("items", after)
    assert [word for word in said if word != "BEGIN"] == ["SELECT", "SELECT"]


def test_news_that_come_while_the_database_is_asked_are_not_missed(sqlite_url: str):
    async def scene() -> int:
        async def run(function: Callable[..., object], *arguments: object) -> object:
            answer = function(*arguments)
            if function == hub.storage.poll:
                await hub.sets_items(MILK)
            return answer

        hub = HubWorld(sqlite_url)
        store = await hub.store()
        app = HubApp(hub.storage, run, hub.bells, recheck_s=1000).asgi()
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://hub",
                                     headers=store.http.headers) as client:
            page = await client.get("/v1/stores/store-1/feeds/items?wait_s=50")
        hub.stop()
        return len(decode_page(page.content, None)[0].changes)

    assert run_virtually(scene()) == (1, 0.0)


def test_stores_that_wait_at_the_same_place_share_one_look(sqlite_url: str):
    looks: list[str] = []

    async def run(function: Callable[..., object], *arguments: object) -> object:
        looks.append(getattr(function, "__name__", ""))
        await asyncio.sleep(0.01)
        return function(*arguments)

    async def scene() -> set[int]:
        hub = HubWorld(sqlite_url, run)
        stores = [await hub.store(f"store-{number}") for number in range(5)]
        cursors = [Cursor(batch.checkpoint.generation, batch.checkpoint.offset)
                   for store in stores for batch in await store.batches("items")]
        polls = [asyncio.create_task(store.feed("items", after, wait_s=50))
                 for store, after in zip(stores, cursors, strict=True)]
        await asyncio.sleep(1)
        looks.clear()
        await hub.sets_items(MILK)
        changes = {len(decode_page((await poll).content, cursors[0])[0].changes) for poll in polls}
        hub.stop()
        return changes

    changes, _ = run_virtually(scene())
    assert changes == {1}
    assert looks.count("poll_again") == 1


def test_another_process_on_the_same_database_is_noticed_without_a_bell(sqlite_url: str):
    async def scene() -> int:
        hub = HubWorld(sqlite_url)
        store = await hub.store()
        poll = asyncio.create_task(store.feed("items", wait_s=50))
        await asyncio.sleep(0.5)
        hub.storage.catalogue.put("default", Catalogue(items=(Item("milk", "Milk"),)))  # past the app, so nothing rings
        changes = len(decode_page((await poll).content, None)[0].changes)
        hub.stop()
        return changes

    changes, passed_s = run_virtually(scene())
    assert changes == 1
    assert passed_s <= RECHECK_S + 0.01


def test_one_look_for_all_polls_notices_what_another_process_wrote(sqlite_url: str):
    async def scene() -> int:
        hub = HubWorld(sqlite_url)
        store = await hub.store()
        bells = Bells()
        app = HubApp(hub.storage, run_inline, bells, recheck_s=1000).asgi()
        watching = asyncio.create_task(main._watch_feeds(hub.storage, run_inline, bells))
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://hub",
                                     headers=store.http.headers) as client:
            polls = [asyncio.create_task(client.get(f"/v1/stores/store-1/feeds/{feed}?wait_s=50"))
                     for feed in ("items", "items", "prices")]
            await asyncio.sleep(0.5)
            hub.storage.catalogue.put("default", Catalogue(items=(Item("milk", "Milk"),)))
            pages = [await poll for poll in polls[:2]]
            polls[2].cancel()
        watching.cancel()
        hub.stop()
        return sum(len(decode_page(page.content, None)[0].changes) for page in pages)

    changes, passed_s = run_virtually(scene())
    assert changes == 2
    assert passed_s <= RECHECK_S + 0.01


def test_more_long_polls_than_the_bound_are_answered_at_once(sqlite_url: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(bells, "LONG_POLLS_MAX", 3)

    async def scene() -> int:
        hub = HubWorld(sqlite_url)
        store = await hub.store()
        polls = [asyncio.create_task(store.feed("items", wait_s=20)) for _ in range(5)]
        await asyncio.sleep(1)
        answered = sum(poll.done() for poll in polls)
        await asyncio.gather(*polls)
        assert (await store.feed("items", wait_s=1)).status_code == 200
        hub.stop()
        return answered

    answered, passed_s = run_virtually(scene())
    assert answered == 2
    assert passed_s == pytest.approx(21)


def test_closing_lets_every_long_poll_go(sqlite_url: str):
    async def scene() -> list[int]:
        hub = HubWorld(sqlite_url)
        store = await hub.store()
        polls = [asyncio.create_task(store.feed("items", wait_s=50)) for _ in range(3)]
        await asyncio.sleep(1)
        hub.bells.close()
        statuses = [(await poll).status_code for poll in polls]
        hub.stop()
        return statuses

    statuses, passed_s = run_virtually(scene())
    assert (statuses, passed_s) == ([200, 200, 200], 1.0)


async def test_offsets_commit_in_order_under_concurrent_writers(hub: HubWorld):
    await hub.store()
    failures: list[BaseException] = []

    def write(worker: int) -> None:
        try:
            for number in range(10):
                items = tuple(Item(f"{worker}-{number}-{part}", "x") for part in range(3))
                hub.storage.catalogue.put("default", Catalogue(items=items))
        except BaseException as error:
            failures.append(error)

    await asyncio.gather(*(asyncio.to_thread(write, worker) for worker in range(4)))
    assert not failures
    page = hub.storage.page(FeedId(Feed.ITEMS, "default"), None)
    assert [record.offset for record in page.records] == list(range(1, 121))
    # each writer's three records stand together
    for start in range(0, 120, 3):
        assert len({record.key.rsplit("-", 1)[0] for record in page.records[start:start + 3]}) == 1


def test_feed_ids_read_as_the_log_they_name():
    assert str(FeedId(Feed.ITEMS, "default")) == "items:default"
    assert FeedId(Feed.ORDERS, "store-7").key() == {"store_id": "store-7", "feed": "orders"}
    assert FeedId(Feed.POLICY, "north").key() == {"zone_id": "north", "feed": "policy"}
