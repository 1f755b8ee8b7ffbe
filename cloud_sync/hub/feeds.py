"""Feed logs: documents in, records out, cut at checkpoints (DESIGN.md section 10, engineering.md 2.1).

A document that equals what stands under its key writes nothing; every change raises the key's version by one and
gets the next offset of its feed. Offsets are given under a lock on the feed's row, so they commit in order and a
reader never sees a later one before an earlier one.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import msgspec
import sqlalchemy as sa

from cloud_sync.contract.feeds import Checkpoint, Cursor, Delete, Feed, Put, Record
from cloud_sync.hub.database import in_groups
from cloud_sync.hub.errors import NotFound, Refetch
from cloud_sync.hub.feed_statements import STORE_FEED_STATEMENTS, ZONE_FEED_STATEMENTS, FeedStatements
from cloud_sync.hub.limits import PAGE_RECORDS_MAX
from cloud_sync.hub.rows import Row, insert_rows, upsert
from cloud_sync.hub.schema import STORE_FEEDS, ZONE_FEEDS, FeedTables, Owner

ZONE_FEED_NAMES = (Feed.ITEMS, Feed.PRICES, Feed.POLICY)
STORE_FEED_NAMES = (Feed.ORDERS,)


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


class Written(msgspec.Struct, frozen=True):
    """What a change of a feed did. `offset`: the feed's head afterwards."""

    changed: int
    unchanged: int
    offset: int


@dataclass(frozen=True, slots=True)
class Page:
    """Whole groups of records, and the checkpoint that ends them."""

    records: tuple[Put | Delete, ...]
    checkpoint: Checkpoint

    def with_checkpoint(self) -> tuple[Record, ...]:
        return (*self.records, self.checkpoint)


@dataclass(frozen=True, slots=True)
class Document:
    """What stands under a key; `doc` is `None` once it was deleted."""

    version: int
    doc: bytes | None


def ensure_feeds(connection: sa.Connection, owner: Owner, name: str, generation: str) -> None:
    """Let a zone or a store have its feeds; existing ones stay as they are."""
    feeds = STORE_FEED_NAMES if owner is Owner.STORE else ZONE_FEED_NAMES
    tables = STORE_FEEDS if owner is Owner.STORE else ZONE_FEEDS
    rows = [{owner.value: name, "feed": feed.value, "generation": generation, "head_offset": 0} for feed in feeds]
    upsert(connection, tables.head, rows, replace=["feed"])


def put_documents(connection: sa.Connection, feed: FeedId, documents: Mapping[str, bytes]) -> Written:
    """Make these the documents of their keys: one group of records, one checkpoint."""
    head = _lock_head(connection, feed)
    standing = read_documents(connection, feed, list(documents))
    changed = {key: Document(standing[key].version + 1 if key in standing else 1, doc)
               for key, doc in documents.items() if key not in standing or standing[key].doc != doc}
    return _append(connection, feed, head.offset, changed, len(documents) - len(changed))


def delete_document(connection: sa.Connection, feed: FeedId, key: str) -> Written:
    """Raises `NotFound` when nothing stands under the key."""
    head = _lock_head(connection, feed)
    standing = read_documents(connection, feed, [key]).get(key)
    if standing is None or standing.doc is None:
        raise NotFound(f"feed {feed} has no {key!r}")
    return _append(connection, feed, head.offset, {key: Document(standing.version + 1, None)}, 0)


def read_documents(connection: sa.Connection, feed: FeedId, keys: list[str]) -> dict[str, Document]:
    """What stands under these keys, deleted ones included."""
    found: dict[str, Document] = {}
    for group in in_groups(keys):
        for key, version, doc in connection.execute(feed.statements.documents, {**feed.named, "keys": group}):
            found[key] = Document(version, doc)
    return found


def read_head(connection: sa.Connection, feed: FeedId) -> Cursor:
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


def read_page(connection: sa.Connection, feed: FeedId, after: Cursor | None,
              records_max: int = PAGE_RECORDS_MAX) -> Page:
    """The records after a cursor, up to the last checkpoint within `records_max`, or else up to the next one.

    Raises `Refetch` for a cursor of another generation, or one ahead of the log.
    """
    head = read_head(connection, feed)
    start = after.offset if after else 0
    if after and (after.generation != head.generation or start > head.offset):
        raise Refetch(head.generation)
    if start == head.offset:
        return Page((), Checkpoint(head.generation, start))
    records, end = _records(connection, feed, start, records_max)
    return Page(tuple(records), Checkpoint(head.generation, end))


def _lock_head(connection: sa.Connection, feed: FeedId) -> Cursor:
    return _head(connection, feed, feed.statements.locked_head)


def _head(connection: sa.Connection, feed: FeedId, query: sa.Select[str, int]) -> Cursor:
    row = connection.execute(query, feed.named).one_or_none()
    if row is None:
        raise NotFound(f"there is no feed {feed}")
    return Cursor(row[0], row[1])


def _append(connection: sa.Connection, feed: FeedId, head: int, changes: Mapping[str, Document],
            unchanged: int) -> Written:
    """Write the changes after the head, the last one marked as their checkpoint."""
    end = head + len(changes)
    if changes:
        owned = feed.key()
        documents: list[Row] = [{**owned, "key": key, "version": change.version, "doc": change.doc}
                                for key, change in changes.items()]
        records: list[Row] = [{**document, "feed_offset": offset, "checkpoint": offset == end}
                              for offset, document in enumerate(documents, start=head + 1)]
        upsert(connection, feed.tables.document, documents, replace=["version", "doc"])
        insert_rows(connection, feed.tables.record, records)
        connection.execute(feed.statements.move_head, {**feed.named, "end": end})
    return Written(len(changes), unchanged, end)


def _records(connection: sa.Connection, feed: FeedId, start: int, records_max: int
             ) -> tuple[list[Put | Delete], int]:
    """A page's records, and the offset of the checkpoint that ends it; `start` itself when nothing follows."""
    statements = feed.statements
    rows = connection.execute(statements.records, {**feed.named, "after": start, "until": start + records_max}).all()
    end = next((offset for offset, _, _, _, checkpoint in reversed(rows) if checkpoint), None)
    if end is None:
        end = connection.execute(statements.next_checkpoint, {**feed.named, "after": start}).scalar()
        if end is None:
            return [], start
        rows = connection.execute(statements.records, {**feed.named, "after": start, "until": end}).all()
    return [_record(offset, key, version, doc) for offset, key, version, doc, _ in rows if offset <= end], int(end)


def _record(offset: int, key: str, version: int, doc: bytes | None) -> Put | Delete:
    return Delete(offset, key, version) if doc is None else Put(offset, key, version, msgspec.Raw(doc))
