"""Parcels as rows, and what an order that is shipped may not do (DESIGN.md section 9). The desk asks; `shipping`
packs."""

import msgspec

from cloud_sync.contract.documents import Order
from cloud_sync.contract.facts import ParcelStep
from cloud_sync.contract.parcels import Packing, Parcel, ParcelState, after, handed, label_refusal, packed_milli
from cloud_sync.contract.pickup import FINAL, Step
from cloud_sync.contract.pickup_order import Taken
from edge.db.connection import Connection
from edge.db.ledger import Chain, draft, record
from edge.db.queries import LEDGER
from edge.pickups.rows import PickupRow

_NOT_SHIPPED = frozenset({Step.READY, Step.NO_SHOW, Step.REFUSE})
_lines_decoder = msgspec.json.Decoder(tuple[tuple[int, int], ...])
_HUB = "hub"


def parcels_of(connection: Connection, order_id: str) -> tuple[Parcel, ...]:
    """The order's parcels by their numbers, unpacked ones included."""
    return tuple(_parcel(row) for row in connection.execute(LEDGER.parcels_of, (order_id,)).fetchall())


def read_parcel(connection: Connection, parcel_id: str) -> Parcel | None:
    """One parcel."""
    row = connection.execute(LEDGER.parcel, (parcel_id,)).fetchone()
    return _parcel(row) if row else None


def write_parcel(connection: Connection, parcel: Parcel) -> None:
    """Keep what became of it."""
    connection.execute(LEDGER.put_parcel, (
        parcel.parcel_id, parcel.order_id, parcel.number, parcel.state, msgspec.json.encode(parcel.lines),
        parcel.weight_g, parcel.carrier, parcel.service, parcel.tracking))


def ship_refusal(connection: Connection, row: PickupRow, step: Taken, parcel_id: str, told_why: bool) -> str:
    """Why this step cannot be taken of an order that is shipped; an empty text if it can.

    `told_why`: a supervisor says, with a reason, that a parcel has left although the order had ended (P6).
    """
    order_id = row.order_id
    if step.step in _NOT_SHIPPED:
        return f"order {order_id} is sent by a carrier: nobody collects it"
    parcels = parcels_of(connection, order_id)
    if step.step is Step.HAND_OVER:
        parcel = next((each for each in parcels if each.parcel_id == parcel_id), None)
        if parcel is None:
            return f"order {order_id} is sent by a carrier: say which parcel leaves"
        if parcel.state is not ParcelState.PACKED:
            return f"parcel {parcel.number} of order {order_id} is {parcel.state}"
        if not parcel.tracking:
            return f"parcel {parcel.number} of order {order_id} has no label yet"
        if row.state in FINAL and not told_why:
            return f"order {order_id} is {row.state}: unpack its parcels"
    if step.step is Step.PUT_BACK or step.from_staged:
        packed = packed_milli(parcels)
        if any(packed[number] for number, _ in step.quantities):
            return f"order {order_id}: unpack its parcels first"
    return ""


def note_handed(connection: Connection, parcel_id: str) -> None:
    """It is with the carrier; nothing for a parcel that is not known (again) yet."""
    parcel = read_parcel(connection, parcel_id)
    if parcel is not None:
        write_parcel(connection, handed(parcel))


def take_past_parcel(connection: Connection, fact: ParcelStep) -> None:
    """A step that came back from the hub after a restore."""
    write_parcel(connection, after(read_parcel(connection, fact.parcel_id), fact))


def hear_labels(connection: Connection, chain: Chain, order: Order, now_ms: int, business_day: str) -> None:
    """Labels that the hub gives to parcels packed here, as long as they are here; each once."""
    for label in order.labels:
        parcel = read_parcel(connection, label.parcel_id)
        if parcel is None or parcel.order_id != order.order_id:
            continue
        said = (label.carrier, label.service, label.tracking)
        if said == (parcel.carrier, parcel.service, parcel.tracking) or label_refusal(parcel, *said):
            continue
        step_id = f"hub:{order.order_id}/{label.parcel_id}/{order.revision}"
        fact = ParcelStep(parcel.parcel_id, order.order_id, step_id, Packing.LABEL, parcel.number, _HUB,
                          carrier=label.carrier, service=label.service, tracking=label.tracking)
        record(connection, chain, draft(f"parcel/{step_id}", fact, occurred_ms=now_ms, recorded_ms=now_ms,
                                        business_day=business_day))
        write_parcel(connection, after(parcel, fact))


def _parcel(row: tuple[str, str, int, str, bytes, int, str, str, str]) -> Parcel:
    return Parcel(row[0], row[1], row[2], ParcelState(row[3]), _lines_decoder.decode(row[4]), *row[5:])
