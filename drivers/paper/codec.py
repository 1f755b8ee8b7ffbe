"""A paper tag: its sizes, its picture as a file, and the code that names the very print. Pure.

A tag's identity carries its size (`paper-70x37-3f9a2b1c`), so that a store which lost everything but its bindings can
print it again. Beside its picture stands a QR code, `TAG:` and label and version, which nothing but this print carries:
scanned on the shelf it proves that this picture hangs there (P7).
"""

import hashlib
import io
import re
from dataclasses import dataclass

from PIL import Image

from drivers.port import Blob, Colour, LabelDescription, LabelId, Picture, PictureVersion

DOTS_PER_MM = 8  # 203 dots per inch, as label printers have; office printers have more
SIZES_MM = ((50, 25), (70, 37), (105, 57))
VERSION_BYTES = 8
TYPE_PREFIX = "paper:"

_LABEL = re.compile(r"paper-(\d{2,3})x(\d{2,3})-[0-9a-f]{8}", re.ASCII)
_PROOF = re.compile(r"TAG:(paper-[0-9a-fx-]{10,40}):([0-9a-f]{16})", re.ASCII | re.IGNORECASE)
_PALETTE = [255, 255, 255, 0, 0, 0]


@dataclass(frozen=True, slots=True)
class ProofCode:
    """What the code beside a picture says."""

    label: LabelId
    version: PictureVersion

    @property
    def text(self) -> str:
        """In capitals, which make a smaller QR code."""
        return f"TAG:{self.label}:{self.version}".upper()

    @classmethod
    def read(cls, text: str) -> "ProofCode | None":
        """A scan as it comes; `None` when it is no tag's code."""
        found = _PROOF.fullmatch(text.strip())
        return cls(found[1].lower(), found[2].lower()) if found else None


def size_names() -> list[str]:
    """The sizes there are, in millimetres: `70x37`."""
    return [f"{width}x{height}" for width, height in SIZES_MM]


def new_label(size: str, seed: str) -> LabelId:
    """A tag's identity, always the same for one seed. Raises `ValueError` for a size there is not."""
    if size not in size_names():
        raise ValueError(f"no paper tag of {size!r}; there are {', '.join(size_names())} (millimetres)")
    return f"paper-{size}-{hashlib.sha256(seed.encode()).hexdigest()[:8]}"


def size_mm(label: LabelId) -> tuple[int, int] | None:
    """Width and height of a tag in millimetres; `None` for what is no paper tag."""
    found = _LABEL.fullmatch(label)
    size = (int(found[1]), int(found[2])) if found else None
    return size if size in SIZES_MM else None


def describe(label: LabelId) -> LabelDescription | None:
    """Geometry in printed dots; `None` for what is no paper tag. A print stands the moment it hangs."""
    size = size_mm(label)
    if size is None:
        return None
    width, height = size
    return LabelDescription(label, f"{TYPE_PREFIX}{width}x{height}", width * DOTS_PER_MM, height * DOTS_PER_MM,
                            frozenset({Colour.WHITE, Colour.BLACK}), frozenset(), 0.0)


def encode_picture(description: LabelDescription, picture: Picture) -> Blob:
    """A PNG file of two colours; the version is the first bytes of its pixels' SHA-256, with the tag's type."""
    image = Image.frombytes("P", (picture.width, picture.height), picture.pixels)
    image.putpalette(_PALETTE)
    file = io.BytesIO()
    image.save(file, "PNG", bits=1, optimize=True)
    said = description.type_name.encode() + picture.pixels
    return Blob(hashlib.sha256(said).digest()[:VERSION_BYTES].hex(), 0, file.getvalue())
