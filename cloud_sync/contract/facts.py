"""Facts: what happened in a store, as it stands in the ledger. Payload structs and their effect on stock.

The payload's stored bytes are hashed and travel unchanged; both sides read them with these structs and apply
the same `stock_moves`. Fields are only ever added, with a default.
"""

from enum import StrEnum

import msgspec


class LineKind(StrEnum):
    SALE = "sale"
    RETURN = "return"


class TransactionKind(StrEnum):
    SALE = "sale"
    RETURN = "return"
    VOID = "void"


class Flag(StrEnum):
    """Why a person should look at a fact that was recorded all the same (P4)."""

    UNKNOWN_ITEM = "unknown-item"
    ZERO_QUANTITY = "zero-quantity"
    NEGATIVE_QUANTITY = "negative-quantity"
    ODD_QUANTITY = "odd-quantity"
    TOTAL_DIFFERS = "total-differs"
    OVERCHARGED = "overcharged"
    CLOCK_UNTRUSTED = "clock-untrusted"
    VOID_BEFORE_ORIGINAL = "void-before-original"
    ALREADY_VOIDED = "already-voided"
    VOIDS_NO_SALE = "voids-no-sale"
    VOIDED_FIRST = "voided-first"
    AVAILABLE_BELOW_ZERO = "available-below-zero"
    NEGATIVE_STOCK = "negative-stock"
    EARLY = "early"
    LATE = "late"
    CONTRADICTORY = "contradictory"


class SaleLine(msgspec.Struct, frozen=True, omit_defaults=True):
    """One line of a till's transaction. `quantity_milli` is what the till said, whatever it said.

    `order_id`, `order_line`: of a return, the online order that the goods were part of; 0: nobody said which line.
    """

    line: int
    kind: LineKind
    quantity_milli: int
    amount_minor: int
    sku: str = ""
    code: str = ""
    unit_price_minor: int | None = None
    charge_minor: int | None = None
    scanned_ms: int | None = None
    flags: tuple[Flag, ...] = ()
    order_id: str = ""
    order_line: int = 0


class Transaction(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="kind", tag="transaction"):
    """A sale, return or void at a till. A void carries the lines it takes back, as far as they are known."""

    till: str
    business_day: str
    sequence: int
    type: TransactionKind
    currency: str
    total_minor: int
    lines: tuple[SaleLine, ...]
    voids_sequence: int | None = None
    actor: str = ""
    flags: tuple[Flag, ...] = ()


class StockMove(msgspec.Struct, frozen=True, omit_defaults=True):
    """A change of a SKU's four disjoint buckets, in thousandths."""

    sku: str
    sellable_milli: int = 0
    reserved_milli: int = 0
    staged_milli: int = 0
    quarantine_milli: int = 0


class Movement(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="kind", tag="movement"):
    """Goods that moved without a sale: a receipt, an adjustment."""

    reason: str
    moves: tuple[StockMove, ...]
    actor: str
    document: str = ""


class CountedLine(msgspec.Struct, frozen=True, omit_defaults=True):
    """One SKU of a count: what was found and what was expected at that moment, sellable and reserved together.

    `counted_ms`: that moment, where it is not the fact's own. `with_staged`: the places where goods are put aside for
    customers were counted too, and are part of both figures.
    """

    sku: str
    counted_milli: int
    expected_milli: int
    counted_ms: int | None = None
    with_staged: bool = False


class Count(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="kind", tag="count"):
    """Somebody counted; the differences of `lines` move sellable stock. `place`: where in the store, empty for all.

    `waiting`: differences so large that a supervisor decides (`CountReviewed`); `outdated`: the SKU was counted again
    later. Neither moves anything. `session`: the count session that this is the end of.
    """

    place: str
    lines: tuple[CountedLine, ...]
    actor: str
    waiting: tuple[CountedLine, ...] = ()
    outdated: tuple[CountedLine, ...] = ()
    session: str = ""


class CountReviewed(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="kind", tag="count-reviewed"):
    """A supervisor's word on a line of a count that waited: it moves stock now, or it is counted again.

    `moves`: the difference from what was expected when it was counted, at `counted_ms`. `count`: the count's id.
    """

    count: str
    sku: str
    approved: bool
    actor: str
    counted_ms: int
    reason: str = ""
    moves: tuple[StockMove, ...] = ()


class ReceivedUnits(msgspec.Struct, frozen=True, omit_defaults=True):
    """Units of a SKU that came in; `damaged_milli` of them cannot be sold. Negative ones take a mistake back."""

    sku: str
    quantity_milli: int
    damaged_milli: int = 0


class GoodsReceived(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="kind", tag="goods-received"):
    """Goods of an expected delivery came in. `from_store`, `transfer`: another store sent them."""

    delivery: str
    lines: tuple[ReceivedUnits, ...]
    actor: str
    from_store: str = ""
    transfer: str = ""


class Discrepancy(msgspec.Struct, frozen=True, omit_defaults=True):
    """A SKU of which other units came in than a delivery promised, or damaged ones; `expected_milli` 0: unexpected."""

    sku: str
    expected_milli: int
    received_milli: int
    damaged_milli: int = 0


class DeliveryClosed(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="kind", tag="delivery-closed"):
    """A person says that nothing more of a delivery is to come. What was missing of a transfer is missing for good."""

    delivery: str
    discrepancies: tuple[Discrepancy, ...]
    actor: str
    from_store: str = ""
    transfer: str = ""
    note: str = ""


class TransferLine(msgspec.Struct, frozen=True):
    """Units of a SKU on their way to another store."""

    sku: str
    quantity_milli: int


class TransferSent(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="kind", tag="transfer-sent"):
    """Goods left for another store; until it receives them they are in transit, at the hub."""

    transfer: str
    to_store: str
    lines: tuple[TransferLine, ...]
    actor: str
    note: str = ""


class Proof(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="kind", tag="proof"):
    """A label proved that it holds a picture (P7)."""

    label: str
    version: str
    sku: str
    price_minor: int
    currency: str


class StepLine(msgspec.Struct, frozen=True):
    """How much of a line of an order a step was about."""

    line: int
    quantity_milli: int


class Substitute(msgspec.Struct, frozen=True):
    """What was offered instead of line `replaces`, as a line of its own; price per unit."""

    line: int
    sku: str
    quantity_milli: int
    price_minor: int
    replaces: int


class PickupStep(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="kind", tag="pickup"):
    """One step of an order in the store, with the stock it moved. `state`: where the order is after it.

    `lines`: which units; facts of earlier versions name none and are about all that `moves` tells of. `short_reason`
    to `substitute`: as in `pickup_order.Taken`; `reason` is what a person wrote. `parcel_id`: in which the
    goods went to the carrier. `place`: where the order stands from now on, put aside.
    """

    order_id: str
    transition_id: str
    step: str
    state: str
    order_revision: int
    actor: str
    moves: tuple[StockMove, ...] = ()
    reason: str = ""
    lines: tuple[StepLine, ...] = ()
    short_reason: str = ""
    accept: bool = False
    from_staged: bool = False
    written_off_milli: int = 0
    substitute: Substitute | None = None
    parcel_id: str = ""
    place: str = ""


class ParcelStep(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="kind", tag="parcel"):
    """A parcel of an order was packed, labelled or unpacked. Its goods stay put aside until a pickup step hands it to
    the carrier. `number` counts the order's parcels from 1; `lines` and `weight_g` of packing."""

    parcel_id: str
    order_id: str
    step_id: str
    step: str
    number: int
    actor: str
    lines: tuple[StepLine, ...] = ()
    weight_g: int = 0
    carrier: str = ""
    service: str = ""
    tracking: str = ""
    reason: str = ""


class TillClose(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="kind", tag="till-close"):
    """A till's own account of its business day."""

    till: str
    business_day: str
    first_sequence: int
    last_sequence: int
    count: int
    total_minor: int


class ExceptionRaised(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="kind", tag="exception"):
    """Something for a person to decide; `about` is the fact key it concerns."""

    reason: str
    about: str
    detail: str
    till: str = ""
    business_day: str = ""
    document: str = ""


class StaffAct(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="kind", tag="staff-act"):
    """What a person decided about prices or labels: exclude, include, bind, void a claim, approve a held batch."""

    act: str
    subject: str
    actor: str
    reason: str = ""


class TaskDone(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="kind", tag="task-done"):
    """Somebody did what a task of the chain asked for, as it was at `revision`."""

    task_id: str
    revision: int
    actor: str
    note: str = ""


class ReturnedLine(msgspec.Struct, frozen=True, omit_defaults=True):
    """Units of an order that came back. `line` is 0 where nobody could say which."""

    sku: str
    quantity_milli: int
    line: int = 0


class OrderReturn(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="kind", tag="order-return"):
    """Goods of an online order came back at the desk and wait in quarantine to be graded (retail.md 2.4.7).

    `known`: this store gave them away, and they are no more than it gave; else only the hub can tell what is owed.
    """

    return_id: str
    order_id: str
    lines: tuple[ReturnedLine, ...]
    moves: tuple[StockMove, ...]
    actor: str
    known: bool = False
    reason: str = ""


class Grading(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="kind", tag="grading"):
    """Somebody looked at goods in quarantine and said what becomes of them: `contract.returns.Grade`."""

    grading_id: str
    sku: str
    quantity_milli: int
    grade: str
    moves: tuple[StockMove, ...]
    actor: str
    reason: str = ""
    return_id: str = ""


Fact = (Transaction | Movement | Count | CountReviewed | GoodsReceived | DeliveryClosed | TransferSent | Proof
        | PickupStep | TillClose | ExceptionRaised | StaffAct | TaskDone | OrderReturn | Grading | ParcelStep)

QUANTITY_MILLI_MAX = 10**12
"""A line beyond it, either way, is kept as it was said and moves nothing: no store holds a thousand million of it."""

_decoder: msgspec.json.Decoder[Fact] = msgspec.json.Decoder(Fact)
_encoder = msgspec.json.Encoder()


def encode_fact(fact: Fact) -> bytes:
    """The payload bytes that are stored, hashed and sent."""
    return _encoder.encode(fact)


def decode_fact(payload: bytes | msgspec.Raw) -> Fact:
    """Raises `msgspec.MsgspecError` for a payload that is no fact we know."""
    return _decoder.decode(payload)


def stock_moves(fact: Fact) -> tuple[StockMove, ...]:
    """What a fact does to the store's stock; the same on both sides. Lines without a known SKU move nothing."""
    if isinstance(fact, Transaction):
        sign = -1 if fact.type is TransactionKind.VOID else 1
        return tuple(_line_move(line, sign) for line in fact.lines
                     if line.sku and 0 < abs(line.quantity_milli) <= QUANTITY_MILLI_MAX)
    if isinstance(fact, Movement | PickupStep | CountReviewed | OrderReturn | Grading):
        return fact.moves
    if isinstance(fact, Count):
        return tuple(StockMove(line.sku, sellable_milli=line.counted_milli - line.expected_milli)
                     for line in fact.lines)
    if isinstance(fact, GoodsReceived):
        return tuple(StockMove(line.sku, sellable_milli=line.quantity_milli - line.damaged_milli,
                               quarantine_milli=line.damaged_milli) for line in fact.lines)
    if isinstance(fact, TransferSent):
        return tuple(StockMove(line.sku, sellable_milli=-line.quantity_milli) for line in fact.lines)
    return ()


def _line_move(line: SaleLine, sign: int) -> StockMove:
    """A sale takes sellable goods; a return puts them into quarantine until somebody grades them."""
    if line.kind is LineKind.RETURN:
        return StockMove(line.sku, quarantine_milli=sign * line.quantity_milli)
    return StockMove(line.sku, sellable_milli=-sign * line.quantity_milli)
