"""A group of writes: one transaction, one SAVEPOINT per operation, so that one that raises is rolled back alone.

Knows SQLite and what its errors mean (DESIGN.md section 4, P1); threads and event loops are `edge.db.writer`'s.
"""

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import structlog

from edge.db.connection import Connection, DatabaseError, Trouble, trouble_of
from edge.errors import Corrupt, Transient
from edge.limits import WRITER_LOG_PAGES

_Result = TypeVar("_Result")
Operation = Callable[[Connection], _Result]

_log = structlog.get_logger(__name__)


@dataclass(slots=True)
class Request:
    """An operation that waits for its commit. `short`: the event loop may run it."""

    operation: Operation[Any]
    future: "asyncio.Future[Any]"
    short: bool = False
    result: Any = None
    error: Exception | None = None


class Group:
    """Runs a group of requests in one transaction.

    `broken` says why nothing is written any more: the file or its disk can no longer be trusted.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self.broken = ""
        connection.execute("PRAGMA wal_autocheckpoint = 0")  # SQLite's own checkpoints hide a failed fsync

    def run(self, requests: list[Request]) -> None:
        """Fill in every request's `result` or `error`; nothing has a result unless the commit succeeded."""
        if self.begin(requests):
            self.commit(requests)

    def begin(self, requests: list[Request]) -> bool:
        """All but the commit. False: it failed, and every request has its error."""
        if self.broken:
            _fail(requests, lambda: Corrupt(self.broken))
            return False
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            for request in requests:
                self._run_one(request)
        except Exception as error:  # whatever it is, no request may be left without an answer
            self._give_up(requests, error)
            return False
        return True

    def commit(self, requests: list[Request]) -> None:
        """What was begun reaches the disk, or every request gets an error."""
        try:
            self._connection.execute("COMMIT")
        except Exception as error:
            self._give_up(requests, error)

    def roll_back(self) -> None:
        """What was begun never was."""
        with contextlib.suppress(DatabaseError):  # a connection past rolling back has nothing of it on disk either
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")

    def log_is_long(self) -> bool:
        """Whether the write-ahead log is to be moved into the file. Only asks, 12 µs."""
        if self.broken:
            return False
        try:
            _, pages, _ = self._connection.execute("PRAGMA wal_checkpoint(NOOP)").fetchone()
        except DatabaseError as error:
            self._stop_unless_passing(error)
            return False
        return bool(pages >= WRITER_LOG_PAGES)

    def checkpoint(self) -> None:
        """Move the write-ahead log into the file. Runs after the answers have left: what they say is safe in the log.

        A disk that fails here stops the writing; one that is full only puts it off to the next time.
        """
        try:
            self._connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
        except DatabaseError as error:
            self._stop_unless_passing(error)

    def _run_one(self, request: Request) -> None:
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

    def _give_up(self, requests: list[Request], error: Exception) -> None:
        self.roll_back()
        match trouble_of(error):
            case Trouble.PASSING:
                _fail(requests, lambda: Transient(f"not stored, keep it and send again: {error}"))
            case Trouble.DAMAGE:
                self._stop(error)
                _fail(requests, lambda: Corrupt(self.broken))
            case Trouble.STATEMENT:
                _log.error("a group of writes failed", error=repr(error), exc_info=error)
                _fail(requests, lambda: RuntimeError(f"not stored: {error!r}"))

    def _stop_unless_passing(self, error: Exception) -> None:
        if trouble_of(error) is not Trouble.PASSING:
            self._stop(error)

    def _stop(self, error: Exception) -> None:
        self.broken = f"the database can no longer be written: {error}"
        _log.critical("writing stopped", error=str(error), action="check the disk, then restore or restart")


def _fail(requests: list[Request], make_error: Callable[[], Exception]) -> None:
    """Each request gets an error of its own: a shared one would gather every asker's traceback for ever."""
    for request in requests:
        request.result, request.error = None, make_error()
