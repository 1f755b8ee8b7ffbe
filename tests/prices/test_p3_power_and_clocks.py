"""P3 and P8 through power cuts, kills and lying clocks: grace runs on time switched on, dates on a believed clock."""

import pytest

from edge.clock import ClockStamp, StoreClock
from tests.prices.test_p3_increases import A_WALK_S
from tests.store_kit import StoreKit

AN_HOUR_MS = 3_600_000
A_YEAR_MS = 365 * 24 * AN_HOUR_MS


async def half_way_through_the_grace(store: StoreKit) -> None:
    """Milk went up, the label proved it, half the grace is over."""
    await store.label("aisle 4").shows("milk", "0.99")
    await store.hub.sets_price("milk", "1.09")
    await store.label("aisle 4").proves()
    await store.time_passes(A_WALK_S / 2)


async def test_p3_time_switched_off_counts_zero(store: StoreKit) -> None:
    await half_way_through_the_grace(store)
    await store.power_fails(off_s=100_000)
    assert store.till().asks("milk") == "0.99"
    await store.time_passes(A_WALK_S / 2 - 5)
    assert store.till().asks("milk") == "0.99"
    await store.time_passes(40)                       # what was not stamped before the cut counts zero too
    assert store.till().asks("milk") == "1.09"


async def test_p3_a_killed_daemon_loses_no_grace_within_the_same_boot(store: StoreKit) -> None:
    await half_way_through_the_grace(store)
    await store.restarts()
    assert store.till().asks("milk") == "0.99"
    await store.time_passes(A_WALK_S / 2)
    assert store.till().asks("milk") == "1.09"


async def test_p3_many_power_cuts_never_let_the_grace_end_early(store: StoreKit) -> None:
    await store.label("aisle 4").shows("milk", "0.99")
    await store.hub.sets_price("milk", "1.09")
    await store.label("aisle 4").proves()
    switched_on_s = 0.0
    while switched_on_s < A_WALK_S - 10:
        assert store.till().asks("milk") == "0.99"
        await store.time_passes(97)
        switched_on_s += 97
        await store.power_fails(off_s=1000)
        if switched_on_s > 30 * A_WALK_S:
            pytest.fail("the grace never ends")
    assert store.till().asks("milk") in ("0.99", "1.09")
    await store.time_passes(A_WALK_S)
    assert store.till().asks("milk") == "1.09"


async def test_p3_a_claim_that_was_committed_but_not_offered_survives_the_kill(store: StoreKit) -> None:
    """The box dies between the claim and the radio: the label is offered the price again, the till stays low."""
    await store.label("aisle 4").shows("milk", "0.99")
    store.station.takes_s = 30.0
    await store.hub.sets_price("milk", "0.79")
    assert store.label("aisle 4").offers() == ["0.99"]
    await store.restarts()
    store.station.takes_s = 0.0
    await store.hub.sets_price("milk", "0.99")
    assert store.till().asks("milk") == "0.79"
    await store.label("aisle 4").proves()
    await store.time_passes(A_WALK_S)
    assert store.till().asks("milk") == "0.99"


async def test_p3_a_proof_right_after_a_restart_closes_nothing_that_the_radio_may_still_hold(store: StoreKit) -> None:
    """Offered 0.99, then 0.79, then 0.99 again; killed before the radio took the last one. What the label proves
    now may be the first 0.99, and the radio still holds 0.79."""
    await store.label("aisle 4").shows("milk", "0.99")
    await store.hub.sets_price("milk", "0.79")
    store.station.takes_s = 30.0
    await store.hub.sets_price("milk", "0.99")
    await store.restarts()
    await store.label("aisle 4").proves("0.99")
    await store.time_passes(60)
    store.station.takes_s = 0.0
    await store.time_passes(2 * A_WALK_S)
    assert store.label("aisle 4").is_offered() == "0.99"
    assert store.till().asks("milk") == "0.79"
    await store.label("aisle 4").proves()
    await store.time_passes(A_WALK_S)
    assert store.till().asks("milk") == "0.99"


async def test_p3_a_proof_heard_while_the_station_refuses_the_offer_is_not_of_that_offer(store: StoreKit) -> None:
    await store.label("aisle 4").shows("milk", "0.99")
    await store.hub.sets_price("milk", "0.79")
    store.station.takes_s, store.station.refuses = 10.0, "line down"
    await store.hub.sets_price("milk", "0.99")
    await store.label("aisle 4").proves("0.99")          # says again what it showed; 0.79 is still on air
    store.station.takes_s = 0.0
    await store.time_passes(2 * A_WALK_S)
    assert store.till().asks("milk") == "0.79"


async def test_p3_a_proof_heard_while_the_station_takes_the_offer_counts(store: StoreKit) -> None:
    """Push labels prove within the very call that offers."""
    store.station.proves_at_once = True
    await store.label("aisle 4").hangs_under("milk")
    await store.hub.sets_price("milk", "1.09")
    await store.time_passes(A_WALK_S)
    assert store.till().asks("milk") == "1.09"
    assert store.label("aisle 4").offers() == ["0.99", "1.09"]


async def test_p8_a_dated_price_begins_offline_for_till_and_label(store: StoreKit) -> None:
    await store.label("aisle 4").shows("milk", "0.99")
    begins_ms = store.clock.wall_ms() + 2 * AN_HOUR_MS
    await store.hub.sets_price("milk", "0.89", entry="regular", from_ms=0)
    await store.hub.sets_price("milk", "0.59", entry="promotion", priority=5, from_ms=begins_ms,
                               until_ms=begins_ms + 2 * AN_HOUR_MS)
    await store.label("aisle 4").proves()
    await store.time_passes(2 * 3600 - 10)
    assert store.till().asks("milk") == "0.89"
    await store.time_passes(10)
    assert store.till().asks("milk") == "0.59"
    await store.a_moment()
    assert store.label("aisle 4").is_offered() == "0.59"
    await store.label("aisle 4").proves()
    await store.time_passes(2 * 3600 + 10)
    assert store.label("aisle 4").is_offered() == "0.89"  # the end of a promotion is an increase
    assert store.till().asks("milk") == "0.59"
    await store.label("aisle 4").proves()
    await store.time_passes(A_WALK_S)
    assert store.till().asks("milk") == "0.89"


async def test_p8_lookups_are_right_at_the_second_even_when_housekeeping_is_late(store: StoreKit) -> None:
    begins_ms = store.clock.wall_ms() + 60_000
    await store.hub.sets_price("milk", "0.59", entry="promotion", priority=5, from_ms=begins_ms,
                               until_ms=begins_ms + 60_000)
    await store.parts_stop()
    await store.time_passes((begins_ms - store.clock.wall_ms()) / 1000)
    assert store.till().asks("milk") == "0.59"
    await store.time_passes(60)
    assert store.till().asks("milk") == "0.99"


async def test_p8_dated_changes_missed_while_switched_off_happen_at_the_start(store: StoreKit) -> None:
    await store.label("aisle 4").shows("milk", "0.99")
    begins_ms = store.clock.wall_ms() + AN_HOUR_MS
    await store.hub.sets_price("milk", "0.59", entry="promotion", priority=5, from_ms=begins_ms)
    await store.power_fails(off_s=2 * 3600)
    assert store.till().asks("milk") == "0.59"
    await store.a_moment()
    assert store.label("aisle 4").is_offered() == "0.59"


async def test_a_clock_that_is_not_believed_lets_decreases_begin_and_increases_wait(store: StoreKit) -> None:
    tomorrow_ms = store.clock.wall_ms() + 24 * AN_HOUR_MS
    await store.hub.sets_price("milk", "1.09", entry="tomorrow", priority=5, from_ms=tomorrow_ms)
    await store.hub.sets_price("bread", "1.69", entry="tomorrow", priority=5, from_ms=tomorrow_ms)
    store.clock.put_wrong(A_YEAR_MS)
    assert store.till().asks("bread") == "1.69"
    await store.time_passes(60)
    assert not store.store.clock.trusted
    assert store.till().asks("milk") == "0.99"
    assert store.till().asks("bread") == "1.69"
    await store.time_passes(7200)
    assert store.till().asks("milk") == "0.99"
    store.clock.put_wrong(0)                               # a time service puts it right
    await store.time_passes(60)
    assert store.store.clock.trusted
    assert (store.till().asks("milk"), store.till().asks("bread")) == ("0.99", "1.89")
    await store.time_passes(24 * 3600)
    assert (store.till().asks("milk"), store.till().asks("bread")) == ("1.09", "1.69")


async def test_a_price_does_not_end_by_a_clock_that_is_not_believed(store: StoreKit) -> None:
    await store.hub.has_items("cherries")
    await store.hub.sets_price("cherries", "4.99", until_ms=store.clock.wall_ms() + 24 * AN_HOUR_MS)
    store.clock.put_wrong(A_YEAR_MS)
    await store.time_passes(3600)
    assert store.till().asks("cherries") == "4.99"
    store.clock.put_wrong(0)
    await store.time_passes(60)
    assert store.till().asks("cherries") == "4.99"
    await store.time_passes(24 * 3600)
    assert store.till().asks("cherries") == "no price"


async def test_doubt_about_the_clock_outlives_a_restart_and_a_reboot(store: StoreKit) -> None:
    store.clock.put_wrong(A_YEAR_MS)
    await store.time_passes(60)
    await store.restarts()
    assert not store.store.clock.trusted
    await store.power_fails(off_s=10)
    assert not store.store.clock.trusted
    store.store.clock.hear(store.clock.true_ms())           # the hub tells another time: still doubt
    assert not store.store.clock.trusted
    store.store.clock.hear(store.clock.wall_ms())           # the hub agrees with the box
    assert store.store.clock.trusted


async def test_a_clock_behind_what_was_recorded_is_not_believed(store: StoreKit) -> None:
    await store.time_passes(120)
    store.clock.put_wrong(-AN_HOUR_MS)
    await store.power_fails(off_s=10)
    assert not store.store.clock.trusted
    response = await store.till().sells(1, "milk")
    assert response.json()["flags"] == ["clock-untrusted"]
    assert store.exceptions() == []                         # an issue of the box, not of each of its sales
    store.clock.put_wrong(0)
    await store.time_passes(60)
    assert store.store.clock.trusted


async def test_a_clock_that_was_ahead_from_the_start_is_put_right_with_everything_dated_by_it(
        store: StoreKit) -> None:
    """A box without a battery may start a year ahead, and nothing contradicts it until a time service does."""
    store.clock.put_wrong(A_YEAR_MS)
    await store.power_fails(off_s=10)
    now_ms = store.clock.true_ms()
    await store.hub.sets_price("milk", "1.09", entry="next week", priority=5, from_ms=now_ms + 7 * 24 * AN_HOUR_MS)
    await store.hub.has_items("cherries")
    await store.hub.sets_price("cherries", "4.99", until_ms=now_ms + 24 * AN_HOUR_MS)
    assert store.store.clock.trusted
    assert (store.till().asks("milk"), store.till().asks("cherries")) == ("1.09", "no price")
    store.clock.put_wrong(0)
    await store.time_passes(60)
    assert store.store.clock.trusted
    assert (store.till().asks("milk"), store.till().asks("cherries")) == ("0.99", "4.99")


async def test_p9_what_a_wrong_clock_decided_just_before_the_power_failed_is_found_again_at_the_start(
        store: StoreKit) -> None:
    """The doubt was not written down yet, and the box starts again with the right time."""
    now_ms = store.clock.true_ms()
    await store.hub.sets_price("milk", "0.79", entry="this hour", priority=5, until_ms=now_ms + AN_HOUR_MS)
    await store.time_passes(60)
    assert store.till().asks("milk") == "0.79"
    store.clock.put_wrong(A_YEAR_MS)
    await store.hub.sets_price("bread", "1.69", entry="next week", priority=5, from_ms=now_ms + 7 * 24 * AN_HOUR_MS)
    await store.hub.sets_price("milk", "0.89", entry="today", priority=3)
    assert (store.till().asks("milk"), store.till().asks("bread")) == ("0.79", "1.69")
    store.clock.put_wrong(0)
    await store.power_fails(off_s=2 * 3600)
    await store.time_passes(60)
    assert store.store.clock.trusted
    assert (store.till().list_price("milk"), store.till().list_price("bread")) == ("0.89", "1.89")


class Clocks:
    """Two clocks that a test sets."""

    def __init__(self, boot_id: str, boot_ms: int, wall_ms: int, synchronised: bool = False) -> None:
        self.boot_id, self.boot, self.wall, self.agrees = boot_id, boot_ms, wall_ms, synchronised

    def boot_ms(self) -> int:
        return self.boot

    def wall_ms(self) -> int:
        return self.wall

    def synchronised(self) -> bool:
        return self.agrees


def test_p3_the_powered_clock_never_goes_back_and_never_counts_what_it_did_not_see():
    first = StoreClock(Clocks("one", 500, 10_000), None)
    assert first.powered_ms() == 0
    stamp = ClockStamp("one", 1_500, 1_000, 11_000)
    assert StoreClock(Clocks("one", 9_500, 19_000), stamp).powered_ms() == 9_000      # killed, same boot
    assert StoreClock(Clocks("two", 9_500, 19_000), stamp).powered_ms() == 1_000      # another boot
    assert StoreClock(Clocks("one", 1_000, 19_000), stamp).powered_ms() == 1_000      # a boot id that came twice


@pytest.mark.parametrize(("drift_ms", "trusted"), [(0, True), (119_000, True), (-119_000, True), (121_000, False),
                                                   (-121_000, False)])
def test_the_wall_clock_is_believed_within_two_minutes_of_the_boot_time_clock(drift_ms: int, trusted: bool):
    clocks = Clocks("one", 0, 1_000_000)
    clock = StoreClock(clocks, None)
    clocks.boot, clocks.wall = 50_000, 1_050_000 + drift_ms
    assert clock.check() is trusted
    clocks.agrees = True
    assert clock.check()
