"""Variants of Vendure's become the hub's items and prices, on a real hub; a list that broke off empties no shelf."""

import pytest

from cloud_sync.connectors.port import Round
from cloud_sync.connectors.vendure.goods import ITEM_KIND, Goods, ItemNote, is_gtin
from cloud_sync.connectors.vendure.settings import GoodsSettings
from tests.connectors.world import hub_of, logged_in, vendure_of
from tests.hub.world import HubWorld


def variant(number: int, sku: str = "", price: int = 199, name: str = "Milk") -> dict[str, object]:
    return {"id": str(number), "sku": sku or f"sku-{number}", "name": name, "price": price - 18,
            "priceWithTax": price, "currencyCode": "EUR"}


class Shop:
    """A hub, its connector's goods, and what Vendure lists."""

    def __init__(self, world: HubWorld, *variants: dict[str, object], **settings: object) -> None:
        self.world = world
        self.variants = list(variants)
        self.settings = GoodsSettings(**settings)
        self.goods = Goods(vendure_of(self._answer), self.settings)

    async def looks(self) -> Round:
        self.hub = await hub_of(self.world)
        done = Round()
        await self.goods.look(self.hub, done)
        return done

    async def listed(self) -> dict[str, int]:
        """SKU → price, as a store would get them."""
        store = await self.world.store(f"store-{self.world.now_ms}")
        self.world.now_ms += 1
        return {change.doc["sku"]: change.doc["price_minor"] for batch in await store.batches("prices")
                for change in _standing(batch.changes)}

    def _answer(self, name: str, variables: dict[str, object]) -> object:
        if name == "Login":
            return logged_in()
        skip, take = int(str(variables["skip"])), int(str(variables["take"]))
        return {"productVariants": {"items": self.variants[skip:skip + take], "totalItems": len(self.variants)}}


class _Change:
    def __init__(self, doc: dict[str, object]) -> None:
        self.doc = doc


def _standing(changes: object) -> list[_Change]:
    import msgspec

    return [_Change(msgspec.json.decode(change.doc)) for change in changes if getattr(change, "doc", None)]


async def test_all_pages_go_in_once_and_then_only_what_changed(hub: HubWorld):
    shop = Shop(hub, *(variant(number) for number in range(1, 251)))
    assert (await shop.looks()).carried == {"items": 250}
    assert (await shop.looks()).carried == {}
    shop.variants[7] = variant(8, price=209)
    assert (await shop.looks()).carried == {"items": 1}
    assert await shop.hub.note(ITEM_KIND, "sku-8", ItemNote) == shop.goods.known["sku-8"]
    assert shop.goods.known["sku-8"].price.price_minor == 209


async def test_p2_a_process_that_died_before_its_note_sends_again_and_changes_nothing(hub: HubWorld):
    shop = Shop(hub, variant(1))
    await shop.looks()
    again = Shop(hub, variant(1))
    assert (await again.looks()).carried == {"items": 1}
    answer = await hub.operator.put("/v1/catalogue/items", json=[{"sku": "sku-1", "name": "Milk"}])
    assert (answer.json()["changed"], answer.json()["unchanged"]) == (0, 1)


async def test_one_item_that_the_hub_refuses_holds_up_no_other(hub: HubWorld):
    shop = Shop(hub, variant(1), variant(2, name=""), variant(3))
    done = await shop.looks()
    assert done.carried == {"items": 2}
    assert [trouble.about for trouble in done.troubles] == ["sku-2"]


async def test_of_two_variants_with_one_sku_the_first_counts_and_a_person_is_told(hub: HubWorld):
    shop = Shop(hub, variant(1, "same", 100), variant(2, "same", 200))
    done = await shop.looks()
    assert [trouble.about for trouble in done.troubles] == ["same"]
    assert shop.goods.known["same"].price.price_minor == 100


async def test_little_that_is_gone_is_withdrawn_and_much_is_asked_about(hub: HubWorld):
    shop = Shop(hub, *(variant(number) for number in range(1, 41)))
    await shop.looks()
    everything, shop.variants = shop.variants, shop.variants[:2]
    done = await shop.looks()
    assert ("items_withdrawn" in done.carried, [trouble.about for trouble in done.troubles]) == (False, ["catalogue"])
    shop.variants = everything[:39]
    assert (await shop.looks()).carried == {"items_withdrawn": 1}
    assert await shop.hub.note(ITEM_KIND, "sku-40", ItemNote) is None
    assert (await hub.operator.delete("/v1/catalogue/items/sku-40")).status_code == 404


async def test_a_variant_that_was_made_anew_has_one_price(hub: HubWorld):
    shop = Shop(hub, variant(1, "milk", 100))
    await shop.looks()
    shop.variants = [variant(2, "milk", 120)]
    await shop.looks()
    assert (await hub.operator.delete("/v1/catalogue/prices/vendure/1")).status_code == 404
    assert (await hub.operator.delete("/v1/catalogue/prices/vendure/2")).status_code == 200


@pytest.mark.parametrize(("code", "good"), [
    ("4006381333931", True), ("4006381333932", False), ("40170725", True), ("036000291452", True), ("milk", False),
    ("", False), ("400638133393１", False)])
def test_a_sku_is_a_barcode_only_with_its_check_digit(code: str, good: bool):
    assert is_gtin(code) is good
