"""Bugs that the simulator found, each told as the scene it comes down to."""

from edge.labels.planner import LabelState
from tests.store_kit import StoreKit


async def test_p9_a_label_is_fine_again_when_its_product_came_back_with_a_new_replica(store: StoreKit):
    await store.label("aisle 4").shows("milk", "0.99")

    await store.replica_is_lost()
    await store.a_moment()
    assert store.label("aisle 4").state() is LabelState.FAILED

    await store.hub.sends_again()
    assert store.label("aisle 4").state() is LabelState.SHOWN
