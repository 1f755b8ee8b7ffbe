"""Which template shows a price, and what its band says (DESIGN.md section 6)."""

from dataclasses import replace
from datetime import date

import pytest

from cloud_sync.contract.documents import PriceKind
from edge.labels.occasion import on_the_occasion, template_name
from tests.labels.shelf import item

LAST_DAY = date(2026, 11, 30)


@pytest.mark.parametrize(("kind", "name"), [
    (PriceKind.REGULAR, "regular"), (PriceKind.PROMOTION, "promotion"), (PriceKind.CLEARANCE, "clearance")])
def test_the_kind_of_the_price_chooses_the_template(kind: PriceKind, name: str) -> None:
    assert template_name(kind, on_the_occasion(item(), kind, None)) == name


def test_terms_make_a_multi_buy_and_a_bare_measure_makes_produce() -> None:
    assert template_name(PriceKind.REGULAR, replace(item(), terms="3 for €5.00")) == "multi-buy"
    for package, measure in (("kg", "kg"), ("KG", "kg"), ("per lb", "lb"), ("1 kg", "")):
        content = on_the_occasion(item(package_text=package), PriceKind.REGULAR, None)
        assert content.measure == measure
        assert template_name(PriceKind.REGULAR, content) == ("produce" if measure else "regular")


@pytest.mark.parametrize(("language", "band", "until"), [
    ("en-GB", "Offer", "until 30 Nov"), ("es-ES", "Oferta", "hasta 30 nov"), ("de", "Angebot", "bis 30 Nov."),
    ("pl-PL", "Promocja", "do 30 lis"), ("fi-FI", "Offer", "until 30 Nov")])
def test_the_band_speaks_the_stores_language(language: str, band: str, until: str) -> None:
    content = on_the_occasion(item(language=language), PriceKind.PROMOTION, LAST_DAY)
    assert (content.band, content.until) == (band, until)


def test_an_offer_without_an_end_promises_none_and_a_regular_price_says_nothing() -> None:
    assert on_the_occasion(item(), PriceKind.PROMOTION, None).until == ""
    assert on_the_occasion(item(), PriceKind.REGULAR, LAST_DAY) == item()
