"""Unit price: what a kilogram, a litre, a piece, an ounce or a pound of this costs (EU 98/6/EC; retail.md 4.1).

A wrong unit price is worse than none: a package text that can be read two ways ("16-20 CT", "10 CT/12 OZ", "3/4 OZ")
gives none. All arithmetic is exact; the result is rounded once, half up, to whole minor units.
"""

import re
from dataclasses import dataclass
from enum import Enum
from fractions import Fraction
from functools import lru_cache
from typing import Literal

UnitSystem = Literal["metric", "us"]
Measure = Literal["kg", "l", "piece", "oz", "fl oz", "lb"]

PACKAGES_MAX = 8_192
"""Parsed package texts kept; at the limit the least recently used is parsed again when asked for."""


class Base(Enum):
    """What a package's quantity counts. `OUNCE` is the US ounce that does not say whether it is weight or volume."""

    GRAM = "g"
    MILLILITRE = "ml"
    OUNCE = "oz"
    PIECE = "piece"


@dataclass(frozen=True, slots=True)
class Package:
    """How much is in the package, exactly: `quantity` of `base`."""

    quantity: Fraction
    base: Base


@dataclass(frozen=True, slots=True)
class UnitPrice:
    """`price_minor` per one `measure`, in the item's currency."""

    price_minor: int
    measure: Measure


def unit_price(price_minor: int, package_text: str, unit_system: UnitSystem) -> UnitPrice | None:
    """The unit price a label shows; `None` when the package text does not say how much is in it.

    Metric: per kg, l or piece. US: per lb, fl oz or piece, and per oz where the package says "OZ": that may be weight
    or volume, so it has no metric unit price. A single piece has none, it would repeat the price; nor has what comes
    to nothing when rounded.
    """
    package = parse_package(package_text)
    if package is None or (package.base is Base.PIECE and package.quantity == 1):
        return None
    measure = _measure(package, unit_system)
    if measure is None:
        return None
    rounded = _half_up(price_minor * _BASES_PER_MEASURE[measure] / package.quantity)
    return UnitPrice(rounded, measure) if rounded else None


@lru_cache(maxsize=PACKAGES_MAX)
def parse_package(text: str) -> Package | None:
    """How much `"14.5 OZ"`, `"1,5 kg"`, `"6x33 cl"`, `"12 PK/12 OZ"`, `"1/2 GAL"`, `"12 CT"` is; `None` if unclear."""
    match = _PACKAGE.fullmatch(text.strip().lower())
    if match is None:
        return None
    name = match["unit"].replace(".", "")
    if match["number"] is None and name not in _SAID_WITHOUT_ONE:
        return None
    unit = _UNITS.get(name)
    quantity = _number(match["number"] or "1", name)
    if unit is None or quantity is None or quantity <= 0:
        return None
    if match["slash_count"] is not None and _may_be_a_fraction(match["slash_count"], match["number"]):
        count, quantity = Fraction(1), _one_over(match["slash_count"], match["number"])
        if quantity is None:
            return None
    else:
        count = Fraction(match["count"] or match["slash_count"] or 1)
    if count <= 0 or (count > 1 and unit.base is Base.PIECE):
        return None
    return Package(count * quantity * unit.quantity, unit.base)


_GRAMS_PER_OUNCE = Fraction("28.349523125")
_GRAMS_PER_POUND = 16 * _GRAMS_PER_OUNCE
_MILLILITRES_PER_FLUID_OUNCE = Fraction("29.5735295625")


def _units() -> dict[str, Package]:
    """One of each unit a package may be printed in, by the unit's name in lower case."""
    grams: dict[str, int | Fraction] = {
        "mg": Fraction(1, 1000), "g": 1, "gr": 1, "gm": 1, "kg": 1000, "kilo": 1000,
        "lb": _GRAMS_PER_POUND, "lbs": _GRAMS_PER_POUND,
    }
    millilitres = {"ml": 1, "cl": 10, "dl": 100, "l": 1000, "lt": 1000, "ltr": 1000, "liter": 1000, "litre": 1000}
    fluid_ounces = {
        "fl oz": 1, "floz": 1, "pt": 16, "pint": 16, "qt": 32, "quart": 32, "gal": 128, "ga": 128, "gallon": 128,
    }
    pieces = {
        "ct": 1, "count": 1, "pc": 1, "pcs": 1, "pk": 1, "ea": 1, "dz": 12, "doz": 12,
        "ud": 1, "uds": 1, "st": 1, "stk": 1, "stück": 1, "szt": 1, "pz": 1,
    }
    units = {name: Package(Fraction(count), Base.PIECE) for name, count in pieces.items()}
    units |= {name: Package(Fraction(1), Base.OUNCE) for name in ("oz", "ozs")}
    units |= {name: Package(Fraction(factor), Base.GRAM) for name, factor in grams.items()}
    units |= {name: Package(Fraction(factor), Base.MILLILITRE) for name, factor in millilitres.items()}
    units |= {
        name: Package(factor * _MILLILITRES_PER_FLUID_OUNCE, Base.MILLILITRE) for name, factor in fluid_ounces.items()
    }
    return units


_UNITS = _units()
_SAID_WITHOUT_ONE = ("lb", "kg", "gal", "ga", "qt", "pt", "dz")
"""Units that mean one of them when alone: "GAL" is a gallon, but "L" may be a size."""
_CONTAINERS = r"(?:\s+(?:btl|bottle|can|cans|bag|box|jar|pet|nr|lnnr|loose|tub))?"
_PACKAGE = re.compile(
    r"(?:(?P<count>\d+)\s*(?:x|×|\*|(?:pk|pack|p)\s*/)\s*|(?P<slash_count>\d+)\s*/\s*)?"
    r"(?P<number>\d+\s+\d+/\d+|\d*[.,]\d+|\d+)?[\s-]*"
    r"(?P<unit>fl\.?\s?oz|[^\W\d_]+)\.?" + _CONTAINERS
)
_THOUSANDS_LIKE = re.compile(r"\d+[.,]\d{3}")
_RULER_FRACTIONS = (2, 3, 4, 8, 16)

_BASES_PER_MEASURE: dict[Measure, Fraction] = {
    "kg": Fraction(1000),
    "l": Fraction(1000),
    "piece": Fraction(1),
    "oz": Fraction(1),
    "fl oz": _MILLILITRES_PER_FLUID_OUNCE,
    "lb": _GRAMS_PER_POUND,
}


def _measure(package: Package, unit_system: UnitSystem) -> Measure | None:
    match package.base:
        case Base.PIECE:
            return "piece"
        case Base.OUNCE:
            return "oz" if unit_system == "us" else None
        case Base.MILLILITRE:
            return "fl oz" if unit_system == "us" else "l"
        case Base.GRAM:
            return "kg" if unit_system == "metric" else "lb"


def _number(text: str, unit: str) -> Fraction | None:
    """`None` for "1.000 g", which a Spaniard reads as a kilogram and an American as a gram."""
    if unit in ("g", "gr", "gm", "ml") and _THOUSANDS_LIKE.fullmatch(text):
        return None
    whole, _, fraction = text.partition(" ")
    if fraction:
        numerator, denominator = fraction.strip().split("/")
        return Fraction(whole) + Fraction(int(numerator), int(denominator)) if int(denominator) else None
    return Fraction(text.replace(",", "."))


def _may_be_a_fraction(numerator: str, denominator: str | None) -> bool:
    """"1/2 GAL" and "3/4 OZ" look like fractions, "6/3.5 OZ" and "6/10 OZ" are packs of six."""
    if denominator is None or not denominator.isdecimal() or int(denominator) not in _RULER_FRACTIONS:
        return False
    value = Fraction(int(numerator), int(denominator))
    return value < 1 and value.numerator == int(numerator)


def _one_over(numerator: str, denominator: str) -> Fraction | None:
    """A pack of one is no pack, so "1/2 GAL" is half a gallon; "3/4 OZ" stays unclear."""
    return Fraction(1, int(denominator)) if numerator == "1" else None


def _half_up(amount: Fraction) -> int:
    return (2 * amount.numerator + amount.denominator) // (2 * amount.denominator)
