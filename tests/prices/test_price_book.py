"""The price book for tills that keep a copy, and the shelf that waits for them (DESIGN.md sections 5 and 8)."""

from typing import Any

import httpx
import msgspec
import pytest

from edge.limits import TILL_COPY_KEEP_DAYS, TILL_COPY_LATE_S
from edge.pos.access import Role
from edge.prices import price_book
from tests.store_kit import StoreKit

Lines = list[dict[str, Any]]


class CopyingTill:
    """A till that keeps a copy of the book, as its maker would write it."""

    def __init__(self, store: StoreKit, till: str = "7") -> None:
        self.store = store
        self.till = till
        self.version = ""
        self.copy: dict[str, dict[str, Any]] = {}

    async def loads(self) -> Lines:
        async with self.store.caller(Role.TILL, self.till) as client:
            answer = await client.get("/v1/pricebook", params={"since": self.version} if self.version else {})
        head, *lines, end = [msgspec.json.decode(line) for line in answer.text.splitlines()]
        assert end["count"] == len(lines)
        if head["whole"]:
            self.copy.clear()
        for line in lines:
            if line.get("gone"):
                self.copy.pop(line["sku"], None)
            else:
                self.copy[line["sku"]] = line
        self.version = end["version"]
        return lines

    async def acknowledges(self, version: str | None = None) -> httpx.Response:
        async with self.store.caller(Role.TILL, self.till) as client:
            answer = await client.post(f"/v1/tills/{self.till}/pricebook",
                                       json={"version": self.version if version is None else version})
        await self.store.a_moment()
        return answer

    async def is_up_to_date(self) -> None:
        await self.loads()
        assert (await self.acknowledges()).status_code == 200


async def test_a_copy_holds_what_a_lookup_says(store: StoreKit) -> None:
    till = CopyingTill(store)
    await till.loads()
    assert {sku: line["charge_minor"] for sku, line in till.copy.items()} == {"milk": 99, "bread": 189}
    assert till.copy["milk"]["codes"]
    await store.hub.sets_price("milk", "1.09")
    assert [line["sku"] for line in await till.loads()] == ["milk"]
    assert till.copy["milk"]["charge_minor"] == 109
    assert await till.loads() == []
    await store.hub.removes_price("milk")
    assert await till.loads() == [{"sku": "milk", "gone": True}]
    assert set(till.copy) == {"bread"}


async def test_p3_a_copy_gets_an_increase_only_when_the_shelf_has_shown_it_long_enough(store: StoreKit) -> None:
    till, label = CopyingTill(store), store.label("aisle 4")
    await label.shows("milk", "0.99")
    await till.is_up_to_date()
    await store.hub.sets_price("milk", "1.09")
    await till.is_up_to_date()
    assert till.copy["milk"]["charge_minor"] == 99
    assert till.copy["milk"]["held_low"]
    await label.proves()
    await store.time_passes(store.settle_s + store.policy.grace_s + 2)
    await till.is_up_to_date()
    assert till.copy["milk"]["charge_minor"] == 109


async def test_p3_a_decrease_goes_to_the_label_once_every_copy_has_it(store: StoreKit) -> None:
    tills, label = [CopyingTill(store, "7"), CopyingTill(store, "8")], store.label("aisle 4")
    await label.shows("milk", "0.99")
    for till in tills:
        await till.is_up_to_date()
    await store.hub.sets_price("milk", "0.89")
    assert store.till().asks("milk") == "0.89", "who asks gets it at once"
    assert label.is_offered() == "0.99"
    await tills[0].is_up_to_date()
    assert label.is_offered() == "0.99"
    await tills[1].is_up_to_date()
    assert label.is_offered() == "0.89"


async def test_p3_an_old_acknowledgement_releases_nothing(store: StoreKit) -> None:
    till, label = CopyingTill(store), store.label("aisle 4")
    await label.shows("milk", "0.99")
    await till.is_up_to_date()
    await store.hub.sets_price("milk", "0.89")
    await till.acknowledges()
    assert label.is_offered() == "0.99"
    await till.is_up_to_date()
    assert label.is_offered() == "0.89"


async def test_a_shop_does_not_wait_for_a_till_that_is_off(store: StoreKit) -> None:
    till, label = CopyingTill(store), store.label("aisle 4")
    await label.shows("milk", "0.99")
    await till.is_up_to_date()
    await store.hub.sets_price("milk", "0.89")
    await store.time_passes(store.policy.till_ack_wait_s - 2)
    assert label.is_offered() == "0.99"
    await store.time_passes(3)
    assert label.is_offered() == "0.89"
    await store.time_passes(TILL_COPY_LATE_S)
    assert [copy.till for copy in store.book.late()] == ["7"]
    await till.is_up_to_date()
    assert store.book.late() == []


async def test_an_increase_waits_for_no_copy(store: StoreKit) -> None:
    till, label = CopyingTill(store), store.label("aisle 4")
    await label.shows("milk", "0.99")
    await till.is_up_to_date()
    await store.hub.sets_price("milk", "1.09")
    assert label.is_offered() == "1.09"


async def test_a_label_waits_for_copies_also_after_a_restart(store: StoreKit) -> None:
    till, label = CopyingTill(store), store.label("aisle 4")
    await label.shows("milk", "0.99")
    await till.is_up_to_date()
    await store.hub.sets_price("milk", "0.89")
    await store.restarts()
    await store.time_passes(store.policy.till_ack_wait_s / 2)
    assert label.is_offered() == "0.99"
    await till.is_up_to_date()
    assert label.is_offered() == "0.89"


async def test_p3_a_copy_hears_of_a_change_that_came_in_the_last_moment_before_the_store_was_killed(
        store: StoreKit) -> None:
    """The replica had it, and nobody had written down that the book changed."""
    till, label = CopyingTill(store), store.label("aisle 4")
    await label.shows("milk", "0.99")
    await till.is_up_to_date()
    await store.parts_stop()
    await store.hub.sets_price("milk", "0.89")
    await store.restarts()
    await store.a_moment()
    assert label.is_offered() == "0.99", "the till does not have it yet"
    await till.is_up_to_date()
    assert till.copy["milk"]["charge_minor"] == 89
    assert label.is_offered() == "0.89"


async def test_a_start_without_news_is_none_for_copies(store: StoreKit) -> None:
    till = CopyingTill(store)
    await till.is_up_to_date()
    await store.restarts()
    await store.time_passes(5)
    assert await till.loads() == []


async def test_a_till_that_keeps_no_copy_any_more_is_not_waited_for(store: StoreKit) -> None:
    till, label = CopyingTill(store), store.label("aisle 4")
    await label.shows("milk", "0.99")
    await till.is_up_to_date()
    await store.hub.sets_price("milk", "0.89")
    assert (await till.acknowledges("")).json() == {"till": "7", "version": "", "acked_ms": 0}
    assert label.is_offered() == "0.89"


async def test_one_that_was_silent_for_a_week_keeps_none(store: StoreKit) -> None:
    till, label = CopyingTill(store), store.label("aisle 4")
    await label.shows("milk", "0.99")
    await till.is_up_to_date()
    await store.time_passes((TILL_COPY_KEEP_DAYS + 1) * 86_400)
    await store.hub.sets_price("milk", "0.89")
    assert label.is_offered() == "0.89"


async def test_a_version_of_another_life_of_the_box_is_answered_with_the_whole_book(store: StoreKit) -> None:
    till = CopyingTill(store)
    till.version, till.copy["ghost"] = "99.5", {}
    await till.loads()
    assert set(till.copy) == {"milk", "bread"}
    for version in ("99.5", "1.999999", "rubbish", "1.-1", "1." + "9" * 40, "."):
        assert (await till.acknowledges(version)).status_code == 422
    assert store.book.copies() == []


async def test_p11_a_till_acknowledges_only_for_itself(store: StoreKit) -> None:
    async with store.caller(Role.TILL, "7") as client:
        assert (await client.post("/v1/tills/8/pricebook", json={"version": "1.0"})).status_code == 403
    async with store.stranger() as client:
        assert (await client.get("/v1/pricebook")).status_code == 401
    async with store.caller(Role.LOOKUP_ONLY) as client:
        assert (await client.get("/v1/pricebook")).status_code == 200
        assert (await client.post("/v1/tills/7/pricebook", json={"version": ""})).status_code == 403


async def test_what_changes_while_the_book_is_loaded_comes_with_the_next_call(
        store: StoreKit, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(price_book, "BOOK_LINES_AT_ONCE", 1)
    loading = store.book.lines("")
    lines = [msgspec.json.decode(await anext(loading)) for _ in range(2)]
    await store.hub.sets_prices({"milk": "1.09", "bread": "1.99"})
    lines += [msgspec.json.decode(line) async for line in loading]
    till = CopyingTill(store)
    till.version = lines[-1]["version"]
    assert {line["sku"]: line["charge_minor"] for line in await till.loads()} == {"milk": 109, "bread": 199}


async def test_p10_so_many_tills_keep_a_copy_at_most(store: StoreKit, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(price_book, "TILL_COPIES_MAX", 1)
    await CopyingTill(store, "7").is_up_to_date()
    other = CopyingTill(store, "8")
    await other.loads()
    assert (await other.acknowledges()).status_code == 422
    await CopyingTill(store, "7").is_up_to_date()
