"""What becomes of two steps that store and hub took without knowing of each other: one table (DESIGN.md section 9).

`pickup_order` makes it true in either order of hearing; the tests hold every pair, from every state that can be
reached, against this table.
"""

from enum import Enum

from cloud_sync.contract.pickup import HubStep, Step


class Settlement(Enum):
    """Which of the two stands."""

    BOTH = "both"
    """They are about different things."""

    STORE = "store"
    """What the store did stays done; the wish counts for what it left open."""

    HUB = "hub"
    """The wish counts, unless the store's step had ended the order."""


_WISHES_AWAY = {
    Step.ACCEPT: Settlement.HUB,        # what was reserved is free again
    Step.REJECT: Settlement.STORE,      # there was nothing to cancel
    Step.PICK: Settlement.HUB,          # what was picked waits to be put back
    Step.SHORT: Settlement.HUB,         # the stock effect of the reason stays
    Step.OFFER: Settlement.HUB,
    Step.DECIDE: Settlement.HUB,
    Step.STAGE: Settlement.HUB,
    Step.READY: Settlement.HUB,
    Step.HAND_OVER: Settlement.STORE,   # goods that left have left: a refund becomes due
    Step.REFUSE: Settlement.STORE,
    Step.CANCEL: Settlement.HUB,
    Step.EXPIRE: Settlement.STORE,
    Step.NO_SHOW: Settlement.STORE,
    Step.PUT_BACK: Settlement.STORE,
}
_APART = dict.fromkeys(Step, Settlement.BOTH)

LATTICE: dict[HubStep, dict[Step, Settlement]] = {
    HubStep.NOTIFY: _APART,
    HubStep.ARRIVE: _APART | {Step.NO_SHOW: Settlement.HUB},        # she is here: the goods are still put aside
    HubStep.ANSWER: _APART | {Step.DECIDE: Settlement.STORE},       # somebody may have acted upon it already
    HubStep.REQUEST_CANCEL: _WISHES_AWAY,
    HubStep.REASSIGN: _WISHES_AWAY,
}


def settlement(hub_step: HubStep, step: Step) -> Settlement:
    """Which of two simultaneous steps stands."""
    return LATTICE[hub_step][step]
