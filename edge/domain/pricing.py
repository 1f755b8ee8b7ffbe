"""Which price list entry holds, until when, and which changes wait for a person (DESIGN.md section 5)."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from cloud_sync.contract.documents import Policy, PriceKind


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
class Verdict:
    """What the guard holds: SKUs, or everything. `reason` is for the person who decides; empty when nothing is held."""

    held_skus: frozenset[str]
    holds_all: bool
    reason: str


def guard(moves: Mapping[str, tuple[int, int | None]], priced_skus: int, policy: Policy) -> Verdict:
    """Which of a batch's price moves wait for a person before any label, till or claim sees them.

    `moves`: per SKU the price before and after (`None`: the price would go away). First prices are no moves.
    `priced_skus`: how many SKUs have a price now.
    """
    moved = {sku: pair for sku, pair in moves.items() if pair[0] != pair[1]}
    if len(moved) * 100 > priced_skus * policy.guard_share_percent and len(moved) >= _FEW_SKUS:
        return Verdict(frozenset(moved), True, f"{len(moved)} of {priced_skus} prices would move at once")
    wild = frozenset(sku for sku, (before, after) in moved.items() if _is_wild(before, after, policy))
    reason = f"{len(wild)} prices would move beyond the guard, such as {_example(moved, wild)}" if wild else ""
    return Verdict(wild, False, reason)


_FEW_SKUS = 10
"""Below this many the share says nothing: a shop with five items may reprice two."""


def _is_wild(before: int, after: int | None, policy: Policy) -> bool:
    if after is None:
        return False
    return (after * 100 < before * (100 - policy.guard_decrease_percent)
            or after * 100 > before * (100 + policy.guard_increase_percent))


def _example(moved: Mapping[str, tuple[int, int | None]], wild: frozenset[str]) -> str:
    sku = min(wild)
    before, after = moved[sku]
    return f"{sku} from {before} to {after} (minor units)"


def shoppers_gone_in_ms(policy: Policy, weekday: int, minute_of_day: float) -> int | None:
    """Until the store is closed and cleared out, in milliseconds; `None` when always open.

    `weekday` from Monday = 0 and `minute_of_day` are the store's local time. 0: nobody is in the store.
    """
    if not policy.hours:
        return None
    ends = list(_cleared_minutes(policy, weekday))
    inside = [(opens, cleared) for opens, cleared in ends if opens <= minute_of_day < cleared]
    if not inside:
        return 0
    return int((max(cleared for _, cleared in inside) - minute_of_day) * 60_000)


def _cleared_minutes(policy: Policy, weekday: int) -> Sequence[tuple[float, float]]:
    """Opening and cleared-out minute, relative to today's midnight, of yesterday's and today's hours."""
    spans = []
    for day_offset in (-1, 0):
        hours = policy.hours[(weekday + day_offset) % 7]
        if hours is not None:
            shift = day_offset * 1440
            spans.append((hours.opens_minute + shift, hours.closes_minute + shift + policy.clear_out_s / 60))
    return spans
