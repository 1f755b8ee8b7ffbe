"""What may be sold → stock levels at Vendure.

Vendure sells what is on hand less what it has allocated. So on hand there is made: what the hub says may be sold, plus
what the store keeps for Vendure's own orders. An order that Vendure has and the hub does not know yet is then counted
once, not never; one that has left the store but is not yet fulfilled at Vendure makes the figure too low for a moment,
never too high. Always a whole figure, so that a repeat changes nothing and a wrong one is put right by the next.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from cloud_sync.connectors.hub import Hub
from cloud_sync.connectors.told import UNIT_MILLI
from cloud_sync.connectors.vendure import queries
from cloud_sync.connectors.vendure.graphql import Vendure
from cloud_sync.connectors.vendure.records import StockedVariant, StockPage, StockSet

SKUS_AT_ONCE = 100
VARIANTS_MAX = 400
"""Of so many SKUs; more would mean that SKUs stand several times."""


@dataclass(frozen=True, slots=True)
class Shelf:
    """A store, and Vendure's id of its stock location."""

    store: str
    location: str


def on_hand(available_milli: int, open_units: int) -> int:
    """Whole units: part of one cannot be sold there."""
    return max(0, available_milli // UNIT_MILLI) + open_units


async def send_stock(hub: Hub, vendure: Vendure, shelf: Shelf, skus: Iterable[str],
                     open_units: Mapping[str, int]) -> int:
    """Make Vendure's figures of these SKUs right. Returns how many were wrong."""
    wanted, changed = sorted(set(skus)), 0
    for start in range(0, len(wanted), SKUS_AT_ONCE):
        group = wanted[start:start + SKUS_AT_ONCE]
        page = (await vendure.ask(queries.STOCK, StockPage, skus=group, take=VARIANTS_MAX)).product_variants
        variants: dict[str, StockedVariant] = {}
        for variant in page.items:
            variants.setdefault(variant.sku, variant)
        if not variants:
            continue
        available_milli = await hub.available_milli(shelf.store, sorted(variants))
        wrong: list[dict[str, object]] = []
        for sku, variant in variants.items():
            right = on_hand(available_milli.get(sku, 0), open_units.get(sku, 0))
            if right != variant.at(shelf.location).stock_on_hand:
                wrong.append({"id": variant.id, "stockLevels": [
                    {"stockLocationId": shelf.location, "stockOnHand": right}]})
        if wrong:
            await hub.hold()
            await vendure.ask(queries.SET_STOCK, StockSet, input=wrong)
            changed += len(wrong)
    return changed
