"""How many label pictures one core draws: 296×128 black/white/red with EAN-13 and QR code, without encoding.

The peers draw the same label: a skia pipeline, odl-renderer, and the plain way with a fresh Pillow image, fresh fonts
and fresh symbols for each (what the caches buy). Every item has its own name, number and price, so only letters and
amounts seen before come from a cache.
"""

import random
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import fontpkg
import zxingcpp
from PIL import Image, ImageDraw, ImageFont

from drivers.port import Colour, LabelDescription
from edge.domain.money import format_money
from edge.labels.content import LabelContent, label_content
from edge.labels.render import render
from edge.labels.template import load_template
from tests.bench._picture_peers import odl_picture, skia_picture

ITEMS = 600
ROUNDS = 5
PEER_ITEMS = 60
LIMIT_PER_S = 1_500
SKIA_SHARE = 0.8
FONT = fontpkg.path("Roboto Condensed")
TEMPLATE = Path(__file__).parents[2] / "config/templates/regular.yaml"
WORDS = ("Roasted", "Crunchy", "Organic", "Peanut", "Butter", "Tomato", "Soup", "Basil", "Olive", "Wholegrain", "Bread",
         "Cheddar", "Cheese", "Sparkling", "Water", "Dark", "Chocolate", "Apple", "Juice", "Chicken", "Noodles")
PACKAGES = ("16 OZ", "14.5 OZ", "750 ML", "1 LB", "2 L", "12 CT", "6/3.5 OZ", "1/2 GAL")


def run() -> dict[str, object]:
    """The figure; `ratio` is ours over the skia pipeline's."""
    template = next(each for each in load_template(TEMPLATE) if each.layout.width == 296)
    label = LabelDescription("0000021b1ad03b17", "M3 2.9\"", 296, 128,
                             frozenset({Colour.WHITE, Colour.BLACK, Colour.RED}), frozenset(), 20.0)
    chance = random.Random(29)
    ways: dict[str, tuple[Callable[[LabelContent], object], int]] = {
        "ours": (lambda content: render(template, content, label), ITEMS), "skia": (skia_picture, ITEMS),
        "plain Pillow": (_plain_picture, PEER_ITEMS), "odl-renderer": (odl_picture, PEER_ITEMS)}
    rates: dict[str, list[float]] = {name: [] for name in ways}
    for round_number in range(ROUNDS + 1):
        items = [_item(chance) for _ in range(ITEMS)]
        for name, (draw, count) in ways.items():
            rate = _rate(items[:count], draw)
            if round_number:  # the first fills the caches
                rates[name].append(rate)
    value, skia_rate, plain, odl = (statistics.median(rates[name]) for name in ways)
    return {
        "name": "label_pictures_rps",
        "value": round(value),
        "unit": "pictures/s per core",
        "limit": f"{LIMIT_PER_S}, or {SKIA_SHARE} of skia's",
        "peer": round(skia_rate),
        "ratio": round(value / skia_rate, 2),
        "conditions": f"one process, {label.width}x{label.height} black/white/red, EAN-13 and QR new for each picture, "
                      f"median of {ROUNDS} rounds of {ITEMS} items; peer: skia-python and zxing-cpp; in the same run "
                      f"plain Pillow without caches {plain:.0f}/s, odl-renderer (which has no EAN) {odl:.0f}/s",
    }


def _rate(items: Sequence[LabelContent], draw: Callable[[LabelContent], object]) -> float:
    start = time.perf_counter()
    for item in items:
        draw(item)
    return len(items) / (time.perf_counter() - start)


def _item(chance: random.Random) -> LabelContent:
    body = f"{chance.randrange(10**12):012}"
    check = -sum(int(digit) * (3 if place % 2 else 1) for place, digit in enumerate(body)) % 10
    return label_content(sku=body[:8], name=" ".join(chance.sample(WORDS, chance.randint(2, 5))), gtin=f"{body}{check}",
                         package_text=chance.choice(PACKAGES), price_minor=chance.randrange(49, 4_000), currency="USD",
                         language="en-US", unit_system="us", link_domain="id.example.com")


def _plain_picture(content: LabelContent) -> bytes:
    image = Image.new("P", (296, 128), int(Colour.WHITE))
    pen = ImageDraw.Draw(image)
    pen.fontmode = "1"
    size = 26
    while size > 15 and _font(size, 700).getlength(content.name) > 214:
        size -= 1
    pen.text((8, 36), content.name, font=_font(size, 700), fill=int(Colour.BLACK), anchor="ls")
    pen.rectangle((8, 52, 221, 53), fill=int(Colour.RED))
    money = format_money(content.price_minor, content.currency, content.language)
    unit_price = content.unit_price
    assert unit_price is not None
    per_measure = format_money(unit_price.price_minor, content.currency, content.language).text
    pen.text((8, 71), f"{per_measure}/{unit_price.measure}", font=_font(16, 575), fill=int(Colour.BLACK), anchor="ls")
    pen.text((8, 89), content.package_text, font=_font(14, 350), fill=int(Colour.BLACK), anchor="ls")
    pen.text((180, 126), money.units, font=_font(74, 700), fill=int(Colour.BLACK), anchor="ls")
    pen.text((255, 98), money.decimals, font=_font(34, 700), fill=int(Colour.BLACK), anchor="ls")
    pen.text((160, 98), money.sign, font=_font(34, 700), fill=int(Colour.BLACK), anchor="ls")
    pen.text((9, 126), str(content.ean), font=_font(12, 400), fill=int(Colour.BLACK), anchor="ls")
    for text, kind, place, scale in ((content.ean, zxingcpp.BarcodeFormat.EAN13, (15, 95), 1),
                                     (content.link, zxingcpp.BarcodeFormat.QRCode, (230, 8), 2)):
        symbol = zxingcpp.create_barcode(text, kind).to_image(scale=scale, add_hrt=False, add_quiet_zones=False)
        image.paste(Image.fromarray(symbol).point(lambda light: 0 if light else int(Colour.BLACK)), place)
    return image.tobytes()


def _font(size: int, weight: int) -> ImageFont.FreeTypeFont:
    font = ImageFont.truetype(FONT, size)
    font.set_variation_by_axes([weight])
    return font
