"""A whole store (tests/store_kit.py), a whole hub (tests/hub/world.py) and a line that counts and can go wrong."""

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import msgspec

from cloud_sync.client.link_state import FeedState
from cloud_sync.client.session import HubLink
from cloud_sync.client.transport import HubAddress
from cloud_sync.contract.feeds import Feed
from cloud_sync.hub.feeds import FeedId, whole_head
from edge.db import copies, loading
from tests.client.fakes import Fault
from tests.hub.world import HubWorld
from tests.store_kit import StoreKit, gtin_of, minor

STORE = "0042"


class Wire(httpx.AsyncBaseTransport):
    """The line. `faults`: part of a path → what every request to it meets; `asked`: how often each was asked for."""

    def __init__(self, world: HubWorld) -> None:
        self._world = world
        self.faults: dict[str, Fault] = {}
        self.asked: Counter[str] = Counter()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        await asyncio.sleep(0.01)
        path = request.url.path
        self.asked[path.removeprefix(f"/v1/stores/{STORE}/")] += 1

        async def handle() -> httpx.Response:
            response = await httpx.ASGITransport(self._world.app).handle_async_request(request)
            await response.aread()
            return response

        for part, fault in self.faults.items():
            if part in path:
                return await fault(request, handle)
        return await handle()

    def times(self, part: str) -> int:
        """How often paths with `part` in them were asked for."""
        return sum(count for path, count in self.asked.items() if part in path)


@dataclass
class Shop:
    """A store and its hub."""

    kit: StoreKit
    world: HubWorld
    wire: Wire
    token: str
    link: HubLink = field(init=False)
    _task: "asyncio.Task[None]" = field(init=False)

    def connect(self) -> None:
        address = HubAddress("http://hub", self.token, transport=self.wire)
        self.link = HubLink(store_id=STORE, address=address, store=self.kit.intake, randomness=random.Random(1),
                            wall_ms=self.kit.store.clock.wall_ms)
        self._task = asyncio.create_task(self.link.run())

    async def disconnect(self) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def restarts(self) -> None:
        """The daemon is killed and comes back."""
        await self.disconnect()
        await self.kit.restarts()
        self.connect()

    def state(self, feed: Feed) -> FeedState:
        return self.link.state.feeds[feed]

    async def has(self, items: Iterable[str], price: str = "0.99") -> None:
        """The zone's catalogue has these, all of one price."""
        skus = list(items)
        await self.puts("/v1/catalogue", {"items": [item(sku) for sku in skus],
                                          "prices": [price_of(sku, price) for sku in skus]})

    async def puts(self, path: str, body: object) -> None:
        """The operator says something."""
        answer = await self.world.operator.put(path, content=msgspec.json.encode(body))
        assert answer.is_success, answer.text

    async def deletes(self, path: str) -> None:
        answer = await self.world.operator.delete(path)
        assert answer.is_success, answer.text

    def equal(self, feed: Feed) -> bool:
        """Whether the copy is the hub's, cursor and fingerprint."""
        owner = STORE if feed is Feed.OVERLAY else "default"
        with self.world.storage.database.transaction() as connection:
            head = whole_head(connection, FeedId(feed, owner))
        reader = self.kit.books.replica_reader
        return loading.cursor(reader, feed) == head.cursor and copies.copy_of(reader, feed).root == head.root

    async def until(self, true: Callable[[], bool], within_s: float = 300) -> None:
        async with asyncio.timeout(within_s):
            while not true():  # noqa: ASYNC110 - nothing tells of it
                await asyncio.sleep(0.05)

    async def in_step(self, within_s: float = 300) -> None:
        """Until items and prices are the hub's."""
        await self.until(lambda: self.equal(Feed.ITEMS) and self.equal(Feed.PRICES), within_s)
        await self.kit.a_moment()

    def plant(self, statement: str, *values: object) -> None:
        """Somebody with a shell changes the store's copy."""
        connection = self.kit.books._connections[1]
        connection.execute(statement, values)

    def asks(self, sku: str) -> str:
        return self.kit.till().asks(sku)


def item(sku: str) -> dict[str, object]:
    return {"sku": sku, "name": sku.upper(), "codes": [gtin_of(sku)]}


def price_of(sku: str, price: str) -> dict[str, object]:
    return {"id": f"regular/{sku}", "sku": sku, "price_minor": minor(price), "currency": "EUR"}


@asynccontextmanager
async def open_shop(directory: Path, url: str) -> AsyncIterator[Shop]:
    """An empty store on a line to an empty hub."""
    world = HubWorld(url)
    registered = await world.operator.put(f"/v1/stores/{STORE}", json={})
    kit = StoreKit(directory / "store")
    await kit.open()
    opened = Shop(kit, world, Wire(world), registered.json()["token"])
    opened.connect()
    try:
        yield opened
    finally:
        world.bells.close()
        await opened.disconnect()
        await kit.close()
        world.stop()
