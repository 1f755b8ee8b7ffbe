"""Where a file keeps what: a YAML map of `config/files` (see its README)."""

import re
from collections.abc import Iterator
from fnmatch import fnmatchcase
from typing import Annotated, ClassVar, Literal

import msgspec

from edge.errors import ConfigurationError
from edge.shipped import shipped
from edge.yaml_reader import Fault, Rule, read_yaml

MAP_BYTES_MAX = 64 * 1024
NAME = r"^[a-z0-9][a-z0-9-]{0,30}$"
_PLACES = {"csv": (re.compile(r"#[1-9]\d{0,2}|[^#=\x00-\x1f][^\x00-\x1f]*"), "a column's name, or #3 for the third"),
           "fixed": (re.compile(r"[1-9]\d{0,4}-[1-9]\d{0,4}"), "first and last character, such as 1-13"),
           "xml": (re.compile(r"/?(?:[^/@=#\s]+/)*(?:@?[^/@=#\s]+)"), "a path of names below the row, or from the root "
                   "with / before it; @NAME is an attribute")}

Shape = Literal["csv", "fixed", "xml"]
Encoding = Literal["utf-8", "utf-16", "utf-16-le", "utf-16-be", "windows-1250", "windows-1251", "windows-1252",
                   "windows-1253", "windows-1254", "windows-1255", "windows-1257", "iso-8859-1", "iso-8859-2",
                   "iso-8859-15", "cp437", "cp850", "cp852"]
Place = Annotated[str, msgspec.Meta(min_length=1, max_length=200, description="a place, or =TEXT for a constant")]
Places = tuple[Place, ...]
Word = Annotated[str, msgspec.Meta(min_length=1, max_length=64, description="text of up to 64 characters")]
DatePattern = Annotated[str, msgspec.Meta(min_length=2, max_length=64, pattern="^[^%]*%", description="as %d.%m.%Y")]
Decimals = Annotated[int, msgspec.Meta(ge=0, le=6, description="a whole number from 0 to 6")]


class Trailer(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What says how many rows there are: the last line, which begins with `at`, or in XML the element of that name."""

    at: Word
    count: Places


class PriceColumns(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A price list. `code`: a barcode or SKU; `action`: what is to be done with the row."""

    code: Places
    price: Places
    currency: Places = ()
    valid_from: Places = ()
    valid_until: Places = ()
    action: Places = ()


class SalesColumns(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Sales, a row for each line; the rows of a transaction follow one another."""

    till: Places
    business_day: Places
    sequence: Places
    occurred_at: Places
    code: Places
    quantity: Places
    amount: Places
    unit_price: Places = ()
    currency: Places = ()
    operator: Places = ()
    action: Places = ()
    voids: Places = ()


class PlanogramColumns(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A planogram, a row for each place of a product. `walk`: when one comes by, from 1."""

    code: Places
    aisle: Places
    bay: Places = ()
    shelf: Places = ()
    position: Places = ()
    walk: Places = ()


class FileMap(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A file of `config/files`. `encodings`: those that are taken, the first where the file itself says nothing.
    `full`: patterns of the names of full price lists; other names are deltas. `*_decimals`: digits without a sign.
    `dates`: the first that fits, ISO 8601 without any."""

    shape: Shape
    encodings: tuple[Encoding, ...] = ("utf-8",)
    separator: Annotated[str, msgspec.Meta(pattern="^[^\"\r\n]$", description="one character")] = ";"
    quote: Annotated[str, msgspec.Meta(pattern="^[^\r\n]$", description="one character")] = '"'
    header: bool = True
    row: Annotated[str, msgspec.Meta(pattern=r"^[^/@\s]*$", max_length=100, description="an element's name")] = ""
    skip: tuple[Word, ...] = ()
    decimal: Literal[".", ","] = "."
    grouping: Literal["", ".", ",", " ", "'"] = ""
    price_decimals: Decimals | None = None
    quantity_decimals: Decimals | None = None
    dates: tuple[DatePattern, ...] = ()
    full: tuple[Word, ...] = ("*",)
    deletes: tuple[Word, ...] = ()
    returns: tuple[Word, ...] = ()
    voids: tuple[Word, ...] = ()
    trailer: Trailer | None = None
    prices: PriceColumns | None = None
    sales: SalesColumns | None = None
    planogram: PlanogramColumns | None = None

    @staticmethod
    def _is_of_one_kind(prices: PriceColumns | None, sales: SalesColumns | None,
                        planogram: PlanogramColumns | None) -> Iterator[Fault]:
        if sum(section is not None for section in (prices, sales, planogram)) != 1:
            yield Fault(("prices",), "a map is of prices, of sales or of a planogram",
                        "give one of prices, sales and planogram")

    @staticmethod
    def _signs_differ(decimal: str, grouping: str) -> Iterator[Fault]:
        if decimal == grouping:
            yield Fault(("grouping",), "is the decimal sign too")

    @staticmethod
    def _has_encodings(encodings: tuple[str, ...]) -> Iterator[Fault]:
        if not encodings:
            yield Fault(("encodings",), "names none", "leave it out for utf-8")

    @staticmethod
    def _xml_has_rows(shape: str, row: str) -> Iterator[Fault]:
        if (shape == "xml") != bool(row):
            yield Fault(("row",), "names the element that is a row, in XML and only there")

    @staticmethod
    def _places_fit(shape: str, header: bool, prices: PriceColumns | None, sales: SalesColumns | None,
                    planogram: PlanogramColumns | None, trailer: Trailer | None) -> Iterator[Fault]:
        pattern, allowed = _PLACES[shape]
        for section, struct in (("prices", prices), ("sales", sales), ("planogram", planogram), ("trailer", trailer)):
            for key in struct.__struct_fields__ if struct is not None else ():
                value = getattr(struct, key)
                for index, place in enumerate(value if isinstance(value, tuple) else ()):
                    if not place.startswith("=") and not pattern.fullmatch(place):
                        yield Fault((section, key, index), f"{place!r} is no place in a {shape} file", allowed)
                    elif shape == "csv" and not header and not place.startswith(("=", "#")):
                        yield Fault((section, key, index), f"{place!r}: without a header columns have no names",
                                    "#3 for the third")

    rules: ClassVar[tuple[Rule, ...]] = (_is_of_one_kind, _signs_differ, _has_encodings, _xml_has_rows, _places_fit)

    def is_full(self, name: str) -> bool:
        """Whether a file of this name is the whole list, by case-insensitive patterns."""
        return any(fnmatchcase(name.lower(), pattern.lower()) for pattern in self.full)


def load_map(name: str, kind: Literal["prices", "sales", "planogram"]) -> FileMap:
    """Raises `ConfigurationError` for a map that is not there, is wrong, or is of the other kind."""
    if not re.match(NAME, name):
        raise ConfigurationError(f"no file map is called {name[:40]!r}")
    try:
        path = shipped(f"config/files/{name}.yaml")
    except FileNotFoundError as error:
        raise ConfigurationError(f"no file map is called {name!r}: {error}") from error
    found = read_yaml(path, FileMap, bytes_max=MAP_BYTES_MAX)
    if getattr(found, kind) is None:
        raise ConfigurationError(f"{path}: is no map of {kind}: it has no section `{kind}`")
    return found
