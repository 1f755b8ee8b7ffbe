"""What to do next at Vendure: decided from what it says of itself, so a deed that was done is never done again."""

from dataclasses import replace
from datetime import UTC, datetime

import msgspec
import pytest

from cloud_sync.connectors.told import Told, ToldLine
from cloud_sync.connectors.vendure import plan
from cloud_sync.connectors.vendure.plan import Case, next_deed
from cloud_sync.connectors.vendure.records import (
    Fulfillment,
    FulfillmentLine,
    LineVariant,
    Order,
    OrderLine,
    Payment,
    Refund,
)
from cloud_sync.contract.pickup import PickupState

LINKS = {1: "11", 2: "12"}


def line(id_: str, sku: str, quantity: int, price: int, placed: int | None = None) -> OrderLine:
    return OrderLine(id_, quantity, quantity if placed is None else placed, price, 10.0, LineVariant(f"v-{sku}", sku))


def order(*lines: OrderLine, state: str = "PaymentSettled", total: int = 837, paid: int = 837,
          refunds: tuple[Refund, ...] = (), fulfillments: tuple[Fulfillment, ...] = ()) -> Order:
    return Order("1", "ABC", state, False, datetime.now(UTC), "EUR", total, ("PaymentSettled", "Modifying"),
                 lines or (line("11", "milk", 3, 199), line("12", "bread", 2, 120)),
                 payments=(Payment("p1", paid, "Settled", refunds),), fulfillments=fulfillments)


def told(*lines: ToldLine, state: PickupState = PickupState.READY, settled: bool = True, ended: bool = False) -> Told:
    return Told(state, lines, settled, ended, state is PickupState.READY, ())


MILK, BREAD = ToldLine(1, "milk", 3, 0, 3, 199), ToldLine(2, "bread", 2, 0, 2, 120)
OAT = ToldLine(3, "oat", 1, 0, 1, 179, replaces=1)


def fulfilled(*units: tuple[str, int], state: str = "Delivered", code: str = "trastienda o1") -> Fulfillment:
    return Fulfillment("f1", state, code, tuple(FulfillmentLine(*each) for each in units))


def test_an_order_that_agrees_needs_nothing():
    assert next_deed(Case(order(), told(MILK, BREAD), LINKS)) is None


def test_what_is_missing_is_taken_off_only_when_the_picking_is_over():
    short = replace(BREAD, keep=1)
    assert next_deed(Case(order(), told(MILK, short, settled=False), LINKS)) is None
    assert next_deed(Case(order(), told(MILK, short), LINKS)) == plan.TakeOff((("12", 1),), all=False)


def test_what_was_paid_too_much_is_refunded_once_and_only_by_who_took_it_off():
    less = order(line("11", "milk", 3, 199), line("12", "bread", 1, 120, 2), total=717)
    now = told(MILK, replace(BREAD, keep=1))
    assert next_deed(Case(less, now, LINKS, cut=True)) == plan.Refund("p1", 120)
    assert next_deed(Case(less, now, LINKS, cut=False)) is None
    pending = msgspec.structs.replace(less, payments=(Payment("p1", 837, "Settled", (
        Refund("r1", 120, "Pending", plan.REASON),)),))
    assert next_deed(Case(pending, now, LINKS, cut=True)) is None, "pending is given back as far as we are concerned"
    assert next_deed(Case(pending, now, LINKS, cut=True, settle_refunds=True)) == plan.SettleRefund("r1")
    failed = msgspec.structs.replace(less, payments=(Payment("p1", 837, "Settled", (
        Refund("r1", 120, "Failed", plan.REASON),)),))
    assert next_deed(Case(failed, now, LINKS, cut=True)) == plan.Refund("p1", 120)


def test_a_substitute_is_one_exchange_and_a_resumed_one_goes_on_where_vendure_stands():
    now = told(replace(MILK, keep=2), BREAD, OAT)
    assert next_deed(Case(order(), now, LINKS)) == plan.BeginModifying()
    begun = order(state="Modifying")
    assert next_deed(Case(begun, now, LINKS, modifying=True)) == plan.Exchange(
        (("11", 1),), (plan.Substitute("oat", 1, 179),))
    lines = (line("11", "milk", 2, 199, 3), line("12", "bread", 2, 120), line("13", "oat", 1, 179, 0))
    assert next_deed(Case(order(*lines, state="Modifying", total=817), now, LINKS, modifying=True)) \
        == plan.EndModifying()
    refunded = order(*lines, total=817, refunds=(Refund("r1", 20, "Settled"),))
    assert next_deed(Case(refunded, now, LINKS, cut=True)) is None


def test_what_somebody_else_modifies_is_let_alone():
    assert isinstance(next_deed(Case(order(state="Modifying"), told(MILK, BREAD), LINKS)), plan.Wait)


def test_a_substitute_that_the_customer_ordered_too_joins_its_line():
    lines = (line("11", "milk", 3, 199), line("12", "oat", 2, 189))
    now = told(replace(MILK, keep=2), ToldLine(2, "oat", 2, 0, 2, 189), replace(OAT, line=3))
    deed = next_deed(Case(order(*lines, state="Modifying"), now, LINKS, modifying=True))
    assert deed == plan.Exchange((("11", 1),), (plan.Substitute("oat", 1, 179),))
    lines = (line("11", "milk", 2, 199, 3), line("12", "oat", 3, 189, 2))
    assert next_deed(Case(order(*lines, total=837), now, LINKS, cut=True)) is None


def test_goods_that_left_are_fulfilled_once_and_delivered():
    now = told(replace(MILK, handed=2), BREAD, state=PickupState.PARTIALLY_HANDED_OVER)
    assert next_deed(Case(order(), now, LINKS)) == plan.Fulfil((("11", 2),))
    pending = order(fulfillments=(fulfilled(("11", 2), state="Pending"),))
    assert next_deed(Case(pending, now, LINKS)) == plan.Deliver("f1")
    assert next_deed(Case(order(fulfillments=(fulfilled(("11", 2)),)), now, LINKS)) is None
    cancelled = order(fulfillments=(fulfilled(("11", 2), state="Cancelled"),))
    assert next_deed(Case(cancelled, now, LINKS)) == plan.Fulfil((("11", 2),))


def test_somebody_elses_fulfilment_is_let_alone_but_counts():
    now = told(replace(MILK, handed=3), replace(BREAD, handed=2), state=PickupState.HANDED_OVER, ended=True)
    theirs = order(fulfillments=(fulfilled(("11", 3), state="Pending", code="UPS 1"),))
    assert next_deed(Case(theirs, now, LINKS)) == plan.Fulfil((("12", 2),))


def test_taken_off_first_and_fulfilled_last():
    """Vendure counts a cancelled unit twice once another unit of its line was fulfilled."""
    now = told(replace(MILK, keep=2, handed=2), replace(BREAD, handed=2), state=PickupState.HANDED_OVER, ended=True)
    assert next_deed(Case(order(), now, LINKS)) == plan.TakeOff((("11", 1),), all=False)


def test_nothing_left_cancels_the_order_with_its_shipping():
    now = told(replace(MILK, keep=0), replace(BREAD, keep=0), state=PickupState.REJECTED, ended=True)
    assert next_deed(Case(order(), now, LINKS)) == plan.TakeOff((("11", 3), ("12", 2)), all=True)


def test_p6_what_was_cancelled_at_vendure_is_asked_of_the_store_and_not_of_one_that_has_ended():
    gone = order(line("11", "milk", 0, 199, 3), line("12", "bread", 0, 120, 2), state="Cancelled", total=0)
    assert next_deed(Case(gone, told(MILK, BREAD, settled=False), LINKS)) == plan.AskCancel()
    left = told(replace(MILK, handed=3), replace(BREAD, handed=2), state=PickupState.HANDED_OVER, ended=True)
    assert isinstance(next_deed(Case(gone, left, LINKS)), plan.Wait), "goods left: a person charges them"


def test_a_line_cancelled_at_vendure_is_cancelled_in_the_store_and_part_of_one_is_told_to_a_person():
    one_line = order(line("11", "milk", 3, 199), line("12", "bread", 0, 120, 2), total=597)
    assert next_deed(Case(one_line, told(MILK, BREAD, settled=False), LINKS)) == plan.AskCancel((2,))
    part = order(line("11", "milk", 3, 199), line("12", "bread", 1, 120, 2), total=717)
    assert isinstance(next_deed(Case(part, told(MILK, BREAD, settled=False), LINKS)), plan.Wait)


@pytest.mark.parametrize("keep", [0, 1])
def test_never_more_is_taken_off_than_is_unfulfilled(keep: int):
    done = order(line("11", "milk", 3, 199), fulfillments=(fulfilled(("11", 2), code="UPS 1"),))
    now = told(replace(MILK, keep=keep), state=PickupState.EXPIRED, ended=True)
    assert next_deed(Case(done, now, {1: "11"})) == plan.TakeOff((("11", 1),), all=False)
