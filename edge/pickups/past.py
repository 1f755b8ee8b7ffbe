"""Steps of orders that come back from the hub after a restore: the order's state and lines, not its stock moves.

Which step says where an order is, is the hub's own rule: the later in the ledger, but handed over stays so (P6).
"""

from dataclasses import replace

from cloud_sync.contract.facts import PickupStep, StockMove, decode_fact, encode_fact
from cloud_sync.contract.ledger import Place
from cloud_sync.contract.pickup import FINAL, HubStep, PickupState, Step, handed_over_rank
from cloud_sync.contract.pickup_order import Answer, Line, PickupOrder, Said, Taken, said, state_of, taken
from cloud_sync.contract.pickup_rules import complete
from edge.db.connection import Connection
from edge.db.queries import LEDGER
from edge.pickups.rows import read_order, step_of_fact, write_order

HUB = "hub"
"""Whoever takes a step that follows from the hub's word."""

REASSIGNED = "reassigned"
"""The reason of a cancel that says: another store has the order now."""

_ENDS = {PickupState.REJECTED: Step.REJECT, PickupState.EXPIRED: Step.EXPIRE, PickupState.NO_SHOW: Step.NO_SHOW}


def take_past_step(connection: Connection, step: PickupStep, place: Place, occurred_ms: int) -> None:
    """Apply a step to its order; where the order is not known (again) yet, keep it until it is."""
    standing = connection.execute(LEDGER.pickup_step_place, (step.order_id,)).fetchone()
    if standing is None:
        connection.execute(LEDGER.insert_pickup_past, (step.order_id, *place, occurred_ms, encode_fact(step)))
        return
    _change_order(connection, step, occurred_ms)
    if _says_where(PickupState(standing[0]), (standing[1], standing[2]), step, place):
        connection.execute(LEDGER.set_pickup_state, (step.state, occurred_ms, *place, step.order_id))
        if step.place:
            connection.execute(LEDGER.set_pickup_place, (step.place, step.order_id))


def replay_past(connection: Connection, order_id: str) -> bool:
    """The order has arrived: apply what was kept for it. Returns whether there was anything."""
    rows = connection.execute(LEDGER.pickup_past, (order_id,)).fetchall()
    for epoch, sequence, occurred_ms, payload in rows:
        step = decode_fact(payload)
        assert isinstance(step, PickupStep)
        take_past_step(connection, step, (epoch, sequence), occurred_ms)
    connection.execute(LEDGER.delete_pickup_past, (order_id,))
    return bool(rows)


def end_again(order: PickupOrder, standing: PickupState) -> tuple[Taken, str] | None:
    """The step that says once more how an order ended, and its reason; `None` where nothing needs to be said.

    A restored box that did not know of the end yet may have taken a later step, and the later step says where an
    order is. The ended order would stand there for ever, since nothing ends what has ended. The step changes nothing
    but that.
    """
    state = state_of(order)
    if state not in FINAL or standing in FINAL:
        return None
    if state in _ENDS:
        return Taken(_ENDS[state]), ""
    step = Step.REFUSE if state in {PickupState.REFUSED, PickupState.HANDED_OVER} else Step.CANCEL
    over = tuple((line.line, line.ordered_milli) for line in order.lines
                 if (line.refused if step is Step.REFUSE else line.cancelled or order.reassigned))
    return Taken(step, over), REASSIGNED if state is PickupState.REASSIGNED else ""


def fold_again(connection: Connection, order_id: str, now_ms: int) -> None:
    """Make the order what its counted steps say, when one of them took the place of another of the same name: both
    lives of a box took it, and not the same way. What the hub has said of the order stays."""
    before = read_order(connection, order_id)
    if before is None:
        return
    order = replace(before, progress=PickupState.PLACED, end=None, lines=tuple(
        Line(line.line, line.sku, line.ordered_milli, line.price_minor, line.may_substitute)
        for line in before.lines if line.replaces is None))
    state, place = PickupState.PLACED, (0, 0)
    for epoch, sequence, payload in connection.execute(LEDGER.counted_steps_of_order, (order_id,)).fetchall():
        step = decode_fact(payload)
        assert isinstance(step, PickupStep)
        order = _after(order, step)
        if _says_where(state, place, step, (epoch, sequence)):
            state, place = PickupState(step.state), (epoch, sequence)
    said_before = {line.line: line for line in before.lines}
    order = replace(order, lines=tuple(_as_said(line, said_before.get(line.line)) for line in order.lines))
    write_order(connection, before, order, now_ms)
    connection.execute(LEDGER.set_pickup_state, (state, now_ms, *place, order_id))


def _as_said(line: Line, before: Line | None) -> Line:
    """With what the hub has wished and answered about the line."""
    if before is None:
        return line
    asked = line.answer is Answer.OFFERED and before.answer is not Answer.NONE
    return replace(line, cancelled=line.cancelled or before.cancelled, answer=before.answer if asked else line.answer)


def _says_where(standing: PickupState, standing_place: Place, step: PickupStep, place: Place) -> bool:
    return (handed_over_rank(step.state), place) > (handed_over_rank(standing), standing_place)


def _change_order(connection: Connection, step: PickupStep, occurred_ms: int) -> None:
    """What the step did to the order and its lines."""
    before = read_order(connection, step.order_id)
    if before is not None:
        write_order(connection, before, _after(before, step), occurred_ms)


def _after(order: PickupOrder, step: PickupStep) -> PickupOrder:
    if step.step not in frozenset(Step):
        return order  # a later version's step: its stock moved, and its state is told
    if (step.step, step.actor, step.reason) == (Step.CANCEL, HUB, REASSIGNED):
        return said(order, Said(HubStep.REASSIGN)).order
    return taken(order, step_of_fact(step)).order if step.lines else _before_lines_were_named(order, step)


def _before_lines_were_named(order: PickupOrder, step: PickupStep) -> PickupOrder:
    """Facts of earlier versions name no lines: a cancel put everything back at once, a pick took whole lines, and
    goods were handed over whole."""
    if step.step == Step.CANCEL:
        return replace(order, lines=tuple(replace(line, reserved_milli=0, staged_milli=0, cancelled=True)
                                          for line in order.lines))
    asked = Taken(Step(step.step))
    if step.step == Step.ACCEPT:
        asked = complete(order, asked)
    elif step.step == Step.PICK:
        asked = replace(asked, quantities=tuple(
            (line.line, line.reserved_milli) for line in order.lines if line.reserved_milli
            and StockMove(line.sku, 0, -line.reserved_milli, line.reserved_milli) in step.moves))
    elif step.step == Step.HAND_OVER:
        asked = replace(asked, quantities=tuple(
            (line.line, line.staged_milli or line.ordered_milli) for line in order.lines))
    return taken(order, asked).order
