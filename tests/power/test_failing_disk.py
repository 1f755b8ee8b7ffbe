"""A disk that fails under the store (trouble.py): what tills are told while it lasts, and what is there afterwards."""

import pytest

from tests.power.conftest import MakeRecording
from tests.power.cuts import cut_everywhere
from tests.power.marks import Closing, decode_mark
from tests.power.recording import Kind, Record
from tests.power.trouble import SCENES

pytestmark = pytest.mark.xdist_group("power")

STATES = 20
IN_DOUBT = "the_replicas_fsync_fails"
"""As SQLite closes, it moves what the failed fsync may have lost into the file: then the copy is loaded anew."""
BREAKS_THE_LEDGER = {"the_logs_fsync_fails": "ledger.db-wal", "the_files_fsync_fails": "ledger.db"}


@pytest.mark.parametrize("scene", SCENES)
def test_p1_a_failing_disk_loses_nothing_that_was_acknowledged(record: MakeRecording, scene: str):
    """The scene itself asserts what tills are told."""
    records = record(("tests.power.trouble", scene)).records
    wrong = [complaint for _, _, complaint in cut_everywhere(records, seed=1, states=STATES).wrong]
    if scene == IN_DOUBT:
        wrong = [complaint for complaint in wrong if "replica" not in complaint]
    assert wrong == []


@pytest.mark.parametrize(("scene", "file"), BREAKS_THE_LEDGER.items())
def test_p1_after_a_failed_fsync_nothing_is_written_until_somebody_looks(record: MakeRecording, scene: str, file: str):
    records = record(("tests.power.trouble", scene)).records
    failed = next(place for place, one in enumerate(records) if one.kind is Kind.SYNC_FAILED)
    paths = {one.file: one.path for one in records[:failed] if one.kind in (Kind.OPEN, Kind.CREATE)}
    assert paths[records[failed].file] == file
    written = [paths[one.file] for one in records[failed + 1:_closing(records)]
               if one.kind in (Kind.WRITE, Kind.TRUNCATE)]
    assert not [path for path in written if path.startswith("ledger")]


def _closing(records: list[Record]) -> int:
    """Where the store began to close; SQLite then tidies up by itself."""
    return next(place for place, one in enumerate(records)
                if one.kind is Kind.MARK and isinstance(decode_mark(one.data), Closing))
