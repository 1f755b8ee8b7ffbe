"""Asking a price: any barcode → the item, its list price and what a till may charge (DESIGN.md sections 5 and 8).

Point reads in the event loop. The charge is `min(list price, cap)`; a cap or a list price that has run out is
worked out from its claims or entries, so a late housekeeper never makes a price wrong.
"""

import msgspec

from cloud_sync.contract.documents import PriceIntegrity
from edge.db.queries import LEDGER, REPLICA
from edge.db.replica import entries_of
from edge.domain.barcode import lookup_key
from edge.domain.claims import charge
from edge.domain.pricing import select
from edge.prices.claim_book import cap_of
from edge.store import Store


class Quote(msgspec.Struct, frozen=True):
    """The answer to a lookup. Money in minor units, stock in thousandths.

    `held_low`: the list price is higher, but a shelf may still show the lower one. `p3`: the charge keeps promise P3.
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


class NoPrice(Exception):
    """The item is known and has no list price now; a label's price never stands in for it."""


class PriceDesk:
    """Answers price questions for tills, the staff page and the planner."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._replica = store.books.replica_reader
        self._ledger = store.books.ledger_reader

    def by_code(self, code: str) -> Quote | None:
        """The item with this barcode; `None` when there is none. Raises `NoPrice`."""
        key = lookup_key(code)
        row = self._replica.execute(REPLICA.priced_item_by_code, (key,)).fetchone() if key else None
        return self._quote(row) if row else self.by_sku(code)

    def by_sku(self, sku: str) -> Quote | None:
        """The item with this SKU; `None` when there is none. Raises `NoPrice`."""
        row = self._replica.execute(REPLICA.priced_item_by_sku, (sku,)).fetchone()
        return self._quote(row) if row else None

    def sku_of(self, code: str) -> str:
        """The SKU a barcode or SKU means; empty when nothing is known under it."""
        key = lookup_key(code)
        row = self._replica.execute(REPLICA.sku_by_code, (key,)).fetchone() if key else None
        if row is None and self._replica.execute(REPLICA.sku_exists, (code,)).fetchone():
            return code
        return row[0] if row else ""

    def list_price(self, sku: str) -> tuple[int, str] | None:
        """List price in minor units and its currency, `None` when there is none."""
        row = self._replica.execute(REPLICA.list_price, (sku,)).fetchone()
        if row and (row[5] is None or self._store.clock.wall_ms() < row[5]):
            return row[0], row[1]
        return self._looked_up_again(sku, row[0] if row else None)

    def _quote(self, row: tuple[str, str, int, int | None, str, str, int, int | None]) -> Quote:
        sku, name, age_limit_years, price, currency, entry_id, version, until_ms = row
        if price is None or (until_ms is not None and self._store.clock.wall_ms() >= until_ms):
            again = self._looked_up_again(sku, price)
            if again is None:
                raise NoPrice(f"{sku} has no list price now")
            price, currency = again
        gated = self._store.policy.price_integrity is PriceIntegrity.CUSTOMER_FIRST
        charged = charge(price, self._cap(sku)) if gated else price
        stock = self._ledger.execute(LEDGER.stock, (sku,)).fetchone()
        return Quote(sku, name, charged, price, currency, f"{entry_id}@{version}", charged < price, gated,
                     stock[0] if stock else 0, age_limit_years)

    def _cap(self, sku: str) -> int | None:
        row = self._ledger.execute(LEDGER.price_cap, (sku,)).fetchone()
        if row is None:
            return None
        cap_minor, valid_until = row
        now_powered_ms = self._store.clock.powered_ms()
        if valid_until is None or now_powered_ms < valid_until:
            return int(cap_minor)
        found = cap_of(self._ledger, sku, now_powered_ms)
        return found.cap_minor if found else None

    def _looked_up_again(self, sku: str, before_minor: int | None) -> tuple[int, str] | None:
        """The price from the entries themselves; while the clock is not believed an increase waits."""
        entry = select(entries_of(self._replica, sku), self._store.clock.wall_ms()).entry
        if entry is None:
            return None
        if before_minor is not None and not self._store.clock.trusted:
            return min(before_minor, entry.price_minor), entry.currency
        return entry.price_minor, entry.currency
