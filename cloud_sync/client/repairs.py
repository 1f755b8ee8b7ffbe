"""What to do about a copy that differs from the hub's: the judgement alone, pure; `feeds.FeedLoop` does the talking."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

from cloud_sync.client.limits import REPAIR_BUCKETS_AT_ONCE_MAX, REPAIR_BUCKETS_MAX, REPAIRS_MAX
from cloud_sync.contract.feeds import Cursor
from cloud_sync.contract.fingerprints import Bucket, bucket_of, differing
from cloud_sync.contract.snapshots import BadSnapshot, BucketRows, Row, Vector


class Remedy(Enum):
    """What helps."""

    READ_ON = "read on"
    """The hub's fingerprint is of another moment than ours: read the feed on and compare again."""
    REPAIR = "repair"
    """Fetch the buckets that differ."""
    REFETCH = "refetch"
    """Too much differs, or repairing has not helped: fetch the feed anew."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What to do; `buckets`: which to fetch."""

    remedy: Remedy
    buckets: tuple[int, ...] = ()


class RepairJudge:
    """Remembers how often repairing has been tried since the copy was last found equal."""

    def __init__(self) -> None:
        self.attempts = 0

    def equal(self) -> None:
        """The roots agree."""
        self.attempts = 0

    def judge(self, cursor: Cursor, ours: Mapping[int, Bucket], theirs: Vector) -> Plan:
        """From both vectors to a plan. Raises `BadSnapshot`."""
        if (theirs.generation, theirs.offset) != (cursor.generation, cursor.offset):
            return Plan(Remedy.READ_ON)
        buckets = differing(ours, theirs.as_mapping())
        if len(buckets) > REPAIR_BUCKETS_MAX or self.attempts >= REPAIRS_MAX:
            self.attempts = 0
            return Plan(Remedy.REFETCH)
        self.attempts += 1
        return Plan(Remedy.REPAIR, tuple(buckets[:REPAIR_BUCKETS_AT_ONCE_MAX]))


def rows_of(cursor: Cursor, bucket: int, answer: BucketRows) -> Sequence[Row] | None:
    """The rows of a bucket as of our cursor; `None` when the hub has moved on. Raises `BadSnapshot`."""
    if (answer.generation, answer.offset) != (cursor.generation, cursor.offset):
        return None
    if len({row.key for row in answer.rows}) < len(answer.rows):
        raise BadSnapshot(f"bucket {bucket}: a key stands twice")
    for row in answer.rows:
        if bucket_of(row.key) != bucket:
            raise BadSnapshot(f"bucket {bucket}: {row.key[:40]!r} does not belong there")
    return answer.rows
