"""What the feeds carry: items, prices, promotions, policy, orders, tasks, deliveries. Wire structs, one per key.

Money is integer minor units; quantities are integers in thousandths; times are milliseconds since 1970, UTC.
Fields are only ever added, with a default, so that store N−1 reads hub N.
"""

from enum import StrEnum

import msgspec


class Item(msgspec.Struct, frozen=True):
    """Feed `items`, key = sku. `codes`: every barcode that means this item, digits only.

    `tax_class` names a rate of the policy; `deposit_minor` is paid per piece beside the price (a bottle).
    """

    sku: str
    name: str
    codes: tuple[str, ...] = ()
    category: str = ""
    department: str = ""
    brand: str = ""
    package_size: str = ""
    age_limit_years: int = 0
    tax_class: str = ""
    deposit_minor: int = 0


class PriceKind(StrEnum):
    """What a price list entry is."""

    REGULAR = "regular"
    PROMOTION = "promotion"
    CLEARANCE = "clearance"


LOCAL_PRICES = "local/"
"""What ids of price list entries begin with that a store has by itself; the hub has none of that name."""


class Price(msgspec.Struct, frozen=True):
    """Feed `prices`, key = entry id. Valid from `valid_from_ms` (inclusive) until `valid_until_ms` (exclusive).

    The highest `priority` among the valid entries of a SKU is its list price; of equal ones the lowest price.
    """

    sku: str
    price_minor: int
    currency: str
    kind: PriceKind = PriceKind.REGULAR
    priority: int = 0
    valid_from_ms: int = 0
    valid_until_ms: int | None = None


class Promotion(msgspec.Struct, frozen=True):
    """Feed `promotions`, key = id. `terms`, a JSON object, says what it promises: `contract.promotions` by `kind`."""

    id: str
    version: int
    kind: str
    terms: msgspec.Raw = msgspec.Raw(b"{}")
    valid_from_ms: int = 0
    valid_until_ms: int | None = None


class Task(msgspec.Struct, frozen=True):
    """Feed `tasks`, key = id: something the chain asks a store's staff to do. `revision` grows with every change."""

    id: str
    title: str
    revision: int
    detail: str = ""
    due_ms: int | None = None


class OpeningHours(msgspec.Struct, frozen=True):
    """One weekday's hours, in minutes after local midnight; `closes_minute` may pass 1440 for night trading."""

    opens_minute: int
    closes_minute: int


class PriceIntegrity(StrEnum):
    """Whether claims gate the price a till may ask (DESIGN.md section 5)."""

    CUSTOMER_FIRST = "customer_first"
    REPORT_ONLY = "report_only"


class TaxRate(msgspec.Struct, frozen=True):
    """What items of a tax class are taxed, in hundredths of a percent: 2100 is 21%."""

    tax_class: str
    basis_points: int


class Policy(msgspec.Struct, frozen=True):
    """Feed `policy`, one key, `policy`: what the chain decides for its stores. The last good one survives.

    `hours`: one entry per weekday from Monday, `None` for a closed day; an empty tuple means always open.
    `closed_days`: dates on which the stores stay closed, as 2026-12-25. `prepare_s`, `accept_within_s`: how much
    opening time an order may take to be ready, and to be taken. `hold_s`: how long goods wait for a customer who was
    told, `hold_max_s`: for one who was not. `answer_wait_s`: how long a customer may think about a substitute;
    `substitute_unanswered`: what silence means.
    `prior_price_days`, `progressive_reductions`: how a reduction is measured (`edge.domain.prior_price`);
    `perishables`: categories and departments whose reductions are measured by the price just before.
    `cash_step_minor`: the smallest coin, 0 for the currency's own. `held_price_alert_s`: a price that labels hold low
    for so long beyond the grace is told to people.
    """

    grace_s: int = 3600
    till_ack_wait_s: int = 30
    clear_out_s: int = 1800
    hours: tuple[OpeningHours | None, ...] = ()
    price_integrity: PriceIntegrity = PriceIntegrity.CUSTOMER_FIRST
    guard_share_percent: int = 20
    guard_decrease_percent: int = 50
    guard_increase_percent: int = 100
    safety_stock_milli: int = 0
    hold_s: int = 3 * 86400
    hold_max_s: int = 7 * 86400
    person_keep_s: int = 72 * 3600
    prior_price_days: int = 30
    progressive_reductions: bool = False
    perishables: tuple[str, ...] = ()
    taxes: tuple[TaxRate, ...] = ()
    prices_include_tax: bool = True
    cash_step_minor: int = 0
    held_price_alert_s: int = 3600
    closed_days: tuple[str, ...] = ()
    prepare_s: int = 4 * 3600
    accept_within_s: int = 1800
    answer_wait_s: int = 1800
    substitute_unanswered: bool = False


class Address(msgspec.Struct, frozen=True):
    """Where a parcel goes. As private as the person. `country`: ISO 3166, two letters."""

    lines: tuple[str, ...]
    city: str
    country: str
    postcode: str = ""
    region: str = ""
    phone: str = ""

    def __repr__(self) -> str:
        """Says nothing, so that no log line or traceback can."""
        return "Address(...)"


class OrderMethod(StrEnum):
    """How an order gets to its customer: she collects it, or a carrier brings it."""

    PICKUP = "pickup"
    SHIP = "ship"


class ParcelLabel(msgspec.Struct, frozen=True):
    """What the hub says of a parcel that a store packed: who carries it, and under which number."""

    parcel_id: str
    carrier: str
    tracking: str
    service: str = ""


class Person(msgspec.Struct, frozen=True):
    """Who collects, as little as a hand-over needs, or where it is sent. Never stored in a ledger, a log or a feed
    table in clear."""

    display_name: str
    phone_last_digits: str = ""
    address: Address | None = None

    def __repr__(self) -> str:
        """Names nobody, so that no log line or traceback can."""
        return "Person(...)"


class OrderLine(msgspec.Struct, frozen=True):
    """One line of an online order. `price_minor`: what the customer paid per unit. `may_substitute`: another product,
    never dearer, may come instead."""

    line: int
    sku: str
    quantity_milli: int
    price_minor: int
    may_substitute: bool = False


class SubstituteAnswer(msgspec.Struct, frozen=True):
    """What the customer said about a substitute, by the line that the store gave it."""

    line: int
    accepted: bool


class Order(msgspec.Struct, frozen=True):
    """Feed `orders`, key = order id. The hub owns what stands here; the store owns all its own steps.

    `pickup_code` is a secret like `person`: the hub keeps both sealed and joins them only when it serves the feed
    to the store's own credential; the store keeps an HMAC-SHA256 of the code under its own key and drops the code
    (DESIGN.md section 8). `revision` grows with every change the hub makes. `arrived_ms`, `bay`: the customer is here,
    and where she parked. `cancel_lines`: lines to cancel, while `cancel_requested` means all. `reassigned`: another
    store has it now.
    `offer`: the hub looks for a store, this being the how manyth that it asks (0: the store was named). An offer counts
    only once the hub has `confirmed` that it heard the store's yes; a store that does not hear so by `accept_by_ms`
    lets it go, because another one may have been asked.
    `method`: one of `OrderMethod`; a parcel of an order that is shipped may get its `labels` from the hub.
    """

    order_id: str
    revision: int
    placed_ms: int
    lines: tuple[OrderLine, ...]
    currency: str
    person_id: str = ""
    person: Person | None = None
    pickup_code: str = ""
    notified_ms: int | None = None
    cancel_requested: bool = False
    cancel_lines: tuple[int, ...] = ()
    arrived_ms: int | None = None
    bay: str = ""
    answers: tuple[SubstituteAnswer, ...] = ()
    reassigned: bool = False
    offer: int = 0
    accept_by_ms: int | None = None
    confirmed: bool = False
    method: str = OrderMethod.PICKUP.value
    labels: tuple[ParcelLabel, ...] = ()

    def __repr__(self) -> str:
        """Without the pickup code, so that no log line or traceback can hold it."""
        return f"Order(order_id={self.order_id!r}, revision={self.revision}, lines={len(self.lines)})"


class DeliveryLine(msgspec.Struct, frozen=True):
    """Units of a SKU that a delivery should bring."""

    sku: str
    quantity_milli: int


class Delivery(msgspec.Struct, frozen=True):
    """Feed `deliveries`, key = id: goods that are on their way to the store. `revision` grows with every change.

    `reference`: what stands on the delivery note. `from_store`, `transfer`: another store sent them, under that id.
    """

    id: str
    revision: int
    lines: tuple[DeliveryLine, ...]
    supplier: str = ""
    reference: str = ""
    due_ms: int | None = None
    from_store: str = ""
    transfer: str = ""
