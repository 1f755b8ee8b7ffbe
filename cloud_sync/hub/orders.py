"""Online orders: what the hub owns of them. The store's own steps are read from its ledger, never written here.

The order stands as a document of the store's `orders` feed, its person and pickup code sealed apart; its revision is
the document's version. Every request here may be sent again without harm.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import msgspec
import sqlalchemy as sa

from cloud_sync.contract.documents import (
    Address,
    Order,
    OrderLine,
    OrderMethod,
    ParcelLabel,
    Person,
    SubstituteAnswer,
)
from cloud_sync.contract.feeds import Feed
from cloud_sync.contract.parcels import label_refusal
from cloud_sync.contract.pickup import FINAL, PickupState
from cloud_sync.hub import people, schema
from cloud_sync.hub.catalogue import text_mistakes
from cloud_sync.hub.database import Database
from cloud_sync.hub.errors import Conflict, NotFound, Rejected
from cloud_sync.hub.feeds import FeedId, put_documents, read_documents
from cloud_sync.hub.happenings import order_placed
from cloud_sync.hub.limits import INTEGER_MAX, KEY_MAX_CHARS, MINOR_MAX, ORDER_LINES_MAX, QUANTITY_MAX_MILLI
from cloud_sync.hub.offers import lose_offer
from cloud_sync.hub.outbox import tell
from cloud_sync.hub.parcels import read_parcels
from cloud_sync.hub.people import Collector
from cloud_sync.hub.rows import insert_rows
from cloud_sync.hub.secrets import mint_pickup_code
from cloud_sync.hub.stores import lock_store, read_zone

PICKUP_CODE_MIN_CHARS = 4
PICKUP_CODE_MAX_CHARS = 64
ADDRESS_LINES_MAX = 4

_encoder = msgspec.json.Encoder()
_order_decoder = msgspec.json.Decoder(Order)


class Placement(msgspec.Struct, frozen=True):
    """`PUT /v1/stores/{store}/orders/{order_id}`: what a commerce system says about an order.

    Lines and currency never change once placed. A field left out keeps what stands: `person`, `pickup_code` (the hub
    mints one for a new order), `notified_ms` (when the customer was told that it is ready), `placed_ms` (now).
    An order whose `method` is `ship` needs a person with an address.
    """

    lines: tuple[OrderLine, ...]
    currency: str
    placed_ms: int | None = None
    person: Person | None = None
    pickup_code: str = ""
    notified_ms: int | None = None
    method: OrderMethod = OrderMethod.PICKUP

    def __repr__(self) -> str:
        """Without person and code, so that no log line or traceback can hold them."""
        return f"Placement(lines={len(self.lines)})"


class CancelRequest(msgspec.Struct, frozen=True):
    """`POST …/cancel-request`: these lines, or without any the whole order."""

    lines: tuple[int, ...] = ()


class Arrival(msgspec.Struct, frozen=True):
    """`POST …/arrival`: the customer is here, at this bay. `arrived_ms`: when she said so, now if absent."""

    bay: str = ""
    arrived_ms: int | None = None


class ParcelLabelIn(msgspec.Struct, frozen=True):
    """`PUT …/parcels/{parcel}/label`: who carries it, and under which number."""

    carrier: str
    tracking: str
    service: str = ""


class ParcelStatus(msgspec.Struct, frozen=True):
    """A parcel as its store tells of it."""

    parcel: str
    number: int
    state: str
    weight_g: int
    carrier: str
    service: str
    tracking: str
    lines: tuple[tuple[int, int], ...]


class Placed(msgspec.Struct, frozen=True):
    """The answer: `changed` is false for a request sent again. The code is for the customer."""

    order_id: str
    revision: int
    pickup_code: str
    state: str
    changed: bool


class OrderStatus(msgspec.Struct, frozen=True):
    """The order without its person and code, and where the store says it is.

    `store_revision`: the revision the store's last step knew, 0 before its first.
    """

    order: Order
    state: str
    step: str
    reason: str
    store_revision: int
    occurred_ms: int | None
    parcels: tuple[ParcelStatus, ...] = ()


@dataclass(slots=True)
class Orders:
    """Orders in the database; one transaction per call."""

    database: Database

    def place(self, store: str, order_id: str, placement: Placement) -> Placed:
        """Write an order or what is new about it. Raises `Rejected`, or `Conflict` for other lines than placed."""
        mistakes = tuple(placement_mistakes(order_id, placement))
        if mistakes:
            raise Rejected(mistakes[0], mistakes)
        database = self.database
        with database.transaction() as connection:
            lock_store(connection, store)
            standing = find_order(connection, store, order_id)
            if standing is None:
                placed_ms = database.now_ms() if placement.placed_ms is None else placement.placed_ms
                if problem := address_missing(placement):
                    raise Rejected(problem)
                standing = Order(order_id, 0, placed_ms, placement.lines, placement.currency, database.mint(),
                                 method=placement.method.value)
            elif (standing.lines, standing.currency, standing.method) != (
                    placement.lines, placement.currency, placement.method):
                raise Conflict(f"order {order_id!r} was placed with other lines: cancel it and place a new one")
            collector, resealed = self._collector(connection, store, standing, placement)
            notified_ms = standing.notified_ms if placement.notified_ms is None else placement.notified_ms
            wanted = msgspec.structs.replace(standing, notified_ms=notified_ms)
            order, changed = write_order(connection, store, standing, wanted, resealed)
            status = order_status(connection, store, order)
            if not standing.revision and status.occurred_ms is None:
                await_answer(connection, store, order)
                tell(connection, database, store, [
                    order_placed(store, order_id, status.state, order.revision, database.now_ms())])
            return Placed(order_id, order.revision, collector.pickup_code, status.state, changed)

    def request_cancel(self, store: str, order_id: str, lines: tuple[int, ...] = ()) -> OrderStatus:
        """Ask the store to cancel lines, or everything; whether it still can is the store's to say.

        Raises `NotFound`, or `Rejected` for a line that was not ordered.
        """
        def cancelled(order: Order) -> Order:
            if not lines:
                return msgspec.structs.replace(order, cancel_requested=True)
            if unknown := set(lines) - {line.line for line in order.lines}:
                raise Rejected(f"order {order_id!r} has no line {min(unknown)}")
            return msgspec.structs.replace(order, cancel_lines=tuple(sorted({*order.cancel_lines, *lines})))
        return self._say(store, order_id, cancelled)

    def arrive(self, store: str, order_id: str, arrival: Arrival) -> OrderStatus:
        """The customer is here. The same bay again is no news. Raises `NotFound`, `Rejected`."""
        arrived_ms = self.database.now_ms() if arrival.arrived_ms is None else arrival.arrived_ms
        mistakes = [*text_mistakes({"bay": arrival.bay}, KEY_MAX_CHARS),
                    *([] if 0 <= arrived_ms <= INTEGER_MAX else ["arrived_ms is not a time"])]
        if mistakes:
            raise Rejected(mistakes[0], tuple(mistakes))

        def arrived(order: Order) -> Order:
            if order.arrived_ms is not None and (order.bay == arrival.bay or order.arrived_ms >= arrived_ms):
                return order
            return msgspec.structs.replace(order, arrived_ms=arrived_ms, bay=arrival.bay)
        return self._say(store, order_id, arrived)

    def answer(self, store: str, order_id: str, answer: SubstituteAnswer) -> OrderStatus:
        """What the customer says about a substitute; her first answer stands. Raises `NotFound`, or `Rejected` for a
        line that she ordered herself, or when there are too many answers."""
        def answered(order: Order) -> Order:
            if any(known.line == answer.line for known in order.answers):
                return order
            if any(line.line == answer.line for line in order.lines) or len(order.answers) >= ORDER_LINES_MAX:
                raise Rejected(f"line {answer.line} of order {order_id!r} is no substitute")
            return msgspec.structs.replace(order, answers=(*order.answers, answer))
        return self._say(store, order_id, answered)

    def label_parcel(self, store: str, order_id: str, parcel_id: str, label: ParcelLabelIn) -> OrderStatus:
        """Give a parcel that the store packed its carrier and number; the last word counts until it has left. Raises
        `NotFound`, or `Rejected` for a parcel that the store did not tell of, or a label that is none."""
        with self.database.transaction() as connection:
            lock_store(connection, store)
            standing = _need(connection, store, order_id)
            parcel = read_parcels(connection, store, [order_id]).get((order_id, parcel_id))
            if parcel is None:
                raise NotFound(f"store {store!r} has told of no parcel {parcel_id!r} of order {order_id!r}")
            if why_not := label_refusal(parcel, label.carrier, label.service, label.tracking):
                raise Rejected(why_not)
            given = ParcelLabel(parcel_id, label.carrier, label.tracking, label.service)
            labels = (*(one for one in standing.labels if one.parcel_id != parcel_id), given)
            wanted = standing if given in standing.labels else msgspec.structs.replace(standing, labels=labels)
            order, _ = write_order(connection, store, standing, wanted)
            return order_status(connection, store, order)

    def reassign(self, store: str, order_id: str) -> OrderStatus:
        """Another store has the order now; this one puts back what it picked. Where the hub had found this store, it
        looks for the next (`sourcing`). Raises `NotFound`."""
        with self.database.transaction() as connection:
            lock_store(connection, store)
            standing = _need(connection, store, order_id)
            order, _ = write_order(connection, store, standing, msgspec.structs.replace(standing, reassigned=True))
            lose_offer(connection, store, order_id, self.database.now_ms())
            return order_status(connection, store, order)

    def _say(self, store: str, order_id: str, change: Callable[[Order], Order]) -> OrderStatus:
        """Something new about an order, as its next revision; nothing new makes none."""
        with self.database.transaction() as connection:
            lock_store(connection, store)
            standing = _need(connection, store, order_id)
            order, _ = write_order(connection, store, standing, change(standing))
            return order_status(connection, store, order)

    def status(self, store: str, order_id: str) -> OrderStatus:
        """Raises `NotFound`."""
        with self.database.transaction() as connection:
            read_zone(connection, store)
            return order_status(connection, store, _need(connection, store, order_id))

    def _collector(self, connection: sa.Connection, store: str, order: Order,
                   placement: Placement) -> tuple[Collector, bool]:
        """Who collects now, and whether that is news."""
        known = people.recall(connection, self.database.sealer, store, [order.person_id]).get(order.person_id)
        if order_status(connection, store, order).state in FINAL:  # what is to be erased is not taken in again
            return known or Collector(None, ""), False
        code = placement.pickup_code or (known.pickup_code if known else mint_pickup_code(self.database.random_bytes))
        collector = Collector(placement.person or (known.person if known else None), code)
        if collector == known:
            return collector, False
        people.keep(connection, self.database, store, order.person_id, collector)
        return collector, True


def placement_mistakes(order_id: str, placement: Placement) -> Iterator[str]:
    """What is wrong with it."""
    yield from text_mistakes({"order_id": order_id}, KEY_MAX_CHARS, filled=True)
    yield from text_mistakes({f"sku of line {line.line}": line.sku for line in placement.lines}, KEY_MAX_CHARS,
                             filled=True)
    if not (len(placement.currency) == 3 and placement.currency.isascii() and placement.currency.isupper()):
        yield "currency is not three capital letters"
    if not 1 <= len(placement.lines) <= ORDER_LINES_MAX:
        yield f"{len(placement.lines)} lines, not 1 to {ORDER_LINES_MAX}"
    if len({line.line for line in placement.lines}) != len(placement.lines):
        yield "two lines have the same number"
    for line in placement.lines:
        if not (0 < line.quantity_milli <= QUANTITY_MAX_MILLI and 0 <= line.price_minor <= MINOR_MAX):
            yield f"line {line.line}: quantity or price is out of bounds"
    if placement.pickup_code and not PICKUP_CODE_MIN_CHARS <= len(placement.pickup_code) <= PICKUP_CODE_MAX_CHARS:
        yield f"pickup_code has not {PICKUP_CODE_MIN_CHARS} to {PICKUP_CODE_MAX_CHARS} characters"
    if placement.person is not None and placement.person.address is not None:
        yield from _address_mistakes(placement.person.address)
    for name, time_ms in (("placed_ms", placement.placed_ms), ("notified_ms", placement.notified_ms)):
        if time_ms is not None and not 0 <= time_ms <= INTEGER_MAX:
            yield f"{name} is not a time"


def address_missing(placement: Placement) -> str:
    """Why a new order cannot be sent; an empty text if it can, or is collected."""
    if placement.method is OrderMethod.SHIP and (placement.person is None or placement.person.address is None):
        return "an order that is shipped needs a person with an address"
    return ""


def _address_mistakes(address: Address) -> Iterator[str]:
    """None of them repeats what the address says."""
    texts = {"city": address.city, "postcode": address.postcode, "region": address.region, "phone": address.phone}
    texts |= {f"address line {number}": line for number, line in enumerate(address.lines, start=1)}
    yield from text_mistakes(texts, KEY_MAX_CHARS)
    if not 1 <= len(address.lines) <= ADDRESS_LINES_MAX or not address.city.strip():
        yield f"an address has a city and 1 to {ADDRESS_LINES_MAX} lines"
    if not (len(address.country) == 2 and address.country.isascii() and address.country.isupper()):
        yield "the country of an address is two capital letters"


def find_order(connection: sa.Connection, store: str, order_id: str) -> Order | None:
    """The order as it stands in the store's feed."""
    document = read_documents(connection, FeedId(Feed.ORDERS, store), [order_id]).get(order_id)
    return _order_decoder.decode(document.doc) if document and document.doc else None


def _need(connection: sa.Connection, store: str, order_id: str) -> Order:
    order = find_order(connection, store, order_id)
    if order is None:
        raise NotFound(f"store {store!r} has no order {order_id!r}")
    return order


def write_order(connection: sa.Connection, store: str, standing: Order, wanted: Order,
                resealed: bool = False) -> tuple[Order, bool]:
    """Give the order its next revision when anything about it changed."""
    if wanted == standing and standing.revision and not resealed:
        return standing, False
    order = msgspec.structs.replace(wanted, revision=standing.revision + 1)
    put_documents(connection, FeedId(Feed.ORDERS, store), {order.order_id: _encoder.encode(order)})
    return order, True


def await_answer(connection: sa.Connection, store: str, order: Order) -> None:
    """Nobody else is offered these goods meanwhile."""
    asked = Counter[str]()
    for line in order.lines:
        asked[line.sku] += line.quantity_milli
    insert_rows(connection, schema.unanswered_line, [
        {"store_id": store, "order_id": order.order_id, "sku": sku, "quantity_milli": min(milli, QUANTITY_MAX_MILLI)}
        for sku, milli in sorted(asked.items())])


def order_status(connection: sa.Connection, store: str, order: Order) -> OrderStatus:
    """The order with what its store says of it."""
    table = schema.pickup
    row = connection.execute(sa.select(table).where(
        table.c.store_id == store, table.c.order_id == order.order_id)).one_or_none()
    if row is None:
        return OrderStatus(order, PickupState.PLACED, "", "", 0, None)
    parcels = read_parcels(connection, store, [order.order_id]) if order.method == OrderMethod.SHIP else {}
    return OrderStatus(order, row.state, row.step, row.reason, row.order_revision, row.occurred_ms, tuple(
        ParcelStatus(one.parcel_id, one.number, one.state, one.weight_g, one.carrier, one.service, one.tracking,
                     one.lines) for one in sorted(parcels.values(), key=lambda each: each.number)))
