"""The tills' clocks: how far each is ahead of the store's, from its last sales (`edge.domain.till_clock` has the rule).

What was estimated stands in `ledger.db`, a row where it changed, so that it outlives a restart and that what a sale was
charged can be judged by when it really happened. The last sales are kept in memory only: the next ones say the same.
"""

from collections import OrderedDict, deque
from collections.abc import Iterable
from dataclasses import dataclass, field

import structlog

from edge.db.connection import Connection
from edge.db.queries import LEDGER
from edge.domain.till_clock import SALES_KEPT_MAX, Heard, Step, confirms, estimate, same, still_telling
from edge.errors import Corrupt, Transient
from edge.limits import TILL_CLOCK_FORGOTTEN_S, TILL_CLOCK_OFF_S, TILL_CLOCK_STEPS_MAX, TILL_CLOCKS_MAX
from edge.store import Store

_log = structlog.get_logger(__name__)


@dataclass(slots=True)
class _Till:
    step: Step | None = None
    heard_ms: int = 0
    sales: deque[Heard] = field(default_factory=lambda: deque(maxlen=SALES_KEPT_MAX))


class TillClocks:
    """How far each till's clock is ahead; of so many tills, those that were heard last."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._tills: OrderedDict[str, _Till] = OrderedDict()
        now_ms = store.clock.wall_ms()
        for till, from_ms, ahead_ms in store.books.ledger_reader.execute(LEDGER.till_clocks, (TILL_CLOCKS_MAX,)):
            self._tills[till] = _Till(Step(from_ms, ahead_ms), now_ms)

    def ahead_ms(self, till: str) -> int | None:
        """`None`: not known yet; negative: behind."""
        known = self._tills.get(till)
        return known.step.ahead_ms if known is not None and known.step is not None else None

    def all_ahead_ms(self) -> dict[str, int]:
        """Of every till that is known and sold not too long ago."""
        oldest_ms = self._store.clock.wall_ms() - int(TILL_CLOCK_FORGOTTEN_S * 1000)
        return {name: till.step.ahead_ms for name, till in sorted(self._tills.items())
                if till.step is not None and till.heard_ms >= oldest_ms}

    def wrong(self) -> Iterable[tuple[str, int]]:
        """Tills whose clock somebody should set, and how far each is ahead."""
        return [(till, ahead_ms) for till, ahead_ms in self.all_ahead_ms().items()
                if abs(ahead_ms) >= TILL_CLOCK_OFF_S * 1000]

    async def heard(self, till: str, sale: Heard) -> None:
        """A till's sale was recorded just now."""
        known = self._tills.setdefault(till, _Till())
        self._tills.move_to_end(till)
        while len(self._tills) > TILL_CLOCKS_MAX:
            self._tills.popitem(last=False)
        known.sales.append(sale)
        known.heard_ms = sale.received_ms
        if known.step is not None and confirms(known.step, sale):
            return
        found = estimate(tuple(known.sales))
        if found is not None and not same(known.step, found):
            await self._moved(till, known, found)

    async def _moved(self, till: str, known: _Till, found: Step) -> None:
        """The sale itself is recorded; what cannot be written now is estimated again with the next one."""
        try:
            await self._store.record(lambda connection: _write(connection, till, found))
        except (Transient, Corrupt) as trouble:
            _log.warning("a till's clock could not be noted", till=till, reason=str(trouble))
            return
        _log.info("a till's clock", till=till, ahead_ms=found.ahead_ms)
        known.step = found
        known.sales = deque(still_telling(found, tuple(known.sales)), maxlen=SALES_KEPT_MAX)


def _write(connection: Connection, till: str, step: Step) -> None:
    """A finer estimate of the same time takes the place of the coarser one."""
    connection.execute(LEDGER.forget_till_clock_since, (till, step.from_ms))
    connection.execute(LEDGER.insert_till_clock, (till, step.from_ms, step.ahead_ms))
    connection.execute(LEDGER.prune_till_clock, (till, till, TILL_CLOCK_STEPS_MAX))
