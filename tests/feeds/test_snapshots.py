"""First loads and refetches as snapshots: resumable, checked, beside the old copy, and then in one step."""

import asyncio

import httpx
import msgspec
import pytest

from cloud_sync.contract.feeds import Feed
from cloud_sync.contract.snapshots import decode_manifest
from cloud_sync.hub import feeds as hub_feeds
from cloud_sync.hub import snapshots as hub_snapshots
from cloud_sync.hub.feeds import FeedId
from tests.client.fakes import Fault, Handle, answers, cuts_the_answer
from tests.feeds.line import STORE, Shop

SKUS = [f"sku-{number:04}" for number in range(600)]


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Feeds that would be small, cut into several chunks."""
    monkeypatch.setattr(hub_feeds, "SNAPSHOT_FROM_ROWS", 100)
    monkeypatch.setattr(hub_snapshots, "ends_chunk", lambda _key, size_bytes: size_bytes >= 10_000)


async def stocked_before_the_line_is_up(shop: Shop) -> None:
    await shop.disconnect()
    await shop.has(SKUS)
    shop.connect()


async def new_generation(shop: Shop) -> None:
    """The hub comes back from a backup."""
    shop.world.storage.database.renew_after_restore()


async def test_a_first_load_comes_as_chunks_and_then_the_log_is_followed(shop: Shop) -> None:
    await stocked_before_the_line_is_up(shop)
    await shop.in_step()
    assert shop.wire.times("items/chunks") > 3
    assert shop.asks("sku-0599") == "0.99"
    assert shop.kit.guard.held() == [], "first prices are never held"
    await shop.has(["sku-0001"], "0.89")
    await shop.until(lambda: shop.asks("sku-0001") == "0.89")


async def test_p8_tills_read_the_old_copy_until_the_new_one_is_whole(shop: Shop) -> None:
    await stocked_before_the_line_is_up(shop)
    await shop.in_step()
    await shop.disconnect()
    await shop.has(SKUS[:10], "0.89")
    await shop.deletes("/v1/catalogue/items/sku-0599")
    await new_generation(shop)
    shop.wire.faults["prices/chunks"] = answers(503)
    shop.connect()
    await shop.until(lambda: shop.wire.times("prices/chunks") > 3)
    assert shop.asks("sku-0001") == "0.99"

    del shop.wire.faults["prices/chunks"]
    await shop.in_step()
    assert shop.asks("sku-0001") == "0.89"
    assert shop.kit.prices.by_sku("sku-0599") is None


async def test_a_refetch_is_judged_by_its_difference(shop: Shop) -> None:
    """The guard lets pass what did not move, and holds what moved too much."""
    await stocked_before_the_line_is_up(shop)
    await shop.in_step()
    await shop.disconnect()
    await shop.has(["sku-0001"], "9.99")
    await shop.has(["sku-0002"], "0.89")
    await new_generation(shop)
    shop.connect()
    await shop.in_step()
    assert (shop.asks("sku-0001"), shop.asks("sku-0002")) == ("0.99", "0.89")
    assert [held.prices for held in shop.kit.guard.held()] == [1]


async def test_an_interrupted_load_goes_on_where_it_was(shop: Shop) -> None:
    await shop.disconnect()
    await shop.has(SKUS)
    chunks = 0

    async def the_third_kills(_request: httpx.Request, handle: Handle) -> httpx.Response:
        nonlocal chunks
        chunks += 1
        if chunks == 3:
            raise httpx.ReadError("connection reset")
        return await handle()

    shop.wire.faults["items/chunks"] = the_third_kills
    shop.connect()
    await shop.until(lambda: chunks == 3)
    shop.wire.faults.clear()
    await shop.restarts()
    await shop.in_step()
    body = shop.world.storage.manifest(FeedId(Feed.ITEMS, "default"))
    assert shop.wire.times("items/chunks") == len(decode_manifest(body).chunks) + 1, "only the lost one twice"


def changes_a_byte(place: int) -> Fault:
    async def fault(_request: httpx.Request, handle: Handle) -> httpx.Response:
        body = bytearray((await handle()).content)
        body[place] ^= 1
        return httpx.Response(200, content=bytes(body))

    return fault


async def with_another_fingerprint(_request: httpx.Request, handle: Handle) -> httpx.Response:
    manifest = decode_manifest((await handle()).content)
    return httpx.Response(200, content=msgspec.json.encode(msgspec.structs.replace(manifest, root="0123456789abcdef")))


@pytest.mark.parametrize(("part", "fault"), [
    ("items/chunks", cuts_the_answer),
    ("items/chunks", changes_a_byte(-20)),
    ("items/chunks", answers(200, "<html>log in to the guest network</html>")),
    ("items/snapshot", answers(200, "<html>log in to the guest network</html>")),
    ("items/snapshot", with_another_fingerprint),
    ("feeds/", answers(200, "nonsense")),
], ids=["truncated chunk", "wrong hash", "chunk of nonsense", "manifest of nonsense", "wrong fingerprint",
        "all nonsense"])
async def test_nonsense_for_a_minute_is_refused_with_a_reason_and_tried_again(shop: Shop, part: str,
                                                                              fault: Fault) -> None:
    await shop.disconnect()
    await shop.has(SKUS)
    shop.wire.faults[part] = fault
    shop.connect()
    await asyncio.sleep(60)
    [trouble] = [each for each in shop.link.state.troubles if each.part == "feed items"]
    assert trouble.kind.value == "nonsense"
    assert shop.kit.prices.by_sku("sku-0001") is None

    del shop.wire.faults[part]
    await shop.in_step()
    assert shop.asks("sku-0599") == "0.99"
    await shop.until(lambda: shop.link.state.troubles == ())


async def test_a_cursor_older_than_the_log_is_told_to_refetch(shop: Shop) -> None:
    await shop.has(SKUS)
    await shop.in_step()
    await shop.disconnect()
    await shop.has(SKUS[:50], "0.98")
    await shop.deletes("/v1/catalogue/items/sku-0599")
    with shop.world.storage.database.transaction() as connection:
        for feed in (Feed.ITEMS, Feed.PRICES):
            while hub_snapshots.prune(connection, FeedId(feed, "default"), keep=0):
                pass
        assert hub_feeds.read_documents(connection, FeedId(Feed.ITEMS, "default"), ["sku-0599"]) == {}, \
            "tombstones live as long as the log"
    shop.connect()
    await shop.in_step()
    assert shop.asks("sku-0001") == "0.98"
    assert shop.kit.prices.by_sku("sku-0599") is None
    assert shop.kit.prices.by_sku("sku-0598") is not None


async def test_a_snapshot_is_named_by_its_content_and_may_be_kept_for_ever(shop: Shop) -> None:
    await shop.has(SKUS)
    store = shop.world.client(shop.token)
    path = f"/v1/stores/{STORE}/feeds/items"
    before = decode_manifest((await store.get(f"{path}/snapshot")).content)
    first = before.chunks[0].sha256
    answer = await store.get(f"{path}/chunks/{first}")
    assert "immutable" in answer.headers["cache-control"]
    again = await store.get(f"{path}/chunks/{first}", headers={"if-none-match": answer.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")

    with shop.world.storage.database.transaction() as connection:
        hub_snapshots.build(connection, FeedId(Feed.ITEMS, "default"))
    assert decode_manifest((await store.get(f"{path}/snapshot")).content) == before, "the same rows, the same bytes"
