"""Why a desk of this room does not do what it was asked, and the answer of a fact that stands."""

from edge.db.ledger import Outcome, Receipt
from edge.errors import Rejected


class Unknown(Rejected):
    """There is no such count, session or delivery in this store."""


class OutOfDate(Rejected):
    """It was settled before: a count that somebody decided, a delivery that is closed."""


class Conflict(Rejected):
    """The id was sent before with another meaning. `recorded`: both are kept, a person decides; else only the first."""

    def __init__(self, *, recorded: bool) -> None:
        super().__init__("this id was sent before with another meaning")
        self.recorded = recorded


def standing(receipt: Receipt) -> bytes:
    """The answer's JSON bytes. Raises `Conflict`."""
    if receipt.outcome is Outcome.CONFLICT:
        raise Conflict(recorded=True)
    return receipt.answer
