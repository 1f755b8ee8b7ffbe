"""Tills whose clocks are wrong: their sales count, what is odd about a time is flagged, people are told, and whether a
shopper was charged too much is judged by when it really was."""

from datetime import UTC, datetime
from typing import Any

import httpx

from cloud_sync.contract.facts import Transaction, decode_fact
from edge.db.books import derive_key
from edge.db.connection import connect
from edge.db.pruning import prune
from edge.doctor import in_the_loop
from edge.domain.till_clock import LATE_MS, RUN_MIN, SALES_AGREEING_MIN
from edge.health.till_checks import till_clock_issues
from edge.limits import FACT_KEEP_DAYS, TILL_CLOCK_STEPS_MAX
from edge.pos.access import Role
from edge.prices.reports import PriceReports
from edge.staff.said import in_words
from edge.staff.words import words_of
from tests.store_kit import BUSINESS_DAY, DATABASE_SECRET, StoreKit

AN_HOUR_AND_TWO = 3720
"""Seconds."""


def till_time(store: StoreKit, ahead_s: float) -> str:
    """What a till's clock shows now."""
    return datetime.fromtimestamp(store.clock.wall_ms() / 1000 + ahead_s, UTC).isoformat()


async def sells(store: StoreKit, sequence: int, ahead_s: float, till: int = 1, amount_minor: int = 99,
                **fields: Any) -> httpx.Response:
    line = {"sku": "milk", "quantity_milli": 1000, "amount_minor": amount_minor}
    return await store.till(till).sends(sequence, line, **{"occurred_at": till_time(store, ahead_s), **fields})


async def sells_for_a_while(store: StoreKit, first: int, count: int, ahead_s: float, till: int = 1) -> list[list[str]]:
    """A sale every minute; returns the flags of each."""
    flags = []
    for sequence in range(first, first + count):
        await store.time_passes(60)
        flags.append((await sells(store, sequence, ahead_s, till)).json()["flags"])
    return flags


def issues(store: StoreKit) -> list[str]:
    return [issue.what for issue in till_clock_issues(store.tills.clocks)]


async def high_water(store: StoreKit, till: str = "1") -> dict[str, Any]:
    async with store.caller(Role.TILL, till) as client:
        answer: dict[str, Any] = (await client.get(f"/v1/tills/{till}/high-water")).json()
    return answer


async def test_a_clock_that_is_ahead_is_estimated_shown_and_forgotten_when_it_is_set_right(store: StoreKit) -> None:
    flags = await sells_for_a_while(store, 1, 6, AN_HOUR_AND_TWO)
    assert flags == [["early"]] * SALES_AGREEING_MIN + [[]] * (6 - SALES_AGREEING_MIN)
    assert (await high_water(store))["clock_ahead_ms"] == AN_HOUR_AND_TWO * 1000
    assert issues(store) == ["Till 1's clock is 1 h 02 min ahead"]
    assert store.exceptions() == ["early"], "once for the day, not for each sale"
    assert await sells_for_a_while(store, 7, RUN_MIN, 0) == [["contradictory"]] + [[]] * (RUN_MIN - 1)
    assert issues(store) == []
    assert abs((await high_water(store))["clock_ahead_ms"]) < 1000
    assert store.stock("milk")[0] == -6 - RUN_MIN, "every sale counted"


async def test_what_a_till_said_stands_unaltered_in_the_ledger(store: StoreKit) -> None:
    said = [f"2026-11-23T13:0{minute}:00+01:00" for minute in range(3, 9)]
    for sequence, occurred_at in enumerate(said, start=1):
        await store.time_passes(60)
        await sells(store, sequence, 0, occurred_at=occurred_at)
    assert issues(store) == ["Till 1's clock is 1 h 02 min ahead"]
    kept = [entry.occurred_ms for entry in store.entries() if isinstance(decode_fact(entry.payload), Transaction)]
    assert kept == [datetime.fromisoformat(each).timestamp() * 1000 for each in said]


async def test_the_estimate_outlives_a_restart(store: StoreKit) -> None:
    await sells_for_a_while(store, 1, 4, -AN_HOUR_AND_TWO)
    await store.restarts()
    assert issues(store) == ["Till 1's clock is 1 h 02 min behind"]
    assert (await sells(store, 5, -AN_HOUR_AND_TWO)).json()["flags"] == []
    assert store.tills.clocks.all_ahead_ms().keys() == {"1"}


async def test_a_till_that_was_offline_has_no_wrong_clock(store: StoreKit) -> None:
    await store.time_passes(8 * 3600)
    for sequence in range(1, 40):
        answer = await sells(store, sequence, -8 * 3600 + sequence * 600)
        assert answer.json()["flags"] == []
    assert (issues(store), store.exceptions()) == ([], [])
    assert (await high_water(store))["clock_ahead_ms"] is None


async def test_a_sale_that_comes_in_days_later_is_flagged_and_counts(store: StoreKit) -> None:
    await store.time_passes(LATE_MS / 1000 + 60)
    answers = [await sells(store, sequence, -LATE_MS / 1000 - 30) for sequence in (1, 2)]
    assert [answer.json()["flags"] for answer in answers] == [["late"], ["late"]]
    assert store.exceptions() == ["late"]
    assert store.stock("milk")[0] == -2


async def test_a_time_that_contradicts_its_day_or_its_neighbours_is_flagged_and_counts(store: StoreKit) -> None:
    assert (await sells(store, 1, 0, day="2026-11-25")).json()["flags"] == ["contradictory"]
    assert (await sells(store, 5, 0)).json()["flags"] == []
    assert (await sells(store, 4, -60)).json()["flags"] == [], "what comes in late is in order all the same"
    assert (await sells(store, 6, -1200)).json()["flags"] == ["contradictory"]
    assert (await sells(store, 3, 30)).json()["flags"] == []
    assert store.exceptions() == ["contradictory", "contradictory"], "one for each day"
    assert store.stock("milk")[0] == -5


async def test_against_a_clock_that_is_not_believed_no_till_is_judged(store: StoreKit) -> None:
    await store.time_passes(120)
    store.clock.put_wrong(-AN_HOUR_AND_TWO * 1000)
    await store.power_fails(off_s=10)
    assert await sells_for_a_while(store, 1, 6, AN_HOUR_AND_TWO) == [["clock-untrusted"]] * 6
    assert issues(store) == []


async def test_each_till_has_its_own_clock_and_one_that_sells_no_more_is_forgotten(store: StoreKit) -> None:
    await sells_for_a_while(store, 1, 4, 600, till=1)
    await sells_for_a_while(store, 1, 4, -3 * 86_400, till=2)
    assert issues(store) == ["Till 1's clock is 10 min ahead", "Till 2's clock is 3 d 0 h behind"]
    await store.time_passes(8 * 86_400)
    assert issues(store) == []


async def test_p3_an_overcharge_is_judged_by_when_the_sale_really_was(store: StoreKit) -> None:
    """Milk falls from 0.99 to 0.89 at half past twelve; a till two hours ahead sells it for 0.99 before and after."""
    reports = PriceReports(store.store, store.prices, lambda name: connect(
        store.directory / name, derive_key(DATABASE_SECRET, name), synchronous="NORMAL", read_only=True), in_the_loop)
    await sells_for_a_while(store, 1, 6, 7200)
    report = await reports.accuracy(BUSINESS_DAY, BUSINESS_DAY)
    assert (report.exact, report.over) == (6, 0)
    await store.time_passes(1800)
    await store.hub.sets_price("milk", "0.89")
    await store.time_passes(1200)
    await sells_for_a_while(store, 7, 2, 7200)
    report = await reports.accuracy(BUSINESS_DAY, BUSINESS_DAY)
    assert (report.exact, report.over, report.over_minor) == (6, 2, 20)
    assert [refund.sequence for refund in report.refunds] == [7, 8]


async def test_p10_of_a_clock_that_will_not_stand_still_so_many_changes_are_kept(store: StoreKit) -> None:
    def rows() -> int:
        count: int = store.books.ledger_reader.execute("SELECT COUNT(*) FROM till_clock").fetchone()[0]
        return count

    for change in range(TILL_CLOCK_STEPS_MAX + 3):
        await sells_for_a_while(store, 1 + change * RUN_MIN, RUN_MIN, 600 * (change % 7))
    assert rows() == TILL_CLOCK_STEPS_MAX
    later_ms = store.clock.wall_ms() + (FACT_KEEP_DAYS + 1) * 86_400_000
    await store.books.ledger.submit(lambda connection: prune(connection, store.books.chain, later_ms, 0, 1000))
    assert rows() == 1, "how the clock is now is never too old"


async def test_what_people_are_told_of_a_clock_is_said_in_spanish(store: StoreKit) -> None:
    await sells_for_a_while(store, 1, 4, AN_HOUR_AND_TWO)
    (issue,) = till_clock_issues(store.tills.clocks)
    spanish = words_of("es")
    assert in_words(issue.what, spanish) == "El reloj de la caja 1 va adelantado 1 h 02 min."
    assert in_words(issue.action, spanish) != issue.action
