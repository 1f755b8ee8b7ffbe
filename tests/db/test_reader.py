"""The event loop's readers: one snapshot for all that is read in a turn, and never one that outlives it."""

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from edge.db.connection import Connection, Reader, WrongKey, attach, connect
from edge.db.writer import ThreadWriter
from tests.db.conftest import KEY

COUNT = "SELECT COUNT(*) FROM note"


@pytest.fixture
def reader(path: Path, connection: Connection) -> Iterator[Reader]:
    opened = Reader(lambda: connect(path, KEY, synchronous="FULL", read_only=True))
    yield opened
    opened.close()


def note(number: int) -> Callable[[Connection], object]:
    return lambda connection: connection.execute("INSERT INTO note VALUES (?, 'x')", (number,))


async def test_a_turn_sees_one_snapshot_and_the_next_turn_what_was_written(connection: Connection, reader: Reader):
    assert reader.rows_in_turn(COUNT, ()) == [(0,)]
    connection.execute("INSERT INTO note VALUES (1, 'x')")
    assert reader.rows_in_turn(COUNT, ()) == [(0,)]
    await asyncio.sleep(0)
    assert reader.rows_in_turn(COUNT, ()) == [(1,)]


@pytest.mark.parametrize("short", [False, True])
async def test_p1_who_waited_for_a_commit_reads_what_it_wrote(connection: Connection, reader: Reader, short: bool):
    """Others keep opening snapshots in every turn meanwhile."""
    async def others() -> None:
        while True:
            reader.rows_in_turn(COUNT, ())
            await asyncio.sleep(0)

    busy = [asyncio.create_task(others()) for _ in range(5)]
    writer = ThreadWriter(connection, "test")
    for number in range(200):
        await writer.submit(note(number), short=short)
        assert reader.rows_in_turn(COUNT, ()) == [(number + 1,)]
    for task in busy:
        task.cancel()
    writer.close()


def test_without_an_event_loop_every_read_is_by_itself(connection: Connection, reader: Reader):
    assert reader.rows_in_turn(COUNT, ()) == [(0,)]
    connection.execute("INSERT INTO note VALUES (1, 'x')")
    assert reader.rows_in_turn(COUNT, ()) == [(1,)]


async def test_a_snapshot_whose_connection_was_opened_anew_ends_quietly(connection: Connection, reader: Reader):
    assert reader.rows_in_turn(COUNT, ()) == [(0,)]
    reader._renew()
    connection.execute("INSERT INTO note VALUES (1, 'x')")
    await asyncio.sleep(0)
    assert reader.rows_in_turn(COUNT, ()) == [(1,)]


async def test_a_reader_that_was_closed_within_its_turn_stays_closed(path: Path, connection: Connection):
    connection.execute("INSERT INTO note VALUES (1, 'x')")
    opened: list[Connection] = []

    def open_one() -> Connection:
        opened.append(connect(path, KEY, synchronous="FULL", read_only=True))
        return opened[-1]

    reader = Reader(open_one)
    assert reader.rows_in_turn(COUNT, ()) == [(1,)]
    reader.close()
    await asyncio.sleep(0)
    assert len(opened) == 1


def test_an_attached_book_needs_its_own_key(tmp_path: Path, connection: Connection):
    other = connect(tmp_path / "other.db", b"o" * 32, synchronous="FULL")
    other.execute("CREATE TABLE page (id INTEGER PRIMARY KEY) STRICT")
    other.close()
    attach(connection, tmp_path / "other.db", b"o" * 32, "beside")
    assert connection.execute("SELECT COUNT(*) FROM beside.page").fetchone() == (0,)
    with pytest.raises(WrongKey):
        attach(connection, tmp_path / "other.db", KEY, "again")
