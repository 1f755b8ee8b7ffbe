"""A Gicisky label in software: bytes written to it, bytes it notifies, a panel that changes a little later.

Source: esl.md 3.1 to 3.5, written from there: shares geometry and numbers with the driver, no code for streams. Knows
no radio: whoever puts it on the air calls `command` for a write to the command characteristic, `image_write` for one to
the image characteristic, notifies what they return in this order, and calls `disconnected`.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

from drivers.gicisky.codec import COMMAND_UUID, COMPANY_ID, IMAGE_UUID, SERVICE_UUID, StreamFormat
from drivers.gicisky.picture_codec import LabelType
from drivers.port import LabelId, Picture
from drivers.virtual import gicisky_screen
from drivers.virtual.gicisky_screen import Rubbish

STREAM_BYTES_MAX = 1 << 20
STATUS_BAD = 0x01

_ANNOUNCEMENT_BYTES = frozenset({5, 6, 8})  # all forms that are in use (3.3)


@dataclass
class LabelFaults:
    """What is wrong with a label; may be changed at any time. Parts count from 0."""

    silent_to: set[int] = field(default_factory=set)
    """Commands that it never answers; 5 stands for parts."""
    silent_after_parts: int | None = None
    refuses_streams: bool = False
    loses_once: set[int] = field(default_factory=set)
    """Parts of which the first copy is lost: it asks again."""
    never_accepts: int | None = None
    """A part that it asks for again and again."""
    asks_instead: dict[int, int] = field(default_factory=dict)
    """Instead of one part it asks for another, once."""
    completes_after: int | None = None
    """Says that it is complete after so many parts, whatever is missing."""
    never_completes: bool = False
    """After the last part it asks for one more."""
    noise: bytes | None = None
    """Notified before and after every answer."""


@dataclass(frozen=True, slots=True)
class ScreenChange:
    """The panel changed. Keeps what was sent, not the pixels."""

    at_s: float
    label_type: LabelType
    stream_format: StreamFormat
    stream: bytes

    @property
    def picture(self) -> Picture | None:
        """Decoded anew at every call; `None` when what was sent cannot be drawn: the panel shows rubbish."""
        try:
            return gicisky_screen.shown(self.label_type, _planes(self.stream_format, self.stream))
        except Rubbish:
            return None


class VirtualGiciskyLabel:
    """One label. `now` is the clock that its panel refreshes by; `refresh_s` the time from `05 08` to the new picture.

    Says of itself what a real one does: `name`, `manufacturer_data`, `service_uuid`, `command_uuid`, `image_uuid`.
    Without power it says nothing, forgets a half-given stream, and never draws what it had begun to draw.
    """

    service_uuid = SERVICE_UUID
    command_uuid = COMMAND_UUID
    image_uuid = IMAGE_UUID

    def __init__(
        self,
        address: LabelId,
        label_type: LabelType,
        now: Callable[[], float],
        *,
        firmware: int = 0x0101,
        compresses: bool = True,
        battery_mv: int = 2900,
        block_bytes: int = 244,
        refresh_s: float = 0.0,
        faults: LabelFaults | None = None,
    ) -> None:
        self.address = address
        self.label_type = label_type
        self.firmware = firmware
        self.compresses = compresses
        self.battery_mv = battery_mv
        self.refresh_s = refresh_s
        self.faults = faults or LabelFaults()
        self.powered = True
        self.writes: list[bytes] = []
        """Every write to the image characteristic, since the last `03`."""
        self._now = now
        self._block_bytes = block_bytes
        self._screen: list[ScreenChange] = []
        self._stream_bytes = 0
        self._short_and_compressed = False
        self._received = bytearray()
        self._wanted: int | None = None

    @property
    def name(self) -> str:
        """As it advertises after set-up (3.1)."""
        return f"NEMR{self.address.replace(':', '')[-8:]}"

    @property
    def manufacturer_data(self) -> dict[int, bytes]:
        """By company id (3.1); nothing without power."""
        if not self.powered:
            return {}
        number = self.label_type.type_id | (0 if self.compresses else 0x4000)
        firmware_high, firmware_low = divmod(self.firmware, 256)
        said = (number % 256, self.battery_mv // 100, firmware_high, firmware_low, number // 256)
        return {COMPANY_ID: bytes(said)}

    @property
    def history(self) -> list[ScreenChange]:
        """Everything that the panel has shown until now, the oldest first."""
        return [change for change in self._screen if change.at_s <= self._now()]

    @property
    def coming(self) -> ScreenChange | None:
        """The newest picture that it took, on the panel or about to be."""
        return self._screen[-1] if self._screen else None

    @property
    def picture(self) -> Picture | None:
        """What stands on the panel now; `None` while blank or rubbish."""
        history = self.history
        return history[-1].picture if history else None

    def command(self, data: bytes) -> list[bytes]:
        """A write to the command characteristic; returns what is notified."""
        if not self.powered or not data or data[0] in self.faults.silent_to:
            return []
        match data[0]:
            case 0x01:
                return self._answer(b"\x01" + self._block_bytes.to_bytes(2, "little"))
            case 0x02:
                return self._answer(bytes((0x02, self._announced(data))))
            case 0x03 if self._stream_bytes:
                self._begin()
                return self._ask(0)
            case 0x04:
                self.disconnected()
                return self._answer(b"\x04\x00")
        return []

    def image_write(self, data: bytes) -> list[bytes]:
        """A write to the image characteristic; returns what is notified."""
        if not self.powered or self._wanted is None or len(data) < 4 or 0x05 in self.faults.silent_to:
            return []
        self.writes.append(data)
        if self.faults.silent_after_parts is not None and len(self.writes) > self.faults.silent_after_parts:
            return []
        part = int.from_bytes(data[:4], "little")
        if part != self._wanted or part == self.faults.never_accepts or part in self.faults.loses_once:
            self.faults.loses_once.discard(part)
            return self._ask(STATUS_BAD)
        self._received += data[4:]
        self._wanted += 1
        return self._after_part()

    def disconnected(self) -> None:
        """The connection is gone, and with it a stream that was being given."""
        self._stream_bytes = 0
        self._wanted = None
        self._received.clear()

    def cut_power(self) -> None:
        """The battery is out: what it was drawing is never seen."""
        self.powered = False
        self._screen = self.history
        self.disconnected()

    def restore_power(self) -> None:
        """The battery is back."""
        self.powered = True

    def _announced(self, data: bytes) -> int:
        """The status that answers `02`."""
        stream_bytes = int.from_bytes(data[1:5], "little")
        fits = len(data) in _ANNOUNCEMENT_BYTES and 1 <= stream_bytes <= STREAM_BYTES_MAX
        if not fits or self.faults.refuses_streams:
            return STATUS_BAD
        self.disconnected()
        self._stream_bytes = stream_bytes
        self._short_and_compressed = data[5:] == b"\x01"
        return 0

    def _begin(self) -> None:
        self._received.clear()
        self.writes.clear()
        self._wanted = 0

    def _after_part(self) -> list[bytes]:
        if self._wanted == self.faults.completes_after:
            return self._answer(b"\x05\x08")
        if len(self._received) < self._stream_bytes or self.faults.never_completes:
            return self._ask(0)
        self._wanted = None
        change = ScreenChange(
            self._now() + self.refresh_s, self.label_type, self._stream_format(), bytes(self._received)
        )
        self._screen.append(change)
        return self._answer(b"\x05\x08")

    def _stream_format(self) -> StreamFormat:
        """How it reads what it was given: large labels go by the announcement, others by what they are (3.1, 3.3)."""
        label_type = self.label_type
        usual = StreamFormat.LINES if self.firmware in label_type.lines_with_firmware else label_type.format
        if not self.compresses:
            return StreamFormat.RAW
        if usual is StreamFormat.CHUNKS and label_type.short_announcement and not self._short_and_compressed:
            return StreamFormat.RAW
        return usual

    def _ask(self, status: int) -> list[bytes]:
        wanted = self._wanted or 0
        return self._answer(bytes((0x05, status)) + self.faults.asks_instead.pop(wanted, wanted).to_bytes(4, "little"))

    def _answer(self, answer: bytes) -> list[bytes]:
        noise = self.faults.noise
        return [answer] if noise is None else [noise, answer, noise]


def _planes(stream_format: StreamFormat, stream: bytes) -> bytes:
    match stream_format:
        case StreamFormat.RAW:
            return stream
        case StreamFormat.LINES:
            return gicisky_screen.unlined(stream)
        case StreamFormat.CHUNKS:
            return gicisky_screen.inflated(stream)
