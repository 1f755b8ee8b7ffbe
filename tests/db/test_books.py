"""Opening the books: keys, other stores' files, damage, and a process killed at any moment."""

import asyncio
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import sqlcipher3.dbapi2 as sqlcipher

from cloud_sync.contract.facts import Movement, StockMove
from cloud_sync.contract.ledger import GENESIS_HASH, chain_breaks_at
from edge.clock import ClockStamp
from edge.db.books import Books, derive_key, open_books
from edge.db.connection import Connection, connect
from edge.db.ledger import draft, entries_after, head, record
from edge.db.queries import LEDGER
from edge.db.writer import LoopWriter, ThreadWriter
from edge.errors import ConfigurationError, Corrupt


def opened(directory: Path, secret: str = "a database key", store: str = "0042") -> Books:
    return open_books(directory, secret, store, lambda connection, name: LoopWriter(connection, lambda: 0.0))


def test_a_new_directory_is_made_for_the_store_alone(tmp_path: Path):
    books = opened(tmp_path / "new" / "state")
    assert (books.chain.store, books.chain.epoch) == ("0042", 1)
    assert (tmp_path / "new" / "state").stat().st_mode & 0o077 == 0
    books.close()


def test_another_key_is_told_and_changes_nothing(tmp_path: Path):
    opened(tmp_path).close()
    before = (tmp_path / "ledger.db").read_bytes()
    with pytest.raises(ConfigurationError, match="key does not open"):
        opened(tmp_path, secret="another key")
    assert (tmp_path / "ledger.db").read_bytes() == before
    opened(tmp_path).close()


def test_another_stores_books_are_refused(tmp_path: Path):
    opened(tmp_path).close()
    with pytest.raises(ConfigurationError, match="belongs to store 0042"):
        opened(tmp_path, store="0043")


def test_a_state_directory_that_cannot_be_is_told(tmp_path: Path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigurationError, match="cannot be used as state directory"):
        opened(tmp_path / "file" / "state")
    (tmp_path / "state" / "ledger.db").mkdir(parents=True)
    with pytest.raises((ConfigurationError, Corrupt)):
        opened(tmp_path / "state")


def test_p11_nothing_on_disk_can_be_read_without_the_key(tmp_path: Path):
    books = opened(tmp_path)
    books._connections[0].execute(LEDGER.set_meta, ("a plain word", "nobody reads this"))
    books.abandon()
    for file in tmp_path.iterdir():
        assert b"nobody reads" not in file.read_bytes()
        assert b"SQLite format" not in file.read_bytes()


def test_a_damaged_ledger_is_never_touched(tmp_path: Path):
    opened(tmp_path).close()
    file = tmp_path / "ledger.db"
    damaged = bytearray(file.read_bytes())
    damaged[3 * 4096:4 * 4096] = bytes(4096)
    file.write_bytes(damaged)
    with pytest.raises(Corrupt):
        opened(tmp_path)
    assert file.read_bytes() == bytes(damaged)


@pytest.mark.parametrize("damage_at", [0, 3 * 4096])
def test_p8_a_damaged_replica_is_set_aside_and_begun_anew(tmp_path: Path, damage_at: int):
    """Its first page or a later one: the ledger opens with the same secret, so it is no wrong key."""
    opened(tmp_path).close()
    file = tmp_path / "replica.db"
    damaged = bytearray(file.read_bytes())
    damaged[damage_at:damage_at + 4096] = bytes(4096)
    file.write_bytes(damaged)
    books = opened(tmp_path)
    assert books.replica_reader.execute("SELECT COUNT(*) FROM item").fetchone() == (0,)
    books.close()
    assert (tmp_path / "replica.damaged.db").read_bytes() == bytes(damaged)


def test_books_of_a_newer_program_are_refused(tmp_path: Path):
    opened(tmp_path).close()
    connection = connect(tmp_path / "ledger.db", derive_key("a database key", "ledger.db"), synchronous="FULL")
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(Corrupt, match="install the newer program"):
        opened(tmp_path)


def test_no_two_purposes_share_a_key():
    assert len({derive_key("secret", purpose) for purpose in ("ledger.db", "replica.db", "people")}) == 3


def test_the_library_is_new_enough_and_the_only_one():
    assert sqlcipher.sqlite_version_info >= (3, 51, 3)
    assert sys.modules["pysqlite3.dbapi2"] is sqlcipher


def test_readers_cannot_write(tmp_path: Path):
    books = opened(tmp_path)
    for reader in (books.ledger_reader, books.replica_reader):
        with pytest.raises(sqlcipher.OperationalError, match="readonly"):
            reader.execute("INSERT INTO meta VALUES ('a', 'b')")
    books.close()


def test_the_last_reading_of_the_clocks_is_found_again(tmp_path: Path):
    stamp = ClockStamp("boot", 1, 2, 3, trusted=False)
    opened(tmp_path).close(stamp)
    books = opened(tmp_path)
    assert books.last_clock == stamp
    books.close()


def test_a_failure_half_way_leaves_nothing_open(tmp_path: Path):
    def no_writer(_connection: Connection, name: str) -> LoopWriter:
        raise RuntimeError(f"no writer for {name}")
    files = open_files()
    with pytest.raises(RuntimeError):
        open_books(tmp_path, "a database key", "0042", no_writer)
    assert open_files() == files


def open_files() -> int:
    """How many files this process has open."""
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


KILLED = """
import asyncio, sys
from pathlib import Path
from cloud_sync.contract.facts import Movement, StockMove
from edge.db.books import open_books
from edge.db.ledger import draft, record
from edge.db.writer import ThreadWriter

async def one(books, number):
    fact = draft(f"movement/{number}", Movement("receipt", (StockMove("milk", 1000),), "luis"), occurred_ms=0,
                 recorded_ms=0, business_day="2026-11-23")
    await books.ledger.submit(lambda connection: record(connection, books.chain, fact))
    sys.stdout.write(f"{number}\\n")
    sys.stdout.flush()

async def main():
    books = open_books(Path(sys.argv[1]), "a database key", "0042", ThreadWriter)
    first = int(sys.argv[2])
    for begin in range(first, first + 100_000, 20):
        await asyncio.gather(*(one(books, number) for number in range(begin, begin + 20)))

asyncio.run(main())
"""


def test_p1_whatever_was_acknowledged_before_a_kill_is_there_and_the_chain_holds(tmp_path: Path):
    """Killed five times at moments nobody chose; what was said on a pipe is what a till would have heard."""
    acknowledged: set[int] = set()
    chance = random.Random(7)
    for round_number in range(5):
        process = subprocess.Popen([sys.executable, "-c", KILLED, str(tmp_path), str(round_number * 100_000)],
                                   stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2])
        assert process.stdout is not None
        heard = [process.stdout.readline()]
        time.sleep(chance.uniform(0.05, 0.4))
        process.send_signal(signal.SIGKILL)
        heard += process.stdout.read().splitlines()
        process.wait()
        acknowledged |= {int(line) for line in heard if line.strip()}

        books = opened(tmp_path)
        _, entries = entries_after(books.ledger_reader, books.chain, 0, 1_000_000)
        stored = {int(entry.fact_key.rsplit("/", 1)[1]) for entry in entries}
        assert acknowledged <= stored
        assert [entry.sequence for entry in entries] == list(range(1, len(entries) + 1))
        assert chain_breaks_at("0042", 1, GENESIS_HASH, entries) is None
        assert books.ledger_reader.execute(LEDGER.stock, ("milk",)).fetchone()[0] == 1000 * len(entries)
        books.close()
    assert len(acknowledged) > 50


async def test_p1_many_writers_at_once_leave_a_gapless_chain(tmp_path: Path):
    books = open_books(tmp_path, "a database key", "0042", ThreadWriter)

    async def one(number: int) -> int:
        fact = draft(f"movement/{number % 400}", Movement("receipt", (StockMove("milk", 1000),), "luis"),
                     occurred_ms=0, recorded_ms=0, business_day="2026-11-23")
        receipt = await books.ledger.submit(lambda connection: record(connection, books.chain, fact))
        return receipt.sequence

    sequences = await asyncio.gather(*(one(number) for number in range(800)))     # each of them twice
    assert set(sequences) == set(range(1, 401))
    assert sequences[:400] == sequences[400:]
    previous, entries = entries_after(books.ledger_reader, books.chain, 0, 1_000)
    assert chain_breaks_at("0042", 1, previous, entries) is None
    assert head(books.ledger_reader, books.chain).sequence == 400
    previous, entries = entries_after(books.ledger_reader, books.chain, 250, 10)
    assert [entry.sequence for entry in entries] == list(range(251, 261))
    assert chain_breaks_at("0042", 1, previous, entries) is None
    books.close()


def test_a_changed_entry_breaks_the_chain(tmp_path: Path):
    books = opened(tmp_path)
    connection = books._connections[0]
    for number in range(5):
        record(connection, books.chain, draft(f"movement/{number}", Movement("receipt", (), "luis"), occurred_ms=0,
                                              recorded_ms=0, business_day="2026-11-23"))
    connection.execute("UPDATE entry SET payload = CAST(REPLACE(CAST(payload AS TEXT), 'luis', 'lisa') AS BLOB) "
                       "WHERE sequence = 3")
    previous, entries = entries_after(connection, books.chain, 0, 100)
    assert chain_breaks_at("0042", 1, previous, entries) == 3
    books.close()
