"""Each part of the real daemon hangs in turn: systemd is no longer told that all is well, and is again when it ends.

Virtual time where the hang is a wait; the event loop and the writers' threads hang for real, with shrunken limits.
"""

import asyncio
import os
import random
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from cloud_sync.client.limits import QUIET_S_MAX
from cloud_sync.contract.feeds import Feed
from edge.credentials import Credentials
from edge.daemon import Daemon, Parts, system_parts
from edge.heartbeats import WatchLimits
from edge.labels.artist import InlineArtist
from edge.limits import ROOM_QUIET_S_MAX, STATION_QUIET_S_MAX, WATCH_INTERVAL_S
from edge.sd_notify import Notifier
from edge.virtual_time import run
from tests.client.fakes import never_answers, refuses_connection
from tests.daemon.virtual_box import MILK, SECRETS, TILL, YAML, VirtualBox, settings_in, virtual_box
from tests.fake_systemd import BEAT, FakeSystemd

HOUR_S = 3600.0


class Hang:
    """Something that a part waits for until the test lets it go."""

    def __init__(self) -> None:
        self._over = asyncio.Event()

    async def wait(self, *_: object, **__: object) -> None:
        await self._over.wait()

    def end(self) -> None:
        self._over.set()


async def hangs(box: VirtualBox, part: str, limit_s: float, begin: Callable[[], Awaitable[None]],
                end: Callable[[], None]) -> None:
    """One scene: all is well, the part hangs and systemd hears nothing once its limit has passed, the hang ends."""
    await asyncio.sleep(60.0 + WATCH_INTERVAL_S / 2)  # looks between two beats, so that counting them is exact
    box.heard()
    await asyncio.sleep(60.0)
    assert box.heard() == [BEAT] * 12
    assert (await box.health()).status == 200

    await begin()
    await asyncio.sleep(limit_s - WATCH_INTERVAL_S)
    said = box.heard()
    assert BEAT in said, "nothing is wrong before the limit"
    await box.until(lambda: part in stalled(box), within_s=limit_s + 2 * WATCH_INTERVAL_S)
    await asyncio.sleep(WATCH_INTERVAL_S)
    said += box.heard()
    assert any(part in each for each in said if each.startswith("STATUS=standing still"))
    await asyncio.sleep(120.0)
    assert [each for each in box.heard() if not each.startswith("STATUS=")] == []
    health = await box.health()
    assert (health.status, health.text) == (503, '{"status":"failing"}')
    assert any(issue.key == f"stalled-{part}" for issue in box.daemon.rooms.issues.now())

    end()
    await box.until(lambda: part not in stalled(box), within_s=limit_s)
    await asyncio.sleep(3 * WATCH_INTERVAL_S)
    box.heard()
    await asyncio.sleep(60.0)
    assert box.heard() == [BEAT] * 12
    assert (await box.health()).status == 200


def stalled(box: VirtualBox) -> list[str]:
    """What the daemon says stands still."""
    return [issue.key.removeprefix("stalled-") for issue in box.daemon.rooms.issues.now()
            if issue.key.startswith("stalled-")]


def test_a_well_store_feeds_the_watchdog_with_hub_and_device_there_or_not(tmp_path: Path) -> None:
    async def scene() -> None:
        async with virtual_box(tmp_path) as box:
            box.sells_milk_at(99)
            await box.label_shows_milk()
            for _ in range(4):
                box.heard()
                await asyncio.sleep(HOUR_S)
                assert box.heard() == [BEAT] * 720
                box.port.unplug()
                box.hub.broken[""] = never_answers if box.hub.broken else refuses_connection
            assert await box.charge() == 99

    run(scene())


@pytest.mark.parametrize(("loop", "call"), [
    ("hello", "hello"), ("feed prices", "cursor"), ("feed prices", "apply"), ("feed items", "caught_up"),
    ("feed orders", "apply"), ("ledger", "head"), ("ledger", "entries_after"), ("ledger", "acknowledged")])
def test_a_loop_of_the_line_whose_call_into_the_store_never_returns(tmp_path: Path, loop: str, call: str,
                                                                     monkeypatch: pytest.MonkeyPatch) -> None:
    async def scene() -> None:
        async with virtual_box(tmp_path) as box:
            box.sells_milk_at(99)
            intake, hang = box.daemon.rooms.intake, Hang()
            real = getattr(intake, call)

            async def stuck(*arguments: object) -> object:
                if asyncio.current_task().get_name() == f"hub link: {loop}":  # type: ignore[union-attr]  # in a task
                    await hang.wait()
                return await real(*arguments)

            async def begin() -> None:
                monkeypatch.setattr(intake, call, stuck)
                for feed in Feed:
                    box.hub.meets(f"feeds/{feed}", refuses_connection)  # so that each asks anew where it stands
                    box.hub.logs[feed].delete("nothing")
                await sell(box)

            await hangs(box, f"hub {loop}", QUIET_S_MAX, begin, hang.end)
            await box.until(lambda: box.daemon.rooms.link.state.backlog == 0)

    run(scene())


def test_a_driver_whose_write_never_returns_and_that_does_not_hear_that_it_is_cancelled(tmp_path: Path) -> None:
    async def scene() -> None:
        async with virtual_box(tmp_path) as box:
            box.sells_milk_at(99)
            await box.label_shows_milk()

            async def begin() -> None:
                box.line_stuck = asyncio.Event()
                box.sells_milk_at(109)  # so that the station has something to write

            def end() -> None:
                assert box.line_stuck is not None
                box.line_stuck.set()

            await hangs(box, "base station aisle", STATION_QUIET_S_MAX, begin, end)
            await box.until(lambda: box.label_out().state == "shown")

    run(scene())


def test_an_artist_that_never_draws_holds_up_the_labels_and_nothing_else(tmp_path: Path,
                                                                        monkeypatch: pytest.MonkeyPatch) -> None:
    async def scene() -> None:
        async with virtual_box(tmp_path) as box:
            box.sells_milk_at(99)
            await box.label_shows_milk()
            hang, draw = Hang(), box.artist.draw

            async def stuck(*arguments: object) -> object:
                await hang.wait()
                return await draw(*arguments)  # type: ignore[arg-type]  # whatever it was called with

            async def begin() -> None:
                monkeypatch.setattr(box.artist, "draw", stuck)
                box.sells_milk_at(109)

            await hangs(box, "label offers", ROOM_QUIET_S_MAX, begin, hang.end)
            await box.until(lambda: box.label_out().state == "shown")

    run(scene())


@pytest.mark.parametrize("part", ["planner", "housekeeper"])
def test_a_room_whose_writes_are_never_answered(tmp_path: Path, part: str) -> None:
    """The writer itself goes on; only what this room asked of it gets lost."""
    async def scene() -> None:
        async with virtual_box(tmp_path) as box:
            box.sells_milk_at(99)
            await box.label_shows_milk()
            writer = box.writers["ledger"]

            async def begin() -> None:
                writer.held = asyncio.Event()
                box.label.cut_power()  # the next proof of a picture finds no answer
                box.label.restore_power()
                box.sells_milk_at(109)

            def end() -> None:
                assert writer.held is not None
                writer.held.set()

            await hangs(box, part, ROOM_QUIET_S_MAX, begin, end)

    run(scene())


async def sell(box: VirtualBox, sequence: int = 1) -> None:
    """One carton of milk at till 1."""
    body = (b'{"type":"sale","currency":"EUR","total_minor":99,"occurred_at":"2026-11-23T12:00:00+01:00","lines":'
            b'[{"line":1,"sku":"' + MILK.encode() + b'","quantity_milli":1000,"amount_minor":99}]}')
    answer = await box.ask("PUT", f"/v1/transactions/1/2026-11-23/{sequence}", body=body)
    assert answer.status == 201, answer.body


# --- for real ---------------------------------------------------------------------------------------------------------

QUICK = WatchLimits(interval_s=0.05, writer_s=1.0, station_s=5.0, room_s=100.0, hub_s=100.0)


@pytest.fixture
def systemd(tmp_path: Path) -> Iterator[FakeSystemd]:
    fake = FakeSystemd(f"@trastienda-hangs-{os.getpid()}")
    yield fake
    fake.close()


async def real_daemon(directory: Path, systemd: FakeSystemd) -> tuple[Daemon, "asyncio.Task[None]"]:
    """A daemon with real threads and files; its hub is a closed port and nothing is plugged in."""
    settings = settings_in(directory, YAML + TILL)
    parts: Parts = replace(system_parts(), randomness=random.Random(1), artist=InlineArtist(), watch=QUICK)
    daemon = Daemon(settings, Credentials(SECRETS), parts, Notifier(systemd.address))
    daemon.open(listen=False)
    return daemon, asyncio.create_task(daemon.run())


async def stop(daemon: Daemon, life: "asyncio.Task[None]") -> None:
    life.cancel()
    await asyncio.gather(life, return_exceptions=True)
    daemon.close()


@pytest.mark.parametrize("name", ["ledger", "replica"])
async def test_a_writer_that_is_stuck_in_one_operation(tmp_path: Path, systemd: FakeSystemd, name: str) -> None:
    daemon, life = await real_daemon(tmp_path, systemd)
    await asyncio.sleep(2.0)
    assert systemd.beats() >= 5
    let_go = threading.Event()
    books = daemon.rooms.store.books
    writer = books.ledger if name == "ledger" else books.replica
    stuck = asyncio.create_task(writer.submit(lambda _connection: let_go.wait(30)))
    try:
        await asyncio.sleep(QUICK.writer_s + 0.3)
        systemd.heard()
        await asyncio.sleep(1.0)
        assert systemd.beats() == 0
        assert [stall.key for stall in daemon.rooms.issues.now() if stall.key.startswith("stalled-")] == [
            f"stalled-{name} writer"]
    finally:
        let_go.set()
    assert await stuck
    await asyncio.sleep(1.0)
    systemd.heard()
    await asyncio.sleep(0.5)
    assert systemd.beats() >= 5
    await stop(daemon, life)


async def test_an_event_loop_that_is_stuck_in_one_call(tmp_path: Path, systemd: FakeSystemd) -> None:
    daemon, life = await real_daemon(tmp_path, systemd)
    await asyncio.sleep(0.5)
    assert systemd.beats() > 0
    time.sleep(1.0)  # noqa: ASYNC251 - this is the hang
    assert systemd.beats() == 0
    await asyncio.sleep(0.3)
    assert systemd.beats() > 0
    await stop(daemon, life)


async def test_how_often_systemd_wants_to_hear_is_obeyed_and_never_slowed_down_by() -> None:
    assert WatchLimits().at_least_every(1.0).interval_s == 1.0
    assert WatchLimits().at_least_every(60.0).interval_s == WATCH_INTERVAL_S
