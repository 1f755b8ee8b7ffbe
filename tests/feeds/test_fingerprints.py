"""The fingerprint that a store keeps up with every change is the one that a full count gives (the hub's: tests/hub)."""

from collections.abc import Iterator

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cloud_sync.contract.feeds import Batch, Change, Checkpoint, Delete, Feed, Put
from cloud_sync.contract.fingerprints import NO_ROOT, buckets_of, root_of, row_hash
from edge.db import copies
from edge.db.books import derive_key
from edge.db.connection import Connection, connect, migrate
from edge.db.loading import Recounted, recount
from edge.db.replica import Moment, apply_batch

KEYS = ("milk", "bread", "cheese", "a longer name than most")
NOW = Moment(1_767_225_600_000)
CHANGES = st.lists(st.lists(st.tuples(st.sampled_from(KEYS), st.one_of(st.none(), st.integers(0, 3))), min_size=1,
                            max_size=4), max_size=6)


def document(number: int) -> bytes:
    return b'{"id":"x","version":%d,"kind":"test","terms":{}}' % number


@pytest.fixture(scope="module")
def replica(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Connection]:
    connection = connect(tmp_path_factory.mktemp("replica") / "replica.db", derive_key("key", "test"),
                         synchronous="NORMAL")
    migrate(connection, "replica")
    yield connection
    connection.close()


@settings(max_examples=60, deadline=None)
@given(CHANGES)
def test_p9_the_stores_fingerprint_is_what_a_full_count_gives(replica: Connection,
                                                              batches: list[list[tuple[str, int | None]]]) -> None:
    replica.execute("BEGIN")
    for offset, batch in enumerate(batches, start=1):
        changes: list[Change] = [Delete(place, key, offset) if number is None else
                                 Put(place, key, offset, msgspec.Raw(document(number)))
                                 for place, (key, number) in enumerate(batch)]
        apply_batch(replica, Feed.PROMOTIONS, Batch(tuple(changes), Checkpoint("g", offset)), NOW, {})
    copy = copies.copy_of(replica, Feed.PROMOTIONS)
    rows = replica.execute("SELECT key, version, doc FROM document").fetchall()
    assert copy.root == root_of(buckets_of((key, row_hash(key, version, doc)) for key, version, doc in rows))
    assert recount(replica, Feed.PROMOTIONS, "", 1_000, NOW) == Recounted((), None)
    assert copies.copy_of(replica, Feed.PROMOTIONS) == copy, "the recount put nothing right"
    replica.execute("ROLLBACK")


def test_equal_mistakes_in_one_bucket_do_not_cancel() -> None:
    one, other = row_hash("milk", 1, b"{}"), row_hash("milk", 2, b"{}")
    assert root_of(buckets_of([("milk", one)])) != root_of(buckets_of([("milk", other)])) != NO_ROOT
    assert root_of(buckets_of([("milk", one), ("milk", one)])) != NO_ROOT
