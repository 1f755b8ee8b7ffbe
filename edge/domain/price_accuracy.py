"""Did tills charge what they should have? Both directions count (NIST Handbook 130; retail.md 4.1, 4.3 rule 9). Pure.

What should have been charged is what this store asked at the moment of the scan. A till that says no scan time may have
looked the price up some time before it sold: then the dearest of that time is what it may have charged.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from edge.domain.prior_price import Applied
from edge.domain.promotion import rounded

SCAN_TOLERANCE_MS = 5_000
"""Between the till's clock and ours."""

UNSAID_SCAN_MS = 15 * 60_000
"""How long before the sale a line without a scan time may have been scanned."""


@dataclass(frozen=True, slots=True)
class SoldLine:
    """A line as it was sold. `at_ms`: its scan, or with `scanned` false the sale."""

    sku: str
    quantity_milli: int
    amount_minor: int
    at_ms: int
    scanned: bool


@dataclass(frozen=True, slots=True)
class Judgement:
    """`over_minor` above nothing: charged too much. `under`: less than any price of that time, as a promotion is."""

    over_minor: int
    under: bool


@dataclass(slots=True)
class Tally:
    """How many lines were exact, over and under; `unknown`: nothing is known of the price of that time."""

    exact: int = 0
    over: int = 0
    under: int = 0
    unknown: int = 0
    over_minor: int = 0

    def count(self, judgement: Judgement | None) -> None:
        """One more line."""
        if judgement is None:
            self.unknown += 1
        elif judgement.over_minor > 0:
            self.over += 1
            self.over_minor += judgement.over_minor
        elif judgement.under:
            self.under += 1
        else:
            self.exact += 1


def judge(line: SoldLine, history: Sequence[Applied]) -> Judgement | None:
    """Compare with what the store charged then; `None` when its history does not reach back so far.

    `history`: of the SKU, oldest first.
    """
    tolerance_ms = SCAN_TOLERANCE_MS if line.scanned else UNSAID_SCAN_MS
    charged = _charged(history, line.at_ms - tolerance_ms, line.at_ms + SCAN_TOLERANCE_MS)
    if not charged:
        return None
    dearest, cheapest = (rounded(charge * line.quantity_milli, 1000) for charge in (max(charged), min(charged)))
    return Judgement(max(0, line.amount_minor - dearest), line.amount_minor < cheapest)


def _charged(history: Sequence[Applied], since_ms: int, until_ms: int) -> list[int]:
    """Every charge that held at some moment of the span."""
    return [applied.charge_minor for place, applied in enumerate(history)
            if applied.from_ms <= until_ms and (place == len(history) - 1 or history[place + 1].from_ms > since_ms)]
