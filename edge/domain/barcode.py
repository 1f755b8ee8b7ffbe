"""Barcodes: what a scanner or a person types → the keys under which an item may be known.

GTIN-8/12/13/14 are one number padded to 14 digits. GS1 element strings and Digital Links are read with biip.
"""

import biip

_GTIN_LENGTHS = (8, 12, 13, 14)
CODE_LENGTH_MAX = 512
"""Longer than any GS1 Digital Link we print or read; more is refused unread."""


def canonical(code: str) -> str:
    """A code as an item carries it → its key: GTINs padded to 14 digits, anything else as it is."""
    return code.zfill(14) if code.isdecimal() and code.isascii() and len(code) in _GTIN_LENGTHS else code


def lookup_key(code: str) -> str | None:
    """A scanned code → its key, or `None` when it is no code an item can have."""
    if len(code) <= 14 and code.isdecimal() and code.isascii():
        return canonical(code)
    if not code or len(code) > CODE_LENGTH_MAX or (not code.isprintable() and "\x1d" not in code):
        return None
    try:
        gtin = biip.parse(code).gtin
    except (biip.ParseError, ValueError):
        return code if code.isalnum() else None
    return gtin.as_gtin_14() if gtin is not None else (code if code.isalnum() else None)


def check_digit_holds(gtin: str) -> bool:
    """GS1 modulo 10 over a GTIN of any length (digits only)."""
    digits = [int(digit) for digit in reversed(gtin)]
    return (sum(digits[0::2]) + 3 * sum(digits[1::2])) % 10 == 0
