"""The last sales, read from the ledger once each."""

from dataclasses import dataclass

from cloud_sync.contract.facts import Transaction, TransactionKind, decode_fact
from edge.db.ledger import head
from edge.db.queries import LEDGER
from edge.limits import LAST_SALES_MAX, LAST_SALES_SCAN_MAX
from edge.staff.products import product_name
from edge.store import Store

FIRST_SCAN = 1000
"""Entries looked through at first; four times as many each time that was too few."""


@dataclass(frozen=True, slots=True)
class SaleLineView:
    """A line of a sale; `name` is the code of an unknown product."""

    name: str
    quantity_milli: int
    amount_minor: int


@dataclass(frozen=True, slots=True)
class SaleView:
    """A till's transaction. `flags`: why a person should look, without repeats."""

    till: str
    sequence: int
    kind: TransactionKind
    occurred_ms: int
    total_minor: int
    currency: str
    lines: tuple[SaleLineView, ...]
    flags: tuple[str, ...]


class Sales:
    """A tape of the newest transactions, at most a named number."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._epoch = 0
        self._read_until = 0
        self._tape: list[SaleView] = []

    def newest(self, count: int = LAST_SALES_MAX) -> list[SaleView]:
        """The last transactions, newest first."""
        reader, chain = self._store.books.ledger_reader, self._store.books.chain
        last = head(reader, chain).sequence
        if self._epoch != chain.epoch:
            self._epoch, self._tape = chain.epoch, self._first(last)
        elif last > self._read_until:
            self._tape = [*self._since(self._read_until), *self._tape][:LAST_SALES_MAX]
        self._read_until = last
        return self._tape[:count]

    def _first(self, last: int) -> list[SaleView]:
        """Look further back only as long as there are too few: other facts may lie between."""
        window, found = FIRST_SCAN, self._since(max(0, last - FIRST_SCAN))
        while len(found) < LAST_SALES_MAX and window < min(last, LAST_SALES_SCAN_MAX):
            window *= 4
            found = self._since(max(0, last - window))
        return found

    def _since(self, sequence: int) -> list[SaleView]:
        rows = self._store.books.ledger_reader.execute(
            LEDGER.newest_of_kind, (self._store.books.chain.epoch, sequence, "transaction", LAST_SALES_MAX)).fetchall()
        facts = [(occurred_ms, decode_fact(payload)) for _, _, occurred_ms, payload in rows]
        return [self._view(occurred_ms, fact) for occurred_ms, fact in facts if isinstance(fact, Transaction)]

    def _view(self, occurred_ms: int, fact: Transaction) -> SaleView:
        lines = tuple(SaleLineView(product_name(self._store, line.sku) if line.sku else line.code, line.quantity_milli,
                                   line.amount_minor) for line in fact.lines)
        flags = [*fact.flags, *(flag for line in fact.lines for flag in line.flags)]
        return SaleView(fact.till, fact.sequence, fact.type, occurred_ms, fact.total_minor, fact.currency, lines,
                        tuple(dict.fromkeys(str(flag) for flag in flags)))
