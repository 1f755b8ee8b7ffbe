"""What a label should show now: the item under which it hangs, its list price, and the hash of both."""

from dataclasses import dataclass

from drivers.port import LabelDescription
from edge.db.queries import REPLICA
from edge.db.replica import entries_of
from edge.domain.pricing import select
from edge.labels.content import LabelContent, content_hash, label_content
from edge.labels.template import Template, Templates
from edge.prices.price_desk import PriceDesk
from edge.store import Store

REGULAR_TEMPLATE = "regular"


@dataclass(frozen=True, slots=True)
class Wanted:
    """A picture still to be drawn. `content_hash` is what is compared with what the label proved."""

    template: Template
    content: LabelContent
    content_hash: str


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
        price = self._prices.list_price(sku)
        if price is None:
            known = self._store.books.replica_reader.execute(REPLICA.sku_exists, (sku,)).fetchone()
            raise NothingToShow(f"product {sku} {'has no list price' if known else 'is not in the catalogue'}")
        return self.at_price(sku, *price, description)

    def at(self, sku: str, wall_ms: int, description: LabelDescription) -> Wanted:
        """The picture that the item will want at that moment, as far as is known now. Raises as `of`."""
        entry = select(entries_of(self._store.books.replica_reader, sku), wall_ms).entry
        if entry is None:
            raise NothingToShow(f"product {sku} has no list price then")
        return self.at_price(sku, entry.price_minor, entry.currency, description)

    def at_price(self, sku: str, price_minor: int, currency: str, description: LabelDescription) -> Wanted:
        """The picture of the item as it is now at this price: how a proven price looks. Raises as `of`."""
        reader = self._store.books.replica_reader
        item = reader.execute(REPLICA.item, (sku,)).fetchone()
        if item is None:
            raise NothingToShow(f"product {sku} is not in the catalogue")
        code = reader.execute(REPLICA.first_code, (sku,)).fetchone()
        identity = self._store.identity
        content = label_content(sku=sku, name=item[1], gtin=code[0] if code else None, package_text=item[5],
                                price_minor=price_minor, currency=currency, language=identity.language,
                                unit_system=identity.unit_system, link_domain=identity.link_domain)
        template = self._templates.select(REGULAR_TEMPLATE, description)
        return Wanted(template, content, content_hash(content, template))
