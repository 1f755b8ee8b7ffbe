"""Pictures a shopper, a scanner and an auditor can read."""

import io
import pickle
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from multiprocessing import get_context

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from drivers.port import Blob, Colour, LabelDescription, Picture
from edge.domain.links import PrintedPrice, read_link
from edge.labels.canvas import Area
from edge.labels.content import LabelContent
from edge.labels.elements import AnyElement, Box, Ean, Price, Qr, Text, UnitPriceText
from edge.labels.fitting import TextStyle, fit_text
from edge.labels.fonts import face, printable
from edge.labels.price_block import fit_price, legible_money
from edge.labels.render import CannotDraw, PriceDoesNotFit, SymbolDoesNotFit, draw, preview_png, render
from edge.labels.template import Layout, Template, load_templates
from tests.labels.shelf import BLACK_WHITE, item, label, pixels, scanned
from tests.labels.test_templates import SHIPPED

REGULAR = load_templates([SHIPPED])
SIZES = [(296, 128), (400, 300)]

EXTREME_NAMES = [
    "X",
    "W" * 80,
    "Żółć ąęß Ćwikła Źdźbło ŘŽÁJŮ Ñandú Œuvre Ğİş Ẫ",
    "Chocolate 🍫\u200d\ufe0f con\tleche\r\n70\u00a0%\x07\x00",
    "Rindfleischetikettierungsüberwachungsaufgabenübertragungsgesetz",
    "a " * 200,
    "….-/&(((jjjgggqqq",
    "\u0301\u0302",
    "醤油 соус σάλτσα ارز",
    " \n\t ",
]


def gtins() -> st.SearchStrategy[str]:
    """GTIN-13, -12 and -8 with their check digits."""
    def with_check_digit(body: str) -> str:
        weighted = sum(int(digit) * (3 if place % 2 == 0 else 1) for place, digit in enumerate(reversed(body)))
        return f"{body}{-weighted % 10}"

    lengths = st.sampled_from([12, 11, 7])
    return lengths.flatmap(lambda length: st.text("0123456789", min_size=length, max_size=length)).map(with_check_digit)


def template_of(*elements: AnyElement, width: int = 296, height: int = 128) -> Template:
    return Template("test", Layout(width=width, height=height, elements=elements), "0")


@pytest.mark.parametrize(("width", "height"), SIZES)
@settings(max_examples=60, deadline=None)
@given(gtin=gtins(), price_minor=st.integers(0, 999_999), currency=st.sampled_from(["USD", "EUR", "JPY", "KWD"]))
def test_a_scanner_reads_the_number_and_the_printed_price_from_the_picture_itself(
        width: int, height: int, gtin: str, price_minor: int, currency: str) -> None:
    content = item(price_minor=price_minor, gtin=gtin, currency=currency, package_text="")
    label_of_size = label(width, height)

    read = scanned(render(REGULAR.select("regular", label_of_size), content, label_of_size))

    assert content.ean in read
    prices = [read_link(text) for text in read if text.startswith("https://")]
    decimals = {"USD": 2, "EUR": 2, "JPY": 0, "KWD": 3}[currency]
    assert prices == [PrintedPrice(gtin.zfill(14), None, price_minor, decimals)]


@pytest.mark.parametrize(("width", "height"), SIZES)
@pytest.mark.parametrize("name", EXTREME_NAMES)
def test_any_name_leaves_price_and_symbols_readable(width: int, height: int, name: str) -> None:
    plain, extreme = item(name="Milk"), item(name=name)
    here = label(width, height)
    template = REGULAR.select("regular", here)
    x, y, box_width, box_height = template.layout.elements[0].box

    difference = pixels(render(template, plain, here)) != pixels(render(template, extreme, here))

    difference[y : y + box_height, x : x + box_width] = False
    assert not difference.any()
    assert scanned(render(template, extreme, here)) == {"0400010000500", extreme.link}


@given(name=st.text(max_size=300), width=st.integers(1, 120), height=st.integers(1, 60), lines=st.integers(1, 4),
       align=st.sampled_from(["left", "centre", "right"]), valign=st.sampled_from(["top", "middle", "bottom"]))
@settings(max_examples=150, deadline=None)
def test_text_never_leaves_its_box(name, width, height, lines, align, valign) -> None:
    text = Text(box=(50, 30, width, height), text="{name}", size=24, size_min=10, lines=lines, align=align,
                valign=valign)

    drawn = pixels(render(template_of(text), item(name=name), label())).copy()

    drawn[30 : 30 + height, 50 : 50 + width] = Colour.WHITE
    assert not drawn.any()


@given(name=st.text(st.characters(codec="latin-1", categories=["L", "N", "P", "Zs"]), max_size=120),
       width=st.integers(30, 250), lines_max=st.integers(1, 3))
@settings(max_examples=150, deadline=None)
def test_what_is_written_is_whole_letters_within_the_width(name: str, width: int, lines_max: int) -> None:
    text = printable(name)
    fitted = fit_text(text, width, 60, TextStyle("bold", 26, 15, lines_max))

    assert len(fitted.lines) <= lines_max
    assert all(fitted.face.width(line) <= width for line in fitted.lines)
    written = "".join(fitted.lines).replace(" ", "")
    if "…" not in written:
        assert written == text.replace(" ", "")


def test_a_long_name_first_shrinks_then_wraps_then_ends_in_an_ellipsis() -> None:
    style = TextStyle("bold", 26, 15, 2)
    short, longer, long, too_long = (fit_text(name, 214, 46, style) for name in (
        "Kids Cereal", "Instant Coffee Regular", "Sandwich Sauce Horseradish Strong", "Extra virgin olive oil " * 4))

    assert (short.face.size, len(short.lines)) == (26, 1)
    assert 15 <= longer.face.size < 26
    assert len(longer.lines) == 1
    assert len(long.lines) == 2
    assert too_long.lines[-1].endswith("…")


def test_an_empty_name_leaves_its_place_white() -> None:
    nameless = replace(item(), name=" \n")
    picture = render(template_of(Text(box=(0, 0, 296, 128), text="{name}", size=20)), nameless, label())

    assert not any(picture.pixels)


def test_a_letter_the_font_lacks_shows_as_an_empty_box_and_an_emoji_not_at_all() -> None:
    assert printable("Soja 醤 sauce 🍣!") == "Soja 醤 sauce !"
    assert not face("regular", 16).has("醤")
    assert face("regular", 16).glyph("醤").mask.any()


@pytest.mark.parametrize(("price_minor", "currency", "language", "shown"), [
    (1, "USD", "en-US", ("$", "0", ".", "01")),
    (999_999, "USD", "en-US", ("$", "9,999", ".", "99")),
    (1_299, "EUR", "es", ("€", "12", ",", "99")),
    (129_900, "JPY", "ja", ("¥", "129,900", "", "")),
    (1_234_567, "KWD", "ar", ("KWD", "1,234", ".", "567")),
    (1_299, "PLN", "pl", ("zł", "12", ",", "99")),
])
@pytest.mark.parametrize(("width", "height"), SIZES)
def test_extreme_prices_are_shown_whole(price_minor, currency, language, shown, width, height) -> None:
    """Every pixel of every letter of the price is there: nothing cut off, nothing under something else."""
    here = label(width, height)
    style = next(each for each in REGULAR.select("regular", here).layout.elements if isinstance(each, Price))
    content = item(price_minor=price_minor, currency=currency, language=language, package_text="")

    money = legible_money(price_minor, currency, language)
    assert (money.sign, money.units, money.separator, money.decimals) == shown
    block = fit_price(money, style, *style.box[2:])
    assert block is not None
    letters = [run.face.glyph(char) for run in block.runs for char in run.text]
    drawn = render(template_of(style, width=width, height=height), content, here)
    assert np.count_nonzero(pixels(drawn)) == sum(int(glyph.mask.sum()) for glyph in letters)


def test_a_price_that_does_not_fit_is_an_error_never_a_cut_price() -> None:
    narrow = template_of(Price(box=(0, 0, 60, 54), size=70, size_min=30))

    render(narrow, item(price_minor=99), label())
    with pytest.raises(PriceDoesNotFit, match=r"1000050: the price \$12,345\.67 does not fit"):
        render(narrow, item(price_minor=1_234_567), label())


def test_a_unit_price_that_does_not_fit_is_an_error_never_a_cut_price() -> None:
    narrow = template_of(UnitPriceText(box=(0, 0, 50, 20), size=16, size_min=12))

    render(narrow, item(price_minor=99), label())
    with pytest.raises(PriceDoesNotFit, match=r"unit price \$12,345\.00/oz"):
        render(narrow, item(price_minor=1_234_500, package_text="1 OZ"), label())


def test_a_link_too_long_for_its_box_is_left_out_or_an_error_and_a_long_one_takes_smaller_modules() -> None:
    square = template_of(Qr(box=(0, 0, 74, 74), module_min=1, module_max=2, optional=False))
    content = item()

    assert scanned(render(square, content, label())) == {content.link}
    longer = replace(content, link="https://" + "long." * 20 + "example/01/00400010000500?3922=339")
    grown = pixels(render(square, longer, label()))
    assert np.count_nonzero(grown) > 0
    assert np.flatnonzero(grown.any(axis=0)).max() < 74
    with pytest.raises(SymbolDoesNotFit, match="1000050"):
        render(square, replace(content, link="https://" + "x" * 5_000), label())
    for_phones = template_of(Qr(box=(0, 0, 74, 74)))
    assert scanned(render(for_phones, content, label())) == {content.link}
    assert not pixels(render(for_phones, longer, label())).any()


def test_a_symbol_keeps_its_quiet_zone_white_whatever_lies_below() -> None:
    over_black = template_of(Box(box=(0, 0, 296, 128)), Qr(box=(10, 10, 82, 82)), Ean(box=(110, 20, 113, 60)))
    content = item()

    assert scanned(render(over_black, content, label())) == {content.ean, content.link}


def test_a_label_without_red_shows_black_instead() -> None:
    here = label(colours=BLACK_WHITE)
    red = render(REGULAR.select("regular", label()), item(), label())

    black = render(REGULAR.select("regular", here), item(), here)

    assert set(red.pixels) == {Colour.WHITE, Colour.BLACK, Colour.RED}
    assert set(black.pixels) == {Colour.WHITE, Colour.BLACK}
    assert [bool(pixel) for pixel in black.pixels] == [bool(pixel) for pixel in red.pixels]


@given(colours=st.sets(st.sampled_from(list(Colour))))
@settings(max_examples=16, deadline=None)
def test_a_picture_has_only_colours_the_label_has(colours: set[Colour]) -> None:
    here = label(colours=frozenset(colours) | BLACK_WHITE)
    every_colour = template_of(*(Box(box=(10 * place, 0, 10, 10), colour=colour)
                                 for place, colour in enumerate(("black", "red", "yellow", "white"))))

    assert set(render(every_colour, item(), here).pixels) <= set(here.colours)


def test_elements_appear_only_under_their_conditions() -> None:
    here = label()
    conditional = template_of(
        Box(box=(0, 0, 10, 10), when="unit_price"), Box(box=(20, 0, 10, 10), unless="unit_price"),
        Box(box=(40, 0, 10, 10), when="ean"), Box(box=(60, 0, 10, 10), unless="link"),
        Box(box=(80, 0, 10, 10), when="package", unless="unit_price"),
    )

    def shown(content: LabelContent) -> list[int]:
        row = pixels(render(conditional, content, here))[5]
        return [place for place in range(0, 100, 20) if row[place]]

    assert shown(item()) == [0, 40]
    assert shown(item(package_text="LARGE", gtin=None, link_domain=None)) == [20, 60, 80]
    assert shown(item(package_text="")) == [20, 40]


def test_a_gtin_that_no_ean_can_carry_leaves_the_bars_out() -> None:
    here = label()
    carton = item(gtin="10400010000507")
    template = REGULAR.select("regular", here)

    assert scanned(render(template, carton, here)) == {carton.link}


def test_a_frame_is_as_thick_as_its_outline() -> None:
    framed = pixels(render(template_of(Box(box=(10, 10, 50, 30), outline=3)), item(), label()))

    assert framed[10:13, 10:60].all()
    assert not framed[13:37, 13:57].any()
    assert np.count_nonzero(framed) == 50 * 30 - 44 * 24


def test_a_template_of_another_size_is_refused() -> None:
    with pytest.raises(ValueError, match="400×300 for a label of 296×128"):
        render(REGULAR.select("regular", label(400, 300)), item(), label())


def test_letters_are_crisp_stems_are_equally_wide() -> None:
    """At the sizes of the shipped template, nearly all upright strokes of a face are as many pixels wide."""
    upright = "lihnmuHIFLTdbpqrftDPRBUNMEk"
    for weight, size in (("bold", 26), ("bold", 20), ("medium", 16), ("regular", 14), ("regular", 12)):
        widths = [_commonest_run(face(weight, size).glyph(char).mask) for char in upright]
        assert max(widths.count(width) for width in set(widths)) >= 0.9 * len(widths), (weight, size)


def test_the_preview_is_a_png_of_the_same_pixels() -> None:
    picture = render(REGULAR.select("regular", label()), item(), label())

    image = Image.open(io.BytesIO(preview_png(picture)))

    assert image.format == "PNG"
    assert image.size == (296, 128)
    assert image.tobytes() == picture.pixels
    assert image.convert("RGB").getpixel((9, 53)) == (200, 20, 20)


def test_drawing_again_gives_the_same_pixels_in_this_and_in_another_process() -> None:
    here, content = label(), item()
    template = REGULAR.select("regular", here)
    job = pickle.loads(pickle.dumps((template, content, here, length_encoder)))

    picture, blob = draw(template, content, here, length_encoder)

    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        assert pool.submit(draw, *job).result() == (picture, blob)
    assert blob.payload == b"37888"


def test_errors_of_drawing_are_one_kind_that_names_the_item() -> None:
    assert issubclass(PriceDoesNotFit, CannotDraw)
    assert issubclass(SymbolDoesNotFit, CannotDraw)


def test_areas_place_things_at_their_edges_and_middle() -> None:
    area = Area(10, 20, 100, 50)

    assert [area.across(40, align) for align in ("left", "centre", "right")] == [10, 40, 70]
    assert [area.down(10, align) for align in ("top", "middle", "bottom")] == [20, 40, 60]


def length_encoder(description: LabelDescription, picture: Picture) -> Blob:
    """An encoder that only counts, at module level so that a process pool finds it."""
    return Blob(description.label, 0, str(len(picture.pixels)).encode())


def _commonest_run(mask) -> int:
    edges = np.diff(np.pad(mask.astype(int), ((0, 0), (1, 1))), axis=1)
    runs = np.nonzero(edges == -1)[1] - np.nonzero(edges == 1)[1]
    return int(np.bincount(runs).argmax())
