"""The six shipped templates on every label that a driver knows: legible, whole, and nothing on top of anything else."""

from dataclasses import replace
from datetime import date
from itertools import combinations

import numpy as np
import pytest
from msgspec.structs import replace as replace_struct

from cloud_sync.contract.documents import PriceKind
from drivers.known_labels import known_geometries, known_labels
from drivers.port import Colour, LabelDescription
from edge.labels.content import LabelContent
from edge.labels.elements import AnyElement, Box, Price, Qr, Text, UnitPriceText
from edge.labels.fitting import FittedText, TextStyle, fit_text
from edge.labels.occasion import UNTIL, on_the_occasion
from edge.labels.price_block import fit_price, legible_money
from edge.labels.render import PriceDoesNotFit, in_language, render
from edge.labels.samples import sample
from edge.labels.scaling import nearest, scaled
from edge.labels.symbols import qr_modules
from edge.labels.template import Template, load_templates
from tests.labels.shelf import pixels
from tests.labels.test_pictures import EXTREME_NAMES, template_of
from tests.labels.test_templates import SHIPPED

TEMPLATES = load_templates([SHIPPED])
SIX = ["clearance", "multi-buy", "pickup", "produce", "promotion", "regular"]
GEOMETRIES = [pytest.param(each, id=f"{each.width}x{each.height}-{len(each.colours)}") for each in known_geometries()]
SHAPES = sorted({(each.width, each.height) for each in known_geometries()})
EXTREME_WORDS = ["", "X", "W" * 60, "Übergangsjackenschlussverkauf – nur noch bis Samstag", "3 za 12,99 zł ŁÓDŹ Ğİş"]
PRICES = [(0, "EUR"), (1, "EUR"), (999_999, "EUR"), (129_900, "JPY"), (1_234_567, "KWD")]
READ_AT = 3
"""A phone sees a label larger than one pixel for one."""
TERMS = ["3 for €5.00", "2 for 12,50 €", "3 für 1.299,00 €", "Buy 2, get 1 free", "Lleva 3 y paga 2",
         "2.ª unidad al 50 %", "1 kupisz 2 dostaniesz", "3 for 12.50 €, 6 for 22.00 €",
         "4 za 12,99 zł · od 2 szt. 3,49 zł"]
LONG_TERMS = "3 for 12.50 €, 6 for 22.00 €, 12 for 39.90 €, 24 for 69.90 €, 48 for 120.00 €, 96 for 199.00 €, " * 9
HIGH_AND_LOW = ["Žluťoučký kůň", "Ǻ Ế Ű Ŷ", "ģ Ķ Ņ Ŗ", "Çağ Ş Ț", "Ĵ Ŵ ŵ ĵ (|)", "Queso Ñoño", "Äpfel", "Łódź; gąbka,"]


def test_there_are_six_and_they_serve_every_label() -> None:
    assert TEMPLATES.names == SIX
    assert len(known_labels()) >= 20
    for name in SIX:
        for label in known_labels():
            assert TEMPLATES.select(name, label).layout.width == label.width


@pytest.mark.parametrize("name", SIX)
@pytest.mark.parametrize("label", GEOMETRIES)
def test_what_is_drawn_together_shares_no_pixel(name: str, label: LabelDescription) -> None:
    layout = TEMPLATES.select(name, label).layout
    for one, other in combinations([each for each in layout.elements if not isinstance(each, Box)], 2):
        if not _never_both(one, other):
            assert not _overlap(one.box, other.box), (one, other)
    for element in layout.elements:
        x, y, width, height = element.box
        assert x + width <= label.width
        assert y + height <= label.height


@pytest.mark.parametrize("name", SIX)
@pytest.mark.parametrize("label", GEOMETRIES)
def test_extreme_words_change_nothing_outside_their_own_boxes(name: str, label: LabelDescription) -> None:
    template, plain = TEMPLATES.select(name, label), sample(name, "es")
    here = pixels(render(template, plain, label))
    words = ["name", *(each for each in ("band", "terms", "until", "origin", "badge") if getattr(plain, each))]
    for field in words:
        boxes = [each.box for each in template.layout.elements
                 if "{" + field + "}" in in_language(getattr(each, "text", ""), "es")]
        for word in EXTREME_NAMES if field == "name" else EXTREME_WORDS[1:]:
            try:
                changed = here != pixels(render(template, replace(plain, **{field: word}), label))
            except PriceDoesNotFit:
                assert field in ("terms", "until")
                continue
            for x, y, width, height in boxes:
                changed[y : y + height, x : x + width] = False
            assert not changed.any(), (field, word)


@pytest.mark.parametrize("name", ["promotion", "clearance", "multi-buy"])
@pytest.mark.parametrize("label", GEOMETRIES)
def test_the_last_day_fits_in_every_language_and_month(name: str, label: LabelDescription) -> None:
    """A day that is cut would be another promise; so it is an error, and must never be one."""
    template = TEMPLATES.select(name, label)
    for language in UNTIL:
        plain = sample(name, language)
        for month in range(1, 13):
            content = on_the_occasion(replace(plain, until=""), PriceKind.PROMOTION, date(2026, month, 28))
            assert content.until
            render(template, replace(plain, until=content.until), label)


@pytest.mark.parametrize("name", SIX)
@pytest.mark.parametrize("label", GEOMETRIES)
def test_every_pixel_of_a_text_is_there_whatever_stands_on_its_letters(name: str, label: LabelDescription) -> None:
    template, plain = TEMPLATES.select(name, label), sample(name, "es")
    for element in (each for each in template.layout.elements if isinstance(each, Text)):
        field = in_language(element.text, "es").strip("{}")
        if field not in ("name", "band", "until", "origin", "badge", "terms"):
            continue
        for words in HIGH_AND_LOW:
            alone = template_of(replace_struct(element, colour="black", when=None, unless=None), width=label.width,
                                height=label.height)
            drawn = pixels(render(alone, replace(plain, **{field: words}), label))
            style = TextStyle(element.weight, element.size, element.size_min or element.size, element.lines)
            fitted = fit_text(words, *element.box[2:], style)
            assert np.count_nonzero(drawn) == sum(_ink(line, fitted) for line in fitted.lines), (element, words)


@pytest.mark.parametrize("label", GEOMETRIES)
def test_terms_that_shops_have_stand_there_whole(label: LabelDescription) -> None:
    template, content = TEMPLATES.select("multi-buy", label), sample("multi-buy", "es")
    element = next(each for each in template.layout.elements if getattr(each, "text", "") == "{terms}")
    assert isinstance(element, Text)
    for terms in TERMS:
        assert render(template, replace(content, terms=terms), label)
        style = TextStyle(element.weight, element.size, element.size_min or element.size, element.lines)
        assert " ".join(fit_text(terms, *element.box[2:], style).lines) == terms


@pytest.mark.parametrize("label", GEOMETRIES)
def test_terms_that_do_not_fit_are_an_error_never_a_cut_price(label: LabelDescription) -> None:
    with pytest.raises(PriceDoesNotFit, match=r"3 for 12\.50 €, 6 for"):
        render(TEMPLATES.select("multi-buy", label), replace(sample("multi-buy", "en"), terms=LONG_TERMS), label)


@pytest.mark.parametrize("name", [each for each in SIX if each not in ("pickup", "produce")])
@pytest.mark.parametrize("label", GEOMETRIES)
def test_the_price_per_measure_is_on_every_label_that_shoppers_buy_by(name: str, label: LabelDescription) -> None:
    """EU 98/6/EC Art. 3: the unit price, beside the selling price; produce is priced by its measure itself."""
    layout = TEMPLATES.select(name, label).layout
    assert [each for each in layout.elements if isinstance(each, UnitPriceText)]


@pytest.mark.parametrize("name", SIX)
@pytest.mark.parametrize("label", GEOMETRIES)
@pytest.mark.parametrize(("price_minor", "currency"), PRICES)
def test_every_pixel_of_a_price_is_there(name: str, label: LabelDescription, price_minor: int, currency: str) -> None:
    template = TEMPLATES.select(name, label)
    style = next(each for each in template.layout.elements if isinstance(each, Price))
    content = replace(sample(name, "es"), price_minor=price_minor, currency=currency, was_minor=None, unit_price=None)
    block = fit_price(legible_money(price_minor, currency, "es"), style, *style.box[2:])
    assert block is not None, "even the smallest label shows it"
    ink = sum(int(run.face.glyph(char).mask.sum()) for run in block.runs for char in run.text)
    drawn = render(template_of(style, width=label.width, height=label.height), content, label)
    assert np.count_nonzero(pixels(drawn)) == ink
    assert render(template, content, label)


@pytest.mark.parametrize("label", GEOMETRIES)
def test_a_price_that_does_not_fit_is_an_error_on_any_label(label: LabelDescription) -> None:
    with pytest.raises(PriceDoesNotFit, match="does not fit"):
        render(TEMPLATES.select("regular", label), replace(sample("regular", "es"), price_minor=10**24), label)


@pytest.mark.parametrize("name", SIX)
@pytest.mark.parametrize("label", GEOMETRIES)
def test_symbols_decode_again(name: str, label: LabelDescription) -> None:
    template, content = TEMPLATES.select(name, label), sample(name, "en")
    read = _scanned(template, content, label)
    assert content.link is not None
    assert (content.link in read) == any(_qr_fits(each, content) for each in template.layout.elements)
    bars = [each for each in template.layout.elements if type(each).__name__ == "Ean"]
    assert (content.ean in read) == bool(bars)


def test_the_code_for_a_phone_has_two_pixels_a_module_on_every_label_that_has_room_for_them() -> None:
    for name in SIX:
        for label in known_geometries():
            template = TEMPLATES.select(name, label)
            assert all(each.module_min >= 2 for each in template.layout.elements if isinstance(each, Qr))
            there = sample(name, "en").link in _scanned(template, sample(name, "en"), label)
            assert there == (label.width * label.height >= 250 * 128), (name, label)


@pytest.mark.parametrize("name", SIX)
def test_a_label_in_black_and_white_says_the_same(name: str) -> None:
    three = next(each for each in known_geometries() if (each.width, each.height) == (296, 128) and
                 Colour.RED in each.colours)
    two = replace(three, colours=frozenset({Colour.WHITE, Colour.BLACK}))
    content, template = sample(name, "en"), TEMPLATES.select(name, three)
    coloured, plain = pixels(render(template, content, three)), pixels(render(template, content, two))
    assert set(np.unique(plain)) == {Colour.WHITE, Colour.BLACK}
    assert ((coloured != Colour.WHITE) == (plain != Colour.WHITE)).all()


def test_words_are_in_the_stores_language_and_in_the_first_there_is_otherwise() -> None:
    words = {"en": "Each", "es": "Unidad"}
    assert [in_language(words, language) for language in ("es-ES", "en-US", "fi")] == ["Unidad", "Each", "Each"]
    assert in_language("always", "fi") == "always"


def test_what_is_missing_leaves_its_place_to_what_is_there() -> None:
    label = next(each for each in known_geometries() if (each.width, each.height) == (400, 300))
    for name in SIX:
        bare = replace(sample(name, "en"), was_minor=None, terms="", band="", until="", origin="", badge="", measure="",
                       unit_price=None, gtin=None, link=None)
        assert pixels(render(TEMPLATES.select(name, label), bare, label)).any()


def test_a_reduction_is_never_said_larger_than_it_is() -> None:
    content = replace(sample("promotion", "en"), price_minor=200, was_minor=299)
    assert content.percent == 33
    with pytest.raises(ValueError, match="is no reduction"):
        replace(content, was_minor=200)


def test_the_nearest_layout_is_that_of_the_same_shape() -> None:
    layouts = [TEMPLATES.select("regular", _a_label(*size)).layout
               for size in ((296, 128), (250, 128), (212, 104), (400, 300), (152, 152), (240, 416))]
    chosen = {size: (nearest(layouts, *size).width, nearest(layouts, *size).height) for size in SHAPES}
    assert chosen[384, 168] == (296, 128)
    assert chosen[250, 132] == chosen[256, 128] == (250, 128)
    assert chosen[212, 104] == (212, 104)
    assert chosen[800, 480] == chosen[960, 640] == (400, 300)
    assert chosen[240, 416] == (240, 416)
    assert chosen[152, 152] == (152, 152)
    assert scaled(layouts[0], 296, 128) is layouts[0]


def _a_label(width: int, height: int) -> LabelDescription:
    return next(each for each in known_geometries() if (each.width, each.height) == (width, height))


def _never_both(one: AnyElement, other: AnyElement) -> bool:
    return (one.when is not None and one.when == other.unless) or (one.unless is not None and one.unless == other.when)


def _overlap(one: tuple[int, int, int, int], other: tuple[int, int, int, int]) -> bool:
    return (one[0] < other[0] + other[2] and other[0] < one[0] + one[2]
            and one[1] < other[1] + other[3] and other[1] < one[1] + one[3])


def _qr_fits(element: AnyElement, content: LabelContent) -> bool:
    return isinstance(element, Qr) and content.link is not None and (
        min(element.box[2:]) >= (len(qr_modules(content.link, "L")) + 8) * element.module_min)


def _ink(line: str, fitted: FittedText) -> int:
    """Pixels of the line's letters, each where it stands, on as much paper as they take."""
    paper = np.zeros((8 * fitted.face.size, fitted.face.width(line) + 8 * fitted.face.size), np.bool_)
    pen = baseline = 4 * fitted.face.size
    for char in line:
        glyph = fitted.face.glyph(char)
        height, width = glyph.mask.shape
        paper[baseline + glyph.top :, pen + glyph.left :][:height, :width] |= glyph.mask
        pen += glyph.advance
    return int(np.count_nonzero(paper))


def _scanned(template: Template, content: LabelContent, label: LabelDescription) -> set[str]:
    import zxingcpp

    drawn = np.where(pixels(render(template, content, label)) == Colour.WHITE, 255, 0).astype(np.uint8)
    larger = drawn.repeat(READ_AT, axis=0).repeat(READ_AT, axis=1)
    return {symbol.text for symbol in zxingcpp.read_barcodes(larger)}
