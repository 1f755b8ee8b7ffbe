"""Pictures ⇄ what OpenEPaperLink labels understand, and the label types as data. Pure.

Source: esl.md 1.7. A picture is drawn in landscape; `rotate_buffer` says by how many quarter turns
(counter-clockwise) the label's buffer lies against it. Plane 1 has a bit for black, plane 2 for red or yellow, both
for palette index 3; most significant bit first, rows packed without padding.
"""

import functools
import importlib.resources
import json
import struct
import zlib
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from drivers.openepaperlink.codec import BadFrame, DataType, version_of
from drivers.port import Blob, Colour, Feature, LabelDescription, LabelId, Picture

TYPE_NAME_PREFIX = "oepl:"
COMPRESSED_SUFFIX = "/zlib"

IMAGE_HEADER_BYTES = 6
ZLIB_WINDOW_BITS = 12  # 4 KiB: all a label has room for; CMF must be 0x48 (1.7)
ZLIB_HEADER = b"\x48\xc7"  # what the access point writes, whatever the level
ZLIB_LEVEL = 6  # level 9 costs seven times as much for 3%
PLANE_BYTES_MAX = 1 << 17  # larger than any label's plane; bounds decompression

_IMAGE_HEADER = struct.Struct("<BHHB")
_SIZE = struct.Struct("<I")

_Bits = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class TagType:
    """What the makers' hardware type number means. `zlib_from_firmware`: first version that inflates, or `None`."""

    number: int
    name: str
    width: int
    height: int
    rotate_buffer: int
    planes: int
    colours: frozenset[Colour]
    features: frozenset[Feature]
    zlib_from_firmware: int | None
    settle_s: float

    def compresses(self, firmware_version: int) -> bool:
        """Whether a label of this type and firmware takes zlib pictures."""
        return self.zlib_from_firmware is not None and firmware_version >= self.zlib_from_firmware

    def type_name(self, *, compressed: bool = False) -> str:
        """`oepl:33`, and `oepl:33/zlib` for a label whose firmware is known to inflate."""
        return f"{TYPE_NAME_PREFIX}{self.number:02x}{COMPRESSED_SUFFIX if compressed else ''}"

    def describe(self, label: LabelId, features: frozenset[Feature] = frozenset(), *,
                 compressed: bool = False) -> LabelDescription:  # fmt: skip
        """The port's description; `features` are what the label itself reported on top of its type's."""
        return LabelDescription(
            label, self.type_name(compressed=compressed), self.width, self.height, self.colours,
            self.features | features, self.settle_s,
        )  # fmt: skip

    @property
    def buffer_size(self) -> tuple[int, int]:
        """Width and height of the label's own buffer."""
        return (self.height, self.width) if self.rotate_buffer % 2 else (self.width, self.height)

    @property
    def plane_bytes(self) -> int:
        """Bytes of one plane."""
        return self.width * self.height // 8


@functools.cache
def tag_types() -> dict[int, TagType]:
    """Every type this driver knows, by hardware type number."""
    text = importlib.resources.files(__package__).joinpath("tag_types.json").read_text("utf-8")
    types = [_tag_type(entry) for entry in json.loads(text)["types"]]
    return {tag_type.number: tag_type for tag_type in types}


def tag_type_named(type_name: str) -> tuple[TagType, bool]:
    """The type behind `oepl:01` or `oepl:33/zlib`, and whether it is to be compressed. Raises `ValueError`."""
    number = type_name.removeprefix(TYPE_NAME_PREFIX).removesuffix(COMPRESSED_SUFFIX)
    try:
        tag_type = tag_types()[int(number, 16)]
    except (ValueError, KeyError):
        raise ValueError(f"{type_name!r} is no OpenEPaperLink label type") from None
    if not type_name.startswith(TYPE_NAME_PREFIX):
        raise ValueError(f"{type_name!r} is no OpenEPaperLink label type")
    return tag_type, type_name.endswith(COMPRESSED_SUFFIX)


def encode_picture(description: LabelDescription, picture: Picture) -> Blob:
    """The picture as its label stores it. Raises `ValueError` when it does not fit the label's size or colours."""
    tag_type, compressed = tag_type_named(description.type_name)
    planes = _planes_of(tag_type, picture)
    raw = b"".join(planes)
    encoding = DataType.IMAGE_RAW_2_BPP if len(planes) > 1 else DataType.IMAGE_RAW_1_BPP
    if compressed:
        packed = compress_planes(tag_type, raw, len(planes))
        if len(packed) < len(raw):
            return Blob(version_of(packed), DataType.IMAGE_ZLIB, packed)
    return Blob(version_of(raw), encoding, raw)


def compress_planes(tag_type: TagType, planes: bytes, bits_per_pixel: int) -> bytes:
    """Data type 0x30: size of what follows, then header and planes as one zlib stream (1.7)."""
    return compress_image(_IMAGE_HEADER.pack(IMAGE_HEADER_BYTES, *tag_type.buffer_size, bits_per_pixel) + planes)


def compress_image(content: bytes) -> bytes:
    """`content` behind its length, with the access point's zlib header."""
    compressor = zlib.compressobj(ZLIB_LEVEL, zlib.DEFLATED, ZLIB_WINDOW_BITS)
    stream = compressor.compress(content) + compressor.flush()
    return _SIZE.pack(len(content)) + ZLIB_HEADER + stream[len(ZLIB_HEADER) :]


def decode_picture(tag_type: TagType, encoding: int, payload: bytes) -> Picture:
    """What a label of this type would show. Raises `BadFrame` when the payload is not a picture for it."""
    if encoding == DataType.IMAGE_ZLIB:
        planes = _inflate(tag_type, payload)
    elif encoding in (DataType.IMAGE_RAW_1_BPP, DataType.IMAGE_RAW_2_BPP):
        planes = payload
    else:
        raise BadFrame(f"data type {encoding:#04x} is no picture")
    count, rest = divmod(len(planes), tag_type.plane_bytes)
    if rest or not 1 <= count <= tag_type.planes or (encoding == DataType.IMAGE_RAW_2_BPP and count != 2):
        raise BadFrame(f"{len(planes)} bytes of planes for {tag_type.name}, a plane has {tag_type.plane_bytes}")
    return _picture_of(tag_type, planes)


def _planes_of(tag_type: TagType, picture: Picture) -> list[bytes]:
    """One plane where nothing but black and white is drawn, as the access point does; else two."""
    if (picture.width, picture.height) != (tag_type.width, tag_type.height):
        size = f"{picture.width}x{picture.height}"
        raise ValueError(f"{tag_type.name} shows {tag_type.width}x{tag_type.height}, got {size}")
    pixels = np.frombuffer(picture.pixels, np.uint8).reshape(picture.height, picture.width)
    used = np.flatnonzero(np.bincount(pixels.ravel(), minlength=1))
    foreign = [int(index) for index in used if index not in tag_type.colours]
    if foreign:
        raise ValueError(f"{tag_type.name} has no colour {foreign}")
    turned = np.rot90(pixels, tag_type.rotate_buffer)
    black = _packed((turned & 1).astype(np.uint8))
    if tag_type.planes == 1 or used[-1] < Colour.RED:
        return [black]
    return [black, _packed((turned >> 1).astype(np.uint8))]


def _packed(bits: _Bits) -> bytes:
    return np.packbits(bits.ravel()).tobytes()


def _picture_of(tag_type: TagType, planes: bytes) -> Picture:
    buffer_width, buffer_height = tag_type.buffer_size
    bits = np.unpackbits(np.frombuffer(planes, np.uint8)).reshape(-1, buffer_height, buffer_width)
    turned = bits[0] if len(bits) == 1 else bits[0] | bits[1] << 1
    pixels = np.rot90(turned, -tag_type.rotate_buffer)
    return Picture(tag_type.width, tag_type.height, np.ascontiguousarray(pixels, np.uint8).tobytes())


def _inflate(tag_type: TagType, payload: bytes) -> bytes:
    """The planes of a 0x30 payload; strict about everything a label relies on."""
    if len(payload) < _SIZE.size + len(ZLIB_HEADER) or payload[_SIZE.size] != ZLIB_HEADER[0]:
        raise BadFrame("zlib picture: CMF is not 0x48")
    inflater = zlib.decompressobj(ZLIB_WINDOW_BITS)
    try:
        content = inflater.decompress(payload[_SIZE.size :], IMAGE_HEADER_BYTES + 2 * PLANE_BYTES_MAX)
    except zlib.error as error:
        raise BadFrame(f"zlib picture: {error}") from None
    if not inflater.eof or len(content) != _SIZE.unpack_from(payload)[0] or len(content) < IMAGE_HEADER_BYTES:
        raise BadFrame("zlib picture: its length is not what it says")
    header_bytes, width, height, planes = _IMAGE_HEADER.unpack_from(content)
    if header_bytes != IMAGE_HEADER_BYTES or (width, height) != tag_type.buffer_size:
        raise BadFrame(f"zlib picture: header says {width}x{height}")
    if len(content) - IMAGE_HEADER_BYTES != planes * tag_type.plane_bytes:
        raise BadFrame(f"zlib picture: header says {planes} planes, {len(content)} bytes came")
    return content[IMAGE_HEADER_BYTES:]


def _tag_type(entry: dict[str, Any]) -> TagType:
    """One entry of tag_types.json; a shipped file, so a mistake in it is a bug and raises what it likes."""
    since = entry["zlib_from_firmware"]
    return TagType(
        number=int(entry["number"], 16),
        name=entry["name"],
        width=entry["width"],
        height=entry["height"],
        rotate_buffer=entry["rotate_buffer"],
        planes=entry["planes"],
        colours=frozenset(Colour[name.upper()] for name in entry["colours"]),
        features=frozenset(Feature(name) for name in entry["features"]),
        zlib_from_firmware=None if since is None else int(since, 16),
        settle_s=float(entry["settle_s"]),
    )
