"""Which base station serves a label, and what moving it must not do to a customer (DESIGN.md sections 5 and 6)."""

import pytest

from cloud_sync.contract.facts import StaffAct
from drivers.port import Shown, StationState
from edge.labels.bindings import act_by_history
from edge.labels.planner import LabelState
from edge.limits import HEARD_ALONE_MIN, STATION_AWAY_S
from tests.store_kit import StoreKit


async def _is_carried_to_the_back(store: StoreKit, name: str, times: int = HEARD_ALONE_MIN) -> None:
    """From now on only the back wall hears it."""
    for _ in range(times):
        store.back_wall.is_heard(name, -60)
        await store.a_moment()


async def _proves_at_the_back(store: StoreKit, name: str) -> None:
    store.back_wall.says(Shown(name, store.back_wall.offers[name][-1].version))
    await store.a_moment()


async def _every_shopper_is_gone(store: StoreKit) -> None:
    await store.time_passes(store.settle_s + store.policy.grace_s + 1)


def _station_of(store: StoreKit, name: str) -> str:
    row = store.label(name).row()
    assert row is not None
    return row.station


async def test_a_label_is_proposed_by_the_station_that_heard_it(store: StoreKit) -> None:
    store.back_wall.is_heard("end cap")
    await store.a_moment()
    assert _station_of(store, "end cap") == "back wall"


async def test_a_label_that_was_carried_away_is_served_by_the_station_that_hears_it_there(store: StoreKit) -> None:
    await store.label("aisle 4").shows("milk", "0.99")
    await _is_carried_to_the_back(store, "aisle 4")
    assert _station_of(store, "aisle 4") == "back wall"
    assert store.station.withdrawn == ["aisle 4"]

    await store.hub.sets_price("milk", "1.09")
    assert [offer.price_minor for offer in store.back_wall.offers["aisle 4"]] == [109]
    await _proves_at_the_back(store, "aisle 4")
    await _every_shopper_is_gone(store)
    assert store.till().asks("milk") == "1.09"


async def test_p3_what_its_old_station_saw_says_nothing_about_what_its_new_one_offered(store: StoreKit) -> None:
    await store.label("aisle 4").shows("milk", "0.99")
    shown = Shown("aisle 4", store.station.offers["aisle 4"][-1].version)
    await _is_carried_to_the_back(store, "aisle 4")
    await store.hub.sets_price("milk", "1.09")
    await store.hub.sets_price("milk", "0.99")  # the same picture again; the dearer one may stand by now
    store.station.says(shown)
    await store.a_moment()
    assert store.label("aisle 4").state() is not LabelState.SHOWN
    store.back_wall.says(shown)
    await store.a_moment()
    assert store.label("aisle 4").state() is LabelState.SHOWN


async def test_a_label_that_both_hear_goes_to_the_clearly_stronger_and_not_to_and_fro(store: StoreKit) -> None:
    await store.label("aisle 4").shows("milk", "0.99")
    for _ in range(30):
        store.station.is_heard("aisle 4", -85)
        store.back_wall.is_heard("aisle 4", -60)
        await store.a_moment()
    assert _station_of(store, "aisle 4") == "back wall"
    assert store.back_wall.withdrawn == []


async def test_a_label_that_is_fetching_stays_until_it_is_through(store: StoreKit) -> None:
    await store.label("aisle 4").shows("milk", "0.99")
    store.station.refuses = "label aisle 4 is fetching"
    await _is_carried_to_the_back(store, "aisle 4")
    assert _station_of(store, "aisle 4") == "aisles"
    store.station.refuses = ""
    await _is_carried_to_the_back(store, "aisle 4", 1)
    assert _station_of(store, "aisle 4") == "back wall"


async def test_labels_of_a_station_that_is_gone_for_a_minute_are_served_by_whoever_hears_them(store: StoreKit) -> None:
    await store.label("aisle 4").shows("milk", "0.99")
    store.station.goes(StationState.OFFLINE)
    await store.time_passes(STATION_AWAY_S / 2)
    await _is_carried_to_the_back(store, "aisle 4", 1)
    assert _station_of(store, "aisle 4") == "aisles"
    await store.time_passes(STATION_AWAY_S / 2)
    await _is_carried_to_the_back(store, "aisle 4", 1)
    assert _station_of(store, "aisle 4") == "back wall"


async def test_p3_what_a_station_may_yet_give_the_label_holds_the_till_until_it_answered_and_the_label_proved_again(
        store: StoreKit) -> None:
    """The radio keeps a picture while its line is down, and a label may find it in its own memory (esl.md 1.2)."""
    label = store.label("aisle 4")
    await label.shows("milk", "0.99")
    await store.hub.sets_price("milk", "0.89")          # offered by the aisle, not proven
    store.station.goes(StationState.OFFLINE)
    await store.time_passes(STATION_AWAY_S)
    await store.hub.sets_price("milk", "1.09")
    await _is_carried_to_the_back(store, "aisle 4", 1)
    await _proves_at_the_back(store, "aisle 4")
    await _every_shopper_is_gone(store)
    assert store.till().asks("milk") == "0.89"    # the aisle's radio may still say so

    store.station.goes(StationState.READY)
    await store.a_moment()
    assert store.station.withdrawn == ["aisle 4"]
    await _every_shopper_is_gone(store)
    assert store.till().asks("milk") == "0.89"    # it may have said so a moment ago
    assert store.back_wall.offers["aisle 4"][-1].price_minor == 109
    await _proves_at_the_back(store, "aisle 4")
    await _every_shopper_is_gone(store)
    assert store.till().asks("milk") == "1.09"


async def test_p3_a_price_that_comes_back_elsewhere_does_not_close_what_was_left_behind(store: StoreKit) -> None:
    """An equal claim is renewed where the label is now; the one it left is another and stays."""
    label = store.label("aisle 4")
    await label.shows("milk", "0.99")
    await store.hub.sets_price("milk", "0.89")
    store.station.goes(StationState.OFFLINE)
    await store.time_passes(STATION_AWAY_S)
    await _is_carried_to_the_back(store, "aisle 4", 1)
    for price in ("0.89", "1.09"):
        await store.hub.sets_price("milk", price)
        await _proves_at_the_back(store, "aisle 4")
    await _every_shopper_is_gone(store)
    assert store.till().asks("milk") == "0.89"


async def test_p3_what_was_left_behind_outlives_a_restart(store: StoreKit) -> None:
    label = store.label("aisle 4")
    await label.shows("milk", "0.99")
    await store.hub.sets_price("milk", "0.89")
    store.station.goes(StationState.OFFLINE)
    await store.time_passes(STATION_AWAY_S)
    await store.hub.sets_price("milk", "1.09")
    await _is_carried_to_the_back(store, "aisle 4", 1)
    await store.power_fails(60)
    await _proves_at_the_back(store, "aisle 4")
    await _every_shopper_is_gone(store)
    assert store.till().asks("milk") == "0.89"


async def test_a_label_that_proved_its_last_offer_leaves_nothing_behind(store: StoreKit) -> None:
    await store.label("aisle 4").shows("milk", "0.99")
    store.station.goes(StationState.OFFLINE)
    await store.time_passes(STATION_AWAY_S)
    await _is_carried_to_the_back(store, "aisle 4", 1)
    await store.hub.sets_price("milk", "1.09")
    await _proves_at_the_back(store, "aisle 4")
    await _every_shopper_is_gone(store)
    assert store.till().asks("milk") == "1.09"


async def test_a_supervisor_may_strike_a_claim_that_was_left_behind(store: StoreKit) -> None:
    label = store.label("aisle 4")
    await label.shows("milk", "0.99")
    await store.hub.sets_price("milk", "0.89")
    store.station.goes(StationState.OFFLINE)
    await store.time_passes(STATION_AWAY_S)
    await store.hub.sets_price("milk", "1.09")
    await _is_carried_to_the_back(store, "aisle 4", 1)
    await _proves_at_the_back(store, "aisle 4")
    await _every_shopper_is_gone(store)
    for price in ("0.89", "0.99"):
        await label.claim_is_voided("milk", price, "the radio was thrown away")
    assert store.till().asks("milk") == "1.09"


@pytest.mark.parametrize("left", ["back wall", "aisles"])
async def test_a_label_that_returns_before_its_station_answered_is_served_there_and_holds_nothing(
        store: StoreKit, left: str) -> None:
    """`left`: which of the two fails in the end, so that the label goes there and back, or there only."""
    label = store.label("aisle 4")
    await label.shows("milk", "0.99")
    await store.hub.sets_price("milk", "0.89")
    store.station.goes(StationState.OFFLINE)
    await store.time_passes(STATION_AWAY_S)
    await store.hub.sets_price("milk", "1.09")
    await _is_carried_to_the_back(store, "aisle 4", 1)
    if left == "back wall":
        store.back_wall.goes(StationState.OFFLINE)
        await store.time_passes(STATION_AWAY_S)
        store.station.goes(StationState.READY)
        await store.a_moment()
        store.station.is_heard("aisle 4")
        await store.a_moment()
        assert label.is_offered() == "1.09"
        await label.proves()
        store.back_wall.goes(StationState.READY)
        await store.a_moment()
        await label.proves()
    else:
        store.station.goes(StationState.READY)
        await store.a_moment()
        await _proves_at_the_back(store, "aisle 4")
    await _every_shopper_is_gone(store)
    assert store.till().asks("milk") == "1.09"


async def test_p9_a_label_that_history_hung_after_a_restore_is_served(store: StoreKit) -> None:
    """Heard before, hung by nobody in this life: the box was restored to before somebody hung it."""
    store.station.is_heard("aisle-4")
    await store.a_moment()
    hung = StaffAct(act="bind", subject="aisle-4 milk", actor="ana")
    await store.books.ledger.submit(lambda connection: act_by_history(
        connection, hung, 0, (store.store.clock.powered_ms(), store.store.clock.wall_ms())))
    store.station.is_heard("aisle-4")
    await store.a_moment()
    assert store.label("aisle-4").offers() == ["0.99"]
