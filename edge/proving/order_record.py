"""What customers ordered and asked for, what the crew really did with the goods, and what a web shop was told (P5, P6).

Told as it was acknowledged; nothing here is read from the books that are to be judged.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import msgspec


@dataclass(frozen=True, slots=True)
class OrderedLine:
    """A line as the customer ordered it; the quantity in thousandths, the price per unit in minor units."""

    line: int
    sku: str
    quantity_milli: int
    price_minor: int
    may_substitute: bool = False


@dataclass(slots=True)
class KnownOrder:
    """One order as its customer and the crew know it.

    `code`: what the customer was told. `cancelled`, `cancelled_lines`, `reassigned`, `arrived`: what the hub was asked
    and took. `notified_ms`, `notified_revision`: when it heard that the customer was told, and as which revision.
    `handed_milli`: line → what the crew gave away and the store acknowledged; `all_named` is false once it gave away
    "everything that is there". `state`: where the crew last saw it.
    """

    order_id: str
    lines: tuple[OrderedLine, ...]
    placed_ms: int
    code: str = ""
    cancelled: bool = False
    cancelled_lines: set[int] = field(default_factory=set)
    answers: dict[int, bool] = field(default_factory=dict)
    reassigned: bool = False
    arrived: bool = False
    notified_ms: int | None = None
    notified_revision: int = 0
    handed_milli: Counter[int] = field(default_factory=Counter)
    all_named: bool = True
    hand_overs: list[str] = field(default_factory=list)
    state: str = "placed"

    def is_unwanted(self, line: int, replaces: int | None = None) -> bool:
        """Whether its customer said that she does not want this line, or what it stands for, any more."""
        declined = self.answers.get(line) is False
        return self.cancelled or declined or not self.cancelled_lines.isdisjoint({line, replaces})


class EventData(msgspec.Struct, frozen=True):
    """Of an order, or of the store itself, which has no `order_id`."""

    store: str
    order_id: str = ""
    state: str = ""
    revision: int = 0


class HeardEvent(msgspec.Struct, frozen=True):
    """An event as a web shop reads it."""

    id: str
    type: str
    subject: str
    data: EventData


@dataclass(slots=True)
class OrderRecord:
    """Everything about orders. `events`: by id, in the order in which each was heard first; `repeats`: heard again."""

    orders: dict[str, KnownOrder] = field(default_factory=dict)
    events: dict[str, HeardEvent] = field(default_factory=dict)
    repeats: int = 0

    def placed(self, order: KnownOrder) -> None:
        """A customer orders; the hub need not have heard of it yet."""
        self.orders[order.order_id] = order

    def heard(self, event: HeardEvent) -> bool:
        """An event arrived at the web shop; whether it is news there."""
        if event.id in self.events:
            self.repeats += 1
            return False
        self.events[event.id] = event
        return True

    def events_of(self, order_id: str) -> Iterator[HeardEvent]:
        """In the order in which they were heard."""
        return (event for event in self.events.values() if event.subject == order_id)

    def ordered(self, order_id: str) -> Mapping[int, tuple[str, int]]:
        """Line → SKU and quantity; nothing for an order that nobody placed."""
        order = self.orders.get(order_id)
        return {line.line: (line.sku, line.quantity_milli) for line in order.lines} if order else {}
