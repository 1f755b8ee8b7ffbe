"""How far a till's clock is ahead of the store's, worked out from its own sales. Pure.

A sale carries the till's time; it is received by the store's. What lies between is the till's error and a delay, and a
delay only ever makes it longer: a till may have been offline for a day, it cannot deliver before it sold. So the least
lag of sales that came in as they happened tells the error. Those agree with each other over a while; sales that were
kept and sent at once do not, because they happened one after the other.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from functools import lru_cache

from cloud_sync.contract.facts import Flag

SALES_KEPT_MAX = 32
"""Sales of a till that its clock is estimated from; older ones say how the clock was, not how it is."""

AGREE_MS = 30_000
"""Sales that came in as they happened lie within this of each other: what a line and a queue need now and then."""

SALES_AGREEING_MIN = 3
"""So many have to agree: a single sale from the future is that sale's mistake."""

LIVE_SPAN_MS = 60_000
"""They have to come in over so long: what arrives at once was kept, and says nothing of when."""

RUN_MIN = 5
"""So many in a row that agree are how the clock is now, whatever was before: somebody set it back."""

STEP_MS = 5_000
"""An estimate that moved by less is the same: the line was quicker this time."""

FUTURE_MS = 60_000
"""A sale from so far in the future, beyond what the clock is ahead anyway, is flagged."""

LATE_MS = 24 * 3_600_000
"""A sale that came in so long after it happened is flagged: its day may be closed in the books."""

ORDER_MS = 10 * 60_000
"""A sale may bear a time so far before that of the sale in front of it: tills number some when they begin them."""

DAY_MS = 24 * 3_600_000
"""A sale may lie so far from the noon of its business day: nights are traded through, and clocks stand in zones."""

CLOCK_FLAGS = frozenset({Flag.EARLY, Flag.LATE, Flag.CONTRADICTORY})
"""Flags of a till's time; a person is told once per till and day, not of each sale."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Heard:
    """A sale: when it came in by the store's clock, when it happened by the till's."""

    received_ms: int
    occurred_ms: int

    @property
    def lag_ms(self) -> int:
        """The delay less what the till's clock is ahead."""
        return self.received_ms - self.occurred_ms


@dataclass(frozen=True, slots=True)
class Step:
    """From `from_ms` by the store's clock on the till's was ahead by `ahead_ms`; behind, when that is negative."""

    from_ms: int
    ahead_ms: int


def estimate(heard: Sequence[Heard]) -> Step | None:
    """How the clock is now, from a till's last sales in the order in which they came in; `None` while they do not say.

    Right to `AGREE_MS` and the least delay of the till's line.
    """
    if not heard or heard[-1].received_ms - heard[0].received_ms < LIVE_SPAN_MS:
        return None
    level = _run(heard) or _lowest_level(heard)
    if not level:
        return None
    least_ms = min(each.lag_ms for each in level)
    return Step(min(each.occurred_ms for each in level) + least_ms, -least_ms)


def confirms(step: Step, sale: Heard) -> bool:
    """Whether the sale is one that the estimate leads to expect, so that there is nothing to estimate anew."""
    return 0 <= sale.lag_ms + step.ahead_ms <= AGREE_MS


def still_telling(step: Step, heard: Sequence[Heard]) -> list[Heard]:
    """The sales that may tell of the clock as it is by this estimate. One of a lesser lag was before the clock was set
    back: kept, it would be believed again as soon as the line is down."""
    return [each for each in heard if each.lag_ms + step.ahead_ms >= 0]


def same(one: Step | None, other: Step) -> bool:
    """Whether both say the same of the clock."""
    return one is not None and abs(one.ahead_ms - other.ahead_ms) < STEP_MS


def corrected_ms(steps: Sequence[Step], occurred_ms: int, received_ms: int) -> int:
    """When a sale happened by the store's clock. `steps`: of its till, oldest first; what happened before the first is
    taken as it was said."""
    for step in reversed(steps):
        if step.from_ms <= received_ms + AGREE_MS and occurred_ms - step.ahead_ms >= step.from_ms - AGREE_MS:
            return occurred_ms - step.ahead_ms
    return occurred_ms


def time_flags(sale: Heard, ahead_ms: int) -> tuple[Flag, ...]:
    """What is odd about the time of a sale, given how far its till's clock is ahead. A clock that is right is never
    early, even after one that was behind was set right."""
    if -sale.lag_ms > max(0, ahead_ms) + FUTURE_MS:
        return (Flag.EARLY,)
    return (Flag.LATE,) if sale.lag_ms + ahead_ms > LATE_MS else ()


def contradicts_day(occurred_ms: int, business_day: str, zone: tzinfo) -> bool:
    """Whether a sale cannot belong to the business day that its till gives for it."""
    return abs(_noon_ms(business_day, zone) - occurred_ms) > DAY_MS


@lru_cache(maxsize=16)
def _noon_ms(day: str, zone: tzinfo) -> int:
    """Of a local day; all the sales of a day ask for the same."""
    return milliseconds(datetime.combine(date.fromisoformat(day), time(12), zone))


def contradicts_order(occurred_ms: int, before_ms: int | None, after_ms: int | None) -> bool:
    """Whether a sale bears a time on the wrong side of the till's sale before it, or of the one after it."""
    return ((before_ms is not None and occurred_ms < before_ms - ORDER_MS)
            or (after_ms is not None and occurred_ms > after_ms + ORDER_MS))


def on_the_wall(moment: datetime, zone: tzinfo, received_ms: int) -> datetime:
    """A time that a till gave without an offset, in the store's zone. In the hour that comes twice when summer ends
    it is the later one, unless that is still to come."""
    first, second = moment.replace(tzinfo=zone, fold=0), moment.replace(tzinfo=zone, fold=1)
    came_twice = (second - _EPOCH) > (first - _EPOCH)
    return second if came_twice and milliseconds(second) <= received_ms + FUTURE_MS else first


def milliseconds(moment: datetime) -> int:
    """Since 1970, of a moment with an offset; any year will do."""
    return (moment - _EPOCH) // timedelta(milliseconds=1)


def _run(heard: Sequence[Heard]) -> list[Heard]:
    """The newest sales where so many in a row agree, and what agrees with them before; else nothing."""
    newest = heard[-RUN_MIN:]
    lags = [each.lag_ms for each in newest]
    if len(newest) < RUN_MIN or max(lags) - min(lags) > AGREE_MS or not _live(newest):
        return []
    return [each for each in heard if abs(each.lag_ms - min(lags)) <= AGREE_MS]


def _lowest_level(heard: Sequence[Heard]) -> list[Heard]:
    """The sales of the least lag at which enough of them agree; nothing when they do nowhere."""
    ordered = sorted(heard, key=lambda each: each.lag_ms)
    end = 0
    for begin, first in enumerate(ordered):
        while end < len(ordered) and ordered[end].lag_ms - first.lag_ms <= AGREE_MS:
            end += 1
        if end - begin >= SALES_AGREEING_MIN and _live(ordered[begin:end]):
            return ordered[begin:end]
    return []


def _live(sales: Sequence[Heard]) -> bool:
    received = [each.received_ms for each in sales]
    return max(received) - min(received) >= LIVE_SPAN_MS
