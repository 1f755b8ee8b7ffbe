"""Labels in a drawer may sleep; those on a shelf must hear of their prices."""

import pytest

from edge.errors import Rejected, Transient
from tests.store_kit import StoreKit


async def test_a_label_that_hangs_nowhere_may_sleep_and_one_under_a_product_may_not(store: StoreKit) -> None:
    store.station.is_heard("drawer")
    await store.a_moment()
    await store.labels.sleep("drawer", 60)
    assert store.station.asleep == {"drawer": 60}
    await store.label("aisle 4").shows("milk", "0.99")
    with pytest.raises(Rejected, match="must hear of its prices"):
        await store.labels.sleep("aisle 4", 60)
    await store.label("aisle 4").is_excluded()
    await store.labels.sleep("aisle 4", 120)
    assert store.station.asleep["aisle 4"] == 120
    store.station.refuses = "the radio has no free slot"
    with pytest.raises(Transient, match="no free slot"):
        await store.labels.sleep("drawer", 60)
