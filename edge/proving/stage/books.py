"""Both ledgers as they are in the end: the store's from its own file, the hub's from its audit trail."""

from collections.abc import Iterable
from pathlib import Path

from edge.clock import Clock, StoreClock
from edge.db.books import derive_key
from edge.db.connection import connect
from edge.db.ledger import load_clock
from edge.proving.sightings import BooksSeen, Buckets, LedgerEntry
from edge.proving.stage.hub_operator import HubOperator

STOCK_COMPARED_MAX = 200
"""SKUs whose stock is asked of the hub one by one; the store's own figures are compared all."""

_ENTRIES = """SELECT sequence, fact_key, kind, occurred_ms, business_day, payload, hash FROM entry
WHERE epoch = ? ORDER BY sequence"""
_STOCK = "SELECT sku, sellable_milli, reserved_milli, staged_milli, quarantine_milli FROM stock"
_EPOCH = "SELECT value FROM meta WHERE key = 'epoch'"
_CLAIMS = "SELECT label, sku, price_minor, closes_powered_ms FROM claim WHERE term = ''"


def store_books(state_directory: Path, database_key: str, store: str) -> BooksSeen:
    """The store's ledger, read from its file while or after the daemon runs."""
    connection = connect(state_directory / "ledger.db", derive_key(database_key, "ledger.db"), synchronous="FULL",
                         read_only=True)
    try:
        epoch = int(connection.execute(_EPOCH).fetchone()[0])
        entries = tuple(LedgerEntry(*row) for row in connection.execute(_ENTRIES, (epoch,)))
        stock = {row[0]: Buckets(*row[1:]) for row in connection.execute(_STOCK)}
    finally:
        connection.close()
    return BooksSeen(store, epoch, entries, stock)


def open_claims(state_directory: Path, database_key: str, clock: Clock) -> list[tuple[str, str, int]]:
    """Label, SKU and price of every claim that is open now."""
    connection = connect(state_directory / "ledger.db", derive_key(database_key, "ledger.db"), synchronous="FULL",
                         read_only=True)
    try:
        now_powered_ms = StoreClock(clock, load_clock(connection)).powered_ms()
        return [(label, sku, price_minor) for label, sku, price_minor, closes_powered_ms in connection.execute(_CLAIMS)
                if closes_powered_ms is None or closes_powered_ms > now_powered_ms]
    finally:
        connection.close()


async def hub_books(hub: HubOperator, epoch: int, skus: Iterable[str]) -> BooksSeen:
    """The hub's copy of an epoch, and its figures for some SKUs."""
    entries = await hub.audit(epoch)
    stock = {sku: await hub.stock(sku) for sku in list(skus)[:STOCK_COMPARED_MAX]}
    return BooksSeen(hub.store, epoch, entries, stock)
