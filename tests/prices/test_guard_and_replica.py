"""The price guard, and a copy of the hub's truth that is lost, reloaded or travels back in time."""

import msgspec
import pytest

from cloud_sync.contract.documents import OpeningHours, Policy, Price
from cloud_sync.contract.feeds import Feed
from edge.db.queries import REPLICA
from edge.db.replica import policy as policy_of
from edge.errors import Rejected
from tests.prices.test_p3_increases import A_WALK_S
from tests.store_kit import StoreKit

MANY = [f"product {number}" for number in range(50)]


async def has_fifty_products(store: StoreKit) -> None:
    await store.hub.has_items(*MANY)
    await store.hub.sets_prices(dict.fromkeys(MANY, "1.00"))


async def test_first_prices_are_no_moves(store: StoreKit) -> None:
    await has_fifty_products(store)
    assert store.guard.held() == []
    assert store.till().asks("product 7") == "1.00"


async def test_a_batch_that_moves_a_fifth_of_the_prices_waits_for_a_person(store: StoreKit) -> None:
    await has_fifty_products(store)
    await store.label("aisle 4").shows("product 7", "1.00")
    await store.hub.sets_prices(dict.fromkeys(MANY[:11], "1.10"))
    (held,) = store.guard.held()
    assert held.prices == 11
    assert "11 of 52" in held.reason
    assert store.till().asks("product 7") == "1.00"
    assert store.label("aisle 4").offers() == ["1.00"]

    assert await store.guard.decide(held.digest, True, "ana", "new season") == 11
    await store.a_moment()
    assert store.guard.held() == []
    assert store.label("aisle 4").is_offered() == "1.10"
    assert store.till().asks("product 8") == "1.10"


async def test_a_tenth_of_the_prices_moves_at_once(store: StoreKit) -> None:
    await has_fifty_products(store)
    await store.hub.sets_prices(dict.fromkeys(MANY[:10], "1.10"))
    assert store.guard.held() == []
    assert store.till().asks("product 7") == "1.10"


@pytest.mark.parametrize(("price", "held"), [("0.50", False), ("0.49", True), ("1.98", False), ("1.99", True)])
async def test_only_prices_beyond_minus_50_and_plus_100_percent_wait(store: StoreKit, price: str, held: bool) -> None:
    await store.hub.sets_price("milk", price)
    assert bool(store.guard.held()) is held
    assert store.till().asks("milk") == ("0.99" if held else price)


async def test_one_wild_price_waits_and_the_others_of_its_batch_do_not(store: StoreKit) -> None:
    await store.hub.sets_prices({"milk": "0.09", "bread": "1.79"})
    (held,) = store.guard.held()
    assert (held.prices, store.till().asks("milk"), store.till().asks("bread")) == (1, "0.99", "1.79")


@pytest.mark.parametrize("order", [("wild", "plain"), ("plain", "wild")])
async def test_a_wild_entry_does_not_hide_behind_a_plain_one_of_the_same_product(
        store: StoreKit, order: tuple[str, str]) -> None:
    entries = {"wild": ("promotion/milk", Price("milk", 9, "EUR", priority=5)), "plain": ("regular/milk",
               Price("milk", 109, "EUR"))}
    await store.hub.sends(Feed.PRICES, dict(entries[which] for which in order))
    assert store.till().asks("milk") == "0.99"
    assert len(store.guard.held()) == 1


async def test_a_dropped_batch_stays_dropped_when_it_is_sent_again(store: StoreKit) -> None:
    await store.hub.sets_price("milk", "0.09")
    (held,) = store.guard.held()
    await store.guard.decide(held.digest, False, "ana", "a mistake")
    assert (store.guard.held(), store.till().asks("milk")) == ([], "0.99")
    await store.hub.sends_again(-1)
    assert (store.guard.held(), store.till().asks("milk")) == ([], "0.99")


async def test_an_approved_batch_needs_no_second_word_when_it_is_sent_again(store: StoreKit) -> None:
    await store.hub.sets_price("milk", "0.39")
    (held,) = store.guard.held()
    await store.guard.decide(held.digest, True, "ana", "clearance")
    assert store.till().asks("milk") == "0.39"
    await store.hub.sets_price("milk", "0.59")
    for which in (-2, -1):
        await store.hub.sends_again(which)
    assert (store.guard.held(), store.till().asks("milk")) == ([], "0.59")


async def test_a_newer_price_replaces_the_held_one_and_nothing_is_left_to_decide(store: StoreKit) -> None:
    await store.hub.sets_price("milk", "0.09")
    (held,) = store.guard.held()
    await store.hub.sets_price("milk", "1.05")
    assert (store.guard.held(), store.till().asks("milk")) == ([], "1.05")
    with pytest.raises(Rejected):
        await store.guard.decide(held.digest, True, "ana", "too late")
    assert store.till().asks("milk") == "1.05"


async def test_a_decision_is_a_fact(store: StoreKit) -> None:
    await store.hub.sets_price("milk", "0.09")
    (held,) = store.guard.held()
    await store.guard.decide(held.digest, True, "ana", "clearance")
    assert store.entries()[-1].kind == "staff-act"
    assert b"approve-prices" in bytes(store.entries()[-1].payload)


async def test_p3_a_replica_that_travels_back_in_time_charges_no_more_than_the_shelf(store: StoreKit) -> None:
    """The copy is an old backup: its price is higher than what the labels have proven since."""
    await store.label("aisle 4").shows("milk", "0.99")
    await store.label("aisle 4").shows("milk", "0.79")
    await store.hub.sends_again(1)                           # the copy knows 0.99 again
    assert store.till().list_price("milk") == "0.99"
    assert store.till().asks("milk") == "0.79"
    assert store.label("aisle 4").is_offered() == "0.99"     # the shelf follows the copy, in the right order
    await store.hub.sends_again(-1)
    assert store.till().asks("milk") == "0.79"
    assert store.label("aisle 4").is_offered() == "0.79"
    await store.label("aisle 4").proves()
    await store.time_passes(A_WALK_S)
    assert store.till().asks("milk") == "0.79"


async def test_p3_a_lost_replica_sells_nothing_unpriced_and_nothing_above_the_shelf(store: StoreKit) -> None:
    await store.label("aisle 4").shows("milk", "0.99")
    await store.hub.sets_price("milk", "1.09")
    await store.replica_is_lost()
    assert store.till().asks("milk") == "unknown"
    await store.hub.sends_again()
    assert store.till().list_price("milk") == "1.09"
    assert store.till().asks("milk") == "0.99"
    assert store.label("aisle 4").is_offered() == "1.09"


async def test_p8_the_policy_outlives_the_replica(store: StoreKit) -> None:
    """What is kept back from orders and how long they wait is not the defaults' to say while the line is down."""
    await store.hub.sets_policy(safety_stock_milli=3000, hold_s=7200)
    await store.replica_is_lost()
    assert (store.policy.safety_stock_milli, store.policy.hold_s) == (3000, 7200)


async def test_p8_a_feed_read_anew_answers_all_the_while_and_forgets_what_is_gone_in_the_end(store: StoreKit) -> None:
    await store.hub.has_items("cherries")
    await store.hub.sets_price("cherries", "4.99")
    for feed in (Feed.ITEMS, Feed.PRICES):
        await store.intake.forget(feed)
        assert await store.intake.cursor(feed) is None
    assert (store.till().asks("milk"), store.till().asks("cherries")) == ("0.99", "4.99")
    await store.hub.sends_again(0, 1)                        # milk and bread, nothing else
    assert store.till().asks("cherries") == "4.99"
    for feed in (Feed.ITEMS, Feed.PRICES):
        await store.intake.caught_up(feed)
    assert (store.till().asks("milk"), store.till().asks("cherries")) == ("0.99", "unknown")


async def test_of_two_equal_priorities_the_lowest_price_wins_and_the_highest_priority_before_all(
        store: StoreKit) -> None:
    await store.hub.sets_price("milk", "0.95", entry="other")
    assert store.till().asks("milk") == "0.95"
    await store.hub.sets_price("milk", "1.05", entry="promotion", priority=1)
    assert store.till().asks("milk") == "1.05"
    await store.hub.removes_price("milk", entry="promotion")
    assert store.till().asks("milk") == "0.95"


async def test_the_price_version_names_the_entry_that_was_charged(store: StoreKit) -> None:
    begins_ms = store.clock.wall_ms() + 60_000
    await store.hub.sets_price("milk", "0.59", entry="promotion", priority=5, from_ms=begins_ms)
    await store.parts_stop()
    await store.time_passes(60)
    quote = store.prices.by_code("milk")
    assert quote is not None
    assert (quote.charge_minor, quote.price_version) == (59, "promotion/milk@1")


async def test_a_batch_is_applied_whole_with_its_cursor_or_not_at_all(store: StoreKit) -> None:
    cursor = await store.intake.cursor(Feed.PRICES)
    documents: dict[str, msgspec.Struct] = {"regular/milk": Price("milk", 109, "EUR"), "regular/bread": Policy()}
    with pytest.raises(msgspec.ValidationError):
        await store.hub.sends(Feed.PRICES, documents)
    assert await store.intake.cursor(Feed.PRICES) == cursor
    assert store.till().list_price("milk") == "0.99"


async def test_the_last_good_policy_survives_a_restart(store: StoreKit) -> None:
    await store.hub.sets_policy(grace_s=77, hours=(OpeningHours(1, 2),) * 7)
    await store.restarts()
    assert store.policy.grace_s == 77
    assert policy_of(store.books.replica_reader) == store.policy


async def test_what_could_be_charged_is_written_down_as_it_changed(store: StoreKit) -> None:
    await store.label("aisle 4").shows("milk", "0.99")
    await store.hub.sets_price("milk", "1.09")
    await store.label("aisle 4").proves()
    await store.time_passes(A_WALK_S + 60)
    await store.hub.sets_price("milk", "0.89")
    rows = store.books.ledger_reader.execute(
        "SELECT charge_minor FROM price_interval WHERE sku = 'milk' ORDER BY from_ms").fetchall()
    assert rows == [(99,), (109,), (89,)]


async def test_an_empty_catalogue_knows_no_price(store: StoreKit) -> None:
    assert store.till().asks("caviar") == "unknown"
    await store.hub.has_items("caviar")
    assert store.till().asks("caviar") == "no price"
    assert store.books.replica_reader.execute(REPLICA.next_price_boundary).fetchone() == (None,)
