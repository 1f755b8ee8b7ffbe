"""Which price list entry holds, until when, and which changes wait for a person (DESIGN.md section 5)."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import takewhile

from cloud_sync.contract.documents import Policy, PriceKind
from cloud_sync.contract.opening_hours import WEEK_DAYS, Calendar


@dataclass(frozen=True, slots=True)
class PriceEntry:
    """A price list entry. Valid from `valid_from_ms` (inclusive) until `valid_until_ms` (exclusive), wall clock."""

    entry_id: str
    version: int
    sku: str
    price_minor: int
    currency: str
    kind: PriceKind
    priority: int
    valid_from_ms: int
    valid_until_ms: int | None

    def holds_at(self, now_ms: int) -> bool:
        """Whether the entry is valid at that moment."""
        return self.valid_from_ms <= now_ms and (self.valid_until_ms is None or now_ms < self.valid_until_ms)


@dataclass(frozen=True, slots=True)
class Selection:
    """The entry that holds now (`None`: no list price), and when to look again (`None`: never by itself)."""

    entry: PriceEntry | None
    until_ms: int | None
    tied: bool = False


def select(entries: Iterable[PriceEntry], now_ms: int) -> Selection:
    """The highest priority wins; a tie is reported and the lowest price wins."""
    entries = tuple(entries)
    holding = [entry for entry in entries if entry.holds_at(now_ms)]
    until_ms = min(_boundaries_after(entries, now_ms), default=None)
    if not holding:
        return Selection(None, until_ms)
    priority = max(entry.priority for entry in holding)
    best = [entry for entry in holding if entry.priority == priority]
    return Selection(min(best, key=lambda entry: (entry.price_minor, entry.entry_id)), until_ms, tied=len(best) > 1)


def _boundaries_after(entries: Iterable[PriceEntry], now_ms: int) -> Iterable[int]:
    for entry in entries:
        if entry.valid_from_ms > now_ms:
            yield entry.valid_from_ms
        elif entry.valid_until_ms is not None and entry.valid_until_ms > now_ms:
            yield entry.valid_until_ms


@dataclass(frozen=True, slots=True)
class Move:
    """One change of a batch: the SKU's list price before, and the price the change brings (`None`: it goes away)."""

    sku: str
    before_minor: int
    after_minor: int | None


@dataclass(frozen=True, slots=True)
class Verdict:
    """The SKUs whose changes the guard holds. `reason` is for the person who decides; empty when nothing is held."""

    held_skus: frozenset[str] = frozenset()
    reason: str = ""


def guard(moves: Iterable[Move], priced_skus: int, policy: Policy) -> Verdict:
    """Which of a batch's price moves wait for a person before any label, till or claim sees them.

    First prices are no moves. `priced_skus`: how many SKUs have a price now. A SKU with one wild change among many
    is held with all of them.
    """
    moved = [move for move in moves if move.before_minor != move.after_minor]
    skus = frozenset(move.sku for move in moved)
    if len(skus) * 100 > priced_skus * policy.guard_share_percent and len(skus) >= FEW_SKUS:
        return Verdict(skus, f"{len(skus)} of {priced_skus} prices would move at once")
    wild = [move for move in moved if _is_wild(move, policy)]
    if not wild:
        return Verdict()
    held = frozenset(move.sku for move in wild)
    return Verdict(held, f"{len(held)} prices would move beyond the guard, such as {_example(wild)}")


FEW_SKUS = 10
"""Below this many the share says nothing: a shop with five items may reprice two."""


def _is_wild(move: Move, policy: Policy) -> bool:
    if move.after_minor is None:
        return False
    return (move.after_minor * 100 < move.before_minor * (100 - policy.guard_decrease_percent)
            or move.after_minor * 100 > move.before_minor * (100 + policy.guard_increase_percent))


def _example(wild: Iterable[Move]) -> str:
    move = min(wild, key=lambda move: move.sku)
    return f"{move.sku} from {move.before_minor} to {move.after_minor} (minor units)"


def shoppers_gone_in_ms(policy: Policy, now: datetime) -> int | None:
    """Until the store is closed and cleared out, in milliseconds; `None` when that is not in sight.

    `now` is an aware local time of the store's zone. 0: nobody is in the store. Hours that follow one another
    without the store being cleared in between are one span: a shopper of Monday, 23:50 may still walk on Tuesday.
    """
    if len(policy.hours) != WEEK_DAYS:  # no hours: always open; a wrong number is nothing to shorten a grace by
        return None
    assert now.tzinfo is not None, "an aware time"
    spans, week = Calendar(now.tzinfo, policy.hours).spans(now - timedelta(days=1)), timedelta(days=WEEK_DAYS)
    gone: datetime | None = None
    for opens, closes in takewhile(lambda span: span[0] <= now + 2 * week, spans):
        cleared = closes + timedelta(seconds=policy.clear_out_s)
        if gone is None and opens <= now < cleared:
            gone = cleared
        elif gone is not None and opens <= gone:
            gone = max(gone, cleared)
    if gone is None:
        return 0
    return None if gone > now + week else int((gone - now) / timedelta(milliseconds=1))
