"""The law of prices as scenes from a store (retail.md section 4): 940 CMR 3.13(f) (Massachusetts), Article 6a of
Directive 98/6/EC, and CJEU C-330/23 (Aldi Süd). The rules themselves, with their thirty days, stand in tests/domain;
here a whole store keeps them, over days that a test can wait for.
"""

import pytest

from cloud_sync.contract.documents import PriceKind
from edge.db.books import derive_key
from edge.db.connection import connect
from edge.doctor import in_the_loop
from edge.labels.wanted import Wanted
from edge.prices.reports import PriceReports
from tests.store_kit import BUSINESS_DAY, DATABASE_SECRET, StoreKit, minor

A_DAY_S = 86_400


@pytest.fixture
def reports(store: StoreKit) -> PriceReports:
    return PriceReports(store.store, store.prices, lambda name: connect(
        store.directory / name, derive_key(DATABASE_SECRET, name), synchronous="NORMAL", read_only=True), in_the_loop)


def on_the_label(store: StoreKit) -> Wanted:
    """What the label in aisle 4 is to show now."""
    row = store.label("aisle 4").row()
    assert row is not None
    wanted = store.planner.wanted_of(row)
    assert wanted is not None
    return wanted


async def is_offered_at(store: StoreKit, price: str, entry: str = "offer") -> None:
    await store.hub.sets_prices({"milk": price}, entry=entry, priority=1, kind=PriceKind.PROMOTION)


# --- 940 CMR 3.13(f): the correct price is the lowest of advertised, any sign, label or tag, and rung up --------------

async def test_940_cmr_3_13_f_the_lowest_of_all_tags_is_charged_while_one_of_them_is_lower(store: StoreKit) -> None:
    for place in ("aisle 4", "end cap"):
        await store.label(place).shows("milk", "0.99")
    await store.hub.sets_price("milk", "1.29")
    await store.label("aisle 4").proves()
    await store.time_passes(A_DAY_S)
    assert store.till().asks("milk") == "0.99", "the tag on the end cap says so still"
    await store.label("end cap").proves()
    await store.time_passes(store.settle_s + store.policy.grace_s + 2)
    assert store.till().asks("milk") == "1.29"


async def test_940_cmr_3_13_f_a_rung_up_price_below_every_tag_is_charged(store: StoreKit) -> None:
    label = store.label("aisle 4")
    await label.shows("milk", "0.99")
    await store.hub.sets_price("milk", "0.89")
    assert store.till().asks("milk") == "0.89", "the tag still says 0.99"


async def test_940_cmr_3_13_f_an_advertised_price_is_charged_from_its_first_moment(store: StoreKit) -> None:
    """An advertisement is a dated price: the till has it before any tag does."""
    await store.label("aisle 4").shows("milk", "0.99")
    now_ms = store.clock.wall_ms()
    await store.hub.sets_prices({"milk": "0.79"}, entry="flyer", priority=1, kind=PriceKind.PROMOTION,
                                from_ms=now_ms + 3_600_000)
    assert store.till().asks("milk") == "0.99"
    await store.time_passes(3600)
    assert store.till().asks("milk") == "0.79"


async def test_940_cmr_3_13_f_what_a_till_rang_above_the_tag_is_found_and_owed(
        store: StoreKit, reports: PriceReports) -> None:
    await store.label("aisle 4").shows("milk", "0.99")
    line = {"sku": "milk", "quantity_milli": 2000, "amount_minor": minor("2.58")}
    moment = store.store.local(store.clock.wall_ms()).isoformat()
    assert (await store.till().sends(1, line, occurred_at=moment)).status_code == 201
    (refund,) = (await reports.accuracy(BUSINESS_DAY, BUSINESS_DAY)).refunds
    assert (refund.charged_minor, refund.refund_minor) == (258, 60)


async def test_940_cmr_3_13_f_a_gross_error_is_stopped_before_any_tag_shows_it(store: StoreKit) -> None:
    """Below half of what it was: not the correct price, and nobody is to read it."""
    label = store.label("aisle 4")
    await label.shows("milk", "0.99")
    offers = len(label.offers())
    await store.hub.sets_price("milk", "0.09")
    await store.time_passes(60)
    assert (store.till().asks("milk"), len(label.offers()), len(store.guard.held())) == ("0.99", offers, 1)


async def test_940_cmr_3_13_f_a_gross_error_that_was_shown_binds_until_a_person_says_that_it_is_one(
        store: StoreKit, reports: PriceReports) -> None:
    label = store.label("aisle 4")
    await label.shows("milk", "0.99")
    await store.hub.sets_price("milk", "0.09")
    (held,) = store.guard.held()
    await store.guard.decide(held.digest, True, "ana", "they said so")
    await store.time_passes(60)
    await label.proves("0.09")
    await store.hub.sets_price("milk", "0.15")
    await store.time_passes(A_DAY_S)
    assert store.till().asks("milk") == "0.09"
    await label.claim_is_voided("milk", "0.09", "a misprint, never intended")
    assert store.till().asks("milk") == "0.15"
    day = store.store.business_day(store.clock.wall_ms())
    assert (await reports.accuracy(day, day)).claims_struck == 1, "and it stands in the report"


# --- Directive 98/6/EC, Article 6a ----------------------------------------------------------------------------------

async def test_art_6a_1_and_2_the_prior_price_is_the_lowest_that_was_applied_and_not_what_was_planned(
        store: StoreKit) -> None:
    """The list said 1.49 for longer than counts; the label never proved it, so tills went on charging 0.99."""
    await store.hub.sets_policy(prior_price_days=2)
    await store.label("aisle 4").shows("milk", "0.99")
    await store.hub.sets_price("milk", "1.49")
    await store.time_passes(3 * A_DAY_S)
    assert store.till().asks("milk") == "0.99"
    await is_offered_at(store, "0.89")
    assert on_the_label(store).content.was_minor == 99


@pytest.mark.parametrize(("days", "was_minor"), [(1, None), (3, 149)])
async def test_art_6a_2_a_lower_price_counts_for_its_days_and_no_longer(
        store: StoreKit, days: int, was_minor: int | None) -> None:
    assert store.policy.prior_price_days == 30, "unless the chain's policy says more or less"
    await store.hub.sets_policy(prior_price_days=2)
    label = store.label("aisle 4")
    await label.shows("milk", "0.99")
    await store.hub.sets_price("milk", "1.49")
    await label.proves()
    await store.time_passes(store.settle_s + store.policy.grace_s + 2)
    assert store.till().asks("milk") == "1.49"
    await store.time_passes(days * A_DAY_S)
    await is_offered_at(store, "1.19")
    assert on_the_label(store).content.was_minor == was_minor


async def test_art_6a_4_an_article_that_was_never_sold_before_announces_no_reduction(store: StoreKit) -> None:
    await store.hub.has_items("new")
    await store.hub.sets_prices({"new": "0.79"}, kind=PriceKind.PROMOTION)
    await store.label("aisle 4").hangs_under("new")
    assert on_the_label(store).content.was_minor is None


async def test_art_6a_5_a_progressive_reduction_is_measured_by_the_price_before_its_first_step(store: StoreKit) -> None:
    await store.hub.sets_policy(progressive_reductions=True)
    await store.label("aisle 4").shows("milk", "0.99")
    for entry, price in (("first", "0.89"), ("second", "0.79")):
        await store.time_passes(A_DAY_S)
        await store.hub.sets_prices({"milk": price}, entry=entry, priority=1 if entry == "first" else 2,
                                    kind=PriceKind.PROMOTION)
        assert on_the_label(store).content.was_minor == 99


# --- CJEU C-330/23 (26 September 2024): the percentage and the highlight, too, count from that price -----------------

async def test_c_330_23_the_percentage_is_worked_out_from_the_lowest_price_of_thirty_days(store: StoreKit) -> None:
    """Raised before it was reduced: "-31 %" from 1.29 would be the trick; it is 10 % from 0.99."""
    label = store.label("aisle 4")
    await label.shows("milk", "0.99")
    await store.hub.sets_price("milk", "1.29")
    await label.proves()
    await store.time_passes(2 * A_DAY_S)
    assert store.till().asks("milk") == "1.29"
    await is_offered_at(store, "0.89")
    content = on_the_label(store).content
    assert (content.was_minor, content.percent) == (99, 10)


async def test_c_330_23_without_a_reduction_by_that_price_there_is_no_highlight_either(
        store: StoreKit, reports: PriceReports) -> None:
    label = store.label("aisle 4")
    await label.shows("milk", "0.99")
    await store.hub.sets_price("milk", "1.29")
    await label.proves()
    await store.time_passes(2 * A_DAY_S)
    await is_offered_at(store, "0.99")
    wanted = on_the_label(store)
    assert (wanted.template.name, wanted.content.band, wanted.content.was_minor, wanted.content.percent) == (
        "regular", "", None, None)
    assert [each.sku for each in reports.not_announced()] == ["milk"], "whoever planned it is told"
