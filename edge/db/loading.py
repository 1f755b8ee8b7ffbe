"""Loading a feed's copy anew beside the old one, and putting single rows right (DESIGN.md section 10).

A new copy is gathered in the feed's other slot, chunk by chunk or page by page, while tills go on reading the old one;
the switch is one transaction. Only what differs is then carried over into the tables, under the guard; at a first load
nothing can differ, and the rows go in in bulk. These functions run in the replica writer's transaction.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import msgspec

from cloud_sync.contract.feeds import Batch, Change, Cursor, Delete, Feed, Put
from cloud_sync.contract.fingerprints import Bucket, Moves, hash_rows, root_of, row_hash
from cloud_sync.contract.snapshots import BadSnapshot, Chunk, Manifest, Row, decode_chunk
from edge.db import copies, replica
from edge.db.connection import Connection
from edge.db.copies import Kept, copy_of, own_hand
from edge.db.queries import REPLICA
from edge.db.replica import Applied, Moment

FILL_ROWS = 5_000
"""Rows of a first load that are in memory at a time."""

_buckets_encoder = msgspec.json.Encoder()
_buckets_decoder = msgspec.json.Decoder(dict[int, Bucket])

@dataclass(frozen=True, slots=True)
class Loaded:
    """What became of a batch: what it changed, or `staged`: it waits for the rest of its copy."""

    applied: Applied
    staged: bool = False


def cursor(connection: Connection, feed: Feed) -> Cursor | None:
    """How far the line has come in a feed: in the copy that is being read by pages, else in the one in force."""
    row = connection.execute(REPLICA.staging, (feed,)).fetchone()
    if row is None or row[1] is None:
        return replica.cursor(connection, feed)
    return Cursor(row[0], row[1])


def is_read_by_pages(connection: Connection, feed: Feed) -> bool:
    """Whether a new copy is being read by pages, so that the cursor says nothing about the one in force."""
    row = connection.execute(REPLICA.staging, (feed,)).fetchone()
    return row is not None and row[1] is not None


def has_old_copy(connection: Connection, feed: Feed) -> bool:
    """Whether the slot that is not in force holds anything, and nothing is being loaded there."""
    if connection.execute(REPLICA.staging, (feed,)).fetchone() is not None:
        return False
    other = copy_of(connection, feed).other_slot
    return connection.execute(REPLICA.documents_exist, (feed, other)).fetchone() is not None


def begin(connection: Connection, feed: Feed) -> None:
    """The feed's generation is retired, or its log no longer leads on: forget the cursor, keep the rows (P8)."""
    with own_hand(connection):
        _clear(connection, feed)
        connection.execute(REPLICA.delete_cursor, (feed,))
        connection.execute(REPLICA.put_staging, (feed, "", None, ""))


def take_batch(connection: Connection, feed: Feed, batch: Batch, now: Moment, decisions: Mapping[str, bool]) -> Loaded:
    """A batch in its place: everything there is at once, a piece of a new copy, or simply what is new.

    Raises `msgspec.MsgspecError` for a document that breaks the contract, `BadSnapshot` where a whole copy is not what
    its checkpoint says.
    """
    checkpoint = batch.checkpoint
    if checkpoint.whole:
        with own_hand(connection):
            _clear(connection, feed)
            _stage_changes(connection, feed, batch.changes)
            cursor = Cursor(checkpoint.generation, checkpoint.offset)
            return Loaded(_switch(connection, feed, cursor, checkpoint.root, now, decisions))
    staging = connection.execute(REPLICA.staging, (feed,)).fetchone()
    if staging is None:
        return Loaded(replica.apply_batch(connection, feed, batch, now, decisions))
    with own_hand(connection):
        if staging[0] != checkpoint.generation or staging[1] is None:
            _clear(connection, feed)
        _stage_changes(connection, feed, batch.changes)
        connection.execute(REPLICA.put_staging, (feed, checkpoint.generation, checkpoint.offset, checkpoint.root))
    return Loaded(Applied(), staged=True)


def end_of_pages(connection: Connection, feed: Feed, now: Moment, decisions: Mapping[str, bool]) -> Applied:
    """The end of the feed is reached: a copy that was read by pages takes the old one's place."""
    staging = connection.execute(REPLICA.staging, (feed,)).fetchone()
    if staging is None or staging[1] is None:
        return Applied()
    with own_hand(connection):
        return _switch(connection, feed, Cursor(staging[0], staging[1]), staging[2], now, decisions)


def begin_snapshot(connection: Connection, feed: Feed, manifest: Manifest) -> frozenset[str]:
    """Go on with a snapshot; returns the chunks that are here already. Those of an older manifest stay if they are
    part of this one too."""
    with own_hand(connection):
        staging = connection.execute(REPLICA.staging, (feed,)).fetchone()
        chunks = {row[0]: row for row in connection.execute(REPLICA.staging_chunks, (feed,)).fetchall()}
        if staging is None or staging[1] is not None or not chunks:
            _clear(connection, feed)
            chunks = {}
        wanted = {chunk.sha256 for chunk in manifest.chunks}
        for sha256, first, last in [row for name, row in chunks.items() if name not in wanted]:
            _forget_chunk(connection, feed, sha256, first, last)
        connection.execute(REPLICA.put_staging, (feed, manifest.generation, None, manifest.root))
    return frozenset(chunks) & wanted


def stage_chunk(connection: Connection, feed: Feed, chunk: Chunk, body: bytes) -> int:
    """Take a chunk in, all of it or nothing; returns its rows. Raises `BadSnapshot`, `msgspec.MsgspecError`."""
    rows = decode_chunk(chunk, body)
    hashed, buckets = hash_rows((row.key, row.version, row.doc) for row in rows)
    if root_of(buckets) != chunk.fingerprint:
        raise BadSnapshot(f"chunk {chunk.sha256[:12]}: its rows have another fingerprint than the manifest says")
    with own_hand(connection):
        slot = copy_of(connection, feed).other_slot
        connection.executemany(REPLICA.add_document, [
            (feed, slot, row.key, row.version, *known, row.doc) for row, known in zip(rows, hashed, strict=True)])
        connection.execute(REPLICA.put_staging_chunk, (feed, chunk.sha256, chunk.first, chunk.last,
                                                        _buckets_encoder.encode(buckets)))
    return len(rows)


def switch_to_snapshot(connection: Connection, feed: Feed, manifest: Manifest, now: Moment,
                       decisions: Mapping[str, bool]) -> Applied:
    """All chunks are here: put the new copy in force. Raises `BadSnapshot` when they are not what was promised."""
    cursor = Cursor(manifest.generation, manifest.base_offset)
    with own_hand(connection):
        return _switch(connection, feed, cursor, manifest.root, now, decisions)


def drop(connection: Connection, feed: Feed) -> None:
    """What was gathered is of no use."""
    with own_hand(connection):
        _clear(connection, feed)
        connection.execute(REPLICA.delete_staging, (feed,))


def forget_old_copy(connection: Connection, feed: Feed, count_max: int) -> None:
    """Take away a slice of what lies in the slot that is not in force, while nothing is being loaded there."""
    if connection.execute(REPLICA.staging, (feed,)).fetchone() is None:
        with own_hand(connection):
            connection.execute(REPLICA.forget_some_documents, (feed, copy_of(connection, feed).other_slot, count_max))


def repair(connection: Connection, feed: Feed, at: Cursor, buckets: Mapping[int, Sequence[Row]], now: Moment,
           decisions: Mapping[str, bool]) -> tuple[Applied, int]:
    """Make these buckets what the hub says they are, in one transaction; returns what changed and how many rows.

    Nothing happens when the copy is no longer at that cursor. Prices go through the guard like any other batch.
    Everything is counted anew, so that a wrong sum goes too.
    """
    if replica.cursor(connection, feed) != at or connection.execute(REPLICA.staging, (feed,)).fetchone():
        return Applied(), 0
    with own_hand(connection):
        replica.drop_homeless(connection, now)
        theirs = [row for rows in buckets.values() for row in rows]
        changes = _differences(copies.rows_of_buckets(connection, feed, buckets), theirs)
        copies.write_documents(connection, feed, changes)
        copies.count_again(connection, feed)
        return replica.project(connection, feed, changes, now, decisions), len(changes)


@dataclass(frozen=True, slots=True)
class Recounted:
    """What a slice of a recount found: rows that are not believed any more, and where the next slice begins.

    `next_key` is `None` after the last slice, which also counts the sums; `buckets`: those that were wrong.
    """

    keys: tuple[str, ...]
    next_key: str | None
    buckets: tuple[int, ...] = ()


def recount(connection: Connection, feed: Feed, after_key: str, count_max: int, now: Moment) -> Recounted:
    """Hash a slice of documents again, and compare the tables with them. What differs is not believed any more, so that
    the next checkpoint fetches it from the hub."""
    with own_hand(connection):
        replica.drop_homeless(connection, now)
        rows = copies.rows_from(connection, feed, after_key, count_max)
        wrong = [row for row in rows if row.hash != copies.NOT_BELIEVED and not _is_right(connection, feed, row)]
        for row in wrong:
            copies.distrust(connection, feed, row.key)
        keys = tuple(row.key for row in wrong)
        if len(rows) == count_max:
            return Recounted(keys, rows[-1].key)
        return Recounted(keys, None, tuple(copies.count_again(connection, feed)))


def _is_right(connection: Connection, feed: Feed, row: Kept) -> bool:
    return row_hash(row.key, row.version, row.doc) == row.hash and _is_in_tables(connection, feed, row)


def _differences(ours: Sequence[Kept], theirs: Sequence[Row]) -> list[Change]:
    """What makes our rows theirs."""
    known = {row.key: row.hash for row in ours}
    changes: list[Change] = [Put(0, row.key, row.version, row.doc) for row in theirs
                             if known.get(row.key) != row_hash(row.key, row.version, row.doc)]
    names = {row.key for row in theirs}
    return changes + [copies.gone(key) for key in known if key not in names]


def _is_in_tables(connection: Connection, feed: Feed, row: Kept) -> bool:
    """Whether the store's tables say what this document says, as far as it is this document that they show."""
    if feed not in (Feed.ITEMS, Feed.PRICES, Feed.PROMOTIONS):
        return True
    if copies.is_overlaid(connection, feed, row.key):
        return True
    if feed is Feed.ITEMS:
        item = replica.decode_item(row.doc)
        found = connection.execute(REPLICA.item_row, (row.key,)).fetchone()
        return bool(found == replica.item_row(Row(row.key, row.version, msgspec.Raw(row.doc)), item))
    if feed is Feed.PROMOTIONS:
        found = connection.execute(REPLICA.promotion, (row.key,)).fetchone()
        return bool(found == replica.promotion_row(row.key, row.doc))
    if connection.execute(REPLICA.price_is_set_aside, (row.key, row.key)).fetchone():
        return True
    found = connection.execute(REPLICA.price_entry, (row.key,)).fetchone()
    return bool(found == replica.entry_row(replica.price_entry(row.key, row.version, row.doc)))


def _switch(connection: Connection, feed: Feed, cursor: Cursor, root: str, now: Moment,
            decisions: Mapping[str, bool]) -> Applied:
    """The other slot comes into force with this cursor; `root`, if any, is what it must add up to."""
    copy, first_load = copy_of(connection, feed), _is_first_load(connection, feed)
    buckets = _staged_buckets(connection, feed) or copies.count_slot(connection, feed, copy.other_slot)
    if root and root_of(buckets) != root:
        raise BadSnapshot(f"the new copy of {feed} has another fingerprint than the hub says: {root_of(buckets)}, "
                          f"not {root}")
    if first_load and feed in (Feed.ITEMS, Feed.PRICES) and connection.execute(
            REPLICA.staging_chunks, (feed,)).fetchone() is not None:
        copies.set_fingerprint(connection, feed, copy.other_slot, buckets)
        applied = _fill_tables(connection, feed, now)
    else:
        changes = _changes_between_slots(connection, feed, copy)
        copies.set_fingerprint(connection, feed, copy.other_slot, buckets)
        applied = replica.project(connection, feed, changes, now, decisions)
    connection.execute(REPLICA.delete_staging_chunks, (feed,))
    connection.execute(REPLICA.delete_staging, (feed,))
    connection.execute(REPLICA.put_cursor, (feed, cursor.generation, cursor.offset))
    return applied


def _staged_buckets(connection: Connection, feed: Feed) -> dict[int, Bucket]:
    """What the chunks add up to, each as it was counted when it came in; empty for a copy read by pages."""
    moves = Moves()
    for (encoded,) in connection.execute(REPLICA.staging_buckets, (feed,)).fetchall():
        moves.add_all(_buckets_decoder.decode(encoded))
    return moves.changed({})


def _changes_between_slots(connection: Connection, feed: Feed, copy: copies.Copy) -> list[Change]:
    new, old = copy.other_slot, copy.slot
    puts = connection.execute(REPLICA.documents_that_differ, (old, feed, new)).fetchall()
    went = connection.execute(REPLICA.documents_that_went, (new, feed, old)).fetchall()
    return [*(Delete(0, key, version) for key, version in went),
            *(Put(0, key, version, msgspec.Raw(doc)) for key, version, doc in puts)]


def _fill_tables(connection: Connection, feed: Feed, now: Moment) -> Applied:
    """Nothing was known of this feed: its rows go in as they are. What the overlay has already stays."""
    triggers = _without_triggers(connection, ("item", "item_code") if feed is Feed.ITEMS else ("price_entry",))
    own = {key for (key,) in connection.execute(REPLICA.overlaid_keys, (feed,))}
    reading = connection.execute(REPLICA.documents_of_slot, (feed, copy_of(connection, feed).slot))
    skus: set[str] = set()
    while found := reading.fetchmany(FILL_ROWS):
        rows = [row for row in found if row[0] not in own] if own else found
        skus.update(replica.fill_items(connection, rows) if feed is Feed.ITEMS else
                    replica.fill_prices(connection, rows))
    for statement in triggers:
        connection.execute(statement)
    if feed is Feed.PRICES:
        replica.select_prices(connection, now)
    return Applied(skus)


def _without_triggers(connection: Connection, tables: Sequence[str]) -> list[str]:
    """Take the triggers off tables that are being filled in bulk; returns the statements that put them back.

    Within the transaction: nobody else ever sees the tables without them.
    """
    found = [row for table in tables for row in connection.execute(REPLICA.triggers_of, (table,)).fetchall()]
    for name, _ in found:
        connection.execute(f"DROP TRIGGER {name}")
    return [statement for _, statement in found]


def _is_first_load(connection: Connection, feed: Feed) -> bool:
    return connection.execute(REPLICA.documents_exist, (feed, copy_of(connection, feed).slot)).fetchone() is None


def _stage_changes(connection: Connection, feed: Feed, changes: Sequence[Change]) -> None:
    slot, puts = copy_of(connection, feed).other_slot, []
    for change in copies.latest(changes):
        if isinstance(change, Put):
            puts.append((change, row_hash(change.key, change.version, change.doc)))
        else:
            connection.execute(REPLICA.delete_document, (feed, slot, change.key))
    copies.put_documents(connection, feed, slot, puts)


def _clear(connection: Connection, feed: Feed) -> None:
    connection.execute(REPLICA.forget_documents, (feed, copy_of(connection, feed).other_slot))
    connection.execute(REPLICA.delete_staging_chunks, (feed,))


def _forget_chunk(connection: Connection, feed: Feed, sha256: str, first: str, last: str) -> None:
    connection.execute(REPLICA.forget_documents_of_chunk, (feed, copy_of(connection, feed).other_slot, first, last))
    connection.execute(REPLICA.delete_staging_chunk, (feed, sha256))
