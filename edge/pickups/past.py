"""Steps of orders that come back from the hub after a restore: the order's state and lines, not its stock moves.

Which step says where an order is, is the hub's own rule: the later in the ledger, but handed over stays so (P6).
"""

from cloud_sync.contract.facts import PickupStep, StockMove, decode_fact, encode_fact
from cloud_sync.contract.ledger import Place
from cloud_sync.contract.pickup import PickupState, Step
from edge.db.connection import Connection
from edge.db.queries import LEDGER


def take_past_step(connection: Connection, step: PickupStep, place: Place, occurred_ms: int) -> None:
    """Apply a step to its order; where the order is not known (again) yet, keep it until it is."""
    standing = connection.execute(LEDGER.pickup_step_place, (step.order_id,)).fetchone()
    if standing is None:
        connection.execute(LEDGER.insert_pickup_past, (step.order_id, *place, occurred_ms, encode_fact(step)))
        return
    _change_lines(connection, step)
    if _says_where(PickupState(standing[0]), (standing[1], standing[2]), step, place):
        connection.execute(LEDGER.set_pickup_state, (step.state, occurred_ms, *place, step.order_id))


def replay_past(connection: Connection, order_id: str) -> bool:
    """The order has arrived: apply what was kept for it. Returns whether there was anything."""
    rows = connection.execute(LEDGER.pickup_past, (order_id,)).fetchall()
    for epoch, sequence, occurred_ms, payload in rows:
        step = decode_fact(payload)
        assert isinstance(step, PickupStep)
        take_past_step(connection, step, (epoch, sequence), occurred_ms)
    connection.execute(LEDGER.delete_pickup_past, (order_id,))
    return bool(rows)


def _says_where(standing: PickupState, standing_place: Place, step: PickupStep, place: Place) -> bool:
    handed_over = step.state == PickupState.HANDED_OVER
    if (standing is PickupState.HANDED_OVER) is not handed_over:
        return handed_over
    return place > standing_place


def _change_lines(connection: Connection, step: PickupStep) -> None:
    """What the step's moves did to the lines of the order."""
    lines = connection.execute(LEDGER.pickup_lines, (step.order_id,)).fetchall()
    for line, sku, quantity_milli, _, reserved_milli, picked_milli in lines:
        match step.step:
            case Step.ACCEPT:
                after = (quantity_milli, 0)
            case Step.PICK if reserved_milli and StockMove(sku, 0, -reserved_milli, reserved_milli) in step.moves:
                after = (0, picked_milli + reserved_milli)
            case Step.CANCEL:
                after = (0, 0)
            case _:
                continue
        connection.execute(LEDGER.set_pickup_line, (*after, step.order_id, line))
