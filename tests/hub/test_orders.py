"""Online orders: revisions, pickup codes, and people that stand nowhere in clear (P11)."""

import logging

import msgspec
import pytest
import sqlalchemy as sa
import structlog

from cloud_sync.contract.documents import Order, Person, SubstituteAnswer
from cloud_sync.contract.facts import PickupStep
from cloud_sync.contract.feeds import Cursor
from cloud_sync.hub import schema
from cloud_sync.hub.limits import PERSON_KEEP_OPEN_MS, WISHES_KEEP_MS
from cloud_sync.hub.orders import Placement
from cloud_sync.hub.people import Collector
from tests.hub.world import HubWorld, StoreWorld, decode_page

LINE = {"line": 1, "sku": "milk", "quantity_milli": 2000, "price_minor": 99}
NAME = "Ana María Quiroga"
CODE = "ZX81ZX81"
PLACED = {"currency": "EUR", "lines": [LINE], "person": {"display_name": NAME, "phone_last_digits": "4711"},
          "pickup_code": CODE}
PATH = "/v1/stores/store-1/orders/o1"


async def orders(store: StoreWorld, after: Cursor | None = None) -> list[Order]:
    (batch,) = await store.batches("orders", after)
    return [msgspec.json.decode(change.doc, type=Order) for change in batch.changes]


async def ends(store: StoreWorld, state: str = "handed_over") -> None:
    ledger = store.ledger()
    ledger.appends(PickupStep("o1", "t1", "hand_over", state, 1, "ana"), "t1")
    assert (await store.push(ledger.push())).status_code == 200


async def test_an_order_reaches_its_store_with_person_and_code(hub: HubWorld):
    store = await hub.store()
    answer = await hub.operator.put(PATH, json=PLACED)
    assert (answer.status_code, answer.json()["revision"], answer.json()["pickup_code"]) == (201, 1, CODE)
    (order,) = await orders(store)
    assert (order.order_id, order.revision, order.placed_ms, order.pickup_code) == ("o1", 1, hub.now_ms, CODE)
    assert order.person == Person(NAME, "4711")


async def test_the_hub_mints_a_code_and_keeps_it(hub: HubWorld):
    store = await hub.store()
    bare = {"currency": "EUR", "lines": [LINE]}
    code = (await hub.operator.put(PATH, json=bare)).json()["pickup_code"]
    assert len(code) == 6
    again = await hub.operator.put(PATH, json=bare)
    assert (again.status_code, again.json()["pickup_code"], again.json()["changed"]) == (200, code, False)
    assert [order.pickup_code for order in await orders(store)] == [code]


async def test_p2_an_order_sent_again_changes_nothing(hub: HubWorld):
    store = await hub.store()
    for _ in range(3):
        answer = await hub.operator.put(PATH, json=PLACED)
    assert (answer.json()["revision"], answer.json()["changed"]) == (1, False)
    assert len(await orders(store)) == 1


async def test_every_change_the_hub_makes_is_a_revision(hub: HubWorld):
    store = await hub.store()
    await hub.operator.put(PATH, json=PLACED)
    await hub.operator.put(PATH, json={"currency": "EUR", "lines": [LINE], "notified_ms": 5})
    await hub.operator.put(PATH, json={**PLACED, "person": {"display_name": "Her neighbour"}})
    await hub.operator.post(f"{PATH}/cancel-request")
    again = (await hub.operator.post(f"{PATH}/cancel-request")).json()
    assert again["order"]["revision"] == 4
    history = await orders(store)
    assert [order.revision for order in history] == [1, 2, 3, 4]
    assert [order.notified_ms for order in history] == [None, 5, 5, 5]
    assert [order.cancel_requested for order in history] == [False, False, False, True]
    assert {order.person.display_name for order in history} == {"Her neighbour"}


async def test_what_the_hub_says_of_an_order_is_a_revision_once(hub: HubWorld):
    store = await hub.store()
    await hub.operator.put(PATH, json={**PLACED, "lines": [{**LINE, "may_substitute": True}]})
    for path, body in (("arrival", {"bay": "3"}), ("answers", {"line": 2, "accepted": True}),
                       ("cancel-request", {"lines": [1]}), ("reassignment", {})):
        for _ in range(2):
            answer = await hub.operator.post(f"{PATH}/{path}", json=body)
            assert answer.status_code == 200, answer.text
            hub.now_ms += 1000
    late = await hub.operator.post(f"{PATH}/answers", json={"line": 2, "accepted": False})
    assert late.json()["order"]["revision"] == 5
    order = (await orders(store))[-1]
    assert (order.revision, order.bay, order.cancel_lines, order.cancel_requested, order.reassigned) == (
        5, "3", (1,), False, True)
    assert (order.answers, order.lines[0].may_substitute) == ((SubstituteAnswer(2, accepted=True),), True)


async def test_a_customer_who_parks_elsewhere_is_news(hub: HubWorld):
    store = await hub.store()
    await hub.operator.put(PATH, json=PLACED)
    await hub.operator.post(f"{PATH}/arrival", json={"bay": "3"})
    hub.now_ms += 60_000
    await hub.operator.post(f"{PATH}/arrival", json={"bay": "4"})
    await hub.operator.post(f"{PATH}/arrival", json={"bay": "3", "arrived_ms": 5})      # heard late
    assert [order.bay for order in await orders(store)] == ["", "3", "4"]


@pytest.mark.parametrize(("path", "body", "says"), [
    ("cancel-request", {"lines": [9]}, "no line 9"), ("answers", {"line": 1, "accepted": True}, "no substitute"),
    ("arrival", {"bay": "x" * 500}, "bay"), ("arrival", {"arrived_ms": -1}, "not a time")])
async def test_a_word_that_makes_no_sense_is_refused(hub: HubWorld, path: str, body: dict[str, object], says: str):
    store = await hub.store()
    await hub.operator.put(PATH, json=PLACED)
    answer = await hub.operator.post(f"{PATH}/{path}", json=body)
    assert answer.status_code == 422
    assert says in answer.json()["detail"]
    assert len(await orders(store)) == 1
    assert (await hub.operator.post(f"/v1/stores/store-1/orders/o9/{path}", json=body)).status_code in (404, 422)


@pytest.mark.parametrize(("states", "shown"), [
    (("ready", "partially_handed_over", "expired"), "partially_handed_over"),
    (("partially_handed_over", "handed_over", "cancelled"), "handed_over"), (("no_show", "ready"), "ready")])
async def test_p6_goods_that_left_have_left_whatever_is_told_later(
        hub: HubWorld, states: tuple[str, ...], shown: str):
    store = await hub.store()
    await hub.operator.put(PATH, json=PLACED)
    ledger = store.ledger()
    for number, state in enumerate(states):
        ledger.appends(PickupStep("o1", f"t{number}", "pick", state, 1, "ana"), f"t{number}")
        await store.push(ledger.push())
    assert (await hub.operator.get(PATH)).json()["state"] == shown


async def test_lines_of_a_placed_order_do_not_change(hub: HubWorld):
    await hub.store()
    await hub.operator.put(PATH, json=PLACED)
    answer = await hub.operator.put(PATH, json={**PLACED, "lines": [{**LINE, "quantity_milli": 9000}]})
    assert answer.status_code == 409
    assert "cancel it" in answer.json()["detail"]


@pytest.mark.parametrize(("change", "says"), [
    ({"lines": []}, "0 lines"), ({"lines": [LINE, LINE]}, "same number"), ({"currency": "euro"}, "currency"),
    ({"lines": [{**LINE, "quantity_milli": 0}]}, "out of bounds"), ({"pickup_code": "ab"}, "pickup_code"),
    ({"lines": [{**LINE, "price_minor": -1}]}, "out of bounds"), ({"notified_ms": -1}, "notified_ms"),
    ({"lines": [{**LINE, "sku": ""}]}, "sku of line 1 is empty"),
])
async def test_an_order_that_makes_no_sense_is_refused(hub: HubWorld, change: dict[str, object], says: str):
    store = await hub.store()
    answer = await hub.operator.put(PATH, json={**PLACED, **change})
    assert answer.status_code == 422
    assert says in answer.json()["detail"]
    assert NAME not in answer.text
    assert await orders(store) == []


async def test_unknown_orders_and_stores_are_not_found(hub: HubWorld):
    await hub.store()
    assert (await hub.operator.get(PATH)).status_code == 404
    assert (await hub.operator.post(f"{PATH}/cancel-request")).status_code == 404
    assert (await hub.operator.put("/v1/stores/nowhere/orders/o1", json=PLACED)).status_code == 404


async def test_the_store_says_where_an_order_is(hub: HubWorld):
    store = await hub.store()
    await hub.operator.put(PATH, json=PLACED)
    assert (await hub.operator.get(PATH)).json()["state"] == "placed"
    ledger = store.ledger()
    ledger.appends(PickupStep("o1", "t1", "reject", "rejected", 1, "ana", reason="sold out"), "t1")
    await store.push(ledger.push())
    order = (await hub.operator.get(PATH)).json()
    assert (order["state"], order["reason"], order["store_revision"]) == ("rejected", "sold out", 1)


async def test_p11_nobody_stands_in_clear_in_any_table_answer_or_log(hub: HubWorld, caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.DEBUG)
    with structlog.testing.capture_logs() as logged:
        store = await hub.store()
        await hub.operator.put(PATH, json=PLACED)
        await hub.operator.put(PATH, json={**PLACED, "currency": 7})
        await ends(store)
        answers = [await hub.operator.get(PATH), await hub.operator.get("/v1/stores/store-1/status"),
                   await hub.operator.get("/v1/stores/store-1/ledger")]
        assert len(await orders(store)) == 1
    everything = repr(logged) + caplog.text + "".join(answer.text for answer in answers) + dump(hub)
    for secret in (NAME, NAME.encode().decode("latin-1"), "Quiroga", "4711", CODE):
        assert secret not in everything
    assert "o1" in everything


def dump(hub: HubWorld) -> str:
    """Every value of every table, bytes as text."""
    values = []
    with hub.storage.database.transaction() as connection:
        for table in schema.metadata.sorted_tables:
            for row in connection.execute(sa.select(table)):
                values += [bytes(value).decode("latin-1") if isinstance(value, bytes | memoryview) else str(value)
                           for value in row]
    return "\n".join(values)


def test_p11_no_traceback_can_name_a_person():
    person = Person(NAME, "4711")
    order = Order("o1", 1, 0, (), "EUR", person=person, pickup_code=CODE)
    shown = repr([person, order, Placement((), "EUR", person=person, pickup_code=CODE), Collector(person, CODE)])
    assert NAME not in shown
    assert CODE not in shown


async def test_p11_a_person_is_erased_after_the_order_ended_and_the_policys_time(hub: HubWorld):
    store = await hub.store()
    await hub.operator.put("/v1/policy", json={"person_keep_s": 3600})
    await hub.operator.put(PATH, json=PLACED)
    await ends(store)
    hub.now_ms += 3_599_000
    assert hub.storage.erase_due_people() == 0
    hub.now_ms += 1000
    assert hub.storage.erase_due_people() == 1
    (order,) = await orders(store)
    assert (order.person, order.pickup_code) == (None, "")
    late = await hub.operator.put(PATH, json=PLACED)  # a commerce system that tries again does not bring her back
    assert (late.status_code, late.json()["pickup_code"]) == (200, "")
    assert NAME not in (await store.feed("orders")).text


async def test_p11_a_person_of_an_order_that_never_ends_is_erased_too(hub: HubWorld):
    await hub.store()
    await hub.operator.put(PATH, json=PLACED)
    hub.now_ms += PERSON_KEEP_OPEN_MS - 1
    assert hub.storage.erase_due_people() == 0
    hub.now_ms += 1
    assert hub.storage.erase_due_people() == 1


async def test_a_sealed_person_opens_only_in_its_own_place(hub: HubWorld):
    sealer = hub.storage.database.sealer
    sealed = sealer.seal(b"Ana", "store-1/p1")
    assert sealer.open(sealed, "store-1/p1") == b"Ana"
    assert sealer.open(sealed, "store-2/p1") is None
    assert sealer.open(sealed[:-1] + bytes([sealed[-1] ^ 1]), "store-1/p1") is None


async def test_orders_of_one_store_are_not_in_anothers_feed(hub: HubWorld):
    await hub.store("store-1")
    other = await hub.store("store-2")
    await hub.operator.put(PATH, json=PLACED)
    assert await orders(other) == []


@pytest.mark.parametrize("wish", [
    None, ("cancel-request", {}), ("cancel-request", {"lines": [1]}), ("reassignment", {})])
async def test_p6_a_store_that_reads_anew_hears_what_was_wished_for_goods_that_had_left(
        hub: HubWorld, wish: tuple[str, dict[str, object]] | None):
    """A restored hub may take a wish before it hears again of the hand-over; the order has ended then, and money hangs
    on it. What left as it was wished is not sent again."""
    store = await hub.store()
    await hub.operator.put(PATH, json=PLACED)
    if wish is not None:
        answer = await hub.operator.post(f"{PATH}/{wish[0]}", json=wish[1])
        assert answer.is_success, answer.text
    await ends(store)
    assert await _read_anew(store) == ([] if wish is None else ["o1"])
    with hub.storage.database.transaction() as connection:
        (row,) = connection.execute(schema.pickup.select()).mappings().all()
        later = {**row, "order_id": "o2", "occurred_ms": row["occurred_ms"] + WISHES_KEEP_MS}
        connection.execute(schema.pickup.insert(), later)
    assert await _read_anew(store) == [], "long ago"


async def _read_anew(store: StoreWorld) -> list[str]:
    """The orders that a store without a cursor is sent, as one whole page."""
    answer = await store.http.get(f"/v1/stores/{store.name}/feeds/orders", params={"snapshots": 1})
    return [change.key for batch in decode_page(answer.content, None) for change in batch.changes]
