"""Parcels of an order that is shipped from a store: what becomes of one, and what may be packed. Pure.

The order itself goes the way of any other up to picked (`pickup_order`). Its goods stay put aside while they are packed
and leave when a parcel is handed to the carrier, which is a hand-over of the parcel's lines: so a cancel counts until
then, and goods that left have left (P6). Quantities in thousandths, weights in grams.
"""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from cloud_sync.contract.facts import ParcelStep
from cloud_sync.contract.pickup import FINAL
from cloud_sync.contract.pickup_order import PickupOrder, state_of

PARCELS_MAX = 50
"""Of one order."""

WEIGHT_G_MAX = 1_000_000

TRACKING = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ./_-]{2,39}")
"""What can be a carrier's number, and stands in a Code 128."""

CARRIER_MAX_CHARS = 40


class ParcelState(StrEnum):
    """Where a parcel is. `HANDED`: with the carrier; `UNPACKED`: there is none any more."""

    PACKED = "packed"
    HANDED = "handed"
    UNPACKED = "unpacked"


class Packing(StrEnum):
    """The steps that are facts of their own."""

    PACK = "pack"
    LABEL = "label"
    UNPACK = "unpack"


@dataclass(frozen=True, slots=True)
class Parcel:
    """`lines`: line and quantity. Without `tracking` it is not labelled yet."""

    parcel_id: str
    order_id: str
    number: int
    state: ParcelState = ParcelState.PACKED
    lines: tuple[tuple[int, int], ...] = ()
    weight_g: int = 0
    carrier: str = ""
    service: str = ""
    tracking: str = ""


def after(parcel: Parcel | None, step: ParcelStep) -> Parcel:
    """The parcel after a step. What is with the carrier stays there (P6); a step that this version does not know
    changes nothing."""
    known = parcel or Parcel(step.parcel_id, step.order_id, step.number)
    match step.step:
        case Packing.PACK:
            return replace(known, number=step.number, weight_g=step.weight_g,
                           lines=tuple((line.line, line.quantity_milli) for line in step.lines))
        case Packing.LABEL:
            return replace(known, carrier=step.carrier, service=step.service, tracking=step.tracking)
        case Packing.UNPACK if known.state is ParcelState.PACKED:
            return replace(known, state=ParcelState.UNPACKED)
    return known


def handed(parcel: Parcel) -> Parcel:
    """It is with the carrier."""
    return replace(parcel, state=ParcelState.HANDED)


def packed_milli(parcels: Iterable[Parcel]) -> Counter[int]:
    """How much of each line stands in parcels that are still here."""
    packed = Counter[int]()
    for parcel in parcels:
        for line, milli in parcel.lines if parcel.state is ParcelState.PACKED else ():
            packed[line] += milli
    return packed


def to_pack(order: PickupOrder, parcels: Iterable[Parcel]) -> dict[int, int]:
    """What of an order is picked and in no parcel yet: line → quantity."""
    packed = packed_milli(parcels)
    return {line.line: milli for line in order.lines
            if line.is_wanted and (milli := line.staged_milli - packed[line.line]) > 0}


def pack_refusal(order: PickupOrder, parcels: Sequence[Parcel], lines: Sequence[tuple[int, int]],
                 weight_g: int) -> str:
    """Why these units cannot go into a new parcel; an empty text if they can."""
    state, left = state_of(order), to_pack(order, parcels)
    if state in FINAL:
        return f"order {order.order_id} is {state}: there is nothing to pack"
    if len(parcels) >= PARCELS_MAX:
        return f"order {order.order_id} has {PARCELS_MAX} parcels already"
    if not 0 < weight_g <= WEIGHT_G_MAX:
        return f"a parcel weighs between 1 and {WEIGHT_G_MAX} g"
    if not lines or len({number for number, _ in lines}) < len(lines):
        return f"order {order.order_id}: say what is in the parcel, each line once"
    for number, milli in lines:
        if not 0 < milli <= left.get(number, 0):
            return f"order {order.order_id}: so much of line {number} does not wait to be packed"
    return ""


def label_refusal(parcel: Parcel, carrier: str, service: str, tracking: str) -> str:
    """Why the parcel cannot be labelled so; an empty text if it can."""
    if parcel.state is not ParcelState.PACKED:
        return f"parcel {parcel.number} of order {parcel.order_id} is {parcel.state}"
    if not carrier.strip() or max(len(carrier), len(service)) > CARRIER_MAX_CHARS:
        return "a label needs its carrier"
    if not (carrier + service).isprintable() or not TRACKING.fullmatch(tracking):
        return "this is no tracking number"
    return ""
