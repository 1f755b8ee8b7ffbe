"""Asking a price: whatever the scanner reads, one answer or a plain no (DESIGN.md section 8)."""

from urllib.parse import quote

import biip
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from cloud_sync.contract.documents import Item
from cloud_sync.contract.feeds import Feed
from edge.domain.barcode import CODE_LENGTH_MAX, canonical, check_digit_holds, lookup_key
from edge.pos.access import Role
from tests.store_kit import StoreKit, gtin_of

EAN = gtin_of("milk")


@pytest.mark.parametrize("code", [
    EAN, EAN.zfill(14), f"01{EAN.zfill(14)}", f"01{EAN.zfill(14)}17271231", f"]E0{EAN}", f"]C101{EAN.zfill(14)}",
    f"]d201{EAN.zfill(14)}10LOT7\x1d17271231",
    f"https://id.gs1.org/01/{EAN.zfill(14)}", f"https://id.example.com/01/{EAN.zfill(14)}?3102=000500", "milk"])
async def test_every_way_to_say_milk_finds_milk(store: StoreKit, code: str) -> None:
    async with store.caller(Role.LOOKUP_ONLY) as client:
        answer = await client.get(f"/v1/lookup/{quote(code, safe='')}")
    assert answer.status_code == 200, answer.text
    assert (answer.json()["sku"], answer.json()["charge_minor"]) == ("milk", 99)


async def test_an_answer_says_all_a_till_needs(store: StoreKit) -> None:
    await store.hub.has_items("wine", age_limit_years=18)
    await store.hub.sets_price("wine", "7.45")
    await store.receives("wine", 6)
    async with store.caller(Role.TILL, "1") as client:
        answer = await client.get(f"/v1/lookup/{gtin_of('wine')}")
    assert answer.json() == {"sku": "wine", "name": "WINE", "charge_minor": 745, "list_price_minor": 745,
                             "currency": "EUR", "price_version": "regular/wine@1", "held_low": False, "p3": True,
                             "sellable_milli": 6000, "age_limit_years": 18, "terms": []}


async def test_an_unknown_code_is_404_and_a_product_without_price_409(store: StoreKit) -> None:
    await store.hub.has_items("caviar")
    async with store.caller(Role.TILL, "1") as client:
        unknown, unpriced = await client.get("/v1/lookup/4006381333931"), await client.get("/v1/lookup/caviar")
    assert (unknown.status_code, unknown.json()["type"]) == (404, "urn:trastienda:problem:unknown-item")
    assert (unpriced.status_code, unpriced.json()["type"]) == (409, "urn:trastienda:problem:no-price")


@pytest.mark.parametrize("code", ["%00", "%FF%FE", "a" * 3000, "..%2F..%2Fetc", "';%20DROP%20TABLE%20item",
                                  "%F0%9F%A5%9B"])
async def test_nonsense_is_a_plain_no(store: StoreKit, code: str) -> None:
    async with store.caller(Role.TILL, "1") as client:
        assert (await client.get(f"/v1/lookup/{code}")).status_code == 404


async def test_a_gtin_that_moves_to_another_product_goes_with_it(store: StoreKit) -> None:
    await store.hub.has_items("oat milk")
    await store.hub.sets_price("oat milk", "2.49")
    await store.hub.sends(Feed.ITEMS, {"oat milk": Item("oat milk", "OAT", codes=(EAN,))})
    assert store.till().asks(EAN) == "2.49"
    await store.hub.sends(Feed.ITEMS, {"oat milk": None})
    assert store.till().asks(EAN) == "unknown"
    assert store.till().asks("milk") == "0.99"


@given(st.text(max_size=600))
@example("\x1d" * 10)
@example("01" + "0" * 40)
@example("(01)(01)(01)")
@example("https://id.gs1.org/01/")
@example("]\x1d")
@example(" ]")
def test_a_scanner_may_read_anything(code: str) -> None:
    key = lookup_key(code)
    assert key is None or (0 < len(key) <= CODE_LENGTH_MAX)


@given(st.from_regex(r"[0-9]{7}|[0-9]{11,13}", fullmatch=True))
def test_a_number_is_found_under_the_key_its_item_is_kept_under(body: str) -> None:
    total = sum(int(digit) * (3 if place % 2 == 0 else 1) for place, digit in enumerate(reversed(body)))
    gtin = f"{body}{-total % 10}"
    assert check_digit_holds(gtin)
    assert lookup_key(gtin) == canonical(gtin) == gtin.zfill(14)
    assert biip.parse(gtin).gtin is not None


@given(st.integers(0, 10**14 - 1))
def test_every_padded_form_of_a_number_has_one_key(number: int) -> None:
    forms = {str(number).zfill(length) for length in (8, 12, 13, 14) if len(str(number)) <= length}
    assert len({canonical(form) for form in forms}) == 1
