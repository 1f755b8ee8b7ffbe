"""Offers as their stores' rows: what a store's ledger says becomes of them. Within the caller's transaction, which
holds the store's lock. What follows for the order is `sourcing`'s to do: here it is only woken.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import sqlalchemy as sa

from cloud_sync.contract.facts import PickupStep
from cloud_sync.contract.ledger import Place
from cloud_sync.contract.pickup import handed_over_rank
from cloud_sync.hub import schema
from cloud_sync.hub.database import in_groups
from cloud_sync.hub.sourcing_rule import OfferState, has_left, heard, is_told

_OFFER, _SOURCING = schema.order_offer, schema.sourcing


@dataclass(frozen=True, slots=True)
class Offer:
    """A row of `order_offer`."""

    store: str
    order_id: str
    zone: str
    number: int
    state: OfferState
    accept_by_ms: int
    confirmed_revision: int


def read_offers(connection: sa.Connection, store: str, order_ids: Sequence[str]) -> dict[str, Offer]:
    """What this store was offered of these orders."""
    found = {}
    for group in in_groups(order_ids):
        for row in connection.execute(sa.select(_OFFER).where(
                _OFFER.c.store_id == store, _OFFER.c.order_id.in_(group))):
            found[row.order_id] = Offer(row.store_id, row.order_id, row.zone_id, row.offer, OfferState(row.state),
                                        row.accept_by_ms, row.confirmed_revision)
    return found


def set_offer(connection: sa.Connection, store: str, order_id: str, **values: object) -> None:
    """Change a store's offer."""
    connection.execute(_OFFER.update().where(_OFFER.c.store_id == store, _OFFER.c.order_id == order_id), values)


def lose_offer(connection: sa.Connection, store: str, order_id: str, now_ms: int) -> None:
    """The store has it no longer, because somebody decided so; nothing for an order that it was not offered, nor for
    one of which goods have left: nobody else is to bring these a second time."""
    offer = read_offers(connection, store, [order_id]).get(order_id)
    held = offer is not None and offer.state in (OfferState.OPEN, OfferState.TAKEN)
    if offer is not None and held and not some_left(connection, store, order_id):
        set_offer(connection, store, order_id, state=OfferState.LOST.value)
        _wake(connection, offer, now_ms)


def some_left(connection: sa.Connection, store: str, order_id: str) -> bool:
    """Whether the store told of goods of the order that left."""
    table = schema.pickup
    state = connection.execute(sa.select(table.c.state).where(
        table.c.store_id == store, table.c.order_id == order_id)).scalar()
    return state is not None and handed_over_rank(str(state)) > 0


@dataclass(frozen=True, slots=True)
class OffersHeard:
    """What the steps of one push do to offers, worked out before anything is written. `untold`: places of steps that
    nobody outside hears of; `left`: lost orders of which goods left all the same."""

    before: dict[str, Offer]
    after: dict[str, Offer]
    untold: frozenset[Place]
    left: frozenset[str]

    @classmethod
    def of(cls, connection: sa.Connection, store: str, steps: Sequence[tuple[Place, PickupStep]]) -> "OffersHeard":
        """`steps`: in the ledger's order, with their places."""
        before = read_offers(connection, store, sorted({step.order_id for _, step in steps})) if steps else {}
        after, untold, left = dict(before), set[Place](), set[str]()
        for place, step in steps:
            offer = after.get(step.order_id)
            if offer is None:
                continue
            state = heard(offer.state, offer.confirmed_revision, step)
            if not is_told(offer.state, state, step):
                untold.add(place)
            if offer.state is OfferState.LOST and has_left(step):
                left.add(step.order_id)
            after[step.order_id] = replace(offer, state=state)
        return cls(before, after, frozenset(untold), frozenset(left))

    def write(self, connection: sa.Connection, now_ms: int) -> None:
        """Keep what changed and wake the search for its orders, in the order of their ids."""
        for order_id, offer in sorted(self.after.items()):
            if offer.state is not self.before[order_id].state:
                set_offer(connection, offer.store, order_id, state=offer.state.value)
                _wake(connection, offer, now_ms)
            if order_id in self.left:
                connection.execute(_SOURCING.update().where(
                    _SOURCING.c.zone_id == offer.zone, _SOURCING.c.order_id == order_id), {
                        "due_ms": now_ms, "left_store": offer.store})


def _wake(connection: sa.Connection, offer: Offer, now_ms: int) -> None:
    """Only the newest offer of an order moves it."""
    connection.execute(_SOURCING.update().where(
        _SOURCING.c.zone_id == offer.zone, _SOURCING.c.order_id == offer.order_id,
        _SOURCING.c.offer == offer.number), {"due_ms": now_ms})
