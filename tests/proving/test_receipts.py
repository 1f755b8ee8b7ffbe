"""A receipt that lies must be caught: each scene plants one lie, beside the same receipt told honestly."""

from typing import Any

import msgspec
import pytest

from edge.proving.receipts import (
    AppliedPromotion,
    AskedBasket,
    AskedLine,
    PromotionTerms,
    Receipt,
    ReceiptLine,
    mistakes,
    most_off,
)

MILK = ReceiptLine(1, "milk", 3000, 100, 100, 300, 0, 300, 75)
BREAD = ReceiptLine(2, "bread", 500, 199, 199, 100, 0, 100, 0)
LINES = (AskedLine(1, "milk", 3000), AskedLine(2, "bread", 500), AskedLine(3, "ghost", 1000))
PLAIN = Receipt([MILK, BREAD], [], 75, 475, [3])


def promotion(kind: str, version: int = 1, **terms: Any) -> PromotionTerms:
    return PromotionTerms("offer", version, kind, {"skus": ["milk"], **terms})


def with_off(off_minor: int, times: int = 1) -> Receipt:
    """The same receipt, with a promotion on the milk."""
    milk = msgspec.structs.replace(MILK, off_minor=off_minor, net_minor=300 - off_minor)
    applied = AppliedPromotion("offer", 1, times, off_minor, {1: off_minor})
    return Receipt([milk, BREAD], [applied], 75, 475 - off_minor, [3])


def found(receipt: Receipt, *promotions: PromotionTerms, member: bool = False,
          coupons: tuple[str, ...] = ()) -> list[str]:
    basket = AskedBasket(LINES, member, coupons)
    return list(mistakes(basket, receipt, {(each.id, each.version): each for each in promotions}))


def test_an_honest_receipt_has_no_mistakes() -> None:
    assert found(PLAIN) == []
    assert found(with_off(90, times=3), promotion("percent", percent=30)) == []


@pytest.mark.parametrize(("change", "said"), [
    ({"total_minor": 474}, "come to 475"), ({"deposits_minor": 0}, "come to 475"),
    ({"unknown": []}, "asked were lines"), ({"lines": [MILK]}, "asked were lines")])
def test_a_wrong_sum_or_a_line_that_is_missing_is_caught(change: dict[str, Any], said: str) -> None:
    assert any(said in each for each in found(msgspec.structs.replace(PLAIN, **change)))


@pytest.mark.parametrize(("change", "said"), [
    ({"gross_minor": 301, "net_minor": 301}, "3000 at 100 is not 301"), ({"quantity_milli": 2000}, "asked were 3000"),
    ({"net_minor": 299}, "300 less 0 is not 299"), ({"off_minor": 301, "net_minor": -1}, "301 off 300"),
    ({"off_minor": 1, "net_minor": 299}, "its promotions say 0")])
def test_a_line_that_does_not_add_up_is_caught(change: dict[str, Any], said: str) -> None:
    lines = [msgspec.structs.replace(MILK, **change), BREAD]
    assert any(said in each for each in found(msgspec.structs.replace(PLAIN, lines=lines)))


def test_a_promotion_that_nobody_gave_or_in_another_version_is_caught() -> None:
    assert found(with_off(90)) == ["promotion offer@1 was never given"]
    assert found(with_off(90), promotion("percent", version=2, percent=30)) == ["promotion offer@1 was never given"]


def test_a_member_price_for_somebody_else_is_caught() -> None:
    members = promotion("price", price_minor=70, member_only=True)
    assert found(with_off(90, times=3), members, member=True) == []
    assert found(with_off(90, times=3), members) == ["promotion offer is for members, and was given to somebody else"]


def test_a_promotion_without_its_coupon_is_caught() -> None:
    offer = promotion("percent", percent=30, coupon="AUTUMN")
    assert found(with_off(90, times=3), offer, coupons=("AUTUMN",)) == []
    assert len(found(with_off(90, times=3), offer, coupons=("NEIGHBOUR",))) == 1


def test_a_promotion_on_something_else_or_too_often_is_caught() -> None:
    receipt = with_off(90, times=3)
    assert "promotion offer was applied to ['milk']" in found(receipt, promotion("percent", percent=30, skus=["bread"]))
    assert found(receipt, promotion("percent", percent=30, times_max=2)) == ["promotion offer was applied 3 times of 2"]


def test_a_piece_that_counts_twice_is_caught() -> None:
    two_for = promotion("multi-buy", pieces=2, price_minor=150)
    assert found(with_off(50), two_for) == []
    twice = found(with_off(100, times=2), two_for)
    assert len(twice) == 2, twice
    assert any("at most 50 is promised" in each for each in twice)
    assert any("took 4 pieces" in each for each in twice)


@pytest.mark.parametrize(("offer", "most"), [
    (promotion("percent", percent=33), 3 * 33 + 25), (promotion("amount", amount_minor=40), 3 * 40 + 20),
    (promotion("amount", amount_minor=900), 300 + 75), (promotion("price", price_minor=90), 3 * 10 + 30),
    (promotion("multi-buy", pieces=2, price_minor=150), 50), (promotion("multi-buy", pieces=3, price_minor=350), 0),
    (promotion("buy-get", buy=1, get=1), 100), (promotion("buy-get", buy=2, get=1, percent=50), 50),
    (promotion("threshold", spend_minor=100, off_minor=30, repeats=True), 90),
    (promotion("threshold", spend_minor=376, off_minor=30), 0),
    (promotion("threshold", spend_minor=375, percent=10), 38)],
    ids=lambda case: f"{case.kind} {case.terms}" if isinstance(case, PromotionTerms) else str(case))
def test_the_most_that_a_promotion_gives_is_reckoned_by_hand(offer: PromotionTerms, most: int) -> None:
    """Three pieces of milk at 1.00, and half a kilogram of loose milk at 1.50."""
    assert most_off(offer, [("milk", 100, 3000), ("milk", 150, 500)]) == most


def test_mixed_pieces_are_grouped_by_the_dearest() -> None:
    terms = {"skus": ["a", "b"], "pieces": 2, "price_minor": 100, "mixed": True}
    offer = PromotionTerms("offer", 1, "multi-buy", terms)
    lines = [("a", 90, 3000), ("b", 60, 1000)]
    assert most_off(offer, lines) == 80 + 50
    assert most_off(msgspec.structs.replace(offer, terms={**terms, "mixed": False}), lines) == 80
