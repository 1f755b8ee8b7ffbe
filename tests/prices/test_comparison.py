"""Hub, till and proven label, on demand and after every business day (DESIGN.md section 5, retail.md 4.3 rule 8)."""

import asyncio
from dataclasses import dataclass

import pytest

from cloud_sync.contract.documents import PriceKind
from edge.health.comparison_checks import comparison_issues
from edge.limits import COMPARISON_AGAIN_S, COMPARISON_LOOK_S
from edge.prices.comparison import Comparer, NightlyComparison
from tests.store_kit import BUSINESS_DAY, MONDAY_NOON_MS, StoreKit

HOUR_MS = 3_600_000


@dataclass
class Rig:
    """A store's comparison; the line says what the test says."""

    store: StoreKit
    hub_agrees: bool | None = True

    def __post_init__(self) -> None:
        self.comparer = Comparer(self.store.store, self.store.prices, self.store.book, lambda: self.hub_agrees)
        self.nightly = self.begins()

    def begins(self) -> NightlyComparison:
        return NightlyComparison(self.store.store, self.comparer)

    async def comes_to(self, hour_of_tuesday: float) -> None:
        """The night goes by while the part runs."""
        part = asyncio.create_task(self.nightly.run())
        moment_ms = MONDAY_NOON_MS + int((12 + hour_of_tuesday) * HOUR_MS)
        await self.store.time_passes((moment_ms - self.store.clock.wall_ms()) / 1000)
        part.cancel()
        await asyncio.gather(part, return_exceptions=True)


@pytest.fixture
def rig(store: StoreKit) -> Rig:
    return Rig(store)


async def test_hub_till_and_shelf_are_compared(rig: Rig) -> None:
    store = rig.store
    await store.label("aisle 4").shows("milk", "0.99")
    await store.label("aisle 5").hangs_under("bread")
    found = await rig.comparer.compare()
    assert (found.labels, found.agree, found.wait, found.differ, found.hub_agrees) == (1, 1, 0, 0, True)

    await store.hub.sets_price("milk", "1.09")
    found = await rig.comparer.compare()
    (mismatch,) = found.mismatches
    assert (mismatch.proven_minor, mismatch.charge_minor, mismatch.list_price_minor) == (99, 99, 109)
    assert (found.agree, found.wait, found.differ) == (0, 1, 0), "an increase waits, which is as it should be"

    await store.label("aisle 4").proves()
    await store.hub.sets_price("milk", "0.89")
    found = await rig.comparer.compare()
    assert (found.wait, found.differ, found.mismatches[0].proven_minor) == (0, 1, 109), "the shelf asks too much"


async def test_a_price_that_only_a_dead_label_still_shows_differs(rig: Rig) -> None:
    """The printed last day is over: the till asks more than a label that nobody took down."""
    await rig.store.label("aisle 4").shows("milk", "0.99")
    await rig.store.hub.sets_prices({"milk": "0.79"}, entry="offer", priority=1, kind=PriceKind.PROMOTION,
                                    until_ms=MONDAY_NOON_MS + 12 * HOUR_MS)
    await rig.store.label("aisle 4").proves()
    await rig.comes_to(3.5)
    night = rig.nightly.nights(9)[0]
    assert (night.business_day, night.comparison.differ) == (BUSINESS_DAY, 1)
    (issue,) = comparison_issues(rig.nightly)
    assert "aisle 4" in issue.what


async def test_the_night_is_compared_once_and_stays_on_record_over_a_restart(rig: Rig) -> None:
    await rig.store.label("aisle 4").shows("milk", "0.99")
    await rig.comes_to(2.9)
    before = [night.business_day for night in rig.nightly.nights(9)]
    assert before == ["2026-11-22"], "what no box had compared when it began"
    await rig.comes_to(3.1)
    assert [night.business_day for night in rig.nightly.nights(9)] == [BUSINESS_DAY, "2026-11-22"]
    made_at = rig.nightly.nights(1)[0].comparison.made_at
    rig.nightly = rig.begins()
    await rig.comes_to(9)
    assert rig.nightly.nights(1)[0].comparison.made_at == made_at
    assert rig.nightly.latest is not None


async def test_the_issue_ends_by_itself_and_the_night_stays_as_it_was(rig: Rig) -> None:
    label = rig.store.label("aisle 4")
    await label.shows("milk", "1.09")
    await rig.store.hub.sets_price("milk", "0.89")
    await rig.comes_to(3.1)
    assert [issue.key for issue in comparison_issues(rig.nightly)] == ["prices-differ"]
    await label.proves()
    await rig.comes_to(3.1 + (COMPARISON_AGAIN_S + 2 * COMPARISON_LOOK_S) / 3600)
    assert list(comparison_issues(rig.nightly)) == []
    assert rig.nightly.nights(1)[0].comparison.differ == 1


async def test_a_clock_that_is_not_believed_names_no_night(rig: Rig) -> None:
    rig.store.clock.put_wrong(48 * HOUR_MS)
    rig.store.store.clock.check()
    await rig.nightly.look()
    assert rig.nightly.nights(9) == []
