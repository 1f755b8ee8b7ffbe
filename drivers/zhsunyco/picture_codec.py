"""Pictures → what easyTag labels understand, and the label types as data (esl.md 4.1). Pure.

The payload is the same for every label of a type; what depends on the label's address (`easytag.image_key`) is done on
the way out.
"""

import functools
import hashlib
import importlib.resources
import json
from dataclasses import dataclass

import numpy as np

from drivers.port import Blob, Colour, LabelDescription, LabelId, Picture, PictureVersion
from drivers.zhsunyco import easytag

MAKER = "zhsunyco"
VERSION_BYTES = 8


@dataclass(frozen=True, slots=True)
class LabelType:
    """What a type id means."""

    type_id: int
    name: str
    width: int
    height: int
    colours: frozenset[Colour]
    settle_s: float

    @property
    def type_name(self) -> str:
        """`zhsunyco:5c`."""
        return f"{MAKER}:{self.type_id:02x}"

    def describe(self, label: LabelId) -> LabelDescription:
        """The port's description; no feature of these labels is documented."""
        return LabelDescription(label, self.type_name, self.width, self.height, self.colours, frozenset(),
                                self.settle_s)


@functools.cache
def label_types() -> dict[str, LabelType]:
    """Every type this driver knows, by type name."""
    text = importlib.resources.files(__package__).joinpath("label_types.json").read_text("utf-8")
    types = [LabelType(int(entry["id"], 16), entry["name"], entry["width"], entry["height"],
                       frozenset(Colour[colour.upper()] for colour in entry["colours"]), float(entry["settle_s"]))
             for entry in json.loads(text)["types"]]
    return {label_type.type_name: label_type for label_type in types}


def encode_picture(description: LabelDescription, picture: Picture) -> Blob:
    """The picture as its label takes it. Raises `ValueError` when it does not fit the label's size or colours."""
    label_type = label_types().get(description.type_name)
    if label_type is None:
        raise ValueError(f"{description.type_name!r} is no easyTag label type")
    if (picture.width, picture.height) != (label_type.width, label_type.height):
        raise ValueError(f"a picture of {picture.width}x{picture.height} on {label_type.name}")
    pixels = np.frombuffer(picture.pixels, np.uint8).reshape(picture.height, picture.width)
    unknown = set(np.unique(pixels).tolist()) - label_type.colours
    if unknown:
        raise ValueError(f"{label_type.name} has no {', '.join(str(each) for each in sorted(unknown))}")
    red = _plane(pixels == Colour.RED) if Colour.RED in label_type.colours else None
    payload = easytag.image_payload(label_type.width, label_type.height, _plane(pixels == Colour.BLACK), red)
    return Blob(version_of(description.type_name, payload), label_type.type_id, payload)


def version_of(type_name: str, payload: bytes) -> PictureVersion:
    """Names the payload and its type: the same bytes are another picture on another panel."""
    return hashlib.blake2b(type_name.encode() + b"\0" + payload, digest_size=VERSION_BYTES).hexdigest()


def _plane(ink: "np.ndarray[tuple[int, ...], np.dtype[np.bool_]]") -> bytes:
    height, width = ink.shape
    full = np.zeros((easytag.padded(height), easytag.padded(width)), np.bool_)
    full[:height, :width] = ink
    return np.packbits(full).tobytes()
