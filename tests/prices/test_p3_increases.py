"""P3: an increase reaches the till once every shelf has proven it and every shopper had time; a decrease at once."""

from cloud_sync.contract.documents import PriceIntegrity
from tests.store_kit import StoreKit

A_WALK_S = 3600 + 15
"""Grace and settling of a store with the default policy."""


async def test_p3_an_increase_reaches_the_till_only_after_the_label_proved_it_and_the_shopper_had_time(
        store: StoreKit) -> None:
    await store.label("aisle 4").shows("milk", "0.99")
    await store.hub.sets_price("milk", "1.09")

    assert store.label("aisle 4").is_offered() == "1.09"
    assert store.till(1).asks("milk") == "0.99"       # offered, not yet proven
    await store.label("aisle 4").proves()
    assert store.till(1).asks("milk") == "0.99"       # a shopper may still be walking
    await store.time_passes(store.settle_s + store.policy.grace_s - 2)
    assert store.till(1).asks("milk") == "0.99"
    await store.time_passes(2)
    assert store.till(1).asks("milk") == "1.09"


async def test_p3_a_decrease_reaches_the_till_at_once(store: StoreKit) -> None:
    await store.label("aisle 4").shows("milk", "0.99")
    await store.hub.sets_price("milk", "0.89")
    assert store.till(1).asks("milk") == "0.89"


async def test_p3_one_label_of_three_that_has_not_proven_holds_the_till(store: StoreKit) -> None:
    places = ("aisle 4", "end cap", "fridge")
    for place in places:
        await store.label(place).shows("milk", "0.99")
    await store.hub.sets_price("milk", "1.09")
    await store.label("aisle 4").proves()
    await store.label("end cap").proves()
    await store.time_passes(3 * A_WALK_S)
    assert store.till().asks("milk") == "0.99"
    await store.label("fridge").proves()
    await store.time_passes(A_WALK_S)
    assert store.till().asks("milk") == "1.09"


async def test_p3_down_and_up_again_before_the_label_fetched_it_is_offered_again(store: StoreKit) -> None:
    """The label may still fetch the lower price: until it proves otherwise, that is what a shopper may read."""
    await store.label("aisle 4").shows("milk", "0.99")
    await store.hub.sets_price("milk", "0.89")
    await store.hub.sets_price("milk", "0.99")

    assert store.label("aisle 4").offers() == ["0.99", "0.89", "0.99"]
    assert store.till().asks("milk") == "0.89"
    await store.label("aisle 4").proves()
    await store.time_passes(A_WALK_S)
    assert store.till().asks("milk") == "0.99"


async def test_p3_a_late_proof_of_the_lower_price_keeps_the_till_low(store: StoreKit) -> None:
    await store.label("aisle 4").shows("milk", "0.99")
    await store.hub.sets_price("milk", "0.89")
    await store.hub.sets_price("milk", "1.19")
    await store.label("aisle 4").proves("0.89")        # it had fetched the lower one first
    await store.time_passes(3 * A_WALK_S)
    assert store.till().asks("milk") == "0.89"
    await store.label("aisle 4").proves("1.19")
    await store.time_passes(A_WALK_S)
    assert store.till().asks("milk") == "1.19"


async def test_p3_a_proof_of_an_older_picture_closes_only_what_came_before_it(store: StoreKit) -> None:
    await store.label("aisle 4").shows("milk", "0.99")
    for price in ("1.09", "1.19", "1.29"):
        await store.hub.sets_price("milk", price)
    await store.label("aisle 4").proves("1.19")
    await store.time_passes(A_WALK_S)
    assert store.till().asks("milk") == "1.19"         # 0.99 and 1.09 are over, 1.29 is not proven
    assert store.claims("milk") == [("aisle 4", "1.19"), ("aisle 4", "1.29")]


async def test_p3_a_picture_that_comes_back_after_its_claim_closed_opens_it_again(store: StoreKit) -> None:
    """A label that falls back to what it showed before says so, and the till follows."""
    await store.label("aisle 4").shows("milk", "0.99")
    await store.label("aisle 4").shows("milk", "1.09")
    assert store.till().asks("milk") == "1.09"
    await store.label("aisle 4").proves("0.99")
    assert store.till().asks("milk") == "0.99"
    assert store.label("aisle 4").is_offered() == "1.09"


async def test_p3_a_proof_of_an_unknown_picture_closes_nothing_and_the_label_is_offered_again(store: StoreKit) -> None:
    await store.label("aisle 4").shows("milk", "0.99")
    await store.hub.sets_price("milk", "1.09")
    await store.label("aisle 4").proves_version("0123456789abcdef")
    await store.time_passes(3 * A_WALK_S)
    assert store.till().asks("milk") == "0.99"
    assert store.label("aisle 4").offers()[-2:] == ["1.09", "1.09"]


async def test_p3_a_label_that_may_have_shown_any_of_two_is_offered_again_and_proves_nothing(store: StoreKit) -> None:
    await store.label("aisle 4").shows("milk", "0.99")
    await store.hub.sets_price("milk", "1.09")
    await store.label("aisle 4").is_ambiguous()
    await store.time_passes(3 * A_WALK_S)
    assert store.till().asks("milk") == "0.99"
    assert store.label("aisle 4").offers()[-2:] == ["1.09", "1.09"]


async def test_p3_a_label_that_restarted_while_it_drew_takes_its_proof_back(store: StoreKit) -> None:
    """Its proof came before the screen changed; after a restart it may show the old price for ever."""
    await store.label("aisle 4").shows("milk", "0.99")
    await store.hub.sets_price("milk", "1.09")
    await store.label("aisle 4").proves()
    await store.time_passes(60)
    await store.label("aisle 4").is_ambiguous()
    await store.time_passes(3 * A_WALK_S)
    assert store.till().asks("milk") == "0.99"
    await store.label("aisle 4").proves()
    await store.time_passes(A_WALK_S)
    assert store.till().asks("milk") == "1.09"


async def test_p3_settling_counts_even_when_no_shopper_is_given_time(store: StoreKit) -> None:
    """Some proofs come before the screen changes."""
    await store.hub.sets_policy(grace_s=0)
    await store.label("aisle 4").shows("milk", "0.99")
    await store.hub.sets_price("milk", "1.09")
    await store.label("aisle 4").proves()
    await store.time_passes(store.settle_s - 2)
    assert store.till().asks("milk") == "0.99"
    await store.time_passes(2)
    assert store.till().asks("milk") == "1.09"


async def test_p3_a_label_bound_to_another_product_keeps_the_claim_of_the_one_it_names(store: StoreKit) -> None:
    await store.label("aisle 4").shows("milk", "0.99")
    await store.label("aisle 4").hangs_under("bread")
    await store.hub.sets_price("milk", "1.09")
    await store.time_passes(3 * A_WALK_S)
    assert store.till().asks("milk") == "0.99"          # the screen still says milk 0.99
    assert store.till().asks("bread") == "1.89"
    await store.label("aisle 4").proves()               # bread
    await store.time_passes(A_WALK_S)
    assert store.till().asks("milk") == "1.09"


async def test_p3_a_late_proof_of_the_product_before_rebinding_opens_its_claim_not_the_new_ones(
        store: StoreKit) -> None:
    await store.label("aisle 4").shows("milk", "0.99")
    await store.hub.sets_price("milk", "0.79")
    await store.label("aisle 4").hangs_under("bread")
    await store.label("aisle 4").proves("0.79")          # the milk picture, fetched before bread's was on air
    await store.hub.sets_price("milk", "1.19")
    await store.time_passes(3 * A_WALK_S)
    assert store.till().asks("milk") == "0.79"
    assert store.label("aisle 4").is_offered() == "1.89"


async def test_p3_an_excluded_label_counts_until_its_shoppers_are_gone_and_again_when_it_is_included(
        store: StoreKit) -> None:
    await store.label("aisle 4").shows("milk", "0.99")
    await store.hub.sets_price("milk", "1.09")
    await store.label("aisle 4").is_excluded()
    assert store.till().asks("milk") == "0.99"
    await store.time_passes(3600 - 2)
    assert store.till().asks("milk") == "0.99"
    await store.time_passes(3)
    assert store.till().asks("milk") == "1.09"
    await store.label("aisle 4").is_included()
    assert store.till().asks("milk") == "0.99"
    await store.label("aisle 4").proves()
    await store.time_passes(A_WALK_S)
    assert store.till().asks("milk") == "1.09"


async def test_p3_what_an_excluded_label_is_offered_counts_from_the_moment_it_is_included(store: StoreKit) -> None:
    await store.label("aisle 4").shows("milk", "0.99")
    await store.label("aisle 4").is_excluded()
    await store.hub.sets_price("milk", "0.69")
    await store.time_passes(4000)
    await store.hub.sets_price("milk", "1.09")
    assert store.till().asks("milk") == "1.09"
    await store.label("aisle 4").is_included()
    assert store.till().asks("milk") == "0.69"


async def test_p3_a_proof_during_the_exclusion_closes_claims_for_good(store: StoreKit) -> None:
    await store.label("aisle 4").shows("milk", "0.99")
    await store.hub.sets_price("milk", "1.09")
    await store.label("aisle 4").is_excluded()
    await store.label("aisle 4").proves()
    await store.time_passes(A_WALK_S)
    await store.label("aisle 4").is_included()
    assert store.till().asks("milk") == "1.09"


async def test_p3_a_label_taken_from_its_product_counts_until_its_shoppers_are_gone(store: StoreKit) -> None:
    await store.label("aisle 4").shows("milk", "0.99")
    await store.hub.sets_price("milk", "1.09")
    await store.label("aisle 4").is_unbound()
    assert store.till().asks("milk") == "0.99"
    await store.time_passes(3600 + 1)
    assert store.till().asks("milk") == "1.09"


async def test_p3_a_label_hung_up_again_unproven_counts_for_what_it_may_still_show(store: StoreKit) -> None:
    await store.label("aisle 4").shows("milk", "0.99")
    await store.label("aisle 4").is_unbound()
    await store.hub.sets_price("milk", "1.09")
    await store.time_passes(4000)
    assert store.till().asks("milk") == "1.09"
    await store.label("aisle 4").hangs_under("bread")
    assert store.till().asks("milk") == "0.99"


async def test_p3_only_a_struck_claim_frees_the_till_and_the_label_must_prove_itself_anew(store: StoreKit) -> None:
    await store.label("aisle 4").shows("milk", "0.99")
    await store.hub.sets_price("milk", "1.09")
    await store.time_passes(3 * A_WALK_S)
    await store.label("aisle 4").claim_is_voided("milk", "0.99")
    assert store.till().asks("milk") == "1.09"
    await store.label("aisle 4").proves("0.99")          # it was still up: what is shown counts
    assert store.till().asks("milk") == "0.99"


async def test_p3_a_picture_that_names_two_products_alike_is_the_one_it_was_last_offered_for(store: StoreKit) -> None:
    """The same pixels for two SKUs: two sorts of one name at one price, without a number on the label."""
    await store.hub.has_items("sort a", "sort b")
    await store.hub.sets_prices({"sort a": "0.99", "sort b": "0.99"})
    store.artist.version_of = lambda content: f"{content.price_minor:016x}"
    await store.label("aisle 4").shows("sort a", "0.99")
    await store.label("aisle 4").hangs_under("sort b")
    await store.label("aisle 4").proves()
    await store.hub.sets_prices({"sort a": "1.09", "sort b": "1.09"})
    await store.time_passes(A_WALK_S)
    assert store.till().asks("sort a") == "1.09"          # the proof was of sort b's picture
    assert store.till().asks("sort b") == "0.99"


async def test_p3_many_unproven_prices_fold_into_the_cheapest(store: StoreKit) -> None:
    await store.label("aisle 4").shows("milk", "0.99")
    for cents in range(101, 125):
        await store.hub.sets_price("milk", f"{cents / 100:.2f}")
    assert len(store.claims("milk")) == 16
    assert store.till().asks("milk") == "0.99"
    await store.label("aisle 4").proves("1.10")           # its own claim was folded away, and comes back
    await store.time_passes(A_WALK_S)
    assert store.till().asks("milk") in ("0.99", "1.01", "1.10")
    await store.label("aisle 4").proves()
    await store.time_passes(A_WALK_S)
    assert store.till().asks("milk") == "1.24"


async def test_p3_too_many_products_unproven_on_one_label_wait_for_a_proof(store: StoreKit) -> None:
    skus = [f"product {number}" for number in range(18)]
    await store.hub.has_items(*skus)
    await store.hub.sets_prices(dict.fromkeys(skus, "1.00"))
    for sku in skus:
        await store.label("aisle 4").hangs_under(sku)
    assert len(store.label("aisle 4").offers()) == 16
    await store.hub.sets_prices(dict.fromkeys(skus, "1.10"))
    assert {store.till().asks(sku) for sku in skus[:16]} == {"1.00"}
    await store.label("aisle 4").proves()
    await store.time_passes(A_WALK_S + 1)
    store.station.is_heard("aisle 4")
    await store.a_moment()
    assert store.station.offers["aisle 4"][-1].sku == "product 17"


async def test_p3_report_only_charges_the_list_price_and_says_so(store: StoreKit) -> None:
    await store.label("aisle 4").shows("milk", "0.99")
    await store.hub.sets_policy(price_integrity=PriceIntegrity.REPORT_ONLY)
    await store.hub.sets_price("milk", "1.09")
    quote = store.prices.by_code("milk")
    assert quote is not None
    assert (quote.charge_minor, quote.p3, quote.held_low) == (109, False, False)
    await store.hub.sets_policy(price_integrity=PriceIntegrity.CUSTOMER_FIRST)
    assert store.till().asks("milk") == "0.99"            # the claims went on meanwhile


async def test_p3_an_answer_tells_that_the_shelf_holds_the_price(store: StoreKit) -> None:
    await store.label("aisle 4").shows("milk", "0.99")
    await store.hub.sets_price("milk", "1.09")
    quote = store.prices.by_code("milk")
    assert quote is not None
    assert (quote.charge_minor, quote.list_price_minor, quote.held_low, quote.p3) == (99, 109, True, True)


async def test_a_proof_is_one_fact_however_often_the_label_says_it(store: StoreKit) -> None:
    await store.label("aisle 4").shows("milk", "0.99")
    before = len(store.entries())
    for _ in range(5):
        await store.label("aisle 4").proves()
    assert len(store.entries()) == before


async def test_p3_a_repeated_proof_does_not_shorten_anything(store: StoreKit) -> None:
    await store.label("aisle 4").shows("milk", "0.99")
    await store.hub.sets_price("milk", "1.09")
    await store.label("aisle 4").proves()
    await store.time_passes(1800)
    await store.hub.sets_policy(grace_s=60)
    await store.label("aisle 4").proves()
    await store.time_passes(120)
    assert store.till().asks("milk") == "0.99"
