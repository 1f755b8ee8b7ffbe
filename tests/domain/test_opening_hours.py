"""When are the shoppers gone? Closing plus clear-out, over midnight, closed days and the nights the clock changes."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloud_sync.contract.documents import OpeningHours, Policy
from edge.domain.claims import grace_end
from edge.domain.pricing import shoppers_gone_in_ms

MADRID = ZoneInfo("Europe/Madrid")
NINE_TO_TEN_PM = (OpeningHours(9 * 60, 22 * 60),) * 6 + (None,)  # closed on Sundays
NIGHT_TRADING = (OpeningHours(9 * 60, 27 * 60),) * 7              # until three in the morning
NEVER_CLOSES = (OpeningHours(0, 1440),) * 7
HALF_AN_HOUR_S = 1800


def gone_in_minutes(hours: tuple[OpeningHours | None, ...], local: str) -> float | None:
    """`local`: a local time of Madrid, `2026-11-23 21:30`."""
    now = datetime.fromisoformat(local).replace(tzinfo=MADRID)
    gone_ms = shoppers_gone_in_ms(Policy(hours=hours, clear_out_s=HALF_AN_HOUR_S), now)
    return None if gone_ms is None else gone_ms / 60_000


@pytest.mark.parametrize(("hours", "local", "minutes"), [
    ((), "2026-11-23 21:30", None),                       # no hours: always open
    (NINE_TO_TEN_PM, "2026-11-23 21:30", 60),             # Monday, half an hour before closing
    (NINE_TO_TEN_PM, "2026-11-23 22:15", 15),             # being cleared
    (NINE_TO_TEN_PM, "2026-11-23 22:30", 0),
    (NINE_TO_TEN_PM, "2026-11-23 08:59", 0),
    (NINE_TO_TEN_PM, "2026-11-22 12:00", 0),              # Sunday
    (NINE_TO_TEN_PM, "2026-11-21 22:29", 1),              # Saturday's clear-out
    (NIGHT_TRADING, "2026-11-24 02:30", 60),              # Monday's night
    (NIGHT_TRADING, "2026-11-24 03:30", 0),
    (NEVER_CLOSES, "2026-11-23 23:50", None),             # midnight closes nothing
    ((OpeningHours(1200, 120),) * 7, "2026-11-24 01:00", 90),   # written as 20:00 to 02:00
    ((OpeningHours(540, 1320),) * 3, "2026-11-23 21:30", None),  # three days are no week: nothing to go by
    (NIGHT_TRADING, "2026-10-25 02:30", 60 + 60 + 30 - 30),      # clocks go back: 02:30 comes twice, closing is later
    (NIGHT_TRADING, "2026-03-29 01:30", 60),              # clocks go forward: half past one to three is half an hour
    ((OpeningHours(600, 1560),) * 7, "2026-03-29 01:30", 60),  # closes at two, which that night does not have
])
def test_p3_until_the_store_is_cleared_out(hours: tuple[OpeningHours | None, ...], local: str, minutes: float | None):
    assert gone_in_minutes(hours, local) == minutes


@given(start=st.integers(0, 400 * 24 * 60), night=st.integers(0, 600))
def test_p3_nobody_is_gone_while_the_store_is_open_or_being_cleared(start: int, night: int):
    """Minute by minute in real time, whatever the clocks on the wall do."""
    hours = (OpeningHours(600, 1260 + night),) * 7
    now = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(minutes=start)
    gone_ms = shoppers_gone_in_ms(Policy(hours=hours, clear_out_s=HALF_AN_HOUR_S), now.astimezone(MADRID))
    for offset in (0, -1):
        day = now.astimezone(MADRID).replace(hour=0, minute=0, second=0, microsecond=0, tzinfo=None)
        opens = (day + timedelta(days=offset, minutes=600)).replace(tzinfo=MADRID)
        closes = (day + timedelta(days=offset, minutes=1260 + night)).replace(tzinfo=MADRID)  # of two, the earlier
        cleared = closes.astimezone(UTC) + timedelta(seconds=HALF_AN_HOUR_S)
        if opens <= now < cleared:
            assert gone_ms is not None
            assert gone_ms >= (cleared - now) / timedelta(milliseconds=1)


@given(settle_ms=st.integers(0, 10**6), grace_ms=st.integers(-10**6, 10**7), gone_ms=st.integers(0, 10**7) | st.none())
def test_p3_the_screen_always_settles_and_the_walk_is_at_most_grace_and_at_most_to_the_door(
        settle_ms: int, grace_ms: int, gone_ms: int | None):
    walk_ms = grace_end(0, settle_ms, grace_ms, gone_ms) - settle_ms
    assert 0 <= walk_ms <= max(0, grace_ms)
    if gone_ms is not None and gone_ms >= settle_ms:
        assert walk_ms == min(max(0, grace_ms), gone_ms - settle_ms)
