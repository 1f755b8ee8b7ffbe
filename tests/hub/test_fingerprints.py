"""The fingerprint that the hub moves with every change is the one that a full count gives, on both engines."""

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cloud_sync.contract.feeds import Feed
from cloud_sync.contract.fingerprints import BUCKETS, buckets_of, differing, root_of, row_hash
from cloud_sync.hub import snapshots
from cloud_sync.hub.catalogue import Catalogue
from cloud_sync.hub.feeds import FeedId, delete_document, put_documents, read_buckets, read_documents, whole_head
from tests.hub.world import HubWorld

KEYS = ("milk", "bread", "cheese", "a longer name than most", "ñandú")
LOG = FeedId(Feed.PROMOTIONS, "default")
CHANGES = st.lists(st.lists(st.tuples(st.sampled_from(KEYS), st.one_of(st.none(), st.integers(0, 3))), min_size=1,
                            max_size=4), max_size=6)


def document(number: int) -> bytes:
    return b'{"id":"x","version":%d,"kind":"test","terms":{}}' % number


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(CHANGES)
def test_p9_the_hubs_fingerprint_is_what_a_full_count_gives(hub: HubWorld,
                                                            batches: list[list[tuple[str, int | None]]]) -> None:
    hub.storage.catalogue.put("default", Catalogue())
    with hub.storage.database.transaction() as connection:
        for batch in batches:
            puts = {key: document(number) for key, number in batch if number is not None}
            put_documents(connection, LOG, puts)
            for key in sorted({key for key, number in batch if number is None} - set(puts)):
                standing = read_documents(connection, LOG, [key]).get(key)
                if standing is not None and standing.doc is not None:
                    delete_document(connection, LOG, key)
        now = read_documents(connection, LOG, list(KEYS))
        counted = buckets_of((key, row_hash(key, each.version, each.doc)) for key, each in now.items() if each.doc)
        assert whole_head(connection, LOG).root == root_of(counted)
        assert differing(read_buckets(connection, LOG), counted) == []
        assert snapshots.recount(connection, LOG, 0, BUCKETS) == []


def test_p9_a_recount_puts_right_what_a_bug_left(hub: HubWorld) -> None:
    hub.storage.catalogue.put("default", Catalogue())
    with hub.storage.database.transaction() as connection:
        put_documents(connection, LOG, {key: document(1) for key in KEYS})
        right = whole_head(connection, LOG).root
        tables = LOG.tables
        connection.execute(tables.bucket.update().where(LOG.where(tables.bucket)), {"total": 7})
        connection.execute(tables.head.update().where(LOG.where(tables.head)), {"root": "0" * 16})
        connection.execute(tables.document.update().where(tables.document.c.key == "milk"), {"hash": 7})
        wrong = [bucket for first in range(0, BUCKETS, 64) for bucket in snapshots.recount(connection, LOG, first, 64)]
        assert len(wrong) == len(KEYS)
        assert {row.hash for row in read_documents(connection, LOG, list(KEYS)).values()} == {
            row_hash(key, 1, document(1)) for key in KEYS}
        assert differing(read_buckets(connection, LOG), buckets_of(
            (key, row_hash(key, 1, document(1))) for key in KEYS)) == []
        assert whole_head(connection, LOG).root == right
