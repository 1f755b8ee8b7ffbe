"""Any history, with repeats and late arrivals: units are conserved, and on hand is what an independent book says.

The independent book keeps what happened with its moment and knows none of the store's rules but one: on the shelf is
what the newest count that stands found, and what happened after it.
"""

import shutil
import tempfile
from collections import defaultdict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cloud_sync.contract.facts import decode_fact, stock_moves
from edge.pos.access import Role
from edge.stock.counts import ApprovalRules
from edge.virtual_time import run
from tests.store_kit import MONDAY_NOON_MS, StoreKit

SKUS = ("milk", "bread")
ACTIONS = ("receive", "sell", "sell", "sell late", "count", "count late", "approve", "recount", "waste", "found",
           "damage", "deliver", "deliver rest", "send", "order", "pick", "again", "again", "restart")
HISTORIES = st.lists(st.tuples(st.sampled_from(ACTIONS), st.integers(0, 9)), min_size=5, max_size=30)
Send = Callable[[], Awaitable[Any]]


@dataclass
class Book:
    """One SKU by what happened: (moment, change of the shelf); counts that stand and that wait: (moment, found)."""

    events: list[tuple[int, int]] = field(default_factory=list)
    counts: list[tuple[int, int]] = field(default_factory=list)
    waiting: dict[str, tuple[int, int]] = field(default_factory=dict)
    aside: int = 0
    quarantine: int = 0

    def shelf(self, at_ms: int) -> int:
        counted_ms, found = max((each for each in self.counts if each[0] <= at_ms), default=(-1, 0))
        return found + sum(change for moment, change in self.events if counted_ms < moment <= at_ms)

    def count(self, count_id: str, moment_ms: int, found: int) -> None:
        newest = max([moment for moment, _ in (*self.counts, *self.waiting.values())], default=-1)
        if moment_ms < newest:
            return
        large = abs(found - self.shelf(moment_ms)) > 3
        self.waiting = {name: each for name, each in self.waiting.items() if each[0] > moment_ms}
        if large:
            self.waiting[count_id] = (moment_ms, found)
        else:
            self.counts.append((moment_ms, found))


class History:
    """A store, and the independent book of each SKU. Every step has a moment of its own."""

    def __init__(self, directory: Path) -> None:
        self.kit = StoreKit(directory)
        self.kit.approval = ApprovalRules(3000, 10**9)
        self.books: dict[str, Book] = defaultdict(Book)
        self.sent: list[Send] = []
        self.orders: dict[str, tuple[str, bool]] = {}
        self.number = 0
        self.promised = False

    async def play(self, story: list[tuple[str, int]]) -> None:
        await self.kit.open()
        await self.kit.hub.stocks_the_catalogue()
        try:
            for action, choice in story:
                self.number += 1
                await self.kit.time_passes(10.5)
                await getattr(self, "_" + action.replace(" ", "_"))(SKUS[choice % 2], choice)
                self.agrees()
        finally:
            await self.kit.close()

    def agrees(self) -> None:
        """The book of the store, the facts of its ledger and what happened say the same."""
        sums: dict[str, list[int]] = defaultdict(lambda: [0, 0, 0, 0])
        for entry in self.kit.entries():
            for move in stock_moves(decode_fact(entry.payload)):
                for place, change in enumerate((move.sellable_milli, move.reserved_milli, move.staged_milli,
                                                move.quarantine_milli)):
                    sums[move.sku][place] += change // 1000
        for sku in SKUS:
            assert self.kit.stock(sku) == tuple(sums[sku]), "the book is the sum of the facts"
            sellable, reserved, staged, quarantine = self.kit.stock(sku)
            book = self.books[sku]
            assert (sellable + reserved, staged, quarantine) == (book.shelf(self.now_ms), book.aside, book.quarantine)
        assert not self.kit.desk.audit.report().leaks

    @property
    def now_ms(self) -> int:
        return self.kit.store.clock.wall_ms()

    async def _posts(self, path: str, body: dict[str, Any], role: Role = Role.SUPERVISOR) -> Any:
        """Sends it, and remembers how to send it again."""
        async def send() -> Any:
            async with self.kit.caller(role, "ana") as client:
                return await client.post(path, json=body)
        self.sent.append(send)
        return await send()

    def _happens(self, sku: str, change: int, at_ms: int | None = None) -> None:
        self.books[sku].events.append((self.now_ms if at_ms is None else at_ms, change))

    async def _receive(self, sku: str, choice: int) -> None:
        await self._posts("/v1/movements", {"movement_id": str(self.number), "lines": [
            {"sku": sku, "quantity_milli": 1000 * choice}]})
        self._happens(sku, choice)

    async def _sell(self, sku: str, choice: int) -> None:
        await self._sells(sku, 1 + choice % 3, self.now_ms)

    async def _sell_late(self, sku: str, choice: int) -> None:
        await self._sells(sku, 1 + choice % 3, max(MONDAY_NOON_MS - 900_000, self.now_ms - 15_000 * choice))

    async def _sells(self, sku: str, pieces: int, at_ms: int) -> None:
        """Each from a till of its own: nothing is learnt of a till's clock from one sale."""
        till, at = self.kit.till(self.number), self.kit.store.local(at_ms).isoformat()

        async def send() -> Any:
            return await till.sells(1, sku, pieces, occurred_at=at)
        self.sent.append(send)
        received_ms = self.now_ms
        assert (await send()).status_code == 201
        self._happens(sku, -pieces, at_ms if received_ms - at_ms > 30_000 else received_ms)

    async def _count(self, sku: str, choice: int) -> None:
        await self._counts(sku, max(0, self.books[sku].shelf(self.now_ms) + choice - 4), self.now_ms, {})

    async def _count_late(self, sku: str, choice: int) -> None:
        moment_ms = self.now_ms - 7_003 * (choice + 1)
        found = max(0, self.books[sku].shelf(moment_ms) + choice - 4)
        await self._counts(sku, found, moment_ms, {"counted_ms": moment_ms})

    async def _counts(self, sku: str, found: int, moment_ms: int, fields: dict[str, int]) -> None:
        count_id = str(self.number)
        answer = await self._posts("/v1/counts", {"count_id": count_id, "lines": [
            {"sku": sku, "counted_milli": found * 1000, **fields}]})
        assert answer.status_code == 201, answer.text
        self.books[sku].count(count_id, moment_ms, found)

    async def _approve(self, sku: str, _choice: int) -> None:
        await self._review(sku, approve=True)

    async def _recount(self, sku: str, _choice: int) -> None:
        await self._review(sku, approve=False)

    async def _review(self, sku: str, *, approve: bool) -> None:
        waiting = self.books[sku].waiting
        assert {row.count_id for row in self.kit.desk.counts.waiting() if row.sku == sku} == set(waiting)
        for count_id in list(waiting):
            answer = await self._posts("/v1/counts/review", {
                "act_id": f"{self.number}-{count_id}", "count_id": count_id, "sku": sku, "approve": approve})
            assert answer.status_code == 201
            counted = waiting.pop(count_id)
            if approve:
                self.books[sku].counts.append(counted)

    async def _adjusts(self, sku: str, reason: str, change: int, quarantine: int = 0) -> None:
        answer = await self._posts("/v1/adjustments", {
            "act_id": str(self.number), "code": sku, "quantity_milli": abs(change) * 1000, "reason": reason})
        assert answer.status_code == 201
        self._happens(sku, change)
        self.books[sku].quarantine += quarantine

    async def _waste(self, sku: str, choice: int) -> None:
        await self._adjusts(sku, "waste", -1 - choice)

    async def _found(self, sku: str, choice: int) -> None:
        await self._adjusts(sku, "found", 1 + choice)

    async def _damage(self, sku: str, choice: int) -> None:
        await self._adjusts(sku, "damaged", -1 - choice, 1 + choice)

    async def _deliver(self, sku: str, choice: int) -> None:
        """Some of it damaged."""
        from cloud_sync.contract.documents import Delivery, DeliveryLine
        from cloud_sync.contract.feeds import Feed
        if not self.promised:
            self.promised = True
            await self.kit.hub.sends(Feed.DELIVERIES, {"D": Delivery("D", 1, tuple(
                DeliveryLine(each, 8000) for each in SKUS))})
        damaged = min(choice % 3, choice)
        answer = await self._posts("/v1/deliveries/D/receipts", {
            "receipt_id": str(self.number), "code": sku, "quantity_milli": 1000 * choice,
            "damaged_milli": 1000 * damaged})
        if answer.status_code == 201:
            self._happens(sku, choice - damaged)
            self.books[sku].quarantine += damaged

    async def _deliver_rest(self, _sku: str, _choice: int) -> None:
        found = self.kit.desk.deliveries.find("D")
        missing = {line.sku: line.missing_milli // 1000 for line in found.lines} if found else {}
        answer = await self._posts("/v1/deliveries/D/rest", {"act_id": str(self.number)})
        if answer.status_code == 201:
            for sku, pieces in missing.items():
                self._happens(sku, pieces)

    async def _send(self, sku: str, choice: int) -> None:
        await self._posts("/v1/transfers", {"transfer_id": str(self.number), "to_store": "0043", "lines": [
            {"sku": sku, "quantity_milli": 1000 * (1 + choice)}]})
        self._happens(sku, -1 - choice)

    async def _order(self, sku: str, choice: int) -> None:
        name = f"o-{self.number}"
        await self.kit.hub.places_order(name, {sku: 1 + choice % 3})
        found = self.kit.pickups.find(name)
        assert found is not None
        if found.row.state == "accepted":
            self.orders[name] = (sku, False)

    async def _pick(self, _sku: str, _choice: int) -> None:
        from cloud_sync.contract.pickup import Step
        name = next((name for name, (_, picked) in self.orders.items() if not picked), None)
        if name is None:
            return
        found = self.kit.pickups.find(name)
        assert found is not None
        pieces, sku = found.lines[0].ordered_milli // 1000, self.orders[name][0]
        await self.kit.takes_step(name, Step.PICK)
        self.orders[name] = (sku, True)
        self._happens(sku, -pieces)
        self.books[sku].aside += pieces

    async def _again(self, _sku: str, choice: int) -> None:
        """An answer was lost: somebody sends something again, much later perhaps."""
        if self.sent:
            await self.sent[-1 - choice % len(self.sent)]()

    async def _restart(self, _sku: str, _choice: int) -> None:
        await self.kit.restarts()


def tell(story: list[tuple[str, int]]) -> None:
    directory = Path(tempfile.mkdtemp(prefix="trastienda-history-"))
    try:
        run(History(directory).play(story))
    finally:
        shutil.rmtree(directory, ignore_errors=True)


@settings(max_examples=12, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
@given(HISTORIES)
def test_p2_on_hand_is_what_happened_in_any_history(story: list[tuple[str, int]]) -> None:
    tell(story)


def test_p2_a_count_that_waits_follows_what_comes_in_late() -> None:
    tell([("receive", 9), ("count late", 9), ("sell late", 7), ("sell", 3), ("count", 9), ("sell late", 9),
          ("again", 2), ("approve", 1), ("sell late", 9), ("count late", 3), ("restart", 0), ("again", 5),
          ("sell late", 5)])
