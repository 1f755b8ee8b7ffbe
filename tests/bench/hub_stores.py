"""A thousand stores at once on two hub processes over one PostgreSQL: how long a push takes, and what a store costs.

Every store holds a long poll and pushes one to three sales about every twenty seconds; in the middle the chain changes
an item, which every store fetches. The peer is COPY of the same rows, one transaction per push, on the same server.
"""

import asyncio
import random
import resource
import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import psycopg
import uvloop

from cloud_sync.hub.secrets import HubKey
from cloud_sync.hub.storage import open_storage
from cloud_sync.hub.stores import Registration
from tests.bench._stores import PUSH_EVERY_S, WAIT_S, SimulatedStore
from tests.hub.processes import HUB_KEY, HubProcesses
from tests.postgres import PostgresServer

STORES = 1_000
HUBS = 2
RUN_S = 60.0
P99_LIMIT_MS = 500.0
CPU_LIMIT_S_PER_STORE_HOUR = 5.0
FILES_MAX = 8_192
COLUMNS = "store_id, epoch, sequence, fact_key, kind, occurred_ms, business_day, payload, hash, received_ms"


def run() -> list[dict[str, object]]:
    """`hub_stores_push_p99_ms` and `hub_stores_cpu_s_per_store_hour`, both to stay below their limits."""
    resource.setrlimit(resource.RLIMIT_NOFILE, (FILES_MAX, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
    with PostgresServer() as server, tempfile.TemporaryDirectory() as directory:
        url = server.new_database()
        tokens = _registered(url)
        with HubProcesses(url, HUBS, Path(directory)) as hubs:
            stores = [SimulatedStore(name, int(hubs.urls[number % HUBS].rpartition(":")[2]), token,
                                     random.Random(number)) for number, (name, token) in enumerate(tokens.items())]
            before_s, began_s = hubs.cpu_s(), time.monotonic()
            uvloop.run(_day(stores, hubs))
            cpu_s, wall_s = hubs.cpu_s() - before_s, time.monotonic() - began_s
        peer_ms = _copied(server.new_database(), stores)
    pushes = sorted(taken for store in stores for taken in store.push_ms)
    polls = sum(store.polls for store in stores)
    assert all(store.changes == 1 for store in stores), "a store missed the change"
    conditions = (f"{STORES} stores, {HUBS} hub processes, PostgreSQL without fsync, load and all on one machine; "
                  f"{len(pushes)} pushes of 1 to 3 sales (one per store and {PUSH_EVERY_S:.0f} s), {polls} polls held "
                  f"up to {WAIT_S} s, one change for all, {wall_s:.0f} s; "
                  f"median push {statistics.median(pushes):.1f} ms; "
                  f"{1000 * cpu_s / (len(pushes) + polls):.2f} ms hub CPU per request")
    p99_ms, peer_p99_ms = _p99(pushes), _p99(sorted(peer_ms))
    return [
        {"name": "hub_stores_push_p99_ms", "value": round(p99_ms, 1), "unit": "ms", "limit": P99_LIMIT_MS,
         "peer": round(peer_p99_ms, 1), "ratio": round(p99_ms / peer_p99_ms, 1),
         "conditions": f"{conditions}; peer: p99 of COPY and commit of the same rows, one push after the other"},
        {"name": "hub_stores_cpu_s_per_store_hour", "value": round(cpu_s / STORES / (wall_s / 3600), 2), "unit": "s",
         "limit": CPU_LIMIT_S_PER_STORE_HOUR, "peer": None, "ratio": None, "conditions": conditions},
    ]


def _registered(url: str) -> dict[str, str]:
    """Store → token."""
    storage = open_storage(url, HubKey(HUB_KEY), lambda: 0, random.Random(1).randbytes)
    names = [f"store-{number}" for number in range(STORES)]
    tokens = {name: storage.stores.register(name, Registration()).token or "" for name in names}
    storage.close()
    return tokens


async def _day(stores: Sequence[SimulatedStore], hubs: HubProcesses) -> None:
    following = [asyncio.create_task(store.follows()) for store in stores]
    pushing = [asyncio.create_task(store.pushes(time.monotonic() + RUN_S)) for store in stores]
    await asyncio.sleep(RUN_S / 2)
    with hubs.operator() as operator:
        await asyncio.to_thread(operator.put, "/v1/catalogue/items", json=[{"sku": "milk", "name": "Milk"}])
    await asyncio.gather(*pushing)
    for task in following:
        task.cancel()
    await asyncio.gather(*following, return_exceptions=True)


def _copied(url: str, stores: Sequence[SimulatedStore]) -> list[float]:
    """Milliseconds of each transaction."""
    open_storage(url, HubKey(HUB_KEY), lambda: 0, random.Random(1).randbytes).close()
    taken_ms = []
    with psycopg.connect(url) as connection:
        for store in stores:
            size = max(1, len(store.rows) // max(1, len(store.push_ms)))
            for first in range(0, len(store.rows), size):
                began_s = time.monotonic()
                with connection.cursor().copy(f"COPY ledger_entry ({COLUMNS}) FROM STDIN") as copy:
                    for row in store.rows[first:first + size]:
                        copy.write_row(row)
                connection.commit()
                taken_ms.append(1000 * (time.monotonic() - began_s))
    return taken_ms


def _p99(ascending: Sequence[float]) -> float:
    return ascending[len(ascending) * 99 // 100]
