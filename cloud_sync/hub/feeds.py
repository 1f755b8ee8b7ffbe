"""Feed logs: documents in, records out, cut at checkpoints (DESIGN.md section 10, engineering.md 2.1).

A document that equals what stands under its key writes nothing; every change raises the key's version by one and
gets the next offset of its feed. Offsets are given under a lock on the feed's row, so they commit in order and a
reader never sees a later one before an earlier one. The feed's fingerprint moves in the same transaction.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import msgspec
import sqlalchemy as sa

from cloud_sync.contract.documents import Order
from cloud_sync.contract.feeds import WITH_LOCAL_EFFECT, Checkpoint, Cursor, Delete, Feed, Put, Record
from cloud_sync.contract.fingerprints import NO_ROOT, Bucket, Moves, bucket_of, root_after, row_hash
from cloud_sync.contract.pickup import FINAL, PickupState
from cloud_sync.hub import schema
from cloud_sync.hub.database import in_groups
from cloud_sync.hub.errors import NotFound, Refetch
from cloud_sync.hub.feed_statements import STORE_FEED_STATEMENTS, ZONE_FEED_STATEMENTS, FeedStatements
from cloud_sync.hub.limits import PAGE_RECORDS_MAX, SNAPSHOT_FROM_ROWS, WISHES_KEEP_MS
from cloud_sync.hub.rows import Row, insert_rows, upsert
from cloud_sync.hub.schema import STORE_FEEDS, ZONE_FEEDS, FeedTables, Owner

_order_decoder = msgspec.json.Decoder(Order)

ZONE_FEED_NAMES = (Feed.ITEMS, Feed.PRICES, Feed.PROMOTIONS, Feed.POLICY)
STORE_FEED_NAMES = (Feed.OVERLAY, Feed.ORDERS, Feed.TASKS, Feed.DELIVERIES)


@dataclass(frozen=True, slots=True)
class FeedId:
    """One log: `items:default`, `orders:store-7`. The owner is a zone or a store, by the feed's family."""

    feed: Feed
    owner: str

    def __str__(self) -> str:
        return f"{self.feed}:{self.owner}"

    @property
    def tables(self) -> FeedTables:
        return STORE_FEEDS if self.feed in STORE_FEED_NAMES else ZONE_FEEDS

    @property
    def has_fingerprint(self) -> bool:
        return self.feed not in WITH_LOCAL_EFFECT

    def key(self) -> dict[str, str]:
        """The columns that pick this log's rows."""
        return {self.tables.owner.value: self.owner, "feed": self.feed.value}

    @property
    def statements(self) -> FeedStatements:
        return STORE_FEED_STATEMENTS if self.feed in STORE_FEED_NAMES else ZONE_FEED_STATEMENTS

    @property
    def named(self) -> dict[str, object]:
        """The parameters that pick this log's rows in `statements`."""
        return {"of_owner": self.owner, "of_feed": self.feed.value}

    def where(self, table: sa.Table) -> sa.ColumnElement[bool]:
        return sa.and_(table.c[self.tables.owner.value] == self.owner, table.c.feed == self.feed.value)


class Written(msgspec.Struct, frozen=True):
    """What a change of a feed did. `offset`: the feed's head afterwards."""

    changed: int
    unchanged: int
    offset: int


@dataclass(frozen=True, slots=True)
class Head:
    """A log's incarnation, its end, what it no longer holds, and the fingerprint of its documents."""

    generation: str
    offset: int
    tail: int
    root: str

    @property
    def cursor(self) -> Cursor:
        return Cursor(self.generation, self.offset)


@dataclass(frozen=True, slots=True)
class Page:
    """Whole groups of records, and the checkpoint that ends them."""

    records: tuple[Put | Delete, ...]
    checkpoint: Checkpoint

    def with_checkpoint(self) -> tuple[Record, ...]:
        return (*self.records, self.checkpoint)


@dataclass(frozen=True, slots=True)
class Document:
    """What stands under a key; `doc` is `None` once it was deleted. `hash`: 0 for a deleted one."""

    version: int
    doc: bytes | None
    hash: int = 0


def ensure_feeds(connection: sa.Connection, owner: Owner, name: str, generation: str) -> None:
    """Let a zone or a store have its feeds; existing ones stay as they are."""
    feeds = STORE_FEED_NAMES if owner is Owner.STORE else ZONE_FEED_NAMES
    tables = STORE_FEEDS if owner is Owner.STORE else ZONE_FEEDS
    rows = [{owner.value: name, "feed": feed.value, "generation": generation, "head_offset": 0, "tail_offset": 0,
             "root": NO_ROOT} for feed in feeds]
    upsert(connection, tables.head, rows, replace=["feed"])


def put_documents(connection: sa.Connection, feed: FeedId, documents: Mapping[str, bytes]) -> Written:
    """Make these the documents of their keys: one group of records, one checkpoint."""
    head = lock_head(connection, feed)
    standing = read_documents(connection, feed, list(documents))
    changed: dict[str, Document] = {}
    for key, doc in documents.items():
        before = standing.get(key)
        if before is None or before.doc != doc:
            version = before.version + 1 if before else 1
            changed[key] = Document(version, doc, row_hash(key, version, doc))
    return _append(connection, feed, head, standing, changed, len(documents) - len(changed))


def delete_document(connection: sa.Connection, feed: FeedId, key: str) -> Written:
    """Raises `NotFound` when nothing stands under the key."""
    head = lock_head(connection, feed)
    standing = read_documents(connection, feed, [key])
    before = standing.get(key)
    if before is None or before.doc is None:
        raise NotFound(f"feed {feed} has no {key!r}")
    return _append(connection, feed, head, standing, {key: Document(before.version + 1, None)}, 0)


def read_documents(connection: sa.Connection, feed: FeedId, keys: list[str]) -> dict[str, Document]:
    """What stands under these keys, deleted ones included."""
    found: dict[str, Document] = {}
    for group in in_groups(keys):
        for key, version, doc, hashed in connection.execute(feed.statements.documents, {**feed.named, "keys": group}):
            found[key] = Document(version, doc, hashed)
    return found


def read_head(connection: sa.Connection, feed: FeedId) -> Cursor:
    """Raises `NotFound` when there is no such feed."""
    return whole_head(connection, feed).cursor


def whole_head(connection: sa.Connection, feed: FeedId) -> Head:
    """Raises `NotFound` when there is no such feed."""
    return _head(connection, feed, feed.statements.head)


def read_offsets(connection: sa.Connection, feeds: list[FeedId]) -> dict[FeedId, int]:
    """Where these feeds end."""
    wanted = {(feed.owner, feed.feed.value): feed for feed in feeds}
    found: dict[FeedId, int] = {}
    for statements in (ZONE_FEED_STATEMENTS, STORE_FEED_STATEMENTS):
        owners = sorted({feed.owner for feed in feeds if feed.statements is statements})
        for group in in_groups(owners):
            found |= {wanted[owner, name]: offset for owner, name, offset
                      in connection.execute(statements.heads, {"owners": group}) if (owner, name) in wanted}
    return found


def lock_head(connection: sa.Connection, feed: FeedId) -> Head:
    """The head, which nobody else may move in this transaction. Raises `NotFound`."""
    return _head(connection, feed, feed.statements.locked_head)


def read_page(connection: sa.Connection, feed: FeedId, after: Cursor | None, records_max: int = PAGE_RECORDS_MAX,
              *, snapshots: bool = False) -> Page:
    """The records after a cursor, up to the last checkpoint within `records_max`, or else up to the next one.

    `snapshots`: a reader without a cursor can do more than read the log from its beginning; it gets all there is as
    one whole page, or has to load a snapshot. Raises `Refetch` for that, and for a cursor of another generation, one
    ahead of the log or one older than the log.
    """
    head = whole_head(connection, feed)
    if after is None and snapshots:
        return _whole_page(connection, feed, head)
    start = after.offset if after else 0
    if (after and after.generation != head.generation) or not head.tail <= start <= head.offset:
        raise Refetch(head.generation)
    if start == head.offset:
        return Page((), Checkpoint(head.generation, start, head.root if feed.has_fingerprint else ""))
    records, end, root = _records(connection, feed, start, records_max)
    return Page(tuple(records), Checkpoint(head.generation, end, root if feed.has_fingerprint else ""))


def read_buckets(connection: sa.Connection, feed: FeedId, wanted: Iterable[int] | None = None) -> dict[int, Bucket]:
    """The fingerprint's buckets, all or the wanted ones; empty ones may be left out."""
    rows = (connection.execute(feed.statements.all_buckets, feed.named) if wanted is None else
            connection.execute(feed.statements.buckets, {**feed.named, "wanted": list(wanted)}))
    return {bucket: Bucket(count, total) for bucket, count, total in rows}


def write_buckets(connection: sa.Connection, feed: FeedId, buckets: Mapping[int, Bucket]) -> None:
    """Put these buckets in the place of what stood there."""
    owned = feed.key()
    rows: list[Row] = [{**owned, "bucket": bucket, "row_count": value.count, "total": value.total}
                       for bucket, value in buckets.items()]
    upsert(connection, feed.tables.bucket, rows, replace=["row_count", "total"])


def _head(connection: sa.Connection, feed: FeedId, query: sa.Select[str, int, int, str]) -> Head:
    row = connection.execute(query, feed.named).one_or_none()
    if row is None:
        raise NotFound(f"there is no feed {feed}")
    return Head(*row)


def _append(connection: sa.Connection, feed: FeedId, head: Head, standing: Mapping[str, Document],
            changes: Mapping[str, Document], unchanged: int) -> Written:
    """Write the changes after the head, the last one marked as their checkpoint."""
    end = head.offset + len(changes)
    if changes:
        owned = feed.key()
        root = _move_fingerprint(connection, feed, head, standing, changes) if feed.has_fingerprint else head.root
        documents: list[Row] = [{**owned, "key": key, "version": change.version, "doc": change.doc,
                                 "bucket": bucket_of(key), "hash": change.hash} for key, change in changes.items()]
        records: list[Row] = [{**owned, "key": key, "version": change.version, "doc": change.doc,
                               "feed_offset": offset, "checkpoint": offset == end,
                               "root": root if offset == end else ""}
                              for offset, (key, change) in enumerate(changes.items(), start=head.offset + 1)]
        upsert(connection, feed.tables.document, documents, replace=["version", "doc", "hash"])
        insert_rows(connection, feed.tables.record, records)
        connection.execute(feed.statements.move_head, {**feed.named, "end": end, "to_root": root})
    return Written(len(changes), unchanged, end)


def _move_fingerprint(connection: sa.Connection, feed: FeedId, head: Head, standing: Mapping[str, Document],
                      changes: Mapping[str, Document]) -> str:
    """Move the buckets of changed rows; returns the new root."""
    moves = Moves()
    for key, change in changes.items():
        before = standing.get(key)
        if before is not None and before.doc is not None:
            moves.remove(key, before.hash)
        if change.doc is not None:
            moves.add(key, change.hash)
    stood = read_buckets(connection, feed, moves.counts)
    moved = moves.changed(stood)
    write_buckets(connection, feed, moved)
    return root_after(head.root, stood, moved)


def _whole_page(connection: sa.Connection, feed: FeedId, head: Head) -> Page:
    """Everything that stands, as one page. Its offsets are made up: as many as there are rows, up to the head."""
    rows = _standing(connection, feed)
    if len(rows) > SNAPSHOT_FROM_ROWS and feed.has_fingerprint:
        raise Refetch(head.generation)
    first = head.offset - len(rows) + 1
    records = tuple(Put(offset, key, version, msgspec.Raw(doc))
                    for offset, (key, version, doc) in enumerate(rows, start=first))
    root = head.root if feed.has_fingerprint else ""
    return Page(records, Checkpoint(head.generation, head.offset, root, whole=True))


def _standing(connection: sa.Connection, feed: FeedId) -> list[tuple[str, int, bytes]]:
    """The feed's rows, one more than a whole page may have at most; of orders those that have not ended, and those that
    left of late although something was wished: their store may not have heard it, and money hangs on it (P6)."""
    table = feed.tables.document
    query = sa.select(table.c.key, table.c.version, table.c.doc).where(feed.where(table), table.c.doc.is_not(None))
    if feed.feed is Feed.ORDERS:
        steps = schema.pickup
        of_store = sa.select(steps.c.order_id).where(steps.c.store_id == feed.owner)
        newest_ms = sa.select(sa.func.max(steps.c.occurred_ms)).where(steps.c.store_id == feed.owner).scalar_subquery()
        left = of_store.where(steps.c.state == PickupState.HANDED_OVER,
                              steps.c.occurred_ms > newest_ms - WISHES_KEEP_MS)
        ended = of_store.where(steps.c.state.in_([state.value for state in FINAL]), steps.c.order_id.not_in(left))
        query = query.where(table.c.key.not_in(ended))
        left_of_late = set(connection.execute(left).scalars())
        return [(key, version, doc) for key, version, doc in connection.execute(query.order_by(table.c.key))
                if key not in left_of_late or _wishes_something(doc)]
    if feed.has_fingerprint:
        query = query.limit(SNAPSHOT_FROM_ROWS + 1)
    return [(key, version, doc) for key, version, doc in connection.execute(query.order_by(table.c.key))]


def _wishes_something(doc: bytes) -> bool:
    """Whether an order that was handed over asks for money to be looked at."""
    order = _order_decoder.decode(doc)
    declined = any(not answer.accepted for answer in order.answers)
    return order.cancel_requested or bool(order.cancel_lines) or order.reassigned or declined


def _records(connection: sa.Connection, feed: FeedId, start: int, records_max: int
             ) -> tuple[list[Put | Delete], int, str]:
    """A page's records, the offset of the checkpoint that ends it, and the fingerprint there; `start` itself and none
    when nothing follows."""
    statements = feed.statements
    rows = connection.execute(statements.records, {**feed.named, "after": start, "until": start + records_max}).all()
    end = next((offset for offset, _, _, _, checkpoint, _ in reversed(rows) if checkpoint), None)
    if end is None:
        end = connection.execute(statements.next_checkpoint, {**feed.named, "after": start}).scalar()
        if end is None:
            return [], start, ""
        rows = connection.execute(statements.records, {**feed.named, "after": start, "until": end}).all()
    records = [_record(offset, key, version, doc) for offset, key, version, doc, _, _ in rows if offset <= end]
    return records, int(end), next(root for offset, _, _, _, _, root in rows if offset == end)


def _record(offset: int, key: str, version: int, doc: bytes | None) -> Put | Delete:
    return Delete(offset, key, version) if doc is None else Put(offset, key, version, msgspec.Raw(doc))
