"""The store's facts are folded once each, on a real hub, whatever reply is lost and however often a process begins."""

from collections.abc import Iterable

import pytest

from cloud_sync.connectors.errors import Transient
from cloud_sync.connectors.hub import Hub, NoteIn
from cloud_sync.connectors.settings import HubSettings, Secret
from cloud_sync.connectors.vendure.connector import DONE_KIND, VendureConnector
from cloud_sync.connectors.vendure.deeds import ORDER_KIND
from cloud_sync.connectors.vendure.orders import DoneNote, OrderNote
from cloud_sync.connectors.vendure.settings import Settings, StoreSettings, VendureSettings
from cloud_sync.contract.facts import PickupStep, StepLine
from tests.connectors.world import hub_of, logged_in, vendure_of
from tests.hub.world import HubWorld, StoreWorld

ORDER_ID = "vendure-ABC"
SECRET = Secret("a-name")
SETTINGS = Settings(HubSettings("http://hub", SECRET, "vendure"),
                    VendureSettings("http://shop/admin-api", SECRET, SECRET),
                    (StoreSettings("store-1", ("pickup-1",), "Store 1"),))


class LosesReplies(Hub):
    """The first answer to a write of these kinds of notes is lost: it was done, and nobody hears of it."""

    losing = ""

    async def put_notes(self, notes: Iterable[NoteIn]) -> None:
        wanted = list(notes)
        await super().put_notes(wanted)
        if self.losing and self.losing in {note.kind for note in wanted}:
            self.losing = ""
            raise Transient("the reply was lost")


class Scene:
    """A hub with one store, and one order at a Vendure that says what it is told to."""

    def __init__(self, world: HubWorld, store: StoreWorld) -> None:
        self.world = world
        self.store = store
        self.ledger = store.ledger()
        self.state, self.quantity, self.fulfilled = "PaymentSettled", 3, 0
        self.deeds: list[str] = []
        self.connector = self.new_process()

    def new_process(self) -> VendureConnector:
        return VendureConnector(SETTINGS, vendure_of(self._answer), lambda: self.world.now_ms,
                                lambda: self.world.now_ms / 1000)

    async def rounds(self, losing: str = "") -> None:
        plain = await hub_of(self.world)
        hub = LosesReplies(plain.client, plain.connector, plain.holder, plain.lease_s, plain.quiet_s, plain.monotonic_s)
        hub.losing = losing
        if losing:
            with pytest.raises(Transient):
                await self.connector.round(hub)
        await self.connector.round(hub)
        self.hub = hub

    async def happens(self, step: str, *lines: tuple[int, int], state: str = "") -> None:
        fact = PickupStep(ORDER_ID, f"t-{step}", step, state or step, 1, "ana",
                          lines=tuple(StepLine(*line) for line in lines))
        self.ledger.appends(fact, f"pickup/t-{step}")
        assert (await self.store.push(self.ledger.push(len(self.ledger.entries)))).status_code == 200

    async def note(self) -> OrderNote | None:
        return await self.hub.note(ORDER_KIND, ORDER_ID, OrderNote)

    def _answer(self, name: str, variables: dict[str, object]) -> object:
        match name:
            case "Login":
                return logged_in()
            case "Locations":
                return {"stockLocations": {"items": [{"id": "9", "name": "Store 1"}], "totalItems": 1}}
            case "Variants" | "Stock":
                return {"productVariants": {"items": [], "totalItems": 0}}
            case "Orders":
                return {"orders": {"items": [self._order()], "totalItems": 1}}
            case "Order":
                return {"order": self._order()}
            case "Fulfil":
                self.fulfilled += variables["input"]["lines"][0]["quantity"]  # type: ignore[index]
                self.state = "Delivered"
        self.deeds.append(name)
        return {"result": {"__typename": "Fulfillment", "id": "f1", "state": "Pending"}}

    def _order(self) -> dict[str, object]:
        made = [{"id": "f1", "state": "Delivered", "trackingCode": "trastienda x",
                 "lines": [{"orderLineId": "11", "quantity": self.fulfilled}]}] if self.fulfilled else []
        return {"id": "1", "code": "ABC", "state": self.state, "active": False,
                "updatedAt": "2026-01-01T00:00:00.000Z", "currencyCode": "EUR", "totalWithTax": 597, "nextStates": [],
                "shippingLines": [{"shippingMethod": {"code": "pickup-1"}}], "fulfillments": made,
                "customer": {"firstName": "Ana", "lastName": "García"},
                "lines": [{"id": "11", "quantity": self.quantity, "orderPlacedQuantity": 3,
                           "proratedUnitPriceWithTax": 199, "taxRate": 10,
                           "productVariant": {"id": "7", "sku": "milk"}}],
                "payments": [{"id": "p", "amount": 597, "state": "Settled", "refunds": []}]}


@pytest.fixture
async def scene(hub: HubWorld) -> Scene:
    return Scene(hub, await hub.store("store-1"))


async def test_p2_an_order_whose_note_was_not_heard_of_is_placed_once(scene: Scene):
    await scene.rounds(losing=ORDER_KIND)
    answer = (await scene.world.operator.get(f"/v1/stores/store-1/orders/{ORDER_ID}")).json()
    assert (answer["order"]["revision"], answer["order"]["lines"][0]["price_minor"]) == (1, 199)
    assert (await scene.note()).links == ((1, "11"),)


async def test_p2_facts_and_the_cursor_behind_them_are_one_write(scene: Scene):
    await scene.rounds()
    await scene.happens("accept", (1, 3000), state="accepted")
    await scene.happens("pick", (1, 2000), state="picking")
    await scene.rounds(losing="cursor")
    [line] = (await scene.note()).order.lines
    assert (line.reserved_milli, line.staged_milli) == (1000, 2000)
    scene.connector = scene.new_process()
    await scene.rounds()
    assert (await scene.note()).order.lines == (line,), "another process folds nothing again"


async def test_p2_what_was_handed_over_is_fulfilled_once_and_the_order_is_done(scene: Scene):
    await scene.rounds()
    for step, state in (("accept", "accepted"), ("pick", "picking"), ("stage", "staged"), ("ready", "ready"),
                        ("hand_over", "handed_over")):
        await scene.happens(step, *([(1, 3000)] if step in ("accept", "pick", "hand_over") else []), state=state)
    await scene.rounds(losing=DONE_KIND)
    assert scene.deeds.count("Fulfil") == 1
    assert await scene.note() is None
    assert (await scene.hub.note(DONE_KIND, ORDER_ID, DoneNote)).order.vendure_id == "1"
    scene.connector = scene.new_process()
    await scene.rounds()
    assert await scene.note() is None, "it is not taken for a new order"
    assert scene.deeds.count("Fulfil") == 1


async def test_a_fact_that_a_restored_store_tells_again_counts_once(scene: Scene):
    await scene.rounds()
    await scene.happens("accept", (1, 3000), state="accepted")
    await scene.happens("pick", (1, 1000), state="picking")
    scene.ledger.appends_bytes(bytes(scene.ledger.entries[-1].payload), "pickup/t-pick", "fact")
    assert (await scene.store.push(scene.ledger.push(3))).status_code == 200
    await scene.rounds()
    [line] = (await scene.note()).order.lines
    assert (line.reserved_milli, line.staged_milli) == (2000, 1000)
