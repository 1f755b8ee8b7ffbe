"""One database, SQLite or PostgreSQL, behind one seam: a transaction that is committed whole or not at all.

SQLite (SQLCipher's) belongs to one process, which a lock beside the file holds; all its transactions go one after
the other over one connection. PostgreSQL is shared by any number of hub processes; rows are locked instead.
Everything here is synchronous: whoever calls decides on which thread.
"""

import fcntl
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

import sqlalchemy as sa
from sqlalchemy.engine import make_url
from sqlalchemy.pool import StaticPool
from sqlcipher3 import dbapi2 as sqlcipher

from cloud_sync.hub import schema
from cloud_sync.hub.errors import AlreadyRunning, ConfigurationError
from cloud_sync.hub.secrets import HubKey, RandomBytes, Sealer

SQLITE_OLDEST = (3, 51, 3)
"""Older ones may lose a WAL that is reset while another connection writes (engineering.md 1.9)."""

POSTGRES_CONNECTIONS = 8
"""Per hub process; as many transactions run at once, further ones wait."""

KEYS_PER_QUERY = 500
"""Longer lists of keys are asked for in several queries."""

_EPOCH_BYTES = 8
_NOT_OURS = "file is not a database"  # how SQLite says that the key is wrong; sqlcipher3 gives no code with it

_HUB_EPOCH = sa.select(schema.hub_meta.c.value).where(schema.hub_meta.c.name == "hub_epoch")

@dataclass(slots=True)
class Database:
    """An open, migrated database with the tools that every part of the hub's storage shares."""

    engine: sa.Engine
    sealer: Sealer
    now_ms: Callable[[], int]
    random_bytes: RandomBytes
    lock: AbstractContextManager[object]
    lock_file: TextIO | None = None
    only_connection: sa.Connection | None = None

    @property
    def shared(self) -> bool:
        """Whether other hub processes may change what this one has read."""
        return self.only_connection is None

    @contextmanager
    def transaction(self) -> Iterator[sa.Connection]:
        """Committed when the block ends, rolled back when it raises."""
        if self.only_connection is None:
            with self.engine.begin() as connection:
                yield connection
        else:
            with self.lock, self.only_connection.begin():
                yield self.only_connection

    @contextmanager
    def reading(self) -> Iterator[sa.Connection]:
        """For reads that need no common snapshot, and single statements: on PostgreSQL without BEGIN and COMMIT.

        Each of these would be a round trip of its own; in a transaction at READ COMMITTED every statement has its
        own snapshot as well.
        """
        if self.only_connection is None:
            with self.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
                yield connection
        else:
            with self.transaction() as connection:
                yield connection

    def mint(self) -> str:
        """A random name for an incarnation or a person: 16 hex digits."""
        return self.random_bytes(_EPOCH_BYTES).hex()

    def hub_epoch(self) -> str:
        """This hub's incarnation; changes only when a backup is restored."""
        with self.transaction() as connection:
            return str(connection.execute(_HUB_EPOCH).scalar_one())

    def renew_after_restore(self) -> None:
        """To be called once on a restored backup: a new hub epoch, and a new generation of every feed.

        Stores then send their ledger again from the older head, and fetch their feeds afresh, because offsets
        that the lost hub had given away will be given again to other records.
        """
        with self.transaction() as connection:
            connection.execute(schema.hub_meta.update().where(schema.hub_meta.c.name == "hub_epoch"),
                               {"value": self.mint()})
            for tables in (schema.ZONE_FEEDS, schema.STORE_FEEDS):
                connection.execute(tables.head.update(), {"generation": self.mint()})

    def close(self) -> None:
        """Closes the connections and lets another process have the file."""
        if self.only_connection is not None:
            self.only_connection.close()
        self.engine.dispose()
        if self.lock_file is not None:
            self.lock_file.close()
            self.lock_file = None


def open_database(url: str, key: HubKey, now_ms: Callable[[], int], random_bytes: RandomBytes) -> Database:
    """Open and migrate `sqlite:///PATH`, `sqlite://` (in memory) or `postgresql://...`.

    Raises `AlreadyRunning` when another process holds the SQLite file, `ConfigurationError` for a URL or key that
    does not fit.
    """
    target = parse_url(url)
    sealer = Sealer(key.derive("person"), random_bytes)
    if target.get_backend_name() == "postgresql":
        database = Database(_postgres_engine(target), sealer, now_ms, random_bytes, nullcontext())
    else:
        lock_file = _hold(Path(target.database)) if target.database else None
        database = Database(_sqlite_engine(target, key.derive("database")), sealer, now_ms, random_bytes,
                            threading.Lock(), lock_file)
    try:
        if target.get_backend_name() == "sqlite":
            database.only_connection = database.engine.connect()
        with database.transaction() as connection:
            schema.migrate(connection, database.mint(), key.derive("check").hex())
    except BaseException as error:
        database.close()
        if isinstance(error, sa.exc.DatabaseError) and _NOT_OURS in str(error.orig):
            raise ConfigurationError(f"{target.database}: the hub key does not open this file") from error
        raise
    return database


def parse_url(url: str) -> sa.URL:
    """Raises `ConfigurationError` for anything but SQLite and PostgreSQL."""
    try:
        target = make_url(url)
    except sa.exc.ArgumentError as error:
        raise ConfigurationError("the database URL is none: use sqlite:///PATH or postgresql://HOST/NAME") from error
    if target.get_backend_name() == "postgresql":
        return target.set(drivername="postgresql+psycopg")
    if target.drivername == "sqlite":
        return target
    raise ConfigurationError(f"the hub does not run on {target.drivername}: use sqlite:///PATH or postgresql://HOST/NAME")


def in_groups(keys: Sequence[str]) -> Iterator[Sequence[str]]:
    """Lists of keys short enough for one query."""
    return (keys[start:start + KEYS_PER_QUERY] for start in range(0, len(keys), KEYS_PER_QUERY))


def _hold(path: Path) -> TextIO:
    """Take the lock beside the file for as long as this process lives; the file itself is its owner's only."""
    lock_path = path.with_name(path.name + ".lock")
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
        lock_file = os.fdopen(os.open(lock_path, os.O_RDWR | os.O_CREAT, 0o600), "r+", encoding="utf-8")
    except OSError as error:
        raise ConfigurationError(f"{lock_path}: {error.strerror}: the hub must be able to write there") from error
    try:
        fcntl.flock(lock_file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        holder = lock_file.read().strip() or "unknown"
        lock_file.close()
        raise AlreadyRunning(f"{path}: another hub process ({holder}) holds this database: "
                             "stop it, or import through it with --hub") from error
    lock_file.truncate(0)
    lock_file.write(f"process {os.getpid()}\n")
    lock_file.flush()
    return lock_file


def _sqlite_engine(target: sa.URL, key: bytes) -> sa.Engine:
    assert sqlcipher.sqlite_version_info >= SQLITE_OLDEST, f"SQLite {sqlcipher.sqlite_version} may lose its WAL"
    engine = sa.create_engine(target, module=sqlcipher, poolclass=StaticPool,
                              connect_args={"check_same_thread": False, "isolation_level": None})

    @sa.event.listens_for(engine, "connect")
    def set_up(connection: sqlcipher.Connection, _record: object) -> None:
        connection.execute(f"PRAGMA key = \"x'{key.hex()}'\"")
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")  # an acknowledged fact survives a power cut
        connection.execute("PRAGMA secure_delete = ON")  # an erased person leaves no bytes behind

    @sa.event.listens_for(engine, "begin")
    def begin(connection: sa.Connection) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    return engine


def _postgres_engine(target: sa.URL) -> sa.Engine:
    """No ping before every use: the first call that finds a server gone fails, and all connections are made anew."""
    return sa.create_engine(target, pool_size=POSTGRES_CONNECTIONS, max_overflow=0)
