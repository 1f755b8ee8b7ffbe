"""P3 and the door: once the store is closed and cleared out, nobody walks any more."""

import pytest

from cloud_sync.contract.documents import OpeningHours
from tests.store_kit import StoreKit

UNTIL_HALF_PAST_TWO = (OpeningHours(9 * 60, 14 * 60 + 30),) * 7   # the scene begins at noon
CLOSED_ON_MONDAYS = (None, *(OpeningHours(540, 1320),) * 6)


async def goes_up(store: StoreKit) -> None:
    """Milk shows 0.99, goes up to 1.09, the label proves it. About 13:01."""
    await store.label("aisle 4").shows("milk", "0.99")
    await store.hub.sets_price("milk", "1.09")
    await store.label("aisle 4").proves()


async def test_p3_closing_and_clearing_out_end_the_grace(store: StoreKit) -> None:
    await store.hub.sets_policy(hours=UNTIL_HALF_PAST_TWO, grace_s=6 * 3600, clear_out_s=1800)
    await store.label("aisle 4").hangs_under("milk")
    await store.label("aisle 4").proves()
    await store.time_passes(3600)
    await store.hub.sets_price("milk", "1.09")
    await store.label("aisle 4").proves()
    await store.time_passes(2 * 3600 - 60 - 15)            # 14:59
    assert store.till().asks("milk") == "0.99"
    await store.time_passes(70)                             # 15:00: closed at half past two, then cleared out
    assert store.till().asks("milk") == "1.09"


async def test_p3_on_a_closed_day_only_the_screen_needs_its_time(store: StoreKit) -> None:
    await store.hub.sets_policy(hours=CLOSED_ON_MONDAYS)
    await goes_up(store)
    assert store.till().asks("milk") == "0.99"
    await store.time_passes(store.settle_s)
    assert store.till().asks("milk") == "1.09"


async def test_p3_a_screen_slower_than_the_closing_still_settles(store: StoreKit) -> None:
    await store.hub.sets_policy(grace_s=5)
    await goes_up(store)
    await store.time_passes(store.settle_s)
    assert store.till().asks("milk") == "0.99"
    await store.time_passes(5)
    assert store.till().asks("milk") == "1.09"


@pytest.mark.parametrize("since_s", [60, 0], ids=["noticed before", "ran away a moment ago"])
async def test_p3_a_clock_that_is_not_believed_closes_no_store(store: StoreKit, since_s: float) -> None:
    await store.hub.sets_policy(hours=CLOSED_ON_MONDAYS)
    await store.label("aisle 4").shows("milk", "0.99")
    await store.hub.sets_price("milk", "1.09")
    store.clock.put_wrong(-7 * 24 * 3_600_000)
    await store.time_passes(since_s)
    await store.label("aisle 4").proves()
    await store.time_passes(3600)
    assert store.till().asks("milk") == "0.99"
    await store.time_passes(15)
    assert store.till().asks("milk") == "1.09"


async def test_p3_a_store_that_trades_at_night_is_open_after_midnight(store: StoreKit) -> None:
    await store.hub.sets_policy(hours=(OpeningHours(11 * 60, 27 * 60),) * 7)
    await store.time_passes(13 * 3600)                      # one in the morning
    await goes_up(store)                                    # two, and a bit
    await store.time_passes(3590)
    assert store.till().asks("milk") == "0.99"
