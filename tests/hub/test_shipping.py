"""Orders that a carrier brings, at the hub: address, labels, parcels, and the word that one has left (P11)."""

import msgspec
import pytest
import sqlalchemy as sa

from cloud_sync.contract.documents import Address, Person
from cloud_sync.contract.facts import ParcelStep, PickupStep, StepLine
from cloud_sync.hub import schema
from cloud_sync.hub.webhooks import WebhookIn
from tests.hub.chain import Chain
from tests.hub.test_orders import LINE, NAME, PATH, dump, orders
from tests.hub.test_refunds import told
from tests.hub.world import HubWorld

STREET = "Calle de la Luna 14"
ADDRESS = {"lines": [STREET], "city": "Madrid", "country": "ES", "postcode": "28004"}
SHIPPED = {"currency": "EUR", "lines": [LINE], "method": "ship",
           "person": {"display_name": NAME, "address": ADDRESS}}


def packed(*steps: str) -> list[ParcelStep]:
    return [ParcelStep("p1", "o1", f"s{number}", step, 1, "ana", (StepLine(1, 2000),), 800, "Correos", "48h", "ES123")
            for number, step in enumerate(steps)]


async def test_p11_an_address_reaches_its_store_and_stands_nowhere_in_clear(hub: HubWorld):
    store = await hub.store()
    assert (await hub.operator.put(PATH, json=SHIPPED)).status_code == 201
    (order,) = await orders(store)
    assert (order.method, order.person) == ("ship", Person(NAME, "", Address((STREET,), "Madrid", "ES", "28004")))
    status = (await hub.operator.get(PATH)).text
    for secret in (STREET, "28004", NAME):
        assert secret not in dump(hub) + status + repr(order)


@pytest.mark.parametrize(("person", "says"), [
    (None, "needs a person"), ({"display_name": NAME}, "needs a person"),
    ({"display_name": NAME, "address": {**ADDRESS, "country": "Spain"}}, "two capital letters"),
    ({"display_name": NAME, "address": {**ADDRESS, "lines": []}}, "1 to 4 lines"),
    ({"display_name": NAME, "address": {**ADDRESS, "city": "x" * 999}}, "city")])
async def test_an_order_that_cannot_be_sent_is_refused_without_repeating_the_address(
        hub: HubWorld, person: dict[str, object] | None, says: str):
    await hub.store()
    for path in (PATH, "/v1/orders/o1"):
        answer = await hub.operator.put(path, json={**SHIPPED, "person": person})
        assert answer.status_code == 422
        assert says in answer.json()["detail"]
        assert STREET not in answer.text


async def test_the_method_of_a_placed_order_does_not_change(hub: HubWorld):
    await hub.store()
    await hub.operator.put(PATH, json=SHIPPED)
    assert (await hub.operator.put(PATH, json={**SHIPPED, "method": "pickup"})).status_code == 409


async def test_a_parcel_that_left_is_told_with_its_number_and_shown_with_the_order(hub: HubWorld):
    chain = Chain(hub)
    await chain.opens("store-1")
    hub.storage.webhooks.put("shop", WebhookIn("https://shop.example/hook"))
    await hub.operator.put(PATH, json=SHIPPED)
    left = PickupStep("o1", "t1", "hand_over", "handed_over", 1, "ana", lines=(StepLine(1, 2000),), parcel_id="p1")
    for fact in (*packed("pack", "label"), left):
        chain["store-1"].record(fact, "fact")
        await chain["store-1"].pushes()
        hub.restart()
    assert told(hub, "shipped") == [{
        "store": "store-1", "order_id": "o1", "state": "handed_over", "revision": 1, "parcel": "p1",
        "carrier": "Correos", "service": "48h", "tracking": "ES123", "lines": [{"line": 1, "quantity_milli": 2000}]}]
    (parcel,) = (await hub.operator.get(PATH)).json()["parcels"]
    assert (parcel["state"], parcel["tracking"], parcel["weight_g"]) == ("handed", "ES123", 800)


async def test_the_hub_labels_a_parcel_that_the_store_told_of_until_it_has_left(hub: HubWorld):
    chain = Chain(hub)
    await chain.opens("store-1")
    await hub.operator.put(PATH, json=SHIPPED)
    path, label = f"{PATH}/parcels/p1/label", {"carrier": "Correos", "tracking": "ES999"}
    assert (await hub.operator.put(path, json=label)).status_code == 404
    chain["store-1"].record(packed("pack")[0], "fact")
    await chain["store-1"].pushes()
    for _ in range(2):
        answer = await hub.operator.put(path, json=label)
        assert (answer.status_code, answer.json()["order"]["revision"]) == (200, 2)
    assert (await hub.operator.put(path, json={**label, "tracking": ""})).status_code == 422
    assert chain["store-1"].asked("o1").labels[0].tracking == "ES999"
    left = PickupStep("o1", "t1", "hand_over", "handed_over", 2, "ana", lines=(StepLine(1, 2000),), parcel_id="p1")
    chain["store-1"].record(left, "fact")
    await chain["store-1"].pushes()
    assert (await hub.operator.put(path, json={**label, "tracking": "ES000"})).status_code == 422


async def test_p11_an_order_for_any_store_takes_its_address_along(hub: HubWorld):
    chain = Chain(hub)
    await chain.opens("a", "b", milk=5)
    placed = await chain.places("o1", method="ship", person=SHIPPED["person"])
    assert placed.store == "a"
    await chain.says("o1", "reassignment")
    for name, seen in (("a", False), ("b", True)):
        text = (await chain[name].store.feed("orders")).text
        assert (STREET in text) is seen
    with hub.storage.database.transaction() as connection:
        owners = set(connection.execute(sa.select(schema.person.c.store_id)).scalars())
    assert owners == {"b", "orders:default"}
    assert STREET not in dump(hub)
    assert isinstance(msgspec.to_builtins(placed), dict)
