"""What a store's facts do at the hub: stock, till days, pickups. Collected in memory, written once per push.

A fact whose effect could not be written (a text no database takes, a number no integer holds) must never stop the
line (P4): `read_fact` finds that out beforehand and says why, and the entry goes to quarantine.
"""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field

import msgspec
import sqlalchemy as sa
from sqlalchemy import bindparam

from cloud_sync.contract.facts import (
    DeliveryClosed,
    ExceptionRaised,
    Fact,
    GoodsReceived,
    LineKind,
    OrderReturn,
    ParcelStep,
    PickupStep,
    StockMove,
    Transaction,
    TransactionKind,
    TransferSent,
    decode_fact,
    stock_moves,
)
from cloud_sync.contract.ledger import Entry, Place
from cloud_sync.contract.pickup import FINAL, handed_over_rank
from cloud_sync.hub import schema
from cloud_sync.hub.catalogue import storable_mistake
from cloud_sync.hub.database import in_groups
from cloud_sync.hub.deliveries import TransferEffects, transfer_numbers, transfer_texts
from cloud_sync.hub.happenings import Happening, refund_requested, step_taken
from cloud_sync.hub.limits import INTEGER_MAX, KEY_MAX_CHARS, MINOR_MAX, QUANTITY_MAX_MILLI
from cloud_sync.hub.parcels import Parcels, ParcelSteps
from cloud_sync.hub.refunds import Returns
from cloud_sync.hub.rows import upsert

_BUCKETS = ("sellable_milli", "reserved_milli", "staged_milli", "quarantine_milli")
_STANDING_PICKUPS = sa.select(schema.pickup).where(
    schema.pickup.c.store_id == bindparam("store"), schema.pickup.c.order_id.in_(bindparam("orders", expanding=True)))
_SUMS = ("transactions", "voids", "sale_lines", "return_lines", "total_minor")


class Unreadable(Exception):
    """Why an entry can have no effect here; `str()` is the reason kept in quarantine."""


@dataclass(slots=True)
class TillDay:
    """What one till's transactions of one business day add up to."""

    transactions: int = 0
    voids: int = 0
    sale_lines: int = 0
    return_lines: int = 0
    total_minor: int = 0


@dataclass(frozen=True, slots=True)
class PickupChange:
    """The newest step of an order, with its place in the ledger."""

    step: PickupStep
    occurred_ms: int
    epoch: int
    sequence: int

    @property
    def place(self) -> tuple[int, int]:
        return (self.epoch, self.sequence)


@dataclass(frozen=True, slots=True)
class Readable:
    """A fact that can have its effect here, and what it does to stock."""

    fact: Fact
    moves: tuple[StockMove, ...]


@dataclass(slots=True)
class Effects:
    """The sum of what the facts of one push do."""

    stock: dict[str, list[int]] = field(default_factory=lambda: defaultdict(lambda: [0, 0, 0, 0]))
    till_days: dict[tuple[str, str, str], TillDay] = field(default_factory=lambda: defaultdict(TillDay))
    pickups: dict[str, PickupChange] = field(default_factory=dict)
    steps: list[PickupChange] = field(default_factory=list)
    raised: list[tuple[ExceptionRaised, int]] = field(default_factory=list)
    goods: list[Fact] = field(default_factory=list)
    returns: Returns = field(default_factory=Returns)
    parcels: ParcelSteps = field(default_factory=ParcelSteps)

    def add(self, readable: Readable, epoch: int, entry: Entry) -> None:
        """Count a fact that stands here for the first time."""
        for move in readable.moves:
            sums = self.stock[move.sku]
            sums[0] += move.sellable_milli
            sums[1] += move.reserved_milli
            sums[2] += move.staged_milli
            sums[3] += move.quarantine_milli
        fact = readable.fact
        self.returns.add(fact, entry.occurred_ms)
        self.parcels.add(fact)
        if isinstance(fact, Transaction):
            self._add_transaction(fact)
        elif isinstance(fact, PickupStep):
            change = PickupChange(fact, entry.occurred_ms, epoch, entry.sequence)
            standing = self.pickups.get(fact.order_id)
            self.pickups[fact.order_id] = change if standing is None else newer(standing, change)
            self.steps.append(change)
        elif isinstance(fact, ExceptionRaised) and fact.about and not storable_mistake(fact.about, KEY_MAX_CHARS):
            self.raised.append((fact, entry.occurred_ms))
        elif isinstance(fact, TransferSent | GoodsReceived | DeliveryClosed):
            self.goods.append(fact)

    def happenings(self, connection: sa.Connection, store: str,
                   untold: frozenset[Place], parcels: Parcels) -> Iterator[Happening]:
        """What others may want to hear, in the ledger's order; to be asked before `write`.

        A step that says nothing new about where its order is (it was read late, or goods had left before) is not told,
        nor are those at the places `untold`.
        """
        standing = _read_pickups(connection, store, list(self.pickups))
        for change in self.steps:
            order_id = change.step.order_id
            if order_id in standing and newer(standing[order_id], change) is not change:
                continue
            standing[order_id] = change
            if change.place in untold:
                continue
            parcel = parcels.get((order_id, change.step.parcel_id))
            if happening := step_taken(store, change.step, change.occurred_ms, parcel):
                yield happening
        for raised, occurred_ms in self.raised:
            if happening := refund_requested(store, raised, occurred_ms):
                yield happening

    def write(self, connection: sa.Connection, store: str, now_ms: int) -> frozenset[str]:
        """Add everything to what the database holds. Returns the orders that have ended by it."""
        if self.goods:
            transfers = TransferEffects()
            for fact in self.goods:
                transfers.add(store, fact)
            transfers.write(connection, store, now_ms)
        stock_rows = [dict(zip(_BUCKETS, sums, strict=True), store_id=store, sku=sku)
                      for sku, sums in sorted(self.stock.items())]
        upsert(connection, schema.stock, stock_rows, add=_BUCKETS)
        day_rows = [{"store_id": store, "business_day": day, "till": till, "currency": currency,
                     **{name: getattr(sums, name) for name in _SUMS}}
                    for (day, till, currency), sums in sorted(self.till_days.items())]
        upsert(connection, schema.till_day, day_rows, add=_SUMS)
        return _write_pickups(connection, store, self.pickups)

    def _add_transaction(self, transaction: Transaction) -> None:
        sums = self.till_days[transaction.business_day, transaction.till, transaction.currency]
        sums.transactions += 1
        sums.voids += transaction.type is TransactionKind.VOID
        if transaction.type is not TransactionKind.VOID:
            sums.sale_lines += sum(line.kind is LineKind.SALE for line in transaction.lines)
            sums.return_lines += sum(line.kind is LineKind.RETURN for line in transaction.lines)
        sums.total_minor += transaction.total_minor


def newer(standing: PickupChange, change: PickupChange) -> PickupChange:
    """Which of two steps says where an order is: the later in the ledger, but handed over stays so (P6)."""
    return max(standing, change, key=lambda one: (handed_over_rank(one.step.state), one.place))


def read_fact(entry: Entry) -> Readable:
    """The entry's payload, checked for everything its effects write. Raises `Unreadable`."""
    try:
        fact = decode_fact(entry.payload)
    except msgspec.MsgspecError as error:
        raise Unreadable(f"payload: {error}") from error
    readable = Readable(fact, stock_moves(fact))
    for name, text in _texts(readable):
        if mistake := storable_mistake(text, KEY_MAX_CHARS):
            raise Unreadable(f"{name} {mistake}")
    for name, number, bound in _numbers(readable):
        if not -bound <= number <= bound:
            raise Unreadable(f"{name} is beyond {bound}")
    return readable


def _texts(readable: Readable) -> Iterator[tuple[str, str]]:
    """What becomes part of a row's key or stands in a row."""
    fact = readable.fact
    for move in readable.moves:
        yield "sku", move.sku
    yield from transfer_texts(fact).items()
    if isinstance(fact, DeliveryClosed):
        yield from (("sku", each.sku) for each in fact.discrepancies)
    if isinstance(fact, Transaction):
        yield from (("till", fact.till), ("business_day", fact.business_day), ("currency", fact.currency))
    elif isinstance(fact, PickupStep):
        yield from (("order_id", fact.order_id), ("state", fact.state), ("step", fact.step), ("reason", fact.reason))
        yield "parcel_id", fact.parcel_id
    elif isinstance(fact, ParcelStep):
        yield from (("order_id", fact.order_id), ("parcel_id", fact.parcel_id), ("carrier", fact.carrier),
                    ("service", fact.service), ("tracking", fact.tracking))
    elif isinstance(fact, OrderReturn):
        yield "order_id", fact.order_id


def _numbers(readable: Readable) -> Iterator[tuple[str, int, int]]:
    """Name, value, and how large it may be either way."""
    fact = readable.fact
    for move in readable.moves:
        yield "sellable_milli", move.sellable_milli, QUANTITY_MAX_MILLI
        yield "reserved_milli", move.reserved_milli, QUANTITY_MAX_MILLI
        yield "staged_milli", move.staged_milli, QUANTITY_MAX_MILLI
        yield "quarantine_milli", move.quarantine_milli, QUANTITY_MAX_MILLI
    yield from ((name, number, QUANTITY_MAX_MILLI) for name, number in transfer_numbers(fact))
    if isinstance(fact, Transaction):
        yield "total_minor", fact.total_minor, MINOR_MAX
    elif isinstance(fact, PickupStep):
        yield "order_revision", fact.order_revision, INTEGER_MAX
    elif isinstance(fact, ParcelStep):
        yield from (("number", fact.number, INTEGER_MAX), ("weight_g", fact.weight_g, INTEGER_MAX))


def _write_pickups(connection: sa.Connection, store: str, changes: dict[str, PickupChange]) -> frozenset[str]:
    table = schema.unanswered_line
    for group in in_groups(list(changes)):
        connection.execute(table.delete().where(table.c.store_id == store, table.c.order_id.in_(group)))
    standing = _read_pickups(connection, store, list(changes))
    rows = []
    for order_id, change in changes.items():
        if order_id in standing and newer(standing[order_id], change) is not change:
            continue
        step = change.step
        rows.append({"store_id": store, "order_id": order_id, "state": step.state, "step": step.step,
                     "reason": step.reason, "order_revision": step.order_revision, "epoch": change.epoch,
                     "occurred_ms": change.occurred_ms, "sequence": change.sequence})
    upsert(connection, schema.pickup, rows, replace=[
        "state", "step", "reason", "order_revision", "epoch", "occurred_ms", "sequence"])
    return frozenset(str(row["order_id"]) for row in rows if row["state"] in FINAL)


def _read_pickups(connection: sa.Connection, store: str, orders: list[str]) -> dict[str, PickupChange]:
    found = {}
    for group in in_groups(orders):
        for row in connection.execute(_STANDING_PICKUPS, {"store": store, "orders": group}):
            step = PickupStep(row.order_id, "", row.step, row.state, row.order_revision, "", reason=row.reason)
            found[row.order_id] = PickupChange(step, row.occurred_ms, row.epoch, row.sequence)
    return found
