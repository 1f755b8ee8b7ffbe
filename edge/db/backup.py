"""Copies of `ledger.db`: made while the store runs, checked, put back. No thread, no clock.

`copy_ledger` uses SQLite's own backup, page by page, with the library and the key of the original, so that the copy is
a ledger as it stood at one commit. What is restored from it is marked: nobody knows any more what the labels show.
"""

import os
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from cloud_sync.contract.ledger import GENESIS_HASH, Head, entry_hash
from edge.db.connection import Connection, DatabaseError, connect, migrate, sqlite
from edge.db.queries import LEDGER
from edge.errors import Corrupt, Transient

COPY_PAGES = 512
"""Pages copied before the original's writers get their turn: 2 MiB."""

Progress = Callable[[int, int], None]
"""Pages done, pages in all."""


@dataclass(frozen=True, slots=True)
class LedgerState:
    """Whose ledger a file is and how far it goes."""

    store: str
    epoch: int
    head: Head

    @property
    def place(self) -> tuple[int, int]:
        return (self.epoch, self.head.sequence)


def copy_ledger(source: Path, target: Path, key: bytes, progress: Progress = lambda _done, _total: None) -> None:
    """A consistent copy of a ledger that may be in use. `target` is made anew, for its owner alone.

    Raises `Transient` when the disk is full, `Corrupt` for a damaged original.
    """
    target.unlink(missing_ok=True)
    os.close(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    try:
        with (closing(connect(source, key, synchronous="FULL", read_only=True)) as original,
              closing(sqlite.connect(str(target), isolation_level=None)) as copy):
            copy.execute(f"PRAGMA key = \"x'{key.hex()}'\"")
            original.backup(copy, pages=COPY_PAGES, sleep=0,
                            progress=lambda _status, left, total: progress(total - left, total))
            copy.execute("PRAGMA journal_mode = DELETE")  # one file, whole, without a log beside it
    except DatabaseError as error:
        target.unlink(missing_ok=True)
        raise Transient(f"{source}: could not be copied: {error}") from error
    except BaseException:
        target.unlink(missing_ok=True)
        raise


def check_ledger(path: Path, key: bytes) -> LedgerState:
    """Look at every page and every link of the chain. Raises `Corrupt`, `WrongKey`."""
    with closing(connect(path, key, synchronous="FULL")) as connection:
        migrate(connection, "ledger")
        try:
            for pragma in ("integrity_check(1)", "cipher_integrity_check"):
                found = connection.execute(f"PRAGMA {pragma}").fetchall()
                if [row[0] for row in found] not in ([], ["ok"]):
                    raise Corrupt(f"{path}: {pragma} found {found[0][0]}")
            state = state_of(connection)
            _check_chain(connection, path, state.store)
        except DatabaseError as error:
            raise Corrupt(f"{path}: {error}") from error
        connection.execute("PRAGMA journal_mode = DELETE")
    return state


def state_of(connection: Connection) -> LedgerState:
    """Whose ledger this is. Raises `Corrupt` for one that never was a store's."""
    store = connection.execute(LEDGER.get_meta, ("store",)).fetchone()
    if store is None:
        raise Corrupt("this is no store's ledger")
    epoch, sequence, hashed = connection.execute(LEDGER.newest_head).fetchone()
    return LedgerState(store[0], epoch, Head(sequence, hashed) if sequence else Head())


def mark_restored(path: Path, key: bytes) -> None:
    """What the labels show is not known after a restore: each is due until it proves again (P7)."""
    with closing(connect(path, key, synchronous="FULL")) as connection:
        connection.execute(LEDGER.doubt_all_labels)


def _check_chain(connection: Connection, path: Path, store: str) -> None:
    """From the oldest entry that is kept, or the first one, to the last, epoch by epoch, one row in memory."""
    place, before = (0, 0), GENESIS_HASH
    for epoch, sequence, fact_key, kind, occurred_ms, day, payload, hashed in connection.execute(LEDGER.whole_chain):
        follows = (epoch, sequence) == (place[0], place[1] + 1)
        if sequence == 1:
            before, follows = GENESIS_HASH, True
        if follows and entry_hash(before, store, epoch, sequence, fact_key, kind, occurred_ms, day,
                                  payload) != hashed:
            raise Corrupt(f"{path}: the chain is broken at entry {sequence} of epoch {epoch}")
        place, before = (epoch, sequence), hashed
