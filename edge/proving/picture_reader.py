"""Reading a label with a camera's eyes: picture → QR code → which item, and which price it promises.

The link is parsed here again, by hand, so that a mistake in how the store writes it cannot hide:
`https://<domain>/01/<gtin14>?392n=<price>` or `https://<domain>/s/<sku>?392n=<price>` (retail.md 1.9, 4.1).
"""

from collections import OrderedDict
from dataclasses import dataclass
from urllib.parse import unquote

import numpy as np
import zxingcpp

from drivers.port import Colour, Picture

PICTURES_REMEMBERED_MAX = 4096
"""Pictures read before; the one read longest ago is read again when it comes again."""

PIXELS_PER_MODULE = 3
"""Pictures are enlarged for the reader, as a camera held close does."""

GTIN_DIGITS = 14
_QR = zxingcpp.barcode_formats_from_str("QRCode")

ItemKey = str
"""What a picture or a barcode means: `01/<gtin14>`, or `s/<sku>` for an item without a GTIN."""


@dataclass(frozen=True, slots=True)
class Printed:
    """What stands on a screen: the item, and the price per unit in minor units."""

    item: ItemKey
    price_minor: int


def read_link(link: str) -> Printed | None:
    """What a link says; `None` when it is not a shelf label's."""
    address, _, query = link.partition("?")
    scheme, _, rest = address.partition("://")
    _, _, path = rest.partition("/")
    kind, _, key = path.partition("/")
    attribute, _, price = query.partition("=")
    known = scheme == "https" and attribute[:3] == "392" and attribute[3:].isdecimal() and price.isdecimal()
    if not known or not key or "/" in key:
        return None
    if kind == "01" and len(key) == GTIN_DIGITS and key.isdecimal():
        return Printed(f"01/{key}", int(price))
    return Printed(f"s/{unquote(key)}", int(price)) if kind == "s" else None


class PictureReader:
    """Reads pictures; the same picture is read once, as long as it is remembered."""

    def __init__(self) -> None:
        self._read: OrderedDict[Picture, Printed | None] = OrderedDict()

    def read(self, picture: Picture) -> Printed | None:
        """What the picture's QR code promises; `None` when no shelf label's code can be read in it."""
        if picture in self._read:
            self._read.move_to_end(picture)
            return self._read[picture]
        printed = self._read[picture] = _printed(picture)
        if len(self._read) > PICTURES_REMEMBERED_MAX:
            self._read.popitem(last=False)
        return printed


def _printed(picture: Picture) -> Printed | None:
    pixels = np.frombuffer(picture.pixels, np.uint8).reshape(picture.height, picture.width)
    grey = np.where(pixels == Colour.WHITE, np.uint8(255), np.uint8(0))
    large = np.ascontiguousarray(grey.repeat(PIXELS_PER_MODULE, axis=0).repeat(PIXELS_PER_MODULE, axis=1))
    for found in zxingcpp.read_barcodes(large, formats=_QR):
        printed = read_link(found.text)
        if printed is not None:
            return printed
    return None
