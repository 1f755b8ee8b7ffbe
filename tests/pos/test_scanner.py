"""Serial scanners: whatever they are set to send, one scan each (retail.md 1.8)."""

import asyncio
import os
import random
import tty
from collections.abc import AsyncIterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.serial_link import MemoryLink, SerialLink, memory_link_pair
from edge.domain.barcode import CODE_LENGTH_MAX, lookup_key
from edge.limits import SCAN_AGAIN_S, SCAN_SILENCE_S
from edge.pos.scanner import Scan, ScanFramer, Scanner

EAN = "4006381333931"


@pytest.mark.parametrize(("sent", "codes"), [
    (f"{EAN}\r\n", [EAN]), (f"{EAN}\r{EAN}\r", [EAN, EAN]), (f"\x02{EAN}\x03", [EAN]), (f"]E0{EAN}\t", [f"]E0{EAN}"]),
    ("]C101040063813339313103001250\x1d10AB\r", ["]C101040063813339313103001250\x1d10AB"]),
    ("x" * (CODE_LENGTH_MAX + 1) + f"\x02{EAN}\r", [EAN]),
    ("\r\n\r\n", []), ("rub\x01bish\r", []), ("x" * (CODE_LENGTH_MAX + 1) + f"\r{EAN}\r", [EAN])])
def test_framing(sent: str, codes: list[str]) -> None:
    framer = ScanFramer()
    assert framer.feed(sent.encode()) == codes
    one_by_one = ScanFramer()
    assert [code for byte in sent.encode() for code in one_by_one.feed(bytes((byte,)))] == codes


def test_a_prefix_is_taken_off_and_silence_ends_a_code() -> None:
    framer = ScanFramer(b"S1")
    assert framer.feed(b"S1" + EAN.encode()) == []
    assert framer.holds_something
    assert framer.silence() == [EAN]
    assert framer.silence() == []


def test_a_gs1_code_keeps_what_it_means() -> None:
    (code,) = ScanFramer().feed(b"]C10104006381333931\x1d3103001250\r")
    assert lookup_key(code) == "04006381333931"


@given(st.lists(st.binary(max_size=700), max_size=12))
def test_p10_no_bytes_break_it_and_it_holds_no_more_than_a_code(chunks: list[bytes]) -> None:
    framer = ScanFramer()
    for chunk in chunks:
        for code in framer.feed(chunk):
            assert 0 < len(code) <= CODE_LENGTH_MAX
    framer.silence()
    assert not framer.holds_something


class Desk:
    """A scanner on a line in memory, under virtual time."""

    def __init__(self) -> None:
        self.scans: list[Scan] = []
        self.device: MemoryLink | None = None
        self.opened = 0
        self.scanner = Scanner("desk", self._open, 9600, b"", self.scans.append, random.Random(1))

    async def _open(self) -> MemoryLink:
        self.opened += 1
        host, self.device = memory_link_pair()
        return host

    def sends(self, text: str) -> None:
        assert self.device is not None
        self.device.send(text.encode())

    def codes(self) -> list[str]:
        return [scan.code for scan in self.scans]


@pytest.fixture
async def desk() -> AsyncIterator[Desk]:
    desk = Desk()
    running = asyncio.create_task(desk.scanner.run())
    await asyncio.sleep(0.01)
    yield desk
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def test_the_same_code_within_a_moment_is_one_scan(desk: Desk) -> None:
    desk.sends(f"{EAN}\r{EAN}\r")
    await asyncio.sleep(SCAN_AGAIN_S / 2)
    desk.sends(f"{EAN}\r")
    await asyncio.sleep(SCAN_AGAIN_S * 2)
    desk.sends(f"{EAN}\r")
    await asyncio.sleep(0.1)
    assert desk.codes() == [EAN, EAN]


async def test_a_scanner_without_a_suffix_ends_by_silence(desk: Desk) -> None:
    for letter in EAN:
        desk.sends(letter)
        await asyncio.sleep(SCAN_SILENCE_S / 4)
    assert desk.codes() == []
    await asyncio.sleep(SCAN_SILENCE_S * 2)
    assert desk.codes() == [EAN]


async def test_one_that_is_unplugged_is_waited_for(desk: Desk) -> None:
    assert desk.device is not None
    desk.device.close()
    await asyncio.sleep(60)
    assert desk.opened >= 2
    assert desk.scanner.connected
    desk.sends(f"{EAN}\r")
    await asyncio.sleep(0.1)
    assert desk.codes() == [EAN]


def test_on_a_pty_as_a_scanner_is() -> None:
    """A real terminal device, whose line discipline could eat a GS."""
    master, slave = os.openpty()
    tty.setraw(slave)
    scans: list[Scan] = []

    async def scene() -> None:
        scanner = Scanner("desk", lambda: SerialLink.open(os.ttyname(slave)), 9600, b"", scans.append, random.Random(1))
        running = asyncio.create_task(scanner.run())
        async with asyncio.timeout(10):
            while not scanner.connected:  # noqa: ASYNC110 - a thread cannot set our event
                await asyncio.sleep(0.01)
            os.write(master, b"]C10104006381333931\x1d3103001250\r")
            while not scans:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)

    with asyncio.Runner(loop_factory=asyncio.new_event_loop) as runner:
        runner.run(scene())
    assert [scan.code for scan in scans] == ["]C10104006381333931\x1d3103001250"]
    for descriptor in (master, slave):
        os.close(descriptor)
