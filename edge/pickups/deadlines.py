"""What the time asks for: answers that did not come, orders that nobody collected, offers that nobody confirmed.

By the store's clock, and only while it is believed; each step once, however often it is due.
"""

from collections.abc import Iterable
from functools import partial

from cloud_sync.contract.pickup import FINAL, Step
from cloud_sync.contract.pickup_order import PickupOrder, Taken
from cloud_sync.contract.pickup_rules import refusal
from edge.db.connection import Connection
from edge.db.queries import LEDGER
from edge.limits import PICKUPS_LISTED_MAX
from edge.pickups.past import HUB, end_again
from edge.pickups.planned import PlannedSteps, StepBooks
from edge.pickups.requests import StepRequest, own_id
from edge.pickups.rows import Pickup, PickupRow, order_of
from edge.store import Store, Topic

_CLOCK = "clock"


class Deadlines:
    """Of the orders of one store. `books`: the desk."""

    def __init__(self, store: Store, books: StepBooks, planned: PlannedSteps) -> None:
        self._store = store
        self._books = books
        self._planned = planned

    async def keep(self, listed: Iterable[Pickup]) -> None:
        """Decide what customers did not answer, end orders that nobody collected, let go what the hub did not confirm
        in time, and end again what had ended before. `listed`: the orders that are open."""
        now_ms, policy, reader = self._store.clock.wall_ms(), self._store.policy, self._store.books.ledger_reader
        for (order_id,) in reader.execute(LEDGER.pickups_unconfirmed, (now_ms, PICKUPS_LISTED_MAX)).fetchall():
            await self._take(order_id, Taken(Step.EXPIRE), "not confirmed in time")
        unanswered = reader.execute(LEDGER.offers_unanswered, (now_ms - policy.answer_wait_s * 1000,
                                                               PICKUPS_LISTED_MAX)).fetchall()
        for order_id, line in unanswered:
            await self._take(order_id, Taken(Step.DECIDE, ((line, 1),), accept=policy.substitute_unanswered))
        unfinished = [pickup for pickup in listed if pickup.row.state not in FINAL]
        for pickup in unfinished:
            if pickup.expires_ms is not None and pickup.expires_ms <= now_ms:
                await self._take(pickup.row.order_id, Taken(Step.EXPIRE))
        for pickup in unfinished:
            if end_again(order_of(pickup.row, pickup.lines), pickup.row.state):
                await self._store.record(partial(self._end_again, order_id=pickup.row.order_id))
                self._store.tell(Topic.PICKUP, pickup.row.order_id)

    async def _take(self, order_id: str, asked: Taken, reason: str = "") -> None:
        await self._store.record(partial(self._by_clock, order_id=order_id, asked=asked, reason=reason))
        self._store.tell(Topic.PICKUP, order_id)

    def _by_clock(self, connection: Connection, order_id: str, asked: Taken, reason: str) -> None:
        """Not any more when somebody was quicker. `reason`: for an offer that was not confirmed, which it is by now if
        the hub was."""
        row, value = self._now(connection, order_id)
        if (reason and not row.awaits_hub) or refusal(value, asked, {}):
            return
        lines = "-".join(str(number) for number, _ in asked.quantities)
        request = StepRequest(order_id, own_id(order_id, f"{asked.step}{lines}"), asked.step, _CLOCK, reason=reason)
        self._books.write(connection, row, request, asked, value, self._store.clock.wall_ms())

    def _end_again(self, connection: Connection, order_id: str) -> None:
        """Say how an order ended that a later step, of a box that did not know of the end, has put elsewhere."""
        row, value = self._now(connection, order_id)
        again = end_again(value, row.state)
        if again is None:
            return
        step, reason = again
        _, epoch, sequence = connection.execute(LEDGER.pickup_step_place, (order_id,)).fetchone()
        request = StepRequest(order_id, own_id(order_id, f"{step.step}-again-{epoch}-{sequence}"), step.step,
                              HUB if reason else _CLOCK, reason=reason)
        if not self._books.was_taken(connection, request.transition_id):
            self._books.restate(connection, row, request, step, value)

    def _now(self, connection: Connection, order_id: str) -> tuple[PickupRow, PickupOrder]:
        """What somebody may still take back becomes a fact first."""
        self._planned.settle_order(connection, order_id)
        found = self._books.order_now(connection, order_id)
        assert found is not None, "it was listed"
        return found
