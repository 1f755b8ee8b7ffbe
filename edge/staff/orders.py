"""Pickups as pages show them: who waits for what, and which step comes next."""

from dataclasses import dataclass

from cloud_sync.contract.documents import Address
from cloud_sync.contract.parcels import Parcel, ParcelState, to_pack
from cloud_sync.contract.pickup import FINAL, PickupState, Step
from cloud_sync.contract.pickup_order import Answer, Line, to_put_back
from cloud_sync.contract.pickup_rules import SOURCES
from edge.db.label_rows import label_row
from edge.db.queries import REPLICA
from edge.domain.names import display_name, display_package
from edge.limits import PHONE_DIGITS
from edge.pickups.collectors import last_digits
from edge.pickups.desk import PickupDesk
from edge.pickups.parcels import parcels_of
from edge.pickups.pick_list import pickable_milli
from edge.pickups.picking_desk import PickingDesk
from edge.pickups.rows import Pickup, order_of
from edge.staff.label_index import LabelIndex
from edge.staff.tiles import Tiles
from edge.staff.view import typed_quantity
from edge.store import Store

STAGES = (PickupState.ACCEPTED, PickupState.PICKING, PickupState.STAGED, PickupState.READY, PickupState.HANDED_OVER)
"""The way of an order that goes well."""

_IN_HAND = frozenset({PickupState.ACCEPTED, PickupState.PICKING, PickupState.STAGED})
"""While somebody has it in the trolley."""


@dataclass(frozen=True, slots=True)
class PickupCard:
    """An order in the list: who, since when, how far; where it stands put aside, and who picks it. `awaits_hub`: it is
    not confirmed to this store yet."""

    order_id: str
    customer: str
    state: PickupState
    placed_ms: int
    lines: int
    picked: int
    cancel_requested: bool
    arrived_ms: int | None
    bay: str
    place: str
    picker: str
    awaits_hub: bool


@dataclass(frozen=True, slots=True)
class PickupLineView:
    """A line to pick. `quantity_milli`: as much as is to come. `lights`: its labels that can flash.

    `left_milli`: still to pick; `staged_milli`: put aside. `standing`: what is to be said of it beside that (a code of
    `edge.staff.said.TITLES`), empty for nothing. `may_substitute`: the customer would take another product.
    """

    line: int
    sku: str
    name: str
    package: str
    quantity_milli: int
    picked_milli: int
    price_minor: int
    is_picked: bool
    can_pick: bool
    lights: tuple[str, ...]
    left_milli: int
    staged_milli: int
    short_milli: int
    standing: str
    can_refuse: bool
    may_substitute: bool


@dataclass(frozen=True, slots=True)
class PackLine:
    """What is picked and in no parcel yet."""

    line: int
    name: str
    quantity_milli: int

    @property
    def typed(self) -> str:
        """All of it, as a person would type it."""
        return typed_quantity(self.quantity_milli)


@dataclass(frozen=True, slots=True)
class PickupView:
    """One order and what may be done with it now. `place`: its place in `STAGES`, `None` when it left that way."""

    card: PickupCard
    has_phone: bool
    currency: str
    lines: tuple[PickupLineView, ...]
    place: int | None
    can_pick: bool
    can_stage: bool
    can_make_ready: bool
    can_hand_over: bool
    can_put_back: bool
    can_miss: bool
    can_take_out: bool
    expires_ms: int | None
    awaits_hub: bool
    places: tuple[str, ...]
    is_shipped: bool = False
    address: Address | None = None
    to_pack: tuple[PackLine, ...] = ()
    parcels: tuple[Parcel, ...] = ()

    @property
    def all_picked(self) -> bool:
        """Whether nothing is left to pick."""
        return all(line.is_picked for line in self.lines)


class Orders:
    """The pickups of this store."""

    def __init__(self, store: Store, desk: PickupDesk, picking: PickingDesk, index: LabelIndex, tiles: Tiles) -> None:
        self._store = store
        self._desk = desk
        self._picking = picking
        self._index = index
        self._tiles = tiles

    def cards(self) -> list[PickupCard]:
        """Open orders: customers who are here first, in the order in which they came, then the oldest."""
        pickers = self._picking.pickers()
        cards = [_card(pickup, pickers.get(pickup.row.order_id, "")) for pickup in self._desk.open()]
        return sorted(cards, key=lambda card: (card.arrived_ms is None, card.arrived_ms or card.placed_ms))

    def ready_under(self, phone_digits: str) -> list[str]:
        """The orders that are ready and whose customers' numbers end in these digits, as many as are asked for."""
        return [pickup.row.order_id for pickup in self._desk.open()
                if len(phone_digits) == PHONE_DIGITS and pickup.row.state is PickupState.READY
                and not pickup.row.is_shipped and pickup.person is not None
                and last_digits(pickup.person.phone_last_digits) == phone_digits]

    def view(self, order_id: str) -> PickupView | None:
        """One order, finished or not."""
        pickup = self._desk.find(order_id)
        if pickup is None:
            return None
        state = pickup.row.state
        can = {step: state in sources for step, sources in SOURCES.items()}
        order, shipped = order_of(pickup.row, pickup.lines), pickup.row.is_shipped
        back = to_put_back(order, state in FINAL)
        every = parcels_of(self._store.books.ledger_reader, order_id) if shipped else ()
        packable = to_pack(order, every) if shipped and state not in FINAL else {}
        picker = self._picking.pickers().get(order_id, "")
        free = self._picking.free_places(order_id) if can[Step.STAGE] or can[Step.READY] else []
        own = pickup.row.place or self._picking.single(order_id).orders[0].place
        lines = tuple(self._line(line, state) for line in pickup.lines)
        return PickupView(_card(pickup, picker), bool(pickup.person and pickup.person.phone_last_digits),
                          pickup.row.currency, lines,
                          STAGES.index(state) if state in STAGES else None,
                          can[Step.PICK] and not pickup.row.awaits_hub, can[Step.STAGE],
                          can[Step.READY] and not shipped,
                          can[Step.HAND_OVER] and state not in FINAL and not shipped
                          and (state is not PickupState.STAGED or pickup.row.arrived_ms is not None), any(back),
                          can[Step.NO_SHOW] and pickup.row.arrived_ms is None and not shipped, can[Step.SHORT],
                          pickup.expires_ms if state not in FINAL else None,
                          pickup.row.awaits_hub and state not in FINAL,
                          tuple(dict.fromkeys(place for place in (own, *free) if place)), shipped,
                          pickup.person.address if pickup.person and shipped else None,
                          tuple(PackLine(line.line, self.name_of(line.sku)[0], packable[line.line])
                                for line in pickup.lines if line.line in packable),
                          tuple(each for each in every if each.state is not ParcelState.UNPACKED))

    def name_of(self, sku: str) -> tuple[str, str]:
        """A product's name and package; its SKU where the catalogue does not know it."""
        item = self._store.books.replica_reader.execute(REPLICA.item, (sku,)).fetchone()
        return (display_name(item[1]), display_package(item[5])) if item else (sku, "")

    def _line(self, line: Line, state: PickupState) -> PickupLineView:
        name, package = self.name_of(line.sku)
        left = pickable_milli(line)
        return PickupLineView(line.line, line.sku, name, package, line.ordered_milli - line.short_milli,
                              line.staged_milli + line.handed_milli, line.price_minor, _is_picked(line), left > 0,
                              self.lights(line.sku), left, line.staged_milli, line.short_milli, _standing(line),
                              bool(line.staged_milli and line.is_wanted) and state in SOURCES[Step.REFUSE],
                              line.may_substitute and line.replaces is None)

    def lights(self, sku: str) -> tuple[str, ...]:
        """The product's labels that can flash."""
        rows = (label_row(self._store.books.ledger_reader, label) for label in self._index.labels_of(sku))
        return tuple(row.label for row in rows if row is not None and self._tiles.has_light(row))


def _card(pickup: Pickup, picker: str) -> PickupCard:
    picked = sum(1 for line in pickup.lines if _is_picked(line))
    return PickupCard(pickup.row.order_id, pickup.person.display_name if pickup.person else "", pickup.row.state,
                      pickup.row.placed_ms, len(pickup.lines), picked, pickup.row.cancel_requested,
                      pickup.row.arrived_ms, pickup.row.bay, pickup.row.place if picked else "",
                      picker if pickup.row.state in _IN_HAND else "", pickup.row.awaits_hub)


def _is_picked(line: Line) -> bool:
    """Whether all of the line that is to come was picked."""
    return line.staged_milli + line.handed_milli >= line.ordered_milli - line.short_milli


def _standing(line: Line) -> str:
    if line.cancelled:
        return "cancelled"
    if line.refused:
        return "refused"
    return f"substitute-{line.answer.value}" if line.answer is not Answer.NONE else ""
