"""What a web shop may offer, per SKU and store: the figures that the rule in `online_stock` needs, and its answers."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import msgspec
import sqlalchemy as sa

from cloud_sync.hub import schema
from cloud_sync.hub.catalogue import text_mistakes
from cloud_sync.hub.database import Database, in_groups
from cloud_sync.hub.errors import NotFound, Rejected, TooLarge
from cloud_sync.hub.limits import (
    AVAILABILITY_FIGURES_MAX,
    AVAILABILITY_SKUS_MAX,
    KEY_MAX_CHARS,
    QUANTITY_MAX_MILLI,
)
from cloud_sync.hub.online_stock import ledger_known_until, online_milli
from cloud_sync.hub.people import read_policy
from cloud_sync.hub.rows import upsert
from cloud_sync.hub.times import rfc3339

Milli = dict[tuple[str, str], int]
"""(store, SKU) → thousandths."""


class AvailabilityQuestion(msgspec.Struct, frozen=True):
    """`POST /v1/availability`, for more SKUs than fit an address. Without `stores` every store is meant."""

    skus: tuple[str, ...]
    stores: tuple[str, ...] = ()


class OnlineFigure(msgspec.Struct, frozen=True):
    """What may be sold online of one SKU at one store, in thousandths."""

    sku: str
    available_milli: int


class StoreAvailability(msgspec.Struct, frozen=True):
    """`as_of`: up to when the store's ledger is known (RFC 3339); `None` before it ever spoke. Then all is 0."""

    store: str
    as_of: str | None
    items: tuple[OnlineFigure, ...]


class Availability(msgspec.Struct, frozen=True):
    """The answer, computed at `time` (RFC 3339)."""

    time: str
    stores: tuple[StoreAvailability, ...]


class SafetyStock(msgspec.Struct, frozen=True):
    """`PUT /v1/safety-stock/{sku}`: keep at least so much of a SKU from the web; the policy's figure is the least."""

    safety_stock_milli: int


@dataclass(frozen=True, slots=True)
class KnownStore:
    """A store, how far its ledger is known, and its time zone, as far as a box said it."""

    store: str
    zone: str
    as_of_ms: int | None
    time_zone: str = ""


@dataclass(slots=True)
class Availabilities:
    """Figures for shops; one transaction per call."""

    database: Database

    def answer(self, question: AvailabilityQuestion) -> Availability:
        """Raises `Rejected`, `TooLarge`, and `NotFound` for a store that is named and unknown."""
        skus = _checked_skus(question.skus)
        with self.database.transaction() as connection:
            stores = _known_stores(connection, sorted(set(question.stores)))
            if len(stores) * len(skus) > AVAILABILITY_FIGURES_MAX:
                raise TooLarge(f"{len(skus)} SKUs in {len(stores)} stores, at most {AVAILABILITY_FIGURES_MAX} figures "
                               "at once: name some of the stores, or fewer SKUs")
            names = [store.store for store in stores]
            # orders before stock: one that is answered in between is then counted twice, never not at all
            unanswered = _sums(connection, schema.unanswered_line.c.quantity_milli, names, skus)
            sellable = _sums(connection, schema.stock.c.sellable_milli, names, skus)
            safety = {zone: _safety(connection, zone, skus) for zone in sorted({store.zone for store in stores})}
        now_ms = self.database.now_ms()
        return Availability(rfc3339(now_ms), tuple(
            StoreAvailability(store.store, None if store.as_of_ms is None else rfc3339(store.as_of_ms), tuple(
                OnlineFigure(sku, online_milli(sellable[store.store, sku], safety[store.zone][sku],
                                               unanswered[store.store, sku], _silent_ms(store, now_ms)))
                for sku in skus)) for store in stores))

    def put_safety_stock(self, zone: str, sku: str, wanted: SafetyStock) -> SafetyStock:
        """Raises `Rejected`."""
        _checked_skus([sku])
        if not 0 <= wanted.safety_stock_milli <= QUANTITY_MAX_MILLI:
            raise Rejected(f"safety_stock_milli is not within 0 to {QUANTITY_MAX_MILLI}")
        with self.database.transaction() as connection:
            upsert(connection, schema.safety_stock, [
                {"zone_id": zone, "sku": sku, "safety_stock_milli": wanted.safety_stock_milli}],
                replace=["safety_stock_milli"])
        return wanted

    def safety_stock(self, zone: str, sku: str) -> SafetyStock:
        """What is kept from the web of a SKU: its own safety stock, or the policy's where that is more."""
        with self.database.transaction() as connection:
            return SafetyStock(_safety(connection, zone, [sku])[sku])

    def delete_safety_stock(self, zone: str, sku: str) -> SafetyStock:
        """The policy's holds again; returns it."""
        table = schema.safety_stock
        with self.database.transaction() as connection:
            connection.execute(table.delete().where(table.c.zone_id == zone, table.c.sku == sku))
            return SafetyStock(_safety(connection, zone, [sku])[sku])


def stores_with(connection: sa.Connection, zone: str, wanted: Mapping[str, int], now_ms: int,
                only: Sequence[str] = ()) -> dict[str, tuple[int, str]]:
    """The zone's stores (`only`: of these) that have all of this for the web, by what the shops are told too: how much
    each keeps of the product that it then has least of, in thousandths, and its time zone. Product by product, so that
    most stores are looked at once."""
    table = schema.store
    meant = table.c.zone_id == zone if not only else sa.and_(table.c.zone_id == zone, table.c.store_id.in_(only))
    of_heads = schema.ledger_head.c.store_id.in_(sa.select(table.c.store_id).where(meant))
    left = {store.store: (QUANTITY_MAX_MILLI, store) for store in _read_stores(connection, meant, of_heads)}
    for sku, milli in sorted(wanted.items()):
        names, safety_milli = list(left), _safety(connection, zone, [sku])[sku]
        unanswered = _sums(connection, schema.unanswered_line.c.quantity_milli, names, [sku])
        sellable = _sums(connection, schema.stock.c.sellable_milli, names, [sku])
        for name in names:
            least_milli, store = left[name]
            spare_milli = online_milli(sellable[name, sku], safety_milli, unanswered[name, sku],
                                       _silent_ms(store, now_ms)) - milli
            if spare_milli < 0:
                del left[name]
            else:
                left[name] = (min(least_milli, spare_milli), store)
    return {name: (spare_milli, store.time_zone) for name, (spare_milli, store) in left.items()}


def _checked_skus(skus: Sequence[str]) -> list[str]:
    """Each once, in the order asked."""
    if not skus:
        raise Rejected("no SKU was asked for: give sku=..., as often as needed")
    for mistake in text_mistakes({f"SKU {number}": sku for number, sku in enumerate(skus, start=1)}, KEY_MAX_CHARS,
                                 filled=True):
        raise Rejected(mistake)
    distinct = list(dict.fromkeys(skus))
    if len(distinct) > AVAILABILITY_SKUS_MAX:
        raise TooLarge(f"{len(distinct)} SKUs in one question, at most {AVAILABILITY_SKUS_MAX}")
    return distinct


def _silent_ms(store: KnownStore, now_ms: int) -> int | None:
    return None if store.as_of_ms is None else max(0, now_ms - store.as_of_ms)


def _known_stores(connection: sa.Connection, names: Sequence[str]) -> list[KnownStore]:
    """These stores, or all. Raises `NotFound` for one that there is not."""
    if not names:
        return list(_read_stores(connection, sa.true(), sa.true()))
    stores = [store for group in in_groups(names) for store in _read_stores(
        connection, schema.store.c.store_id.in_(group), schema.ledger_head.c.store_id.in_(group))]
    if missing := sorted(set(names) - {store.store for store in stores}):
        raise NotFound(f"there is no store {missing[0]!r}")
    return stores


def _read_stores(connection: sa.Connection, of_stores: sa.ColumnElement[bool],
                 of_heads: sa.ColumnElement[bool]) -> Iterator[KnownStore]:
    head, entry = schema.ledger_head, schema.ledger_entry
    heads: dict[str, dict[int, tuple[int, int, int | None]]] = defaultdict(dict)
    for store, epoch, sequence, updated_ms, occurred_ms in connection.execute(sa.select(
            head.c.store_id, head.c.epoch, head.c.sequence, head.c.updated_ms, entry.c.occurred_ms).select_from(
            head.outerjoin(entry, sa.and_(entry.c.store_id == head.c.store_id, entry.c.epoch == head.c.epoch,
                                          entry.c.sequence == head.c.sequence))).where(of_heads)):
        heads[store][epoch] = (sequence, updated_ms, occurred_ms)
    table = schema.store
    for row in connection.execute(sa.select(table).where(of_stores).order_by(table.c.store_id)):
        epochs = heads[row.store_id]
        backlog = row.reported_sequence > epochs.get(row.box_epoch, (0, 0, 0))[0]
        _, push_ms, last_fact_ms = epochs[max(epochs)] if epochs else (0, 0, 0)
        yield KnownStore(row.store_id, row.zone_id,
                         ledger_known_until(row.ledger_known_ms, push_ms, last_fact_ms or 0, backlog=backlog),
                         row.time_zone)


def _sums(connection: sa.Connection, column: sa.Column[int], stores: Sequence[str], skus: Sequence[str]) -> Milli:
    table = column.table
    found: Milli = defaultdict(int)
    for of_stores in in_groups(stores):
        for store, sku, milli in connection.execute(sa.select(
                table.c.store_id, table.c.sku, sa.cast(sa.func.sum(column), sa.BigInteger)).where(
                table.c.store_id.in_(of_stores), table.c.sku.in_(skus)).group_by(table.c.store_id, table.c.sku)):
            found[store, sku] = milli
    return found


def _safety(connection: sa.Connection, zone: str, skus: Sequence[str]) -> dict[str, int]:
    """Never less than the policy's: below that the store itself promises nothing (DESIGN.md section 9)."""
    table, least_milli = schema.safety_stock, read_policy(connection, zone).safety_stock_milli
    own = dict(connection.execute(sa.select(table.c.sku, table.c.safety_stock_milli).where(
        table.c.zone_id == zone, table.c.sku.in_(skus))).all())
    return {sku: max(least_milli, own.get(sku, 0)) for sku in skus}
