"""P3 for what one gets on a condition: "3 for 2.50" on a label holds in the basket until every shopper who may have
read it had time, whatever became of the promotion; and a printed last day is the last (DESIGN.md section 5)."""

from typing import Any

import msgspec

from cloud_sync.contract.documents import PriceKind
from edge.db.queries import LEDGER
from edge.labels.wanted import Wanted
from edge.pos.access import Role
from edge.pos.label_routes import LabelIn
from tests.store_kit import MONDAY_NOON_MS, StoreKit

WALK_S = 3600 + 15
"""Grace and settling of a store with the default policy."""
HOURS_MS = 3_600_000
THREE = {"skus": ["milk"], "pieces": 3, "price_minor": 250}


def _wanted(store: StoreKit) -> Wanted:
    row = store.label("aisle 4").row()
    assert row is not None
    wanted = store.planner.wanted_of(row)
    assert wanted is not None
    return wanted


async def _basket(store: StoreKit, pieces: int = 3, *, member: bool = False) -> dict[str, Any]:
    async with store.caller(Role.TILL, "1") as till:
        answer = await till.post("/v1/baskets/price", json={
            "lines": [{"line": 1, "sku": "milk", "quantity_milli": pieces * 1000}], "member": member})
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


async def _total(store: StoreKit, pieces: int = 3, *, member: bool = False) -> int:
    return int((await _basket(store, pieces, member=member))["total_minor"])


async def _terms(store: StoreKit) -> list[dict[str, Any]]:
    async with store.caller(Role.TILL, "1") as till:
        answer = await till.get("/v1/lookup/milk")
    return list(answer.json()["terms"])


async def _shows_three_for_250(store: StoreKit) -> None:
    await store.label("aisle 4").shows("milk", "0.99")
    await store.hub.promotes("summer", "multi-buy", **THREE)
    assert (_wanted(store).template.name, _wanted(store).content.terms) == ("multi-buy", "3 por 2,50 €")
    await store.label("aisle 4").proves()
    assert await _total(store) == 250


async def test_p3_terms_that_a_label_shows_hold_until_another_picture_was_proven_and_the_walk_is_over(
        store: StoreKit) -> None:
    await _shows_three_for_250(store)
    await store.hub.ends_promotion("summer")
    assert _wanted(store).content.terms == ""
    await store.time_passes(3 * WALK_S)
    assert await _total(store) == 250, "the label still says so"
    await store.label("aisle 4").proves()
    await store.time_passes(WALK_S - 3)
    assert await _total(store) == 250, "a shopper may still be walking"
    await store.time_passes(4)
    assert await _total(store) == 297
    assert store.books.ledger_reader.execute(LEDGER.shown_terms).fetchall() == []


async def test_p3_better_terms_that_were_shown_go_before_the_worse_ones_of_a_new_version(store: StoreKit) -> None:
    await _shows_three_for_250(store)
    await store.hub.promotes("summer", "multi-buy", version=4, skus=["milk"], pieces=3, price_minor=290)
    basket = await _basket(store)
    assert (basket["total_minor"], basket["promotions"][0]["version"]) == (250, 3)
    assert await _total(store, 6) == 500
    await store.label("aisle 4").proves()
    await store.time_passes(WALK_S + 1)
    assert await _total(store) == 290


async def test_p3_a_version_that_kept_its_number_and_changed_its_terms_fools_nobody(store: StoreKit) -> None:
    await _shows_three_for_250(store)
    await store.hub.promotes("summer", "multi-buy", skus=["milk"], pieces=3, price_minor=290)
    assert await _total(store) == 250


async def test_p3_a_member_price_holds_for_members_while_a_label_says_it(store: StoreKit) -> None:
    await store.label("aisle 4").shows("milk", "0.99")
    await store.hub.promotes("club", "price", skus=["milk"], price_minor=79, member_only=True)
    assert _wanted(store).content.terms == "Socios 0,79 €"
    await store.label("aisle 4").proves()
    await store.hub.ends_promotion("club")
    assert (await _total(store, 1, member=True), await _total(store, 1)) == (79, 99)


async def test_p3_terms_hold_from_their_offer_on_and_over_a_power_cut(store: StoreKit) -> None:
    """Offered is enough: nobody knows when the label fetches it."""
    await store.label("aisle 4").shows("milk", "0.99")
    await store.hub.promotes("summer", "multi-buy", **THREE)
    await store.hub.ends_promotion("summer")
    await store.power_fails(6 * 3600)
    assert await _total(store) == 250


async def test_p3_terms_on_an_excluded_label_end_with_the_walk_and_come_back_with_it(store: StoreKit) -> None:
    await _shows_three_for_250(store)
    await store.hub.ends_promotion("summer")
    label = store.label("aisle 4")
    await label.is_excluded()
    assert await _total(store) == 250
    await store.time_passes(WALK_S)
    assert await _total(store) == 297
    await label.is_included()
    assert await _total(store) == 250


async def test_p3_terms_stay_where_the_label_is_hung_under_another_product(store: StoreKit) -> None:
    await _shows_three_for_250(store)
    await store.label("aisle 4").hangs_under("bread")
    await store.hub.ends_promotion("summer")
    await store.time_passes(3 * WALK_S)
    assert await _total(store) == 250


async def test_a_supervisor_strikes_terms_that_nobody_can_have_read(store: StoreKit) -> None:
    await _shows_three_for_250(store)
    await store.hub.ends_promotion("summer")
    ((term, *_),) = store.books.ledger_reader.execute(LEDGER.shown_terms).fetchall()
    body = LabelIn(act_id="strike", reason="printed by mistake", sku="milk", term=term)
    await store.labels.void_claim("aisle 4", body, "ana")
    assert await _total(store) == 297


async def test_tills_see_terms_with_their_end_and_without_one_while_a_label_may_show_them(store: StoreKit) -> None:
    until_ms = MONDAY_NOON_MS + 48 * HOURS_MS
    await store.hub.promotes("summer", "multi-buy", until_ms=until_ms, text="3 for 2.50", **THREE)
    assert await _terms(store) == [{
        "promotion": "summer", "version": 3, "kind": "multi-buy", "text": "3 for 2.50",
        "terms": {"priority": 0, "stackable": False, "coupon": "", "member_only": False, "times_max": 0, "pieces": 3,
                  "price_minor": 250, "mixed": False}, "active_until_ms": until_ms}]
    await store.label("aisle 4").hangs_under("milk")
    await store.label("aisle 4").proves()
    assert [term["active_until_ms"] for term in await _terms(store)] == [None]
    await store.hub.ends_promotion("summer")
    assert [term["promotion"] for term in await _terms(store)] == ["summer"]


async def test_a_price_book_has_the_terms_and_is_told_when_they_end(store: StoreKit) -> None:
    async def line(since: str) -> tuple[str, dict[str, Any] | None]:
        lines = [msgspec.json.decode(each) async for each in store.book.lines(since)]
        return lines[-1]["version"], next((each for each in lines[1:-1] if each["sku"] == "milk"), None)

    await _shows_three_for_250(store)
    version, milk = await line("")
    assert milk is not None
    assert [term["promotion"] for term in milk["terms"]] == ["summer"]
    await store.hub.ends_promotion("summer")
    await store.label("aisle 4").proves()
    await store.time_passes(WALK_S + 60)
    _, milk = await line(version)
    assert milk is not None, "the end of the terms is a change of the book"
    assert "terms" not in milk


async def test_a_label_says_terms_only_when_every_till_that_keeps_a_copy_has_them(store: StoreKit) -> None:
    await store.label("aisle 4").shows("milk", "0.99")
    version = msgspec.json.decode([each async for each in store.book.lines("")][-1])["version"]
    await store.book.acknowledge("1", version)
    offers = len(store.label("aisle 4").offers())
    await store.hub.promotes("summer", "multi-buy", **THREE)
    assert len(store.label("aisle 4").offers()) == offers
    await store.time_passes(store.policy.till_ack_wait_s + 2)
    assert len(store.label("aisle 4").offers()) == offers + 1


async def test_what_needs_no_condition_or_a_coupon_is_no_term_of_a_label(store: StoreKit) -> None:
    await store.label("aisle 4").shows("milk", "0.99")
    await store.hub.promotes("plain", "percent", skus=["milk"], percent=10, text="-10%")
    await store.hub.promotes("coupon", "multi-buy", coupon="C", **THREE)
    await store.hub.promotes("later", "multi-buy", from_ms=store.clock.wall_ms() + HOURS_MS, **THREE)
    assert _wanted(store).content.terms == ""
    await store.time_passes(3601)
    assert _wanted(store).content.terms == "3 por 2,50 €", "it began by the clock alone"


async def test_while_the_clock_is_not_believed_promotions_begin_and_none_ends(store: StoreKit) -> None:
    soon_ms = store.clock.wall_ms() + HOURS_MS
    await store.hub.promotes("ends", "amount", skus=["milk"], amount_minor=9, until_ms=soon_ms)
    await store.hub.promotes("begins", "amount", skus=["bread"], amount_minor=9, from_ms=soon_ms)
    assert await _total(store, 1) == 90
    store.clock.put_wrong(2 * HOURS_MS)
    store.store.clock.check()
    assert not store.store.clock.trusted
    assert await _total(store, 1) == 90
    assert store.prices.promotions.active_for(["bread"])


# --- a printed last day ---------------------------------------------------------------------------------------------


async def _an_offer_until_midnight(store: StoreKit) -> None:
    label = store.label("aisle 4")
    await label.shows("milk", "0.99")
    await store.hub.sets_prices({"milk": "0.79"}, entry="offer", priority=1, kind=PriceKind.PROMOTION,
                                until_ms=MONDAY_NOON_MS + 12 * HOURS_MS)
    assert _wanted(store).content.until == "hasta 23 nov"
    await label.proves()


async def test_p3_a_price_with_a_printed_last_day_holds_until_that_day_and_the_walk_are_over(store: StoreKit) -> None:
    """The label is dead: it says "until 23 Nov" for weeks, and nobody need charge that on the 24th."""
    await _an_offer_until_midnight(store)
    await store.time_passes((MONDAY_NOON_MS + 12 * HOURS_MS - store.clock.wall_ms()) / 1000)
    assert store.till().asks("milk") == "0.79", "a shopper who read it before midnight walks to the till"
    await store.time_passes(3600 + 119)
    assert store.till().asks("milk") == "0.79", "the box's clock may be ahead by two minutes and still be believed"
    await store.time_passes(2)
    assert store.till().asks("milk") == "0.99"


async def test_p3_a_price_without_a_printed_day_holds_however_long_the_label_is_dead(store: StoreKit) -> None:
    await store.label("aisle 4").shows("milk", "0.79")
    await store.hub.sets_price("milk", "0.99")
    await store.time_passes(5 * 86_400)
    assert store.till().asks("milk") == "0.79"


async def test_p3_a_proof_before_the_printed_day_closes_as_ever(store: StoreKit) -> None:
    await _an_offer_until_midnight(store)
    await store.hub.removes_price("milk", "offer")
    await store.label("aisle 4").proves()
    await store.time_passes(WALK_S + 1)
    assert store.till().asks("milk") == "0.99"


async def test_p3_a_clock_that_is_not_believed_prints_no_end_to_a_claim(store: StoreKit) -> None:
    label = store.label("aisle 4")
    await label.shows("milk", "0.99")
    store.clock.put_wrong(2 * HOURS_MS)
    store.store.clock.check()
    await store.hub.sets_prices({"milk": "0.79"}, entry="offer", priority=1, kind=PriceKind.PROMOTION,
                                until_ms=MONDAY_NOON_MS + 12 * HOURS_MS)
    await label.proves()
    rows = store.books.ledger_reader.execute(LEDGER.claims_of_label, ("aisle 4",)).fetchall()
    assert [row[6] for row in rows if row[2] == 79] == [None]
