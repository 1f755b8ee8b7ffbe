"""Runs virtual devices on a thread and an event loop of their own, so that they cannot slow the daemon down."""

import asyncio
import concurrent.futures
import threading
from collections.abc import Awaitable, Callable
from typing import TypeVar

START_TIMEOUT_S = 10.0
STOP_TIMEOUT_S = 10.0

Thing = TypeVar("Thing")


class OwnThread:
    """`start(main)` runs `main(ready)` there until `stop()`; `main` calls `ready(thing)` once, when `thing` is up."""

    def __init__(self, name: str = "virtual devices") -> None:
        self._name = name
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[None] | None = None
        self._thread: threading.Thread | None = None

    def start(self, main: Callable[[Callable[[Thing], None]], Awaitable[None]]) -> Thing:
        """Blocks until `main` has called `ready`; gives what it was called with. Raises what `main` raised."""
        up: concurrent.futures.Future[Thing] = concurrent.futures.Future()
        self._thread = threading.Thread(target=self._run, args=(main, up), name=self._name, daemon=True)
        self._thread.start()
        return up.result(START_TIMEOUT_S)

    def call(self, function: Callable[[], Thing]) -> Thing:
        """Runs `function` in the devices' loop and waits for what it gives."""
        assert self._loop is not None, "start first"
        answer: concurrent.futures.Future[Thing] = concurrent.futures.Future()

        def run() -> None:
            try:
                answer.set_result(function())
            except Exception as error:
                answer.set_exception(error)

        self._loop.call_soon_threadsafe(run)
        return answer.result(STOP_TIMEOUT_S)

    def stop(self) -> None:
        """Cancels `main` and waits for the thread."""
        if self._loop is None or self._thread is None or self._task is None:
            return
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._task.cancel)
            self._thread.join(STOP_TIMEOUT_S)

    def _run(self, main: Callable[[Callable[[Thing], None]], Awaitable[None]],
             up: "concurrent.futures.Future[Thing]") -> None:  # fmt: skip
        async def whole() -> None:
            self._loop = asyncio.get_running_loop()
            self._task = asyncio.current_task()
            await main(up.set_result)

        try:
            asyncio.run(whole())
        except asyncio.CancelledError:
            return
        except Exception as error:
            if up.done():
                raise
            up.set_exception(error)
