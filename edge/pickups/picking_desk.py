"""Who picks which orders, unit by unit, and where each then stands.

A pick list is one person's: the orders of one trolley. It is an arrangement, no fact: what was picked, put aside and
given up is in the steps, each of them taken through `PickupDesk.plan`, so that the last one can be taken back. Without
a list the same acts serve a single order.
"""

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from cloud_sync.contract.pickup import FINAL, PickupState, ShortReason, Step
from cloud_sync.contract.pickup_order import Line, PickupOrder, Taken, state_of, taken
from cloud_sync.contract.pickup_rules import complete, refusal
from edge.db.connection import Connection
from edge.db.queries import LEDGER
from edge.errors import Rejected
from edge.limits import PICK_LIST_ORDERS_MAX, PICK_LIST_STALE_S
from edge.pickups.desk import PickupDesk
from edge.pickups.pick_list import ListedOrder, Portion, Stop, has_work, is_to_pick, missing, next_unit, stops
from edge.pickups.planned import Act
from edge.pickups.requests import StepRequest
from edge.pickups.rows import Pickup, read_row
from edge.pickups.shelf import neighbours, places_of
from edge.prices.price_desk import PriceDesk, Quote
from edge.store import Store, Topic

SUBSTITUTES_SHOWN_MAX = 3


@dataclass(frozen=True, slots=True)
class StagingPlace:
    """A named place where orders wait for their customers. `code`: of its sign, where that is not its name."""

    name: str
    code: str = ""

    def is_called(self, text: str) -> bool:
        """Whether a scan names it."""
        wanted = "".join(text.split()).casefold()
        return bool(wanted) and wanted in ("".join(self.name.split()).casefold(), self.code.casefold())


@dataclass(frozen=True, slots=True)
class PickList:
    """The orders of one trolley, and what to pick for them on the way."""

    list_id: str
    orders: tuple[ListedOrder, ...]
    stops: tuple[Stop, ...]

    @property
    def to_do(self) -> list[Stop]:
        """The stops where something is left."""
        return [stop for stop in self.stops if stop.left_milli]

    @property
    def done(self) -> list[Stop]:
        """The others."""
        return [stop for stop in self.stops if not stop.left_milli]

    @property
    def staged(self) -> list[ListedOrder]:
        """Orders that are complete and wait for somebody to say that they stand in their places."""
        return [order for order in self.orders if order.state is PickupState.STAGED and not order.is_shipped]


@dataclass(frozen=True, slots=True)
class _Row:
    order_id: str
    list_id: str
    actor: str
    began_ms: int
    tote: int
    place: str


class PickingDesk:
    """Pick lists, and the acts of whoever picks."""

    def __init__(self, store: Store, desk: PickupDesk, prices: PriceDesk, places: Sequence[StagingPlace]) -> None:
        self._store = store
        self._desk = desk
        self._prices = prices
        self.places = tuple(places)

    # --- lists ------------------------------------------------------------------------------------------------

    def current(self, actor: str) -> PickList | None:
        """The list that this person has begun and not finished."""
        reader = self._store.books.ledger_reader
        mine = [row for row in _rows(reader) if row.actor == actor and row.actor]
        found = self._list(reader, mine)
        left = any(has_work(order.value, is_shipped=order.is_shipped) for order in found.orders)
        return found if left else None

    def single(self, order_id: str) -> PickList:
        """One order as a list of its own, for its page."""
        return self._of_orders(self._store.books.ledger_reader, (order_id,))

    def waiting(self) -> list[Pickup]:
        """Orders that somebody may begin to pick, the most urgent first: customers who are here, then by promise. None
        that the hub may still ask another store for."""
        taken_by = {row.order_id for row in _rows(self._store.books.ledger_reader)
                    if row.actor and not self._is_stale(row)}
        found = [pickup for pickup in self._desk.open()
                 if pickup.row.order_id not in taken_by and pickup.row.state not in FINAL
                 and not pickup.row.awaits_hub
                 and any(line.reserved_milli and line.is_wanted for line in pickup.lines)]
        return sorted(found, key=lambda pickup: (pickup.row.arrived_ms is None, pickup.promised_ms or 0,
                                                 pickup.row.placed_ms))

    async def start(self, list_id: str, actor: str, order_id: str | None = None) -> PickList:
        """Begin to pick the most urgent orders, or this one, whoever had it before; a list that is begun goes on.

        Raises `Rejected` when there is nothing to pick.
        """
        wanted = [order_id] if order_id else [pickup.row.order_id for pickup in self.waiting()]
        await self._store.record(lambda connection: self._start(connection, list_id, actor, wanted,
                                                                is_one=order_id is not None))
        self._store.tell(Topic.PICKUP, *wanted)
        begun = self.current(actor)
        if begun is not None and order_id and all(order.order_id != order_id for order in begun.orders):
            raise Rejected(f"{PICK_LIST_ORDERS_MAX} orders are on this list already")
        if begun is None:
            raise Rejected(f"order {order_id} has nothing left to pick" if order_id else "no order is to be picked")
        return begun

    async def leave(self, actor: str) -> None:
        """Put the list down: others may go on with it. Orders of which something was picked keep their totes."""
        def put_down(connection: Connection) -> list[str]:
            mine = [row for row in _rows(connection) if row.actor == actor]
            for row in mine:
                self._let_go(connection, row)
            return [row.order_id for row in mine]
        self._store.tell(Topic.PICKUP, *await self._store.record(put_down))

    def pickers(self) -> dict[str, str]:
        """Who picks which order."""
        return {row.order_id: row.actor for row in _rows(self._store.books.ledger_reader)
                if row.actor and not self._is_stale(row)}

    def place_called(self, text: str) -> StagingPlace | None:
        """The staging place that a scan names."""
        return next((place for place in self.places if place.is_called(text)), None)

    def free_places(self, order_id: str = "") -> list[str]:
        """Names of places where no other order stands or will stand."""
        return self._free(self._store.books.ledger_reader, order_id)

    def substitutes(self, stop: Stop) -> list[tuple[str, int]]:
        """Products beside it that may come instead: in stock and not dearer, the most alike in price first; with their
        price per unit."""
        reader, limit = self._store.books.ledger_reader, _price_minor(stop)
        found = []
        for sku in neighbours(reader, stop.sku):
            quote = self._prices.priced(sku)
            if quote and quote.charge_minor <= limit and quote.sellable_milli >= stop.left_milli:
                found.append((sku, quote.charge_minor))
        return sorted(found, key=lambda each: (limit - each[1], each[0]))[:SUBSTITUTES_SHOWN_MAX]

    # --- acts -------------------------------------------------------------------------------------------------

    async def scan(self, act_id: str, actor: str, orders: Collection[str], sku: str) -> Act:
        """One unit of a product was put into its tote; the last one of an order puts the order aside.

        Raises `Rejected` for what no order of these wants, or wants no more.
        """
        def choose(connection: Connection) -> Iterator[StepRequest]:
            stop = self._stop(connection, orders, sku)
            if not stop.left_milli:
                raise Rejected(f"nothing more of {sku} is wanted")
            portion, quantity_milli = next_unit(stop)
            yield from self._picked(connection, actor, [(portion, quantity_milli)])
        return await self._desk.plan(act_id, actor, choose)

    async def pick(self, act_id: str, actor: str, orders: Collection[str], sku: str, line: int | None = None) -> Act:
        """All that is left of a product, of one line of it when it is named, was put into the totes."""
        def choose(connection: Connection) -> Iterator[StepRequest]:
            stop = self._stop(connection, orders, sku)
            portions = [(portion, portion.left_milli) for portion in stop.portions
                        if portion.left_milli and line in (None, portion.line)]
            if not portions:
                raise Rejected(f"nothing more of {sku} is wanted")
            yield from self._picked(connection, actor, portions)
        return await self._desk.plan(act_id, actor, choose)

    async def short(self, act_id: str, actor: str, orders: Collection[str], sku: str, quantity_milli: int,
                    reason: ShortReason, instead: str = "") -> Act:
        """So much of a product does not come; `instead`: another one, offered to the customers who would take one."""
        quote = self._prices.priced(instead) if instead else None
        if instead and (quote is None or instead == sku):
            raise Rejected(f"{instead} cannot come instead")

        def choose(connection: Connection) -> Iterator[StepRequest]:
            stop = self._stop(connection, orders, sku)
            if not 0 < quantity_milli <= stop.left_milli:
                raise Rejected(f"no more than {stop.left_milli} of {sku} can be missing")
            values = dict[str, PickupOrder]()
            for portion, missing_milli in missing(stop, quantity_milli):
                request = _missing(portion, missing_milli, actor, reason, quote)
                yield request
                values[portion.order_id] = self._after(connection, values, request)
            yield from self._complete(connection, actor, values)
        return await self._desk.plan(act_id, actor, choose)

    async def ready(self, act_id: str, actor: str, orders: Collection[str], place: str | None = None) -> Act:
        """Orders stand in their places, ready for their customers; what was not put aside yet is now."""
        def choose(connection: Connection) -> Iterator[StepRequest]:
            for order in self._of_orders(connection, orders).orders:
                where = place if place is not None else order.place
                if order.state is PickupState.PICKING:
                    yield StepRequest(order.order_id, "", Step.STAGE, actor, place=where)
                yield StepRequest(order.order_id, "", Step.READY, actor, place=where)
        return await self._desk.plan(act_id, actor, choose)

    async def stage(self, act_id: str, actor: str, order_id: str, place: str | None = None) -> Act:
        """An order of which everything was picked is put aside, and not ready yet."""
        def choose(connection: Connection) -> Iterator[StepRequest]:
            (order,) = self._of_orders(connection, (order_id,)).orders
            where = place if place is not None else order.place
            yield StepRequest(order_id, "", Step.STAGE, actor, place=where)
        return await self._desk.plan(act_id, actor, choose)

    # --- inside -----------------------------------------------------------------------------------------------

    def _picked(self, connection: Connection, actor: str, portions: Iterable[tuple[Portion, int]]
                ) -> Iterator[StepRequest]:
        values = dict[str, PickupOrder]()
        for portion, quantity_milli in portions:
            request = StepRequest(portion.order_id, "", Step.PICK, actor,
                                  quantities=((portion.line, quantity_milli),))
            yield request
            values[portion.order_id] = self._after(connection, values, request)
        yield from self._complete(connection, actor, values)

    def _complete(self, connection: Connection, actor: str, values: dict[str, PickupOrder]) -> Iterator[StepRequest]:
        """Orders of which nothing is left to pick are put aside by the same act: nobody taps "finished"."""
        for order_id, value in values.items():
            if not refusal(value, Taken(Step.STAGE), {}):
                (order,) = self._of_orders(connection, (order_id,)).orders
                yield StepRequest(order_id, "", Step.STAGE, actor, place=order.place)

    def _after(self, connection: Connection, values: dict[str, PickupOrder], request: StepRequest) -> PickupOrder:
        value = values.get(request.order_id) or self._seen(connection, request.order_id)[0]
        step = complete(value, Taken(request.step, request.quantities, request.short_reason))
        if request.substitute is not None:
            number = max(line.line for line in value.lines) + 1
            offer = replace(request.substitute, line=number, replaces=request.quantities[0][0])
            step = replace(step, offer=offer)
        return taken(value, step).order

    def _stop(self, connection: Connection, orders: Collection[str], sku: str) -> Stop:
        """Raises `Rejected` for a product that none of these orders wants, and for an order that the hub may still give
        to another store."""
        for order_id in orders:
            row = read_row(connection, order_id)
            if row is not None and row.awaits_hub:
                raise Rejected(_unconfirmed(order_id))
        found = next((stop for stop in self._of_orders(connection, orders).stops if stop.sku == sku), None)
        if found is None:
            raise Rejected(f"{sku} is not on this list")
        return found

    def _of_orders(self, connection: Connection, orders: Collection[str]) -> PickList:
        """These orders as a list; one that stands on no list gets the place that it has, or the first that is free."""
        known = {row.order_id: row for row in _rows(connection)}
        rows = [known.get(order_id) or _Row(order_id, "", "", 0, 1, self._place_of(connection, order_id))
                for order_id in orders]
        return self._list(connection, rows)

    def _list(self, connection: Connection, rows: Iterable[_Row]) -> PickList:
        orders = []
        for row in sorted(rows, key=lambda row: row.tote):
            value, customer, shipped = self._seen(connection, row.order_id)
            orders.append(ListedOrder(value, row.tote, row.place, customer, shipped))
        skus = {line.sku for order in orders for line in order.value.lines}
        found = stops(orders, places_of(connection, skus))
        return PickList(next((row.list_id for row in rows), ""), tuple(orders), tuple(found))

    def _seen(self, connection: Connection, order_id: str) -> tuple[PickupOrder, str, bool]:
        """The order as people see it, whose it is, and whether a carrier brings it. Raises `Rejected`."""
        found = self._desk.order_now(connection, order_id)
        if found is None:
            raise Rejected(f"no order {order_id} in this store")
        value, _, _ = self._desk.planned.seen(connection, *found)
        return value, self._desk.customer(connection, found[0]), found[0].is_shipped

    def _place_of(self, connection: Connection, order_id: str) -> str:
        row = read_row(connection, order_id)
        return row.place if row and row.place else next(iter(self._free(connection, order_id)), "")

    def _free(self, connection: Connection, order_id: str = "") -> list[str]:
        used = {place for place, other in connection.execute(LEDGER.places_in_use).fetchall() if other != order_id}
        used |= {row.place for row in _rows(connection) if row.order_id != order_id and self._holds(connection, row)}
        return [place.name for place in self.places if place.name not in used]

    def _holds(self, connection: Connection, row: _Row) -> bool:
        """Whether an order on a list still needs its place."""
        found = self._desk.order_now(connection, row.order_id)
        return found is not None and state_of(found[1]) not in FINAL

    def _start(self, connection: Connection, list_id: str, actor: str, wanted: Iterable[str], *, is_one: bool) -> None:
        """Rows of orders that nobody has to do anything with any more go; what is wanted becomes this person's."""
        rows = {row.order_id: row for row in _rows(connection)}
        mine = []
        for row in list(rows.values()):
            found = self._desk.order_now(connection, row.order_id)
            value = self._desk.planned.seen(connection, *found)[0] if found else None
            if value is None or state_of(value) in FINAL:
                connection.execute(LEDGER.leave_pick_list_order, (row.order_id,))
                del rows[row.order_id]
            elif found is not None and row.actor == actor and has_work(value, is_shipped=found[0].is_shipped):
                mine.append(row)
            elif row.actor == actor:
                rows[row.order_id] = self._let_go(connection, row) or row
        if mine and not is_one:
            return
        began_ms, list_id = (mine[0].began_ms, mine[0].list_id) if mine else (self._store.clock.wall_ms(), list_id)
        totes = {row.tote for row in mine}
        free = self._free(connection)
        for order_id in wanted:
            found = self._desk.order_now(connection, order_id)
            if len(totes) >= PICK_LIST_ORDERS_MAX and order_id not in {row.order_id for row in mine}:
                break
            if found is not None and found[0].awaits_hub and is_one:
                raise Rejected(_unconfirmed(order_id))
            if found is None or found[0].awaits_hub or not is_to_pick(self._desk.planned.seen(connection, *found)[0]):
                continue
            before = rows.get(order_id)
            place = before.place if before and before.place else found[0].place
            if not place and free:
                place = free.pop(0)
            tote = next(number for number in range(1, PICK_LIST_ORDERS_MAX + 2) if number not in totes)
            totes.add(tote)
            connection.execute(LEDGER.put_pick_list, (order_id, list_id, actor, began_ms, tote, place))

    def _let_go(self, connection: Connection, row: _Row) -> _Row | None:
        """Nobody picks the order now; if goods of it are in its tote, that stays where it is."""
        found = self._desk.order_now(connection, row.order_id)
        value = self._desk.planned.seen(connection, *found)[0] if found else None
        if value is None or state_of(value) in FINAL or not any(line.staged_milli for line in value.lines):
            connection.execute(LEDGER.leave_pick_list_order, (row.order_id,))
            return None
        connection.execute(LEDGER.put_pick_list, (row.order_id, row.list_id, "", row.began_ms, row.tote, row.place))
        return replace(row, actor="")

    def _is_stale(self, row: _Row) -> bool:
        return row.began_ms + PICK_LIST_STALE_S * 1000 <= self._store.clock.wall_ms()


def _rows(connection: Connection) -> list[_Row]:
    return [_Row(*row) for row in connection.execute(LEDGER.pick_lists).fetchall()]


def _unconfirmed(order_id: str) -> str:
    return f"order {order_id} is not confirmed to this store yet"


def _missing(portion: Portion, quantity_milli: int, actor: str, reason: ShortReason, instead: Quote | None
             ) -> StepRequest:
    """Goods that do not come, with another product offered to a customer who would take one."""
    request = StepRequest(portion.order_id, "", Step.SHORT, actor, short_reason=reason,
                          quantities=((portion.line, quantity_milli),))
    if instead is None or not portion.may_substitute:
        return request
    price_minor = min(instead.charge_minor, portion.price_minor)
    return replace(request, step=Step.OFFER, substitute=Line(0, instead.sku, quantity_milli, price_minor))


def _price_minor(stop: Stop) -> int:
    """What customers who still wait for it paid per unit at least."""
    return min((portion.price_minor for portion in stop.portions if portion.left_milli), default=0)
