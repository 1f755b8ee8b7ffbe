"""Scans in a corner without radio, and faster than the box answers (staff-and-operations.md A.2, A.6)."""

import asyncio

import pytest
from playwright.async_api import expect

from tests.staff.shop import MILK, Shop
from tests.staff.test_browser import Phone, base, browser, phone
from tests.staff.test_picking import state, steps

__all__ = ["base", "browser", "phone"]

pytestmark = [pytest.mark.xdist_group("browser"), pytest.mark.slow]

MILK_CODE, WINE_CODE = "8410000000018", "8410000000032"


async def picking(shop: Shop, phone: Phone, pieces: int) -> None:
    await shop.receives(MILK, 50)
    await shop.order("O-1", MILK, pieces=pieces)
    await phone.signs_in("luis")
    await phone.starts_picking()


async def test_p1_no_scan_is_lost_where_there_is_no_radio_and_none_counts_twice(shop: Shop,
                                                                               phone: Phone) -> None:
    await picking(shop, phone, pieces=4)
    await phone.scans(MILK_CODE)
    await expect(phone.page.locator(".message")).to_contain_text("1 × Leche Entera into A1.")
    await phone.page.context.set_offline(True)
    for _ in range(2):
        await phone.scans(MILK_CODE)
    await expect(phone.page.locator("#unsent")).to_contain_text("Scans not sent yet: 2")
    await phone.page.context.set_offline(False)
    await expect(phone.page.locator(".stop.is-next .quantity")).to_contain_text("1×")
    await expect(phone.page.locator("#unsent")).to_be_hidden()
    await shop.undo_time_passes()
    assert [step.step for step in steps(shop)] == ["pick", "pick", "pick"]


async def test_scans_faster_than_answers_all_count_in_their_order(shop: Shop, phone: Phone) -> None:
    await picking(shop, phone, pieces=5)
    for _ in range(5):
        await phone.scans(MILK_CODE)
    await expect(phone.page.locator(".message")).to_contain_text("Order O-1 is complete: put it at A1.")
    assert state(shop, "O-1").value == "staged"


async def test_what_waits_outlives_the_page(shop: Shop, phone: Phone) -> None:
    await picking(shop, phone, pieces=3)
    await phone.page.route("**/staff/picking/scan", lambda route: route.abort())
    await phone.scans(MILK_CODE)
    await expect(phone.page.locator("#unsent")).to_contain_text("Scans not sent yet: 1")
    await phone.page.unroute_all()
    await phone.opens("/staff/picking")
    await expect(phone.page.locator(".stop.is-next .quantity")).to_contain_text("2×")


async def test_a_wrong_scan_is_said_aloud_until_somebody_has_noticed(shop: Shop, phone: Phone) -> None:
    await picking(shop, phone, pieces=3)
    await phone.page.evaluate("navigator.vibrate = (beat) => { window.felt = (window.felt ?? 0) + 1; return true; }")
    await phone.scans(WINE_CODE)
    await expect(phone.page.locator(".message.refused")).to_contain_text("is not on this list: put it back.")
    await expect(phone.page.locator("#said")).to_contain_text("is not on this list")
    await phone.page.wait_for_function("window.felt >= 2", timeout=15_000)
    await phone.page.locator("h1").tap()
    felt = await phone.page.evaluate("window.felt")
    await asyncio.sleep(5)
    assert await phone.page.evaluate("window.felt") == felt
