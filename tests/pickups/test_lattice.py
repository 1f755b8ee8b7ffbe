"""Two steps that knew nothing of each other end alike, whichever is heard first (P6, P9): every pair, every order."""

from functools import cache
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cloud_sync.contract.pickup import FINAL, HubStep, PickupState, ShortReason, Step
from cloud_sync.contract.pickup_lattice import LATTICE, Settlement, settlement
from cloud_sync.contract.pickup_order import (
    Line,
    PickupOrder,
    Said,
    Taken,
    is_to_charge_again,
    refund_milli,
    said,
    state_of,
    taken,
)
from cloud_sync.contract.pickup_rules import complete, is_refused_by_revision, refusal
from tests.pickups.orders import BUCKETS, hub_words, left_the_store, moved, reachable, store_steps

ONE_LINE = PickupOrder("A-1", (Line(1, "milk", 2, 100, may_substitute=True),))
TWO_LINES = PickupOrder("A-2", (Line(1, "milk", 1, 100, may_substitute=True), Line(2, "bread", 1, 200)))
SMALL_ORDERS = [pytest.param(ONE_LINE, id="one line"), pytest.param(TWO_LINES, id="two lines")]
ORDERS_MAX = 60_000


def follow(order: PickupOrder, *steps: Taken | Said) -> PickupOrder:
    """The order after the steps; the store's ones must be allowed."""
    for step in steps:
        if isinstance(step, Said):
            order = said(order, step).order
        else:
            whole = complete(order, step)
            assert refusal(order, whole, {"milk": 9, "bread": 9, "other": 9}) == ""
            order = taken(order, whole).order
    return order


@cache
def every_order(first: PickupOrder) -> dict[PickupOrder, list[Taken]]:
    """All that can become of it and the store's next steps, found once."""
    return reachable(first, ORDERS_MAX)


@pytest.mark.timeout(600)  # tens of thousands of orders
@pytest.mark.parametrize("first", SMALL_ORDERS)
def test_p6_p9_every_pair_of_steps_ends_alike_in_both_orders_and_as_the_table_says(first: PickupOrder) -> None:
    tried: set[tuple[HubStep, Step]] = set()
    for order, steps in every_order(first).items():
        for step in steps:
            alone = taken(order, step)
            for word in hub_words(order):
                heard = said(order, word)
                store_first, hub_first = said(alone.order, word), taken(heard.order, step)
                assert store_first.order == hub_first.order, (order, step, word)
                assert moved({}, (*alone.moves, *store_first.moves)) == moved({}, (*heard.moves, *hub_first.moves)), (
                    order, step, word)
                check_settlement(order, step, word, hub_first.order)
                tried.add((word.step, step.step))
    answered_before = {(HubStep.ANSWER, step) for step in (Step.ACCEPT, Step.REJECT, Step.OFFER)}
    assert tried == {(word, step) for word in HubStep for step in Step} - answered_before


def test_p9_an_answer_and_another_offer_end_alike_in_both_orders() -> None:
    """What the small orders above never bring together: an answer needs an offer before it."""
    first = Line(11, "other", 1, 90, replaces=1)
    asked = follow(ONE_LINE, Taken(Step.ACCEPT), Taken(Step.OFFER, ((1, 1),), ShortReason.DAMAGED, first))
    again = Taken(Step.OFFER, ((1, 1),), ShortReason.MISMATCH, Line(12, "other", 1, 80, replaces=1))
    assert refusal(asked, again, {"other": 1}) == ""
    for accept in (True, False):
        answer = Said(HubStep.ANSWER, (11,), accept=accept)
        assert said(taken(asked, again).order, answer).order == taken(said(asked, answer).order, again).order


def check_settlement(order: PickupOrder, step: Taken, word: Said, both: PickupOrder) -> None:
    """`both`: the order after the two. What each side owns is as it alone left it; the table says which state holds."""
    store_alone, hub_alone = taken(order, step).order, said(order, word).order
    for after, mine in zip(both.lines, store_alone.lines, strict=True):
        assert (after.staged_milli, after.handed_milli, after.short_milli, after.refused) == (
            mine.staged_milli, mine.handed_milli, mine.short_milli, mine.refused)
    assert (both.notified_ms, both.arrived_ms, both.bay, both.reassigned) == (
        hub_alone.notified_ms, hub_alone.arrived_ms, hub_alone.bay, hub_alone.reassigned)
    stands = settlement(word.step, step.step)
    ended = state_of(store_alone) in FINAL and state_of(store_alone) is not state_of(order)
    if word.step is HubStep.ANSWER and stands is Settlement.STORE:
        assert both == store_alone
    elif stands is Settlement.STORE and ended:
        assert state_of(both) is state_of(store_alone), (order, step, word)
    elif stands is Settlement.HUB and word.step is HubStep.ARRIVE:
        assert state_of(both) is state_of(hub_alone), (order, step, word)
    elif stands is Settlement.HUB and ended:
        assert state_of(both) is state_of(store_alone), (order, step, word)
    elif stands is Settlement.HUB and state_of(hub_alone) in FINAL:
        assert state_of(both) is state_of(hub_alone), (order, step, word)


def test_the_table_names_every_pair() -> None:
    assert set(LATTICE) == set(HubStep)
    assert all(set(row) == set(Step) for row in LATTICE.values())


@pytest.mark.timeout(600)  # tens of thousands of orders
@pytest.mark.parametrize("first", SMALL_ORDERS)
def test_p5_p6_units_are_conserved_and_goods_that_left_have_left_from_every_order(first: PickupOrder) -> None:
    for order, steps in every_order(first).items():
        for step in steps:
            after = taken(order, step)
            for move in after.moves:
                total = sum(getattr(move, name) for name in BUCKETS)
                assert total == -left_the_store(order, step, move.sku), (order, step, move)
            check_handed_over(order, after.order)
            check_books(order, after.order, moved({}, after.moves))
        for word in hub_words(order):
            heard = said(order, word)
            assert all(sum(getattr(move, name) for name in BUCKETS) == 0 for move in heard.moves)
            check_books(order, heard.order, moved({}, heard.moves))
            check_handed_over(order, heard.order)
            assert said(heard.order, word) == type(heard)(heard.order, ()), "said again it changes nothing"


def check_handed_over(before: PickupOrder, after: PickupOrder) -> None:
    """No step takes back what a customer has (P6)."""
    handed = [sum(line.handed_milli for line in order.lines) for order in (before, after)]
    assert handed[1] >= handed[0]
    if handed[0]:
        assert state_of(after) in (PickupState.PARTIALLY_HANDED_OVER, PickupState.HANDED_OVER)


def check_books(before: PickupOrder, after: PickupOrder, moves: dict[str, tuple[int, int, int, int]]) -> None:
    """The buckets moved as the lines did, and no line holds less than nothing or more than was ordered."""
    for sku in {line.sku for line in after.lines}:
        reserved, staged = (sum(getattr(line, name) for line in after.lines if line.sku == sku)
                            - sum(getattr(line, name) for line in before.lines if line.sku == sku)
                            for name in ("reserved_milli", "staged_milli"))
        assert moves.get(sku, (0, 0, 0, 0))[1:3] == (reserved, staged)
    for line in after.lines:
        assert min(line.reserved_milli, line.staged_milli, line.handed_milli, line.short_milli) >= 0
        assert line.open_milli + line.handed_milli + line.short_milli <= line.ordered_milli


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_p5_p9_whole_histories_of_many_orders_converge_and_no_unit_is_promised_twice(data: st.DataObject) -> None:
    """Several customers want the last units. The store hears the hub's words late or never; a second book hears them
    at other moments, and both end with the same orders and the same stock."""
    pieces = data.draw(st.integers(2, 5))
    stock = dict.fromkeys(("milk", "bread", "other"), (pieces, 0, 0, 0))
    total, book = dict.fromkeys(stock, pieces), dict(stock)
    for number in range(data.draw(st.integers(1, 3))):
        first = data.draw(st.sampled_from([ONE_LINE, TWO_LINES]))
        order, history = PickupOrder(f"B-{number}", first.lines), []
        for _ in range(data.draw(st.integers(1, 14))):
            sellable = {sku: buckets[0] for sku, buckets in stock.items()}
            choices: list[Taken | Said] = [*store_steps(order, sellable), *hub_words(order)]
            step = data.draw(st.sampled_from(choices))
            applied = taken(order, step) if isinstance(step, Taken) else said(order, step)
            if isinstance(step, Taken):
                for sku in total:
                    total[sku] -= left_the_store(order, step, sku)
                if step.step in (Step.ACCEPT, Step.OFFER):
                    assert all(moved(stock, applied.moves).get(sku, (0,))[0] >= 0 for sku in stock)
            stock, order = {**dict.fromkeys(stock, (0, 0, 0, 0)), **moved(stock, applied.moves)}, applied.order
            assert {sku: sum(buckets) for sku, buckets in stock.items()} == total
            history.append(step)
        other = PickupOrder(f"B-{number}", first.lines)
        for step in shuffled(data, history):
            applied = taken(other, step) if isinstance(step, Taken) else said(other, step)
            other, book = applied.order, moved(book, applied.moves)
        assert other == order
    assert book == moved(stock, ())


def shuffled(data: st.DataObject, history: list[Taken | Said]) -> list[Taken | Said]:
    """The history as somebody else hears it: each side's steps in its own order, but what names a substitute after its
    offer: the hub cannot speak of a line that it never heard of."""
    steps = [each for each in history if isinstance(each, Taken)]
    words = [each for each in history if isinstance(each, Said)]
    heard: list[Taken | Said] = []
    while steps or words:
        answers_unheard = bool(words) and any(each.offer is not None and each.offer.line in words[0].lines
                                              for each in steps)
        from_store = bool(steps) and (not words or answers_unheard or data.draw(st.booleans()))
        heard.append(steps.pop(0) if from_store else words.pop(0))
    return heard


def test_p6_goods_handed_over_before_the_cancel_was_heard_are_a_refund() -> None:
    ready = follow(ONE_LINE, Taken(Step.ACCEPT), Taken(Step.PICK), Taken(Step.STAGE), Taken(Step.READY))
    late = follow(ready, Said(HubStep.REQUEST_CANCEL), Taken(Step.HAND_OVER))
    assert (state_of(late), refund_milli(late)) == (PickupState.HANDED_OVER, {1: 2})
    assert follow(ready, Taken(Step.HAND_OVER), Said(HubStep.REQUEST_CANCEL)) == late
    assert refund_milli(follow(ready, Taken(Step.HAND_OVER))) == {}


def test_p6_goods_that_went_with_an_expired_order_are_to_be_charged_again() -> None:
    ready = follow(ONE_LINE, Taken(Step.ACCEPT), Taken(Step.PICK), Taken(Step.STAGE), Taken(Step.READY))
    gone = follow(ready, Taken(Step.EXPIRE), Taken(Step.HAND_OVER))
    assert (state_of(gone), is_to_charge_again(gone)) == (PickupState.HANDED_OVER, True)
    assert not is_to_charge_again(follow(ready, Taken(Step.HAND_OVER)))


def test_a_customer_who_comes_after_all_takes_the_no_show_back_while_her_goods_are_there() -> None:
    missed = follow(ONE_LINE, Taken(Step.ACCEPT), Taken(Step.PICK), Taken(Step.STAGE), Taken(Step.READY),
                    Taken(Step.NO_SHOW))
    here = Said(HubStep.ARRIVE, at_ms=9, bay="2")
    assert state_of(missed) is PickupState.NO_SHOW
    assert state_of(follow(missed, here)) is PickupState.READY
    assert state_of(follow(missed, Taken(Step.PUT_BACK), here)) is PickupState.NO_SHOW


def test_part_of_an_order_is_handed_over_and_the_rest_refused_and_put_back() -> None:
    ready = follow(TWO_LINES, Taken(Step.ACCEPT), Taken(Step.PICK), Taken(Step.STAGE), Taken(Step.READY))
    part = follow(ready, Taken(Step.HAND_OVER, ((1, 1),)))
    assert state_of(part) is PickupState.PARTIALLY_HANDED_OVER
    rest = follow(part, Taken(Step.REFUSE, ((2, 1),)))
    assert state_of(rest) is PickupState.HANDED_OVER
    assert follow(rest, Taken(Step.PUT_BACK)).line(2).staged_milli == 0  # type: ignore[union-attr]


@pytest.mark.parametrize(("reason", "move"), [
    (ShortReason.MISMATCH, (0, -2, 0, 0)), (ShortReason.NOT_IN_STOCK, (-3, -2, 0, 0)),
    (ShortReason.DAMAGED, (0, -2, 0, 2)), (ShortReason.WORN_DISPLAY, (0, -2, 0, 2)),
    (ShortReason.NO_VARIANCE, (2, -2, 0, 0))])
def test_each_reason_of_a_short_pick_has_its_own_stock_effect(
        reason: ShortReason, move: tuple[int, int, int, int]) -> None:
    """HotWax's table, retail.md section 2.1."""
    accepted = follow(ONE_LINE, Taken(Step.ACCEPT))
    step = Taken(Step.SHORT, ((1, 2),), reason, written_off_milli=3 if reason is ShortReason.NOT_IN_STOCK else 0)
    after = taken(accepted, step)
    assert (moved({}, after.moves), state_of(after.order)) == ({"milk": move}, PickupState.REJECTED)


@pytest.mark.parametrize(("offer", "says"), [
    (Line(11, "other", 2, 101, replaces=1), "neither dearer"), (Line(11, "other", 3, 90, replaces=1), "neither dearer"),
    (Line(11, "other", 2, 90, replaces=2), "no substitute"), (Line(1, "other", 2, 90, replaces=1), "no substitute"),
    (Line(11, "none left", 2, 90, replaces=1), "not available")])
def test_a_substitute_is_never_dearer_never_more_and_there(offer: Line, says: str) -> None:
    accepted = follow(ONE_LINE, Taken(Step.ACCEPT))
    step = Taken(Step.OFFER, ((1, 2),), ShortReason.MISMATCH, offer)
    assert says in refusal(accepted, step, {"other": 5})


def test_nobody_gets_a_substitute_who_wants_none() -> None:
    accepted = follow(TWO_LINES, Taken(Step.ACCEPT))
    step = Taken(Step.OFFER, ((2, 1),), ShortReason.MISMATCH, Line(12, "other", 1, 100, replaces=2))
    assert "wants nothing else" in refusal(accepted, step, {"other": 5})


def test_only_what_is_no_physical_fact_is_refused_because_the_order_changed() -> None:
    assert {step for step in Step if is_refused_by_revision(step, 1, 2)} == set(Step) - {
        Step.PICK, Step.SHORT, Step.HAND_OVER, Step.REFUSE, Step.PUT_BACK}
    assert not any(is_refused_by_revision(step, None, 2) or is_refused_by_revision(step, 2, 2) for step in Step)


def test_an_answer_in_time_lets_the_picking_go_on() -> None:
    offer = Line(11, "other", 2, 90, replaces=1)
    waiting = follow(ONE_LINE, Taken(Step.ACCEPT), Taken(Step.OFFER, ((1, 2),), ShortReason.DAMAGED, offer))
    yes, no = (Said(HubStep.ANSWER, (11,), accept=accept) for accept in (True, False))
    assert state_of(waiting) is PickupState.AWAITING_SUBSTITUTION
    assert "has not answered" in refusal(waiting, Taken(Step.PICK, ((11, 2),)), {})
    states = [state_of(follow(waiting, *steps)) for steps in ((yes,), (yes, Taken(Step.PICK)), (no,), (no, yes))]
    assert states == [PickupState.ACCEPTED, PickupState.PICKING, PickupState.REJECTED, PickupState.REJECTED]
    assert [before is after for before, after in pairwise(states)] == [False, False, True]
