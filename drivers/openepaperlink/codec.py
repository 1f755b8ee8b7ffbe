"""OpenEPaperLink radio line: bytes ⇄ records. Pure; `conversation` does the talking.

Source: esl.md sections 1.2 to 1.6, vectors in 1.9. Integers are little-endian, structs packed. A struct's
checksum is the sum of its bytes after the first, modulo 256, and stands in byte 0 (1.3).
"""

import hashlib
import struct
from dataclasses import dataclass
from enum import IntEnum
from typing import Self

from drivers.port import LabelId, PictureVersion

TOKEN_BYTES = 4
ADDRESS_BYTES = 8
VERSION_BYTES = 8

CHECK_IN_BYTES = 21  # AvailDataReq (1.3)
CHECK_IN_HEARD_BYTES = 30  # espAvailDataReq
DATA_INFO_BYTES = 17  # AvailDataInfo
PENDING_DATA_BYTES = 27
BLOCK_REQUEST_BYTES = 18
TRANSFER_BYTES = 9  # espXferComplete, for XFC> and XTO>
RETURN_DATA_HEAD_BYTES = 10  # checksum, source, length: the length of the rest stands in byte 9 (1.2)
RETURN_DATA_BODY_BYTES_MIN = 11
RETURN_DATA_BODY_BYTES_MAX = 101  # hostile input: no label's return data is longer (section 11)
RADIO_SETTINGS_BYTES = 3
SUB_GHZ_SETTINGS_BYTES = 4

BLOCK_BYTES = 4096  # payload of one block; the radio buffers exactly one (1.4)
BLOCK_HEADER_BYTES = 4
WIRE_BLOCK_BYTES = BLOCK_HEADER_BYTES + BLOCK_BYTES
BLOCK_XOR = 0xAA  # every byte on the wire, header included; padding decodes to 0x00 (1.4)
BLOCKS_MAX = 256  # a block number is one byte

CHANNELS = frozenset({11, 15, 20, 25, 26, 27})  # what SCP> accepts (1.2)
BAUD_RATE_AFTER_RESET = 115_200
BAUD_RATE_HIGH = 2_000_000

NEXT_CHECK_IN_SECONDS_FLAG = 0x8000  # bit 15 of nextCheckIn: seconds, not minutes (1.3)
NEXT_CHECK_IN_SOON = NEXT_CHECK_IN_SECONDS_FLAG | 5  # more is queued for this label (1.5)

PING = b"RDY?"
ASK_RADIO_INFO = b"NFO?"
RESET_RADIO = b"RSET"
GO_HIGH_SPEED = b"HSPD"
SEND_DATA_AVAILABLE = b"SDA>"
CANCEL_DATA = b"CXD>"
SET_CHANNEL_AND_POWER = b"SCP>"
LOAD_BLOCK = b">D>"

_CHECK_IN = struct.Struct("<BBbbHBBBHBB8s")
_DATA_INFO = struct.Struct("<B8sIBBH")
_PENDING_TAIL = struct.Struct("<H8s")
_BLOCK_REQUEST = struct.Struct("<B8sB8s")
_TRANSFER = struct.Struct("<B8s")
_BLOCK_HEADER = struct.Struct("<HH")
_XOR_TABLE = bytes(value ^ BLOCK_XOR for value in range(256))

assert _CHECK_IN.size == CHECK_IN_BYTES
assert _DATA_INFO.size + _PENDING_TAIL.size == PENDING_DATA_BYTES


class BadFrame(ValueError):
    """Bytes that cannot be what they claim: wrong length, wrong checksum, not a number. Skip and go on."""


class DataType(IntEnum):
    """What a slot of the radio offers a label (1.6)."""

    NONE = 0x00
    IMAGE_RAW_1_BPP = 0x20
    IMAGE_RAW_2_BPP = 0x21
    IMAGE_ZLIB = 0x30
    COMMAND = 0xAF


class LabelCommand(IntEnum):
    """dataTypeArgument of `DataType.COMMAND` (1.6)."""

    REBOOT = 0
    SCAN = 1
    RESET_SETTINGS = 2
    DEEP_SLEEP = 3
    LED_FLASH = 4


class Capability(IntEnum):
    """Bits of a check-in's capabilities (1.6)."""

    LED = 0x01
    COMPRESSION = 0x02
    BUTTON = 0x20
    NFC = 0x40


class WakeupReason(IntEnum):
    """Why a label woke; others exist (1.6)."""

    TIMED = 0x00
    FIRST_BOOT = 0xFC
    NETWORK_SCAN = 0xFD
    WATCHDOG_RESET = 0xFE


class Signal(bytes):
    """A frame that is nothing but its token."""

    __slots__ = ()


RADIO_RESET = Signal(b"RES>")
RADIO_READY = Signal(b"RDY>")
ACKNOWLEDGED = Signal(b"ACK>")
NOT_OK = Signal(b"NOK>")
NO_SLOT = Signal(b"NOQ>")


def sum8(data: bytes) -> int:
    """The checksum of every struct but a block (1.3)."""
    return sum(data) & 0xFF


def sum16(data: bytes) -> int:
    """The checksum of a block's data (1.3)."""
    return sum(data) & 0xFFFF


def address_to_wire(label: LabelId) -> bytes:
    """A printed address in wire order: reversed (1.2). Raises `ValueError` when it is not 16 hex digits."""
    raw = bytes.fromhex(label)
    if len(raw) != ADDRESS_BYTES or len(label) != 2 * ADDRESS_BYTES:
        raise ValueError(f"a label's address has 16 hex digits, got {label!r}")
    return raw[::-1]


def address_from_wire(raw: bytes) -> LabelId:
    """The printed form, lower case."""
    return raw[::-1].hex()


def version_to_wire(version: PictureVersion) -> bytes:
    """A dataVer in raw order. Raises `ValueError` when it is not 16 hex digits."""
    raw = bytes.fromhex(version)
    if len(raw) != VERSION_BYTES:
        raise ValueError(f"a dataVer has 16 hex digits, got {version!r}")
    return raw


def version_of(payload: bytes) -> PictureVersion:
    """The dataVer of a payload: the first 8 bytes of its MD5, raw order (1.3)."""
    return hashlib.md5(payload, usedforsecurity=False).digest()[:VERSION_BYTES].hex()


def sealed(body: bytes) -> bytes:
    """`body` behind its checksum: what `checked` accepts."""
    return bytes((sum8(body),)) + body


def checked(payload: bytes, length: int, what: str) -> bytes:
    """`payload` itself when its length and checksum are right. Raises `BadFrame`."""
    if len(payload) != length:
        raise BadFrame(f"{what}: {len(payload)} bytes, needs {length}")
    computed = sum8(payload[1:])
    if payload[0] != computed:
        raise BadFrame(f"{what}: checksum {payload[0]:#04x}, computed {computed:#04x}")
    return payload


@dataclass(frozen=True, slots=True)
class CheckIn:
    """AvailDataReq, what a label says of itself. `inner_checksum` is carried as received: hosts do not judge it."""

    lqi: int
    rssi_dbm: int
    temperature_c: int
    battery_mv: int
    hardware_type: int
    wakeup_reason: int
    capabilities: int
    firmware_version: int
    channel: int
    custom_mode: int = 0
    reserved: bytes = bytes(8)
    inner_checksum: int = 0

    @classmethod
    def from_bytes(cls, payload: bytes) -> Self:
        """Raises `BadFrame` when the length is wrong."""
        if len(payload) != CHECK_IN_BYTES:
            raise BadFrame(f"check-in: {len(payload)} bytes, needs {CHECK_IN_BYTES}")
        checksum, lqi, rssi, celsius, battery, hardware, reason, able, version, channel, mode, reserved = (
            _CHECK_IN.unpack(payload)
        )
        return cls(
            lqi, rssi, celsius, battery, hardware, reason, able, version, channel, mode, reserved, checksum
        )

    def to_bytes(self) -> bytes:
        """21 bytes."""
        return _CHECK_IN.pack(
            self.inner_checksum, self.lqi, self.rssi_dbm, self.temperature_c, self.battery_mv, self.hardware_type,
            self.wakeup_reason, self.capabilities, self.firmware_version, self.channel, self.custom_mode, self.reserved,
        )  # fmt: skip

    @property
    def is_short(self) -> bool:
        """A short check-in arrives all zero: the label was seen and said nothing (1.3)."""
        return self.rssi_dbm == 0


@dataclass(frozen=True, slots=True)
class CheckInHeard:
    """`ADR>`: a label checked in and was told what its slot holds."""

    label: LabelId
    check_in: CheckIn

    @classmethod
    def from_bytes(cls, payload: bytes) -> Self:
        """Raises `BadFrame` when the length or the checksum is wrong."""
        checked(payload, CHECK_IN_HEARD_BYTES, "ADR>")
        return cls(address_from_wire(payload[1:9]), CheckIn.from_bytes(payload[9:]))

    def to_bytes(self) -> bytes:
        """30 bytes, without the token."""
        return sealed(address_to_wire(self.label) + self.check_in.to_bytes())


@dataclass(frozen=True, slots=True)
class PendingData:
    """What `SDA>` offers a label: AvailDataInfo, minutes to live, address. `CXD>` uses only the address."""

    label: LabelId
    version: bytes
    size: int
    data_type: int
    argument: int
    next_check_in: int
    attempts_left: int

    @classmethod
    def from_bytes(cls, payload: bytes) -> Self:
        """Raises `BadFrame` when the length or the checksum is wrong."""
        checked(payload, PENDING_DATA_BYTES, "pending data")
        _, version, size, data_type, argument, next_check_in = _DATA_INFO.unpack_from(payload)
        attempts_left, address = _PENDING_TAIL.unpack_from(payload, DATA_INFO_BYTES)
        return cls(address_from_wire(address), version, size, data_type, argument, next_check_in, attempts_left)

    def to_bytes(self) -> bytes:
        """27 bytes; the checksum runs over all of them (1.3)."""
        info = _DATA_INFO.pack(0, self.version, self.size, self.data_type, self.argument, self.next_check_in)
        return sealed(info[1:] + _PENDING_TAIL.pack(self.attempts_left, address_to_wire(self.label)))

    @classmethod
    def cancelling(cls, label: LabelId) -> Self:
        """The body of `CXD>`: nothing but the address."""
        return cls(label, bytes(VERSION_BYTES), 0, DataType.NONE, 0, 0, 0)

    @classmethod
    def idle(cls, label: LabelId, next_check_in: int, attempts_left: int) -> Self:
        """Nothing to fetch: come back later (1.5). `next_check_in` in minutes, or seconds with bit 15."""
        return cls(label, bytes(VERSION_BYTES), 0, DataType.NONE, 0, next_check_in, attempts_left)

    @classmethod
    def command(cls, label: LabelId, command: LabelCommand, attempts_left: int, detail: bytes = b"",
                next_check_in: int = 0) -> Self:  # fmt: skip
        """A command to a label; up to 12 bytes of detail travel in dataVer and dataSize (1.3)."""
        filled = detail.ljust(VERSION_BYTES + 4, b"\0")
        size = int.from_bytes(filled[VERSION_BYTES:], "little")
        return cls(label, filled[:VERSION_BYTES], size, DataType.COMMAND, command, next_check_in, attempts_left)


@dataclass(frozen=True, slots=True)
class BlockRequest:
    """`RQB>`: a label wants this block now."""

    label: LabelId
    version: PictureVersion
    block: int

    @classmethod
    def from_bytes(cls, payload: bytes) -> Self:
        """Raises `BadFrame` when the length or the checksum is wrong."""
        checked(payload, BLOCK_REQUEST_BYTES, "RQB>")
        _, version, block, address = _BLOCK_REQUEST.unpack(payload)
        return cls(address_from_wire(address), version.hex(), block)

    def to_bytes(self) -> bytes:
        """18 bytes, without the token."""
        return sealed(version_to_wire(self.version) + bytes((self.block,)) + address_to_wire(self.label))


@dataclass(frozen=True, slots=True)
class _Transfer:
    label: LabelId

    @classmethod
    def from_bytes(cls, payload: bytes) -> Self:
        """Raises `BadFrame` when the length or the checksum is wrong."""
        checked(payload, TRANSFER_BYTES, cls.__name__)
        return cls(address_from_wire(_TRANSFER.unpack(payload)[1]))

    def to_bytes(self) -> bytes:
        """9 bytes, without the token."""
        return sealed(address_to_wire(self.label))


@dataclass(frozen=True, slots=True)
class TransferComplete(_Transfer):
    """`XFC>`: the label holds what it was offered. Says which label, not which version (1.2)."""


@dataclass(frozen=True, slots=True)
class TransferTimedOut(_Transfer):
    """`XTO>`: the label's slot expired with something in it (1.2)."""


@dataclass(frozen=True, slots=True)
class ReturnData:
    """`TRD>`: something a label sends of its own accord."""

    label: LabelId
    part: int
    version: PictureVersion
    data_type: int
    data: bytes

    @classmethod
    def from_bytes(cls, payload: bytes) -> Self:
        """Raises `BadFrame` when the length or the checksum is wrong."""
        length = return_data_length(payload)
        if length is None:
            raise BadFrame(f"TRD>: {len(payload)} bytes, its head alone has {RETURN_DATA_HEAD_BYTES}")
        checked(payload, length, "TRD>")
        body = payload[RETURN_DATA_HEAD_BYTES:]
        return cls(address_from_wire(payload[1:9]), body[1], body[2:10].hex(), body[10], body[11:])

    def to_bytes(self) -> bytes:
        """Head and body, without the token."""
        body = sealed(bytes((self.part,)) + version_to_wire(self.version) + bytes((self.data_type,)) + self.data)
        return sealed(address_to_wire(self.label) + bytes((len(body),)) + body)


def return_data_length(payload: bytes) -> int | None:
    """Full length of a `TRD>` payload that begins so; `None` while its head is incomplete. Raises `BadFrame`."""
    if len(payload) < RETURN_DATA_HEAD_BYTES:
        return None
    body = payload[RETURN_DATA_HEAD_BYTES - 1]
    if not RETURN_DATA_BODY_BYTES_MIN <= body <= RETURN_DATA_BODY_BYTES_MAX:
        raise BadFrame(f"TRD>: body of {body} bytes")
    return RETURN_DATA_HEAD_BYTES + body


@dataclass(frozen=True, slots=True)
class RadioField:
    """One field of the answer to `NFO?`: name without `>`, value as written, hexadecimal but for SCH (1.2)."""

    name: str
    value: str


@dataclass(frozen=True, slots=True)
class RadioSettings:
    """Body of `SCP>`. `sub_ghz_channel`: only for radios built with a sub-GHz part, which want a fourth byte (1.2)."""

    channel: int
    power: int
    sub_ghz_channel: int | None = None

    @classmethod
    def from_bytes(cls, payload: bytes) -> Self:
        """Raises `BadFrame` when the length or the checksum is wrong."""
        length = SUB_GHZ_SETTINGS_BYTES if len(payload) == SUB_GHZ_SETTINGS_BYTES else RADIO_SETTINGS_BYTES
        _, *settings = checked(payload, length, "SCP>")
        return cls(*settings)

    def to_bytes(self) -> bytes:
        """3 bytes, 4 with a sub-GHz channel."""
        sub_ghz = () if self.sub_ghz_channel is None else (self.sub_ghz_channel,)
        return sealed(bytes((self.channel, self.power, *sub_ghz)))


@dataclass(frozen=True, slots=True)
class LedFlash:
    """ledFlash with one colour (1.3). Colour is 3 bits red, 3 green, 2 blue; speed and delay in tenths of a second."""

    colour: int
    count: int
    speed: int
    delay: int
    repeats: int
    mode: int = 1
    brightness: int = 8

    def to_bytes(self) -> bytes:
        """12 bytes; mode 0 stops a flashing label."""
        first = bytes((self.mode | self.brightness << 4, self.colour, self.count | self.speed << 4, self.delay))
        return first + bytes(6) + bytes((self.repeats, 0))

    @classmethod
    def from_bytes(cls, payload: bytes) -> Self:
        """Reads the first colour; the others are not used here. Raises `BadFrame` on a wrong length."""
        if len(payload) != VERSION_BYTES + 4:
            raise BadFrame(f"ledFlash: {len(payload)} bytes, needs 12")
        return cls(
            colour=payload[1], count=payload[2] & 0x0F, speed=payload[2] >> 4, delay=payload[3],
            repeats=payload[10], mode=payload[0] & 0x0F, brightness=payload[0] >> 4,
        )  # fmt: skip


RadioFrame = CheckInHeard | BlockRequest | TransferComplete | TransferTimedOut | ReturnData | RadioField | Signal
"""Everything a radio says."""


def send_data(pending: PendingData) -> bytes:
    """`SDA>` with its body: 31 bytes."""
    return SEND_DATA_AVAILABLE + pending.to_bytes()


def cancel_data(label: LabelId) -> bytes:
    """`CXD>` with its body: frees every slot of the label."""
    return CANCEL_DATA + PendingData.cancelling(label).to_bytes()


def set_channel(settings: RadioSettings) -> bytes:
    """`SCP>` with its body: 7 or 8 bytes."""
    return SET_CHANNEL_AND_POWER + settings.to_bytes()


def wire_block(data: bytes) -> bytes:
    """One block as it goes over the line after `>D>` and `ACK>`: 4100 bytes (1.4). `data` is 1 to 4096 bytes."""
    if not 1 <= len(data) <= BLOCK_BYTES:
        raise ValueError(f"a block carries 1 to {BLOCK_BYTES} bytes, got {len(data)}")
    return (_BLOCK_HEADER.pack(len(data), sum16(data)) + data).translate(_XOR_TABLE).ljust(
        WIRE_BLOCK_BYTES, bytes((BLOCK_XOR,))
    )


def block_from_wire(wire: bytes) -> bytes:
    """The data of one block. Raises `BadFrame` when length or checksum are wrong."""
    if len(wire) != WIRE_BLOCK_BYTES:
        raise BadFrame(f"block: {len(wire)} bytes, needs {WIRE_BLOCK_BYTES}")
    plain = wire.translate(_XOR_TABLE)
    size, checksum = _BLOCK_HEADER.unpack_from(plain)
    if not 1 <= size <= BLOCK_BYTES:
        raise BadFrame(f"block: {size} bytes of data")
    data = plain[BLOCK_HEADER_BYTES : BLOCK_HEADER_BYTES + size]
    if sum16(data) != checksum:
        raise BadFrame(f"block: checksum {checksum:#06x}, computed {sum16(data):#06x}")
    return data


def block_count(payload: bytes) -> int:
    """Into how many blocks a payload is cut. Raises `ValueError` when it is empty or needs more than 256."""
    if not 1 <= len(payload) <= BLOCK_BYTES * BLOCKS_MAX:
        raise ValueError(f"a payload has 1 to {BLOCK_BYTES * BLOCKS_MAX} bytes, got {len(payload)}")
    return -(-len(payload) // BLOCK_BYTES)


def wire_block_of(payload: bytes, number: int) -> bytes:
    """Block `number` of a payload, ready to send; the last one for a number too high (1.4)."""
    at = min(number, block_count(payload) - 1) * BLOCK_BYTES
    return wire_block(payload[at : at + BLOCK_BYTES])
