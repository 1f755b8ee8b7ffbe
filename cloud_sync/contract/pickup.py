"""The pickup's words: states, steps, who owns them, and why goods do not come (DESIGN.md section 9, retail.md 2.4).

What a step does to an order and to stock is in `pickup_order`; who may take it when, in `pickup_rules`; what
becomes of two steps taken without knowing of each other, in `pickup_lattice`. Everything else reads these.
"""

from enum import StrEnum


class PickupState(StrEnum):
    """Where an order is. `pickup_order.state_of` derives it; nobody sets it."""

    PLACED = "placed"
    ACCEPTED = "accepted"
    PICKING = "picking"
    AWAITING_SUBSTITUTION = "awaiting_substitution"
    STAGED = "staged"
    READY = "ready"
    PARTIALLY_HANDED_OVER = "partially_handed_over"
    HANDED_OVER = "handed_over"
    REJECTED = "rejected"
    CANCELLED = "cancelled"
    EXPIRED = "expired"
    NO_SHOW = "no_show"
    REFUSED = "refused"
    REASSIGNED = "reassigned"


class Step(StrEnum):
    """What the store does to an order; the store owns these facts.

    `REJECT`: nothing could be promised. `SHORT`: goods do not come, with a reason. `OFFER`: the same, and another
    product instead. `DECIDE`: the time for an answer to an offer ran out. `CANCEL`: on the hub's request.
    `REFUSE`: the customer would not take them. `PUT_BACK`: what nobody collects goes back to the shelf.
    """

    ACCEPT = "accept"
    REJECT = "reject"
    PICK = "pick"
    SHORT = "short"
    OFFER = "offer"
    DECIDE = "decide"
    STAGE = "stage"
    READY = "ready"
    HAND_OVER = "hand_over"
    REFUSE = "refuse"
    CANCEL = "cancel"
    EXPIRE = "expire"
    NO_SHOW = "no_show"
    PUT_BACK = "put_back"


class HubStep(StrEnum):
    """What the hub says about an order after it was placed; the hub owns these facts."""

    NOTIFY = "notify"
    ARRIVE = "arrive"
    ANSWER = "answer"
    REQUEST_CANCEL = "request_cancel"
    REASSIGN = "reassign"


class ShortReason(StrEnum):
    """Why units do not come, or come back; each has its own stock effect (retail.md section 2.1, HotWax's table)."""

    NOT_IN_STOCK = "not_in_stock"
    MISMATCH = "mismatch"
    DAMAGED = "damaged"
    WORN_DISPLAY = "worn_display"
    NO_VARIANCE = "no_variance"


class Destination(StrEnum):
    """What becomes of units that an order gives up. `GONE`: the book had them, the shelf has not."""

    SELLABLE = "sellable"
    QUARANTINE = "quarantine"
    GONE = "gone"


DESTINATIONS: dict[ShortReason, Destination] = {
    ShortReason.NOT_IN_STOCK: Destination.GONE,
    ShortReason.MISMATCH: Destination.GONE,
    ShortReason.DAMAGED: Destination.QUARANTINE,
    ShortReason.WORN_DISPLAY: Destination.QUARANTINE,
    ShortReason.NO_VARIANCE: Destination.SELLABLE,
}
"""`NOT_IN_STOCK` also writes off what the book still calls sellable: the shelf is empty."""

PHYSICAL = frozenset({Step.PICK, Step.SHORT, Step.HAND_OVER, Step.REFUSE, Step.PUT_BACK})
"""What happened to goods: never refused because the order changed meanwhile (P6)."""

WAY = (PickupState.PLACED, PickupState.ACCEPTED, PickupState.PICKING, PickupState.STAGED, PickupState.READY)
"""How far an order that goes well has come, before anything is handed over."""

FINAL = frozenset({PickupState.HANDED_OVER, PickupState.REJECTED, PickupState.CANCELLED, PickupState.EXPIRED,
                   PickupState.NO_SHOW, PickupState.REFUSED, PickupState.REASSIGNED})

_HANDED_OVER_RANK = {PickupState.HANDED_OVER.value: 2, PickupState.PARTIALLY_HANDED_OVER.value: 1}


def handed_over_rank(state: str) -> int:
    """Of two states that stand in two lives of a ledger the one with the higher rank holds: goods that left have
    left (P6). Takes any text, because a later store may know other states."""
    return _HANDED_OVER_RANK.get(state, 0)
