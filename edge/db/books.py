"""The store's two databases, open: one writer each, and the readers of the event loop."""

import os
from collections.abc import Callable
from contextlib import ExitStack, closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import cast

import structlog
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from cloud_sync.contract.documents import Policy
from edge.clock import ClockStamp
from edge.db.connection import Connection, DatabaseError, Reader, WrongKey, attach, connect, migrate
from edge.db.ledger import Chain, load_chain, load_clock, load_policy, store_clock
from edge.db.replica import policy as last_policy
from edge.db.writer import Writer
from edge.errors import ConfigurationError, Corrupt
from edge.limits import WAL_BYTES_MAX

_log = structlog.get_logger(__name__)
MakeWriter = Callable[[Connection, str], Writer]


@dataclass(slots=True)
class Books:
    """`ledger` and `replica` write; the readers are for point reads in the event loop (a thread hop costs more).

    `both_reader` is the replica's reader, which sees the ledger too, as `ledger`: a lookup is one statement.
    """

    chain: Chain
    last_clock: ClockStamp | None
    ledger: Writer
    replica: Writer
    ledger_reader: Connection
    replica_reader: Connection
    both_reader: Reader
    _connections: tuple[Connection, ...]

    def policy(self) -> Policy:
        """The last good policy; the one kept beside the ledger where the replica was lost."""
        return last_policy(self.replica_reader, load_policy(self.ledger_reader))

    def reusable_bytes(self) -> int:
        """Room inside ledger.db that facts can use before the file has to grow; 0 when it cannot be read."""
        try:
            free, size = (int(self.ledger_reader.execute(f"PRAGMA {name}").fetchone()[0])
                          for name in ("freelist_count", "page_size"))
        except DatabaseError:
            return 0
        return free * size

    def large_logs(self) -> list[str]:
        """Databases whose write-ahead log is beyond `WAL_BYTES_MAX`."""
        paths = [Path(connection.execute("PRAGMA database_list").fetchone()[2])
                 for connection in (self.ledger_reader, self.replica_reader)]
        return [path.stem for path in paths if _size(path.with_name(f"{path.name}-wal")) > WAL_BYTES_MAX]

    def close(self, stamp: ClockStamp | None = None) -> None:
        """Finish what is queued, persist a last reading of the clocks, close. Blocks for as long as a commit takes.

        With a stamp, a restart within this boot loses no grace. A ledger that can no longer be trusted gets none.
        """
        self.ledger.close()
        self.replica.close()
        if stamp is not None and not self.ledger.broken:
            try:
                store_clock(self._connections[0], stamp)
            except DatabaseError as error:  # the books could not be written for longer than this, and it was said
                _log.error("the clocks could not be stamped", error=str(error))
        self._close_connections()

    def abandon(self) -> None:
        """Close without finishing anything, as a power cut would."""
        self.ledger.abandon()
        self.replica.abandon()
        self._close_connections()

    def _close_connections(self) -> None:
        for connection in (self.ledger_reader, self.replica_reader, *self._connections):
            connection.close()


def open_books(directory: Path, secret: str, store: str, make_writer: MakeWriter, first_epoch: int = 1) -> Books:
    """Open or create both databases of `store` in `directory`. `secret`: the database key credential, any text.
    `first_epoch`: what a new ledger begins with.

    A damaged `replica.db` is set aside and built anew from the hub; a damaged ledger never is. Raises
    `ConfigurationError` for a wrong key, an unusable directory or another store's files, `Corrupt` for a damaged
    ledger, `Transient` when a file is locked or the disk is full. Leaves nothing open then.
    """
    try:
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise ConfigurationError(f"{directory}: cannot be used as state directory: {error.strerror}") from error
    if not os.access(directory, os.R_OK | os.W_OK | os.X_OK):
        raise ConfigurationError(f"{directory}: cannot be used as state directory: this user may not write there, or "
                                 "its file system is read-only")
    with ExitStack() as opened:
        ledger_path, replica_path = directory / "ledger.db", directory / "replica.db"
        ledger_key, replica_key = derive_key(secret, "ledger.db"), derive_key(secret, "replica.db")
        ledger = opened.enter_context(closing(_open(ledger_path, ledger_key, "FULL")))
        chain = _chain(ledger, store, ledger_path, first_epoch)
        replica = opened.enter_context(closing(_open_replica(replica_path, replica_key)))
        read_ledger = partial(connect, ledger_path, ledger_key, synchronous="FULL", read_only=True)
        read_both = partial(_read_both, (replica_path, replica_key), (ledger_path, ledger_key))
        readers = [opened.enter_context(closing(Reader(opener))) for opener in (read_ledger, read_both)]
        books = Books(chain, load_clock(ledger), make_writer(ledger, "ledger"), make_writer(replica, "replica"),
                      cast(Connection, readers[0]), cast(Connection, readers[1]), readers[1], (ledger, replica))
        opened.pop_all()
    return books


def _read_both(replica: tuple[Path, bytes], ledger: tuple[Path, bytes]) -> Connection:
    connection = connect(*replica, synchronous="FULL", read_only=True)
    try:
        attach(connection, *ledger, "ledger")
    except BaseException:
        connection.close()
        raise
    return connection


def _open(path: Path, key: bytes, synchronous: str) -> Connection:
    connection = connect(path, key, synchronous=synchronous)
    try:
        migrate(connection, path.stem)
    except BaseException:
        connection.close()
        raise
    return connection


def _open_replica(path: Path, key: bytes) -> Connection:
    """The copy of the hub's truth. The ledger opened with the same secret, so a wrong key here is damage."""
    connection = _open_whole_replica(path, key)
    connection.execute("PRAGMA secure_delete = OFF")  # no person is in there, and pages need not be wiped on a reload
    return connection


def _open_whole_replica(path: Path, key: bytes) -> Connection:
    try:
        return _open(path, key, "NORMAL")
    except (WrongKey, Corrupt) as error:
        _log.error("replica.db cannot be used; it is set aside and built anew from the hub", error=str(error))
        for suffix in ("", "-wal", "-shm"):  # one set is kept, for whoever wants to know what happened
            damaged = path.with_name(path.name + suffix)
            if damaged.exists():
                damaged.replace(path.with_name(f"{path.stem}.damaged{path.suffix}{suffix}"))
        return _open(path, key, "NORMAL")


def derive_key(secret: str, purpose: str) -> bytes:
    """32 bytes for one purpose from a credential, by HKDF-SHA256: no key serves two purposes."""
    return HKDF(hashes.SHA256(), 32, salt=None, info=f"trastienda {purpose}".encode()).derive(secret.encode())


def _chain(ledger: Connection, store: str, path: Path, first_epoch: int) -> Chain:
    ledger.execute("BEGIN IMMEDIATE")
    try:
        chain = load_chain(ledger, store, first_epoch)
    except ValueError as error:
        ledger.execute("ROLLBACK")
        raise ConfigurationError(f"{path}: {error}") from error
    ledger.execute("COMMIT")
    return chain


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0
