"""A test's aisle: Bluetooth labels and adapters on a virtual air, and a station for each adapter."""

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field

import numpy as np
from bleak import BleakClient

from drivers.ble.dialect import Advertisement, Dialect, Heard, PartAsked
from drivers.ble.makers import dialects as known_dialects
from drivers.ble.makers import encode_picture
from drivers.ble.station import BluetoothStation
from drivers.gicisky import picture_codec as gicisky
from drivers.port import (
    Blob,
    Colour,
    DriverEvent,
    EventSink,
    LabelDescription,
    LabelId,
    Picture,
    Seen,
    Shown,
    StationState,
)
from drivers.virtual.bluetooth import FAST, BluetoothTiming, Reach, VirtualAdapter, VirtualAir
from drivers.virtual.bluetooth_backend import backends
from drivers.virtual.bluetooth_label import EasyTagOnAir, GiciskyOnAir
from drivers.virtual.easytag_label import VirtualEasyTag
from drivers.virtual.gicisky_label import VirtualGiciskyLabel
from drivers.zhsunyco import picture_codec as zhsunyco

AnyLabel = VirtualGiciskyLabel | VirtualEasyTag
GICISKY_TYPE, EASYTAG_TYPE = 0x0033, "zhsunyco:62"
LOOKS_MAX = 30_000


@dataclass
class BluetoothAisle:
    """`events` of all stations in order."""

    air: VirtualAir
    adapters: list[VirtualAdapter]
    stations: list[BluetoothStation]
    labels: dict[LabelId, AnyLabel]
    events: list[DriverEvent] = field(default_factory=list)
    sink: EventSink = print

    def hear(self, event: DriverEvent) -> None:
        self.sink(event)

    @property
    def station(self) -> BluetoothStation:
        return self.stations[0]

    def draw(self, label: LabelId, seed: int = 1) -> tuple[Picture, Blob]:
        description = self.station.describe(label)
        assert description is not None
        count = description.width * description.height // 16
        pixels = np.random.default_rng(seed).choice(sorted(description.colours), count)
        picture = Picture(description.width, description.height, np.repeat(pixels, 16).astype(np.uint8).tobytes())
        return picture, encode_picture(description, picture)

    async def offer(self, label: LabelId, seed: int = 1, *, urgent: bool = False) -> tuple[Picture, Blob]:
        picture, blob = self.draw(label, seed)
        await self.station.offer(label, blob, urgent=urgent)
        return picture, blob

    async def until(self, condition: Callable[[], bool], within_s: float = 300.0) -> None:
        async with asyncio.timeout(within_s):
            while not condition():  # noqa: ASYNC110 - looks at anything, from outside
                await asyncio.sleep(max(0.01, within_s / LOOKS_MAX))

    async def heard(self) -> None:
        """Every station listens, and the first hears every label."""
        await self.until(lambda: all(each.state is StationState.READY for each in self.stations))
        await self.until(lambda: {event.label for event in self.kinds(Seen)} >= set(self.labels))

    async def proven(self, label: LabelId, blob: Blob, within_s: float = 300.0) -> None:
        await self.until(lambda: Shown(label, blob.version) in self.events, within_s)

    def kinds(self, kind: type[DriverEvent]) -> list[DriverEvent]:
        return [event for event in self.events if isinstance(event, kind)]


@contextlib.asynccontextmanager
async def a_bluetooth_aisle(gicisky_labels: int = 1, easytag_labels: int = 0, *, adapters: int = 1,
                            timing: BluetoothTiming = FAST, nearby: Reach | None = None, adopt: bool = True,
                            dialects: tuple[Dialect, ...] | None = None, run: bool = True,
                            surprises: list[BaseException] | None = None,
                            seed: int = 1) -> AsyncIterator[BluetoothAisle]:
    """`run`: whether the stations run; `adopt`: whether they serve the labels; `surprises`: each is raised once by a
    conversation with a label."""
    now = asyncio.get_running_loop().time
    air = VirtualAir(random.Random(seed), timing=timing, nearby=nearby)
    labels: dict[LabelId, AnyLabel] = {}
    for number in range(gicisky_labels):
        label = VirtualGiciskyLabel(f"ffff9200{number:04x}", gicisky.label_types()[GICISKY_TYPE], now)
        labels[label.address] = label
        await air.add_label(GiciskyOnAir(label))
    for number in range(easytag_labels):
        tag = VirtualEasyTag(f"3d000000{number:04x}", zhsunyco.label_types()[EASYTAG_TYPE], now)
        labels[tag.address] = tag
        await air.add_label(EasyTagOnAir(tag))
    added = [await air.add_adapter(f"hci{number}") for number in range(adapters)]
    aisle = BluetoothAisle(air, added, [], labels)
    aisle.sink = aisle.events.append
    if surprises is not None:
        dialects = tuple(_Surprising(each, surprises) for each in known_dialects())
    for adapter in added:
        aisle.stations.append(BluetoothStation(f"counter {adapter.name}", adapter.name,
                                               aisle.hear, random.Random(seed),
                                               backends=backends(adapter), dialects=dialects))
    for station in aisle.stations if adopt else ():
        for label_id, each in labels.items():
            station.adopt(label_id, "gicisky:0033" if isinstance(each, VirtualGiciskyLabel) else EASYTAG_TYPE)
    tasks = [asyncio.create_task(station.run()) for station in aisle.stations] if run else []
    try:
        yield aisle
        for task in tasks:
            assert not task.done(), f"ended by itself: {task}"
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await air.close()


class _Surprising:
    """A dialect that raises what it is given, once each, in the middle of a conversation."""

    def __init__(self, dialect: Dialect, surprises: list[BaseException]) -> None:
        self._dialect = dialect
        self._surprises = surprises
        self.maker, self.service_uuids = dialect.maker, dialect.service_uuids

    def hear(self, advertisement: Advertisement) -> Heard | None:
        return self._dialect.hear(advertisement)

    def describe(self, label: LabelId, type_name: str) -> LabelDescription | None:
        return self._dialect.describe(label, type_name)

    async def deliver(self, client: BleakClient, label: LabelDescription, blob: Blob, asked: PartAsked) -> None:
        def told(part: int, parts: int) -> None:
            if self._surprises:
                raise self._surprises.pop()
            asked(part, parts)

        await self._dialect.deliver(client, label, blob, told)

    async def light(self, client: BleakClient, label: LabelDescription, colour: Colour, seconds: float) -> None:
        await self._dialect.light(client, label, colour, seconds)
