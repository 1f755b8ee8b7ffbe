"""Opening a store's database: encrypted, checked, migrated. The one place that names the SQLite library.

SQLCipher's SQLite is registered for sqlite-utils too: two SQLite libraries in one process would break each
other's locks on the same file.
"""

import asyncio
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any

import sqlcipher3
from sqlcipher3 import dbapi2 as sqlite

if TYPE_CHECKING:  # the wheel has no types; its classes have the shape of the standard library's
    from sqlite3 import Connection, Cursor, DatabaseError
else:
    Connection, DatabaseError = sqlite.Connection, sqlite.DatabaseError

sys.modules["pysqlite3"] = sqlcipher3
sys.modules["pysqlite3.dbapi2"] = sqlite

import sqlite_utils  # noqa: E402  it takes the library registered above, and only when imported after it

from edge.errors import ConfigurationError, Corrupt, Transient  # noqa: E402  keeps the two imports above first
from edge.limits import WAL_KEPT_BYTES  # noqa: E402

__all__ = ["Connection", "DatabaseError", "Reader", "Trouble", "WrongKey", "attach", "connect", "migrate", "sqlite",
           "trouble_of"]

SQLITE_OLDEST = (3, 51, 3)
"""Older ones may lose a WAL that is reset while another connection writes (engineering.md 1.9)."""

BUSY_TIMEOUT_MS = 5_000
CACHED_STATEMENTS = 512
PAGE_CACHE_KB = 16_000
"""Decrypted pages a connection keeps: the whole catalogue of a grocery, so that no lookup decrypts."""

_SQL_DIRECTORY = Path(__file__).parent / "sql"


class Trouble(Enum):
    """What a failed statement says about the file under it."""

    STATEMENT = "statement"
    """Nothing: the statement, or the code around it, is wrong."""
    PASSING = "passing"
    """No room, no memory, somebody else's lock: the same may work later."""
    DAMAGE = "damage"
    """The file or its disk can no longer be trusted: damaged pages, a failed fsync, a disk that went read-only."""


_PASSING_CODES = frozenset({5, 6, 7, 13})
"""SQLITE_BUSY, LOCKED, NOMEM, FULL."""
_STATEMENT_CODES = frozenset({1, 2, 3, 4, 9, 12, 16, 17, 18, 19, 20, 21, 23, 25})
"""SQLITE_ERROR, INTERNAL, PERM, ABORT, INTERRUPT, NOTFOUND, EMPTY, SCHEMA, TOOBIG, CONSTRAINT, MISMATCH, MISUSE, AUTH,
RANGE. Every other one (IOERR, CORRUPT, NOTADB, READONLY, CANTOPEN, …) is the disk's."""


def trouble_of(error: Exception) -> Trouble:
    """Whose fault an exception is that came out of a statement; anything that is not SQLite's is the statement's."""
    code = getattr(error, "sqlite_errorcode", None) if isinstance(error, DatabaseError) else None
    if code is None or code & 0xFF in _STATEMENT_CODES:  # the low byte is the kind, the rest says more about it
        return Trouble.STATEMENT
    return Trouble.PASSING if code & 0xFF in _PASSING_CODES else Trouble.DAMAGE


class WrongKey(ConfigurationError):
    """The file is no database under this key: the key is another one's, or the file's first page is damaged."""


def attach(connection: Connection, path: Path, key: bytes, name: str) -> None:
    """Let a connection see another database beside its own, under `name`. Raises like `connect`."""
    try:
        connection.execute(f"ATTACH ? AS {name} KEY \"x'{key.hex()}'\"", (str(path),))
        connection.execute(f"PRAGMA {name}.cache_size = -{PAGE_CACHE_KB}")
    except DatabaseError as error:
        raise _opening_error(path, error) from error


def connect(path: Path, key: bytes, *, synchronous: str, read_only: bool = False) -> Connection:
    """Open an encrypted database. `key` is 32 bytes; `synchronous` is FULL or NORMAL.

    Raises `WrongKey`, `ConfigurationError` when the file cannot be had, `Transient` when it is locked or the disk
    is full, `Corrupt` when it is damaged.
    """
    assert sqlite.sqlite_version_info >= SQLITE_OLDEST, f"SQLite {sqlite.sqlite_version} may lose its WAL"
    assert len(key) == 32
    assert synchronous in ("FULL", "NORMAL")
    try:
        connection: Connection = sqlite.connect(str(path), isolation_level=None, check_same_thread=False,
                                                cached_statements=CACHED_STATEMENTS, timeout=BUSY_TIMEOUT_MS / 1000)
    except DatabaseError as error:
        raise ConfigurationError(f"{path}: {error}") from error
    try:
        _prepare(connection, key, synchronous, read_only)
    except DatabaseError as error:
        connection.close()
        raise _opening_error(path, error) from error
    return connection


class Reader:
    """A connection to read from, as far as rooms use one, that is opened anew after damage.

    Once a page failed its check SQLCipher gives a connection none that it does not hold already: one damaged table
    would take the prices with it.
    """

    def __init__(self, open_connection: Callable[[], Connection]) -> None:
        self._open = open_connection
        self._connection = open_connection()
        self._cursor = self._connection.cursor()
        self._in_turn = False
        self._closed = False

    def execute(self, sql: str, parameters: Sequence[object] | Mapping[str, object] = ()) -> "Cursor":
        """As a connection's. Raises what that raises."""
        try:
            return self._connection.execute(sql, parameters)
        except DatabaseError as error:
            self._after(error)
            raise

    def rows_in_turn(self, sql: str, parameters: Sequence[object]) -> list[Any]:
        """All rows, in one snapshot with all that is read so until the event loop's next turn.

        SQLite then takes and gives back its locks once for a swarm of tills, and not for each of them: that costs as
        much as the reading. Whoever waited for a commit goes on in a later turn, and so sees it.
        """
        if not self._in_turn:
            self._begin_turn()
        try:
            return self._cursor.execute(sql, parameters).fetchall()
        except DatabaseError as error:
            self._after(error)
            raise

    def _begin_turn(self) -> None:
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            return  # a command without a loop reads by itself
        if not self._connection.in_transaction:
            self.execute("BEGIN")
        self._in_turn = True
        loop.call_soon(self._end_turn)

    def _end_turn(self) -> None:
        self._in_turn = False
        try:
            if not self._closed and self._connection.in_transaction:  # not when it was opened anew meanwhile
                self._connection.execute("COMMIT")
        except DatabaseError:
            self._renew()

    def close(self) -> None:
        self._closed = True
        self._connection.close()

    def _after(self, error: DatabaseError) -> None:
        if trouble_of(error) is Trouble.DAMAGE:
            self._renew()

    def _renew(self) -> None:
        """Whoever still reads from the old one keeps it alive until he is done."""
        with suppress(Exception):  # nothing better to be had: the old one still knows what it has in memory
            self._connection = self._open()
            self._cursor = self._connection.cursor()


def _prepare(connection: Connection, key: bytes, synchronous: str, read_only: bool) -> None:
    connection.execute("PRAGMA cipher_log_level = NONE")  # its complaints would go to stderr, past the journal
    connection.execute(f"PRAGMA key = \"x'{key.hex()}'\"")
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute(f"PRAGMA synchronous = {synchronous}")
    connection.execute("PRAGMA secure_delete = ON")  # erased people's data leaves no pages behind
    connection.execute(f"PRAGMA cache_size = -{PAGE_CACHE_KB}")  # a lookup costs 9 µs instead of 37
    connection.execute(f"PRAGMA journal_size_limit = {WAL_KEPT_BYTES}")  # by itself a log never becomes smaller again
    if read_only:
        connection.execute("PRAGMA query_only = ON")


def _opening_error(path: Path, error: DatabaseError) -> Exception:
    if getattr(error, "sqlite_errorcode", None) == _NOT_A_DATABASE:
        return WrongKey(f"{path}: the database key does not open this file ({error}); "
                        "give the key it was made with, or restore a backup")
    if trouble_of(error) is Trouble.PASSING:
        return Transient(f"{path}: {error}")
    return Corrupt(f"{path}: {error}: check the disk, then restore a backup")


_NOT_A_DATABASE = 26


def migrate(connection: Connection, name: str) -> int:
    """Bring the database `name` (ledger, replica) to the newest version, all or nothing; returns the version.

    Raises `Corrupt` when the file was written by a newer version or is damaged, `Transient` when the disk is full.
    """
    scripts = sorted(_SQL_DIRECTORY.glob(f"{name}_[0-9]*.sql"))
    try:
        version = int(connection.execute("PRAGMA user_version").fetchone()[0])
        if version > len(scripts):
            raise Corrupt(f"{name}.db is version {version}, this program knows {len(scripts)}: "
                          "install the newer program")
        if sqlite_utils.Database(connection).table_names() and not _is_whole(connection):
            raise Corrupt(f"{name}.db fails its integrity check: restore a backup")
        if version < len(scripts):
            _apply(connection, scripts[version:], len(scripts))
    except DatabaseError as error:
        raise _opening_error(Path(f"{name}.db"), error) from error
    return len(scripts)


def _is_whole(connection: Connection) -> bool:
    return bool(connection.execute("PRAGMA quick_check(1)").fetchone()[0] == "ok")


def _apply(connection: Connection, scripts: list[Path], version: int) -> None:
    statements = "\n".join(script.read_text() for script in scripts)
    try:
        connection.executescript(f"BEGIN IMMEDIATE;\n{statements}\nPRAGMA user_version = {version};\nCOMMIT;")
    except DatabaseError:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
