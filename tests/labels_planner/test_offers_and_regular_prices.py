"""An offer looks like one, from its first moment to its last (DESIGN.md section 6)."""

from cloud_sync.contract.documents import PriceKind
from edge.labels.wanted import Wanted
from tests.store_kit import MONDAY_NOON_MS, StoreKit


def _wanted(store: StoreKit) -> Wanted:
    row = store.label("aisle 4").row()
    assert row is not None
    wanted = store.planner.wanted_of(row)
    assert wanted is not None
    return wanted


async def _an_offer_until_midnight(store: StoreKit, price: str) -> None:
    await store.hub.sets_prices({"milk": price}, entry="offer", priority=1, kind=PriceKind.PROMOTION,
                                until_ms=MONDAY_NOON_MS + 12 * 3_600_000)


async def test_an_offer_gets_the_offers_template_and_its_last_day_in_the_stores_zone(store: StoreKit) -> None:
    await store.label("aisle 4").shows("milk", "0.99")
    assert _wanted(store).template.name == "regular"
    await _an_offer_until_midnight(store, "0.79")
    wanted = _wanted(store)
    assert (wanted.template.name, wanted.content.band, wanted.content.until) == ("promotion", "Oferta", "hasta 23 nov")
    await store.time_passes(13 * 3600)
    assert _wanted(store).template.name == "regular"


async def test_an_offer_at_the_price_it_had_is_drawn_again_all_the_same(store: StoreKit) -> None:
    label = store.label("aisle 4")
    await label.shows("milk", "0.99")
    offers = len(label.offers())
    await _an_offer_until_midnight(store, "0.99")
    assert len(label.offers()) == offers + 1
    assert store.till().asks("milk") == "0.99"


async def test_what_is_said_ahead_of_an_offer_is_what_it_will_say(store: StoreKit) -> None:
    await store.label("aisle 4").shows("milk", "0.99")
    begins_ms = store.clock.wall_ms() + 600_000
    await store.hub.sets_prices({"milk": "0.79"}, entry="offer", priority=1, kind=PriceKind.PROMOTION,
                                from_ms=begins_ms, until_ms=begins_ms + 3_600_000)
    await store.time_passes(120)
    drawn, store.artist.takes_s = len(store.artist.drawn), 3600.0
    await store.time_passes(600)
    assert store.label("aisle 4").is_offered() == "0.79"
    assert len(store.artist.drawn) == drawn
