"""What is given up when the disk fills, in which order, and that everything comes back (DESIGN.md section 4, P10)."""

from collections.abc import Iterator
from itertools import pairwise

import pytest
import structlog
from structlog.typing import EventDict

from drivers.port import Telemetry
from edge import logs
from edge.db.ledger import head
from edge.disk_budget import BOUNDS, DiskBudget, Shed, shed_at
from edge.errors import Transient
from edge.limits import (
    BATTERY_STEP_MV,
    DISK_BACK_PERCENT,
    HISTORY_EVERY_S,
    PICTURES_PER_LABEL_MAX,
    PICTURES_SHED_KEEP,
    PRICES_SHED_KEEP_DAYS,
    PRUNE_EVERY_S,
    TELEMETRY_ALL_S,
    TELEMETRY_FLUSH_S,
)
from tests.store_kit import StoreKit

DAY_S = 86_400
AMPLE = 2**40


@pytest.fixture
def said() -> Iterator[list[EventDict]]:
    with structlog.testing.capture_logs() as entries:
        yield entries


class Disk:
    """A disk that says what the scene wants."""

    def __init__(self) -> None:
        self.free_bytes = AMPLE
        self.budget = DiskBudget(self._free)
        self.broken = False

    def has(self, free_bytes: int) -> None:
        self.free_bytes = free_bytes
        self.budget.look()

    def _free(self) -> int:
        if self.broken:
            raise OSError("the disk does not answer")
        return self.free_bytes


@pytest.fixture
def disk(store: StoreKit) -> Disk:
    """The disk under the store."""
    disk = Disk()
    store.store.disk = disk.budget
    return disk


# --- the rule ---------------------------------------------------------------------------------------------------------


def test_p10_the_order_is_the_designs_and_each_bound_lies_below_the_one_before() -> None:
    assert [each.word for each in Shed] == ["nothing", "telemetry", "chatter", "history", "facts"]
    assert list(BOUNDS) == list(Shed)[1:]
    assert all(DISK_BACK_PERCENT * lower < 100 * upper for upper, lower in pairwise(BOUNDS.values())), \
        "a level ends before the one above it"


@pytest.mark.parametrize("level", BOUNDS)
def test_a_level_begins_below_its_bound_and_ends_only_with_room_to_spare(level: Shed) -> None:
    bound = BOUNDS[level]
    before = Shed(level - 1)
    assert shed_at(bound, before) is before
    assert shed_at(bound - 1, Shed.NOTHING) is level
    enough = bound * DISK_BACK_PERCENT // 100
    assert shed_at(enough - 1, level) is level
    assert shed_at(enough, level) is before


def test_room_that_swings_around_a_bound_is_one_word_in_the_log(said: list[EventDict]) -> None:
    disk = Disk()
    for _ in range(100):
        for more in (-1, 1, 1000):
            disk.has(BOUNDS[Shed.FACTS] + more)
    assert [each.get("shed") for each in said] == ["telemetry", "chatter", "history", "facts"]
    disk.has(AMPLE)
    assert [each["back"] for each in said[4:]] == [["telemetry", "chatter", "history", "facts"]]


def test_a_disk_that_does_not_answer_changes_nothing_and_is_said_once(said: list[EventDict]) -> None:
    disk = Disk()
    disk.has(0)
    disk.broken = True
    for _ in range(10):
        disk.budget.look()
    assert disk.budget.level is Shed.FACTS
    assert [each["event"] for each in said].count("nobody can say how full the disk is") == 1


def test_only_warnings_are_logged_while_chatter_is_shed(capsys: pytest.CaptureFixture[str]) -> None:
    before = structlog.get_config()
    logs.set_up_logs(as_json=True)
    try:
        log = structlog.get_logger("any room")
        for shed in (True, False):
            logs.shed_chatter(shed)
            log.info("nice to know", shed=shed)
            log.warning("needed", shed=shed)
    finally:
        logs.shed_chatter(False)
        structlog.configure(**before)
    lines = capsys.readouterr().err.splitlines()
    heard = [("nice to know" in line, "true" in line) for line in lines]
    assert heard == [(False, True), (True, False), (False, False)]


# --- the store --------------------------------------------------------------------------------------------------------


async def test_p10_each_level_gives_up_what_it_should_and_the_sale_is_taken_until_the_last(store: StoreKit,
                                                                                          disk: Disk) -> None:
    await store.label("aisle 4").shows("milk", "0.99")
    sold = 0
    for level in Shed:
        disk.has(BOUNDS[level] - 1 if level in BOUNDS else AMPLE)
        store.station.says(Telemetry("aisle 4", 2000 + 2 * BATTERY_STEP_MV * level, 20, -60))
        await store.time_passes(TELEMETRY_FLUSH_S + 1)
        row = store.label("aisle 4").row()
        assert row is not None
        assert (row.battery_mv == 2000) is (level >= Shed.NOTHING), "only the first was written"
        answer = await store.till().sells(int(level) + 1, "milk")
        if level < Shed.FACTS:
            assert answer.status_code == 201
            sold += 1
        else:
            assert (answer.status_code, answer.json()["recorded"]) == (503, False)
            assert "not stored, keep it and send again: the disk is nearly full" in answer.json()["detail"]
            assert int(answer.headers["retry-after"]) > 0
        assert store.till().asks("milk") == "0.99"
    assert head(store.books.ledger_reader, store.books.chain).sequence == len(store.entries())
    assert len([entry for entry in store.entries() if entry.kind == "transaction"]) == sold

    disk.has(AMPLE)
    assert (await store.till().sells(int(Shed.FACTS) + 1, "milk")).status_code == 201
    await store.time_passes(TELEMETRY_FLUSH_S + 1)
    row = store.label("aisle 4").row()
    assert row is not None
    assert row.battery_mv == 2000 + 2 * BATTERY_STEP_MV * Shed.FACTS, "the last word, once there is room"


async def test_p3_with_no_room_for_proofs_nothing_is_offered_and_prices_fall_all_the_same(store: StoreKit,
                                                                                         disk: Disk) -> None:
    await store.label("aisle 4").shows("milk", "0.99")
    disk.has(0)
    offers = store.label("aisle 4").offers()
    await store.hub.sets_price("milk", "1.09")
    await store.time_passes(3600)
    assert store.till().asks("milk") == "0.99"
    assert store.label("aisle 4").offers() == offers
    await store.hub.sets_price("milk", "0.89")
    await store.a_moment()
    assert store.till().asks("milk") == "0.89"
    disk.has(AMPLE)
    await store.time_passes(600)
    assert store.label("aisle 4").is_offered() == "0.89"


async def test_p10_history_that_is_not_needed_goes_when_room_is_short(store: StoreKit, disk: Disk) -> None:
    label = store.label("aisle 4")
    await label.shows("milk", "0.99")
    for cents in range(100, 100 + 2 * PICTURES_PER_LABEL_MAX):
        await store.hub.sets_price("milk", f"{cents / 100:.2f}")
        await store.a_moment()
    assert count(store, "picture") == PICTURES_PER_LABEL_MAX
    await store.power_fails((PRICES_SHED_KEEP_DAYS + 1) * DAY_S)
    store.store.disk = disk.budget
    await store.hub.sets_price("milk", "0.95")
    await store.time_passes(60)
    intervals = count(store, "price_interval")
    disk.has(BOUNDS[Shed.HISTORY])
    await store.time_passes(60)
    assert (count(store, "picture"), count(store, "price_interval")) == (PICTURES_PER_LABEL_MAX, intervals)

    disk.has(BOUNDS[Shed.HISTORY] - 1)
    await store.time_passes(60)
    assert PICTURES_SHED_KEEP <= count(store, "picture") <= PICTURES_SHED_KEEP + 1
    milk = store.books.ledger_reader.execute("SELECT COUNT(*) FROM price_interval WHERE sku = 'milk'").fetchone()[0]
    assert milk == 2, "what held when the kept time began, and what holds now"
    await label.proves()
    await store.time_passes(store.settle_s + store.policy.grace_s + 1)
    assert store.till().asks("milk") == "0.95"


async def test_p10_the_whole_price_history_is_walked_in_slices(store: StoreKit, disk: Disk,
                                                              monkeypatch: pytest.MonkeyPatch) -> None:
    """Also of products whose price never changes again."""
    monkeypatch.setattr("edge.forgetting.HOUSEKEEPING_BATCH_MAX", 3)
    monkeypatch.setattr("edge.forgetting.HISTORY_SLICES_MAX", 2)
    now_ms = store.clock.wall_ms()
    rows = [(f"sku-{number:02}", now_ms - days * DAY_S * 1000, days)
            for number in range(20) for days in (900, 800, 500, 100)]
    await store.books.ledger.submit(lambda connection: connection.executemany(
        "INSERT INTO price_interval VALUES (?, ?, ?)", rows))
    before = count(store, "price_interval")
    await store.time_passes(HISTORY_EVERY_S + 60)
    await store.time_passes(30 * len(rows))
    kept = store.books.ledger_reader.execute(
        "SELECT charge_minor, COUNT(*) FROM price_interval WHERE sku LIKE 'sku-%' GROUP BY 1 ORDER BY 1").fetchall()
    assert kept == [(100, 20), (500, 20)]
    assert count(store, "price_interval") == before - 40
    disk.has(0)
    await store.time_passes(PRUNE_EVERY_S)
    assert count(store, "price_interval") == before - 60, "of what is older than 90 days only what held then"


# --- what labels say of themselves ------------------------------------------------------------------------------------


async def test_flash_is_spared_what_labels_say_is_written_when_it_is_worth_it(store: StoreKit) -> None:
    await store.label("aisle 4").hangs_under("milk")

    async def says(battery_mv: int, rssi_dbm: int, seconds: float) -> int | None:
        store.station.says(Telemetry("aisle 4", battery_mv, None, rssi_dbm))
        await store.time_passes(seconds)
        row = store.label("aisle 4").row()
        assert row is not None
        return row.battery_mv

    assert await says(2900, -60, TELEMETRY_FLUSH_S + 1) == 2900
    seen_ms = store.label("aisle 4").row().seen_ms  # type: ignore[union-attr]  # it was just there
    assert await says(2890, -61, TELEMETRY_FLUSH_S + 1) == 2900, "not worth a write"
    assert await says(2890 - BATTERY_STEP_MV, -60, TELEMETRY_FLUSH_S + 1) == 2790
    assert await says(2789, -60, TELEMETRY_ALL_S + TELEMETRY_FLUSH_S) == 2789, "now and then everything"
    assert store.label("aisle 4").row().seen_ms > seen_ms  # type: ignore[union-attr,operator]


def count(store: StoreKit, table: str) -> int:
    found: int = store.books.ledger_reader.execute(f"SELECT COUNT(*) FROM {table}").fetchone()[0]
    return found


def test_facts_are_what_the_last_level_refuses() -> None:
    disk = Disk()
    disk.has(BOUNDS[Shed.FACTS])
    disk.budget.must_take_facts()
    disk.has(BOUNDS[Shed.FACTS] - 1)
    with pytest.raises(Transient, match="31 MiB left"):
        disk.budget.must_take_facts()
