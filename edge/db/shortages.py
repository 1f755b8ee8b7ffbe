"""What a fact took below what orders were promised, or below nothing, told to people: by item and order (P4, P5)."""

from collections.abc import Iterable

from cloud_sync.contract.facts import ExceptionRaised, Flag
from edge.db.connection import Connection
from edge.db.ledger import Chain, Draft, Outcome, Receipt, raise_exception, record
from edge.db.queries import LEDGER


def record_and_tell(connection: Connection, chain: Chain, made: Draft) -> Receipt:
    """Record a fact that moves stock, and tell people what it took too much of."""
    receipt = record(connection, chain, made)
    if receipt.outcome is Outcome.NEW:
        tell_short(connection, chain, made, receipt.short_skus)
        tell_negative(connection, chain, made, receipt)
    return receipt


def tell_short(connection: Connection, chain: Chain, made: Draft, skus: Iterable[str], till: str = "") -> None:
    """What was taken that orders were promised: it stands, and a person is told which orders (P4, P5, P6)."""
    for sku in skus:
        if connection.execute(LEDGER.stock, (sku,)).fetchone()[0] >= 0:
            continue  # what was taken is older than a count, which stands
        raised = ExceptionRaised(
            reason=Flag.AVAILABLE_BELOW_ZERO, about=made.fact_key, till=till, business_day=made.business_day,
            detail=f"{sku} is below what orders were promised: {_endangered_orders(connection, sku)}")
        raise_exception(connection, chain, raised, made.recorded_ms, f"{raised.reason}/{made.fact_key}/{sku}")


def tell_negative(connection: Connection, chain: Chain, made: Draft, receipt: Receipt, till: str = "") -> None:
    """Less than none of an item: something was not received, counted or sold right. Told once per item and day."""
    for sku in receipt.negative_skus:
        sellable, reserved, _, _ = connection.execute(LEDGER.stock, (sku,)).fetchone()
        if sellable + reserved >= 0:
            continue  # what was sold is older than a count, which stands
        orders = _endangered_orders(connection, sku)
        detail = f"{sku}: by the book {sellable + reserved} thousandths are on the shelf; count it"
        raised = ExceptionRaised(reason=Flag.NEGATIVE_STOCK, about=made.fact_key, till=till,
                                 business_day=made.business_day,
                                 detail=f"{detail}; orders that wait for it: {orders}" if orders else detail)
        raise_exception(connection, chain, raised, made.recorded_ms, f"{raised.reason}/{sku}/{made.business_day}")


def _endangered_orders(connection: Connection, sku: str) -> str:
    """The orders that reserve a SKU, at most a handful; empty for none."""
    return ", ".join(order for (order,) in connection.execute(LEDGER.orders_reserving, (sku,)).fetchall())
