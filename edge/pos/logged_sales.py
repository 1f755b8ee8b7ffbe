"""What a log or file says of a sale, within the bounds of what a till may send."""

import re

import msgspec

from edge.errors import Rejected
from edge.limits import TRANSACTION_LINES_MAX
from edge.pos.transactions import TransactionIn

_TILL = re.compile(r"[^\x00-\x1f\x7f/]{1,64}")
CARD_DIGITS = range(15, 20)
"""Longer than any GTIN; with a right Luhn digit it is taken for a card's number, and not kept."""


def within_bounds(till: str, sale: TransactionIn) -> TransactionIn:
    """Raises `Rejected`, `msgspec.ValidationError`."""
    if not _TILL.fullmatch(till):
        raise Rejected(f"{till!r} cannot be a till's name")
    if len(sale.lines) > TRANSACTION_LINES_MAX:
        raise Rejected(f"{len(sale.lines)} lines, at most {TRANSACTION_LINES_MAX}")
    return msgspec.convert(msgspec.to_builtins(sale), TransactionIn)


def is_card(text: str) -> bool:
    """Whether this may be the number of a payment card."""
    digits = text.replace(" ", "").replace("-", "")
    if not (digits.isascii() and digits.isdecimal() and len(digits) in CARD_DIGITS):
        return False
    doubled = [int(digit) * (2 if place % 2 else 1) for place, digit in enumerate(reversed(digits))]
    return sum(value - 9 if value > 9 else value for value in doubled) % 10 == 0
