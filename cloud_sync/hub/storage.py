"""The hub's storage as one thing: what the ASGI app, the importer and the composition root hold.

Every method is synchronous and one transaction; the caller brings the executor.
"""

from collections.abc import Callable
from dataclasses import dataclass

from cloud_sync.contract.feeds import Cursor, Feed
from cloud_sync.hub.catalogue import CatalogueStore
from cloud_sync.hub.database import Database, open_database
from cloud_sync.hub.feeds import FeedId, Page, read_head, read_page
from cloud_sync.hub.ledgers import Ledgers
from cloud_sync.hub.limits import PAGE_RECORDS_MAX
from cloud_sync.hub.orders import Orders
from cloud_sync.hub.people import erase_due
from cloud_sync.hub.secrets import HubKey, RandomBytes
from cloud_sync.hub.stores import Stores


@dataclass(frozen=True, slots=True)
class HubStorage:
    """All rooms of one open database."""

    database: Database
    stores: Stores
    catalogue: CatalogueStore
    ledgers: Ledgers
    orders: Orders

    def head(self, feed: FeedId) -> Cursor:
        """Where a feed ends. Raises `NotFound`."""
        with self.database.transaction() as connection:
            return read_head(connection, feed)

    def page(self, feed: FeedId, after: Cursor | None, records_max: int = PAGE_RECORDS_MAX) -> Page:
        """What follows a cursor; orders without their people. Raises `Refetch`, `NotFound`."""
        with self.database.transaction() as connection:
            return read_page(connection, feed, after, records_max)

    def page_for_store(self, store: str, feed: FeedId, after: Cursor | None) -> Page:
        """What follows a cursor, for the store's own eyes: orders with their people and pickup codes."""
        page = self.page(feed, after)
        return self.orders.join(store, page) if feed.feed is Feed.ORDERS else page

    def erase_due_people(self) -> int:
        """Erase everyone whose time is over; returns how many."""
        return erase_due(self.database)

    def ping(self) -> None:
        """Raises the database's error when it does not answer."""
        self.database.hub_epoch()

    def close(self) -> None:
        self.database.close()


def open_storage(url: str, key: HubKey, now_ms: Callable[[], int], random_bytes: RandomBytes) -> HubStorage:
    """Open, and if needed make or migrate, the hub's database; see `database.open_database` for errors."""
    database = open_database(url, key, now_ms, random_bytes)
    return HubStorage(database, Stores(database), CatalogueStore(database), Ledgers(database), Orders(database))
