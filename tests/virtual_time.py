"""An event loop whose time jumps to the next timer as soon as nothing is left to do. No sockets, no threads."""

import asyncio
import selectors
from collections.abc import Coroutine
from typing import TypeVar

Result = TypeVar("Result")


class NothingLeft(AssertionError):
    """Everything waits for something that no timer will bring: in real life this would hang for ever."""


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """`time()` starts at 0 and stands still while callbacks run."""

    def __init__(self) -> None:
        super().__init__(_Jump(self))
        self._now_s = 0.0
        self._clock_resolution = 1e-9

    def time(self) -> float:
        return self._now_s

    def jump(self, seconds: float) -> None:
        self._now_s += seconds


class _Jump(selectors.DefaultSelector):  # type: ignore[valid-type,misc] - the platform decides which class it is
    """Waiting takes no time; it moves the clock instead."""

    def __init__(self, loop: VirtualTimeLoop) -> None:
        super().__init__()
        self._loop = loop

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready: list[tuple[selectors.SelectorKey, int]] = super().select(0)
        if ready:
            return ready
        if timeout is None:
            raise NothingLeft("no timer is set and nothing is ready")
        self._loop.jump(timeout)
        return ready


def run_virtually(main: Coroutine[object, object, Result]) -> Result:
    """Like `asyncio.run`, in no time."""
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        return runner.run(main)
