"""What templates are shown with: an article of each kind, in English and Spanish, as a shop would have it."""

from dataclasses import replace

from edge.domain.unit_price import UnitSystem
from edge.labels.content import LabelContent, label_content

_ARTICLES: dict[str, dict[str, tuple[str, str, int]]] = {
    "regular": {"en": ("Extra virgin olive oil Sierra", "750 ml", 899),
                "es": ("Aceite de oliva virgen extra Sierra", "750 ml", 899)},
    "promotion": {"en": ("Ground coffee La Estrella", "500 g", 329), "es": ("Café molido La Estrella", "500 g", 329)},
    "clearance": {"en": ("Beach towel, striped, 90×170", "", 699), "es": ("Toalla de playa a rayas 90×170", "", 699)},
    "multi-buy": {"en": ("Natural yoghurt", "4/125 g", 189), "es": ("Yogur natural", "4/125 g", 189)},
    "produce": {"en": ("Clementines", "1 kg", 229), "es": ("Mandarina clementina", "1 kg", 229)},
    "pickup": {"en": ("Order 4711", "", 5490), "es": ("Pedido 4711", "", 5490)},
}
_SAID: dict[str, dict[str, dict[str, object]]] = {
    "promotion": {"en": {"was_minor": 499, "band": "Offer", "until": "until 30 Nov"},
                  "es": {"was_minor": 499, "band": "Oferta", "until": "hasta 30 nov."}},
    "clearance": {"en": {"was_minor": 1499, "band": "Clearance", "badge": "Last 12"},
                  "es": {"was_minor": 1499, "band": "Liquidación", "badge": "Últimas 12"}},
    "multi-buy": {"en": {"terms": "3 for €5.00", "until": "until 30 Nov"},
                  "es": {"terms": "3 por 5,00 €", "until": "hasta 30 nov."}},
    "produce": {"en": {"measure": "kg", "origin": "Spain, class I"},
                "es": {"measure": "kg", "origin": "España, cat. I"}},
    "pickup": {"en": {"badge": "Pickup 17:30"}, "es": {"badge": "Recogida 17:30"}},
}


def sample(template: str, language: str, currency: str = "EUR", unit_system: UnitSystem = "metric",
           link_domain: str | None = "id.example.com") -> LabelContent:
    """An article for a template; a template of the operator's own gets one that has everything."""
    spoken = "es" if language[:2].lower() == "es" else "en"
    name, package, price_minor = _ARTICLES.get(template, _ARTICLES["promotion"])[spoken]
    content = label_content(sku="1000050", name=name, gtin="8400000000062", package_text=package,
                            price_minor=price_minor, currency=currency, language=language, unit_system=unit_system,
                            link_domain=link_domain)
    if template in _ARTICLES:
        return replace(content, **_SAID.get(template, {}).get(spoken, {}))  # type: ignore[arg-type]
    everything = {field: value for said in _SAID.values() for field, value in said[spoken].items()}
    return replace(content, **everything)  # type: ignore[arg-type]
