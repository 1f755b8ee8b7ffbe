"""What the hub tells other systems: CloudEvents 1.0, structured mode, JSON. Pure.

An event says which order or store and what became of it, and no more: no person, no code, no text that somebody typed.
Whoever wants to know more asks the hub, and so learns it as it is now (https://github.com/cloudevents/spec, v1.0.2).
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

import msgspec

from cloud_sync.contract.facts import ExceptionRaised, PickupStep, ReturnedLine
from cloud_sync.contract.parcels import Parcel
from cloud_sync.hub.times import rfc3339

MEDIA_TYPE = "application/cloudevents+json"
SPECIFICATION = "1.0"


class EventType(StrEnum):
    """Every type of event there is."""

    ORDER_PLACED = "trastienda.order.placed"
    ORDER_OFFERED = "trastienda.order.offered"
    ORDER_ACCEPTED = "trastienda.order.accepted"
    ORDER_REJECTED = "trastienda.order.rejected"
    ORDER_SHORT_PICKED = "trastienda.order.short_picked"
    ORDER_SUBSTITUTION_ASKED = "trastienda.order.substitution_asked"
    ORDER_READY = "trastienda.order.ready"
    ORDER_SHIPPED = "trastienda.order.shipped"
    ORDER_HANDED_OVER = "trastienda.order.handed_over"
    ORDER_REFUSED = "trastienda.order.refused"
    ORDER_CANCELLED = "trastienda.order.cancelled"
    ORDER_EXPIRED = "trastienda.order.expired"
    ORDER_NO_SHOW = "trastienda.order.no_show"
    ORDER_RETURNED = "trastienda.order.returned"
    ORDER_REFUND_REQUESTED = "trastienda.order.refund_requested"
    STORE_SILENT = "trastienda.store.silent"
    STORE_BACK = "trastienda.store.back"


TYPE_OF_STEP = {
    "accept": EventType.ORDER_ACCEPTED, "reject": EventType.ORDER_REJECTED, "short": EventType.ORDER_SHORT_PICKED,
    "offer": EventType.ORDER_SUBSTITUTION_ASKED, "ready": EventType.ORDER_READY,
    "hand_over": EventType.ORDER_HANDED_OVER, "refuse": EventType.ORDER_REFUSED, "cancel": EventType.ORDER_CANCELLED,
    "expire": EventType.ORDER_EXPIRED, "no_show": EventType.ORDER_NO_SHOW,
}
"""By the word of the step in the ledger: a store of a later version may know more of them, which are told to nobody."""

REFUND_REASONS = frozenset({"late-cancel"})
"""Exceptions of a store that ask for a customer's money back; `about` is the order."""


class OrderData(msgspec.Struct, frozen=True):
    """`revision`: which one of the hub's the order had for whoever took the step."""

    store: str
    order_id: str
    state: str = ""
    revision: int = 0


class SourcingData(msgspec.Struct, frozen=True):
    """An order for which the hub finds the store. `store` was asked as the `offer`-th; `reason`: why nobody has it."""

    order_id: str
    state: str
    store: str = ""
    offer: int = 0
    reason: str = ""


class LineData(msgspec.Struct, frozen=True, omit_defaults=True):
    """Units of a line, in thousandths. `line` 0: it is not known which; then `sku` says what."""

    line: int
    quantity_milli: int
    sku: str = ""


class ReturnData(msgspec.Struct, frozen=True):
    """Goods that are back at a store. `till_amount_minor`: what a till said of them; 0 for a return at the desk, where
    no money goes back."""

    store: str
    order_id: str
    lines: tuple[LineData, ...]
    till_amount_minor: int = 0


class ShippedData(msgspec.Struct, frozen=True):
    """A parcel went to its carrier. `state`: where the order is by that; more parcels may follow."""

    store: str
    order_id: str
    state: str
    revision: int
    parcel: str
    carrier: str
    service: str
    tracking: str
    lines: tuple[LineData, ...]


class StoreData(msgspec.Struct, frozen=True):
    """`last_seen`: RFC 3339."""

    store: str
    last_seen: str


Data = OrderData | SourcingData | ReturnData | ShippedData | StoreData


@dataclass(frozen=True, slots=True)
class Happening:
    """Something to be told. `subject`: the order or the store; events of one subject are told in order."""

    type: EventType
    subject: str
    occurred_ms: int
    data: Data


class CloudEvent(msgspec.Struct, frozen=True):
    """The attributes of the specification, section "Context Attributes", and the data."""

    specversion: str
    id: str
    source: str
    type: str
    subject: str
    time: str
    datacontenttype: str
    data: Data


_encoder = msgspec.json.Encoder()


def encode_event(event_id: str, store: str, happening: Happening, now_ms: int) -> bytes:
    """The body that is sent and signed, each time the same. A store's clock may be ahead of ours; the event is not."""
    occurred_ms = max(0, min(happening.occurred_ms, now_ms))
    source = "/v1/orders" if isinstance(happening.data, SourcingData) else f"/v1/stores/{store}"
    return _encoder.encode(CloudEvent(SPECIFICATION, event_id, source, happening.type.value,
                                      happening.subject, rfc3339(occurred_ms), "application/json", happening.data))


def order_placed(store: str, order_id: str, state: str, revision: int, now_ms: int) -> Happening:
    return Happening(EventType.ORDER_PLACED, order_id, now_ms, OrderData(store, order_id, state, revision))


def order_wanted(order_id: str, now_ms: int) -> Happening:
    """Placed without a store."""
    return Happening(EventType.ORDER_PLACED, order_id, now_ms, SourcingData(order_id, "placed"))


def order_offered(store: str, order_id: str, offer: int, now_ms: int) -> Happening:
    """A store is asked. What another one said of the order before does not count any more, unless goods left there."""
    return Happening(EventType.ORDER_OFFERED, order_id, now_ms, SourcingData(order_id, "offered", store, offer))


def order_cancelled(order_id: str, reason: str, now_ms: int) -> Happening:
    """No store has it, or will be asked. `reason` is one of the words of `sourcing`."""
    return Happening(EventType.ORDER_CANCELLED, order_id, now_ms, SourcingData(order_id, "cancelled", reason=reason))


def step_taken(store: str, step: PickupStep, occurred_ms: int, parcel: Parcel | None = None) -> Happening | None:
    """`None` for a step that nobody outside waits for. `parcel`: in which the goods left."""
    if parcel is not None:
        shipped = ShippedData(store, step.order_id, step.state, step.order_revision, parcel.parcel_id, parcel.carrier,
                              parcel.service, parcel.tracking,
                              tuple(LineData(line.line, line.quantity_milli) for line in step.lines))
        return Happening(EventType.ORDER_SHIPPED, step.order_id, occurred_ms, shipped)
    type_ = TYPE_OF_STEP.get(step.step)
    if type_ is None:
        return None
    data = OrderData(store, step.order_id, step.state, step.order_revision)
    return Happening(type_, step.order_id, occurred_ms, data)


def refund_requested(store: str, raised: ExceptionRaised, occurred_ms: int) -> Happening | None:
    """`None` for an exception that is about something else."""
    if raised.reason not in REFUND_REASONS:
        return None
    return Happening(EventType.ORDER_REFUND_REQUESTED, raised.about, occurred_ms, OrderData(store, raised.about))


def goods_returned(store: str, order_id: str, lines: Iterable[ReturnedLine], till_amount_minor: int,
                   occurred_ms: int) -> Happening:
    """They wait to be graded, whatever is owed for them."""
    data = ReturnData(store, order_id, tuple(LineData(line.line, line.quantity_milli, line.sku) for line in lines),
                      till_amount_minor)
    return Happening(EventType.ORDER_RETURNED, order_id, occurred_ms, data)


def refund_of_returns(store: str, order_id: str, refunds: Iterable[tuple[int, int]],
                      occurred_ms: int | None) -> Happening:
    """Each unit once. `occurred_ms`: of the newest return; `None` when it was heard before and its sale only now."""
    data = ReturnData(store, order_id, tuple(LineData(line, milli) for line, milli in refunds))
    return Happening(EventType.ORDER_REFUND_REQUESTED, order_id, _NOW if occurred_ms is None else occurred_ms, data)


_NOW = 2**62
"""Later than any clock: `encode_event` takes its own."""


def store_spoke(store: str, *, silent: bool, last_seen_ms: int, now_ms: int) -> Happening:
    """A store that was not heard of for long, or is heard of again."""
    type_ = EventType.STORE_SILENT if silent else EventType.STORE_BACK
    return Happening(type_, store, now_ms, StoreData(store, rfc3339(last_seen_ms)))
