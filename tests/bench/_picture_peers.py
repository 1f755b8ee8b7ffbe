"""The same label drawn by others: a skia pipeline, and odl-renderer. Bench-only extras (`trastienda[bench]`)."""

import asyncio

import numpy as np
import skia
import zxingcpp
from odl_renderer import generate_image

from drivers.port import Colour
from edge.domain.money import format_money
from edge.labels.content import LabelContent
from edge.labels.fonts import font_path

_TYPEFACE = skia.Typeface.MakeFromFile(font_path())
_FACES: dict[tuple[int, int], "skia.Font"] = {}
_PAINTS = {Colour.BLACK: skia.Paint(Color=skia.ColorBLACK, AntiAlias=False),
           Colour.RED: skia.Paint(Color=skia.ColorRED, AntiAlias=False)}
_PALETTE_BY_GREEN_AND_RED = np.array([Colour.BLACK, Colour.RED, Colour.BLACK, Colour.WHITE], np.uint8)


def skia_picture(content: LabelContent) -> bytes:
    """296×128, one byte per pixel: glyphs and faces cached by skia, symbols by zxing-cpp, colours by two comparisons.

    The digits below the bars are left out, which only makes it quicker.
    """
    pixels = np.full((128, 296, 4), 255, np.uint8)
    canvas = skia.Surface.MakeRasterDirect(skia.ImageInfo.Make(296, 128, skia.kRGBA_8888_ColorType,
                                                               skia.kPremul_AlphaType), pixels).getCanvas()

    def write(text: str, x: float, y: float, size: int, weight: int, colour: Colour = Colour.BLACK) -> None:
        canvas.drawString(text, x, y, _font(size, weight), _PAINTS[colour])

    size = 26
    while size > 15 and _font(size, 700).measureText(content.name) > 212:
        size -= 1
    write(content.name, 8, 36, size, 700)
    canvas.drawRect(skia.Rect.MakeXYWH(8, 52, 214, 2), _PAINTS[Colour.RED])
    money = format_money(content.price_minor, content.currency, content.language)
    assert content.unit_price is not None
    per_measure = format_money(content.unit_price.price_minor, content.currency, content.language).text
    write(f"{per_measure}/{content.unit_price.measure}", 8, 71, 16, 500)
    write(content.package_text, 8, 89, 14, 400)
    write(money.units, 180, 126, 74, 700)
    write(money.decimals, 255, 98, 34, 700)
    write(money.sign, 160, 98, 34, 700)
    canvas.flush()
    picture = _PALETTE_BY_GREEN_AND_RED[(pixels[..., 1] > 127).astype(np.uint8) * 2 + (pixels[..., 0] > 127)]
    picture[95:117, 15:110] = _modules(str(content.ean), zxingcpp.BarcodeFormat.EAN13, 1)[:1].repeat(22, axis=0)
    code = _modules(str(content.link), zxingcpp.BarcodeFormat.QRCode, 2)
    picture[8 : 8 + len(code), 230 : 230 + len(code)] = code
    return picture.tobytes()


def odl_picture(content: LabelContent) -> bytes:
    """The same elements through odl-renderer; it has no EAN, which only makes it quicker."""
    return asyncio.run(_odl_picture(content))


async def _odl_picture(content: LabelContent) -> bytes:
    money = format_money(content.price_minor, content.currency, content.language)
    assert content.unit_price is not None
    per_measure = format_money(content.unit_price.price_minor, content.currency, content.language).text
    font = font_path()
    image = await generate_image(296, 128, [
        {"type": "text", "value": content.name, "x": 8, "y": 10, "size": 22, "font": font, "color": "black"},
        {"type": "rectangle", "x_start": 8, "y_start": 52, "x_end": 222, "y_end": 54, "fill": "red", "outline": "red"},
        {"type": "text", "value": f"{per_measure}/{content.unit_price.measure}", "x": 8, "y": 57, "size": 16,
         "font": font, "color": "black"},
        {"type": "text", "value": content.package_text, "x": 8, "y": 76, "size": 14, "font": font, "color": "black"},
        {"type": "text", "value": money.text, "x": 150, "y": 74, "size": 50, "font": font, "color": "black"},
        {"type": "qrcode", "data": content.link, "x": 224, "y": 0, "boxsize": 2, "border": 4, "color": "black",
         "bgcolor": "white"}])
    pixels = np.asarray(image.convert("RGB"))
    return _PALETTE_BY_GREEN_AND_RED[(pixels[..., 1] > 127).astype(np.uint8) * 2 + (pixels[..., 0] > 127)].tobytes()


def _font(size: int, weight: int) -> "skia.Font":
    known = _FACES.get((size, weight))
    if known is None:
        known = _FACES[size, weight] = skia.Font(_TYPEFACE, size)
        known.setEdging(skia.Font.Edging.kAlias)
        known.setEmbolden(weight >= 700)
    return known


def _modules(text: str, kind: zxingcpp.BarcodeFormat, scale: int) -> "np.ndarray[tuple[int, ...], np.dtype[np.uint8]]":
    symbol = zxingcpp.create_barcode(text, kind).to_image(scale=scale, add_hrt=False, add_quiet_zones=False)
    return np.where(np.asarray(symbol) == 0, np.uint8(Colour.BLACK), np.uint8(Colour.WHITE))
