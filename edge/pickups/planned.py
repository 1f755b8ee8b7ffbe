"""Steps that a person may take back for some seconds (staff-and-operations.md A.3, "undo the last action").

They are durable when the person is told, and no facts yet: nothing of them has left the box, so that taking them back
leaves nothing to put right anywhere. They become facts, dated as they were taken, when their time is over or before
anything else happens to an order of theirs; so facts stand in the order in which things happened. One act, a tap or a
scan, may hold steps of several orders: they become facts together, and are taken back together.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Protocol

import msgspec
import structlog

from cloud_sync.contract.facts import PickupStep
from cloud_sync.contract.pickup import PHYSICAL, Step
from cloud_sync.contract.pickup_order import PickupOrder, Taken, taken
from edge.db.connection import Connection
from edge.db.queries import LEDGER
from edge.errors import Rejected
from edge.limits import PLANNED_ACTS_AT_ONCE, PLANNED_STEPS_MAX, TAKEN_BACK_KEEP_S, UNDO_S
from edge.pickups.requests import StepRequest
from edge.pickups.rows import PickupRow
from edge.store import Store

_decoder = msgspec.json.Decoder(StepRequest)
_log = structlog.get_logger(__name__)

Chooser = Callable[[Connection], Iterable[StepRequest]]
"""Names the steps of an act, inside the writer. Raises `Rejected`."""


class StepBooks(Protocol):
    """What the desk does for a step, inside the writer's transaction."""

    def order_now(self, connection: Connection, order_id: str) -> tuple[PickupRow, PickupOrder] | None:
        """The order as the ledger has it."""
        ...

    def judged(self, connection: Connection, row: PickupRow, value: PickupOrder, request: StepRequest
               ) -> tuple[str, Taken]:
        """The step with every quantity named, and why it may not be taken; an empty text if it may."""
        ...

    def code_refusal(self, connection: Connection, row: PickupRow, request: StepRequest) -> str:
        """Why this caller may not take the goods away; counts a wrong code."""
        ...

    def write(self, connection: Connection, row: PickupRow, request: StepRequest, step: Taken, value: PickupOrder,
              occurred_ms: int) -> None:
        """The step as a fact."""
        ...

    def restate(self, connection: Connection, row: PickupRow, request: StepRequest, step: Taken, value: PickupOrder
                ) -> None:
        """A step that was taken before, as a fact once more: it says where the order stands and moves nothing."""
        ...

    def was_taken(self, connection: Connection, transition_id: str) -> bool:
        """Whether a fact of this id is there."""
        ...

    def fact_taken(self, connection: Connection, transition_id: str) -> PickupStep | None:
        """The fact of this id, while its entry is kept."""
        ...


@dataclass(frozen=True, slots=True)
class Act:
    """What somebody did by one tap or scan. `taken_back`: it never happened."""

    act_id: str
    actor: str
    steps: tuple[StepRequest, ...]
    occurred_ms: int
    taken_back: bool = False

    @property
    def orders(self) -> frozenset[str]:
        """The orders it is about."""
        return frozenset(step.order_id for step in self.steps)


class PlannedSteps:
    """The rows of table `planned_step`. Everything here runs inside the writer, but for `seen` and `is_waiting`."""

    def __init__(self, store: Store, books: StepBooks) -> None:
        self._store = store
        self._books = books

    def plan(self, connection: Connection, act_id: str, actor: str, choose: Chooser) -> Act | str:
        """Take the steps that `choose` names, or say why not. The same act again answers as it did the first time.

        Raises `Rejected`, then nothing was kept; a refusal that is returned may have counted a wrong code.
        """
        if known := self._act(connection, act_id) or self._as_facts(connection, act_id, actor):
            return known
        chosen = list(choose(connection))
        if not 0 < len(chosen) <= PLANNED_STEPS_MAX:
            raise Rejected("there is nothing to do" if not chosen else "too much at once")
        for order_id in dict.fromkeys(step.order_id for step in chosen):
            self.settle_order(connection, order_id)
        kept: list[StepRequest] = []
        values: dict[str, PickupOrder] = {}
        for position, request in enumerate(chosen):
            found = self._books.order_now(connection, request.order_id)
            if found is None:
                raise Rejected(f"no order {request.order_id} in this store")
            row, value = found
            value = values.get(request.order_id, value)
            why_not, step = self._books.judged(connection, row, value, request)
            if why_not:
                raise Rejected(why_not)
            if request.step is Step.HAND_OVER and (why_not := self._books.code_refusal(connection, row, request)):
                return why_not
            values[request.order_id] = taken(value, step).order
            kept.append(replace(request, transition_id=_transition(act_id, position), quantities=step.quantities,
                                code="", phone="", expected_rev=None))
        return self._keep(connection, Act(act_id, actor, tuple(kept), self._store.clock.wall_ms()))

    def take_back(self, connection: Connection, act_id: str, actor: str) -> Act | None:
        """Undo an act of this person; `None` when it is a fact by now, or nobody's."""
        act = self._act(connection, act_id)
        if act is None or act.actor != actor:
            return None
        connection.execute(LEDGER.take_back_planned, (act_id,))
        return act

    def settle_order(self, connection: Connection, order_id: str) -> None:
        """Whatever waits of the order becomes facts now."""
        for act_id in dict.fromkeys(act_id for act_id, _ in
                                    connection.execute(LEDGER.planned_of_order, (order_id,)).fetchall()):
            self.settle(connection, act_id)

    def settle(self, connection: Connection, act_id: str) -> Act | None:
        """The act becomes facts. A step that cannot follow any more is left out; goods that did not come never can."""
        act = self._act(connection, act_id)
        if act is None or act.taken_back:
            return None
        connection.execute(LEDGER.delete_planned, (act_id,))
        for request in act.steps:
            found = self._books.order_now(connection, request.order_id)
            if found is None or self._books.was_taken(connection, request.transition_id):
                continue
            self._become_fact(connection, *found, request, act.occurred_ms)
        return act

    def due(self, connection: Connection) -> list[str]:
        """The acts whose time is over."""
        now_ms = self._store.clock.powered_ms()
        rows = connection.execute(LEDGER.planned_due, (now_ms, PLANNED_ACTS_AT_ONCE)).fetchall()
        return [act_id for (act_id,) in rows]

    def has_forgotten(self, connection: Connection) -> bool:
        """Whether there are acts that were taken back, and are too old to be sent again."""
        return connection.execute(LEDGER.taken_back_due, (self._forgotten_ms(),)).fetchone() is not None

    def forget(self, connection: Connection) -> None:
        """Those acts go."""
        connection.execute(LEDGER.forget_taken_back, (self._forgotten_ms(),))

    def _forgotten_ms(self) -> int:
        return self._store.clock.powered_ms() - int(TAKEN_BACK_KEEP_S * 1000)

    def is_waiting(self, connection: Connection) -> bool:
        """Whether anything waits to become a fact."""
        return connection.execute(LEDGER.planned_waiting).fetchone() is not None

    def seen(self, connection: Connection, row: PickupRow, value: PickupOrder) -> tuple[PickupOrder, str, str]:
        """The order as people see it, with what waits to become a fact; the act that they may take back, empty for
        none; and where the order stands."""
        act, place = "", row.place
        for act_id, encoded in connection.execute(LEDGER.planned_of_order, (row.order_id,)).fetchall():
            request = _decoder.decode(encoded)
            _, step = self._books.judged(connection, row, value, request)
            value, act, place = taken(value, step).order, act_id, request.place or place
        return value, act, place

    def _become_fact(self, connection: Connection, row: PickupRow, value: PickupOrder, request: StepRequest,
                     occurred_ms: int) -> None:
        why_not, step = self._books.judged(connection, row, value, request)
        if why_not and request.step is Step.OFFER:  # sold meanwhile: the goods are missing all the same
            request = replace(request, step=Step.SHORT, substitute=None)
            why_not, step = self._books.judged(connection, row, value, request)
        if why_not and request.step not in PHYSICAL:
            _log.info("a step does not follow any more", order=row.order_id, step=request.step.value, reason=why_not)
            return
        self._books.write(connection, row, request, step, value, occurred_ms)

    def _as_facts(self, connection: Connection, act_id: str, actor: str) -> Act | None:
        """The act, when it is facts by now: sent again it does nothing, however late."""
        if not self._books.was_taken(connection, act_id):
            return None
        steps = []
        for position in range(PLANNED_STEPS_MAX):
            fact = self._books.fact_taken(connection, _transition(act_id, position))
            if fact is None:
                break
            steps.append(StepRequest(
                fact.order_id, fact.transition_id, Step(fact.step), fact.actor, reason=fact.reason, place=fact.place,
                quantities=tuple((line.line, line.quantity_milli) for line in fact.lines)))
        return Act(act_id, actor, tuple(steps), self._store.clock.wall_ms())

    def _keep(self, connection: Connection, act: Act) -> Act:
        due_ms = self._store.clock.powered_ms() + int(UNDO_S * 1000)
        for position, step in enumerate(act.steps):
            connection.execute(LEDGER.put_planned_step, (act.act_id, position, step.order_id, act.actor,
                                                         msgspec.json.encode(step), act.occurred_ms, due_ms))
        return act

    def _act(self, connection: Connection, act_id: str) -> Act | None:
        rows = connection.execute(LEDGER.planned_act, (act_id,)).fetchall()
        if not rows:
            return None
        _, actor, _, occurred_ms, taken_back = rows[0]
        return Act(act_id, actor, tuple(_decoder.decode(step) for _, _, step, _, _ in rows), occurred_ms,
                   bool(taken_back))


def _transition(act_id: str, position: int) -> str:
    return f"{act_id}.{position}" if position else act_id
