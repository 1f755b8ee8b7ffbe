"""Finds records in the bytes of a radio line, whatever else is on it. Pure.

Source: esl.md 1.2. Tokens are matched in a sliding window, payloads consumed by length; the radio prints debug
text in between. What looked like a frame and was not is looked through again, so that a lost byte costs one frame
and not the next one too. Nothing grows: a window, and at most one payload.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from drivers.openepaperlink import codec
from drivers.openepaperlink.codec import BadFrame, RadioFrame, Signal

SILENCE_S = 1.0  # a partial payload older than this is dropped, on both sides of the line (1.2)

_Decode = Callable[[bytes], RadioFrame]


@dataclass(frozen=True, slots=True)
class _Shape:
    """How to read what follows a token. `length` is `None` where the payload tells it itself (`TRD>`)."""

    length: int | None
    decode: _Decode


def _field(name: str) -> _Decode:
    def decode(payload: bytes) -> RadioFrame:
        text = payload.decode("latin-1")
        if not all(character in "0123456789abcdefABCDEF" for character in text):
            raise BadFrame(f"{name}>: {text!r} is not a number")
        return codec.RadioField(name, text)

    return decode


_SIGNALS: Mapping[bytes, Signal] = {
    bytes(signal): signal
    for signal in (
        codec.RADIO_RESET, codec.RADIO_READY, codec.ACKNOWLEDGED, codec.NOT_OK, codec.NO_SLOT,
    )
}  # fmt: skip

_FIELD_DIGITS = {"TYP": 2, "VER": 4, "MAC": 16, "ZCH": 2, "SCH": 3, "ZPW": 2, "PEN": 2, "NOP": 2}

_SHAPES: Mapping[bytes, _Shape] = {
    b"ADR>": _Shape(codec.CHECK_IN_HEARD_BYTES, codec.CheckInHeard.from_bytes),
    b"RQB>": _Shape(codec.BLOCK_REQUEST_BYTES, codec.BlockRequest.from_bytes),
    b"XFC>": _Shape(codec.TRANSFER_BYTES, codec.TransferComplete.from_bytes),
    b"XTO>": _Shape(codec.TRANSFER_BYTES, codec.TransferTimedOut.from_bytes),
    b"TRD>": _Shape(None, codec.ReturnData.from_bytes),
    **{f"{name}>".encode(): _Shape(digits, _field(name)) for name, digits in _FIELD_DIGITS.items()},
}


class FrameReader:
    """Host side: bytes in, radio frames out.

    `bad_frames` counts what had a token and a wrong body, `skipped_bytes` what belonged to no frame.
    """

    def __init__(self) -> None:
        self.bad_frames = 0
        self.skipped_bytes = 0
        self._window = b""
        self._shape: _Shape | None = None
        self._payload = bytearray()

    @property
    def in_payload(self) -> bool:
        """Whether a payload has begun and not ended: then `silence` has something to drop."""
        return self._shape is not None

    def feed(self, data: bytes) -> list[RadioFrame]:
        """Every frame that these bytes complete, in order. Never raises; memory stays bounded."""
        frames: list[RadioFrame] = []
        waiting = bytearray(data)
        waiting.reverse()  # so that taking and giving back happen at the cheap end
        while waiting:
            if self._shape is None:
                self._look_for_token(waiting, frames)
            else:
                self._take_payload(self._shape, waiting, frames)
        return frames

    def silence(self) -> list[RadioFrame]:
        """The line has been silent for `SILENCE_S`: drop a partial payload, after looking for frames inside it."""
        frames: list[RadioFrame] = []
        while self._shape is not None:
            frames += self.feed(self._give_up())
        return frames

    def _look_for_token(self, waiting: bytearray, frames: list[RadioFrame]) -> None:
        """Takes text up to the next `>`, with which every token ends, or all of it."""
        text = _taken(waiting, len(waiting) - max(0, waiting.rfind(b">")))
        self.skipped_bytes += len(text)
        self._window = (self._window + text)[-codec.TOKEN_BYTES :]
        signal, shape = _SIGNALS.get(self._window), _SHAPES.get(self._window)
        if signal is None and shape is None:
            return
        self.skipped_bytes -= codec.TOKEN_BYTES
        self._window = b""
        self._shape = shape
        if signal is not None:
            frames.append(signal)

    def _take_payload(self, shape: _Shape, waiting: bytearray, frames: list[RadioFrame]) -> None:
        """Takes what the payload still lacks; gives it back for another look when it turns out to be none."""
        try:
            if len(self._payload) < (length := self._length(shape)):
                self._payload += _taken(waiting, min(length - len(self._payload), len(waiting)))
            if len(self._payload) < self._length(shape):
                return
            frames.append(shape.decode(bytes(self._payload)))
        except BadFrame:
            waiting.extend(reversed(self._give_up()))
            return
        self._shape = None
        self._payload.clear()

    def _length(self, shape: _Shape) -> int:
        """Bytes of the payload, as far as they can be known: of `TRD>` first the head."""
        if shape.length is not None:
            return shape.length
        return codec.return_data_length(bytes(self._payload)) or codec.RETURN_DATA_HEAD_BYTES

    def _give_up(self) -> bytes:
        again = bytes(self._payload)
        self.bad_frames += 1
        self._shape = None
        self._payload.clear()
        return again


def _taken(waiting: bytearray, count: int) -> bytes:
    """The next `count` bytes of a reversed buffer, removed from it."""
    taken = bytes(reversed(waiting[-count:]))
    del waiting[-count:]
    return taken


@dataclass(frozen=True, slots=True)
class BadCommand:
    """A host's command whose body does not hold: the radio answers `NOK>`."""

    token: bytes
    reason: str


@dataclass(frozen=True, slots=True)
class Command:
    """A host's command. `body` is decoded where there is one; for `LOAD_BLOCK` the data follows as `LoadedBlock`."""

    token: bytes
    body: codec.PendingData | codec.RadioSettings | None


@dataclass(frozen=True, slots=True)
class LoadedBlock:
    """The 4100 bytes after `>D>`, as they came."""

    wire: bytes


HostFrame = Command | BadCommand | LoadedBlock
"""Everything a host says."""

_BARE_COMMANDS = frozenset({codec.PING, codec.ASK_RADIO_INFO, codec.RESET_RADIO, codec.GO_HIGH_SPEED})
_BODY_BYTES: Mapping[bytes, int] = {
    codec.SEND_DATA_AVAILABLE: codec.PENDING_DATA_BYTES,
    codec.CANCEL_DATA: codec.PENDING_DATA_BYTES,
    codec.SET_CHANNEL_AND_POWER: codec.RADIO_SETTINGS_BYTES,
    codec.LOAD_BLOCK: codec.WIRE_BLOCK_BYTES,
}


class CommandReader:
    """Radio side, for virtual radios and wire witnesses: bytes in, host frames out. Looks through nothing twice.

    `sub_ghz`: the radio is built with a sub-GHz part and waits for a fourth byte of `SCP>` (esl.md 1.2).
    """

    def __init__(self, *, sub_ghz: bool = False) -> None:
        self._body_bytes = {**_BODY_BYTES, codec.SET_CHANNEL_AND_POWER: codec.SUB_GHZ_SETTINGS_BYTES} if sub_ghz \
            else _BODY_BYTES
        self._window = b""
        self._token: bytes | None = None
        self._body = bytearray()

    @property
    def in_body(self) -> bool:
        """Whether a body has begun and not ended."""
        return self._token is not None

    def feed(self, data: bytes) -> list[HostFrame]:
        """Every host frame that these bytes complete, in order. Never raises; memory stays bounded."""
        frames: list[HostFrame] = []
        at = 0
        while at < len(data):
            if self._token is None:
                self._take_token_byte(data[at], frames)
                at += 1
            else:
                wanted = self._body_bytes[self._token] - len(self._body)
                self._body += data[at : at + wanted]
                at += wanted
                self._finish_body(self._token, frames)
        return frames

    def silence(self) -> None:
        """The line has been silent for `SILENCE_S`: drop a partial body."""
        self._token = None
        self._body.clear()

    def _take_token_byte(self, value: int, frames: list[HostFrame]) -> None:
        self._window = (self._window + bytes((value,)))[-codec.TOKEN_BYTES :]
        if self._window in _BARE_COMMANDS:
            frames.append(Command(self._window, None))
        elif self._window.endswith(codec.LOAD_BLOCK):  # the only token of three characters
            self._token = codec.LOAD_BLOCK
            frames.append(Command(codec.LOAD_BLOCK, None))
        elif self._window in self._body_bytes:
            self._token = self._window
        else:
            return
        self._window = b""

    def _finish_body(self, token: bytes, frames: list[HostFrame]) -> None:
        if len(self._body) < self._body_bytes[token]:
            return
        body = bytes(self._body)
        self.silence()
        try:
            frames.append(_host_frame(token, body))
        except BadFrame as bad:
            frames.append(BadCommand(token, str(bad)))


def _host_frame(token: bytes, body: bytes) -> HostFrame:
    if token == codec.LOAD_BLOCK:
        return LoadedBlock(body)
    if token == codec.SET_CHANNEL_AND_POWER:
        return Command(token, codec.RadioSettings.from_bytes(body))
    return Command(token, codec.PendingData.from_bytes(body))
