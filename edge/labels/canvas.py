"""A picture being composed: one byte per pixel, painted through masks that never leave the box they are given."""

from dataclasses import dataclass

import numpy as np

from drivers.port import Colour, LabelDescription, Picture
from edge.labels.elements import Align, ColourName, VerticalAlign
from edge.labels.fonts import Face, Mask


@dataclass(frozen=True, slots=True)
class Area:
    """A rectangle of the picture in pixels."""

    x: int
    y: int
    width: int
    height: int

    def across(self, width: int, align: Align) -> int:
        """Where something of this width begins."""
        match align:
            case "left":
                return self.x
            case "right":
                return self.x + self.width - width
            case "centre":
                return self.x + (self.width - width) // 2

    def down(self, height: int, align: VerticalAlign) -> int:
        """Where something of this height begins."""
        match align:
            case "top":
                return self.y
            case "bottom":
                return self.y + self.height - height
            case "middle":
                return self.y + (self.height - height) // 2


class Canvas:
    """White at first. Colours the label has not come out black: what matters must stay readable on any label."""

    def __init__(self, description: LabelDescription) -> None:
        self._pixels = np.zeros((description.height, description.width), np.uint8)
        self._colours = {name: np.uint8(_nearest(colour, description)) for name, colour in _COLOURS.items()}

    def fill(self, area: Area, colour: ColourName) -> None:
        """Every pixel of the area in one colour."""
        self._pixels[area.y : area.y + area.height, area.x : area.x + area.width] = self._colours[colour]

    def paint(self, mask: Mask, x: int, y: int, colour: ColourName, within: Area) -> None:
        """The colour where the mask has ink, its top left corner at x, y; ink outside `within` is left out."""
        height, width = mask.shape
        right, bottom = x + width, y + height
        right_max, bottom_max = within.x + within.width, within.y + within.height
        if x < within.x or y < within.y or right > right_max or bottom > bottom_max:
            left, top = max(0, within.x - x), max(0, within.y - y)
            mask = mask[top : max(top, bottom_max - y), left : max(left, right_max - x)]
            x, y = x + left, y + top
            right, bottom = x + mask.shape[1], y + mask.shape[0]
        np.copyto(self._pixels[y:bottom, x:right], self._colours[colour], where=mask)

    def write(self, text: str, face: Face, at: tuple[int, int], colour: ColourName, within: Area) -> None:
        """The letters from the pen on, `at` its first x and the baseline's y."""
        pen, baseline = at
        space = face.glyph(" ").advance
        for letters in text.split(" "):
            word = face.word(letters)
            self.paint(word.mask, pen + word.left, baseline + word.top, colour, within)
            pen += word.advance + space

    def picture(self) -> Picture:
        """The finished picture."""
        height, width = self._pixels.shape
        return Picture(width, height, self._pixels.tobytes())


_COLOURS: dict[ColourName, Colour] = {
    "white": Colour.WHITE,
    "black": Colour.BLACK,
    "red": Colour.RED,
    "yellow": Colour.YELLOW,
}


def _nearest(colour: Colour, description: LabelDescription) -> Colour:
    return colour if colour is Colour.WHITE or colour in description.colours else Colour.BLACK
