"""Letters as black-and-white masks, hinted for the screen's pixels and kept, for it is drawing them that costs time.

The font is Roboto Condensed (SIL Open Font License), from the package `fontpkg-roboto-condensed`: Latin with all its
extensions, Greek and Cyrillic, digits of one width, and instructions that make it crisp without grey pixels. Letters
stand one by one from left to right; scripts that join or run the other way are not set.
"""

import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate

import fontpkg  # type: ignore[import-untyped]  # the package ships no types
import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from edge.labels.elements import Weight

Mask = npt.NDArray[np.bool_]
"""True where there is ink; rows from the top."""

FACES_MAX = 192
WORDS_PER_FACE_MAX = 256
"""Words kept in each face; at the limit all go."""

GLYPHS_PER_FACE_MAX = 512
"""Beyond them the least recently used face is dropped, and a face starts again empty; letters are then drawn anew."""

_FAMILY = "Roboto Condensed"
_WEIGHTS: dict[Weight, int] = {"regular": 400, "medium": 500, "bold": 700}
_EVEN_WEIGHTS: dict[int, tuple[int, int, int]] = {
    9: (400, 475, 475), 10: (400, 500, 500), 11: (400, 400, 400), 12: (400, 425, 425), 13: (350, 350, 800),
    14: (350, 350, 700), 15: (325, 575, 650), 16: (325, 575, 600), 17: (300, 500, 500), 18: (450, 475, 850),
    19: (450, 450, 800), 20: (425, 425, 775), 21: (400, 425, 750), 22: (425, 425, 675), 23: (400, 575, 625),
    24: (400, 575, 575), 25: (375, 550, 850), 26: (375, 500, 775), 27: (375, 500, 500), 28: (350, 475, 750),
    29: (350, 450, 700), 30: (325, 450, 675),
}
"""By size, the font's weight axis for regular, medium and bold at which nearly all stems are equally many pixels wide.

Measured, because a stem of one and a half pixels comes out as one in this letter and as two in the next. Larger letters
do not show it.
"""

_NOT_A_CHARACTER = "\U0010ffff"


def font_path() -> str:
    """The font's file."""
    return str(fontpkg.path(_FAMILY))


@dataclass(frozen=True, slots=True, eq=False)
class Glyph:
    """A letter's ink. `left` and `top` of the mask count from the pen on the baseline, down is positive."""

    mask: Mask
    left: int
    top: int
    advance: int

    @property
    def right(self) -> int:
        """First column right of the ink, from the pen."""
        return self.left + int(self.mask.shape[1])


class Face:
    """The font in one weight and size. `ascent` and `descent` bound letters, `cap_height` a digit."""

    def __init__(self, weight: Weight, size: int) -> None:
        self.size = size
        self._font = ImageFont.truetype(font_path(), size, layout_engine=ImageFont.Layout.BASIC)
        self._font.set_variation_by_axes([_weight_axis(weight, size)])
        self._glyphs = _Glyphs(self._draw)
        self._words: dict[str, Glyph] = {}
        self._within: set[str] = set()
        self._missing = self._draw(_NOT_A_CHARACTER)
        self.cap_height = -self._draw("0").top
        self.ascent = -self._draw("Å").top
        self.descent = _bottom(self._draw("g"))
        self.digit_descent = _bottom(self._draw("0"))
        self.line_pitch = self.ascent + self.descent

    def glyph(self, char: str) -> Glyph:
        """The letter, drawn once. A letter the font lacks is its empty box."""
        return self._glyphs[char]

    def word(self, text: str) -> Glyph:
        """Letters side by side as one mask: shelves say the same words over and over."""
        word = self._words.get(text)
        if word is None:
            if len(self._words) >= WORDS_PER_FACE_MAX:
                self._words.clear()
            word = self._words[text] = _side_by_side([self._glyphs[char] for char in text])
        return word

    def has(self, char: str) -> bool:
        """Whether the font can draw the letter."""
        return char == " " or not np.array_equal(self.glyph(char).mask, self._missing.mask)

    def width(self, text: str) -> int:
        """Pixels from the pen's start to the end of the last letter's advance or ink, whichever is further."""
        if not text:
            return 0
        glyphs = self._glyphs
        first, last = glyphs[text[0]], glyphs[text[-1]]
        return self.advance(text) + max(0, last.right - last.advance) + max(0, -first.left)

    def advance(self, text: str) -> int:
        """Pixels that the pen moves."""
        glyphs = self._glyphs
        return sum([glyphs[char].advance for char in text])

    def extent(self, text: str) -> tuple[int, int]:
        """Rows that the text's ink may take above and below the baseline: accents and commas of its own letters, and at
        least those of an accented capital and a tail, so that one line stands like the next."""
        above, below = self.ascent, self.descent
        if self._within.issuperset(text):
            return above, below
        for char in set(text) - self._within:
            glyph = self._glyphs[char]
            bottom = glyph.top + glyph.mask.shape[0]
            if -glyph.top <= self.ascent and bottom <= self.descent and len(self._within) < GLYPHS_PER_FACE_MAX:
                self._within.add(char)
            above, below = max(above, -glyph.top), max(below, bottom)
        return above, below

    def _draw(self, char: str) -> Glyph:
        pad = 2 * self.size
        image = Image.new("L", (4 * self.size, 4 * self.size))
        pen = ImageDraw.Draw(image)
        pen.fontmode = "1"
        pen.text((pad, pad), char, font=self._font, fill=255, anchor="ls")
        advance = round(self._font.getlength(char, mode="1"))
        extent = image.getbbox()
        if extent is None:
            return Glyph(np.zeros((0, 0), np.bool_), 0, 0, advance)
        left, top, right, bottom = extent
        return Glyph(np.asarray(image)[top:bottom, left:right] > 0, left - pad, top - pad, advance)


class _Glyphs(dict[str, Glyph]):
    """Letters drawn once; at the limit all are drawn again when asked for."""

    def __init__(self, draw: Callable[[str], Glyph]) -> None:
        super().__init__()
        self._draw = draw

    def __missing__(self, char: str) -> Glyph:
        if len(self) >= GLYPHS_PER_FACE_MAX:
            self.clear()
        glyph = self[char] = self._draw(char)
        return glyph


def _side_by_side(glyphs: list[Glyph]) -> Glyph:
    pens = [0, *accumulate(glyph.advance for glyph in glyphs)]
    inked = [(pen + glyph.left, glyph) for pen, glyph in zip(pens, glyphs, strict=False) if glyph.mask.size]
    if not inked:
        return Glyph(np.zeros((0, 0), np.bool_), 0, 0, pens[-1])
    left, top = min(x for x, _ in inked), min(glyph.top for _, glyph in inked)
    right = max(x + glyph.mask.shape[1] for x, glyph in inked)
    bottom = max(_bottom(glyph) for _, glyph in inked)
    mask = np.zeros((bottom - top, right - left), np.bool_)
    for x, glyph in inked:
        height, width = glyph.mask.shape
        mask[glyph.top - top : glyph.top - top + height, x - left : x - left + width] |= glyph.mask
    return Glyph(mask, left, top, pens[-1])


@lru_cache(maxsize=FACES_MAX)
def face(weight: Weight, size: int) -> Face:
    """The font in this weight and size (pixels per em)."""
    return Face(weight, size)


@lru_cache(maxsize=8_192)
def printable(text: str) -> str:
    """The text as it can be set: composed letters, single spaces, no control characters, no pictures the font lacks."""
    kept = [_kept(char) for char in unicodedata.normalize("NFC", text)]
    return " ".join("".join(kept).split())


def _weight_axis(weight: Weight, size: int) -> int:
    even = _EVEN_WEIGHTS.get(size)
    return even[list(_WEIGHTS).index(weight)] if even else _WEIGHTS[weight]


def _kept(char: str) -> str:
    """A letter the font lacks stays, and shows as an empty box: a name must not silently lose what it is made of."""
    category = unicodedata.category(char)
    if category[0] == "Z" or char in "\t\n\v\f\r\x85":
        return " "
    if category[0] == "C":
        return ""
    return char if category[0] in "LNP" or face("regular", 16).has(char) else ""


def _bottom(glyph: Glyph) -> int:
    return glyph.top + int(glyph.mask.shape[0])
