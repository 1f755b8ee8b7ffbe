"""systemd's watchdog is fed by what parts did, not by a timer; a fake systemd listens on a real socket."""

import asyncio
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge.heartbeats import BusySince, Counter, Heartbeats, Stall, Watchdog
from edge.limits import WATCHDOG_STATUS_CHARACTERS_MAX
from edge.sd_notify import Notifier, watchdog_interval_s
from edge.virtual_time import VirtualTimeLoop, run
from tests.fake_systemd import FakeSystemd

INTERVAL_S = 10.0


@pytest.fixture(params=["path", "abstract"])
def systemd(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[FakeSystemd]:
    abstract = request.param == "abstract"
    fake = FakeSystemd(f"@trastienda-test-{os.getpid()}" if abstract else str(tmp_path / "notify"))
    yield fake
    fake.close()


class Worker:
    """A part whose counter grows every second until it hangs."""

    def __init__(self) -> None:
        self.progress = 0
        self.hung = False

    async def run(self) -> None:
        while True:
            await asyncio.sleep(1.0)
            self.progress += not self.hung


def test_a_part_that_stops_moving_silences_the_watchdog_while_the_others_move_on(systemd: FakeSystemd) -> None:
    async def scene() -> None:
        heartbeats = Heartbeats(asyncio.get_running_loop().time)
        ledger, driver = Worker(), Worker()
        heartbeats.watch("ledger writer", Counter(lambda: ledger.progress, 60.0))
        heartbeats.watch("base station aisle", Counter(lambda: driver.progress, 120.0))
        watchdog = Watchdog(heartbeats, Notifier(systemd.address), INTERVAL_S)
        tasks = [asyncio.create_task(part.run()) for part in (ledger, driver, watchdog)]

        await asyncio.sleep(600.0)
        assert set(systemd.heard()) == {"WATCHDOG=1"}

        ledger.hung = True
        await asyncio.sleep(60.0 + 2 * INTERVAL_S)
        systemd.heard()
        before = driver.progress
        await asyncio.sleep(600.0)
        assert systemd.heard() == [], "silent: systemd will end the process"
        assert driver.progress == before + 600
        assert [stall.name for stall in heartbeats.stalled()] == ["ledger writer"]

        ledger.hung = False
        await asyncio.sleep(3 * INTERVAL_S)
        assert systemd.heard()[0] == "STATUS=all parts move again"
        for task in tasks:
            task.cancel()

    run(scene())


def test_systemd_is_told_once_who_stands_still(systemd: FakeSystemd) -> None:
    async def scene() -> None:
        heartbeats = Heartbeats(asyncio.get_running_loop().time)
        heartbeats.watch("feed prices", Counter(lambda: 1, 30.0))
        watchdog = Watchdog(heartbeats, Notifier(systemd.address), INTERVAL_S)
        watchdog.beat()
        for _ in range(5):
            await asyncio.sleep(INTERVAL_S)
            watchdog.beat()

        said = [datagram for datagram in systemd.heard() if datagram != "WATCHDOG=1"]
        assert said == ["STATUS=standing still: feed prices for 40 s (limit 30 s)"]

    run(scene())


def test_a_hung_event_loop_is_silent_by_itself(systemd: FakeSystemd) -> None:
    async def scene() -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualTimeLoop)
        watchdog = asyncio.create_task(Watchdog(Heartbeats(loop.time), Notifier(systemd.address), INTERVAL_S).run())
        await asyncio.sleep(1.0)
        systemd.heard()

        loop.jump(3600.0)
        assert systemd.heard() == []
        watchdog.cancel()

    run(scene())


def test_a_part_that_rests_is_well_and_one_that_is_busy_for_too_long_is_not() -> None:
    now_s, busy_since_s = [100.0], [None]
    heartbeats = Heartbeats(lambda: now_s[0])
    heartbeats.watch("pictures", BusySince(lambda: busy_since_s[0], 20.0))

    now_s[0] = 5000.0
    assert heartbeats.stalled() == []

    busy_since_s[0] = 4990.0
    assert heartbeats.stalled() == []

    now_s[0] = 5010.5
    assert heartbeats.stalled() == [Stall("pictures", 20.5, 20.0)]

    heartbeats.forget("pictures")
    assert heartbeats.stalled() == []


def test_each_part_has_its_own_limit() -> None:
    now_s = [0.0]
    heartbeats = Heartbeats(lambda: now_s[0])
    heartbeats.watch("tills", Counter(lambda: 0, 5.0))
    heartbeats.watch("hub", Counter(lambda: 0, 500.0))
    heartbeats.stalled()

    now_s[0] = 6.0
    assert [stall.name for stall in heartbeats.stalled()] == ["tills"]


def test_a_name_is_watched_once() -> None:
    heartbeats = Heartbeats(lambda: 0.0)
    heartbeats.watch("tills", Counter(lambda: 0, 5.0))
    with pytest.raises(ValueError, match="tills"):
        heartbeats.watch("tills", Counter(lambda: 0, 5.0))


def test_ready_reloading_stopping_and_status_are_heard(systemd: FakeSystemd) -> None:
    notifier = Notifier.from_environment({"NOTIFY_SOCKET": systemd.address})

    assert notifier.ready("selling")
    assert notifier.reloading()
    assert notifier.status("hub away since 10:02")
    assert notifier.stopping()

    ready, reloading, status, stopping = systemd.heard()
    assert ready == "READY=1\nSTATUS=selling"
    assert reloading.startswith("RELOADING=1\nMONOTONIC_USEC=")
    assert status == "STATUS=hub away since 10:02"
    assert stopping == "STOPPING=1"


def test_a_status_stays_one_line_of_bounded_length(systemd: FakeSystemd) -> None:
    Notifier(systemd.address).status("bad\nWATCHDOG=1\n" + "x" * 10_000)

    (heard,) = systemd.heard()
    assert "\n" not in heard
    assert len(heard) == len("STATUS=") + WATCHDOG_STATUS_CHARACTERS_MAX


def test_without_systemd_nothing_is_sent_and_nothing_fails(tmp_path: Path) -> None:
    assert Notifier.from_environment({}).ready() is False
    assert Notifier(str(tmp_path / "nobody")).watchdog() is False


@pytest.mark.parametrize(("environment", "interval_s"), [
    ({"WATCHDOG_USEC": "30000000"}, 10.0),
    ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "77"}, 10.0),
    ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "78"}, None),
    ({"WATCHDOG_USEC": "0"}, None),
    ({"WATCHDOG_USEC": "soon"}, None),
    ({}, None),
])
def test_the_watchdog_is_fed_three_times_in_what_the_unit_allows(
        environment: dict[str, str], interval_s: float | None) -> None:
    assert watchdog_interval_s(environment, 77) == interval_s
