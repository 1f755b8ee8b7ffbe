"""Every unit that came, left, or never was there, as people lived through it: what the store and the hub must have.

On hand is what can be sold, is reserved or put aside; what came back over a till stands apart, in quarantine.
"""

from collections import defaultdict
from collections.abc import Mapping

from edge.proving.sightings import (
    BooksSeen,
    Buckets,
    Finding,
    WitnessedCount,
    WitnessedMove,
    WitnessedMovement,
    WitnessedPickup,
    WitnessedTransaction,
    read_payload,
)
from edge.proving.till_record import TillRecord

DELIVERED = "movement/"
ABOUT_THEN_MS = 60_000
"""What lines, queues and clocks of whole seconds make of a moment."""

Places = dict[str, list[int]]
"""SKU → on hand and quarantine, in thousandths."""


def all_goods_are_there(tills: TillRecord, delivered: Mapping[str, Mapping[str, int]], sku_of: Mapping[str, str],
                        store: BooksSeen, hub: BooksSeen, *, clocks_right: bool) -> Finding:
    """Conservation: people's own sums of deliveries, sales and returns, with what counts and orders did to goods, are
    what the store and the hub have. `delivered`: movement → SKU → quantity; `sku_of`: by code or SKU.

    `clocks_right`: no clock was wrong and nothing restored, so that it can be told which sale was older than a count.
    """
    places: Places = defaultdict(lambda: [0, 0])
    _carry(places, delivered, store)
    taken_back = _taken_back(store)
    _sell(places, tills, sku_of, taken_back, _not_known_then(store))
    counted, about_then = _let_counts_stand(places, store)
    voided = {sku_of.get(code) for key, meaning in tills.acknowledged() if key in taken_back
              for code, *_ in meaning.lines}
    unknown = {sku for sku in counted if not clocks_right or sku in voided} | about_then
    violations = []
    for name, books in (("store", store), ("hub", hub)):
        for sku, said in books.stock.items():
            if sku in unknown:
                continue
            there = [said.sellable_milli + said.reserved_milli + said.staged_milli, said.quarantine_milli]
            if there != places[sku]:
                violations.append(f"goods: of {sku} there must be {places[sku]} (on hand, quarantine), the {name} has "
                                  f"{_named(said)}")
    return Finding("goods", 2 * len(places.keys() - unknown), tuple(violations))


def _carry(places: Places, delivered: Mapping[str, Mapping[str, int]], store: BooksSeen) -> None:
    """Deliveries as they came; what orders and counts did, as it was judged when it happened."""
    for entry in store.entries:
        if not entry.counts or entry.kind not in ("movement", "pickup", "count"):
            continue
        known = delivered.get(entry.fact_key.removeprefix(DELIVERED))
        fact = read_payload(entry)
        if known is not None:
            for sku, milli in known.items():
                places[sku][0] += milli
        elif isinstance(fact, WitnessedPickup) or (isinstance(fact, WitnessedMovement)
                                                   and entry.fact_key.startswith(DELIVERED)):
            for move in fact.moves:
                _add(places[move.sku], move)
        elif isinstance(fact, WitnessedCount):
            for line in fact.lines:
                places[line.sku][0] += line.counted_milli - line.expected_milli


def _taken_back(store: BooksSeen) -> set[str]:
    """Transactions that were voided, whichever came first."""
    voids = (read_payload(entry) for entry in store.entries if entry.kind == "transaction" and entry.counts)
    return {f"till/{fact.till}/{fact.business_day}/{fact.voids_sequence:010d}" for fact in voids
            if isinstance(fact, WitnessedTransaction) and fact.voids_sequence is not None}


def _let_counts_stand(places: Places, store: BooksSeen) -> tuple[set[str], set[str]]:
    """A sale that is older than a count and came in after it was counted already (DESIGN.md section 9). Returns what
    was counted, and of what something was sold so shortly before that it may have been counted or not."""
    counted_ms: dict[str, int] = {}
    about_then = set[str]()
    for entry in store.entries:
        fact = read_payload(entry) if entry.counts and entry.kind in ("count", "transaction") else None
        if isinstance(fact, WitnessedCount):
            counted_ms.update({line.sku: max(counted_ms.get(line.sku, 0), entry.occurred_ms) for line in fact.lines})
        elif isinstance(fact, WitnessedTransaction) and fact.type != "void":
            for line in fact.lines:
                if line.kind == "return" or line.sku not in counted_ms:
                    continue
                older_ms = counted_ms[line.sku] - entry.occurred_ms
                if older_ms > ABOUT_THEN_MS:
                    places[line.sku][0] += line.quantity_milli
                elif older_ms > -ABOUT_THEN_MS:
                    about_then.add(line.sku)
    return set(counted_ms), about_then


def _not_known_then(store: BooksSeen) -> set[tuple[str, int]]:
    """Transaction and place of lines whose code a store without its catalogue could not tell: it said so to people,
    and moved nothing."""
    sales = ((entry.fact_key, read_payload(entry)) for entry in store.entries
             if entry.kind == "transaction" and entry.counts)
    return {(key, place) for key, fact in sales if isinstance(fact, WitnessedTransaction)
            for place, line in enumerate(fact.lines) if not line.sku and "unknown-item" in line.flags}


def _sell(places: Places, tills: TillRecord, sku_of: Mapping[str, str], taken_back: set[str],
          not_known: set[tuple[str, int]]) -> None:
    """What tills sent and were thanked for; a sale that was taken back never took place."""
    for key, meaning in tills.acknowledged():
        if meaning.is_void or key in taken_back:
            continue
        for place, (code, milli, _) in enumerate(meaning.lines):
            sku = None if (key, place) in not_known else sku_of.get(code)
            if sku is not None and meaning.kind == "return":
                places[sku][1] += milli
            elif sku is not None:
                places[sku][0] -= milli


def _add(place: list[int], move: WitnessedMove) -> None:
    place[0] += move.sellable_milli + move.reserved_milli + move.staged_milli
    place[1] += move.quarantine_milli


def _named(said: Buckets) -> str:
    return (f"{said.sellable_milli} sellable, {said.reserved_milli} reserved, {said.staged_milli} staged, "
            f"{said.quarantine_milli} in quarantine")
