"""The price as shelves show it: big units, small raised decimals, a small sign (US Regs §21a-75-4, EU 98/6/EC Art. 4)."""

from dataclasses import dataclass

from edge.domain.money import MoneyText
from edge.labels.elements import Weight
from edge.labels.fonts import Face, face, printable

SMALL_PERCENT = 46
"""Size of decimals and sign beside the units: two of them stand one above the other within the height of a digit."""


@dataclass(frozen=True, slots=True)
class Run:
    """Letters of one face, their pen and baseline from the block's left edge and from the baseline of the units."""

    text: str
    face: Face
    pen: int
    baseline: int


@dataclass(frozen=True, slots=True)
class PriceBlock:
    """A laid-out price: `width` of its ink, `ascent` above and `descent` below the baseline."""

    runs: tuple[Run, ...]
    width: int
    ascent: int
    descent: int


def lay_out_price(money: MoneyText, currency: str, weight: Weight, size: int) -> PriceBlock:
    """The price with digits of this size. Sign first: raised before the units; else below the decimals, or after the units."""
    big, small = face(weight, size), face(weight, max(6, size * SMALL_PERCENT // 100))
    raised = small.cap_height - big.cap_height
    gap = max(1, size // 24)
    sign, units = _sign(money, currency, small), printable(money.units)
    runs: list[Run] = []
    pen = 0
    if money.sign_first:
        runs.append(Run(sign, small, 0, raised))
        pen = small.width(sign) + gap
    runs.append(Run(units, big, pen, 0))
    pen += big.width(units)
    if money.decimals:
        runs.append(Run(money.separator, big, pen, 0))
        pen += big.glyph(money.separator).right + gap
        runs.append(Run(money.decimals, small, pen, raised))
    if not money.sign_first:
        runs.append(Run(sign, small, pen + (0 if money.decimals else gap), 0))
    return _measured(runs, big)


def fit_price(money: MoneyText, currency: str, weight: Weight, size: int, size_min: int, width: int,
              height: int) -> PriceBlock | None:
    """The largest layout between the sizes that fits; `None` when not even the smallest does."""
    while size >= size_min:
        block = lay_out_price(money, currency, weight, size)
        if block.width <= width and block.ascent + block.descent <= height:
            return block
        size = min(size - 1, max(size_min, size * width // block.width))
    return None


def _sign(money: MoneyText, currency: str, small: Face) -> str:
    """The currency's sign, or its code where the font lacks a letter of the sign."""
    sign = printable(money.sign)
    return sign if sign and all(small.has(char) for char in sign) else currency


def _measured(runs: list[Run], big: Face) -> PriceBlock:
    """The runs moved so that their ink begins at 0."""
    lefts, rights, bottoms = [], [], [0]
    for run in runs:
        pen = run.pen
        for char in run.text:
            glyph = run.face.glyph(char)
            if glyph.mask.size:
                lefts.append(pen + glyph.left)
                rights.append(pen + glyph.right)
                bottoms.append(run.baseline + glyph.top + glyph.mask.shape[0])
            pen += glyph.advance
    shift = min(lefts)
    moved = tuple(Run(run.text, run.face, run.pen - shift, run.baseline) for run in runs)
    return PriceBlock(moved, max(rights) - shift, big.cap_height, max(bottoms))
