"""What a template is made of: one struct per kind of element, as written in its YAML (DESIGN.md section 6).

All measures are whole pixels of the label. A new kind of element is a struct here and a painter in
`edge.labels.render`.
"""

from typing import Annotated, Literal

import msgspec

ColourName = Literal["black", "red", "yellow", "white"]
Weight = Literal["regular", "medium", "bold"]
Align = Literal["left", "centre", "right"]
VerticalAlign = Literal["top", "middle", "bottom"]
CorrectionLevel = Literal["L", "M", "Q", "H"]
Condition = Literal["package", "unit_price", "ean", "link", "was", "terms", "band", "until", "origin", "badge",
                    "measure"]
"""What an element can depend on: that the content has it (`edge.labels.content.LabelContent`)."""

Field = Literal["name", "sku", "gtin", "package", "price", "unit_price", "was", "percent", "terms", "band", "until",
                "origin", "badge", "measure"]
"""What a text may name in braces: `"{package} · {sku}"`."""

PRICE_FIELDS: tuple[Field, ...] = ("price", "unit_price", "was", "percent", "terms", "until")
"""What must not be read in part: "3 for 12…" promises something else, and "until 3…" another day."""

Words = str | dict[str, str]
"""A text, or one for each language by its two letters; a language that is not there gets the first."""

Pixels = Annotated[int, msgspec.Meta(ge=0)]
FontSize = Annotated[int, msgspec.Meta(ge=6, le=400)]
Count = Annotated[int, msgspec.Meta(ge=1, le=16)]


class Element(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True,
              tag_field="kind"):
    """Something in a box `[x, y, width, height]`, drawn only when (unless) the condition holds. The last is on top."""

    box: tuple[Pixels, Pixels, Pixels, Pixels]
    colour: ColourName = "black"
    when: Condition | None = None
    unless: Condition | None = None


class Text(Element, frozen=True, kw_only=True, tag="text"):
    """A text that may shrink from `size` to `size_min`, wrap to at most `lines`, and then ends in an ellipsis; one that
    names a price (`PRICE_FIELDS`) is an error instead."""

    text: Words
    size: FontSize
    size_min: FontSize | None = None
    lines: Count = 1
    weight: Weight = "regular"
    align: Align = "left"
    valign: VerticalAlign = "top"


class Price(Element, frozen=True, kw_only=True, tag="price"):
    """The price: big units, small decimals and sign. May shrink to `size_min`; not fitting is an error, never a cut."""

    size: FontSize
    size_min: FontSize
    weight: Weight = "bold"
    align: Align = "right"
    valign: VerticalAlign = "bottom"


class UnitPriceText(Element, frozen=True, kw_only=True, tag="unit_price"):
    """The price per measure, "3,29 €/kg", on one line; nothing without one. It is a price: not fitting is an error."""

    size: FontSize
    size_min: FontSize
    weight: Weight = "medium"
    align: Align = "left"
    valign: VerticalAlign = "top"


class WasPrice(Element, frozen=True, kw_only=True, tag="was"):
    """The price before the reduction, struck through, on one line. It is a price: not fitting is an error."""

    size: FontSize
    size_min: FontSize
    weight: Weight = "medium"
    align: Align = "left"
    valign: VerticalAlign = "middle"


class Ean(Element, frozen=True, kw_only=True, tag="ean"):
    """The item's EAN-13 or EAN-8 with its quiet zones, modules as wide as fit up to `module_max`.

    `optional`: left out where it does not fit, instead of an error.
    """

    digits: bool = True
    optional: bool = False
    module_max: Count = 4
    align: Align = "centre"


class Qr(Element, frozen=True, kw_only=True, tag="qr"):
    """The content's link as a QR code with its quiet zone. Large modules come before a strong `level`.

    A phone does not read modules of one pixel. `optional`: left out where it does not fit, instead of an error.
    """

    optional: bool = True
    level: CorrectionLevel = "M"
    module_min: Count = 2
    module_max: Count = 4
    align: Align = "centre"
    valign: VerticalAlign = "middle"


class Box(Element, frozen=True, kw_only=True, tag="box"):
    """A filled area, or with `outline` a frame of that many pixels. A line is a thin box."""

    outline: Pixels = 0


class Image(Element, frozen=True, kw_only=True, tag="image"):
    """A picture from a PNG file beside the template, as large as fits; what is not light is drawn in `colour`.

    `png` is the file's content, read with the template: it is part of what the template says.
    """

    file: Annotated[str, msgspec.Meta(pattern=r"^[\w.-]+\.png$", max_length=80)]
    align: Align = "centre"
    valign: VerticalAlign = "middle"
    png: bytes = b""


AnyElement = Text | Price | UnitPriceText | WasPrice | Ean | Qr | Image | Box


def names_a_price(words: Words) -> bool:
    """Whether a text of a template says what something costs."""
    said = (words,) if isinstance(words, str) else words.values()
    return any("{" + field + "}" in each for each in said for field in PRICE_FIELDS)
