"""A copy that differs from the hub's finds out at the next checkpoint, and fetches only what differs."""

from cloud_sync.contract.feeds import Feed
from tests.feeds.line import Shop, price_of
from tests.store_kit import gtin_of

SKUS = [f"sku-{number:04}" for number in range(1_000)]


async def stocked(shop: Shop) -> None:
    await shop.has(SKUS)
    await shop.in_step()


PLANTED = [
    (Feed.PRICES, "UPDATE price_entry SET price_minor = 98 WHERE entry_id = 'regular/sku-0007'"),
    (Feed.PRICES, "UPDATE list_price SET price_minor = 98 WHERE sku = 'sku-0007'"),
    (Feed.PRICES, "DELETE FROM price_entry WHERE entry_id = 'regular/sku-0007'"),
    (Feed.PRICES, "UPDATE document SET doc = x'7b7d' WHERE key = 'regular/sku-0007'"),
    (Feed.PRICES, "DELETE FROM document WHERE key = 'regular/sku-0007'"),
    (Feed.ITEMS, "UPDATE item SET name = 'SOMETHING ELSE' WHERE sku = 'sku-0007'"),
    (Feed.ITEMS, "DELETE FROM item_code WHERE sku = 'sku-0007'"),
    (Feed.ITEMS, "DELETE FROM item WHERE sku = 'sku-0007'"),
]


async def test_p9_one_row_that_differs_is_found_at_the_next_checkpoint_and_less_than_a_hundredth_is_fetched(
        shop: Shop) -> None:
    await stocked(shop)
    before = shop.kit.prices.by_sku("sku-0007")
    for number, (feed, statement) in enumerate(PLANTED):
        known = shop.state(feed)
        shop.plant(statement)

        await shop.has([f"news-{number}"])  # the next checkpoint
        await shop.until(lambda feed=feed, known=known: shop.state(feed).repairs == known.repairs + 1)
        await shop.in_step()

        assert shop.kit.prices.by_sku("sku-0007") == before, statement
        assert shop.kit.prices.sku_of(gtin_of("sku-0007")) == "sku-0007", statement
        assert 0 < shop.state(feed).rows_fetched - known.rows_fetched < len(SKUS) / 100, statement
        assert shop.state(feed).rows_repaired == known.rows_repaired + 1, statement


async def test_p9_a_change_that_never_arrived_is_found_and_repaired(shop: Shop) -> None:
    """A bug of the store's own intake: it takes the cursor and forgets a row."""
    await stocked(shop)
    await shop.puts("/v1/catalogue/prices", [price_of("sku-0003", "0.89")])
    await shop.until(lambda: shop.asks("sku-0003") == "0.89")
    shop.plant("INSERT INTO own_hand VALUES (1)")
    shop.plant("UPDATE document SET version = 1, hash = hash - 1 WHERE key = 'regular/sku-0003'")
    shop.plant("UPDATE feed_bucket SET total = total - 1 WHERE feed = 'prices' AND row_count > 0 AND bucket = "
               "(SELECT bucket FROM document WHERE key = 'regular/sku-0003')")
    shop.plant("UPDATE feed_copy SET root = '0123456789abcdef' WHERE feed = 'prices'")
    shop.plant("DELETE FROM own_hand")

    await shop.has(["news"])
    await shop.until(lambda: shop.state(Feed.PRICES).rows_repaired == 1)
    await shop.in_step()
    assert shop.state(Feed.PRICES).rows_fetched < len(SKUS) / 100


async def test_p9_labels_and_tills_hear_of_a_repaired_price(shop: Shop) -> None:
    await stocked(shop)
    heard: set[str] = set()
    shop.kit.store.listeners.append(lambda news: heard.update(news.subjects))
    shop.plant("UPDATE list_price SET price_minor = 95 WHERE sku = 'sku-0007'")
    assert shop.asks("sku-0007") == "0.95"
    await shop.has(["news"])
    await shop.until(lambda: shop.asks("sku-0007") == "0.99")
    await shop.kit.a_moment()
    assert "sku-0007" in heard


async def test_p9_a_price_that_the_guard_holds_counts_as_the_hubs(shop: Shop) -> None:
    await stocked(shop)
    await shop.puts("/v1/catalogue/prices", [price_of("sku-0001", "9.99")])
    await shop.in_step()
    assert shop.asks("sku-0001") == "0.99"
    assert len(shop.kit.guard.held()) == 1
    assert shop.state(Feed.PRICES).repairs == 0

    [held] = shop.kit.guard.held()
    await shop.kit.guard.decide(held.digest, approved=False, actor="ana", reason="a typing mistake")
    await shop.has(["news"])
    await shop.in_step()
    assert shop.asks("sku-0001") == "0.99"
    assert shop.state(Feed.PRICES).repairs == 0


async def test_a_repaired_price_that_moves_too_much_waits_for_a_person_like_any_other(shop: Shop) -> None:
    await stocked(shop)
    shop.plant("UPDATE list_price SET price_minor = 10 WHERE sku = 'sku-0007'")
    await shop.has(["news"])
    await shop.until(lambda: shop.state(Feed.PRICES).repairs == 1)
    await shop.in_step()
    assert [held.prices for held in shop.kit.guard.held()] == [1]


async def test_where_most_differs_the_feed_is_fetched_anew(shop: Shop) -> None:
    await stocked(shop)
    shop.plant("UPDATE item SET name = 'NOTHING'")
    await shop.has(["news"])
    await shop.in_step()
    assert shop.state(Feed.ITEMS).rows_fetched == 0
    assert shop.kit.prices.by_sku("sku-0007").name == "SKU-0007"
