"""Pictures of dated prices are drawn before their time has come, and claim nothing before (DESIGN.md section 6)."""

import pytest

from edge.labels import prepared
from edge.limits import AHEAD_LOOK_S, AHEAD_S, PREPARED_KEEP_S
from tests.store_kit import StoreKit

SOON_S = AHEAD_S / 2


async def _a_dated_price(store: StoreKit, price: str, in_s: float) -> None:
    begins_ms = store.clock.wall_ms() + int(in_s * 1000)
    await store.hub.sets_prices({"milk": price}, entry="dated", priority=1, from_ms=begins_ms)


async def test_a_dated_price_is_drawn_before_it_begins_and_offered_the_moment_it_does(store: StoreKit) -> None:
    label = store.label("aisle 4")
    await label.shows("milk", "0.99")
    await _a_dated_price(store, "1.09", SOON_S)
    await store.time_passes(AHEAD_LOOK_S)
    assert store.artist.drawn[-1] == 109
    assert label.is_offered() == "0.99"
    assert store.till().asks("milk") == "0.99"

    drawn, store.artist.takes_s = len(store.artist.drawn), 600.0
    await store.time_passes(SOON_S)
    assert label.is_offered() == "1.09"
    assert len(store.artist.drawn) == drawn


async def test_p3_what_is_only_drawn_claims_nothing(store: StoreKit) -> None:
    await store.label("aisle 4").shows("milk", "0.99")
    await _a_dated_price(store, "0.79", SOON_S)
    await store.time_passes(AHEAD_LOOK_S)
    assert store.artist.drawn[-1] == 79
    assert store.till().asks("milk") == "0.99"


async def test_what_begins_later_is_left_until_it_is_near(store: StoreKit) -> None:
    await store.label("aisle 4").shows("milk", "0.99")
    await _a_dated_price(store, "1.09", 2 * AHEAD_S)
    await store.time_passes(AHEAD_S - AHEAD_LOOK_S)
    assert 109 not in store.artist.drawn
    await store.time_passes(2 * AHEAD_LOOK_S)
    assert 109 in store.artist.drawn


async def test_a_dated_price_that_is_changed_before_it_begins_is_drawn_as_it_is_then(store: StoreKit) -> None:
    label = store.label("aisle 4")
    await label.shows("milk", "0.99")
    await _a_dated_price(store, "1.09", SOON_S)
    await store.time_passes(AHEAD_LOOK_S)
    await store.hub.sets_prices({"milk": "1.19"}, entry="dated", priority=1,
                                from_ms=store.clock.wall_ms() + int(SOON_S * 1000))
    await store.time_passes(AHEAD_LOOK_S)
    assert store.artist.drawn[-1] == 119
    await store.time_passes(SOON_S)
    assert label.is_offered() == "1.19"


async def test_a_promotion_that_ends_brings_back_a_picture_that_is_ready(store: StoreKit) -> None:
    label = store.label("aisle 4")
    await store.hub.sets_prices({"milk": "0.79"}, entry="offer", priority=1,
                                until_ms=store.clock.wall_ms() + int(SOON_S * 1000))
    await label.hangs_under("milk")
    await label.proves()
    await store.time_passes(AHEAD_LOOK_S)
    store.artist.takes_s = 600.0
    await store.time_passes(SOON_S)
    assert label.is_offered() == "0.99"


async def test_while_the_clock_is_not_believed_nothing_is_prepared(store: StoreKit) -> None:
    await store.label("aisle 4").shows("milk", "0.99")
    store.clock.put_wrong(-7_200_000)
    await store.time_passes(AHEAD_LOOK_S)
    await _a_dated_price(store, "1.09", SOON_S)
    await store.time_passes(AHEAD_LOOK_S)
    assert 109 not in store.artist.drawn


async def test_p10_a_full_store_of_pictures_takes_no_more_and_the_rest_is_drawn_in_its_time(
        store: StoreKit, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prepared, "PREPARED_BYTES_MAX", 1)
    await store.hub.sets_price("bread", "1.99")
    milk, bread = store.label("aisle 4"), store.label("aisle 5")
    await milk.shows("milk", "0.99")
    await bread.shows("bread", "1.99")
    begins_ms = store.clock.wall_ms() + int(SOON_S * 1000)
    await store.hub.sets_prices({"milk": "1.09", "bread": "2.09"}, entry="dated", priority=1, from_ms=begins_ms)
    before = len(store.artist.drawn)
    await store.time_passes(AHEAD_LOOK_S)
    assert len(store.artist.drawn) == before + 1
    await store.time_passes(SOON_S)
    assert (milk.is_offered(), bread.is_offered()) == ("1.09", "2.09")


async def test_what_was_prepared_for_a_change_that_never_came_is_let_go(store: StoreKit) -> None:
    await store.label("aisle 4").shows("milk", "0.99")
    await _a_dated_price(store, "1.09", SOON_S)
    await store.time_passes(AHEAD_LOOK_S)
    assert store.prepared.size_bytes > 0
    await store.hub.removes_price("milk", "dated")
    await store.time_passes(PREPARED_KEEP_S + AHEAD_LOOK_S)
    assert store.prepared.size_bytes == 0
