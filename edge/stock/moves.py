"""Goods that move for another reason than a sale, an order or a delivery: adjustments with a reason, and transfers.

What happened to goods is recorded even where the book has fewer than that: then people are told.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from cloud_sync.contract.facts import Fact, Movement, StockMove, TransferLine, TransferSent
from edge.db.ledger import Draft, digest_of
from edge.db.shortages import record_and_tell
from edge.errors import Rejected
from edge.limits import TRANSACTION_LINES_MAX
from edge.prices.price_desk import PriceDesk
from edge.stock.answers import standing
from edge.stock.counts import ApprovalRules
from edge.store import Store


class Reason(StrEnum):
    """Why the book is adjusted. Each says by itself which way the goods go."""

    DAMAGED = "damaged"
    """Not fit to be sold, still here: into quarantine."""
    EXPIRED = "expired"
    WASTE = "waste"
    STOLEN = "stolen"
    LOST = "lost"
    OWN_USE = "own-use"
    RETURNED_TO_SUPPLIER = "returned-to-supplier"
    FOUND = "found"
    REGRADED = "regraded"
    """Out of quarantine, fit to be sold again."""
    DISPOSED = "disposed"
    """Out of quarantine, gone."""


def moves_of(reason: Reason, sku: str, quantity_milli: int) -> StockMove:
    """What a positive quantity does to the buckets."""
    match reason:
        case Reason.DAMAGED:
            return StockMove(sku, sellable_milli=-quantity_milli, quarantine_milli=quantity_milli)
        case Reason.FOUND:
            return StockMove(sku, sellable_milli=quantity_milli)
        case Reason.REGRADED:
            return StockMove(sku, sellable_milli=quantity_milli, quarantine_milli=-quantity_milli)
        case Reason.DISPOSED:
            return StockMove(sku, quarantine_milli=-quantity_milli)
        case _:
            return StockMove(sku, sellable_milli=-quantity_milli)


@dataclass(frozen=True, slots=True)
class AdjustmentRequest:
    """An adjustment, once per `act_id`. `supervised`: a supervisor makes it, so it may be large."""

    act_id: str
    sku: str
    quantity_milli: int
    reason: Reason
    actor: str
    note: str = ""
    supervised: bool = False


class MoveDesk:
    """Records adjustments and transfers."""

    def __init__(self, store: Store, prices: PriceDesk, rules: ApprovalRules) -> None:
        self._store = store
        self._prices = prices
        self._rules = rules

    async def adjust(self, request: AdjustmentRequest) -> bytes:
        """Move the stock of a SKU for a reason; returns the answer's JSON. Raises `Conflict`, `Rejected` for one that
        needs a supervisor."""
        if request.quantity_milli <= 0:
            raise Rejected("say how many: more than none")
        price = self._prices.list_price(request.sku)
        if not request.supervised and self._rules.asks(request.quantity_milli, price[0] if price else 0):
            raise Rejected("so much is for a supervisor to adjust")
        move = moves_of(request.reason, request.sku, request.quantity_milli)
        fact = Movement(f"adjustment/{request.reason}", (move,), request.actor, request.note)
        meaning = (request.sku, request.quantity_milli, request.reason, request.note)
        return await self._record(f"adjustment/{request.act_id}", fact, meaning)

    async def send(self, transfer_id: str, to_store: str, lines: Sequence[TransferLine], actor: str,
                   note: str = "") -> bytes:
        """Goods leave for another store; returns the answer's JSON. Raises `Conflict`, `Rejected`."""
        if to_store == self._store.identity.store:
            raise Rejected("this is the store that sends them")
        if not 0 < len(lines) <= TRANSACTION_LINES_MAX or any(line.quantity_milli <= 0 for line in lines):
            raise Rejected(f"a transfer has 1 to {TRANSACTION_LINES_MAX} lines, each of more than none")
        if len({line.sku for line in lines}) < len(lines):
            raise Rejected("an item stands in two lines of the transfer: add its quantities up")
        fact = TransferSent(transfer_id, to_store, tuple(lines), actor, note)
        meaning = (to_store, [(line.sku, line.quantity_milli) for line in lines], note)
        return await self._record(f"transfer/{transfer_id}", fact, meaning)

    async def _record(self, fact_key: str, fact: Fact, meaning: object) -> bytes:
        now_ms, chain = self._store.clock.wall_ms(), self._store.books.chain
        made = Draft(fact_key, fact, digest_of(meaning), now_ms,
                     self._store.business_day(now_ms), now_ms)
        return standing(await self._store.record(lambda connection: record_and_tell(connection, chain, made)))
