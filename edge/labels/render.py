"""Content and template into a picture (DESIGN.md section 6). No I/O, no clock: the same input gives the same pixels.

`draw` is what a process pool calls: everything it takes and gives can be pickled.
"""

import io
from functools import lru_cache

import numpy as np
from PIL import Image

from drivers.port import Blob, Colour, Encoder, LabelDescription, Picture
from edge.labels.canvas import Area, Canvas
from edge.labels.content import LabelContent
from edge.labels.elements import (
    AnyElement,
    Box,
    Condition,
    Ean,
    Element,
    Field,
    Price,
    Qr,
    Text,
    UnitPriceText,
    WasPrice,
    Words,
    names_a_price,
)
from edge.labels.elements import Image as ImageElement
from edge.labels.fitting import FittedText, TextStyle, fit_text
from edge.labels.fonts import face, printable
from edge.labels.price_block import fit_price, legible_money
from edge.labels.symbols import (
    EAN_GUARD_MODULES,
    EAN_QUIET_MODULES,
    QR_LEVELS,
    QR_QUIET_MODULES,
    Modules,
    ean_modules,
    qr_modules,
    scaled,
)
from edge.labels.template import Template

FILLED_CHARS_MAX = 4_096
"""More of a text is not even read; enough to notice that something with a price in it is too long."""

TEXT_CHARS_MAX = 256
"""More of a text is not looked at: no label has room for it."""

STRIKE_SHARE = 11
"""A line through a price is this part of its size thick."""

DARK_BELOW = 128
"""Of 256 shades of grey: what is darker becomes ink."""

IMAGES_MAX = 64
"""Images kept at the size they are drawn in."""

PREVIEW_PALETTE = {Colour.WHITE: (255, 255, 255), Colour.BLACK: (0, 0, 0), Colour.RED: (200, 20, 20),
                   Colour.YELLOW: (240, 200, 0)}

_PIECE = {"en": "ea", "es": "ud.", "ca": "u.", "pt": "un.", "fr": "pièce", "it": "pz", "de": "St.", "nl": "stuk",
          "pl": "szt."}
"""How a piece is written after the slash; in other languages as in English."""


class CannotDraw(ValueError):
    """This content does not go into this template; a person must change one of them."""


class PriceDoesNotFit(CannotDraw):
    """A price or unit price is too wide for its box at its smallest size. It is never cut."""


class SymbolDoesNotFit(CannotDraw):
    """A bar code or QR code is too large for its box at its smallest module."""


def draw(template: Template, content: LabelContent, description: LabelDescription,
         encoder: Encoder) -> tuple[Picture, Blob]:
    """The picture and its encoding for the label, in one call for a process pool. Raises `CannotDraw`."""
    picture = render(template, content, description)
    return picture, encoder(description, picture)


def render(template: Template, content: LabelContent, description: LabelDescription) -> Picture:
    """The picture of this content, in colours the label has. Raises `CannotDraw`, `ValueError` for another geometry."""
    layout = template.layout
    if (layout.width, layout.height) != (description.width, description.height):
        raise ValueError(f"template {template.name!r} of {layout.width}×{layout.height} for a label of "
                         f"{description.width}×{description.height}")
    canvas = Canvas(description)
    for element in layout.elements:
        if _wanted(element, content):
            _paint(canvas, element, content)
    return canvas.picture()


def preview_png(picture: Picture) -> bytes:
    """The picture as a PNG file of its own size."""
    image = Image.frombytes("P", (picture.width, picture.height), picture.pixels)
    image.putpalette([part for colour in Colour for part in PREVIEW_PALETTE[colour]])
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


def says(template: Template, content: LabelContent, field: Field) -> bool:
    """Whether the picture of this content has a text with this field."""
    return bool(getattr(content, field)) and any(
        isinstance(element, Text) and "{" + field + "}" in in_language(element.text, content.language)
        and _wanted(element, content) for element in template.layout.elements)


def _wanted(element: Element, content: LabelContent) -> bool:
    return (element.when is None or _holds(element.when, content)) and not (
        element.unless is not None and _holds(element.unless, content)
    )


def _holds(condition: Condition, content: LabelContent) -> bool:
    match condition:
        case "package":
            return bool(content.package_text.strip())
        case "unit_price":
            return content.unit_price is not None
        case "ean":
            return content.ean is not None
        case "link":
            return content.link is not None
        case "was":
            return content.was_minor is not None
        case "terms" | "band" | "until" | "origin" | "badge" | "measure":
            return bool(getattr(content, condition).strip())


def _paint(canvas: Canvas, element: AnyElement, content: LabelContent) -> None:
    match element:
        case Text():
            text = _text(in_language(element.text, content.language), content)
            size_min = element.size if element.size_min is None else element.size_min
            style = TextStyle(element.weight, element.size, size_min, element.lines)
            is_cut = _paint_text(canvas, element, text[:TEXT_CHARS_MAX], style).is_cut or len(text) > TEXT_CHARS_MAX
            if is_cut and names_a_price(element.text):
                raise _does_not_fit(content, "", text[:TEXT_CHARS_MAX], element)
        case Price():
            _paint_price(canvas, element, content)
        case UnitPriceText():
            _paint_unit_price(canvas, element, content)
        case WasPrice():
            _paint_was_price(canvas, element, content)
        case ImageElement():
            _paint_image(canvas, element)
        case Ean():
            _paint_ean(canvas, element, content)
        case Qr():
            _paint_qr(canvas, element, content)
        case Box():
            _paint_box(canvas, element)


def in_language(words: Words, language: str) -> str:
    """The text in a language (BCP 47), or the first there is."""
    if isinstance(words, str):
        return words
    return words.get(language[:2].lower(), next(iter(words.values()), ""))


def _text(pattern: str, content: LabelContent) -> str:
    price = legible_money(content.price_minor, content.currency, content.language).text
    filled = pattern.format(name=content.name, sku=content.sku, gtin=content.gtin or "", package=content.package_text,
                            price=price, unit_price=_unit_price(content), was=_was_price(content),
                            percent=content.percent or "", terms=content.terms, band=content.band,
                            until=content.until, origin=content.origin, badge=content.badge, measure=content.measure)
    return printable(filled[:FILLED_CHARS_MAX])


def _was_price(content: LabelContent) -> str:
    if content.was_minor is None:
        return ""
    return legible_money(content.was_minor, content.currency, content.language).text


def _unit_price(content: LabelContent) -> str:
    if content.unit_price is None:
        return ""
    price = legible_money(content.unit_price.price_minor, content.currency, content.language).text
    measure = content.unit_price.measure
    return f"{price}/{_PIECE.get(content.language[:2].lower(), _PIECE['en']) if measure == 'piece' else measure}"


def _does_not_fit(content: LabelContent, what: str, text: str, element: Element) -> PriceDoesNotFit:
    _, _, width, height = element.box
    return PriceDoesNotFit(f"{content.sku}: {what}{text} does not fit into {width}×{height} pixels")


def _paint_text(canvas: Canvas, element: Text | UnitPriceText | WasPrice, text: str, style: TextStyle) -> FittedText:
    area = Area(*element.box)
    fitted = fit_text(text, area.width, area.height, style)
    baseline = area.down(fitted.height, element.valign) + fitted.above
    for line in fitted.lines:
        if line:
            pen = area.across(fitted.face.width(line), element.align) + max(0, -fitted.face.glyph(line[0]).left)
            canvas.write(line, fitted.face, (pen, baseline), element.colour, area)
        baseline += fitted.pitch
    return fitted


def _paint_unit_price(canvas: Canvas, element: UnitPriceText, content: LabelContent) -> None:
    text = _unit_price(content)
    if not text:
        return
    if _paint_text(canvas, element, text, TextStyle(element.weight, element.size, element.size_min, 1)).is_cut:
        raise _does_not_fit(content, "the unit price ", text, element)


def _paint_was_price(canvas: Canvas, element: WasPrice, content: LabelContent) -> None:
    text = _was_price(content)
    if not text:
        return
    area = Area(*element.box)
    fitted = _paint_text(canvas, element, text, TextStyle(element.weight, element.size, element.size_min, 1))
    if fitted.is_cut:
        raise _does_not_fit(content, "the former price ", text, element)
    width = fitted.face.width(text)
    baseline = area.down(fitted.height, element.valign) + fitted.above
    thick = max(1, fitted.face.size // STRIKE_SHARE)
    middle = baseline - (fitted.face.cap_height + thick) // 2
    canvas.fill(Area(area.across(width, element.align), middle, width, thick), element.colour)


def _paint_image(canvas: Canvas, element: ImageElement) -> None:
    area = Area(*element.box)
    mask = _image_mask(element.png, area.width, area.height)
    height, width = mask.shape
    canvas.paint(mask, area.across(width, element.align), area.down(height, element.valign), element.colour, area)


@lru_cache(maxsize=IMAGES_MAX)
def _image_mask(png: bytes, width: int, height: int) -> Modules:
    """The dark pixels of an image made as large as fits into so many pixels."""
    with Image.open(io.BytesIO(png)) as image:
        flat = Image.new("L", image.size, 255)
        flat.paste(image.convert("L"), mask=image.convert("RGBA").getchannel("A"))
    share = min(width / flat.width, height / flat.height)
    size = max(1, int(flat.width * share)), max(1, int(flat.height * share))
    mask: Modules = np.asarray(flat.resize(size, Image.Resampling.LANCZOS)) < DARK_BELOW
    return mask


def _paint_price(canvas: Canvas, element: Price, content: LabelContent) -> None:
    area = Area(*element.box)
    money = legible_money(content.price_minor, content.currency, content.language)
    block = fit_price(money, element, area.width, area.height)
    if block is None:
        raise _does_not_fit(content, "the price ", money.text, element)
    left = area.across(block.width, element.align)
    baseline = area.down(block.ascent + block.descent, element.valign) + block.ascent
    for run in block.runs:
        canvas.write(run.text, run.face, (left + run.pen, baseline + run.baseline), element.colour, area)


def _paint_ean(canvas: Canvas, element: Ean, content: LabelContent) -> None:
    digits = content.ean
    if digits is None:
        return
    area = Area(*element.box)
    left, right = EAN_QUIET_MODULES[len(digits)]
    bars = ean_modules(digits)
    module = min(area.width // (left + bars.size + right), element.module_max)
    if module < 1:
        if element.optional:
            return
        raise SymbolDoesNotFit(f"{content.sku}: the bars of {digits} do not fit into {area.width} pixels")
    canvas.fill(area, "white")
    x = area.across((left + bars.size + right) * module, element.align) + left * module
    row = scaled(bars[None, :], module)[:1]
    if not element.digits:
        canvas.paint(row.repeat(area.height, axis=0), x, area.y, element.colour, area)
        return
    letters = face("regular", 7 * module + 5)
    short = area.height - letters.cap_height - 1
    canvas.paint(row.repeat(short, axis=0), x, area.y, element.colour, area)
    for start, end in _pairs(EAN_GUARD_MODULES[len(digits)]):
        guard = row[:, start * module : end * module]
        longer = guard.repeat(letters.cap_height // 2 + 1, axis=0)
        canvas.paint(longer, x + start * module, area.y + short, element.colour, area)
    _write_ean_digits(canvas, element, digits, module, x)


def _write_ean_digits(canvas: Canvas, element: Ean, digits: str, module: int, x: int) -> None:
    """Each digit below its own bars, the thirteenth in the quiet zone before them."""
    area = Area(*element.box)
    half, first = len(digits) // 2, len(digits) % 2
    parts = ((digits[:first], -8), (digits[first : first + half], 3), (digits[first + half :], 3 + 7 * half + 5))
    for part, module_from in parts:
        if part:
            row = np.concatenate([_digit_cell(digit, module) for digit in part], axis=1)
            canvas.paint(row, x + module_from * module, area.y + area.height - len(row), element.colour, area)


@lru_cache(maxsize=256)
def _digit_cell(digit: str, module: int) -> Modules:
    """A digit in the middle of its seven modules, as high as all of them; they stand on the last row."""
    letters = face("regular", 7 * module + 5)
    glyph = letters.glyph(digit)
    cell = np.zeros((letters.cap_height + 2, 7 * module), np.bool_)
    left = (7 * module - glyph.advance + 1) // 2 + glyph.left
    top = len(cell) + glyph.top
    height, width = (min(extent, room) for extent, room in zip(glyph.mask.shape, (len(cell) - top, 7 * module - left),
                                                               strict=True))
    cell[top : top + height, left : left + width] = glyph.mask[:height, :width]
    return cell


def _paint_qr(canvas: Canvas, element: Qr, content: LabelContent) -> None:
    if content.link is None:
        return
    area = Area(*element.box)
    fitted = _fitted_qr(content.link, element, min(area.width, area.height))
    if fitted is None:
        if element.optional:
            return
        raise SymbolDoesNotFit(f"{content.sku}: a QR code of {len(content.link)} characters does not fit into "
                               f"{area.width}×{area.height} pixels at {element.module_min} pixels a module")
    modules, pixels = fitted
    quiet = QR_QUIET_MODULES * pixels
    side = len(modules) * pixels + 2 * quiet
    x, y = area.across(side, element.align), area.down(side, element.valign)
    canvas.fill(Area(x, y, side, side), "white")
    canvas.paint(scaled(modules, pixels), x + quiet, y + quiet, element.colour, area)


def _fitted_qr(link: str, element: Qr, side: int) -> tuple[Modules, int] | None:
    """The code and its pixels per module: as large as the box allows, then as strong as the element wants."""
    best: tuple[Modules, int] | None = None
    for level in QR_LEVELS[QR_LEVELS.index(element.level) :]:
        modules = qr_modules(link, level)
        pixels = min(side // (len(modules) + 2 * QR_QUIET_MODULES), element.module_max) if modules.size else 0
        if pixels >= element.module_min and (best is None or pixels > best[1]):
            best = modules, pixels
        if pixels == element.module_max:
            break
    return best


def _paint_box(canvas: Canvas, element: Box) -> None:
    area = Area(*element.box)
    if not element.outline:
        canvas.fill(area, element.colour)
        return
    edge = min(element.outline, area.width, area.height)
    canvas.fill(Area(area.x, area.y, area.width, edge), element.colour)
    canvas.fill(Area(area.x, area.y + area.height - edge, area.width, edge), element.colour)
    canvas.fill(Area(area.x, area.y, edge, area.height), element.colour)
    canvas.fill(Area(area.x + area.width - edge, area.y, edge, area.height), element.colour)


def _pairs(ends: tuple[int, ...]) -> list[tuple[int, int]]:
    return list(zip(ends[::2], ends[1::2], strict=True))
