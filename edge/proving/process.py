"""A process inside the simulator: tasks that live together and can die together, at once, in the middle of anything.

Whatever a task of a process starts belongs to the process too, by way of the context that asyncio hands down. Dying
runs the tasks' own cleaning up, as cancellation does; the world sees to it that none of it reaches a disk or a line.
"""

import asyncio
from collections.abc import Coroutine
from contextvars import ContextVar, copy_context
from typing import Any, Optional, TypeVar

_Result = TypeVar("_Result")

LAST_BREATH_TURNS_MAX = 1_000
"""Turns of the event loop that a dying process may take to unwind; a task that is still there then is a bug."""


class Gone(Exception):
    """The process died before it answered; what was asked of it may have happened or not."""


class Survived(AssertionError):
    """A task that ignores cancellation outlived its process."""


class Process:
    """Tasks that live and die together. Needs `install_processes` on the loop."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.alive = True
        self._tasks: dict[asyncio.Task[Any], None] = {}

    def start(self, work: Coroutine[Any, Any, _Result], name: str = "") -> "asyncio.Task[_Result]":
        """A task of this process."""
        context = copy_context()
        context.run(_CURRENT.set, self)
        return asyncio.get_running_loop().create_task(work, name=name or self.name, context=context)

    async def ask(self, work: Coroutine[Any, Any, _Result]) -> _Result:
        """Have something done there and wait for it; an asker that goes away leaves the work going.

        Raises `Gone` when the process is dead or dies meanwhile.
        """
        if not self.alive:
            work.close()
            raise Gone(self.name)
        task = self.start(work)
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            asker = asyncio.current_task()
            if asker is not None and asker.cancelling():
                task.add_done_callback(_heard)
                raise
            raise Gone(self.name) from None

    async def kill(self) -> None:
        """Nothing of it runs any more when this returns. Raises `Survived`."""
        self.alive = False
        for _ in range(LAST_BREATH_TURNS_MAX):
            for task in tuple(self._tasks):
                task.cancel()
            await asyncio.sleep(0)
            if not self._tasks:
                return
        raise Survived(", ".join(task.get_name() for task in self._tasks))

    def adopt(self, task: "asyncio.Task[Any]") -> None:
        """For the task factory."""
        self._tasks[task] = None
        task.add_done_callback(self._ended)
        if not self.alive:
            task.cancel()

    def _ended(self, task: "asyncio.Task[Any]") -> None:
        self._tasks.pop(task, None)


def current_process() -> Process | None:
    """Whose code is running; `None` for the world's own."""
    return _CURRENT.get()


def install_processes() -> None:
    """Let the running loop tell every new task whose it is."""
    asyncio.get_running_loop().set_task_factory(_make_task)


_CURRENT: ContextVar[Optional[Process]] = ContextVar("process", default=None)  # noqa: UP045 - needed at run time


def _make_task(loop: asyncio.AbstractEventLoop, work: Any, **options: Any) -> "asyncio.Task[Any]":
    task: asyncio.Task[Any] = asyncio.Task(work, loop=loop, **options)
    context = options.get("context")
    process = _CURRENT.get() if context is None else context.get(_CURRENT)
    if process is not None:
        process.adopt(task)
    return task


def _heard(task: "asyncio.Task[Any]") -> None:
    """Nobody waits for it any more; that is no error."""
    if not task.cancelled():
        task.exception()
