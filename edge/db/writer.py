"""The one writer of a database file: groups what is queued into one commit, one SAVEPOINT per operation.

An operation is a function of the connection. It is answered only after the commit that holds it reached the disk
(P1); one that raises is rolled back alone and harms no other. The writer commits what is queued as soon as the
last commit ends, without a timer (DESIGN.md section 4).
"""

import asyncio
import queue
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

import structlog

from edge.db.connection import Connection, DatabaseError, OperationalError
from edge.errors import Corrupt, Transient
from edge.limits import WRITER_GROUP_MAX, WRITER_QUEUE_MAX

_Result = TypeVar("_Result")
Operation = Callable[[Connection], _Result]

_log = structlog.get_logger(__name__)
_IDLE_S = 0.5


@dataclass(slots=True)
class _Request:
    operation: Operation[Any]
    future: "asyncio.Future[Any]"
    result: Any = None
    error: BaseException | None = None


class Group:
    """Runs a group of requests in one transaction. Knows SQLite, not threads."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self.broken: Corrupt | None = None

    def run(self, requests: list[_Request]) -> None:
        """Fill in every request's `result` or `error`; nothing has a result unless the commit succeeded."""
        if self.broken:
            return self._fail(requests, self.broken)
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            for request in requests:
                self._run_one(request)
            self._connection.execute("COMMIT")
        except DatabaseError as error:
            self._give_up(requests, error)
        return None

    def _run_one(self, request: _Request) -> None:
        execute = self._connection.execute
        execute("SAVEPOINT fact")
        try:
            request.result = request.operation(self._connection)
        except Exception as error:  # any bug of one operation must leave the others alone
            if not self._connection.in_transaction:
                raise  # SQLite itself rolled the whole transaction back (disk full, I/O error)
            execute("ROLLBACK TO fact")
            request.error = error
        execute("RELEASE fact")

    def _give_up(self, requests: list[_Request], error: DatabaseError) -> None:
        if self._connection.in_transaction:
            self._connection.execute("ROLLBACK")
        if _is_disk_full(error):
            return self._fail(requests, Transient(f"not stored, keep it and send again: {error}"))
        self.broken = Corrupt(f"the database can no longer be written: {error}")
        _log.critical("writing stopped", error=str(error), action="check the disk, then restore or restart")
        return self._fail(requests, self.broken)

    @staticmethod
    def _fail(requests: list[_Request], error: Exception) -> None:
        for request in requests:
            request.result, request.error = None, error


def _is_disk_full(error: DatabaseError) -> bool:
    text = str(error)
    return isinstance(error, OperationalError) and ("full" in text or "locked" in text)


class Writer(Protocol):
    """What the rooms see: submit an operation, get its result after the commit."""

    progress: int

    async def submit(self, operation: Operation[_Result]) -> _Result:
        """Run `operation` in the writer's next transaction; raises what it raised.

        Raises `Transient` when the queue or the disk is full: nothing was stored, keep it and send again.
        Raises `Corrupt` once the file can no longer be trusted.
        """
        ...

    def close(self) -> None:
        """Stop after what is queued."""
        ...


class ThreadWriter:
    """The writer of a running store: one thread that owns the connection."""

    def __init__(self, connection: Connection, name: str) -> None:
        self._group = Group(connection)
        self._requests: queue.SimpleQueue[_Request | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._work, name=f"writer-{name}", daemon=True)
        self._loop = asyncio.get_running_loop()
        self._closed = False
        self.progress = 0
        self._thread.start()

    async def submit(self, operation: Operation[_Result]) -> _Result:
        if self._closed or self._requests.qsize() >= WRITER_QUEUE_MAX:
            raise Transient("not stored, keep it and send again: "
                            + ("the store is stopping" if self._closed else "too much is waiting to be written"))
        future: asyncio.Future[_Result] = self._loop.create_future()
        self._requests.put(_Request(operation, future))
        return await future

    def close(self) -> None:
        self._closed = True
        self._requests.put(None)
        self._thread.join()

    def _work(self) -> None:
        while True:
            group = self._next_group()
            if group is None:
                return
            if group:
                self._group.run(group)
                self._loop.call_soon_threadsafe(_answer, group)
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
    """The same writer inside the event loop, for the simulator: groups form while a virtual commit takes its time."""

    def __init__(self, connection: Connection, commit_s: Callable[[], float]) -> None:
        self._group = Group(connection)
        self._commit_s = commit_s
        self._waiting: deque[_Request] = deque()
        self._busy = False
        self.progress = 0

    async def submit(self, operation: Operation[_Result]) -> _Result:
        if len(self._waiting) >= WRITER_QUEUE_MAX:
            raise Transient("not stored, keep it and send again: too much is waiting to be written")
        loop = asyncio.get_running_loop()
        future: asyncio.Future[_Result] = loop.create_future()
        self._waiting.append(_Request(operation, future))
        if not self._busy:
            self._busy = True
            loop.call_later(self._commit_s(), self._commit)
        return await future

    def close(self) -> None:
        while self._waiting:
            self._run_group()
        self._busy = True

    def _commit(self) -> None:
        self._run_group()
        if self._waiting:
            asyncio.get_running_loop().call_later(self._commit_s(), self._commit)
        else:
            self._busy = False

    def _run_group(self) -> None:
        group = [self._waiting.popleft() for _ in range(min(WRITER_GROUP_MAX, len(self._waiting)))]
        if group:
            self._group.run(group)
            _answer(group)
        self.progress += 1


def _answer(group: list[_Request]) -> None:
    for request in group:
        if request.future.done():
            continue  # the asker went away; what it asked for is committed all the same
        if request.error is not None:
            request.future.set_exception(request.error)
        else:
            request.future.set_result(request.result)
