"""What a label says: its hash, its names, its unit price, its money and its address."""

from dataclasses import replace
from decimal import Decimal

import biip
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.domain.links import PrintedPrice, digital_link, read_link, shelf_link, sku_link
from edge.domain.money import UnknownCurrency, currency_exponent, format_money, minor_units
from edge.domain.names import display_name, display_package
from edge.domain.unit_price import UnitPrice, unit_price
from edge.labels.content import LabelContent, content_hash
from edge.labels.elements import Box, Text
from edge.labels.template import Layout, Template
from tests.labels.shelf import item

TEMPLATE = Template("regular", Layout(width=296, height=128, elements=(Text(box=(0, 0, 9, 9), text="", size=9),)), "a1")


def test_the_hash_of_the_same_content_and_template_never_changes() -> None:
    """Written down: a changed value here means every label of every store is drawn again after an upgrade."""
    assert content_hash(item(), TEMPLATE) == content_hash(item(), TEMPLATE)
    assert content_hash(item(), TEMPLATE) == "5cea26082a500793e75f562079356260"


@pytest.mark.parametrize("change", [
    {"name": "Kids cereal"}, {"price_minor": 340}, {"sku": "1000051"}, {"gtin": None}, {"package_text": "15 oz"},
    {"currency": "CAD"}, {"unit_price": None}, {"language": "es"}, {"link": None},
])
def test_any_change_of_content_changes_the_hash(change: dict[str, object]) -> None:
    assert content_hash(replace(item(), **change), TEMPLATE) != content_hash(item(), TEMPLATE)


def test_a_changed_template_changes_the_hash() -> None:
    other = Template("regular", Layout(width=296, height=128, elements=(Box(box=(0, 0, 9, 9)),)), "b2")

    assert content_hash(item(), other) != content_hash(item(), TEMPLATE)


def test_content_is_made_from_the_item_as_it_comes() -> None:
    assert item(name="KIDS CEREAL") == LabelContent(
        sku="1000050", name="Kids Cereal", gtin="0400010000500", package_text="14.5 oz", price_minor=339,
        currency="USD", unit_price=UnitPrice(23, "oz"), language="en-US",
        link="https://id.example.com/01/00400010000500?3922=339")


def test_a_number_that_is_no_gtin_costs_the_bars_not_the_label() -> None:
    content = item(gtin="0400010000501")

    assert content.gtin is None
    assert content.ean is None
    assert content.link == "https://id.example.com/s/1000050?3922=339"


@pytest.mark.parametrize("wrong", [{"price_minor": -1}, {"currency": "XYZ"}, {"gtin": "12"}, {"gtin": "0400010000501"}])
def test_content_that_no_label_may_show_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r".+"):
        replace(item(), **wrong)


def test_an_item_without_a_name_goes_by_its_sku() -> None:
    assert item(name="  ").name == "1000050"


@pytest.mark.parametrize(("gtin", "ean"), [
    ("0400010000500", "0400010000500"), ("00400010000500", "0400010000500"), ("400010000500", "0400010000500"),
    ("96385074", "96385074"), ("00000096385074", "96385074"), ("10400010000507", None), (None, None),
])
def test_a_gtin_is_printed_as_the_ean_it_is(gtin: str | None, ean: str | None) -> None:
    assert item(gtin=gtin).ean == ean


# --- unit prices -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("price_minor", "package", "system", "expected"), [
    (339, "16 OZ", "us", UnitPrice(21, "oz")),               # 21.19
    (339, "14.5 OZ", "us", UnitPrice(23, "oz")),             # 23.38
    (999, "750 ML", "metric", UnitPrice(1332, "l")),
    (999, "750 ML", "us", UnitPrice(39, "fl oz")),           # 25.36 fl oz
    (449, "1 LB", "us", UnitPrice(449, "lb")),
    (449, "1 LB", "metric", UnitPrice(990, "kg")),           # 989.87
    (199, "2 L", "metric", UnitPrice(100, "l")),             # 99.5 goes up
    (299, "2 L", "metric", UnitPrice(150, "l")),             # 149.5 goes up
    (197, "2 L", "metric", UnitPrice(99, "l")),              # 98.5 goes up: not to even
    (249, "12 CT", "us", UnitPrice(21, "piece")),            # 20.75
    (199, "500 g", "metric", UnitPrice(398, "kg")),
    (250, "1,5 kg", "metric", UnitPrice(167, "kg")),         # 166.67
    (599, "6x33 cl", "metric", UnitPrice(303, "l")),         # 302.53
    (599, "6 × 33 cl", "metric", UnitPrice(303, "l")),
    (599, "12 PK/12 OZ", "us", UnitPrice(4, "oz")),          # 4.16
    (299, "6/3.5 OZ", "us", UnitPrice(14, "oz")),            # 14.24
    (299, "1/2 GAL", "us", UnitPrice(5, "fl oz")),           # 4.67
    (299, "GAL", "us", UnitPrice(2, "fl oz")),
    (135, "13 1/2 OZ", "us", UnitPrice(10, "oz")),
    (229, ".28 OZ", "us", UnitPrice(818, "oz")),             # 817.86
    (199, "11 FL. OZ", "us", UnitPrice(18, "fl oz")),
    (299, "3-LB BAG", "us", UnitPrice(100, "lb")),           # 99.67
    (240, "1 DZ", "us", UnitPrice(20, "piece")),
    (99, "5 OZ CAN", "us", UnitPrice(20, "oz")),
    (1290, "6 uds", "metric", UnitPrice(215, "piece")),
    (0, "500 g", "metric", None),
])
def test_unit_prices_are_exact_and_rounded_once(price_minor, package, system, expected) -> None:
    assert unit_price(price_minor, package, system) == expected


@pytest.mark.parametrize("package", [
    "", "   ", "LARGE", "SIZE 4", "CELL PK", "64 LD", "50 SQ FT", "14-18 CT", "18-22 LB", "1-1.2 LB", "6-2 OZ",
    "10 CT/12 OZ", "16 OZ/24 CT", "10.5 OZ/6 PK", "3/4 OZ", "0 OZ", "0x5 OZ", "2 1/0 OZ", "1.000 g", "1,000 ML", "L",
    "PK", "1 CT", "OZ", "L    16 OZ", "9" * 400 + " parsecs", "² OZ",
])
@pytest.mark.parametrize("system", ["us", "metric"])
def test_an_unclear_package_has_no_unit_price_rather_than_a_wrong_one(package, system) -> None:
    assert unit_price(339, package, system) is None


def test_ounces_that_may_be_weight_or_volume_have_no_metric_unit_price() -> None:
    assert unit_price(339, "16 OZ", "metric") is None


@given(package=st.text(max_size=40), price_minor=st.integers(0, 10**9), system=st.sampled_from(["us", "metric"]))
def test_no_package_text_stops_the_label(package, price_minor, system) -> None:
    price = unit_price(price_minor, package, system)

    assert price is None or price.price_minor > 0


@given(grams=st.integers(1, 100_000), price_minor=st.integers(1, 10**7))
def test_a_metric_unit_price_is_within_half_a_cent_of_the_truth(grams: int, price_minor: int) -> None:
    found = unit_price(price_minor, f"{grams}g", "metric")
    truth = Decimal(price_minor) * 1000 / grams

    if found is None:
        assert truth < Decimal("0.5")
    else:
        assert abs(found.price_minor - truth) <= Decimal("0.5")


# --- money -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("currency", "exponent"), [
    ("EUR", 2), ("USD", 2), ("JPY", 0), ("KWD", 3), ("ISK", 0), ("HUF", 2),
])
def test_minor_units_are_those_of_iso_4217(currency: str, exponent: int) -> None:
    assert currency_exponent(currency) == exponent


@pytest.mark.parametrize("currency", ["", "eur", "EURO", "XYZ", "€"])
def test_what_is_no_currency_is_refused(currency: str) -> None:
    with pytest.raises(UnknownCurrency):
        currency_exponent(currency)


@pytest.mark.parametrize(("price_minor", "currency", "language", "text"), [
    (1_299, "USD", "en-US", "$12.99"),
    (1, "USD", "en", "$0.01"),
    (129_999, "EUR", "es-ES", "1.299,99\u00a0€"),
    (129_999, "EUR", "es_ES", "1.299,99\u00a0€"),
    (1_299, "JPY", "en", "¥1,299"),
    (1_234_567, "KWD", "en", "KWD1,234.567"),
    (12_345, "ISK", "en", "ISK12,345"),
    (1_299, "CHF", "de-CH", "CHF\u00a012.99"),
    (1_299, "USD", "tlh-XX", "$12.99"),
    (1_299, "USD", "", "$12.99"),
    (10**15, "USD", "en", "$10,000,000,000,000.00"),
])
def test_a_price_is_written_as_its_reader_writes_it(price_minor, currency, language, text) -> None:
    assert format_money(price_minor, currency, language).text == text


@given(price_minor=st.integers(0, 10**12), currency=st.sampled_from(["USD", "JPY", "KWD", "HUF"]),
       language=st.sampled_from(["en", "es", "de-CH", "fr", "pl", "hi", "sv"]))
def test_the_parts_of_a_price_are_the_price(price_minor: int, currency: str, language: str) -> None:
    money = format_money(price_minor, currency, language)

    units = int("".join(char for char in money.units if char.isdigit()))
    scale = 10 ** currency_exponent(currency)
    assert units * scale + int(money.decimals or 0) == price_minor
    assert len(money.decimals) == currency_exponent(currency)
    assert bool(money.separator) == bool(money.decimals)
    assert money.sign in money.text
    assert money.units + money.separator + money.decimals in money.text
    assert money.text.startswith(money.sign) == money.sign_first


def test_a_negative_price_is_refused() -> None:
    with pytest.raises(ValueError, match="not negative"):
        format_money(-1, "EUR", "es")


@pytest.mark.parametrize(("amount", "currency", "minor"), [
    ("3.39", "USD", 339), ("3.4", "USD", 340), ("3", "JPY", 3), ("0.001", "KWD", 1), (Decimal("12.50"), "EUR", 1250),
    ("1E+2", "EUR", 10_000),
])
def test_amounts_become_minor_units_exactly(amount, currency, minor) -> None:
    assert minor_units(amount, currency) == minor


@pytest.mark.parametrize(("amount", "currency"), [("3.395", "USD"), ("3.5", "JPY"), ("three", "USD"), ("", "USD"),
                                                  ("NaN", "USD"), ("Infinity", "USD"), ("1E+999999999", "USD")])
def test_what_is_no_exact_amount_is_refused(amount: str, currency: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        minor_units(amount, currency)


# --- the address in the QR code --------------------------------------------------------------------------------


def test_the_printed_price_travels_as_gs1_392n() -> None:
    assert digital_link("id.example.com", "9506000134352", 1_299, "EUR") == \
        "https://id.example.com/01/09506000134352?3922=1299"
    assert digital_link("id.example.com", "96385074", 1_299, "JPY") == \
        "https://id.example.com/01/00000096385074?3920=1299"
    assert digital_link("id.example.com", "9506000134352", 1_299, "KWD").endswith("?3923=1299")
    assert sku_link("id.example.com", "GAS 1/13é", 99, "EUR") == \
        "https://id.example.com/s/GAS%201%2F13%C3%A9?3922=99"


def test_a_gs1_reader_understands_the_address() -> None:
    read = biip.parse(digital_link("id.example.com", "9506000134352", 1_299, "EUR"))

    assert read.gtin is not None
    assert read.gtin.as_gtin_13() == "9506000134352"


@given(sku=st.text(min_size=1, max_size=30), price_minor=st.integers(0, 10**14))
def test_the_witness_reads_back_what_the_label_says(sku: str, price_minor: int) -> None:
    by_number = read_link(shelf_link("id.example.com", sku, "9506000134352", price_minor, "EUR"))

    assert by_number == PrintedPrice("09506000134352", None, price_minor, 2)
    if sku not in (".", ".."):
        by_sku = read_link(shelf_link("id.example.com", sku, None, price_minor, "JPY"))
        assert by_sku == PrintedPrice(None, sku, price_minor, 0)


@pytest.mark.parametrize("link", ["", "https://example.com/", "https://example.com/01/09506000134352", "3922=1299",
                                  "https://example.com/01/123?3922=1299", "https://example.com/s/a/b?3922=1299",
                                  "https://[::1/s/a?3922=1", "https://example.com/s/a?3922=-5"])
def test_other_addresses_say_nothing(link: str) -> None:
    assert read_link(link) is None


# --- names -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("source", "shown"), [
    ("KIDS CEREAL", "Kids Cereal"),
    ("BBQ CHIPS W/ SALT", "BBQ Chips w/ Salt"),
    ("SANDWICHES&HANDHELDS", "Sandwiches&Handhelds"),
    ("FRZN MULTI-PACK 12/18&15PK", "Frzn Multi-Pack 12/18&15pk"),
    ("MACARONI AND CHEESE", "Macaroni and Cheese"),
    ("THE BEST OF THE SEA", "The Best of the Sea"),
    ("LECHE DE ALMENDRA Y COCO", "Leche de Almendra y Coco"),
    ("M&M'S PEANUT", "M&M's Peanut"),
    ("CHILDREN'S O'BRIEN POTATOES", "Children's O'Brien Potatoes"),
    ("ŻÓŁĆ ĄĘ", "Żółć Ąę"),
    ("AA BATTERIES 4PK", "AA Batteries 4pk"),
    ("RUM 750ML", "Rum 750ml"),
    ("  TWO   SPACES ", "Two Spaces"),
    ("iPhone Cable USB", "iPhone Cable USB"),
    ("Coca-Cola ZERO", "Coca-Cola ZERO"),
    ("7-11", "7-11"),
    ("", ""),
])
def test_capitals_become_a_name_and_a_name_stays(source: str, shown: str) -> None:
    assert display_name(source) == shown


@given(name=st.text(max_size=60))
def test_a_shown_name_is_final(name: str) -> None:
    assert display_name(display_name(name)) == display_name(name)


@pytest.mark.parametrize(("source", "shown"), [
    ("14.5 OZ", "14.5 oz"), ("6 PK/12 FL OZ", "6 pk/12 fl oz"), (".28 OZ", "0.28 oz"), ("750 ML", "750 ml"),
    ("2 L", "2 L"), ("LARGE", "Large"), ("500 g", "500 g"), ("", ""), ("12CT", "12ct"), ("1.75 QT", "1.75 qt"),
])
def test_package_units_read_as_units(source: str, shown: str) -> None:
    assert display_package(source) == shown
