"""Counts: the figure at the moment of counting, late sales, large differences, and sessions (DESIGN.md section 9)."""

from typing import Any

import httpx
import pytest

from cloud_sync.contract.facts import Count, CountReviewed, decode_fact
from edge.pos.access import Role
from tests.store_kit import MONDAY_NOON_MS, StoreKit, gtin_of

LATE = "2026-11-23T{}+01:00"


async def posts(store: StoreKit, path: str, body: dict[str, Any], role: Role = Role.STAFF) -> httpx.Response:
    async with store.caller(role, "ana") as client:
        return await client.post(path, json=body)


async def counts(store: StoreKit, count_id: str, sku: str, pieces: int, **fields: Any) -> httpx.Response:
    line = {"sku": sku, "counted_milli": pieces * 1000, **fields}
    return await posts(store, "/v1/counts", {"count_id": count_id, "lines": [line]})


async def waiting(store: StoreKit) -> list[dict[str, Any]]:
    async with store.caller(Role.SUPERVISOR, "eva") as client:
        return (await client.get("/v1/counts/waiting")).json()


async def reviews(store: StoreKit, act_id: str, count_id: str, sku: str, approve: bool) -> httpx.Response:
    body = {"act_id": act_id, "count_id": count_id, "sku": sku, "approve": approve, "reason": "broken pallet"}
    return await posts(store, "/v1/counts/review", body, Role.SUPERVISOR)


async def test_p2_a_sale_older_than_the_count_that_arrives_later_does_not_change_it(store: StoreKit) -> None:
    """Sold at 11:50, counted at noon, sent at five past: what was counted stands (section 9)."""
    await store.receives("milk", 10)
    await counts(store, "noon", "milk", 8)
    await store.time_passes(300)
    await store.till().sells(1, "milk", 2, occurred_at=LATE.format("11:50:00"))

    assert store.stock("milk") == (8, 0, 0, 0)
    await store.till().sells(2, "milk", 1, occurred_at=LATE.format("12:04:00"))
    assert store.stock("milk") == (7, 0, 0, 0)
    for sequence, at in ((1, "11:50:00"), (2, "12:04:00")):
        await store.till().sells(sequence, "milk", 3 - sequence, occurred_at=LATE.format(at))
    assert store.stock("milk") == (7, 0, 0, 0), "sent again they change nothing"


async def test_p2_a_count_that_is_sent_later_is_held_against_the_book_of_its_own_moment(store: StoreKit) -> None:
    """Counted at noon without a line, two sold at five past, sent at ten past."""
    await store.receives("milk", 10)
    await store.time_passes(300)
    await store.till().sells(1, "milk", 2, occurred_at=LATE.format("12:05:00"))
    await store.time_passes(300)

    assert (await counts(store, "noon", "milk", 10, counted_ms=MONDAY_NOON_MS + 60_000)).status_code == 201
    assert store.stock("milk") == (8, 0, 0, 0), "all were there at noon, two were sold since"
    [fact] = [fact for fact in map(decode, store.entries()) if isinstance(fact, Count)]
    assert (fact.lines[0].counted_milli, fact.lines[0].expected_milli) == (10_000, 10_000)


def decode(entry: Any) -> Any:
    return decode_fact(entry.payload)


async def test_a_void_of_a_late_sale_leaves_the_count_as_it_was_too(store: StoreKit) -> None:
    await store.receives("milk", 10)
    await counts(store, "noon", "milk", 9)
    await store.time_passes(600)
    await store.till().voids(2, 1, occurred_at=LATE.format("11:40:00"))  # its sale has not come yet
    await store.till().sells(1, "milk", 2, occurred_at=LATE.format("11:39:00"))
    assert store.stock("milk") == (9, 0, 0, 0)

    await store.till().sells(3, "milk", 2, occurred_at=LATE.format("11:45:00"))
    await store.till().voids(4, 3, occurred_at=LATE.format("12:05:00"))
    assert store.stock("milk") == (11, 0, 0, 0), "the goods came back after the count"


async def test_an_older_count_that_arrives_later_moves_nothing(store: StoreKit) -> None:
    await store.receives("milk", 10)
    await store.time_passes(600)
    await counts(store, "second", "milk", 8)
    await counts(store, "first", "milk", 5, counted_ms=MONDAY_NOON_MS + 60_000)
    assert store.stock("milk") == (8, 0, 0, 0)
    assert [row.state for row in store.desk.counts.lines("first")] == ["outdated"]


async def test_a_late_sale_of_about_the_counts_own_moment_is_shown_to_a_person(store: StoreKit) -> None:
    await store.receives("milk", 10)
    await store.time_passes(300)
    await counts(store, "five past", "milk", 8)
    await store.time_passes(600)
    await store.till().sells(1, "milk", 2, occurred_at=LATE.format("12:04:40"))
    assert store.stock("milk") == (8, 0, 0, 0)
    assert store.exceptions() == ["count-uncertain"]


async def test_goods_put_aside_count_only_where_their_place_was_counted(store: StoreKit) -> None:
    from cloud_sync.contract.pickup import Step
    await store.receives("milk", 10)
    await store.hub.places_order("o-1", {"milk": 3})
    await store.takes_step("o-1", Step.PICK)
    assert store.stock("milk") == (7, 0, 3, 0)
    await counts(store, "shelf", "milk", 6)
    assert store.stock("milk") == (6, 0, 3, 0)
    await counts(store, "all", "milk", 9, with_staged=True)
    assert store.stock("milk") == (6, 0, 3, 0)


@pytest.mark.parametrize(("counted", "difference"), [(89, -11), (50, -50)])
async def test_a_large_difference_waits_and_the_counter_is_told_nothing_of_it(store: StoreKit, counted: int,
                                                                            difference: int) -> None:
    await store.receives("milk", 100)
    answer = await counts(store, "monday", "milk", counted)
    assert answer.status_code == 201
    assert set(answer.json()) == {"recorded", "fact_key", "epoch", "sequence", "flags"}
    assert store.stock("milk") == (100, 0, 0, 0)
    [row] = await waiting(store)
    assert (row["difference_milli"], row["difference_minor"]) == (difference * 1000, difference * 99)
    async with store.caller(Role.STAFF, "ana") as client:
        assert (await client.get("/v1/counts/waiting")).status_code == 403


async def test_value_alone_makes_a_difference_large(store: StoreKit) -> None:
    await store.hub.has_items("watch")
    await store.hub.sets_price("watch", "50.01")
    await store.receives("watch", 3)
    await counts(store, "monday", "watch", 2)
    assert store.stock("watch") == (3, 0, 0, 0)
    assert len(await waiting(store)) == 1


async def test_p2_an_approved_difference_moves_stock_against_the_moment_of_counting(store: StoreKit) -> None:
    """Between count and approval two are sold, and two more sales of before the count come in late."""
    await store.receives("milk", 100)
    await store.time_passes(600)
    await counts(store, "ten past", "milk", 50)
    await store.time_passes(600)
    await store.till().sells(1, "milk", 2, occurred_at=LATE.format("12:15:00"))
    await store.till().sells(2, "milk", 4, occurred_at=LATE.format("12:05:00"))
    assert store.stock("milk") == (94, 0, 0, 0), "nothing was decided yet"
    assert [row["expected_milli"] for row in await waiting(store)] == [96_000]

    first = await reviews(store, "act-1", "ten past", "milk", approve=True)
    assert first.status_code == 201
    assert store.stock("milk") == (48, 0, 0, 0), "50 at ten past, two sold since"
    assert (await reviews(store, "act-1", "ten past", "milk", approve=True)).content == first.content
    again = await reviews(store, "act-2", "ten past", "milk", approve=True)
    assert (again.status_code, again.json()["type"]) == (409, "urn:trastienda:problem:out-of-date")
    assert store.stock("milk") == (48, 0, 0, 0)
    await store.till().sells(3, "milk", 1, occurred_at=LATE.format("12:01:00"))
    assert store.stock("milk") == (48, 0, 0, 0), "an approved count stands as any"


async def test_a_difference_sent_to_be_counted_again_stands_in_a_session(store: StoreKit) -> None:
    await store.receives("milk", 100)
    await counts(store, "monday", "milk", 50)
    assert (await reviews(store, "act-1", "monday", "milk", approve=False)).status_code == 201
    assert store.stock("milk") == (100, 0, 0, 0)
    assert await waiting(store) == []
    [session] = store.desk.sessions.open_ones()
    assert store.desk.sessions.view(session.session_id).uncounted == ("milk",)

    path = f"/v1/count-sessions/{session.session_id}"
    await posts(store, f"{path}/scans", {"scan_id": "s-1", "code": "milk", "quantity_milli": 99_000, "sets": True})
    assert (await posts(store, f"{path}/submit", {})).json() == {
        "recorded": True, "count_ids": [session.session_id], "waiting": 0}
    assert store.stock("milk") == (99, 0, 0, 0)


async def test_a_newer_count_settles_one_that_waits(store: StoreKit) -> None:
    await store.receives("milk", 100)
    await counts(store, "monday", "milk", 50)
    await store.time_passes(60)
    await counts(store, "again", "milk", 98)
    assert store.stock("milk") == (98, 0, 0, 0)
    assert await waiting(store) == []
    assert (await reviews(store, "act-1", "monday", "milk", approve=True)).status_code == 409


async def test_p1_a_waiting_difference_survives_a_restart_and_is_approved_once(store: StoreKit) -> None:
    await store.receives("milk", 100)
    await counts(store, "monday", "milk", 50)
    await store.restarts()
    assert len(await waiting(store)) == 1
    await reviews(store, "act-1", "monday", "milk", approve=True)
    await store.restarts()
    await reviews(store, "act-1", "monday", "milk", approve=True)
    assert store.stock("milk") == (50, 0, 0, 0)
    assert [type(fact) for fact in map(decode, store.entries())].count(CountReviewed) == 1


@pytest.mark.parametrize("counted_ms", [MONDAY_NOON_MS - 3 * 86_400_000, MONDAY_NOON_MS + 3_600_000])
async def test_a_count_of_another_time_is_refused(store: StoreKit, counted_ms: int) -> None:
    assert (await counts(store, "odd", "milk", 1, counted_ms=counted_ms)).status_code == 422
    assert store.entries() == []


# --- sessions ---------------------------------------------------------------------------------------------------


async def opens(store: StoreKit, session_id: str = "aisle-4", **fields: Any) -> httpx.Response:
    return await posts(store, "/v1/count-sessions", {"session_id": session_id, **fields})


async def scans(store: StoreKit, scan_id: str, code: str, milli: int = 1000, session: str = "aisle-4",
                **fields: Any) -> httpx.Response:
    body = {"scan_id": scan_id, "code": code, "quantity_milli": milli, **fields}
    return await posts(store, f"/v1/count-sessions/{session}/scans", body)


async def test_p2_scans_count_once_by_code_by_hand_and_at_several_places(store: StoreKit) -> None:
    await store.receives("milk", 9)
    await opens(store)
    for scan_id in ("1", "2", "2", "3"):
        assert (await scans(store, scan_id, gtin_of("milk"))).json() == {"recorded": True, "sku": "milk"}
    await scans(store, "4", "milk", -1000)
    await scans(store, "5", "milk", 5000, place="back room", sets=True)
    await scans(store, "6", "bread", 0, sets=True)
    assert (await scans(store, "7", "0000000000000")).json() == {"recorded": True, "sku": ""}
    assert (await scans(store, "1", "bread")).status_code == 409

    async with store.caller(Role.STAFF) as client:
        seen = (await client.get("/v1/count-sessions/aisle-4")).json()
    assert [(line["sku"], line["counted_milli"]) for line in seen["counted"]] == [("bread", 0), ("milk", 7000)]
    assert seen["unmatched"] == ["0000000000000"]
    assert "expected" not in str(seen), "who counts is told nothing of the book"
    for _ in range(2):
        answer = await posts(store, "/v1/count-sessions/aisle-4/submit", {})
        assert answer.status_code == 201
    assert store.stock("milk") == (7, 0, 0, 0)
    assert (await scans(store, "8", "milk")).status_code == 409


async def test_p1_scans_survive_a_power_cut_in_the_middle(store: StoreKit) -> None:
    await store.receives("milk", 3)
    await opens(store)
    await scans(store, "1", "milk")
    await store.power_fails(30)
    await scans(store, "2", "milk")
    await posts(store, "/v1/count-sessions/aisle-4/submit", {})
    assert store.stock("milk") == (2, 0, 0, 0)


async def test_what_a_full_count_did_not_find_is_not_there_if_a_person_says_so(store: StoreKit) -> None:
    await store.receives("milk", 3)
    await store.receives("bread", 2)
    await opens(store, how="full")
    await scans(store, "1", "milk", 3000)
    assert store.desk.sessions.view("aisle-4").uncounted == ("bread",)
    await posts(store, "/v1/count-sessions/aisle-4/submit", {"rest_is_none": True})
    assert (store.stock("milk"), store.stock("bread")) == ((3, 0, 0, 0), (0, 0, 0, 0))


async def test_a_directed_count_names_what_is_left_and_leaves_it_alone(store: StoreKit) -> None:
    await store.receives("bread", 2)
    assert (await opens(store, how="directed")).status_code == 422
    await opens(store, how="directed", skus=["milk", "bread"])
    await scans(store, "1", "milk", 0, sets=True)
    await posts(store, "/v1/count-sessions/aisle-4/submit", {})
    assert store.stock("bread") == (2, 0, 0, 0)


async def test_a_long_session_becomes_several_facts_and_goes_on_after_a_crash(
        store: StoreKit, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edge.stock.count_sessions.COUNT_LINES_AT_ONCE", 1)
    await store.receives("milk", 3)
    await store.receives("bread", 3)
    await opens(store)
    await scans(store, "1", "milk")
    await scans(store, "2", "bread")
    taking, taken = store.desk.counts.take, []

    async def breaks_at_the_second(request: Any) -> bytes:
        if taken:
            raise RuntimeError("the power is gone")
        taken.append(request)
        return await taking(request)

    store.desk.counts.take = breaks_at_the_second  # type: ignore[method-assign]
    with pytest.raises(RuntimeError):
        await store.desk.sessions.submit("aisle-4", "ana")
    await store.restarts()
    assert (await scans(store, "3", "milk")).status_code == 409, "what was begun is ended as it was"
    assert await store.desk.sessions.submit("aisle-4", "ana") == ["aisle-4", "aisle-4.2"]
    assert (store.stock("milk"), store.stock("bread")) == ((1, 0, 0, 0), (1, 0, 0, 0))


async def test_a_session_given_up_counts_nothing(store: StoreKit) -> None:
    await store.receives("milk", 3)
    await opens(store)
    await scans(store, "1", "milk")
    assert (await posts(store, "/v1/count-sessions/aisle-4/give-up", {})).status_code == 204
    assert (await posts(store, "/v1/count-sessions/aisle-4/submit", {})).status_code == 409
    assert store.stock("milk") == (3, 0, 0, 0)
    assert (await posts(store, "/v1/count-sessions/nowhere/submit", {})).status_code == 404
