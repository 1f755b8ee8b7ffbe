"""A write-ahead log stays small: moved into the database as it grows, cut back when a long reader let it grow (P10)."""

import asyncio
import itertools
from collections.abc import Iterator
from contextlib import closing
from functools import partial
from pathlib import Path

import pytest

from edge.db.books import Books, derive_key, open_books
from edge.db.connection import Connection, connect
from edge.db.writer import LoopWriter, Writer
from edge.limits import WAL_KEPT_BYTES, WRITER_LOG_PAGES

SECRET = "a database key"
FRAME_BYTES = 4096 + 24
ROW_BYTES = 200_000
LARGE_BYTES = WAL_KEPT_BYTES + 2**20
LETTERS = itertools.cycle("abcdefghijklm")


@pytest.fixture
def books(tmp_path: Path) -> Iterator[Books]:
    books = open_books(tmp_path, SECRET, "0042", lambda connection, _name: LoopWriter(connection, lambda: 0.0))
    yield books
    books.close()


def log_bytes(directory: Path, name: str = "ledger") -> int:
    return (directory / f"{name}.db-wal").stat().st_size


def put(connection: Connection, row: tuple[str, str]) -> None:
    connection.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", row)


def writes(writer: Writer, megabytes: float) -> None:
    """As many commits of one row as that takes, one after the other."""

    async def commits() -> None:
        for number in range(int(megabytes * 2**20 / ROW_BYTES)):
            row = (f"ballast {number % 50}", next(LETTERS) * ROW_BYTES)  # SQLite writes no page that stays as it is
            await writer.submit(partial(put, row=row))

    asyncio.run(commits())


def reader_of(directory: Path) -> Connection:
    """Somebody else who has the key, such as a technician with a database shell."""
    return connect(directory / "ledger.db", derive_key(SECRET, "ledger.db"), synchronous="FULL", read_only=True)


def test_p10_a_log_without_long_readers_never_grows_beyond_its_checkpoint(books: Books, tmp_path: Path) -> None:
    for _ in range(10):
        writes(books.ledger, megabytes=3)
        assert log_bytes(tmp_path) <= (WRITER_LOG_PAGES + ROW_BYTES // 4096 + 10) * FRAME_BYTES


def test_p10_a_log_that_a_long_reader_let_grow_is_cut_back_when_the_reader_ends(
        books: Books, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And until then it is an issue; the store's own readers do not see the past for longer than one statement."""
    monkeypatch.setattr("edge.db.books.WAL_BYTES_MAX", LARGE_BYTES)
    with closing(reader_of(tmp_path)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT COUNT(*) FROM meta").fetchone()
        assert books.large_logs() == []
        while log_bytes(tmp_path) <= LARGE_BYTES:
            writes(books.ledger, megabytes=4)
            books.ledger_reader.execute("SELECT key FROM meta").fetchone()
        assert books.large_logs() == ["ledger"]
        reader.execute("COMMIT")
    writes(books.ledger, megabytes=1)
    assert log_bytes(tmp_path) <= WAL_KEPT_BYTES
    assert books.large_logs() == []


def test_p10_a_log_that_a_bulk_load_made_large_is_cut_back_by_the_next_commits(books: Books, tmp_path: Path) -> None:
    async def bulk() -> None:
        rows = [(f"row {number}", "x" * ROW_BYTES) for number in range(60)]
        await books.replica.submit(lambda connection: [put(connection, row) for row in rows])

    asyncio.run(bulk())
    assert log_bytes(tmp_path, "replica") > WAL_KEPT_BYTES
    writes(books.replica, megabytes=1)
    assert log_bytes(tmp_path, "replica") <= WAL_KEPT_BYTES
