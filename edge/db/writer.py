"""The one writer of a database file: groups what is queued into one commit, one SAVEPOINT per operation.

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
from typing import Any, Protocol, TypeVar

import structlog

from edge.db.connection import Connection, DatabaseError, Trouble, trouble_of
from edge.errors import Corrupt, Transient
from edge.limits import WRITER_GROUP_MAX, WRITER_LOG_PAGES, WRITER_QUEUE_MAX

_Result = TypeVar("_Result")
Operation = Callable[[Connection], _Result]

_log = structlog.get_logger(__name__)
_IDLE_S = 0.5


@dataclass(slots=True)
class _Request:
    operation: Operation[Any]
    future: "asyncio.Future[Any]"
    result: Any = None
    error: Exception | None = None


class Group:
    """Runs a group of requests in one transaction. Knows SQLite, not threads.

    `broken` says why nothing is written any more: the file or its disk can no longer be trusted.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self.broken = ""
        connection.execute("PRAGMA wal_autocheckpoint = 0")  # SQLite's own checkpoints hide a failed fsync

    def run(self, requests: list[_Request]) -> None:
        """Fill in every request's `result` or `error`; nothing has a result unless the commit succeeded."""
        if self.broken:
            return _fail(requests, lambda: Corrupt(self.broken))
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            for request in requests:
                self._run_one(request)
            self._connection.execute("COMMIT")
        except Exception as error:  # whatever it is, no request may be left without an answer
            self._give_up(requests, error)
        return None

    def checkpoint(self) -> None:
        """Once the write-ahead log is long, move it into the file. Runs after the answers have left: what they say is
        safe in the log.

        A disk that fails here stops the writing; one that is full only puts it off to the next time.
        """
        if self.broken:
            return
        try:
            _, pages, _ = self._connection.execute("PRAGMA wal_checkpoint(NOOP)").fetchone()  # only asks, 12 µs
            if pages >= WRITER_LOG_PAGES:
                self._connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
        except DatabaseError as error:
            if trouble_of(error) is not Trouble.PASSING:
                self._stop(error)

    def _run_one(self, request: _Request) -> None:
        execute = self._connection.execute
        execute("SAVEPOINT fact")
        try:
            request.result = request.operation(self._connection)
        except Exception as error:  # any bug of one operation must leave the others alone
            if trouble_of(error) is not Trouble.STATEMENT or not self._connection.in_transaction:
                raise  # the disk's trouble is everybody's; SQLite may have rolled everything back already
            execute("ROLLBACK TO fact")
            request.error = error
        execute("RELEASE fact")

    def _give_up(self, requests: list[_Request], error: Exception) -> None:
        with contextlib.suppress(DatabaseError):  # a connection past rolling back has nothing of it on disk either
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
        match trouble_of(error):
            case Trouble.PASSING:
                _fail(requests, lambda: Transient(f"not stored, keep it and send again: {error}"))
            case Trouble.DAMAGE:
                self._stop(error)
                _fail(requests, lambda: Corrupt(self.broken))
            case Trouble.STATEMENT:
                _log.error("a group of writes failed", error=repr(error), exc_info=error)
                _fail(requests, lambda: RuntimeError(f"not stored: {error!r}"))

    def _stop(self, error: Exception) -> None:
        self.broken = f"the database can no longer be written: {error}"
        _log.critical("writing stopped", error=str(error), action="check the disk, then restore or restart")


def _fail(requests: list[_Request], make_error: Callable[[], Exception]) -> None:
    """Each request gets an error of its own: a shared one would gather every asker's traceback for ever."""
    for request in requests:
        request.result, request.error = None, make_error()


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

    async def submit(self, operation: Operation[_Result]) -> _Result:
        """Run `operation` in the writer's next transaction; raises what it raised.

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


class ThreadWriter:
    """The writer of a running store: one thread that owns the connection."""

    def __init__(self, connection: Connection, name: str) -> None:
        self._group = Group(connection)
        self._requests: queue.SimpleQueue[_Request | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._work, name=f"writer-{name}", daemon=True)
        self._loop = asyncio.get_running_loop()
        self._closed = False
        self._abandoned = False
        self.progress = 0
        self._thread.start()

    @property
    def broken(self) -> str:
        return self._group.broken

    async def submit(self, operation: Operation[_Result]) -> _Result:
        if self._closed:
            raise _stopping()
        if self._requests.qsize() >= WRITER_QUEUE_MAX:
            raise _queue_full()
        future: asyncio.Future[_Result] = self._loop.create_future()
        self._requests.put(_Request(operation, future))
        return await future

    def close(self) -> None:
        self._closed = True
        self._requests.put(None)
        self._thread.join()

    def abandon(self) -> None:
        self._abandoned = True
        self.close()
        while not self._requests.empty():
            request = self._requests.get()
            if request is not None:
                request.future.cancel()

    def _work(self) -> None:
        while True:
            group = self._next_group()
            if group is None:
                return
            if group:
                self._group.run(group)
                with contextlib.suppress(RuntimeError):  # the loop has ended: nobody is left to be answered
                    self._loop.call_soon_threadsafe(_answer, group)
                self._group.checkpoint()
            self.progress += 1

    def _next_group(self) -> list[_Request] | None:
        """What is queued, at most a group; empty after an idle while; `None` when closed and drained."""
        try:
            first = self._requests.get(timeout=_IDLE_S)
        except queue.Empty:
            return []
        group: list[_Request] = []
        while first is not None:
            group.append(first)
            if self._abandoned:
                for request in group:
                    self._requests.put(request)
                return None
            if len(group) == WRITER_GROUP_MAX:
                return group
            try:
                first = self._requests.get_nowait()
            except queue.Empty:
                return group
        if group:
            self._requests.put(None)
            return group
        return None


class LoopWriter:
    """The same writer inside the event loop, for the simulator: groups form while a virtual commit takes its time.

    `commit_s` gives how long the next commit takes, in seconds of the loop's time.
    """

    def __init__(self, connection: Connection, commit_s: Callable[[], float]) -> None:
        self._group = Group(connection)
        self._commit_s = commit_s
        self._waiting: deque[_Request] = deque()
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

    async def submit(self, operation: Operation[_Result]) -> _Result:
        if self._closed:
            raise _stopping()
        if len(self._waiting) >= WRITER_QUEUE_MAX:
            raise _queue_full()
        loop = asyncio.get_running_loop()
        future: asyncio.Future[_Result] = loop.create_future()
        self._waiting.append(_Request(operation, future))
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
        _answer(group)
        self._group.checkpoint()
        self._groups += 1


def _stopping() -> Transient:
    return Transient("not stored, keep it and send again: the store is stopping")


def _queue_full() -> Transient:
    return Transient("not stored, keep it and send again: too much is waiting to be written")


def _answer(group: list[_Request]) -> None:
    for request in group:
        if request.future.done():
            continue  # the asker went away; what it asked for is committed all the same
        if request.error is not None:
            request.future.set_exception(request.error)
        else:
            request.future.set_result(request.result)
