"""What a label should show now: the item under which it hangs, its list price, and the hash of both."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date

from cloud_sync.contract.documents import PriceKind
from drivers.port import LabelDescription
from edge.db.queries import REPLICA
from edge.db.replica import entries_of
from edge.domain.pricing import select
from edge.domain.promotion import ActivePromotion
from edge.labels.content import LabelContent, content_hash, label_content
from edge.labels.occasion import REGULAR_TEMPLATE, on_the_occasion, template_name, term_words
from edge.labels.render import says
from edge.labels.template import NoTemplate, Template, Templates
from edge.prices.claim_book import Offered
from edge.prices.price_desk import Listed, PriceDesk
from edge.prices.promotion_book import shown_term
from edge.store import Store


@dataclass(frozen=True, slots=True)
class Wanted:
    """A picture still to be drawn. `content_hash` is what is compared with what the label proved.

    `term`: what it promises on a condition; `last_day`: the last day that it names. `None`: it says no such thing.
    """

    template: Template
    content: LabelContent
    content_hash: str
    term: ActivePromotion | None = None
    last_day: date | None = None


class NothingToShow(Exception):
    """The label has no picture to show; `str()` says why to a person."""


class WantedPictures:
    """Derives the wanted picture of a label from the replica; never from what was commanded before."""

    def __init__(self, store: Store, prices: PriceDesk, templates: Templates) -> None:
        self._store = store
        self._prices = prices
        self._templates = templates

    @property
    def templates(self) -> Templates:
        """All templates that the store knows."""
        return self._templates

    def of(self, sku: str, description: LabelDescription) -> Wanted:
        """The wanted picture. Raises `NothingToShow`, `edge.labels.template.NoTemplate`, or `ValueError` for an item
        that cannot be put on a label."""
        listed = self._prices.listed(sku)
        if listed is None:
            known = self._store.books.replica_reader.execute(REPLICA.sku_exists, (sku,)).fetchone()
            raise NothingToShow(f"product {sku} {'has no list price' if known else 'is not in the catalogue'}")
        return self._in_words(sku, listed, description, self._prices.promotions.dated_for(sku))

    def at(self, sku: str, wall_ms: int, description: LabelDescription) -> Wanted:
        """The picture that the item will want at that moment, as far as is known now. Raises as `of`."""
        entry = select(entries_of(self._store.books.replica_reader, sku), wall_ms).entry
        if entry is None:
            raise NothingToShow(f"product {sku} has no list price then")
        return self._in_words(sku, Listed.of(entry), description, self._prices.promotions.dated_for(sku, wall_ms),
                              begins_ms=wall_ms)

    def at_price(self, sku: str, price_minor: int, currency: str, description: LabelDescription) -> Wanted:
        """The picture of the item as it is now at this price: how a proven price looks. Raises as `of`."""
        listed = self._prices.listed(sku)
        if listed is None or (listed.price_minor, listed.currency) != (price_minor, currency):
            listed = Listed(price_minor, currency, PriceKind.REGULAR, None)
        return self._in_words(sku, listed, description, self._prices.promotions.dated_for(sku))

    def offered(self, label: str, version: str, wanted: Wanted) -> Offered:
        """What a shopper may read of the picture once it is offered as `version`."""
        content, ends_ms = wanted.content, None
        if wanted.last_day is not None:
            ends_ms = self._store.day_gone_powered_ms(wanted.last_day)
        return Offered(label, version, wanted.content_hash, content.sku, content.price_minor, content.currency,
                       shown_term(wanted.term) if wanted.term else None, ends_ms)

    def _in_words(self, sku: str, listed: Listed, description: LabelDescription,
                  promotions: Sequence[tuple[ActivePromotion, int | None]], begins_ms: int | None = None) -> Wanted:
        reader = self._store.books.replica_reader
        item = reader.execute(REPLICA.item, (sku,)).fetchone()
        if item is None:
            raise NothingToShow(f"product {sku} is not in the catalogue")
        code = reader.execute(REPLICA.first_code, (sku,)).fetchone()
        identity = self._store.identity
        content = label_content(sku=sku, name=item[1], gtin=code[0] if code else None, package_text=item[5],
                                price_minor=listed.price_minor, currency=listed.currency, language=identity.language,
                                unit_system=identity.unit_system, link_domain=identity.link_domain)
        kind = listed.kind
        if kind is not PriceKind.REGULAR:
            perishable = not {item[2], item[3]}.isdisjoint(self._store.policy.perishables)
            was_minor = self._prices.was_price(sku, listed.price_minor, begins_ms, perishable=perishable)
            kind = PriceKind.REGULAR if was_minor is None else kind  # what is no reduction is not called one
            content = replace(content, was_minor=was_minor)
        term, until_ms = None, listed.until_ms
        if kind is PriceKind.REGULAR:  # the band of an offer has no room for more
            term, words, terms_until_ms = self._term(promotions, listed.currency)
            if term is not None:
                until_ms, content = terms_until_ms, replace(content, terms=words)
        last_day = self._last_day(until_ms)
        content = on_the_occasion(content, kind, last_day)
        template = self._template(template_name(kind, content), description)
        return Wanted(template, content, content_hash(content, template),
                      term if says(template, content, "terms") else None,
                      last_day if says(template, content, "until") else None)

    def _term(self, promotions: Sequence[tuple[ActivePromotion, int | None]], currency: str
              ) -> tuple[ActivePromotion | None, str, int | None]:
        """The promotion to name beside the price, in which words, and its end: the one that goes first in a basket."""
        language = self._store.identity.language
        said = [(promotion, words, until_ms) for promotion, until_ms in promotions
                if (words := term_words(promotion.terms, currency, language))]
        return min(said, key=lambda each: (-each[0].terms.priority, each[0].id), default=(None, "", None))

    def _template(self, name: str, description: LabelDescription) -> Template:
        """The template of this name, or the regular one where an operator has taken it away."""
        try:
            return self._templates.select(name, description)
        except NoTemplate:
            return self._templates.select(REGULAR_TEMPLATE, description)

    def _last_day(self, until_ms: int | None) -> date | None:
        """The last day, in the store's zone, on which a price holds that ends at `until_ms`, exclusive."""
        return None if until_ms is None else self._store.local(until_ms - 1).date()
