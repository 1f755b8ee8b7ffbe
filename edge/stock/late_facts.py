"""A sale older than a count that arrives later does not change what was counted (DESIGN.md section 9, retail.md 3).

The fact stands as it is, on both sides, and moves stock like any; beside it a movement takes that back. While a count
still waits for a supervisor, what it was expected to find moves with the fact instead.
"""

from cloud_sync.contract.facts import ExceptionRaised, Movement, StockMove, stock_moves
from edge.db.connection import Connection
from edge.db.ledger import Chain, Draft, draft, raise_exception, record
from edge.db.queries import LEDGER
from edge.domain.till_clock import AGREE_MS
from edge.limits import COUNT_NEAR_SALE_MS

COUNTED_LATER = "counted-later"
"""The reason of the movement that takes an old fact back."""


def moment_of_sale(occurred_ms: int, ahead_ms: int, received_ms: int) -> int:
    """When a sale happened by the store's clock: as its till says, less what the till's clock is ahead.

    One that came in as it happened, within what lines, queues and clocks of whole seconds make of it, happened when it
    came in: a count a moment before is older.
    """
    happened_ms = occurred_ms - ahead_ms
    return received_ms if abs(received_ms - happened_ms) <= AGREE_MS else happened_ms


def let_counts_stand(connection: Connection, chain: Chain, made: Draft, happened_ms: int, *,
                     history: bool = False) -> None:
    """To be called with a fact that was recorded just now and happened at `happened_ms`, by the right time.

    `history`: the hub sent it back after a restore, so only counts that this life of the box made are older news to it.
    """
    if connection.execute(LEDGER.any_count_since, (happened_ms,)).fetchone() is None:
        return
    own = int(history)
    back = []
    for move in stock_moves(made.fact):
        shelf_milli = move.sellable_milli + move.reserved_milli
        counted = connection.execute(LEDGER.count_in_force, (move.sku, own)).fetchone() if shelf_milli else None
        if counted is not None and happened_ms <= counted[0]:
            back.append(StockMove(move.sku, sellable_milli=-shelf_milli))
            _tell_if_close(connection, chain, made, happened_ms, move.sku, counted)
        elif shelf_milli:
            connection.execute(LEDGER.shift_waiting_counts, (shelf_milli, move.sku, happened_ms, own))
    if back:
        fact = Movement(COUNTED_LATER, tuple(back), "count", made.fact_key)
        record(connection, chain, draft(f"{'recounted' if history else COUNTED_LATER}/{made.fact_key}", fact,
                                        occurred_ms=happened_ms, recorded_ms=made.recorded_ms,
                                        business_day=made.business_day))


def _tell_if_close(connection: Connection, chain: Chain, made: Draft, happened_ms: int, sku: str,
                   counted: tuple[int, str]) -> None:
    """Clocks are only so right: a late sale of about the count's own moment may be on either side of it."""
    counted_ms, count_id = counted
    if counted_ms - happened_ms <= COUNT_NEAR_SALE_MS < made.recorded_ms - happened_ms:
        raised = ExceptionRaised(reason="count-uncertain", about=made.fact_key, business_day=made.business_day,
                                 detail=f"{sku} was sold about when it was counted; count it again")
        raise_exception(connection, chain, raised, made.recorded_ms, f"{raised.reason}/{count_id}/{sku}")
