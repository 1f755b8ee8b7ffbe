"""A pick list as the page shows it: where to go, what to take, into which tote."""

from dataclasses import dataclass

from edge.pickups.pick_list import ListedOrder, Portion, Stop
from edge.pickups.picking_desk import PickingDesk, PickList
from edge.staff.orders import Orders
from edge.store import Store


@dataclass(frozen=True, slots=True)
class Instead:
    """A product that may come instead; price per unit."""

    sku: str
    name: str
    price_minor: int


@dataclass(frozen=True, slots=True)
class StopView:
    """A stop. `place`: empty where no planogram says. `key`: for ids in the page."""

    key: int
    sku: str
    name: str
    package: str
    place: str
    left_milli: int
    total_milli: int
    portions: tuple[Portion, ...]
    lights: tuple[str, ...]
    may_substitute: bool
    instead: tuple[Instead, ...]


@dataclass(frozen=True, slots=True)
class PickListView:
    """The whole list; `to_do` in the order of the walk."""

    list_id: str
    orders: tuple[ListedOrder, ...]
    to_do: tuple[StopView, ...]
    done: tuple[StopView, ...]
    staged: tuple[ListedOrder, ...]


class Picks:
    """Pick lists of this store's people."""

    def __init__(self, store: Store, picking: PickingDesk, orders: Orders) -> None:
        self._store = store
        self._picking = picking
        self._orders = orders

    def view(self, listed: PickList) -> PickListView:
        """The list as it stands. Substitutes are looked for only where the first stop may need them."""
        first = next(iter(listed.to_do), None)
        views = {stop.sku: self._stop(key, stop, look=stop is first) for key, stop in enumerate(listed.stops, start=1)}
        return PickListView(listed.list_id, listed.orders, tuple(views[stop.sku] for stop in listed.to_do),
                            tuple(views[stop.sku] for stop in listed.done), tuple(listed.staged))

    def instead(self, stop: Stop) -> tuple[Instead, ...]:
        """What may come instead of it, if a customer would take another product."""
        if not stop.may_substitute:
            return ()
        return tuple(Instead(sku, self._orders.name_of(sku)[0], price) for sku, price in
                     self._picking.substitutes(stop))

    def _stop(self, key: int, stop: Stop, *, look: bool) -> StopView:
        name, package = self._orders.name_of(stop.sku)
        return StopView(key, stop.sku, name, package, stop.place.text if stop.place else "", stop.left_milli,
                        stop.total_milli, stop.portions, self._orders.lights(stop.sku) if look else (),
                        stop.may_substitute, self.instead(stop) if look else ())
