"""What `trastienda doctor` sees and puts right, and the daily recount."""

from contextlib import closing

from cloud_sync.contract.feeds import Feed
from edge.db.books import derive_key
from edge.db.connection import Connection, connect
from edge.doctor import Report, check_chain, check_file, compare
from edge.doctor_command import as_text
from edge.recount import Recount
from tests.feeds.line import Shop
from tests.store_kit import DATABASE_SECRET

SKUS = [f"sku-{number:03}" for number in range(300)]


def opener(shop: Shop):
    def open_reader(name: str) -> Connection:
        return connect(shop.kit.directory / name, derive_key(DATABASE_SECRET, name), synchronous="NORMAL",
                       read_only=True)
    return open_reader


async def examined(shop: Shop, feed: Feed):
    report, _ = await compare(shop.kit.books.replica_reader, shop.link.hub, feed)
    return report


async def test_a_doctor_names_the_rows_that_differ(shop: Shop) -> None:
    await shop.has(SKUS)
    await shop.in_step()
    assert (await examined(shop, Feed.ITEMS)).equal
    shop.plant("INSERT INTO own_hand VALUES (1)")  # a bug of our own hand: nothing notices by itself
    shop.plant("UPDATE document SET hash = 7 WHERE key = 'sku-007'")
    shop.plant("DELETE FROM own_hand")
    assert (await examined(shop, Feed.ITEMS)).equal, "the sums still say so"

    recount = Recount(shop.kit.intake)
    assert await recount.everything() == {Feed.ITEMS: 1}
    found = await examined(shop, Feed.ITEMS)
    assert (found.equal, len(found.buckets), found.keys) == (False, 1, ("sku-007",))
    await shop.has(["news"])
    await shop.in_step()
    assert (await examined(shop, Feed.ITEMS)).equal
    assert await recount.everything() == {}


async def test_p9_a_recount_finds_a_table_that_is_not_what_the_hub_sent(shop: Shop) -> None:
    await shop.has(SKUS)
    await shop.in_step()
    shop.plant("INSERT INTO own_hand VALUES (1)")
    shop.plant("UPDATE item SET name = 'A MISTAKE' WHERE sku = 'sku-008'")
    shop.plant("DELETE FROM own_hand")
    assert await Recount(shop.kit.intake).everything() == {Feed.ITEMS: 1}
    await shop.has(["news"])
    await shop.in_step()
    assert shop.kit.prices.by_sku("sku-008").name == "SKU-008"


async def test_a_doctor_checks_files_and_chain(shop: Shop) -> None:
    await shop.kit.receives("milk", 3)
    await shop.kit.receives("milk", 4)
    open_reader = opener(shop)
    assert [check_file(open_reader, name).integrity for name in ("ledger.db", "replica.db")] == ["ok", "ok"]
    assert check_chain(open_reader, shop.kit.books.chain) == (2, None)
    with closing(connect(shop.kit.directory / "ledger.db", derive_key(DATABASE_SECRET, "ledger.db"),
                         synchronous="NORMAL")) as somebody:
        somebody.execute("UPDATE entry SET payload = CAST(replace(payload, '4000', '9000') AS BLOB) WHERE sequence = 2")
    assert check_chain(open_reader, shop.kit.books.chain) == (0, 2)


async def test_a_report_says_what_is_wrong_in_words(shop: Shop) -> None:
    await shop.has(SKUS)
    await shop.in_step()
    feeds = (await examined(shop, Feed.ITEMS), await examined(shop, Feed.OVERLAY))
    good = Report(True, feeds, (), 5, None)
    assert good.healthy
    assert "items: equal" in as_text(good)
    bad = Report(True, feeds, (), 5, 3)
    assert not bad.healthy
    assert "BROKEN at entry 3" in as_text(bad)
