"""Facts that this hub could not read, with the reason: what an operator looks at (P4: they never stopped the line)."""

import msgspec
import sqlalchemy as sa
from sqlalchemy import bindparam

from cloud_sync.contract.ledger import Entry
from cloud_sync.hub import schema

_table = schema.quarantine
_AFTER = sa.select(_table).where(
    _table.c.store_id == bindparam("store"),
    sa.tuple_(_table.c.epoch, _table.c.sequence) > sa.tuple_(bindparam("epoch"), bindparam("sequence")),
).order_by(_table.c.epoch, _table.c.sequence).limit(bindparam("limit"))
_entry_decoder = msgspec.json.Decoder(Entry)


class Quarantined(msgspec.Struct, frozen=True):
    """One fact without effect: the whole entry as it came, and why it could not be read."""

    epoch: int
    reason: str
    received_ms: int
    entry: Entry


class QuarantinePage(msgspec.Struct, frozen=True):
    """`GET /v1/stores/{store}/quarantine`, in order. `next_after`: epoch and sequence, `None` on the last page."""

    quarantined: tuple[Quarantined, ...]
    next_after: tuple[int, int] | None


def read_quarantine(connection: sa.Connection, store: str, after: tuple[int, int], limit: int) -> QuarantinePage:
    """At most `limit` facts behind the entry `after`, given as epoch and sequence."""
    rows = connection.execute(_AFTER, {"store": store, "epoch": after[0], "sequence": after[1], "limit": limit}).all()
    found = tuple(Quarantined(row.epoch, row.reason, row.received_ms, _entry_decoder.decode(row.entry))
                  for row in rows)
    return QuarantinePage(found, (rows[-1].epoch, rows[-1].sequence) if len(rows) == limit else None)
