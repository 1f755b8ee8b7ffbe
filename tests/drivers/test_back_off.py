"""The pause before a lost line is opened again (drivers/back_off.py), under virtual time."""

import asyncio
import random

import pytest

from drivers.back_off import BACK_OFF_FIRST_S, BACK_OFF_MAX_S, BEAT_S, back_off, longest_pause_s
from tests.drivers.aisle import virtually


class Longest(random.Random):
    """Always draws the longest pause."""

    def uniform(self, a: float, b: float) -> float:
        return b


def test_it_doubles_up_to_a_bound_however_often_it_failed() -> None:
    assert [longest_pause_s(failures) for failures in (1, 2, 3)] == [BACK_OFF_FIRST_S, BACK_OFF_FIRST_S * 2,
                                                                     BACK_OFF_FIRST_S * 4]
    assert longest_pause_s(10**9) == BACK_OFF_MAX_S


@virtually
async def test_whoever_waits_shows_that_it_is_alive() -> None:
    beats: list[float] = []
    now_s = asyncio.get_running_loop().time
    began_s = now_s()
    await back_off(1_000, Longest(), lambda: beats.append(now_s()))
    assert now_s() - began_s == pytest.approx(BACK_OFF_MAX_S)
    assert max(later - earlier for earlier, later in zip(beats, [*beats[1:], now_s()], strict=True)) <= BEAT_S + 1e-6
