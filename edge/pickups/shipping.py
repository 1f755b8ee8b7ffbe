"""Packing, labelling and sending orders that go by a carrier (ship from store; DESIGN.md section 9).

Each step is a fact that counts once by its id. Handing a parcel to its carrier is a hand-over of the order
(`PickupDesk`), and there the goods leave.
"""

from dataclasses import dataclass

from cloud_sync.contract.documents import Address
from cloud_sync.contract.facts import ParcelStep, StepLine
from cloud_sync.contract.parcels import Packing, Parcel, ParcelState, after, label_refusal, pack_refusal
from cloud_sync.contract.pickup import Step
from edge.db.connection import Connection
from edge.db.ledger import Draft, Outcome, Receipt, digest_of, is_recorded, record
from edge.domain.card_data import has_card
from edge.errors import Rejected
from edge.pickups.desk import PickupDesk
from edge.pickups.parcels import parcels_of, read_parcel, write_parcel
from edge.pickups.requests import StepRequest
from edge.pickups.rows import Pickup, read_order, read_row
from edge.store import Store, Topic

QR_PREFIX = "TRASTIENDA:PARCEL:"
"""What the square code on a label begins with: scanned in the store it names the parcel, elsewhere nobody."""


@dataclass(frozen=True, slots=True)
class ParcelRequest:
    """A step of a parcel. `step_id` makes a repeat harmless; `lines` and `weight_g` to pack, the carrier's data to
    label."""

    order_id: str
    parcel_id: str
    step_id: str
    step: Packing
    actor: str
    lines: tuple[tuple[int, int], ...] = ()
    weight_g: int = 0
    carrier: str = ""
    service: str = ""
    tracking: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class LabelData:
    """Everything that a label prints. `to`: `None` once the person was erased. `code128`, `qr`: what the codes say;
    neither says anything of the person."""

    order_id: str
    parcel_id: str
    number: int
    of: int
    sender: str
    name: str
    to: Address | None
    carrier: str
    service: str
    tracking: str
    weight_g: int
    code128: str
    qr: str


class ShippingDesk:
    """Parcels of the orders that this store sends."""

    def __init__(self, store: Store, pickups: PickupDesk) -> None:
        self._store = store
        self._pickups = pickups

    def parcels(self, order_id: str) -> tuple[Parcel, ...]:
        """The order's parcels, without those that were unpacked."""
        return tuple(each for each in parcels_of(self._store.books.ledger_reader, order_id)
                     if each.state is not ParcelState.UNPACKED)

    async def take(self, request: ParcelRequest) -> Receipt:
        """Take a step of a parcel, once. Raises `Rejected` for one that may not be taken now."""
        if not request.step_id or request.step_id.startswith("hub:"):
            raise Rejected("no step but the hub's own has an id that begins with hub:")
        if has_card(request.tracking):
            raise Rejected("this is no tracking number; it may be that of a card")
        receipt = await self._store.record(lambda connection: self._take(connection, request))
        if receipt.outcome is Outcome.NEW:
            self._store.tell(Topic.PICKUP, request.order_id)
        return receipt

    async def hand_over(self, order_id: str, parcel_id: str, transition_id: str, actor: str, *,
                        supervised: bool = False, reason: str = "") -> Pickup:
        """The carrier took the parcel: its goods leave now. Raises `Rejected`."""
        return await self._pickups.take_step(StepRequest(
            order_id, transition_id, Step.HAND_OVER, actor, supervised=supervised, reason=reason,
            parcel_id=parcel_id))

    def label(self, order_id: str, parcel_id: str) -> LabelData | None:
        """What to print for a parcel; `None` when there is none such."""
        pickup = self._pickups.find(order_id)
        every = self.parcels(order_id)
        parcel = next((each for each in every if each.parcel_id == parcel_id), None)
        if pickup is None or parcel is None:
            return None
        person = pickup.person
        return LabelData(order_id, parcel_id, parcel.number, len(every), self._store.identity.name,
                         person.display_name if person else "", person.address if person else None, parcel.carrier,
                         parcel.service, parcel.tracking, parcel.weight_g, parcel.tracking, QR_PREFIX + parcel_id)

    def _take(self, connection: Connection, request: ParcelRequest) -> Receipt:
        self._pickups.planned.settle_order(connection, request.order_id)
        parcel, key = read_parcel(connection, request.parcel_id), f"parcel/{request.step_id}"
        every = parcels_of(connection, request.order_id)
        number = parcel.number if parcel else 1 + max((each.number for each in every), default=0)
        if not is_recorded(connection, key) and (why_not := self._why_not(connection, request, parcel, every)):
            raise Rejected(why_not)
        fact = ParcelStep(request.parcel_id, request.order_id, request.step_id, request.step, number, request.actor,
                          tuple(StepLine(*line) for line in request.lines), request.weight_g, request.carrier,
                          request.service, request.tracking, request.reason)
        now_ms = self._store.clock.wall_ms()
        made = Draft(key, fact, digest_of(_meaning(request)), now_ms, self._store.business_day(now_ms), now_ms)
        receipt = record(connection, self._store.books.chain, made)
        if receipt.outcome is Outcome.NEW:
            write_parcel(connection, after(parcel, fact))
        return receipt

    def _why_not(self, connection: Connection, request: ParcelRequest, parcel: Parcel | None,
                 every: tuple[Parcel, ...]) -> str:
        row, order = read_row(connection, request.order_id), read_order(connection, request.order_id)
        if row is None or order is None:
            return f"no order {request.order_id} in this store"
        if not row.is_shipped:
            return f"order {request.order_id} is collected, not sent"
        if request.step is Packing.PACK:
            if parcel is not None:
                return f"there is a parcel {request.parcel_id} already"
            return pack_refusal(order, every, request.lines, request.weight_g)
        if parcel is None or parcel.order_id != request.order_id:
            return f"order {request.order_id} has no parcel {request.parcel_id}"
        if request.step is Packing.LABEL:
            return label_refusal(parcel, request.carrier, request.service, request.tracking)
        return "" if parcel.state is ParcelState.PACKED else (
            f"parcel {parcel.number} of order {parcel.order_id} is {parcel.state}")


def _meaning(request: ParcelRequest) -> tuple[object, ...]:
    return (request.order_id, request.parcel_id, request.step, request.lines, request.weight_g, request.carrier,
            request.service, request.tracking, request.reason)
