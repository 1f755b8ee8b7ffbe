"""Picking several orders on one walk, the undo of ten seconds, and the lights (staff-and-operations.md A.3)."""

import asyncio
import html
import re
from dataclasses import dataclass
from pathlib import Path

import httpx
import msgspec
import pytest

from cloud_sync.contract.documents import SubstituteAnswer
from cloud_sync.contract.facts import PickupStep, StepLine
from cloud_sync.contract.pickup import PickupState, Step
from edge.limits import (
    CODE_ATTEMPTS_MAX,
    CODE_SEARCH_MISSES_MAX,
    PICK_LIGHT_S,
    PICK_LIST_ORDERS_MAX,
    PICK_LIST_STALE_S,
    UNDO_S,
)
from edge.pickups.past import take_past_step
from edge.pickups.requests import StepRequest
from edge.pos.stock_routes import stock_of
from tests.staff.shop import BREAD, MILK, OTHER, SHELF, WINE, Shop, Visitor, form_fields
from tests.staff.test_counter import facts

MILK_CODE, BREAD_CODE, WINE_CODE = "8410000000018", "8410000000025", "8410000000032"
PICKING, PICKUPS = "/staff/picking", "/staff/pickups"


def steps(shop: Shop) -> list[PickupStep]:
    """What people did to orders, as the ledger has it."""
    return [fact for fact in facts(shop, "pickup")
            if isinstance(fact, PickupStep) and fact.actor not in ("hub", "clock")]


def state(shop: Shop, order_id: str) -> PickupState:
    """Where the order is, as people see it."""
    found = shop.pickups.find(order_id)
    assert found is not None
    return found.row.state


def place(shop: Shop, order_id: str) -> str:
    """Where it stands."""
    found = shop.pickups.find(order_id)
    assert found is not None
    return found.row.place


@dataclass
class Picker:
    """Somebody with a list in hand."""

    visitor: Visitor

    async def starts(self, **fields: str) -> str:
        """One tap."""
        return await self.visitor.message(await self.visitor.fills(PICKUPS, f"{PICKING}/start", **fields))

    async def reads(self) -> str:
        """The list."""
        return await self.visitor.reads(PICKING)

    async def scan_form(self) -> dict[str, str]:
        """The fields of the scan form, with a fresh id."""
        return form_fields(await self.reads(), f"{PICKING}/scan")

    async def scans(self, code: str) -> str:
        """One scan; what the page says to it."""
        return await self.visitor.message(await self.visitor.sends(f"{PICKING}/scan", {
            **await self.scan_form(), "code": code}))

    async def taps(self, action: str, **fields: str) -> str:
        """A button of the list."""
        return await self.visitor.message(await self.visitor.fills(PICKING, f"{PICKING}/{action}", **fields))

    async def takes_back(self, path: str = PICKING, after: httpx.Response | None = None) -> str:
        """The undo button of the last message."""
        page = await self.visitor.reads(after.headers["location"] if after else path)
        return await self.visitor.message(await self.visitor.sends(f"{PICKUPS}/undo", undo_fields(page)))

    async def does(self, action: str, **fields: str) -> httpx.Response:
        """A button of the list, without reading what it says."""
        return await self.visitor.fills(PICKING, f"{PICKING}/{action}", **fields)


def undo_fields(page: str) -> dict[str, str]:
    """The undo form of a page's message."""
    return {name: html.unescape(value) for name, value in form_fields(page, f"{PICKUPS}/undo").items()}


async def stocked(shop: Shop) -> None:
    for sku in (MILK, BREAD, WINE):
        await shop.receives(sku, 50)


async def test_two_orders_are_picked_on_one_walk_by_scans_alone(shop: Shop) -> None:
    """n scans, no tap; the last one completes and puts aside (A.3)."""
    await stocked(shop)
    await shop.planogram(sku_1001="10", sku_1002="2")
    await shop.order("O-1", MILK, BREAD, code="CODE1111", pieces=2)
    await shop.order("O-2", MILK, code="CODE2222", pieces=1)
    async with shop.signed_in("luis") as visitor:
        luis = Picker(visitor)
        assert await luis.starts() == "2 orders to pick."
        page = await luis.reads()
        assert page.index("Pan de Molde") < page.index("Leche Entera"), "aisle 2 before aisle 10"
        said = [await luis.scans(code) for code in (BREAD_CODE, MILK_CODE, BREAD_CODE, MILK_CODE, MILK_CODE)]

    assert said == ["1 × Pan de Molde into A1.", "1 × Leche Entera into A1.", "1 × Pan de Molde into A1.",
                    "1 × Leche Entera into A1. Order O-1 is complete: put it at A1.",
                    "1 × Leche Entera into A2. Order O-2 is complete: put it at A2."]
    assert state(shop, "O-1") is PickupState.STAGED
    assert state(shop, "O-2") is PickupState.STAGED
    await shop.undo_time_passes()
    assert [(each.order_id, each.step, each.place) for each in steps(shop)] == [
        ("O-1", "pick", ""), ("O-1", "pick", ""), ("O-1", "pick", ""), ("O-1", "pick", ""), ("O-1", "stage", "A1"),
        ("O-2", "pick", ""), ("O-2", "stage", "A2")]
    assert stock_of(shop.store, MILK).staged_milli == 3000


async def test_without_a_scanner_a_tap_for_each_product_and_one_more(shop: Shop) -> None:
    await stocked(shop)
    await shop.order("O-1", MILK, BREAD, code="CODE1111")
    await shop.order("O-2", MILK, code="CODE2222")
    async with shop.signed_in("luis") as visitor:
        luis = Picker(visitor)
        await luis.starts()
        assert await luis.taps("pick", sku=MILK) == ("2 × Leche Entera into A1. 2 × Leche Entera into A2. "
                                                     "Order O-2 is complete: put it at A2.")
        await luis.does("pick", sku=BREAD)
        assert "Ready for" in await luis.taps("ready")

    assert {state(shop, order) for order in ("O-1", "O-2")} == {PickupState.READY}


async def test_what_nobody_ordered_is_said_to_be_on_no_list(shop: Shop) -> None:
    await stocked(shop)
    await shop.order("O-1", MILK, pieces=1)
    await shop.order("O-2", BREAD, pieces=1, code="OTHER123")
    async with shop.signed_in("luis") as visitor:
        luis = Picker(visitor)
        await luis.starts()
        assert await luis.scans(WINE_CODE) == "Vino Tinto Crianza is not on this list: put it back."
        assert await luis.scans("4006381333931") == "No product has the code 4006381333931."
        await luis.scans(MILK_CODE)
        assert await luis.scans(MILK_CODE) == "Leche Entera is picked already: put it back."

    await shop.undo_time_passes()
    assert [each.step for each in steps(shop)] == ["pick", "stage"], "refusals leave no trace"


async def test_the_sign_of_a_place_says_that_the_order_stands_there(shop: Shop) -> None:
    await stocked(shop)
    await shop.order("O-1", MILK, pieces=1, code="CODE1111")
    await shop.order("O-2", BREAD, pieces=1, code="CODE2222")
    async with shop.signed_in("luis") as visitor:
        luis = Picker(visitor)
        await luis.starts()
        await luis.scans(MILK_CODE)
        assert await luis.scans("A2") == "No order of this list goes to A2 now."
        assert await luis.scans("a1") == "Ready for Marta R.: order O-1."
        assert state(shop, "O-2") is PickupState.ACCEPTED
    assert state(shop, "O-1") is PickupState.READY


@pytest.mark.parametrize("late_s", [0.0, UNDO_S, 600.0])
async def test_p2_a_scan_sent_twice_counts_once_however_late(shop: Shop, late_s: float) -> None:
    """A tablet in the cold room does not know whether the box has heard it (A.6)."""
    await stocked(shop)
    await shop.order("O-1", MILK, pieces=3)
    async with shop.signed_in("luis") as visitor:
        luis = Picker(visitor)
        await luis.starts()
        form = {**await luis.scan_form(), "code": MILK_CODE}
        first = await visitor.message(await visitor.sends(f"{PICKING}/scan", form))
        shop.clocks.pass_s(late_s)
        await shop.pickups.settle_due()
        assert await visitor.message(await visitor.sends(f"{PICKING}/scan", form)) == first
        await shop.undo_time_passes()

    assert [step.lines[0].quantity_milli for step in steps(shop)] == [1000]


async def test_the_last_scan_can_be_taken_back_before_it_leaves_the_box(shop: Shop) -> None:
    """One tap for ten seconds (A.3): no fact, no stock, nothing for the hub."""
    await stocked(shop)
    await shop.order("O-1", MILK, pieces=1)
    async with shop.signed_in("luis") as visitor:
        luis = Picker(visitor)
        await luis.starts()
        response = await visitor.sends(f"{PICKING}/scan", {**await luis.scan_form(), "code": MILK_CODE})
        assert state(shop, "O-1") is PickupState.STAGED
        assert steps(shop) == []
        assert await luis.takes_back(after=response) == "Taken back. Nothing has left the box."
        assert state(shop, "O-1") is PickupState.ACCEPTED
        await shop.undo_time_passes()

    assert steps(shop) == []
    assert stock_of(shop.store, MILK).staged_milli == 0


async def test_p2_a_scan_that_was_taken_back_is_not_done_when_it_is_sent_once_more(shop: Shop) -> None:
    await stocked(shop)
    await shop.order("O-1", MILK, pieces=2)
    async with shop.signed_in("luis") as visitor:
        luis = Picker(visitor)
        await luis.starts()
        form = {**await luis.scan_form(), "code": MILK_CODE}
        await luis.takes_back(after=await visitor.sends(f"{PICKING}/scan", form))
        assert await visitor.message(await visitor.sends(f"{PICKING}/scan", form)) == "That was taken back."
        await shop.undo_time_passes()
    assert steps(shop) == []


async def test_after_ten_seconds_it_is_too_late(shop: Shop) -> None:
    await stocked(shop)
    await shop.order("O-1", MILK, pieces=1)
    async with shop.signed_in("luis") as visitor:
        luis = Picker(visitor)
        await luis.starts()
        response = await visitor.sends(f"{PICKING}/scan", {**await luis.scan_form(), "code": MILK_CODE})
        page = await visitor.reads(response.headers["location"])
        await shop.undo_time_passes()
        late = await visitor.message(await visitor.sends(f"{PICKUPS}/undo", undo_fields(page)))
    assert late.startswith("It is too late to take that back")
    assert [step.step for step in steps(shop)] == ["pick", "stage"]


async def test_nobody_takes_back_what_somebody_else_did(shop: Shop) -> None:
    await stocked(shop)
    await shop.order("O-1", MILK, pieces=1)
    async with shop.signed_in("luis") as visitor, shop.signed_in("ana") as other:
        luis = Picker(visitor)
        await luis.starts()
        response = await visitor.sends(f"{PICKING}/scan", {**await luis.scan_form(), "code": MILK_CODE})
        stolen = undo_fields(await visitor.reads(response.headers["location"]))
        own = form_fields(await other.reads(PICKUPS), f"{PICKUPS}/find")
        said = await other.message(await other.sends(f"{PICKUPS}/undo", {**stolen, "form_token": own["form_token"]}))
    assert said.startswith("It is too late")
    assert state(shop, "O-1") is PickupState.STAGED


async def test_p1_a_restart_in_the_ten_seconds_loses_nothing(tmp_path: Path) -> None:
    """What the person was told is durable; it becomes a fact in the next life of the box, dated as it happened."""
    async with Shop(tmp_path) as shop:
        await stocked(shop)
        await shop.order("O-1", MILK, pieces=1)
        async with shop.signed_in("luis") as visitor:
            luis = Picker(visitor)
            await luis.starts()
            await luis.scans(MILK_CODE)
        scanned_ms = shop.clocks.wall
    async with Shop(tmp_path) as shop:
        shop.clocks.pass_s(3600)
        assert state(shop, "O-1") is PickupState.STAGED, "as people see it"
        running = asyncio.create_task(shop.pickups.run())
        await shop.until(lambda: len(steps(shop)) == 2)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        rows = shop.books.ledger_reader.execute("SELECT occurred_ms FROM entry WHERE kind = 'pickup' "
                                                "ORDER BY sequence DESC LIMIT 2").fetchall()
        assert {row[0] for row in rows} == {scanned_ms}
        assert place(shop, "O-1") == "A1"


async def test_what_the_hub_says_meanwhile_comes_after_what_was_done(shop: Shop) -> None:
    """Facts stand in the order in which things happened: picked, then cancelled; the goods wait to be put back."""
    await stocked(shop)
    await shop.order("O-1", MILK, pieces=2)
    async with shop.signed_in("luis") as visitor:
        luis = Picker(visitor)
        await luis.starts()
        await luis.scans(MILK_CODE)
        order = msgspec.structs.replace(shop.orders["O-1"], revision=2, cancel_requested=True)
        await shop.hub_says(order)
    every = [fact.step for fact in facts(shop, "pickup") if isinstance(fact, PickupStep)]
    assert every == ["accept", "pick", "cancel"]
    assert state(shop, "O-1") is PickupState.CANCELLED
    assert stock_of(shop.store, MILK).staged_milli == 1000


async def test_p6_a_hand_over_that_waits_stands_against_a_cancel(shop: Shop) -> None:
    await stocked(shop)
    await shop.order("O-1", MILK, pieces=1)
    for step in (Step.PICK, Step.STAGE, Step.READY):
        await shop.pickups.take_step(StepRequest("O-1", shop.store.mint(), step, "luis"))
    async with shop.signed_in("luis") as visitor:
        await visitor.fills(f"{PICKUPS}/O-1", f"{PICKUPS}/O-1/step", code="K7P3XQ2M")
        await shop.hub_says(msgspec.structs.replace(shop.orders["O-1"], revision=2, cancel_requested=True))
    assert state(shop, "O-1") is PickupState.HANDED_OVER
    assert stock_of(shop.store, MILK).on_hand_milli == 49_000


async def test_a_till_that_hands_over_meanwhile_is_told_that_it_is_done(shop: Shop) -> None:
    await stocked(shop)
    await shop.order("O-1", MILK, pieces=1)
    for step in (Step.PICK, Step.STAGE, Step.READY):
        await shop.pickups.take_step(StepRequest("O-1", shop.store.mint(), step, "luis"))
    async with shop.signed_in("luis") as visitor:
        await visitor.fills(f"{PICKUPS}/O-1", f"{PICKUPS}/O-1/step", code="K7P3XQ2M")
    with pytest.raises(Exception, match="cannot hand over now"):
        await shop.pickups.take_step(StepRequest("O-1", "till", Step.HAND_OVER, "1", code="K7P3XQ2M"))
    assert stock_of(shop.store, MILK).on_hand_milli == 49_000


async def test_a_short_pick_is_two_taps_with_its_reason_and_the_rest_goes_on(shop: Shop) -> None:
    await stocked(shop)
    await shop.order("O-1", MILK, BREAD, pieces=2, code="CODE1111")
    await shop.order("O-2", MILK, pieces=2, code="CODE2222")
    async with shop.signed_in("luis") as visitor:
        luis = Picker(visitor)
        await luis.starts()
        said = await luis.taps("short", sku=MILK, quantity="3", short_reason="damaged")
        assert said == "Will not come: 2 × Leche Entera. Will not come: 1 × Leche Entera."
        await luis.does("pick", sku=MILK)
        await luis.does("pick", sku=BREAD)
    await shop.undo_time_passes()
    short = [step for step in steps(shop) if step.step == "short"]
    assert [(each.order_id, each.lines[0].quantity_milli, each.short_reason) for each in short] == [
        ("O-2", 2000, "damaged"), ("O-1", 1000, "damaged")], "who came last goes without"
    assert state(shop, "O-2") is PickupState.REJECTED
    assert state(shop, "O-1") is PickupState.STAGED
    assert stock_of(shop.store, MILK).quarantine_milli == 3000


async def test_a_substitute_from_the_next_place_is_offered_and_picked_when_the_customer_agrees(shop: Shop) -> None:
    await stocked(shop)
    await shop.planogram(sku_1001="3", sku_1002="3", sku_1003="9")
    await shop.order("O-1", BREAD, pieces=1, may_substitute=True)
    async with shop.signed_in("luis") as visitor:
        luis = Picker(visitor)
        await luis.starts()
        page = await luis.reads()
        assert re.search(r'name="instead" value="1001"', page), "milk stands in the same bay and is not dearer"
        assert 'name="instead" value="1003"' not in page, "wine does not"
        said = await luis.taps("short", sku=BREAD, short_reason="not_in_stock", instead=MILK)
        assert said == "Marta R. is asked whether Leche Entera may come instead of Pan de Molde."
        assert state(shop, "O-1") is PickupState.AWAITING_SUBSTITUTION
        await shop.undo_time_passes()
        (offer,) = steps(shop)
        assert offer.substitute is not None
        assert (offer.substitute.sku, offer.substitute.price_minor) == (MILK, 109)

        answer = SubstituteAnswer(offer.substitute.line, accepted=True)
        await shop.hub_says(msgspec.structs.replace(shop.orders["O-1"], revision=2, answers=(answer,)))
        assert "Go on picking" in await visitor.reads(PICKUPS)
        assert "Order O-1 is complete" in await luis.scans(MILK_CODE)


async def test_a_substitute_that_is_sold_while_it_may_be_taken_back_is_a_short_pick(shop: Shop) -> None:
    await stocked(shop)
    await shop.planogram(sku_1001="3", sku_1002="3")
    await shop.order("O-1", BREAD, WINE, pieces=1, may_substitute=True)
    async with shop.signed_in("luis") as visitor:
        luis = Picker(visitor)
        await luis.starts()
        await luis.does("short", sku=BREAD, short_reason="mismatch", instead=MILK)
    await shop.sells(MILK, 1, quantity_milli=50_000)
    await shop.undo_time_passes()
    assert [(step.step, step.short_reason) for step in steps(shop)] == [("short", "mismatch")]


async def test_labels_of_the_list_flash_until_their_line_is_done(shop: Shop) -> None:
    await stocked(shop)
    await shop.hangs(SHELF, MILK)
    await shop.hangs(OTHER, BREAD)
    await shop.order("O-1", MILK, BREAD, pieces=1)
    async with shop.signed_in("luis") as visitor:
        luis = Picker(visitor)
        await luis.starts()
        await shop.page.pick_lights.settle()
        assert shop.station.lights == [(SHELF, PICK_LIGHT_S), (OTHER, PICK_LIGHT_S)]
        await luis.scans(MILK_CODE)
        await shop.page.pick_lights.settle()
        assert shop.station.lights[2:] == [(SHELF, 0.0)], "it is done"
        shop.clocks.pass_s(PICK_LIGHT_S + 1)
        await luis.scans(WINE_CODE)
        await luis.scans(MILK_CODE)
        await luis.does("leave")
        await shop.page.pick_lights.settle()
    assert shop.station.lights[3:] == [], "its time was over: it went out by itself"


async def test_a_label_that_cannot_flash_is_no_error(shop: Shop) -> None:
    await stocked(shop)
    await shop.hangs(SHELF, MILK)
    await shop.order("O-1", MILK, pieces=1)
    shop.station.dark = True
    async with shop.signed_in("luis") as visitor:
        luis = Picker(visitor)
        assert await luis.starts() == "1 order to pick."
        await shop.page.pick_lights.settle()
        assert "Order O-1 is complete" in await luis.scans(MILK_CODE)
    assert shop.station.lights == []


async def test_every_order_has_a_place_of_its_own_and_a_place_one_order(shop: Shop) -> None:
    await stocked(shop)
    for number in range(1, 6):
        await shop.order(f"O-{number}", MILK, code=f"CODE000{number}", pieces=1)
    async with shop.signed_in("luis") as visitor:
        luis = Picker(visitor)
        await luis.starts()
        assert "no place is free" not in await luis.reads()
        for _ in range(5):
            await luis.scans(MILK_CODE)
        assert [place(shop, f"O-{number}") for number in range(1, 6)] == ["A1", "A2", "A3", "", ""]
        assert "no place is free" in await luis.reads()
        await luis.does("ready")
        await visitor.fills(f"{PICKUPS}/O-2", f"{PICKUPS}/O-2/step", code="CODE0002")
        await shop.undo_time_passes()
        await shop.order("O-6", MILK, code="CODE0006", pieces=1)
        await luis.starts()
        await luis.scans(MILK_CODE)
    assert place(shop, "O-6") == "A2", "it is free again"


async def test_two_people_never_pick_the_same_order_unless_one_takes_it_over(shop: Shop) -> None:
    await stocked(shop)
    await shop.order("O-1", MILK, pieces=2)
    async with shop.signed_in("luis") as first, shop.signed_in("ana") as second:
        luis, ana = Picker(first), Picker(second)
        await luis.starts()
        await luis.scans(MILK_CODE)
        page = await second.reads(PICKUPS)
        assert "luis picks it" in page
        assert f'action="{PICKING}/start"' not in page, "nothing is left for ana"
        await second.fills(f"{PICKUPS}/O-1", f"{PICKING}/start")
        assert "Order O-1 is complete: put it at A1." in await ana.scans(MILK_CODE)
        response = await first.client.get(PICKING)
        assert response.headers["location"] == PICKUPS, "luis has nothing left"


async def test_a_list_that_is_put_down_or_left_lying_is_taken_up_by_others(shop: Shop) -> None:
    await stocked(shop)
    await shop.order("O-1", MILK, pieces=2)
    await shop.order("O-2", BREAD, pieces=1, code="CODE2222")
    async with shop.signed_in("luis") as first, shop.signed_in("ana") as second:
        luis, ana = Picker(first), Picker(second)
        await luis.starts()
        await luis.scans(MILK_CODE)
        await luis.does("leave")
        assert await ana.starts() == "2 orders to pick."
        assert await ana.scans(MILK_CODE) == "1 × Leche Entera into A1. Order O-1 is complete: put it at A1."
    async with shop.signed_in("luis") as first:
        shop.clocks.pass_s(PICK_LIST_STALE_S)
        async with shop.signed_in("luis") as again:
            assert await Picker(again).starts() == "1 order to pick."


async def test_a_trolley_has_so_many_totes(shop: Shop) -> None:
    await stocked(shop)
    for number in range(PICK_LIST_ORDERS_MAX + 2):
        await shop.order(f"O-{number}", MILK, pieces=1, code=f"CODE00{number:02}")
    async with shop.signed_in("luis") as visitor:
        luis = Picker(visitor)
        assert await luis.starts() == f"{PICK_LIST_ORDERS_MAX} orders to pick."
        said = await visitor.message(await visitor.fills(f"{PICKUPS}/O-7", f"{PICKING}/start"))
        assert said.startswith(f"There are {PICK_LIST_ORDERS_MAX} orders on this list already")


async def test_a_scan_of_an_orders_number_begins_it_and_its_end_finds_it(shop: Shop) -> None:
    await stocked(shop)
    await shop.order("WEB-10014711", MILK, pieces=1)
    async with shop.signed_in("luis") as visitor:
        response = await visitor.fills(PICKUPS, f"{PICKUPS}/find", code="4711")
        assert response.headers["location"] == f"{PICKUPS}/WEB-10014711"
        response = await visitor.fills(PICKUPS, f"{PICKUPS}/find", code="web-10014711")
        assert response.headers["location"] == PICKING


async def test_customers_who_are_here_stand_on_top_with_their_bay(shop: Shop) -> None:
    await stocked(shop)
    await shop.order("O-1", MILK, pieces=1, customer="Ana P.")
    await shop.order("O-2", BREAD, pieces=1, customer="Berta Q.", code="CODE2222")
    here = msgspec.structs.replace(shop.orders["O-2"], revision=2, arrived_ms=shop.clocks.wall, bay="3")
    await shop.hub_says(here)
    async with shop.signed_in("luis") as visitor:
        page = await visitor.reads(PICKUPS)
        assert page.index("Customers who are here") < page.index("Berta Q.") < page.index("Ana P.")
        assert "bay 3" in page
        await Picker(visitor).starts()
        lists = shop.picking.current("luis")
    assert lists is not None
    assert lists.orders[0].order_id == "O-2", "who waits outside goes first"


async def ready(shop: Shop, *skus: str, phone: str = "0042", pieces: int = 2) -> None:
    await stocked(shop)
    await shop.order("O-1", *skus, phone=phone, pieces=pieces)
    for step in (Step.PICK, Step.STAGE, Step.READY):
        await shop.pickups.take_step(StepRequest("O-1", shop.store.mint(), step, "luis",
                                                 place="A3" if step is Step.STAGE else ""))


ORDER_PAGE, STEP = f"{PICKUPS}/O-1", f"{PICKUPS}/O-1/step"


async def lost_code(visitor: Visitor, **fields: str) -> str:
    page = await visitor.reads(ORDER_PAGE)
    form = {**form_fields(page, STEP), "without_code": "yes", **fields}
    return await visitor.message(await visitor.sends(STEP, form))


async def test_a_lost_code_is_replaced_by_the_customers_number_and_a_reason(shop: Shop) -> None:
    await ready(shop, MILK)
    async with shop.signed_in("luis") as visitor:
        page = await visitor.reads(ORDER_PAGE)
        assert "A3" in page
        assert "0042" not in page, "she has to say it"
        assert (await lost_code(visitor, phone="1142", reason="We know the customer")).startswith("Wrong digits")
        assert "Handed over" in await lost_code(visitor, phone="00 42", reason="We know the customer")
    await shop.undo_time_passes()
    assert (steps(shop)[-1].step, steps(shop)[-1].actor) == ("hand_over", "luis")
    assert steps(shop)[-1].reason == "no code: We know the customer"


async def test_the_last_digits_of_a_number_find_its_order_for_whoever_lost_the_code(shop: Shop) -> None:
    await ready(shop, MILK)
    async with shop.signed_in("luis") as visitor:
        found = await visitor.fills(PICKUPS, f"{PICKUPS}/find", code="0042")
        assert 'id="lost-code" open' in found.text
        assert "O-1" in found.text
        sent = await visitor.sends(STEP, {**form_fields(found.text, STEP), "without_code": "yes", "phone": "0042",
                                          "reason": "We know the customer"})
        assert "Handed over" in await visitor.message(sent)


async def test_p11_digits_find_only_what_is_ready_and_only_so_often(shop: Shop) -> None:
    await stocked(shop)
    await shop.order("O-1", MILK, phone="0042", pieces=1)
    async with shop.signed_in("luis") as visitor:
        for digits in ("0042", "42", "", *(f"{number:04}" for number in range(CODE_SEARCH_MISSES_MAX))):
            assert "lost-code" not in (await visitor.fills(PICKUPS, f"{PICKUPS}/find", code=digits)).text
        for step in (Step.PICK, Step.STAGE, Step.READY):
            await shop.pickups.take_step(StepRequest("O-1", shop.store.mint(), step, "luis"))
        found = await visitor.fills(PICKUPS, f"{PICKUPS}/find", code="0042")
        assert "lost-code" not in found.text, "too many were tried"


async def test_digits_of_several_orders_say_so(shop: Shop) -> None:
    await ready(shop, MILK)
    await shop.order("O-2", MILK, phone="0042", pieces=1)
    for step in (Step.PICK, Step.STAGE, Step.READY):
        await shop.pickups.take_step(StepRequest("O-2", shop.store.mint(), step, "luis"))
    async with shop.signed_in("luis") as visitor:
        assert "Several orders" in await visitor.message(await visitor.fills(PICKUPS, f"{PICKUPS}/find", code="0042"))


@pytest.mark.parametrize(("phone", "fields", "why"), [
    ("0042", {"reason": "We know the customer"}, "Ask for the last digits"),
    ("0042", {"phone": "0042"}, "Say why it goes without its code."),
    ("0042", {"phone": "0042", "reason": "because"}, "Say why it goes without its code."),
    ("", {"phone": "0042", "reason": "We know the customer"}, "no telephone number is known"),
    ("0042", {"phone": "x", "reason": "We know the customer"}, "Wrong digits")])
async def test_p11_staff_give_nothing_away_without_both(shop: Shop, phone: str, fields: dict[str, str],
                                                       why: str) -> None:
    await ready(shop, MILK, phone=phone)
    async with shop.signed_in("luis") as visitor:
        assert why in await lost_code(visitor, **fields)
    assert state(shop, "O-1") is PickupState.READY


async def test_p11_wrong_digits_count_as_wrong_codes_do(shop: Shop) -> None:
    await ready(shop, MILK)
    async with shop.signed_in("luis") as visitor:
        for _ in range(CODE_ATTEMPTS_MAX):
            await lost_code(visitor, phone="9999", reason="We know the customer")
        assert "Ask a supervisor" in await lost_code(visitor, phone="0042", reason="We know the customer")
    async with shop.signed_in("ana") as visitor:
        assert "Handed over" in await lost_code(visitor, reason="Showed an identity card")


async def test_part_of_an_order_is_handed_over_and_a_line_is_not_taken(shop: Shop) -> None:
    await ready(shop, MILK, BREAD)
    async with shop.signed_in("luis") as visitor:
        form = {**form_fields(await visitor.reads(ORDER_PAGE), STEP), "part": "yes", "code": "K7P3XQ2M"}
        await visitor.sends(STEP, {**form, "give-1": "1", "give-2": "0"})
        assert state(shop, "O-1") is PickupState.PARTIALLY_HANDED_OVER
        await visitor.fills(ORDER_PAGE, STEP, step="refuse", line="2")
        form = {**form_fields(await visitor.reads(ORDER_PAGE), STEP), "code": "K7P3XQ2M"}
        assert "Handed over" in await visitor.message(await visitor.sends(STEP, form))
    await shop.undo_time_passes()
    assert state(shop, "O-1") is PickupState.HANDED_OVER
    assert [(step.step, [(line.line, line.quantity_milli) for line in step.lines]) for step in steps(shop)[-3:]] == [
        ("hand_over", [(1, 1000)]), ("refuse", [(2, 2000)]), ("hand_over", [(1, 1000)])]
    assert stock_of(shop.store, BREAD).staged_milli == 2000, "it waits to be put back"


@pytest.mark.parametrize("given", [{"give-1": "99"}, {"give-1": "x"}, {"give-1": "0"}, {}, {"give-7": "1"}])
async def test_nobody_is_given_more_than_there_is(shop: Shop, given: dict[str, str]) -> None:
    await ready(shop, MILK)
    async with shop.signed_in("luis") as visitor:
        form = {**form_fields(await visitor.reads(ORDER_PAGE), STEP), "part": "yes", "code": "K7P3XQ2M"}
        await visitor.message(await visitor.sends(STEP, {**form, **given}))
    assert state(shop, "O-1") is PickupState.READY


@pytest.mark.parametrize("action", ["scan", "pick", "short", "ready"])
async def test_p11_a_list_of_somebody_else_is_nobodys_to_act_on(shop: Shop, action: str) -> None:
    await stocked(shop)
    await shop.order("O-1", MILK, pieces=1)
    async with shop.signed_in("luis") as first, shop.signed_in("ana") as second:
        await Picker(first).starts()
        theirs = await Picker(first).scan_form()
        own = form_fields(await second.reads(PICKUPS), f"{PICKUPS}/find")
        await second.sends(f"{PICKING}/{action}", {**theirs, "form_token": own["form_token"], "code": MILK_CODE,
                                                   "sku": MILK, "short_reason": "damaged"})
        assert "is not being picked" in await second.reads(PICKUPS)
    assert state(shop, "O-1") is PickupState.ACCEPTED


async def test_where_an_order_stands_comes_back_from_the_hub_after_a_restore(shop: Shop) -> None:
    await stocked(shop)
    await shop.order("O-1", MILK, pieces=1)
    lines = (StepLine(1, 1000),)
    for sequence, (step, after, where) in enumerate((("pick", "picking", ""), ("stage", "staged", "A2"),
                                                     ("ready", "ready", "")), start=1):
        past = PickupStep("O-1", f"before-{step}", step, after, 1, "luis", lines=lines if step == "pick" else (),
                          place=where)
        await shop.books.ledger.submit(lambda c, past=past, at=(9, sequence): take_past_step(c, past, at, 5))
    assert (state(shop, "O-1"), place(shop, "O-1")) == (PickupState.READY, "A2")


async def test_p11_planned_steps_hold_neither_code_nor_number(shop: Shop) -> None:
    await ready(shop, MILK)
    async with shop.signed_in("luis") as visitor:
        await lost_code(visitor, phone="0042", reason="We know the customer")
        rows = shop.books.ledger_reader.execute("SELECT step FROM planned_step").fetchall()
    assert rows
    assert all(b"0042" not in row[0] for row in rows)
