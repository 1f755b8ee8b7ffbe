"""The goods of the demo's store: a catalogue made from a seed, or the rows of a catalogue file that the hub took."""

import csv
import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from edge.proving.stage.shelf_words import SECTIONS, Section

COLUMNS = ("sku", "gtin", "name", "category", "department", "brand", "package_size", "price")
GTIN_PREFIX = "843"
"""Spain's; the company numbers behind it are the demo's own."""

MINOR_PER_MAJOR = 100


@dataclass(frozen=True, slots=True)
class Goods:
    """One product as the demo's people know it. `code` is what a till scans: its GTIN, or else its SKU."""

    sku: str
    name: str
    gtin: str
    price_minor: int

    @property
    def code(self) -> str:
        return self.gtin or self.sku


def read_goods(path: Path) -> list[Goods]:
    """The rows of a catalogue that the hub has accepted."""
    with path.open(newline="", encoding="utf-8-sig") as file:
        names = [name.strip().lower() for name in next(csv.reader(file))]
        return [Goods(row["sku"].strip(), row["name"].strip(), row.get("gtin", "").strip(), minor(row["price"]))
                for row in csv.DictReader(file, names)]


def minor(amount: str) -> int:
    """`"3.39"` → 339, exactly."""
    whole, _, fraction = amount.strip().partition(".")
    return int(whole or "0") * MINOR_PER_MAJOR + int(fraction[:2].ljust(2, "0"))


def write_catalogue(path: Path, count: int, randomness: random.Random) -> None:
    """A catalogue file of `count` products with valid GTIN-13s."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        writer.writerows(_rows(count, randomness))


def gtin13(number: int) -> str:
    """The 13 digits of a 12-digit number: weights 1 and 3 from the left (GS1 General Specifications 7.9)."""
    digits = f"{number:012d}"
    total = sum(int(digit) * (3 if place % 2 else 1) for place, digit in enumerate(digits))
    return digits + str(-total % 10)


def _rows(count: int, randomness: random.Random) -> Iterator[dict[str, str]]:
    names: set[str] = set()
    for number in range(1, count + 1):
        section = randomness.choice(SECTIONS)
        brand, product = randomness.choice(section.brands), _fresh_product(section, names, randomness)
        price_minor = _price(section, randomness)
        yield {
            "sku": f"{100_000 + number}", "gtin": gtin13(int(f"{GTIN_PREFIX}{700 + number % 90:04d}{number:05d}")),
            "name": f"{brand} {product}", "category": section.category, "department": section.department,
            "brand": brand, "package_size": randomness.choice(section.packages),
            "price": f"{price_minor // MINOR_PER_MAJOR}.{price_minor % MINOR_PER_MAJOR:02d}",
        }


def _fresh_product(section: Section, names: set[str], randomness: random.Random) -> str:
    """A product not made before, as long as the words last."""
    product = ""
    for _ in range(len(section.kinds)):
        product = f"{randomness.choice(section.products)} {randomness.choice(section.kinds)}"
        if product not in names:
            break
    names.add(product)
    return product


def _price(section: Section, randomness: random.Random) -> int:
    """Shop prices end in 5 or 9."""
    low, high = section.price_minor
    return randomness.randrange(low, high) // 10 * 10 + randomness.choice((5, 9))


def by_sku(goods: Iterable[Goods]) -> dict[str, Goods]:
    """By SKU."""
    return {each.sku: each for each in goods}
