"""How long a first load of 100,000 items takes from the chunks of a snapshot, beside the least that such a load can do.

The peer gunzips the same chunks, decodes the same rows and writes exactly the rows that the load left in the store's
tables (documents, items, barcodes, cursor aside) with `executemany` into the same schema, without triggers, in one
transaction. The load also checks every SHA-256 and fingerprint, commits chunk by chunk so that it can go on after a
crash, and keeps the new copy apart until it is whole.
"""

import gzip
import random
import tempfile
import time
from pathlib import Path

import msgspec

from cloud_sync.contract.documents import Item
from cloud_sync.contract.feeds import Feed
from cloud_sync.contract.fingerprints import buckets_of, root_of, row_hash
from cloud_sync.contract.snapshots import Chunk, Manifest, Row, ends_chunk, make_chunk
from edge.db import loading
from edge.db.books import derive_key
from edge.db.connection import Connection, connect, migrate
from edge.db.replica import Moment
from tests.bench._store import gtin_of

ITEMS = 100_000
ROUNDS = 3
TABLES = ("document", "item", "item_code")
NOW = Moment(1_767_225_600_000)

Chunks = list[tuple[Chunk, bytes]]


def run() -> dict[str, object]:
    """`snapshot_load_s`: the best of `ROUNDS`, beside the best of the peer."""
    chunks, manifest = _snapshot()
    loads, peers = [], []
    for number in range(ROUNDS):
        with tempfile.TemporaryDirectory() as directory:
            store = _open(Path(directory) / f"store{number}.db")
            loads.append(_load(store, chunks, manifest))
            rows = {table: store.execute(f"SELECT * FROM {table}").fetchall() for table in TABLES}
            assert [len(rows[table]) for table in TABLES] == [ITEMS] * 3
            store.close()
            peers.append(_bare(Path(directory) / f"bare{number}.db", chunks, rows))
    taken_s, peer_s = min(loads), min(peers)
    return {"name": "snapshot_load_s", "value": round(taken_s, 3), "unit": "s", "limit": round(2 * peer_s, 3),
            "peer": round(peer_s, 3), "ratio": round(taken_s / peer_s, 2),
            "conditions": f"{ITEMS} items in {len(chunks)} chunks, {sum(len(body) for _, body in chunks)} bytes, into "
                          f"an empty replica (SQLCipher, NORMAL); peer: gunzip + decode + executemany of the same "
                          f"{ITEMS * 3} rows; best of {ROUNDS}"}


def _snapshot() -> tuple[Chunks, Manifest]:
    chance = random.Random(20260105)
    keys = sorted(str(1_000_000 + 7 * number) for number in range(ITEMS))
    rows: list[Row] = []
    chunks: Chunks = []
    hashes = []
    size_bytes = 0
    for number, key in enumerate(keys):
        words = " ".join("".join(chance.choices("ABCDEFGHIKLMNOPRSTUVW", k=chance.randint(4, 9))) for _ in range(3))
        doc = msgspec.json.encode(Item(key, words, (gtin_of(number),), f"CATEGORY {number % 97}", "GROCERY", "National",
                                       f"{number % 64} OZ"))
        rows.append(Row(key, 1, msgspec.Raw(doc)))
        hashes.append((key, row_hash(key, 1, doc)))
        size_bytes += len(doc) + 40
        if ends_chunk(key, size_bytes) or number == ITEMS - 1:
            chunks.append(make_chunk(rows))
            rows, size_bytes = [], 0
    return chunks, Manifest("bench", ITEMS, root_of(buckets_of(hashes)), ITEMS, tuple(chunk for chunk, _ in chunks))


def _open(path: Path) -> Connection:
    connection = connect(path, derive_key("bench", "replica.db"), synchronous="NORMAL")
    migrate(connection, "replica")
    connection.execute("PRAGMA secure_delete = OFF")  # as edge.db.books opens it
    return connection


def _load(store: Connection, chunks: Chunks, manifest: Manifest) -> float:
    """By the daemon's own functions, one transaction each, as its writer runs them."""
    began_s = time.perf_counter()
    store.execute("BEGIN IMMEDIATE")
    loading.begin_snapshot(store, Feed.ITEMS, manifest)
    store.execute("COMMIT")
    for chunk, body in chunks:
        store.execute("BEGIN IMMEDIATE")
        loading.stage_chunk(store, Feed.ITEMS, chunk, body)
        store.execute("COMMIT")
    store.execute("BEGIN IMMEDIATE")
    loading.switch_to_snapshot(store, Feed.ITEMS, manifest, NOW, {})
    store.execute("COMMIT")
    return time.perf_counter() - began_s


def _bare(path: Path, chunks: Chunks, rows: dict[str, list[tuple[object, ...]]]) -> float:
    store = _open(path)
    for (name,) in store.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
        store.execute(f"DROP TRIGGER {name}")
    decoder, lines = msgspec.json.Decoder(Item), msgspec.json.Decoder(Row)
    began_s = time.perf_counter()
    for _, body in chunks:
        for row in lines.decode_lines(gzip.decompress(body)):
            decoder.decode(row.doc)
    store.execute("BEGIN IMMEDIATE")
    for table, values in rows.items():
        store.executemany(f"INSERT INTO {table} VALUES ({', '.join('?' * len(values[0]))})", values)
    store.execute("COMMIT")
    taken_s = time.perf_counter() - began_s
    store.close()
    return taken_s
