"""The one writer of a database file: groups what is queued into one commit (`edge.db.write_group`).

An operation is a function of the connection. It is answered only after the commit that holds it reached the disk
(P1); one that raises is rolled back alone and harms no other. The writer commits what is queued as soon as the
last commit ends, without a timer (DESIGN.md section 4).
"""

import asyncio
import contextlib
import queue
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, TypeVar

from edge.db.connection import Connection
from edge.db.unhurried import take_time
from edge.db.write_group import Group, Operation, Request
from edge.errors import Transient
from edge.limits import WRITER_GROUP_MAX, WRITER_QUEUE_MAX, WRITER_SHORT_MAX

_Result = TypeVar("_Result")
_IDLE_S = 0.5


class Writer(Protocol):
    """What the rooms see: submit an operation, get its result after the commit."""

    @property
    def progress(self) -> int:
        """Grows while the writer moves, idle or not; the watchdog reads it."""
        ...

    @property
    def broken(self) -> str:
        """Why nothing is written any more; empty while the file can be trusted."""
        ...

    async def submit(self, operation: Operation[_Result], *, short: bool = False) -> _Result:
        """Run `operation` in the writer's next transaction; raises what it raised. `short`: it is a handful of
        statements on a few rows, which the event loop may run itself.

        Raises `Transient` when the queue or the disk is full: nothing was stored, keep it and send again.
        Raises `Corrupt` once the file can no longer be trusted.
        """
        ...

    def close(self) -> None:
        """Stop after what is queued."""
        ...

    def abandon(self) -> None:
        """Stop as a power cut would: what is not committed is gone, and whoever waits for it is cancelled."""
        ...


@dataclass(slots=True)
class _Job:
    """A group for the thread. `begun`: its operations ran in the event loop, only the commit is left."""

    group: list[Request]
    begun: bool = False


class ThreadWriter:
    """The writer of a running store: a thread that runs what takes long, and commits.

    What is short runs in the event loop, while the thread has nothing to do with the connection: two threads that hand
    the interpreter's lock to and fro at every statement take several times as long over a sale as one of them.
    """

    def __init__(self, connection: Connection, name: str, *, unhurried: bool = False) -> None:
        """`unhurried`: nobody waits for what it writes (`edge.db.unhurried`)."""
        self._group = Group(connection)
        self._unhurried = unhurried
        self._waiting: deque[Request] = deque()
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._work, name=f"writer-{name}", daemon=True)
        self._loop = asyncio.get_running_loop()
        self._connection_taken = False
        self._closed = False
        self._abandoned = False
        self._dropped: list[Request] = []
        self.progress = 0
        self._thread.start()

    @property
    def broken(self) -> str:
        return self._group.broken

    async def submit(self, operation: Operation[_Result], *, short: bool = False) -> _Result:
        if self._closed:
            raise _stopping()
        if len(self._waiting) >= WRITER_QUEUE_MAX:
            raise _queue_full()
        future: asyncio.Future[_Result] = self._loop.create_future()
        self._waiting.append(Request(operation, future, short))
        if not self._connection_taken:
            self._connection_taken = True
            self._loop.call_soon(self._next)  # what else is submitted in this turn comes along
        return await future

    def close(self) -> None:
        self._closed = True
        while self._waiting:
            self._jobs.put(_Job(self._next_group()))
        self._jobs.put(None)
        self._thread.join()

    def abandon(self) -> None:
        self._abandoned = True
        self.close()
        for request in self._dropped:
            request.future.cancel()

    # --- in the event loop ------------------------------------------------------------------------------------

    def _next(self) -> None:
        """The thread has given the connection back: it gets the next group, if anything waits."""
        while self._waiting:
            group = self._next_short_group()
            if not group:
                return self._jobs.put(_Job(self._next_group()))
            if self._group.begin(group):
                return self._jobs.put(_Job(group, begun=True))
            _answer(group)
        self._connection_taken = False
        return None

    def _next_group(self) -> list[Request]:
        return [self._waiting.popleft() for _ in range(min(WRITER_GROUP_MAX, len(self._waiting)))]

    def _next_short_group(self) -> list[Request]:
        """What is short before anything that is not."""
        group: list[Request] = []
        while self._waiting and self._waiting[0].short and len(group) < WRITER_SHORT_MAX:
            group.append(self._waiting.popleft())
        return group

    def _answer_and_go_on(self, group: list[Request]) -> None:
        _answer(group)
        self._next()

    # --- in the thread ----------------------------------------------------------------------------------------

    def _work(self) -> None:
        if self._unhurried:
            take_time()
        while True:
            try:
                job = self._jobs.get(timeout=_IDLE_S)
            except queue.Empty:
                self.progress += 1
                continue
            if job is None:
                return
            if self._abandoned:
                self._drop(job)
                continue
            self._do(job)
            self.progress += 1

    def _do(self, job: _Job) -> None:
        if job.begun:
            self._group.commit(job.group)
        else:
            self._group.run(job.group)
        with contextlib.suppress(RuntimeError):  # the loop has ended: nobody is left to be answered
            if not self._group.log_is_long():
                self._loop.call_soon_threadsafe(self._answer_and_go_on, job.group)
                return
            self._loop.call_soon_threadsafe(_answer, job.group)
        self._group.checkpoint()
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._next)

    def _drop(self, job: _Job) -> None:
        self._dropped += job.group
        if job.begun:
            self._group.roll_back()


class LoopWriter:
    """The same writer inside the event loop, for the simulator: groups form while a virtual commit takes its time.

    `commit_s` gives how long the next commit takes, in seconds of the loop's time; `committed` may look at what stands
    in the file after every one, before anybody is answered.
    """

    def __init__(self, connection: Connection, commit_s: Callable[[], float],
                 committed: Callable[[Connection], None] = lambda _connection: None) -> None:
        self._group = Group(connection)
        self._connection = connection
        self._commit_s = commit_s
        self._committed = committed
        self._waiting: deque[Request] = deque()
        self._commit_due: asyncio.TimerHandle | None = None
        self._closed = False
        self._groups = 0
        self._idle_looks = 0

    @property
    def progress(self) -> int:
        """With nothing to do there is nothing to prove: every look at an idle writer counts."""
        self._idle_looks += not self._waiting
        return self._groups + self._idle_looks

    @property
    def broken(self) -> str:
        return self._group.broken

    async def submit(self, operation: Operation[_Result], *, short: bool = False) -> _Result:  # noqa: ARG002  here all do
        if self._closed:
            raise _stopping()
        if len(self._waiting) >= WRITER_QUEUE_MAX:
            raise _queue_full()
        loop = asyncio.get_running_loop()
        future: asyncio.Future[_Result] = loop.create_future()
        self._waiting.append(Request(operation, future))
        if self._commit_due is None:
            self._commit_due = loop.call_later(self._commit_s(), self._commit, loop)
        return await future

    def close(self) -> None:
        self._stop()
        while self._waiting:
            self._run_group()

    def abandon(self) -> None:
        self._stop()
        while self._waiting:
            self._waiting.popleft().future.cancel()

    def _stop(self) -> None:
        self._closed = True
        if self._commit_due is not None:
            self._commit_due.cancel()
            self._commit_due = None

    def _commit(self, loop: asyncio.AbstractEventLoop) -> None:
        self._run_group()
        self._commit_due = loop.call_later(self._commit_s(), self._commit, loop) if self._waiting else None

    def _run_group(self) -> None:
        group = [self._waiting.popleft() for _ in range(min(WRITER_GROUP_MAX, len(self._waiting)))]
        self._group.run(group)
        self._committed(self._connection)
        _answer(group)
        if self._group.log_is_long():
            self._group.checkpoint()
        self._groups += 1


def _stopping() -> Transient:
    return Transient("not stored, keep it and send again: the store is stopping")


def _queue_full() -> Transient:
    return Transient("not stored, keep it and send again: too much is waiting to be written")


def _answer(group: list[Request]) -> None:
    for request in group:
        if request.future.done():
            continue  # the asker went away; what it asked for is committed all the same
        if request.error is not None:
            request.future.set_exception(request.error)
        else:
            request.future.set_result(request.result)
