"""The rows of local price books in `ledger.db`, which outlive a replica that is built anew.

Each function runs in the ledger writer's transaction and takes its connection; those that only look take a reader.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from edge.db.connection import Connection
from edge.db.queries import LEDGER
from edge.domain.local_book import book_prefix
from edge.limits import LOCAL_PRICES_AT_ONCE

Change = tuple[str, int, bytes | None]
"""Entry id, version and document; `None`: it goes."""


@dataclass(frozen=True, slots=True)
class BookRow:
    """A book. `version`: of its newest prices; `sealed`: what `local_change` has of it counts, and moves over."""

    book: str
    version: int
    sealed: bool


def span_of(book: str) -> tuple[str, str]:
    """Below the first and above the last id that the entries of a book can have."""
    prefix = book_prefix(book)
    return prefix, prefix[:-1] + "0"  # the character behind the slash


def books(reader: Connection) -> list[BookRow]:
    """All books, by name."""
    rows = reader.execute(LEDGER.local_books).fetchall()
    return [BookRow(book, version, bool(sealed)) for book, version, sealed in rows]


def version_of(reader: Connection, book: str) -> int:
    """0 for a book that nothing is known of."""
    row = reader.execute(LEDGER.local_book, (book,)).fetchone()
    return row[0] if row else 0


def prices_in_slices(reader: Connection, first: str, last: str) -> Iterator[list[tuple[str, int, bytes]]]:
    """Id, version and document of the prices between two ids, in order, so many at a time."""
    while rows := reader.execute(LEDGER.local_prices_from, (first, last, LOCAL_PRICES_AT_ONCE)).fetchall():
        yield rows
        first = rows[-1][0]


def write_changes(connection: Connection, changes: Sequence[Change]) -> None:
    """Write down what a file changes; it does not count yet."""
    connection.executemany(LEDGER.put_local_change, changes)


def drop_changes(connection: Connection, book: str) -> None:
    """What was written down of a file that never counted."""
    connection.execute(LEDGER.delete_local_changes, span_of(book))


def seal(connection: Connection, book: str, version: int) -> None:
    """From now on what was written down of the book counts, whatever happens."""
    connection.execute(LEDGER.put_local_book, (book, version, 1))


def move_over(connection: Connection, book: str) -> list[Change]:
    """Move a slice of what counts into the book; returns it. After the last the book is whole, and none is returned."""
    changes: list[Change] = connection.execute(
        LEDGER.local_changes_from, (*span_of(book), LOCAL_PRICES_AT_ONCE)).fetchall()
    connection.executemany(LEDGER.put_local_price, [change for change in changes if change[2] is not None])
    connection.executemany(LEDGER.delete_local_price, [(key,) for key, _, doc in changes if doc is None])
    connection.executemany(LEDGER.delete_local_change, [(key,) for key, _, _ in changes])
    if not changes:
        connection.execute(LEDGER.put_local_book, (book, version_of(connection, book), 0))
    return changes
