"""The pause before a line that was lost is opened again: full jitter, doubled with every failure in a row, and a
heartbeat meanwhile, so that whoever waits is not taken for one that hangs."""

import asyncio
import random
from collections.abc import Callable

BACK_OFF_FIRST_S = 0.5  # after the first failure the pause is anything up to this
BACK_OFF_MAX_S = 15.0
BACK_OFF_DOUBLINGS_MAX = 10
BEAT_S = 0.5  # whoever waits still shows progress this often


def longest_pause_s(failures: int) -> float:
    """After so many failures in a row, at least one."""
    return min(BACK_OFF_MAX_S, BACK_OFF_FIRST_S * 2.0 ** min(failures - 1, BACK_OFF_DOUBLINGS_MAX))


async def back_off(failures: int, randomness: random.Random, beat: Callable[[], None]) -> None:
    """Wait as long as is due after so many failures in a row; `beat` is called at least every `BEAT_S`."""
    now_s = asyncio.get_running_loop().time
    until_s = now_s() + randomness.uniform(0, longest_pause_s(failures))
    while (left_s := until_s - now_s()) > 0:
        beat()
        await asyncio.sleep(min(left_s, BEAT_S))
