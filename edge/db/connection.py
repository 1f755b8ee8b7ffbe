"""Opening a store's database: encrypted, checked, migrated. The one place that names the SQLite library.

SQLCipher's SQLite is registered for sqlite-utils too: two SQLite libraries in one process would break each
other's locks on the same file.
"""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import sqlcipher3
from sqlcipher3 import dbapi2 as sqlite

if TYPE_CHECKING:  # the wheel has no types; its classes have the shape of the standard library's
    from sqlite3 import Connection, DatabaseError, OperationalError
else:
    Connection, DatabaseError, OperationalError = sqlite.Connection, sqlite.DatabaseError, sqlite.OperationalError

sys.modules["pysqlite3"] = sqlcipher3
sys.modules["pysqlite3.dbapi2"] = sqlite

import sqlite_utils  # noqa: E402  it takes the library registered above, and only when imported after it

from edge.errors import ConfigurationError, Corrupt  # noqa: E402  keeps the two imports above first

__all__ = ["Connection", "DatabaseError", "OperationalError", "connect", "migrate"]

SQLITE_OLDEST = (3, 51, 3)
"""Older ones may lose a WAL that is reset while another connection writes (engineering.md 1.9)."""

BUSY_TIMEOUT_MS = 5_000
CACHED_STATEMENTS = 512
_SQL_DIRECTORY = Path(__file__).parent / "sql"


def connect(path: Path, key: bytes, *, synchronous: str, read_only: bool = False) -> Connection:
    """Open an encrypted database. `key` is 32 bytes; `synchronous` is FULL or NORMAL.

    Raises `ConfigurationError` when the key does not open the file, `Corrupt` when the file is damaged.
    """
    assert sqlite.sqlite_version_info >= SQLITE_OLDEST, f"SQLite {sqlite.sqlite_version} may lose its WAL"
    assert len(key) == 32
    assert synchronous in ("FULL", "NORMAL")
    connection: Connection = sqlite.connect(str(path), isolation_level=None, check_same_thread=False,
                                cached_statements=CACHED_STATEMENTS, timeout=BUSY_TIMEOUT_MS / 1000)
    connection.execute("PRAGMA cipher_log_level = NONE")  # its complaints would go to stderr, past the journal
    connection.execute(f"PRAGMA key = \"x'{key.hex()}'\"")
    try:
        connection.execute("PRAGMA journal_mode = WAL")
    except sqlite.DatabaseError as error:
        connection.close()
        raise ConfigurationError(f"{path}: the database key does not open this file ({error}); "
                                 "give the key it was made with, or restore a backup") from error
    connection.execute(f"PRAGMA synchronous = {synchronous}")
    connection.execute("PRAGMA secure_delete = ON")  # erased people's data leaves no pages behind
    if read_only:
        connection.execute("PRAGMA query_only = ON")
    return connection


def migrate(connection: Connection, name: str) -> int:
    """Bring the database `name` (ledger, replica) to the newest version, all or nothing; returns the version.

    Raises `Corrupt` when the file was written by a newer version or fails its integrity check.
    """
    scripts = sorted(_SQL_DIRECTORY.glob(f"{name}_[0-9]*.sql"))
    database = sqlite_utils.Database(connection)
    version = int(connection.execute("PRAGMA user_version").fetchone()[0])
    if version > len(scripts):
        raise Corrupt(f"{name}.db is version {version}, this program knows {len(scripts)}: install the newer program")
    if database.table_names() and connection.execute("PRAGMA quick_check(1)").fetchone()[0] != "ok":
        raise Corrupt(f"{name}.db fails its integrity check: restore a backup")
    if version < len(scripts):
        statements = "\n".join(script.read_text() for script in scripts[version:])
        connection.executescript(f"BEGIN IMMEDIATE;\n{statements}\nPRAGMA user_version = {len(scripts)};\nCOMMIT;")
    return len(scripts)
