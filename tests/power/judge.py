"""Opens what a power cut left with the store's own code, and holds it against what had been said before the cut.

A complaint begins with its kind: `unusable`, `damaged`, `lost` (acknowledged and not there), `half` (a fact without its
effect, an effect without its fact, a cursor without its rows).
"""

import hashlib
import json
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

from cloud_sync.contract.facts import (
    ExceptionRaised,
    Fact,
    Flag,
    PickupStep,
    Proof,
    TillClose,
    Transaction,
    TransactionKind,
    decode_fact,
    stock_moves,
)
from cloud_sync.contract.feeds import Feed
from cloud_sync.contract.ledger import GENESIS_HASH, Entry, chain_breaks_at
from edge.db.books import Books, open_books
from edge.db.connection import Connection
from edge.db.ledger import entries_after
from edge.db.writer import LoopWriter
from edge.domain.barcode import canonical
from edge.domain.transaction import fact_key
from tests.power.marks import Acknowledged, Committed, Mark, Offered, SentByHub
from tests.store_kit import DATABASE_SECRET

_fact_of = lru_cache(maxsize=20_000)(decode_fact)


@dataclass(slots=True)
class Said:
    """Everything that had been said up to a moment: answers by fact key, hashes by sequence, batches by feed."""

    answers: dict[str, str] = field(default_factory=dict)
    hashes: dict[int, str] = field(default_factory=dict)
    powered_ms: int = 0
    orders_offset: int = 0
    offers: dict[str, list[Offered]] = field(default_factory=lambda: defaultdict(list))
    batches: dict[str, list[tuple[int, dict[str, Any]]]] = field(default_factory=lambda: defaultdict(list))

    def hear(self, mark: Mark) -> None:
        """One mark more."""
        match mark:
            case Acknowledged():
                self.answers[mark.fact_key] = mark.answer_sha256
            case Committed():
                self.hashes[mark.sequence] = mark.hash
                self.powered_ms = max(self.powered_ms, mark.powered_ms)
                self.orders_offset = max(self.orders_offset, mark.orders_offset)
            case Offered():
                self.offers[mark.label].append(mark)
            case SentByHub():
                self.batches[mark.feed].append((mark.offset, {
                    key: json.loads(bytes(document)) for key, document in mark.documents.items()}))

    def documents(self, feed: Feed, offset: int) -> dict[str, Any]:
        """What the feed says at a checkpoint, by key."""
        known: dict[str, Any] = {}
        for end, documents in self.batches[feed]:
            if end <= offset:
                known.update(documents)
        return known


def complaints(directory: Path, said: Said) -> list[str]:
    """What is wrong with the store in `directory`; empty when everything that was promised holds."""
    try:
        books = open_books(directory, DATABASE_SECRET, "0042", lambda c, _name: LoopWriter(c, lambda: 0.0))
    except Exception as error:
        return [f"unusable: {error!r}"]
    try:
        return [*_damage(books, directory), *_losses(books, said), *_halves(books), *_replica(books, said)]
    finally:
        books.abandon()


def _damage(books: Books, directory: Path) -> Iterator[str]:
    for name, connection in (("ledger", books.ledger_reader), ("replica", books.replica_reader)):
        found = connection.execute("PRAGMA integrity_check").fetchall()
        if found != [("ok",)]:
            yield f"damaged: {name}.db: {found[:3]}"
    if list(directory.glob("*.damaged.*")):
        yield "damaged: replica.db was set aside"
    entries = _entries(books)
    if [entry.sequence for entry in entries] != list(range(1, len(entries) + 1)):
        yield "damaged: the ledger has gaps"
    if (broken := chain_breaks_at("0042", 1, GENESIS_HASH, entries)) is not None:
        yield f"damaged: the chain breaks at {broken}"


def _entries(books: Books) -> list[Entry]:
    return entries_after(books.ledger_reader, books.chain, 0, 1_000_000)[1]


def _losses(books: Books, said: Said) -> Iterator[str]:
    reader = books.ledger_reader
    known = {key: hashlib.sha256(answer).hexdigest()
             for key, answer in reader.execute("SELECT fact_key, answer FROM fact").fetchall()}
    for key, answer in said.answers.items():
        if known.get(key) != answer:
            yield f"lost: {key}" if key not in known else f"damaged: {key} would be answered otherwise"
    entries = dict(reader.execute("SELECT sequence, hash FROM entry").fetchall())
    for sequence, expected in said.hashes.items():
        if sequence and entries.get(sequence) != expected:
            yield f"lost: entry {sequence}"
    offset = (reader.execute("SELECT offset FROM feed_cursor WHERE feed = 'orders'").fetchone() or (0,))[0]
    if offset < said.orders_offset:
        yield f"lost: orders up to {said.orders_offset}, the cursor is {offset}"
    powered_ms = books.last_clock.powered_ms if books.last_clock else 0
    if powered_ms < said.powered_ms:
        yield f"lost: the clock's stamp {said.powered_ms}, it goes on from {powered_ms}"
    yield from _lost_claims(reader, said)


def _lost_claims(reader: Connection, said: Said) -> Iterator[str]:
    """A picture that was handed to a base station may be on the shelf: its claim must be in the book."""
    orders = dict(reader.execute("SELECT label, offer_order FROM label").fetchall())
    claims = set(reader.execute("SELECT label, sku, price_minor FROM claim").fetchall())
    pictures = set(reader.execute("SELECT label, version FROM picture").fetchall())
    for label, offers in said.offers.items():
        if orders.get(label, 0) < len(offers):
            yield f"lost: offer {len(offers)} of {label}, it knows of {orders.get(label)}"
            continue
        last = offers[-1]
        if orders[label] == len(offers) and (label, last.sku, last.price_minor) not in claims:
            yield f"lost: the claim of {last}"
        if orders[label] == len(offers) and (label, last.version) not in pictures:
            yield f"lost: the picture of {last}"


def _halves(books: Books) -> Iterator[str]:
    """Every effect in the ledger, worked out again from its entries."""
    reader = books.ledger_reader
    facts = {entry.fact_key: _fact_of(bytes(entry.payload)) for entry in _entries(books)}
    for what, found, expected in (
        ("seen before", dict(reader.execute("SELECT fact_key, sequence FROM fact").fetchall()),
         {key: sequence for sequence, key in enumerate(facts, start=1)}),
        ("stock", {row[0]: row[1:5] for row in reader.execute("SELECT * FROM stock").fetchall()}, _stock(facts)),
        ("till days", {row[:2]: row[2:] for row in reader.execute("SELECT * FROM till_day").fetchall()},
         _till_days(facts)),
        ("voids", dict(reader.execute("SELECT voided_key, void_key FROM voided").fetchall()), _voids(facts)),
        ("exceptions", {key for (key,) in reader.execute("SELECT exception_key FROM exception").fetchall()},
         {key for key, fact in facts.items() if isinstance(fact, ExceptionRaised)}),
        ("pickups", dict(reader.execute("SELECT order_id, state FROM pickup").fetchall()),
         {fact.order_id: fact.state for fact in facts.values() if isinstance(fact, PickupStep)}),
        ("proofs", dict(reader.execute("SELECT label, proven_version FROM label WHERE proven_version IS NOT NULL")
                        .fetchall()), {fact.label: fact.version for fact in facts.values() if isinstance(fact, Proof)}),
    ):
        if found != expected:
            yield f"half: {what}: stored {_difference(found, expected)}, by the entries {_difference(expected, found)}"
    for sku, cap in reader.execute("SELECT sku, cap_minor FROM price_cap").fetchall():
        if not reader.execute("SELECT 1 FROM claim WHERE sku = ? AND price_minor = ?", (sku, cap)).fetchone():
            yield f"half: {sku} has the cap {cap} and no such claim"


def _difference(one: Any, other: Any) -> str:
    found = one - other if isinstance(one, set) else {key: value for key, value in one.items()
                                                       if other.get(key) != value}
    return str(found)[:200]


def _stock(facts: dict[str, Fact]) -> dict[str, tuple[int, ...]]:
    stock: dict[str, tuple[int, ...]] = defaultdict(lambda: (0, 0, 0, 0))
    for fact in facts.values():
        for move in stock_moves(fact):
            moved = (move.sellable_milli, move.reserved_milli, move.staged_milli, move.quarantine_milli)
            stock[move.sku] = tuple(map(sum, zip(stock[move.sku], moved, strict=True)))
    return dict(stock)


def _till_days(facts: dict[str, Fact]) -> dict[tuple[str, str], tuple[int, ...]]:
    """Count, first and last sequence, total, whether closed."""
    days: dict[tuple[str, str], list[Transaction]] = defaultdict(list)
    closed = Counter((fact.till, fact.business_day) for fact in facts.values() if isinstance(fact, TillClose))
    for fact in facts.values():
        if isinstance(fact, Transaction):
            days[fact.till, fact.business_day].append(fact)
    return {day: (len(sales), min(sale.sequence for sale in sales), max(sale.sequence for sale in sales),
                  sum(sale.total_minor for sale in sales), int(closed[day] > 0)) for day, sales in days.items()}


def _voids(facts: dict[str, Fact]) -> dict[str, str]:
    return {fact_key(fact.till, fact.business_day, fact.voids_sequence): key for key, fact in facts.items()
            if isinstance(fact, Transaction) and fact.type is TransactionKind.VOID
            and fact.voids_sequence is not None and Flag.ALREADY_VOIDED not in fact.flags}


def _replica(books: Books, said: Said) -> Iterator[str]:
    """The replica may be an earlier one, but a whole one: its rows are what the feeds say at its cursors."""
    reader = books.replica_reader
    offsets = dict(reader.execute("SELECT feed, offset FROM feed_cursor").fetchall())
    items = said.documents(Feed.ITEMS, offsets.get("items", 0))
    prices = said.documents(Feed.PRICES, offsets.get("prices", 0))
    for what, found, expected in (
        ("items", dict(reader.execute("SELECT sku, brand FROM item").fetchall()),
         {sku: item.get("brand", "") for sku, item in items.items()}),
        ("codes", dict(reader.execute("SELECT code, sku FROM item_code").fetchall()),
         {canonical(code): sku for sku, item in items.items() for code in item["codes"]}),
        ("price entries", dict(reader.execute("SELECT entry_id, price_minor FROM price_entry").fetchall()),
         {key: price["price_minor"] for key, price in prices.items()}),
        ("list prices", dict(reader.execute("SELECT sku, price_minor FROM list_price").fetchall()),
         {price["sku"]: price["price_minor"] for price in prices.values()}),
    ):
        if found != expected:
            yield f"half: replica {what} at {offsets}: {_difference(found, expected)} / {_difference(expected, found)}"
