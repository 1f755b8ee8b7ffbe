"""Applying the hub's truth to `replica.db`, and keeping the winning price of every SKU (DESIGN.md sections 4 and 5).

These functions run in the replica writer's transaction and take its connection. A batch and its cursor go in
together or not at all.
"""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import msgspec

from cloud_sync.contract.documents import Item, Policy, Price, PriceKind
from cloud_sync.contract.feeds import Batch, Change, Cursor, Delete, Feed, Put
from edge.db.connection import Connection
from edge.db.queries import REPLICA
from edge.domain.barcode import canonical
from edge.domain.pricing import Move, PriceEntry, guard, select

_item_decoder = msgspec.json.Decoder(Item)
_price_decoder = msgspec.json.Decoder(Price)
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
    """What a batch changed: SKUs whose item or list price is another now, and whether anything was held back."""

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
    applied = Applied()
    if feed is Feed.ITEMS:
        for change in batch.changes:
            applied.skus.add(_apply_item(connection, change))
    elif feed is Feed.PRICES:
        _apply_prices(connection, batch.changes, now, decisions, applied)
    elif feed is Feed.POLICY:
        applied.policy = _apply_policy(connection, batch.changes)
    else:
        raise ValueError(f"feed {feed} does not belong in replica.db")
    if connection.execute(REPLICA.rebuilding, (feed,)).fetchone():
        connection.executemany(REPLICA.put_rebuild_key, [(feed, change.key) for change in batch.changes])
    connection.execute(REPLICA.put_cursor, (feed, batch.checkpoint.generation, batch.checkpoint.offset))
    return applied


def begin_rebuild(connection: Connection, feed: Feed) -> None:
    """The feed's generation is retired: read it from its beginning, while the old rows go on answering (P8)."""
    connection.execute(REPLICA.delete_cursor, (feed,))
    connection.execute(REPLICA.begin_rebuild, (feed,))
    connection.execute(REPLICA.clear_rebuild_keys, (feed,))


def end_rebuild(connection: Connection, feed: Feed, now: Moment) -> Applied:
    """The feed has caught up: rows that its new generation never named go. Nothing happens outside a rebuild."""
    applied = Applied()
    if not connection.execute(REPLICA.rebuilding, (feed,)).fetchone():
        return applied
    if feed is Feed.ITEMS:
        for (sku,) in connection.execute(REPLICA.items_not_rebuilt).fetchall():
            applied.skus.add(_apply_item(connection, Delete(0, sku, 0)))
    elif feed is Feed.PRICES:
        for (entry_id,) in connection.execute(REPLICA.prices_not_rebuilt).fetchall():
            applied.skus |= _write_entry(connection, entry_id, None)
        _keep_changed(connection, applied, now)
    connection.execute(REPLICA.end_rebuild, (feed,))
    connection.execute(REPLICA.clear_rebuild_keys, (feed,))
    return applied


def _apply_item(connection: Connection, change: Change) -> str:
    connection.execute(REPLICA.delete_codes, (change.key,))
    if isinstance(change, Delete):
        connection.execute(REPLICA.delete_item, (change.key,))
        return change.key
    item = _item_decoder.decode(change.doc)
    connection.execute(REPLICA.put_item, (change.key, change.version, item.name, item.category, item.department,
                                          item.brand, item.package_size, item.age_limit_years))
    for position, code in enumerate(item.codes):
        connection.execute(REPLICA.put_code, (canonical(code), change.key, position))
    return change.key


def _apply_policy(connection: Connection, changes: Iterable[Change]) -> Policy | None:
    policy = None
    for change in changes:
        if isinstance(change, Put):
            policy = _policy_decoder.decode(change.doc)
            connection.execute(REPLICA.put_policy, (change.key, change.version, bytes(change.doc)))
    return policy


def policy(connection: Connection) -> Policy:
    """The last good policy, or the defaults."""
    row = connection.execute(REPLICA.policy).fetchone()
    return _policy_decoder.decode(row[0]) if row else Policy()


def _apply_prices(connection: Connection, changes: Iterable[Change], now: Moment, decisions: Mapping[str, bool],
                  applied: Applied) -> None:
    parsed = [(change, _entry_of(change)) for change in changes]
    held = _held_changes(connection, parsed)
    digest = batch_digest(held.changes)
    decision = decisions.get(digest)
    keys = frozenset(change.key for change in held.changes) if decision is not True else frozenset()
    if keys and decision is None:
        connection.execute(REPLICA.put_held_batch, (digest, held.reason, now.wall_ms))
        applied.held_reason = held.reason
    for change, entry in parsed:
        connection.execute(REPLICA.delete_held_price, (change.key,))
        if change.key not in keys:
            applied.skus |= _write_entry(connection, change.key, entry)
        elif decision is None:
            doc = bytes(change.doc) if isinstance(change, Put) else None
            connection.execute(REPLICA.put_held_price, (change.key, digest, change.version, doc))
    connection.execute(REPLICA.delete_empty_held_batches)
    _keep_changed(connection, applied, now)


def _keep_changed(connection: Connection, applied: Applied, now: Moment) -> None:
    applied.skus = {sku for sku in applied.skus if reselect(connection, sku, now)}


def _entry_of(change: Change) -> PriceEntry | None:
    if isinstance(change, Delete):
        return None
    price = _price_decoder.decode(change.doc)
    return PriceEntry(change.key, change.version, price.sku, price.price_minor, price.currency, price.kind,
                      price.priority, price.valid_from_ms, price.valid_until_ms)


def _write_entry(connection: Connection, entry_id: str, entry: PriceEntry | None) -> set[str]:
    """Write or delete one entry; returns the SKUs it touches, the one it belonged to before included."""
    before = connection.execute(REPLICA.price_entry, (entry_id,)).fetchone()
    touched = {before[2]} if before else set()
    if entry is None:
        connection.execute(REPLICA.delete_price_entry, (entry_id,))
        return touched
    connection.execute(REPLICA.put_price_entry, (
        entry.entry_id, entry.version, entry.sku, entry.price_minor, entry.currency, entry.kind, entry.priority,
        entry.valid_from_ms, entry.valid_until_ms))
    return touched | {entry.sku}


@dataclass(frozen=True, slots=True)
class _Held:
    """The changes of a batch that the guard holds, and why."""

    changes: tuple[Change, ...]
    reason: str


def _held_changes(connection: Connection, parsed: list[tuple[Change, PriceEntry | None]]) -> _Held:
    """Each entry is judged by its own price, now or later valid, against the SKU's present list price."""
    moves = {change.key: move for change, entry in parsed if (move := _move(connection, change, entry)) is not None}
    priced = connection.execute(REPLICA.list_price_count).fetchone()[0]
    verdict = guard(moves.values(), priced, policy(connection))
    held = tuple(change for change, _ in parsed
                 if (move := moves.get(change.key)) is not None and move.sku in verdict.held_skus)
    return _Held(held, verdict.reason)


def _move(connection: Connection, change: Change, entry: PriceEntry | None) -> Move | None:
    """What the change does to its SKU's price; `None` for a first price, and for the end of an entry that lost."""
    stored = connection.execute(REPLICA.price_entry, (change.key,)).fetchone()
    sku = entry.sku if entry else (stored[2] if stored else None)
    row = connection.execute(REPLICA.list_price, (sku,)).fetchone() if sku is not None else None
    if sku is None or row is None or (entry is None and row[2] != change.key):
        return None
    return Move(sku, row[0], entry.price_minor if entry else None)


def batch_digest(changes: Iterable[Change]) -> str:
    """Names a set of held changes by their content, so that a decision outlives a replica loaded again."""
    digest = hashlib.sha256()
    for change in sorted(changes, key=lambda change: change.key):
        doc = bytes(change.doc) if isinstance(change, Put) else b""
        digest.update(f"{change.key}\n{change.version}\n".encode() + doc + b"\n")
    return digest.hexdigest()


def release_held(connection: Connection, digest: str, approved: bool, now: Moment) -> Applied:
    """Carry out a person's decision: apply the held changes, or drop them."""
    applied = Applied()
    for entry_id, version, doc in connection.execute(REPLICA.held_prices, (digest,)).fetchall():
        if approved:
            change: Change = Put(0, entry_id, version, msgspec.Raw(doc)) if doc else Delete(0, entry_id, version)
            applied.skus |= _write_entry(connection, entry_id, _entry_of(change))
        connection.execute(REPLICA.delete_held_price, (entry_id,))
    connection.execute(REPLICA.delete_held_batch, (digest,))
    _keep_changed(connection, applied, now)
    return applied


def entries_of(connection: Connection, sku: str) -> list[PriceEntry]:
    """The SKU's price list."""
    return [PriceEntry(row[0], row[1], row[2], row[3], row[4], PriceKind(row[5]), row[6], row[7], row[8])
            for row in connection.execute(REPLICA.price_entries, (sku,)).fetchall()]


def reselect(connection: Connection, sku: str, now: Moment) -> bool:
    """Look again which entry of the SKU holds; returns whether its list price changed.

    While the wall clock is not believed decreases activate; increases, and prices that would end, wait.
    """
    selection = select(entries_of(connection, sku), now.wall_ms)
    before = connection.execute(REPLICA.list_price, (sku,)).fetchone()
    connection.execute(REPLICA.delete_price_start, (sku,))
    entry, until_ms = selection.entry, selection.until_ms
    if not now.trusted and before and (entry is None or entry.price_minor > before[0]):
        connection.execute(REPLICA.put_list_price, (sku, *before[:5], now.wall_ms + UNTRUSTED_RETRY_MS))
        return False
    if entry is None:
        connection.execute(REPLICA.delete_list_price, (sku,))
        if until_ms is not None:
            connection.execute(REPLICA.put_price_start, (sku, until_ms))
        return before is not None
    connection.execute(REPLICA.put_list_price, (sku, entry.price_minor, entry.currency, entry.entry_id, entry.version,
                                                entry.kind, until_ms))
    return before is None or (before[0], before[1]) != (entry.price_minor, entry.currency)


def look_again_at_all(connection: Connection) -> None:
    """The wall clock was put right: which entry holds is to be found anew for every SKU, by `activate_due`.

    Lookups do so by themselves at once, because every winner counts as run out from now on.
    """
    connection.execute(REPLICA.expire_list_prices)
    connection.execute(REPLICA.start_all_prices)


def activate_due(connection: Connection, now: Moment, count_max: int) -> list[str]:
    """Let dated changes happen that are due; returns the SKUs whose list price changed. At most `count_max` a call."""
    due = connection.execute(REPLICA.list_prices_expired, (now.wall_ms, now.wall_ms, count_max)).fetchall()
    return [sku for (sku,) in due if reselect(connection, sku, now)]
