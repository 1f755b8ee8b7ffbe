"""Goods of online orders that come back: what may, what grading does to stock, and what money is owed. Pure.

BORIS: bought online, returned in store (retail.md 2.4.7). What comes back stands in quarantine until somebody graded
it. Money is owed for a unit once it is known both that it had left and that it is back, whichever is heard first, and
once for each unit. Quantities in thousandths.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from cloud_sync.contract.facts import (
    Flag,
    LineKind,
    ReturnedLine,
    SaleLine,
    StockMove,
    Transaction,
    TransactionKind,
)


class Grade(StrEnum):
    """What becomes of goods in quarantine. `REDUCED`: on sale again for less, perhaps under an article of its own."""

    SELLABLE = "sellable"
    REDUCED = "reduced"
    WASTE = "waste"
    SUPPLIER = "supplier"


BACK_ON_SALE = frozenset({Grade.SELLABLE, Grade.REDUCED})
"""The others leave the store."""


def graded(sku: str, quantity_milli: int, grade: Grade, as_sku: str = "") -> tuple[StockMove, ...]:
    """What grading does to stock. `as_sku`: the article that reduced goods are sold as; empty for their own."""
    if grade not in BACK_ON_SALE:
        return (StockMove(sku, quarantine_milli=-quantity_milli),)
    if as_sku in ("", sku):
        return (StockMove(sku, sellable_milli=quantity_milli, quarantine_milli=-quantity_milli),)
    return StockMove(sku, quarantine_milli=-quantity_milli), StockMove(as_sku, sellable_milli=quantity_milli)


def into_quarantine(lines: Iterable[ReturnedLine]) -> tuple[StockMove, ...]:
    """What a return does to stock, one move per product."""
    sums: dict[str, int] = {}
    for line in lines:
        sums[line.sku] = sums.get(line.sku, 0) + line.quantity_milli
    return tuple(StockMove(sku, quarantine_milli=milli) for sku, milli in sums.items())


def returns_of(fact: Transaction) -> Iterator[tuple[SaleLine, ReturnedLine]]:
    """What a till's transaction says came back of online orders; less than nothing for its void. A return whose void
    came first never was."""
    if Flag.VOIDED_FIRST in fact.flags:
        return
    sign = -1 if fact.type is TransactionKind.VOID else 1
    for line in fact.lines:
        if line.kind is LineKind.RETURN and line.order_id and line.sku and line.quantity_milli > 0:
            yield line, ReturnedLine(line.sku, sign * line.quantity_milli, line.order_line)


@dataclass(frozen=True, slots=True)
class SoldLine:
    """A line of an order: what left of it, what is back, for what money was asked back.

    `line` 0 has returns of a product that could not be put to a line yet.
    """

    line: int
    sku: str
    out_milli: int = 0
    returned_milli: int = 0
    refunded_milli: int = 0


@dataclass(frozen=True, slots=True)
class Owed:
    """The order's lines afterwards, and what is to be refunded now: line and quantity."""

    lines: tuple[SoldLine, ...]
    refunds: tuple[tuple[int, int], ...]


def owed(lines: Sequence[SoldLine]) -> Owed:
    """Put returns to their lines and ask for what is owed; done again it changes nothing and asks for nothing."""
    by_key = {(line.line, line.sku): line for line in lines}
    for loose in [line for line in lines if line.line == 0 and line.returned_milli > 0]:
        left = loose.returned_milli
        for line in sorted(by_key.values(), key=lambda each: each.line):
            room = min(left, line.out_milli - line.returned_milli)
            if line.line and line.sku == loose.sku and room > 0:
                by_key[line.line, line.sku] = replace(line, returned_milli=line.returned_milli + room)
                left -= room
        by_key[0, loose.sku] = replace(loose, returned_milli=left)
    refunds = []
    for key, line in by_key.items():
        due = min(line.out_milli, line.returned_milli) - line.refunded_milli
        if line.line and due > 0:
            by_key[key] = replace(line, refunded_milli=line.refunded_milli + due)
            refunds.append((line.line, due))
    return Owed(tuple(by_key.values()), tuple(refunds))


def refunded_otherwise(lines: Iterable[SoldLine], numbers: Sequence[int]) -> tuple[SoldLine, ...]:
    """The money for everything that left of these lines (none: of all) was asked back already, because the customer had
    cancelled: when it comes back it is not asked a second time."""
    return tuple(replace(line, refunded_milli=max(line.refunded_milli, line.out_milli))
                 if not numbers or line.line in numbers else line for line in lines)
