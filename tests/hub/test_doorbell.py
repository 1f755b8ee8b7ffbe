"""The doorbell says "pull now" and nothing else; no broker ever holds up the hub (DESIGN.md section 10)."""

import asyncio
import random
import socket
import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiomqtt
import pytest

from cloud_sync.contract.feeds import Feed
from cloud_sync.hub import doorbell
from cloud_sync.hub.app import run_inline
from cloud_sync.hub.doorbell import BrokerOptions, Doorbell, mqtt_connect
from cloud_sync.hub.feeds import FeedId
from tests.hub.virtual_time import run_virtually
from tests.hub.world import HubWorld
from tests.needs import need

MILK = {"sku": "milk", "name": "Milk"}


class FakeBroker:
    """Fails as often as it is told, with any kind of error, and keeps what is published."""

    def __init__(self, *failures: Exception) -> None:
        self.failures = list(failures)
        self.messages: list[tuple[str, bytes]] = []
        self.connections = 0

    @asynccontextmanager
    async def connect(self) -> AsyncIterator["FakeBroker"]:
        self.connections += 1
        self._fail()
        yield self

    async def publish(self, topic: str, payload: bytes) -> None:
        self._fail()
        self.messages.append((topic, payload))

    def _fail(self) -> None:
        if self.failures:
            raise self.failures.pop(0)


def hub_with_doorbell(url: str, broker: FakeBroker) -> tuple[HubWorld, Doorbell]:
    hub = HubWorld(url)
    bell = Doorbell(hub.storage.stores, run_inline, broker.connect, random.Random(1))
    hub.bells.listen(bell.grown)
    return hub, bell


def test_every_store_of_a_zone_is_rung_when_its_catalogue_grows(sqlite_url: str):
    broker = FakeBroker()

    async def scene() -> None:
        hub, bell = hub_with_doorbell(sqlite_url, broker)
        for name in ("store-1", "store-2"):
            await hub.store(name)
        await hub.store("far", zone="elsewhere")
        ringing = asyncio.create_task(bell.run())
        await hub.sets_items(MILK)
        await hub.sets_items(MILK)  # nothing changed, nobody is rung
        await hub.operator.put("/v1/stores/store-2/orders/o1", json={
            "currency": "EUR", "lines": [{"line": 1, "sku": "milk", "quantity_milli": 1000, "price_minor": 99}],
            "person": {"display_name": "Ana"}})
        await asyncio.sleep(1)
        ringing.cancel()
        hub.stop()

    run_virtually(scene())
    assert broker.messages == [
        ("stores/store-1/doorbell", b'{"feeds":{"items":1}}'), ("stores/store-2/doorbell", b'{"feeds":{"items":1}}'),
        ("stores/store-2/doorbell", b'{"feeds":{"orders":1}}')]


def test_growths_coalesce_while_the_broker_is_away_and_no_error_ends_the_loop(sqlite_url: str):
    broker = FakeBroker(OSError("refused"), ValueError("of unknown kind"), KeyError("x"), RuntimeError("in publish"))

    async def scene() -> bool:
        hub, bell = hub_with_doorbell(sqlite_url, broker)
        await hub.store()
        ringing = asyncio.create_task(bell.run())
        for number in range(1, 4):
            await hub.sets_items({"sku": f"sku-{number}", "name": "x"})
        await asyncio.sleep(300)
        alive = not ringing.done()
        ringing.cancel()
        hub.stop()
        return alive

    alive, _ = run_virtually(scene())
    assert alive
    assert broker.connections == 5
    assert broker.messages == [("stores/store-1/doorbell", b'{"feeds":{"items":3}}')]


def test_more_feeds_than_the_bound_are_dropped_and_the_hub_goes_on(sqlite_url: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(doorbell, "DOORBELL_PENDING_MAX", 2)
    broker = FakeBroker()

    async def scene() -> None:
        hub, bell = hub_with_doorbell(sqlite_url, broker)
        for number in range(4):
            bell.grown(FeedId(Feed.ORDERS, f"store-{number}"), 1)
        bell.grown(FeedId(Feed.ORDERS, "store-0"), 7)
        ringing = asyncio.create_task(bell.run())
        await asyncio.sleep(1)
        ringing.cancel()
        hub.stop()

    run_virtually(scene())
    assert broker.messages == [("stores/store-0/doorbell", b'{"feeds":{"orders":7}}'),
                               ("stores/store-1/doorbell", b'{"feeds":{"orders":1}}')]


@pytest.fixture
def mosquitto(tmp_path: Path) -> Iterator[int]:
    """A real broker on a port of its own."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    configuration = tmp_path / "mosquitto.conf"
    configuration.write_text(f"listener {port} 127.0.0.1\nallow_anonymous true\n")
    process = subprocess.Popen([need("mosquitto"), "-c", configuration], stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            break
        except OSError:
            time.sleep(0.05)
    yield port
    process.terminate()
    process.wait(5)


async def test_over_a_real_broker(sqlite_url: str, mosquitto: int):
    hub = HubWorld(sqlite_url)
    await hub.store()
    connect = mqtt_connect(BrokerOptions("127.0.0.1", mosquitto))
    bell = Doorbell(hub.storage.stores, run_inline, connect, random.Random(1))
    hub.bells.listen(bell.grown)
    async with aiomqtt.Client("127.0.0.1", mosquitto) as listener, asyncio.timeout(20):
        await listener.subscribe("stores/store-1/doorbell")
        ringing = asyncio.create_task(bell.run())
        await hub.sets_items(MILK)
        message = await anext(aiter(listener.messages))
    ringing.cancel()
    hub.stop()
    assert message.payload == b'{"feeds":{"items":1}}'
