"""How many ledger entries a second one store's backlog drains into the hub, beside the bare inserts of the same rows.

Entries are sales of three lines, sent in pushes through the ASGI app, hash chain and effects included. The peer
inserts only the entries' rows with `executemany`, one transaction per push, into the same encrypted SQLite.
"""

import asyncio
import random
import tempfile
import time
from pathlib import Path

import httpx
import msgspec
import sqlalchemy as sa
from sqlcipher3 import dbapi2 as sqlcipher

from cloud_sync.contract.facts import LineKind, SaleLine, Transaction, TransactionKind, encode_fact
from cloud_sync.contract.ledger import GENESIS_HASH, Entry, Push, entry_hash
from cloud_sync.hub import schema
from cloud_sync.hub.app import HubApp, run_inline
from cloud_sync.hub.bells import Bells
from cloud_sync.hub.secrets import HubKey
from cloud_sync.hub.storage import HubStorage, open_storage
from cloud_sync.hub.stores import Registration

ENTRIES = 5_000
ENTRIES_PER_PUSH = 500
ENTRIES_PER_SECOND_LIMIT = 2_000
KEY = HubKey("0123456789abcdef" * 4)


def run() -> dict[str, object]:
    """`hub_ingest_entries_per_s`, to stay above its limit."""
    with tempfile.TemporaryDirectory() as directory:
        storage = _open(Path(directory, "hub.db"))
        taken_s = asyncio.run(_drain(storage))
        with storage.database.transaction() as connection:
            rows = [tuple(row) for row in connection.execute(sa.select(schema.ledger_entry))]
        storage.close()
        assert len(rows) == ENTRIES
        peer_s = _bare(Path(directory, "bare.db"), rows)
    return {"name": "hub_ingest_entries_per_s", "value": round(ENTRIES / taken_s), "unit": "1/s",
            "limit": ENTRIES_PER_SECOND_LIMIT, "peer": round(ENTRIES / peer_s), "ratio": round(peer_s / taken_s, 2),
            "conditions": f"{ENTRIES} sales of 3 lines in pushes of {ENTRIES_PER_PUSH}, SQLCipher, FULL; peer: "
                          "executemany of the entries alone"}


def _open(path: Path) -> HubStorage:
    return open_storage(f"sqlite:///{path}", KEY, lambda: 0, random.Random(1).randbytes)


async def _drain(storage: HubStorage) -> float:
    token = storage.stores.register("store-1", Registration()).token
    app = HubApp(storage, run_inline, Bells()).asgi()
    bodies = [msgspec.json.encode(push) for push in _pushes()]
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://hub",
                                 headers={"Authorization": f"Bearer {token}"}) as client:
        began_s = time.perf_counter()
        for body in bodies:
            answer = await client.post("/v1/stores/store-1/ledger", content=body)
            assert answer.status_code == 200, answer.text
        return time.perf_counter() - began_s


def _pushes() -> list[Push]:
    rng = random.Random(20260105)
    entries: list[Entry] = []
    hash_ = GENESIS_HASH
    for sequence in range(1, ENTRIES + 1):
        lines = tuple(SaleLine(line, LineKind.SALE, 1000, 199, sku=f"sku-{rng.randrange(2000)}") for line in (1, 2, 3))
        payload = encode_fact(Transaction("1", "2026-01-05", sequence, TransactionKind.SALE, "EUR", 597, lines))
        key = f"1/2026-01-05/{sequence}"
        hash_ = entry_hash(hash_, "store-1", 1, sequence, key, "transaction", 0, "2026-01-05", payload)
        entries.append(Entry(sequence, key, "transaction", 0, "2026-01-05", msgspec.Raw(payload), hash_))
    return [Push(1, first + 1, entries[first - 1].hash if first else GENESIS_HASH,
                 tuple(entries[first:first + ENTRIES_PER_PUSH])) for first in range(0, ENTRIES, ENTRIES_PER_PUSH)]


def _bare(path: Path, rows: list[tuple[object, ...]]) -> float:
    _open(path).close()
    connection = sqlcipher.connect(str(path), isolation_level=None)
    connection.execute(f"PRAGMA key = \"x'{KEY.derive('database').hex()}'\"")
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    marks = ", ".join("?" * len(rows[0]))
    began_s = time.perf_counter()
    for first in range(0, len(rows), ENTRIES_PER_PUSH):
        connection.execute("BEGIN IMMEDIATE")
        connection.executemany(f"INSERT INTO ledger_entry VALUES ({marks})", rows[first:first + ENTRIES_PER_PUSH])
        connection.execute("COMMIT")
    taken_s = time.perf_counter() - began_s
    connection.close()
    return taken_s
