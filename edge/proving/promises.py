"""The promises that ledgers must keep, checked on what was read back from them (P1, P2, P4, P5).

Every check says how often it really compared something; a promise that was never put to the test is no proof.
"""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Set

import msgspec

from edge.proving.sightings import (
    BooksSeen,
    Buckets,
    Finding,
    LedgerEntry,
    WitnessedCount,
    WitnessedException,
    WitnessedFact,
    WitnessedLine,
    WitnessedMove,
    WitnessedMovement,
    WitnessedPickup,
    WitnessedTransaction,
    read_payload,
)
from edge.proving.till_record import Meaning, TillRecord, meaning_in_ledger

GENESIS_HASH = "0" * 64


def nothing_is_lost(tills: TillRecord, acknowledged: Iterable[str], store: BooksSeen, hub: BooksSeen,
                    lost: Set[str] = frozenset()) -> Finding:
    """P1: every acknowledged fact stands in the store's ledger and at the hub, with the meaning it was sent with.

    `lost`: what a disk that died held and its backup did not. Tills still hold theirs, and what had reached the hub
    must be back; only the rest may be gone.
    """
    places = (("store", store, _by_key(store)), ("hub", hub, _by_key(hub)))
    violations = [f"P1: the {name}'s ledger is broken at entry {broken}" for name, books, _ in places
                  if (broken := _broken_at(books)) is not None]
    checked = 0
    for name, _, known in places:
        for key, meaning in tills.acknowledged():
            checked += 1
            violations += _not_kept(name, known, key, meaning)
        for key in acknowledged:
            checked += 1
            if key not in known and not (key in lost and key not in places[1][2]):
                violations.append(f"P1: {key} was acknowledged and is not in the {name}'s ledger")
    return Finding("P1", checked, tuple(violations))


def exactly_once(tills: TillRecord, store: BooksSeen, hub: BooksSeen) -> Finding:
    """P2: one entry per fact in store and hub, the same entries in both, every line counted once, the same stock."""
    violations = [*_counted_twice("store", store), *_counted_twice("hub", hub), *_ledgers_differ(store, hub)]
    known = _by_key(hub)
    checked = 0
    for key, meaning in tills.acknowledged():
        entry = known.get(key)
        lines = _lines_of(entry) if entry is not None else 0
        checked += lines
        if entry is not None and not meaning.is_void and lines != len(meaning.lines):
            violations.append(f"P2: {key} counts {lines} lines at the hub, the till sent {len(meaning.lines)}")
    for books, name in ((store, "store"), (hub, "hub")):
        for entry in books.entries:
            if entry.kind == "transaction" and not tills.was_sent(entry.fact_key):
                violations.append(f"P2: no till ever sent {entry.fact_key} that stands in the {name}'s ledger")
        violations += _stock_differs(name, books)
    return Finding("P2", checked, tuple(violations))


def no_sale_refused(tills: TillRecord, store: BooksSeen, lost: Set[str] = frozenset()) -> Finding:
    """P4: everything sent ended in an acknowledgement, or in a conflict that is kept for a person.

    `lost`: what a disk that died held and its backup did not.
    """
    violations = [f"P4: {refusal}" for refusal in tills.refusals]
    violations += [f"P4: {key} was sent and never taken" for key in tills.unfinished()]
    conflicts = {fact.about for fact in _facts(store.entries)
                 if isinstance(fact, WitnessedException) and fact.reason == "conflict"}
    conflicts |= {key.removeprefix("conflict/").rpartition("/")[0] for key in lost if key.startswith("conflict/")}
    violations += [f"P4: {key} was answered as a recorded conflict, and no exception says so"
                   for key in tills.conflicts() if key not in conflicts]
    return Finding("P4", tills.finished_count(), tuple(violations))


ODD_QUANTITY_MILLI = 1_000_000


def odd_ones_flagged(store: BooksSeen, is_known: Callable[[str], bool]) -> Finding:
    """P4: what is odd about a sale is not refused, and not passed over: somebody is to look at it.

    `is_known`: whether a code or SKU is one of the catalogue's.
    """
    violations: list[str] = []
    checked = 0
    for entry in store.entries:
        fact = read_payload(entry) if entry.kind == "transaction" and entry.counts else None
        if not isinstance(fact, WitnessedTransaction) or fact.type == "void":
            continue
        for line in fact.lines:
            wanted = _oddities(line, is_known)
            checked += len(wanted)
            violations += [f"P4: {entry.fact_key} has {line} without the flag {flag}" for flag in wanted
                           if flag not in line.flags or flag not in fact.flags]
        total = sum(-line.amount_minor if line.kind == "return" else line.amount_minor for line in fact.lines)
        if total != fact.total_minor and "total-differs" not in fact.flags:
            violations.append(f"P4: {entry.fact_key} comes to {total}, says {fact.total_minor}, and is not flagged")
    return Finding("P4", checked, tuple(violations))


def _oddities(line: WitnessedLine, is_known: Callable[[str], bool]) -> list[str]:
    quantity = line.quantity_milli
    said = {"unknown-item": not is_known(line.code or line.sku), "zero-quantity": quantity == 0,
            "negative-quantity": quantity < 0, "odd-quantity": quantity >= ODD_QUANTITY_MILLI}
    return [flag for flag, is_so in said.items() if is_so]


def promised_once(store: BooksSeen, placed: Mapping[str, Mapping[str, int]]) -> Finding:
    """P5: goods reserved were there to be reserved, and as many as the customer ordered."""
    checked = 0
    violations: list[str] = []
    stock: dict[str, list[int]] = defaultdict(lambda: [0, 0, 0, 0])
    for fact in _facts(store.entries):
        apply_fact(stock, fact)
        if not (isinstance(fact, WitnessedPickup) and fact.step == "accept"):
            continue
        for move in fact.moves:
            checked += 1
            if stock[move.sku][0] < 0:
                violations.append(f"P5: order {fact.order_id} was promised {move.reserved_milli} of {move.sku}, "
                                  f"{-stock[move.sku][0]} more than there was (thousandths)")
        reserved = Counter[str]()
        for move in fact.moves:
            reserved[move.sku] += move.reserved_milli
        if fact.order_id in placed and dict(reserved) != dict(placed[fact.order_id]):
            violations.append(f"P5: order {fact.order_id} reserved {dict(reserved)}, ordered were "
                              f"{dict(placed[fact.order_id])}")
    return Finding("P5", checked, tuple(violations))


def _by_key(books: BooksSeen) -> dict[str, LedgerEntry]:
    return {entry.fact_key: entry for entry in books.entries if entry.counts and not entry.reason}


def _not_kept(name: str, known: Mapping[str, LedgerEntry], key: str, meaning: Meaning) -> Iterator[str]:
    entry = known.get(key)
    if entry is None:
        yield f"P1: {key} was acknowledged and is not in the {name}'s ledger"
    elif not meaning.is_void and meaning_in_ledger(entry) != meaning:
        yield f"P1: {key} stands in the {name}'s ledger with another meaning than was acknowledged"


def _broken_at(books: BooksSeen) -> int | None:
    """The first entry of any epoch whose place or hash does not follow from the one before it."""
    heads: dict[int, tuple[int, str]] = {}
    for entry in books.entries:
        place, before = heads.get(entry.epoch, (0, GENESIS_HASH))
        header = (f"{before}\n{books.store}\n{entry.epoch}\n{place + 1}\n{entry.fact_key}\n{entry.kind}\n"
                  f"{entry.occurred_ms}\n{entry.business_day}\n")
        hashed = hashlib.sha256(header.encode() + entry.payload).hexdigest()
        if entry.sequence != place + 1 or hashed != entry.hash:
            return place + 1
        heads[entry.epoch] = (entry.sequence, entry.hash)
    return None


def _counted_twice(name: str, books: BooksSeen) -> Iterator[str]:
    counts = Counter(entry.fact_key for entry in books.entries if entry.counts)
    for key, count in counts.items():
        if count > 1:
            yield f"P2: {key} counts {count} times in the {name}'s ledger"
    for entry in books.entries:
        if entry.reason:
            yield f"P2: the {name} could not read {entry.fact_key}: {entry.reason}"


def _ledgers_differ(store: BooksSeen, hub: BooksSeen) -> Iterator[str]:
    here, there = ({entry.epoch: (entry.sequence, entry.hash) for entry in books.entries} for books in (store, hub))
    for epoch in sorted(here.keys() | there.keys()):
        ends = [heads.get(epoch, (0, GENESIS_HASH)) for heads in (here, there)]
        if ends[0] != ends[1]:
            yield (f"P2: epoch {epoch} of the store's ledger ends at {ends[0][0]}, of the hub's at {ends[1][0]}, "
                   "or their hashes differ")


def _lines_of(entry: LedgerEntry) -> int:
    fact = read_payload(entry)
    return len(fact.lines) if isinstance(fact, WitnessedTransaction) else 0


def _stock_differs(name: str, books: BooksSeen) -> Iterator[str]:
    """The stock a ledger's facts add up to, against what its owner says it is."""
    if not books.stock:
        return
    added: dict[str, list[int]] = defaultdict(lambda: [0, 0, 0, 0])
    for fact in _facts(entry for entry in books.entries if entry.counts and not entry.reason):
        apply_fact(added, fact)
    for sku, said in books.stock.items():
        if Buckets(*added[sku]) != said:
            yield f"P2: the {name} says that stock of {sku} is {said}, its facts add up to {Buckets(*added[sku])}"


def _facts(entries: Iterable[LedgerEntry]) -> Iterator[WitnessedFact]:
    for entry in entries:
        try:
            yield read_payload(entry)
        except msgspec.MsgspecError:
            continue  # P1 and P2 name it


def apply_fact(stock: dict[str, list[int]], fact: WitnessedFact) -> None:
    """What a fact does to the four buckets, by the witness's own reckoning."""
    if isinstance(fact, WitnessedTransaction):
        sign = -1 if fact.type == "void" else 1
        for line in fact.lines:
            if line.sku and line.kind == "return":
                stock[line.sku][3] += sign * line.quantity_milli
            elif line.sku:
                stock[line.sku][0] -= sign * line.quantity_milli
    elif isinstance(fact, WitnessedMovement | WitnessedPickup):
        for move in fact.moves:
            _add(stock[move.sku], move)
    elif isinstance(fact, WitnessedCount):
        for counted in fact.lines:
            stock[counted.sku][0] += counted.counted_milli - counted.expected_milli


def _add(buckets: list[int], move: WitnessedMove) -> None:
    changes = (move.sellable_milli, move.reserved_milli, move.staged_milli, move.quarantine_milli)
    for place, change in enumerate(changes):
        buckets[place] += change
