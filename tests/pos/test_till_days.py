"""A till's day: close, high water, and what is missing by name; tills only for themselves."""

import pytest

from edge.pos.access import Role
from tests.store_kit import BUSINESS_DAY, StoreKit


async def high_water(store: StoreKit, till: str = "1", day: str | None = BUSINESS_DAY) -> dict[str, object]:
    async with store.caller(Role.TILL, till) as client:
        answer = await client.get(f"/v1/tills/{till}/high-water", params={"business_day": day} if day else {})
    assert answer.status_code == 200
    body: dict[str, object] = answer.json()
    return body


async def test_a_day_that_agrees_is_closed_without_a_word(store: StoreKit) -> None:
    for sequence in (1, 2, 3):
        await store.till().sells(sequence, "milk", 2)
    answer = (await store.till().closes(1, 3, 3, "6.00")).json()
    assert answer == {"recorded": True, "business_day": BUSINESS_DAY, "count": 3, "total_minor": 600, "agrees": True,
                      "missing": [], "missing_count": 0}
    assert store.exceptions() == []


async def test_missing_sequences_are_asked_for_by_name_until_they_came(store: StoreKit) -> None:
    for sequence in (2, 3, 6):
        await store.till().sells(sequence, "milk")
    answer = (await store.till().closes(1, 8, 8, "8.00")).json()
    assert (answer["agrees"], answer["missing"], answer["missing_count"]) == (False, [1, 4, 5, 7, 8], 5)
    assert store.exceptions() == ["till-close-differs"]
    assert (await store.till().closes(1, 8, 8, "8.00")).json() == answer
    assert store.exceptions() == ["till-close-differs"]

    await store.till().sells(4, "milk")
    assert (await store.till().closes(1, 8, 8, "8.00")).json()["missing"] == [1, 5, 7, 8]
    assert store.exceptions() == ["till-close-differs"]                  # the newest account, not one for each try
    for sequence in (1, 5, 7, 8):
        await store.till().sells(sequence, "milk")
    assert (await store.till().closes(1, 8, 8, "8.00")).json()["agrees"] is True
    assert store.exceptions() == []                                       # it settled itself


@pytest.mark.parametrize(("count", "total"), [(3, "3.01"), (4, "3.00")])
async def test_another_total_or_count_is_for_a_person(store: StoreKit, count: int, total: str) -> None:
    for sequence in (1, 2, 3):
        await store.till().sells(sequence, "milk")
    answer = (await store.till().closes(1, 3, count, total)).json()
    assert (answer["agrees"], answer["missing"]) == (False, [])
    assert store.exceptions() == ["till-close-differs"]


async def test_each_till_and_day_closes_for_itself(store: StoreKit) -> None:
    await store.till(1).sells(1, "milk")
    await store.till(2).sells(1, "milk", 5)
    await store.till(1).sells(2, "milk", day="2026-11-24")
    assert (await store.till(1).closes(1, 1, 1, "1.00")).json()["agrees"] is True
    assert (await store.till(2).closes(1, 1, 1, "5.00")).json()["agrees"] is True
    assert (await store.till(1).closes(2, 2, 1, "1.00", day="2026-11-24")).json()["agrees"] is True


async def test_high_water_tells_a_till_what_to_send_again(store: StoreKit) -> None:
    assert await high_water(store, day=None) == {
        "till": "1", "business_day": "", "first": 0, "last": 0, "count": 0, "missing": [], "ranges": [],
        "settled": True, "clock_ahead_ms": None}
    for sequence in (3, 5, 9):
        await store.till().sells(sequence, "milk")
    expected = {"till": "1", "business_day": BUSINESS_DAY, "first": 3, "last": 9, "count": 3,
                "missing": [4, 6, 7, 8], "ranges": [[4, 4], [6, 8]], "settled": True, "clock_ahead_ms": None}
    assert await high_water(store) == expected
    assert await high_water(store, day=None) == expected
    assert (await high_water(store, day="2026-11-22"))["count"] == 0


async def test_p10_two_sales_ten_thousand_million_apart_cost_no_more_than_two(store: StoreKit) -> None:
    await store.till().sells(0, "milk")
    await store.till().sells(9_999_999_999, "milk")
    answer = await high_water(store)
    assert answer["last"] == 9_999_999_999
    assert answer["missing"] == list(range(1, 1001))


@pytest.mark.parametrize(("first", "last"), [(5, 4), (0, 100_000), (0, 9_999_999_999)])
async def test_p10_a_close_that_is_no_day_is_refused(store: StoreKit, first: int, last: int) -> None:
    answer = await store.till().closes(first, last, 1, "1.00")
    assert answer.status_code == 422
    assert store.entries() == []


@pytest.mark.parametrize("field", ["first", "last", "count"])
async def test_a_close_has_no_negative_numbers(store: StoreKit, field: str) -> None:
    answer = await store.till().closes(**{"first": 1, "last": 2, "count": 2, "total": "1.00", field: -1})  # type: ignore[arg-type]  # one of three numbers
    assert (answer.status_code, answer.json()["recorded"]) == (400, False)


async def test_a_widest_close_names_the_first_thousand_and_counts_the_rest(store: StoreKit) -> None:
    await store.till().sells(50_000, "milk")
    answer = (await store.till().closes(1, 100_000, 100_000, "1.00")).json()
    assert answer["missing"] == list(range(1, 1001))
    assert answer["missing_count"] == 99_999


async def test_p11_a_till_speaks_only_for_itself(store: StoreKit) -> None:
    async with store.caller(Role.TILL, "2") as client:
        answers = [await client.put(f"/v1/transactions/1/{BUSINESS_DAY}/1", json={}),
                   await client.post("/v1/tills/1/close", json={"business_day": BUSINESS_DAY, "first": 1, "last": 1,
                                                                "count": 1, "total_minor": 1}),
                   await client.get("/v1/tills/1/high-water"), await client.get("/v1/tills/1/exceptions")]
    assert [answer.status_code for answer in answers] == [403] * 4
    assert answers[0].json()["recorded"] is False
    assert store.entries() == []


async def test_staff_and_till_see_what_is_odd_about_a_day(store: StoreKit) -> None:
    await store.till().sells(1, "milk", total_minor=99)
    for role, name in ((Role.TILL, "1"), (Role.STAFF, "luis")):
        async with store.caller(role, name) as client:
            answer = await client.get("/v1/tills/1/exceptions", params={"business_day": BUSINESS_DAY})
        assert [row["reason"] for row in answer.json()] == ["total-differs"]
