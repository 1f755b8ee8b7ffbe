"""A rig is one driver with its devices in software, so that every driver can be put through the same situations.

A new driver is a rig: a context manager in `RIGS` that yields a station with `LABELS` labels, and can break them.
"""

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import Protocol, TypeVar

import numpy as np

from drivers.ble.station import BluetoothStation
from drivers.openepaperlink.session import OpenEPaperLinkStation
from drivers.port import BaseStation, Blob, DriverEvent, LabelId, OfferRefused, Picture, Shown, StationState
from drivers.serial_link import ByteLink
from drivers.virtual.bluetooth import BluetoothTiming, Reach
from drivers.virtual.gicisky_label import VirtualGiciskyLabel
from drivers.virtual.line_faults import LineFaults
from tests.drivers.aisle import Aisle, an_aisle
from tests.drivers.bluetooth_aisle import BluetoothAisle, a_bluetooth_aisle

LABELS = 3
LOOKS_MAX = 30_000
OFFER_AGAIN_S = 5.0
AIR = BluetoothTiming(advertising_s=2.0, event_s=0.005, packets_per_event=8, supervision_s=2.0)
Event = TypeVar("Event", bound=DriverEvent)


class Devices(Protocol):
    """What stands behind a driver: its radio or adapter, and its labels."""

    async def station_away(self) -> None:
        """The radio is unplugged or the adapter is gone."""
        ...

    async def station_back(self) -> None: ...

    async def station_restarts(self) -> None:
        """It is reset and forgets everything."""
        ...

    def label_power(self, label: LabelId, *, on: bool) -> None: ...

    def label_draws_for(self, label: LabelId, seconds: float) -> None:
        """So long its panel takes to change after it said that it has the picture."""
        ...

    def label_silent(self, label: LabelId, *, silent: bool) -> None:
        """It has power and is not heard, nor does it hear."""
        ...

    def noise(self, *, on: bool) -> None:
        """Garbage comes with everything that is said."""
        ...

    def spoil(self, *, on: bool) -> None:
        """Some of what is said arrives wrong, or not at all."""
        ...

    def surprise(self, fault: BaseException) -> None:
        """The next exchange raises this, whatever it is."""
        ...

    def screen(self, label: LabelId) -> Picture | None: ...

    def holds(self, label: LabelId, picture: Picture) -> bool:
        """Whether the label took this picture last, on its screen or about to be."""
        ...


class Rig:
    """The station under test, its devices, and everything that it said. `wrong_proofs` must stay empty (P7)."""

    def __init__(self, station: BaseStation, devices: Devices, labels: list[LabelId],
                 events: list[DriverEvent]) -> None:
        self.station = station
        self.devices = devices
        self.labels = labels
        self.events = events
        self.wrong_proofs: list[Shown] = []
        self._pictures: dict[str, Picture] = {}

    def hear(self, event: DriverEvent) -> None:
        """The station's sink."""
        self.events.append(event)
        if isinstance(event, Shown):
            picture = self._pictures.get(event.version)
            if picture is None or not self.devices.holds(event.label, picture):
                self.wrong_proofs.append(event)

    def heard(self, kind: type[Event]) -> list[Event]:
        return [event for event in self.events if isinstance(event, kind)]

    def adopt_all(self) -> None:
        for label in self.labels:
            description = self.station.describe(label)
            assert description is not None
            self.station.adopt(label, description.type_name)

    def draw(self, label: LabelId, seed: int) -> tuple[Picture, Blob]:
        description = self.station.describe(label)
        assert description is not None
        count = description.width * description.height // 16
        pixels = np.random.default_rng(seed).choice(sorted(description.colours), count)
        picture = Picture(description.width, description.height, np.repeat(pixels, 16).astype(np.uint8).tobytes())
        blob = self.station.encode(description, picture)
        self._pictures[blob.version] = picture
        return picture, blob

    async def until(self, true: Callable[[], bool], within_s: float = 600.0) -> None:
        async with asyncio.timeout(within_s):
            while not true():  # noqa: ASYNC110 - looks at anything, from outside
                await asyncio.sleep(max(0.01, within_s / LOOKS_MAX))

    async def ready(self) -> None:
        """The station serves, and has heard every label."""
        await self.until(lambda: self.station.state is StationState.READY)
        await self.until(lambda: all(self.station.describe(label) for label in self.labels))

    async def shown_in_the_end(self, label: LabelId, blob: Blob, within_s: float = 3600.0) -> None:
        """What a planner does: offer until this very picture is the last thing that was proven."""
        async with asyncio.timeout(within_s):
            while not self._is_proven(label, blob):
                with contextlib.suppress(OfferRefused):
                    await self.station.offer(label, blob)
                with contextlib.suppress(TimeoutError):
                    await self.until(lambda: self._is_proven(label, blob), within_s=120)
        assert self.wrong_proofs == []

    def _is_proven(self, label: LabelId, blob: Blob) -> bool:
        said = [event for event in self.heard(Shown) if event.label == label]
        return bool(said) and said[-1].version == blob.version


class _FaultyLink:
    """A line that raises once."""

    def __init__(self, link: ByteLink, faults: list[BaseException]) -> None:
        self._link = link
        self._faults = faults
        self.read, self.set_baud_rate, self.close = link.read, link.set_baud_rate, link.close

    async def write(self, data: bytes) -> None:
        if self._faults:
            raise self._faults.pop()
        await self._link.write(data)


class _Radio:
    """OpenEPaperLink: a radio on a line, and labels that poll it."""

    def __init__(self, aisle: Aisle, lines: tuple[LineFaults, ...], faults: list[BaseException]) -> None:
        self._aisle = aisle
        self._lines = lines
        self._faults = faults

    async def station_away(self) -> None:
        self._aisle.port.unplug()
        self._aisle.radio.power_off()

    async def station_back(self) -> None:
        self._aisle.radio.powered = True
        self._aisle.port.plug_in()

    async def station_restarts(self) -> None:
        await self._aisle.radio.restart()

    def label_power(self, label: LabelId, *, on: bool) -> None:
        (self._aisle.label(label).restore_power if on else self._aisle.label(label).cut_power)()

    def label_draws_for(self, label: LabelId, seconds: float) -> None:
        self._aisle.label(label).settle_s = seconds

    def label_silent(self, label: LabelId, *, silent: bool) -> None:
        self._aisle.label(label).radio_loss = 1.0 if silent else 0.0

    def noise(self, *, on: bool) -> None:
        for line in self._lines:
            line.garbage = 0.3 if on else 0.0

    def spoil(self, *, on: bool) -> None:
        for line in self._lines:
            line.flip = line.drop = 0.00005 if on else 0.0

    def surprise(self, fault: BaseException) -> None:
        self._faults.append(fault)

    def screen(self, label: LabelId) -> Picture | None:
        return self._aisle.label(label).picture

    def holds(self, label: LabelId, picture: Picture) -> bool:
        said = self._aisle.label(label).said_done
        description = self._aisle.station.describe(label)
        assert description is not None
        return bool(said) and said[-1].version == self._aisle.station.encode(description, picture).version


class _Adapter:
    """Bluetooth: an adapter, and labels that it connects to."""

    def __init__(self, aisle: BluetoothAisle, faults: list[BaseException]) -> None:
        self._aisle = aisle
        self._faults = faults

    async def station_away(self) -> None:
        await self._aisle.adapters[0].power_off()

    async def station_back(self) -> None:
        await self._aisle.adapters[0].power_on()

    async def station_restarts(self) -> None:
        await self.station_away()
        await self.station_back()

    def label_power(self, label: LabelId, *, on: bool) -> None:
        (self._aisle.labels[label].restore_power if on else self._aisle.labels[label].cut_power)()

    def label_draws_for(self, label: LabelId, seconds: float) -> None:
        self._aisle.labels[label].refresh_s = seconds

    def label_silent(self, label: LabelId, *, silent: bool) -> None:
        self._aisle.air.set_reach(self._aisle.adapters[0].name, label, Reach(loss=1.0 if silent else 0.0))

    def noise(self, *, on: bool) -> None:
        for label in self._aisle.labels.values():
            label.faults.noise = b"\xff\x00\x05" if on else None

    def spoil(self, *, on: bool) -> None:
        for label_id, label in self._aisle.labels.items():
            self._aisle.air.set_reach(self._aisle.adapters[0].name, label_id, Reach(loss=0.4 if on else 0.0))
            if isinstance(label, VirtualGiciskyLabel):
                label.faults.loses_once = {1, 3, 5} if on else set()
            else:
                label.faults.loses = {2} if on else set()

    def surprise(self, fault: BaseException) -> None:
        self._faults.append(fault)

    def screen(self, label: LabelId) -> Picture | None:
        return self._aisle.labels[label].picture

    def holds(self, label: LabelId, picture: Picture) -> bool:
        coming = self._aisle.labels[label].coming
        return coming is not None and coming.picture == picture


@contextlib.asynccontextmanager
async def openepaperlink() -> AsyncIterator[Rig]:
    chance = random.Random(4)
    lines = (LineFaults(chance), LineFaults(chance))
    faults: list[BaseException] = []

    def wrap(opener: Callable[[], Awaitable[ByteLink]]) -> Callable[[], Awaitable[ByteLink]]:
        async def opened() -> ByteLink:
            return _FaultyLink(await opener(), faults)
        return opened

    async with an_aisle(LABELS, check_in_s=10.0, adopt=False, to_host=lines[0], to_radio=lines[1], wrap=wrap) as aisle:
        rig = Rig(aisle.station, _Radio(aisle, lines, faults), list(aisle.shelf.labels), aisle.events)
        aisle.sink = rig.hear
        yield rig


def bluetooth(gicisky_labels: int, easytag_labels: int) -> Callable[[], AbstractAsyncContextManager[Rig]]:
    @contextlib.asynccontextmanager
    async def a_rig() -> AsyncIterator[Rig]:
        faults: list[BaseException] = []
        async with a_bluetooth_aisle(gicisky_labels, easytag_labels, adopt=False, timing=AIR,
                                     surprises=faults) as aisle:
            rig = Rig(aisle.station, _Adapter(aisle, faults), list(aisle.labels), aisle.events)
            aisle.sink = rig.hear
            yield rig
    return a_rig


RIGS: dict[str, Callable[[], AbstractAsyncContextManager[Rig]]] = {
    "openepaperlink": openepaperlink, "gicisky": bluetooth(LABELS, 0), "zhsunyco": bluetooth(0, LABELS)}
DRIVERS = {"openepaperlink": OpenEPaperLinkStation, "gicisky": BluetoothStation, "zhsunyco": BluetoothStation}
