"""What goes wrong while the store runs: a full disk, a dying one, devices and a hub that are not there. It sells on."""

import asyncio
import contextlib
import os
import random
import re
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

import httpx
import msgspec
import pytest
import structlog
import structlog.testing

from drivers.openepaperlink.picture_codec import tag_types
from drivers.virtual.label import VirtualLabel
from drivers.virtual.own_thread import OwnThread
from drivers.virtual.pty_port import PtyPort
from drivers.virtual.radio import VirtualRadio
from drivers.virtual.shelf import VirtualShelf
from edge.db.books import derive_key
from edge.db.connection import connect
from edge.limits import DISK_LOOK_EVERY_S, WRITE_TROUBLE_PAUSE_S
from edge.supervisor import PartState
from edge.virtual_time import run
from tests.daemon.real_box import MILK, SECRETS, RealBox, sale
from tests.daemon.virtual_box import LABEL, VirtualBox, virtual_box
from tests.daemon.virtual_box import SECRETS as VIRTUAL_SECRETS
from tests.fake_systemd import BEAT

HOUR_S = 3600.0
DATABASE_KEY = VIRTUAL_SECRETS["TRASTIENDA_DATABASE_KEY"]


def until(true: Callable[[], bool], within_s: float = 30.0) -> None:
    deadline_s = time.monotonic() + within_s
    while not true():
        assert time.monotonic() < deadline_s, f"not within {within_s} s"
        time.sleep(0.05)


# --- the disk ---------------------------------------------------------------------------------------------------------

async def put(box: VirtualBox, sequence: int, operator: str = "") -> tuple[int, dict[str, object]]:
    """A sale at till 1; a long operator's name makes it a large one."""
    moment = datetime.fromtimestamp(box.clock.wall_ms() / 1000, UTC)
    answer = await box.ask("PUT", f"/v1/transactions/1/{moment.date()}/{sequence}",
                           body=sale(operator=operator, occurred_at=moment.isoformat()))
    return answer.status, msgspec.json.decode(answer.body)


def test_p1_a_full_ledger_disk_acknowledges_nothing_and_lookups_go_on(tmp_path: Path) -> None:
    """For hours: planner and housekeeper sit it out, systemd has no reason to restart; then all goes on by itself."""
    async def scene() -> None:
        with structlog.testing.capture_logs() as said:
            await full_for_hours(said)

    async def full_for_hours(said: Sequence[Mapping[str, object]]) -> None:
        async with virtual_box(tmp_path) as box:
            box.sells_milk_at(99)
            await box.label_shows_milk()
            ledger = box.daemon.rooms.store.books.ledger
            pages = await ledger.submit(lambda c: int(c.execute("PRAGMA page_count").fetchone()[0]))
            await ledger.submit(lambda c: c.execute(f"PRAGMA max_page_count = {pages}").fetchone())
            stored = {0}
            while (answer := await put(box, len(stored)))[0] == httpx.codes.CREATED:
                stored.add(len(stored))

            assert answer[0] == httpx.codes.SERVICE_UNAVAILABLE
            assert answer[1]["recorded"] is False
            assert "full" in str(answer[1]["detail"])
            box.sells_milk_at(109)
            for _ in range(12):
                box.heard()
                await asyncio.sleep(HOUR_S / 4)
                assert set(box.heard()) == {BEAT}
                assert await box.charge() == 99, "without a proof nobody is charged more"
                assert (await put(box, 9999))[0] == httpx.codes.SERVICE_UNAVAILABLE
            assert all(part.state is PartState.RUNNING for part in box.daemon.parts())
            assert [each["event"] for each in said].count("labels wait: the ledger cannot be written") == 1

            await ledger.submit(lambda c: c.execute("PRAGMA max_page_count = 1000000").fetchone())
            assert (await put(box, 9999))[0] == httpx.codes.CREATED
            assert await box.until(lambda: box.label_out().state == "shown") < 2 * WRITE_TROUBLE_PAUSE_S + 30
            await box.until(lambda: box.daemon.rooms.link.state.backlog == 0)
            keys = [key for key in box.hub.effects if key.startswith("till/")]
            assert len(keys) == len(set(keys)) == len(stored)

    run(scene())


def test_p10_a_disk_that_fills_up_is_said_and_facts_stop_before_it_is_full_and_come_back(tmp_path: Path) -> None:
    """An issue that clears itself, a metric and a status field; the label's proof waits and is taken after it."""
    async def scene() -> None:
        async with virtual_box(tmp_path) as box:
            box.sells_milk_at(99)
            await box.label_shows_milk()
            for free_mib, sheds, key in ((200, "telemetry", "disk-low"), (150, "chatter", "disk-low"),
                                         (100, "history", "disk-low"), (10, "facts", "disk-full")):
                box.free_bytes = free_mib * 2**20
                await asyncio.sleep(DISK_LOOK_EVERY_S + 1)
                assert await standing(box) == (sheds, [key])
                assert (await put(box, free_mib))[0] == (503 if sheds == "facts" else 201)
            metrics = (await box.ask("GET", "/metrics", "monitor")).body.decode()
            assert "trastienda_disk_shed_level 4.0" in metrics
            assert float(re.findall(r"(?m)^trastienda_disk_room_bytes (\S+)", metrics)[0]) >= box.free_bytes
            box.sells_milk_at(89)
            box.heard()
            await asyncio.sleep(HOUR_S)
            assert await box.charge() == 89
            assert set(box.heard()) == {BEAT}
            assert all(part.state is PartState.RUNNING for part in box.daemon.parts())

            box.free_bytes = 2**40
            await asyncio.sleep(DISK_LOOK_EVERY_S + 1)
            assert await standing(box) == ("nothing", [])
            assert (await put(box, 10))[0] == httpx.codes.CREATED
            await box.until(lambda: box.label_out().state == "shown")

    run(scene())


async def standing(box: VirtualBox) -> tuple[str, list[str]]:
    """What is shed, and the issues about the disk."""
    status = msgspec.json.decode((await box.ask("GET", "/v1/status", "monitor")).body)
    return status["disk_sheds"], [each["key"] for each in status["issues"] if each["key"].startswith("disk")]


@contextlib.contextmanager
def small_disk(place: Path, kilobytes: int) -> Iterator[None]:
    """A file system of its own with so little room."""
    place.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={kilobytes}k", "tmpfs", place], check=False,
                          capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"LEFT OUT: nothing may be mounted here, needed for a disk that is really full: {done.stderr}")
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", place], check=True)


def test_p1_a_disk_that_is_really_full(box: RealBox) -> None:
    """Nothing acknowledged is lost, not even over a kill; with room again, or after a restart, sales go on."""
    with small_disk(box.state, 60_000):
        box.stock_milk()
        box.start()
        ballast = box.state / "ballast"
        with ballast.open("wb") as file:  # so suddenly that the budget has not looked yet, or has: either way 503
            os.posix_fallocate(file.fileno(), 0, _room(box.state) - 400_000)
        answered: dict[int, bytes] = {}
        while (answer := box.put_sale(len(answered), operator="x" * 150)).status_code == httpx.codes.CREATED:
            answered[len(answered)] = answer.content
        assert (answer.status_code, answer.json()["recorded"]) == (503, False)
        assert "not stored, keep it and send again" in answer.json()["detail"]
        assert int(answer.headers["retry-after"]) > 0
        assert box.get(f"/v1/lookup/{MILK}").json()["charge_minor"] == 99
        assert box.get("/healthz").json() == {"status": "ok"}

        box.service.process.kill()
        box.service.ends()
        ballast.unlink()
        box.start()
        for sequence, content in answered.items():
            assert box.put_sale(sequence, operator="x" * 150).content == content
        assert box.put_sale(len(answered)).status_code == httpx.codes.CREATED
        assert box.service.stop() == 0


def test_a_start_on_a_full_disk_is_told(box: RealBox) -> None:
    with small_disk(box.state, 600):
        box.stock_milk()
        (box.state / "ballast").write_bytes(bytes(_room(box.state)))
        assert box.exit_code() == 1
        assert "ledger.db: " in box.service.log
        assert "full" in box.service.log
        assert "Traceback" not in box.service.log


def _room(place: Path) -> int:
    usage = os.statvfs(place)
    return usage.f_bavail * usage.f_bsize


@pytest.mark.parametrize("table", ["fact", "entry"])
def test_p1_a_ledger_damaged_under_a_running_store_stops_facts_and_not_lookups(tmp_path: Path, table: str) -> None:
    async def scene() -> None:
        async with virtual_box(tmp_path) as box:
            box.sells_milk_at(99)
            await box.label_shows_milk()
            damage_under(box, table)
            for sequence in (1, 2):
                status, problem = await put(box, sequence)
                assert (status, problem["recorded"]) == (503, False)
                assert problem["title"] == "The store can no longer write"
            box.sells_milk_at(89)
            box.heard()
            await asyncio.sleep(HOUR_S)
            assert await box.charge() == 89, "a decrease needs no claim"
            assert set(box.heard()) == {BEAT}
            assert any(issue.key == "ledger-broken" for issue in box.daemon.rooms.issues.now())
            status = await box.ask("GET", "/v1/status", "monitor")
            assert (status.status, b"malformed" in status.body) == ((503, True) if table == "entry" else (200, True))

    run(scene())


def damage_under(box: VirtualBox, table: str) -> None:
    """The disk loses a page of this table."""
    path = box.directory / "state" / "ledger.db"
    connection = connect(path, derive_key(DATABASE_KEY, "ledger.db"), synchronous="FULL")
    connection.execute("INSERT INTO meta VALUES ('touched', 'so that nobody trusts what it has in memory')")
    root = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = ?", (table,)).fetchone()[0]
    size = int(connection.execute("PRAGMA page_size").fetchone()[0])
    assert connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0] == 0
    connection.close()
    with path.open("r+b") as file:
        file.seek((root - 1) * size)
        file.write(os.urandom(size))


# --- what is not there ------------------------------------------------------------------------------------------------

@pytest.fixture
def device() -> Iterator[Path]:
    """The name of a serial port that is not there yet; under /dev as the settings want it."""
    directory = Path(f"/dev/shm/trastienda-{os.getpid()}-{random.SystemRandom().getrandbits(32)}")
    directory.mkdir()
    yield directory / "aisle"
    for left in directory.iterdir():
        left.unlink()
    directory.rmdir()


def test_a_base_station_that_is_not_there_is_waited_for_said_once_and_taken_when_it_comes(box: RealBox,
                                                                                         device: Path) -> None:
    box.stock_milk()
    box.base_stations = f"{{name: aisle, driver: openepaperlink, port: {device}}}"
    box.start()
    box.service.says("base station lost, waiting for it")
    status = box.get("/v1/status", "monitor").json()
    assert status["stations"] == {"aisle": "offline"}
    assert "station-aisle" in {issue["key"] for issue in status["issues"]}
    time.sleep(4.0)
    assert len(box.service.events("base station lost")) == 1
    assert box.put_sale(1).status_code == httpx.codes.CREATED

    with radio_on(device):
        box.service.says("base station back")
        until(lambda: box.get("/v1/status", "monitor").json()["stations"] == {"aisle": "ready"})
        until(lambda: box.get("/v1/status", "monitor").json()["labels"]["unbound"] == 1)
    box.service.says("base station lost")
    until(lambda: len(box.service.events("base station lost")) == 2)

    with radio_on(device):
        until(lambda: len(box.service.events("base station back")) == 2)
    assert box.service.stop() == 0


@contextlib.contextmanager
def radio_on(device: Path) -> Iterator[None]:
    """A radio with a label is plugged in under this name, and pulled out again."""
    thread = OwnThread("radio")

    async def devices(ready: Callable[[None], None]) -> None:
        radio = VirtualRadio(random.Random(3))
        label = VirtualLabel(LABEL, tag_types()[0x01], radio, random.Random(4), check_in_s=0.5)
        port = PtyPort(radio, link=device)
        ready(None)
        try:
            await VirtualShelf(radio, [label]).run(port.run())
        finally:
            port.close()

    thread.start(devices)
    try:
        yield
    finally:
        thread.stop()


def test_p8_a_hub_that_is_not_there_is_said_once_and_the_store_sells(box: RealBox) -> None:
    box.stock_milk()
    box.start()
    box.service.says("hub lost: the store goes on alone")
    for sequence in range(20):
        assert box.put_sale(sequence).status_code == httpx.codes.CREATED
    time.sleep(4.0)
    assert len(box.service.events("hub lost")) == 1
    status = box.get("/v1/status", "monitor").json()
    assert (status["link_up"], status["backlog"]) == (False, 20)
    assert "hub-down" in {issue["key"] for issue in status["issues"]}
    assert box.service.stop() == 0
    assert SECRETS["TRASTIENDA_HUB_TOKEN"] not in box.service.log
