"""What somebody asks for at the pickup desk."""

from dataclasses import dataclass

from cloud_sync.contract.pickup import ShortReason, Step
from cloud_sync.contract.pickup_order import Line


@dataclass(frozen=True, slots=True)
class StepRequest:
    """A step somebody takes. `transition_id` makes a repeat harmless; `line` picks one line, `None` all of them.

    `quantities`: how much of which line, for part of them. `short_reason`, `substitute` (its `line` is minted here),
    `accept`, `from_staged`: see `pickup_order.Taken`. `expected_rev`: as of which revision of the order it is asked.
    `supervised`: a supervisor hands over without a code, with a reason. `phone`: the last digits of the customer's
    number instead of a lost code, with a reason too. `place`: where the order stands from now on. `parcel_id`: the
    parcel that the carrier takes.
    """

    order_id: str
    transition_id: str
    step: Step
    actor: str
    line: int | None = None
    code: str = ""
    reason: str = ""
    supervised: bool = False
    quantities: tuple[tuple[int, int], ...] = ()
    short_reason: ShortReason | None = None
    substitute: Line | None = None
    accept: bool = False
    from_staged: bool = False
    expected_rev: int | None = None
    phone: str = ""
    place: str = ""
    parcel_id: str = ""


OWN = "hub:"
"""How the ids of transitions begin that nobody asked for; no caller may give one like it."""


def own_id(order_id: str, what: str) -> str:
    """The id of a transition that follows from the hub's word or the clock."""
    return f"{OWN}{order_id}/{what}"


def fact_key(transition_id: str) -> str:
    """The key of the fact that a transition becomes."""
    return f"pickup/{transition_id}"
