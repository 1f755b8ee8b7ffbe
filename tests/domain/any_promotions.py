"""Promotions of every kind, for baskets that nobody thought of."""

from typing import Any

from hypothesis import strategies as st

from cloud_sync.contract.promotions import AmountOff, BuyGet, FixedPrice, MultiBuy, PercentOff, Terms, Threshold

SKUS = ("a", "b", "c", "d")
some_skus = st.lists(st.sampled_from(SKUS), min_size=1, max_size=4, unique=True).map(tuple)


def any_terms(conditions: dict[str, Any]) -> st.SearchStrategy[Terms]:
    """`conditions`: strategies for what every kind has (`Conditions`)."""
    return st.one_of(
        st.builds(PercentOff, skus=some_skus, percent=st.integers(1, 100), **conditions),
        st.builds(AmountOff, skus=some_skus, amount_minor=st.integers(1, 500), **conditions),
        st.builds(FixedPrice, skus=some_skus, price_minor=st.integers(0, 500), **conditions),
        st.builds(MultiBuy, skus=some_skus, pieces=st.integers(2, 4), price_minor=st.integers(1, 900),
                  mixed=st.booleans(), **conditions),
        st.builds(BuyGet, skus=some_skus, buy=st.integers(1, 3), get=st.integers(1, 2), percent=st.integers(1, 100),
                  mixed=st.booleans(), **conditions),
        st.builds(Threshold, skus=st.one_of(st.just(()), some_skus), spend_minor=st.integers(1, 3000),
                  off_minor=st.integers(0, 900), percent=st.integers(0, 100), repeats=st.booleans(), **conditions))
