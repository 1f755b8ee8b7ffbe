"""Parcels as stores' ledgers tell of them: kept for whoever asks, and for the word that one has left. Within the
transaction of a push."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import msgspec
import sqlalchemy as sa

from cloud_sync.contract.facts import Fact, ParcelStep, PickupStep
from cloud_sync.contract.parcels import Parcel, ParcelState, after, handed
from cloud_sync.hub import schema
from cloud_sync.hub.database import in_groups
from cloud_sync.hub.rows import upsert

_TABLE = schema.parcel
_KEPT = ("number", "state", "lines", "weight_g", "carrier", "service", "tracking")
_lines_decoder = msgspec.json.Decoder(tuple[tuple[int, int], ...])

Parcels = dict[tuple[str, str], Parcel]
"""By order and parcel."""


@dataclass(slots=True)
class ParcelSteps:
    """What the facts of one push say of parcels, in the ledger's order."""

    steps: list[ParcelStep | PickupStep] = field(default_factory=list)

    def add(self, fact: Fact) -> None:
        """A fact that stands here for the first time."""
        if isinstance(fact, ParcelStep) or (isinstance(fact, PickupStep) and fact.parcel_id):
            self.steps.append(fact)

    def write(self, connection: sa.Connection, store: str) -> Parcels:
        """Keep what became of them; returns those that were spoken of."""
        if not self.steps:
            return {}
        known = read_parcels(connection, store, sorted({step.order_id for step in self.steps}))
        spoken_of: Parcels = {}
        for step in self.steps:
            key = (step.order_id, step.parcel_id)
            before = known.get(key)
            if isinstance(step, ParcelStep):
                known[key] = after(before, step)
            else:
                known[key] = handed(before or Parcel(step.parcel_id, step.order_id, 0))
            spoken_of[key] = known[key]
        upsert(connection, _TABLE, [_row(store, parcel) for _, parcel in sorted(spoken_of.items())], replace=_KEPT)
        return spoken_of


def read_parcels(connection: sa.Connection, store: str, orders: Sequence[str]) -> Parcels:
    """The parcels of these orders at this store."""
    found: Parcels = {}
    for group in in_groups(orders):
        for row in connection.execute(sa.select(_TABLE).where(
                _TABLE.c.store_id == store, _TABLE.c.order_id.in_(group))):
            found[row.order_id, row.parcel_id] = Parcel(
                row.parcel_id, row.order_id, row.number, ParcelState(row.state), _lines_decoder.decode(row.lines),
                row.weight_g, row.carrier, row.service, row.tracking)
    return found


def _row(store: str, parcel: Parcel) -> dict[str, object]:
    return {"store_id": store, "order_id": parcel.order_id, "parcel_id": parcel.parcel_id, "number": parcel.number,
            "state": parcel.state.value, "lines": msgspec.json.encode(parcel.lines).decode(),
            "weight_g": parcel.weight_g, "carrier": parcel.carrier, "service": parcel.service,
            "tracking": parcel.tracking}
