"""A store box under virtual time: the real daemon, a radio and a label in memory, a hub in memory, a fake systemd."""

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import ParamSpec

import msgspec

from cloud_sync.contract.documents import Item, Policy, Price
from cloud_sync.contract.feeds import Feed
from drivers.openepaperlink.picture_codec import tag_types
from drivers.serial_link import ByteLink
from drivers.virtual.label import VirtualLabel
from drivers.virtual.memory_port import MemoryPort
from drivers.virtual.radio import VirtualRadio
from drivers.virtual.shelf import VirtualShelf
from edge.credentials import Credentials
from edge.daemon import Daemon, Parts, bluetooth_station
from edge.db.connection import Connection
from edge.db.write_group import Operation
from edge.db.writer import LoopWriter
from edge.labels.artist import InlineArtist
from edge.pos.label_routes import LabelOut
from edge.proving.asgi import Answer, Question, ask
from edge.proving.box_clock import BoxClock
from edge.sd_notify import Notifier
from edge.settings import Settings, load
from tests.client.fakes import STORE, TOKEN, FakeHub
from tests.fake_systemd import FakeSystemd

START_WALL_MS = 1_795_431_600_000  # 2026-11-23, noon in Madrid
LABEL = "0000021b1ad03b17"
MILK, MILK_GTIN = "1001", "4006381333931"
SECRETS = {"TRASTIENDA_HUB_TOKEN": TOKEN, "TRASTIENDA_DATABASE_KEY": "a database key", "TRASTIENDA_MONITOR": "monitor",
           "TRASTIENDA_STORE_KEY": "a store key", "TRASTIENDA_TILL_1": "till 1", "TRASTIENDA_TILL_2": "till 2"}
YAML = f"""\
store: {{id: "{STORE}", name: Corner, time_zone: Europe/Madrid, currency: EUR, language: en}}
hub: {{url: "http://127.0.0.1:9", token: !credential hub-token}}
listeners:
  tills: {{host: 127.0.0.1, port: 8443}}
  staff: {{host: 127.0.0.1, port: 8443}}
database_key: !credential database-key
store_key: !credential store-key
monitors: [{{id: prometheus, token: !credential monitor}}]
"""
TILL = 'tills: [{id: "1", token: !credential till-1}]\n'
AISLE = "base_stations: [{name: aisle, driver: openepaperlink, port: /dev/aisle}]\n"

Arguments = ParamSpec("Arguments")


def settings_in(directory: Path, yaml: str) -> Settings:
    """The settings in this text, with the state in this directory. Raises `ConfigurationError`."""
    path = directory / "store.yaml"
    path.write_text(f"{yaml}state_directory: {directory / 'state'}\n")
    return load(path)


class SlowBoxWriter(LoopWriter):
    """A writer whose callers can be left waiting: while `held`, submissions go nowhere and its commits go on."""

    def __init__(self, connection: Connection) -> None:
        super().__init__(connection, lambda: 0.002)
        self.held: asyncio.Event | None = None

    async def submit(  # type: ignore[override]  # forwards any result
            self, operation: Operation[object], *, short: bool = False) -> object:
        if self.held is not None:
            await self.held.wait()
        return await super().submit(operation, short=short)


class StubbornLink:
    """A line whose `write` can hang, and hangs on when it is cancelled, as a driver stuck in the kernel does."""

    def __init__(self, link: ByteLink, box: "VirtualBox") -> None:
        self._link = link
        self._box = box
        self.read, self.set_baud_rate, self.close = link.read, link.set_baud_rate, link.close

    async def write(self, data: bytes) -> None:
        while (stuck := self._box.line_stuck) is not None and not stuck.is_set():
            with contextlib.suppress(asyncio.CancelledError):
                await stuck.wait()
        await self._link.write(data)


@dataclass(frozen=True, slots=True)
class Health:
    """What `/healthz` says."""

    status: int
    text: str


class VirtualBox:
    """One box in the back room. `start()` and `stop()` as often as a scene likes; the directory stays."""

    def __init__(self, directory: Path, *, yaml: str = YAML + TILL + AISLE) -> None:
        self.directory = directory
        self._systemd = FakeSystemd(directory / "notify")
        self.clock = BoxClock(START_WALL_MS)
        self.clock.switch_on()
        self.hub = FakeHub()
        self.radio = VirtualRadio(random.Random(5))
        self.port = MemoryPort(self.radio)
        self.other_port = MemoryPort(VirtualRadio(random.Random(8)))
        self.label = VirtualLabel(LABEL, tag_types()[0x01], self.radio, random.Random(6), check_in_s=5.0)
        self.writers: dict[str, SlowBoxWriter] = {}
        self.artist = InlineArtist()
        self.line_stuck: asyncio.Event | None = None
        self.free_bytes = 2**40
        self.bluetooth_station = bluetooth_station
        self.yaml = yaml
        self.daemon: Daemon
        self._heard: list[str] = []
        self._shelf = asyncio.create_task(VirtualShelf(self.radio, [self.label]).run())
        self._listening = asyncio.create_task(self._listen())
        self._life: asyncio.Task[None] | None = None

    def settings(self, yaml: str | None = None) -> Settings:
        """The settings in this text, or the box's own; with its own directory."""
        return settings_in(self.directory, yaml or self.yaml)

    def start(self) -> Daemon:
        """systemd starts the daemon."""
        parts = Parts(self.clock, random.Random(7), self._make_writer, self.artist,
                      lambda port: lambda: self._open_link(port), hub_transport=self.hub.transport,
                      free_bytes=lambda _directory: self.free_bytes, bluetooth_station=self.bluetooth_station)
        self.daemon = Daemon(self.settings(), Credentials(SECRETS), parts, Notifier(self._systemd.address))
        self.daemon.open(listen=False)
        self._life = asyncio.create_task(self.daemon.run())
        return self.daemon

    async def stop(self) -> None:
        """SIGTERM."""
        await self._end_life()
        self.daemon.close()

    async def kill(self) -> None:
        """kill -9: nothing is finished and nothing stamped."""
        self.daemon.rooms.store.books.abandon()
        await self._end_life()

    async def close(self) -> None:
        """The scene is over."""
        if self._life is not None:
            await self.stop()
        self._shelf.cancel()
        self._listening.cancel()
        await asyncio.gather(self._shelf, self._listening, return_exceptions=True)
        self._systemd.close()

    async def ask(self, method: str, target: str, token: str = "till 1", body: bytes = b"") -> Answer:
        return await ask(self.daemon.app, Question.of(method, target, token, body))

    async def health(self) -> Health:
        answer = await self.ask("GET", "/healthz")
        return Health(answer.status, answer.body.decode())

    async def charge(self, sku: str = MILK) -> int:
        """What till 1 may ask for it, in minor units."""
        answer = await self.ask("GET", f"/v1/lookup/{sku}")
        assert answer.status == 200, answer.body
        return int(msgspec.json.decode(answer.body)["charge_minor"])

    def sells_milk_at(self, price_minor: int) -> None:
        """Head office sets the price."""
        if not self.hub.logs[Feed.ITEMS].groups:
            self.hub.logs[Feed.ITEMS].put({MILK: Item(MILK, "Milk", (MILK_GTIN,), package_size="1 L")})
            self.hub.logs[Feed.POLICY].put({"policy": Policy(grace_s=600)})
        self.hub.logs[Feed.PRICES].put({f"regular:{MILK}": Price(MILK, price_minor, "EUR")})

    def heard(self) -> list[str]:
        """What systemd was told since the last look."""
        heard, self._heard = [*self._heard, *self._systemd.heard()], []
        return heard

    def label_out(self, label: str = LABEL) -> LabelOut:
        return self.daemon.rooms.labels.one(label)

    async def label_shows_milk(self, label: str = LABEL) -> None:
        """The label hangs under the milk and has proven its price."""
        await self.until(lambda: any(each.label == label for each in self.daemon.rooms.labels.all()))
        await self.daemon.rooms.labels.bind(label, MILK, "ana", f"bound {label}")
        await self.until(lambda: self.label_out(label).state == "shown")

    async def until(self, true: Callable[[], bool], within_s: float = 600.0) -> float:
        """Wait for something to become true; returns how long it took."""
        loop = asyncio.get_running_loop()
        began_s = loop.time()
        while not true():
            assert loop.time() < began_s + within_s, f"not within {within_s} s"
            await asyncio.sleep(0.05)
        return loop.time() - began_s

    async def _listen(self) -> None:
        """Keeps the socket empty: the kernel holds only a few datagrams."""
        while True:
            self._heard += self._systemd.heard()
            await asyncio.sleep(1.0)

    async def _end_life(self) -> None:
        life, self._life = self._life, None
        assert life is not None, "not started"
        assert not life.done(), "the daemon ended by itself"
        life.cancel()
        await asyncio.gather(life, return_exceptions=True)

    def _make_writer(self, connection: Connection, name: str) -> SlowBoxWriter:
        self.writers[name] = SlowBoxWriter(connection)
        return self.writers[name]

    async def _open_link(self, device: str) -> ByteLink:
        return StubbornLink(await (self.port if device == "/dev/aisle" else self.other_port).open(), self)


@contextlib.asynccontextmanager
async def virtual_box(directory: Path, *, yaml: str = YAML + TILL + AISLE) -> AsyncIterator[VirtualBox]:
    """A box, started."""
    box = VirtualBox(directory, yaml=yaml)
    box.start()
    try:
        yield box
    finally:
        await box.close()
