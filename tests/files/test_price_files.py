"""Price lists by hot folder: whole or not at all, guarded, and in force until something else is said."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from cloud_sync.contract.documents import LOCAL_PRICES, Item, Price, PriceKind
from cloud_sync.contract.feeds import Feed
from cloud_sync.hub.catalogue import PriceEntry, price_documents
from cloud_sync.hub.errors import Rejected as HubRejected
from edge.db import local_prices as rows
from edge.db.connection import Connection
from edge.errors import Transient
from edge.files.file_map import load_map
from edge.health.folder_checks import book_issues, folder_issues
from edge.housekeeper import HOUSEKEEPING_PAUSE_MAX_S
from edge.limits import LOCAL_PRICES_AT_ONCE
from edge.prices import local_prices
from edge.prices.local_prices import LocalPrices, PriceList
from tests.files.conftest import Folder
from tests.files.samples import DIRECTORY, PRICES, SKUS
from tests.staff.test_words import is_said_in_spanish
from tests.store_kit import StoreKit, gtin_of

DAY_S = 86_400


def listing(prices: dict[str, str], *more: str) -> str:
    """A whole list by `prices-csv`; `more`: rows as they stand in the file."""
    lines = [*(f"{gtin_of(sku)};{price.replace('.', ',')};;;" for sku, price in prices.items()), *more]
    return "\n".join(["ean;price;from;until;action", *lines, f"TOTAL;{len(lines)};;;"])


def asked(store: StoreKit, *skus: str) -> list[str]:
    return [store.till().asks(gtin_of(sku)) for sku in skus]


def waits(store: StoreKit) -> list[tuple[int, str]]:
    return [(batch.prices, batch.reason) for batch in store.guard.held()]


async def decide(store: StoreKit, *, approved: bool) -> None:
    (batch,) = store.guard.held()
    await store.guard.decide(batch.digest, approved, "ana", "I looked at it")
    await store.a_moment()


async def test_a_list_wins_over_the_hubs_regular_prices_and_is_told(store: StoreKit, prices: Folder) -> None:
    report = await prices.takes(listing({"milk": "1.09", "bread": "1.79"}))
    assert asked(store, "milk", "bread") == ["1.09", "1.79"]
    assert report.splitlines() == ["full.csv was taken.", "Whole price list of 2 rows: 2 prices put in force, 0 taken "
                                   "out, 0 rows left out; all others are as before."]
    await store.hub.sets_price("milk", "0.95")
    assert asked(store, "milk") == ["1.09"], "the hub's regular price stays below"
    await store.hub.sets_price("milk", "0.79", entry="offer", priority=10, kind=PriceKind.PROMOTION)
    assert asked(store, "milk") == ["0.79"], "what the hub puts higher wins"


async def test_p3_a_dearer_list_waits_for_the_shelf(store: StoreKit, prices: Folder) -> None:
    label = store.label("aisle 4")
    await label.shows("milk", "0.99")
    await prices.takes(listing({"milk": "1.09"}))
    assert (label.is_offered(), store.till().asks("milk")) == ("1.09", "0.99")
    await label.proves()
    await store.time_passes(store.settle_s + store.policy.grace_s + 1)
    assert store.till().asks("milk") == "1.09"
    await prices.takes(listing({"milk": "0.89"}))
    assert store.till().asks("milk") == "0.89", "a decrease is charged at once"


async def test_every_shape_comes_into_force(store: StoreKit) -> None:
    await store.hub.sends(Feed.ITEMS, {sku: Item(sku, sku, codes=(gtin_of(sku),)) for sku in SKUS})
    for name, map_name in (("prices.csv", "prices-csv"), ("prices.txt", "prices-fixed"),
                           ("prices-hr.xml", "prices-hr")):
        folder = Folder(store, map_name, "prices", load_map(map_name, "prices"))
        await folder.takes((DIRECTORY / name).read_bytes(), f"full-{name}")
        assert asked(store, *SKUS) == [f"{PRICES[sku] / 100:.2f}" for sku in SKUS], name
    israeli = Folder(store, "il", "prices", load_map("prices-il", "prices"))
    said = await israeli.takes((DIRECTORY / "prices-il.xml").read_bytes(), "PriceFull7290000000000-042.xml")
    assert "line 3: the currency is 'ILS', the store's is EUR" in said


async def test_a_file_that_cannot_be_read_in_every_row_changes_nothing(store: StoreKit, prices: Folder) -> None:
    await prices.takes(listing({"milk": "1.09"}))
    bread = gtin_of("bread")
    said = await prices.takes(listing({"milk": "1.19"}, f"{bread};1.79;;;", ";1,00;;;", f"{bread};1,795;;;",
                                      f"{bread};1,79;2026-12-24;2026-12-01;"))
    assert prices.went_to == "bad"
    assert said.splitlines() == [
        "full.csv could not be taken in whole.", "Nothing of it is in force. Mend it and put it into inbox again.",
        "line 3: the price '1.79' is no number with ',' as its decimal sign", "line 4: there is no code",
        "line 5: the price 1.795 has more than 2 decimals", "line 6: its price ends before it begins"]
    assert asked(store, "milk", "bread") == ["1.09", "1.89"]


async def test_a_list_that_was_cut_off_changes_nothing(store: StoreKit, prices: Folder) -> None:
    whole = listing({"milk": "1.09", "bread": "1.79"})
    for length in range(30, len(whole) - 4, 7):
        said = await prices.takes(whole[:length])
        assert (prices.went_to, asked(store, "milk", "bread")) == ("bad", ["0.99", "1.89"]), said


async def test_unknown_codes_and_no_prices_are_left_out_and_named(store: StoreKit, prices: Folder) -> None:
    await prices.takes(listing({"milk": "1.09", "bread": "1.79"}))
    report = await prices.takes(listing({"milk": "0.00", "ghost": "1.00", "bread": "1.69"},
                                        f"{gtin_of('bread')};1,59;;;"))
    assert report.splitlines()[2:] == [
        f"line 2: left out '{gtin_of('milk')}': 0.00 is no price; what was in force stays",
        f"line 3: left out '{gtin_of('ghost')}': no product has this code",
        f"line 5: left out '{gtin_of('bread')}': bread has another price in this file; the lowest counts"]
    assert asked(store, "milk", "bread") == ["1.09", "1.59"]


async def test_changes_take_out_only_what_they_name(store: StoreKit, prices: Folder) -> None:
    await prices.takes(listing({"milk": "1.09", "bread": "1.79"}))
    report = await prices.takes(listing({}, f"{gtin_of('milk')};;;;D"), "delta.csv")
    assert "Changes of 1 rows: 0 prices put in force, 1 taken out" in report
    assert asked(store, "milk", "bread") == ["0.99", "1.79"], "the hub's price shows again"


async def test_zeros_that_were_left_off_a_code_are_put_back(store: StoreKit, prices: Folder) -> None:
    await store.hub.sends(Feed.ITEMS, {"gum": Item("gum", "Gum", codes=("011210000032",))})
    await prices.takes(listing({}, "11210000032;0,50;;;"))
    assert store.till().asks("gum") == "0.50"


# --- dates ------------------------------------------------------------------------------------------------------


async def test_a_dated_price_begins_by_the_stores_clock_and_ends_the_one_before(store: StoreKit,
                                                                                prices: Folder) -> None:
    await prices.takes(listing({}, f"{gtin_of('milk')};1,09;;;", f"{gtin_of('milk')};1,19;2026-11-24;;"))
    assert asked(store, "milk") == ["1.09"]
    await store.time_passes(13 * 3600)
    assert asked(store, "milk") == ["1.19"]
    await prices.takes(listing({"milk": "1.05"}), "delta.csv")
    assert asked(store, "milk") == ["1.05"], "a price from now on ends the one that had begun"


async def test_a_span_ends_with_its_last_day_and_uncovers_the_price_below(store: StoreKit, prices: Folder) -> None:
    await prices.takes(listing({"milk": "1.09"}, f"{gtin_of('milk')};0,89;2026-11-23;2026-11-24;"))
    assert asked(store, "milk") == ["0.89"]
    await store.time_passes(1.5 * DAY_S - 10)
    assert asked(store, "milk") == ["0.89"]
    await store.time_passes(HOUSEKEEPING_PAUSE_MAX_S)
    assert asked(store, "milk") == ["1.09"]


async def test_a_dated_price_that_is_taken_back_lets_the_one_before_go_on(store: StoreKit, prices: Folder) -> None:
    await prices.takes(listing({}, f"{gtin_of('milk')};1,09;;;", f"{gtin_of('milk')};1,19;2026-11-24;;"))
    await prices.takes(listing({}, f"{gtin_of('milk')};;2026-11-24;;D"), "delta.csv")
    await store.time_passes(2 * DAY_S)
    assert asked(store, "milk") == ["1.09"]


# --- the same file again ----------------------------------------------------------------------------------------


async def test_the_same_list_again_changes_nothing_unless_another_came_between(store: StoreKit, prices: Folder) -> None:
    first, second = listing({"milk": "1.09"}), listing({"milk": "1.19"})
    await prices.takes(first)
    await store.restarts()
    prices.starts()
    assert "The same contents were taken on 2026-11-23T12:00:" in await prices.takes(first)
    await prices.takes(second)
    await prices.takes(first)
    assert asked(store, "milk") == ["1.09"], "a price may go back to what it was"


async def test_a_list_that_comes_again_after_one_that_partly_waits_is_taken(store: StoreKit, prices: Folder) -> None:
    first = listing({"milk": "1.09", "bread": "1.79"})
    await prices.takes(first)
    await prices.takes(listing({"milk": "10.90", "bread": "1.69"}))
    assert (asked(store, "milk", "bread"), [count for count, _ in waits(store)]) == (["1.09", "1.69"], [1])
    await prices.takes(first)
    assert (asked(store, "milk", "bread"), waits(store)) == (["1.09", "1.79"], [])


async def test_a_price_that_is_over_is_left_out_and_named(store: StoreKit, prices: Folder) -> None:
    report = await prices.takes(listing({}, f"{gtin_of('milk')};0,50;2026-11-01;2026-11-22;"))
    assert f"line 2: left out '{gtin_of('milk')}': its price is over already" in report
    assert asked(store, "milk") == ["0.99"]


# --- the guard --------------------------------------------------------------------------------------------------


async def stocks(store: StoreKit, count: int) -> dict[str, str]:
    """So many products more, each with a price of the hub's."""
    skus = {f"item{number:02d}": "2.00" for number in range(count)}
    await store.hub.has_items(*skus)
    await store.hub.sets_prices(skus)
    return skus


async def test_a_list_that_lacks_too_much_of_its_book_waits_for_a_supervisor(store: StoreKit, prices: Folder) -> None:
    skus = await stocks(store, 10)
    await prices.takes(listing(dict.fromkeys(skus, "2.10")))
    await decide(store, approved=True)
    short = listing(dict.fromkeys(list(skus)[:7], "2.20"))
    report = await prices.takes(short)
    assert ("10 prices wait for a supervisor on the page of held prices: a whole price list would take 3 of 10 products"
            in report)
    assert set(asked(store, *skus)) == {"2.10"}, "nothing of it is in force, its new prices neither"
    await decide(store, approved=True)
    assert asked(store, "item00", "item06", "item07") == ["2.20", "2.20", "2.00"]


async def test_what_a_supervisor_drops_stays_out_and_may_be_sent_again(store: StoreKit, prices: Folder) -> None:
    await prices.takes(listing({"milk": "1.09", "bread": "1.79"}))
    short = listing({"milk": "1.09"})
    await prices.takes(short)
    await decide(store, approved=False)
    assert (asked(store, "bread"), waits(store)) == (["1.79"], [])
    await prices.takes(short)
    assert [count for count, _ in waits(store)] == [1], "the same file asks again"
    await decide(store, approved=True)
    assert asked(store, "bread") == ["1.89"]


async def test_a_wild_price_waits_and_the_others_do_not(store: StoreKit, prices: Folder) -> None:
    await prices.takes(listing({"milk": "10.90", "bread": "1.79"}))
    assert asked(store, "milk", "bread") == ["0.99", "1.79"]
    assert waits(store) == [(1, "1 prices would move beyond the guard, such as milk from 99 to 1090 (minor units)")]
    await prices.takes(listing({"milk": "1.09", "bread": "1.79"}))
    assert (asked(store, "milk"), waits(store)) == (["1.09"], []), "the next file settles what waited of the one before"


async def test_too_many_prices_at_once_wait(store: StoreKit, prices: Folder) -> None:
    skus = await stocks(store, 12)
    await prices.takes(listing(dict.fromkeys(skus, "2.10")))
    assert waits(store) == [(12, "12 of 14 prices would move at once")]
    assert set(asked(store, *skus)) == {"2.00"}
    await decide(store, approved=True)
    assert set(asked(store, *skus)) == {"2.10"}


# --- stops, restarts, a replica built anew ----------------------------------------------------------------------


async def test_p1_the_book_outlives_a_replica_that_is_built_anew(store: StoreKit, prices: Folder) -> None:
    await prices.takes(listing({"milk": "1.09"}))
    await store.replica_is_lost()
    prices.starts()
    await store.hub.sends_again()
    await store.a_moment()
    assert asked(store, "milk", "bread") == ["1.09", "1.89"]


async def test_a_row_that_somebody_else_changed_is_put_right(store: StoreKit, prices: Folder) -> None:
    await prices.takes(listing({"milk": "1.09"}))
    await store.books.replica.submit(lambda c: c.execute("DELETE FROM price_entry WHERE entry_id LIKE 'local/%'"))
    await store.books.replica.submit(lambda c: c.execute(
        "INSERT INTO price_entry VALUES ('local/nobody/bread', 1, 'bread', 1, 'EUR', 'regular', 9, 0, NULL)"))
    await store.restarts()
    await store.a_moment()
    assert asked(store, "milk", "bread") == ["1.09", "1.89"]


@pytest.mark.parametrize("stops_at", ["write_changes", "seal", "move_over", "hold_local", "apply_local"])
async def test_p1_a_stop_at_any_step_leaves_the_list_whole_or_out(store: StoreKit, prices: Folder, stops_at: str,
                                                                  monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local_prices, "LOCAL_PRICES_AT_ONCE", 2)
    monkeypatch.setattr(rows, "LOCAL_PRICES_AT_ONCE", 2)
    skus = await stocks(store, 5)
    await prices.takes(listing(dict.fromkeys(skus, "2.10")))
    room = local_prices.replica if stops_at in ("hold_local", "apply_local") else local_prices.local_prices
    works, calls = getattr(room, stops_at), 0

    def stops(*arguments: object, **named: object) -> object:
        nonlocal calls
        calls += 1
        if calls == (1 if stops_at in ("seal", "hold_local") else 2):
            raise Transient("the power goes")
        return works(*arguments, **named)

    again = listing({**dict.fromkeys(skus, "2.20"), "milk": "10.00"})
    (prices.path / "inbox" / "full.csv").write_text(again)
    monkeypatch.setattr(room, stops_at, stops)
    await prices.folder.look()
    with pytest.raises(Transient):
        await prices.folder.look()
    monkeypatch.setattr(room, stops_at, works)
    await store.restarts()
    prices.starts()
    await store.a_moment()
    assert set(asked(store, *skus)) == ({"2.20"} if stops_at in ("move_over", "apply_local") else {"2.10"})
    await prices.folder.look()
    await store.a_moment()
    assert set(asked(store, *skus)) == {"2.20"}
    assert [count for count, _ in waits(store)] == [1]


async def test_a_decision_that_a_stop_cut_short_is_carried_out_at_the_next_start(
        store: StoreKit, prices: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    await prices.takes(listing({"milk": "10.90"}))

    async def stops(*_: object) -> set[str]:
        raise Transient("the power goes")

    monkeypatch.setattr(LocalPrices, "release", stops)
    with pytest.raises(Transient):
        await decide(store, approved=True)
    await store.restarts()
    await store.a_moment()
    assert (asked(store, "milk"), waits(store)) == (["10.90"], [])


# --- bounds -----------------------------------------------------------------------------------------------------


async def test_p10_a_book_has_so_many_prices_and_no_more(store: StoreKit, prices: Folder,
                                                         monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local_prices, "LOCAL_PRICES_MAX", 1)
    said = await prices.takes(listing({"milk": "1.09", "bread": "1.79"}))
    assert "the price book would have 2 prices, at most 1: nothing of the file is in force" in said
    assert asked(store, "milk", "bread") == ["0.99", "1.89"]


async def test_a_big_book_is_written_in_slices_with_room_for_tills_in_between(
        store: StoreKit, monkeypatch: pytest.MonkeyPatch) -> None:
    said = PriceList(whole=True)
    for number in range(5_000):
        said.rows[f"s{number}"] = {f"{LOCAL_PRICES}big/s{number}": Price(f"s{number}", 100, "EUR", priority=1)}
    sizes: list[int] = []

    def measured(writer: Any) -> None:
        submit = writer.submit

        def counted(operation: Callable[[Connection], Any]) -> Any:
            def job(connection: Connection) -> Any:
                before = connection.total_changes
                try:
                    return operation(connection)
                finally:
                    sizes.append(connection.total_changes - before)
            return submit(job)
        monkeypatch.setattr(writer, "submit", counted)

    measured(store.books.ledger)
    measured(store.books.replica)
    asks = 0

    async def till() -> None:
        nonlocal asks
        while True:
            assert store.till().asks("milk") == "0.99"
            asks += 1
            await store.time_passes(0.0005)

    asking = asyncio.create_task(till())
    took = await store.local.take("big", said)
    asking.cancel()
    assert took.put == 5_000
    jobs = 5_000 // LOCAL_PRICES_AT_ONCE
    assert len(sizes) >= 3 * jobs
    assert max(sizes) <= 4 * LOCAL_PRICES_AT_ONCE, "an entry, its winner, and what is written down of both"
    assert asks >= 3 * jobs


async def test_what_waits_is_said_to_a_supervisor_in_spanish_too(store: StoreKit, prices: Folder) -> None:
    await prices.takes(listing({"milk": "1.09", "bread": "1.79"}))
    await prices.takes(listing({"milk": "1.09"}))
    is_said_in_spanish(waits(store)[0][1])
    await prices.takes("nothing")
    prices.folder.trouble = "the disk is full"
    for issue in (*folder_issues(prices.folder), *book_issues(store.local, set())):
        is_said_in_spanish(issue.what)
        is_said_in_spanish(issue.action)


def test_the_hub_refuses_ids_that_stores_keep_for_themselves() -> None:
    with pytest.raises(HubRejected, match="id begins with 'local/'"):
        price_documents([PriceEntry("milk", 99, "EUR", id="local/x/milk")])


async def test_a_book_that_no_folder_feeds_is_told(store: StoreKit, prices: Folder) -> None:
    await prices.takes(listing({"milk": "1.09"}))
    assert list(book_issues(store.local, {"local"})) == []
    (issue,) = book_issues(store.local, set())
    assert "Prices of the local price book local are in force, and no hot folder feeds it" in issue.what
    await prices.takes(listing({}, f"{gtin_of('milk')};;;;D"), "delta.csv")
    assert list(book_issues(store.local, set())) == []


async def test_a_full_disk_is_waited_for(store: StoreKit, prices: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    def full() -> None:
        raise Transient("the disk is full")

    monkeypatch.setattr(store.store.disk, "must_take_facts", full)
    (prices.path / "inbox" / "full.csv").write_text(listing({"milk": "1.09"}))
    await prices.folder.look()
    with pytest.raises(Transient):
        await prices.folder.look()
    monkeypatch.undo()
    await prices.folder.look()
    await store.a_moment()
    assert asked(store, "milk") == ["1.09"]
