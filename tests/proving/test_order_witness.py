"""The witness of orders must catch a store that lies about them: each lie beside the same scene told honestly."""

import random
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import msgspec
import pytest

from cloud_sync.contract.facts import PickupStep, StepLine, StockMove, Substitute
from cloud_sync.contract.pickup import HubStep, Step
from cloud_sync.contract.pickup_order import Line, PickupOrder, Taken, said, state_of, taken
from edge.db.connection import Connection
from edge.db.queries import LEDGER
from edge.proving.goods import all_goods_are_there
from edge.proving.order_promises import (
    PLACED,
    REFUND,
    Holds,
    OrdersSeen,
    nobody_waits_too_long,
    physical_facts_win,
    shops_were_told,
)
from edge.proving.order_record import EventData, HeardEvent, KnownOrder, OrderedLine, OrderRecord
from edge.proving.sightings import (
    BooksSeen,
    Buckets,
    Finding,
    LedgerEntry,
    SentLine,
    TillTransaction,
    WitnessedPickup,
    decode_payload,
)
from edge.proving.stock_watch import StockWatch
from edge.proving.till_record import TillRecord
from edge.proving.unit_books import UnitBooks
from tests.pickups.orders import hub_words, store_steps
from tests.store_kit import StoreKit

ZONE = ZoneInfo("Europe/Madrid")
ORDERED = {1: ("milk", 2000), 2: ("bread", 1000)}
HOLDS = Holds(ZONE, 600, 1800)
AS_A_FACT = {HubStep.NOTIFY: Step.READY, HubStep.ARRIVE: Step.READY, HubStep.ANSWER: Step.DECIDE,
             HubStep.REQUEST_CANCEL: Step.CANCEL, HubStep.REASSIGN: Step.CANCEL}


def fact_of(before: PickupOrder, step: Taken, after: PickupOrder, moves: tuple[StockMove, ...]) -> WitnessedPickup:
    """The step as the store would write it down, read back by the witness."""
    offer = step.offer
    fact = PickupStep(
        before.order_id, "t", step.step, state_of(after), 1, "luis", moves,
        lines=tuple(StepLine(*part) for part in step.quantities), short_reason=step.reason or "", accept=step.accept,
        from_staged=step.from_staged, written_off_milli=step.written_off_milli,
        substitute=Substitute(offer.line, offer.sku, offer.ordered_milli, offer.price_minor, offer.replaces)
        if offer and offer.replaces is not None else None)
    read = decode_payload(msgspec.json.encode(fact))
    assert isinstance(read, WitnessedPickup)
    return read


def a_life(randomness: random.Random) -> list[WitnessedPickup]:
    """Steps of an order from its acceptance on, of both sides, as any hands take them."""
    order = PickupOrder("A-1", (Line(1, "milk", 2, 100, may_substitute=True), Line(2, "bread", 1, 200)))
    facts = []
    for _ in range(14):
        words = list(hub_words(order)) if order.progress != "placed" and randomness.random() < 0.3 else []
        if words:
            word = randomness.choice(words)
            applied = said(order, word)
            changed = tuple((line.line, line.ordered_milli) for line in order.lines
                            if line != applied.order.line(line.line))
            step = Taken(AS_A_FACT[word.step], changed, accept=word.accept)
            if state_of(applied.order) is state_of(order) and not applied.moves:
                order = applied.order  # nothing that a ledger would hold
                continue
        else:
            steps = list(store_steps(order))
            if not steps:
                break
            step = randomness.choice(steps)
            applied = taken(order, step)
        facts.append(fact_of(order, step, applied.order, applied.moves))
        order = applied.order
    return facts


def test_p5_whatever_hands_and_hub_do_the_witness_reckons_as_the_contract_does():
    taken_in = 0
    for seed in range(1_500):
        books = UnitBooks(lambda _order: {1: ("milk", 2), 2: ("bread", 1)})
        for fact in a_life(random.Random(seed)):
            assert books.take(fact) == [], seed
            taken_in += 1
    assert taken_in > 3_000


def test_p5_a_step_that_moves_other_units_than_it_had_to_is_caught():
    caught = 0
    for seed in range(300):
        books = UnitBooks(lambda _order: {1: ("milk", 2), 2: ("bread", 1)})
        for fact in a_life(random.Random(seed)):
            if fact.moves and fact.step in ("pick", "short", "hand_over", "put_back", "cancel"):
                first = msgspec.structs.replace(fact.moves[0], sellable_milli=fact.moves[0].sellable_milli + 1)
                assert books.take(msgspec.structs.replace(fact, moves=(first, *fact.moves[1:]))), (seed, fact)
                caught += 1
                break
            books.take(fact)
    assert caught > 50


def test_p6_goods_that_leave_twice_are_caught():
    books = UnitBooks(lambda _order: {1: ("milk", 2)})
    order = PickupOrder("A-1", (Line(1, "milk", 2, 100, reserved_milli=2),))
    accepted = taken(replace(order, lines=(Line(1, "milk", 2, 100),)), Taken(Step.ACCEPT, ((1, 2),)))
    picked = taken(accepted.order, Taken(Step.PICK, ((1, 2),)))
    given = taken(picked.order, Taken(Step.HAND_OVER, ((1, 2),)))
    again = taken(given.order, Taken(Step.HAND_OVER, ((1, 2),)))
    told = [books.take(fact_of(order, step, after.order, after.moves)) for step, after in (
        (Taken(Step.ACCEPT, ((1, 2),)), accepted), (Taken(Step.PICK, ((1, 2),)), picked),
        (Taken(Step.HAND_OVER, ((1, 2),)), given), (Taken(Step.HAND_OVER, ((1, 2),)), again))]
    assert told[:3] == [[], [], []]
    assert "4 of 2 left the store" in told[3][0]


# --- looking into the books after every commit ---------------------------------------------------------------------


async def watched(store: StoreKit) -> tuple[StockWatch, list[str]]:
    violations: list[str] = []
    watch = StockWatch(lambda: UnitBooks(lambda _order: ORDERED), violations.append)
    await store.receives("milk", 2)
    await store.receives("bread", 1)
    return watch, violations


async def test_p5_a_store_that_is_honest_is_believed(store: StoreKit) -> None:
    watch, violations = await watched(store)
    await store.hub.places_order("A-1", {"milk": 2, "bread": 1}, code="K7P3XQ2M")
    look(watch, store)
    await store.takes_step("A-1", Step.PICK)
    await store.hub.changes_order("A-1", cancel_requested=True)
    look(watch, store)
    await store.takes_step("A-1", Step.PUT_BACK)
    look(watch, store)
    assert violations == []
    assert watch.checked["P5"] == 2
    assert watch.checked["units"] > 10


@pytest.mark.parametrize("lie", [
    "UPDATE stock SET sellable_milli = sellable_milli + 1000 WHERE sku = 'milk'",
    "UPDATE stock SET reserved_milli = 0 WHERE sku = 'milk'",
    "UPDATE pickup_line SET reserved_milli = 1000 WHERE sku = 'milk'",
], ids=["more on the shelf", "nothing reserved", "the order keeps less"])
async def test_p5_books_that_say_otherwise_than_their_facts_are_caught(store: StoreKit, lie: str) -> None:
    watch, violations = await watched(store)
    await store.hub.places_order("A-1", {"milk": 2, "bread": 1}, code="K7P3XQ2M")
    await store.books.ledger.submit(lambda connection: connection.execute(lie))
    look(watch, store)
    assert violations


async def test_p5_a_promise_of_what_is_not_there_is_caught(store: StoreKit) -> None:
    violations: list[str] = []
    watch = StockWatch(lambda: UnitBooks(lambda _order: ORDERED), violations.append, safety_milli=1000)
    await store.receives("milk", 2)
    await store.receives("bread", 1)
    await store.hub.places_order("A-1", {"milk": 2, "bread": 1}, code="K7P3XQ2M")  # this store keeps nothing back
    look(watch, store)
    assert len([each for each in violations if each.startswith("P5")]) == 2


async def test_p4_a_sale_of_what_was_promised_without_a_word_to_anybody_is_caught(store: StoreKit) -> None:
    watch, violations = await watched(store)
    await store.hub.places_order("A-1", {"milk": 2, "bread": 1}, code="K7P3XQ2M")
    look(watch, store)
    await store.till().sends(1, {"sku": "milk", "quantity_milli": 1000, "amount_minor": 99})
    honest = StockWatch(lambda: UnitBooks(lambda _order: ORDERED), violations.append)
    look(honest, store)
    assert violations == []
    await store.books.ledger.submit(_forget_exceptions)
    look(watch, store)
    assert len(violations) == 1
    assert "promised to ['A-1']" in violations[0]


def _forget_exceptions(connection: Connection) -> None:
    connection.execute("DELETE FROM fact WHERE fact_key LIKE 'available-below-zero%'")


def look(watch: StockWatch, store: StoreKit) -> None:
    assert store.books.ledger_reader.execute(LEDGER.stock, ("milk",)).fetchone() is not None
    watch.committed(store.books.ledger_reader)


# --- when the day is over ------------------------------------------------------------------------------------------


def entries(*steps: tuple[str, str, Mapping[str, object]]) -> tuple[LedgerEntry, ...]:
    """Steps of A-1, or exceptions about it: what, the state after it, and other fields."""
    made = []
    for sequence, (what, state, fields) in enumerate(steps, start=1):
        fact = {"kind": "exception", "reason": what, "about": "A-1", "detail": ""} if state == "" else {
            "kind": "pickup", "order_id": "A-1", "step": what, "state": state, **fields}
        made.append(LedgerEntry(sequence, f"{what}/{sequence}", str(fact["kind"]), 1_000_000 * sequence, "2026-11-22",
                                msgspec.json.encode(fact), ""))
    return tuple(made)


ACCEPTED, READY = ("accept", "accepted", {}), ("ready", "ready", {})
GIVEN = ("hand_over", "handed_over", {"lines": [{"line": 1, "quantity_milli": 2000}]})
REFUNDED = ("late-cancel", "", {})


def seen(*steps: tuple[str, str, Mapping[str, object]], state: str, hub_state: str | None = None,
         undisturbed: bool = True) -> OrdersSeen:
    books = BooksSeen("0042", 1, entries(*steps))
    return OrdersSeen(books, books, {"A-1": state}, {"A-1": hub_state or state}, frozenset(), undisturbed)


def an_order(**fields: object) -> OrderRecord:
    record = OrderRecord()
    order = KnownOrder("A-1", (OrderedLine(1, "milk", 2000, 100),), 0)
    record.placed(replace(order, **fields))  # type: ignore[arg-type]
    return record


def gave_away(record: OrderRecord, milli: int = 2000) -> OrderRecord:
    order = record.orders["A-1"]
    order.hand_overs.append("hand_over/3")
    order.handed_milli.update({1: milli})
    return record


def test_p6_goods_that_left_and_a_refund_for_a_late_cancel_are_fine():
    assert physical_facts_win(gave_away(an_order()), seen(ACCEPTED, READY, GIVEN, state="handed_over")).violations == ()
    late = gave_away(an_order(cancelled=True))
    assert physical_facts_win(late, seen(ACCEPTED, READY, GIVEN, REFUNDED, state="handed_over")).violations == ()


@pytest.mark.parametrize(("record", "found", "says"), [
    (gave_away(an_order(cancelled=True)), seen(ACCEPTED, GIVEN, ("cancel", "cancelled", {}), REFUNDED,
                                               state="cancelled"), "goods had left, and cancel made it cancelled"),
    (gave_away(an_order(cancelled=True)), seen(ACCEPTED, GIVEN, state="handed_over"), "nobody is asked to refund"),
    (gave_away(an_order()), seen(ACCEPTED, GIVEN, REFUNDED, state="handed_over"), "nothing that left was cancelled"),
    (gave_away(an_order()), seen(ACCEPTED, READY, state="ready"), "the crew gave goods away, and it is ready"),
    (gave_away(an_order(), 1000), seen(ACCEPTED, GIVEN, state="handed_over"), "the crew gave away {1: 1000}"),
    (gave_away(an_order(), 4000), seen(ACCEPTED, GIVEN, GIVEN, state="handed_over"), "4000 of line 1 left the store"),
    (an_order(cancelled=True), seen(ACCEPTED, state="accepted"), "it was cancelled, and is accepted"),
    (an_order(), seen(ACCEPTED, state="accepted", hub_state="ready"), "is accepted in the store, ready at the hub"),
    (an_order(), seen(state="placed"), "never answered"),
], ids=["undone", "no refund", "for nothing", "forgotten", "less", "twice", "not heard", "two stories", "mute"])
def test_p6_a_store_that_undoes_or_forgets_what_happened_is_caught(record, found, says):
    violations = physical_facts_win(record, found).violations
    assert any(says in each for each in violations), violations


def ms(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=ZONE).astimezone(UTC).timestamp() * 1000)


def test_an_order_waits_as_long_as_its_hold_and_no_longer():
    told = KnownOrder("A-1", (), ms("2026-01-05T23:55:00"), notified_ms=ms("2026-01-05T23:56:00"))
    assert HOLDS.ends_ms(told, told=True) == ms("2026-01-06T00:06:00")
    assert HOLDS.ends_ms(told, told=False) == ms("2026-01-06T00:25:00")
    shut = replace(HOLDS, closed_days=frozenset({date(2026, 1, 6)}))
    assert shut.ends_ms(told, told=True) == ms("2026-01-07T00:06:00")


@pytest.mark.parametrize(("expired_ms", "state", "now_ms", "broken"), [
    (1_800_000, "expired", 2_000_000, False), (1_700_000, "expired", 2_000_000, True),
    (None, "ready", 1_900_000, False), (None, "ready", 2_000_000, True)],
    ids=["in time", "early", "about now", "for ever"])
def test_an_order_that_ends_early_or_never_is_caught(expired_ms, state, now_ms, broken):
    steps = () if expired_ms is None else (("expire", "expired", {}),)
    found = seen(*steps, state=state)
    if expired_ms is not None:
        found = replace(found, store=BooksSeen("0042", 1, tuple(
            replace(entry, occurred_ms=expired_ms) for entry in found.store.entries)))
    finding = nobody_waits_too_long(an_order(), found, HOLDS, now_ms, clock_right=True, revisions_hold=True)
    assert bool(finding.violations) is broken


def hears(*events: tuple[str, str]) -> OrderRecord:
    record = an_order()
    for number, (type_, state) in enumerate(events):
        record.heard(HeardEvent(str(number), type_, "A-1", EventData("0042", "A-1", state)))
    return record


EVENTS = ((PLACED, "placed"), ("trastienda.order.accepted", "accepted"), ("trastienda.order.ready", "ready"),
          ("trastienda.order.handed_over", "handed_over"))


def test_a_shop_that_heard_everything_in_order_is_content():
    found = seen(ACCEPTED, READY, GIVEN, state="handed_over")
    assert shops_were_told(hears(*EVENTS), found).violations == ()
    again = hears(*EVENTS)
    assert not again.heard(next(iter(again.events.values())))
    assert shops_were_told(again, found).violations == ()


@pytest.mark.parametrize("events", [EVENTS[:3], EVENTS[1:], (*EVENTS[:2], EVENTS[3], EVENTS[2]),
                                    (*EVENTS, (REFUND, ""))],
                         ids=["not the last", "not the first", "overtaken", "a refund that nobody asked for"])
def test_a_shop_that_heard_something_else_is_noticed(events):
    assert shops_were_told(hears(*events), seen(ACCEPTED, READY, GIVEN, state="handed_over")).violations


def test_after_a_restore_a_shop_must_at_least_know_how_it_ended():
    twice = (*EVENTS[:3], EVENTS[1], EVENTS[2], EVENTS[3])
    found = seen(ACCEPTED, READY, GIVEN, state="handed_over", undisturbed=False)
    assert shops_were_told(hears(*twice), found).violations == ()
    assert shops_were_told(hears(*EVENTS[:3]), found).violations


def test_an_unwanted_line_is_one_that_its_customer_gave_up():
    order = an_order(cancelled_lines={1}, answers={3: False}).orders["A-1"]
    assert [order.is_unwanted(line, replaces) for line, replaces in ((1, None), (2, 1), (3, None), (4, None))] == [
        True, True, True, False]


# --- every unit is somewhere ---------------------------------------------------------------------------------------


def sold(kind: str = "sale", milli: int = 2000, **fields: object) -> Mapping[str, object]:
    line = {"kind": kind, "quantity_milli": milli, "amount_minor": 99, "sku": "milk", "code": "4006381333931", **fields}
    return {"kind": "transaction", "type": kind, "total_minor": 99, "lines": [line]}


COUNTED = {"kind": "count", "lines": [{"sku": "milk", "counted_milli": 7000, "expected_milli": 10_000}]}
CAME = {"kind": "movement", "moves": [{"sku": "milk", "sellable_milli": 10_000}]}


def goods(there: Buckets, *facts: tuple[str, Mapping[str, object], int], clocks_right: bool = True) -> Finding:
    """A delivery of ten, then facts with their times; `there` is what store and hub say in the end."""
    told = [("movement/d-1", CAME, 0), *facts]
    made = tuple(LedgerEntry(number, key, str(fact["kind"]), at_ms, "2026-11-22", msgspec.json.encode(fact), "")
                 for number, (key, fact, at_ms) in enumerate(told, start=1))
    books, tills = BooksSeen("0042", 1, made, {"milk": there}), TillRecord()
    for key, fact, _ in facts:
        if fact["kind"] == "transaction":
            sale = TillTransaction("1", "2026-11-22", int(key[-1]))
            lines = [SentLine("4006381333931", fact["lines"][0]["quantity_milli"], 99)]  # type: ignore[index]
            tills.answered(tills.sent(sale, str(fact["type"]), lines), 201, None)
    return all_goods_are_there(tills, {"d-1": {"milk": 10_000}}, {"4006381333931": "milk"}, books, books,
                               clocks_right=clocks_right)


def key_of(sequence: int) -> str:
    return TillTransaction("1", "2026-11-22", sequence).fact_key


@pytest.mark.parametrize(("there", "facts", "caught"), [
    (Buckets(8000, 0, 0, 0), [(key_of(1), sold(), 5)], False),
    (Buckets(4000, 3000, 1000, 0), [(key_of(1), sold(), 5)], False),
    (Buckets(6000, 0, 0, 0), [(key_of(1), sold(), 5)], True),
    (Buckets(10_000, 0, 0, 2000), [(key_of(1), sold("return"), 5)], False),
    (Buckets(12_000, 0, 0, 0), [(key_of(1), sold("return"), 5)], True),
    (Buckets(10_000, 0, 0, 0), [(key_of(1), sold(sku="", flags=["unknown-item"]), 5)], False),
    (Buckets(7000, 0, 0, 0), [("count/1", COUNTED, 900_000), (key_of(1), sold(), 500_000)], False),
    (Buckets(5000, 0, 0, 0), [("count/1", COUNTED, 900_000), (key_of(1), sold(), 500_000)], True),
    (Buckets(5000, 0, 0, 0), [("count/1", COUNTED, 500_000), (key_of(1), sold(), 900_000)], False),
    (Buckets(7000, 0, 0, 0), [("count/1", COUNTED, 500_000), (key_of(1), sold(), 900_000)], True),
    (Buckets(7000, 0, 0, 0), [("count/1", COUNTED, 500_000), (key_of(1), sold(), 499_000)], False)],
    ids=["sold", "kept for orders", "sold twice", "came back", "sold again at once", "told to people", "older",
         "older, taken off again", "later", "later, not taken off", "about then"])
def test_p2_a_unit_that_is_nowhere_or_twice_is_caught(there, facts, caught):
    assert bool(goods(there, *facts).violations) is caught


def test_nobody_can_say_what_a_count_found_when_clocks_were_wrong():
    facts = [("count/1", COUNTED, 900_000), (key_of(1), sold(), 500_000)]
    assert goods(Buckets(5000, 0, 0, 0), *facts, clocks_right=False).violations == ()
