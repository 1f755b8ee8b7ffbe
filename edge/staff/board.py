"""What the pages show, as values: built from the store's books and desks, without words, markup or requests.

Money in minor units, quantities in thousandths, times in milliseconds since 1970; templates turn them into text.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import msgspec

from cloud_sync.client.link_state import LinkState
from cloud_sync.contract.documents import Price
from cloud_sync.contract.pickup import PickupState
from drivers.port import BaseStation
from edge.db.queries import LEDGER, REPLICA
from edge.health.issues import Issue, IssueList
from edge.limits import EXCEPTIONS_SHOWN_MAX, HELD_PRICES_SHOWN_MAX
from edge.prices.guard_desk import GuardDesk, HeldBatch
from edge.prices.price_desk import PriceDesk, Quote
from edge.staff.label_index import PENDING, LabelIndex, Standing
from edge.staff.orders import Orders
from edge.staff.products import STAFF, product_name
from edge.staff.sales import Sales
from edge.staff.tiles import Tile, Tiles
from edge.store import Store

_price_decoder = msgspec.json.Decoder(Price)
ISSUES_FRESH_MS = 1000
"""Issues are asked for once in this while, however many pages look, and whenever there was news."""


@dataclass(frozen=True, slots=True)
class Figures:
    """The home page's figures. `counted`: every label has been looked at since the start."""

    counted: bool
    labels: int
    shown: int
    pending: int
    failed: int
    sales: int
    sales_total_minor: int
    pickups_to_do: int
    pickups_ready: int
    link: LinkState


@dataclass(frozen=True, slots=True)
class PriceCheck:
    """What a product costs and what its labels say. `quote`: `None` without a list price; `holding`: the labels
    because of which the till asks less than the list price."""

    sku: str
    name: str
    quote: Quote | None
    tiles: tuple[Tile, ...]
    holding: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class HeldPrice:
    """A price that waits. `after_minor`: `None` when the entry would go away."""

    name: str
    before_minor: int | None
    after_minor: int | None
    valid_from_ms: int
    currency: str


@dataclass(frozen=True, slots=True)
class HeldView:
    """A held batch with its prices, at most a named number of them."""

    batch: HeldBatch
    prices: tuple[HeldPrice, ...]


@dataclass(frozen=True, slots=True)
class OpenException:
    """Something for a person."""

    reason: str
    about: str
    detail: str
    till: str
    business_day: str
    recorded_ms: int


class Board:
    """Answers what the pages ask. Reads only; cheap enough for the event loop."""

    def __init__(self, store: Store, prices: PriceDesk, guard: GuardDesk, index: LabelIndex, tiles: Tiles,
                 orders: Orders, stations: Mapping[str, BaseStation], link_state: Callable[[], LinkState],
                 issues: IssueList, live_version: Callable[[], str]) -> None:
        """`live_version`: changes whenever pages are told that something changed (`edge.staff.live`)."""
        self.tiles = tiles
        self.orders = orders
        self.sales = Sales(store)
        self._store = store
        self._prices = prices
        self._guard = guard
        self._index = index
        self._stations = stations
        self._link_state = link_state
        self._issue_list = issues
        self._live_version = live_version
        self._issues: tuple[tuple[str, int], list[Issue]] | None = None

    async def figures(self) -> Figures:
        """The home page's figures."""
        index, reader = self._index, self._store.books.ledger_reader
        await index.catch_up()
        today = self._store.business_day(self._store.clock.wall_ms())
        sales, total_minor = reader.execute(STAFF.sales_of_day, (today,)).fetchone()
        pickups = dict(reader.execute(STAFF.pickup_counts).fetchall())
        ready = pickups.pop(PickupState.READY.value, 0)
        return Figures(index.filled, index.count() - index.count(Standing.UNBOUND), index.count(Standing.SHOWN),
                       index.count(*PENDING), index.count(Standing.FAILED), sales, total_minor, sum(pickups.values()),
                       ready, self._link_state())

    def issues(self) -> list[Issue]:
        """What is wrong now, the worst first."""
        asked = (self._live_version(), self._store.clock.powered_ms() // ISSUES_FRESH_MS)
        if self._issues is None or self._issues[0] != asked:
            self._issues = (asked, self._issue_list.now())
        return self._issues[1]

    def link(self) -> LinkState:
        """The line to the hub."""
        return self._link_state()

    def stations(self) -> Mapping[str, str]:
        """Each base station's state."""
        return {name: station.state.value for name, station in self._stations.items()}

    def price_check(self, code: str) -> PriceCheck | None:
        """The product under a barcode or SKU; `None` when no product has it."""
        sku = self._prices.sku_of(code)
        if not sku:
            return None
        quote = self._prices.priced(sku)
        return PriceCheck(sku, product_name(self._store, sku), quote, tuple(self.tiles.of_product(sku)),
                          self._holding(sku, quote))

    def held(self) -> list[HeldView]:
        """Held batches, oldest first."""
        return [HeldView(batch, tuple(self._held_prices(batch.digest))) for batch in self._guard.held()]

    def exceptions(self) -> list[OpenException]:
        """What waits for a person, newest first."""
        rows = self._store.books.ledger_reader.execute(LEDGER.open_exceptions, (EXCEPTIONS_SHOWN_MAX,)).fetchall()
        return [OpenException(*row) for row in rows]

    def _holding(self, sku: str, quote: Quote | None) -> tuple[str, ...]:
        if quote is None or not quote.held_low:
            return ()
        rows = self._store.books.ledger_reader.execute(LEDGER.claims_of_sku, (sku,)).fetchall()
        return tuple(sorted({row[0] for row in rows if row[2] == quote.charge_minor}))

    def _held_prices(self, digest: str) -> Iterable[HeldPrice]:
        reader = self._store.books.replica_reader
        rows = reader.execute(STAFF.held_price_entries, (digest, HELD_PRICES_SHOWN_MAX)).fetchall()
        for entry_id, doc in rows:
            price = _price_decoder.decode(doc) if doc else None
            stored = reader.execute(REPLICA.price_entry, (entry_id,)).fetchone()
            sku = price.sku if price else (stored[2] if stored else entry_id)
            before = reader.execute(REPLICA.list_price, (sku,)).fetchone()
            yield HeldPrice(product_name(self._store, sku), before[0] if before else None,
                            price.price_minor if price else None, price.valid_from_ms if price else 0,
                            price.currency if price else self._store.identity.currency)
