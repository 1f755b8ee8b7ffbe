"""Asking a price: any barcode → the item, its list price and what a till may charge (DESIGN.md sections 5 and 8).

One point read over both books in the event loop. The charge is `min(list price, cap)`; a cap or a list price that has
run out is worked out from its claims or entries, so a late housekeeper never makes a price wrong.
"""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Self

import msgspec

from cloud_sync.contract.documents import PriceIntegrity, PriceKind
from edge.db.queries import LEDGER, REPLICA, many
from edge.db.replica import entries_of
from edge.domain.barcode import Scan, lookup_key, scans
from edge.domain.claims import charge
from edge.domain.money import currency_exponent
from edge.domain.pricing import PriceEntry, select
from edge.domain.prior_price import Applied, reduced_since, was_price
from edge.domain.promotion import rounded
from edge.domain.variable_measure import Pattern
from edge.limits import PRICE_HISTORY_MAX
from edge.prices.claim_book import cap_of
from edge.prices.promotion_book import PromotionBook, Term
from edge.store import Store


class Quote(msgspec.Struct, frozen=True):
    """The answer to a lookup. Money in minor units, stock in thousandths.

    `held_low`: the list price is higher, but a shelf may still show the lower one. `p3`: the charge keeps promise P3.
    `terms`: promotions that touch the product; they are not in `charge_minor`, `/v1/baskets/price` applies them.
    """

    sku: str
    name: str
    charge_minor: int
    list_price_minor: int
    currency: str
    price_version: str
    held_low: bool
    p3: bool
    sellable_milli: int
    age_limit_years: int
    terms: tuple[Term, ...]


class MeasuredQuote(Quote, frozen=True):
    """The answer to a code that says a weight, a count or a price: how much it is, and what it comes to.

    A price in the code is what is paid, and outside P3; `quantity_milli` is then what it implies, `None` at no price.
    """

    quantity_milli: int | None
    amount_minor: int


class Sold(msgspec.Struct, frozen=True):
    """An item as a basket needs it: beside the price, what it is taxed as and the deposit on each piece."""

    quote: Quote
    tax_class: str
    deposit_minor: int


class NoPrice(Exception):
    """The item is known and has no list price now; a label's price never stands in for it."""


@dataclass(frozen=True, slots=True)
class Listed:
    """The price list entry that holds: what the shelf is to say. `until_ms`: its end by the wall clock, exclusive."""

    price_minor: int
    currency: str
    kind: PriceKind
    until_ms: int | None

    @classmethod
    def of(cls, entry: PriceEntry) -> Self:
        """What the shelf says of this entry."""
        return cls(entry.price_minor, entry.currency, entry.kind, entry.valid_until_ms)


class PriceDesk:
    """Answers price questions for tills, the staff page and the planner."""

    def __init__(self, store: Store, patterns: tuple[Pattern, ...] = ()) -> None:
        """`patterns`: what codes of the store's scales mean."""
        self._store = store
        self._patterns = patterns
        self.promotions = PromotionBook(store)
        self._replica = store.books.replica_reader
        self._ledger = store.books.ledger_reader
        self._both = store.books.both_reader

    def by_code(self, code: str) -> Quote | None:
        """The item with this barcode; `None` when there is none. Raises `NoPrice`."""
        key = lookup_key(code)
        rows = self._both.rows_in_turn(REPLICA.priced_item_by_code, (key,)) if key else None
        if not rows:
            return self.by_sku(code) or self._by_scan(code)
        quote = self._must_quote(rows[0])
        return quote if code.isdecimal() else self._weighed(quote, code)

    def _weighed(self, quote: Quote, code: str) -> Quote:
        """A GS1 element string or Digital Link may say how much it is, beside what."""
        scan = next((each for each in scans(code, ()) if each.quantity_milli is not None), None)
        return quote if scan is None else self._measured(quote, scan)

    def _by_scan(self, code: str) -> Quote | None:
        """What is no plain number of an item: a scale's code, a UPC-E, an element string or a link with a weight."""
        for scan in scans(code, self._patterns):
            for key in scan.keys:
                row = self._both.execute(REPLICA.priced_item_by_code, (key,)).fetchone()
                if row:
                    return self._measured(self._must_quote(row), scan)
        return None

    def _measured(self, quote: Quote, scan: Scan) -> Quote:
        price_minor = scan.measured.price_minor(currency_exponent(quote.currency)) if scan.measured else None
        if price_minor is not None:
            implied = rounded(price_minor * 1000, quote.charge_minor) if quote.charge_minor else None
            return _measured_quote(quote, implied, price_minor, p3=False)
        if scan.quantity_milli is None:
            return quote
        amount_minor = rounded(quote.charge_minor * scan.quantity_milli, 1000)
        return _measured_quote(quote, scan.quantity_milli, amount_minor, p3=quote.p3)

    def by_sku(self, sku: str) -> Quote | None:
        """The item with this SKU; `None` when there is none. Raises `NoPrice`."""
        row = self._both.execute(REPLICA.priced_item_by_sku, (sku,)).fetchone()
        return self._must_quote(row) if row else None

    def priced(self, sku: str) -> Quote | None:
        """The item with this SKU; `None` also for one that has no list price now."""
        try:
            return self.by_sku(sku)
        except NoPrice:
            return None

    def was_price(self, sku: str, price_minor: int, begins_ms: int | None = None, *,
                  perishable: bool = False) -> int | None:
        """What may stand beside a reduced price as the one before, by what this store charged; `None`: nothing may be
        announced (Directive 98/6/EC Art. 6a). `begins_ms`: of a reduction that is to come, `None` for one in force."""
        policy = self._store.policy
        rows = self._ledger.execute(LEDGER.intervals_of, (sku, PRICE_HISTORY_MAX)).fetchall()
        history = [Applied(*row) for row in rows]
        if begins_ms is None:
            begins_ms = reduced_since(history, price_minor, self._store.clock.wall_ms())
        days = 0 if perishable else policy.prior_price_days
        return was_price(history, price_minor, begins_ms, days, progressive=policy.progressive_reductions)

    def by_skus(self, skus: Collection[str]) -> dict[str, Quote]:
        """The items of many SKUs; those that are unknown or have no price now are left out, and so are the terms."""
        return {sku: sold.quote for sku, sold in self.sold(skus).items()}

    def sold(self, skus: Collection[str]) -> dict[str, Sold]:
        """The same for a basket, in which terms are applied. One read."""
        keys = many(skus)
        found: dict[str, Sold] = {}
        for *row, tax_class, deposit_minor in self._both.execute(REPLICA.priced_items, (keys,)).fetchall():
            quote = self._quote(row, ())
            if quote is not None:
                found[quote.sku] = Sold(quote, tax_class, deposit_minor)
        return found

    def sku_of(self, code: str) -> str:
        """The SKU a barcode or SKU means; empty when nothing is known under it."""
        key = lookup_key(code)
        row = self._replica.execute(REPLICA.sku_by_code, (key,)).fetchone() if key else None
        if row is None and self._replica.execute(REPLICA.sku_exists, (code,)).fetchone():
            return code
        return row[0] if row else self._sku_of_scan(code)

    def skus_of(self, codes: Collection[str]) -> list[str]:
        """The same of many codes, in one read where they are plain numbers of items."""
        keys = [lookup_key(code) for code in codes]
        found = dict(self._both.rows_in_turn(REPLICA.skus_by_codes, (many(keys),)))
        return [found.get(key) or self.sku_of(code) for key, code in zip(keys, codes, strict=True)]

    def _sku_of_scan(self, code: str) -> str:
        for scan in scans(code, self._patterns):
            for key in scan.keys:
                row = self._replica.execute(REPLICA.sku_by_code, (key,)).fetchone()
                if row:
                    return str(row[0])
        return ""

    def known_sku(self, sku: str) -> bool:
        """Whether the catalogue has this SKU."""
        return self._replica.execute(REPLICA.sku_exists, (sku,)).fetchone() is not None

    def list_price(self, sku: str) -> tuple[int, str] | None:
        """List price in minor units and its currency, `None` when there is none."""
        price = self._list_price(sku)
        return (price.price_minor, price.currency) if price else None

    def _list_price(self, sku: str) -> "_Price | None":
        row = self._replica.execute(REPLICA.list_price, (sku,)).fetchone()
        price = _Price(*row[:4]) if row else None
        if price is None or (row[5] is not None and self._store.clock.wall_ms() >= row[5]):
            price = self._looked_up_again(sku, price)
        return price

    def listed(self, sku: str) -> Listed | None:
        """The entry that holds, `None` when there is none."""
        price = self._list_price(sku)
        if price is None:
            return None
        row = self._replica.execute(REPLICA.price_entry, (price.entry_id,)).fetchone()
        if row is None:
            return Listed(price.price_minor, price.currency, PriceKind.REGULAR, None)
        return Listed(price.price_minor, price.currency, PriceKind(row[5]), row[8])

    def _must_quote(self, row: "_PricedItem") -> Quote:
        quote = self._quote(row, self.promotions.terms_of(row[0]))
        if quote is None:
            raise NoPrice(f"{row[0]} has no list price now")
        return quote

    def _quote(self, row: "_PricedItem", terms: tuple[Term, ...]) -> Quote | None:
        (sku, name, age_limit_years, price_minor, currency, entry_id, version, until_ms,
         cap_minor, cap_until_powered_ms, sellable_milli) = row
        if price_minor is None or (until_ms is not None and self._store.clock.wall_ms() >= until_ms):
            before = None if price_minor is None else _Price(price_minor, currency, entry_id, version)
            price = self._looked_up_again(sku, before)
            if price is None:
                return None
            price_minor, currency, entry_id, version = msgspec.structs.astuple(price)
        if cap_minor is not None and cap_until_powered_ms is not None:
            cap_minor = self._cap_now(sku, cap_minor, cap_until_powered_ms)
        gated = self._store.policy.price_integrity is PriceIntegrity.CUSTOMER_FIRST
        charged_minor = charge(price_minor, cap_minor) if gated else price_minor
        return Quote(sku, name, charged_minor, price_minor, currency, f"{entry_id}@{version}",
                     charged_minor < price_minor, gated, sellable_milli or 0, age_limit_years, terms)

    def _cap_now(self, sku: str, cap_minor: int, valid_until_powered_ms: int) -> int | None:
        """The stored cap while it holds; once it has run out, what the claims themselves say."""
        now_powered_ms = self._store.clock.powered_ms()
        if now_powered_ms < valid_until_powered_ms:
            return cap_minor
        found = cap_of(self._ledger, sku, now_powered_ms)
        return found.cap_minor if found else None

    def _looked_up_again(self, sku: str, before: "_Price | None") -> "_Price | None":
        """The price from the entries themselves; while the clock is not believed, increases and endings wait."""
        entry = select(entries_of(self._replica, sku), self._store.clock.wall_ms()).entry
        found = _Price(entry.price_minor, entry.currency, entry.entry_id, entry.version) if entry else None
        if before is not None and not self._store.clock.trusted and (
                found is None or found.price_minor > before.price_minor):
            return before
        return found


def _measured_quote(quote: Quote, quantity_milli: int | None, amount_minor: int, *, p3: bool) -> MeasuredQuote:
    return MeasuredQuote(**{**msgspec.structs.asdict(quote), "p3": p3}, quantity_milli=quantity_milli,
                         amount_minor=amount_minor)


class _Price(msgspec.Struct, frozen=True):
    """A list price and where it comes from."""

    price_minor: int
    currency: str
    entry_id: str
    version: int


_PricedItem = tuple[str, str, int, int | None, str, str, int, int | None, int | None, int | None, int | None]
"""SKU, name, age limit; price, currency, entry and version of the winner, until when it is known to win; the cap, until
when it holds by the powered clock; what is sellable."""
