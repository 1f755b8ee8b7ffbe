"""Which store gets an online order, and when it loses it again: the rules. Pure (DESIGN.md section 9, retail.md 2.4).

The hub offers an order to one store at a time. The store reserves and says so; the hub confirms; only then it is that
store's. A store that says no, or whose yes is not here when its time is over, loses the offer for good and the next
one is asked. The store gives up by itself what was not confirmed in time, so two stores never both have reason to pick.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from cloud_sync.contract.facts import PickupStep
from cloud_sync.contract.pickup import FINAL, PickupState, Step, handed_over_rank


class SourcingState(StrEnum):
    """Where the search is. `ENDED`: whatever comes now is between the store and the customer."""

    PLACED = "placed"
    OFFERED = "offered"
    TAKEN = "taken"
    CANCELLED = "cancelled"
    ENDED = "ended"


class OfferState(StrEnum):
    """What became of an offer at its store. `TAKEN`: it said yes; `OVER`: it brought the order to an end."""

    OPEN = "open"
    TAKEN = "taken"
    LOST = "lost"
    OVER = "over"


class Next(StrEnum):
    """What the hub does next about an order."""

    WAIT = "wait"
    OFFER = "offer"
    CONFIRM = "confirm"
    HAND_CANCEL_ON = "hand_cancel_on"
    CANCEL = "cancel"
    END = "end"
    SETTLE_LEFT = "settle_left"


SEARCHING = frozenset({SourcingState.PLACED, SourcingState.OFFERED, SourcingState.TAKEN})


@dataclass(frozen=True, slots=True)
class Standing:
    """An order as the hub has it. `offer`: of the store that was asked last, `None` before the first.

    `lapses_ms`: when an open offer is taken back; `has_left`: goods of it left from a store that had lost it.
    """

    state: SourcingState
    offer: OfferState | None
    cancel_requested: bool = False
    has_left: bool = False
    confirmed: bool = False
    lapses_ms: int = 0


def next_step(standing: Standing, now_ms: int) -> Next:
    """The one thing to do now. Physical facts first (P6), then the customer's wish, then the search."""
    if standing.has_left:
        return Next.SETTLE_LEFT
    if standing.state not in SEARCHING:
        return Next.WAIT
    held = standing.offer in (OfferState.OPEN, OfferState.TAKEN)
    if standing.cancel_requested:
        return Next.HAND_CANCEL_ON if held or standing.offer is OfferState.OVER else Next.CANCEL
    match standing.offer:
        case None | OfferState.LOST:
            return Next.OFFER
        case OfferState.OVER:
            return Next.END
        case OfferState.TAKEN:
            return Next.WAIT if standing.confirmed else Next.CONFIRM
        case OfferState.OPEN:
            return Next.OFFER if now_ms >= standing.lapses_ms else Next.WAIT


def heard(offer: OfferState, confirmed_revision: int, step: PickupStep) -> OfferState:
    """What a step of the store makes of its offer. A late yes does not bring a lost one back.

    An order that a store gave up without knowing that it was confirmed (its revision tells) is lost to it; one that it
    gave up knowing so had waited for its customer in vain, and is over.
    """
    if offer in (OfferState.LOST, OfferState.OVER):
        return offer
    knew = 0 < confirmed_revision <= step.order_revision
    if step.state == PickupState.REJECTED or (step.step == Step.EXPIRE and not knew):
        return OfferState.LOST
    return OfferState.OVER if step.state in FINAL else OfferState.TAKEN


def is_told(before: OfferState, after: OfferState, step: PickupStep) -> bool:
    """Whether others hear of the step: of a store that does not have the order only that goods left (P6)."""
    return after is not OfferState.LOST or (before is OfferState.LOST and has_left(step))


def has_left(step: PickupStep) -> bool:
    """Whether goods left the store with this step."""
    return step.step == Step.HAND_OVER and handed_over_rank(step.state) > 0


@dataclass(frozen=True, slots=True)
class Candidate:
    """A store that has everything. `spare_milli`: what it keeps of the product that it then has least of."""

    store: str
    accept_by_ms: int
    spare_milli: int


def ranked(candidates: Iterable[Candidate], wished: str) -> list[Candidate]:
    """The wished store first; then who has to answer soonest, because it opens soonest; then who keeps most; then by
    name, so that everybody comes to the same."""
    return sorted(candidates, key=lambda each: (each.store != wished, each.accept_by_ms, -each.spare_milli, each.store))
