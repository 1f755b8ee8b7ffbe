"""The price as shelves show it: big units, small raised decimals, a small sign (EU 98/6/EC Art. 4: clearly legible)."""

import unicodedata
from dataclasses import dataclass, replace
from functools import lru_cache

from edge.domain.money import MoneyText, format_money
from edge.labels.elements import Price, Weight
from edge.labels.fonts import Face, face, printable

SMALL_PERCENT = 46
"""Size of decimals and sign beside the units: two of them stand one above the other within the height of a digit."""

LEGIBLE_PRICES_MAX = 16_384
"""Prices kept; at the limit the least recently used is formatted again when asked for."""

PRICE_BLOCKS_MAX = 4_096
"""Laid-out prices kept: shops have few prices and many articles."""

GAP_PERCENT = 8
"""White between sign, units and separator, from ink to ink: by the pen alone a "1" would stand far off."""


@lru_cache(maxsize=LEGIBLE_PRICES_MAX)
def legible_money(price_minor: int, currency: str, language: str) -> MoneyText:
    """The price in letters the font has: where it lacks one of the sign, the currency's code stands instead."""
    money = format_money(price_minor, currency, language)
    sign = printable(unicodedata.normalize("NFKC", money.sign))
    letters = face("bold", 24)
    if not sign or not all(letters.has(char) for char in sign):
        sign = currency
    return replace(money, sign=sign, text=printable(money.text.replace(money.sign, sign)), units=printable(money.units))


@dataclass(frozen=True, slots=True)
class Run:
    """Letters of one face, their pen and baseline from the block's left edge and from the baseline of the units."""

    text: str
    face: Face
    pen: int
    baseline: int

    @property
    def ink_right(self) -> int:
        """First column right of the last letter's ink."""
        return self.pen + self.face.advance(self.text[:-1]) + self.face.glyph(self.text[-1]).right

    @property
    def ink_top(self) -> int:
        """First row of the ink."""
        return self.baseline + self.face.word(self.text).top

    @property
    def ink_bottom(self) -> int:
        """First row below the ink."""
        word = self.face.word(self.text)
        return self.baseline + word.top + int(word.mask.shape[0])


@dataclass(frozen=True, slots=True)
class PriceBlock:
    """A laid-out price: `width` of its ink, `ascent` above and `descent` below the baseline."""

    runs: tuple[Run, ...]
    width: int
    ascent: int
    descent: int


def lay_out_price(money: MoneyText, weight: Weight, size: int) -> PriceBlock:
    """The price with digits of this size. The sign stands raised before the units, or below the decimals after them."""
    big, small = face(weight, size), face(weight, max(6, size * SMALL_PERCENT // 100))
    raised = small.cap_height - big.cap_height
    gap = max(1, size * GAP_PERCENT // 100)
    runs: list[Run] = []
    right = -gap
    if money.sign_first:
        runs.append(_after(right + gap, money.sign, small, raised))
        right = runs[-1].ink_right
    runs.append(_after(right + gap, money.units, big, 0))
    right = runs[-1].ink_right
    if money.decimals:
        runs.append(Run(money.decimals, small, right + gap, raised))
        runs.append(_after(right + gap, money.separator, big, 0))
        right = runs[-1].ink_right
    if not money.sign_first:
        runs.append(_after(right + gap, money.sign, small, 0))
    width = max(run.ink_right for run in runs)
    ascent, descent = -min(run.ink_top for run in runs), max(run.ink_bottom for run in runs)
    return PriceBlock(tuple(runs), width, ascent, max(descent, big.digit_descent))


@lru_cache(maxsize=PRICE_BLOCKS_MAX)
def fit_price(money: MoneyText, style: Price, width: int, height: int) -> PriceBlock | None:
    """The largest layout of the style's sizes that fits; `None` when not even the smallest does."""
    size = style.size
    while size >= style.size_min:
        block = lay_out_price(money, style.weight, size)
        tall = block.ascent + block.descent
        if block.width <= width and tall <= height:
            return block
        fitting = size * min(width * tall, height * block.width) // (block.width * tall)
        size = fitting if style.size_min <= fitting < size else size - 1
    return None


def _after(left: int, text: str, letters: Face, baseline: int) -> Run:
    """A run whose ink begins at `left`."""
    return Run(text, letters, left - letters.glyph(text[0]).left, baseline)
