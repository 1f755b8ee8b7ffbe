"""What a file makes of a local book, against the plain words of the rule."""

from hypothesis import given
from hypothesis import strategies as st

from cloud_sync.contract.documents import Price
from edge.domain.local_book import PRIORITY, entry_id, id_without_dates, put_in
from edge.domain.pricing import PriceEntry, select

NOW_MS = 1_000
times = st.integers(0, 20).map(lambda tenth: tenth * 100)
spans = st.tuples(times, st.none() | times).filter(lambda span: span[1] is None or span[1] > span[0])
rows = st.tuples(st.integers(1, 50), spans).map(lambda row: Price(
    "milk", row[0], "EUR", priority=PRIORITY, valid_from_ms=row[1][0], valid_until_ms=row[1][1]))


def named(*prices: Price) -> list[tuple[str, Price]]:
    return [(entry_id("book", price), price) for price in prices]


def holds(entries: dict[str, Price], at_ms: int) -> int | None:
    """The price that the store's own rule of selection finds."""
    entry = select([PriceEntry(key, 1, each.sku, each.price_minor, each.currency, each.kind, each.priority,
                               each.valid_from_ms, each.valid_until_ms) for key, each in entries.items()], at_ms).entry
    return entry.price_minor if entry else None


def said(prices: list[Price], at_ms: int) -> int | None:
    """The same in plain words: the latest of those without an end, or a cheaper one of those with an end."""
    last_of = {entry_id("book", price): price for price in prices}.values()
    begun = [price for price in last_of if price.valid_from_ms <= at_ms]
    open_ended = [price for price in begun if price.valid_until_ms is None]
    base = [max(open_ended, key=lambda price: price.valid_from_ms)] if open_ended else []
    ending = [price for price in begun if price.valid_until_ms is not None and at_ms < price.valid_until_ms]
    return min((price.price_minor for price in (*base, *ending)), default=None)


@given(st.lists(rows, max_size=6, unique_by=lambda price: entry_id("book", price)))
def test_a_whole_list_holds_as_it_says_from_now_on(prices: list[Price]) -> None:
    entries = put_in({}, named(*prices), NOW_MS, whole=True)
    for at_ms in range(NOW_MS, 2_200, 50):
        assert holds(entries, at_ms) == said(prices, at_ms)


@given(st.lists(st.lists(rows, max_size=3), max_size=4))
def test_changes_one_after_the_other_are_the_same_as_all_at_once(files: list[list[Price]]) -> None:
    """But for prices from now on, which end what has begun."""
    dated = [[price for price in file if price.valid_from_ms] for file in files]
    entries: dict[str, Price] = {}
    for file in dated:
        entries = put_in(entries, named(*file), NOW_MS, whole=False)
    for at_ms in range(NOW_MS, 2_200, 50):
        assert holds(entries, at_ms) == said([price for file in dated for price in file], at_ms)


@given(st.lists(rows, max_size=5), st.integers(1, 50))
def test_a_price_from_now_on_ends_those_that_have_begun(prices: list[Price], price_minor: int) -> None:
    entries = put_in(put_in({}, named(*prices), NOW_MS, whole=False),
                     named(Price("milk", price_minor, "EUR", priority=PRIORITY)), NOW_MS, whole=False)
    assert holds(entries, NOW_MS) == min([price_minor, *(
        price.price_minor for price in entries.values() if price.valid_until_ms and price.valid_from_ms <= NOW_MS)])


def test_a_clock_that_is_not_believed_ends_nothing() -> None:
    span = Price("milk", 50, "EUR", priority=PRIORITY, valid_from_ms=100, valid_until_ms=200)
    assert put_in({}, named(span), NOW_MS, whole=False) == {}
    assert put_in({}, named(span), NOW_MS, whole=False, trusted=False) == dict(named(span))


def test_ids_without_dates() -> None:
    for span in ((0, None), (100, None), (0, 300), (100, 300)):
        price = Price("m@lk/1-2", 1, "EUR", valid_from_ms=span[0], valid_until_ms=span[1])
        assert id_without_dates(entry_id("book", price)) == "local/book/m@lk/1-2"
