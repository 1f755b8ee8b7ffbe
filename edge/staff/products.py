"""Products as people call them, and the page's own named statements."""

from pathlib import Path

from edge.db.queries import Queries
from edge.domain.names import display_name
from edge.store import Store

STAFF = Queries(Path(__file__).parent / "staff.sql")


def product_name(store: Store, sku: str) -> str:
    """The name as a shopper reads it; the SKU when it is not in the catalogue."""
    row = store.books.replica_reader.execute(STAFF.item_name, (sku,)).fetchone()
    return display_name(row[0]) if row else sku
