"""Grace over restarts (DESIGN.md section 5, Clocks): exact within one boot, never shorter after another one."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from edge.limits import HOUSEKEEPING_PAUSE_MAX_S
from edge.virtual_time import run
from tests.daemon.virtual_box import VirtualBox, virtual_box

EXACT_S = 0.3
"""How finely a scene looks, and what a commit and a stamp in milliseconds add."""

Interruption = Callable[[VirtualBox], Awaitable[None]]


@dataclass
class Grace:
    """How long after the proof of an increase the till asked for it: by the world's clock, and with the box on."""

    world_s: float
    powered_s: float


def grace(directory: Path, *interruptions: Interruption) -> Grace:
    """One increase, its proof, and after a minute each interruption, a minute apart."""
    taken: list[Grace] = []

    async def scene() -> None:
        async with virtual_box(directory) as box:
            box.sells_milk_at(99)
            await box.label_shows_milk()
            box.sells_milk_at(109)
            await box.until(lambda: box.label_out().state != "shown")
            await box.until(lambda: box.label_out().state == "shown")
            loop = asyncio.get_running_loop()
            proven_s, powered_s = loop.time(), box.clock.powered_s()
            for interrupt in interruptions:
                await asyncio.sleep(60.0)
                assert await box.charge() == 99
                await interrupt(box)
            while (charge := await box.charge()) == 99:  # noqa: ASYNC110 - a till asks again and again
                await asyncio.sleep(0.1)
            assert charge == 109
            taken.append(Grace(loop.time() - proven_s, box.clock.powered_s() - powered_s))

    run(scene())
    return taken[0]


async def is_restarted(box: VirtualBox) -> None:
    await box.stop()
    await asyncio.sleep(20.0)
    box.start()


async def is_killed(box: VirtualBox) -> None:
    await box.kill()
    await asyncio.sleep(20.0)
    box.start()


async def loses_power(box: VirtualBox) -> None:
    await box.kill()
    box.clock.switch_off()
    await asyncio.sleep(3600.0)
    box.clock.switch_on()
    box.start()


async def is_switched_off(box: VirtualBox) -> None:
    box.label.cut_power()
    await asyncio.sleep(HOUSEKEEPING_PAUSE_MAX_S * 2 / 3)  # the last round's stamp is some time ago
    await box.stop()
    box.clock.switch_off()
    await asyncio.sleep(3600.0)
    box.clock.switch_on()
    box.start()


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Grace:
    return grace(tmp_path_factory.mktemp("undisturbed"))


@pytest.mark.parametrize("interruption", [is_restarted, is_killed])
def test_p3_a_restart_within_one_boot_keeps_the_grace_exact(tmp_path: Path, undisturbed: Grace,
                                                            interruption: Interruption) -> None:
    taken = grace(tmp_path, interruption, interruption, interruption)

    assert taken.world_s == pytest.approx(undisturbed.world_s, abs=EXACT_S)


def test_p3_time_switched_off_counts_nothing(tmp_path: Path, undisturbed: Grace) -> None:
    taken = grace(tmp_path, is_switched_off)

    assert taken.powered_s == pytest.approx(undisturbed.powered_s, abs=EXACT_S)
    assert taken.world_s > undisturbed.world_s + 3599


@pytest.mark.parametrize("interruptions", [1, 3])
def test_p3_after_power_cuts_grace_is_never_shorter_and_little_longer(tmp_path: Path, undisturbed: Grace,
                                                                      interruptions: int) -> None:
    taken = grace(tmp_path, *[loses_power] * interruptions)

    longest_s = undisturbed.powered_s + interruptions * (HOUSEKEEPING_PAUSE_MAX_S + EXACT_S)
    assert undisturbed.powered_s - EXACT_S <= taken.powered_s <= longest_s
