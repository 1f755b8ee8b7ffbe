"""What a Gicisky panel shows for the bytes it was given. Written from esl.md 3.4 to 3.6 alone, so that it can judge.

Shares no code with the driver's codec: chunks are inflated by looking for the place that a bucket means instead of
keeping a table, and pixels are looked up one by one instead of turning whole pictures. Reads the types' geometry only.
"""

import numpy as np
import numpy.typing as npt

from drivers.gicisky.picture_codec import LabelType
from drivers.port import Colour, Picture

_FOUR_COLOURS = (Colour.BLACK, Colour.WHITE, Colour.YELLOW, Colour.RED)  # 3.4, by the two bits of a pixel


class Rubbish(Exception):
    """These bytes are no picture: a real label would show noise, or nothing."""


def shown(label_type: LabelType, planes: bytes) -> Picture:
    """The picture that the panel's memory `planes` shows to somebody in front of it. Raises `Rubbish`."""
    width, height = label_type.width, label_type.height
    count = 2 if label_type.packed or Colour.RED in label_type.colours else 1
    if len(planes) != width * height * count // 8:
        raise Rubbish(f"{len(planes)} bytes for {label_type.name}")
    memory = _memory_colours(label_type, np.unpackbits(np.frombuffer(planes, np.uint8)))
    return Picture(width, height, np.take(memory, _places(label_type)).tobytes())


def inflated(stream: bytes) -> bytes:
    """Both planes of a vendor stream, one behind the other (3.5 c). Raises `Rubbish`."""
    try:
        return _inflated(stream)
    except IndexError:
        raise Rubbish("the stream ends inside a chunk") from None


def unlined(stream: bytes) -> bytes:
    """Both planes of a "line" stream, one behind the other (3.5 b). Raises `Rubbish`."""
    if int.from_bytes(stream[:4], "little") != len(stream):
        raise Rubbish("a line stream says how long it is")
    planes, at = b"", 4
    while at < len(stream):
        if stream[at] != 0x75 or at + 7 > len(stream) or stream[at + 1] != stream[at + 2] + 7 or not stream[at + 2]:
            raise Rubbish(f"no line at byte {at}")
        planes += stream[at + 7 : at + stream[at + 1]]
        at += stream[at + 1]
    if at > len(stream):
        raise Rubbish("the last line is cut off")
    return planes


def _memory_colours(label_type: LabelType, bits: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """One colour for each place of the panel's memory, in its order (3.4)."""
    if label_type.packed:
        return np.take(np.array(_FOUR_COLOURS, np.uint8), bits[0::2] * 2 + bits[1::2])
    first, red = bits, np.zeros_like(bits)
    if Colour.RED in label_type.colours:
        first, red = np.split(bits, 2)
    black = first if label_type.inverted else 1 - first
    return np.where(red, Colour.RED, np.where(black, Colour.BLACK, Colour.WHITE)).astype(np.uint8)


def _places(label_type: LabelType) -> npt.NDArray[np.intp]:
    """Which place of the memory each pixel of the upright picture is read from, rows from the top."""
    x = np.tile(np.arange(label_type.width), label_type.height)
    y = np.repeat(np.arange(label_type.height), label_type.width)
    width, height = label_type.width, label_type.height
    if label_type.stretched:
        x, y, width, height = x // 2, y * 2, width // 2, height * 2
    for _ in range(label_type.quarter_turns):  # counter-clockwise: what was on the right is now at the top
        x, y, width, height = y, width - 1 - x, height, width
    if label_type.mirror_x:
        x = width - 1 - x
    if label_type.mirror_y:
        y = height - 1 - y
    return np.asarray(y * width + x, np.intp)


def _inflated(stream: bytes) -> bytes:
    planes, at = b"", 4
    while at < len(stream):
        marker, total, raw = stream[at], stream[at + 1], stream[at + 2]
        body = stream[at + 3 : at + total]
        if len(body) + 3 != total:
            raise Rubbish("the last chunk is cut off")
        chunk = body if marker == 0x74 else _chunk(body, raw) if marker == 0x75 else b""
        if not chunk or len(chunk) != raw:
            raise Rubbish(f"no chunk at byte {at}")
        planes += chunk
        at += total
    if len(planes) < int.from_bytes(stream[:4], "little"):
        raise Rubbish("the second plane is longer than everything")
    return planes


def _chunk(body: bytes, raw: int) -> bytes:
    out, hidden, at = bytearray(), set[int](), 0  # hidden: places inside a match, which no bucket ever means
    while len(out) < raw:
        control = int.from_bytes(body[at : at + 4], "little")
        at += 4
        token = 0
        while len(out) < raw and (token < 31 or not control):
            if control >> token & 1:
                short = body[at] | body[at + 1] << 8
                length = short % 16 + 2 if short % 16 else body[at + 2]
                at += 2 if short % 16 else 3
                source = _meant(out, hidden, short >> 4)
                hidden.update(range(len(out) + 1, len(out) + length))
                for place in range(source, source + length):
                    out.append(out[place])
            else:
                out.append(body[at])
                at += 1
            token += 1
    if at != len(body):
        raise Rubbish("bytes are left over in a chunk")
    return bytes(out)


def _meant(out: bytearray, hidden: set[int], bucket: int) -> int:
    """The last place whose three bytes fall into the bucket (3.6)."""
    for place in range(len(out) - 3, -1, -1):
        triple = out[place] + out[place + 1] * 256 + out[place + 2] * 65536
        if place not in hidden and (triple ^ triple // 4096) % 64 == bucket:
            return place
    raise Rubbish(f"nothing is in bucket {bucket} yet")
