"""Barcodes: what a scanner or a person types → the keys under which an item may be known.

GTIN-8/12/13/14 are one number padded to 14 digits. GS1 element strings (also as people write them, with brackets),
Digital Links and UPC-E are read with biip; codes that scales print by a table (`edge.domain.variable_measure`).
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass

import biip

from edge.domain.variable_measure import Measured, Pattern, read_measured

_GTIN_LENGTHS = (8, 12, 13, 14)
_UPC_E_LENGTHS = (6, 7, 8)
CODE_LENGTH_MAX = 512
"""Longer than any GS1 Digital Link we print or read; more is refused unread."""

_BRACKETED = re.compile(r"\((\d{2,4})\)([^()]*)")
_SYMBOLOGY = re.compile(r"\][A-Za-z][0-9A-Za-z]")
_GS = "\x1d"
_NET_WEIGHT = "310"


@dataclass(frozen=True, slots=True)
class Scan:
    """What a code may mean: keys in the order in which an item is looked for, and what it says beside the item.

    `quantity_milli`: a weight in thousandths of a kilogram, or a count in thousandths; `measured`: from a scale's code.
    """

    keys: tuple[str, ...]
    quantity_milli: int | None = None
    measured: Measured | None = None


def canonical(code: str) -> str:
    """A code as an item carries it → its key: GTINs padded to 14 digits, anything else as it is."""
    return code.zfill(14) if code.isdecimal() and code.isascii() and len(code) in _GTIN_LENGTHS else code


def lookup_key(code: str) -> str | None:
    """A scanned code → its first key, or `None` when it is no code an item can have."""
    if len(code) <= 14 and code.isdecimal() and code.isascii():
        return canonical(code)
    if not _may_be_read(code):
        return None
    return next(iter(_parsed(code).keys), code if code.isalnum() else None)


def scans(code: str, patterns: Iterable[Pattern]) -> list[Scan]:
    """What a code may mean beside its plain number, the likeliest first: what a scale printed, a UPC-E, a GS1 element
    string or Digital Link, perhaps with a weight."""
    if not _may_be_read(code):
        return []
    plain = _SYMBOLOGY.sub("", code, count=1) if code.startswith("]") else code
    found: list[Scan] = []
    measured = read_measured(plain, patterns)
    if measured is not None:
        found.append(Scan(measured.keys, measured.quantity_milli, measured))
    if plain.isdecimal() and len(plain) in _UPC_E_LENGTHS:
        found += _upc_e(plain)
    parsed = _parsed(code)
    return [*found, parsed] if parsed.keys else found


def check_digit_holds(gtin: str) -> bool:
    """GS1 modulo 10 over a GTIN of any length (digits only)."""
    digits = [int(digit) for digit in reversed(gtin)]
    return (sum(digits[0::2]) + 3 * sum(digits[1::2])) % 10 == 0


def _may_be_read(code: str) -> bool:
    return 0 < len(code) <= CODE_LENGTH_MAX and (code.isprintable() or _GS in code)


def _parsed(code: str) -> Scan:
    try:
        result = biip.parse(_without_brackets(code))
    except (biip.ParseError, ValueError, IndexError):  # biip 5.2 reads on where "]" stands alone
        return Scan(())
    if result.gtin is None:
        return Scan(())
    elements = result.gs1_message or result.gs1_digital_link_uri
    weights = [element.decimal for element in elements.element_strings if element.ai.ai.startswith(_NET_WEIGHT)] \
        if elements is not None else []
    quantity_milli = next((int(weight * 1000) for weight in weights if weight is not None), None)
    return Scan((result.gtin.as_gtin_14(),), quantity_milli)


def _without_brackets(code: str) -> str:
    """`(01)…(3103)…` as a scanner would have sent it."""
    if not code.startswith("("):
        return code
    parts = _BRACKETED.findall(code)
    return "]C1" + _GS.join(ai + value for ai, value in parts) if parts else code


def _upc_e(code: str) -> list[Scan]:
    try:
        upc = biip.parse(code).upc
    except (biip.ParseError, ValueError):
        return []
    return [] if upc is None else [Scan((canonical(upc.as_upc_a()),))]
