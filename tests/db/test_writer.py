"""The writer: acknowledged only after the commit, one bad operation alone, a full disk loses nothing (P1, P2, P10)."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from edge import virtual_time
from edge.db.connection import Connection, connect
from edge.db.write_group import Operation
from edge.db.writer import LoopWriter, ThreadWriter, Writer
from edge.errors import Corrupt, Transient
from edge.limits import WRITER_GROUP_MAX, WRITER_LOG_PAGES, WRITER_QUEUE_MAX
from tests.db.conftest import KEY


@pytest.fixture
def second(path: Path, connection: Connection) -> Iterator[Connection]:
    """Somebody else who reads the file: sees only what is committed."""
    opened = connect(path, KEY, synchronous="FULL", read_only=True)
    yield opened
    opened.close()


def note(number: int, text: str = "x") -> Callable[[Connection], int]:
    def operation(connection: Connection) -> int:
        connection.execute("INSERT INTO note VALUES (?, ?)", (number, text))
        return number
    return operation


def notes(connection: Connection) -> list[int]:
    return [number for (number,) in connection.execute("SELECT id FROM note ORDER BY id").fetchall()]


def loop_writer(connection: Connection) -> LoopWriter:
    return LoopWriter(connection, lambda: 0.001)


class ShortWriter(ThreadWriter):
    """The event loop runs the operations, the thread commits."""

    async def submit(self, operation: Operation[Any], *, short: bool = True) -> Any:
        return await super().submit(operation, short=short)


def thread_writer(connection: Connection) -> ThreadWriter:
    return ThreadWriter(connection, "test")


def short_writer(connection: Connection) -> ShortWriter:
    return ShortWriter(connection, "test")


EVERY_WRITER = pytest.mark.parametrize("make", [loop_writer, thread_writer, short_writer])
THREADS = pytest.mark.parametrize("make", [thread_writer, short_writer])


@THREADS
async def test_p1_an_answer_comes_only_after_the_commit_reached_the_file(
        connection: Connection, second: Connection, make: Callable[[Connection], Writer]):
    writer = make(connection)
    for number in range(50):
        assert await writer.submit(note(number)) == number
        assert notes(second) == list(range(number + 1))
    writer.close()


@THREADS
async def test_p1_many_at_once_are_all_there_when_the_last_is_answered(
        connection: Connection, second: Connection, make: Callable[[Connection], Writer]):
    writer = make(connection)
    await asyncio.gather(*(writer.submit(note(number)) for number in range(500)))
    assert notes(second) == list(range(500))
    writer.close()


@EVERY_WRITER
async def test_p2_one_bad_operation_harms_no_other_of_its_group(
        connection: Connection, second: Connection, make: Callable[[Connection], Writer]):
    def half_done(connection: Connection) -> None:
        connection.execute("INSERT INTO note VALUES (100, 'half')")
        raise KeyError("a bug of this operation")

    writer = make(connection)
    answers = await asyncio.gather(writer.submit(note(1)), writer.submit(half_done), writer.submit(note(1)),
                                   writer.submit(note(2)), return_exceptions=True)
    assert answers[0] == 1
    assert isinstance(answers[1], KeyError)
    assert "UNIQUE" in str(answers[2])
    assert answers[3] == 2
    assert notes(second) == [1, 2]
    writer.close()


def test_a_group_holds_at_most_its_named_number_and_forms_while_a_commit_takes_its_time(connection: Connection):
    commits: list[int] = []
    connection.set_trace_callback(lambda statement: commits.append(1) if statement == "COMMIT" else None)

    async def main() -> None:
        writer = loop_writer(connection)
        await asyncio.gather(*(writer.submit(note(number)) for number in range(WRITER_GROUP_MAX * 2 + 1)))

    virtual_time.run(main())
    assert len(commits) == 3


def test_p10_a_full_queue_is_answered_not_stored_and_nothing_of_it_is_stored(connection: Connection):
    async def main() -> list[object]:
        writer = loop_writer(connection)
        return await asyncio.gather(*(writer.submit(note(number)) for number in range(WRITER_QUEUE_MAX + 2)),
                                    return_exceptions=True)

    answers = virtual_time.run(main())
    assert [type(answer) for answer in answers[WRITER_QUEUE_MAX:]] == [Transient, Transient]
    assert notes(connection) == list(range(WRITER_QUEUE_MAX))


@EVERY_WRITER
async def test_p1_a_full_disk_is_answered_not_stored_and_later_the_same_works(
        connection: Connection, second: Connection, make: Callable[[Connection], Writer]):
    pages = connection.execute("PRAGMA page_count").fetchone()[0]
    connection.execute(f"PRAGMA max_page_count = {pages + 4}")
    writer = make(connection)
    await writer.submit(note(1))
    answers = await asyncio.gather(writer.submit(note(2)), writer.submit(note(3, "y" * 60_000)),
                                   writer.submit(note(4)), return_exceptions=True)
    assert [type(answer) for answer in answers] == [Transient, Transient, Transient]
    assert notes(second) == [1]
    await writer.submit(lambda connection: connection.execute("SELECT 1").fetchone())
    connection.execute("PRAGMA max_page_count = 100000")
    await asyncio.gather(writer.submit(note(2)), writer.submit(note(3, "y" * 60_000)))
    assert notes(second) == [1, 2, 3]
    writer.close()


async def test_p1_a_full_disk_that_an_operation_hides_is_still_everybodys(connection: Connection, second: Connection):
    """SQLite rolls the whole group back; whoever turned its error into another must not be told that all is well."""
    def hides(connection: Connection) -> None:
        try:
            connection.execute("INSERT INTO note VALUES (3, ?)", ("y" * 200_000,))
        except Exception as error:
            raise ValueError("could not") from error

    connection.execute(f"PRAGMA max_page_count = {connection.execute('PRAGMA page_count').fetchone()[0] + 4}")
    writer = loop_writer(connection)
    answers = await asyncio.gather(writer.submit(note(2)), writer.submit(hides), return_exceptions=True)
    assert [type(answer) for answer in answers] == [RuntimeError, RuntimeError]
    assert notes(second) == []
    await writer.submit(note(5))
    assert notes(second) == [5]


def damage_table(path: Path, table: str) -> None:
    """A table's first page is zeros, as after a dying flash cell."""
    opened = connect(path, KEY, synchronous="FULL")
    root = opened.execute("SELECT rootpage FROM sqlite_master WHERE name = ?", (table,)).fetchone()[0]
    size = int(opened.execute("PRAGMA page_size").fetchone()[0])  # SQLCipher answers in text
    opened.close()
    pages = bytearray(path.read_bytes())
    pages[(root - 1) * size:root * size] = bytes(size)
    path.write_bytes(pages)


@THREADS
async def test_p1_a_damaged_file_stops_writing_and_reading_goes_on(
        path: Path, connection: Connection, make: Callable[[Connection], Writer]):
    connection.execute("CREATE TABLE other (id INTEGER PRIMARY KEY, text TEXT NOT NULL) STRICT")
    connection.execute("INSERT INTO other VALUES (1, 'still readable')")
    connection.close()
    damage_table(path, "note")

    opened = connect(path, KEY, synchronous="FULL")
    writer = make(opened)
    answers = await asyncio.gather(writer.submit(note(1)), writer.submit(note(2)), return_exceptions=True)
    assert [type(answer) for answer in answers] == [Corrupt, Corrupt]
    with pytest.raises(Corrupt):
        await writer.submit(lambda connection: connection.execute("SELECT 1").fetchone())
    reader = connect(path, KEY, synchronous="FULL", read_only=True)
    assert reader.execute("SELECT text FROM other").fetchone() == ("still readable",)
    reader.close()
    writer.close()
    opened.close()


@THREADS
async def test_p10_the_log_goes_into_the_file_again_and_again(
        connection: Connection, second: Connection, make: Callable[[Connection], Writer]):
    writer = make(connection)
    for number in range(120):
        await writer.submit(note(number, "y" * 100_000))
    writer.close()
    assert second.execute("PRAGMA wal_checkpoint(NOOP)").fetchone()[1] < 2 * WRITER_LOG_PAGES
    assert notes(second) == list(range(120))


@THREADS
async def test_p1_a_checkpoint_that_fails_stops_the_writing_after_its_facts_were_acknowledged(
        connection: Connection, second: Connection, make: Callable[[Connection], Writer]):
    """SQLite's own checkpoints would keep quiet about it; tests/power fails a real fsync."""
    writer = make(connection)
    connection.set_authorizer(lambda action, name, argument, *_: argument == "PASSIVE")  # 0 allows, 1 denies
    assert await writer.submit(note(1, "y" * 5_000_000)) == 1
    with pytest.raises(Corrupt):
        await writer.submit(note(2))
    assert writer.broken
    assert notes(second) == [1]
    writer.close()


async def test_each_asker_gets_an_error_of_its_own(connection: Connection):
    """A shared exception would gather the tracebacks of every asker for as long as the store is broken."""
    writer = loop_writer(connection)
    connection.execute("PRAGMA max_page_count = 1")
    answers = await asyncio.gather(*(writer.submit(note(number, "z" * 9000)) for number in range(3)),
                                   return_exceptions=True)
    assert len({id(answer) for answer in answers}) == 3


@THREADS
async def test_p1_who_went_away_before_the_answer_still_finds_it_stored(
        connection: Connection, second: Connection, make: Callable[[Connection], Writer]):
    writer = make(connection)
    task = asyncio.create_task(writer.submit(note(7)))
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await writer.submit(note(8))
    assert notes(second) == [7, 8]
    writer.close()


@THREADS
async def test_closing_stores_what_is_queued_and_takes_no_more(
        connection: Connection, second: Connection, make: Callable[[Connection], Writer]):
    writer = make(connection)
    waiting = [asyncio.create_task(writer.submit(note(number))) for number in range(100)]
    await asyncio.sleep(0)
    writer.close()
    assert notes(second) == list(range(100))
    assert await asyncio.gather(*waiting) == list(range(100))
    with pytest.raises(Transient):
        await writer.submit(note(101))


@EVERY_WRITER
async def test_p1_a_power_cut_answers_nobody_whose_fact_is_gone(
        connection: Connection, second: Connection, make: Callable[[Connection], Writer]):
    writer = make(connection)
    waiting = [asyncio.create_task(writer.submit(note(number))) for number in range(300)]
    await asyncio.sleep(0)
    writer.abandon()
    answers = await asyncio.gather(*waiting, return_exceptions=True)
    acknowledged = [answer for answer in answers if not isinstance(answer, BaseException)]
    assert set(acknowledged) <= set(notes(second))
    assert {type(answer) for answer in answers} <= {int, asyncio.CancelledError}


def test_the_thread_survives_a_loop_that_ended(connection: Connection):
    async def main() -> ThreadWriter:
        writer = ThreadWriter(connection, "test")
        task = asyncio.create_task(writer.submit(note(1)))
        await asyncio.sleep(0)
        task.cancel()
        return writer

    writer = asyncio.run(main())
    writer.close()
    assert notes(connection) == [1]


async def test_p1_short_and_long_operations_keep_their_order(connection: Connection, second: Connection):
    """What is short may run in another thread than what is not; what came first is done first all the same."""
    seen: list[tuple[int, bool]] = []

    def noted(number: int) -> Callable[[Connection], int]:
        def operation(connection: Connection) -> int:
            seen.append((number, threading.current_thread() is threading.main_thread()))
            return note(number)(connection)
        return operation

    writer = thread_writer(connection)
    short = [number % 40 < 25 for number in range(200)]
    await asyncio.gather(*(writer.submit(noted(number), short=short[number]) for number in range(200)))
    assert [number for number, _ in seen] == list(range(200))
    assert all(short[number] for number, in_the_loop in seen if in_the_loop)
    assert {in_the_loop for _, in_the_loop in seen} == {True, False}
    assert notes(second) == list(range(200))
    writer.close()


async def test_p9_an_idle_writer_shows_progress(connection: Connection):
    writer = ThreadWriter(connection, "test")
    before = writer.progress
    await asyncio.sleep(1.5)
    assert writer.progress > before
    writer.close()
