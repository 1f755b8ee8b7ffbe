"""What a demo came to. Later versions add to this shape and rename nothing in it."""

import statistics
from collections.abc import Sequence

import msgspec


class LabelsReport(msgspec.Struct, frozen=True):
    """`proofs`: delivery proofs in the ledger."""

    adopted: int
    shown: int
    pending: int
    proofs: int


class SaleLinesReport(msgspec.Struct, frozen=True):
    """`offered`: lines that tills sent, every repetition included; each of them is in exactly one of the others.

    `duplicate`: sent again; `exception`: kept and flagged for a person, or kept beside another meaning of the same
    transaction.
    """

    offered: int
    accepted: int
    duplicate: int
    exception: int


class PriceChangesReport(msgspec.Struct, frozen=True):
    """From the hub's answer to a change on, in milliseconds; `hub_to_till` of decreases. What was on its way while the
    line was cut is not in these figures."""

    count: int
    hub_to_proof_ms_p50: int
    hub_to_proof_ms_p99: int
    hub_to_till_ms_p50: int


class OrdersReport(msgspec.Struct, frozen=True):
    """Where the orders that were placed stand in the end: each is in exactly one of the others."""

    placed: int
    ready: int
    handed_over: int
    other: int


class LedgerReport(msgspec.Struct, frozen=True):
    store_head: int
    hub_head: int


class DemoReport(msgspec.Struct, frozen=True):
    """The whole report; `checked`: per promise, how often it was really put to the test."""

    seconds: float
    items: int
    labels: LabelsReport
    sale_lines: SaleLinesReport
    price_changes: PriceChangesReport
    orders: OrdersReport
    ledger: LedgerReport
    backlog: int
    outage_s: float
    checked: dict[str, int]
    violations: list[str]


def percentile(samples: Sequence[float], percent: int) -> int:
    """Rounded; 0 without samples."""
    if len(samples) < 2:
        return round(samples[0]) if samples else 0
    return round(statistics.quantiles(samples, n=100, method="inclusive")[percent - 1])

