"""The power goes at any moment of a store's hours: what was acknowledged is there, and nothing is there by halves.

The real daemon's rooms write through their real writers under a recorder of write and fsync; crash states are rebuilt
from the recording and opened with the store's own code. See disk.py for what a cut may do and judge.py for what is
asked of the rest. The same must catch a ledger that is synced too little.
"""

import random
import shutil
from pathlib import Path

import pytest

from edge.db.books import derive_key
from edge.db.connection import connect
from tests.power.conftest import MakeRecording, Recording
from tests.power.cuts import cut_everywhere
from tests.power.disk import Cut, Disk
from tests.power.judge import Said, complaints
from tests.power.marks import decode_mark
from tests.power.recording import Kind, Record
from tests.store_kit import DATABASE_SECRET

pytestmark = pytest.mark.xdist_group("power")

STATES = 300
STATES_TO_BITE = 40
SOAK_SEEDS = range(11, 17)
SOAK_STATES_A_SEED = 500


def test_the_recording_holds_all_that_was_written(hours: Recording):
    disk = Disk(random.Random(0))
    for record in hours.records:
        if record.kind is not Kind.MARK:
            disk.follow(record)
    assert disk.cut(Cut.KEPT) == {path.name: path.read_bytes() for path in hours.directory.iterdir()}


def test_the_hours_have_checkpoints_restarted_logs_and_growth_in_both_files(hours: Recording):
    for name in ("ledger.db", "replica.db"):
        files = {record.file for record in hours.records if record.path == name and record.kind is Kind.OPEN}
        logs = {record.file for record in hours.records if record.path == f"{name}-wal"}
        restarts = sum(record.kind is Kind.WRITE and record.file in logs and record.offset == 0
                       for record in hours.records)
        checkpoints = sum(record.kind is Kind.SYNC and record.path == name for record in hours.records)
        written = [record.offset for record in hours.records if record.kind is Kind.WRITE and record.file in files]
        assert restarts >= 3
        assert checkpoints >= 4
        assert max(written) > 100_000


@pytest.mark.slow
def test_p1_p2_p3_p9_no_power_cut_loses_or_halves_anything(hours: Recording):
    verdict = cut_everywhere(hours.records, seed=1, states=STATES)
    assert verdict.wrong == []
    assert min(verdict.states[how] for how in Cut) > STATES // 10


def test_p1_a_ledger_with_synchronous_normal_is_caught_losing_facts(record: MakeRecording):
    verdict = cut_everywhere(record(("tests.power.workload", "3", "1", "normal")).records, 1, STATES_TO_BITE)
    assert verdict.states_with("lost") > STATES_TO_BITE // 4
    assert set(verdict.kinds()) == {"lost"}  # it forgets, but whole transactions


def test_p1_a_disk_that_lies_about_fsync_is_caught(record: MakeRecording):
    verdict = cut_everywhere(record(("tests.power.workload", "4", "1"), swallow=True).records, 1, STATES_TO_BITE)
    assert verdict.states_with("lost") > STATES_TO_BITE // 4


@pytest.mark.parametrize("name", ["ledger.db-wal", "ledger.db", ""], ids=["log", "file", "directory"])
def test_p1_every_kind_of_sync_is_needed(hours: Recording, name: str):
    fewer = [record for record in hours.records
             if record.kind not in (Kind.SYNC, Kind.SYNC_DIRECTORY) or record.path != name]
    verdict = cut_everywhere(fewer, seed=2, states=STATES_TO_BITE)
    assert verdict.wrong


@pytest.mark.parametrize(("file", "planted", "expected"), [
    ("ledger", "UPDATE stock SET sellable_milli = sellable_milli + 1 WHERE sku = 'item-1'", "half: stock"),
    ("ledger", "DELETE FROM till_day WHERE till = '1'", "half: till days"),
    ("ledger", "DELETE FROM claim", "lost: the claim"),
    ("ledger", "UPDATE label SET offer_order = 0", "lost: offer"),
    ("ledger", "UPDATE price_cap SET cap_minor = 1", "half: item-"),
    ("ledger", "DELETE FROM exception", "half: exceptions"),
    ("ledger", "DELETE FROM voided", "half: voids"),
    ("ledger", "UPDATE pickup SET state = 'placed'", "half: pickups"),
    ("ledger", "UPDATE label SET proven_version = 'another'", "half: proofs"),
    ("ledger", "UPDATE feed_cursor SET offset = 0", "lost: orders"),
    ("ledger", "DELETE FROM meta WHERE key = 'clock'", "lost: the clock"),
    ("ledger", "DELETE FROM fact WHERE fact_key GLOB 'till/*'", "lost: till/"),
    ("ledger", "UPDATE fact SET answer = x'7b7d' WHERE fact_key GLOB 'till/*'", "damaged: till/"),
    ("ledger", "DELETE FROM entry WHERE sequence = 5", "damaged: the ledger has gaps"),
    ("ledger", "UPDATE entry SET occurred_ms = 1 WHERE sequence = 5", "damaged: the chain breaks at 5"),
    ("replica", "UPDATE feed_cursor SET offset = offset - 1 WHERE feed = 'items'", "half: replica items"),
    ("replica", "UPDATE feed_cursor SET offset = offset - 1 WHERE feed = 'prices'", "half: replica price entries"),
    ("replica", "UPDATE list_price SET price_minor = 1", "half: replica list prices"),
    ("replica", "DELETE FROM item_code WHERE sku = 'item-1'", "half: replica codes"),
])
def test_the_judge_sees(hours: Recording, tmp_path: Path, file: str, planted: str, expected: str):
    said = _all_said(hours.records)
    shutil.copytree(hours.directory, tmp_path / "state")
    assert complaints(tmp_path / "state", said) == []
    connection = connect(tmp_path / "state" / f"{file}.db", derive_key(DATABASE_SECRET, f"{file}.db"),
                         synchronous="FULL")
    assert connection.execute(planted).rowcount > 0
    connection.close()
    assert any(complaint.startswith(expected) for complaint in complaints(tmp_path / "state", said))


@pytest.mark.soak
@pytest.mark.parametrize("seed", SOAK_SEEDS)
def test_p1_thousands_of_power_cuts(record: MakeRecording, seed: int):
    recording = record(("tests.power.workload", str(seed), "15", "killed"),
                       ("tests.power.workload", str(seed + 100), "10", "killed"),
                       ("tests.power.workload", str(seed + 200), "5"))
    verdict = cut_everywhere(recording.records, seed, SOAK_STATES_A_SEED)
    assert verdict.wrong == []


def _all_said(records: list[Record]) -> Said:
    said = Said()
    for record in records:
        if record.kind is Kind.MARK:
            said.hear(decode_mark(record.data))
    return said
