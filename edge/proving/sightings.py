"""What a witness is told: values only. Times are seconds on the store's powered clock."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import msgspec


@dataclass(frozen=True, slots=True)
class Span:
    """Something was asked at `began_s` and answered at `ended_s`; it happened somewhere in between."""

    began_s: float
    ended_s: float

    @classmethod
    def at(cls, moment_s: float) -> "Span":
        """Something whose moment is known exactly."""
        return cls(moment_s, moment_s)


@dataclass(frozen=True, slots=True)
class TillTransaction:
    """Which transaction: a till, its business day, its sequence."""

    till: str
    business_day: str
    sequence: int

    @property
    def fact_key(self) -> str:
        """How ledgers name it."""
        return f"till/{self.till}/{self.business_day}/{self.sequence:010d}"


@dataclass(frozen=True, slots=True)
class SentLine:
    """A line as the till sent it. `scanned`: when its price was asked; `None`: the till had a price of its own.

    `copied_s`: when the till began to load the copy of the price book in which it found the price; `late_at_s`: when it
    was scanned, by a copy that the till had failed to renew.
    """

    code: str
    quantity_milli: int
    amount_minor: int
    unit_price_minor: int | None = None
    scanned: Span | None = None
    copied_s: float | None = None
    late_at_s: float | None = None


@dataclass(frozen=True, slots=True)
class SoldLine:
    """A line of a transaction in the books."""

    fact_key: str
    line: int


@dataclass(frozen=True, slots=True)
class LedgerEntry:
    """One entry as a ledger holds it. `counts` is false where the hub linked a repeat, `reason` why it could not
    read it."""

    sequence: int
    fact_key: str
    kind: str
    occurred_ms: int
    business_day: str
    payload: bytes
    hash: str
    counts: bool = True
    reason: str = ""
    epoch: int = 1


@dataclass(frozen=True, slots=True)
class Buckets:
    """A SKU's stock in thousandths, as somebody says it is."""

    sellable_milli: int
    reserved_milli: int
    staged_milli: int
    quarantine_milli: int


@dataclass(frozen=True, slots=True)
class BooksSeen:
    """A ledger as it was read: whose, which epoch is written, every epoch's entries in order, and the stock of it.

    `stock` may be empty where it was not read.
    """

    store: str
    epoch: int
    entries: tuple[LedgerEntry, ...]
    stock: Mapping[str, Buckets] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Finding:
    """One promise: how often it was really put to the test, and how it was broken."""

    promise: str
    checked: int
    violations: tuple[str, ...]


# What stands in a ledger's payloads, as far as the witness reads it: its own words, not the contract's.


class WitnessedLine(msgspec.Struct, frozen=True):
    kind: str
    quantity_milli: int
    amount_minor: int
    sku: str = ""
    code: str = ""
    flags: tuple[str, ...] = ()


class WitnessedMove(msgspec.Struct, frozen=True):
    sku: str
    sellable_milli: int = 0
    reserved_milli: int = 0
    staged_milli: int = 0
    quarantine_milli: int = 0


class WitnessedTransaction(msgspec.Struct, frozen=True, tag_field="kind", tag="transaction"):
    type: str
    total_minor: int
    lines: tuple[WitnessedLine, ...]
    flags: tuple[str, ...] = ()
    till: str = ""
    business_day: str = ""
    voids_sequence: int | None = None


class WitnessedMovement(msgspec.Struct, frozen=True, tag_field="kind", tag="movement"):
    moves: tuple[WitnessedMove, ...]


class WitnessedCounted(msgspec.Struct, frozen=True):
    sku: str
    counted_milli: int
    expected_milli: int


class WitnessedCount(msgspec.Struct, frozen=True, tag_field="kind", tag="count"):
    lines: tuple[WitnessedCounted, ...]


class WitnessedPart(msgspec.Struct, frozen=True):
    line: int
    quantity_milli: int


class WitnessedOffer(msgspec.Struct, frozen=True):
    line: int
    sku: str
    quantity_milli: int
    replaces: int


class WitnessedPickup(msgspec.Struct, frozen=True, tag_field="kind", tag="pickup"):
    order_id: str
    step: str
    moves: tuple[WitnessedMove, ...] = ()
    state: str = ""
    order_revision: int = 0
    lines: tuple[WitnessedPart, ...] = ()
    short_reason: str = ""
    accept: bool = False
    from_staged: bool = False
    written_off_milli: int = 0
    substitute: WitnessedOffer | None = None


class WitnessedProof(msgspec.Struct, frozen=True, tag_field="kind", tag="proof"):
    label: str
    version: str
    sku: str
    price_minor: int


class WitnessedException(msgspec.Struct, frozen=True, tag_field="kind", tag="exception"):
    reason: str
    about: str
    detail: str = ""


class WitnessedOther(msgspec.Struct, frozen=True, tag_field="kind", tag="till-close"):
    pass


class WitnessedAct(msgspec.Struct, frozen=True, tag_field="kind", tag="staff-act"):
    pass


WitnessedFact = (WitnessedTransaction | WitnessedMovement | WitnessedCount | WitnessedPickup | WitnessedProof
                 | WitnessedException | WitnessedOther | WitnessedAct)

_decoder: msgspec.json.Decoder[WitnessedFact] = msgspec.json.Decoder(WitnessedFact)


def read_payload(entry: LedgerEntry) -> WitnessedFact:
    """Raises `msgspec.MsgspecError` for a payload that is none."""
    return _decoder.decode(entry.payload)


def decode_payload(payload: bytes) -> WitnessedFact:
    """The same of the bytes alone."""
    return _decoder.decode(payload)
