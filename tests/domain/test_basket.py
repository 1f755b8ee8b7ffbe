"""Promotions, baskets and receipts against exact rationals (DESIGN.md sections 5 and 8, retail.md section 4)."""

from collections import Counter
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cloud_sync.contract.promotions import (
    AmountOff,
    BuyGet,
    FixedPrice,
    MultiBuy,
    PercentOff,
    Terms,
    Threshold,
    terms_of,
)
from edge.domain.basket import BasketLine, PricedBasket, Rules, price_basket
from edge.domain.promotion import (
    ActivePromotion,
    PricedLine,
    _OffSpent,
    _Shelf,
    apply_promotions,
    pieces_of,
    rounded,
    shared_out,
)
from tests.domain.any_promotions import SKUS, any_terms

RULES = Rules("EUR", {"food": 400, "other": 2100})


def line(number: int, sku: str, unit_minor: int, pieces: float = 1, tax: str = "food", deposit: int = 0) -> BasketLine:
    return BasketLine(PricedLine(number, sku, round(pieces * 1000), unit_minor), tax, deposit)


def promotion(terms: Terms, name: str = "p", version: int = 1) -> ActivePromotion:
    return ActivePromotion(name, version, terms)


def priced(lines: list[BasketLine], *terms: Terms, coupons: str = "", member: bool = False,
           rules: Rules = RULES) -> PricedBasket:
    promotions = [promotion(each, f"p{number}") for number, each in enumerate(terms)]
    return price_basket(lines, promotions, frozenset(coupons.split()), rules, member=member)


def nets(basket: PricedBasket) -> list[int]:
    return [each.net_minor for each in basket.lines]


def test_without_promotions_a_basket_costs_what_its_lines_do() -> None:
    basket = priced([line(1, "milk", 99, 3), line(2, "pears", 249, 0.734)])
    assert nets(basket) == [297, 183]
    assert basket.total_minor == 480


def test_a_percentage_an_amount_and_another_price() -> None:
    assert nets(priced([line(1, "milk", 99, 2)], PercentOff(skus=("milk",), percent=25))) == [148]
    assert nets(priced([line(1, "milk", 99, 2)], AmountOff(skus=("milk",), amount_minor=10))) == [178]
    assert nets(priced([line(1, "milk", 99, 2)], FixedPrice(skus=("milk",), price_minor=79))) == [158]
    assert nets(priced([line(1, "milk", 99, 2)], FixedPrice(skus=("milk",), price_minor=129))) == [198]
    assert nets(priced([line(1, "pears", 249, 0.734)], AmountOff(skus=("pears",), amount_minor=50))) == [146]


def test_three_for_five_counts_whole_groups_and_the_rest_costs_what_one_does() -> None:
    terms = MultiBuy(skus=("yoghurt",), pieces=3, price_minor=500)
    for pieces, total in ((1, 189), (2, 378), (3, 500), (4, 689), (6, 1000), (7, 1189)):
        assert priced([line(1, "yoghurt", 189, pieces)], terms).total_minor == total


def test_three_for_more_than_they_cost_takes_nothing_off() -> None:
    assert priced([line(1, "yoghurt", 99, 3)], MultiBuy(skus=("yoghurt",), pieces=3, price_minor=500)).applied == ()


def test_mix_and_match_takes_any_of_them_and_the_dearest_together() -> None:
    mixed = MultiBuy(skus=("red", "white", "rosé"), pieces=2, price_minor=1000, mixed=True)
    basket = priced([line(1, "red", 799), line(2, "white", 699), line(3, "rosé", 599)], mixed)
    assert basket.total_minor == 1000 + 599
    apart = MultiBuy(skus=("red", "white", "rosé"), pieces=2, price_minor=1000)
    assert priced([line(1, "red", 799), line(2, "white", 699)], apart).total_minor == 1498


def test_buy_two_get_one_free_and_the_second_at_half_price() -> None:
    free = BuyGet(skus=("soap",), buy=2, get=1)
    assert [priced([line(1, "soap", 150, pieces)], free).total_minor for pieces in (2, 3, 6)] == [300, 300, 600]
    half = BuyGet(skus=("soap", "cream"), buy=1, get=1, percent=50, mixed=True)
    assert priced([line(1, "soap", 150), line(2, "cream", 300)], half).total_minor == 300 + 75


def test_spend_twenty_get_three_off_shared_out_over_the_lines() -> None:
    terms = Threshold(spend_minor=2000, off_minor=300)
    assert priced([line(1, "wine", 1999)], terms).total_minor == 1999
    basket = priced([line(1, "wine", 1500), line(2, "milk", 99, 5), line(3, "bread", 189)], terms)
    assert basket.total_minor == 1500 + 495 + 189 - 300
    assert sum(each.off_minor for each in basket.lines) == 300
    twice = Threshold(spend_minor=1000, off_minor=100, repeats=True)
    assert priced([line(1, "wine", 999, 3)], twice).total_minor == 2997 - 200
    assert priced([line(1, "wine", 5000)], Threshold(spend_minor=1000, percent=10, skus=("wine",))).total_minor == 4500


def test_coupons_and_members_only_and_how_often() -> None:
    coupon = AmountOff(skus=("milk",), amount_minor=50, coupon="FIVE")
    assert priced([line(1, "milk", 99)], coupon).total_minor == 99
    assert priced([line(1, "milk", 99)], coupon, coupons="FIVE").total_minor == 49
    member = FixedPrice(skus=("milk",), price_minor=79, member_only=True)
    assert priced([line(1, "milk", 99)], member).total_minor == 99
    assert priced([line(1, "milk", 99)], member, member=True).total_minor == 79
    once = AmountOff(skus=("milk",), amount_minor=50, times_max=1)
    assert priced([line(1, "milk", 99, 3)], once).total_minor == 297 - 50


def test_a_piece_counts_once_the_better_wins_and_priority_before_that() -> None:
    little, much = PercentOff(skus=("milk",), percent=10), PercentOff(skus=("milk",), percent=30)
    basket = priced([line(1, "milk", 100)], little, much)
    assert basket.total_minor == 70
    assert [each.promotion.id for each in basket.applied] == ["p1"]
    first = PercentOff(skus=("milk",), percent=10, priority=5)
    assert priced([line(1, "milk", 100)], first, much).total_minor == 90


def test_a_product_that_a_promotion_names_twice_gets_it_once() -> None:
    assert priced([line(1, "milk", 100)], PercentOff(skus=("milk", "milk"), percent=60)).total_minor == 40
    pair = MultiBuy(skus=("milk", "milk"), pieces=2, price_minor=50, mixed=True)
    assert priced([line(1, "milk", 100)], pair).total_minor == 100


def test_a_stackable_one_goes_on_top() -> None:
    base = PercentOff(skus=("milk",), percent=10, priority=5)
    top = AmountOff(skus=("milk",), amount_minor=5, stackable=True)
    basket = priced([line(1, "milk", 100)], base, top)
    assert basket.total_minor == 85
    assert len(basket.applied) == 2


def test_what_is_left_of_a_group_is_free_for_another_promotion() -> None:
    basket = priced([line(1, "yoghurt", 200, 5)], MultiBuy(skus=("yoghurt",), pieces=3, price_minor=400),
                    PercentOff(skus=("yoghurt",), percent=10))
    assert basket.total_minor == 400 + 2 * 180


def test_a_return_gets_back_what_it_cost_and_no_promotion() -> None:
    basket = priced([line(1, "milk", 99, -2, deposit=25)], PercentOff(skus=("milk",), percent=50))
    assert basket.total_minor == -198 - 50
    assert basket.applied == ()


def test_deposits_stand_beside_the_price_and_no_promotion_touches_them() -> None:
    basket = priced([line(1, "cola", 100, 2, deposit=25)], PercentOff(skus=("cola",), percent=100))
    assert (basket.deposits_minor, basket.total_minor) == (50, 50)


def test_taxes_included_and_added() -> None:
    lines = [line(1, "milk", 104, 1, "food"), line(2, "soap", 121, 1, "other"), line(3, "stamps", 100, 1, "none")]
    included = {tax.tax_class: (tax.taxed_minor, tax.tax_minor) for tax in priced(lines).taxes}
    assert included == {"food": (100, 4), "other": (100, 21)}
    added = priced(lines, rules=Rules("USD", {"food": 400, "other": 2100}, prices_include_tax=False))
    assert {tax.tax_class: tax.tax_minor for tax in added.taxes} == {"food": 4, "other": 25}
    assert added.total_minor == 325 + 29


@pytest.mark.parametrize(("currency", "total", "cash"), [
    ("CHF", 1233, 1235), ("CHF", 1232, 1230), ("SEK", 1250, 1300), ("EUR", 1233, 1233), ("DKK", 1224, 1200)])
def test_cash_has_coins_of_its_own(currency: str, total: int, cash: int) -> None:
    basket = priced([line(1, "milk", total)], rules=Rules(currency, {}))
    assert (basket.total_minor, basket.cash_minor) == (total, cash)
    assert priced([line(1, "milk", 1233)], rules=Rules("EUR", {}, cash_step_minor=5)).cash_minor == 1235


@pytest.mark.parametrize(("kind", "terms"), [
    ("percent", '{"skus":["milk"],"percent":10}'), ("multi-buy", '{"skus":["a"],"pieces":3,"price_minor":500}'),
    ("threshold", '{"spend_minor":2000,"off_minor":100,"coupon":"X"}')])
def test_terms_are_read_from_what_the_hub_sends(kind: str, terms: str) -> None:
    assert type(terms_of(kind, terms.encode())).__struct_config__.tag == kind


@pytest.mark.parametrize(("kind", "terms"), [
    ("percent", "{}"), ("percent", '{"skus":["milk"],"percent":101}'), ("percent", '{"skus":[],"percent":10}'),
    ("lottery", '{"skus":["milk"]}'), ("price", '{"skus":["milk"],"price_minor":-1}'), ("percent", "[]"),
    ("percent", '{"skus":["milk"],"percent":10,"kind":"price","typo":1}'), ("percent", "rubbish")])
def test_terms_that_are_none_are_refused(kind: str, terms: str) -> None:
    import msgspec

    with pytest.raises(msgspec.MsgspecError):
        terms_of(kind, terms.encode())


# --- whatever the basket -------------------------------------------------------------------------------------------

conditions: dict[str, Any] = {"priority": st.integers(0, 2), "stackable": st.booleans(), "times_max": st.integers(0, 3)}
promotions = any_terms(conditions)
quantities = st.one_of(st.integers(1, 6).map(lambda pieces: pieces * 1000), st.integers(1, 3999))
rows = st.tuples(st.sampled_from(SKUS), quantities, st.integers(0, 2000), st.sampled_from(["food", "other"]))
baskets = st.lists(rows, max_size=8).map(lambda rows: [BasketLine(PricedLine(number, sku, quantity, unit), tax)
                                                       for number, (sku, quantity, unit, tax) in enumerate(rows)])


@settings(deadline=None, max_examples=300)
@given(lines=baskets, terms=st.lists(promotions, max_size=6))
def test_no_cent_is_lost_and_nothing_costs_less_than_nothing(lines: list[BasketLine], terms: list[Terms]) -> None:
    basket = priced(lines, *terms)
    assert basket.total_minor == sum(nets(basket))
    off: Counter[int] = Counter()
    for one in basket.applied:
        off.update(one.off_minor)
    for printed in basket.lines:
        exact = Fraction(printed.unit_minor * printed.quantity_milli, 1000)
        assert abs(printed.gross_minor - exact) <= Fraction(1, 2)
        assert printed.off_minor == off[printed.line]
        assert 0 <= printed.net_minor <= printed.gross_minor


@settings(deadline=None, max_examples=200)
@given(lines=baskets, terms=st.lists(promotions, max_size=4))
def test_tax_is_within_half_a_cent_of_the_exact_one_for_each_rate(lines: list[BasketLine], terms: list[Terms]) -> None:
    for included in (True, False):
        basket = priced(lines, *terms, rules=Rules("EUR", {"food": 400, "other": 2100}, prices_include_tax=included))
        for tax in basket.taxes:
            net = sum(printed.net_minor for each, printed in zip(lines, basket.lines, strict=True)
                      if each.tax_class == tax.tax_class)
            rate = Fraction(tax.basis_points, 10_000)
            exact = net * rate / (1 + rate) if included else net * rate
            assert abs(tax.tax_minor - exact) <= Fraction(1, 2)
            assert tax.taxed_minor + (tax.tax_minor if included else 0) == net


@settings(deadline=None, max_examples=150)
@given(lines=baskets, terms=st.lists(promotions, max_size=5), chance=st.randoms(use_true_random=False))
def test_the_order_of_promotions_changes_nothing(lines: list[BasketLine], terms: list[Terms], chance: Any) -> None:
    promoted = [promotion(each, f"p{number}") for number, each in enumerate(terms)]
    shuffled = chance.sample(promoted, len(promoted))
    one, other = (price_basket(lines, each, frozenset(), RULES, member=True) for each in (promoted, shuffled))
    assert one.total_minor == other.total_minor


@settings(deadline=None, max_examples=150)
@given(lines=baskets, terms=st.lists(promotions, max_size=5))
def test_a_piece_counts_for_one_promotion_only_unless_one_of_them_is_stackable(
        lines: list[BasketLine], terms: list[Terms]) -> None:
    apart = [each for each in terms if not each.stackable and not isinstance(each, Threshold)]
    basket = priced(lines, *apart)
    for printed in basket.lines:
        if printed.quantity_milli == 1000:
            assert sum(printed.line in one.off_minor for one in basket.applied) <= 1


@settings(deadline=None, max_examples=300)
@given(lines=baskets, terms=promotions, before=st.lists(promotions, max_size=2))
def test_what_is_counted_to_be_saved_is_what_is_taken_off(lines: list[BasketLine], terms: Terms,
                                                          before: list[Terms]) -> None:
    pieces = pieces_of(each.priced for each in lines)
    apply_promotions(pieces, [promotion(each, f"p{number}") for number, each in enumerate(before)], frozenset(),
                     member=True)
    each = promotion(terms)
    if not isinstance(each.saving, _OffSpent):
        shelf = _Shelf(pieces, stacks=terms.stackable)
        assert each.saving.saves(shelf) == each.saving.trial(shelf).total_minor


@given(total=st.integers(0, 10_000), weights=st.lists(st.integers(0, 5_000), min_size=1, max_size=20))
def test_shares_add_up_and_none_is_more_than_its_weight(total: int, weights: list[int]) -> None:
    whole = sum(weights)
    parts = shared_out(min(total, whole), weights)
    assert sum(parts) == min(total, whole)
    assert all(0 <= part <= weight for part, weight in zip(parts, weights, strict=True))
    if whole:
        assert all(abs(part - Fraction(min(total, whole) * weight, whole)) < 1
                   for part, weight in zip(parts, weights, strict=True))


@given(numerator=st.integers(-10**9, 10**9), denominator=st.integers(1, 10**6))
def test_rounding_is_half_up_and_the_same_for_a_return(numerator: int, denominator: int) -> None:
    assert abs(rounded(numerator, denominator) - Fraction(numerator, denominator)) <= Fraction(1, 2)
    assert rounded(-numerator, denominator) == -rounded(numerator, denominator)
