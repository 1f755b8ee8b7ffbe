"""Card data in any text: found, masked in place, and nothing else touched (DESIGN.md section 8)."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.domain.card_data import has_card, is_card_number, masked, masked_values

TEST_NUMBERS = ("4111111111111111", "5555555555554444", "2223003122003222", "378282246310005", "6011111111111117",
                "3530111333300000", "30569309025904", "6304000000000000", "4000000000000000006", "6200000000000005")
"""Numbers that schemes publish for tests: Visa, Mastercard twice, Amex, Discover, JCB, Diners, Maestro, Visa of 19
digits, UnionPay."""

GOODS = ("4006381333931", "04006381333931", "96385074", "012345678905", "]C10104006381333931\x1d3103001250",
         "(01)04006381333931(10)AB4111", "00340123450000000018", "2112345067894", "8412345678905",
         "https://id.example.com/01/04006381333931?3103=000195", "1795431600000", "2026-11-23T12:00:00+01:00",
         "+34 612 345 678", "ES91 2100 0418 4502 0005 1332")
"""What stores do handle: bar codes, weights, links, moments, telephones, a bank account."""


@pytest.mark.parametrize("number", TEST_NUMBERS)
@pytest.mark.parametrize("around", ["{}", "card {} ok", '"{}"', "<PAN>{}</PAN>", "a{}b", "7 {} 9", "{},{}"])
def test_a_number_is_masked_wherever_it_stands(number: str, around: str) -> None:
    text = around.replace("{}", number)
    clean = masked(text)
    assert number not in clean
    assert len(clean) == len(text)
    assert number[-4:] in clean, "the last four may stay"
    assert clean.replace("0", "").startswith(text[:text.index(number)].replace("0", ""))
    assert not has_card(clean)


@pytest.mark.parametrize("parted", ["4111 1111 1111 1111", "4111-1111-1111-1111", "3782 822463 10005",
                                    "4000 0000 0000 0000 006", "4111.1111.1111.1111", "1234 4111 1111 1111 1111"])
def test_a_number_as_it_stands_on_a_card_is_masked(parted: str) -> None:
    assert masked(parted) != parted
    assert len(masked(parted)) == len(parted)
    assert not has_card(masked(parted))


@pytest.mark.parametrize(("text", "gone"), [
    ("%B4111111111111111^DOE/JOHN^25121010000012345678?", ("4111111111111111", "DOE", "JOHN", "2512", "12345678")),
    (";4111111111111111=25121010000012345678?", ("4111111111111111", "2512", "12345678")),
    ("5A084111111111111111", ("4111111111111111",)),
    ("57134111111111111111D25121010000012345678F", ("4111111111111111", "2512", "12345678")),
    ("9F2608AABBCCDD112233445A08378282246310005F5F24032512", ("378282246310005",))])
def test_tracks_and_chip_fields_are_masked_with_all_that_they_say(text: str, gone: tuple[str, ...]) -> None:
    clean = masked(text)
    assert [each for each in gone if each in clean] == []
    assert len(clean) == len(text)


@pytest.mark.parametrize("text", GOODS)
def test_what_stores_handle_is_left_as_it_is(text: str) -> None:
    assert masked(text) == text


@given(st.text(alphabet="0123456789 -.=^%;?BD5A7x", max_size=80))
def test_any_text_is_as_long_as_it_was_and_says_no_number_any_more(text: str) -> None:
    clean = masked(text)
    assert len(clean) == len(text)
    for begin in range(len(clean)):
        for length in range(13, 20):
            word = clean[begin:begin + length]
            alone = not clean[begin - 1:begin].isdecimal() and not clean[begin + length:begin + length + 1].isdecimal()
            assert not (len(word) == length and word.isdecimal() and alone and is_card_number(word)), clean


def test_json_stays_json_and_numbers_stay_numbers() -> None:
    body = {"quantity_milli": 4111111111111111, "note": "paid by 5555 5555 5555 4444",
            "lines": [{"code": "378282246310005"}]}
    clean = msgspec.json.decode(masked(msgspec.json.encode(body).decode()))
    assert clean["quantity_milli"] == 4000000000001111
    assert [masked(str(value)) == str(value) for value in (clean["note"], clean["lines"][0]["code"])] == [True, True]
    assert masked_values(body) == clean
    assert masked_values(-4111111111111111) == -4000000000001111
    assert masked_values({"version": "4111111111111111"}, frozenset({"version"})) == {"version": "4111111111111111"}
