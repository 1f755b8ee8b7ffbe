"""What a price is: regular, an offer for some days, the last of an article, sold by weight. It chooses the template and
what the band says (DESIGN.md section 6)."""

from dataclasses import replace
from datetime import date
from functools import lru_cache

from babel.dates import format_date

from cloud_sync.contract.documents import PriceKind
from cloud_sync.contract.promotions import BuyGet, FixedPrice, MultiBuy, Terms
from edge.labels.content import LabelContent
from edge.labels.elements import Words
from edge.labels.price_block import legible_money
from edge.labels.render import in_language

REGULAR_TEMPLATE = "regular"

BANDS: dict[PriceKind, Words] = {
    PriceKind.PROMOTION: {"en": "Offer", "es": "Oferta", "ca": "Oferta", "pt": "Promoção", "fr": "Promotion",
                          "it": "Offerta", "de": "Angebot", "nl": "Aanbieding", "pl": "Promocja"},
    PriceKind.CLEARANCE: {"en": "Clearance", "es": "Liquidación", "ca": "Liquidació", "pt": "Liquidação",
                          "fr": "Déstockage", "it": "Svendita", "de": "Ausverkauf", "nl": "Uitverkoop",
                          "pl": "Wyprzedaż"},
}

UNTIL = {"en": "until {day}", "es": "hasta {day}", "ca": "fins al {day}", "pt": "até {day}",
                "fr": "jusqu'au {day}", "it": "fino al {day}", "de": "bis {day}", "nl": "t/m {day}", "pl": "do {day}"}

SOLD_BY = {"kg": "kg", "per kg": "kg", "lb": "lb", "per lb": "lb"}
"""A package that is nothing but a measure: what is on the scale decides what the customer pays."""


MULTI_BUY: Words = {"en": "{pieces} for {price}", "es": "{pieces} por {price}", "ca": "{pieces} per {price}",
                    "pt": "{pieces} por {price}", "fr": "{pieces} pour {price}", "it": "{pieces} a {price}",
                    "de": "{pieces} für {price}", "nl": "{pieces} voor {price}", "pl": "{pieces} za {price}"}

BUY_GET: Words = {"en": "{buy} + {get} free", "es": "{buy} + {get} gratis", "ca": "{buy} + {get} gratis",
                  "pt": "{buy} + {get} grátis", "fr": "{buy} + {get} offert", "it": "{buy} + {get} gratis",
                  "de": "{buy} + {get} gratis", "nl": "{buy} + {get} gratis", "pl": "{buy} + {get} gratis"}

MEMBERS: Words = {"en": "Members {price}", "es": "Socios {price}", "ca": "Socis {price}", "pt": "Sócios {price}",
                  "fr": "Adhérents {price}", "it": "Soci {price}", "de": "Mitglieder {price}", "nl": "Leden {price}",
                  "pl": "Klubowicze {price}"}


def term_words(terms: Terms, currency: str, language: str) -> str:
    """What a label says of what one gets on a condition: a number of pieces, or a membership.

    Empty for what it does not say: what needs no condition is a reduction, and a coupon says itself what it is worth.
    """
    if terms.coupon or not (terms.member_only or isinstance(terms, MultiBuy | BuyGet)):
        return ""
    if terms.text:
        return terms.text
    match terms:
        case FixedPrice():
            return in_language(MEMBERS, language).format(
                price=legible_money(terms.price_minor, currency, language).text)
        case MultiBuy(mixed=False, member_only=False):
            price = legible_money(terms.price_minor, currency, language).text
            return in_language(MULTI_BUY, language).format(pieces=terms.pieces, price=price)
        case BuyGet(mixed=False, percent=100, member_only=False):
            return in_language(BUY_GET, language).format(buy=terms.buy, get=terms.get)
    return ""  # too much to say in a few words: the promotion needs a text


def on_the_occasion(content: LabelContent, kind: PriceKind, last_day: date | None) -> LabelContent:
    """The content with what its band says. `last_day`: the last on which the price or the terms hold, `None`: no end is
    known."""
    measure = SOLD_BY.get(content.package_text.strip().lower(), "")
    if kind not in BANDS:
        until = _until(last_day, content.language) if last_day and content.terms else ""
        return replace(content, measure=measure, until=until) if measure or until else content
    return replace(content, band=in_language(BANDS[kind], content.language), measure=measure,
                   until=_until(last_day, content.language) if last_day else "")


def template_name(kind: PriceKind, content: LabelContent) -> str:
    """The template that shows this price."""
    if kind in BANDS:
        return kind.value
    if content.terms:
        return "multi-buy"
    return "produce" if content.measure else REGULAR_TEMPLATE


@lru_cache(maxsize=4_096)
def _until(day: date, language: str) -> str:
    spoken = language[:2].lower() if language[:2].lower() in UNTIL else "en"
    pattern = "d LLL" if spoken == "ca" else "d MMM"  # "28 de gen." is too long for small labels
    return in_language(UNTIL, spoken).format(day=format_date(day, pattern, locale=spoken))
