"""The wall and a label's page: what customers read, what is to come, and what people do about it."""

import io
import re

import msgspec
import pytest
from PIL import Image

from cloud_sync.contract.documents import Promotion
from cloud_sync.contract.facts import StaffAct
from cloud_sync.contract.feeds import Feed
from drivers.port import StationState
from edge.db.label_rows import label_rows
from edge.labels.content import content_hash
from edge.labels.planner import LabelState
from edge.labels.render import preview_png, render
from edge.limits import STAFF_PICTURES_MAX, WALL_LABELS_PER_PAGE
from edge.staff.label_index import Standing
from edge.staff.pictures import Drawing
from edge.staff.tiles import Tile
from tests.staff.shop import BREAD, MILK, OTHER, PRICES, SHELF, Shop, form_fields


def tile(shop: Shop, label: str = SHELF) -> Tile:
    """The label as the wall has it."""
    return shop.page.board.tiles.of([label])[0]


def page_of(label: str = SHELF) -> str:
    return f"/staff/labels/{label}"


async def test_p7_a_label_is_green_only_once_it_has_proven_what_it_should_show(shop: Shop) -> None:
    await shop.hangs(SHELF, MILK, proven=False)
    assert tile(shop).standing is Standing.ON_AIR
    assert tile(shop).shown is None

    shop.station.proves(SHELF)
    await shop.until(lambda: shop.state(SHELF) is LabelState.SHOWN)
    assert tile(shop).standing is Standing.SHOWN
    shown = tile(shop).shown
    assert shown is not None
    assert shown.exact
    assert tile(shop).coming is None


async def test_p7_while_a_new_price_is_on_its_way_the_wall_shows_what_customers_read(shop: Shop) -> None:
    await shop.hangs(SHELF, MILK)
    before = tile(shop).shown
    await shop.sets_price(MILK, 129)
    await shop.until(lambda: len(shop.station.offers[SHELF]) == 2)

    now = tile(shop)
    assert now.standing is Standing.ON_AIR
    assert now.shown is not None
    assert before is not None
    assert now.shown.path == before.path
    assert now.shown.exact, "drawn again, and the same content as was proven"
    assert now.coming is not None
    assert (now.proven.price_minor if now.proven else None, now.wanted_price_minor) == (109, 129)
    assert now.shows_other_price

    async with shop.signed_in() as ana:
        html = await ana.reads("/staff/labels")
        assert 'alt="Shows Leche Entera, €1.09"' in html
        assert "Coming <b>€1.29</b>" in html
        assert "Customers read €1.09 here; the list price is €1.29." in await ana.reads(page_of())

    shop.station.proves(SHELF)
    await shop.until(lambda: shop.state(SHELF) is LabelState.SHOWN)
    after = tile(shop)
    assert after.shown is not None
    assert after.shown.path == now.coming.path, "the picture that was to come is the one it shows"
    assert after.coming is None


async def test_p7_what_was_proven_long_ago_is_redrawn_at_its_price_and_said_to_be(shop: Shop) -> None:
    await shop.hangs(SHELF, MILK)
    await shop.feed_item(MILK, "LECHE ENTERA FRESCA")
    await shop.sets_price(MILK, 129)
    await shop.until(lambda: shop.state(SHELF) is LabelState.ON_AIR)

    shown = tile(shop).shown
    assert shown is not None
    assert not shown.exact
    async with shop.signed_in() as ana:
        assert "redrawn from the proven price" in await ana.reads(page_of())


async def test_a_product_that_left_the_catalogue_is_still_named_by_what_the_label_proved(shop: Shop) -> None:
    await shop.hangs(SHELF, MILK)
    await shop.forget_item(MILK)
    await shop.until(lambda: shop.state(SHELF) is LabelState.FAILED)

    now = tile(shop)
    assert now.shown is None
    assert now.proven is not None
    async with shop.signed_in() as ana:
        html = await ana.reads("/staff/labels")
        assert "Shows 1001, €1.09" in html
        assert "Product 1001 is not in the catalogue." in html


async def test_a_picture_has_the_pixels_of_its_content_and_an_address_that_names_them(shop: Shop) -> None:
    await shop.hangs(SHELF, MILK)
    row = shop.row(SHELF)
    assert row is not None
    drawing = shop.page.pictures.shown(row)
    assert isinstance(drawing, Drawing)
    assert content_hash(drawing.wanted.content, drawing.wanted.template) == row.proven_content
    image = tile(shop).shown
    assert image is not None

    async with shop.signed_in() as ana:
        response = await ana.client.get(image.path)
        assert response.headers["content-type"] == "image/png"
        assert "immutable" in response.headers["cache-control"]
        picture = render(drawing.wanted.template, drawing.wanted.content, drawing.description)
        assert response.content == preview_png(picture)
        assert Image.open(io.BytesIO(response.content)).size == (image.width, image.height) == (296, 128)

        await shop.sets_price(MILK, 129)
        await shop.until(lambda: len(shop.station.offers[SHELF]) == 2)
        assert (await ana.client.get(image.path)).content == response.content, "an address never changes its picture"


async def test_an_address_of_another_picture_shows_nothing_rather_than_something_wrong(shop: Shop) -> None:
    await shop.hangs(SHELF, MILK)
    async with shop.signed_in() as ana:
        response = await ana.client.get(f"/staff/pictures/{SHELF}/{'0' * 24}.png")

    assert response.status_code == 404
    assert response.headers["cache-control"] == "no-store"


async def test_p10_only_so_many_pictures_are_kept(shop: Shop) -> None:
    await shop.hangs(SHELF, MILK)
    row = shop.row(SHELF)
    assert row is not None
    drawing = shop.page.pictures.shown(row)
    assert drawing is not None
    for number in range(STAFF_PICTURES_MAX):
        shop.page.pictures._files[f"older {number}"] = b""
    assert await shop.page.pictures.png(row, drawing.key)

    assert len(shop.page.pictures._files) == STAFF_PICTURES_MAX
    assert "older 0" not in shop.page.pictures._files
    assert drawing.key in shop.page.pictures._files


async def test_a_failed_label_says_why_and_comes_first(shop: Shop) -> None:
    await shop.hangs(SHELF, MILK)
    await shop.hangs(OTHER, BREAD)
    await shop.sets_price(MILK, 129)
    await shop.until(lambda: len(shop.station.offers[SHELF]) == 2)
    shop.station.fails(SHELF, "the label did not fetch it in time")
    await shop.until(lambda: tile(shop).standing is Standing.FAILED)

    async with shop.signed_in() as ana:
        html = await ana.reads("/staff/labels")
        assert html.index(f"tile-{SHELF}") < html.index(f"tile-{OTHER}")
        assert "The label did not fetch its picture in time." in html
        only = await ana.reads("/staff/labels?show=failed")
        assert f"tile-{SHELF}" in only
        assert f"tile-{OTHER}" not in only


async def test_a_silent_base_station_is_why_its_labels_wait(shop: Shop) -> None:
    await shop.hangs(SHELF, MILK)
    shop.station.goes(StationState.OFFLINE)
    await shop.sets_price(MILK, 129)
    await shop.until(lambda: tile(shop).standing is Standing.QUEUED)

    async with shop.signed_in() as ana:
        assert "Base station aisle does not answer (offline): check its cable and power." in await ana.reads(page_of())


async def test_the_wall_finds_a_label_by_its_address_its_product_and_a_scan(shop: Shop) -> None:
    await shop.hangs(SHELF, MILK)
    await shop.hangs(OTHER, BREAD)
    async with shop.signed_in() as ana:
        for query in ("leche", "LECHE ent", "1001", "8410000000018"):
            html = await ana.reads(f"/staff/labels?q={query}")
            assert f"tile-{SHELF}" in html, query
            assert f"tile-{OTHER}" not in html, query
        scanned = await ana.client.get(f"/staff/labels?q={SHELF.upper()}")
        assert scanned.headers["location"] == page_of()
        assert "No label here." in await ana.reads("/staff/labels?q=nothing+like+it")


async def test_p10_a_shop_with_many_labels_has_a_wall_of_pages(shop: Shop) -> None:
    labels = [f"{0xaa00000000000000 + number:016x}" for number in range(WALL_LABELS_PER_PAGE * 2 + 4)]
    for label in labels:
        shop.station.hears(label)
    await shop.until(lambda: len(label_rows(shop.store.books.ledger_reader)) == len(labels))

    async with shop.signed_in() as ana:
        pages = [await ana.reads(f"/staff/labels?page={number}") for number in (1, 2, 3)]
        beyond = await ana.reads("/staff/labels?page=99")
    found = [re.findall(r'id="tile-([0-9a-f]+)"', html) for html in pages]
    assert [len(each) for each in found] == [WALL_LABELS_PER_PAGE, WALL_LABELS_PER_PAGE, 4]
    assert sorted(label for each in found for label in each) == labels
    assert "Page 3 of 3" in beyond
    assert all('loading="lazy"' in image for image in re.findall(r"<img[^>]*pictures[^>]*>", pages[0]))


async def test_binding_by_a_scan_says_what_changed_names_its_actor_and_goes_back_with_one_tap(shop: Shop) -> None:
    await shop.hangs(SHELF, MILK)
    async with shop.signed_in("luis") as luis:
        response = await luis.fills(page_of(), f"{page_of()}/bind", code="8410000000025")
        assert response.headers["location"] == page_of()
        html = await luis.reads(page_of())
        assert f"Label {SHELF} now hangs under Pan de Molde; before: Leche Entera." in html
        assert shop.acts()[-1] == StaffAct(act="bind", subject=f"{SHELF} {BREAD}", actor="luis")
        assert "Back to Leche Entera" in html

        undone = await luis.sends(f"{page_of()}/bind", form_fields(html, f"{page_of()}/bind"))
        assert (await luis.message(undone)).startswith(f"Label {SHELF} now hangs under Leche Entera")
    assert shop.acts()[-1] == StaffAct(act="bind", subject=f"{SHELF} {MILK}", actor="luis")


def sku_of(shop: Shop, label: str) -> str | None:
    row = shop.row(label)
    assert row is not None
    return row.sku


async def test_a_label_takes_anothers_place_and_goes_back_with_one_tap(shop: Shop) -> None:
    await shop.hangs(SHELF, MILK)
    shop.station.hears(OTHER)
    await shop.until(lambda: shop.row(OTHER) is not None)
    async with shop.signed_in("luis") as luis:
        await luis.fills(page_of(), f"{page_of()}/replace", by=OTHER.upper())
        html = await luis.reads(page_of())
        assert f"Label {OTHER} hangs under Leche Entera in place of {SHELF}." in html
        assert [sku_of(shop, each) for each in (SHELF, OTHER)] == [None, MILK]
        assert shop.acts()[-2:] == [StaffAct(act="bind", subject=f"{OTHER} {MILK}", actor="luis"),
                                    StaffAct(act="unbind", subject=SHELF, actor="luis")]
        action = f"/staff/labels/{OTHER}/replace"
        await luis.sends(action, form_fields(html, action))
        assert [sku_of(shop, each) for each in (SHELF, OTHER)] == [MILK, None]
        await luis.fills(page_of(), f"{page_of()}/replace", by="0000000000000001")
        assert "No base station has heard label 0000000000000001." in await luis.reads(page_of())


async def test_a_message_is_shown_once(shop: Shop) -> None:
    await shop.hangs(SHELF, MILK)
    async with shop.signed_in() as ana:
        await ana.fills(page_of(), f"{page_of()}/bind", code=BREAD)
        assert "now hangs under" in await ana.reads(page_of())
        assert "now hangs under" not in await ana.reads(page_of())


async def test_p2_a_form_sent_twice_counts_once(shop: Shop) -> None:
    await shop.hangs(SHELF, MILK)
    async with shop.signed_in() as ana:
        action = f"{page_of()}/bind"
        fields = {**form_fields(await ana.reads(page_of()), action), "code": BREAD}
        acts = len(shop.acts())
        await ana.sends(action, fields)
        await ana.fills(page_of(), action, code=MILK)
        again = await ana.sends(action, fields)

        assert await ana.message(again) == "That was done already."
    row = shop.row(SHELF)
    assert row is not None
    assert row.sku == MILK, "the old form moves nothing any more"
    assert len(shop.acts()) == acts + 2


async def test_p2_the_same_form_filled_in_anew_is_another_act(shop: Shop) -> None:
    await shop.hangs(SHELF, MILK)
    async with shop.signed_in() as ana:
        action = f"{page_of()}/bind"
        fields = form_fields(await ana.reads(page_of()), action)
        await ana.sends(action, {**fields, "code": BREAD})
        response = await ana.sends(action, {**fields, "code": MILK})

        assert "now hangs under Leche Entera" in await ana.message(response)
    assert shop.page.board.exceptions() == []


async def test_an_unknown_code_binds_nothing_and_says_so(shop: Shop) -> None:
    await shop.hangs(SHELF, MILK)
    acts = len(shop.acts())
    async with shop.signed_in() as ana:
        response = await ana.fills(page_of(), f"{page_of()}/bind", code="4006381333931")
        html = await ana.reads(response.headers["location"])

    assert '<div class="message refused" role="alert">' in html
    assert "No product has the code 4006381333931." in html
    assert len(shop.acts()) == acts


async def test_taking_a_label_off_its_product_and_back(shop: Shop) -> None:
    await shop.hangs(SHELF, MILK)
    async with shop.signed_in() as ana:
        html = await ana.reads((await ana.fills(page_of(), f"{page_of()}/unbind")).headers["location"])
        assert f"Label {SHELF} is off Leche Entera." in html
        assert tile(shop).standing is Standing.UNBOUND
        await ana.sends(f"{page_of()}/bind", form_fields(html, f"{page_of()}/bind"))
    row = shop.row(SHELF)
    assert row is not None
    assert row.sku == MILK


async def test_an_excluded_label_is_not_green_and_counts_again_with_one_tap(shop: Shop) -> None:
    await shop.hangs(SHELF, MILK)
    async with shop.signed_in("luis") as luis:
        response = await luis.fills(page_of(), f"{page_of()}/exclude", reason="Broken", note="screen cracked")
        html = await luis.reads(response.headers["location"])
        assert f"Label {SHELF} no longer counts: Broken: screen cracked." in html
        assert tile(shop).standing is Standing.EXCLUDED
        assert shop.acts()[-1] == StaffAct(act="exclude", subject=SHELF, actor="luis", reason="Broken: screen cracked")

        back = await luis.reads((await luis.sends(f"{page_of()}/include", form_fields(html, f"{page_of()}/include")))
                                .headers["location"])
        await shop.until(lambda: tile(shop).standing is Standing.SHOWN)
        await luis.sends(f"{page_of()}/exclude", form_fields(back, f"{page_of()}/exclude"))
        assert tile(shop).why == "Broken: screen cracked"


@pytest.mark.parametrize("note", ["", "   "])
async def test_another_reason_needs_its_words(shop: Shop, note: str) -> None:
    await shop.hangs(SHELF, MILK)
    async with shop.signed_in() as ana:
        response = await ana.fills(page_of(), f"{page_of()}/exclude", reason="Another reason", note=note)
        assert await ana.message(response) == "Say why the label does not count."
    assert tile(shop).standing is Standing.SHOWN


async def test_p3_only_a_supervisor_strikes_a_price_with_a_reason_and_then_the_till_asks_more(shop: Shop) -> None:
    await shop.hangs(SHELF, MILK)
    await shop.sets_price(MILK, 129)
    await shop.until(lambda: len(shop.station.offers[SHELF]) == 2)
    strike = f"{page_of()}/strike-claim"
    async with shop.signed_in("luis") as luis:
        assert strike not in await luis.reads(page_of())
    async with shop.signed_in("ana") as ana:
        fields = form_fields(await ana.reads(page_of()), strike)
        assert (fields["sku"], fields["price_minor"]) == (MILK, "109")
        unsaid = await ana.message(await ana.sends(strike, {**fields, "reason": " "}))
        assert unsaid == "Say why this price does not count."
        said = await ana.message(await ana.sends(strike, {**fields, "reason": "shop was shut"}))
        assert said.startswith(f"Label {SHELF} no longer holds Leche Entera")

    quote = shop.prices.by_sku(MILK)
    assert quote is not None
    assert quote.charge_minor == 129
    assert shop.acts()[-1] == StaffAct(act="void-claim", subject=f"{SHELF} {MILK} 109", actor="ana",
                                       reason="shop was shut")


async def test_p3_a_supervisor_strikes_terms_that_a_label_may_still_say(shop: Shop) -> None:
    terms = msgspec.Raw(msgspec.json.encode({"skus": [MILK], "pieces": 3, "price_minor": 299}))
    await shop.feed(Feed.PROMOTIONS, {"summer": Promotion("summer", 1, "multi-buy", terms)})
    await shop.hangs(SHELF, MILK)
    assert "Strike" not in await _as_ana(shop), "what the label is to say is nothing old"
    await shop.forget(Feed.PROMOTIONS, "summer")
    assert "at 3 for €2.99" in await _as_ana(shop)
    strike = f"{page_of()}/strike-claim"
    async with shop.signed_in("ana") as ana:
        fields = form_fields(await ana.reads(page_of()), strike)
        await ana.sends(strike, {**fields, "reason": "shop was shut"})
    assert not shop.prices.promotions.active_for([MILK])


async def _as_ana(shop: Shop) -> str:
    async with shop.signed_in("ana") as ana:
        return str(await ana.reads(page_of()))


async def test_a_label_is_found_in_the_aisle_by_its_light(shop: Shop) -> None:
    await shop.hangs(SHELF, MILK)
    async with shop.signed_in() as ana:
        message = await ana.message(await ana.fills(page_of(), f"{page_of()}/light"))

    assert shop.station.lit == [SHELF]
    assert message == f"Label {SHELF} flashes for 10 seconds when it hears of it."


async def test_prices_on_the_wall_are_written_as_on_the_shelf_whatever_language_a_person_reads(shop: Shop) -> None:
    await shop.hangs(SHELF, MILK)
    async with shop.signed_in() as ana:
        html = await ana.reads("/staff")
        fields = form_fields(html, "/staff/language")
        await ana.sends("/staff/language", {**fields, "language": "es"})
        html = await ana.reads(page_of())

    assert '<html lang="es">' in html
    assert "Muestra Leche Entera, €1.09" in html
    assert PRICES[MILK] == 109

