"""Pickups: a unit is promised once (P5), goods that left have left (P6), people are sealed and forgotten (P11)."""

import random

import pytest

from cloud_sync.contract.documents import Order, OrderLine
from cloud_sync.contract.feeds import Feed
from cloud_sync.contract.pickup import FINAL, PickupState, Step
from edge.db.queries import LEDGER
from edge.errors import Rejected
from edge.pos.access import Role
from tests.store_kit import StoreKit, gtin_of

CODE, CUSTOMER = "K7P3XQ2M", "Marta Ruiz de Alarcon"


async def an_order(store: StoreKit, order_id: str = "A-1", pieces: int = 2, until: Step | None = None) -> None:
    """Milk is ordered, and brought so far."""
    await store.receives("milk", pieces)
    await store.hub.places_order(order_id, {"milk": pieces}, code=CODE, customer=CUSTOMER)
    for step in (Step.PICK, Step.STAGE, Step.READY):
        if until is None:
            return
        await store.takes_step(order_id, step)
        if step is until:
            return


def state_of(store: StoreKit, order_id: str = "A-1") -> PickupState:
    found = store.pickups.find(order_id)
    assert found is not None
    return found.row.state


async def test_the_books_and_the_contract_agree_when_an_order_is_over(store: StoreKit) -> None:
    await an_order(store)

    for state in PickupState:
        await store.books.ledger.submit(lambda connection, state=state: connection.execute(
            "UPDATE pickup SET state = ?", (state,)))
        (is_over,) = store.books.ledger_reader.execute("SELECT is_over FROM pickup").fetchone()
        assert is_over == (state in FINAL)


async def test_an_order_goes_from_shelf_to_customer_and_its_goods_with_it(store: StoreKit) -> None:
    await store.receives("milk", 5)
    await store.hub.places_order("A-1", {"milk": 2}, code=CODE)
    assert (state_of(store), store.stock("milk")) == (PickupState.ACCEPTED, (3, 2, 0, 0))
    await store.takes_step("A-1", Step.PICK)
    assert (state_of(store), store.stock("milk")) == (PickupState.PICKING, (3, 0, 2, 0))
    await store.takes_step("A-1", Step.STAGE)
    await store.takes_step("A-1", Step.READY)
    assert store.pickups.order_with_code("k7p3 xq2m") == "A-1"
    await store.takes_step("A-1", Step.HAND_OVER, code="k7p3 xq2m")
    assert (state_of(store), store.stock("milk")) == (PickupState.HANDED_OVER, (3, 0, 0, 0))
    kinds = [entry.kind for entry in store.entries()]
    assert kinds.count("pickup") == 5
    assert store.pickups.order_with_code(CODE) is None


async def test_p5_a_unit_is_promised_once_and_the_second_order_is_rejected(store: StoreKit) -> None:
    await store.receives("milk", 3)
    await store.hub.places_order("A-1", {"milk": 2})
    await store.hub.places_order("A-2", {"milk": 2})
    assert (state_of(store, "A-1"), state_of(store, "A-2")) == (PickupState.ACCEPTED, PickupState.REJECTED)
    assert store.stock("milk") == (1, 2, 0, 0)
    assert b"not available: milk" in bytes(store.entries()[-1].payload)


@pytest.mark.parametrize(("numbers", "reason"), [((1, 2), b"not available: milk"),
                                                 ((1, 1), b"two lines of one number")])
async def test_p5_two_lines_of_one_product_are_one_wish(
        store: StoreKit, numbers: tuple[int, int], reason: bytes) -> None:
    """And an order that makes no sense is rejected; it never stops the orders behind it."""
    await store.receives("milk", 3)
    lines = tuple(OrderLine(number, "milk", 2000, 100) for number in numbers)
    await store.hub.sends(Feed.ORDERS, {"A-1": Order("A-1", 1, 0, lines, "EUR")})
    assert (state_of(store), store.stock("milk")) == (PickupState.REJECTED, (3, 0, 0, 0))
    assert reason in bytes(store.entries()[-1].payload)


async def test_p5_safety_stock_is_promised_to_nobody(store: StoreKit) -> None:
    await store.hub.sets_policy(safety_stock_milli=2000)
    await store.receives("milk", 3)
    await store.hub.places_order("A-1", {"milk": 2})
    assert state_of(store) is PickupState.REJECTED
    await store.hub.places_order("A-2", {"milk": 1})
    assert state_of(store, "A-2") is PickupState.ACCEPTED


async def test_p5_no_order_of_many_takes_available_below_zero(store: StoreKit) -> None:
    chance = random.Random(5)
    await store.receives("milk", 20)
    await store.receives("bread", 20)
    for number in range(30):
        await store.hub.places_order(f"A-{number}", {"milk": chance.randint(1, 4), "bread": chance.randint(1, 4)})
        for sku in ("milk", "bread"):
            sellable, reserved, staged, _ = store.stock(sku)
            assert sellable >= 0
            assert sellable + reserved + staged == 20
    states = {state_of(store, f"A-{number}") for number in range(30)}
    assert states == {PickupState.ACCEPTED, PickupState.REJECTED}


@pytest.mark.parametrize("pieces", [0, -3])
async def test_p5_an_order_for_nothing_or_less_promises_nothing(store: StoreKit, pieces: int) -> None:
    await store.receives("milk", 3)
    await store.hub.places_order("A-1", {"milk": pieces})
    assert (state_of(store), store.stock("milk")) == (PickupState.REJECTED, (3, 0, 0, 0))


@pytest.mark.parametrize("until", [None, Step.PICK, Step.STAGE, Step.READY])
async def test_p6_a_cancel_before_the_hand_over_puts_everything_back(store: StoreKit, until: Step | None) -> None:
    """What was reserved is free at once; what was picked when somebody has carried it back."""
    await an_order(store, until=until)
    await store.hub.changes_order("A-1", cancel_requested=True)
    assert state_of(store) is PickupState.CANCELLED
    if until is not None:
        assert store.stock("milk") == (0, 0, 2, 0)
        assert [pickup.row.order_id for pickup in store.pickups.open()] == ["A-1"]
        await store.takes_step("A-1", Step.PUT_BACK)
    assert (state_of(store), store.stock("milk")) == (PickupState.CANCELLED, (2, 0, 0, 0))
    assert store.pickups.open() == []
    await store.hub.changes_order("A-1", notified_ms=5)          # the hub goes on talking about it
    assert (store.stock("milk"), store.exceptions()) == ((2, 0, 0, 0), [])


async def test_p6_a_cancel_after_the_hand_over_is_one_refund_to_make(store: StoreKit) -> None:
    await an_order(store, until=Step.READY)
    await store.takes_step("A-1", Step.HAND_OVER, code=CODE)
    for _ in range(3):
        await store.hub.changes_order("A-1", cancel_requested=True)
    assert (state_of(store), store.stock("milk")) == (PickupState.HANDED_OVER, (0, 0, 0, 0))
    assert store.exceptions() == ["late-cancel"]


@pytest.mark.parametrize("put_back", [False, True])
async def test_p6_goods_handed_over_after_a_cancel_have_left_all_the_same(store: StoreKit, put_back: bool) -> None:
    """The cancel arrived while the customer stood at the desk."""
    await an_order(store, until=Step.READY)
    await store.hub.changes_order("A-1", cancel_requested=True)
    if put_back:
        await store.takes_step("A-1", Step.PUT_BACK)
    assert store.stock("milk") == ((2, 0, 0, 0) if put_back else (0, 0, 2, 0))
    await store.takes_step("A-1", Step.HAND_OVER, code=CODE)
    assert (state_of(store), store.stock("milk")) == (PickupState.HANDED_OVER, (0, 0, 0, 0))
    assert store.exceptions() == ["late-cancel"]


async def test_p6_goods_that_were_put_aside_may_go_before_anybody_called_them_ready(store: StoreKit) -> None:
    await an_order(store, until=Step.STAGE)
    await store.takes_step("A-1", Step.HAND_OVER, code=CODE)
    assert (state_of(store), store.stock("milk")) == (PickupState.HANDED_OVER, (0, 0, 0, 0))


async def test_a_placed_order_that_is_cancelled_in_the_same_breath_never_reserves(store: StoreKit) -> None:
    await store.receives("milk", 3)
    lines = (OrderLine(1, "milk", 1000, 100),)
    await store.hub.sends(Feed.ORDERS, {"A-1": Order("A-1", 3, 0, lines, "EUR", cancel_requested=True)})
    assert (state_of(store), store.stock("milk")) == (PickupState.CANCELLED, (3, 0, 0, 0))


async def test_p2_a_repeated_step_changes_nothing(store: StoreKit) -> None:
    await an_order(store)
    for _ in range(3):
        await store.takes_step("A-1", Step.PICK, transition_id="tap-1")
    assert store.stock("milk") == (0, 0, 2, 0)
    await store.takes_step("A-1", Step.STAGE)
    await store.takes_step("A-1", Step.PICK, transition_id="tap-1")    # the answer was lost long ago
    assert state_of(store) is PickupState.STAGED


async def test_p2_an_id_belongs_to_one_step_of_one_order(store: StoreKit) -> None:
    await an_order(store, "A-1")
    await an_order(store, "A-2")
    await store.takes_step("A-1", Step.PICK, transition_id="tap-1")
    with pytest.raises(Rejected, match="mint another id"):
        await store.takes_step("A-2", Step.PICK, transition_id="tap-1")
    with pytest.raises(Rejected, match="mint another id"):
        await store.takes_step("A-1", Step.STAGE, transition_id="tap-1")
    assert (state_of(store, "A-1"), state_of(store, "A-2")) == (PickupState.PICKING, PickupState.ACCEPTED)


async def test_p2_the_same_orders_again_reserve_nothing_more(store: StoreKit) -> None:
    await an_order(store)
    await store.hub.sends_again(-1, -1)
    await store.restarts()
    await store.hub.sends_again(-1)
    assert store.stock("milk") == (0, 2, 0, 0)
    assert (await store.intake.hello()).cursors["orders"] == ("one", 1)


@pytest.mark.parametrize("step", [Step.ACCEPT, Step.REJECT, Step.CANCEL])
async def test_what_the_hub_decides_nobody_else_does(store: StoreKit, step: Step) -> None:
    """A cancel from a till would leave the goods reserved for ever."""
    await an_order(store)
    with pytest.raises(Rejected, match="for the hub to say"):
        await store.takes_step("A-1", step)
    assert (state_of(store), store.stock("milk")) == (PickupState.ACCEPTED, (0, 2, 0, 0))


async def test_nobody_can_take_the_id_of_a_step_that_follows_from_the_hubs_word(store: StoreKit) -> None:
    await an_order(store, "A-1")
    with pytest.raises(Rejected):
        await store.takes_step("A-1", Step.PICK, transition_id="hub:A-2/reserve")
    await an_order(store, "A-2")
    assert state_of(store, "A-2") is PickupState.ACCEPTED


@pytest.mark.parametrize(("until", "step"), [(None, Step.STAGE), (None, Step.READY), (None, Step.HAND_OVER),
                                             (Step.PICK, Step.HAND_OVER), (Step.STAGE, Step.PICK),
                                             (Step.READY, Step.STAGE)])
async def test_a_step_out_of_turn_is_told_and_changes_nothing(store: StoreKit, until: Step | None, step: Step) -> None:
    await an_order(store, until=until)
    before = (state_of(store), store.stock("milk"), len(store.entries()))
    with pytest.raises(Rejected):
        await store.takes_step("A-1", step, code=CODE)
    assert (state_of(store), store.stock("milk"), len(store.entries())) == before


async def test_lines_are_picked_one_by_one_and_staged_when_all_are(store: StoreKit) -> None:
    await store.receives("milk", 2)
    await store.receives("bread", 1)
    await store.hub.places_order("A-1", {"milk": 2, "bread": 1}, code=CODE)
    await store.takes_step("A-1", Step.PICK, line=1)
    with pytest.raises(Rejected, match="pick line 2 first"):
        await store.takes_step("A-1", Step.STAGE)
    with pytest.raises(Rejected, match="nothing left to pick on line 1"):
        await store.takes_step("A-1", Step.PICK, line=1)
    await store.takes_step("A-1", Step.PICK, line=2)
    await store.takes_step("A-1", Step.STAGE)
    assert (store.stock("milk"), store.stock("bread")) == ((0, 0, 2, 0), (0, 0, 1, 0))


async def test_p11_after_five_wrong_codes_only_a_supervisor_hands_over_and_says_why(store: StoreKit) -> None:
    await an_order(store, until=Step.READY)
    for left in (4, 3, 2, 1, 0):
        with pytest.raises(Rejected, match=f"{left} attempts left"):
            await store.takes_step("A-1", Step.HAND_OVER, code="WRONG")
    await store.restarts()
    with pytest.raises(Rejected, match="ask a supervisor"):
        await store.takes_step("A-1", Step.HAND_OVER, code=CODE)
    for role, name, status in ((Role.STAFF, "luis", 422), (Role.TILL, "1", 422), (Role.SUPERVISOR, "ana", 200)):
        async with store.caller(role, name) as client:
            answer = await client.post("/v1/pickups/A-1/steps", json={
                "transition_id": store.new_id("tap"), "step": "hand_over", "reason": "knows her"})
        assert answer.status_code == status, answer.text
    assert state_of(store) is PickupState.HANDED_OVER
    assert b"knows her" in bytes(store.entries()[-1].payload)


async def test_p11_a_supervisor_without_a_reason_does_not(store: StoreKit) -> None:
    await an_order(store, until=Step.READY)
    with pytest.raises(Rejected, match="needs a reason"):
        await store.takes_step("A-1", Step.HAND_OVER, supervised=True)


async def test_p11_names_and_codes_stand_nowhere_in_clear(store: StoreKit) -> None:
    """Not in the books' files, not in any ledger payload, not in any row but the sealed one."""
    await an_order(store, until=Step.READY)
    with pytest.raises(Rejected):
        await store.takes_step("A-1", Step.HAND_OVER, code="WRONGCODE")
    await store.takes_step("A-1", Step.HAND_OVER, code=CODE)
    found = store.pickups.find("A-1")
    assert found is not None
    assert found.person is not None
    assert found.person.display_name == CUSTOMER
    assert CUSTOMER not in repr(found)
    for entry in store.entries():
        for secret in (CUSTOMER, CODE, "Marta", "WRONGCODE"):
            assert secret.encode() not in bytes(entry.payload)
    tables = store.books.ledger_reader.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
    dump = "\n".join(repr(store.books.ledger_reader.execute(f"SELECT * FROM {name}").fetchall()) for (name,) in tables)
    assert "A-1" in dump
    files = b"".join(file.read_bytes() for file in store.directory.iterdir())
    for secret in (CUSTOMER, CODE, "Marta", "WRONGCODE"):
        assert secret not in dump
        assert secret.encode() not in files


def sealed_people(store: StoreKit) -> int:
    count: int = store.books.ledger_reader.execute("SELECT COUNT(*) FROM person").fetchone()[0]
    return count


@pytest.fixture
async def forgetful(store: StoreKit) -> StoreKit:
    """A chain that keeps people for an hour after their order ended, and orders for two."""
    await store.hub.sets_policy(person_keep_s=3600, hold_max_s=7200)
    return store


async def test_p11_a_person_is_forgotten_on_time_after_the_order_ended(forgetful: StoreKit) -> None:
    store = forgetful
    await an_order(store, until=Step.READY)
    await store.takes_step("A-1", Step.HAND_OVER, code=CODE)
    await store.time_passes(store.policy.person_keep_s - 60)
    assert sealed_people(store) == 1
    await store.time_passes(120)
    assert sealed_people(store) == 0
    found = store.pickups.find("A-1")
    assert found is not None
    assert found.person is None
    async with store.caller(Role.STAFF, "luis") as client:
        assert (await client.get("/v1/pickups/A-1")).json()["customer"] == ""


async def test_p11_a_person_whose_order_never_ended_is_forgotten_too(forgetful: StoreKit) -> None:
    store = forgetful
    await an_order(store)
    await store.time_passes(store.policy.hold_max_s + store.policy.person_keep_s - 60)
    assert sealed_people(store) == 1
    await store.time_passes(120)
    assert sealed_people(store) == 0


async def test_p11_a_person_with_another_order_open_is_still_needed(forgetful: StoreKit) -> None:
    store = forgetful
    await store.receives("milk", 5)
    for order_id in ("A-1", "A-2"):
        await store.hub.places_order(order_id, {"milk": 1}, person_id="person-7", code=CODE)
    await store.hub.changes_order("A-1", cancel_requested=True)
    await store.time_passes(store.policy.person_keep_s + 60)
    assert sealed_people(store) == 1
    await store.hub.changes_order("A-2", cancel_requested=True)
    await store.time_passes(store.policy.person_keep_s + 60)
    assert sealed_people(store) == 0


async def test_p11_a_clock_that_is_not_believed_forgets_nobody_early(store: StoreKit) -> None:
    await an_order(store)
    store.clock.put_wrong(365 * 24 * 3_600_000)
    await store.time_passes(3600)
    assert sealed_people(store) == 1


async def test_an_order_of_another_store_is_told(store: StoreKit) -> None:
    with pytest.raises(Rejected, match="no order Z-9"):
        await store.takes_step("Z-9", Step.PICK)
    async with store.caller(Role.STAFF, "luis") as client:
        assert (await client.get("/v1/pickups/Z-9")).status_code == 404


async def test_the_api_shows_open_orders_and_takes_steps(store: StoreKit) -> None:
    await an_order(store)
    async with store.caller(Role.STAFF, "luis") as client:
        (listed,) = (await client.get("/v1/pickups")).json()
        assert (listed["order_id"], listed["state"], listed["customer"]) == ("A-1", "accepted", CUSTOMER)
        assert listed["lines"] == [{"line": 1, "sku": "milk", "quantity_milli": 2000, "picked_milli": 0,
                                    "price_minor": 100, "staged_milli": 0, "handed_milli": 0, "short_milli": 0,
                                    "cancelled": False, "replaces": None, "answer": ""}]
        taken = await client.post("/v1/pickups/A-1/steps", json={"transition_id": "tap-1", "step": "pick"})
        assert (taken.status_code, taken.json()["state"]) == (200, "picking")
        wrong = await client.post("/v1/pickups/A-1/steps", json={"transition_id": "tap-2", "step": "ready"})
        assert (wrong.status_code, wrong.headers["content-type"]) == (422, "application/problem+json")


async def test_stock_and_receipts_over_the_api(store: StoreKit) -> None:
    body = {"movement_id": "delivery-1", "lines": [{"sku": "milk", "quantity_milli": 12_000}], "document": "DN 7"}
    async with store.caller(Role.STAFF, "luis") as client:
        first = await client.post("/v1/movements", json=body)
        again = await client.post("/v1/movements", json=body)
        other = await client.post("/v1/movements", json={**body, "document": "DN 8"})
        stock = (await client.get("/v1/stock/milk")).json()
        huge = await client.post("/v1/movements", json={"movement_id": "x", "lines": [
            {"sku": "milk", "quantity_milli": 10**13}]})
    assert (first.status_code, again.content, other.status_code, huge.status_code) == (201, first.content, 409, 400)
    assert (stock["on_hand_milli"], stock["available_milli"]) == (12_000, 12_000)
    assert store.exceptions() == ["conflict"]


async def test_p4_a_sale_needs_no_stock_on_record(store: StoreKit) -> None:
    assert (await store.till().sends(1, {"code": gtin_of("milk"), "quantity_milli": 1000, "amount_minor": 99}
                                     )).status_code == 201
    assert store.books.ledger_reader.execute(LEDGER.stock, ("milk",)).fetchone()[0] == -1000
