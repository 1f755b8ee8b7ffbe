"""Where a maker's POSLog keeps what: a YAML map of `config/poslog` (see its README)."""

import re
from typing import Annotated, Literal
from xml.etree.ElementTree import Element

import msgspec

from edge.errors import Rejected
from edge.pos.poslog.xml_stream import local_name
from edge.shipped import shipped
from edge.yaml_reader import read_yaml

DIALECT_BYTES_MAX = 64 * 1024
NAME = r"[a-z0-9][a-z0-9-]{0,30}"
_PLACE = r"^@?[A-Za-z][\w./@=\[\]-]*$"
Place = Annotated[str, msgspec.Meta(pattern=_PLACE, max_length=200, description="a path of names")]
Places = tuple[Place, ...]


class TransactionPlaces(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Below `Transaction`. `order`: the online order whose goods a return brings back."""

    till: Places
    sequence: Places
    business_day: Places
    occurred_at: Places
    store: Places = ()
    currency: Places = ()
    operator: Places = ()
    order: Places = ()


class LinePlaces(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Below the `Sale` or `Return` of a line. `order`, `order_line`: the same of one line, where the maker says so."""

    code: Places
    quantity: Places
    amount: Places
    unit_price: Places = ()
    order: Places = ()
    order_line: Places = ()


class Dialect(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A file of `config/poslog`."""

    transaction: TransactionPlaces
    lines: LinePlaces
    returns: Literal["negative", "element"] = "negative"


def load_dialect(name: str) -> Dialect:
    """Raises `Rejected` for a name that there is not; `ConfigurationError` for a file that is wrong."""
    if not re.fullmatch(NAME, name):
        raise Rejected(f"no POSLog dialect is called {name[:40]!r}")
    try:
        path = shipped(f"config/poslog/{name}.yaml")
    except FileNotFoundError as error:
        raise Rejected(f"no POSLog dialect is called {name!r}: {error}") from error
    return read_yaml(path, Dialect, bytes_max=DIALECT_BYTES_MAX)


def text_at(element: Element, places: Places) -> str:
    """The first of the places that says something; empty where none does."""
    return next((text for place in places if (text := _at(element, place.split("/")))), "")


def child(element: Element, name: str) -> Element | None:
    """The first child of that name, whatever its namespace."""
    return next((each for each in element if local_name(each.tag) == name), None)


def attribute(element: Element, name: str) -> str:
    """An attribute, whatever its namespace; empty without it."""
    return next((value for key, value in element.attrib.items() if local_name(key) == name), "")


def _at(element: Element, steps: list[str]) -> str:
    if not steps:
        return (element.text or "").strip()
    first, *rest = steps
    if first.startswith("@"):
        return attribute(element, first[1:]).strip()
    name, _, condition = first.partition("[")
    wanted = condition.strip("@]").split("=") if condition else None
    found = (each for each in element if local_name(each.tag) == name
             and (wanted is None or attribute(each, wanted[0]) == wanted[1]))
    return next((text for each in found if (text := _at(each, rest))), "")
