"""A virtual label: checks in, asks for blocks, verifies them, keeps the picture, changes its screen a little later.

Source: esl.md 1.4, 1.5, 1.7, 1.8. E-paper keeps its picture without power; the pictures in its memory survive a power
cut too, a half-fetched one does not, and neither does the knowledge of which one is on the screen.
"""

import asyncio
import random
from dataclasses import dataclass

from drivers.openepaperlink import codec
from drivers.openepaperlink.codec import BadFrame, Capability, CheckIn, DataType, LabelCommand, LedFlash, PendingData
from drivers.openepaperlink.picture_codec import TagType, decode_picture
from drivers.port import Feature, LabelId, Picture, PictureVersion
from drivers.virtual.radio import Refusal, VirtualRadio

BLOCK_ATTEMPTS = 5  # requests for one block before the label gives up until its next check-in
BUSY_ATTEMPTS = 100  # refusals for being busy before it does
CHECK_IN_ATTEMPTS = 3
DONE_ATTEMPTS = 5
FIRST_CHECK_IN_S_MAX = 60.0  # after power-up, however long its interval
RETRY_S = 0.1  # between attempts of the same exchange
SIZE_MAX = codec.BLOCK_BYTES * codec.BLOCKS_MAX


@dataclass(frozen=True, slots=True)
class ScreenChange:
    """The screen changed. Keeps what was sent, not the pixels: a simulated month has many changes."""

    at_s: float
    version: PictureVersion
    tag_type: TagType
    encoding: int
    payload: bytes

    @property
    def spoilt(self) -> bool:
        """Whether this is not what was sent, though every block's sum was right: a zero byte that a cable loses is made
        up for by the padding (1.4). No label looks at the version, which would tell."""
        return codec.version_of(self.payload) != self.version

    @property
    def picture(self) -> Picture | None:
        """Decoded anew at every call; `None` when what was sent cannot be drawn: the screen shows rubbish."""
        try:
            return decode_picture(self.tag_type, self.encoding, self.payload)
        except BadFrame:
            return None


@dataclass(frozen=True, slots=True)
class Flash:
    """The LED was told to flash, or to stop (`pattern.mode` 0)."""

    at_s: float
    pattern: LedFlash


@dataclass(frozen=True, slots=True)
class Done:
    """The label began to say that it holds this version: what an `XFC>` is about, though it does not say so."""

    at_s: float
    version: PictureVersion


class VirtualLabel:
    """One label. `run()` is its life; times are the running loop's, so virtual time works.

    `check_in_s` is the mean interval, each drawn within ± `check_in_spread`; `radio_loss` is the share of messages
    lost in each direction; `settle_s` the longest time from "done" to the new picture standing. Screen changes are
    in `history`, the newest in `picture` and `version`.
    """

    def __init__(
        self,
        address: LabelId,
        tag_type: TagType,
        radio: VirtualRadio,
        randomness: random.Random,
        *,
        check_in_s: float = 40.0,
        check_in_spread: float = 0.2,
        radio_loss: float = 0.0,
        settle_s: float = 0.0,
        battery_mv: int = 2950,
        temperature_c: int = 21,
        firmware_version: int = 0x27,
        features: frozenset[Feature] = frozenset(),
        memory_slots: int = 3,
    ) -> None:
        self.address = address
        self.tag_type = tag_type
        self.radio = radio
        self.check_in_s = check_in_s
        self.radio_loss = radio_loss
        self.settle_s = settle_s
        self.battery_mv = battery_mv
        self.temperature_c = temperature_c
        self.firmware_version = firmware_version
        self.history: list[ScreenChange] = []
        self.said_done: list[Done] = []
        self.flashes: list[Flash] = []
        self.check_ins = 0
        self.bad_blocks = 0
        self._picture: Picture | None = None
        self._randomness = randomness
        self._check_in_spread = check_in_spread
        self._capabilities = _capabilities(tag_type, firmware_version, features)
        self._memory_slots = memory_slots
        self._memory: dict[PictureVersion, tuple[int, bytes]] = {}
        self._blocks: dict[int, bytes] = {}
        self._blocks_version: PictureVersion | None = None
        self._knows_it_shows: PictureVersion | None = None
        self._wakeup_reason: int = codec.WakeupReason.FIRST_BOOT
        self._powered = asyncio.Event()
        self._powered.set()
        self._life: asyncio.Task[None] | None = None

    @property
    def picture(self) -> Picture | None:
        """What stands on the screen now; `None` while blank or rubbish."""
        return self._picture

    @property
    def version(self) -> PictureVersion | None:
        """The version on the screen; `None` while blank."""
        return self.history[-1].version if self.history else None

    @property
    def powered(self) -> bool:
        """Whether its battery is in."""
        return self._powered.is_set()

    async def run(self) -> None:
        """Lives whenever it has power, until cancelled."""
        while True:
            await self._powered.wait()
            self._life = life = asyncio.create_task(self._live(), name=f"label {self.address}")
            try:
                await asyncio.wait({life})
            finally:
                life.cancel()
            if not life.cancelled():
                life.result()

    def cut_power(self) -> None:
        """The battery is out, at this very moment, whatever it was doing."""
        self._powered.clear()
        self._blocks.clear()
        self._blocks_version = self._knows_it_shows = None
        self._wakeup_reason = codec.WakeupReason.FIRST_BOOT
        if self._life is not None:
            self._life.cancel()

    def restore_power(self) -> None:
        """The battery is back; the label checks in soon."""
        self._powered.set()

    async def _live(self) -> None:
        sleep_s = self._randomness.uniform(0, min(self.check_in_s, FIRST_CHECK_IN_S_MAX))
        while True:
            await asyncio.sleep(sleep_s)
            sleep_s = await self._wake()

    async def _wake(self) -> float:
        """One waking, from check-in to screen; returns how long to sleep."""
        pending = await self._check_in()
        spread = self._randomness.uniform(1 - self._check_in_spread, 1 + self._check_in_spread)
        sleep_s = self.check_in_s * spread
        if pending is None:
            return sleep_s
        if pending.data_type == DataType.COMMAND:
            await self._obey(pending)
        elif pending.data_type != DataType.NONE:
            await self._take_picture(pending)
        return _next_check_in_s(pending.next_check_in) or sleep_s

    async def _check_in(self) -> PendingData | None:
        for _ in range(CHECK_IN_ATTEMPTS):
            if self._air_carries():
                self.check_ins += 1
                pending = await self.radio.check_in(self.address, self._report())
                if self._air_carries():
                    self._wakeup_reason = codec.WakeupReason.TIMED
                    return pending
            await asyncio.sleep(RETRY_S)
        return None

    async def _take_picture(self, pending: PendingData) -> None:
        version = pending.version.hex()
        if version == self._knows_it_shows:
            self.said_done.append(Done(asyncio.get_running_loop().time(), version))
            await self._say_done()
            return
        if version not in self._memory:
            payload = await self._download(version, pending.size)
            if payload is None:
                return
            self._remember(version, pending.data_type, payload)
        self.said_done.append(Done(asyncio.get_running_loop().time(), version))
        await self._say_done()
        await self._draw(version)

    async def _download(self, version: PictureVersion, size: int) -> bytes | None:
        """Every block, kept over check-ins while the version stays the same; `None` when it gave up."""
        if not 1 <= size <= SIZE_MAX:
            return None
        if version != self._blocks_version:
            self._blocks.clear()
            self._blocks_version = version
        count = -(-size // codec.BLOCK_BYTES)
        for block in range(count):
            if block not in self._blocks:
                data = await self._fetch(version, block)
                if data is None:
                    return None
                self._blocks[block] = data
        payload = b"".join(self._blocks[block] for block in range(count))[:size]
        self._blocks.clear()
        self._blocks_version = None
        return payload if len(payload) == size else None

    async def _fetch(self, version: PictureVersion, block: int) -> bytes | None:
        tries = busy = 0
        while tries < BLOCK_ATTEMPTS and busy < BUSY_ATTEMPTS:
            answer = await self.radio.fetch_block(self.address, version, block) if self._air_carries() else None
            if answer is Refusal.CANCELLED:
                return None
            if answer is Refusal.BUSY:
                if self.radio.timing.busy_retry_s is None:
                    return None
                busy += 1
                await asyncio.sleep(self.radio.timing.busy_retry_s * self._randomness.uniform(0.5, 1.5))
                continue
            tries += 1
            if isinstance(answer, bytes) and self._air_carries():
                data = self._verified(answer)
                if data is not None:
                    return data
            await asyncio.sleep(RETRY_S)
        return None

    def _verified(self, wire: bytes) -> bytes | None:
        try:
            return codec.block_from_wire(wire)
        except BadFrame:
            self.bad_blocks += 1
            return None

    async def _say_done(self) -> None:
        """Says it until the radio's answer is heard, or gives up; it shows the picture either way."""
        for _ in range(DONE_ATTEMPTS):
            if self._air_carries() and await self.radio.complete(self.address) and self._air_carries():
                return
            await asyncio.sleep(RETRY_S)

    async def _draw(self, version: PictureVersion) -> None:
        await asyncio.sleep(self._randomness.uniform(0, self.settle_s))
        encoding, payload = self._memory[version]
        change = ScreenChange(asyncio.get_running_loop().time(), version, self.tag_type, encoding, payload)
        self._knows_it_shows = version
        self._picture = change.picture
        self.history.append(change)

    def _remember(self, version: PictureVersion, encoding: int, payload: bytes) -> None:
        while len(self._memory) >= self._memory_slots:
            del self._memory[next(iter(self._memory))]
        self._memory[version] = (encoding, payload)

    async def _obey(self, pending: PendingData) -> None:
        await self._say_done()
        if pending.argument == LabelCommand.LED_FLASH:
            detail = pending.version + pending.size.to_bytes(4, "little")
            self.flashes.append(Flash(asyncio.get_running_loop().time(), LedFlash.from_bytes(detail)))
        elif pending.argument == LabelCommand.REBOOT:
            self._knows_it_shows = None
            self._wakeup_reason = codec.WakeupReason.FIRST_BOOT

    def _report(self) -> CheckIn:
        return CheckIn(
            lqi=200, rssi_dbm=-60, temperature_c=self.temperature_c, battery_mv=self.battery_mv,
            hardware_type=self.tag_type.number, wakeup_reason=self._wakeup_reason, capabilities=self._capabilities,
            firmware_version=self.firmware_version, channel=self.radio.settings.channel,
        )  # fmt: skip

    def _air_carries(self) -> bool:
        return self.radio_loss <= 0 or self._randomness.random() >= self.radio_loss


def _capabilities(tag_type: TagType, firmware_version: int, features: frozenset[Feature]) -> int:
    bits = {Feature.LED: Capability.LED, Feature.BUTTON: Capability.BUTTON, Feature.NFC: Capability.NFC}
    able = sum(bits[feature] for feature in tag_type.features | features)
    return able | (Capability.COMPRESSION if tag_type.compresses(firmware_version) else 0)


def _next_check_in_s(next_check_in: int) -> float:
    """nextCheckIn in seconds; 0 leaves it to the label (1.3)."""
    if next_check_in & codec.NEXT_CHECK_IN_SECONDS_FLAG:
        return float(next_check_in & ~codec.NEXT_CHECK_IN_SECONDS_FLAG)
    return next_check_in * 60.0
