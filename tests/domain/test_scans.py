"""Any barcode: element strings, links, UPC-E and what scales print (retail.md 1.8, 1.9)."""

import pytest
from biip.checksums import gs1_price_weight_check_digit, gs1_standard_check_digit
from hypothesis import given
from hypothesis import strategies as st

from edge.barcode_tables import patterns_of
from edge.domain.barcode import lookup_key, scans
from edge.domain.variable_measure import InnerCheck, Pattern, Value, read_measured
from edge.errors import ConfigurationError
from edge.shipped import shipped_files

TABLES = sorted(path.stem for path in shipped_files("config/barcodes", "*.yaml").values())
GTIN = "04006381333931"


def coded(body: str) -> str:
    return f"{body}{gs1_standard_check_digit(body)}"


def first(code: str, country: str) -> tuple[str, int | None, int | None]:
    """The article's digits, its quantity and its price in a code of that country's scales."""
    found = read_measured(code, patterns_of(country))
    assert found is not None
    return found.keys[1], found.quantity_milli, found.price_minor(2)


@pytest.mark.parametrize(("country", "code", "article", "quantity_milli", "price_minor"), [
    ("us", coded("021234500399"), "12345", None, 399),
    ("us", coded("21234500399"), "12345", None, 399),
    ("uk", coded(f"2012345{gs1_price_weight_check_digit('0599')}0599"), "12345", None, 599),
    ("de", coded(f"281234{gs1_price_weight_check_digit('01250')}01250"), "1234", 1250, None),
    ("de", coded(f"221234{gs1_price_weight_check_digit('00599')}00599"), "1234", None, 599),
    ("de", coded(f"251234{gs1_price_weight_check_digit('00006')}00006"), "1234", 6000, None),
    ("se", coded("201234560599"), "123456", None, 599),
    ("se", coded("211234560599"), "123456", None, 5990),
    ("se", coded("231234561250"), "123456", 1250, None),
    ("se", coded("241234561250"), "123456", 12500, None),
    ("no", coded("251234561250"), "123456", 125000, None),
    ("fi", coded("231234560734"), "123456", 734, None),
    ("dk", coded("211234000599"), "1234", None, 599),
    ("dk", coded("271234501250"), "12345", 1250, None),
    ("it", coded("212345600599"), "123456", None, 599),
    ("es", coded("231234500599"), "12345", None, 599),
    ("fr", coded("271234500734"), "12345", 734, None),
    ("il", coded("281234501250"), "12345", 1250, None)])
def test_codes_of_scales_1_9(country: str, code: str, article: str, quantity_milli: int | None,
                             price_minor: int | None) -> None:
    assert first(code, country) == (article, quantity_milli, price_minor)


def test_there_is_a_table_for_every_country_that_was_promised() -> None:
    assert {"us", "es", "fr", "it", "de", "uk", "se", "no", "fi", "dk", "il"} <= set(TABLES)
    for table in TABLES:
        assert patterns_of(table)


def test_a_wrong_check_digit_is_no_code_of_a_scale() -> None:
    good = coded(f"281234{gs1_price_weight_check_digit('01250')}01250")
    assert read_measured(good[:-1] + str((int(good[-1]) + 1) % 10), patterns_of("de")) is None
    inner_wrong = coded(f"281234{(gs1_price_weight_check_digit('01250') + 1) % 10}01250")
    assert read_measured(inner_wrong, patterns_of("de")) is None
    assert read_measured(good, patterns_of("us")) is None
    assert read_measured(good, ()) is None


def test_the_article_is_looked_for_under_zeros_and_under_its_digits() -> None:
    found = read_measured(coded("230012301250"), patterns_of("se"))
    assert found is not None
    assert found.keys == (f"0{coded('230012300000')}", "001230", "1230")


@pytest.mark.parametrize(("code", "quantity_milli"), [
    (f"]C101{GTIN}3103001250", 1250), (f"01{GTIN}\x1d3103001250", 1250), (f"(01){GTIN}(3103)001250", 1250),
    (f"(01){GTIN}(10)AB\x1d(3102)000125", 1250), (f"https://id.example.com/01/{GTIN}?3103=001250", 1250),
    (f"]Q3https://id.gs1.org/01/{GTIN}", None), (f"]C101{GTIN}", None), (f"]E0{GTIN[1:]}", None)])
def test_element_strings_and_links_with_and_without_a_weight(code: str, quantity_milli: int | None) -> None:
    assert lookup_key(code) == GTIN
    assert [each.quantity_milli for each in scans(code, ()) if GTIN in each.keys] == [quantity_milli]


@pytest.mark.parametrize(("code", "upc_a"), [("01234565", "012345000065"), ("425261", "042100005264")])
def test_upc_e_is_the_upc_a_that_it_shortens(code: str, upc_a: str) -> None:
    assert any(upc_a.zfill(14) in each.keys for each in scans(code, ()))


@given(st.one_of(st.text(max_size=600), st.text("0123456789()]C1dQ3eE?/=:.\x1d", max_size=60)))
def test_p10_whatever_is_scanned_is_read_or_not(code: str) -> None:
    for table in ("de", "us"):
        for scan in scans(code, patterns_of(table)):
            assert all(scan.keys)
    lookup_key(code)


@pytest.mark.parametrize(("pattern", "value", "decimals", "check"), [
    ("28IIIICVVVVV", Value.WEIGHT, 3, InnerCheck.NONE), ("28IIIICVVVVVX", Value.WEIGHT, 3, InnerCheck.NONE),
    ("28VVVVVVVVVVK", Value.WEIGHT, 3, InnerCheck.NONE), ("28IIIIVVVVVVK", Value.WEIGHT, 3, InnerCheck.CHECKED),
    ("28IIIICVVVVVK", Value.WEIGHT, 6, InnerCheck.NONE)])
def test_a_pattern_that_is_none_is_an_error(pattern: str, value: Value, decimals: int, check: InnerCheck) -> None:
    with pytest.raises(ValueError, match="pattern"):
        Pattern(pattern, value, decimals, check)


def test_a_table_that_is_not_there_is_told_by_name() -> None:
    assert patterns_of("") == ()
    with pytest.raises(ConfigurationError, match="barcodes/atlantis"):
        patterns_of("atlantis")
