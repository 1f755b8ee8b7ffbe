"""Long work of a writer's thread in short stretches, so that tills are answered between them.

Python code in one thread takes the interpreter's lock from all others; a lookup in the event loop, which gives it away
at every statement, then takes twice as long. For a stretch of a millisecond nobody notices that; for as long as
thousands of rows take, what tills ask piles up.
"""

import threading
import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

from edge.limits import UNHURRIED_REST, UNHURRIED_STRETCH_S

_Value = TypeVar("_Value")
_LOOK_EVERY = 16  # values: looking at the clock costs something too

_thread = threading.local()


def take_time() -> None:
    """This thread has time: its work is not what anybody waits for."""
    _thread.since_s = time.perf_counter()


def unhurried(values: Iterable[_Value]) -> Iterator[_Value]:
    """The values, with a rest after every stretch of work where the thread has time; elsewhere just the values."""
    if getattr(_thread, "since_s", None) is None:
        yield from values
        return
    for number, value in enumerate(values):
        if number % _LOOK_EVERY == 0:
            rest()
        yield value


def rest() -> None:
    """Rest, if this thread has time and has worked for long enough."""
    since_s = getattr(_thread, "since_s", None)
    if since_s is None:
        return
    worked_s = time.perf_counter() - since_s
    if worked_s >= UNHURRIED_STRETCH_S:
        time.sleep(UNHURRIED_REST * UNHURRIED_STRETCH_S)
        _thread.since_s = time.perf_counter()
