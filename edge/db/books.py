"""The store's two databases, open: one writer each, and the readers of the event loop."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from edge.clock import ClockStamp
from edge.db.connection import Connection, connect, migrate
from edge.db.ledger import Chain, load_chain, load_clock, store_clock
from edge.db.writer import Writer
from edge.errors import ConfigurationError

MakeWriter = Callable[[Connection, str], Writer]


@dataclass(slots=True)
class Books:
    """`ledger` and `replica` write; the readers are for point reads in the event loop (a thread hop costs more)."""

    chain: Chain
    last_clock: ClockStamp | None
    ledger: Writer
    replica: Writer
    ledger_reader: Connection
    replica_reader: Connection
    _connections: tuple[Connection, ...]

    def close(self, stamp: ClockStamp | None = None) -> None:
        """Finish what is queued, persist a last reading of the clocks, close. Blocks for as long as a commit takes.

        With a stamp, a restart within this boot loses no grace.
        """
        self.ledger.close()
        self.replica.close()
        if stamp is not None:
            store_clock(self._connections[0], stamp)
        self.abandon()

    def abandon(self) -> None:
        """Close without finishing anything, as a power cut would."""
        for connection in (self.ledger_reader, self.replica_reader, *self._connections):
            connection.close()


def open_books(directory: Path, secret: str, store: str, make_writer: MakeWriter) -> Books:
    """Open or create both databases of `store` in `directory`. `secret`: the database key credential, any text.

    Raises `ConfigurationError` for a wrong key, an unusable directory or another store's files, `Corrupt` for
    damaged ones.
    """
    try:
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise ConfigurationError(f"{directory}: cannot be used as state directory: {error.strerror}") from error
    ledger_path, replica_path = directory / "ledger.db", directory / "replica.db"
    ledger_key, replica_key = derive_key(secret, "ledger.db"), derive_key(secret, "replica.db")
    ledger = connect(ledger_path, ledger_key, synchronous="FULL")
    replica = connect(replica_path, replica_key, synchronous="NORMAL")
    migrate(ledger, "ledger")
    migrate(replica, "replica")
    chain = _chain(ledger, store, ledger_path)
    return Books(chain, load_clock(ledger), make_writer(ledger, "ledger"), make_writer(replica, "replica"),
                 connect(ledger_path, ledger_key, synchronous="FULL", read_only=True),
                 connect(replica_path, replica_key, synchronous="NORMAL", read_only=True), (ledger, replica))


def derive_key(secret: str, purpose: str) -> bytes:
    """32 bytes for one purpose from a credential, by HKDF-SHA256: no key serves two purposes."""
    return HKDF(hashes.SHA256(), 32, salt=None, info=f"trastienda {purpose}".encode()).derive(secret.encode())


def _chain(ledger: Connection, store: str, path: Path) -> Chain:
    ledger.execute("BEGIN IMMEDIATE")
    try:
        chain = load_chain(ledger, store)
    except ValueError as error:
        ledger.execute("ROLLBACK")
        raise ConfigurationError(f"{path}: {error}") from error
    ledger.execute("COMMIT")
    return chain
