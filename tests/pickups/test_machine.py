"""The whole way of an order in the store: what does not come, what comes instead, who comes when, what goes back."""

from typing import Any

import msgspec
import pytest

from cloud_sync.contract.documents import Order, OrderLine, SubstituteAnswer
from cloud_sync.contract.facts import PickupStep, StepLine, StockMove, decode_fact, encode_fact
from cloud_sync.contract.feeds import Feed
from cloud_sync.contract.pickup import HubStep, PickupState, ShortReason, Step
from cloud_sync.contract.pickup_order import Answer, Line
from edge.errors import Rejected
from edge.pickups.desk import StepRequest
from edge.pickups.past import take_past_step
from edge.pickups.rows import Pickup
from edge.pos.access import Role
from tests.store_kit import StoreKit

CODE = "K7P3XQ2M"
DAY_S = 86_400


async def ordered(store: StoreKit, milk: int = 2, bread: int = 1, until: Step | None = None) -> None:
    """Milk, which may be substituted, and bread, which may not; brought so far."""
    for sku, pieces in (("milk", milk), ("bread", bread), ("beans", 5)):
        await store.receives(sku, pieces)
    lines = (OrderLine(1, "milk", milk * 1000, 100, may_substitute=True), OrderLine(2, "bread", bread * 1000, 200))
    store.hub._orders["A-1"] = Order("A-1", 1, store.clock.wall_ms(), lines, "EUR", pickup_code=CODE)
    await store.hub.sends(Feed.ORDERS, {"A-1": store.hub._orders["A-1"]})
    for step in (Step.PICK, Step.STAGE, Step.READY):
        if until is None:
            return
        await store.takes_step("A-1", step)
        if step is until:
            return


async def takes(store: StoreKit, step: Step, **fields: Any) -> Pickup:
    return await store.pickups.take_step(StepRequest("A-1", store.new_id("step"), step, "luis", **fields))


def state(store: StoreKit) -> PickupState:
    found = store.pickups.find("A-1")
    assert found is not None
    return found.row.state


def last_step(store: StoreKit) -> PickupStep:
    return next(fact for entry in reversed(store.entries())
                if isinstance(fact := decode_fact(entry.payload), PickupStep))


@pytest.mark.parametrize(("reason", "after"), [
    (ShortReason.MISMATCH, (3, 0, 0, 0)), (ShortReason.NOT_IN_STOCK, (0, 0, 0, 0)),
    (ShortReason.DAMAGED, (3, 0, 0, 2)), (ShortReason.NO_VARIANCE, (5, 0, 0, 0))])
async def test_goods_that_do_not_come_say_why_and_the_stock_follows(
        store: StoreKit, reason: ShortReason, after: tuple[int, int, int, int]) -> None:
    await store.receives("milk", 3)
    await ordered(store)
    with pytest.raises(Rejected, match="need a reason"):
        await takes(store, Step.SHORT, line=1)
    await takes(store, Step.SHORT, line=1, short_reason=reason)
    assert store.stock("milk") == after
    for step in (Step.PICK, Step.STAGE, Step.READY):
        await takes(store, step)
    await takes(store, Step.HAND_OVER, code=CODE)
    assert (state(store), store.stock("bread")) == (PickupState.HANDED_OVER, (0, 0, 0, 0))


async def test_an_order_of_which_nothing_comes_is_rejected(store: StoreKit) -> None:
    await ordered(store)
    await takes(store, Step.SHORT, short_reason=ShortReason.MISMATCH)
    assert (state(store), store.stock("milk"), store.stock("bread")) == (
        PickupState.REJECTED, (0, 0, 0, 0), (0, 0, 0, 0))


async def offers_beans(store: StoreKit) -> None:
    await ordered(store)
    await takes(store, Step.OFFER, line=1, short_reason=ShortReason.MISMATCH, substitute=Line(0, "beans", 2000, 90))
    assert (state(store), store.stock("beans")) == (PickupState.AWAITING_SUBSTITUTION, (3, 2, 0, 0))


@pytest.mark.parametrize(("accepted", "beans", "then"), [
    (True, (3, 2, 0, 0), Answer.ACCEPTED), (False, (5, 0, 0, 0), Answer.DECLINED)])
async def test_the_customer_answers_about_a_substitute(
        store: StoreKit, accepted: bool, beans: tuple[int, int, int, int], then: Answer) -> None:
    await offers_beans(store)
    with pytest.raises(Rejected, match="has not answered about line 3"):
        await takes(store, Step.PICK, quantities=((3, 2000),))
    await store.hub.changes_order("A-1", answers=(SubstituteAnswer(3, accepted),))
    found = store.pickups.find("A-1")
    assert found is not None
    assert (found.row.state, found.lines[2].answer, store.stock("beans")) == (PickupState.ACCEPTED, then, beans)
    await store.hub.changes_order("A-1", notified_ms=5)          # the same answer again
    await takes(store, Step.PICK)
    assert store.stock("beans") == ((3, 0, 2, 0) if accepted else beans)


@pytest.mark.parametrize("silence_means", [True, False])
async def test_a_customer_who_does_not_answer_in_time_is_answered_for(store: StoreKit, silence_means: bool) -> None:
    await store.hub.sets_policy(answer_wait_s=600, substitute_unanswered=silence_means)
    await offers_beans(store)
    await store.time_passes(540)
    assert state(store) is PickupState.AWAITING_SUBSTITUTION
    await store.time_passes(120)
    assert (state(store), store.stock("beans")) == (
        PickupState.ACCEPTED, (3, 2, 0, 0) if silence_means else (5, 0, 0, 0))
    await store.hub.changes_order("A-1", answers=(SubstituteAnswer(3, not silence_means),))      # too late
    assert store.stock("beans") == ((3, 2, 0, 0) if silence_means else (5, 0, 0, 0))


async def test_p5_a_substitute_is_promised_once(store: StoreKit) -> None:
    await ordered(store)
    await store.hub.places_order("A-2", {"beans": 5})
    with pytest.raises(Rejected, match="not available: beans"):
        await takes(store, Step.OFFER, line=1, short_reason=ShortReason.MISMATCH,
                    substitute=Line(0, "beans", 2000, 90))
    assert store.stock("milk") == (0, 2, 0, 0)


async def test_part_of_an_order_is_handed_over_and_the_rest_later(store: StoreKit) -> None:
    await ordered(store, until=Step.READY)
    await takes(store, Step.HAND_OVER, code=CODE, quantities=((1, 1000), (2, 1000)))
    assert (state(store), store.stock("milk"), store.stock("bread")) == (
        PickupState.PARTIALLY_HANDED_OVER, (0, 0, 1, 0), (0, 0, 0, 0))
    assert store.pickups.order_with_code(CODE) == "A-1"
    with pytest.raises(Rejected, match="less than that"):
        await takes(store, Step.HAND_OVER, code=CODE, quantities=((1, 2000),))
    await takes(store, Step.HAND_OVER, code=CODE)
    assert (state(store), store.stock("milk"), store.exceptions()) == (PickupState.HANDED_OVER, (0, 0, 0, 0), [])


async def test_what_a_customer_refuses_goes_back(store: StoreKit) -> None:
    await ordered(store, until=Step.READY)
    await takes(store, Step.HAND_OVER, code=CODE, quantities=((1, 2000),))
    await takes(store, Step.REFUSE, line=2)
    assert (state(store), store.stock("bread")) == (PickupState.HANDED_OVER, (0, 0, 1, 0))
    assert [pickup.row.order_id for pickup in store.pickups.open()] == ["A-1"]
    await takes(store, Step.PUT_BACK, short_reason=ShortReason.DAMAGED)
    assert (store.stock("bread"), store.pickups.open()) == ((0, 0, 0, 1), [])


async def test_one_line_is_cancelled_and_the_others_go_on(store: StoreKit) -> None:
    await ordered(store)
    await store.hub.changes_order("A-1", cancel_lines=(1,))
    await store.hub.changes_order("A-1", notified_ms=9)
    assert (state(store), store.stock("milk"), store.stock("bread")) == (
        PickupState.ACCEPTED, (2, 0, 0, 0), (0, 1, 0, 0))
    for step in (Step.PICK, Step.STAGE, Step.READY):
        await takes(store, step)
    await takes(store, Step.HAND_OVER, code=CODE)
    assert (state(store), store.stock("milk"), store.exceptions()) == (PickupState.HANDED_OVER, (2, 0, 0, 0), [])


async def test_the_hold_begins_when_the_customer_was_told(store: StoreKit) -> None:
    await store.hub.sets_policy(hold_s=3600, hold_max_s=3 * 3600)
    await ordered(store, until=Step.READY)
    await store.time_passes(2 * 3600)
    assert state(store) is PickupState.READY
    await store.hub.changes_order("A-1", notified_ms=store.clock.wall_ms())
    await store.time_passes(3600 - 120)
    assert state(store) is PickupState.READY
    await store.time_passes(240)
    assert (state(store), store.stock("milk"), last_step(store).actor) == (PickupState.EXPIRED, (0, 0, 2, 0), "clock")
    await takes(store, Step.PUT_BACK)
    assert (state(store), store.stock("milk")) == (PickupState.EXPIRED, (2, 0, 0, 0))


async def test_a_customer_who_was_never_told_is_waited_for_until_hold_max(store: StoreKit) -> None:
    await store.hub.sets_policy(hold_s=600, hold_max_s=3600)
    await ordered(store)
    await store.time_passes(3500)
    assert state(store) is PickupState.ACCEPTED
    await store.time_passes(200)
    assert (state(store), store.stock("milk")) == (PickupState.EXPIRED, (2, 0, 0, 0))


async def test_a_clock_that_is_not_believed_ends_no_order(store: StoreKit) -> None:
    await ordered(store)
    store.clock.put_wrong(30 * DAY_S * 1000)
    await store.time_passes(3600)
    assert state(store) is PickupState.ACCEPTED


async def test_p6_goods_of_an_expired_order_that_leave_after_all_are_charged_again(store: StoreKit) -> None:
    await store.hub.sets_policy(hold_s=600, hold_max_s=600)
    await ordered(store, until=Step.READY)
    await store.time_passes(700)
    await takes(store, Step.HAND_OVER, code=CODE)
    assert (state(store), store.exceptions()) == (PickupState.HANDED_OVER, ["left-after-end"])


async def test_p5_goods_that_leave_from_the_shelf_say_whose_promise_they_break(store: StoreKit) -> None:
    """Put back, promised to the next one, and given to the first one after all."""
    await ordered(store, until=Step.READY)
    await store.hub.changes_order("A-1", cancel_requested=True)
    await takes(store, Step.PUT_BACK)
    await store.hub.places_order("A-2", {"milk": 2})
    await takes(store, Step.HAND_OVER, code=CODE)
    assert store.stock("milk") == (-2, 2, 0, 0)
    assert "available-below-zero" in store.exceptions()
    assert any(b"A-2" in bytes(entry.payload) for entry in store.entries() if entry.kind == "exception")


async def test_a_customer_outside_says_where_and_a_no_show_is_taken_back(store: StoreKit) -> None:
    await ordered(store, until=Step.READY)
    await takes(store, Step.NO_SHOW)
    assert state(store) is PickupState.NO_SHOW
    await store.hub.changes_order("A-1", arrived_ms=store.clock.wall_ms(), bay="3")
    assert (state(store), last_step(store).state) == (PickupState.READY, "ready")
    async with store.caller(Role.STAFF, "luis") as client:
        shown = (await client.get("/v1/pickups/A-1")).json()
    assert (shown["bay"], shown["state"]) == ("3", "ready")
    with pytest.raises(Rejected, match="the customer is here"):
        await takes(store, Step.NO_SHOW)
    await takes(store, Step.HAND_OVER, code=CODE)
    assert (state(store), store.exceptions()) == (PickupState.HANDED_OVER, [])


async def test_another_store_takes_the_order_and_this_one_puts_it_back(store: StoreKit) -> None:
    await ordered(store, until=Step.PICK)
    await store.hub.changes_order("A-1", reassigned=True)
    assert state(store) is PickupState.REASSIGNED
    await takes(store, Step.PUT_BACK)
    assert (state(store), store.stock("milk"), store.stock("bread")) == (
        PickupState.REASSIGNED, (2, 0, 0, 0), (1, 0, 0, 0))


async def test_p9_an_order_that_went_elsewhere_comes_back_with_what_was_put_aside(store: StoreKit) -> None:
    """Nothing was free at once, so its step moved nothing: it must not read as one that put everything back."""
    await ordered(store, until=Step.READY)
    await store.hub.changes_order("A-1", reassigned=True)
    steps = [(entry, fact) for entry in store.entries() if isinstance(fact := decode_fact(entry.payload), PickupStep)]

    def forget_and_hear_again(connection: Any) -> None:
        for table in ("pickup", "pickup_line"):
            connection.execute(f"DELETE FROM {table}")
        for entry, fact in steps:
            take_past_step(connection, fact, (1, entry.sequence), entry.occurred_ms)
    await store.store.record(forget_and_hear_again)
    await store.hub.sends_again(0)
    await store.hub.changes_order("A-1")
    found = store.pickups.find("A-1")
    assert found is not None
    assert (found.row.state, [line.staged_milli for line in found.lines]) == (PickupState.REASSIGNED, [2000, 1000])
    await takes(store, Step.PUT_BACK)
    assert (store.stock("milk"), store.stock("bread")) == ((2, 0, 0, 0), (1, 0, 0, 0))


async def test_p6_a_hub_that_was_restored_is_heard_although_it_counts_revisions_anew(store: StoreKit) -> None:
    """It lost the word that its customer was told, so that her cancelling has a number that was heard before."""
    await ordered(store)
    await store.hub.changes_order("A-1", notified_ms=store.clock.wall_ms())
    restored = msgspec.structs.replace(store.hub._orders["A-1"], revision=1, notified_ms=None)
    await store.hub.sends(Feed.ORDERS, {"A-1": restored})
    await store.hub.sends(Feed.ORDERS, {"A-1": msgspec.structs.replace(restored, revision=2, cancel_requested=True)})
    assert (state(store), store.stock("milk")) == (PickupState.CANCELLED, (2, 0, 0, 0))
    with pytest.raises(Rejected, match="has changed: look at it again"):
        await takes(store, Step.STAGE, expected_rev=1)


async def test_who_asks_by_an_old_revision_is_told_but_never_about_goods_that_moved(store: StoreKit) -> None:
    await ordered(store)
    await takes(store, Step.PICK, expected_rev=7)
    with pytest.raises(Rejected, match="has changed: look at it again"):
        await takes(store, Step.STAGE, expected_rev=7)
    await takes(store, Step.STAGE, expected_rev=1)
    assert state(store) is PickupState.STAGED


async def test_the_api_takes_a_short_pick_and_an_offer(store: StoreKit) -> None:
    await ordered(store)
    async with store.caller(Role.STAFF, "luis") as client:
        answer = await client.post("/v1/pickups/A-1/steps", json={
            "transition_id": "t-1", "step": "offer", "line": 1, "short_reason": "damaged",
            "substitute": {"sku": "beans", "quantity_milli": 1000, "price_minor": 80}})
        again = await client.post("/v1/pickups/A-1/steps", json={
            "transition_id": "t-1", "step": "offer", "line": 1, "short_reason": "damaged",
            "substitute": {"sku": "beans", "quantity_milli": 1000, "price_minor": 80}})
    assert (answer.status_code, again.json()) == (200, answer.json())
    line = answer.json()["lines"][2]
    assert (line["sku"], line["replaces"], line["answer"]) == ("beans", 1, "offered")
    assert (store.stock("milk"), store.stock("beans")) == ((0, 0, 0, 2), (4, 1, 0, 0))


async def test_p2_facts_of_earlier_versions_still_say_what_became_of_an_order(store: StoreKit) -> None:
    """They name no lines: a pick took whole lines, a cancel put everything back at once."""
    await store.receives("milk", 2)
    await store.hub.places_order("A-1", {"milk": 2})
    moves = (StockMove("milk", 0, -2000, 2000),)
    old = encode_fact(PickupStep("A-1", "t-1", "pick", "picking", 1, "luis", moves))
    assert b"lines" not in old
    for place, fact in ((9, decode_fact(old)), (10, PickupStep("A-1", "t-2", "cancel", "cancelled", 1, "hub"))):
        assert isinstance(fact, PickupStep)
        await store.store.record(lambda c, fact=fact, place=place: take_past_step(c, fact, (1, place), 5))  # type: ignore[misc]
        found = store.pickups.find("A-1")
        assert found is not None
        expected = (PickupState.PICKING, 0, 2000) if place == 9 else (PickupState.CANCELLED, 0, 0)
        assert (found.row.state, found.lines[0].reserved_milli, found.lines[0].staged_milli) == expected


@pytest.mark.parametrize(("ends", "stands"), [
    ((Step.EXPIRE,), PickupState.EXPIRED), ((Step.NO_SHOW,), PickupState.NO_SHOW),
    ((Step.REJECT,), PickupState.REJECTED), ((Step.CANCEL,), PickupState.CANCELLED),
    ((Step.REFUSE, Step.PUT_BACK), PickupState.REFUSED), ((HubStep.REASSIGN,), PickupState.REASSIGNED)])
async def test_p9_an_order_that_had_ended_ends_again_after_a_restored_box_took_it_further(
        store: StoreKit, ends: tuple[Step | HubStep, ...], stands: PickupState) -> None:
    """A box that was restored stages an order before it hears that the order had ended in its first life."""
    await ordered(store, until=Step.STAGE)
    for sequence, end in enumerate(ends, start=1):
        reassigned = end is HubStep.REASSIGN
        lines = (StepLine(1, 2000), StepLine(2, 1000)) if end in {Step.CANCEL, Step.REFUSE, Step.PUT_BACK} else ()
        past = PickupStep("A-1", f"before-{end}", Step.CANCEL if reassigned else end, stands, 1,
                          "hub" if reassigned else "luis", reason="reassigned" if reassigned else "", lines=lines)
        await store.store.record(lambda c, past=past, at=(0, sequence): take_past_step(c, past, at, 5))
    assert state(store) is PickupState.STAGED, "the later step says where an order is, here and at the hub"
    moved, facts = store.stock("milk"), len(store.entries())
    await store.time_passes(60)
    assert (state(store), store.stock("milk"), len(store.entries())) == (stands, moved, facts + 1)
    told = last_step(store)
    assert (told.state, told.moves) == (stands, ())
    await store.time_passes(60)
    assert len(store.entries()) == facts + 1


async def test_p9_steps_that_come_back_from_the_hub_make_the_same_order(store: StoreKit) -> None:
    """A restored box hears its own steps again, before or after the order itself."""
    await offers_beans(store)
    await store.hub.changes_order("A-1", answers=(SubstituteAnswer(3, True),))
    for step in (Step.PICK, Step.STAGE, Step.READY):
        await takes(store, step)
    await takes(store, Step.HAND_OVER, code=CODE, quantities=((3, 1000),))
    known = store.pickups.find("A-1")
    assert known is not None
    steps = [(entry, fact) for entry in store.entries()
             if isinstance(fact := decode_fact(entry.payload), PickupStep)]

    def forget_and_hear_again(connection: Any) -> None:
        for table in ("pickup", "pickup_line"):
            connection.execute(f"DELETE FROM {table}")
        for entry, fact in steps:
            take_past_step(connection, fact, (1, entry.sequence), entry.occurred_ms)
    await store.store.record(forget_and_hear_again)
    order = msgspec.structs.replace(store.hub._orders["A-1"], revision=9)
    await store.hub.sends(Feed.ORDERS, {"A-1": order})
    found = store.pickups.find("A-1")
    assert found is not None
    assert (found.row.state, found.row.progress) == (known.row.state, known.row.progress)
    assert [(line.line, line.reserved_milli, line.staged_milli, line.handed_milli, line.short_milli, line.answer)
            for line in found.lines] == [(line.line, line.reserved_milli, line.staged_milli, line.handed_milli,
                                          line.short_milli, line.answer) for line in known.lines]
    assert len([entry for entry in store.entries() if entry.kind == "pickup"]) == len(steps)
