"""Vendure and a store, tied by the connector: both tell the same story in the end, whoever dies in between.

DESIGN.md section 9; retail.md sections 2.1, 6 and 8 ("drop the reply after commit", a real end-to-end test).
"""

import shutil
from collections import Counter
from collections.abc import AsyncIterator

import pytest

from tests.live.town import Town, short_directory
from tests.live.vendure_shop import BREAD, COFFEE, MILK, OAT, PRICES, VendureOrder

pytestmark = [pytest.mark.live, pytest.mark.timeout(600)]

STARTS_WITH = {MILK: 10, BREAD: 6, OAT: 5}


@pytest.fixture
async def town() -> AsyncIterator[Town]:
    directory = short_directory()
    town = Town(directory)
    try:
        await town.open()
        yield town
    finally:
        await town.close()
        shutil.rmtree(directory, ignore_errors=True)


async def goods_come_in(town: Town) -> None:
    await town.hands.receive("delivery-1", {sku: units * 1000 for sku, units in STARTS_WITH.items()})
    for sku, units in STARTS_WITH.items():
        await town.until(f"stock of {sku} at Vendure", lambda sku=sku: town.shop.stock(sku),
                         lambda seen, units=units: seen == (units, 0))


async def ordered(town: Town, wanted: dict[str, int]) -> tuple[VendureOrder, str]:
    """A customer pays; returns the order and its id in the store, which has reserved it."""
    order = town.shop.orders(wanted)
    order_id = f"vendure-{order.code}"
    await town.until("the order in the store", lambda: town.hands.pickup(order_id),
                     lambda seen: seen is not None and seen.state == "accepted")
    return order, order_id


async def reserved(town: Town, sku: str, milli: int) -> None:
    await town.until(f"{sku} reserved at the hub", lambda: town.stock(sku), lambda seen: seen.reserved_milli == milli)


async def collected(town: Town, order: VendureOrder, order_id: str) -> None:
    """The customer reads the note in the shop, comes, and says the code."""
    [note] = await town.until("the note that it is ready", order.notes, bool)
    await town.step(order_id, "hand_over", code=note.rpartition(" ")[2])
    await town.until("the order delivered at Vendure", lambda: order.state, lambda seen: seen == "Delivered")


async def agrees(town: Town, order: VendureOrder, order_id: str) -> None:
    """Vendure's stock, lines and fulfilments are the store's."""
    for sku in STARTS_WITH:
        store = await town.stock(sku)
        assert (store.reserved_milli, store.staged_milli) == (0, 0)
        await town.until(f"stock of {sku} at Vendure", lambda sku=sku: town.shop.stock(sku),
                         lambda seen, store=store: seen == (store.sellable_milli // 1000, 0))
    pickup = await town.hands.pickup(order_id)
    assert pickup is not None
    assert pickup.state == "handed_over"


async def test_items_and_an_order_go_in_and_what_was_handed_over_comes_out(town: Town):
    """The thin line: no shortage, no fault."""
    await town.until("the price at the till", lambda: town.charge_minor(COFFEE), lambda seen: seen == PRICES[COFFEE])
    await goods_come_in(town)
    order, order_id = await ordered(town, {MILK: 2})
    await reserved(town, MILK, 2000)
    for step in ("pick", "stage", "ready"):
        await town.step(order_id, step)
    await collected(town, order, order_id)
    assert order.delivered() == {MILK: 2}
    assert order.refunds() == []
    await agrees(town, order, order_id)
    assert town.shop.movements(MILK) == [("ADJUSTMENT", 10), ("ALLOCATION", 2), ("SALE", -2)]


async def short_picked_substituted_and_collected(town: Town) -> None:
    """Three milk, two bread: one milk is missing and oat milk comes instead, one bread is damaged and nothing does."""
    await goods_come_in(town)
    order, order_id = await ordered(town, {MILK: 3, BREAD: 2})
    assert order.paid == 3 * PRICES[MILK] + 2 * PRICES[BREAD]
    for sku, milli in ((MILK, 3000), (BREAD, 2000)):
        await reserved(town, sku, milli)
    await town.step(order_id, "offer", quantities=[{"line": 1, "quantity_milli": 1000}], short_reason="mismatch",
                    substitute={"sku": OAT, "quantity_milli": 1000, "price_minor": 179})
    await town.until("the customer's answer", lambda: town.hands.pickup(order_id),
                     lambda seen: seen is not None and seen.state != "awaiting_substitution")
    await town.step(order_id, "short", quantities=[{"line": 2, "quantity_milli": 1000}], short_reason="damaged")
    for step in ("pick", "stage", "ready"):
        await town.step(order_id, step)

    await town.until("the order as it was picked, at Vendure", order.quantities,
                     lambda seen: seen == {MILK: 2, BREAD: 1, OAT: 1})
    await collected(town, order, order_id)

    assert order.delivered() == {MILK: 2, BREAD: 1, OAT: 1}
    refunded = order.paid - (2 * PRICES[MILK] + PRICES[BREAD] + 179)
    await town.until("what was paid too much", lambda: [
        total for total, state in order.refunds() if state == "Settled"], lambda seen: sum(seen) == refunded)
    now = order.now()
    assert now["totalWithTax"] == 2 * PRICES[MILK] + PRICES[BREAD] + 179
    assert len(order.refunds()) == 1, "one modification, one refund, however often it was tried"
    assert len(now["modifications"]) == 1
    assert len(now["fulfillments"]) == 1
    assert len(order.notes()) == 1
    await agrees(town, order, order_id)
    assert {sku: (await town.stock(sku)).sellable_milli for sku in STARTS_WITH} == {MILK: 7000, BREAD: 4000, OAT: 4000}
    sums: Counter[tuple[str, str]] = Counter()
    for sku in STARTS_WITH:
        for kind, quantity in town.shop.movements(sku):
            sums[sku, kind] += quantity
    assert {key: units for key, units in sums.items() if key[1] != "ADJUSTMENT"} == {
        (MILK, "ALLOCATION"): 3, (MILK, "RELEASE"): 1, (MILK, "SALE"): -2,
        (BREAD, "ALLOCATION"): 2, (BREAD, "RELEASE"): 1, (BREAD, "SALE"): -1,
        (OAT, "ALLOCATION"): 1, (OAT, "SALE"): -1}
    assert sums[MILK, "ADJUSTMENT"] == 9, "ten came in, one was not there"
    assert sums[BREAD, "ADJUSTMENT"] == 5, "six came in, one is damaged"
    assert sums[OAT, "ADJUSTMENT"] == 5


async def test_what_is_missing_is_refunded_what_came_instead_is_on_the_order_and_all_of_it_is_delivered(town: Town):
    await short_picked_substituted_and_collected(town)


async def test_p2_a_connector_killed_in_every_mutation_whose_answer_it_never_heard_does_nothing_twice(town: Town):
    town.to_vendure.calm = False
    await short_picked_substituted_and_collected(town)
    assert set(town.to_vendure.lost) >= {"SetStock", "AddNote", "Transition Modifying", "Modify",
                                         "Transition PaymentSettled", "SettleRefund", "Fulfil", "Deliver"}


async def test_p2_a_hub_killed_in_every_write_of_the_connector_changes_nothing_in_the_result(town: Town):
    town.to_hub.calm = False
    await short_picked_substituted_and_collected(town)
    assert {"orders", "answers", "notes of cursor and order", "notes of order"} <= set(town.to_hub.lost)


async def test_p6_an_order_cancelled_at_vendure_frees_its_goods_in_the_store(town: Town):
    await goods_come_in(town)
    order, order_id = await ordered(town, {MILK: 4})
    order.cancel()
    await town.until("the order cancelled in the store", lambda: town.hands.pickup(order_id),
                     lambda seen: seen is not None and seen.state == "cancelled")
    assert order.refunds() == [], "who cancelled it there refunds it there"
    await town.until("stock of milk at Vendure", lambda: town.shop.stock(MILK), lambda seen: seen == (10, 0))


async def test_p5_an_order_that_the_store_cannot_fill_is_cancelled_and_refunded_once_at_vendure(town: Town):
    """Sold over the counter a moment before: Vendure could not know yet. Again no mutation's answer is heard."""
    await goods_come_in(town)
    await town.connector.stop()
    await town.hands._ask("POST", "/v1/counts", {"count_id": "count-1", "lines": [
        {"sku": MILK, "counted_milli": 1000}]})
    order = town.shop.orders({MILK: 4})
    town.to_vendure.calm = False
    await town.connector.start()
    await town.until("the order cancelled at Vendure", lambda: order.state, lambda seen: seen == "Cancelled")
    await town.until("its refund", order.refunds, lambda seen: seen == [(order.paid, "Settled")])
    await town.until("stock of milk at Vendure", lambda: town.shop.stock(MILK), lambda seen: seen == (1, 0))
    assert set(town.to_vendure.lost) >= {"Cancel", "Refund", "SettleRefund", "SetStock"}
    assert order.refunds() == [(order.paid, "Settled")]
