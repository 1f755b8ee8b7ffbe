"""Where every label of the store stands, kept up to date beside the tills: counts and search without reading the book.

A label is looked at when there is news of it, and now and then without; always a few at a time, so that the event loop
stays free. What a page shows of a label it reads afresh; the index only says which labels belong on the page.
"""

import asyncio
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum

from drivers.port import BaseStation, StationState
from edge.db.label_rows import LabelRow, label_row
from edge.db.queries import LEDGER
from edge.labels.planner import LabelPlanner, LabelState
from edge.limits import STAFF_SLICE_LABELS, STAFF_SUBJECTS_MAX, STAFF_SWEEP_LABELS_MAX
from edge.staff.products import STAFF, product_name
from edge.store import News, Store, Topic

SERVING = frozenset({StationState.READY, StationState.DEGRADED})


class Standing(Enum):
    """What a person sees of a label, the most urgent first. Only `SHOWN` is green (P7)."""

    FAILED = "failed"
    QUEUED = "queued"
    ON_AIR = "on air"
    SHOWN = "shown"
    EXCLUDED = "excluded"
    UNBOUND = "unbound"


PENDING = frozenset({Standing.QUEUED, Standing.ON_AIR})
_ORDER = {standing: place for place, standing in enumerate(Standing)}
_STANDING = {LabelState.FAILED: Standing.FAILED, LabelState.QUEUED: Standing.QUEUED,
             LabelState.ON_AIR: Standing.ON_AIR, LabelState.SHOWN: Standing.SHOWN, LabelState.UNBOUND: Standing.UNBOUND}


@dataclass(frozen=True, slots=True)
class Stand:
    """One label at one moment. `why` is the planner's own word; `since_ms`: since when, `None` when not known."""

    label: str
    sku: str
    name: str
    standing: Standing
    why: str
    since_ms: int | None


@dataclass(frozen=True, slots=True)
class LabelPage:
    """Some of the labels that fit a filter. `number` counts from 1 to `pages`."""

    labels: tuple[str, ...]
    total: int
    number: int
    pages: int


class LabelIndex:
    """Every label's standing."""

    def __init__(self, store: Store, planner: LabelPlanner, stations: Mapping[str, BaseStation]) -> None:
        self._store = store
        self._planner = planner
        self._stations = stations
        self._stands: dict[str, Stand] = {}
        self._counts: Counter[Standing] = Counter()
        self._stale: set[str] = set()
        self._stale_skus: set[str] = set()
        self._turn: list[str] = []
        self.filled = False

    def follow_news(self, news: News) -> None:
        """The store's listener: what there is news of is looked at before anybody sees it again."""
        if news.topic is Topic.LABEL:
            self._stale |= news.subjects
        elif news.topic is Topic.PRICES:
            self._stale_skus |= news.subjects

    async def fill(self) -> None:
        """Look at every label, a slice at a time."""
        await self._look_at(self._all_labels())
        self.filled = True

    async def catch_up(self) -> None:
        """Look at the labels there was news of."""
        labels, skus = self._stale, self._stale_skus
        self._stale, self._stale_skus = set(), set()
        if len(skus) > STAFF_SUBJECTS_MAX:
            await self.fill()
        else:
            await self._look_at(labels | {label for sku in skus for label in self.labels_of(sku)})

    async def sweep(self) -> list[str]:
        """Look at labels without news, at those that wait before the next in turn; returns those that stand elsewhere
        than was known."""
        if not self._turn:
            self._turn = self._all_labels()
        waiting = [stand.label for stand in self._stands.values() if stand.standing is Standing.QUEUED]
        looked_at = [*waiting[:STAFF_SWEEP_LABELS_MAX], *self._turn[:STAFF_SWEEP_LABELS_MAX]]
        self._turn = self._turn[STAFF_SWEEP_LABELS_MAX:]
        before = {label: self._stands.get(label) for label in looked_at}
        await self._look_at(before)
        return [label for label, stand in before.items() if self._stands.get(label) != stand]

    def stand(self, row: LabelRow) -> Stand:
        """The label of this row now."""
        before = self._stands.get(row.label)
        standing, why = self._standing(row)
        since_ms = self._since_ms(row, standing, before)
        name = product_name(self._store, row.sku) if row.sku else ""
        stand = Stand(row.label, row.sku or "", name, standing, why, since_ms)
        self._stands[row.label] = stand
        if before is not None:
            self._counts[before.standing] -= 1
        self._counts[standing] += 1
        return stand

    def count(self, *standings: Standing) -> int:
        """How many labels stand so; all of them without a name."""
        return sum(self._counts[standing] for standing in standings or Standing)

    def page(self, standings: Iterable[Standing], query: str, number: int, per_page: int) -> LabelPage:
        """The labels that stand so and whose address, product or SKU holds `query`, the most urgent first."""
        wanted, words = frozenset(standings), query.casefold().split()
        found = [stand for stand in self._stands.values()
                 if stand.standing in wanted and all(word in _searched(stand) for word in words)]
        found.sort(key=lambda stand: (_ORDER[stand.standing], stand.name.casefold(), stand.label))
        pages = max(1, -(-len(found) // per_page))
        number = min(max(1, number), pages)
        chosen = found[(number - 1) * per_page:number * per_page]
        return LabelPage(tuple(stand.label for stand in chosen), len(found), number, pages)

    def labels_of(self, sku: str) -> list[str]:
        """The labels under which a product hangs."""
        return [label for (label,) in self._store.books.ledger_reader.execute(LEDGER.labels_of_sku, (sku,)).fetchall()]

    async def _look_at(self, labels: Iterable[str]) -> None:
        for place, label in enumerate(labels):
            row = label_row(self._store.books.ledger_reader, label)
            if row is not None:
                self.stand(row)
            if place % STAFF_SLICE_LABELS == STAFF_SLICE_LABELS - 1:
                await asyncio.sleep(0)

    def _all_labels(self) -> list[str]:
        return [label for (label,) in self._store.books.ledger_reader.execute(STAFF.label_names).fetchall()]

    def _standing(self, row: LabelRow) -> tuple[Standing, str]:
        if row.excluded_reason is not None:
            return Standing.EXCLUDED, row.excluded_reason
        state, why = self._planner.state_of(row)
        station = self._stations.get(row.station)
        if state in (LabelState.QUEUED, LabelState.ON_AIR) and station is not None and station.state not in SERVING:
            why = f"base station {station.name} is {station.state.value}"
        return _STANDING[state], why

    def _since_ms(self, row: LabelRow, standing: Standing, before: Stand | None) -> int | None:
        if standing is Standing.SHOWN:
            return row.proven_ms
        if before is not None and before.standing is standing:
            return before.since_ms
        if standing is Standing.ON_AIR:
            return row.offered_ms
        return self._store.clock.wall_ms() if self.filled else None


def _searched(stand: Stand) -> str:
    return f"{stand.label} {stand.sku} {stand.name}".casefold()
