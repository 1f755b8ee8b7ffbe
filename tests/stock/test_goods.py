"""Deliveries, adjustments, transfers out, what is below nothing, and the audit of reservations (section 9)."""

from typing import Any

import httpx
import msgspec
import pytest

from cloud_sync.contract.documents import Delivery, DeliveryLine
from cloud_sync.contract.facts import DeliveryClosed, Discrepancy, TransferSent, decode_fact
from cloud_sync.contract.feeds import Feed
from cloud_sync.contract.pickup import Step
from edge.health.stock_checks import stock_issues
from edge.pos.access import Role
from tests.store_kit import StoreKit, gtin_of


async def posts(store: StoreKit, path: str, body: dict[str, Any], role: Role = Role.STAFF) -> httpx.Response:
    async with store.caller(role, "ana") as client:
        return await client.post(path, json=body)


async def announces(store: StoreKit, revision: int = 1, **pieces: int) -> None:
    lines = tuple(DeliveryLine(sku, number * 1000) for sku, number in pieces.items())
    await store.hub.sends(Feed.DELIVERIES, {"D-1": Delivery("D-1", revision, lines, "Dairy", "note 7")})


async def receives(store: StoreKit, receipt_id: str, code: str, pieces: int = 1, damaged: int = 0) -> httpx.Response:
    return await posts(store, "/v1/deliveries/D-1/receipts", {
        "receipt_id": receipt_id, "code": code, "quantity_milli": pieces * 1000, "damaged_milli": damaged * 1000})


def facts(store: StoreKit, kind: type[msgspec.Struct]) -> list[Any]:
    return [fact for fact in (decode_fact(entry.payload) for entry in store.entries()) if isinstance(fact, kind)]


async def test_p2_a_delivery_comes_in_by_scans_over_days_and_what_differs_is_named(store: StoreKit) -> None:
    await announces(store, milk=10, bread=2)
    await receives(store, "1", gtin_of("milk"), 4)
    await receives(store, "1", gtin_of("milk"), 4)
    await store.restarts()
    await store.time_passes(86_400)
    await receives(store, "2", "milk", 5, damaged=1)
    await receives(store, "3", "bread", 3)
    await store.hub.has_items("wine")
    await receives(store, "4", "wine", 1)
    assert store.stock("milk") == (8, 0, 0, 1)

    async with store.caller(Role.STAFF) as client:
        [seen] = (await client.get("/v1/deliveries")).json()
    assert {line["sku"]: line["differs"] for line in seen["lines"]} == {
        "milk": ["short", "damaged"], "bread": ["over"], "wine": ["unexpected"]}
    first = await posts(store, "/v1/deliveries/D-1/close", {"act_id": "c-1", "note": "the driver knows"})
    assert (await posts(store, "/v1/deliveries/D-1/close", {"act_id": "c-1", "note": "the driver knows"})
            ).content == first.content
    [closed] = facts(store, DeliveryClosed)
    assert closed.discrepancies == (Discrepancy("bread", 2000, 3000), Discrepancy("milk", 10_000, 9000, 1000),
                                    Discrepancy("wine", 0, 1000))
    assert (closed.actor, closed.note) == ("ana", "the driver knows")
    assert store.desk.deliveries.open() == []


async def test_p2_a_delivery_received_twice_counts_once(store: StoreKit) -> None:
    """Two people say that all has come; and after it is closed nothing more can be received."""
    await announces(store, milk=10)
    await receives(store, "1", "milk", 3)
    assert (await posts(store, "/v1/deliveries/D-1/rest", {"act_id": "r-1"})).status_code == 201
    assert (await posts(store, "/v1/deliveries/D-1/rest", {"act_id": "r-1"})).status_code == 201
    assert (await posts(store, "/v1/deliveries/D-1/rest", {"act_id": "r-2"})).status_code == 409
    assert store.stock("milk") == (10, 0, 0, 0)
    await posts(store, "/v1/deliveries/D-1/close", {"act_id": "c-1"})
    assert facts(store, DeliveryClosed)[0].discrepancies == ()
    for answer in (await receives(store, "2", "milk", 10), await posts(store, "/v1/deliveries/D-1/close", {
            "act_id": "c-2"})):
        assert (answer.status_code, answer.json()["type"]) == (409, "urn:trastienda:problem:out-of-date")
    await store.hub.sends_again()
    await announces(store, 2, milk=20)
    assert store.desk.deliveries.open() == [], "what is closed stays so"
    assert store.stock("milk") == (10, 0, 0, 0)


async def test_a_mistaken_scan_is_taken_back_but_not_more_than_came(store: StoreKit) -> None:
    await announces(store, milk=10)
    await receives(store, "1", "milk", 5)
    assert (await receives(store, "2", "milk", -6)).status_code == 422
    assert (await receives(store, "2", "milk", -1)).status_code == 201
    assert (await receives(store, "3", "milk", 0, damaged=5)).status_code == 422
    assert store.stock("milk") == (4, 0, 0, 0)


async def test_a_new_revision_changes_what_is_promised_and_keeps_what_came(store: StoreKit) -> None:
    await announces(store, milk=10, bread=1)
    await receives(store, "1", "milk", 4)
    await announces(store, 2, milk=4)
    found = store.desk.deliveries.find("D-1")
    assert found is not None
    assert [(line.sku, line.expected_milli, line.received_milli) for line in found.lines] == [("milk", 4000, 4000)]
    await store.hub.sends(Feed.DELIVERIES, {"D-1": None})
    assert [each.withdrawn for each in store.desk.deliveries.open()] == [True], "some of it is here all the same"


@pytest.mark.parametrize("path", ["receipts", "rest", "close"])
async def test_a_delivery_nobody_announced_is_not_there(store: StoreKit, path: str) -> None:
    body = {"receipt_id": "1", "code": "milk"} if path == "receipts" else {"act_id": "1"}
    assert (await posts(store, f"/v1/deliveries/D-9/{path}", body)).status_code == 404


async def test_a_code_of_no_product_is_said_and_one_of_the_delivery_is_enough(store: StoreKit) -> None:
    await announces(store, novelty=3)
    assert (await receives(store, "1", "nothing")).status_code == 422
    assert (await receives(store, "2", "novelty", 3)).status_code == 201
    assert store.stock("novelty") == (3, 0, 0, 0)


async def test_p11_tills_and_technicians_change_no_stock(store: StoreKit) -> None:
    await announces(store, milk=10)
    for role in (Role.TILL, Role.TECHNICIAN):
        body = {"receipt_id": "1", "code": "milk"}
        assert (await posts(store, "/v1/deliveries/D-1/receipts", body, role)).status_code == 403
    assert (await posts(store, "/v1/reservation-audit/repair", {"act_id": "1"})).status_code == 403


# --- adjustments and transfers -------------------------------------------------------------------------------------


async def adjusts(store: StoreKit, act_id: str, reason: str, pieces: int, role: Role = Role.STAFF) -> httpx.Response:
    return await posts(store, "/v1/adjustments", {
        "act_id": act_id, "code": "milk", "quantity_milli": pieces * 1000, "reason": reason}, role)


@pytest.mark.parametrize(("reason", "stock"), [
    ("damaged", (7, 0, 0, 5)), ("waste", (7, 0, 0, 2)), ("stolen", (7, 0, 0, 2)), ("found", (13, 0, 0, 2)),
    ("regraded", (13, 0, 0, -1)), ("disposed", (10, 0, 0, -1)), ("expired", (7, 0, 0, 2))])
async def test_p2_each_reason_has_its_own_way_and_counts_once(store: StoreKit, reason: str,
                                                              stock: tuple[int, int, int, int]) -> None:
    await store.receives("milk", 12)
    await adjusts(store, "before", "damaged", 2)
    for _ in range(2):
        assert (await adjusts(store, "1", reason, 3)).status_code == 201
    assert store.stock("milk") == stock
    assert (await adjusts(store, "1", reason, 4)).json()["recorded"] is True
    assert store.stock("milk") == stock


async def test_a_large_adjustment_is_for_a_supervisor(store: StoreKit) -> None:
    await store.receives("milk", 20)
    assert (await adjusts(store, "1", "waste", 11)).status_code == 422
    assert (await adjusts(store, "2", "nonsense", 1)).status_code == 400
    assert (await adjusts(store, "1", "waste", 11, Role.SUPERVISOR)).status_code == 201
    assert store.stock("milk") == (9, 0, 0, 0)


async def test_p4_less_than_none_names_the_item_and_the_order_in_danger_once_a_day(store: StoreKit) -> None:
    await store.receives("milk", 3)
    await store.hub.places_order("o-1", {"milk": 2})
    await adjusts(store, "1", "stolen", 2)
    assert store.exceptions() == ["available-below-zero"]
    for sequence in range(1, 4):
        await store.till().sells(sequence, "milk", 1)
    rows = store.books.ledger_reader.execute(
        "SELECT detail FROM exception WHERE reason = 'negative-stock'").fetchall()
    assert len(rows) == 1, "the first sale below nothing says it for the day"
    assert rows[0][0].startswith("milk: by the book -1000 thousandths")
    assert "o-1" in rows[0][0]


async def test_p4_of_what_nobody_keeps_stock_nothing_is_said(store: StoreKit) -> None:
    await store.till().sells(1, "milk", 1)
    await store.till().sells(2, "milk", 1)
    assert store.exceptions() == []


async def test_p2_goods_for_another_store_leave_once(store: StoreKit) -> None:
    await store.receives("milk", 10)
    body = {"transfer_id": "T-1", "to_store": "0043", "lines": [{"sku": "milk", "quantity_milli": 4000}]}
    for _ in range(2):
        assert (await posts(store, "/v1/transfers", body)).status_code == 201
    assert store.stock("milk") == (6, 0, 0, 0)
    assert len(facts(store, TransferSent)) == 1
    assert (await posts(store, "/v1/transfers", {**body, "to_store": "0044"})).status_code == 409
    assert (await posts(store, "/v1/transfers", {**body, "transfer_id": "T-2", "to_store": "0042"})).status_code == 422


# --- the audit of reservations -----------------------------------------------------------------------------------


def issues(store: StoreKit) -> list[str]:
    return [issue.key for issue in stock_issues(store.store, store.desk)]


async def leaks(store: StoreKit, statement: str) -> None:
    """A bug of ours, or somebody with a shell."""
    await store.books.ledger.submit(lambda connection: connection.execute(statement))


async def test_orders_in_every_state_leak_nothing(store: StoreKit) -> None:
    await store.receives("milk", 20)
    for number, steps in enumerate(((), (Step.PICK,), (Step.PICK, Step.STAGE, Step.READY, Step.NO_SHOW))):
        await store.hub.places_order(f"o-{number}", {"milk": 2})
        for step in steps:
            await store.takes_step(f"o-{number}", step)
    await store.hub.changes_order("o-1", cancel_requested=True)
    report = store.desk.audit.report()
    assert report.settled
    assert not report.leaks


async def test_a_leak_is_found_at_night_told_and_put_right_only_by_a_persons_fact(store: StoreKit) -> None:
    await store.receives("milk", 10)
    await store.hub.places_order("o-1", {"milk": 2})
    await store.hub.changes_order("o-1", cancel_requested=True)
    await leaks(store, "UPDATE stock SET sellable_milli = 7000, reserved_milli = 3000 WHERE sku = 'milk'")
    await store.desk.audit.look()
    assert issues(store) == ["reservations-leak"]
    assert store.stock("milk") == (7, 3, 0, 0), "nothing is put right silently"

    async with store.caller(Role.STAFF) as client:
        report = (await client.get("/v1/reservation-audit")).json()
    assert report["skus"] == [{"sku": "milk", "reserved_milli": 3000, "orders_reserve_milli": 0, "staged_milli": 0,
                               "orders_staged_milli": 0}]
    first = await posts(store, "/v1/reservation-audit/repair", {"act_id": "1"}, Role.SUPERVISOR)
    again = await posts(store, "/v1/reservation-audit/repair", {"act_id": "1"}, Role.SUPERVISOR)
    assert (first.status_code, again.content) == (201, first.content)
    assert store.stock("milk") == (10, 0, 0, 0)
    assert issues(store) == []
    assert store.entries()[-1].kind == "movement"
    other = await posts(store, "/v1/reservation-audit/repair", {"act_id": "2"}, Role.SUPERVISOR)
    assert other.status_code == 409


async def test_an_ended_order_that_still_reserves_is_named(store: StoreKit) -> None:
    await store.receives("milk", 10)
    await store.hub.places_order("o-1", {"milk": 2})
    await leaks(store, "UPDATE pickup SET state = 'cancelled'")
    report = store.desk.audit.report()
    assert [(leaked.order_id, leaked.reserved_milli) for leaked in report.orders] == [("o-1", 2000)]
    await store.desk.audit.repair("1", "eva")
    assert not store.desk.audit.report().leaks
    assert store.stock("milk") == (10, 0, 0, 0)


async def test_the_audit_runs_once_a_night_and_survives_a_restart(store: StoreKit) -> None:
    await store.desk.audit.look()
    first = store.desk.audit.latest
    assert first is not None
    await store.restarts()
    assert store.desk.audit.latest == first
    await store.desk.audit.look()
    assert store.desk.audit.latest == first
    await store.time_passes(86_400)
    await store.desk.audit.look()
    assert store.desk.audit.latest != first
