"""How long a change at the hub takes to be applied in a store: with the doorbell, and by polling alone.

A real hub process's app behind HTTP on loopback, a real Mosquitto, and the store's line with a store in memory. The hub
does not hold polls here, as behind a proxy that cuts them or when another hub process took the change: that is what the
bell is for. The held poll of the same process stands beside it as the peer.
"""

import asyncio
import random
import statistics
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import structlog
import structlog.testing

from cloud_sync.client.doorbell import Broker, MqttDoorbell
from cloud_sync.client.limits import LONG_POLL_S
from cloud_sync.client.link_state import DoorbellState
from cloud_sync.client.session import HubLink
from cloud_sync.client.transport import HubAddress
from cloud_sync.contract.feeds import Feed
from cloud_sync.hub.app import run_inline
from cloud_sync.hub.doorbell import BrokerOptions, Doorbell, mqtt_connect
from tests.client.fakes import STORE, FakeStore
from tests.hub.world import HubWorld
from tests.mosquitto import MosquittoServer

CHANGES = 12
CHANGES_BY_POLLING = 3


class _Impatient(httpx.AsyncBaseTransport):
    """A line on which the hub never holds a poll, unless `holds`."""

    def __init__(self, world: HubWorld, holds: bool) -> None:
        self._hub, self._holds = httpx.ASGITransport(world.app), holds

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if not self._holds:
            request.url = request.url.copy_merge_params({"wait_s": "0"})
        return await self._hub.handle_async_request(request)


def run() -> list[dict[str, object]]:
    """`change_to_store_s`: median from the operator's request to the row in the store, each way."""
    with structlog.testing.capture_logs():
        figures = asyncio.run(_measure())
    peer = statistics.median(figures["held poll"])
    return [{"name": f"change_to_store_{way.replace(' ', '_')}_s", "value": round(statistics.median(taken), 3),
             "unit": "s", "limit": LONG_POLL_S, "peer": round(peer, 3),
             "ratio": round(statistics.median(taken) / peer, 1),
             "conditions": f"{len(taken)} changes, slowest {max(taken):.3f} s; peer: a poll that the hub holds"}
            for way, taken in figures.items()]


async def _measure() -> dict[str, list[float]]:
    figures: dict[str, list[float]] = {}
    with MosquittoServer() as broker:
        for way, bell, holds, count in (("held poll", False, True, CHANGES), ("doorbell", True, False, CHANGES),
                                        ("polling", False, False, CHANGES_BY_POLLING)):
            with tempfile.TemporaryDirectory() as directory:
                async with _shop(directory, broker if bell else None, holds) as (world, store):
                    figures[way] = [await _change(world, store, number) for number in range(count)]
    return figures


async def _change(world: HubWorld, store: FakeStore, number: int) -> float:
    await asyncio.sleep(random.Random(number).uniform(2.0, 4.0))  # not in step with anybody's pauses
    began_s = time.perf_counter()
    await world.sets_items({"sku": f"sku-{number}", "name": "x"})
    while f"sku-{number}" not in store.rows[Feed.ITEMS]:  # noqa: ASYNC110 - nothing tells of it
        await asyncio.sleep(0.002)
    return time.perf_counter() - began_s


@asynccontextmanager
async def _shop(directory: str, broker: MosquittoServer | None, holds: bool
                ) -> AsyncIterator[tuple[HubWorld, FakeStore]]:
    world = HubWorld(f"sqlite:///{Path(directory, 'hub.db')}")
    registered = await world.operator.put(f"/v1/stores/{STORE}", json={})
    store, bell, tasks = FakeStore(), None, []
    if broker is not None:
        bell = MqttDoorbell(Broker(broker.host, broker.port, tls=False), STORE, random.Random(1))
        options = BrokerOptions(broker.host, broker.port)
        ringer = Doorbell(world.storage.stores, run_inline, mqtt_connect(options), random.Random(2))
        world.bells.listen(ringer.grown)
        tasks.append(asyncio.create_task(ringer.run()))
    address = HubAddress("http://hub", registered.json()["token"], transport=_Impatient(world, holds))
    link = HubLink(store_id=STORE, address=address, store=store, randomness=random.Random(3),
                   wall_ms=lambda: time.time_ns() // 1_000_000, doorbell=bell)
    tasks.append(asyncio.create_task(link.run()))
    try:
        wanted = DoorbellState.CONNECTED if bell else DoorbellState.OFF
        while not link.state.up or link.state.doorbell is not wanted:  # noqa: ASYNC110 - nothing tells of it
            await asyncio.sleep(0.02)
        await asyncio.sleep(2.0)
        yield world, store
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        world.stop()
