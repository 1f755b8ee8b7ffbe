"""What of the stock waits for a person; each issue ends when it was decided or repaired."""

from collections.abc import Iterable

from edge.db.queries import LEDGER
from edge.health.issues import Issue, Severity
from edge.stock.desk import StockDesk
from edge.store import Store


def stock_issues(store: Store, desk: StockDesk) -> Iterable[Issue]:
    """Quick: two reads, and what the last audit found."""
    waiting = store.books.ledger_reader.execute(LEDGER.waiting_count_number).fetchone()[0]
    if waiting:
        yield Issue("counts-wait", Severity.WARNING, f"{waiting} differences of counts wait for a supervisor",
                    "A supervisor approves each or has it counted again, on the page 'stock'.")
    latest = desk.audit.latest
    if latest is not None and latest.leaks:
        first = latest.skus[0].sku if latest.skus else latest.orders[0].sku
        number = len({leaked.sku for leaked in latest.skus} | {leaked.sku for leaked in latest.orders})
        yield Issue("reservations-leak", Severity.WARNING,
                    f"{number} items are kept for orders that do not want them, or the other way round, {first} among "
                    "them",
                    "A supervisor has it put right on the page 'stock'; call support if it comes back.")
