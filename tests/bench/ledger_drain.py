"""How many facts a second the backlog of a three-day outage drains at, beside the same work without HTTP.

The real client engine pushes 100,000 facts to a real hub process on PostgreSQL. The peer is one process on the same
server: hash chain, COPY of the same batches into a staging table, INSERT … SELECT from there, and the hub's own
effects, one transaction per batch; measured half before and half after, as the machine's load moves.
"""

import asyncio
import random
import tempfile
import time
from pathlib import Path

import psycopg
import sqlalchemy as sa
import structlog

from cloud_sync.client.limits import PUSH_ENTRIES_MAX
from cloud_sync.client.session import HubLink
from cloud_sync.client.transport import HubAddress
from cloud_sync.contract.ledger import GENESIS_HASH, Entry, chain_breaks_at
from cloud_sync.hub import schema
from cloud_sync.hub.effects import Effects, read_fact
from cloud_sync.hub.secrets import HubKey
from cloud_sync.hub.storage import HubStorage, open_storage
from cloud_sync.hub.stores import Registration
from tests.bench._backlog import EPOCH, MIX, OfflineStore, backlog
from tests.hub.processes import HUB_KEY, HubProcesses
from tests.postgres import PostgresServer

FACTS = 100_000
PEER_FACTS = 20_000
RATIO_LIMIT = 0.6
STORE = "store-1"
COLUMNS = ("store_id", "epoch", "sequence", "fact_key", "kind", "occurred_ms", "business_day", "payload", "hash",
           "received_ms")
TYPES = ("text", "bigint", "bigint", "text", "text", "bigint", "text", "bytea", "text", "bigint")


def run() -> dict[str, object]:
    """`ledger_drain_rps`: at least `RATIO_LIMIT` of the peer."""
    entries = backlog(STORE, FACTS, seed=20260105)
    with PostgresServer() as server, tempfile.TemporaryDirectory() as directory:
        peer_s = _peer(server.new_database(), entries[:PEER_FACTS])
        url = server.new_database()
        with HubProcesses(url, 1, Path(directory)) as hubs:
            with hubs.operator() as operator:
                token = operator.put(f"/v1/stores/{STORE}").json()["token"]
                with structlog.testing.capture_logs():
                    drained_s = asyncio.run(_drain(hubs.urls[0], token, entries))
                status = operator.get(f"/v1/stores/{STORE}/status").json()
                assert (status["facts"], status["quarantined"]) == (FACTS, 0), status
            cpu_s = hubs.cpu_s()
        peer_s += _peer(server.new_database(), entries[:PEER_FACTS])
    value, peer = FACTS / drained_s, 2 * PEER_FACTS / peer_s
    return {"name": "ledger_drain_rps", "value": round(value), "unit": "1/s", "limit": round(RATIO_LIMIT * peer),
            "peer": round(peer), "ratio": round(value / peer, 2),
            "conditions": f"{FACTS} facts ({MIX}) in pushes of at most {PUSH_ENTRIES_MAX} by the client engine, gzip, "
                          f"one hub process ({cpu_s:.0f} CPU s), PostgreSQL without fsync; peer: staging COPY, hash "
                          f"chain and the same effects of {2 * PEER_FACTS} facts without HTTP"}


async def _drain(url: str, token: str, entries: tuple[Entry, ...]) -> float:
    store = OfflineStore(entries)
    link = HubLink(store_id=STORE, address=HubAddress(url, token), store=store, randomness=random.Random(1),
                   wall_ms=lambda: 0, feeds=())
    began_s = time.perf_counter()
    pushing = asyncio.create_task(link.run())
    await store.done.wait()
    taken_s = time.perf_counter() - began_s
    pushing.cancel()
    await asyncio.gather(pushing, return_exceptions=True)
    return taken_s


def _peer(url: str, entries: tuple[Entry, ...]) -> float:
    storage = open_storage(url, HubKey(HUB_KEY), lambda: 0, random.Random(1).randbytes)
    storage.stores.register(STORE, Registration())
    began_s = time.perf_counter()
    before = GENESIS_HASH
    for first in range(0, len(entries), PUSH_ENTRIES_MAX):
        batch = entries[first:first + PUSH_ENTRIES_MAX]
        assert chain_breaks_at(STORE, EPOCH, before, batch) is None
        before = batch[-1].hash
        _take(storage, batch)
    taken_s = time.perf_counter() - began_s
    storage.close()
    return taken_s


def _take(storage: HubStorage, batch: tuple[Entry, ...]) -> None:
    effects = Effects()
    for entry in batch:
        effects.add(read_fact(entry), EPOCH, entry)
    with storage.database.transaction() as connection:
        connection.execute(sa.select(schema.store).where(schema.store.c.store_id == STORE).with_for_update()).one()
        connection.exec_driver_sql("CREATE TEMPORARY TABLE IF NOT EXISTS staging (LIKE ledger_entry) "
                                   "ON COMMIT DELETE ROWS")
        driver = connection.connection.dbapi_connection
        assert isinstance(driver, psycopg.Connection)
        with driver.cursor() as cursor, cursor.copy(
                f"COPY staging ({', '.join(COLUMNS)}) FROM STDIN (FORMAT BINARY)") as copy:
            copy.set_types(TYPES)
            for entry in batch:
                copy.write_row((STORE, EPOCH, entry.sequence, entry.fact_key, entry.kind, entry.occurred_ms,
                                entry.business_day, bytes(entry.payload), entry.hash, 0))
        connection.exec_driver_sql("INSERT INTO ledger_entry SELECT * FROM staging ON CONFLICT DO NOTHING")
        effects.write(connection, STORE)
