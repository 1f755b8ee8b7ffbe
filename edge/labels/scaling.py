"""A layout made for one geometry, fitted to another: boxes with the picture, letters and modules with the smaller side.

What would no longer be legible is left out rather than drawn badly: a text in a box lower than its smallest letters, a
bar code or QR code narrower than its modules (they become optional). A price stays, whatever happens: it may then be an
error, never a cut price.
"""

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING

import msgspec

from edge.labels.elements import AnyElement, Box, Ean, Image, Price, Qr, Text, UnitPriceText, WasPrice, names_a_price
from edge.labels.fonts import face

if TYPE_CHECKING:
    from edge.labels.template import Layout

LEGIBLE_SIZE_MIN = 10
"""Pixels of the smallest letters a shopper is asked to read."""

AREA_WEIGHT = 0.25
"""How much a difference in size counts beside one in shape when a layout is looked for."""

PRICE_MIN_SHARE = 0.6
"""A price may become smaller than the layout's own smallest by this before it does not fit: small labels are read from
nearer."""

EAN_WIDTH_MIN = 113
"""Modules of an EAN-13 with its quiet zones: in fewer pixels there are no bars."""


def nearest(layouts: "Iterable[Layout]", width: int, height: int) -> "Layout":
    """The layout whose shape, and then size, is the nearest. Raises `ValueError` when there is none."""
    def distance(layout: "Layout") -> float:
        shape = math.log(layout.width / layout.height) - math.log(width / height)
        size = math.log(layout.width * layout.height) - math.log(width * height)
        return abs(shape) + AREA_WEIGHT * abs(size)

    return min(layouts, key=distance)


def scaled(layout: "Layout", width: int, height: int) -> "Layout":
    """The layout for a picture of this size."""
    if (layout.width, layout.height) == (width, height):
        return layout
    across, down = width / layout.width, height / layout.height
    elements = (_scaled(element, across, down) for element in layout.elements)
    return msgspec.structs.replace(layout, width=width, height=height,
                                   elements=tuple(element for element in elements if element is not None))


def _scaled(element: AnyElement, across: float, down: float) -> AnyElement | None:
    x, y, box_width, box_height = element.box
    left, top = round(x * across), round(y * down)
    box = left, top, max(1, round((x + box_width) * across) - left), max(1, round((y + box_height) * down) - top)
    letters = min(across, down)
    match element:
        case Box():
            return msgspec.structs.replace(element, box=box, outline=_at_least_one(element.outline, letters))
        case Image():
            return msgspec.structs.replace(element, box=box)
        case Ean() if box[2] < EAN_WIDTH_MIN:
            return None
        case Ean() | Qr():
            module_max = max(_module_min(element), math.floor(element.module_max * letters + 0.25))
            return msgspec.structs.replace(element, box=box, optional=True, module_max=module_max)
        case Text():
            size = max(LEGIBLE_SIZE_MIN, round(element.size * letters))
            smallest = element.size if element.size_min is None else element.size_min
            size_min = min(size, max(LEGIBLE_SIZE_MIN, round(smallest * letters)))
            if names_a_price(element.text):
                size_min = min(size, LEGIBLE_SIZE_MIN)  # it must stand there whole
            if face(element.weight, size_min).line_pitch > box[3]:
                return None
            return msgspec.structs.replace(element, box=box, size=size, size_min=size_min)
        case Price() | UnitPriceText() | WasPrice():
            size = max(LEGIBLE_SIZE_MIN, round(element.size * max(letters, min(across, down * 1.2))))
            size_min = max(LEGIBLE_SIZE_MIN, round(element.size_min * letters * PRICE_MIN_SHARE))
            return msgspec.structs.replace(element, box=box, size=size, size_min=min(size, size_min))


def _module_min(element: Ean | Qr) -> int:
    return element.module_min if isinstance(element, Qr) else 1


def _at_least_one(pixels: int, share: float) -> int:
    return max(1, round(pixels * share)) if pixels else 0
