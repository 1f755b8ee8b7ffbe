"""A label as `ledger.db` remembers it: where it hangs, what it was last offered and what it proved."""

from dataclasses import dataclass

from edge.db.connection import Connection
from edge.db.queries import LEDGER


@dataclass(frozen=True, slots=True)
class LabelRow:
    """One row of table `label`; see `ledger_0001.sql` for each column."""

    label: str
    station: str
    type_name: str
    sku: str | None
    excluded_reason: str | None
    off_shelf_powered_ms: int | None
    settle_ms: int
    offer_order: int
    outstanding: int
    offered_ms: int | None
    proven_version: str | None
    proven_content: str | None
    proven_ms: int | None
    failure: str | None
    battery_mv: int | None
    temperature_c: int | None
    rssi_dbm: int | None
    seen_ms: int | None


def label_row(connection: Connection, label: str) -> LabelRow | None:
    """The label, or `None` when the store never heard of it."""
    row = connection.execute(LEDGER.label, (label,)).fetchone()
    return LabelRow(*row) if row else None


def must_have(connection: Connection, label: str) -> LabelRow:
    """The label; a missing one is a bug of the caller."""
    row = label_row(connection, label)
    assert row is not None, f"label {label} has no row"
    return row


def label_rows(connection: Connection) -> list[LabelRow]:
    """Every label of the store, by address."""
    return [LabelRow(*row) for row in connection.execute(LEDGER.labels).fetchall()]
