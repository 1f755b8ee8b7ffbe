"""The rows of an order, and the order as the pure value that the contract's rules work on. No rule lives here."""

from dataclasses import dataclass

from cloud_sync.contract.documents import Order, OrderMethod, Person
from cloud_sync.contract.facts import PickupStep, StepLine, Substitute
from cloud_sync.contract.pickup import HubStep, PickupState, ShortReason, Step
from cloud_sync.contract.pickup_order import Answer, Line, PickupOrder, Said, Taken
from edge.db.connection import Connection
from edge.db.queries import LEDGER


@dataclass(frozen=True, slots=True)
class PickupRow:
    """One row of table `pickup`."""

    order_id: str
    revision: int
    state: PickupState
    placed_ms: int
    currency: str
    code_hmac: str
    code_attempts: int
    person_id: str
    notified_ms: int | None
    cancel_requested: bool
    changed_ms: int
    progress: PickupState
    ended: PickupState | None
    arrived_ms: int | None
    bay: str
    reassigned: bool
    offer: int = 0
    accept_by_ms: int | None = None
    confirmed: bool = False
    method: str = OrderMethod.PICKUP.value
    place: str = ""

    @property
    def is_shipped(self) -> bool:
        """Whether a carrier brings it."""
        return self.method == OrderMethod.SHIP

    @property
    def awaits_hub(self) -> bool:
        """An offer that the hub has not confirmed: another store may still be asked instead."""
        return self.offer > 0 and not self.confirmed


@dataclass(frozen=True, slots=True)
class Pickup:
    """An order as the store sees it. `promised_ms`, `expires_ms`: `None` when the store does not open again.

    `planned`: the act that somebody may still take back (`edge.pickups.planned`); state and lines are as after it.
    """

    row: PickupRow
    lines: tuple[Line, ...]
    person: Person | None
    promised_ms: int | None = None
    expires_ms: int | None = None
    planned: str = ""


def read_row(connection: Connection, order_id: str) -> PickupRow | None:
    """The order's row."""
    row = connection.execute(LEDGER.pickup, (order_id,)).fetchone()
    return row_of(row) if row else None


def row_of(row: tuple[str, int, str, int, str, str, int, str, int | None, int, int, str, str, int | None, str, int, int,
                      int | None, int, str, str]) -> PickupRow:
    """What the queries `pickup` and `pickups_open` read."""
    return PickupRow(row[0], row[1], PickupState(row[2]), row[3], row[4], row[5], row[6], row[7], row[8], bool(row[9]),
                     row[10], PickupState(row[11]), PickupState(row[12]) if row[12] else None, row[13], row[14],
                     bool(row[15]), row[16], row[17], bool(row[18]), row[19], row[20])


def read_lines(connection: Connection, order_id: str) -> tuple[Line, ...]:
    """The order's lines by their numbers."""
    return tuple(Line(number, sku, ordered, price, bool(may_substitute), reserved, staged, handed, short,
                      bool(cancelled), bool(refused), replaces, Answer(answer), bool(decided_here))
                 for (number, sku, ordered, price, reserved, staged, may_substitute, handed, short, cancelled, refused,
                      replaces, answer, decided_here)
                 in connection.execute(LEDGER.pickup_lines, (order_id,)).fetchall())


def order_of(row: PickupRow, lines: tuple[Line, ...]) -> PickupOrder:
    """The order as the rules see it."""
    return PickupOrder(row.order_id, lines, row.progress, row.ended, row.notified_ms, row.arrived_ms, row.bay,
                       row.reassigned)


def read_order(connection: Connection, order_id: str) -> PickupOrder | None:
    """The order as the rules see it; `None` when it is not known here."""
    row = read_row(connection, order_id)
    return order_of(row, read_lines(connection, order_id)) if row else None


def write_order(connection: Connection, before: PickupOrder, after: PickupOrder, now_ms: int) -> None:
    """Keep what became of the order, but for its state, which goes with a fact. `now_ms` dates a new offer."""
    if after == before:
        return
    connection.execute(LEDGER.set_pickup_value, (after.progress, after.end or "", after.notified_ms, after.arrived_ms,
                                                 after.bay, int(after.reassigned), after.order_id))
    for line in after.lines:
        if line != before.line(line.line):
            connection.execute(LEDGER.put_pickup_line, (
                after.order_id, line.line, line.sku, line.ordered_milli, line.price_minor, line.reserved_milli,
                line.staged_milli, int(line.may_substitute), line.handed_milli, line.short_milli, int(line.cancelled),
                int(line.refused), line.replaces, line.answer, int(line.decided_here),
                now_ms if line.answer is Answer.OFFERED else None))


def words_of(order: Order) -> list[Said]:
    """Everything the hub says about an order, in words that change nothing when they are said again."""
    words = []
    if order.notified_ms is not None:
        words.append(Said(HubStep.NOTIFY, at_ms=order.notified_ms))
    if order.arrived_ms is not None:
        words.append(Said(HubStep.ARRIVE, at_ms=order.arrived_ms, bay=order.bay))
    words += [Said(HubStep.ANSWER, (answer.line,), accept=answer.accepted) for answer in order.answers]
    if order.cancel_requested or order.cancel_lines:
        words.append(Said(HubStep.REQUEST_CANCEL, () if order.cancel_requested else order.cancel_lines))
    if order.reassigned:
        words.append(Said(HubStep.REASSIGN))
    return words


def fact_of_step(row: PickupRow, transition_id: str, step: Taken, state: PickupState, actor: str,
                 note: str) -> PickupStep:
    """The step as it stands in the ledger, without its stock moves."""
    offer = step.offer
    return PickupStep(
        order_id=row.order_id, transition_id=transition_id, step=step.step, state=state, order_revision=row.revision,
        actor=actor, reason=note, lines=tuple(StepLine(*each) for each in step.quantities),
        short_reason=step.reason or "", accept=step.accept, from_staged=step.from_staged,
        written_off_milli=step.written_off_milli,
        substitute=Substitute(offer.line, offer.sku, offer.ordered_milli, offer.price_minor, offer.replaces)
        if offer and offer.replaces is not None else None)


def step_of_fact(fact: PickupStep) -> Taken:
    """The step that a fact tells of. Raises `ValueError` for a step that this version does not know."""
    offer = fact.substitute
    return Taken(
        Step(fact.step), tuple((line.line, line.quantity_milli) for line in fact.lines),
        ShortReason(fact.short_reason) if fact.short_reason else None,
        Line(offer.line, offer.sku, offer.quantity_milli, offer.price_minor, replaces=offer.replaces)
        if offer else None, fact.accept, fact.from_staged, fact.written_off_milli)
