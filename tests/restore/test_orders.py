"""A real box and a real hub over a line: an order that names no store, and what a restored box knows of returns and
parcels (DESIGN.md sections 9 and 10)."""

import asyncio

import httpx

from cloud_sync.contract.facts import ReturnedLine
from cloud_sync.contract.parcels import Packing, ParcelState
from cloud_sync.contract.pickup import PickupState, Step
from cloud_sync.contract.returns import Grade
from cloud_sync.hub.app import run_inline
from cloud_sync.hub.sourcing_keeper import keep_sourcing
from edge.pickups.parcels import parcels_of
from edge.pickups.returns import GradingRequest, ReturnDesk, ReturnRequest, returnable
from edge.pickups.shipping import ParcelRequest, ShippingDesk
from tests.restore.world import STORE, Box, Town

LINE = {"line": 1, "sku": "milk", "quantity_milli": 2000, "price_minor": 100}
TO_SEND = {"currency": "EUR", "lines": [LINE], "method": "ship", "person": {
    "display_name": "Marta", "address": {"lines": ["Calle de la Luna 14"], "city": "Madrid", "country": "ES"}}}


async def test_p5_an_order_without_a_store_is_offered_taken_confirmed_and_picked(town: Town):
    kit, hub = town.box.kit, town.hub
    hub.now_ms = kit.clock.wall_ms()
    await kit.receives("milk", 3)
    await town.box.settles()
    keeper = asyncio.create_task(keep_sourcing(hub.storage, run_inline, hub.bells))
    answer = await hub.operator.put("/v1/orders/o1", json={"currency": "EUR", "lines": [LINE]})
    assert (answer.status_code, answer.json()["store"]) == (201, STORE)

    def confirmed() -> bool:
        found = kit.pickups.find("o1")
        return found is not None and found.row.confirmed
    await town.box.until(confirmed)
    assert kit.stock("milk") == (1, 2, 0, 0)
    await kit.time_passes(3600)
    await kit.takes_step("o1", Step.PICK)
    await town.box.settles()
    status = (await hub.operator.get("/v1/orders/o1")).json()
    assert (status["state"], status["status"]["state"]) == ("taken", "picking")
    keeper.cancel()
    await asyncio.gather(keeper, return_exceptions=True)


async def test_p9_a_box_whose_line_is_down_lets_its_offer_go_and_both_sides_agree_in_the_end(town: Town):
    """Its yes never reaches the hub: the hub takes the order back, the box lets it go by itself at its deadline."""
    kit, hub = town.box.kit, town.hub
    hub.now_ms = kit.clock.wall_ms()
    await kit.receives("milk", 3)
    await town.box.settles()

    def no_push(request: httpx.Request) -> bool:
        if request.url.path.endswith("/ledger"):
            raise httpx.ConnectError("no route", request=request)
        return False
    town.box.wire.before = no_push
    await hub.operator.put("/v1/orders/o1", json={"currency": "EUR", "lines": [LINE]})
    await town.box.until(lambda: kit.pickups.find("o1") is not None)
    await kit.time_passes(1_800 + 60)
    found = kit.pickups.find("o1")
    assert found is not None
    assert (found.row.state, kit.stock("milk")) == (PickupState.EXPIRED, (3, 0, 0, 0))
    hub.now_ms += 2_000_000
    hub.storage.sourcings.advance("default", "o1")
    assert (await hub.operator.get("/v1/orders/o1")).json()["state"] == "cancelled"
    town.box.wire.before = lambda request: False
    await town.agree(town.box)
    assert kit.stock("milk") == (3, 0, 0, 0)


async def test_p2_a_restored_box_knows_again_what_came_back_and_what_was_sent(town: Town):
    kit = town.box.kit
    await kit.receives("milk", 2)
    await town.hub.operator.put(f"/v1/stores/{STORE}/orders/o1", json=TO_SEND)
    await town.box.until(lambda: kit.pickups.find("o1") is not None)
    await town.box.settles()
    copy = town.box.backs_up()
    for step in (Step.PICK, Step.STAGE):
        await kit.takes_step("o1", step)
    desk = ShippingDesk(kit.store, kit.pickups)
    for parcel, step in (("p1", Packing.PACK), ("p1", Packing.LABEL), ("p2", Packing.PACK), ("p2", Packing.UNPACK)):
        await desk.take(ParcelRequest("o1", parcel, f"{parcel}/{step}", step, "luis", ((1, 1000),), 500, "Correos", "",
                                      "ES1234"))
    await desk.hand_over("o1", "p1", "left", "luis")
    back = ReturnDesk(kit.store, kit.pickups)
    await back.take(ReturnRequest("r1", "o1", (ReturnedLine("", 1000, 1),), "luis"))
    await back.grade(GradingRequest("g1", "milk", 1000, Grade.WASTE, "luis"))
    await town.agree(town.box)

    def known() -> tuple[object, ...]:
        reader = kit.books.ledger_reader
        return (parcels_of(reader, "o1"), returnable(reader, "o1"), kit.stock("milk"))
    before = known()
    await town.box.is_restored(copy)
    await town.agree(town.box)
    assert known() == before
    assert {each.parcel_id: each.state for each in parcels_of(kit.books.ledger_reader, "o1")} == {
        "p1": ParcelState.HANDED, "p2": ParcelState.UNPACKED}


async def test_p6_an_order_that_two_boxes_answered_differently_is_what_the_hub_counts(town: Town):
    """This box had no stock and rejected it; a clone of its disk, which a restored hub heard first, accepted it."""
    box = town.box
    await box.sells(1)
    await box.settles()
    early = box.backs_up()
    await box.sells(2)
    await box.settles()
    cloned = box.backs_up()
    box.wire.cut = True
    order = {"currency": "EUR", "lines": [LINE]}
    await town.hub.operator.put(f"/v1/stores/{STORE}/orders/o1", json=order)
    hub_copy = town.hub_backs_up()
    box.wire.cut = False
    await box.is_restored(early)
    await box.until(lambda: box.kit.pickups.find("o1") is not None)
    await town.agree(box)
    assert (box.epoch_now, _state(box)) == (2, PickupState.REJECTED)

    box.wire.cut = True
    town.hub_is_restored(hub_copy)
    twin = town.add("twin", box.token)
    twin.wire.cut = True
    await twin.is_restored(cloned)
    await twin.kit.receives("milk", 5)
    twin.wire.cut = False
    await twin.until(lambda: twin.kit.pickups.find("o1") is not None)
    await twin.settles()
    assert _state(twin) is PickupState.ACCEPTED
    await twin.is_killed()
    box.wire.cut = False
    await box.sells(5)
    await town.agree(box)
    found = box.kit.pickups.find("o1")
    assert found is not None
    assert (found.row.state, found.lines[0].reserved_milli) == (PickupState.ACCEPTED, 2000)
    assert box.kit.stock("milk") == (0, 2, 0, 0)
    answer = (await town.hub.operator.get(f"/v1/stores/{STORE}/orders/o1")).json()
    assert answer["state"] == "accepted", answer
    assert "conflict" in box.kit.exceptions()
    await box.kit.takes_step("o1", Step.PICK)
    assert box.kit.stock("milk") == (0, 0, 2, 0)


def _state(box: Box) -> PickupState:
    found = box.kit.pickups.find("o1")
    assert found is not None
    return found.row.state
