"""Price accuracy in both directions (NIST Handbook 130; retail.md 4.1)."""

from edge.domain.price_accuracy import UNSAID_SCAN_MS, Judgement, SoldLine, Tally, judge
from edge.domain.prior_price import Applied

HOUR = 3_600_000
HISTORY = [Applied(0, 99), Applied(10 * HOUR, 89), Applied(20 * HOUR, 109)]


def sold(amount: int, at_ms: int, pieces: int = 1, *, scanned: bool = True) -> SoldLine:
    return SoldLine("milk", pieces * 1000, amount, at_ms, scanned)


def test_a_line_is_judged_by_the_price_of_its_scan() -> None:
    assert judge(sold(99, 5 * HOUR), HISTORY) == Judgement(0, False)
    assert judge(sold(99, 15 * HOUR), HISTORY) == Judgement(10, False)
    assert judge(sold(297, 15 * HOUR, 3), HISTORY) == Judgement(30, False)
    assert judge(sold(79, 15 * HOUR), HISTORY) == Judgement(0, True)


def test_massachusetts_940_cmr_3_13_the_lowest_of_shelf_and_till_is_the_right_price() -> None:
    """What the store charges is never above the shelf, so a till above it overcharges by the difference."""
    assert judge(sold(109, 10 * HOUR + 60_000), HISTORY) == Judgement(20, False)


def test_a_till_that_says_no_scan_time_may_have_looked_the_price_up_before_it_fell() -> None:
    assert judge(sold(99, 10 * HOUR + 60_000, scanned=False), HISTORY) == Judgement(0, False)
    assert judge(sold(99, 10 * HOUR + 60_000), HISTORY) == Judgement(10, False)
    assert judge(sold(99, 10 * HOUR + UNSAID_SCAN_MS + 1, scanned=False), HISTORY) == Judgement(10, False)


def test_clocks_differ_by_seconds() -> None:
    assert judge(sold(109, 20 * HOUR - 3_000), HISTORY) == Judgement(0, False)
    assert judge(sold(99, 10 * HOUR + 3_000), HISTORY) == Judgement(0, False)


def test_of_a_time_before_the_history_nothing_is_said() -> None:
    assert judge(sold(99, 5 * HOUR), []) is None
    assert judge(sold(99, 5 * HOUR), [Applied(9 * HOUR, 99)]) is None


def test_both_directions_are_counted() -> None:
    tally = Tally()
    for amount in (99, 99, 120, 50):
        tally.count(judge(sold(amount, 5 * HOUR), HISTORY))
    tally.count(None)
    assert (tally.exact, tally.over, tally.under, tally.unknown, tally.over_minor) == (2, 1, 1, 1, 21)
