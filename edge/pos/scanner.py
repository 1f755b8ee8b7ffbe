"""Serial barcode scanners: bytes in, scans out, told to whoever follows the store's events (retail.md 1.8).

A scan ends with CR, LF, ETX or a tab, or when a scanner without a suffix falls silent. AIM symbology identifiers
(`]C1`) and group separators (GS) stay: they say what a GS1 code means. A code read twice within a moment counts once.
"""

import asyncio
import contextlib
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import structlog

from drivers.back_off import back_off
from drivers.serial_link import ByteLink, LinkLost
from edge.domain.barcode import CODE_LENGTH_MAX
from edge.limits import SCAN_AGAIN_S, SCAN_SILENCE_S

ENDS = b"\r\n\x03\t"
STARTS = b"\x02"
GS = 0x1D
_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Scan:
    """What a scanner read: its name in the settings, and the code as it came."""

    scanner: str
    code: str


class ScanFramer:
    """Bytes ⇄ codes. Never raises; what is no code, or longer than any, is passed over whole."""

    def __init__(self, prefix: bytes = b"") -> None:
        """`prefix`: what the scanner was told to put before each code, taken off again."""
        self._prefix = prefix
        self._held = bytearray()
        self._too_long = False

    @property
    def holds_something(self) -> bool:
        """Whether a code has begun and not ended."""
        return bool(self._held) or self._too_long

    def feed(self, data: bytes) -> list[str]:
        """Every code that these bytes complete."""
        codes: list[str] = []
        for value in data:
            if value in ENDS:
                codes += self.silence()
            elif value in STARTS:
                self._held.clear()
                self._too_long = False
            elif len(self._held) >= CODE_LENGTH_MAX:
                self._too_long = True
            else:
                self._held.append(value)
        return codes

    def silence(self) -> list[str]:
        """The scanner fell silent, or said that this is the end: what it said is a code."""
        held, too_long = bytes(self._held), self._too_long
        self._held.clear()
        self._too_long = False
        code = held.removeprefix(self._prefix)
        if too_long or not code or any(value != GS and not 0x20 <= value < 0x7F for value in code):
            return []
        return [code.decode("ascii")]


class Scanner:
    """One scanner on a serial port. `run` is a part for the supervisor: it waits for a device that is away."""

    def __init__(self, name: str, open_link: Callable[[], Awaitable[ByteLink]], baud_rate: int, prefix: bytes,
                 tell: Callable[[Scan], None], randomness: random.Random) -> None:
        self.name = name
        self.progress = 0
        self.connected = False
        self._open_link = open_link
        self._baud_rate = baud_rate
        self._prefix = prefix
        self._tell = tell
        self._randomness = randomness
        self._last: tuple[str, float] = ("", float("-inf"))

    async def run(self) -> None:
        """Scan until cancelled; said once when the scanner is lost, and once when it is back."""
        failures = 0
        while True:
            self.progress += 1
            try:
                link = await self._open_link()
                try:
                    await link.set_baud_rate(self._baud_rate)
                    self._is_there(there=True)
                    failures = 0
                    await self._listen(link)
                finally:
                    with contextlib.suppress(Exception):
                        link.close()
            except (LinkLost, OSError) as reason:
                self._is_there(there=False, reason=str(reason))
            failures += 1
            await back_off(failures, self._randomness, self._beat)

    async def _listen(self, link: ByteLink) -> None:
        framer = ScanFramer(self._prefix)
        reading = asyncio.ensure_future(link.read())
        try:
            while True:
                self.progress += 1
                await asyncio.wait({reading}, timeout=SCAN_SILENCE_S)
                if reading.done():
                    self._scanned(framer.feed(reading.result()))
                    reading = asyncio.ensure_future(link.read())
                elif framer.holds_something:
                    self._scanned(framer.silence())
        finally:
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)

    def _scanned(self, codes: list[str]) -> None:
        now_s = asyncio.get_running_loop().time()
        for code in codes:
            again = self._last[0] == code and now_s - self._last[1] < SCAN_AGAIN_S
            self._last = code, now_s
            if not again:
                self._tell(Scan(self.name, code))

    def _is_there(self, *, there: bool, reason: str = "") -> None:
        if there is not self.connected:
            self.connected = there
            if there:
                _log.info("scanner there", scanner=self.name)
            else:
                _log.warning("scanner lost, waiting for it", scanner=self.name, reason=reason)

    def _beat(self) -> None:
        self.progress += 1
