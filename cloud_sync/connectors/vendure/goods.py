"""Variants of Vendure's → items and prices of the hub: a whole look every so often, of which only news is sent."""

from collections.abc import Iterator
from dataclasses import dataclass, field

import msgspec

from cloud_sync.connectors.errors import Refused
from cloud_sync.connectors.hub import Hub, NoteIn, PriceEntry
from cloud_sync.connectors.port import Round
from cloud_sync.connectors.vendure import queries
from cloud_sync.connectors.vendure.graphql import Vendure
from cloud_sync.connectors.vendure.records import Variant, VariantPage
from cloud_sync.connectors.vendure.settings import GoodsSettings
from cloud_sync.contract.documents import Item

ITEM_KIND = "item"
PAGE_VARIANTS = 100
NAME_MAX_CHARS = 2_000
_GTIN_LENGTHS = frozenset({8, 12, 13, 14})


class ItemNote(msgspec.Struct, frozen=True):
    """What the hub was told of a SKU, and Vendure's id of it."""

    variant_id: str
    item: Item
    price: PriceEntry


@dataclass(slots=True)
class Goods:
    """`known`: SKU → what the hub was told, as the notes have it."""

    vendure: Vendure
    settings: GoodsSettings
    known: dict[str, ItemNote] = field(default_factory=dict)

    async def look(self, hub: Hub, done: Round) -> set[str]:
        """Compare everything, send what is new, withdraw what is gone. Returns SKUs that are new."""
        seen: dict[str, str] = {}
        fresh: set[str] = set()
        skip, total = 0, 1
        while skip < total:
            page = (await self.vendure.ask(queries.variants(self.settings.gtin_field), VariantPage, skip=skip,
                                           take=PAGE_VARIANTS)).product_variants
            news: list[tuple[str, ItemNote]] = []
            for variant in page.items:
                if (first := seen.setdefault(variant.sku, variant.id)) != variant.id:
                    done.trouble(variant.sku, f"Vendure has two variants of this SKU, {first} and {variant.id}: the "
                                 "first one counts")
                elif self.known.get(variant.sku) != (note := self.note(hub, variant)):
                    news.append((variant.sku, note))
            fresh |= {sku for sku, _ in news if sku not in self.known}
            await self._send(hub, news, done)
            skip, total = skip + PAGE_VARIANTS, page.total_items
            if not page.items:
                break
        await self._withdraw(hub, sorted(self.known.keys() - seen.keys()), done)
        return fresh

    def note(self, hub: Hub, variant: Variant) -> ItemNote:
        """What the hub is to be told of a variant."""
        price_minor = variant.price_with_tax if self.settings.prices_include_tax else variant.price
        return ItemNote(variant.id, Item(variant.sku, variant.name[:NAME_MAX_CHARS], tuple(_codes(variant))),
                        PriceEntry(sku=variant.sku, price_minor=price_minor, currency=variant.currency_code,
                                   id=f"{hub.connector}/{variant.id}"))

    async def _send(self, hub: Hub, news: list[tuple[str, ItemNote]], done: Round) -> None:
        """All at once; when the hub finds one of them wrong, one by one, so that one holds up no other."""
        if not news:
            return
        await hub.hold()
        try:
            await self._put(hub, news)
            done.count("items", len(news))
        except Refused:
            for sku, note in news:
                try:
                    await self._put(hub, [(sku, note)])
                    done.count("items")
                except Refused as error:
                    done.trouble(sku, error)

    async def _put(self, hub: Hub, news: list[tuple[str, ItemNote]]) -> None:
        await hub.put_catalogue(self.settings.zone, [note.item for _, note in news], [note.price for _, note in news])
        for sku, note in news:  # a variant of another id has a price entry of another id
            if (before := self.known.get(sku)) and before.price.id != note.price.id:
                await hub.withdraw_price(self.settings.zone, before.price.id)
        await hub.put_notes([NoteIn(ITEM_KIND, sku, note) for sku, note in news])
        self.known.update(news)

    async def _withdraw(self, hub: Hub, gone: list[str], done: Round) -> None:
        if len(gone) * 100 > self.settings.removed_max_percent * len(self.known):
            done.trouble("catalogue", f"{len(gone)} of {len(self.known)} items are gone at Vendure, more than "
                         f"{self.settings.removed_max_percent}% at once: nothing was withdrawn. If it is meant, raise "
                         "goods.removed_max_percent for one look")
            return
        for sku in gone:
            await hub.hold()
            await hub.withdraw(self.settings.zone, sku, self.known[sku].price.id)
            await hub.put_notes([NoteIn(ITEM_KIND, sku, None)])
            del self.known[sku]
            done.count("items_withdrawn")


def _codes(variant: Variant) -> Iterator[str]:
    """The barcode: the custom field that was named, else a SKU that is a GTIN."""
    named = variant.custom_fields.gtin if variant.custom_fields else None
    code = named.strip() if named else variant.sku
    if is_gtin(code):
        yield code


def is_gtin(code: str) -> bool:
    """Length and check digit of a GTIN (GS1 General Specifications 7.9)."""
    if len(code) not in _GTIN_LENGTHS or not (code.isascii() and code.isdecimal()):
        return False
    return sum(int(digit) * (3 if place % 2 else 1) for place, digit in enumerate(reversed(code))) % 10 == 0
