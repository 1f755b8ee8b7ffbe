"""Deliveries: what the hub says is on its way, and what really came in, scan by scan (retail.md section 3).

Every scan is a fact that moves stock at once, so a delivery may take several people and days, and a line that was lost
on the way costs a repeat. It is closed by a person; what differs from what was promised is named in that fact.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum

import msgspec

from cloud_sync.contract.documents import Delivery
from cloud_sync.contract.facts import DeliveryClosed, Discrepancy, Fact, GoodsReceived, ReceivedUnits
from cloud_sync.contract.feeds import Batch, Cursor, Delete, Feed, Put
from edge.db.connection import Connection
from edge.db.ledger import Draft, Outcome, Receipt, digest_of, first_receipt
from edge.db.queries import LEDGER, many
from edge.db.shortages import record_and_tell
from edge.domain.card_data import masked
from edge.errors import Rejected
from edge.limits import DELIVERIES_LISTED_MAX
from edge.stock.answers import OutOfDate, Unknown, standing
from edge.store import Store, Topic

_decoder = msgspec.json.Decoder(Delivery)


class Differs(StrEnum):
    """How a line came otherwise than it was promised."""

    SHORT = "short"
    OVER = "over"
    UNEXPECTED = "unexpected"
    DAMAGED = "damaged"


@dataclass(frozen=True, slots=True)
class Line:
    """A SKU of a delivery. `received_milli`: all that came, `damaged_milli` of it not fit to be sold."""

    sku: str
    expected_milli: int
    received_milli: int
    damaged_milli: int

    @property
    def missing_milli(self) -> int:
        return max(0, self.expected_milli - self.received_milli)

    @property
    def differs(self) -> tuple[Differs, ...]:
        """In what ways it is not as promised; nothing when it is."""
        return tuple(self._differs())

    def _differs(self) -> Iterator[Differs]:
        if self.received_milli < self.expected_milli:
            yield Differs.SHORT
        elif self.received_milli > self.expected_milli:
            yield Differs.OVER if self.expected_milli else Differs.UNEXPECTED
        if self.damaged_milli:
            yield Differs.DAMAGED


@dataclass(frozen=True, slots=True)
class Expected:
    """A delivery and how far it has come in. `withdrawn`: the hub took it back, and some of it came all the same."""

    delivery_id: str
    revision: int
    supplier: str
    reference: str
    due_ms: int | None
    from_store: str
    transfer: str
    withdrawn: bool
    closed_ms: int | None
    lines: tuple[Line, ...]


@dataclass(frozen=True, slots=True)
class ReceiptRequest:
    """Units that came in, once per `receipt_id`; `damaged_milli` of them. Negative ones take a mistake back."""

    receipt_id: str
    delivery_id: str
    sku: str
    quantity_milli: int
    actor: str
    damaged_milli: int = 0


Decide = Callable[[Expected], tuple[ReceivedUnits, ...] | Rejected]
MakeFact = Callable[[Expected], Fact | Rejected]


class DeliveryDesk:
    """The deliveries of this store, in `ledger.db`."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def cursor(self) -> Cursor | None:
        """How far this store has come in the feed."""
        row = self._store.books.ledger_reader.execute(LEDGER.cursor, (Feed.DELIVERIES,)).fetchone()
        return Cursor(*row) if row else None

    async def apply(self, batch: Batch) -> None:
        """Take deliveries from the hub, each revision once, with the cursor in one transaction. What came in stays.

        Raises `msgspec.MsgspecError` for a document that breaks the contract.
        """
        deliveries = [_decoder.decode(change.doc) for change in batch.changes if isinstance(change, Put)]
        withdrawn = [change for change in batch.changes if isinstance(change, Delete)]

        def operation(connection: Connection) -> None:
            if batch.checkpoint.whole:
                connection.execute(LEDGER.withdraw_deliveries_but, (many(each.id for each in deliveries),))
            for delivery in deliveries:
                _put(connection, delivery)
            for change in withdrawn:
                connection.execute(LEDGER.withdraw_delivery, (change.version, change.key, change.version))
            connection.execute(LEDGER.put_cursor, (Feed.DELIVERIES, batch.checkpoint.generation,
                                                   batch.checkpoint.offset))

        await self._store.books.ledger.submit(operation)
        self._store.tell(Topic.ISSUE)

    def open(self) -> list[Expected]:
        """What is on its way or not closed, the most urgent first."""
        reader = self._store.books.ledger_reader
        rows = reader.execute(LEDGER.deliveries_open, (DELIVERIES_LISTED_MAX,)).fetchall()
        return [_expected(reader, row) for row in rows]

    def find(self, delivery_id: str) -> Expected | None:
        """One delivery, closed or not."""
        return read_delivery(self._store.books.ledger_reader, delivery_id)

    async def receive(self, request: ReceiptRequest) -> bytes:
        """Goods came in; returns the answer's JSON. Raises `Unknown`, `OutOfDate` for a closed delivery, `Conflict`,
        `Rejected` for what cannot be."""
        if not request.quantity_milli and not request.damaged_milli:
            raise Rejected("say how many came in")
        units = ReceivedUnits(request.sku, request.quantity_milli, request.damaged_milli)

        def decided(delivery: Expected) -> tuple[ReceivedUnits, ...] | Rejected:
            line = _line_of(delivery, request.sku)
            received, damaged = (line.received_milli + units.quantity_milli, line.damaged_milli + units.damaged_milli)
            if not 0 <= damaged <= received:
                return Rejected(f"of {request.sku} fewer than none would have come in, or more be damaged than came")
            return (units,)

        meaning = (request.delivery_id, request.sku, request.quantity_milli, request.damaged_milli)
        return await self._receive(request.receipt_id, request.delivery_id, request.actor, meaning, decided)

    async def receive_rest(self, receipt_id: str, delivery_id: str, actor: str) -> bytes:
        """Everything that was promised and has not been received came in as promised. Raises as `receive`."""
        def decided(delivery: Expected) -> tuple[ReceivedUnits, ...] | Rejected:
            rest = tuple(ReceivedUnits(line.sku, line.missing_milli) for line in delivery.lines if line.missing_milli)
            return rest or OutOfDate(f"nothing of delivery {delivery_id} is missing")

        return await self._receive(receipt_id, delivery_id, actor, (delivery_id, "rest"), decided)

    async def close(self, act_id: str, delivery_id: str, actor: str, note: str = "") -> bytes:
        """A person says that nothing more will come: what differs is named in the fact. Raises as `receive`."""
        def fact_of(delivery: Expected) -> Fact:
            found = tuple(Discrepancy(line.sku, line.expected_milli, line.received_milli, line.damaged_milli)
                          for line in delivery.lines if line.differs)
            return DeliveryClosed(delivery_id, found, actor, delivery.from_store, delivery.transfer, note)

        return await self._act(f"delivery-closed/{act_id}", delivery_id, (delivery_id, note), fact_of)

    async def _receive(self, receipt_id: str, delivery_id: str, actor: str, meaning: object,
                       decided: Decide) -> bytes:
        def fact_of(delivery: Expected) -> Fact | Rejected:
            lines = decided(delivery)
            if isinstance(lines, Rejected):
                return lines
            return GoodsReceived(delivery_id, lines, actor, delivery.from_store, delivery.transfer)

        return await self._act(f"goods-received/{receipt_id}", delivery_id, meaning, fact_of)

    async def _act(self, fact_key: str, delivery_id: str, meaning: object, fact_of: MakeFact) -> bytes:
        """A fact about an open delivery. What it says is decided inside the writer, a repeat by its meaning alone."""
        now_ms = self._store.clock.wall_ms()
        digest = digest_of(meaning)

        def operation(connection: Connection) -> Receipt | Rejected:
            delivery = read_delivery(connection, delivery_id)
            if delivery is None:
                return Unknown(f"there is no delivery {delivery_id}")
            first = first_receipt(connection, fact_key, digest)
            if first is not None and first.outcome is Outcome.REPEATED:
                return first
            if first is None and delivery.closed_ms is not None:
                return OutOfDate(f"delivery {delivery_id} is closed")
            fact = fact_of(delivery)
            if isinstance(fact, Rejected):
                return fact
            made = Draft(fact_key, fact, digest, now_ms, self._store.business_day(now_ms), now_ms)
            receipt = record_and_tell(connection, self._store.books.chain, made)
            if receipt.outcome is Outcome.NEW:
                remember(connection, fact, now_ms)
            return receipt

        done = await self._store.record(operation)
        if isinstance(done, Rejected):
            raise done
        self._store.tell(Topic.ISSUE)
        return standing(done)


def read_delivery(connection: Connection, delivery_id: str) -> Expected | None:
    """One delivery; `None` when the store never heard of it."""
    row = connection.execute(LEDGER.delivery, (delivery_id,)).fetchone()
    return _expected(connection, row) if row else None


def remember(connection: Connection, fact: Fact, now_ms: int) -> None:
    """What a fact of this room means for its delivery; for any other fact, nothing."""
    if isinstance(fact, GoodsReceived):
        connection.execute(LEDGER.hear_of_delivery, (fact.delivery, fact.from_store, fact.transfer))
        for line in fact.lines:
            connection.execute(LEDGER.add_received, (fact.delivery, line.sku, line.quantity_milli, line.damaged_milli))
    elif isinstance(fact, DeliveryClosed):
        connection.execute(LEDGER.close_delivery, (fact.delivery, fact.from_store, fact.transfer, now_ms))


def _put(connection: Connection, delivery: Delivery) -> None:
    written = connection.execute(LEDGER.put_delivery, (
        delivery.id, delivery.revision, masked(delivery.supplier), masked(delivery.reference), delivery.due_ms,
        delivery.from_store, delivery.transfer))
    if not written.rowcount:
        return  # closed here, or older than what is known
    promised: dict[str, int] = {}
    for line in delivery.lines:
        promised[line.sku] = promised.get(line.sku, 0) + line.quantity_milli
    connection.execute(LEDGER.forget_expected, (delivery.id,))
    for sku, milli in promised.items():
        connection.execute(LEDGER.put_expected, (delivery.id, sku, milli))


def _line_of(delivery: Expected, sku: str) -> Line:
    return next((line for line in delivery.lines if line.sku == sku), Line(sku, 0, 0, 0))


def _expected(connection: Connection,
              row: tuple[str, int, str, str, int | None, str, str, int, int | None]) -> Expected:
    lines: Iterable[tuple[str, int, int, int]] = connection.execute(LEDGER.delivery_lines, (row[0],)).fetchall()
    return Expected(row[0], row[1], row[2], row[3], row[4], row[5], row[6], bool(row[7]), row[8],
                    tuple(Line(*line) for line in lines))
