"""A paid order of Vendure's as the hub's placement. Pure."""

from collections.abc import Mapping
from datetime import UTC, datetime

import msgspec

from cloud_sync.connectors.hub import Placement
from cloud_sync.connectors.told import UNIT_MILLI
from cloud_sync.connectors.vendure import records
from cloud_sync.contract.documents import OrderLine, Person
from cloud_sync.contract.pickup_order import PickupOrder

PHONE_DIGITS = 3
NAME_MAX_CHARS = 80


class OrderNote(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is remembered of an order while it is open: no person and no code.

    `links`: our line → Vendure's. `order`: as the store's facts have left it. `told_ready`: its customer was told.
    `modifying_from`: the state it had before we modified it, empty when we do not. `cut`: we took something off it.
    """

    store: str
    vendure_id: str
    code: str
    currency: str
    lines: tuple[OrderLine, ...]
    links: tuple[tuple[int, str], ...]
    order: PickupOrder
    told_ready: bool = False
    modifying_from: str = ""
    cut: bool = False


class DoneNote(msgspec.Struct, frozen=True):
    """What is remembered of an order that agrees and has ended, for as long as it could be read again."""

    order: OrderNote
    done_ms: int


def store_of(order: records.Order, stores: Mapping[str, str]) -> str | None:
    """Where it is collected, by shipping method; `None` when it is sent home, or by several ways at once."""
    methods = {line.shipping_method.code for line in order.shipping_lines}
    found = {stores.get(method) for method in methods}
    return found.pop() if len(found) == 1 else None


def placed_lines(order: records.Order) -> tuple[records.OrderLine, ...]:
    """What its customer ordered; what was put on later is not among it."""
    placed = (line for line in order.lines if line.order_placed_quantity > 0)
    return tuple(sorted(placed, key=lambda line: _rank(line.id)))


def placement(order: records.Order, *, may_substitute: bool) -> Placement:
    """Lines are numbered in Vendure's order of them, so that a repeat says the same."""
    lines = tuple(OrderLine(number, line.product_variant.sku, line.order_placed_quantity * UNIT_MILLI,
                            max(0, line.prorated_unit_price_with_tax), may_substitute)
                  for number, line in enumerate(placed_lines(order), start=1))
    placed_ms = to_ms(order.order_placed_at) if order.order_placed_at else None
    return Placement(lines, order.currency_code, placed_ms, _person(order))


def to_ms(moment: datetime) -> int:
    """Milliseconds since 1970."""
    return round(moment.timestamp() * 1000)


def to_text(moment_ms: int) -> str:
    """As Vendure's `DateTime`."""
    return datetime.fromtimestamp(moment_ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _person(order: records.Order) -> Person | None:
    """As little as a hand-over needs: first name, initial, the end of the phone number."""
    if order.customer is None:
        return None
    first, last = order.customer.first_name.strip(), order.customer.last_name.strip()
    name = f"{first} {last[:1]}." if first and last else first or last
    phone = (order.shipping_address.phone_number if order.shipping_address else None) or ""
    digits = "".join(character for character in phone if character.isdecimal())[-PHONE_DIGITS:]
    return Person(name[:NAME_MAX_CHARS], digits) if name else None


def _rank(line_id: str) -> tuple[int, str]:
    """Numbers by their value, other ids (UUIDs) by their text."""
    return (int(line_id), "") if line_id.isdecimal() else (0, line_id)
