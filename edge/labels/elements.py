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
Condition = Literal["package", "unit_price", "ean", "link"]
"""What an element can depend on: the item has a package text, a unit price, an EAN number, a link for its QR code."""

Field = Literal["name", "sku", "gtin", "package", "price", "unit_price"]
"""What a text may name in braces: `"{package} · {sku}"`."""

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
    """A text that may shrink from `size` to `size_min`, wrap to at most `lines`, and then ends in an ellipsis."""

    text: str
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


class Ean(Element, frozen=True, kw_only=True, tag="ean"):
    """The item's EAN-13 or EAN-8 with its quiet zones, modules as wide as fit up to `module_max`."""

    digits: bool = True
    module_max: Count = 4
    align: Align = "centre"


class Qr(Element, frozen=True, kw_only=True, tag="qr"):
    """The content's link as a QR code with its quiet zone. Large modules come before a strong `level`."""

    level: CorrectionLevel = "M"
    module_min: Count = 1
    module_max: Count = 4
    align: Align = "centre"
    valign: VerticalAlign = "middle"


class Box(Element, frozen=True, kw_only=True, tag="box"):
    """A filled area, or with `outline` a frame of that many pixels. A line is a thin box."""

    outline: Pixels = 0


AnyElement = Text | Price | UnitPriceText | Ean | Qr | Box
