"""A virtual OpenEPaperLink radio: a state machine fed with a host's bytes, answering in bytes.

Source: esl.md 1.1 to 1.5 and 1.8. Any host that speaks the protocol can drive it. It keeps what the real one keeps:
250 slots, one block buffer, one label at a time; it forgets everything when it restarts. Labels reach it through
the `check_in`, `fetch_block` and `complete` coroutines, which stand for the air.
"""

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from enum import Enum

from drivers.openepaperlink import codec
from drivers.openepaperlink.codec import (
    BlockRequest,
    CheckIn,
    CheckInHeard,
    DataType,
    PendingData,
    RadioSettings,
    ReturnData,
    TransferComplete,
    TransferTimedOut,
)
from drivers.openepaperlink.frame_reader import SILENCE_S, BadCommand, Command, CommandReader, HostFrame, LoadedBlock
from drivers.port import LabelId, PictureVersion

SLOTS_MAX = 250  # pending data the radio holds (1.2)
HOUSEKEEPING_S = 60.0  # attemptsLeft and nextCheckIn count these
REPEAT_S = 0.38  # a repeated request within this raises no new RQB> (1.4)
LOADING_S = 1.2  # an unanswered request keeps the one buffer from others, whatever the gate
SPEED_CHANGE_S = 0.1  # before and after switching to 2 Mbaud (1.1)

RADIO_TYPE = "C6"
RADIO_VERSION = "001E"


class Direction(Enum):
    """Which way bytes went over the wire."""

    TO_RADIO = "to radio"
    TO_HOST = "to host"


OnWire = Callable[[Direction, bytes], None]
"""Sees every byte both ways, in order."""


@dataclass(frozen=True, slots=True)
class AirTiming:
    """How long things take. `block_wait_s`: how long a label waits for the host's block, at 115200 and at 2 Mbaud.

    `busy_retry_s`: when a refused label asks again; `None`: at its next check-in, as real ones do.
    """

    gate_s: float
    exchange_s: float
    block_s: float
    block_wait_s: tuple[float, float]
    busy_retry_s: float | None
    boot_s: float


REALISTIC = AirTiming(
    gate_s=1.2, exchange_s=0.015, block_s=0.8, block_wait_s=(0.55, 0.14), busy_retry_s=None, boot_s=1.0
)
FAST = AirTiming(
    gate_s=0.0, exchange_s=0.001, block_s=0.003, block_wait_s=(0.55, 0.55), busy_retry_s=0.01, boot_s=0.05
)


class Refusal(Enum):
    """Why a label got no block."""

    BUSY = "busy"
    CANCELLED = "cancelled"
    NOT_LOADED = "the host did not send it in time"


@dataclass(slots=True)
class _Slot:
    pending: PendingData
    minutes_left: int


@dataclass(slots=True)
class _Buffer:
    """The one block buffer: what was asked for last, and its 4100 wire bytes once they came."""

    version: PictureVersion
    block: int
    asked_at_s: float
    wire: bytes | None = None
    loaded: asyncio.Event = field(default_factory=asyncio.Event)


class VirtualRadio:
    """See the module. `chatter` is the share of frames before which it prints debug text, as the real one does.

    `sub_ghz_channel`: it has a sub-GHz part. `newlines`: answers `NFO?` as older firmware did. Construct and use in one
    event loop.
    """

    def __init__(
        self,
        randomness: random.Random,
        *,
        timing: AirTiming = FAST,
        slots_max: int = SLOTS_MAX,
        on_wire: OnWire | None = None,
        chatter: float = 0.0,
        newlines: bool = False,
        sub_ghz_channel: int | None = None,
        address: str = "00000000feedc600",
    ) -> None:
        self.timing = timing
        self.baud_rate = codec.BAUD_RATE_AFTER_RESET
        self.settings = RadioSettings(11, 10, sub_ghz_channel)
        self.powered = True
        self.bad_commands = 0
        self._randomness = randomness
        self._slots_max = slots_max
        self._on_wire = on_wire
        self._chatter = chatter
        self._newlines = newlines
        self._address = address
        self._line: Callable[[bytes], None] | None = None
        self._reader = CommandReader(sub_ghz=sub_ghz_channel is not None)
        self._last_byte_at = float("-inf")
        self._slots: dict[LabelId, _Slot] = {}
        self._buffer: _Buffer | None = None
        self._talking_to: LabelId | None = None
        self._last_block_at = float("-inf")
        self._last_done: LabelId | None = None

    # The line.

    def connect(self, line: Callable[[bytes], None] | None) -> None:
        """Where bytes to the host go; `None` when no host listens (they are lost, as on a real line)."""
        self._line = line

    def receive(self, data: bytes) -> None:
        """Bytes from the host."""
        if self._on_wire is not None:
            self._on_wire(Direction.TO_RADIO, data)
        if not self.powered:
            return
        now = self._now()
        if now - self._last_byte_at >= SILENCE_S:
            self._reader.silence()
        self._last_byte_at = now
        for frame in self._reader.feed(data):
            self._obey(frame)

    def power_off(self) -> None:
        """Silent and deaf; forgets everything."""
        self.powered = False
        self._forget()

    async def restart(self) -> None:
        """Power-cycles: `RES>`, a moment of booting, `RDY>`."""
        self.power_off()
        await asyncio.sleep(self.timing.boot_s / 2)
        self.powered = True
        self._say(b"\r\nrst:0x1 (POWERON)\r\n" + codec.RADIO_RESET)
        self.powered = False
        await asyncio.sleep(self.timing.boot_s / 2)
        self.powered = True
        self._say(codec.RADIO_READY)

    async def run(self) -> None:
        """Housekeeping, until cancelled."""
        while True:
            await asyncio.sleep(HOUSEKEEPING_S)
            self.keep_house()

    def keep_house(self) -> None:
        """One minute of slot life: expired slots go, those with something in them with an `XTO>`."""
        for label, slot in list(self._slots.items()):
            slot.minutes_left -= 1
            wait = slot.pending.next_check_in
            if wait and not wait & codec.NEXT_CHECK_IN_SECONDS_FLAG:
                slot.pending = replace(slot.pending, next_check_in=wait - 1)
            if slot.minutes_left <= 0:
                del self._slots[label]
                if slot.pending.data_type != DataType.NONE:
                    self._say(b"XTO>" + TransferTimedOut(label).to_bytes())

    @property
    def slots(self) -> dict[LabelId, PendingData]:
        """What every slot holds now."""
        return {label: slot.pending for label, slot in self._slots.items()}

    # The air. Every coroutine takes the time its exchange takes.

    async def check_in(self, label: LabelId, check_in: CheckIn) -> PendingData | None:
        """A label reports and is told what its slot holds; `None` when there is nothing, or no radio."""
        await asyncio.sleep(self.timing.exchange_s)
        if not self.powered:
            return None
        self._last_done = None
        self._say(b"ADR>" + CheckInHeard(label, check_in).to_bytes())
        slot = self._slots.get(label)
        return None if slot is None else slot.pending

    async def fetch_block(self, label: LabelId, version: PictureVersion, block: int) -> bytes | Refusal:
        """A label asks for a block and waits; the 4100 bytes as the host sent them, whatever they are worth."""
        await asyncio.sleep(self.timing.exchange_s)
        if not self.powered:
            return Refusal.NOT_LOADED
        if self._is_busy(label):
            self._print("BUSY!\n")
            return Refusal.BUSY
        self._talking_to, self._last_block_at = label, self._now()
        if label not in self._slots:
            return Refusal.CANCELLED
        buffer = self._ask_host(label, version, block)
        try:
            async with asyncio.timeout(self._block_wait_s()):
                await buffer.loaded.wait()
        except TimeoutError:
            return Refusal.NOT_LOADED
        await asyncio.sleep(self.timing.block_s)
        return Refusal.NOT_LOADED if buffer.wire is None else buffer.wire

    async def complete(self, label: LabelId) -> bool:
        """A label says that it is done; true when the radio heard it. Said twice in a row it is passed on once."""
        await asyncio.sleep(self.timing.exchange_s)
        if not self.powered:
            return False
        if self._last_done != label:
            self._last_done = label
            self._say(b"XFC>" + TransferComplete(label).to_bytes())
            self._slots.pop(label, None)
        return True

    async def return_data(self, data: ReturnData) -> bool:
        """A label sends something of its own accord; true when the radio heard it."""
        await asyncio.sleep(self.timing.exchange_s)
        if self.powered:
            self._say(b"TRD>" + data.to_bytes())
        return self.powered

    # The inside.

    def _is_busy(self, label: LabelId) -> bool:
        if self._talking_to in (None, label):
            return False
        buffer = self._buffer
        loading = (
            buffer is not None and not buffer.loaded.is_set() and self._now() - buffer.asked_at_s < LOADING_S
        )
        return loading or self._now() - self._last_block_at < self.timing.gate_s

    def _block_wait_s(self) -> float:
        slow, high = self.timing.block_wait_s
        return high if self.baud_rate == codec.BAUD_RATE_HIGH else slow

    def _ask_host(self, label: LabelId, version: PictureVersion, block: int) -> _Buffer:
        """The buffer that will hold the block: the present one where it fits, else a new one and an `RQB>`."""
        buffer = self._buffer
        if buffer is not None and (buffer.version, buffer.block) == (version, block):
            if self._now() - buffer.asked_at_s < REPEAT_S:
                self._print("IGNORED\n")
                return buffer
            self._print("FORCED\n")
        buffer = self._buffer = _Buffer(version, block, self._now())
        self._say(b"RQB>" + BlockRequest(label, version, block).to_bytes())
        return buffer

    def _obey(self, frame: HostFrame) -> None:
        if isinstance(frame, LoadedBlock):
            if self._buffer is not None:
                self._buffer.wire = frame.wire
                self._buffer.loaded.set()
                self._print(f"Sending parts: {self._buffer.block:02d}..\n")
        elif isinstance(frame, BadCommand):
            self.bad_commands += 1
            self._say(codec.NOT_OK)
        else:
            self._obey_command(frame)

    def _obey_command(self, command: Command) -> None:
        body = command.body
        if isinstance(body, RadioSettings):
            self._set_channel(body)
        elif isinstance(body, PendingData) and command.token == codec.SEND_DATA_AVAILABLE:
            self._store(body)
        elif isinstance(body, PendingData):
            self._slots.pop(body.label, None)
            self._say(codec.ACKNOWLEDGED)
        else:
            self._say(codec.ACKNOWLEDGED)
            if command.token == codec.ASK_RADIO_INFO:
                self._tell_about_itself()
            elif command.token == codec.GO_HIGH_SPEED:
                asyncio.get_running_loop().call_later(SPEED_CHANGE_S, self._change_speed)

    def _store(self, pending: PendingData) -> None:
        if pending.label not in self._slots and len(self._slots) >= self._slots_max:
            self._say(codec.NO_SLOT)
            return
        self._slots[pending.label] = _Slot(pending, pending.attempts_left)
        self._say(codec.ACKNOWLEDGED)

    def _set_channel(self, settings: RadioSettings) -> None:
        if settings.channel not in codec.CHANNELS:
            self._say(codec.NOT_OK)
            return
        self.settings = settings
        self._say(codec.ACKNOWLEDGED)

    def _tell_about_itself(self) -> None:
        held = [slot.pending.data_type for slot in self._slots.values()]
        idle = held.count(DataType.NONE)
        channel = self.settings.sub_ghz_channel
        sub_ghz = () if channel is None else (f"SCH>{channel:03d}",)
        fields = (
            f"TYP>{RADIO_TYPE}", f"VER>{RADIO_VERSION}", f"MAC>{codec.address_to_wire(self._address).hex().upper()}",
            f"ZCH>{self.settings.channel:02X}", *sub_ghz, f"ZPW>{self.settings.power:02X}",
            f"PEN>{len(held) - idle:02X}", f"NOP>{idle:02X}",
        )  # fmt: skip
        end = "\n" if self._newlines else ""
        self._say("".join(text + end for text in fields).encode())

    def _change_speed(self) -> None:
        if not self.powered:
            return
        self.baud_rate = codec.BAUD_RATE_HIGH
        asyncio.get_running_loop().call_later(SPEED_CHANGE_S, self._say, codec.ACKNOWLEDGED)

    def _forget(self) -> None:
        self._slots.clear()
        self._buffer = None
        self._talking_to = self._last_done = None
        self._reader.silence()
        self.baud_rate = codec.BAUD_RATE_AFTER_RESET

    def _print(self, text: str) -> None:
        if self._chatter:
            self._send(text.encode())

    def _say(self, frame: bytes) -> None:
        if self._chatter and self._randomness.random() < self._chatter:
            self._send(f"heap {self._randomness.randrange(1 << 16)} ok\n".encode())
        self._send(frame)

    def _send(self, data: bytes) -> None:
        if not self.powered:
            return
        if self._on_wire is not None:
            self._on_wire(Direction.TO_HOST, data)
        if self._line is not None:
            self._line(data)

    def _now(self) -> float:
        return asyncio.get_running_loop().time()
