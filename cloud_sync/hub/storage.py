"""The hub's storage as one thing: what the ASGI app, the importer and the composition root hold.

Every method is synchronous and one transaction; the caller brings the executor.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import sqlalchemy as sa

from cloud_sync.contract.feeds import Cursor, Feed
from cloud_sync.contract.fingerprints import BUCKETS
from cloud_sync.contract.snapshots import BucketRows, Vector
from cloud_sync.hub import people, snapshots
from cloud_sync.hub.availability import Availabilities
from cloud_sync.hub.catalogue import CatalogueStore
from cloud_sync.hub.connectors import Connectors
from cloud_sync.hub.database import Database, open_database
from cloud_sync.hub.deliveries import Deliveries
from cloud_sync.hub.enrolment import Enrolments
from cloud_sync.hub.feeds import (
    STORE_FEED_NAMES,
    ZONE_FEED_NAMES,
    FeedId,
    Page,
    read_head,
    read_offsets,
    read_page,
)
from cloud_sync.hub.ledgers import Ledgers
from cloud_sync.hub.limits import PAGE_RECORDS_MAX, RECOUNT_BUCKETS_MAX
from cloud_sync.hub.orders import Orders
from cloud_sync.hub.rebase import Rebases
from cloud_sync.hub.schema import STORE_FEEDS, ZONE_FEEDS
from cloud_sync.hub.secrets import HubKey, RandomBytes
from cloud_sync.hub.shops import Shops
from cloud_sync.hub.sourcing import Sourcings
from cloud_sync.hub.stores import Stores, feed_id, meet_store, read_zone
from cloud_sync.hub.tasks import Tasks
from cloud_sync.hub.webhooks import Webhooks


@dataclass(frozen=True, slots=True)
class HubStorage:
    """All rooms of one open database."""

    database: Database
    stores: Stores
    catalogue: CatalogueStore
    ledgers: Ledgers
    orders: Orders
    sourcings: Sourcings
    enrolments: Enrolments
    rebases: Rebases
    tasks: Tasks
    availabilities: Availabilities
    shops: Shops
    webhooks: Webhooks
    deliveries: Deliveries
    connectors: Connectors

    def head(self, feed: FeedId) -> Cursor:
        """Where a feed ends. Raises `NotFound`."""
        with self.database.reading() as connection:
            return read_head(connection, feed)

    def grown(self, seen: Mapping[FeedId, int]) -> list[FeedId]:
        """Which of these feeds end elsewhere than they were seen to: two statements for any number of them."""
        with self.database.reading() as connection:
            return [feed for feed, offset in read_offsets(connection, list(seen)).items() if offset != seen[feed]]

    def page(self, feed: FeedId, after: Cursor | None, records_max: int = PAGE_RECORDS_MAX, *,
             snapshots: bool = False) -> Page:
        """What follows a cursor, see `feeds.read_page`; orders without their people. Raises `Refetch`, `NotFound`."""
        with self.database.transaction() as connection:
            return read_page(connection, feed, after, records_max, snapshots=snapshots)

    def poll(self, store: str, feed: Feed, after: Cursor | None, snapshots: bool = False) -> tuple[FeedId, Page]:
        """What a store asks for: the log it follows under this name, and what follows its cursor.

        Two short reads when there is nothing new; notes that the store lives and how far it has come. For the store's
        own eyes: orders with their people and pickup codes. Raises `Refetch`, `NotFound`.
        """
        with self.database.reading() as connection:
            zone = meet_store(connection, store, feed, after, self.database.now_ms())
            log = feed_id(feed, store, zone)
            return log, self._page_for_store(connection, log, after, snapshots=snapshots)

    def poll_again(self, log: FeedId, after: Cursor | None) -> Page:
        """What has come to a log that a `poll` found without news. Raises `Refetch`, `NotFound`."""
        with self.database.reading() as connection:
            return self._page_for_store(connection, log, after)

    def log_of(self, store: str, feed: Feed) -> FeedId:
        """The log that a store follows under this name. Raises `NotFound`."""
        with self.database.transaction() as connection:
            return feed_id(feed, store, read_zone(connection, store))

    def manifest(self, feed: FeedId) -> bytes:
        """The manifest of a snapshot, built now where there is none. Raises `NotFound`."""
        with self.database.transaction() as connection:
            return snapshots.manifest(connection, feed)

    def chunk(self, feed: FeedId, sha256: str) -> bytes:
        """A snapshot's chunk. Raises `NotFound`."""
        with self.database.transaction() as connection:
            return snapshots.chunk_body(connection, feed, sha256)

    def vector(self, feed: FeedId, generation: str) -> Vector:
        """A feed's fingerprint. Raises `Refetch`, `NotFound`."""
        with self.database.transaction() as connection:
            return snapshots.vector(connection, feed, generation)

    def bucket_rows(self, feed: FeedId, generation: str, bucket: int) -> BucketRows:
        """One bucket's rows. Raises `Refetch`, `NotFound`."""
        with self.database.transaction() as connection:
            return snapshots.bucket_rows(connection, feed, generation, bucket)

    def logs(self) -> list[FeedId]:
        """Every feed of every zone and store."""
        with self.database.transaction() as connection:
            return [FeedId(Feed(feed), owner)
                    for tables, names in ((ZONE_FEEDS, ZONE_FEED_NAMES), (STORE_FEEDS, STORE_FEED_NAMES))
                    for owner, feed in connection.execute(
                        sa.select(tables.head.c[tables.owner.value], tables.head.c.feed)) if feed in names]

    def prune(self, feed: FeedId) -> int:
        """Forget a batch of records that a log no longer keeps; returns how many."""
        with self.database.transaction() as connection:
            return snapshots.prune(connection, feed)

    def recount(self, feed: FeedId, first: int) -> list[int]:
        """Count a slice of a feed's fingerprint again; returns the buckets that were wrong and are right now."""
        with self.database.transaction() as connection:
            return snapshots.recount(connection, feed, first, min(RECOUNT_BUCKETS_MAX, BUCKETS - first))

    def erase_due_people(self) -> int:
        """Erase everyone whose time is over; returns how many."""
        return people.erase_due(self.database)

    def ping(self) -> None:
        """Raises the database's error when it does not answer."""
        self.database.hub_epoch()

    def close(self) -> None:
        self.database.close()

    def _page_for_store(self, connection: sa.Connection, log: FeedId, after: Cursor | None, *,
                        snapshots: bool = False) -> Page:
        page = read_page(connection, log, after, snapshots=snapshots)
        if log.feed is not Feed.ORDERS or not page.records:
            return page
        return Page(people.join(connection, self.database.sealer, log.owner, page.records), page.checkpoint)


def open_storage(url: str, key: HubKey, now_ms: Callable[[], int], random_bytes: RandomBytes) -> HubStorage:
    """Open, and if needed make or migrate, the hub's database; see `database.open_database` for errors."""
    database = open_database(url, key, now_ms, random_bytes)
    stores, orders = Stores(database), Orders(database)
    return HubStorage(database, stores, CatalogueStore(database), Ledgers(database), orders,
                      Sourcings(database, orders), Enrolments(database, stores.known), Rebases(database),
                      Tasks(database), Availabilities(database), Shops(database, stores.known), Webhooks(database),
                      Deliveries(database), Connectors(database, stores.known))
