"""What customers bring to the tills: sale lines replayed from a file as one store's, or baskets made from a seed."""

import csv
import itertools
import random
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path

from edge.errors import ConfigurationError
from edge.proving.stage.goods import Goods, minor

QUANTITY_MILLI = 1000
LINES_PER_BASKET_MAX = 8
_COLUMNS = ("basket_id", "time", "store_id", "sku", "quantity", "sales_value")


@dataclass(frozen=True, slots=True)
class BasketLine:
    """`value_minor`: what the customer paid for the line back then, for products that nobody knows today."""

    sku: str
    quantity_milli: int
    value_minor: int


@dataclass(frozen=True, slots=True)
class Basket:
    """One customer at one till."""

    till: int
    occurred: datetime
    lines: tuple[BasketLine, ...]


def read_sales(path: Path, tills: int, today: date) -> list[list[Basket]]:
    """Per till, its baskets in order of time; the file's last day becomes today.

    till = store_id mod tills. Raises `ConfigurationError` naming file and line.
    """
    rows = list(_rows(path))
    if not rows:
        raise ConfigurationError(f"{path}: no sale lines in it")
    shift = timedelta(days=(today - max(row.time.date() for row in rows)).days)
    queues: list[list[Basket]] = [[] for _ in range(tills)]
    for _, group in itertools.groupby(rows, key=lambda row: row.basket_id):
        lines = list(group)
        till = lines[0].store_id % tills
        queues[till].append(Basket(till, lines[0].time + shift, tuple(line.line for line in lines)))
    return queues


def made_baskets(till: int, goods: Sequence[Goods], popular: Sequence[Goods], now: datetime,
                 randomness: random.Random) -> Iterator[Basket]:
    """Customers without end: mostly a few popular things, now and then anything at all."""
    for number in itertools.count():
        chosen = [randomness.choice(popular if randomness.random() < _POPULAR_SHARE else goods)
                  for _ in range(randomness.randint(1, LINES_PER_BASKET_MAX))]
        lines = tuple(BasketLine(each.sku, QUANTITY_MILLI * randomness.choice((1, 1, 1, 1, 2, 3)), each.price_minor)
                      for each in chosen)
        yield Basket(till, now + timedelta(seconds=number), lines)


_POPULAR_SHARE = 0.8


@dataclass(frozen=True, slots=True)
class _Row:
    basket_id: str
    time: datetime
    store_id: int
    line: BasketLine


def _rows(path: Path) -> Iterator[_Row]:
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file)
            missing = [name for name in _COLUMNS if name not in (reader.fieldnames or ())]
            if missing:
                raise ConfigurationError(f"{path}:1: no column {', '.join(missing)}")
            yield from _understood(path, reader)
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path}: {error}") from error


def _understood(path: Path, reader: "csv.DictReader[str]") -> Iterator[_Row]:
    rows: Iterable[dict[str, str]] = reader
    for row in rows:
        try:
            line = BasketLine(row["sku"], round(float(row["quantity"]) * QUANTITY_MILLI), minor(row["sales_value"]))
            yield _Row(row["basket_id"], datetime.fromisoformat(row["time"]), int(row["store_id"]), line)
        except (ValueError, AttributeError, TypeError) as error:
            raise ConfigurationError(f"{path}:{reader.line_num}: {error}") from error
