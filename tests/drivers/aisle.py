"""A test's aisle: a virtual radio with labels behind a link in memory, and a station that serves them."""

import asyncio
import contextlib
import functools
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np

from drivers.openepaperlink.picture_codec import tag_types
from drivers.openepaperlink.session import OpenEPaperLinkStation
from drivers.port import (
    Ambiguous,
    Blob,
    DriverEvent,
    EventSink,
    LabelId,
    OfferRefused,
    Picture,
    Shown,
    StationChanged,
    StationState,
)
from drivers.serial_link import ByteLink
from drivers.virtual.label import VirtualLabel
from drivers.virtual.line_faults import LineFaults
from drivers.virtual.memory_port import MemoryPort
from drivers.virtual.radio import FAST, AirTiming, VirtualRadio
from drivers.virtual.shelf import VirtualShelf
from edge import virtual_time

Event = TypeVar("Event", bound=DriverEvent)
LOOKS_MAX = 30_000
MILK = "0000021b1ad03b17"
BREAD = "0000021b1ad03b18"


def virtually(test: Callable[..., Awaitable[None]]) -> Callable[..., None]:
    """Runs an async test under virtual time."""

    @functools.wraps(test)
    def run(*arguments: object, **named: object) -> None:
        virtual_time.run(test(*arguments, **named))

    return run


def address(number: int) -> LabelId:
    return f"{number:016x}"


@dataclass
class Aisle:
    """Times are virtual seconds."""

    radio: VirtualRadio
    port: MemoryPort
    shelf: VirtualShelf
    station: OpenEPaperLinkStation
    events: list[DriverEvent]
    truths: list[tuple[Shown, str | None]] = field(default_factory=list)
    wrong_proofs: list[tuple[Shown, str | None]] = field(default_factory=list)
    running: list[asyncio.Task[None]] = field(default_factory=list)
    sink: EventSink = print

    def label(self, label: LabelId = MILK) -> VirtualLabel:
        return self.shelf.labels[label]

    def heard(self, kind: type[Event]) -> list[Event]:
        return [event for event in self.events if isinstance(event, kind)]

    def states(self) -> list[StationState]:
        return [event.state for event in self.heard(StationChanged)]

    def draw(self, seed: int, label: LabelId = MILK) -> tuple[Picture, Blob]:
        description = self.station.describe(label)
        assert description is not None
        palette = sorted(description.colours)
        pixels = np.random.default_rng(seed).choice(palette, description.width * description.height)
        picture = Picture(description.width, description.height, pixels.astype(np.uint8).tobytes())
        return picture, self.station.encode(description, picture)

    async def offer(self, seed: int, label: LabelId = MILK) -> tuple[Picture, Blob]:
        picture, blob = self.draw(seed, label)
        await self.station.offer(label, blob)
        return picture, blob

    async def offer_until_taken(self, blob: Blob, label: LabelId = MILK) -> None:
        while True:
            try:
                await self.station.offer(label, blob)
                return
            except OfferRefused:
                await asyncio.sleep(0.5)

    async def until(self, condition: Callable[[], bool], within_s: float = 300.0) -> None:
        async with asyncio.timeout(within_s):
            while not condition():  # noqa: ASYNC110 - looks at anything, from outside
                await asyncio.sleep(max(0.01, within_s / LOOKS_MAX))

    async def ready(self, within_s: float = 60.0) -> None:
        await self.until(lambda: self.station.state is StationState.READY, within_s)

    async def shows(self, picture: Picture, label: LabelId = MILK, within_s: float = 300.0) -> None:
        await self.until(lambda: self.label(label).picture == picture, within_s)

    async def proven(self, blob: Blob, label: LabelId = MILK, within_s: float = 300.0) -> None:
        await self.until(lambda: Shown(label, blob.version) in self.events, within_s)

    def hear(self, event: DriverEvent) -> None:
        self.events.append(event)
        if isinstance(event, Shown):
            truth = self.label(event.label).version if event.label in self.shelf.labels else None
            self.truths.append((event, truth))
            if truth != event.version:
                self.wrong_proofs.append((event, truth))

    async def offers_again(self, wanted: dict[LabelId, Blob]) -> None:
        """What a planner does: offers until the proof stands, again after every doubt."""
        for label, blob in wanted.items():
            words = (event for event in reversed(self.events) if isinstance(event, Shown | Ambiguous))
            last = next((event for event in words if event.label == label), None)
            if last != Shown(label, blob.version):
                with contextlib.suppress(OfferRefused):
                    await self.station.offer(label, blob)


@contextlib.asynccontextmanager
async def an_aisle(
    labels: int = 1,
    *,
    tag_type: int = 0x01,
    timing: AirTiming = FAST,
    slots_max: int = 250,
    check_in_s: float = 1.0,
    settle_s: float = 0.0,
    radio_loss: float = 0.0,
    firmware_version: int = 0x27,
    chatter: float = 0.0,
    newlines: bool = False,
    radio_sub_ghz_channel: int | None = None,
    sub_ghz_channel: int | None = None,
    high_speed: bool = False,
    paced: bool = False,
    plugged_in: bool = True,
    adopt: bool = True,
    to_host: LineFaults | None = None,
    to_radio: LineFaults | None = None,
    wrap: Callable[[Callable[[], Awaitable[ByteLink]]], Callable[[], Awaitable[ByteLink]]] = lambda opener: opener,
    seed: int = 1,
) -> AsyncIterator[Aisle]:
    """`wrap` puts something between the station and the port: how a test makes a link misbehave."""
    randomness = random.Random(seed)
    radio = VirtualRadio(randomness, timing=timing, slots_max=slots_max, chatter=chatter, newlines=newlines,
                         sub_ghz_channel=radio_sub_ghz_channel)
    port = MemoryPort(radio, paced=paced, plugged_in=plugged_in, to_host=to_host, to_radio=to_radio)
    first = int(MILK, 16)
    shelf = VirtualShelf(
        radio,
        [
            VirtualLabel(
                address(first + index), tag_types()[tag_type], radio, random.Random(seed * 1000 + index),
                check_in_s=check_in_s, settle_s=settle_s, radio_loss=radio_loss, firmware_version=firmware_version,
            )
            for index in range(labels)
        ],
    )  # fmt: skip
    events: list[DriverEvent] = []
    aisle: Aisle

    def hear(event: DriverEvent) -> None:
        aisle.sink(event)

    station = OpenEPaperLinkStation(
        "aisle 4", wrap(port.open), hear, random.Random(seed), high_speed=high_speed,
        sub_ghz_channel=sub_ghz_channel,
    )
    aisle = Aisle(radio, port, shelf, station, events)
    aisle.sink = aisle.hear
    for label in shelf.labels.values() if adopt else ():
        station.adopt(label.address, label.tag_type.type_name())
    aisle.running = [asyncio.create_task(shelf.run()), asyncio.create_task(station.run())]
    try:
        yield aisle
        for task in aisle.running:
            assert not task.done(), f"ended by itself: {task}"
    finally:
        for task in aisle.running:
            task.cancel()
        await asyncio.gather(*aisle.running, return_exceptions=True)
        port.unplug()
