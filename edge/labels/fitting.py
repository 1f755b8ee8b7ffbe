"""Making text fit its box: shrink, then wrap, then an ellipsis (DESIGN.md section 6)."""

import re
from dataclasses import dataclass

from edge.labels.elements import Weight
from edge.labels.fonts import Face, face

ELLIPSIS = "…"
_PIECES = re.compile(r" ?[^ /&-]*[/&-]+| ?[^ /&-]+| ")


@dataclass(frozen=True, slots=True)
class FittedText:
    """Lines that fit the asked width and height in this face."""

    lines: tuple[str, ...]
    face: Face

    @property
    def height(self) -> int:
        """From the top of an accented capital of the first line to the lowest tail of the last."""
        return self.face.line_pitch * len(self.lines)


def fit_text(text: str, width: int, height: int, weight: Weight, size: int, size_min: int, lines_max: int) -> FittedText:
    """The text in as few lines as possible, within them as large as possible, and only else cut with an ellipsis.

    The height is kept too, down to one line of the smallest size.
    """
    for lines in range(1, lines_max + 1):
        for candidate in _sizes(size, size_min):
            letters = face(weight, candidate)
            if lines > 1 and letters.line_pitch * lines > height:
                continue
            wrapped = wrap(text, letters, width)
            if len(wrapped) <= lines and all(letters.width(line) <= width for line in wrapped):
                return FittedText(tuple(wrapped), letters)
    return _cut(text, width, height, face(weight, size_min), lines_max)


def wrap(text: str, letters: Face, width: int) -> list[str]:
    """The words in lines filled from the first; what is wider than the width stands alone in its line.

    Lines break at spaces and after `/`, `-` and `&`.
    """
    lines: list[str] = []
    line = ""
    for piece in _PIECES.findall(text):
        if line and letters.width(line + piece) > width:
            lines.append(line)
            line = piece.lstrip()
        else:
            line += piece
    return [*lines, line]


def _sizes(size: int, size_min: int) -> range:
    return range(size, size_min - 1, -1)


def _cut(text: str, width: int, height: int, letters: Face, lines_max: int) -> FittedText:
    lines_max = max(1, min(lines_max, height // letters.line_pitch))
    wrapped = wrap(text, letters, width)
    kept = wrapped[: lines_max - 1]
    kept = [line if letters.width(line) <= width else _with_ellipsis(line, letters, width) for line in kept]
    rest = " ".join(wrapped[lines_max - 1 :])
    last = rest if letters.width(rest) <= width else _with_ellipsis(rest, letters, width)
    return FittedText((*kept, last), letters)


def _with_ellipsis(text: str, letters: Face, width: int) -> str:
    """As many letters as leave room for the ellipsis; none at all in a box narrower than that."""
    if letters.width(ELLIPSIS) > width:
        return ""
    kept = len(text)
    while kept and letters.width(text[:kept].rstrip() + ELLIPSIS) > width:
        kept -= 1
    return text[:kept].rstrip(" ,-/&") + ELLIPSIS
