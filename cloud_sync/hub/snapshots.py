"""What keeps a feed's copies right and its log short: snapshots, buckets for repair, pruning, recounts.

Every function works in its caller's transaction. A snapshot is built from one consistent state, under the lock of the
feed's head, and kept in the database, so that every hub process serves the same bytes.
"""

from collections.abc import Iterator

import msgspec
import sqlalchemy as sa

from cloud_sync.contract.fingerprints import BUCKETS, EMPTY, Moves, root_of, row_hash
from cloud_sync.contract.snapshots import BucketRows, Chunk, Manifest, Row, Vector, ends_chunk, make_chunk
from cloud_sync.hub.errors import NotFound, Refetch
from cloud_sync.hub.feeds import FeedId, Head, lock_head, read_buckets, whole_head, write_buckets
from cloud_sync.hub.limits import FEED_LOG_RECORDS_MAX, FEED_PRUNE_BATCH_MAX, SNAPSHOT_LAG_RECORDS_MAX
from cloud_sync.hub.rows import insert_rows, upsert

_manifest_decoder = msgspec.json.Decoder(Manifest)


def manifest(connection: sa.Connection, feed: FeedId) -> bytes:
    """The manifest of a snapshot from which the log still leads on; built now where there is none.

    Raises `NotFound` for a feed that has no snapshots.
    """
    if not feed.has_fingerprint:
        raise NotFound(f"feed {feed} has no snapshot: it is read by pages")
    head = whole_head(connection, feed)
    table = feed.tables.snapshot
    row = connection.execute(sa.select(table).where(feed.where(table))).one_or_none()
    if row is not None and row.generation == head.generation and _leads_on(head, row.base_offset):
        return bytes(row.manifest)
    return build(connection, feed)


def chunk_body(connection: sa.Connection, feed: FeedId, sha256: str) -> bytes:
    """A chunk's bytes. Raises `NotFound` for one that no present snapshot has."""
    table = feed.tables.chunk
    body = connection.execute(sa.select(table.c.body).where(feed.where(table), table.c.sha256 == sha256)).scalar()
    if body is None:
        raise NotFound(f"feed {feed} has no chunk {sha256[:12]!r} now: ask for the manifest again")
    return bytes(body)


def build(connection: sa.Connection, feed: FeedId) -> bytes:
    """Build the snapshot of the feed as it is now; chunks that did not change keep their names and bytes."""
    head, tables = lock_head(connection, feed), feed.tables
    kept = set(connection.execute(sa.select(tables.chunk.c.sha256).where(feed.where(tables.chunk))).scalars())
    chunks: list[Chunk] = []
    for rows in _chunks(connection, feed):
        chunk, body = make_chunk(rows)
        chunks.append(chunk)
        if chunk.sha256 not in kept:
            insert_rows(connection, tables.chunk, [{**feed.key(), "sha256": chunk.sha256, "body": body}])
    for sha256 in sorted(kept - {chunk.sha256 for chunk in chunks}):
        connection.execute(tables.chunk.delete().where(feed.where(tables.chunk), tables.chunk.c.sha256 == sha256))
    made = msgspec.json.encode(Manifest(head.generation, head.offset, head.root, sum(chunk.rows for chunk in chunks),
                                        tuple(chunks)))
    upsert(connection, tables.snapshot, [{**feed.key(), "generation": head.generation, "base_offset": head.offset,
                                          "manifest": made}], replace=["generation", "base_offset", "manifest"])
    return made


def vector(connection: sa.Connection, feed: FeedId, generation: str) -> Vector:
    """Every bucket as it is now. Raises `Refetch` for another generation, `NotFound` for a feed without fingerprint."""
    head = _comparable(connection, feed, generation)
    buckets = read_buckets(connection, feed)
    return Vector(head.generation, head.offset, tuple(buckets.get(bucket, EMPTY) for bucket in range(BUCKETS)))


def bucket_rows(connection: sa.Connection, feed: FeedId, generation: str, bucket: int) -> BucketRows:
    """Every row of one bucket as it is now. Raises as `vector` does, and `NotFound` for no such bucket."""
    head = _comparable(connection, feed, generation)
    if not 0 <= bucket < BUCKETS:
        raise NotFound(f"buckets are 0 to {BUCKETS - 1}")
    table = feed.tables.document
    rows = connection.execute(sa.select(table.c.key, table.c.version, table.c.doc).where(
        feed.where(table), table.c.bucket == bucket, table.c.doc.is_not(None)).order_by(table.c.key))
    return BucketRows(head.generation, head.offset,
                      tuple(Row(key, version, msgspec.Raw(doc)) for key, version, doc in rows))


def prune(connection: sa.Connection, feed: FeedId, keep: int = FEED_LOG_RECORDS_MAX,
          batch_max: int = FEED_PRUNE_BATCH_MAX) -> int:
    """Forget records further than `keep` behind the head, and the tombstones that only they needed, up to a checkpoint;
    returns how many. At most `batch_max` a call."""
    head, table = whole_head(connection, feed), feed.tables.record
    if head.offset - head.tail <= keep:
        return 0
    head = lock_head(connection, feed)
    end_max = min(head.offset - keep, head.tail + batch_max)
    old = sa.and_(feed.where(table), table.c.feed_offset > head.tail)
    end = connection.execute(sa.select(sa.func.max(table.c.feed_offset)).where(
        old, table.c.checkpoint, table.c.feed_offset <= end_max)).scalar()
    if end is None:  # one group longer than a batch goes whole, once all of it is old enough
        end = connection.execute(sa.select(sa.func.min(table.c.feed_offset)).where(
            old, table.c.checkpoint, table.c.feed_offset <= head.offset - keep)).scalar()
    if end is None:
        return 0
    gone = sa.and_(old, table.c.feed_offset <= end)
    _forget_tombstones(connection, feed, gone)
    connection.execute(table.delete().where(gone))
    connection.execute(feed.tables.head.update().where(feed.where(feed.tables.head)), {"tail_offset": end})
    return int(end) - head.tail


def recount(connection: sa.Connection, feed: FeedId, first: int, count: int) -> list[int]:
    """Count `count` buckets from `first` on again from their rows, and put right what differs; returns those.

    Once a fingerprint is right again, stores that differ find out at their next checkpoint.
    """
    head, table = lock_head(connection, feed), feed.tables.document
    wanted = range(first, first + count)
    moves, rehashed = Moves(), {}
    for key, version, doc, hashed in connection.execute(
            sa.select(table.c.key, table.c.version, table.c.doc, table.c.hash).where(
                feed.where(table), table.c.bucket >= first, table.c.bucket < first + count, table.c.doc.is_not(None))):
        found = row_hash(key, version, doc)
        moves.add(key, found)
        if found != hashed:
            rehashed[key] = found
    counted = moves.changed({})
    stood = read_buckets(connection, feed)
    wrong = {bucket: counted.get(bucket, EMPTY) for bucket in wanted
             if stood.get(bucket, EMPTY) != counted.get(bucket, EMPTY)}
    for key, found in rehashed.items():
        connection.execute(table.update().where(feed.where(table), table.c.key == key), {"hash": found})
    write_buckets(connection, feed, wrong)
    root = root_of({**stood, **wrong})
    if root != head.root:
        connection.execute(feed.tables.head.update().where(feed.where(feed.tables.head)), {"root": root})
    return sorted(wrong)


def _leads_on(head: Head, base_offset: int) -> bool:
    return head.tail <= base_offset and head.offset - base_offset <= SNAPSHOT_LAG_RECORDS_MAX


def _comparable(connection: sa.Connection, feed: FeedId, generation: str) -> Head:
    if not feed.has_fingerprint:
        raise NotFound(f"feed {feed} has no fingerprint")
    head = lock_head(connection, feed)
    if head.generation != generation:
        raise Refetch(head.generation)
    return head


def _chunks(connection: sa.Connection, feed: FeedId) -> Iterator[list[Row]]:
    """The feed's rows in the order of their keys, cut into chunks.

    Keys are compared as bytes: a database's own collation may order them otherwise than stores do.
    """
    table = feed.tables.document
    key = sa.collate(table.c.key, "C") if connection.dialect.name == "postgresql" else table.c.key
    query = sa.select(table.c.key, table.c.version, table.c.doc).where(feed.where(table), table.c.doc.is_not(None))
    rows: list[Row] = []
    size_bytes = 0
    for name, version, doc in connection.execute(query.order_by(key)):
        rows.append(Row(name, version, msgspec.Raw(doc)))
        size_bytes += len(doc) + len(name) + _ROW_OVERHEAD_BYTES
        if ends_chunk(name, size_bytes):
            yield rows
            rows, size_bytes = [], 0
    if rows:
        yield rows


_ROW_OVERHEAD_BYTES = 32
"""Of a row's NDJSON beside key and document."""


def _forget_tombstones(connection: sa.Connection, feed: FeedId, gone: sa.ColumnElement[bool]) -> None:
    table, record = feed.tables.document, feed.tables.record
    deleted = sa.select(record.c.key).where(gone, record.c.doc.is_(None), record.c.key == table.c.key,
                                            record.c.version == table.c.version)
    connection.execute(table.delete().where(feed.where(table), table.c.doc.is_(None), deleted.exists()))


