"""What a price is: regular, an offer for some days, the last of an article, sold by weight. It chooses the template and
what the band says (DESIGN.md section 6)."""

from dataclasses import replace
from datetime import date
from functools import lru_cache

from babel.dates import format_date

from cloud_sync.contract.documents import PriceKind
from edge.labels.content import LabelContent
from edge.labels.elements import Words
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


def on_the_occasion(content: LabelContent, kind: PriceKind, last_day: date | None) -> LabelContent:
    """The content with what its band says. `last_day`: the last on which the price holds, `None`: no end is known."""
    measure = SOLD_BY.get(content.package_text.strip().lower(), "")
    if kind not in BANDS:
        return replace(content, measure=measure) if measure else content
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
    return in_language(UNTIL, spoken).format(day=format_date(day, "d MMM", locale=spoken))
