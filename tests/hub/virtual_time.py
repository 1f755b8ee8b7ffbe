"""An event loop whose time passes only while everybody sleeps: a minute takes no time, and nobody may use a thread."""

import asyncio
import selectors
from collections.abc import Coroutine
from typing import TypeVar

Answer = TypeVar("Answer")


class _PassingSelector(selectors.DefaultSelector):
    """Does not wait for the time given, but lets it pass."""

    def __init__(self) -> None:
        super().__init__()
        self.time_s = 1000.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if not ready:
            assert timeout is not None, "everybody waits for something that nobody will ever do"
            self.time_s += max(0.0, timeout)
        return ready


class VirtualLoop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self._passing = _PassingSelector()
        super().__init__(self._passing)

    def time(self) -> float:
        return self._passing.time_s

    def run_in_executor(self, *_arguments: object) -> asyncio.Future[object]:  # type: ignore[override]  # forbidden here
        raise AssertionError("a thread was asked for under virtual time")


def run_virtually(scene: Coroutine[object, object, Answer]) -> tuple[Answer, float]:
    """Play a scene to its end; returns what it returns, and the seconds that passed in it."""
    loop = VirtualLoop()
    began_s = loop.time()
    try:
        return loop.run_until_complete(scene), loop.time() - began_s
    finally:
        loop.close()
