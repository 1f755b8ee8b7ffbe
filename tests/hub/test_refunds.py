"""A refund is asked for once per unit that left and came back, in whichever store and order (retail.md 2.4.7)."""

import itertools

import msgspec
import pytest
import sqlalchemy as sa

from cloud_sync.contract.facts import (
    ExceptionRaised,
    Fact,
    LineKind,
    OrderReturn,
    PickupStep,
    ReturnedLine,
    SaleLine,
    StepLine,
    StockMove,
    Transaction,
    TransactionKind,
)
from cloud_sync.contract.returns import into_quarantine
from cloud_sync.hub import schema
from cloud_sync.hub.webhooks import WebhookIn
from tests.hub.chain import Chain
from tests.hub.test_orders import PATH
from tests.hub.world import HubWorld

TWO_LINES = {"currency": "EUR", "lines": [
    {"line": 1, "sku": "milk", "quantity_milli": 2000, "price_minor": 99},
    {"line": 2, "sku": "bread", "quantity_milli": 1000, "price_minor": 189}]}


@pytest.fixture
async def chain(hub: HubWorld) -> Chain:
    chain = Chain(hub)
    await chain.opens("store-1", "store-2")
    hub.storage.webhooks.put("shop", WebhookIn("https://shop.example/hook"))
    await hub.operator.put(PATH, json=TWO_LINES)
    return chain


def handed(line: int = 1, milli: int = 2000, sku: str = "milk", number: int = 1) -> PickupStep:
    return PickupStep("o1", f"t{number}", "hand_over", "handed_over", 1, "ana", (StockMove(sku, staged_milli=-milli),),
                      lines=(StepLine(line, milli),))


def back(line: int = 1, milli: int = 1000, sku: str = "milk", return_id: str = "r1") -> OrderReturn:
    lines = (ReturnedLine(sku, milli, line),)
    return OrderReturn(return_id, "o1", lines, into_quarantine(lines), "ana")


def rung(milli: int = 1000, kind: TransactionKind = TransactionKind.RETURN) -> Transaction:
    line = SaleLine(1, LineKind.RETURN, milli, 99, sku="milk", order_id="o1")
    return Transaction("1", "2026-01-05", 7, kind, "EUR", -99, (line,))


async def says(chain: Chain, store: str, *facts: Fact) -> None:
    for fact in facts:
        chain[store].record(fact, "fact")
    await chain[store].pushes()


def told(hub: HubWorld, kind: str = "refund_requested") -> list[dict[str, object]]:
    with hub.storage.database.transaction() as connection:
        rows = connection.execute(sa.select(schema.delivery).order_by(
            schema.delivery.c.created_ms, schema.delivery.c.store_id, schema.delivery.c.sequence)).all()
    events = [msgspec.json.decode(bytes(row.body)) for row in rows]
    return [event["data"] for event in events if event["type"] == f"trastienda.order.{kind}"]


def asked(hub: HubWorld) -> list[tuple[int, int]]:
    return [(line["line"], line["quantity_milli"]) for data in told(hub) for line in data["lines"]]


async def test_a_return_is_told_and_its_refund_asked_for(chain: Chain):
    await says(chain, "store-1", handed(), back())
    assert told(chain.hub, "returned") == [{"store": "store-1", "order_id": "o1", "till_amount_minor": 0, "lines": [
        {"line": 1, "quantity_milli": 1000, "sku": "milk"}]}]
    assert asked(chain.hub) == [(1, 1000)]
    stock = (await chain.hub.operator.get("/v1/stores/store-1/stock/milk")).json()
    assert stock["quarantine_milli"] == 1000


@pytest.mark.parametrize("facts", list(itertools.permutations([
    ("store-1", handed()), ("store-2", back()), ("store-2", back(return_id="r2", line=0)), ("store-1", rung())])))
async def test_p2_p9_once_per_unit_in_whichever_store_and_whatever_is_heard_first(
        chain: Chain, facts: tuple[tuple[str, Fact], ...]):
    """Two left and three came back: two are owed. The one too many is told as returned, for a person to look at."""
    for store, fact in facts:
        await says(chain, store, fact)
    assert sum(milli for _, milli in asked(chain.hub)) == 2000
    assert {line for line, _ in asked(chain.hub)} == {1}
    assert len(told(chain.hub, "returned")) == 3


async def test_p2_a_push_that_is_repeated_asks_for_nothing_twice(chain: Chain):
    await says(chain, "store-1", handed(), back())
    again = await chain["store-1"].store.push(chain["store-1"].ledger.push())
    assert again.status_code == 200
    chain.hub.restart()
    chain["store-1"].ledger.appends(back(), "fact/1")       # the same fact under another sequence
    await chain["store-1"].pushes()
    assert asked(chain.hub) == [(1, 1000)]


async def test_a_return_of_what_never_left_asks_for_nothing_until_it_has(chain: Chain):
    await says(chain, "store-2", back(line=2, sku="bread"))
    assert asked(chain.hub) == []
    await says(chain, "store-1", handed())
    assert asked(chain.hub) == []
    await says(chain, "store-1", handed(2, 1000, "bread", 2))
    assert asked(chain.hub) == [(2, 1000)]


async def test_what_a_till_said_is_passed_on_and_a_void_takes_the_return_back(chain: Chain):
    await says(chain, "store-1", rung())
    assert told(chain.hub, "returned")[0]["till_amount_minor"] == 99
    await says(chain, "store-1", rung(kind=TransactionKind.VOID), handed())
    assert asked(chain.hub) == []


async def test_a_substitute_that_left_is_found_by_its_product(chain: Chain):
    await says(chain, "store-1", handed(3, 1000, "oat milk"), back(0, 1000, "oat milk"))
    assert asked(chain.hub) == [(3, 1000)]


async def test_p6_money_asked_back_for_a_late_cancel_is_not_asked_again_when_the_goods_come(chain: Chain):
    await chain.hub.operator.post(f"{PATH}/cancel-request", json={"lines": [1]})
    await says(chain, "store-1", handed(), handed(2, 1000, "bread", 2),
               ExceptionRaised("late-cancel", "o1", "cancel requested, but the order is handed_over: refund it"))
    assert [data.get("lines") for data in told(chain.hub)] == [None]
    await says(chain, "store-2", back(milli=2000), back(2, 1000, "bread", "r2"))
    assert [data.get("lines") for data in told(chain.hub) if "lines" in data] == [
        [{"line": 2, "quantity_milli": 1000}]]


async def test_p4_an_order_that_no_row_can_name_counts_as_a_return_all_the_same(chain: Chain):
    line = SaleLine(1, LineKind.RETURN, 1000, 99, sku="milk", order_id="o" * 500, order_line=2**62)
    await says(chain, "store-1", Transaction("1", "2026-01-05", 7, TransactionKind.RETURN, "EUR", -99, (line,)))
    status = await chain.hub.status("store-1")
    assert (status.quarantined, status.return_lines, told(chain.hub, "returned")) == (0, 1, [])
