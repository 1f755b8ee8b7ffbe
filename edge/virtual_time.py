"""An event loop whose time is virtual: it stands still while there is work, then jumps to the next timer.

For `trastienda simulate` and for tests: a month of a store in seconds, the same in every run. Nothing real may be
waited for here; what would need a socket, a child process or a thread is refused by name instead of hanging.
"""

import asyncio
import selectors
import threading
from collections.abc import Callable, Coroutine, Mapping
from contextvars import Context
from typing import Any, NoReturn, TypeVar, TypeVarTuple, Unpack

_Result = TypeVar("_Result")
_Arguments = TypeVarTuple("_Arguments")
RESOLUTION_S = 1e-6
"""Timers this close to each other fire together. A float of seconds still tells a hundred years apart by this."""

TASKS_NAMED_MAX = 10
"""Waiting tasks that `Idle` names; the rest is counted."""


class Idle(RuntimeError):
    """Nothing is ready and no timer is set, yet something is awaited: in real life this would hang for ever."""


class NotVirtual(RuntimeError):
    """Something real was asked of virtual time: a socket, a file to watch, a child process, a thread."""


def run(main: Coroutine[Any, Any, _Result]) -> _Result:
    """Like `asyncio.run`, in no time at all."""
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        return runner.run(main)


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """`time()` begins at 0. Callbacks run in the order in which they were scheduled or fall due."""

    def __init__(self) -> None:
        self._now_s = 0.0
        self._thread = threading.get_ident()
        self._jumps = _Jumps(self)
        super().__init__(self._jumps)
        self._clock_resolution = RESOLUTION_S  # asyncio's own name; the real clock's would be lost after some weeks
        self._jumps.refuses = True  # only the loop's own wake-up pipe is let in

    def time(self) -> float:
        """Virtual seconds since the loop was made."""
        return self._now_s

    def jump(self, seconds: float) -> None:
        """Let time pass at once; the selector calls it when there is nothing to do until then."""
        self._now_s += seconds

    def idle(self) -> Idle:
        """The error that says who waits in vain."""
        tasks = sorted(asyncio.all_tasks(self), key=lambda task: task.get_name())
        named = "; ".join(_where(task) for task in tasks[:TASKS_NAMED_MAX])
        more = f"; and {len(tasks) - TASKS_NAMED_MAX} more" if len(tasks) > TASKS_NAMED_MAX else ""
        return Idle(f"at {self._now_s:.3f} s nothing is ready and no timer is set; waiting: {named or 'nobody'}{more}")

    def call_soon_threadsafe(self, callback: Callable[[Unpack[_Arguments]], object],
                             *args: *_Arguments, context: Context | None = None) -> asyncio.Handle:
        """As `call_soon`; from another thread it is refused, because nobody would wake up for it in order."""
        if threading.get_ident() != self._thread:
            raise NotVirtual("another thread called into virtual time; use an in-loop writer, artist or port instead")
        return self.call_soon(callback, *args, context=context)

    def run_in_executor(self, *_: object) -> NoReturn:
        """Refused: a thread takes real time."""
        raise NotVirtual("threads and process pools have no virtual time; pass a part that works inside the loop")


class _Jumps(selectors.BaseSelector):
    """Waiting takes no time; it moves the clock."""

    def __init__(self, loop: VirtualTimeLoop) -> None:
        self._loop = loop
        self._keys: dict[int, selectors.SelectorKey] = {}
        self.refuses = False

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            raise self._loop.idle()
        if timeout > 0:
            self._loop.jump(timeout)
        return []

    def register(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        if self.refuses:
            raise NotVirtual("sockets and pipes have no virtual time; pass a transport that stays inside the loop")
        number = fileobj if isinstance(fileobj, int) else fileobj.fileno()
        return self._keys.setdefault(number, selectors.SelectorKey(fileobj, number, events, data))

    def unregister(self, fileobj: Any) -> selectors.SelectorKey:
        return self._keys.pop(fileobj if isinstance(fileobj, int) else fileobj.fileno())

    def get_map(self) -> Mapping[int, selectors.SelectorKey]:  # type: ignore[override] # the base class allows file objects too
        return self._keys


def _where(task: "asyncio.Task[Any]") -> str:
    """`name in function (file:line)` of a waiting task."""
    frames = task.get_stack(limit=1)
    if not frames:
        return task.get_name()
    code = frames[-1].f_code
    return f"{task.get_name()} in {code.co_name} ({code.co_filename.rsplit('/', 1)[-1]}:{frames[-1].f_lineno})"
