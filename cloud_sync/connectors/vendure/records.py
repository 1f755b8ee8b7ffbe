"""What Vendure says of itself, as far as this connector asks. Money in minor units, quantities in whole units."""

from datetime import datetime
from typing import Generic, TypeVar

import msgspec

Listed = TypeVar("Listed")

MODIFYING, CANCELLED, PENDING = "Modifying", "Cancelled", "Pending"
REFUND_VOID = frozenset({"Failed"})
PAYMENT_GOOD = frozenset({"Settled"})


class Page(msgspec.Struct, Generic[Listed], rename="camel"):
    """One page of a list."""

    items: tuple[Listed, ...]
    total_items: int


class CustomFields(msgspec.Struct):
    gtin: str | None = None


class Variant(msgspec.Struct, rename="camel"):
    """A thing that is sold."""

    id: str
    sku: str
    name: str
    price: int
    price_with_tax: int
    currency_code: str
    custom_fields: CustomFields | None = None


class VariantPage(msgspec.Struct, rename="camel"):
    product_variants: Page[Variant]


class Location(msgspec.Struct):
    id: str
    name: str


class LocationPage(msgspec.Struct, rename="camel"):
    stock_locations: Page[Location]


class StockLevel(msgspec.Struct, rename="camel"):
    stock_location_id: str
    stock_on_hand: int
    stock_allocated: int


class StockedVariant(msgspec.Struct, rename="camel"):
    id: str
    sku: str
    stock_levels: tuple[StockLevel, ...]

    def at(self, location: str) -> StockLevel:
        """Its stock there; none where Vendure has no row yet."""
        return next((level for level in self.stock_levels if level.stock_location_id == location),
                    StockLevel(location, 0, 0))


class StockPage(msgspec.Struct, rename="camel"):
    product_variants: Page[StockedVariant]


class Customer(msgspec.Struct, rename="camel"):
    """A person; never logged."""

    first_name: str = ""
    last_name: str = ""

    def __repr__(self) -> str:
        return "Customer(...)"


class Address(msgspec.Struct, rename="camel"):
    phone_number: str | None = None

    def __repr__(self) -> str:
        return "Address(...)"


class ShippingMethod(msgspec.Struct):
    code: str


class ShippingLine(msgspec.Struct, rename="camel"):
    shipping_method: ShippingMethod


class LineVariant(msgspec.Struct):
    id: str
    sku: str


class OrderLine(msgspec.Struct, rename="camel"):
    """`quantity`: what is still ordered of `order_placed_quantity`. The price is what the customer pays per unit."""

    id: str
    quantity: int
    order_placed_quantity: int
    prorated_unit_price_with_tax: int
    tax_rate: float
    product_variant: LineVariant


class FulfillmentLine(msgspec.Struct, rename="camel"):
    order_line_id: str
    quantity: int


class Fulfillment(msgspec.Struct, rename="camel"):
    id: str
    state: str
    tracking_code: str | None
    lines: tuple[FulfillmentLine, ...]


class Refund(msgspec.Struct):
    id: str
    total: int
    state: str
    reason: str | None = None


class Payment(msgspec.Struct):
    id: str
    amount: int
    state: str
    refunds: tuple[Refund, ...] = ()

    @property
    def left(self) -> int:
        """What could still be refunded of it."""
        if self.state not in PAYMENT_GOOD:
            return 0
        return self.amount - sum(refund.total for refund in self.refunds if refund.state not in REFUND_VOID)


class Order(msgspec.Struct, rename="camel"):
    """An order as Vendure has it now."""

    id: str
    code: str
    state: str
    active: bool
    updated_at: datetime
    currency_code: str
    total_with_tax: int
    next_states: tuple[str, ...]
    lines: tuple[OrderLine, ...]
    shipping_lines: tuple[ShippingLine, ...] = ()
    order_placed_at: datetime | None = None
    customer: Customer | None = None
    shipping_address: Address | None = None
    fulfillments: tuple[Fulfillment, ...] | None = None
    payments: tuple[Payment, ...] | None = None

    def line(self, line_id: str) -> OrderLine | None:
        return next((line for line in self.lines if line.id == line_id), None)

    @property
    def fulfilled(self) -> dict[str, int]:
        """Line → units in fulfilments that stand."""
        found: dict[str, int] = {}
        for fulfillment in self.fulfillments or ():
            for line in fulfillment.lines if fulfillment.state != CANCELLED else ():
                found[line.order_line_id] = found.get(line.order_line_id, 0) + line.quantity
        return found


class OrderPage(msgspec.Struct):
    orders: Page[Order]


class OneOrder(msgspec.Struct):
    order: Order | None


class NoteData(msgspec.Struct):
    note: str = ""


class NoteEntry(msgspec.Struct):
    data: NoteData


class NoteList(msgspec.Struct):
    items: tuple[NoteEntry, ...]


class NoteHistory(msgspec.Struct):
    history: NoteList


class OrderNotes(msgspec.Struct):
    order: NoteHistory | None


class Updated(msgspec.Struct):
    id: str


class StockSet(msgspec.Struct):
    result: tuple[Updated | None, ...]
