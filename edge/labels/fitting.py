"""Making text fit its box: shrink, then wrap, then an ellipsis (DESIGN.md section 6)."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from edge.labels.elements import Weight
from edge.labels.fonts import Face, face

ELLIPSIS = "…"

SHRINK_BEFORE_WRAP_PERCENT = 85
"""A text shrinks to this share of the size it would have on more lines before it is given more lines."""

SIZE_MIN = 6
"""Smaller letters are none."""

_PIECES = re.compile(r" ?[^ /&-]*[/&-]+| ?[^ /&-]+| ")


@dataclass(frozen=True, slots=True)
class TextStyle:
    """How a text may be set: no larger than `size`, no smaller than `size_min`, on at most `lines_max` lines."""

    weight: Weight
    size: int
    size_min: int
    lines_max: int


@dataclass(frozen=True, slots=True)
class FittedText:
    """Lines that fit the asked width and height in this face. `above` and `below`: rows of ink from each baseline.

    `is_cut`: some of the text is missing, or a word is broken.
    """

    lines: tuple[str, ...]
    face: Face
    above: int
    below: int
    is_cut: bool = False

    @property
    def pitch(self) -> int:
        """From one line to the next."""
        return self.above + self.below

    @property
    def height(self) -> int:
        """From the highest accent of the first line to the lowest tail of the last."""
        return self.pitch * len(self.lines)


def fit_text(text: str, width: int, height: int, style: TextStyle) -> FittedText:
    """The text as large as fits, on more lines only when that lets it be clearly larger; else cut with an ellipsis."""
    best: FittedText | None = None
    for fitted in _largest_by_lines(text, width, height, style):
        if best is None or best.face.size * 100 < fitted.face.size * SHRINK_BEFORE_WRAP_PERCENT:
            best = fitted
        if best.face.size == style.size:
            break
    return best or _cut(text, width, height, style)


def wrap(text: str, letters: Face, width: int, *, break_words: bool = False) -> list[str]:
    """The words in lines filled from the first, broken at spaces and after `/`, `-` and `&`.

    A word wider than the width stands alone in its line, or with `break_words` is broken anywhere.
    """
    lines: list[str] = []
    line = ""
    for piece in _PIECES.findall(text) if not break_words else _letters_of_wide_words(text, letters, width):
        if line and letters.width(line + piece) > width:
            lines.append(line)
            line = piece.lstrip()
        else:
            line += piece
    return [*lines, line]


def _letters_of_wide_words(text: str, letters: Face, width: int) -> Iterator[str]:
    for piece in _PIECES.findall(text):
        if letters.width(piece) <= width:
            yield piece
        else:
            yield from piece


def _largest_by_lines(text: str, width: int, height: int, style: TextStyle) -> Iterator[FittedText]:
    """For one line, two lines and so on: the largest setting that fits, where there is one."""
    for lines_max in range(1, style.lines_max + 1):
        too_small, too_large, best = style.size_min - 1, style.size + 1, None
        size = style.size  # most texts were given a box in which they fit as they are
        while too_small < size < too_large:
            fitted = _fitted(text, (width, height), face(style.weight, size), lines_max)
            if fitted is None:
                too_large = size
            else:
                too_small, best = size, fitted
            size = (too_small + too_large) // 2
        if best is not None:
            yield best


def _fitted(text: str, room: tuple[int, int], letters: Face, lines_max: int) -> FittedText | None:
    width, height = room
    if letters.line_pitch * lines_max > height:
        return None
    above, below = letters.extent(text)
    if (above + below) * lines_max > height:
        return None
    lines = _wrapped(text, letters, width, lines_max)
    return FittedText(lines, letters, above, below) if lines else None


def _wrapped(text: str, letters: Face, width: int, lines_max: int) -> tuple[str, ...]:
    """The lines, none when they are too many or one is too wide."""
    if letters.width(text) <= width:
        return (text,)
    if lines_max == 1:
        return ()
    lines = wrap(text, letters, width)
    return tuple(lines) if len(lines) <= lines_max and all(letters.width(line) <= width for line in lines) else ()


def _cut(text: str, width: int, height: int, style: TextStyle) -> FittedText:
    letters, (above, below) = _low_enough(text, height, style)
    lines_max = max(1, min(style.lines_max, height // (above + below)))
    wrapped = wrap(text, letters, width, break_words=True)
    lines = [*wrapped[: lines_max - 1], " ".join(wrapped[lines_max - 1 :])]
    return FittedText(tuple(_with_ellipsis(line, letters, width) for line in lines), letters, above, below, is_cut=True)


def _low_enough(text: str, height: int, style: TextStyle) -> tuple[Face, tuple[int, int]]:
    """The smallest letters of the style, or smaller ones where an accent would not fit into the box."""
    for size in range(style.size_min, SIZE_MIN, -1):
        letters = face(style.weight, size)
        above, below = letters.extent(text)
        if above + below <= height:
            return letters, (above, below)
    letters = face(style.weight, SIZE_MIN)
    return letters, letters.extent(text)


def _with_ellipsis(line: str, letters: Face, width: int) -> str:
    """The line, or as much of it as leaves room for the ellipsis; nothing in a box narrower than that."""
    if letters.width(line) <= width:
        return line
    kept = line
    while kept and letters.width(kept + ELLIPSIS) > width:
        kept = kept[:-1].rstrip(" ,-/&")
    return kept + ELLIPSIS if letters.width(kept + ELLIPSIS) <= width else ""
