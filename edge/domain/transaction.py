"""A till's transaction: what it means, whatever format it came in, and what a person should look at (P4).

Nothing here refuses a sale that happened; odd lines are flagged and kept.
"""

import hashlib
from collections.abc import Iterable

import msgspec

from cloud_sync.contract.facts import Flag, LineKind, SaleLine, Transaction, TransactionKind
from edge.domain.barcode import canonical

ODD_QUANTITY_MILLI = 1_000_000
"""A line of a thousand units or more is kept and shown to a person: often a decimal point that went missing."""


def fact_key(till: str, business_day: str, sequence: int) -> str:
    """The key a till's transaction is known by for ever; sequences sort as text."""
    return f"till/{till}/{business_day}/{sequence:010d}"


def meaning_digest(transaction: Transaction) -> bytes:
    """SHA-256 of what the till said: kind, products, quantities, amounts. Not times, not format, not flags.

    A void means the transaction it takes back; lines a till puts into it are not believed and mean nothing.

    A product is the code as scanned, or else the SKU as sent: what the catalogue makes of a code changes, and a
    repeat of the same sale after such a change is still a repeat.
    """
    lines = [(line.kind, canonical(line.code) or line.sku, line.quantity_milli, line.amount_minor,
              *((line.order_id, line.order_line) if line.order_id else ()))
             for line in transaction.lines if transaction.type is not TransactionKind.VOID]
    said = (transaction.type, transaction.currency, transaction.total_minor, transaction.voids_sequence, lines)
    return hashlib.sha256(msgspec.json.encode(said)).digest()


def line_flags(sku_known: bool, quantity_milli: int) -> tuple[Flag, ...]:
    """What is odd about one line; an empty tuple for nearly all."""
    flags = () if sku_known else (Flag.UNKNOWN_ITEM,)
    if quantity_milli == 0:
        return (*flags, Flag.ZERO_QUANTITY)
    if quantity_milli < 0:
        return (*flags, Flag.NEGATIVE_QUANTITY)
    if quantity_milli >= ODD_QUANTITY_MILLI:
        return (*flags, Flag.ODD_QUANTITY)
    return flags


def total_of(lines: Iterable[SaleLine]) -> int:
    """What the lines add up to, in minor units: sales less returns."""
    return sum(-line.amount_minor if line.kind is LineKind.RETURN else line.amount_minor for line in lines)


def transaction_flags(kind: TransactionKind, total_minor: int, lines: tuple[SaleLine, ...],
                      clock_trusted: bool) -> tuple[Flag, ...]:
    """Everything odd about a transaction, its lines' flags included, each once, in a stable order."""
    found = {flag for line in lines for flag in line.flags}
    if kind is not TransactionKind.VOID and total_of(lines) != total_minor:
        found.add(Flag.TOTAL_DIFFERS)
    if not clock_trusted:
        found.add(Flag.CLOCK_UNTRUSTED)
    return tuple(sorted(found))
