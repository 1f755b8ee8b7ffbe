"""Gicisky / PICKSMART labels: bytes ⇄ records, and the byte streams that carry planes. Pure.

Source: esl.md 3.1 (advertisement), 3.3 (commands, notifications, parts), 3.5 and 3.6 (streams). All integers
little-endian but the firmware number. What labels send is hostile: `BadFrame` or `BadStream`, both `ValueError`s, is
all that reading it ever raises.
"""

import functools
import struct
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Self

COMPANY_ID = 0x5053
REPORT_BYTES = 5
TYPE_ID_MASK = 0x3FFF
NO_COMPRESSION_BIT = 0x4000
BATTERY_STEP_MV = 100

SERVICE_UUID = "0000fef0-0000-1000-8000-00805f9b34fb"
COMMAND_UUID = "0000fef1-0000-1000-8000-00805f9b34fb"
IMAGE_UUID = "0000fef2-0000-1000-8000-00805f9b34fb"

PART_HEADER_BYTES = 4
BLOCK_BYTES = 244  # what every label that was seen answers: part number and 240 bytes
BLOCK_BYTES_MAX = 512  # the longest value that any characteristic can have
STATUS_OK = 0x00
STATUS_COMPLETE = 0x08

CHUNK_BYTES = 64
LINE_BYTES_MAX = 248  # a line's length with its head of 7 is one byte
PLANE_BYTES_MAX = 1 << 18  # larger than any label's plane; bounds decompression

_COMPRESSED = 0x75
_STORED = 0x74
_CHUNK_HEAD_BYTES = 3
_LINE_HEAD_BYTES = 7
_CONTROL_TOKENS = 31
_CONTROL_TOP_BIT = 1 << 31
_BUCKETS = 64
_MATCH_BYTES_MIN = 3
_MATCH_BYTES_MAX = 255
_SHORT_MATCH_BYTES_MAX = 17
_LITERAL_END_BYTES = 4  # no match reaches into these
_LAST_MATCH_FROM_END = 11
_RUN_BEFORE = 3  # bytes before and after a position that must be equal for a match with its neighbour

_WORD = struct.Struct("<I")
_SHORT = struct.Struct("<H")


class BadFrame(ValueError):
    """An advertisement, command or notification that is none."""


class BadStream(ValueError):
    """A byte stream that holds no planes."""


class Opcode(IntEnum):
    """First byte of a command; a notification that answers one begins with it too, but for START's (3.3)."""

    BLOCK_SIZE = 0x01
    ANNOUNCE = 0x02
    START = 0x03
    CANCEL = 0x04


class StreamFormat(IntEnum):
    """How planes become a stream (3.5 a, b, c); a blob's `encoding`."""

    RAW = 0
    LINES = 1
    CHUNKS = 2


@dataclass(frozen=True, slots=True)
class LabelReport:
    """Manufacturer data of an advertisement (3.1). `type_id` is without the bit that `compresses` holds inverted."""

    type_id: int
    battery_mv: int
    firmware: int
    compresses: bool

    @classmethod
    def from_bytes(cls, payload: bytes) -> Self:
        """Raises `BadFrame` unless there are exactly 5 bytes."""
        if len(payload) != REPORT_BYTES:
            raise BadFrame(f"manufacturer data: {len(payload)} bytes, needs {REPORT_BYTES}")
        low, battery, firmware_high, firmware_low, high = payload
        number = high << 8 | low
        return cls(
            type_id=number & TYPE_ID_MASK,
            battery_mv=battery * BATTERY_STEP_MV,
            firmware=firmware_high << 8 | firmware_low,
            compresses=not number & NO_COMPRESSION_BIT,
        )

    def to_bytes(self) -> bytes:
        """5 bytes; the battery is rounded down to 0.1 V."""
        number = self.type_id | (0 if self.compresses else NO_COMPRESSION_BIT)
        return bytes((
            number & 0xFF, self.battery_mv // BATTERY_STEP_MV, self.firmware >> 8, self.firmware & 0xFF, number >> 8,
        ))  # fmt: skip


@dataclass(frozen=True, slots=True)
class BlockSize:
    """Answer to `01`: the longest write to the image characteristic, part number included."""

    block_bytes: int


@dataclass(frozen=True, slots=True)
class Announced:
    """Answer to `02`: 0 is yes."""

    status: int


@dataclass(frozen=True, slots=True)
class Cancelled:
    """Answer to `04`: 0 is yes."""

    status: int


@dataclass(frozen=True, slots=True)
class PartWanted:
    """The label asks for this part; `status` tells how it liked the one before (0 is well)."""

    part: int
    status: int


@dataclass(frozen=True, slots=True)
class Complete:
    """`05 08`: the label holds the whole stream, and now begins to redraw its panel."""


Notice = BlockSize | Announced | Cancelled | PartWanted | Complete
"""Everything that a label notifies."""


def notice_from_bytes(payload: bytes) -> Notice:
    """A notification understood; bytes behind what it needs are ignored. Raises `BadFrame`."""
    match payload[:1]:
        case b"\x01" if len(payload) >= 3:
            return BlockSize(_SHORT.unpack_from(payload, 1)[0])
        case b"\x02" if len(payload) >= 2:
            return Announced(payload[1])
        case b"\x04" if len(payload) >= 2:
            return Cancelled(payload[1])
        case b"\x05" if len(payload) >= 2 and payload[1] == STATUS_COMPLETE:
            return Complete()
        case b"\x05" if len(payload) >= 6:
            return PartWanted(_WORD.unpack_from(payload, 2)[0], payload[1])
    raise BadFrame(f"notification of {len(payload)} bytes: {payload[:8].hex()}")


def ask_block_size() -> bytes:
    """`01`."""
    return bytes((Opcode.BLOCK_SIZE,))


def announce(stream_bytes: int, *, short: bool = False) -> bytes:
    """`02` and the stream's length: 8 bytes, or the 6 that 7.5" and 10.2" labels get for a compressed stream (3.3)."""
    return bytes((Opcode.ANNOUNCE,)) + _WORD.pack(stream_bytes) + (b"\x01" if short else bytes(3))


def start() -> bytes:
    """`03`: the label answers by asking for a part."""
    return bytes((Opcode.START,))


def cancel() -> bytes:
    """`04`."""
    return bytes((Opcode.CANCEL,))


def part_write(part: int, data: bytes) -> bytes:
    """What is written to the image characteristic for one part."""
    return _WORD.pack(part) + data


def compress(first_plane: bytes, second_plane: bytes) -> bytes:
    """The vendor's stream of two planes (3.5 c, 3.6), byte for byte. Takes planes of any length, also none."""
    chunks = (_compressed_chunk(chunk) for plane in (first_plane, second_plane) for chunk in _cut(plane, CHUNK_BYTES))
    return _WORD.pack(len(second_plane)) + b"".join(chunks)


def decompress(stream: bytes) -> tuple[bytes, bytes]:
    """Both planes of a vendor stream; also takes stored chunks, and chunks of any length. Raises `BadStream`."""
    if len(stream) < _WORD.size:
        raise BadStream(f"stream of {len(stream)} bytes")
    content_bytes = sum(raw_bytes for _, raw_bytes, _ in _chunks(stream))
    if content_bytes > 2 * PLANE_BYTES_MAX:
        raise BadStream(f"stream holds {content_bytes} bytes, planes have {2 * PLANE_BYTES_MAX} at most")
    second_starts = content_bytes - int(_WORD.unpack_from(stream)[0])
    between_chunks = second_starts == 0
    content = bytearray()
    for marker, raw_bytes, body in _chunks(stream):
        content += _inflated(body, raw_bytes) if marker == _COMPRESSED else body
        between_chunks |= len(content) == second_starts
    if not between_chunks:
        raise BadStream(f"its second plane does not begin with a chunk, but at byte {second_starts}")
    return bytes(content[:second_starts]), bytes(content[second_starts:])


def lines(planes: Sequence[bytes], line_bytes: int) -> bytes:
    """The "line" format (3.5 b): nothing is saved, every line has a head. `line_bytes` is 1 to 248."""
    if not 1 <= line_bytes <= LINE_BYTES_MAX:
        raise ValueError(f"a line has 1 to {LINE_BYTES_MAX} bytes, got {line_bytes}")
    body = b"".join(_line(line) for plane in planes for line in _cut(plane, line_bytes))
    return _WORD.pack(_WORD.size + len(body)) + body


def from_lines(stream: bytes) -> bytes:
    """The planes of a "line" stream, one behind the other. Raises `BadStream`."""
    if len(stream) < _WORD.size or _WORD.unpack_from(stream)[0] != len(stream):
        raise BadStream(f"line stream of {len(stream)} bytes: its length is not what it says")
    content = bytearray()
    at = _WORD.size
    while at < len(stream):
        head = stream[at : at + _LINE_HEAD_BYTES]
        line = stream[at + _LINE_HEAD_BYTES : at + _LINE_HEAD_BYTES + (head[2] if len(head) > 2 else 0)]
        if not line or head + line != _line(line):
            raise BadStream(f"line stream: no line at byte {at}")
        content += line
        at += len(head) + len(line)
    return bytes(content)


def _cut(data: bytes, length: int) -> Iterator[bytes]:
    return (bytes(data[at : at + length]) for at in range(0, len(data), length))


def _line(line: bytes) -> bytes:
    return bytes((_COMPRESSED, len(line) + _LINE_HEAD_BYTES, len(line))) + bytes(_WORD.size) + line


@functools.lru_cache(maxsize=4096)
def _compressed_chunk(chunk: bytes) -> bytes:
    """One chunk of 1 to 64 bytes behind its head (3.6). Cached: most chunks of a label are one colour."""
    body = _with_control_words(_tokens(chunk))
    return bytes((_COMPRESSED, _CHUNK_HEAD_BYTES + len(body), len(chunk))) + body


def _with_control_words(tokens: Sequence[tuple[bool, bytes]]) -> bytes:
    """Every 31 tokens behind a word that has a bit for each, set for a match, the first token's lowest."""
    body = bytearray()
    for at in range(0, len(tokens), _CONTROL_TOKENS):
        group = tokens[at : at + _CONTROL_TOKENS]
        matches = sum(1 << bit for bit, (is_match, _) in enumerate(group) if is_match)
        body += _WORD.pack(_CONTROL_TOP_BIT | matches)
        body += b"".join(token for _, token in group)
    return bytes(body)


def _tokens(chunk: bytes) -> list[tuple[bool, bytes]]:
    """Literals and matches as the vendor's encoder chooses them; a token is whether it is a match, and its bytes."""
    positions = [-1] * _BUCKETS
    triples = [-1] * _BUCKETS
    tokens: list[tuple[bool, bytes]] = []
    at = literals = 0
    while at <= len(chunk) - _LAST_MATCH_FROM_END:
        triple = chunk[at] | chunk[at + 1] << 8 | chunk[at + 2] << 16
        bucket = _bucket(triple)
        origin = positions[bucket]
        matches = triples[bucket] == triple and _may_match(chunk, origin, at, literals)
        positions[bucket] = at
        triples[bucket] = triple
        if matches:
            length = _match_length(chunk, origin, at)
            tokens.append((True, _match_token(bucket, length)))
            at += length
            literals = 0
        else:
            tokens.append((False, chunk[at : at + 1]))
            at += 1
            literals += 1
    tokens.extend((False, bytes((byte,))) for byte in chunk[at:])
    return tokens


def _bucket(triple: int) -> int:
    return (triple ^ triple >> 12) & (_BUCKETS - 1)


def _may_match(chunk: bytes, origin: int, at: int, literals: int) -> bool:
    """Whether the decoder will have `origin` in its table by then: it is two bytes behind, unless in a run."""
    if at - origin != 1:
        return at - origin > 2
    run = chunk[at - _RUN_BEFORE : at + _RUN_BEFORE + 1]
    return literals >= _RUN_BEFORE and at > _RUN_BEFORE and run.count(run[0]) == len(run)


def _match_length(chunk: bytes, origin: int, at: int) -> int:
    limit = min(_MATCH_BYTES_MAX, len(chunk) - _LITERAL_END_BYTES - at)
    length = _MATCH_BYTES_MIN
    while length < limit and chunk[origin + length] == chunk[at + length]:
        length += 1
    return length


def _match_token(bucket: int, length: int) -> bytes:
    if length <= _SHORT_MATCH_BYTES_MAX:
        return _SHORT.pack(bucket << 4 | length - 2)
    return _SHORT.pack(bucket << 4) + bytes((length,))


def _chunks(stream: bytes) -> Iterator[tuple[int, int, bytes]]:
    """Marker, length of the content, and body of each chunk. Raises `BadStream`."""
    at = _WORD.size
    while at < len(stream):
        head = stream[at : at + _CHUNK_HEAD_BYTES]
        if len(head) < _CHUNK_HEAD_BYTES or not _CHUNK_HEAD_BYTES < head[1] <= len(stream) - at or not head[2]:
            raise BadStream(f"no chunk at byte {at}")
        marker, total_bytes, raw_bytes = head
        if marker != _COMPRESSED and (marker != _STORED or raw_bytes != total_bytes - _CHUNK_HEAD_BYTES):
            raise BadStream(f"the chunk at byte {at} begins with {head.hex()}")
        yield marker, raw_bytes, stream[at + _CHUNK_HEAD_BYTES : at + total_bytes]
        at += total_bytes


def _inflated(body: bytes, raw_bytes: int) -> bytes:
    """One chunk's content. Raises `BadStream` when it is not `raw_bytes` long or does not use up `body`."""
    try:
        return _Inflater(body, raw_bytes).run()
    except (IndexError, struct.error):
        raise BadStream("chunk ends too early") from None


class _Inflater:
    """Keeps the table that the encoder had: where three bytes of a bucket were last seen, none inside a match."""

    def __init__(self, body: bytes, raw_bytes: int) -> None:
        self._body = body
        self._raw_bytes = raw_bytes
        self._at = 0
        self._out = bytearray()
        self._positions = [-1] * _BUCKETS
        self._next_to_enter = 0

    def run(self) -> bytes:
        """Ends: every step produces at least one byte, and there are never more than `raw_bytes`."""
        control = 1
        while len(self._out) < self._raw_bytes:
            if control == 1:
                (control,) = _WORD.unpack_from(self._body, self._at)
                self._at += _WORD.size
            if control & 1:
                self._copy_match()
            else:
                self._out.append(self._body[self._at])
                self._at += 1
            control >>= 1
        if self._at != len(self._body):
            raise BadStream(f"chunk has {len(self._body) - self._at} bytes too many")
        return bytes(self._out)

    def _copy_match(self) -> None:
        (token,) = _SHORT.unpack_from(self._body, self._at)
        length = (token & 0x0F) + 2 if token & 0x0F else self._body[self._at + 2]
        self._at += 2 if token & 0x0F else 3
        begin = len(self._out)
        self._enter(range(self._next_to_enter, begin - 2))
        origin = self._positions[token >> 4]
        if origin < 0 or not _MATCH_BYTES_MIN <= length <= self._raw_bytes - begin:
            raise BadStream(f"match of {length} bytes with bucket {token >> 4} at byte {begin}")
        for offset in range(length):
            self._out.append(self._out[origin + offset])
        self._enter(range(max(self._next_to_enter, begin - 2), begin + 1))
        self._next_to_enter = len(self._out)

    def _enter(self, positions: Iterable[int]) -> None:
        for position in positions:
            triple = int.from_bytes(self._out[position : position + 3], "little")
            self._positions[_bucket(triple)] = position
