"""The hub's storage as one thing: what the ASGI app, the importer and the composition root hold.

Every method is synchronous and one transaction; the caller brings the executor.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import sqlalchemy as sa

from cloud_sync.contract.feeds import Cursor, Feed
from cloud_sync.hub import people
from cloud_sync.hub.catalogue import CatalogueStore
from cloud_sync.hub.database import Database, open_database
from cloud_sync.hub.enrolment import Enrolments
from cloud_sync.hub.feeds import FeedId, Page, read_head, read_offsets, read_page
from cloud_sync.hub.ledgers import Ledgers
from cloud_sync.hub.limits import PAGE_RECORDS_MAX
from cloud_sync.hub.orders import Orders
from cloud_sync.hub.rebase import Rebases
from cloud_sync.hub.secrets import HubKey, RandomBytes
from cloud_sync.hub.stores import Stores, feed_id, meet_store


@dataclass(frozen=True, slots=True)
class HubStorage:
    """All rooms of one open database."""

    database: Database
    stores: Stores
    catalogue: CatalogueStore
    ledgers: Ledgers
    orders: Orders
    enrolments: Enrolments
    rebases: Rebases

    def head(self, feed: FeedId) -> Cursor:
        """Where a feed ends. Raises `NotFound`."""
        with self.database.reading() as connection:
            return read_head(connection, feed)

    def grown(self, seen: Mapping[FeedId, int]) -> list[FeedId]:
        """Which of these feeds end elsewhere than they were seen to: two statements for any number of them."""
        with self.database.reading() as connection:
            return [feed for feed, offset in read_offsets(connection, list(seen)).items() if offset != seen[feed]]

    def page(self, feed: FeedId, after: Cursor | None, records_max: int = PAGE_RECORDS_MAX) -> Page:
        """What follows a cursor; orders without their people. Raises `Refetch`, `NotFound`."""
        with self.database.transaction() as connection:
            return read_page(connection, feed, after, records_max)

    def poll(self, store: str, feed: Feed, after: Cursor | None) -> tuple[FeedId, Page]:
        """What a store asks for: the log it follows under this name, and what follows its cursor.

        Two short reads when there is nothing new; notes that the store lives and how far it has come. For the store's
        own eyes: orders with their people and pickup codes. Raises `Refetch`, `NotFound`.
        """
        with self.database.reading() as connection:
            zone = meet_store(connection, store, feed, after, self.database.now_ms())
            log = feed_id(feed, store, zone)
            return log, self._page_for_store(connection, log, after)

    def poll_again(self, log: FeedId, after: Cursor | None) -> Page:
        """What has come to a log that a `poll` found without news. Raises `Refetch`, `NotFound`."""
        with self.database.reading() as connection:
            return self._page_for_store(connection, log, after)

    def erase_due_people(self) -> int:
        """Erase everyone whose time is over; returns how many."""
        return people.erase_due(self.database)

    def ping(self) -> None:
        """Raises the database's error when it does not answer."""
        self.database.hub_epoch()

    def close(self) -> None:
        self.database.close()

    def _page_for_store(self, connection: sa.Connection, log: FeedId, after: Cursor | None) -> Page:
        page = read_page(connection, log, after)
        if log.feed is not Feed.ORDERS or not page.records:
            return page
        return Page(people.join(connection, self.database.sealer, log.owner, page.records), page.checkpoint)


def open_storage(url: str, key: HubKey, now_ms: Callable[[], int], random_bytes: RandomBytes) -> HubStorage:
    """Open, and if needed make or migrate, the hub's database; see `database.open_database` for errors."""
    database = open_database(url, key, now_ms, random_bytes)
    stores = Stores(database)
    return HubStorage(database, stores, CatalogueStore(database), Ledgers(database), Orders(database),
                      Enrolments(database, stores.known), Rebases(database))
