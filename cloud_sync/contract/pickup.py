"""The pickup's states and steps, and who owns them (DESIGN.md section 9). One table; everything else reads it.

A request carries the state it expects; a physical fact is never refused for it (P6).
"""

from dataclasses import dataclass
from enum import StrEnum


class PickupState(StrEnum):
    PLACED = "placed"
    ACCEPTED = "accepted"
    PICKING = "picking"
    STAGED = "staged"
    READY = "ready"
    HANDED_OVER = "handed_over"
    REJECTED = "rejected"
    CANCELLED = "cancelled"


class Step(StrEnum):
    """What the store does to an order. `REJECT`: nothing could be promised; `CANCEL`: on the hub's request."""

    ACCEPT = "accept"
    REJECT = "reject"
    PICK = "pick"
    STAGE = "stage"
    READY = "ready"
    HAND_OVER = "hand_over"
    CANCEL = "cancel"


@dataclass(frozen=True, slots=True)
class Rule:
    """From which states a step leads where; `physical` steps are recorded whatever the state."""

    sources: frozenset[PickupState]
    target: PickupState
    physical: bool = False


_OPEN = frozenset({PickupState.ACCEPTED, PickupState.PICKING, PickupState.STAGED, PickupState.READY})

RULES: dict[Step, Rule] = {
    Step.ACCEPT: Rule(frozenset({PickupState.PLACED}), PickupState.ACCEPTED),
    Step.REJECT: Rule(frozenset({PickupState.PLACED}), PickupState.REJECTED),
    Step.PICK: Rule(frozenset({PickupState.ACCEPTED, PickupState.PICKING}), PickupState.PICKING),
    Step.STAGE: Rule(frozenset({PickupState.PICKING}), PickupState.STAGED),
    Step.READY: Rule(frozenset({PickupState.STAGED}), PickupState.READY),
    Step.HAND_OVER: Rule(frozenset({PickupState.READY}), PickupState.HANDED_OVER, physical=True),
    Step.CANCEL: Rule(_OPEN | {PickupState.PLACED}, PickupState.CANCELLED),
}

FINAL = frozenset({PickupState.HANDED_OVER, PickupState.REJECTED, PickupState.CANCELLED})


def next_state(state: PickupState, step: Step) -> PickupState | None:
    """Where the step leads from here; `None` when it may not be taken."""
    rule = RULES[step]
    return rule.target if state in rule.sources else None
