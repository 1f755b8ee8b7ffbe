"""Price reports: accuracy both ways and a refund list, holds, offers that are none (DESIGN.md section 5)."""

import pytest

from cloud_sync.contract.documents import PriceKind
from edge.db.books import derive_key
from edge.db.connection import connect
from edge.doctor import in_the_loop
from edge.pos.problems import ProblemAnswer
from edge.pos.report_routes import report_handlers
from edge.prices.comparison import Comparer, NightlyComparison
from edge.prices.reports import PriceReports
from tests.store_kit import BUSINESS_DAY, DATABASE_SECRET, StoreKit, minor


@pytest.fixture
def reports(store: StoreKit) -> PriceReports:
    return PriceReports(store.store, store.prices, lambda name: connect(
        store.directory / name, derive_key(DATABASE_SECRET, name), synchronous="NORMAL", read_only=True), in_the_loop)


async def _sells(store: StoreKit, sequence: int, sku: str, price: str) -> None:
    answer = await store.till().sends(sequence, {"line": 1, "sku": sku, "quantity_milli": 1000,
                                                 "amount_minor": minor(price)})
    assert answer.status_code == 201


async def test_an_overcharge_is_on_the_refund_list_and_counts_against_the_store(
        store: StoreKit, reports: PriceReports) -> None:
    """A till that kept an old copy, or typed (retail.md 4.3 rule 9)."""
    await store.time_passes(1)
    for sequence, price in enumerate(("0.99", "1.19", "0.50"), start=1):
        await _sells(store, sequence, "milk", price)
    await _sells(store, 4, "ghost", "1.00")
    report = await reports.accuracy(BUSINESS_DAY, BUSINESS_DAY)
    assert (report.exact, report.over, report.under, report.unknown, report.over_minor) == (1, 1, 1, 1, 20)
    (refund,) = report.refunds
    assert (refund.sequence, refund.sku, refund.charged_minor, refund.refund_minor) == (2, "milk", 119, 20)
    assert (await reports.accuracy("2020-01-01", "2020-12-31")).exact == 0


async def test_a_voided_sale_owes_nobody(store: StoreKit, reports: PriceReports) -> None:
    await store.time_passes(1)
    await _sells(store, 1, "milk", "1.19")
    await store.till().voids(2, 1)
    assert (await reports.accuracy(BUSINESS_DAY, BUSINESS_DAY)).over == 0


async def test_a_held_price_is_listed_with_its_labels_until_they_proved(store: StoreKit, reports: PriceReports) -> None:
    label = store.label("aisle 4")
    await label.shows("milk", "0.99")
    assert reports.holds() == []
    await store.hub.sets_price("milk", "1.09")
    (hold,) = reports.holds()
    assert (hold.sku, hold.list_price_minor, hold.charge_minor, hold.labels) == ("milk", 109, 99, 1)
    assert hold.since_ms is not None
    await label.proves()
    await store.time_passes(store.settle_s + store.policy.grace_s + 2)
    assert reports.holds() == []


async def test_struck_claims_are_counted(store: StoreKit, reports: PriceReports) -> None:
    await store.label("aisle 4").shows("milk", "0.99")
    await store.hub.sets_price("milk", "1.09")
    await store.label("aisle 4").claim_is_voided("milk", "0.99")
    assert (await reports.accuracy(BUSINESS_DAY, BUSINESS_DAY)).claims_struck == 1


async def test_an_offer_that_is_none_is_reported(store: StoreKit, reports: PriceReports) -> None:
    await store.time_passes(1)
    await store.hub.sets_prices({"milk": "0.99"}, entry="offer", priority=1, kind=PriceKind.PROMOTION)
    assert [each.sku for each in reports.not_announced()] == ["milk"]
    await store.hub.sets_prices({"milk": "0.89"}, entry="offer", priority=1, kind=PriceKind.PROMOTION)
    assert reports.not_announced() == []


async def test_what_is_no_day_is_refused(store: StoreKit, reports: PriceReports) -> None:
    from starlette.requests import Request

    comparer = Comparer(store.store, store.prices, store.book, lambda: True)
    handler = report_handlers(reports, comparer, NightlyComparison(store.store, comparer))["report_accuracy"]
    for query in (b"", b"from=2026-11-23", b"from=2026-11-23&to=yesterday", b"from=20261123&to=2026-11-23"):
        with pytest.raises(ProblemAnswer, match="is a date"):
            await handler(Request({"type": "http", "query_string": query, "headers": []}))
