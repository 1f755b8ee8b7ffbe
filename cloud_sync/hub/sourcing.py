"""Orders that name no store: the hub offers each to one store after the other (the rules: `sourcing_rule`).

A step is one transaction. It locks the stores it is about, in the order of their names, and then the order; what was
seen without locks is looked at again under them, and another round begins where it has changed. So several hub
processes may do this at once, and one that dies in the middle leaves an order as it was before or after a step.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, tzinfo
from zoneinfo import ZoneInfo

import msgspec
import sqlalchemy as sa

from cloud_sync.contract.documents import Order, OrderLine, OrderMethod, Person
from cloud_sync.contract.feeds import Feed
from cloud_sync.contract.opening_hours import Calendar
from cloud_sync.contract.pickup_deadlines import accept_by_ms
from cloud_sync.hub import people, schema
from cloud_sync.hub.availability import stores_with
from cloud_sync.hub.database import Database
from cloud_sync.hub.errors import Conflict, NotFound, Rejected
from cloud_sync.hub.feeds import FeedId
from cloud_sync.hub.happenings import order_cancelled, order_offered, order_wanted
from cloud_sync.hub.limits import (
    OFFER_GRACE_S,
    OFFERS_MAX,
    SOURCED_AT_ONCE_MAX,
    SOURCED_SKUS_MAX,
    SOURCING_STEPS_MAX,
)
from cloud_sync.hub.offers import Offer, lose_offer, read_offers, set_offer, some_left
from cloud_sync.hub.orders import (
    Orders,
    OrderStatus,
    Placement,
    address_missing,
    await_answer,
    find_order,
    order_status,
    placement_mistakes,
    write_order,
)
from cloud_sync.hub.outbox import ORDERS_OF_ZONE, tell
from cloud_sync.hub.people import Collector, read_policy
from cloud_sync.hub.secrets import mint_pickup_code
from cloud_sync.hub.sessions import raise_alarm
from cloud_sync.hub.sourcing_rule import (
    SEARCHING,
    Candidate,
    Next,
    OfferState,
    SourcingState,
    Standing,
    next_step,
    ranked,
)
from cloud_sync.hub.stores import lock_store, read_zone

_TABLE = schema.sourcing
_encoder = msgspec.json.Encoder()
_order_decoder = msgspec.json.Decoder(Order)
_names_decoder = msgspec.json.Decoder(tuple[str, ...])

NOBODY_HAS_IT = "nobody-has-it"
OFFERS_USED_UP = "offers-used-up"
CANCELLED = "cancelled"
LEFT_ELSEWHERE = "left-elsewhere"


class OrderWish(msgspec.Struct, frozen=True):
    """`PUT /v1/orders/{order_id}`: an order for whichever store has it. Lines, currency and method never change.

    `store`: who is asked first if it has everything; with `only_store` nobody else. `notified_ms`: as in `Placement`.
    """

    lines: tuple[OrderLine, ...]
    currency: str
    placed_ms: int | None = None
    person: Person | None = None
    pickup_code: str = ""
    store: str = ""
    only_store: bool = False
    notified_ms: int | None = None
    method: OrderMethod = OrderMethod.PICKUP

    def __repr__(self) -> str:
        """Without person and code, so that no log line or traceback can hold them."""
        return f"OrderWish(lines={len(self.lines)})"


class ReassignTo(msgspec.Struct, frozen=True):
    """`POST /v1/orders/{order_id}/reassignment`: to this store, or to whichever is next."""

    store: str = ""


class Sourced(msgspec.Struct, frozen=True):
    """How the search stands. `store`: who was asked last, as the `offer`-th of at most `offers_max`; `tried`: all.

    `reason`: why it was cancelled. `status`: what that store says of it.
    """

    order_id: str
    state: str
    store: str
    offer: int
    offers_max: int
    tried: tuple[str, ...]
    accept_by_ms: int | None
    reason: str
    pickup_code: str
    status: OrderStatus | None
    changed: bool = False


@dataclass(frozen=True, slots=True)
class _Row:
    """A row of `sourcing`, with the offer of its store."""

    zone: str
    order_id: str
    state: SourcingState
    store: str
    number: int
    offers_max: int
    due_ms: int
    cancel_requested: bool
    wished: str
    only_wished: bool
    tried: tuple[str, ...]
    left_store: str
    reason: str
    order: Order
    offer: Offer | None

    @property
    def standing(self) -> Standing:
        offer = self.offer
        return Standing(
            self.state, offer.state if offer else None, self.cancel_requested, bool(self.left_store),
            bool(offer and offer.confirmed_revision), offer.accept_by_ms + 1000 * OFFER_GRACE_S if offer else 0)


@dataclass(slots=True)
class Sourcings:
    """Orders of a zone, by their ids. `orders`: what is said to the store that has one."""

    database: Database
    orders: Orders

    def place(self, zone: str, order_id: str, wish: OrderWish) -> tuple[Sourced, frozenset[str]]:
        """Take an order and ask the first store. Sent again it changes nothing. Returns also whose feeds have grown.

        Raises `Rejected`, or `Conflict` for other lines than placed.
        """
        mistakes = tuple(_mistakes(order_id, wish))
        if mistakes:
            raise Rejected(mistakes[0], mistakes)
        try:
            new = self._write_down(zone, order_id, wish)
        except sa.exc.IntegrityError:  # somebody else placed it in this very moment
            new = self._write_down(zone, order_id, wish)
        grown = self.advance(zone, order_id)
        if not new and wish.notified_ms is not None:
            grown |= self._tell_notified(zone, order_id, wish)
        return msgspec.structs.replace(self.status(zone, order_id), changed=new), grown

    def status(self, zone: str, order_id: str) -> Sourced:
        """Raises `NotFound`."""
        database = self.database
        with database.transaction() as connection:
            row = _need(connection, zone, order_id)
            standing = find_order(connection, row.store, order_id) if row.store else None
            owner = ORDERS_OF_ZONE + zone
            known = people.recall(connection, database.sealer, owner, [row.order.person_id]).get(row.order.person_id)
            return Sourced(
                order_id, row.state, row.store, row.number, row.offers_max, row.tried,
                row.offer.accept_by_ms if row.offer else None, row.reason, known.pickup_code if known else "",
                order_status(connection, row.store, standing) if standing else None)

    def request_cancel(self, zone: str, order_id: str, lines: tuple[int, ...] = ()) -> tuple[Sourced, frozenset[str]]:
        """Cancel lines, or everything: no store is asked any more, and who has it is told.

        Raises `NotFound`, or `Rejected` for a line that was not ordered.
        """
        with self.database.transaction() as connection:
            row = _need(connection, zone, order_id, lock=True)
            if unknown := set(lines) - {line.line for line in row.order.lines}:
                raise Rejected(f"order {order_id!r} has no line {min(unknown)}")
            cancelled = {*row.order.cancel_lines, *lines}
            whole = not lines or cancelled >= {line.line for line in row.order.lines}
            order = msgspec.structs.replace(row.order, cancel_lines=tuple(sorted(cancelled)))
            searching = row.state in SEARCHING
            _set(connection, row, doc=_encoder.encode(order), cancel_requested=row.cancel_requested or whole,
                 **({"due_ms": self.database.now_ms()} if searching and whole else {}))
        grown: frozenset[str] = frozenset()
        has_it = row.offer is not None and row.offer.state is not OfferState.LOST
        if has_it and not (whole and searching):
            self.orders.request_cancel(row.store, order_id, () if whole else lines)
            grown = frozenset({row.store})
        return self._after(zone, order_id, grown)

    def reassign(self, zone: str, order_id: str, to: str = "") -> tuple[Sourced, frozenset[str]]:
        """A person takes it from the store that has it; `to` is asked next. Raises `NotFound`, `Rejected`."""
        with self.database.transaction() as connection:
            seen = _need(connection, zone, order_id)
            if to and (read_zone(connection, to) != zone or to in seen.tried):
                raise Rejected(f"store {to!r} cannot be asked for order {order_id!r}")
            if seen.store:
                lock_store(connection, seen.store)
            row = _need(connection, zone, order_id, lock=True)
            if row.store != seen.store or row.state not in SEARCHING:
                raise Conflict(f"order {order_id!r} is {row.state.value} at {row.store or 'no store'}: look again")
            if row.store and some_left(connection, row.store, order_id):
                raise Conflict(f"goods of order {order_id!r} have left store {row.store!r}: cancel what is left of it")
            _set(connection, row, offers_max=row.offers_max + 1, wished_store=to or row.wished,
                 only_wished=False, due_ms=self.database.now_ms())
            lose_offer(connection, row.store, order_id, self.database.now_ms())
        return self._after(zone, order_id, frozenset())

    def due(self) -> list[tuple[str, str]]:
        """Zone and order of what is to be looked after now, at most `SOURCED_AT_ONCE_MAX`, the oldest first."""
        with self.database.reading() as connection:
            rows = connection.execute(sa.select(_TABLE.c.zone_id, _TABLE.c.order_id).where(
                _TABLE.c.due_ms > 0, _TABLE.c.due_ms <= self.database.now_ms()).order_by(
                _TABLE.c.due_ms, _TABLE.c.zone_id, _TABLE.c.order_id).limit(SOURCED_AT_ONCE_MAX))
            return [(zone, order_id) for zone, order_id in rows]

    def advance(self, zone: str, order_id: str) -> frozenset[str]:
        """Do what there is to do about an order now. Returns the stores whose orders feed has grown."""
        grown: set[str] = set()
        for _ in range(SOURCING_STEPS_MAX):
            with self.database.transaction() as connection:
                row = _need(connection, zone, order_id)
                now = self._next(row)
                candidate = self._candidate(connection, row) if now is Next.OFFER else None
            woken = 0 < row.due_ms <= self.database.now_ms()
            if now is not Next.WAIT or woken:
                grown |= self._step(row, candidate)
            if now is Next.WAIT:
                break
        return frozenset(grown)

    def _next(self, row: _Row) -> Next:
        return next_step(row.standing, self.database.now_ms())

    def _after(self, zone: str, order_id: str, grown: frozenset[str]) -> tuple[Sourced, frozenset[str]]:
        grown |= self.advance(zone, order_id)
        return msgspec.structs.replace(self.status(zone, order_id), changed=bool(grown)), grown

    def _write_down(self, zone: str, order_id: str, wish: OrderWish) -> bool:
        """Keep a new order, with nobody asked yet. Returns whether it is new."""
        database, now_ms = self.database, self.database.now_ms()
        with database.transaction() as connection:
            known = _find(connection, zone, order_id)
            if known is not None:
                if (known.order.lines, known.order.currency, known.order.method) != (
                        wish.lines, wish.currency, wish.method):
                    raise Conflict(f"order {order_id!r} was placed with other lines: cancel it and place a new one")
                return False
            if problem := address_missing(_placement(wish)):
                raise Rejected(problem)
            if wish.store and read_zone(connection, wish.store) != zone:
                raise Rejected(f"store {wish.store!r} is not in zone {zone!r}")
            order = Order(order_id, 0, now_ms if wish.placed_ms is None else wish.placed_ms, wish.lines, wish.currency,
                          database.mint(), method=wish.method.value)
            connection.execute(_TABLE.insert(), {
                "zone_id": zone, "order_id": order_id, "state": SourcingState.PLACED.value, "store_id": "", "offer": 0,
                "offers_max": OFFERS_MAX, "due_ms": now_ms, "cancel_requested": False, "wished_store": wish.store,
                "only_wished": wish.only_store, "tried": "[]", "left_store": "", "reason": "",
                "doc": _encoder.encode(order)})
            code = wish.pickup_code or mint_pickup_code(database.random_bytes)
            people.keep(connection, database, ORDERS_OF_ZONE + zone, order.person_id, Collector(wish.person, code))
            tell(connection, database, ORDERS_OF_ZONE + zone, [order_wanted(order_id, now_ms)])
        return True

    def _tell_notified(self, zone: str, order_id: str, wish: OrderWish) -> frozenset[str]:
        """The customer was told that it is ready: for the store that has it."""
        with self.database.transaction() as connection:
            store = _need(connection, zone, order_id).store
        if not store:
            return frozenset()
        placement = Placement(wish.lines, wish.currency, notified_ms=wish.notified_ms, method=wish.method)
        return frozenset({store}) if self.orders.place(store, order_id, placement).changed else frozenset()

    def _candidate(self, connection: sa.Connection, row: _Row) -> Candidate | None:
        """Who is asked next; `None` when nobody is left to ask. A store where an order of this name was placed by
        itself cannot be."""
        if row.number >= row.offers_max:
            return None
        return next((each for each in ranked(self._candidates(connection, row), row.wished)
                     if find_order(connection, each.store, row.order_id) is None), None)

    def _candidates(self, connection: sa.Connection, row: _Row) -> Iterator[Candidate]:
        """Stores not asked yet that have everything beside safety stock, staleness and orders not answered."""
        now_ms, policy = self.database.now_ms(), read_policy(connection, row.zone)
        only = [row.wished] if row.only_wished else []
        wanted = _wanted(self._doc(connection, row))
        for store, (spare_milli, zone_name) in stores_with(connection, row.zone, wanted, now_ms, only).items():
            answer_by = accept_by_ms(Calendar.of(policy, _time_zone(zone_name)), now_ms, policy.accept_within_s)
            if answer_by is not None and store not in row.tried:
                yield Candidate(store, answer_by, spare_milli)

    def _doc(self, connection: sa.Connection, row: _Row) -> Order:
        """The order with what was said of it to the store that had it."""
        there = find_order(connection, row.store, row.order_id) if row.store else None
        if there is None:
            return row.order
        lines = tuple(sorted({*row.order.cancel_lines, *there.cancel_lines}))
        everything = len(lines) == len(row.order.lines)
        return msgspec.structs.replace(row.order, cancel_lines=lines,
                                       cancel_requested=there.cancel_requested or everything)

    def _step(self, seen: _Row, candidate: Candidate | None) -> frozenset[str]:
        """One step under locks, or none when somebody was quicker or the candidate has it no longer."""
        stores = {store for store in (seen.store, seen.left_store, candidate.store if candidate else "") if store}
        with self.database.transaction() as connection:
            for store in sorted(stores):
                lock_store(connection, store)
            row = _need(connection, seen.zone, seen.order_id, lock=True)
            if row != seen:
                return frozenset()
            match self._next(row):
                case Next.OFFER if self._doc(connection, row).cancel_requested:
                    return self._cancel(connection, row, CANCELLED)
                case Next.OFFER if candidate is None:
                    return self._cancel(connection, row, OFFERS_USED_UP if row.number >= row.offers_max
                                        else NOBODY_HAS_IT)
                case Next.OFFER:
                    assert candidate is not None
                    return self._offer(connection, row, candidate)
                case Next.CONFIRM:
                    return self._confirm(connection, row)
                case Next.HAND_CANCEL_ON:
                    return self._hand_cancel_on(connection, row)
                case Next.CANCEL:
                    return self._cancel(connection, row, CANCELLED)
                case Next.SETTLE_LEFT:
                    return self._settle_left(connection, row)
                case Next.END:
                    self._end(connection, row, SourcingState.ENDED, row.reason)
                case Next.WAIT:  # woken for nothing: until an open offer lapses
                    is_open = row.state is SourcingState.OFFERED and row.standing.offer is OfferState.OPEN
                    _set(connection, row, due_ms=row.standing.lapses_ms if is_open else 0)
        return frozenset()

    def _offer(self, connection: sa.Connection, row: _Row, candidate: Candidate) -> frozenset[str]:
        """Take it from the store that lost it and ask the next, which then has the customer's name too."""
        database, store, now_ms = self.database, candidate.store, self.database.now_ms()
        order = self._doc(connection, row)
        still_has = store in stores_with(connection, row.zone, _wanted(order), now_ms, [store])
        if not still_has or find_order(connection, store, row.order_id) is not None:
            return frozenset()  # somebody else was promised it meanwhile (P5): another look finds the next
        grown = self._withdraw(connection, row)
        number = row.number + 1
        offered = msgspec.structs.replace(order, revision=0, offer=number, accept_by_ms=candidate.accept_by_ms,
                                          confirmed=False, reassigned=False)
        offered, _ = write_order(connection, store, offered, offered)
        await_answer(connection, store, offered)
        owner = ORDERS_OF_ZONE + row.zone
        known = people.recall(connection, database.sealer, owner, [order.person_id]).get(order.person_id)
        if known is not None:
            people.keep(connection, database, store, order.person_id, known)
        connection.execute(schema.order_offer.insert(), {
            "store_id": store, "order_id": row.order_id, "zone_id": row.zone, "offer": number,
            "state": OfferState.OPEN.value, "accept_by_ms": candidate.accept_by_ms, "confirmed_revision": 0})
        _set(connection, row, state=SourcingState.OFFERED.value, store_id=store, offer=number,
             due_ms=candidate.accept_by_ms + 1000 * OFFER_GRACE_S, doc=_encoder.encode(order),
             tried=_encoder.encode((*row.tried, store)).decode())
        tell(connection, database, owner, [order_offered(store, row.order_id, number, now_ms)])
        return grown | {store}

    def _withdraw(self, connection: sa.Connection, row: _Row) -> frozenset[str]:
        """The store that was asked last has it no longer: it hears so, and the hub forgets its copy of the customer."""
        standing = find_order(connection, row.store, row.order_id) if row.store else None
        if standing is None:
            return frozenset()
        _, changed = write_order(connection, row.store, standing, msgspec.structs.replace(standing, reassigned=True))
        set_offer(connection, row.store, row.order_id, state=OfferState.LOST.value)
        table = schema.unanswered_line
        connection.execute(table.delete().where(table.c.store_id == row.store, table.c.order_id == row.order_id))
        people.forget(connection, row.store, row.order.person_id)
        return frozenset({row.store} if changed else ())

    def _confirm(self, connection: sa.Connection, row: _Row) -> frozenset[str]:
        """The store's yes was heard in time: from now on it is its order."""
        standing = find_order(connection, row.store, row.order_id)
        assert standing is not None, "an offer stands with its order"
        order, _ = write_order(connection, row.store, standing, msgspec.structs.replace(standing, confirmed=True))
        set_offer(connection, row.store, row.order_id, confirmed_revision=order.revision)
        _set(connection, row, state=SourcingState.TAKEN.value, due_ms=0)
        return frozenset({row.store})

    def _hand_cancel_on(self, connection: sa.Connection, row: _Row) -> frozenset[str]:
        """Whether it still can be cancelled is its store's to say; nobody else is asked."""
        changed = _ask_to_cancel(connection, row.store, row.order_id)
        self._end(connection, row, SourcingState.CANCELLED, CANCELLED)
        return frozenset({row.store} if changed else ())

    def _cancel(self, connection: sa.Connection, row: _Row, reason: str) -> frozenset[str]:
        """No store has it."""
        grown = self._withdraw(connection, row)
        self._end(connection, row, SourcingState.CANCELLED, reason)
        tell(connection, self.database, ORDERS_OF_ZONE + row.zone, [
            order_cancelled(row.order_id, reason, self.database.now_ms())])
        return grown

    def _settle_left(self, connection: sa.Connection, row: _Row) -> frozenset[str]:
        """Goods left from a store that had lost the order: they have left (P6). Whoever has it now need not bring them
        a second time, and a person looks at the money."""
        grown = frozenset[str]()
        held = row.store and row.store != row.left_store and row.offer is not None and row.offer.state in (
            OfferState.OPEN, OfferState.TAKEN)
        if held and _ask_to_cancel(connection, row.store, row.order_id):
            grown = frozenset({row.store})
        raise_alarm(connection, row.left_store, (0, 0), LEFT_ELSEWHERE,
                    f"order {row.order_id} was handed over here although it had been given to another store; "
                    f"it was asked last of {row.store}", self.database.now_ms())
        reason = LEFT_ELSEWHERE if row.state in SEARCHING else row.reason
        state = SourcingState.ENDED if row.state in SEARCHING else row.state
        self._end(connection, row, state, reason)
        return grown

    def _end(self, connection: sa.Connection, row: _Row, state: SourcingState, reason: str) -> None:
        """The hub's own copy of the customer is not needed any more; the store's goes by the policy's time."""
        _set(connection, row, state=state.value, due_ms=0, reason=reason, left_store="")
        people.forget(connection, ORDERS_OF_ZONE + row.zone, row.order.person_id)


def _wanted(order: Order) -> Counter[str]:
    """How much of which product, without cancelled lines."""
    wanted = Counter[str]()
    for line in order.lines:
        if line.line not in order.cancel_lines:
            wanted[line.sku] += line.quantity_milli
    return wanted


def _mistakes(order_id: str, wish: OrderWish) -> Iterator[str]:
    yield from placement_mistakes(order_id, _placement(wish))
    if len({line.sku for line in wish.lines}) > SOURCED_SKUS_MAX:
        yield f"more than {SOURCED_SKUS_MAX} products: name the store"
    if wish.only_store and not wish.store:
        yield "only_store without a store"


def _placement(wish: OrderWish) -> Placement:
    return Placement(wish.lines, wish.currency, wish.placed_ms, wish.person, wish.pickup_code, wish.notified_ms,
                     wish.method)


def _find(connection: sa.Connection, zone: str, order_id: str, *, lock: bool = False) -> _Row | None:
    query = sa.select(_TABLE).where(_TABLE.c.zone_id == zone, _TABLE.c.order_id == order_id)
    row = connection.execute(query.with_for_update() if lock else query).one_or_none()
    if row is None:
        return None
    offer = read_offers(connection, row.store_id, [order_id]).get(order_id) if row.store_id else None
    return _Row(zone, order_id, SourcingState(row.state), row.store_id, row.offer, row.offers_max,
                row.due_ms, bool(row.cancel_requested), row.wished_store, bool(row.only_wished),
                _names_decoder.decode(row.tried), row.left_store, row.reason, _order_decoder.decode(bytes(row.doc)),
                offer)


def _need(connection: sa.Connection, zone: str, order_id: str, *, lock: bool = False) -> _Row:
    row = _find(connection, zone, order_id, lock=lock)
    if row is None:
        raise NotFound(f"zone {zone!r} has no order {order_id!r} for which a store is found")
    return row


def _set(connection: sa.Connection, row: _Row, **values: object) -> None:
    connection.execute(_TABLE.update().where(_TABLE.c.zone_id == row.zone, _TABLE.c.order_id == row.order_id), values)


def _ask_to_cancel(connection: sa.Connection, store: str, order_id: str) -> bool:
    standing = find_order(connection, store, order_id)
    assert standing is not None, "an offer stands with its order"
    return write_order(connection, store, standing, msgspec.structs.replace(standing, cancel_requested=True))[1]


def _time_zone(name: str) -> tzinfo:
    """A store that never said where it is counts by UTC."""
    try:
        return ZoneInfo(name) if name else UTC
    except (KeyError, ValueError, OSError):  # no such name, no name at all, a directory of that name
        return UTC


def orders_feed(store: str) -> FeedId:
    """The feed by which a store hears of its orders."""
    return FeedId(Feed.ORDERS, store)
