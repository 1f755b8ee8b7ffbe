"""How many stock movements a second the ledger takes, beside the bare inserts of the same rows.

One movement per sale line: 75,000 of them, of the shape of a grocery's sales, or those of the CSV file that
`TRASTIENDA_SALES` names (columns `sku` and `quantity`). They come in as a desk sends them, so many at a time, each
answered after its commit. Afterwards the stock is worked out anew from the lines alone, and must be the same.
"""

import asyncio
import csv
import os
import random
import tempfile
import time
from collections import Counter
from pathlib import Path
from zoneinfo import ZoneInfo

import uvloop

from cloud_sync.contract.documents import Policy
from edge.clock import StoreClock, SystemClock
from edge.db.books import Books, derive_key, open_books
from edge.db.connection import connect, migrate
from edge.db.writer import ThreadWriter
from edge.interpreter import tune
from edge.limits import WRITER_GROUP_MAX
from edge.pos.stock_routes import MovementIn, ReceivedLine, receive
from edge.store import Identity, Store
from tests.bench._store import DATABASE_KEY

LINES, SKUS, AT_ONCE = 75_000, 20_814, 64
ENTRIES = "SELECT * FROM entry"
FACTS = "SELECT * FROM fact"
Line = tuple[str, int]
"""A SKU and how much of it was sold, in thousandths."""


def run() -> dict[str, object]:
    """The figure; `ratio` is ours over the bare inserts."""
    lines, where = _lines()
    with tempfile.TemporaryDirectory() as directory:
        taken_s, rows = uvloop.run(_taken(Path(directory, "store"), lines))
        bare_s = _bare(Path(directory, "bare.db"), *rows)
    return {"name": "movements_rps", "value": round(len(lines) / taken_s), "unit": "movements/s", "limit": None,
            "peer": round(len(lines) / bare_s), "ratio": round(bare_s / taken_s, 3),
            "conditions": f"{len(lines)} sale lines ({where}), one movement each, {AT_ONCE} at a time, durable (WAL, "
                          f"FULL); stock equal to its recomputation; peer: executemany of the entries and facts alone, "
                          f"in groups of {WRITER_GROUP_MAX}"}


def _lines() -> tuple[list[Line], str]:
    named = os.environ.get("TRASTIENDA_SALES")
    if named:
        with Path(named).open(newline="") as file:
            return [(row["sku"], int(row["quantity"]) * 1000) for row in csv.DictReader(file)], "of a file"
    chance = random.Random(75)
    popular = [f"{1_000_000 + chance.randrange(SKUS)}" for _ in range(SKUS // 20)]
    return [(chance.choice(popular) if chance.random() < 0.6 else f"{1_000_000 + chance.randrange(SKUS)}",
             1000 * chance.choice((1, 1, 1, 1, 2, 3, 0))) for _ in range(LINES)], "generated"


async def _taken(directory: Path, lines: list[Line]) -> tuple[float, tuple[list[Line], list[Line]]]:
    books = open_books(directory, DATABASE_KEY, "bench", ThreadWriter)
    identity = Identity("bench", "Bench", ZoneInfo("UTC"), "USD", "en", "us", "")
    store = Store(identity, books, StoreClock(SystemClock(), books.last_clock), Policy(), random.Random(1))
    tune()
    waiting = iter(enumerate(lines))

    async def desk() -> None:
        for number, (sku, quantity_milli) in waiting:
            await receive(store, MovementIn(f"{number}", [ReceivedLine(sku, -quantity_milli)], "sale"), "bench")

    began_s = time.perf_counter()
    await asyncio.gather(*(desk() for _ in range(AT_ONCE)))
    taken_s = time.perf_counter() - began_s
    assert _stock(books) == _recomputed(lines), "the stock is not what the lines come to"
    rows = tuple(books.ledger_reader.execute(query).fetchall() for query in (ENTRIES, FACTS))
    books.close()
    return taken_s, (rows[0], rows[1])


def _stock(books: Books) -> dict[str, int]:
    rows = books.ledger_reader.execute("SELECT sku, sellable_milli FROM stock WHERE sellable_milli <> 0").fetchall()
    return dict(rows)


def _recomputed(lines: list[Line]) -> dict[str, int]:
    sold: Counter[str] = Counter()
    for sku, quantity_milli in lines:
        sold[sku] += quantity_milli
    return {sku: -quantity_milli for sku, quantity_milli in sold.items() if quantity_milli}


def _bare(path: Path, entries: list[Line], facts: list[Line]) -> float:
    connection = connect(path, derive_key(DATABASE_KEY, "ledger.db"), synchronous="FULL")
    migrate(connection, "ledger")
    began_s = time.perf_counter()
    for begin in range(0, len(entries), WRITER_GROUP_MAX):
        connection.execute("BEGIN IMMEDIATE")
        for table, every in (("entry", entries), ("fact", facts)):
            rows = every[begin : begin + WRITER_GROUP_MAX]
            connection.executemany(f"INSERT INTO {table} VALUES ({', '.join('?' * len(rows[0]))})", rows)
        connection.execute("COMMIT")
    taken_s = time.perf_counter() - began_s
    connection.close()
    return taken_s
