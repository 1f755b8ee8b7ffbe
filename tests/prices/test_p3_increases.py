"""P3: an increase reaches the till once every shelf has proven it and every shopper had time; a decrease at once."""

from tests.store_kit import StoreKit


async def test_p3_an_increase_reaches_the_till_only_after_the_label_proved_it_and_the_shopper_had_time(
        store: StoreKit) -> None:
    await store.label("aisle 4").shows("milk", "0.99")
    await store.hub.sets_price("milk", "1.09")

    assert store.label("aisle 4").is_offered() == "1.09"
    assert store.till(1).asks("milk") == "0.99"       # offered, not yet proven
    await store.label("aisle 4").proves()
    assert store.till(1).asks("milk") == "0.99"       # a shopper may still be walking
    await store.time_passes(store.settle_s + store.policy.grace_s - 2)
    assert store.till(1).asks("milk") == "0.99"
    await store.time_passes(2)
    assert store.till(1).asks("milk") == "1.09"


async def test_p3_a_decrease_reaches_the_till_at_once(store: StoreKit) -> None:
    await store.label("aisle 4").shows("milk", "0.99")
    await store.hub.sets_price("milk", "0.89")
    assert store.till(1).asks("milk") == "0.89"
