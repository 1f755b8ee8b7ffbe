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
    AVAILABLE_BELOW_ZERO = "available-below-zero"
    EARLY = "early"
    LATE = "late"
    CONTRADICTORY = "contradictory"


class SaleLine(msgspec.Struct, frozen=True, omit_defaults=True):
    """One line of a till's transaction. `quantity_milli` is what the till said, whatever it said."""

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
    """One SKU of a count: what was found and what was expected at that moment, sellable and reserved together."""

    sku: str
    counted_milli: int
    expected_milli: int


class Count(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="kind", tag="count"):
    """Somebody counted; the differences move sellable stock. `place`: where in the store, empty for all of it."""

    place: str
    lines: tuple[CountedLine, ...]
    actor: str


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
    to `substitute`: as in `pickup_order.Taken`; `reason` is what a person wrote. `place`: where the order stands
    from now on, put aside.
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
    place: str = ""


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


Fact = Transaction | Movement | Count | Proof | PickupStep | TillClose | ExceptionRaised | StaffAct | TaskDone

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
    if isinstance(fact, Movement | PickupStep):
        return fact.moves
    if isinstance(fact, Count):
        return tuple(StockMove(line.sku, sellable_milli=line.counted_milli - line.expected_milli)
                     for line in fact.lines)
    return ()


def _line_move(line: SaleLine, sign: int) -> StockMove:
    """A sale takes sellable goods; a return puts them into quarantine until somebody grades them."""
    if line.kind is LineKind.RETURN:
        return StockMove(line.sku, quarantine_milli=sign * line.quantity_milli)
    return StockMove(line.sku, sellable_milli=-sign * line.quantity_milli)
