"""The store's side against the real hub, in one process and in virtual time: both read the contract the same way."""

import asyncio
import random
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
import structlog

from cloud_sync.client.limits import HELLO_EVERY_S, REQUEST_S_MAX
from cloud_sync.client.link_state import FenceReason
from cloud_sync.client.session import HubLink
from cloud_sync.client.transport import HubAddress
from cloud_sync.contract.feeds import Feed
from tests.client.fakes import STORE, FakeStore, Fault, Handle, Scene, loses_the_reply, refuses_connection, virtually
from tests.hub.world import MONDAY_MS, HubWorld, Ledger

MILK: dict[str, object] = {"sku": "milk", "name": "Milk", "codes": ["40170725"]}


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    with structlog.testing.capture_logs():
        yield


class Wire(httpx.AsyncBaseTransport):
    """The line to whatever hub process is running now. `fault`: what every request meets, `None` for nothing."""

    def __init__(self, world: HubWorld) -> None:
        self.world = world
        self.fault: Fault | None = None
        self.encodings: list[str] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        await asyncio.sleep(0.01)
        self.encodings.append(request.headers.get("content-encoding", ""))

        async def handle() -> httpx.Response:
            return await httpx.ASGITransport(self.world.app).handle_async_request(request)

        return await (self.fault(request, handle) if self.fault else handle())


@dataclass
class Shop:
    """A store in memory whose ledger holds real sales, on a line to the real hub."""

    world: HubWorld
    wire: Wire
    store: FakeStore
    ledger: Ledger
    link: HubLink

    def sells(self, *skus: str) -> None:
        self.ledger.sells(*skus)
        self.store.entries = tuple(self.ledger.entries)
        self.store.new_entries.set()

    async def hub_stops(self) -> None:
        """As a hub process ends: nothing new gets in, held polls are answered, then the database is closed."""
        self.wire.fault = refuses_connection
        self.world.bells.close()
        await asyncio.sleep(1)
        self.world.stop()

    def hub_starts(self) -> None:
        self.wire.fault = None
        self.world.start()

    async def pushed(self, within_s: float = 60) -> None:
        """Until the hub has acknowledged the whole ledger."""
        async with asyncio.timeout(within_s):
            while self.store.acked[-1:] != [(1, len(self.ledger.entries))]:  # noqa: ASYNC110 - nothing tells of it
                await asyncio.sleep(0.05)

    async def knows(self, feed: Feed, keys: set[str], within_s: float = 60) -> None:
        async with asyncio.timeout(within_s):
            while set(self.store.rows[feed]) != keys:  # noqa: ASYNC110 - nothing tells of it
                await asyncio.sleep(0.05)


def copy_of(directory: Path) -> bytes:
    """The closed hub's database."""
    assert [path.name for path in directory.glob("hub.db-wal")] == []
    return (directory / "hub.db").read_bytes()


def restore(directory: Path, backup: bytes) -> None:
    for leftover in directory.glob("hub.db-*"):
        leftover.unlink()
    (directory / "hub.db").write_bytes(backup)


@asynccontextmanager
async def shop(directory: Path) -> AsyncIterator[Shop]:
    world = HubWorld(f"sqlite:///{directory / 'hub.db'}")
    registered = await world.operator.put(f"/v1/stores/{STORE}", json={})
    wire, store = Wire(world), FakeStore()
    address = HubAddress("http://hub", registered.json()["token"], transport=wire)
    link = HubLink(store_id=STORE, address=address, store=store, randomness=random.Random(1),
                   wall_ms=lambda: MONDAY_MS)
    task = asyncio.create_task(link.run())
    try:
        yield Shop(world, wire, store, Ledger(STORE, 1), link)
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        world.stop()


@virtually
async def test_items_come_down_and_sales_go_up(tmp_path: Path) -> None:
    async with shop(tmp_path) as here:
        here.sells("milk", "milk")
        await here.world.sets_items(MILK)
        await here.knows(Feed.ITEMS, {"milk"})
        await here.pushed()
        assert await here.world.stock_milli("milk", STORE) == -2000
        assert here.link.state.up
        assert here.link.state.clock_offset_ms == 0


@virtually
async def test_a_change_is_there_at_once_through_the_held_poll(tmp_path: Path) -> None:
    async with shop(tmp_path) as here:
        await asyncio.sleep(500)
        await here.world.sets_items(MILK)
        await here.knows(Feed.ITEMS, {"milk"}, within_s=0.2)
        await here.world.operator.delete("/v1/catalogue/items/milk")
        await here.knows(Feed.ITEMS, set(), within_s=0.2)


@virtually
async def test_the_hub_takes_packed_pushes_and_knows_how_far_the_store_is(tmp_path: Path) -> None:
    async with shop(tmp_path) as here:
        await here.world.sets_items(MILK)
        for _ in range(1200):
            here.sells("milk")
        await here.pushed()
        assert "gzip" in here.wire.encodings
        await asyncio.sleep(HELLO_EVERY_S + 30)
        status = await here.world.status(STORE)
        assert status.facts == 1200
        assert status.backlog == 0
        assert status.quarantined == 0
        assert status.feeds["items"].lag == 0


@pytest.mark.parametrize("fault", [loses_the_reply, refuses_connection])
@virtually
async def test_p2_an_outage_costs_nothing(tmp_path: Path, fault: Fault) -> None:
    async with shop(tmp_path) as here:
        here.sells("milk")
        await here.pushed()
        here.wire.fault = fault
        for _ in range(20):
            here.sells("milk")
            await asyncio.sleep(30)
        here.wire.fault = None
        await here.pushed(within_s=120)
        assert await here.world.stock_milli("milk", STORE) == -21_000


@virtually
async def test_a_hub_that_was_restarted_is_found_again(tmp_path: Path) -> None:
    async with shop(tmp_path) as here:
        await here.world.sets_items(MILK)
        await here.knows(Feed.ITEMS, {"milk"})
        await here.hub_stops()
        here.hub_starts()
        here.sells("milk")
        await here.world.sets_items({"sku": "bread", "name": "Bread"})
        await here.pushed()
        await here.knows(Feed.ITEMS, {"milk", "bread"}, within_s=REQUEST_S_MAX)


@virtually
async def test_a_restored_hub_gets_its_sales_back_and_its_feeds_are_fetched_anew(tmp_path: Path) -> None:
    async with shop(tmp_path) as here:
        await here.hub_stops()
        backup = copy_of(tmp_path)
        here.hub_starts()
        await here.world.sets_items(MILK)
        for _ in range(10):
            here.sells("milk")
        await here.pushed()
        await here.knows(Feed.ITEMS, {"milk"})
        await here.hub_stops()
        restore(tmp_path, backup)
        here.hub_starts()
        assert await here.world.stock_milli("milk", STORE) == 0
        await asyncio.sleep(HELLO_EVERY_S + 30)
        assert await here.world.stock_milli("milk", STORE) == -10_000
        assert Feed.ITEMS in here.store.forgotten
        assert here.link.state.fence is None


@virtually
async def test_a_fork_fences_and_the_hub_is_alarmed(tmp_path: Path) -> None:
    async with shop(tmp_path) as here:
        here.sells("milk")
        await here.pushed()
        twin = Ledger(STORE, 1)
        twin.sells("wine")
        twin.sells("cork")
        here.ledger = twin
        here.sells("soap")
        async with asyncio.timeout(60):
            while here.link.state.fence is None:  # noqa: ASYNC110 - nothing tells of it
                await asyncio.sleep(0.05)
        assert here.link.state.fence.reason is FenceReason.FORK
        assert [alarm.reason for alarm in (await here.world.status(STORE)).alarms] == ["fork"]
        assert await here.world.stock_milli("wine", STORE) == 0


@virtually
async def test_an_unknown_store_is_told_so(tmp_path: Path) -> None:
    world = HubWorld(f"sqlite:///{tmp_path / 'hub.db'}")
    async with Scene() as scene:
        link = HubLink(store_id=STORE, address=HubAddress("http://hub", "wrong", transport=Wire(world)),
                       store=scene.store, randomness=random.Random(1), wall_ms=lambda: MONDAY_MS)
        task = asyncio.create_task(link.run())
        await asyncio.sleep(5)
        assert not link.state.up
        assert "bearer token" in link.state.last_error
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    world.stop()


@virtually
async def test_p5_orders_are_not_asked_for_before_the_policy_is_known(tmp_path: Path) -> None:
    """By the defaults a new box, or one that lost its replica, would promise what the chain keeps back."""
    async with shop(tmp_path) as here:
        asked: list[str] = []

        async def slow_policy(request: httpx.Request, handle: Handle) -> httpx.Response:
            feed = request.url.path.rsplit("/", 1)[-1]
            asked.append(feed)
            if feed == Feed.POLICY.value:
                await asyncio.sleep(10)
            return await handle()
        here.wire.fault = slow_policy
        await here.knows(Feed.POLICY, set())
        await asyncio.sleep(8)
        assert Feed.ITEMS.value in asked
        assert Feed.ORDERS.value not in asked
        await asyncio.sleep(10)
        assert Feed.ORDERS.value in asked
