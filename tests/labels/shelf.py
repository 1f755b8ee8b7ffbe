"""What the scenes of this folder share: two labels, an item, and ways to look at a picture."""

import numpy as np
import numpy.typing as npt
import zxingcpp

from drivers.port import Colour, LabelDescription, Picture
from edge.labels.content import LabelContent, label_content

BLACK_WHITE_RED = frozenset({Colour.WHITE, Colour.BLACK, Colour.RED})
BLACK_WHITE = frozenset({Colour.WHITE, Colour.BLACK})


def label(width: int = 296, height: int = 128, colours: frozenset[Colour] = BLACK_WHITE_RED) -> LabelDescription:
    """A label of this geometry and these colours."""
    return LabelDescription("0000021b1ad03b17", "M3", width, height, colours, frozenset(), 20.0)


def item(name: str = "KIDS CEREAL", price_minor: int = 339, *, sku: str = "1000050", gtin: str | None = "0400010000500",
         package_text: str = "14.5 OZ", currency: str = "USD", language: str = "en-US", unit_system: str = "us",
         link_domain: str | None = "id.example.com") -> LabelContent:
    """What the label of a box of cereal says, unless told otherwise."""
    return label_content(sku=sku, name=name, gtin=gtin, package_text=package_text, price_minor=price_minor,
                         currency=currency, language=language, unit_system="us" if unit_system == "us" else "metric",
                         link_domain=link_domain)


def pixels(picture: Picture) -> npt.NDArray[np.uint8]:
    """The picture's colours, row by row."""
    return np.frombuffer(picture.pixels, np.uint8).reshape(picture.height, picture.width)


def scanned(picture: Picture) -> set[str]:
    """What a scanner reads from the picture at its own size, one pixel to a pixel."""
    grey = np.where(pixels(picture) == Colour.WHITE, 255, 0).astype(np.uint8)
    return {symbol.text for symbol in zxingcpp.read_barcodes(grey)}
