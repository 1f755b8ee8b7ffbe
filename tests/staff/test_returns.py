"""Returns, grading and parcels on the page, by plain forms."""

import re

import msgspec

from cloud_sync.contract.documents import Address, Order, OrderLine, OrderMethod, Person
from cloud_sync.contract.facts import Grading, OrderReturn, ParcelStep, PickupStep
from cloud_sync.contract.feeds import Batch, Checkpoint, Put
from cloud_sync.contract.pickup import PickupState, Step
from edge.pickups.desk import StepRequest
from edge.pos.stock_routes import stock_of
from edge.stock.counts import Counted, CountRequest
from tests.staff.shop import MILK, WINE, Shop, form_fields
from tests.staff.test_counter import CODE, ORDER, facts, ordered, state

STREET = "Calle de la Luna 14"


async def handed_over(shop: Shop) -> None:
    await ordered(shop, MILK, steps=(Step.PICK, Step.STAGE, Step.READY))
    await shop.pickups.take_step(StepRequest(ORDER, shop.store.mint(), Step.HAND_OVER, "luis", code=CODE))


async def test_a_customer_brings_something_back_and_somebody_says_what_becomes_of_it(shop: Shop) -> None:
    await handed_over(shop)
    page = f"/staff/returns?order={ORDER}"
    async with shop.signed_in("luis") as luis:
        assert "Leche Entera" in await luis.reads(page)
        answer = await luis.fills(page, "/staff/returns/take", order=ORDER, line="1", quantity="1", reason="too warm")
        assert await luis.message(answer) == f"Back from order {ORDER}: 1 × Leche Entera. It waits to be graded."
        assert stock_of(shop.store, MILK).quarantine_milli == 1000
        answer = await luis.fills("/staff/returns", "/staff/returns/grade", sku=MILK, quantity="1", grade="waste",
                                  reason="open")
        assert await luis.message(answer) == "Thrown away: 1 × Leche Entera."
        assert "Nothing waits to be graded." in await luis.reads("/staff/returns")
    assert stock_of(shop.store, MILK).quarantine_milli == 0
    (back,), (graded,) = facts(shop, "order-return"), facts(shop, "grading")
    assert isinstance(back, OrderReturn)
    assert isinstance(graded, Grading)
    assert (back.actor, back.known, graded.actor, graded.reason) == ("luis", True, "luis", "open")


async def test_p2_a_return_sent_twice_counts_once_and_too_much_is_refused_in_words(shop: Shop) -> None:
    await handed_over(shop)
    page = f"/staff/returns?order={ORDER}"
    async with shop.signed_in("luis") as luis:
        fields = {**form_fields(await luis.reads(page), "/staff/returns/take"), "order": ORDER, "line": "1",
                  "quantity": "1", "reason": ""}
        for _ in range(2):
            await luis.sends("/staff/returns/take", fields)
        refused = await luis.fills(page, "/staff/returns/take", order=ORDER, line="1", quantity="2", reason="")
        assert "did not leave from here, or is back already" in await luis.message(refused)
    assert len(facts(shop, "order-return")) == 1


async def test_an_order_of_another_store_is_taken_in_by_its_product(shop: Shop) -> None:
    async with shop.signed_in("luis") as luis:
        page = "/staff/returns?order=OTHER-1"
        assert "did not leave from here" in await luis.reads(page)
        answer = await luis.fills(page, "/staff/returns/take", order="OTHER-1", code="8410000000032", quantity="1",
                                  reason="")
        assert "Back from order OTHER-1" in await luis.message(answer)
    assert stock_of(shop.store, WINE).quarantine_milli == 1000


def test_a_field_is_filled_as_a_person_would_type_it() -> None:
    from edge.staff.view import typed_quantity

    assert [typed_quantity(milli) for milli in (1000, 1_000_000, 350, 1500, 1)] == ["1", "1000", "0.35", "1.5", "0.001"]


async def sent(shop: Shop) -> None:
    """An order that a carrier brings."""
    await shop.receives(MILK, 5)
    order = Order(ORDER, 1, shop.clocks.wall, (OrderLine(1, MILK, 2000, 109),), "EUR", "person-1",
                  Person("Marta R.", "", Address((STREET,), "Madrid", "ES", "28004")), method=OrderMethod.SHIP)
    put = Put(1, ORDER, 1, msgspec.Raw(msgspec.json.encode(order)))
    await shop.pickups.apply(Batch((put,), Checkpoint("one", 1)))


async def shipped(shop: Shop) -> None:
    """The same, picked."""
    await sent(shop)
    await shop.pickups.take_step(StepRequest(ORDER, shop.store.mint(), Step.PICK, "luis"))


async def test_an_order_is_packed_labelled_printed_and_sent_by_plain_forms(shop: Shop) -> None:
    await shipped(shop)
    page = f"/staff/pickups/{ORDER}"
    async with shop.signed_in("luis") as luis:
        html = await luis.reads(page)
        assert STREET in html
        assert 'value="ready"' not in html, "nobody collects it"
        await luis.fills(page, f"{page}/step", step="stage", line="")
        answer = await luis.fills(page, f"{page}/pack", **{"line-1": "2", "weight_g": "850"})
        assert await luis.message(answer) == f"Packed: a parcel of order {ORDER}."
        found = re.search(rf'action="({page}/parcels/[^"]+)/label"', await luis.reads(page))
        assert found is not None
        here = found[1]
        answer = await luis.fills(page, f"{here}/label", carrier="Correos", service="48h", tracking="ES123456")
        assert await luis.message(answer) == "The parcel has its label: print it."
        sheet = await luis.reads(here)
        assert all(text in sheet for text in (STREET, "ES123456", "Marta R.", "850 g", "1 of 1"))
        for kind in ("bars", "square"):
            image = await luis.client.get(f"/staff/parcels/{here.rpartition('/')[2]}/{kind}.png")
            assert (image.status_code, image.content[:4]) == (200, b"\x89PNG")
        answer = await luis.fills(page, f"{here}/send")
        assert await luis.message(answer) == f"With the carrier: a parcel of order {ORDER}."
    assert state(shop) is PickupState.HANDED_OVER
    steps = [fact.step for fact in facts(shop, "parcel") if isinstance(fact, ParcelStep)]
    assert steps == ["pack", "label"]


async def test_a_parcel_without_a_weight_or_with_too_much_in_it_is_refused_in_words(shop: Shop) -> None:
    await shipped(shop)
    page = f"/staff/pickups/{ORDER}"
    async with shop.signed_in("luis") as luis:
        assert "in grams" in await luis.message(await luis.fills(page, f"{page}/pack", **{"line-1": "2"}))
        answer = await luis.fills(page, f"{page}/pack", **{"line-1": "3", "weight_g": "850"})
        assert "so much does not wait to be packed" in await luis.message(answer)


async def test_an_order_that_is_sent_is_picked_by_the_list_and_packed_at_once(shop: Shop) -> None:
    await sent(shop)
    page = f"/staff/pickups/{ORDER}"
    async with shop.signed_in("luis") as luis:
        await luis.fills("/staff/pickups", "/staff/picking/start")
        await luis.fills("/staff/picking", "/staff/picking/pick", sku=MILK)
        answer = await luis.client.get("/staff/picking")
        assert answer.headers["location"] == "/staff/pickups", "nobody says of it that it is ready"
        assert state(shop) is PickupState.STAGED
        assert [fact.step for fact in facts(shop, "pickup") if isinstance(fact, PickupStep)] == ["accept"]
        answer = await luis.fills(page, f"{page}/pack", **{"line-1": "2", "weight_g": "850"})
        assert await luis.message(answer) == f"Packed: a parcel of order {ORDER}."
    taken = [fact for fact in facts(shop, "pickup") if isinstance(fact, PickupStep)]
    assert [fact.step for fact in taken] == ["accept", "pick", "stage"]
    assert taken[-1].place == "A1"


async def test_what_was_handed_over_a_moment_ago_may_come_back(shop: Shop) -> None:
    await ordered(shop, MILK, steps=(Step.PICK, Step.STAGE, Step.READY))
    async with shop.signed_in("luis") as luis:
        page = f"/staff/pickups/{ORDER}"
        await luis.fills(page, f"{page}/step", code=CODE)
        answer = await luis.fills(f"/staff/returns?order={ORDER}", "/staff/returns/take", order=ORDER,
                                  code="8410000000018", quantity="1", reason="")
        assert "Back from order" in await luis.message(answer)
    (back,) = facts(shop, "order-return")
    assert isinstance(back, OrderReturn)
    assert back.known


async def test_an_order_that_may_still_go_to_another_store_is_on_nobodys_list(shop: Shop) -> None:
    await shop.receives(MILK, 5)
    order = Order(ORDER, 1, shop.clocks.wall, (OrderLine(1, MILK, 2000, 109),), "EUR", offer=1,
                  accept_by_ms=shop.clocks.wall + 3_600_000)
    await shop.hub_says(order)
    page = f"/staff/pickups/{ORDER}"
    async with shop.signed_in("luis") as luis:
        fields = form_fields(await luis.reads("/staff"), "/staff/sign-out")
        assert shop.picking.waiting() == []
        answer = await luis.sends("/staff/picking/start", {**fields, "act_id": shop.store.mint(), "order": ORDER})
        assert "has not confirmed it to this store" in await luis.message(answer)
        answer = await luis.sends(f"{page}/scan", {**fields, "act_id": shop.store.mint(), "code": "8410000000018"})
        assert "has not confirmed it to this store" in await luis.message(answer)
        await shop.hub_says(msgspec.structs.replace(order, revision=2, confirmed=True))
        await luis.fills("/staff/pickups", "/staff/picking/start")
        assert "Leche Entera" in await luis.reads("/staff/picking")


async def test_a_count_in_the_ten_seconds_of_a_pick_stands(shop: Shop) -> None:
    await shop.receives(MILK, 5)
    await shop.order("O-1", MILK)
    async with shop.signed_in("luis") as luis:
        await luis.fills("/staff/pickups", "/staff/picking/start")
        await luis.fills("/staff/picking", "/staff/picking/pick", sku=MILK)
    shop.clocks.pass_s(5)
    await shop.stock.counts.take(CountRequest("shelf", (Counted(MILK, 3000),), "luis"))
    await shop.undo_time_passes()
    assert stock_of(shop.store, MILK).sellable_milli == 3000
    assert stock_of(shop.store, MILK).staged_milli == 2000
    assert stock_of(shop.store, MILK).reserved_milli == 0
