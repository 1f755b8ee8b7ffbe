"""When what was kept long enough goes: a slice at a time, between the tills' writes (DESIGN.md section 4, P10).

The walks only look, in the event loop and a slice long; the writer hears of them only when something has to go.
"""

from functools import partial

from edge.db.pruning import (
    forget_intervals,
    forget_pictures,
    labels_with_old_pictures,
    outlived_intervals,
    prune,
)
from edge.disk_budget import Shed
from edge.limits import (
    FACT_KEEP_DAYS,
    HISTORY_EVERY_S,
    HISTORY_SLICES_MAX,
    HOUSEKEEPING_BATCH_MAX,
    PRICES_SHED_KEEP_DAYS,
    PRUNE_EVERY_S,
)
from edge.store import Store

_DAY_MS = 86_400_000
_BEGINNING = ("", 0)


class Forgetting:
    """The housekeeper calls `some` now and then. Times are of the powered clock."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._ledger_due_ms = 0
        self._prices_due_ms = 0
        self._pictures_due_ms = 0
        self._prices_after: tuple[str, int] = _BEGINNING
        self._pictures_after = ""
        self._shedding = False

    async def some(self, now_powered_ms: int) -> None:
        """Forget some of what is due. A clock that is not believed may run ahead: then nothing goes by its age."""
        shedding = self._store.disk.sheds(Shed.HISTORY)
        if shedding and not self._shedding:
            self._prices_due_ms = self._pictures_due_ms = 0
            self._prices_after, self._pictures_after = _BEGINNING, ""
        self._shedding = shedding
        if self._store.clock.trusted:
            if now_powered_ms >= self._ledger_due_ms:
                await self._some_of_the_ledger(now_powered_ms)
            if now_powered_ms >= self._prices_due_ms:
                await self._some_prices(now_powered_ms)
        if shedding and now_powered_ms >= self._pictures_due_ms:
            await self._some_pictures(now_powered_ms)

    async def _some_of_the_ledger(self, now_powered_ms: int) -> None:
        store, now_ms = self._store, self._store.clock.wall_ms()
        pruned = await store.books.ledger.submit(lambda connection: prune(
            connection, store.books.chain, now_ms, store.acked_sequence, HOUSEKEEPING_BATCH_MAX))
        if not pruned.more:
            self._ledger_due_ms = now_powered_ms + int(PRUNE_EVERY_S * 1000)

    async def _some_prices(self, now_powered_ms: int) -> None:
        books = self._store.books
        days = PRICES_SHED_KEEP_DAYS if self._shedding else FACT_KEEP_DAYS
        old_ms = self._store.clock.wall_ms() - days * _DAY_MS
        for _ in range(HISTORY_SLICES_MAX):
            found = outlived_intervals(books.ledger_reader, self._prices_after, old_ms, HOUSEKEEPING_BATCH_MAX)
            if found.outlived:
                await books.ledger.submit(partial(forget_intervals, outlived=found.outlived))
            self._prices_after = found.next_after or _BEGINNING
            if found.next_after is None:
                every_s = PRUNE_EVERY_S if self._shedding else HISTORY_EVERY_S
                self._prices_due_ms = now_powered_ms + int(every_s * 1000)
                return

    async def _some_pictures(self, now_powered_ms: int) -> None:
        books = self._store.books
        for _ in range(HISTORY_SLICES_MAX):
            found = labels_with_old_pictures(books.ledger_reader, self._pictures_after,
                                                       HOUSEKEEPING_BATCH_MAX)
            if found.labels:
                await books.ledger.submit(partial(forget_pictures, labels=found.labels))
            self._pictures_after = found.next_after or ""
            if found.next_after is None:
                self._pictures_due_ms = now_powered_ms + int(PRUNE_EVERY_S * 1000)
                return
