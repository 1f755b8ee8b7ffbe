"""Stores as the hub hears of them, for scenes with several: each keeps its own books by the contract's rules, hears its
feed when the scene says so, and pushes what it did when the scene says so."""

from dataclasses import dataclass, field

import msgspec

from cloud_sync.contract.documents import Order
from cloud_sync.contract.facts import Fact, Movement, PickupStep, StepLine, StockMove
from cloud_sync.contract.ledger import Head, Hello
from cloud_sync.contract.pickup import FINAL, HubStep, PickupState, ShortReason, Step
from cloud_sync.contract.pickup_order import Line, PickupOrder, Said, Taken, said, state_of, taken
from cloud_sync.contract.pickup_rules import complete, refusal
from cloud_sync.hub.app import run_inline
from cloud_sync.hub.bells import Bells
from cloud_sync.hub.offers import read_offers
from cloud_sync.hub.orders import find_order
from cloud_sync.hub.sourcing import Sourced
from cloud_sync.hub.sourcing_keeper import source_round
from cloud_sync.hub.sourcing_rule import OfferState
from tests.hub.world import HubWorld, StoreWorld

MINUTE_MS = 60_000


@dataclass
class Branch:
    """A store of the chain. `pushed`: how many of its facts the hub has."""

    hub: HubWorld
    store: StoreWorld
    stock: dict[str, list[int]] = field(default_factory=dict)
    orders: dict[str, PickupOrder] = field(default_factory=dict)
    revisions: dict[str, int] = field(default_factory=dict)
    confirmed: set[str] = field(default_factory=set)
    pushed: int = 0

    def __post_init__(self) -> None:
        self.ledger = self.store.ledger()

    @property
    def name(self) -> str:
        return self.store.name

    async def opens(self, time_zone: str = "Europe/Madrid") -> None:
        """Its box says hello."""
        head = Head(self.pushed, self.ledger.hash_at(self.pushed))
        hello = Hello(1, head, 1, {}, time_zone=time_zone)
        answer = await self.store.http.post(f"/v1/stores/{self.name}/hello", content=msgspec.json.encode(hello))
        assert answer.status_code == 200, answer.text

    async def receives(self, sku: str, pieces: int) -> None:
        self.record(Movement("receipt", (StockMove(sku, sellable_milli=1000 * pieces),), "ana"), "receipt")
        await self.pushes()

    def record(self, fact: Fact, what: str) -> None:
        self.ledger.appends(fact, f"{what}/{len(self.ledger.entries)}")
        moves = fact.moves if isinstance(fact, Movement | PickupStep) else ()
        for move in moves:
            buckets = self.stock.setdefault(move.sku, [0, 0, 0, 0])
            for place, change in enumerate((move.sellable_milli, move.reserved_milli, move.staged_milli,
                                            move.quarantine_milli)):
                buckets[place] += change

    async def pushes(self) -> None:
        """Everything that the hub has not."""
        answer = await self.store.push(self.ledger.push(self.pushed + 1))
        assert answer.status_code == 200, answer.text
        self.pushed = len(self.ledger.entries)

    def asked(self, order_id: str) -> Order | None:
        """The order as it stands in its feed."""
        with self.hub.storage.database.transaction() as connection:
            return find_order(connection, self.name, order_id)

    def offer(self, order_id: str) -> OfferState | None:
        with self.hub.storage.database.transaction() as connection:
            found = read_offers(connection, self.name, [order_id]).get(order_id)
        return found.state if found else None

    def holds(self, order_id: str) -> bool:
        """Whether the hub means this store to bring it."""
        order = self.asked(order_id)
        return order is not None and not order.reassigned and not order.cancel_requested and self.offer(order_id) in (
            OfferState.OPEN, OfferState.TAKEN)

    def step(self, order_id: str, step: Taken, *, revision: int | None = None) -> None:
        """It does something, whatever anybody thinks of it."""
        before = self.orders[order_id]
        applied = taken(before, complete(before, step))
        self.orders[order_id] = applied.order
        lines = tuple(StepLine(*each) for each in complete(before, step).quantities)
        seen = self.revisions[order_id] if revision is None else revision
        self.record(PickupStep(order_id, f"{self.name}/{order_id}/{len(self.ledger.entries)}", step.step.value,
                               state_of(applied.order), seen, "ana", applied.moves, lines=lines), "pickup")

    def hears(self, order_id: str) -> None:
        """Its feed: takes an offer if it can keep it (P5), and what the hub said since."""
        order = self.asked(order_id)
        if order is None or self.revisions.get(order_id) == order.revision:
            return
        new = order_id not in self.orders
        self.revisions[order_id] = order.revision
        if order.confirmed:
            self.confirmed.add(order_id)
        if new:
            self.orders[order_id] = PickupOrder(order_id, tuple(
                Line(line.line, line.sku, line.quantity_milli, line.price_minor) for line in order.lines))
        words = [Said(HubStep.REQUEST_CANCEL, () if order.cancel_requested else order.cancel_lines)] if (
            order.cancel_requested or order.cancel_lines) else []
        words += [Said(HubStep.REASSIGN)] if order.reassigned else []
        for word in words:
            before = self.orders[order_id]
            after = said(before, word)
            if after.order != before:
                self.orders[order_id] = after.order
                self.record(PickupStep(order_id, f"{self.name}/{order_id}/{len(self.ledger.entries)}", "cancel",
                                       state_of(after.order), order.revision, "hub", after.moves), "word")
        if new and state_of(self.orders[order_id]) is PickupState.PLACED:
            whole = complete(self.orders[order_id], Taken(Step.ACCEPT))
            available = {sku: buckets[0] for sku, buckets in self.stock.items()}
            late = order.accept_by_ms is not None and self.hub.now_ms >= order.accept_by_ms
            no = late or refusal(self.orders[order_id], whole, available)
            self.step(order_id, Taken(Step.REJECT) if no else whole)

    def gives_up_unconfirmed(self) -> None:
        """What a store does by its clock."""
        for order_id, order in self.orders.items():
            asked = self.asked(order_id)
            assert asked is not None
            late = asked.accept_by_ms is not None and self.hub.now_ms >= asked.accept_by_ms
            if late and order_id not in self.confirmed and state_of(order) not in FINAL and not any(
                    line.handed_milli for line in order.lines):
                self.step(order_id, Taken(Step.EXPIRE))

    def finds_nothing(self, order_id: str) -> None:
        """The shelf has not what the book says: the whole order comes to nothing."""
        self.step(order_id, Taken(Step.SHORT, reason=ShortReason.MISMATCH))


class Chain:
    """A hub and its branches."""

    def __init__(self, hub: HubWorld) -> None:
        self.hub = hub
        self.branches: dict[str, Branch] = {}

    async def opens(self, *names: str, time_zone: str = "Europe/Madrid", **stock: int) -> None:
        for name in names:
            branch = self.branches[name] = Branch(self.hub, await self.hub.store(name))
            await branch.opens(time_zone)
            for sku, pieces in stock.items():
                await branch.receives(sku, pieces)

    def __getitem__(self, name: str) -> Branch:
        return self.branches[name]

    async def places(self, order_id: str, sku: str = "milk", pieces: int = 1, **wish: object) -> Sourced:
        body = {"currency": "EUR", "lines": [
            {"line": 1, "sku": sku, "quantity_milli": 1000 * pieces, "price_minor": 99}], **wish}
        answer = await self.hub.operator.put(f"/v1/orders/{order_id}", json=body)
        assert answer.status_code in (200, 201), answer.text
        return msgspec.json.decode(answer.content, type=Sourced)

    async def says(self, order_id: str, what: str, **body: object) -> Sourced:
        answer = await self.hub.operator.post(f"/v1/orders/{order_id}/{what}", json=body)
        assert answer.status_code == 200, answer.text
        return msgspec.json.decode(answer.content, type=Sourced)

    async def status(self, order_id: str) -> Sourced:
        answer = await self.hub.operator.get(f"/v1/orders/{order_id}")
        assert answer.status_code == 200, answer.text
        return msgspec.json.decode(answer.content, type=Sourced)

    async def rounds(self) -> None:
        """The hub looks after what is due, until nothing is."""
        for _ in range(50):
            if not await source_round(self.hub.storage, run_inline, Bells()):
                return
        raise AssertionError("the hub never comes to an end")

    def holders(self, order_id: str) -> list[str]:
        return [name for name, branch in self.branches.items() if branch.holds(order_id)]
