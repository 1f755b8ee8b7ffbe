"""Looks into the store's ledger after every commit: is every unit accounted for, and promised to one customer only?

By the witness's own arithmetic, from the facts as they come. A ledger that was put back from a backup, or that takes
history back from the hub, is read anew when that is over: its facts stand in another order then than they came in.
Where two lives of a box took steps of one order without knowing of each other, which line keeps what is no longer
judged: hands may have put back in the one what the other had given away. The sums still are.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Protocol

import msgspec

from edge.proving.promises import apply_fact
from edge.proving.sightings import (
    WitnessedCount,
    WitnessedException,
    WitnessedFact,
    WitnessedPickup,
    WitnessedTransaction,
    decode_payload,
)
from edge.proving.unit_books import RESERVED, SELLABLE, STAGED, UnitBooks

PROMISING = frozenset({"accept", "offer"})
ENDANGERED = "available-below-zero"

_NEW = ("SELECT entry.epoch, entry.sequence, entry.fact_key, payload FROM entry JOIN fact ON fact.fact_key = "
        "entry.fact_key AND fact.epoch = entry.epoch AND fact.sequence = entry.sequence "
        "WHERE (entry.epoch, entry.sequence) > (?, ?) ORDER BY entry.epoch, entry.sequence")
_UNDER_WAY = "SELECT 1 FROM meta WHERE key = 'rebase'"
_STOCK = "SELECT sellable_milli, reserved_milli, staged_milli, quarantine_milli FROM stock WHERE sku = ?"
_KEPT = "SELECT sku, SUM(reserved_milli), SUM(picked_milli) FROM pickup_line GROUP BY sku"
_LEAKED = ("SELECT pickup.order_id, state FROM pickup JOIN pickup_line USING (order_id) "
           "WHERE is_over AND state != 'no_show' AND reserved_milli > 0")
_RESERVING = ("SELECT order_id FROM pickup_line WHERE sku = ? AND reserved_milli > 0")


class Rows(Protocol):
    """A connection, as far as it is read from here."""

    def execute(self, sql: str, parameters: Sequence[Any] = ..., /) -> Any: ...


class StockWatch:
    """One store. `violated` is told what is wrong; `safety_milli`: what the policy keeps back from every promise."""

    def __init__(self, units: Callable[[], UnitBooks], violated: Callable[[str], None], safety_milli: int = 0) -> None:
        self.checked: Counter[str] = Counter()
        self._units_anew = units
        self._violated = violated
        self._safety_milli = safety_milli
        self._history = self._stale = False
        self._head = (0, 0)
        self._stock: dict[str, list[int]] = {}
        self._units = units()
        self._read_anew()

    def another_disk(self) -> None:
        """What was known of the ledger holds no longer; steps of orders may come back in another order."""
        self._stale = self._history = True

    def committed(self, connection: Rows) -> None:
        """A commit has ended, well or not."""
        if connection.execute(_UNDER_WAY).fetchone():
            self.another_disk()  # or another box: it may have taken steps of orders that are not known here yet
            return
        anew = self._stale
        if anew:
            self._read_anew()
        rows = connection.execute(_NEW, self._head).fetchall()
        if not rows:
            return
        facts: list[tuple[str, WitnessedFact]] = []
        for epoch, sequence, key, payload in rows:
            self._head = (epoch, sequence)
            try:
                facts.append((key, decode_payload(bytes(payload))))
            except msgspec.MsgspecError:
                continue  # P1 and P2 name it
        self._take(connection, facts, anew=anew)

    def _read_anew(self) -> None:
        self._head = (0, 0)
        self._stock = defaultdict(lambda: [0, 0, 0, 0])
        self._units = self._units_anew()
        self._stale = False

    def _take(self, connection: Rows, facts: list[tuple[str, WitnessedFact]], *, anew: bool) -> None:
        warned = [fact for _, fact in facts if isinstance(fact, WitnessedException) and fact.reason == ENDANGERED]
        touched: dict[str, None] = {}
        taken: dict[tuple[str, str], None] = {}
        stepped = False
        for key, fact in facts:
            before = {sku: self._stock[sku][SELLABLE] for sku in _skus_of(fact)}
            if isinstance(fact, WitnessedCount) and not anew:
                self._judge_count(key, fact)
            apply_fact(self._stock, fact)
            touched.update(dict.fromkeys(before))
            if isinstance(fact, WitnessedPickup):
                stepped = True
                self._judge_step(fact, anew=anew)
            if isinstance(fact, WitnessedTransaction | WitnessedPickup | WitnessedCount):
                taken.update({(key, sku): None for sku, milli in before.items()
                              if self._stock[sku][SELLABLE] < milli and self._is_short(sku)})
        if not anew:
            for key, sku in taken:
                self._judge_taken(connection, key, sku, warned)
        self._judge_buckets(connection, touched)
        if stepped and not self._history:
            self._judge_kept(connection)

    def _judge_step(self, step: WitnessedPickup, *, anew: bool) -> None:
        wrong = self._units.take(step)
        if not self._history:
            self.checked["units"] += 1
            for each in wrong:
                self._violated(f"units: {each}")
        if anew or step.step not in PROMISING:
            return
        for sku in dict.fromkeys(move.sku for move in step.moves if move.reserved_milli > 0):
            self.checked["P5"] += 1
            short_milli = self._safety_milli - self._stock[sku][SELLABLE]
            if short_milli > 0:
                self._violated(f"P5: {step.step} of order {step.order_id} promised {short_milli} of {sku} more than "
                               "there was to promise (thousandths)")

    def _judge_count(self, key: str, count: WitnessedCount) -> None:
        for line in count.lines:
            self.checked["units"] += 1
            stock = self._stock[line.sku]
            there_milli = stock[SELLABLE] + stock[RESERVED]
            if line.expected_milli != there_milli:
                self._violated(f"units: {key} expected {line.expected_milli} of {line.sku}, there were {there_milli}")

    def _judge_taken(self, connection: Rows, key: str, sku: str, warned: list[WitnessedException]) -> None:
        """Who takes goods that were promised names the orders that this endangers (P4 before P5)."""
        if not self._is_short(sku):
            return  # a late sale, say, that was counted already
        self.checked["P5"] += 1
        orders = {order for (order,) in connection.execute(_RESERVING, (sku,))}
        if not any(sku in each.detail and any(order in each.detail for order in orders)
                   for each in warned if each.about == key):
            self._violated(f"P5: {key} took {sku} that was promised to {sorted(orders)}, and no exception says so")

    def _is_short(self, sku: str) -> bool:
        return self._stock[sku][SELLABLE] < 0 < self._stock[sku][RESERVED]

    def _judge_buckets(self, connection: Rows, skus: Iterable[str]) -> None:
        for sku in skus:
            self.checked["units"] += 1
            mine, said = self._stock[sku], connection.execute(_STOCK, (sku,)).fetchone() or (0, 0, 0, 0)
            if tuple(mine) != tuple(said):
                self._violated(f"units: the store says that stock of {sku} is {tuple(said)}, its facts add up to "
                               f"{tuple(mine)}")
            if min(mine[RESERVED], mine[STAGED]) < 0 and not self._history:
                self._violated(f"units: less than nothing of {sku} is kept for orders: {tuple(mine)}")

    def _judge_kept(self, connection: Rows) -> None:
        """What is kept for orders is what their lines keep, unit by unit; an order that is over keeps nothing back."""
        kept = {sku: (reserved, staged) for sku, reserved, staged in connection.execute(_KEPT)}
        for sku in kept.keys() | {sku for sku, stock in self._stock.items() if stock[RESERVED] or stock[STAGED]}:
            self.checked["units"] += 1
            stock = self._stock[sku]
            if kept.get(sku, (0, 0)) != (stock[RESERVED], stock[STAGED]):
                self._violated(f"units: orders keep {kept.get(sku, (0, 0))} of {sku} (reserved, staged), the facts add "
                               f"up to {(stock[RESERVED], stock[STAGED])}")
        for order, state in connection.execute(_LEAKED):
            self._violated(f"units: order {order} is {state} and still reserves goods")


def _skus_of(fact: WitnessedFact) -> Iterable[str]:
    """What a fact may move."""
    if isinstance(fact, WitnessedTransaction | WitnessedCount):
        return [line.sku for line in fact.lines if line.sku]
    return [move.sku for move in getattr(fact, "moves", ())]
