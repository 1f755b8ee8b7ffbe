"""easyTag, byte for byte: header, data packets, checksum, scrambling, run lengths, notification (esl.md 4.1). Pure.

A transfer is one header of 20 bytes and packets of 204. Both carry a CRC and are XORed with one key byte, which comes
from the label's address and a "magic" that goes with the type id. A plane is one bit for each pixel, 1 = ink, row by
row, most significant bit first, its width and height rounded up to 8.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from functools import cache

SERVICE_UUID = "00001523-1212-efde-1523-785feabcd123"
WRITE_UUID = "00001525-1212-efde-1523-785feabcd123"
NOTIFY_UUID = "00001526-1212-efde-1523-785feabcd123"

HEADER_BYTES = 20
PACKET_DATA_BYTES = 200
PACKET_BYTES = PACKET_DATA_BYTES + 4
NOTIFICATION_BYTES = 20
PACKETS_MAX = 0xFFFF
QUERY_PAYLOAD = b"\x01"
CONFIG_KEY_BYTES = 256

MAGIC_BY_TYPE = {0x62: 0x31, 0x5C: 0x63}
NOTIFICATION_MAGIC = 0x62
TYPE_ID_AT = 9
"""The header's byte that is sent as it is; the checksum covers it unscrambled too."""

_POLYNOMIAL = 0x8005
_START = 0xFF
_SECTION = 0xFC
_SECOND_PLANE = 0x8000
_SECTION_HEAD = struct.Struct(">B4HI")

_LITERAL = 0x80
_LITERAL_PIXELS = 7
_SHORT_RUN_MAX = 31
_BYTE_RUN_MAX = 255
_WORD_RUN_MAX = 65_535
_BYTE_COUNT, _WORD_COUNT = 1, 0


class BadFrame(ValueError):
    """Bytes that no easyTag label or host sends."""


class Command(IntEnum):
    """What a transfer is for."""

    IMAGE = 0xFC
    QUERY = 0xF0
    CONFIG = 0xF2


_WORDS = {Command.IMAGE: (b"easyTag", b"BT"), Command.QUERY: (b"easyTag", b"BT"), Command.CONFIG: (b"eTag-CO", b"DE")}


@dataclass(frozen=True, slots=True)
class Header:
    """What a transfer announces. `payload_bytes`: before it is cut into packets."""

    command: Command
    type_id: int
    payload_bytes: int
    packet_count: int


@dataclass(frozen=True, slots=True)
class Notification:
    """What a label says when it is through."""

    battery_mv: int
    temperature_c: int


def crc16(data: bytes) -> int:
    """CRC-16/CMS: polynomial 0x8005, initial value 0xFFFF, neither reflected nor inverted; `123456789` gives 0xAEE7."""
    table, crc = _crc_table(), 0xFFFF
    for byte in data:
        crc = (crc << 8 & 0xFFFF) ^ table[crc >> 8 ^ byte]
    return crc


def image_key(address: bytes, type_id: int) -> int:
    """The byte that a host's header and packets are XORed with. Raises `ValueError` for a type id without a magic."""
    magic = MAGIC_BY_TYPE.get(type_id)
    if magic is None:
        raise ValueError(f"no key is known for easyTag type {type_id:#04x}")
    return address_key(address) ^ magic


def notification_key(address: bytes) -> int:
    """The byte that a label's notification is XORed with."""
    return address_key(address) ^ NOTIFICATION_MAGIC


def address_key(address: bytes) -> int:
    """All six bytes of the label's address XORed; their order does not matter. Raises `ValueError`."""
    if len(address) != 6:
        raise ValueError(f"a Bluetooth address has 6 bytes, got {len(address)}")
    key = 0
    for byte in address:
        key ^= byte
    return key


def scrambled(data: bytes, key: int) -> bytes:
    """Every byte XORed with the key; twice is nothing."""
    return data.translate(_xor_table(key))


def header(command: Command, type_id: int, payload_bytes: int) -> bytes:
    """The 20 bytes that announce a transfer, unscrambled. Raises `ValueError` for a payload that no count reaches."""
    packet_count = -(-payload_bytes // PACKET_DATA_BYTES)
    if not 1 <= packet_count <= PACKETS_MAX:
        raise ValueError(f"a payload has 1 to {PACKETS_MAX * PACKET_DATA_BYTES} bytes, got {payload_bytes}")
    name, end = _WORDS[command]
    said = struct.pack(">BB7sBIH2s", _START, command, name, type_id, payload_bytes, packet_count, end)
    return said + crc16(said).to_bytes(2, "big")


def scrambled_header(plain: bytes, key: int) -> bytes:
    """A header for the air, or from it: the type id is in clear."""
    wire = bytearray(scrambled(plain, key))
    wire[TYPE_ID_AT] = plain[TYPE_ID_AT]
    return bytes(wire)


def read_header(plain: bytes) -> Header:
    """An unscrambled header → what it announces. Raises `BadFrame`."""
    if len(plain) != HEADER_BYTES:
        raise BadFrame(f"a header has {HEADER_BYTES} bytes, got {len(plain)}")
    if crc16(plain[:-2]) != int.from_bytes(plain[-2:], "big"):
        raise BadFrame("a header with a wrong checksum")
    start, command, name, type_id, payload_bytes, packet_count, end = struct.unpack(">BB7sBIH2s", plain[:-2])
    if start != _START or command not in set(Command) or (name, end) != _WORDS[Command(command)]:
        raise BadFrame(f"no easyTag header: {plain[:9].hex()}")
    if packet_count != -(-payload_bytes // PACKET_DATA_BYTES) or not packet_count:
        raise BadFrame(f"{payload_bytes} bytes do not come in {packet_count} packets")
    return Header(Command(command), type_id, payload_bytes, packet_count)


def packets(payload: bytes) -> Iterator[bytes]:
    """The payload's packets in order, unscrambled: a number from 1, 200 bytes padded with zeros, a checksum."""
    for number, at in enumerate(range(0, len(payload), PACKET_DATA_BYTES), start=1):
        said = number.to_bytes(2, "big") + payload[at : at + PACKET_DATA_BYTES].ljust(PACKET_DATA_BYTES, b"\0")
        yield said + crc16(said).to_bytes(2, "big")


def read_packet(plain: bytes) -> tuple[int, bytes]:
    """An unscrambled packet → its number and its 200 bytes. Raises `BadFrame`."""
    if len(plain) != PACKET_BYTES:
        raise BadFrame(f"a packet has {PACKET_BYTES} bytes, got {len(plain)}")
    if crc16(plain[:-2]) != int.from_bytes(plain[-2:], "big"):
        raise BadFrame("a packet with a wrong checksum")
    return int.from_bytes(plain[:2], "big"), plain[2:-2]


def read_notification(wire: bytes, address: bytes) -> Notification:
    """What a label notified. Raises `BadFrame` for one of another length; nothing in it is a checksum."""
    if len(wire) != NOTIFICATION_BYTES:
        raise BadFrame(f"a notification has {NOTIFICATION_BYTES} bytes, got {len(wire)}")
    plain = scrambled(wire, notification_key(address))
    return Notification(plain[2] * 100, int.from_bytes(plain[3:4], "big", signed=True))


def compress(plane: bytes, pixels: int) -> bytes:
    """Run lengths of the first `pixels` pixels of a plane; a run goes on from one row to the next.

    7 to 31: colour and count in a byte; to 255: a count byte follows; to 65,535: a word, low byte first. Where a run is
    shorter than 7, the next 7 pixels as they are, padded with zeros at the end.
    """
    bits = "".join(_bits_of(byte) for byte in plane)[:pixels]
    encoded, at = bytearray(), 0
    while at < len(bits):
        colour = bits[at]
        end = bits.find("1" if colour == "0" else "0", at)
        run = min((len(bits) if end < 0 else end) - at, _WORD_RUN_MAX)
        if run < _LITERAL_PIXELS:
            encoded.append(_LITERAL | int(bits[at : at + _LITERAL_PIXELS].ljust(_LITERAL_PIXELS, "0"), 2))
            at += _LITERAL_PIXELS
            continue
        encoded += _run(int(colour), run)
        at += run
    return bytes(encoded)


def decompress(encoded: bytes, pixels: int) -> bytes:
    """Run lengths → a plane of `pixels` pixels. Raises `BadFrame`; never makes more than asked for."""
    bits: list[str] = []
    at = made = 0
    while at < len(encoded):
        if made >= pixels:
            raise BadFrame(f"more run lengths than {pixels} pixels need")
        byte = encoded[at]
        if byte & _LITERAL:
            bits.append(f"{byte & 0x7F:07b}")
            at, made = at + 1, made + _LITERAL_PIXELS
            continue
        run, width = _counted(encoded, at)
        bits.append(str(byte >> 6 & 1) * run)
        at, made = at + width, made + run
        if made > pixels:
            raise BadFrame(f"a run of {run} goes past {pixels} pixels")
    if made < pixels:
        raise BadFrame(f"{made} of {pixels} pixels")
    text = "".join(bits)[:pixels].ljust(-(-pixels // 8) * 8, "0")
    return int(text or "0", 2).to_bytes(len(text) // 8, "big")


def image_payload(width: int, height: int, black: bytes, red: bytes | None) -> bytes:
    """One section for each plane: its rectangle and its run lengths. Planes are `padded(width) × padded(height)`."""
    return _section(width, height, black, 0) + (b"" if red is None else _section(width, height, red, _SECOND_PLANE))


def read_image_payload(payload: bytes, planes_max: int = 2) -> list[tuple[int, int, bytes]]:
    """The sections of a payload as width, height, plane. Raises `BadFrame`."""
    sections: list[tuple[int, int, bytes]] = []
    at = 0
    while at < len(payload):
        if len(sections) == planes_max or len(payload) - at < _SECTION_HEAD.size:
            raise BadFrame("a payload that is no sequence of sections")
        marker, left, top, bottom, right, length = _SECTION_HEAD.unpack_from(payload, at)
        plane = _SECOND_PLANE if sections else 0
        if marker != _SECTION or (left, top, bottom & _SECOND_PLANE) != (plane, 0, plane):
            raise BadFrame(f"no section of plane {len(sections) + 1}: {payload[at : at + 9].hex()}")
        at += _SECTION_HEAD.size
        if length > len(payload) - at:
            raise BadFrame(f"a section of {length} bytes in a payload that has {len(payload) - at} left")
        width, height = right + 1, (bottom & ~_SECOND_PLANE) + 1
        pixels = padded(width) * padded(height)
        if pixels > PACKETS_MAX * PACKET_DATA_BYTES:
            raise BadFrame(f"a picture of {width}x{height}")
        sections.append((width, height, decompress(payload[at : at + length], pixels)))
        at += length
    return sections


def padded(pixels: int) -> int:
    """Width or height of a plane: the next multiple of 8."""
    return -(-pixels // 8) * 8


def _section(width: int, height: int, plane: bytes, flag: int) -> bytes:
    pixels = padded(width) * padded(height)
    if len(plane) * 8 != pixels:
        raise ValueError(f"a plane of {width}x{height} has {pixels // 8} bytes, got {len(plane)}")
    encoded = compress(plane, pixels)
    return _SECTION_HEAD.pack(_SECTION, flag, 0, flag | height - 1, width - 1, len(encoded)) + encoded


def _run(colour: int, run: int) -> bytes:
    if run <= _SHORT_RUN_MAX:
        return bytes((colour << 6 | run,))
    if run <= _BYTE_RUN_MAX:
        return bytes((colour << 6 | _BYTE_COUNT, run))
    return bytes((colour << 6 | _WORD_COUNT,)) + run.to_bytes(2, "little")


def _counted(encoded: bytes, at: int) -> tuple[int, int]:
    """The run that begins at `at`, and how many bytes say so."""
    count = encoded[at] & 0x3F
    if count > _SHORT_RUN_MAX or _BYTE_COUNT < count < _LITERAL_PIXELS:
        raise BadFrame(f"no run of {count}")
    width = {_WORD_COUNT: 3, _BYTE_COUNT: 2}.get(count, 1)
    if at + width > len(encoded):
        raise BadFrame("run lengths end within a run")
    return count if width == 1 else int.from_bytes(encoded[at + 1 : at + width], "little"), width


@cache
def _bits_of(byte: int) -> str:
    return f"{byte:08b}"


@cache
def _xor_table(key: int) -> bytes:
    return bytes(value ^ key for value in range(256))


@cache
def _crc_table() -> tuple[int, ...]:
    table = []
    for value in range(256):
        crc = value << 8
        for _ in range(8):
            crc = (crc << 1) ^ (_POLYNOMIAL if crc & 0x8000 else 0)
        table.append(crc & 0xFFFF)
    return tuple(table)
