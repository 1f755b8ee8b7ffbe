"""Several orders picked on one walk: the stops in planogram order, and which order each unit goes to. Pure.

A stop is a product; its units go to the orders that want it, first the one whose tote is first. Quantities in
thousandths.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from cloud_sync.contract.pickup import FINAL, PickupState
from cloud_sync.contract.pickup_order import Answer, Line, PickupOrder, state_of, to_put_back
from edge.pickups.shelf import ShelfPlace, walk_key

UNIT_MILLI = 1000
"""What one scan of a counted product is."""


@dataclass(frozen=True, slots=True)
class ListedOrder:
    """An order of the list. `place`: where it will stand, empty where the store has no place free; then `tote`, its
    number in the trolley, tells it apart. `is_shipped`: a carrier brings it, so put aside it waits to be packed."""

    value: PickupOrder
    tote: int
    place: str
    customer: str = ""
    is_shipped: bool = False

    @property
    def order_id(self) -> str:
        """Which order."""
        return self.value.order_id

    @property
    def state(self) -> PickupState:
        """Where the order is."""
        return state_of(self.value)

    @property
    def where(self) -> str:
        """What stands on the tote."""
        return self.place or str(self.tote)

    @property
    def goes_back(self) -> bool:
        """Whether goods in its tote are for nobody any more."""
        return any(to_put_back(self.value, self.state in FINAL))


@dataclass(frozen=True, slots=True)
class Portion:
    """What of a stop goes to one line of one order; price per unit, as the customer paid."""

    order_id: str
    line: int
    where: str
    left_milli: int
    picked_milli: int
    price_minor: int
    may_substitute: bool


@dataclass(frozen=True, slots=True)
class Stop:
    """A product to pick. `place`: `None` where no planogram says."""

    sku: str
    place: ShelfPlace | None
    portions: tuple[Portion, ...]

    @property
    def left_milli(self) -> int:
        """How much is still to pick."""
        return sum(portion.left_milli for portion in self.portions)

    @property
    def total_milli(self) -> int:
        """How much the orders want, as far as it comes."""
        return self.left_milli + sum(portion.picked_milli for portion in self.portions)

    @property
    def may_substitute(self) -> bool:
        """Whether a customer who still waits for it would take another product."""
        return any(portion.may_substitute and portion.left_milli for portion in self.portions)


def pickable_milli(line: Line) -> int:
    """What of a line may be picked now."""
    return line.reserved_milli if line.is_wanted and line.answer is not Answer.OFFERED else 0


def is_to_pick(order: PickupOrder) -> bool:
    """Whether something of the order is to be picked."""
    return any(pickable_milli(line) for line in order.lines)


def has_work(order: PickupOrder, *, is_shipped: bool) -> bool:
    """Whether whoever picks the order has something left to do with it: to pick, or to say that it stands ready."""
    return is_to_pick(order) or (state_of(order) is PickupState.STAGED and not is_shipped)


def stops(orders: Iterable[ListedOrder], places: Mapping[str, ShelfPlace]) -> list[Stop]:
    """Everything to pick and picked, in the order of the walk."""
    portions: dict[str, list[Portion]] = {}
    for order in orders:
        for line in order.value.lines:
            left, picked = pickable_milli(line), line.staged_milli if line.is_wanted else 0
            if left or picked:
                portions.setdefault(line.sku, []).append(Portion(
                    order.order_id, line.line, order.where, left, picked, line.price_minor,
                    line.may_substitute and line.replaces is None))
    found = [Stop(sku, places.get(sku), tuple(each)) for sku, each in portions.items()]
    return sorted(found, key=lambda stop: (walk_key(stop.place), stop.sku))


def next_unit(stop: Stop) -> tuple[Portion, int]:
    """Where one scanned unit goes: all that is left of what is weighed. The stop has something left."""
    portion = next(portion for portion in stop.portions if portion.left_milli)
    counted = portion.left_milli % UNIT_MILLI == 0
    return portion, UNIT_MILLI if counted else portion.left_milli


def missing(stop: Stop, quantity_milli: int) -> list[tuple[Portion, int]]:
    """Who goes without when so much is not there: the last tote first, since the first was filled first."""
    left, found = quantity_milli, list[tuple[Portion, int]]()
    for portion in reversed(stop.portions):
        takes = min(left, portion.left_milli)
        if takes:
            found.append((portion, takes))
            left -= takes
    return found
