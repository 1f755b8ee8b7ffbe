"""What was kept long enough goes, a little at a time; what the hub has not acknowledged never does (P1, P10)."""

from itertools import pairwise

import pytest

from cloud_sync.contract.ledger import chain_breaks_at
from edge.db.ledger import entries_after
from tests.store_kit import StoreKit

DAY_S = 86_400


async def days_pass(store: StoreKit, days: int) -> None:
    """Switched off for so long: the calendar counts, and nobody waits for every minute of it."""
    await store.power_fails(days * DAY_S)
    store.store.acked_sequence = len_of_ledger(store)
    await store.time_passes(120)


def len_of_ledger(store: StoreKit) -> int:
    count: int = store.books.ledger_reader.execute("SELECT COALESCE(MAX(sequence), 0) FROM entry").fetchone()[0]
    return count


def _now(store: StoreKit) -> dict[str, str]:
    """What a till says of its sale's time."""
    moment = store.store.local(store.clock.wall_ms())
    return {"day": moment.date().isoformat(), "occurred_at": moment.isoformat()}


def rows(store: StoreKit, table: str) -> int:
    count: int = store.books.ledger_reader.execute(f"SELECT COUNT(*) FROM {table}").fetchone()[0]
    return count


async def test_p10_acknowledged_entries_go_after_35_days_and_the_chain_hangs_on_its_anchor(store: StoreKit) -> None:
    for sequence in range(1, 11):
        await store.till().sells(sequence, "milk")
    await days_pass(store, 34)
    assert rows(store, "entry") == 10
    await days_pass(store, 2)
    assert rows(store, "entry") == 1
    assert (await store.till().sells(1, "milk")).json()["sequence"] == 1        # still known as a repeat
    assert (await store.till().sells(11, "milk", **_now(store))).json()["sequence"] == 11
    stretch = await store.intake.entries_after(10, 100)
    assert stretch is not None
    assert [entry.sequence for entry in stretch.entries] == [11]
    assert await store.intake.entries_after(9, 100) is None
    assert await store.intake.entries_after(0, 100) is None


async def test_p10_a_chain_is_verified_from_its_anchor_and_a_changed_entry_behind_it_is_found(store: StoreKit) -> None:
    for sequence in range(1, 11):
        await store.till().sells(sequence, "milk")
    await days_pass(store, 36)
    for sequence in range(11, 16):
        await store.till().sells(sequence, "milk", **_now(store))
    anchor, entries = entries_after(store.books.ledger_reader, store.books.chain, 10, 1000)
    assert [entry.sequence for entry in entries] == [11, 12, 13, 14, 15]
    assert chain_breaks_at("0042", store.books.chain.epoch, anchor, entries) is None
    await store.books.ledger.submit(lambda connection: connection.execute(
        "UPDATE entry SET payload = CAST(REPLACE(CAST(payload AS TEXT), 'milk', 'silk') AS BLOB) WHERE sequence = 13"))
    anchor, entries = entries_after(store.books.ledger_reader, store.books.chain, 10, 1000)
    assert chain_breaks_at("0042", store.books.chain.epoch, anchor, entries) == 13


async def test_p10_forgetting_goes_in_bounded_slices(store: StoreKit, monkeypatch: pytest.MonkeyPatch) -> None:
    """No commit forgets more than its bound, and the rounds together forget everything."""
    monkeypatch.setattr("edge.forgetting.HOUSEKEEPING_BATCH_MAX", 4)
    for sequence in range(1, 31):
        await store.till().sells(sequence, "milk")
    await store.till().closes(1, 40, 40, "40.00")
    await store.power_fails(401 * DAY_S)
    store.store.acked_sequence = len_of_ledger(store)
    left = [tuple(rows(store, table) for table in ("entry", "fact", "exception", "till_day"))]
    while left[-1][:1] != (1,) or left[-1] != left[-2]:
        await store.time_passes(30)
        left.append(tuple(rows(store, table) for table in ("entry", "fact", "exception", "till_day")))
        assert len(left) < 100
    assert all(0 <= earlier - later <= 4 for before, after in pairwise(left)
               for earlier, later in zip(before, after, strict=True))
    assert left[-1] == (1, 1, 0, 0), "the anchor, and that it was seen"


async def test_p1_what_the_hub_did_not_acknowledge_stays_however_old(store: StoreKit) -> None:
    for sequence in range(1, 11):
        await store.till().sells(sequence, "milk")
    await store.power_fails(500 * DAY_S)
    store.store.acked_sequence = 4
    await store.time_passes(120)
    assert [entry.sequence for entry in store.entries()] == list(range(4, 11))
    assert (await store.till().sells(10, "milk")).json()["sequence"] == 10
    assert rows(store, "fact") == 7


async def test_p2_a_repeat_is_known_for_400_days(store: StoreKit) -> None:
    first = await store.till().sells(1, "milk")
    await store.till().voids(2, 7)
    await days_pass(store, 36)
    await days_pass(store, 363)
    assert (await store.till().sells(1, "milk")).content == first.content
    await days_pass(store, 2)
    assert (rows(store, "fact"), rows(store, "voided"), rows(store, "exception"), rows(store, "till_day")) == (
        rows(store, "entry"), 0, 0, 0)


async def test_p10_a_price_history_is_as_long_as_it_must_be(store: StoreKit) -> None:
    for price in ("1.09", "1.19"):
        await store.hub.sets_price("milk", price)
    await days_pass(store, 401)
    await store.hub.sets_price("milk", "1.29")
    prices = store.books.ledger_reader.execute(
        "SELECT charge_minor FROM price_interval WHERE sku = 'milk' ORDER BY from_ms").fetchall()
    assert prices == [(119,), (129,)]                    # what held when the 400 days began is part of them


async def test_a_clock_that_is_not_believed_forgets_nothing(store: StoreKit) -> None:
    await store.till().sells(1, "milk")
    await store.till().sells(2, "milk")
    store.store.acked_sequence = 2
    store.clock.put_wrong(500 * DAY_S * 1000)
    await store.time_passes(2 * 3600)
    assert rows(store, "entry") == 2


async def test_an_idle_store_writes_only_its_clock(store: StoreKit) -> None:
    """Flash wears by what is written, and every write is an fsync."""
    await store.label("aisle 4").shows("milk", "0.99")
    await store.time_passes(900)  # the day's recount begins an hour after the start, and is over by then
    commits: list[str] = []
    for connection in store.books._connections:
        connection.set_trace_callback(lambda statement: commits.append(statement) if statement == "COMMIT" else None)
    await store.time_passes(600)
    assert len(commits) <= 600 / 30 + 1
