"""When the line between store and hub is down: once, or again and again."""

from collections.abc import Iterator
from dataclasses import dataclass

FIRST_AFTER_S = 40.0
LENGTH_S = 15.0
EVERY_S = 120.0
START_SHARE, LENGTH_SHARE = 0.35, 0.25
"""Of a run that ends by itself and whose outage nobody chose."""


@dataclass(frozen=True, slots=True)
class Outage:
    """In seconds from the opening of the doors."""

    start_s: float
    length_s: float


def outages(chosen: tuple[float, float] | None, seconds: float | None) -> Iterator[Outage]:
    """The outages of a run: the chosen one, one in the middle of a run that ends, or one every so often."""
    if chosen is not None:
        yield Outage(*chosen)
    elif seconds is not None:
        yield Outage(seconds * START_SHARE, seconds * LENGTH_SHARE)
    else:
        start_s = FIRST_AFTER_S
        while True:
            yield Outage(start_s, LENGTH_S)
            start_s += EVERY_S
