"""What must hold of orders when the day is over: physical facts won, nobody waits past his time, and shops were told.

Judged on what customers, crew and web shop lived through (`order_record.py`) and on both ledgers as read back.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import msgspec

from edge.proving.order_record import KnownOrder, OrderRecord
from edge.proving.sightings import (
    BooksSeen,
    Finding,
    LedgerEntry,
    WitnessedException,
    WitnessedFact,
    WitnessedPickup,
    read_payload,
)

LEFT = frozenset({"handed_over", "partially_handed_over"})
OVER = frozenset({"handed_over", "rejected", "cancelled", "expired", "no_show", "refused", "reassigned"})
PLACED, REFUND = "trastienda.order.placed", "trastienda.order.refund_requested"
TOLD = {"accept": "accepted", "reject": "rejected", "short": "short_picked", "offer": "substitution_asked",
        "ready": "ready", "hand_over": "handed_over", "refuse": "refused", "cancel": "cancelled", "expire": "expired",
        "no_show": "no_show"}
"""Step → what a web shop hears of it."""

CLOCK_TOLERANCE_MS = 130_000
"""A wall clock that is believed may be wrong by two minutes."""

NOTICED_WITHIN_MS = 120_000
"""Deadlines are looked at every half minute; a full minute of a busy box, and as much again for its people."""


@dataclass(frozen=True, slots=True)
class Holds:
    """Until when goods wait: `hold_s` for a customer who was told, `hold_max_s` for one who was not; whole local days
    on which the store is closed do not count."""

    zone: ZoneInfo
    hold_s: int
    hold_max_s: int
    closed_days: frozenset[date] = frozenset()

    def ends_ms(self, order: KnownOrder, *, told: bool) -> int:
        """For an order whose store knows that its customer was told, or does not."""
        if told and order.notified_ms is not None:
            return self._later(max(order.notified_ms, order.placed_ms), self.hold_s)
        return self._later(order.placed_ms, self.hold_max_s)

    def _later(self, since_ms: int, wait_s: int) -> int:
        at = datetime.fromtimestamp(since_ms / 1000, UTC).astimezone(self.zone)
        left = timedelta(seconds=wait_s)
        while True:
            midnight = datetime.combine(at.date() + timedelta(days=1), time(), self.zone)
            if at.date() not in self.closed_days:
                if at + left < midnight:
                    return int((at + left).timestamp() * 1000)
                left -= midnight - at
            at = midnight


@dataclass(frozen=True, slots=True)
class OrdersSeen:
    """What was read back: states by order in the store and at the hub. `lost`: what a disk that died held and its
    backup did not. `undisturbed`: nothing was restored, so that events are heard just as the ledger has their steps,
    and the crew was answered for whatever stands there.
    """

    store: BooksSeen
    hub: BooksSeen
    store_states: Mapping[str, str]
    hub_states: Mapping[str, str]
    lost: frozenset[str]
    undisturbed: bool


def physical_facts_win(record: OrderRecord, seen: OrdersSeen) -> Finding:
    """P6: what was handed over stays handed over, once; whoever cancelled it gets her money back; and a wish that
    came in time was kept."""
    violations: list[str] = []
    checked = 0
    owed = _owed(seen.store)
    steps = _steps(seen.store.entries)
    for order in record.orders.values():
        checked += 1
        mine, name = [step for _, step in steps.get(order.order_id, ())], f"order {order.order_id}"
        state = seen.store_states.get(order.order_id, "unknown")
        if state == "unknown" and not seen.undisturbed and seen.hub_states.get(order.order_id) in OVER:
            state = seen.hub_states[order.order_id]  # a new disk is not told of orders that had ended before
        if seen.hub_states.get(order.order_id) != state:
            violations.append(f"P6: {name} is {state} in the store, {seen.hub_states.get(order.order_id)} at the hub")
        violations += [f"P6: {name}: {each}" for each in (
            *_left_once(order, mine, state, seen), *_refunded(order, mine, owed[order.order_id]),
            *_wish_kept(order, state))]
    return Finding("P6", checked, tuple(violations))


def nobody_waits_too_long(record: OrderRecord, seen: OrdersSeen, holds: Holds, now_ms: int, *, clock_right: bool,
                          revisions_hold: bool) -> Finding:
    """An order ends when its hold does: not earlier, and not later. `clock_right`: the box's clock was never wrong;
    `revisions_hold`: the hub never lost any, so that they say what the store knew."""
    checked = 0
    violations: list[str] = []
    early_ms = 1_000 if clock_right else CLOCK_TOLERANCE_MS
    for order_id, steps in _steps(seen.store.entries).items():
        order = record.orders.get(order_id)
        for occurred_ms, step in steps:
            if order is None or step.step != "expire":
                continue
            checked += 1
            told = step.order_revision >= order.notified_revision and order.notified_ms is not None
            ends_ms = holds.ends_ms(order, told=told) if revisions_hold else min(
                holds.ends_ms(order, told=told) for told in (False, True))
            if occurred_ms < ends_ms - early_ms:
                violations.append(f"expiries: order {order_id} expired {(ends_ms - occurred_ms) / 1000:.0f} s early")
    for order in record.orders.values():
        state = seen.store_states.get(order.order_id, "")
        ends_ms = holds.ends_ms(order, told=True)
        if state and ends_ms < now_ms - early_ms - NOTICED_WITHIN_MS:
            checked += 1
            if state not in OVER:
                violations.append(f"expiries: order {order.order_id} is {state}, {(now_ms - ends_ms) / 1000:.0f} s "
                                  "after its hold ended")
    return Finding("expiries", checked, tuple(violations))


def shops_were_told(record: OrderRecord, seen: OrdersSeen) -> Finding:
    """Of every order a web shop heard what the ledger says, in that order, at least once, and how it ended."""
    checked = 0
    violations: list[str] = []
    steps, owed = _steps(seen.hub.entries), _owed(seen.hub)
    for order_id in record.orders:
        wanted = [(f"trastienda.order.{TOLD[step.step]}", step.state) for _, step in steps.get(order_id, ())
                  if step.step in TOLD]
        events = list(record.events_of(order_id))
        heard = [(event.type, event.data.state) for event in events if event.type not in (PLACED, REFUND)]
        refunds = sum(event.type == REFUND for event in events)
        checked += len(events)
        if not seen.undisturbed:
            wanted, heard = _standing(wanted), heard[-1:]
            refunds = min(refunds, 1)
        if wanted != heard:
            violations.append(f"events: of order {order_id} a shop heard {heard}, the ledger says {wanted}")
        if [event.type for event in events][:1] != [PLACED]:
            violations.append(f"events: the first that a shop heard of order {order_id} was {events[:1]}")
        if refunds != len(owed[order_id] & {"late-cancel"}):
            violations.append(f"events: {refunds} refunds were asked for about order {order_id}, the ledger has "
                              f"{sorted(owed[order_id])}")
    return Finding("events", checked, tuple(violations))


def _standing(told: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """Which step says how the order ended: the last, but goods that left in one life of a box have left in all."""
    for state in ("handed_over", "partially_handed_over"):
        if left := [each for each in told if each[1] == state]:
            return left[-1:]
    return told[-1:]


def _left_once(order: KnownOrder, steps: list[WitnessedPickup], state: str, seen: OrdersSeen) -> Iterable[str]:
    """What the crew gave away has left, once, and says so for ever."""
    in_ledger = Counter[int]()
    has_left = False
    for step in steps:
        if step.step == "hand_over":
            in_ledger.update({part.line: part.quantity_milli for part in step.lines})
            has_left = True
        if has_left and step.state not in LEFT and seen.undisturbed:  # two lives of a box need not know of each other
            yield f"goods had left, and {step.step} made it {step.state}"
    if has_left and state not in LEFT:
        yield f"goods have left, and it is {state}"
    if seen.lost.isdisjoint(order.hand_overs):
        if order.hand_overs and not has_left:
            yield f"the crew gave goods away, and it is {state}"
        if seen.undisturbed and order.all_named and in_ledger != order.handed_milli:
            yield f"the crew gave away {dict(order.handed_milli)}, the ledger says {dict(in_ledger)}"
    for line in order.lines:
        if in_ledger[line.line] > line.quantity_milli:
            yield f"{in_ledger[line.line]} of line {line.line} left the store, {line.quantity_milli} were ordered"


def _refunded(order: KnownOrder, steps: list[WitnessedPickup], owed: set[str]) -> Iterable[str]:
    """Money goes back for goods that left although their customer had cancelled, and for no others."""
    handed = {part.line for step in steps if step.step == "hand_over" for part in step.lines}
    replaces = {step.substitute.line: step.substitute.replaces for step in steps if step.substitute is not None}
    unwanted = {line for line in handed if order.is_unwanted(line, replaces.get(line))}
    asked = {line for line in unwanted if order.cancelled or not order.cancelled_lines.isdisjoint(
        {line, replaces.get(line)})}  # an answer may have come when the store had decided by itself
    if asked and "late-cancel" not in owed:
        yield f"lines {sorted(asked)} were cancelled and left the store, and nobody is asked to refund them"
    if "late-cancel" in owed and not unwanted:
        yield "a refund is asked for, and nothing that left was cancelled"


def _wish_kept(order: KnownOrder, state: str) -> Iterable[str]:
    """Whatever was asked of the hub reached the store."""
    if state == "placed":
        yield "it reached the store, which never answered"
    for what, is_asked in (("cancelled", order.cancelled), ("reassigned", order.reassigned)):
        if is_asked and state not in OVER:
            yield f"it was {what}, and is {state}"


def _owed(books: BooksSeen) -> defaultdict[str, set[str]]:
    """Order → reasons for which a person is to see to its money."""
    owed: defaultdict[str, set[str]] = defaultdict(set)
    for entry, fact in _facts(books.entries):
        if entry.counts and isinstance(fact, WitnessedException):
            owed[fact.about].add(fact.reason)
    return owed


def _steps(entries: Iterable[LedgerEntry]) -> dict[str, list[tuple[int, WitnessedPickup]]]:
    """Order → its steps with their times, in the ledger's order."""
    steps: dict[str, list[tuple[int, WitnessedPickup]]] = {}
    for entry, fact in _facts(entries):
        if entry.counts and isinstance(fact, WitnessedPickup):
            steps.setdefault(fact.order_id, []).append((entry.occurred_ms, fact))
    return steps


def _facts(entries: Iterable[LedgerEntry]) -> Iterable[tuple[LedgerEntry, WitnessedFact]]:
    for entry in entries:
        if entry.kind in ("pickup", "exception"):
            try:
                yield entry, read_payload(entry)
            except msgspec.MsgspecError:
                continue  # P1 and P2 name it
