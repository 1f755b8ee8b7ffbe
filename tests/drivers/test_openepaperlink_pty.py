"""The whole way in real time: station, pyserial, pseudo terminal, virtual radio, labels."""

import asyncio
import contextlib
import random

import pytest

from drivers.openepaperlink import codec
from drivers.openepaperlink.frame_reader import CommandReader, LoadedBlock
from drivers.openepaperlink.picture_codec import decode_picture, tag_types
from drivers.openepaperlink.session import OpenEPaperLinkStation
from drivers.port import Colour, Picture, Shown, StationState
from drivers.serial_link import SerialLink
from drivers.virtual.label import VirtualLabel
from drivers.virtual.own_thread import OwnThread
from drivers.virtual.pty_port import PtyPort
from drivers.virtual.radio import FAST, Direction, VirtualRadio
from drivers.virtual.shelf import VirtualShelf

MILK = "0000021b1ad03b17"


def a_picture(tag_type):
    pixels = bytearray(tag_type.width * tag_type.height)
    pixels[::7] = bytes((Colour.BLACK,)) * len(pixels[::7])
    pixels[::11] = bytes((Colour.RED,)) * len(pixels[::11])
    return Picture(tag_type.width, tag_type.height, bytes(pixels))


async def until(condition, within_s=20.0):
    async with asyncio.timeout(within_s):
        while not condition():  # noqa: ASYNC110 - looks at anything, from outside
            await asyncio.sleep(0.01)


@contextlib.asynccontextmanager
async def running(*coroutines):
    tasks = [asyncio.create_task(coroutine) for coroutine in coroutines]
    try:
        yield
        assert not any(task.done() for task in tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def a_station(device, events):
    return OpenEPaperLinkStation("aisle 4", lambda: SerialLink.open(str(device)), events.append, random.Random(1))


@pytest.mark.parametrize("paced", [False, True])
async def test_p7_adopt_offer_shown_over_a_real_pty_and_a_witness_on_the_wire_sees_the_same(paced):
    wire = {Direction.TO_RADIO: bytearray(), Direction.TO_HOST: bytearray()}
    radio = VirtualRadio(random.Random(2), timing=FAST, on_wire=lambda direction, data: wire[direction].extend(data))
    tag_type = tag_types()[0x01]
    label = VirtualLabel(MILK, tag_type, radio, random.Random(3), check_in_s=0.3)
    port = PtyPort(radio, paced=paced)
    events = []
    station = a_station(port.device, events)
    station.adopt(MILK, "oepl:01")
    picture = a_picture(tag_type)
    try:
        async with running(VirtualShelf(radio, [label]).run(port.run()), station.run()):
            await until(lambda: station.state is StationState.READY)
            blob = station.encode(station.describe(MILK), picture)
            await station.offer(MILK, blob)
            await until(lambda: Shown(MILK, blob.version) in events)
            await until(lambda: label.picture == picture)
    finally:
        port.close()
    frames = CommandReader().feed(bytes(wire[Direction.TO_RADIO]))
    blocks = [codec.block_from_wire(frame.wire) for frame in frames if isinstance(frame, LoadedBlock)]
    assert decode_picture(tag_type, blob.encoding, b"".join(blocks)) == picture
    assert b"XFC>" in wire[Direction.TO_HOST]


async def test_a_device_that_appears_late_goes_away_and_comes_back_under_its_name(tmp_path):
    device = tmp_path / "radio"
    events = []
    station = a_station(device, events)
    station.adopt(MILK, "oepl:54")
    radio = VirtualRadio(random.Random(2))
    tag_type = tag_types()[0x54]
    label = VirtualLabel(MILK, tag_type, radio, random.Random(3), check_in_s=0.2)
    async with running(station.run()):
        await asyncio.sleep(0.3)
        assert station.state is StationState.OFFLINE
        for attempt in range(2):
            port = PtyPort(radio, link=device)
            try:
                async with running(VirtualShelf(radio, [label]).run(port.run())):
                    await until(lambda: station.state is StationState.READY)
                    blob = station.encode(
                        station.describe(MILK), Picture(256, 128, bytes((attempt,)) * (256 * 128))
                    )
                    await station.offer(MILK, blob)
                    await until(lambda: label.version == blob.version)  # noqa: B023 - awaited in the same round
            finally:
                port.close()
            await until(lambda: station.state is StationState.OFFLINE)


def test_virtual_devices_live_on_a_thread_of_their_own(tmp_path):
    device = tmp_path / "radio"
    thread = OwnThread()

    async def devices(ready):
        radio = VirtualRadio(random.Random(2))
        label = VirtualLabel(MILK, tag_types()[0x33], radio, random.Random(3), check_in_s=0.2)
        port = PtyPort(radio, link=device)
        try:
            async with running(VirtualShelf(radio, [label]).run(port.run())):
                ready(label)
                await asyncio.Event().wait()
        finally:
            port.close()

    label = thread.start(devices)
    picture = a_picture(tag_types()[0x33])

    async def store():
        events = []
        station = a_station(device, events)
        station.adopt(MILK, "oepl:33/zlib")
        async with running(station.run()):
            await until(lambda: station.state is StationState.READY)
            blob = station.encode(station.describe(MILK), picture)
            await station.offer(MILK, blob)
            await until(lambda: Shown(MILK, blob.version) in events)
            await until(lambda: thread.call(lambda: label.picture) == picture)

    try:
        asyncio.run(store())
    finally:
        thread.stop()
    assert not device.exists()


def test_a_device_thread_that_fails_to_start_says_why():
    async def devices(ready):
        raise RuntimeError("no pty today")

    with pytest.raises(RuntimeError, match="no pty today"):
        OwnThread().start(devices)
