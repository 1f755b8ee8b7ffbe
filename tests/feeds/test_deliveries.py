"""Goods on their way: announced at the hub, received in the store; and between stores, where none may get lost."""

import httpx
import msgspec
import pytest

from cloud_sync.contract.documents import Delivery
from cloud_sync.contract.facts import (
    DeliveryClosed,
    Discrepancy,
    GoodsReceived,
    ReceivedUnits,
    TransferLine,
    TransferSent,
)
from cloud_sync.contract.feeds import Put
from edge.pos.access import Role
from edge.stock.deliveries import Expected, ReceiptRequest
from tests.feeds.line import STORE, Shop
from tests.hub.world import Ledger, StoreWorld

OTHER = "0043"


async def other_store(shop: Shop) -> tuple[StoreWorld, Ledger]:
    """A second store of the same hub, with ten bottles of milk."""
    answer = await shop.world.operator.put(f"/v1/stores/{OTHER}", json={})
    other = StoreWorld(OTHER, shop.world.client(answer.json()["token"]))
    ledger = Ledger(OTHER, 1)
    ledger.appends(GoodsReceived("D-0", (ReceivedUnits("milk", 10_000),), "eva"), "goods-received/0")
    await other.push(ledger.push())
    return other, ledger


async def delivery_in(shop: Shop, delivery_id: str) -> Expected:
    await shop.until(lambda: shop.kit.desk.deliveries.find(delivery_id) is not None)
    found = shop.kit.desk.deliveries.find(delivery_id)
    assert found is not None
    return found


async def transit(shop: Shop, store: str = STORE) -> dict[str, int]:
    answer = await shop.world.operator.get("/v1/transfers", params={"store": store, "all": "1"})
    return {f"{each['transfer']}/{each['sku']}": each["transit_milli"] for each in answer.json()}


async def settled(shop: Shop) -> None:
    """The hub holds every fact of the store."""
    kit = shop.kit
    await shop.until(lambda: kit.store.acked_sequence >= len(kit.entries()))


async def test_a_delivery_is_announced_received_without_a_line_and_known_at_the_hub_afterwards(shop: Shop) -> None:
    path = f"/v1/stores/{STORE}/deliveries/D-1"
    await shop.has(["milk"])
    await shop.puts(path, {"lines": [{"sku": "milk", "quantity_milli": 6000}], "supplier": "Dairy"})
    found = await delivery_in(shop, "D-1")
    assert (found.supplier, found.revision) == ("Dairy", 1)
    await shop.disconnect()
    await shop.kit.desk.deliveries.receive(ReceiptRequest("1", "D-1", "milk", 5000, "ana"))
    await shop.kit.restarts()
    await shop.kit.desk.deliveries.close("2", "D-1", "ana")
    shop.connect()
    await settled(shop)
    assert await shop.world.stock_milli("milk", STORE) == 5000

    await shop.puts(path, {"lines": [{"sku": "milk", "quantity_milli": 9000}]})
    await shop.kit.time_passes(60)
    assert shop.kit.desk.deliveries.open() == []


@pytest.mark.parametrize("body", [
    {"lines": []}, {"lines": [{"sku": "", "quantity_milli": 1}]}, {"lines": [{"sku": "milk", "quantity_milli": 0}]},
    {"lines": [{"sku": "milk", "quantity_milli": 10**13}]},
    {"lines": [{"sku": "milk", "quantity_milli": 1}], "due_ms": -1}])
async def test_what_can_be_no_delivery_is_refused(shop: Shop, body: object) -> None:
    answer = await shop.world.operator.put(f"/v1/stores/{STORE}/deliveries/D-1", content=msgspec.json.encode(body))
    assert answer.status_code == httpx.codes.UNPROCESSABLE_ENTITY
    reserved = await shop.world.operator.put(f"/v1/stores/{STORE}/deliveries/transfer:x", json={
        "lines": [{"sku": "milk", "quantity_milli": 1}]})
    assert reserved.status_code == httpx.codes.UNPROCESSABLE_ENTITY


async def test_p11_a_store_announces_nothing_and_sees_no_transfers(shop: Shop) -> None:
    client = shop.world.client(shop.token)
    assert (await client.put(f"/v1/stores/{STORE}/deliveries/D-1", json={})).status_code == 403
    assert (await client.get("/v1/transfers")).status_code == 403


async def test_p2_goods_between_stores_are_in_one_of_three_places_and_what_is_missing_is_named(shop: Shop) -> None:
    other, ledger = await other_store(shop)
    ledger.appends(TransferSent("T-1", STORE, (TransferLine("milk", 6000),), "eva"), "transfer/T-1")
    for _ in range(2):
        assert (await other.push(ledger.push())).status_code == 200
    assert await shop.world.stock_milli("milk", OTHER) == 4000
    assert await transit(shop) == {"T-1/milk": 6000}

    found = await delivery_in(shop, f"transfer:{OTHER}:T-1")
    assert (found.from_store, found.transfer) == (OTHER, "T-1")
    staff = shop.kit.caller(Role.STAFF)
    for _ in range(2):
        answer = await staff.post(f"/v1/deliveries/{found.delivery_id}/receipts", json={
            "receipt_id": "1", "code": "milk", "quantity_milli": 4000})
        assert answer.status_code == 201, answer.text
    await settled(shop)
    assert await transit(shop) == {"T-1/milk": 2000}
    await staff.post(f"/v1/deliveries/{found.delivery_id}/close", json={"act_id": "2", "note": "the box was open"})
    await settled(shop)
    [line] = (await shop.world.operator.get("/v1/transfers?all=1")).json()
    assert (line["sent_milli"], line["received_milli"], line["missing_milli"], line["transit_milli"]) == (
        6000, 4000, 2000, 0)
    assert (await shop.world.operator.get("/v1/transfers")).json() == []
    assert await shop.world.stock_milli("milk", STORE) == 4000


async def test_goods_that_the_store_sends_are_awaited_by_the_other(shop: Shop) -> None:
    other, _ = await other_store(shop)
    await shop.kit.receives("milk", 5)
    body = {"transfer_id": "T-9", "to_store": OTHER, "lines": [{"sku": "milk", "quantity_milli": 2000}]}
    assert (await shop.kit.caller(Role.STAFF).post("/v1/transfers", json=body)).status_code == 201
    await settled(shop)
    [batch] = await other.batches("deliveries")
    [change] = batch.changes
    assert isinstance(change, Put)
    delivery = msgspec.json.decode(change.doc, type=Delivery)
    assert (delivery.id, delivery.from_store, delivery.transfer) == (f"transfer:{STORE}:T-9", STORE, "T-9")
    assert await transit(shop) == {"T-9/milk": 2000}


async def test_goods_for_a_store_that_nobody_knows_stay_in_transit(shop: Shop) -> None:
    other, ledger = await other_store(shop)
    ledger.appends(TransferSent("T-1", "nowhere", (TransferLine("milk", 1000),), "eva"), "transfer/T-1")
    assert (await other.push(ledger.push())).status_code == 200
    assert await transit(shop, OTHER) == {"T-1/milk": 1000}


async def test_p9_it_does_not_matter_which_store_a_restored_hub_hears_first(shop: Shop) -> None:
    """The receiver's facts come before the sender's: sums only."""
    other, ledger = await other_store(shop)
    mine = Ledger(STORE, 1)
    mine.appends(GoodsReceived(f"transfer:{OTHER}:T-1", (ReceivedUnits("milk", 2000),), "ana", OTHER, "T-1"), "r/1")
    missing = (Discrepancy("milk", 3000, 2000),)
    mine.appends(DeliveryClosed(f"transfer:{OTHER}:T-1", missing, "ana", OTHER, "T-1"), "c/1")
    await shop.disconnect()
    assert (await StoreWorld(STORE, shop.world.client(shop.token)).push(mine.push())).status_code == 200
    assert await transit(shop) == {"T-1/milk": -3000}
    ledger.appends(TransferSent("T-1", STORE, (TransferLine("milk", 3000),), "eva"), "transfer/T-1")
    await other.push(ledger.push())
    assert await transit(shop) == {"T-1/milk": 0}


async def test_p4_a_transfer_that_no_row_can_hold_goes_to_quarantine(shop: Shop) -> None:
    other, ledger = await other_store(shop)
    ledger.appends(TransferSent("T" * 190, STORE, (TransferLine("milk", 1000),), "eva"), "transfer/T-1")
    ledger.appends(DeliveryClosed("D", (Discrepancy("milk", 10**13, 0),), "eva", STORE, "T"), "c/1")
    assert (await other.push(ledger.push())).status_code == 200
    assert (await shop.world.status(OTHER)).quarantined == 2
    assert await shop.world.stock_milli("milk", OTHER) == 10_000
