"""What a label should say about its item, and the hash by which wanted is compared with shown (DESIGN.md section 6)."""

import hashlib
from dataclasses import MISSING, astuple, dataclass, fields

import msgspec

from edge.domain.barcode import canonical, check_digit_holds
from edge.domain.links import shelf_link
from edge.domain.money import currency_exponent
from edge.domain.names import display_name, display_package
from edge.domain.unit_price import UnitPrice, UnitSystem, unit_price
from edge.labels.template import Template

DRAWING = 1
"""Raised whenever the same content and template come out as a different picture, so that shelves are drawn again."""

GTIN_DIGITS = (8, 12, 13, 14)


@dataclass(frozen=True, slots=True)
class LabelContent:
    """Everything a picture shows of an item; nothing in it depends on the clock, the label or the template.

    `gtin`: 8, 12, 13 or 14 digits with a right check digit, or `None`. `package_text`: as the item says it, may be
    empty. `currency`: ISO 4217. `language`: BCP 47. `link`: what the QR code carries (`edge.domain.links`), `None`: no
    QR code. `was_minor`: the price before the reduction that may be shown (EU 98/6/EC Art. 6a), `None`: none. Words for
    people, each may be empty: `terms` ("3 for 5.00 €"), `band` (what the promotion band says), `until`, `origin`,
    `badge` (stock or pickup), `measure` (what the price is for, "kg"). Raises `ValueError` for a negative price, a
    reduction that is none, an unknown currency or a GTIN that is none.
    """

    sku: str
    name: str
    gtin: str | None
    package_text: str
    price_minor: int
    currency: str
    unit_price: UnitPrice | None
    language: str
    link: str | None
    was_minor: int | None = None
    terms: str = ""
    band: str = ""
    until: str = ""
    origin: str = ""
    badge: str = ""
    measure: str = ""

    def __post_init__(self) -> None:
        if self.price_minor < 0:
            raise ValueError(f"{self.sku}: a label shows no negative price ({self.price_minor})")
        currency_exponent(self.currency)
        if self.was_minor is not None and self.was_minor <= self.price_minor:
            raise ValueError(f"{self.sku}: {self.was_minor} before and {self.price_minor} now is no reduction")
        if self.gtin is not None and not is_gtin(self.gtin):
            raise ValueError(f"{self.sku}: {self.gtin!r} is not a GTIN; leave it out if the item has none")

    @property
    def percent(self) -> int | None:
        """By how much the price is reduced, in whole percent, never more than it is."""
        return None if self.was_minor is None else 100 * (self.was_minor - self.price_minor) // self.was_minor

    @property
    def ean(self) -> str | None:
        """The item's number as EAN-8 or EAN-13 digits; `None` without GTIN or for a GTIN-14 that no EAN can carry."""
        if self.gtin is None:
            return None
        gtin14 = canonical(self.gtin)
        if gtin14.startswith("000000"):
            return gtin14[-8:]
        return gtin14[1:] if gtin14.startswith("0") else None


def is_gtin(text: str) -> bool:
    """Whether this is a GTIN-8, -12, -13 or -14 with a right check digit."""
    return text.isascii() and text.isdecimal() and len(text) in GTIN_DIGITS and check_digit_holds(text)


def label_content(*, sku: str, name: str, gtin: str | None, package_text: str, price_minor: int, currency: str,
                  language: str, unit_system: UnitSystem, link_domain: str | None) -> LabelContent:
    """An item's data as they come → what its label says: readable names, the unit price, the printed price's address.

    A GTIN that is none is left out, and an item without a name goes by its SKU: the shelf is better served by a label
    that lacks something than by none.
    """
    gtin = gtin if gtin is not None and is_gtin(gtin) else None
    return LabelContent(
        sku=sku,
        name=display_name(name) or sku,
        gtin=gtin,
        package_text=display_package(package_text),
        price_minor=price_minor,
        currency=currency,
        unit_price=unit_price(price_minor, package_text, unit_system),
        language=language,
        link=shelf_link(link_domain, sku, gtin, price_minor, currency) if link_domain else None,
    )


def content_hash(content: LabelContent, template: Template) -> str:
    """32 hex digits: equal for the same content in the same template version, different otherwise.

    Compared across restarts and software versions, so it hashes values, never memory or field order of a dict; and what
    only some labels say is left out where it is not said, so that the others need not be drawn again.
    """
    values = [getattr(content, field.name) for field in fields(content) if field.default is MISSING]
    extras = {field.name: value for field in fields(content) if field.default is not MISSING
              and (value := getattr(content, field.name)) != field.default}
    said = msgspec.json.encode([DRAWING, template.version, *map(_plain, values), *([extras] if extras else [])])
    return hashlib.sha256(said).hexdigest()[:32]


def _plain(value: object) -> object:
    return astuple(value) if isinstance(value, UnitPrice) else value
