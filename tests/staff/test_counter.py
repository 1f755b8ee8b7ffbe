"""At the counter and in the stock room: pickups, price check, goods that come in, held prices."""

import re

import pytest

from cloud_sync.contract.facts import Movement, PickupStep, StaffAct, decode_fact
from cloud_sync.contract.pickup import PickupState, Step
from drivers.port import StationState
from edge.limits import CODE_ATTEMPTS_MAX, CODE_SEARCH_MISSES_MAX
from edge.pickups.desk import StepRequest
from edge.pos.stock_routes import stock_of
from tests.staff.shop import BREAD, MILK, SHELF, WINE, Shop, form_fields

ORDER, CODE = "WEB-7", "K7P3XQ2M"


def facts(shop: Shop, kind: str) -> list[object]:
    """What the ledger has of a kind, oldest first."""
    rows = shop.books.ledger_reader.execute("SELECT payload FROM entry WHERE kind = ? ORDER BY sequence", (kind,))
    return [decode_fact(payload) for (payload,) in rows.fetchall()]


def state(shop: Shop) -> PickupState:
    found = shop.pickups.find(ORDER)
    assert found is not None
    return found.row.state


async def ordered(shop: Shop, *skus: str, steps: tuple[Step, ...] = ()) -> None:
    """An order for two of each, as far as these steps."""
    for sku in skus:
        await shop.receives(sku, 10)
    await shop.order(ORDER, *skus, code=CODE)
    for step in steps:
        await shop.pickups.take_step(StepRequest(ORDER, shop.store.mint(), step, "luis"))


async def test_an_order_goes_from_the_shelf_to_its_customer_by_plain_forms(shop: Shop) -> None:
    await ordered(shop, MILK, BREAD)
    page, step = f"/staff/pickups/{ORDER}", f"/staff/pickups/{ORDER}/step"
    async with shop.signed_in("luis") as luis:
        assert "Marta R." in await luis.reads("/staff/pickups")
        for line, name in (("1", "Leche Entera"), ("2", "Pan de Molde")):
            response = await luis.fills(page, step, step="pick", line=line)
            assert (await luis.message(response)).startswith(f"2 × {name} into A1.")
        response = await luis.fills(page, step, step="ready", line="")
        assert await luis.message(response) == f"Ready for Marta R.: order {ORDER}."
        response = await luis.fills(page, step, code=CODE)
        assert await luis.message(response) == f"Handed over to Marta R.: order {ORDER}."

    assert state(shop) is PickupState.HANDED_OVER
    await shop.undo_time_passes()
    taken = [fact for fact in facts(shop, "pickup") if isinstance(fact, PickupStep) and fact.actor != "hub"]
    assert [fact.step for fact in taken] == ["pick", "pick", "stage", "ready", "hand_over"]
    assert {fact.actor for fact in taken} == {"luis"}, "every fact names its actor"


async def test_picking_by_scans_alone(shop: Shop) -> None:
    await ordered(shop, MILK, BREAD)
    page, scan = f"/staff/pickups/{ORDER}", f"/staff/pickups/{ORDER}/scan"
    async with shop.signed_in("luis") as luis:
        assert "is not on this list" in await luis.message(await luis.fills(page, scan, code="8410000000032"))
        for _ in range(2):
            said = await luis.message(await luis.fills(page, scan, code="8410000000018"))
            assert said == "1 × Leche Entera into A1."
        assert "picked already" in await luis.message(await luis.fills(page, scan, code="8410000000018"))
        await luis.fills(page, scan, code="8410000000025")
        await luis.fills(page, scan, code="8410000000025")
        html = await luis.reads(page)

    assert 'name="step" value="ready"' in html
    assert scan not in html, "nothing is left to scan"


async def test_p2_a_step_sent_twice_counts_once(shop: Shop) -> None:
    await ordered(shop, MILK)
    async with shop.signed_in("luis") as luis:
        step = f"/staff/pickups/{ORDER}/step"
        fields = {**form_fields(await luis.reads(f"/staff/pickups/{ORDER}"), step), "step": "pick", "line": "1"}
        first, second = await luis.sends(step, fields), await luis.sends(step, fields)

        assert (await luis.message(first)).startswith("2 × Leche Entera into A1.")
        assert second.status_code == 303
        await shop.undo_time_passes()
        late = await luis.sends(step, fields)
        assert (await luis.message(late)).startswith("2 × Leche Entera into A1."), "once more, as it was"
        await shop.undo_time_passes()
    assert len([fact for fact in facts(shop, "pickup") if isinstance(fact, PickupStep) and fact.step == "pick"]) == 1


async def test_a_customers_code_finds_the_order_and_one_tap_hands_it_over(shop: Shop) -> None:
    await ordered(shop, MILK, steps=(Step.PICK, Step.STAGE, Step.READY))
    async with shop.signed_in("luis") as luis:
        response = await luis.fills("/staff/pickups", "/staff/pickups/find", code=" k7p3 xq2m ")
        assert response.status_code == 200
        assert "Marta R." in response.text
        typed = re.search(r'<input id="code" name="code"[^>]* value="([^"]*)"', response.text)
        assert typed is not None
        step = f"/staff/pickups/{ORDER}/step"
        handed = await luis.sends(step, {**form_fields(response.text, step), "code": typed[1]})
        assert "Handed over to" in await luis.message(handed)

    assert state(shop) is PickupState.HANDED_OVER


async def test_p11_a_pickup_code_stands_in_no_address(shop: Shop) -> None:
    await ordered(shop, MILK, steps=(Step.PICK, Step.STAGE, Step.READY))
    async with shop.signed_in("luis") as luis:
        for response in (await luis.fills("/staff/pickups", "/staff/pickups/find", code=CODE),
                         await luis.fills("/staff/pickups", "/staff/pickups/find", code="WRONG")):
            assert CODE not in str(response.url)
            assert "WRONG" not in response.headers.get("location", "")


async def test_p11_codes_without_an_order_are_tried_only_so_often(shop: Shop) -> None:
    await ordered(shop, MILK, steps=(Step.PICK, Step.STAGE, Step.READY))
    async with shop.signed_in("luis") as luis:
        for _ in range(CODE_SEARCH_MISSES_MAX):
            response = await luis.fills("/staff/pickups", "/staff/pickups/find", code="WRONG")
            assert await luis.message(response) == "No order that is ready has this code."
        response = await luis.fills("/staff/pickups", "/staff/pickups/find", code=CODE)
        assert (await luis.message(response)).startswith("Too many codes without an order.")


async def test_p11_wrong_codes_at_the_counter_count_down_and_end(shop: Shop) -> None:
    await ordered(shop, MILK, steps=(Step.PICK, Step.STAGE, Step.READY))
    page, step = f"/staff/pickups/{ORDER}", f"/staff/pickups/{ORDER}/step"
    said = []
    async with shop.signed_in("luis") as luis:
        for _ in range(CODE_ATTEMPTS_MAX):
            response = await luis.fills(page, step, code="WRONG")
            assert response.headers["location"] == page, "refused: the order stays open"
            said.append(await luis.message(response))
        said.append(await luis.message(await luis.fills(page, step, code=CODE)))

    assert said[0] == f"Wrong code for order {ORDER}; 4 attempts left."
    assert said[-2] == f"Wrong code for order {ORDER}. That was the last attempt: ask a supervisor."
    assert said[-1] == f"Order {ORDER}: {CODE_ATTEMPTS_MAX} wrong codes. Ask a supervisor."
    assert state(shop) is PickupState.READY


async def test_a_picker_finds_the_shelf_by_its_light(shop: Shop) -> None:
    await shop.hangs(SHELF, MILK)
    await ordered(shop, MILK)
    async with shop.signed_in("luis") as luis:
        response = await luis.fills(f"/staff/pickups/{ORDER}", f"/staff/labels/{SHELF}/light")

    assert shop.station.lit == [SHELF]
    assert response.headers["location"] == f"/staff/pickups/{ORDER}"


async def test_p11_a_customers_name_is_erased_from_the_page_with_the_person(shop: Shop) -> None:
    await ordered(shop, MILK, steps=(Step.PICK, Step.STAGE, Step.READY))
    await shop.pickups.take_step(StepRequest(ORDER, shop.store.mint(), Step.HAND_OVER, "luis", code=CODE))
    shop.clocks.pass_s(shop.store.policy.person_keep_s + 1)
    await shop.pickups.erase_people()
    async with shop.signed_in("luis") as luis:
        html = await luis.reads(f"/staff/pickups/{ORDER}")

    assert "Marta" not in html
    assert ORDER in html


async def test_a_price_check_says_what_the_till_asks_and_why_it_is_less_than_the_list_price(shop: Shop) -> None:
    await shop.hangs(SHELF, MILK)
    await shop.sets_price(MILK, 129)
    async with shop.signed_in("teo") as teo:
        html = await teo.reads("/staff/price?code=8410000000018")

    assert '<p class="price">€1.09</p>' in html
    assert "The list price is €1.29. The till asks less" in html
    assert f'href="/staff/labels/{SHELF}"' in html


async def test_a_scanned_label_is_looked_at_as_a_label(shop: Shop) -> None:
    await shop.hangs(SHELF, MILK)
    async with shop.signed_in() as ana:
        response = await ana.client.get(f"/staff/price?code={SHELF.upper()}")

    assert response.headers["location"] == f"/staff/labels/{SHELF}"


async def test_an_unknown_code_is_a_normal_answer(shop: Shop) -> None:
    async with shop.signed_in() as ana:
        assert "No product has the code &lt;b&gt;." in await ana.reads("/staff/price?code=<b>")


async def test_a_product_without_a_price_is_said_to_have_none(shop: Shop) -> None:
    await shop.feed_item("9999", "SIN PRECIO")
    async with shop.signed_in() as ana:
        assert "It has no list price" in await ana.reads("/staff/price?code=9999")


@pytest.mark.parametrize(("typed", "milli"), [("12", 12_000), ("0,350", 350), ("0.35", 350), ("1.5", 1_500)])
async def test_goods_come_in_and_one_tap_takes_a_slip_back(shop: Shop, typed: str, milli: int) -> None:
    async with shop.signed_in("luis") as luis:
        response = await luis.fills("/staff/receive", "/staff/receive", code="8410000000018", quantity=typed,
                                    document="ALB-1")
        html = await luis.reads(response.headers["location"])
        assert "× Leche Entera. In stock now:" in html
        assert 'value="ALB-1"' in html, "the next line of the same delivery note"
        assert stock_of(shop.store, MILK).sellable_milli == milli
        movement = facts(shop, "movement")[-1]
        assert isinstance(movement, Movement)
        assert (movement.actor, movement.document, movement.reason) == ("luis", "ALB-1", "receipt")

        undo = form_fields(html, "/staff/receive/undo")
        assert (await luis.message(await luis.sends("/staff/receive/undo", undo))).startswith("Taken back:")
        await luis.sends("/staff/receive/undo", undo)

    assert stock_of(shop.store, MILK).sellable_milli == 0, "twice is once"


@pytest.mark.parametrize("typed", ["", "0", "-3", "1e3", "1,2,3", "٣", "9999999", "0.0001", "12 kg"])
async def test_a_quantity_that_is_none_is_refused_and_what_was_typed_stays(shop: Shop, typed: str) -> None:
    async with shop.signed_in("luis") as luis:
        response = await luis.fills("/staff/receive", "/staff/receive", code="8410000000018", quantity=typed)
        html = await luis.reads(response.headers["location"])

    assert "Say how many came in" in html
    assert 'value="8410000000018"' in html
    assert stock_of(shop.store, MILK).sellable_milli == 0


async def test_p2_a_receipt_sent_twice_counts_once_and_the_next_line_is_another(shop: Shop) -> None:
    async with shop.signed_in("luis") as luis:
        fields = {**form_fields(await luis.reads("/staff/receive"), "/staff/receive"), "document": ""}
        for code, quantity in ((MILK, "6"), (MILK, "6"), (WINE, "6")):
            await luis.sends("/staff/receive", {**fields, "code": code, "quantity": quantity})

    assert stock_of(shop.store, MILK).sellable_milli == 6_000
    assert stock_of(shop.store, WINE).sellable_milli == 6_000
    assert shop.page.board.exceptions() == [], "no conflict for a person to settle"


async def test_a_supervisor_sees_the_mistyped_price_and_drops_it(shop: Shop) -> None:
    await shop.hold_a_price()
    async with shop.signed_in("ana") as ana:
        html = await ana.reads("/staff/held")
        assert "Vino Tinto Crianza" in html
        assert re.search(r"€7\.45.*€0\.07", html, re.DOTALL)
        action = f"/staff/held/{shop.guard.held()[0].digest}"
        form = form_fields(html, action)
        response = await ana.sends(action, {**form, "approve": "no", "reason": "comma"})
        assert await ana.message(response) == "The held prices are dropped. Nothing changed in the store."
        again = await ana.sends(action, {**form, "approve": "no"})
        assert await ana.message(again) == "This batch is no longer held."

    assert shop.prices.list_price(WINE) == (745, "EUR")
    act = shop.acts()[-1]
    assert isinstance(act, StaffAct)
    assert (act.act, act.actor, act.reason) == ("drop-prices", "ana", "comma")


async def test_a_supervisor_lets_a_price_through(shop: Shop) -> None:
    await shop.hold_a_price()
    async with shop.signed_in("ana") as ana:
        action = f"/staff/held/{shop.guard.held()[0].digest}"
        response = await ana.sends(action, {**form_fields(await ana.reads("/staff/held"), action), "approve": "yes"})
        assert await ana.message(response) == "Let through: 1 price changed now. Its labels follow."

    assert shop.prices.list_price(WINE) == (7, "EUR")


async def test_p11_others_see_held_prices_and_have_no_button(shop: Shop) -> None:
    await shop.hold_a_price()
    async with shop.signed_in("luis") as luis:
        html = await luis.reads("/staff/held")
        assert "Vino Tinto Crianza" in html
        assert "Let them through" not in html


async def test_home_counts_what_the_shop_is_about(shop: Shop) -> None:
    await shop.hangs(SHELF, MILK)
    await ordered(shop, BREAD)
    await shop.sells(MILK, 1)
    await shop.sells(WINE, 2)
    async with shop.signed_in() as ana:
        html = await ana.reads("/staff")

    text = " ".join(re.sub(r"<[^>]+>", " ", html).split())
    for figure in ("Labels 1 of 1 shown", "0 pending", "0 failed", "Sales today €8.54 2 receipts", "Pickups to do 1",
                   "Connected since 11:00", "Vino Tinto Crianza €7.45", "till 1, no. 2"):
        assert figure in text, figure
    assert text.index("Vino Tinto") < text.index("Leche Entera")


async def test_home_says_what_is_wrong_and_where_to_act(shop: Shop) -> None:
    await shop.hold_a_price()
    shop.station.goes(StationState.OFFLINE)
    async with shop.signed_in() as ana:
        html = await ana.reads("/staff")

    assert "Base station aisle does not answer (offline)." in html
    assert 'href="/staff/held"' in html
    assert "All is well" not in html


async def test_new_sales_go_on_top_and_nothing_is_read_twice(shop: Shop) -> None:
    for sequence in range(1, 4):
        await shop.sells(MILK, sequence)
        newest = shop.page.board.sales.newest()
        assert [sale.sequence for sale in newest] == list(range(sequence, 0, -1))
    await shop.hangs(SHELF, MILK)
    assert [sale.sequence for sale in shop.page.board.sales.newest()] == [3, 2, 1]


async def test_p4_a_sale_of_an_unknown_product_is_on_the_tape_with_its_flag(shop: Shop) -> None:
    await shop.sells("not-in-catalogue", 1, price_minor=100)
    async with shop.signed_in() as ana:
        assert "Unknown product sold" in await ana.reads("/staff/sales")
        assert "Unknown product sold" in await ana.reads("/staff/exceptions")
