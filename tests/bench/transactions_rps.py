"""`transactions_rps`: durable transactions of 32 tills over HTTP, beside 1/(1/a + 1/b) measured in the same run.

a: a Starlette PUT that decodes the same body and answers. b: the same SQL statements, recorded from the real path and
replayed on an equal database in groups of 32, each group one FULL commit.
"""

import random
import statistics
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import uvloop
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from cloud_sync.contract.facts import LineKind, SaleLine, Transaction, TransactionKind
from edge.db.books import derive_key
from edge.db.connection import Connection, connect, migrate
from edge.db.ledger import Chain, Draft, load_chain
from edge.domain.transaction import fact_key, meaning_digest
from edge.limits import WRITER_GROUP_MAX
from edge.pos.transactions import TransactionIn, record_transaction
from tests.bench._load import drive, request
from tests.bench._ports import free_port, served
from tests.bench._store import DATABASE_KEY, ITEMS, TOKEN, fill, gtin_of, live_once, running

TILLS, PER_TILL, ROUNDS = 32, 150, 3
RATIO_LIMIT = 0.6
DAY = datetime.now(UTC).date().isoformat()


def run() -> dict[str, object]:
    """`ratio` is ours over 1/(1/a + 1/b)."""
    with tempfile.TemporaryDirectory() as directory:
        fill(Path(directory))
        port = free_port()
        live_once(Path(directory), port)
        ours, decoded, stored = [], [], []
        with running(Path(directory), port, TILLS), served(decoding_app) as peer_port:
            for number in range(ROUNDS):
                requests = _requests(number)
                decoded.append(uvloop.run(drive(peer_port, requests, connections=TILLS, depth=1)))
                ours.append(uvloop.run(drive(port, requests, connections=TILLS, depth=1)))
                stored.append(_replayed_rps(Path(directory) / f"replay-{number}.db", number))
    a, b = statistics.median(decoded), statistics.median(stored)
    value, limit = statistics.median(ours), 1 / (1 / a + 1 / b)
    return {"name": "transactions_rps", "value": round(value), "unit": "transactions/s",
            "limit": round(RATIO_LIMIT * limit), "peer": round(limit), "ratio": round(value / limit, 3),
            "conditions": f"{TILLS} tills, one request in flight each, 3 lines, durable (WAL, FULL), median of "
                          f"{ROUNDS}; a = {a:.0f}/s decode-only PUT, b = {b:.0f}/s the same SQL in groups of "
                          f"{WRITER_GROUP_MAX}"}


def decoding_app() -> Starlette:
    """Peer a."""
    decoder = msgspec.json.Decoder(TransactionIn)

    async def put(request_: Request) -> Response:
        decoder.decode(await request_.body())
        return Response(b"{}", 201, media_type="application/json")

    return Starlette(routes=[Route("/v1/transactions/{till}/{business_day}/{sequence}", put, methods=["PUT"])])


def _body(chance: random.Random) -> dict[str, object]:
    lines = [{"line": line, "code": gtin_of(chance.randrange(ITEMS)), "quantity_milli": 1000, "amount_minor": 199}
             for line in (1, 2, 3)]
    return {"type": "sale", "currency": "USD", "total_minor": 597, "occurred_at": datetime.now(UTC).isoformat(),
            "lines": lines}


def _requests(round_number: int) -> list[bytes]:
    chance = random.Random(round_number)
    return [request("PUT", f"/v1/transactions/{till}/{DAY}/{round_number * PER_TILL + sequence}", f"{TOKEN}-{till}",
                    msgspec.json.encode(_body(chance)))
            for sequence in range(1, PER_TILL + 1) for till in range(1, TILLS + 1)]


class _Recorder:
    """A connection that remembers what it was asked."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self.statements: list[tuple[str, tuple[object, ...]]] = []

    def execute(self, sql: str, parameters: tuple[object, ...] = ()) -> object:
        self.statements.append((sql, parameters))
        return self._connection.execute(sql, parameters)


def _replayed_rps(path: Path, seed: int) -> float:
    """Record the statements of real transactions on one database, replay them on another."""
    count = WRITER_GROUP_MAX * 60
    groups = _recorded(path.with_suffix(".recorded"), seed, count)
    connection = _ledger(path)
    begin_s = time.perf_counter()
    for group in groups:
        connection.execute("BEGIN IMMEDIATE")
        for statements in group:
            connection.execute("SAVEPOINT fact")
            for sql, parameters in statements:
                connection.execute(sql, parameters).fetchone()
            connection.execute("RELEASE fact")
        connection.execute("COMMIT")
    rps = count / (time.perf_counter() - begin_s)
    connection.close()
    return rps


def _recorded(path: Path, seed: int, count: int) -> list[list[list[tuple[str, tuple[object, ...]]]]]:
    connection, chance, chain = _ledger(path), random.Random(seed), Chain("bench", 1)
    recorded = []
    for sequence in range(count):
        recorder = _Recorder(connection)
        lines = tuple(SaleLine(line=line, kind=LineKind.SALE, quantity_milli=1000, amount_minor=199,
                               sku=str(1_000_000 + chance.randrange(ITEMS)), code="0400000000000")
                      for line in (1, 2, 3))
        fact = Transaction(till=str(sequence % TILLS + 1), business_day=DAY, sequence=sequence,
                           type=TransactionKind.SALE, currency="USD", total_minor=597, lines=lines)
        made = Draft(fact_key(fact.till, DAY, sequence), fact, meaning_digest(fact), 0, DAY, 0)
        record_transaction(recorder, chain, made, fact)  # type: ignore[arg-type]  # a recorder is connection enough
        recorded.append(recorder.statements)
    connection.close()
    return [recorded[begin:begin + WRITER_GROUP_MAX] for begin in range(0, count, WRITER_GROUP_MAX)]


def _ledger(path: Path) -> Connection:
    connection = connect(path, derive_key(DATABASE_KEY, "ledger.db"), synchronous="FULL")
    migrate(connection, "ledger")
    load_chain(connection, "bench")
    return connection
