"""What the desks of `edge.stock` refuse, as problems: 404 for what is not here, 409 for what was settled before."""

from collections.abc import Awaitable
from typing import TypeVar

from edge.pos.problems import ProblemAnswer
from edge.stock.answers import Conflict, OutOfDate, Unknown

_Value = TypeVar("_Value")


async def told(doing: Awaitable[_Value]) -> _Value:
    """What it comes to. Raises `ProblemAnswer`; any other `Rejected` is answered 422 by the application."""
    try:
        return await doing
    except Unknown as error:
        raise ProblemAnswer(404, "unknown", "There is no such thing in this store", str(error)) from error
    except OutOfDate as error:
        raise ProblemAnswer(409, "out-of-date", "It was settled before", str(error), recorded=False) from error
    except Conflict as error:
        then = "both are kept; a person decides" if error.recorded else "mint another id"
        raise ProblemAnswer(409, "conflict", "This id was sent before with another meaning", then,
                            recorded=error.recorded) from error
