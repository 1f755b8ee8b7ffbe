"""Directive 98/6/EC Art. 6a and CJEU C-330/23 (Aldi Süd) as scenes (retail.md 4.1)."""

from hypothesis import given
from hypothesis import strategies as st

from edge.domain.prior_price import MS_PER_DAY, Applied, prior_price, reduced_since, was_price

DAY = MS_PER_DAY


def history(*steps: tuple[int, int]) -> list[Applied]:
    """Day and price of each change."""
    return [Applied(day * DAY, price) for day, price in steps]


def test_art_6a_the_prior_price_is_the_lowest_of_the_thirty_days_before() -> None:
    applied = history((0, 129), (80, 99), (82, 119))
    assert prior_price(applied, 100 * DAY, 30) == 99
    assert prior_price(applied, 113 * DAY, 30) == 119, "the low price ended more than thirty days before"


def test_art_6a_what_was_charged_when_the_window_began_counts() -> None:
    assert prior_price(history((0, 99), (75, 119)), 100 * DAY, 30) == 99


def test_c_330_23_a_reduction_from_a_price_that_was_raised_for_it_may_not_be_announced() -> None:
    """Aldi Süd: bananas at 1.69, in the thirty days before also at 1.29, "now 1.29": no reduction at all."""
    applied = history((0, 129), (90, 169))
    assert was_price(applied, 129, 100 * DAY, 30) is None
    assert was_price(applied, 119, 100 * DAY, 30) == 129, "and the percentage counts from 1.29"


def test_art_6a_5_of_progressive_reductions_the_price_before_the_first_counts_where_that_is_allowed() -> None:
    applied = history((0, 200), (90, 180), (95, 150))
    assert prior_price(applied, 97 * DAY, 30) == 150
    assert prior_price(applied, 97 * DAY, 30, progressive=True) == 200
    rose = history((0, 200), (90, 180), (92, 190), (95, 150))
    assert prior_price(rose, 97 * DAY, 30, progressive=True) == 180, "it rose in between"


def test_art_6a_4_a_new_article_is_measured_by_the_time_it_was_there() -> None:
    assert prior_price(history((95, 150)), 100 * DAY, 30) == 150
    assert prior_price([], 100 * DAY, 30) is None
    assert was_price([], 99, 100 * DAY, 30) is None


def test_since_when_a_price_holds_is_when_it_was_first_charged_without_a_break() -> None:
    applied = history((0, 99), (10, 79), (20, 99), (30, 79))
    assert reduced_since(applied, 79, 40 * DAY) == 30 * DAY
    assert reduced_since(applied, 69, 40 * DAY) == 40 * DAY


@given(steps=st.lists(st.tuples(st.integers(0, 200), st.integers(1, 500)), max_size=12, unique_by=lambda step: step[0]),
       begins=st.integers(0, 220), days=st.integers(1, 60))
def test_it_is_the_lowest_price_of_any_day_of_the_window(steps: list[tuple[int, int]], begins: int, days: int) -> None:
    applied = history(*sorted(steps))
    charged = {day: price for day in range(begins)
               for price in [next((each.charge_minor for each in reversed(applied) if each.from_ms <= day * DAY), None)]
               if price is not None}
    wanted = [price for day, price in charged.items() if day >= begins - days]
    assert prior_price(applied, begins * DAY, days) == (min(wanted) if wanted else None)
