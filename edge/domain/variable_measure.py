"""Codes that scales print: an article and its price, weight or count in one barcode (retail.md 1.9). Pure.

GS1 leaves the prefixes 02 and 20 to 29 to each country or chain: what they mean comes from a table (`config/barcodes`).
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from biip.checksums import gs1_price_weight_check_digit, gs1_standard_check_digit

PLACES = 13
MILLI = 1000


class Value(StrEnum):
    """What the value in a code is."""

    PRICE = "price"
    WEIGHT = "weight"
    COUNT = "count"


class InnerCheck(StrEnum):
    """Whether the value has a check digit of its own, and whether scales can be trusted to set it."""

    CHECKED = "checked"
    IGNORED = "ignored"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Pattern:
    """Thirteen places: digits, `I` article, `V` value, `C` the value's check digit, `K` the code's.

    Raises `ValueError` for a pattern that is none.
    """

    pattern: str
    value: Value
    decimals: int
    inner_check: InnerCheck = InnerCheck.NONE

    def __post_init__(self) -> None:
        if len(self.pattern) != PLACES or not self.pattern.endswith("K") or self.pattern.count("K") != 1:
            raise ValueError(f"pattern {self.pattern!r} does not have {PLACES} places with a K at the end")
        if set(self.pattern) - set("0123456789IVCK") or not {"I", "V"} <= set(self.pattern):
            raise ValueError(f"pattern {self.pattern!r} is not made of digits, I, V, C and K, with an I and a V")
        if self.inner_check is InnerCheck.CHECKED and self.pattern.count("V") not in (4, 5):
            raise ValueError(f"pattern {self.pattern!r}: only values of four or five digits have a check digit")
        if not 0 <= self.decimals <= self.pattern.count("V"):
            raise ValueError(f"pattern {self.pattern!r} cannot have {self.decimals} decimals")

    def read(self, code: str) -> "Measured | None":
        """A code of thirteen digits; `None` when the pattern is not its, or a check digit is wrong."""
        if any(place.isdigit() and place != digit for place, digit in zip(self.pattern, code, strict=True)):
            return None
        if gs1_standard_check_digit(code[:-1]) != int(code[-1]):
            return None
        value, inner = self._digits(code, "V"), self._digits(code, "C")
        if self.inner_check is InnerCheck.CHECKED and str(gs1_price_weight_check_digit(value)) != inner:
            return None
        return Measured(self._keys(code), self.value, int(value), self.decimals)

    def _digits(self, code: str, letter: str) -> str:
        return "".join(digit for place, digit in zip(self.pattern, code, strict=True) if place == letter)

    def _keys(self, code: str) -> tuple[str, ...]:
        zeroed = "".join("0" if place in "VC" else digit for place, digit in zip(self.pattern, code, strict=True))[:-1]
        article = self._digits(code, "I")
        keys = (f"0{zeroed}{gs1_standard_check_digit(zeroed)}", article, article.lstrip("0"))
        return tuple(dict.fromkeys(key for key in keys if key))


@dataclass(frozen=True, slots=True)
class Measured:
    """An article's possible keys, the likeliest first, and the number in the code with its decimals."""

    keys: tuple[str, ...]
    value: Value
    number: int
    decimals: int

    @property
    def quantity_milli(self) -> int | None:
        """In thousandths of what the price is for; `None` for a price code."""
        return None if self.value is Value.PRICE else int(self.number * MILLI // 10**self.decimals)

    def price_minor(self, exponent: int) -> int | None:
        """In minor units of a currency with so many decimals; `None` for what is no price code."""
        if self.value is not Value.PRICE:
            return None
        return int(self.number * 10**exponent // 10**self.decimals)


def read_measured(code: str, patterns: Iterable[Pattern]) -> Measured | None:
    """The first pattern that fits a code of twelve or thirteen digits."""
    if not (code.isascii() and code.isdecimal() and len(code) in (12, PLACES)):
        return None
    padded = code.zfill(PLACES)
    return next((found for pattern in patterns if (found := pattern.read(padded)) is not None), None)
