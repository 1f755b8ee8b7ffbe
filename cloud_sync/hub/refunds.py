"""What comes back of orders, in whichever store, and the money that is owed for it: once per unit, whatever is heard
first (the rule: `contract.returns`). Orders go by their ids within a zone: that these are the chain's own and used once
is for whoever places orders. Within the transaction of a push, which holds the store's lock.
"""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field

import msgspec
import sqlalchemy as sa

from cloud_sync.contract.documents import Order
from cloud_sync.contract.facts import (
    ExceptionRaised,
    Fact,
    OrderReturn,
    PickupStep,
    ReturnedLine,
    StepLine,
    Transaction,
)
from cloud_sync.contract.feeds import Feed
from cloud_sync.contract.pickup import Step
from cloud_sync.contract.returns import SoldLine, owed, refunded_otherwise, returns_of
from cloud_sync.hub import schema
from cloud_sync.hub.catalogue import storable_mistake
from cloud_sync.hub.database import in_groups
from cloud_sync.hub.feeds import FeedId, read_documents
from cloud_sync.hub.happenings import REFUND_REASONS, Happening, goods_returned, refund_of_returns
from cloud_sync.hub.limits import INTEGER_MAX, KEY_MAX_CHARS, QUANTITY_MAX_MILLI
from cloud_sync.hub.rows import upsert

_TABLE = schema.sold_line
_LOCK_LINE = -1
_order_decoder = msgspec.json.Decoder(Order)


@dataclass(frozen=True, slots=True)
class Back:
    """One fact's goods of one order. `till_amount_minor`: what a till said of them, 0 at the desk."""

    order_id: str
    lines: tuple[ReturnedLine, ...]
    occurred_ms: int
    till_amount_minor: int = 0


@dataclass(slots=True)
class Returns:
    """What the facts of one push say of goods that left (with the products that moved) and of goods that are back."""

    out: dict[str, list[tuple[StepLine, frozenset[str]]]] = field(default_factory=lambda: defaultdict(list))
    back: list[Back] = field(default_factory=list)
    asked_back: list[str] = field(default_factory=list)

    def add(self, fact: Fact, occurred_ms: int) -> None:
        """A fact that stands here for the first time. What no row can hold is left out: its stock counts all the
        same."""
        if isinstance(fact, PickupStep):
            if fact.step == Step.HAND_OVER:
                moved = frozenset(move.sku for move in fact.moves)
                self.out[fact.order_id] += [(line, moved) for line in fact.lines
                                            if _fits(line.line, line.quantity_milli)]
        elif isinstance(fact, OrderReturn):
            self._add_back(fact.order_id, fact.lines, occurred_ms, 0)
        elif isinstance(fact, Transaction):
            self._add_transaction(fact, occurred_ms)
        elif (isinstance(fact, ExceptionRaised) and fact.reason in REFUND_REASONS and fact.about
              and not storable_mistake(fact.about, KEY_MAX_CHARS)):
            self.asked_back.append(fact.about)

    def _add_transaction(self, fact: Transaction, occurred_ms: int) -> None:
        of_order: dict[str, list[tuple[ReturnedLine, int]]] = defaultdict(list)
        for line, returned in returns_of(fact):
            of_order[line.order_id].append((returned, line.amount_minor))
        for order_id, found in of_order.items():
            self._add_back(order_id, tuple(line for line, _ in found), occurred_ms,
                           sum(amount_minor for _, amount_minor in found))

    def _add_back(self, order_id: str, lines: tuple[ReturnedLine, ...], occurred_ms: int, amount_minor: int) -> None:
        fitting = tuple(line for line in lines if _fits(line.line, line.quantity_milli)
                        and not storable_mistake(line.sku, KEY_MAX_CHARS))
        if fitting and not storable_mistake(order_id, KEY_MAX_CHARS):
            self.back.append(Back(order_id, fitting, occurred_ms, amount_minor))

    @property
    def says_something(self) -> bool:
        """Whether there is anything to count."""
        return bool(self.out or self.back or self.asked_back)

    def write(self, connection: sa.Connection, store: str, zone: str) -> Iterator[Happening]:
        """Count it, and say what came back and what is owed for it. To be consumed whole."""
        orders = sorted({*self.out, *(back.order_id for back in self.back), *self.asked_back})
        documents = _documents(connection, store, orders)
        upsert(connection, _TABLE, [_row(zone, order_id, SoldLine(_LOCK_LINE, "")) for order_id in orders],
               add=["out_milli"])
        standing = _read(connection, zone, orders)
        occurred_ms: dict[str, int] = {}
        for back in self.back:
            occurred_ms[back.order_id] = back.occurred_ms
            if all(line.quantity_milli > 0 for line in back.lines):
                yield goods_returned(store, back.order_id, back.lines, back.till_amount_minor, back.occurred_ms)
        for order_id in orders:
            lines = self._counted(order_id, standing[order_id], documents.get(order_id))
            after = owed(lines)
            upsert(connection, _TABLE, [_row(zone, order_id, line) for line in after.lines],
                   replace=["out_milli", "returned_milli", "refunded_milli"])
            if after.refunds:
                yield refund_of_returns(store, order_id, after.refunds, occurred_ms.get(order_id))

    def _counted(self, order_id: str, standing: dict[tuple[int, str], SoldLine],
                 order: Order | None) -> tuple[SoldLine, ...]:
        skus = {line.line: line.sku for line in order.lines} if order else {}
        sums = {key: [line.out_milli, line.returned_milli, line.refunded_milli] for key, line in standing.items()}
        named = dict(sums.keys())
        for step, moved in self.out.get(order_id, ()):
            substitute = moved - set(skus.values())  # a line that the store gave a number
            otherwise = skus.get(step.line, next(iter(substitute)) if len(substitute) == 1 else "")
            key = (step.line, named.get(step.line, otherwise))
            sums.setdefault(key, [0, 0, 0])[0] += step.quantity_milli
            named.setdefault(*key)
        for back in self.back:
            for line in back.lines if back.order_id == order_id else ():
                key = (line.line, named.get(line.line, line.sku) if line.line else line.sku)
                sums.setdefault(key, [0, 0, 0])[1] += line.quantity_milli
                if line.line:
                    named.setdefault(*key)
        lines = tuple(SoldLine(*key, *three) for key, three in sums.items())
        if order_id not in self.asked_back:
            return lines
        whole = order is None or order.cancel_requested
        return refunded_otherwise(lines, () if whole or order is None else order.cancel_lines)


def _fits(line: int, quantity_milli: int) -> bool:
    return 0 <= line <= INTEGER_MAX and abs(quantity_milli) <= QUANTITY_MAX_MILLI


def _row(zone: str, order_id: str, line: SoldLine) -> dict[str, object]:
    return {"zone_id": zone, "order_id": order_id, "line": line.line, "sku": line.sku, "out_milli": line.out_milli,
            "returned_milli": line.returned_milli, "refunded_milli": line.refunded_milli}


def _read(connection: sa.Connection, zone: str, orders: list[str]) -> dict[str, dict[tuple[int, str], SoldLine]]:
    found: dict[str, dict[tuple[int, str], SoldLine]] = defaultdict(dict)
    for group in in_groups(orders):
        for row in connection.execute(sa.select(_TABLE).where(
                _TABLE.c.zone_id == zone, _TABLE.c.order_id.in_(group), _TABLE.c.line != _LOCK_LINE)):
            found[row.order_id][row.line, row.sku] = SoldLine(row.line, row.sku, row.out_milli, row.returned_milli,
                                                              row.refunded_milli)
    return found


def _documents(connection: sa.Connection, store: str, orders: list[str]) -> dict[str, Order]:
    """The orders that were placed at this very store."""
    documents = read_documents(connection, FeedId(Feed.ORDERS, store), orders)
    return {order_id: _order_decoder.decode(document.doc) for order_id, document in documents.items() if document.doc}
