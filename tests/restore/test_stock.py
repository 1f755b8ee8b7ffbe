"""Counts, deliveries and large differences of a box whose disk was put back (DESIGN.md sections 9 and 10)."""

from cloud_sync.contract.documents import Delivery, DeliveryLine
from cloud_sync.contract.feeds import Feed
from edge.stock.counts import Counted, CountRequest
from edge.stock.deliveries import ReceiptRequest
from tests.restore.world import Town


async def test_p2_history_that_comes_back_does_not_change_what_was_counted_meanwhile(town: Town) -> None:
    """Two sales are lost with the disk; the shelf is counted before the hub tells of them."""
    box = town.box
    await box.kit.receives("milk", 10)
    await box.sells(1)
    await box.settles()
    copy = box.backs_up()
    await box.kit.time_passes(60)
    for sequence in (2, 3):
        await box.sells(sequence)
    await box.settles()
    await box.kit.time_passes(60)
    box.wire.cut = True
    await box.is_restored(copy)
    await box.kit.desk.counts.take(CountRequest("after", (Counted("milk", 7_000),), "ana"))
    assert box.kit.stock("milk") == (7, 0, 0, 0)
    box.wire.cut = False
    await town.agree(box)
    assert box.kit.stock("milk") == (7, 0, 0, 0)


async def test_p2_a_waiting_difference_and_a_delivery_come_back_and_count_once(town: Town) -> None:
    box = town.box
    await box.kit.hub.sends(Feed.DELIVERIES, {"D": Delivery("D", 1, (DeliveryLine("milk", 20_000),))})
    await box.settles()
    copy = box.backs_up()
    for _ in range(2):
        await box.kit.desk.deliveries.receive(ReceiptRequest("1", "D", "milk", 18_000, "ana"))
    await box.kit.desk.counts.take(CountRequest("large", (Counted("milk", 1_000),), "ana"))
    await box.kit.desk.deliveries.close("2", "D", "ana")
    await box.settles()
    await box.is_restored(copy)
    await town.agree(box)
    assert box.kit.stock("milk") == (18, 0, 0, 0)
    found = box.kit.desk.deliveries.find("D")
    assert found is not None
    assert found.closed_ms is not None
    assert [(line.received_milli, line.missing_milli) for line in found.lines] == [(18_000, 2_000)]
    await box.kit.desk.counts.review("act", "large", "milk", "eva", approved=True)
    await town.agree(box)
    assert box.kit.stock("milk") == (1, 0, 0, 0)
