"""The store's copies of feeds: the documents as they came, and the fingerprints over them (DESIGN.md section 10).

These functions run in the replica writer's transaction and take its connection; those that only read also take a
reader's. A copy has two slots: one is in force, the other is where a new copy is loaded.
"""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import msgspec

from cloud_sync.contract.feeds import Change, Delete, Feed, Put, overlay_key
from cloud_sync.contract.fingerprints import (
    BUCKETS,
    EMPTY,
    NO_ROOT,
    Bucket,
    Moves,
    bucket_of,
    differing,
    root_after,
    root_of,
    row_hash,
)
from edge.db.connection import Connection
from edge.db.queries import REPLICA, many, rows_in_one
from edge.db.unhurried import unhurried

NOT_BELIEVED = 0
"""The hash of a row that somebody else changed; no real one is 0 but by a chance of 2**-64."""


@dataclass(frozen=True, slots=True)
class Copy:
    """Where a feed's copy in force stands, and its fingerprint."""

    slot: int
    root: str

    @property
    def other_slot(self) -> int:
        return 1 - self.slot


@contextmanager
def own_hand(connection: Connection) -> Iterator[None]:
    """Whatever is written inside is meant; anything else that touches a copy makes it suspect (see the triggers)."""
    connection.execute(REPLICA.begin_own_hand)
    try:
        yield
    finally:
        connection.execute(REPLICA.end_own_hand)


def copy_of(connection: Connection, feed: Feed) -> Copy:
    """The copy in force; an empty one where there is none yet."""
    row = connection.execute(REPLICA.feed_copy, (feed,)).fetchone()
    return Copy(*row) if row else Copy(0, NO_ROOT)


def buckets_of_copy(connection: Connection, feed: Feed) -> dict[int, Bucket]:
    """The fingerprint of the copy in force; empty buckets may be left out."""
    return {bucket: Bucket(count, total)
            for bucket, count, total in connection.execute(REPLICA.feed_buckets, (feed,)).fetchall()}


def document(connection: Connection, feed: Feed, key: str) -> Put | None:
    """What the hub sent under a key, as in the copy in force. `None`: nothing, or it was deleted."""
    slot = copy_of(connection, feed).slot
    row = connection.execute(REPLICA.document, (feed, slot, key)).fetchone()
    return Put(0, key, row[0], msgspec.Raw(row[1])) if row else None


def write_documents(connection: Connection, feed: Feed, changes: Iterable[Change]) -> None:
    """Make these the hub's documents, and move the fingerprint with them."""
    copy, moves, changes = copy_of(connection, feed), Moves(), list(changes)
    keys = many(change.key for change in changes)
    known = dict(rows_in_one(connection.execute(REPLICA.document_hashes_of, (feed, copy.slot, keys)).fetchone()))
    puts = []
    for change in unhurried(changes):
        before = known.get(change.key)
        if before is not None:
            moves.remove(change.key, before)
        if isinstance(change, Put):
            hashed = row_hash(change.key, change.version, change.doc)
            moves.add(change.key, hashed)
            puts.append((change, hashed))
        elif before is not None:
            connection.execute(REPLICA.delete_document, (feed, copy.slot, change.key))
    put_documents(connection, feed, copy.slot, puts)
    move_fingerprint(connection, feed, copy, moves)


def put_documents(connection: Connection, feed: Feed, slot: int, puts: Iterable[tuple[Put, int]]) -> None:
    """Write documents, each with its hash, into a slot."""
    rows = ((put.key, put.version, bucket_of(put.key), hashed, _text_of(put.doc)) for put, hashed in unhurried(puts))
    connection.execute(REPLICA.put_documents, (feed, slot, many(rows)))


def _text_of(doc: msgspec.Raw) -> str:
    """Raises `msgspec.DecodeError` for what is no JSON, whatever it looks like."""
    try:
        return bytes(doc).decode()
    except UnicodeDecodeError as error:
        raise msgspec.DecodeError(f"a document is not UTF-8: {error}") from error


def move_fingerprint(connection: Connection, feed: Feed, copy: Copy, moves: Moves) -> None:
    """Bring the moved buckets and the root up to date."""
    before = {bucket: value for bucket, value in buckets_of_copy(connection, feed).items() if bucket in moves.counts}
    after = moves.changed(before)
    _put_buckets(connection, feed, after)
    connection.execute(REPLICA.put_feed_copy, (feed, copy.slot, root_after(copy.root, before, after)))


def set_fingerprint(connection: Connection, feed: Feed, slot: int, buckets: Mapping[int, Bucket]) -> None:
    """This slot is in force from now on, and this is its whole fingerprint."""
    connection.execute(REPLICA.delete_feed_buckets, (feed,))
    _put_buckets(connection, feed, buckets)
    connection.execute(REPLICA.put_feed_copy, (feed, slot, root_of(buckets)))


def count_slot(connection: Connection, feed: Feed, slot: int) -> dict[int, Bucket]:
    """The fingerprint of a slot, counted from the hashes of its rows."""
    counts, totals = [0] * BUCKETS, [0] * BUCKETS
    for bucket, hashed in connection.execute(REPLICA.slot_hashes, (feed, slot)):
        counts[bucket] += 1
        totals[bucket] += hashed
    return {bucket: EMPTY.plus(Bucket(counts[bucket], totals[bucket])) for bucket in range(BUCKETS) if counts[bucket]}


def anything_touched(connection: Connection) -> bool:
    """Whether somebody else changed a row since the last look."""
    return bool(connection.execute(REPLICA.anything_touched).fetchone()[0])


def touched_keys(connection: Connection, feed: Feed) -> set[str]:
    """Rows of this feed that somebody else changed since the last look, which only the running store takes."""
    rows = [*connection.execute(REPLICA.touched_copies), *connection.execute(REPLICA.touched_documents)]
    return {key for of, key, *_ in rows if of == feed}


def distrust_touched(connection: Connection) -> list[tuple[Feed, str]]:
    """Believe no row any more that somebody else changed: its fingerprint differs from the hub's until it was fetched
    again. Returns keys that are in a table without any document behind them; the caller takes them out.

    Runs under `own_hand`.
    """
    if not anything_touched(connection):
        return []
    counted = {(Feed(feed), key): hashed
               for feed, key, hashed in connection.execute(REPLICA.touched_documents).fetchall()}
    copies = [(Feed(feed), key) for feed, key in connection.execute(REPLICA.touched_copies).fetchall()]
    connection.execute(REPLICA.forget_touched_documents)
    connection.execute(REPLICA.forget_touched_copies)
    homeless = []
    for feed, key in dict.fromkeys((*counted, *copies)):
        if not _distrust(connection, feed, key, counted) and (feed, key) not in counted:
            homeless.append((feed, key))
    return homeless


def distrust(connection: Connection, feed: Feed, key: str) -> None:
    """Believe this row no more. Runs under `own_hand`."""
    _distrust(connection, feed, key, {})


def _distrust(connection: Connection, feed: Feed, key: str, counted: Mapping[tuple[Feed, str], int | None]) -> bool:
    """Returns whether there is a document under the key."""
    copy, moves = copy_of(connection, feed), Moves()
    place = (feed, copy.slot, key)
    row = connection.execute(REPLICA.document_hash, place).fetchone()
    was_counted = counted[feed, key] if (feed, key) in counted else (row[0] if row else None)
    if was_counted is not None:
        moves.remove(key, was_counted)
    if row is not None:
        moves.add(key, NOT_BELIEVED)
        connection.execute(REPLICA.set_document_hash, (NOT_BELIEVED, *place))
    if moves.counts:
        move_fingerprint(connection, feed, copy, moves)
    return row is not None


@dataclass(frozen=True, slots=True)
class Kept:
    """A row of a copy as it is stored."""

    bucket: int
    key: str
    version: int
    hash: int
    doc: bytes


def rows_of_buckets(connection: Connection, feed: Feed, buckets: Iterable[int]) -> list[Kept]:
    """The rows of these buckets, of the copy in force. Reads the whole copy."""
    wanted = many(buckets)
    rows = connection.execute(REPLICA.documents_of_buckets, (feed, copy_of(connection, feed).slot, wanted))
    return [Kept(*row) for row in rows.fetchall()]


def rows_from(connection: Connection, feed: Feed, after_key: str, count_max: int) -> list[Kept]:
    """Rows behind a key, in the order of their keys, of the copy in force."""
    slot = copy_of(connection, feed).slot
    return [Kept(*row) for row in connection.execute(REPLICA.documents_from, (feed, slot, after_key, count_max))]


def count_again(connection: Connection, feed: Feed) -> list[int]:
    """Count the copy in force from the hashes of its rows and put right what differs; returns those buckets."""
    copy = copy_of(connection, feed)
    counted = count_slot(connection, feed, copy.slot)
    wrong = differing(buckets_of_copy(connection, feed), counted)
    if wrong or root_of(counted) != copy.root:
        set_fingerprint(connection, feed, copy.slot, counted)
    return wrong


def latest(changes: Iterable[Change]) -> list[Change]:
    """The last change of each key, in the order of those."""
    found: dict[str, Change] = {}
    for change in changes:
        found.pop(change.key, None)
        found[change.key] = change
    return list(found.values())


def is_overlaid(connection: Connection, feed: Feed, key: str) -> bool:
    """Whether the store's overlay has a row in this one's place."""
    return document(connection, Feed.OVERLAY, overlay_key(feed, key)) is not None


def gone(key: str) -> Delete:
    """The change that takes a row out, for rows that no longer stand at the hub."""
    return Delete(0, key, 0)


def _put_buckets(connection: Connection, feed: Feed, buckets: Mapping[int, Bucket]) -> None:
    connection.executemany(REPLICA.put_feed_bucket, [(feed, bucket, value.count, value.total)
                                                     for bucket, value in buckets.items()])
