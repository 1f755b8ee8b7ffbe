"""Catalogue files understood: CSV → items and regular prices, the whole file or the first thing wrong with it.

Columns `sku`, `name`, `price` are needed, `gtin`, `category`, `department`, `brand`, `package_size` are taken where
they stand, others are left alone. Only reads; sending is `importer`.
"""

import csv
import io
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from cloud_sync.contract.documents import Item
from cloud_sync.hub.catalogue import Catalogue, PriceEntry
from cloud_sync.hub.currencies import BadAmount, minor_units
from cloud_sync.hub.errors import Rejected
from cloud_sync.hub.limits import DOCUMENTS_PER_REQUEST_MAX, IMPORT_FILE_MAX_BYTES
from cloud_sync.hub.names import DEFAULT_ZONE

REQUIRED_COLUMNS = ("sku", "name", "price")
OPTIONAL_COLUMNS = ("gtin", "category", "department", "brand", "package_size")
DEFAULT_CURRENCY = "USD"

EXAMPLES_MAX = 3
"""How many lines a warning names."""

_PROGRESS_EVERY_ROWS = 500
_GTIN = re.compile(r"[0-9]{1,14}")
_CHECKED_LENGTHS = (8, 12, 13, 14)  # GTIN-8, UPC-A, EAN-13, GTIN-14: these end in a check digit

Progress = Callable[[str, int, int], None]
"""Called with the phase (`read`, `send`, `write`), how much is done, and of how much."""


class ImportRejected(Rejected):
    """The file cannot be imported, and nothing of it was. `str()` begins with file and line."""


@dataclass(frozen=True, slots=True)
class ImportOptions:
    """How a file is to be understood. `columns`: our name → the file's, where they differ."""

    currency: str = DEFAULT_CURRENCY
    zone: str = DEFAULT_ZONE
    strict: bool = False
    columns: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class CatalogueFile:
    """A file that was understood."""

    path: Path
    currency: str
    catalogue: Catalogue
    warnings: tuple[str, ...]


def no_progress(_phase: str, _done: int, _total: int) -> None:
    """For callers without a terminal."""


def read_catalogue(path: Path, options: ImportOptions, progress: Progress = no_progress) -> CatalogueFile:
    """Raises `ImportRejected` at the first thing that is wrong."""
    text = _read_text(path)
    rows_total = text.count("\n") + 1
    items: list[Item] = []
    prices: list[PriceEntry] = []
    doubts = _Doubts(path, options.strict)
    lines: dict[str, int] = {}
    for line, row in _rows(path, text, options.columns):
        item, price = _understand(path, line, row, options.currency)
        if item.sku in lines:
            raise ImportRejected(f"{path}:{line}: sku {item.sku!r} stands already on line {lines[item.sku]}")
        lines[item.sku] = line
        if not row["name"]:
            doubts.note(line, "without a name, named after category, department or SKU", "name is empty")
        doubts.look_at_codes(line, item)
        items.append(item)
        prices.append(price)
        if len(items) % _PROGRESS_EVERY_ROWS == 0:
            progress("read", len(items), rows_total)
    if not items:
        raise ImportRejected(f"{path}:1: the file has a header but no rows")
    if len(items) > DOCUMENTS_PER_REQUEST_MAX:
        raise ImportRejected(f"{path}: {len(items)} rows, at most {DOCUMENTS_PER_REQUEST_MAX} at once: split the file")
    progress("read", rows_total, rows_total)
    return CatalogueFile(path, options.currency, Catalogue(tuple(items), tuple(prices)), doubts.warnings())


class _Doubts:
    """What is odd about barcodes without being wrong enough to stop an import, unless it is to be strict."""

    def __init__(self, path: Path, strict: bool) -> None:
        self._path = path
        self._strict = strict
        self._found: dict[str, list[int]] = {}
        self._owners: dict[str, str] = {}

    def look_at_codes(self, line: int, item: Item) -> None:
        for code in item.codes:
            if len(code) in _CHECKED_LENGTHS and not check_digit_fits(code):
                self.note(line, "wrong GTIN check digit", f"gtin {code} has a wrong check digit")
            owner = self._owners.setdefault(code, item.sku)
            if owner != item.sku:
                self.note(line, "barcode shared with another SKU", f"gtin {code} belongs to sku {owner!r} already")

    def warnings(self) -> tuple[str, ...]:
        return tuple(f"{len(lines)} rows: {what} (line {', '.join(map(str, lines[:EXAMPLES_MAX]))}"
                     f"{', ...' if len(lines) > EXAMPLES_MAX else ''})" for what, lines in self._found.items())

    def note(self, line: int, what: str, message: str) -> None:
        if self._strict:
            raise ImportRejected(f"{self._path}:{line}: {message}")
        self._found.setdefault(what, []).append(line)


def check_digit_fits(gtin: str) -> bool:
    """GS1's modulo 10: weights 3 and 1 from the right, the check digit itself excluded."""
    total = 3 * sum(map(int, gtin[-2::-2])) + sum(map(int, gtin[-3::-2]))
    return (10 - total % 10) % 10 == int(gtin[-1])


def _read_text(path: Path) -> str:
    try:
        if path.stat().st_size > IMPORT_FILE_MAX_BYTES:
            raise ImportRejected(f"{path}: larger than {IMPORT_FILE_MAX_BYTES} bytes: split the file")
        content = path.read_bytes()
    except OSError as error:
        raise ImportRejected(f"{path}: {error.strerror}") from error
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise ImportRejected(f"{path}:{line}: byte {content[error.start]:#04x} is not UTF-8: "
                             "save the file as UTF-8") from error


def _rows(path: Path, text: str, columns: Mapping[str, str]) -> Iterator[tuple[int, dict[str, str]]]:
    """Line number where a row begins, and its fields under our names."""
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    places: dict[str, int] = {}
    width, begins = 0, 1
    try:
        for fields in reader:
            line, begins = begins, reader.line_num + 1
            if not places:
                places, width = _header(path, fields, columns), len(fields)
            elif fields:
                if len(fields) != width:
                    raise ImportRejected(f"{path}:{line}: {len(fields)} fields, the header has {width}")
                yield line, {name: fields[place].strip() for name, place in places.items()}
    except csv.Error as error:
        raise ImportRejected(f"{path}:{reader.line_num}: {error}") from error
    if not places:
        raise ImportRejected(f"{path}:1: the file is empty")


def _header(path: Path, fields: list[str], columns: Mapping[str, str]) -> dict[str, int]:
    """Our name → place. Columns that are not ours are left alone."""
    unknown = sorted(set(columns) - {*REQUIRED_COLUMNS, *OPTIONAL_COLUMNS})
    if unknown:
        raise ImportRejected(f"{path}:1: no such column to map: {', '.join(unknown)}")
    names = [name.strip().lower() for name in fields]
    wanted = {name: columns.get(name, name).strip().lower() for name in (*REQUIRED_COLUMNS, *OPTIONAL_COLUMNS)}
    for name, theirs in wanted.items():
        if theirs not in names and (name in REQUIRED_COLUMNS or name in columns):
            raise ImportRejected(f"{path}:1: no column {theirs!r}; the header has {', '.join(names)[:500]}")
        if names.count(theirs) > 1:
            raise ImportRejected(f"{path}:1: column {theirs!r} stands twice")
    return {name: names.index(theirs) for name, theirs in wanted.items() if theirs in names}


def _understand(path: Path, line: int, row: dict[str, str], currency: str) -> tuple[Item, PriceEntry]:
    """Real files have rows without a name; they are sold all the same, so they get the best name there is."""
    if not row["sku"]:
        raise ImportRejected(f"{path}:{line}: sku is empty")
    try:
        price_minor = minor_units(row["price"], currency)
    except BadAmount as error:
        raise ImportRejected(f"{path}:{line}: price {error}") from error
    gtin = row.get("gtin", "")
    if gtin and not _GTIN.fullmatch(gtin):
        raise ImportRejected(f"{path}:{line}: gtin {gtin[:50]!r} is not 1 to 14 digits")
    name = row["name"] or row.get("category") or row.get("department") or row["sku"]
    item = Item(row["sku"], name, (gtin,) if gtin else (), row.get("category", ""), row.get("department", ""),
                row.get("brand", ""), row.get("package_size", ""))
    return item, PriceEntry(row["sku"], price_minor, currency, id=f"regular:{row['sku']}")
