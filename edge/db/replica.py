"""Applying the hub's truth to `replica.db`, and keeping the winning price of every SKU (DESIGN.md sections 4 and 5).

These functions run in the replica writer's transaction and take its connection. A batch and its cursor go in
together or not at all.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from cloud_sync.contract.documents import Item, Policy, Price, PriceKind, Promotion
from cloud_sync.contract.feeds import (
    OVERLAID,
    WITH_LOCAL_EFFECT,
    Batch,
    Change,
    Cursor,
    Delete,
    Feed,
    Put,
    overlaid,
    overlay_key,
)
from cloud_sync.contract.snapshots import Row
from edge.db.connection import Connection
from edge.db.copies import copy_of, distrust_touched, document, gone, latest, own_hand, write_documents
from edge.db.queries import REPLICA, many, rows_in_one
from edge.db.unhurried import unhurried
from edge.domain.barcode import canonical
from edge.domain.pricing import Move, PriceEntry, guard, select

_item_decoder = msgspec.json.Decoder(Item)
_price_decoder = msgspec.json.Decoder(Price)
_promotion_decoder = msgspec.json.Decoder(Promotion)
_policy_decoder = msgspec.json.Decoder(Policy)

UNTRUSTED_RETRY_MS = 60_000
"""How soon a waiting increase is looked at again while the wall clock is not believed."""


@dataclass(frozen=True, slots=True)
class Moment:
    """Now, as far as prices are concerned: wall-clock milliseconds, and whether the wall clock may be believed."""

    wall_ms: int
    trusted: bool = True


@dataclass(slots=True)
class Applied:
    """What was changed: SKUs whose item or list price is another now, and whether anything was held back."""

    skus: set[str] = field(default_factory=set)
    held_reason: str = ""
    policy: Policy | None = None


def cursor(connection: Connection, feed: Feed) -> Cursor | None:
    """How far this replica has come in a feed."""
    row = connection.execute(REPLICA.cursor, (feed,)).fetchone()
    return Cursor(*row) if row else None


def apply_batch(connection: Connection, feed: Feed, batch: Batch, now: Moment,
                decisions: Mapping[str, bool]) -> Applied:
    """Apply one whole batch and its cursor. `decisions`: what people said of held batches, by digest.

    Raises `msgspec.MsgspecError` for a document that breaks the contract; then nothing of the batch is applied.
    """
    if feed in WITH_LOCAL_EFFECT:
        raise ValueError(f"feed {feed} does not belong in replica.db")
    with own_hand(connection):
        changes = latest(batch.changes)
        drop_homeless(connection, now)
        write_documents(connection, feed, changes)
        applied = project(connection, feed, changes, now, decisions)
        connection.execute(REPLICA.put_cursor, (feed, batch.checkpoint.generation, batch.checkpoint.offset))
    return applied


def project(connection: Connection, feed: Feed, changes: Iterable[Change], now: Moment,
            decisions: Mapping[str, bool]) -> Applied:
    """Make the store's tables from documents that changed and are already written. Runs under `own_hand`."""
    applied = Applied()
    for kind, effective in _in_effect(connection, feed, changes).items():
        if kind is Feed.ITEMS:
            _apply_items(connection, effective)
            applied.skus.update(change.key for change in effective)
        elif kind is Feed.PRICES:
            _apply_prices(connection, effective, now, decisions, applied)
        elif kind is Feed.PROMOTIONS:
            _apply_promotions(connection, effective)
        elif kind is Feed.POLICY:
            applied.policy = _apply_policy(connection, effective)
    return applied


def look_at_touched(connection: Connection, now: Moment) -> None:
    """Take notice of what somebody else changed since the last look."""
    with own_hand(connection):
        drop_homeless(connection, now)


def drop_homeless(connection: Connection, now: Moment) -> None:
    """Believe nothing that somebody else changed; rows that never came from the hub go at once."""
    for feed, key in distrust_touched(connection):
        project(connection, feed, [gone(key)], now, {})


def _in_effect(connection: Connection, feed: Feed, changes: Iterable[Change]) -> dict[Feed, list[Change]]:
    """The changes as tills see them: an overlay's row wins over the zone's, and uncovers it when it goes."""
    if feed is Feed.OVERLAY:
        uncovered: dict[Feed, list[Change]] = {kind: [] for kind in OVERLAID}
        for change in changes:
            if (place := overlaid(change.key)) is not None:
                uncovered[place[0]].append(_renamed(change, place[1]) if isinstance(change, Put) else
                                           document(connection, *place) or gone(place[1]))
        return uncovered
    if feed in OVERLAID and connection.execute(
            REPLICA.documents_exist, (Feed.OVERLAY, copy_of(connection, Feed.OVERLAY).slot)).fetchone():
        return {feed: [_covered(connection, feed, change) for change in changes]}
    return {feed: list(changes)}


def _covered(connection: Connection, feed: Feed, change: Change) -> Change:
    """What holds after a zone's change: the overlay's row where there is one."""
    own = document(connection, Feed.OVERLAY, overlay_key(feed, change.key))
    return _renamed(own, change.key) if own else change


def _renamed(put: Put, key: str) -> Put:
    return Put(put.offset, key, put.version, put.doc)


def _apply_items(connection: Connection, changes: Sequence[Change]) -> None:
    connection.executemany(REPLICA.delete_codes, [(change.key,) for change in changes])
    connection.executemany(REPLICA.delete_item, [(change.key,) for change in changes if isinstance(change, Delete)])
    puts = [(change, _item_decoder.decode(change.doc)) for change in changes if isinstance(change, Put)]
    connection.executemany(REPLICA.put_item, [item_row(put, item) for put, item in puts])
    connection.executemany(REPLICA.put_code, [(code, put.key, position) for put, item in puts
                                              for position, code in enumerate(codes_of(item))])


Stored = tuple[str, int, bytes]
"""Key, version and document, as they are stored."""


def fill_items(connection: Connection, rows: Sequence[Stored]) -> list[str]:
    """Put items in where none of them was; returns their SKUs."""
    decode = _item_decoder.decode
    items = [(key, version, decode(doc)) for key, version, doc in rows]
    connection.executemany(REPLICA.add_item, [
        (key, version, item.name, item.category, item.department, item.brand, item.package_size, item.age_limit_years,
         item.tax_class, item.deposit_minor)
        for key, version, item in items])
    connection.executemany(REPLICA.put_code, [(canonical(code), key, position) for key, _, item in items
                                              for position, code in enumerate(item.codes)])
    return [key for key, _, _ in items]


def fill_prices(connection: Connection, rows: Sequence[Stored]) -> list[str]:
    """Put price list entries in where none of them was; returns their SKUs. `select_prices` is to follow."""
    entries = [price_entry(key, version, doc) for key, version, doc in rows]
    connection.executemany(REPLICA.add_price_entry, [entry_row(entry) for entry in entries])
    return [entry.sku for entry in entries]


def item_row(put: Put | Row, item: Item) -> tuple[str | int, ...]:
    """The row of `item` that a document makes."""
    return (put.key, put.version, item.name, item.category, item.department, item.brand, item.package_size,
            item.age_limit_years, item.tax_class, item.deposit_minor)


def codes_of(item: Item) -> list[str]:
    """The item's barcodes as they are looked up."""
    return [canonical(code) for code in item.codes]


def decode_item(doc: bytes | msgspec.Raw) -> Item:
    """Raises `msgspec.MsgspecError`."""
    return _item_decoder.decode(doc)


def _apply_promotions(connection: Connection, changes: Iterable[Change]) -> None:
    for change in changes:
        if isinstance(change, Put):
            connection.execute(REPLICA.put_promotion, promotion_row(change.key, change.doc))
        else:
            connection.execute(REPLICA.delete_promotion, (change.key,))


def promotion_row(key: str, doc: bytes | msgspec.Raw) -> tuple[str | int | bytes | None, ...]:
    """The row of `promotion` that a document makes. Raises `msgspec.MsgspecError`."""
    promotion = _promotion_decoder.decode(doc)
    return (key, promotion.version, promotion.kind, bytes(promotion.terms), promotion.valid_from_ms,
            promotion.valid_until_ms)


def _apply_policy(connection: Connection, changes: Iterable[Change]) -> Policy | None:
    policy = None
    for change in changes:
        if isinstance(change, Put):
            policy = _policy_decoder.decode(change.doc)
            connection.execute(REPLICA.put_policy, (change.key, change.version, bytes(change.doc)))
    return policy


def policy(connection: Connection, before: Policy | None = None) -> Policy:
    """The last good policy; `before`, or the defaults, for a replica that has none yet."""
    row = connection.execute(REPLICA.policy).fetchone()
    return _policy_decoder.decode(row[0]) if row else before or Policy()


def _apply_prices(connection: Connection, changes: Iterable[Change], now: Moment, decisions: Mapping[str, bool],
                  applied: Applied) -> None:
    parsed = [(change, _entry_of(change)) for change in unhurried(changes)]
    held = _held_changes(connection, parsed)
    digest = batch_digest(held.changes)
    decision = decisions.get(digest)
    keys = frozenset(change.key for change in held.changes) if decision is not True else frozenset()
    if keys and decision is None:
        connection.execute(REPLICA.put_held_batch, (digest, held.reason, now.wall_ms))
        applied.held_reason = held.reason
    changed = many(change.key for change, _ in parsed)
    connection.execute(REPLICA.delete_held_prices, (changed,))
    connection.execute(REPLICA.delete_declined_prices, (changed,))
    for change, _ in parsed:
        if change.key in keys and decision is None:
            doc = bytes(change.doc) if isinstance(change, Put) else None
            connection.execute(REPLICA.put_held_price, (change.key, digest, change.version, doc))
        elif change.key in keys:
            connection.execute(REPLICA.put_declined_price, (change.key, change.version))
    skus = _write_entries(connection, {change.key: entry for change, entry in parsed if change.key not in keys})
    connection.execute(REPLICA.delete_empty_held_batches)
    applied.skus |= reselect(connection, skus, now)


def _entry_of(change: Change) -> PriceEntry | None:
    return price_entry(change.key, change.version, change.doc) if isinstance(change, Put) else None


def price_entry(key: str, version: int, doc: bytes | msgspec.Raw) -> PriceEntry:
    """The price list entry that a document makes. Raises `msgspec.MsgspecError`."""
    price = _price_decoder.decode(doc)
    return PriceEntry(key, version, price.sku, price.price_minor, price.currency, price.kind,
                      price.priority, price.valid_from_ms, price.valid_until_ms)


def _write_entries(connection: Connection, entries: Mapping[str, PriceEntry | None]) -> set[str]:
    """Write or delete entries; returns the SKUs they touch, those they belonged to before included."""
    touched = {row[2] for row in _rows_of(connection, REPLICA.price_entries_of, entries)}
    connection.executemany(REPLICA.delete_price_entry, [(key,) for key, entry in entries.items() if entry is None])
    rows = (entry_row(entry) for entry in unhurried(entries.values()) if entry)
    connection.execute(REPLICA.put_price_entries, (many(rows),))
    return touched | {entry.sku for entry in entries.values() if entry}


def _rows_of(connection: Connection, query: str, keys: Iterable[str]) -> list[list[Any]]:
    """The rows under many keys in one step."""
    return rows_in_one(connection.execute(query, (many(keys),)).fetchone())


def entry_row(entry: PriceEntry) -> tuple[str | int | None, ...]:
    """The row of `price_entry`."""
    return (entry.entry_id, entry.version, entry.sku, entry.price_minor, entry.currency, entry.kind, entry.priority,
            entry.valid_from_ms, entry.valid_until_ms)


@dataclass(frozen=True, slots=True)
class _Held:
    """The changes of a batch that the guard holds, and why."""

    changes: tuple[Change, ...]
    reason: str


def _held_changes(connection: Connection, parsed: list[tuple[Change, PriceEntry | None]]) -> _Held:
    """Each entry is judged by its own price, now or later valid, against the SKU's present list price."""
    keys = [change.key for change, _ in parsed]
    stored = {row[0]: row[2] for row in _rows_of(connection, REPLICA.price_entries_of, keys)}
    skus = {entry.sku for _, entry in parsed if entry} | set(stored.values())
    prices = {row[0]: row for row in _rows_of(connection, REPLICA.list_prices_of, skus)}
    moves = {change.key: move for change, entry in unhurried(parsed)
             if (move := _move(change, entry, stored.get(change.key), prices)) is not None}
    priced = connection.execute(REPLICA.list_price_count).fetchone()[0]
    verdict = guard(moves.values(), priced, policy(connection))
    held = tuple(change for change, _ in parsed
                 if (move := moves.get(change.key)) is not None and move.sku in verdict.held_skus)
    return _Held(held, verdict.reason)


def _move(change: Change, entry: PriceEntry | None, stored_sku: str | None,
          prices: Mapping[str, Sequence[Any]]) -> Move | None:
    """What the change does to its SKU's price; `None` for a first price, and for the end of an entry that lost."""
    sku = entry.sku if entry else stored_sku
    row = prices.get(sku) if sku is not None else None
    if sku is None or row is None or (entry is None and row[3] != change.key):
        return None
    return Move(sku, row[1], entry.price_minor if entry else None)


def batch_digest(changes: Iterable[Change]) -> str:
    """Names a set of held changes by their content, so that a decision outlives a replica loaded again."""
    digest = hashlib.sha256()
    for change in sorted(changes, key=lambda change: change.key):
        doc = bytes(change.doc) if isinstance(change, Put) else b""
        digest.update(f"{change.key}\n{change.version}\n".encode() + doc + b"\n")
    return digest.hexdigest()


def release_held(connection: Connection, digest: str, approved: bool, now: Moment) -> Applied:
    """Carry out a person's decision: apply the held changes, or drop them."""
    with own_hand(connection):
        held = connection.execute(REPLICA.held_prices, (digest,)).fetchall()
        entries = {key: price_entry(key, version, doc) if doc else None for key, version, doc in held}
        if not approved:
            connection.executemany(REPLICA.put_declined_price, [(key, version) for key, version, _ in held])
        skus = _write_entries(connection, entries) if approved else set()
        connection.execute(REPLICA.delete_held_prices, (many(entries),))
        connection.execute(REPLICA.delete_held_batch, (digest,))
        return Applied(reselect(connection, skus, now))


def apply_local(connection: Connection, entries: Mapping[str, PriceEntry | None], now: Moment) -> set[str]:
    """Put prices of the store's own in force, `None` takes one away; returns the SKUs whose list price changed. They
    passed the guard before, and belong to no feed."""
    with own_hand(connection):
        return reselect(connection, _write_entries(connection, entries), now)


def local_moves(connection: Connection, changes: Mapping[str, tuple[str, int | None]]) -> list[Move]:
    """What entries of the store's own, as SKU and price by id (`None`: it goes), do to the list prices of now; an entry
    that keeps its price moves nothing. For the guard; takes a reader."""
    stored = {row[0]: row[3] for row in _rows_of(connection, REPLICA.local_entries_of, changes)}
    prices = {row[0]: row for row in _rows_of(connection, REPLICA.list_prices_of, {sku for sku, _ in changes.values()})}
    return [Move(sku, prices[sku][1], price_minor) for key, (sku, price_minor) in changes.items()
            if sku in prices and stored.get(key) != price_minor and (price_minor is not None or prices[sku][3] == key)]


def hold_local(connection: Connection, digest: str, reason: str, now_ms: int,
               changes: Iterable[tuple[str, int, bytes | None]]) -> None:
    """Keep changes of the store's own prices (id, version, document or `None`) aside until a person decides."""
    connection.execute(REPLICA.put_held_batch, (digest, reason, now_ms))
    connection.executemany(REPLICA.put_held_price, [(key, digest, version, doc) for key, version, doc in changes])


def drop_held(connection: Connection, keys: Iterable[str]) -> None:
    """Forget that these changes are held. `drop_empty_batches` is to follow."""
    connection.execute(REPLICA.delete_held_prices, (many(keys),))


def drop_empty_batches(connection: Connection) -> None:
    """Forget batches that hold nothing any more."""
    connection.execute(REPLICA.delete_empty_held_batches)


def entries_of(connection: Connection, sku: str) -> list[PriceEntry]:
    """The SKU's price list."""
    return [_stored_entry(row) for row in connection.execute(REPLICA.price_entries, (sku,)).fetchall()]


def _stored_entry(row: Sequence[Any]) -> PriceEntry:
    return PriceEntry(row[0], row[1], row[2], row[3], row[4], PriceKind(row[5]), row[6], row[7], row[8])


def reselect(connection: Connection, skus: Iterable[str], now: Moment) -> set[str]:
    """Look again which entry of each SKU holds; returns those whose list price, or its kind, changed.

    Runs under `own_hand`.

    While the wall clock is not believed decreases activate; increases, and prices that would end, wait.
    """
    skus = sorted(skus)
    prices = {row[0]: row[1:] for row in _rows_of(connection, REPLICA.list_prices_of, skus)}
    entries: dict[str, list[PriceEntry]] = {sku: [] for sku in skus}
    for row in unhurried(_rows_of(connection, REPLICA.price_entries_of_skus, skus)):
        entries[row[2]].append(_stored_entry(row))
    puts: list[tuple[str | int | None, ...]] = []
    ended: list[tuple[str]] = []
    starts: list[tuple[str, int]] = []
    changed: set[str] = set()
    for sku in unhurried(skus):
        selection, before = select(entries[sku], now.wall_ms), prices.get(sku)
        entry, until_ms = selection.entry, selection.until_ms
        if not now.trusted and before and (entry is None or entry.price_minor > before[0]):
            puts.append((sku, *before[:5], now.wall_ms + UNTRUSTED_RETRY_MS))
        elif entry is None:
            ended.append((sku,))
            starts += [(sku, until_ms)] if until_ms is not None else []
            changed.update([sku] if before else [])
        else:
            puts.append((sku, entry.price_minor, entry.currency, entry.entry_id, entry.version, entry.kind, until_ms))
            said = (entry.price_minor, entry.currency, entry.kind)  # an offer at the same price looks different
            changed.update([sku] if before is None or (*before[:2], before[4]) != said else [])
    connection.execute(REPLICA.delete_price_starts, (many(skus),))
    connection.executemany(REPLICA.delete_list_price, ended)
    connection.execute(REPLICA.put_list_prices, (many(puts),))
    connection.executemany(REPLICA.put_price_start, starts)
    return changed


def look_again_at_dated(connection: Connection) -> None:
    """The wall clock was put right, or may have been while the box was off: which entry holds is to be found anew, by
    `activate_due`, for every SKU where that depends on the time or where a change waits for a clock to believe.

    Lookups do so by themselves at once, because every such winner counts as run out from now on.
    """
    connection.execute(REPLICA.expire_dated_prices)
    connection.execute(REPLICA.start_dated_prices)


def activate_due(connection: Connection, now: Moment, count_max: int) -> list[str]:
    """Let dated changes happen that are due; returns the SKUs whose list price changed. At most `count_max` a call."""
    due = connection.execute(REPLICA.list_prices_expired, (now.wall_ms, now.wall_ms, count_max)).fetchall()
    with own_hand(connection):
        return sorted(reselect(connection, [sku for (sku,) in due], now))


def select_prices(connection: Connection, now: Moment) -> None:
    """Find the list price of every SKU after a first load: by one statement where one entry holds for good.

    Runs under `own_hand`.
    """
    connection.execute(REPLICA.list_simple_prices, (now.wall_ms,))
    reselect(connection, [sku for (sku,) in connection.execute(REPLICA.skus_not_simple, (now.wall_ms,))], now)
