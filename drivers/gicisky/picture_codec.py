"""Pictures → what Gicisky labels understand, and the label types as data. Pure.

Source: esl.md 3.1 (types), 3.4 (planes), 3.5 (streams). A picture is drawn upright; `quarter_turns` says by how many
quarter turns (counter-clockwise) the label's memory lies against it, then it is mirrored. Plane 1 has a bit for white
(`inverted`: for black), plane 2 one for red; `packed` labels have two bits for a pixel instead. Most significant bit
first, rows without padding.
"""

import functools
import hashlib
import importlib.resources
import json
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from drivers.gicisky.codec import LabelReport, StreamFormat, compress, lines
from drivers.port import Blob, Colour, LabelDescription, LabelId, Picture, PictureVersion

MAKER = "gicisky"
TYPE_NAME_PREFIX = f"{MAKER}:"
BATTERY_EMPTY_MV = 2200  # 3.1
VERSION_BYTES = 8

_TWO_BITS = np.array([1, 0, 3, 2], np.uint8)  # of white, black, red, yellow (3.4)

_Pixels = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class LabelType:
    """What a device id means (3.1).

    `stretched` panels have half the columns and twice the rows. `format` is the stream that such a label takes unless
    it says that it does not decompress; with a firmware of `lines_with_firmware` it takes "lines" instead.
    `short_announcement`: a chunked stream is announced with 6 bytes (3.3).
    """

    type_id: int
    name: str
    width: int
    height: int
    colours: frozenset[Colour]
    quarter_turns: int
    mirror_x: bool
    mirror_y: bool
    inverted: bool
    stretched: bool
    packed: bool
    format: StreamFormat
    lines_with_firmware: frozenset[int]
    short_announcement: bool
    settle_s: float
    battery_full_mv: int

    def format_for(self, report: LabelReport) -> StreamFormat:
        """The stream that a label takes which reports this."""
        if not report.compresses or self.format is StreamFormat.RAW:
            return StreamFormat.RAW
        return StreamFormat.LINES if report.firmware in self.lines_with_firmware else self.format

    def type_name(self, stream_format: StreamFormat) -> str:
        """`gicisky:012b`, and `gicisky:012b/lines` for a label that takes another stream than its type's usual one."""
        suffix = "" if stream_format is self.format else f"/{stream_format.name.lower()}"
        return f"{TYPE_NAME_PREFIX}{self.type_id:04x}{suffix}"

    def describe(self, label: LabelId, stream_format: StreamFormat) -> LabelDescription:
        """The port's description. No feature of these labels is documented, LED included."""
        return LabelDescription(
            label, self.type_name(stream_format), self.width, self.height, self.colours, frozenset(), self.settle_s
        )

    def battery_percent(self, battery_mv: int) -> int:
        """0 to 100 (3.1)."""
        share = (battery_mv - BATTERY_EMPTY_MV) / (self.battery_full_mv - BATTERY_EMPTY_MV)
        return round(100 * min(1.0, max(0.0, share)))


@functools.cache
def label_types() -> dict[int, LabelType]:
    """Every type this driver knows, by device id."""
    text = importlib.resources.files(__package__).joinpath("label_types.json").read_text("utf-8")
    types = [_label_type(entry) for entry in json.loads(text)["types"]]
    return {label_type.type_id: label_type for label_type in types}


def type_name_heard(report: LabelReport) -> str | None:
    """The type name of a label that reports this; `None` when nobody knows its device id."""
    label_type = label_types().get(report.type_id)
    return None if label_type is None else label_type.type_name(label_type.format_for(report))


def label_type_named(type_name: str) -> tuple[LabelType, StreamFormat]:
    """The type behind `gicisky:004b` or `gicisky:004b/raw`, and its stream. Raises `ValueError`."""
    for label_type in label_types().values():
        for stream_format in StreamFormat:
            if type_name == label_type.type_name(stream_format):
                return label_type, stream_format
    raise ValueError(f"{type_name!r} is no Gicisky label type")


def encode_picture(description: LabelDescription, picture: Picture) -> Blob:
    """The picture as its label takes it. Raises `ValueError` when it does not fit the label's size or colours."""
    label_type, stream_format = label_type_named(description.type_name)
    planes = planes_of(label_type, picture)
    payload = _stream(label_type, stream_format, planes)
    return Blob(version_of(description.type_name, payload), stream_format, payload)


def version_of(type_name: str, payload: bytes) -> PictureVersion:
    """Names the stream and its type: the same bytes are another picture on another panel."""
    named = type_name.encode() + b"\0" + payload
    return hashlib.blake2b(named, digest_size=VERSION_BYTES).hexdigest()


def planes_of(label_type: LabelType, picture: Picture) -> tuple[bytes, bytes]:
    """Both planes, the second empty for labels of two colours and for packed ones. Raises `ValueError` (3.4)."""
    pixels = _placed(label_type, _checked(label_type, picture)).ravel()
    if label_type.packed:
        quads = _TWO_BITS[pixels].reshape(-1, 4)
        return (quads @ np.array([64, 16, 4, 1], np.uint8)).astype(np.uint8).tobytes(), b""
    first = np.packbits(pixels == (Colour.BLACK if label_type.inverted else Colour.WHITE)).tobytes()
    return first, np.packbits(pixels == Colour.RED).tobytes() if Colour.RED in label_type.colours else b""


def _checked(label_type: LabelType, picture: Picture) -> _Pixels:
    if (picture.width, picture.height) != (label_type.width, label_type.height):
        size = f"{picture.width}x{picture.height}"
        raise ValueError(f"{label_type.name} shows {label_type.width}x{label_type.height}, got {size}")
    pixels = np.frombuffer(picture.pixels, np.uint8).reshape(picture.height, picture.width)
    foreign = [int(index) for index in np.unique(pixels) if index not in label_type.colours]
    if foreign:
        raise ValueError(f"{label_type.name} has no colour {foreign}")
    return pixels


def _placed(label_type: LabelType, pixels: _Pixels) -> _Pixels:
    """Stretched, turned, mirrored: in the order of the label's memory."""
    if label_type.stretched:
        pixels = _stretched(pixels)
    turned = np.rot90(pixels, label_type.quarter_turns)
    if label_type.mirror_x:
        turned = np.fliplr(turned)
    return np.flipud(turned) if label_type.mirror_y else turned


def _stretched(pixels: _Pixels) -> _Pixels:
    """Two columns become one, black where either is, so that thin strokes stay; every row comes twice (3.4)."""
    height, width = pixels.shape
    return np.repeat(pixels.reshape(height, width // 2, 2).max(axis=2), 2, axis=0)


def _stream(label_type: LabelType, stream_format: StreamFormat, planes: tuple[bytes, bytes]) -> bytes:
    match stream_format:
        case StreamFormat.RAW:
            return b"".join(planes)
        case StreamFormat.LINES:
            return lines(planes, label_type.height // 8)
        case StreamFormat.CHUNKS:
            return compress(*planes)


def _label_type(entry: dict[str, Any]) -> LabelType:
    """One entry of label_types.json; a shipped file, so a mistake in it is a bug and raises what it likes."""
    return LabelType(
        type_id=int(entry["id"], 16),
        name=entry["name"],
        width=entry["width"],
        height=entry["height"],
        colours=frozenset(Colour[name.upper()] for name in entry["colours"]),
        quarter_turns=entry.get("rotation", 0) // 90,
        mirror_x="x" in entry.get("mirror", ""),
        mirror_y="y" in entry.get("mirror", ""),
        inverted=entry.get("inverted", False),
        stretched=entry.get("stretched", False),
        packed=entry.get("packed", False),
        format=StreamFormat[entry["format"].upper()],
        lines_with_firmware=frozenset(int(number, 16) for number in entry.get("lines_with_firmware", ())),
        short_announcement=entry.get("short_announcement", False),
        settle_s=float(entry["settle_s"]),
        battery_full_mv=entry["battery_full_mv"],
    )
