"""A code that a scale printed, at the till and in a basket (DESIGN.md section 5, retail.md 1.9)."""

from urllib.parse import quote

import pytest
from biip.checksums import gs1_price_weight_check_digit, gs1_standard_check_digit

from cloud_sync.contract.documents import Item
from cloud_sync.contract.feeds import Feed
from edge.barcode_tables import patterns_of
from edge.pos.access import Role
from tests.store_kit import StoreKit


def coded(article: str, value: str, prefix: str) -> str:
    body = f"{prefix}{article}{gs1_price_weight_check_digit(value)}{value}"
    return f"{body}{gs1_standard_check_digit(body)}"


@pytest.fixture
async def cheese(store: StoreKit) -> StoreKit:
    """A German shop that weighs cheese (article 1234) at 12.90 a kilogram."""
    store.prices._patterns = patterns_of("de")
    await store.hub.sends(Feed.ITEMS, {"cheese": Item("cheese", "CHEESE", codes=("1234",), package_size="kg")})
    await store.hub.sets_price("cheese", "12.90")
    return store


async def _looks_up(store: StoreKit, code: str) -> dict[str, object]:
    async with store.caller(Role.TILL, "1") as till:
        answer = await till.get(f"/v1/lookup/{quote(code, safe='')}")
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


async def test_a_weight_code_comes_to_price_times_weight_rounded_once(cheese: StoreKit) -> None:
    answer = await _looks_up(cheese, coded("1234", "00734", "28"))
    assert (answer["sku"], answer["quantity_milli"], answer["amount_minor"], answer["p3"]) == ("cheese", 734, 947, True)


async def test_a_price_in_the_code_is_what_is_paid_and_outside_p3(cheese: StoreKit) -> None:
    answer = await _looks_up(cheese, coded("1234", "00599", "22"))
    assert (answer["amount_minor"], answer["quantity_milli"], answer["p3"]) == (599, 464, False)


async def test_p3_a_weight_is_charged_by_what_the_shelf_shows(cheese: StoreKit) -> None:
    await cheese.label("counter").shows("cheese", "12.90")
    await cheese.hub.sets_price("cheese", "14.90")
    assert (await _looks_up(cheese, coded("1234", "01000", "28")))["amount_minor"] == 1290


async def test_a_sale_by_a_scales_code_moves_the_article(cheese: StoreKit) -> None:
    answer = await cheese.till().sends(1, {"line": 1, "code": coded("1234", "00734", "28"), "quantity_milli": 734,
                                           "amount_minor": 947})
    assert answer.status_code == 201
    assert "flags" not in answer.json() or answer.json()["flags"] == []


async def test_in_a_basket_a_scales_code_counts_by_its_article(cheese: StoreKit) -> None:
    async with cheese.caller(Role.TILL, "1") as till:
        answer = await till.post("/v1/baskets/price", json={"lines": [
            {"line": 1, "code": coded("1234", "00734", "28"), "quantity_milli": 734}]})
    assert answer.json()["total_minor"] == 947


async def test_a_code_of_nobodys_scale_is_unknown(cheese: StoreKit) -> None:
    async with cheese.caller(Role.TILL, "1") as till:
        assert (await till.get(f"/v1/lookup/{coded('9999', '00734', '28')}")).status_code == 404
