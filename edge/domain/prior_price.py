"""The price that a reduction may be measured by: the lowest one applied in this store in the days before it began
(Directive 98/6/EC Art. 6a; CJEU C-330/23: a percentage, too, counts from that price; retail.md 4.1).

What counts is what tills charged, not what a central list had planned. Times are milliseconds of the wall clock.
"""

from collections.abc import Sequence
from dataclasses import dataclass

MS_PER_DAY = 86_400_000


@dataclass(frozen=True, slots=True)
class Applied:
    """From this moment on tills charged so much, until the next one."""

    from_ms: int
    charge_minor: int


def reduced_since(history: Sequence[Applied], price_minor: int, now_ms: int) -> int:
    """Since when the price has been charged without a break; now, when it is not charged yet.

    `history` oldest first.
    """
    since_ms = now_ms
    for applied in reversed(history):
        if applied.charge_minor != price_minor:
            break
        since_ms = applied.from_ms
    return since_ms


def prior_price(history: Sequence[Applied], begins_ms: int, days: int, *, progressive: bool = False) -> int | None:
    """The lowest price applied in the `days` before `begins_ms`; of a shorter time where there is no more, `None` where
    nothing was charged before. `history` oldest first.

    `progressive`: of reductions that follow one another without the price ever rising in between, the price before the
    first one counts (Art. 6a(5), where a member state allows it).
    """
    before: Sequence[Applied] = [applied for applied in history if applied.from_ms < begins_ms]
    if not before:
        return None
    if progressive:
        before = _before_the_first_step(before)
        begins_ms = before[-1].from_ms + 1
    window_ms = begins_ms - days * MS_PER_DAY
    found = [applied.charge_minor for place, applied in enumerate(before)
             if place == len(before) - 1 or before[place + 1].from_ms > window_ms]
    return min(found)


def was_price(history: Sequence[Applied], price_minor: int, begins_ms: int, days: int, *,
              progressive: bool = False) -> int | None:
    """What may stand struck through beside the price; `None` where no reduction may be announced at all."""
    prior = prior_price(history, begins_ms, days, progressive=progressive)
    return prior if prior is not None and prior > price_minor else None


def _before_the_first_step(before: Sequence[Applied]) -> Sequence[Applied]:
    """Up to the last price that was not itself a step down from the one before."""
    last = len(before)
    while last > 1 and before[last - 1].charge_minor < before[last - 2].charge_minor:
        last -= 1
    return before[:last]
