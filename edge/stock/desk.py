"""The room's desks together, as the daemon builds them and HTTP and pages hold them."""

from collections.abc import Callable

from edge.prices.price_desk import PriceDesk
from edge.stock.audit import ReservationAudit
from edge.stock.count_sessions import CountSessions
from edge.stock.counts import ApprovalRules, CountDesk
from edge.stock.deliveries import DeliveryDesk
from edge.stock.moves import MoveDesk
from edge.store import Store


class StockDesk:
    """`till_ahead_ms`: how far a till's clock is ahead of the store's (`edge.pos.till_clocks`)."""

    def __init__(self, store: Store, prices: PriceDesk, till_ahead_ms: Callable[[str], int | None],
                 rules: ApprovalRules | None = None) -> None:
        rules = rules or ApprovalRules()
        self.prices = prices
        self.counts = CountDesk(store, prices, rules, till_ahead_ms)
        self.sessions = CountSessions(store, prices, self.counts)
        self.deliveries = DeliveryDesk(store)
        self.moves = MoveDesk(store, prices, rules)
        self.audit = ReservationAudit(store)
