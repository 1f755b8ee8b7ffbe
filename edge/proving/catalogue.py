"""What the hub was told: items, and price list entries with their dates, by the witness's own reckoning.

The winning entry is worked out here again, by hand, so that a mistake in the store's selection cannot hide.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass

import msgspec

from edge.proving.ports import STORE_ID
from edge.proving.receipts import PromotionTerms

COUPONS = ("AUTUMN", "NEIGHBOUR")
"""What customers cut out of the paper."""

_FIRST = ("Leche", "Pan", "Queso", "Café", "Aceite", "Galletas", "Arroz", "Yogur", "Tomate", "Jamón", "Vino", "Miel")
_SECOND = ("entera", "integral", "curado", "molido", "de oliva", "con chocolate", "redondo", "natural", "frito")
_PACKAGES = ("1 l", "500 g", "250 g", "750 ml", "6 x 125 g", "", "12 ct")
GTIN_SHARE = 0.9
"""The rest of the items have no GTIN and go by their SKU."""


@dataclass(frozen=True, slots=True)
class Item:
    """An item as the hub is given it; `code` is what a till scans."""

    sku: str
    name: str
    gtin: str | None
    package: str

    @property
    def code(self) -> str:
        """GTIN, else SKU."""
        return self.gtin or self.sku


class Entry(msgspec.Struct, frozen=True):
    """A price list entry, in the words of the hub's API."""

    id: str
    sku: str
    price_minor: int
    currency: str
    kind: str = "regular"
    priority: int = 0
    valid_from_ms: int = 0
    valid_until_ms: int | None = None


class Truth:
    """What the hub holds by what it acknowledged. `gone`: paths of what it deleted, in its API.

    `when_offered`: told of every entry that it took, with its item's key. `own`: price list entries that this store
    has otherwise than its zone. `promotions_known`: every version that ever was; `offers`: those that hold or will.
    """

    def __init__(self) -> None:
        self.items: dict[str, Item] = {}
        self.gone: dict[str, None] = {}
        self.own: dict[str, Entry] = {}
        self.offers: dict[str, PromotionTerms] = {}
        self.promotions_known: dict[tuple[str, int], PromotionTerms] = {}
        self.when_offered: Callable[[str, Entry], None] = _nobody_asks
        self._entries: dict[str, dict[str, Entry]] = {}
        self._keys: dict[str, str] = {}
        self._by_key: dict[str, Item] = {}

    def knows(self, item: Item) -> None:
        """An item the hub took."""
        self.items[item.sku] = item
        self._entries.setdefault(item.sku, {})
        key = self._keys[item.sku] = f"01/{item.gtin.zfill(14)}" if item.gtin else f"s/{item.sku}"
        self._by_key[key] = item

    def on_label(self, key: str) -> Item:
        """The item that a label's link names."""
        return self._by_key[key]

    def took(self, entry: Entry) -> None:
        """An entry the hub took."""
        self.when_offered(self._keys[entry.sku], entry)
        self._entries[entry.sku][entry.id] = entry
        self.gone.pop(price_path(entry.id), None)

    def dropped(self, sku: str, entry_id: str) -> None:
        """An entry the hub deleted."""
        self._entries[sku].pop(entry_id, None)
        self.gone[price_path(entry_id)] = None

    def took_own(self, entry: Entry) -> None:
        """The store has this entry otherwise."""
        self.when_offered(self._keys[entry.sku], entry)
        self.own[entry.id] = entry
        self.gone.pop(own_price_path(entry.id), None)

    def dropped_own(self, entry_id: str) -> None:
        """It has it as its zone does again."""
        self.own.pop(entry_id, None)
        self.gone[own_price_path(entry_id)] = None

    def offers_soon(self, promotion: PromotionTerms) -> None:
        """The hub is about to be given a promotion."""
        self.promotions_known[promotion.id, promotion.version] = promotion

    def offers_now(self, promotion: PromotionTerms) -> None:
        """It took it."""
        self.offers[promotion.id] = promotion
        self.gone.pop(promotion_path(promotion.id), None)

    def ended(self, promotion_id: str) -> None:
        """It was taken back."""
        self.offers.pop(promotion_id, None)
        self.gone[promotion_path(promotion_id)] = None

    def entries(self, sku: str) -> list[Entry]:
        """The SKU's price list in its zone."""
        return list(self._entries[sku].values())

    def entry(self, sku: str, entry_id: str) -> Entry | None:
        """One of them."""
        return self._entries[sku].get(entry_id)

    def regular(self, sku: str) -> Entry:
        """The SKU's everyday entry."""
        return self._entries[sku][f"regular-{sku}"]

    def promotions(self, sku: str) -> list[Entry]:
        """Those of its entries that are promotions."""
        return [entry for entry in self._entries[sku].values() if entry.kind == "promotion"]

    def list_price_minor(self, sku: str, at_ms: int) -> int:
        """What the hub's entries say the price is at a moment: highest priority, then lowest price."""
        entries = self._entries[sku] | {entry_id: own for entry_id, own in self.own.items() if own.sku == sku}
        holding = [entry for entry in entries.values() if entry.valid_from_ms <= at_ms
                   and (entry.valid_until_ms is None or at_ms < entry.valid_until_ms)]
        return min(holding, key=lambda entry: (-entry.priority, entry.price_minor)).price_minor


def _nobody_asks(_key: str, _entry: Entry) -> None:
    """Nobody asks what was offered."""


def price_path(entry_id: str) -> str:
    """Where the hub's API has a price list entry."""
    return f"/v1/catalogue/prices/{entry_id}"


def own_price_path(entry_id: str) -> str:
    """Where it has this store's own."""
    return f"/v1/stores/{STORE_ID}/overlay/prices/{entry_id}"


def promotion_path(promotion_id: str) -> str:
    """Where it has a promotion."""
    return f"/v1/catalogue/promotions/{promotion_id}"


def make_items(count: int, randomness: random.Random) -> list[Item]:
    """Items with readable names and GTINs whose check digits hold."""
    return [_item(number, randomness) for number in range(1, count + 1)]


def _item(number: int, randomness: random.Random) -> Item:
    name = f"{randomness.choice(_FIRST)} {randomness.choice(_SECOND)} {number}"
    gtin = _gtin13(840_000_000_000 + number) if randomness.random() < GTIN_SHARE else None
    return Item(f"sku{number:04}", name, gtin, randomness.choice(_PACKAGES))


def _gtin13(number: int) -> str:
    digits = f"{number:012}"
    weighted = sum(int(digit) * (3 if place % 2 else 1) for place, digit in enumerate(digits))
    return f"{digits}{-weighted % 10}"
