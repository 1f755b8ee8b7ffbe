"""When an order should be ready and how long it waits: hours per weekday, closed days, clocks that change."""

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloud_sync.contract.documents import OpeningHours, Policy
from cloud_sync.contract.opening_hours import Calendar
from cloud_sync.contract.pickup_deadlines import accept_by_ms, expires_ms, hold_end_ms, promised_ms

MADRID = ZoneInfo("Europe/Madrid")
SHOP = OpeningHours(9 * 60, 20 * 60)
NIGHT = OpeningHours(18 * 60, 26 * 60)
WEEK = (SHOP, SHOP, SHOP, SHOP, SHOP, OpeningHours(9 * 60, 14 * 60), None)
DAY_S, HOUR_S = 86_400, 3600


def at(text: str, fold: int = 0) -> int:
    """Local time in Madrid, as `2026-03-27 15:00`."""
    return int(datetime.fromisoformat(text).replace(tzinfo=MADRID, fold=fold).timestamp() * 1000)


def shop(*closed: str, hours: tuple[OpeningHours | None, ...] = WEEK) -> Calendar:
    return Calendar.of(Policy(hours=hours, closed_days=closed), MADRID)


@pytest.mark.parametrize(("placed", "promised"), [
    ("2026-11-30 10:00", "2026-11-30 14:00"),       # Monday, time enough
    ("2026-11-30 18:00", "2026-12-01 11:00"),       # two hours today, two tomorrow
    ("2026-11-30 22:00", "2026-12-01 13:00"),       # the store is closed: from its opening on
    ("2026-12-05 12:00", "2026-12-07 11:00"),       # Saturday closes at two, Sunday not open at all
    ("2026-12-24 18:00", "2026-12-26 11:00"),       # Christmas
])
def test_a_promise_counts_only_hours_in_which_somebody_can_pick(placed: str, promised: str) -> None:
    """retail.md 2.2: static store hours mis-promise same-day pick-up."""
    assert promised_ms(shop("2026-12-25"), at(placed), 4 * HOUR_S) == at(promised)


def test_an_order_of_the_night_is_to_be_accepted_in_the_morning() -> None:
    assert accept_by_ms(shop(), at("2026-11-30 23:00"), 1800) == at("2026-12-01 09:30")
    assert accept_by_ms(shop(hours=()), at("2026-11-30 23:00"), 1800) == at("2026-11-30 23:30")


def test_hours_past_midnight_belong_to_the_day_they_began() -> None:
    bar = shop("2026-12-02", hours=(NIGHT,) * 7)
    assert promised_ms(bar, at("2026-12-01 00:30"), HOUR_S) == at("2026-12-01 01:30")
    assert promised_ms(bar, at("2026-12-02 01:30"), HOUR_S) == at("2026-12-03 18:30")   # Wednesday stays closed


@pytest.mark.parametrize(("told", "until"), [
    ("2026-11-30 15:00", "2026-12-03 15:00"),
    ("2026-12-04 15:00", "2026-12-08 15:00"),       # Friday: Sunday does not count
    ("2026-12-24 15:00", "2026-12-29 15:00"),       # Christmas and Sunday do not
    ("2026-12-06 10:00", "2026-12-10 00:00"),       # told on a Sunday: three whole days from Monday on
    ("2026-03-27 15:00", "2026-03-31 15:00"),       # the clocks change on Sunday
    ("2026-10-23 15:00", "2026-10-27 15:00"),
])
def test_closed_days_do_not_count_and_the_hold_ends_at_its_hour(told: str, until: str) -> None:
    assert hold_end_ms(shop("2026-12-25"), at(told), 3 * DAY_S) == at(until)


def test_a_hold_that_ends_within_the_changing_hour_ends_at_its_later_reading() -> None:
    open_always = shop(hours=())
    assert hold_end_ms(open_always, at("2026-10-24 02:30"), DAY_S) == at("2026-10-25 02:30", fold=1)
    assert hold_end_ms(open_always, at("2026-03-28 02:30"), DAY_S) == at("2026-03-29 03:30")


def test_a_shift_on_the_day_of_the_change_is_as_long_as_it_really_is() -> None:
    """Twenty-three hours of a store that is always open: the promise counts real time."""
    always = shop(hours=())
    assert promised_ms(always, at("2026-03-29 00:00"), 4 * HOUR_S) == at("2026-03-29 05:00")
    assert promised_ms(always, at("2026-10-25 00:00"), 4 * HOUR_S) == at("2026-10-25 03:00")


def test_the_hold_begins_when_the_customer_was_told_not_when_the_goods_were_ready() -> None:
    policy = Policy(hours=WEEK, hold_s=3 * DAY_S, hold_max_s=7 * DAY_S)
    placed, told = at("2026-11-30 10:00"), at("2026-12-05 10:00")
    assert expires_ms(Calendar.of(policy, MADRID), policy, placed, told) == at("2026-12-09 10:00")
    assert expires_ms(Calendar.of(policy, MADRID), policy, placed, None) == at("2026-12-08 10:00")


@pytest.mark.parametrize("calendar", [shop(hours=(None,) * 7)])
def test_a_store_that_never_opens_promises_nothing_and_waits_without_end(calendar: Calendar) -> None:
    now = at("2026-11-30 10:00")
    assert (promised_ms(calendar, now, 60), accept_by_ms(calendar, now, 60), hold_end_ms(calendar, now, 60)) == (
        None, None, None)


def test_a_closed_day_that_is_no_date_closes_nothing() -> None:
    assert shop("Christmas", "2026-13-40").closed_days == frozenset()


@given(st.integers(0, 366 * 24 * 60), st.integers(0, 12 * DAY_S), st.integers(0, 3 * DAY_S))
def test_a_later_start_or_a_longer_wait_never_ends_earlier(minute: int, wait_s: int, more_s: int) -> None:
    start, calendar = at("2026-01-01 00:00") + minute * 60_000, shop("2026-12-25", "2027-01-06")
    for deadline in (hold_end_ms, promised_ms):
        first, longer = deadline(calendar, start, wait_s), deadline(calendar, start, wait_s + more_s)
        later = deadline(calendar, start + more_s * 1000, wait_s)
        assert first is not None
        assert longer is not None
        assert later is not None
        assert start <= first <= min(longer, later) + 3_600_000 * (deadline is hold_end_ms)
        assert first <= longer
