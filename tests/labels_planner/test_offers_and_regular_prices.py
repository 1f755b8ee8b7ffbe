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


async def test_art_6a_the_label_says_the_lowest_price_of_thirty_days_and_the_percentage_from_it(
        store: StoreKit) -> None:
    """Directive 98/6/EC Art. 6a; CJEU C-330/23 (retail.md 4.1)."""
    await store.label("aisle 4").shows("milk", "0.99")
    await _an_offer_until_midnight(store, "0.79")
    content = _wanted(store).content
    assert (content.was_minor, content.percent) == (99, 20)


async def test_c_330_23_what_is_no_reduction_by_that_price_is_shown_as_a_plain_one(store: StoreKit) -> None:
    label = store.label("aisle 4")
    await label.shows("milk", "0.99")
    offers = len(label.offers())
    await _an_offer_until_midnight(store, "0.99")
    wanted = _wanted(store)
    assert (wanted.template.name, wanted.content.band, wanted.content.was_minor) == ("regular", "", None)
    assert len(label.offers()) == offers
    await store.hub.sets_price("milk", "1.29")
    await label.proves()
    await store.time_passes(2 * 86_400)
    await store.hub.sets_prices({"milk": "0.99"}, entry="again", priority=1, kind=PriceKind.PROMOTION)
    assert _wanted(store).template.name == "regular", "0.99 was charged within thirty days"


async def test_an_offer_of_an_article_that_was_never_sold_for_more_announces_nothing(store: StoreKit) -> None:
    await store.hub.has_items("new")
    await store.hub.sets_prices({"new": "0.79"}, kind=PriceKind.PROMOTION)
    await store.label("aisle 4").hangs_under("new")
    assert _wanted(store).template.name == "regular"


async def test_of_what_perishes_the_price_just_before_counts(store: StoreKit) -> None:
    await store.hub.has_items("salad", category="vegetables")
    await store.hub.sets_price("salad", "0.99")
    await store.hub.sets_price("salad", "1.49")
    await store.hub.sets_policy(perishables=("vegetables",))
    await store.label("aisle 4").hangs_under("salad")
    await store.hub.sets_prices({"salad": "0.99"}, entry="offer", priority=1, kind=PriceKind.PROMOTION)
    assert _wanted(store).content.was_minor == 149


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
