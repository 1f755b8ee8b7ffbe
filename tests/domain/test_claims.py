"""The claim rules alone: what opens, renews, folds and closes, as values (DESIGN.md section 5)."""

from hypothesis import given
from hypothesis import strategies as st

from edge.domain.claims import Cap, Claim, after_offer, after_proof, cap, charge, is_due

CLAIMS_MAX = 4


def claim(price: int, order: int, closes: int | None = None, sku: str = "milk") -> Claim:
    return Claim("aisle 4", sku, price, order, closes)


claims = st.lists(st.builds(claim, st.integers(90, 99), st.integers(1, 20), st.none() | st.integers(0, 100),
                            st.sampled_from(["milk", "bread"])),
                  unique_by=lambda one: (one.sku, one.price_minor), max_size=CLAIMS_MAX)


def lowest(some: list[Claim], sku: str, now: int) -> int | None:
    found = cap(((one, None) for one in some if one.sku == sku), now)
    return found.cap_minor if found else None


def test_p3_a_till_asks_the_lower_of_list_and_cap():
    assert (charge(109, None), charge(109, 99), charge(89, 99)) == (109, 99, 89)


def test_p3_an_equal_claim_is_renewed_even_while_it_closes():
    assert after_offer([claim(99, 1, closes=50)], [claim(99, 2)], CLAIMS_MAX) == [claim(99, 2)]


def test_p3_a_proof_closes_what_was_offered_before_it_and_nothing_offered_after():
    before = [claim(99, 1), claim(109, 2), claim(119, 3)]
    assert after_proof(before, [claim(109, 2)], 50) == [claim(99, 1, closes=50), claim(109, 2), claim(119, 3)]


def test_p3_a_claim_that_is_closing_keeps_its_end():
    assert after_proof([claim(99, 1, closes=30)], [claim(109, 2)], 50) == [claim(99, 1, closes=30), claim(109, 2)]


def test_p3_a_fold_is_over_with_the_proof_of_what_was_just_offered():
    """The folded claim must not inherit the newest order, or no proof could ever close it."""
    before = [claim(price, order) for order, price in enumerate((99, 101, 102, 103), start=1)]
    folded = after_offer(before, [claim(104, 5)], CLAIMS_MAX)
    assert folded is not None
    assert sorted(one.price_minor for one in folded) == [99, 101, 102, 104]
    proven = after_proof(folded, [claim(104, 5)], 50)
    assert [one.price_minor for one in proven if one.closes_powered_ms is None] == [104]


def test_p10_claims_of_different_products_do_not_fold():
    before = [claim(99, order, sku=f"product {order}") for order in range(1, CLAIMS_MAX + 1)]
    assert after_offer(before, [claim(99, 9, sku="another")], CLAIMS_MAX) is None


@given(claims, st.integers(90, 99), st.sampled_from(["milk", "bread"]), st.integers(0, 110))
def test_p3_an_offer_never_raises_what_any_product_may_be_charged(
        before: list[Claim], price: int, sku: str, now: int):
    after = after_offer(before, [claim(price, 99, sku=sku)], CLAIMS_MAX)
    if after is None:
        return
    assert len(after) <= CLAIMS_MAX
    for each in ("milk", "bread"):
        was, is_now = lowest(before, each, now), lowest(after, each, now)
        assert was is None or (is_now is not None and is_now <= was)
    offered = lowest(after, sku, now)
    assert offered is not None
    assert offered <= price


@given(claims, st.integers(90, 99), st.integers(1, 20), st.integers(0, 100))
def test_p3_a_proof_changes_nothing_before_its_end(before: list[Claim], price: int, order: int, closes: int):
    after = after_proof(before, [claim(price, order)], closes)
    for now in range(closes):
        was, is_now = lowest(before, "milk", now), lowest(after, "milk", now)
        assert was is None or (is_now is not None and is_now <= was)
    shown = lowest(after, "milk", 10**9)
    assert shown is not None
    assert shown <= price


@given(claims, st.none() | st.integers(0, 100), st.integers(0, 110))
def test_a_cap_holds_until_its_date_and_not_before(some: list[Claim], off_shelf: int | None, now: int):
    """Between now and `valid_until` the cap is the same at every moment."""
    milk = [(one, off_shelf) for one in some if one.sku == "milk"]
    found = cap(milk, now)
    if found is None:
        return
    until = found.valid_until_powered_ms
    assert until is None or until > now
    for moment in range(now, min(until or 120, 120)):
        assert cap(milk, moment) == Cap(found.cap_minor, until)


def test_a_label_is_due_unless_the_wanted_picture_was_proven_after_the_last_offer():
    assert not is_due("wanted", "wanted", outstanding=False)
    assert is_due("wanted", "wanted", outstanding=True)
    assert is_due("wanted", "other", outstanding=False)
    assert is_due("wanted", None, outstanding=False)


def _until(price: int, order: int, ends: int | None, closes: int | None = None) -> Claim:
    return Claim("aisle 4", "milk", price, order, closes, "", ends)


def test_p3_the_longer_of_two_printed_ends_counts_while_either_picture_may_be_read():
    assert after_offer([_until(99, 1, None)], [_until(99, 2, 50)], CLAIMS_MAX) == [_until(99, 2, None)]
    assert after_offer([_until(99, 1, 80)], [_until(99, 2, 50)], CLAIMS_MAX) == [_until(99, 2, 80)]


def test_p3_a_proof_leaves_the_end_that_its_picture_prints_but_not_before_the_walk():
    assert after_proof([_until(99, 2, None)], [_until(99, 2, 90)], 50) == [_until(99, 2, 90)]
    assert after_proof([_until(99, 2, None)], [_until(99, 2, 20)], 50) == [_until(99, 2, 50)]
    assert after_proof([_until(99, 3, None)], [_until(99, 2, 90)], 50) == [_until(99, 3, None)], "one still may come"


def test_p3_a_term_neither_caps_a_price_nor_folds_into_one():
    term = Claim("aisle 4", "milk", 0, 1, None, "3 for 2.50")
    assert cap([(term, None)], 0) is None
    full = [term, *(claim(price, order) for order, price in enumerate((99, 101, 102), start=2))]
    after = after_offer(full, [claim(104, 9)], CLAIMS_MAX)
    assert after is not None
    assert term in after
