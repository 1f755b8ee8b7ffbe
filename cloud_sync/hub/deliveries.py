"""Goods on their way to stores: what the operator announces, and what stores send each other.

A delivery is a document of the receiving store's own feed; that it came in is a fact in that store's ledger. Goods in
transit between stores are nobody's stock: the sums here say what left and has neither arrived nor been missed for good.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import msgspec
import sqlalchemy as sa

from cloud_sync.contract.documents import Delivery, DeliveryLine
from cloud_sync.contract.facts import DeliveryClosed, Fact, GoodsReceived, TransferSent
from cloud_sync.contract.feeds import Feed
from cloud_sync.hub import schema
from cloud_sync.hub.catalogue import text_mistakes
from cloud_sync.hub.database import Database
from cloud_sync.hub.errors import NotFound, Rejected
from cloud_sync.hub.feeds import FeedId, Written, delete_document, put_documents, read_documents, read_head
from cloud_sync.hub.limits import (
    INTEGER_MAX,
    KEY_MAX_CHARS,
    ORDER_LINES_MAX,
    QUANTITY_MAX_MILLI,
    STORE_ID_MAX_CHARS,
    TEXT_MAX_CHARS,
    TRANSFERS_LISTED_MAX,
)
from cloud_sync.hub.rows import upsert
from cloud_sync.hub.stores import lock_store, read_zone

_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(Delivery)
_SUMS = ("sent_milli", "received_milli", "missing_milli")
TRANSFER = "transfer:"
"""What ids of deliveries begin with that another store sent."""


class DeliveryIn(msgspec.Struct, frozen=True):
    """`PUT /v1/stores/{store}/deliveries/{delivery}`. `reference`: what stands on the delivery note."""

    lines: tuple[DeliveryLine, ...]
    supplier: str = ""
    reference: str = ""
    due_ms: int | None = None


class TransferFigure(msgspec.Struct, frozen=True):
    """A SKU of a transfer. `transit_milli`: sent, and neither received nor missed; negative: more came than left."""

    from_store: str
    to_store: str
    transfer: str
    sku: str
    sent_milli: int
    received_milli: int
    missing_milli: int
    transit_milli: int
    changed_ms: int


@dataclass(slots=True)
class Deliveries:
    """Deliveries and transfers in the database; one transaction per call."""

    database: Database

    def put(self, store: str, delivery_id: str, wanted: DeliveryIn) -> Written:
        """Announce a delivery, or change what was announced: then its revision grows.

        Raises `Rejected`, `NotFound` for no such store.
        """
        mistakes = tuple(_mistakes(delivery_id, wanted))
        if mistakes:
            raise Rejected(mistakes[0], mistakes)
        with self.database.transaction() as connection:
            lock_store(connection, store)
            return _put(connection, store, Delivery(delivery_id, 0, wanted.lines, wanted.supplier, wanted.reference,
                                                    wanted.due_ms))

    def withdraw(self, store: str, delivery_id: str) -> Written:
        """It will not come. What a store has received of it stays received. Raises `NotFound`, `Rejected`."""
        if delivery_id.startswith(TRANSFER):
            raise Rejected("goods of a transfer have left: the store that waits for them closes it")
        with self.database.transaction() as connection:
            lock_store(connection, store)
            return delete_document(connection, FeedId(Feed.DELIVERIES, store), delivery_id)

    def transfers(self, store: str | None, *, everything: bool = False) -> tuple[TransferFigure, ...]:
        """What is in transit from or to a store, or anywhere; with `everything` also what has arrived. Newest first."""
        table = schema.transfer_line
        query = sa.select(table).order_by(table.c.changed_ms.desc(), table.c.store_id, table.c.transfer_id, table.c.sku)
        if store is not None:
            query = query.where(sa.or_(table.c.store_id == store, table.c.to_store == store))
        if not everything:
            query = query.where(table.c.sent_milli != table.c.received_milli + table.c.missing_milli)
        with self.database.transaction() as connection:
            rows = connection.execute(query.limit(TRANSFERS_LISTED_MAX)).all()
        return tuple(TransferFigure(row.store_id, row.to_store, row.transfer_id, row.sku, row.sent_milli,
                                    row.received_milli, row.missing_milli,
                                    row.sent_milli - row.received_milli - row.missing_milli, row.changed_ms)
                     for row in rows)


@dataclass(slots=True)
class TransferEffects:
    """What the facts of one push say of transfers; written in its transaction."""

    sums: dict[tuple[str, str, str, str], list[int]] = field(default_factory=dict)
    sent: list[TransferSent] = field(default_factory=list)

    def add(self, store: str, fact: Fact) -> None:
        """Count a fact of this store's ledger that stands there for the first time."""
        if isinstance(fact, TransferSent):
            self.sent.append(fact)
            for line in fact.lines:
                self._of(store, fact.transfer, fact.to_store, line.sku)[0] += line.quantity_milli
        elif isinstance(fact, GoodsReceived) and fact.from_store:
            for units in fact.lines:
                self._of(fact.from_store, fact.transfer, store, units.sku)[1] += units.quantity_milli
        elif isinstance(fact, DeliveryClosed) and fact.from_store:
            for differing in fact.discrepancies:
                missing_milli = differing.expected_milli - differing.received_milli
                self._of(fact.from_store, fact.transfer, store, differing.sku)[2] += missing_milli

    def write(self, connection: sa.Connection, store: str, now_ms: int) -> None:
        """The sums, and each transfer as a delivery that its receiver awaits."""
        rows = [{"store_id": from_store, "transfer_id": transfer, "to_store": to_store, "sku": sku,
                 **dict(zip(_SUMS, sums, strict=True)), "changed_ms": now_ms}
                for (from_store, transfer, to_store, sku), sums in sorted(self.sums.items())]
        upsert(connection, schema.transfer_line, rows, replace=["changed_ms"], add=_SUMS)
        for fact in sorted(self.sent, key=lambda each: each.to_store):  # feeds are locked in one order by all
            try:
                read_zone(connection, fact.to_store)
            except NotFound:
                continue  # the goods have left all the same: they are listed as in transit
            lines = tuple(DeliveryLine(line.sku, line.quantity_milli) for line in fact.lines)
            _put(connection, fact.to_store, Delivery(f"{TRANSFER}{store}:{fact.transfer}", 0, lines, "", fact.transfer,
                                                     None, store, fact.transfer))

    def _of(self, from_store: str, transfer: str, to_store: str, sku: str) -> list[int]:
        return self.sums.setdefault((from_store, transfer, to_store, sku), [0, 0, 0])


def transfer_texts(fact: Fact) -> Mapping[str, str]:
    """What of a fact becomes part of a row's key, by name."""
    if isinstance(fact, TransferSent):
        longest = f"{TRANSFER}{'-' * STORE_ID_MAX_CHARS}:{fact.transfer}"  # what the receiver's delivery is called
        return {"transfer": fact.transfer, "to_store": fact.to_store, "delivery": longest}
    if isinstance(fact, GoodsReceived | DeliveryClosed):
        return {"delivery": fact.delivery, "from_store": fact.from_store, "transfer": fact.transfer}
    return {}


def transfer_numbers(fact: Fact) -> Iterator[tuple[str, int]]:
    """What of a fact is added to sums, by name."""
    if isinstance(fact, GoodsReceived):
        yield from (("quantity_milli", units.quantity_milli) for units in fact.lines)
    elif isinstance(fact, DeliveryClosed):
        for each in fact.discrepancies:
            yield from (("expected_milli", each.expected_milli), ("received_milli", each.received_milli))


def _put(connection: sa.Connection, store: str, wanted: Delivery) -> Written:
    feed = FeedId(Feed.DELIVERIES, store)
    standing = read_documents(connection, feed, [wanted.id]).get(wanted.id)
    before = _decoder.decode(standing.doc) if standing and standing.doc else None
    if before is not None and msgspec.structs.replace(before, revision=0) == wanted:
        return Written(0, 1, read_head(connection, feed).offset)
    delivery = msgspec.structs.replace(wanted, revision=standing.version + 1 if standing else 1)
    return put_documents(connection, feed, {wanted.id: _encoder.encode(delivery)})


def _mistakes(delivery_id: str, delivery: DeliveryIn) -> Iterator[str]:
    yield from text_mistakes({"delivery": delivery_id}, KEY_MAX_CHARS, filled=True)
    if delivery_id.startswith(TRANSFER):
        yield f"ids that begin with {TRANSFER!r} are those of goods that another store sent"
    yield from text_mistakes({"supplier": delivery.supplier, "reference": delivery.reference}, TEXT_MAX_CHARS)
    if not 1 <= len(delivery.lines) <= ORDER_LINES_MAX:
        yield f"{len(delivery.lines)} lines, not 1 to {ORDER_LINES_MAX}"
    for number, line in enumerate(delivery.lines, start=1):
        yield from text_mistakes({f"sku of line {number}": line.sku}, KEY_MAX_CHARS, filled=True)
        if not 0 < line.quantity_milli <= QUANTITY_MAX_MILLI:
            yield f"line {number}: the quantity is out of bounds"
    if delivery.due_ms is not None and not 0 <= delivery.due_ms <= INTEGER_MAX:
        yield "due_ms is not a time"
