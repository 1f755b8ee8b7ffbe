"""Counting a shelf and receiving a delivery on the page (staff-and-operations.md A.2, A.3)."""

import msgspec
import pytest

from cloud_sync.contract.facts import (
    Count,
    DeliveryClosed,
    Discrepancy,
    Movement,
    TransferLine,
    TransferSent,
    decode_fact,
)
from edge.errors import Rejected
from edge.health.stock_checks import stock_issues
from edge.pos.stock_routes import stock_of
from edge.staff.said import in_words
from edge.staff.words import words_of
from edge.stock.count_sessions import How, ScanRequest
from edge.stock.deliveries import ReceiptRequest
from edge.stock.moves import AdjustmentRequest, Reason
from tests.staff.shop import BREAD, MILK, WINE, Shop, Visitor, form_fields

MILK_CODE, BREAD_CODE, WINE_CODE = "8410000000018", "8410000000025", "8410000000032"
COUNTS, STOCK = "/staff/counts", "/staff/stock"


def on_hand(shop: Shop, sku: str) -> int:
    return stock_of(shop.store, sku).on_hand_milli // 1000


def facts(shop: Shop, kind: type[msgspec.Struct]) -> list[object]:
    rows = shop.books.ledger_reader.execute("SELECT payload FROM entry ORDER BY sequence").fetchall()
    return [fact for fact in (decode_fact(payload) for (payload,) in rows) if isinstance(fact, kind)]


async def test_a_shelf_is_counted_with_one_tap_and_then_scans(shop: Shop) -> None:
    for sku in (MILK, BREAD):
        await shop.receives(sku, 5)
    async with shop.signed_in("luis") as luis:
        begun = await luis.fills("/staff", COUNTS)
        page = begun.headers["location"]
        for pieces in (1, 2, 3):
            said = await luis.message(await luis.fills(page, f"{page}/scan", code=MILK_CODE))
            assert said.startswith(f"Leche Entera: {pieces} counted.")
        assert "No product has the code 999." in await luis.message(await luis.fills(page, f"{page}/scan", code="999"))
        await luis.fills(page, f"{page}/scan", code=BREAD, quantity="", none="yes")
        html = await luis.reads(page)
        assert "expected" not in html, "who counts is told nothing of the book"
        said = await luis.message(await luis.fills(page, f"{page}/submit"))

    assert said == "Counted: 2 products."
    assert (on_hand(shop, MILK), on_hand(shop, BREAD)) == (3, 0)
    [count] = facts(shop, Count)
    assert isinstance(count, Count)
    assert count.actor == "luis"


async def test_p2_a_scan_whose_page_was_sent_twice_counts_once_and_one_tap_takes_it_back(shop: Shop) -> None:
    async with shop.signed_in("luis") as luis:
        page = (await luis.fills(STOCK, COUNTS, place="aisle 4")).headers["location"]
        fields = {**form_fields(await luis.reads(page), f"{page}/scan"), "code": MILK_CODE}
        for _ in range(2):
            after = await luis.sends(f"{page}/scan", fields)
        html = await luis.reads(after.headers["location"])
        assert "Leche Entera: 1 counted." in html
        undo = form_fields(html, f"{page}/undo")
        for _ in range(2):
            assert "Taken back" in await luis.message(await luis.sends(f"{page}/undo", undo))
    [tally] = shop.stock.sessions.view(page.rsplit("/", 1)[1]).tallies
    assert tally.counted_milli == 0


async def test_none_here_by_mistake_is_taken_back_with_one_tap(shop: Shop) -> None:
    async with shop.signed_in("luis") as luis:
        page = (await luis.fills(STOCK, COUNTS, place="aisle 4")).headers["location"]
        await luis.fills(page, f"{page}/scan", code=MILK_CODE)
        await luis.fills(page, f"{page}/scan", code=MILK_CODE)
        after = await luis.fills(page, f"{page}/scan", code=MILK, none="yes")
        html = await luis.reads(after.headers["location"])
        assert "Leche Entera: 0 counted." in html
        undo = form_fields(html, f"{page}/scan")
        assert await luis.message(await luis.sends(f"{page}/scan", undo)) == "Leche Entera: 2 counted."


async def test_a_large_difference_is_a_supervisors_to_decide(shop: Shop) -> None:
    await shop.receives(WINE, 20)
    async with shop.signed_in("luis") as luis:
        page = (await luis.fills(STOCK, COUNTS)).headers["location"]
        await luis.fills(page, f"{page}/scan", code=WINE_CODE)
        said = await luis.message(await luis.fills(page, f"{page}/submit"))
        assert said == "Counted: 1 product. 1 of them waits for a supervisor."
        assert "Differences that wait for you" not in await luis.reads(STOCK)
        refused = await luis.sends("/staff/stock/review", {"form_token": "x"})
        assert refused.status_code == 403
    assert on_hand(shop, WINE) == 20
    assert [issue.key for issue in stock_issues(shop.store, shop.stock)] == ["counts-wait"]
    async with shop.signed_in("ana") as ana:
        html = await ana.reads(STOCK)
        assert "1 counted, 20 expected" in html
        said = await ana.message(await ana.fills(STOCK, "/staff/stock/review"))
        assert said == "The count of Vino Tinto Crianza stands."
    assert on_hand(shop, WINE) == 1
    assert list(stock_issues(shop.store, shop.stock)) == []


async def test_a_delivery_is_received_by_scans_and_what_differs_is_shown(shop: Shop) -> None:
    await shop.announces("D-7", MILK, BREAD)
    path = "/staff/deliveries/D-7"
    async with shop.signed_in("luis") as luis:
        assert "Lácteos Norte" in await luis.reads(STOCK)
        said = await luis.message(await luis.fills(path, f"{path}/receive", code=MILK_CODE, quantity="2"))
        assert said.startswith("Leche Entera: 2 of 3 came in.")
        await luis.fills(path, f"{path}/receive", code=BREAD_CODE, quantity="", damaged="yes")
        await luis.fills(path, f"{path}/receive", code=WINE_CODE)
        html = await luis.reads(path)
        for word in ("Short", "Damaged", "Not announced"):
            assert word in html
        said = await luis.message(await luis.fills(path, f"{path}/close", note="driver signed"))
        assert said == "The delivery is closed. 3 products differ."
        assert "This delivery is closed." in await luis.reads(path)
    [closed] = facts(shop, DeliveryClosed)
    assert isinstance(closed, DeliveryClosed)
    assert closed.discrepancies == (Discrepancy(MILK, 3000, 2000), Discrepancy(BREAD, 3000, 1000, 1000),
                                    Discrepancy(WINE, 0, 1000))


async def test_everything_else_came_in_with_one_tap_and_a_scan_is_taken_back(shop: Shop) -> None:
    await shop.announces("D-7", MILK)
    path = "/staff/deliveries/D-7"
    async with shop.signed_in("luis") as luis:
        after = await luis.fills(path, f"{path}/receive", code=MILK_CODE, quantity="3")
        undo = form_fields(await luis.reads(after.headers["location"]), f"{path}/undo")
        for _ in range(2):
            await luis.sends(f"{path}/undo", undo)
        assert on_hand(shop, MILK) == 0
        assert await luis.message(await luis.fills(path, f"{path}/rest")) == "Everything that was missing came in."
        assert await luis.message(await luis.fills(path, f"{path}/close")) == \
            "The delivery is closed. All came as announced."
    assert on_hand(shop, MILK) == 3


async def test_an_adjustment_has_a_reason_and_a_large_one_a_supervisor(shop: Shop) -> None:
    await shop.receives(MILK, 30)
    adjust = "/staff/stock/adjust"
    async with shop.signed_in("luis") as luis:
        said = await luis.message(await luis.fills(STOCK, adjust, code=MILK_CODE, quantity="2", reason="waste"))
        assert said == "Waste: 2 × Leche Entera."
        said = await luis.message(await luis.fills(STOCK, adjust, code=MILK_CODE, quantity="12", reason="waste"))
        assert said == "So much is for a supervisor to adjust."
    assert on_hand(shop, MILK) == 28
    movement = facts(shop, Movement)[-1]
    assert isinstance(movement, Movement)
    assert movement.reason == "adjustment/waste"


async def test_what_the_stock_desks_refuse_is_said_in_the_persons_language(shop: Shop) -> None:
    english, spanish = words_of("en"), words_of("es")
    await shop.announces("D-7", MILK)
    desk = shop.stock

    async def refused(doing: object) -> None:
        with pytest.raises(Rejected) as refusal:
            await doing  # type: ignore[misc]  # a coroutine of any result
        said = str(refusal.value)
        assert in_words(said, spanish) not in (said, in_words(said, english)), said

    await desk.sessions.open("s-1", How.CYCLE, "ana")
    await refused(desk.sessions.submit("s-1", "ana"))
    await refused(desk.sessions.submit("s-9", "ana"))
    await desk.sessions.scan(ScanRequest("s-1", "1", MILK, -1000, "ana"))
    await refused(desk.sessions.scan(ScanRequest("s-1", "1", BREAD, -1000, "ana")))
    await refused(desk.sessions.submit("s-1", "ana"))
    await desk.sessions.give_up("s-1")
    await refused(desk.sessions.scan(ScanRequest("s-1", "2", MILK, 1000, "ana")))
    await refused(desk.sessions.submit("s-1", "ana"))
    await refused(desk.counts.review("1", "none", MILK, "ana", approved=True))
    await refused(desk.deliveries.receive(ReceiptRequest("1", "D-9", MILK, 1000, "ana")))
    await refused(desk.deliveries.receive(ReceiptRequest("1", "D-7", MILK, -1000, "ana")))
    await desk.deliveries.receive_rest("2", "D-7", "ana")
    await refused(desk.deliveries.receive_rest("3", "D-7", "ana"))
    await desk.deliveries.close("4", "D-7", "ana")
    await refused(desk.deliveries.close("5", "D-7", "ana"))
    await refused(desk.moves.adjust(AdjustmentRequest("1", MILK, 99_000, Reason.WASTE, "ana")))
    await refused(desk.audit.repair("1", "ana"))


TRANSFERS = "/staff/transfers"


async def checks(visitor: Visitor, listed: str, to_store: str = "12") -> str:
    """The page after a list was looked at."""
    return (await visitor.fills(TRANSFERS, f"{TRANSFERS}/check", to_store=to_store, listed=listed)).text


async def test_goods_for_another_store_are_scanned_named_and_sent_once(shop: Shop) -> None:
    for sku in (MILK, BREAD):
        await shop.receives(sku, 20)
    async with shop.signed_in("luis") as luis:
        html = await checks(luis, f"{MILK_CODE}\n{MILK_CODE}\r\n\n {BREAD_CODE} x 12\n{BREAD} 0,5")
        assert on_hand(shop, MILK) == 20, "looking sends nothing"
        assert "Leche Entera" in html
        send = form_fields(html, TRANSFERS)
        for _ in range(2):
            said = await luis.message(await luis.sends(TRANSFERS, send))
            assert said == "On their way to store 12: 2 products."
    assert (on_hand(shop, MILK), stock_of(shop.store, BREAD).on_hand_milli) == (18, 7_500)
    [sent] = facts(shop, TransferSent)
    assert isinstance(sent, TransferSent)
    assert (sent.to_store, sent.actor, sent.lines) == (
        "12", "luis", (TransferLine(MILK, 2000), TransferLine(BREAD, 12_500)))


@pytest.mark.parametrize(("to_store", "listed", "why"), [
    ("", MILK_CODE, "Say which store it goes to"), ("12", "", "Scan what is to be sent."),
    ("12", f"{MILK_CODE}\n999", "No product has the code 999."), ("12", f"{MILK_CODE} many", "Say how many"),
    ("12", f"{MILK_CODE} 0", "Say how many"), ("1 2", MILK_CODE, "Say which store it goes to"),
    ("12", f"{MILK_CODE} 1 2", "No product has the code"), ("0042", MILK_CODE, "This is the store that sends them."),
    ("12", f"{MILK_CODE}\n" * 2000, "The list is too long")])
async def test_a_list_that_cannot_be_sent_says_why_and_stays(shop: Shop, to_store: str, listed: str, why: str) -> None:
    await shop.receives(MILK, 5)
    async with shop.signed_in("luis") as luis:
        html = await checks(luis, listed, to_store)
        assert why in html
        assert "It leaves now" not in html
        assert not listed or MILK_CODE in html
    assert facts(shop, TransferSent) == []

