"""A till's clock, worked out from its own sales: delays, backlogs, mistakes of a whole hour, jumps."""

from collections.abc import Iterator
from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloud_sync.contract.facts import Flag
from edge.domain.till_clock import (
    AGREE_MS,
    FUTURE_MS,
    LATE_MS,
    ORDER_MS,
    RUN_MIN,
    SALES_KEPT_MAX,
    Heard,
    Step,
    confirms,
    contradicts_day,
    contradicts_order,
    corrected_ms,
    estimate,
    milliseconds,
    on_the_wall,
    still_telling,
    time_flags,
)

NOON_MS = 1_795_431_600_000
SECOND, MINUTE, HOUR = 1000, 60_000, 3_600_000
MADRID = ZoneInfo("Europe/Madrid")

errors = st.integers(-400 * 24 * HOUR, 400 * 24 * HOUR) | st.sampled_from((HOUR, -HOUR, 0))
quick_delays = st.integers(0, AGREE_MS // 2)
pauses = st.integers(20 * SECOND, 5 * MINUTE)


def sales(ahead_ms: int, delays: list[int], pause_ms: int, begins_ms: int = NOON_MS) -> Iterator[Heard]:
    """One sale after the other, each with its delay."""
    for number, delay_ms in enumerate(delays):
        sold_ms = begins_ms + number * pause_ms
        yield Heard(sold_ms + delay_ms, sold_ms + ahead_ms)


def backlog(ahead_ms: int, count: int, pause_ms: int, sent_ms: int) -> Iterator[Heard]:
    """Sold while the line was down, and all sent when it was back."""
    for number in range(count):
        yield Heard(sent_ms + number, sent_ms - (count - number) * pause_ms + ahead_ms)


def last(heard: list[Heard]) -> list[Heard]:
    """What is kept of it, as it came in."""
    return sorted(heard, key=lambda each: each.received_ms)[-SALES_KEPT_MAX:]


def is_right(step: Step | None, ahead_ms: int) -> bool:
    return step is not None and abs(step.ahead_ms - ahead_ms) <= AGREE_MS


@given(errors, st.lists(quick_delays, min_size=RUN_MIN, max_size=40), pauses)
def test_it_is_recovered_under_the_delays_of_a_line(ahead_ms: int, delays: list[int], pause_ms: int) -> None:
    heard = last(list(sales(ahead_ms, delays, pause_ms)))
    step = estimate(heard)
    assert is_right(step, ahead_ms)
    assert step is not None
    assert step.ahead_ms <= ahead_ms, "a delay makes a clock look behind, never ahead"


@given(errors, st.lists(quick_delays, min_size=RUN_MIN, max_size=12), st.integers(1, 15), pauses)
def test_sales_that_were_kept_while_the_line_was_down_do_not_change_it(
        ahead_ms: int, delays: list[int], count: int, pause_ms: int) -> None:
    live = list(sales(ahead_ms, delays, pause_ms))
    back_ms = live[-1].received_ms + (count + 2) * pause_ms
    heard = last([*live, *backlog(ahead_ms, count, pause_ms, back_ms)])
    assert is_right(estimate(heard), ahead_ms)
    again = last([*heard, *sales(ahead_ms, delays, pause_ms, back_ms + MINUTE)])
    assert is_right(estimate(again), ahead_ms)


@given(errors, st.integers(1, 200), st.integers(AGREE_MS, 10 * MINUTE))
def test_a_backlog_alone_says_nothing(ahead_ms: int, count: int, pause_ms: int) -> None:
    assert estimate(last(list(backlog(ahead_ms, count, pause_ms, NOON_MS)))) is None


@given(errors, st.lists(quick_delays, min_size=RUN_MIN, max_size=40), errors,
       st.lists(quick_delays, min_size=RUN_MIN, max_size=40), pauses)
def test_a_clock_that_is_set_either_way_is_followed(before_ms: int, first: list[int], after_ms: int, then: list[int],
                                                    pause_ms: int) -> None:
    """Also one that makes a whole hour's mistake, on the day the clocks change or any other."""
    live = list(sales(before_ms, first, pause_ms))
    heard = last([*live, *sales(after_ms, then, pause_ms, live[-1].received_ms + MINUTE)])
    assert is_right(estimate(heard), after_ms)


@given(errors, st.lists(quick_delays, min_size=RUN_MIN, max_size=12), st.integers(2 * AGREE_MS, 10**9),
       st.lists(quick_delays, min_size=RUN_MIN, max_size=8), st.integers(1, 4), pauses)
def test_one_that_was_set_back_is_not_believed_to_be_ahead_again_when_the_line_is_down(
        before_ms: int, first: list[int], back_ms: int, then: list[int], count: int, pause_ms: int) -> None:
    live = list(sales(before_ms, first, pause_ms))
    after = list(sales(before_ms - back_ms, then, pause_ms, live[-1].received_ms + MINUTE))
    step = estimate(last([*live, *after]))
    assert is_right(step, before_ms - back_ms)
    assert step is not None
    kept = still_telling(step, last([*live, *after]))
    back_at_ms = after[-1].received_ms + (count + 2) * pause_ms
    found = estimate(last([*kept, *backlog(before_ms - back_ms, count, pause_ms, back_at_ms)]))
    assert is_right(found, before_ms - back_ms)


@given(st.lists(quick_delays, min_size=RUN_MIN, max_size=20), pauses, st.integers(2 * AGREE_MS, 10**10))
def test_one_sale_from_the_future_is_that_sales_mistake(delays: list[int], pause_ms: int, wrong_ms: int) -> None:
    heard = list(sales(0, delays, pause_ms))
    odd = Heard(heard[-1].received_ms + MINUTE, heard[-1].received_ms + MINUTE + wrong_ms)
    assert is_right(estimate([*heard, odd]), 0)
    assert not confirms(Step(NOON_MS, 0), odd)


@given(st.lists(st.builds(Heard, st.integers(), st.integers()), max_size=SALES_KEPT_MAX))
def test_whatever_tills_say_it_says_something_or_nothing(heard: list[Heard]) -> None:
    step = estimate(heard)
    assert step is None or min(-each.lag_ms for each in heard) <= step.ahead_ms <= max(-each.lag_ms for each in heard)


def test_a_sale_is_dated_by_how_the_clock_was_then() -> None:
    steps = [Step(NOON_MS, 0), Step(NOON_MS + 2 * HOUR, HOUR), Step(NOON_MS + 4 * HOUR, 0)]
    for true_ms, ahead_ms in ((NOON_MS + HOUR, 0), (NOON_MS + 2 * HOUR, HOUR), (NOON_MS + 3 * HOUR, HOUR),
                              (NOON_MS + 5 * HOUR, 0)):
        assert corrected_ms(steps, true_ms + ahead_ms, true_ms + SECOND) == true_ms
    assert corrected_ms(steps, NOON_MS - HOUR, NOON_MS) == NOON_MS - HOUR, "before all that is known"
    assert corrected_ms((), NOON_MS, NOON_MS) == NOON_MS


@given(errors, st.lists(quick_delays, min_size=RUN_MIN, max_size=SALES_KEPT_MAX), pauses)
def test_an_estimate_dates_the_sales_that_it_was_made_from(ahead_ms: int, delays: list[int], pause_ms: int) -> None:
    heard = list(sales(ahead_ms, delays, pause_ms))
    step = estimate(heard)
    assert step is not None
    for each in heard:
        corrected = corrected_ms([step], each.occurred_ms, each.received_ms)
        assert abs(corrected - (each.occurred_ms - ahead_ms)) <= AGREE_MS


@pytest.mark.parametrize(("lag_ms", "ahead_ms", "flags"), [
    (0, 0, ()), (-FUTURE_MS, 0, ()), (-FUTURE_MS - 1, 0, (Flag.EARLY,)), (-HOUR, HOUR, ()),
    (-HOUR - FUTURE_MS - 1, HOUR, (Flag.EARLY,)), (0, -HOUR, ()), (-FUTURE_MS - 1, -HOUR, (Flag.EARLY,)),
    (LATE_MS, 0, ()), (LATE_MS + 1, 0, (Flag.LATE,)), (LATE_MS + 1, -HOUR, ()),
    (LATE_MS - HOUR + 1, HOUR, (Flag.LATE,))])
def test_early_and_late_are_beyond_what_the_clock_is_wrong_by(lag_ms: int, ahead_ms: int,
                                                              flags: tuple[Flag, ...]) -> None:
    assert time_flags(Heard(NOON_MS, NOON_MS - lag_ms), ahead_ms) == flags


@pytest.mark.parametrize(("sold", "contradicts"), [
    ("2026-11-23T08:00", False), ("2026-11-24T04:00", False), ("2026-11-22T20:00", False), ("2026-11-24T12:01", True),
    ("2026-11-22T11:59", True), ("2025-11-23T12:00", True), ("0001-01-01T00:00", True), ("9999-12-31T23:59", True)])
def test_a_night_belongs_to_the_day_before_and_another_day_contradicts(sold: str, contradicts: bool) -> None:
    moment = datetime.fromisoformat(sold).replace(tzinfo=MADRID)
    epoch = datetime.fromisoformat("1970-01-01T00:00+00:00")
    assert contradicts_day(int((moment - epoch).total_seconds() * 1000), "2026-11-23", MADRID) is contradicts


@pytest.mark.parametrize("day", ["0001-01-01", "9999-12-31"])
def test_any_day_of_the_calendar_can_be_compared(day: str) -> None:
    assert contradicts_day(NOON_MS, day, MADRID)


def test_order_is_contradicted_on_either_side_and_not_by_a_little() -> None:
    assert not contradicts_order(NOON_MS, None, None)
    assert not contradicts_order(NOON_MS, NOON_MS + ORDER_MS, NOON_MS - ORDER_MS)
    assert contradicts_order(NOON_MS, NOON_MS + ORDER_MS + 1, None)
    assert contradicts_order(NOON_MS, None, NOON_MS - ORDER_MS - 1)


@pytest.mark.parametrize(("wall", "received", "means"), [
    ("2026-10-25T02:30", "2026-10-25T00:30:05+00:00", "2026-10-25T00:30+00:00"),
    ("2026-10-25T02:30", "2026-10-25T01:30:05+00:00", "2026-10-25T01:30+00:00"),
    ("2026-10-25T12:00", "2026-10-25T11:00:05+00:00", "2026-10-25T11:00+00:00"),
    ("2026-03-29T02:30", "2026-03-29T01:30:05+00:00", "2026-03-29T01:30+00:00")])
def test_in_the_hour_that_comes_twice_a_sale_is_of_the_time_that_it_came_in(wall: str, received: str,
                                                                            means: str) -> None:
    """Tills that name no offset; the last one gives a time that there was not."""
    moment = on_the_wall(datetime.fromisoformat(wall), MADRID, milliseconds(datetime.fromisoformat(received)))
    assert milliseconds(moment) == milliseconds(datetime.fromisoformat(means))
