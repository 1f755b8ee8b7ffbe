"""The whole receipt of a basket: lines, promotions, deposits, tax and what cash comes to (DESIGN.md section 8). Pure.

Tax is worked out once per rate, over the sum of what its lines come to: no cent is lost between lines and total.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import msgspec

from edge.domain.promotion import ActivePromotion, Applied, PricedLine, apply_promotions, pieces_of, rounded

BASIS_POINTS = 10_000

CASH_STEPS_MINOR = {"AUD": 5, "CAD": 5, "CHF": 5, "CZK": 100, "DKK": 50, "HUF": 500, "NOK": 100, "NZD": 10, "SEK": 100}
"""The smallest coin of currencies that have none of one minor unit; a store may have another (`Policy`)."""


class BasketLine(msgspec.Struct, frozen=True):
    """A line to be priced. `deposit_minor`: per piece (a bottle), beside the price; `tax_class` names a rate."""

    priced: PricedLine
    tax_class: str = ""
    deposit_minor: int = 0


@dataclass(frozen=True, slots=True)
class Rules:
    """What a store's basket goes by. `tax_basis_points`: by class; a class that is not there is not taxed."""

    currency: str
    tax_basis_points: Mapping[str, int]
    prices_include_tax: bool = True
    cash_step_minor: int = 0


class ReceiptLine(msgspec.Struct, frozen=True):
    """`gross_minor` without promotions, `off_minor` by them, `net_minor` what remains; the deposit stands beside it."""

    line: int
    sku: str
    quantity_milli: int
    unit_minor: int
    gross_minor: int
    off_minor: int
    net_minor: int
    deposit_minor: int


@dataclass(frozen=True, slots=True)
class TaxLine:
    """One rate: what is taxed (without the tax), and the tax."""

    tax_class: str
    basis_points: int
    taxed_minor: int
    tax_minor: int


@dataclass(frozen=True, slots=True)
class PricedBasket:
    """What is to pay. `total_minor` = lines + deposits, and taxes where they are added; `cash_minor` with coins."""

    lines: tuple[ReceiptLine, ...]
    applied: tuple[Applied, ...]
    taxes: tuple[TaxLine, ...]
    deposits_minor: int
    total_minor: int
    cash_minor: int


def price_basket(lines: Sequence[BasketLine], promotions: Iterable[ActivePromotion], coupons: frozenset[str],
                 rules: Rules, *, member: bool) -> PricedBasket:
    """The receipt. Lines keep their order; a negative quantity is a return and gets no promotion."""
    sold = [each for each in lines if each.priced.quantity_milli > 0]
    pieces = pieces_of(each.priced for each in sold)
    applied = apply_promotions(pieces, promotions, coupons, member=member)
    off: dict[int, int] = defaultdict(int)
    for one in applied:
        for line, minor in one.off_minor.items():
            off[line] += minor
    receipt = tuple(_receipt_line(each, off[each.priced.line]) for each in lines)
    taxes = _taxes(lines, receipt, rules)
    deposits_minor = sum(line.deposit_minor for line in receipt)
    added = 0 if rules.prices_include_tax else sum(tax.tax_minor for tax in taxes)
    total_minor = sum(line.net_minor for line in receipt) + deposits_minor + added
    step = rules.cash_step_minor or CASH_STEPS_MINOR.get(rules.currency, 1)
    return PricedBasket(receipt, tuple(applied), taxes, deposits_minor, total_minor, rounded(total_minor, step) * step)


def _receipt_line(line: BasketLine, off_minor: int) -> ReceiptLine:
    priced = line.priced
    gross_minor = rounded(priced.unit_minor * priced.quantity_milli, 1000)
    deposit_minor = rounded(line.deposit_minor * priced.quantity_milli, 1000)
    return ReceiptLine(priced.line, priced.sku, priced.quantity_milli, priced.unit_minor, gross_minor, off_minor,
                       gross_minor - off_minor, deposit_minor)


def _taxes(lines: Sequence[BasketLine], receipt: Sequence[ReceiptLine], rules: Rules) -> tuple[TaxLine, ...]:
    sums: dict[str, int] = defaultdict(int)
    for line, printed in zip(lines, receipt, strict=True):
        if line.tax_class in rules.tax_basis_points:
            sums[line.tax_class] += printed.net_minor
    return tuple(_tax(name, rules.tax_basis_points[name], sums[name], included=rules.prices_include_tax)
                 for name in sorted(sums))


def _tax(name: str, basis_points: int, sum_minor: int, *, included: bool) -> TaxLine:
    if included:
        tax_minor = rounded(sum_minor * basis_points, BASIS_POINTS + basis_points)
        return TaxLine(name, basis_points, sum_minor - tax_minor, tax_minor)
    return TaxLine(name, basis_points, sum_minor, rounded(sum_minor * basis_points, BASIS_POINTS))
