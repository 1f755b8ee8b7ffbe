"""The doorbell says "pull now" and nothing else; no broker ever holds up the hub (DESIGN.md section 10)."""

import asyncio
import random
import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import aiomqtt
import pytest
import structlog
import trustme

from cloud_sync.contract.feeds import Feed
from cloud_sync.hub import doorbell, presence
from cloud_sync.hub.app import run_inline
from cloud_sync.hub.doorbell import BrokerOptions, Doorbell, mqtt_connect
from cloud_sync.hub.feeds import FeedId
from cloud_sync.hub.limits import BROKER_STABLE_S, RING_PAUSE_S
from cloud_sync.hub.presence import Listening, Presences
from tests.hub.virtual_time import run_virtually
from tests.hub.world import HubWorld
from tests.mosquitto import MosquittoServer

MILK = {"sku": "milk", "name": "Milk"}


class FakeBroker:
    """Fails as often as it is told, with any kind of error, and keeps what is published."""

    def __init__(self, *failures: Exception) -> None:
        self.failures = list(failures)
        self.messages: list[tuple[str, bytes]] = []
        self.connections = 0
        self.gone = asyncio.Event()

    @asynccontextmanager
    async def connect(self) -> AsyncIterator["FakeBroker"]:
        self.connections += 1
        self._fail()
        yield self

    async def publish(self, topic: str, payload: bytes) -> None:
        self._fail()
        self.messages.append((topic, payload))

    async def lost(self) -> None:
        await self.gone.wait()
        raise OSError("the connection ended")

    def _fail(self) -> None:
        if self.failures:
            raise self.failures.pop(0)


def hub_with_doorbell(url: str, broker: FakeBroker) -> tuple[HubWorld, Doorbell]:
    hub = HubWorld(url)
    bell = Doorbell(hub.storage.stores, run_inline, broker.connect, random.Random(1))
    hub.bells.listen(bell.grown)
    return hub, bell


async def ended(ringing: "asyncio.Task[None]") -> None:
    ringing.cancel()
    await asyncio.gather(ringing, return_exceptions=True)


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
        await ended(ringing)
        hub.stop()

    run_virtually(scene())
    assert broker.messages == [
        ("stores/store-1/doorbell", b'{"feeds":{"items":1}}'),
        ("stores/store-2/doorbell", b'{"feeds":{"items":1,"orders":1}}')]


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
        await ended(ringing)
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
        await ended(ringing)
        hub.stop()

    run_virtually(scene())
    assert broker.messages == [("stores/store-0/doorbell", b'{"feeds":{"orders":7}}'),
                               ("stores/store-1/doorbell", b'{"feeds":{"orders":1}}')]


def test_p10_a_thousand_changes_in_a_minute_ring_a_store_twice_a_second_at_most(sqlite_url: str):
    broker = FakeBroker()

    async def scene() -> None:
        hub, bell = hub_with_doorbell(sqlite_url, broker)
        await hub.store()
        ringing = asyncio.create_task(bell.run())
        for number in range(1, 1001):
            bell.grown(FeedId(Feed.ORDERS, "store-1"), number)
            await asyncio.sleep(0.06)
        await asyncio.sleep(1)
        await ended(ringing)
        hub.stop()

    run_virtually(scene())
    assert len(broker.messages) <= 60 / RING_PAUSE_S + 2
    assert broker.messages[-1] == ("stores/store-1/doorbell", b'{"feeds":{"orders":1000}}')


def test_p10_a_broker_that_throws_us_out_again_and_again_is_neither_stormed_nor_said_each_time(sqlite_url: str):
    broker = FakeBroker()
    broker.gone.set()

    async def scene() -> None:
        hub, bell = hub_with_doorbell(sqlite_url, broker)
        await hub.store()
        ringing = asyncio.create_task(bell.run())
        await asyncio.sleep(3600)
        broker.gone.clear()
        await asyncio.sleep(60 + BROKER_STABLE_S + 1)
        bell.grown(FeedId(Feed.ORDERS, "store-1"), 7)
        await asyncio.sleep(1)
        await ended(ringing)
        hub.stop()

    with structlog.testing.capture_logs() as said:
        run_virtually(scene())
    assert broker.connections < 3600 / 20
    assert broker.messages == [("stores/store-1/doorbell", b'{"feeds":{"orders":7}}')]
    assert [each["log_level"] for each in said if "broker" in each["event"]] == ["info", "warning", "info"]


def test_p8_a_zone_that_cannot_be_looked_up_now_costs_a_ring_and_not_the_broker(sqlite_url: str):
    broker = FakeBroker()

    async def run(*_call: object) -> list[str]:
        raise OSError("the database does not answer")

    async def scene() -> None:
        hub = HubWorld(sqlite_url)
        bell = Doorbell(hub.storage.stores, run, broker.connect, random.Random(1))
        ringing = asyncio.create_task(bell.run())
        bell.grown(FeedId(Feed.ITEMS, "default"), 1)
        bell.grown(FeedId(Feed.ORDERS, "store-1"), 7)
        await asyncio.sleep(2)
        await ended(ringing)
        hub.stop()

    with structlog.testing.capture_logs() as said:
        run_virtually(scene())
    assert broker.messages == [("stores/store-1/doorbell", b'{"feeds":{"orders":7}}')]
    assert broker.connections == 1
    assert [each["event"] for each in said if each["log_level"] == "warning"] == ["a zone was not rung"]


# --- presence -------------------------------------------------------------------------------------------------------


def test_p10_presence_takes_only_what_makes_sense_and_so_many_stores(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(presence, "PRESENCES_MAX", 2)
    known, told = Presences(), []
    known.changed = lambda store, listening: told.append((store, listening))
    for topic, payload in (("stores/a/presence", b"online"), ("stores/a/presence", b"online"),
                           ("stores/b/presence", b"offline"), ("stores/c/presence", b"online"),
                           ("stores/a/presence", b"\xff" * 100), ("stores/a/presence/more", b"offline"),
                           ("stores//presence", b"online")):
        known.hear(topic, payload)
    assert told == [("a", Listening.ONLINE), ("b", Listening.OFFLINE)]
    assert known.of("c") is Listening.UNKNOWN
    known.forget()
    assert known.of("a") is Listening.UNKNOWN


# --- a real broker --------------------------------------------------------------------------------------------------


@pytest.fixture
def mosquitto() -> Iterator[MosquittoServer]:
    with MosquittoServer() as server:
        yield server


@asynccontextmanager
async def ringing_hub(url: str, options: BrokerOptions) -> AsyncIterator[HubWorld]:
    """A hub with a store that rings at this broker."""
    hub = HubWorld(url)
    await hub.store()
    presences = hub.bells.presences
    bell = Doorbell(hub.storage.stores, run_inline, mqtt_connect(options, presences), random.Random(1), presences)
    hub.bells.listen(bell.grown)
    ringing = asyncio.create_task(bell.run())
    try:
        yield hub
    finally:
        assert not ringing.done(), "a broker ended the doorbell"
        await ended(ringing)
        hub.stop()


async def becomes(listening: Listening, hub: HubWorld) -> None:
    async with asyncio.timeout(20):
        while (await hub.status()).doorbell != listening:  # noqa: ASYNC110 - nothing tells of it
            await asyncio.sleep(0.02)


async def test_over_a_real_broker_that_is_killed_in_between(sqlite_url: str, mosquitto: MosquittoServer):
    async with ringing_hub(sqlite_url, BrokerOptions(mosquitto.host, mosquitto.port)) as hub:
        for number in (1, 2):
            async with aiomqtt.Client(mosquitto.host, mosquitto.port) as listener, asyncio.timeout(20):
                await listener.subscribe("stores/store-1/doorbell")
                await hub.sets_items({**MILK, "name": f"Milk {number}"})
                message = await anext(aiter(listener.messages))
                assert message.payload == b'{"feeds":{"items":%d}}' % number
            mosquitto.restart()


async def test_the_status_of_a_store_shows_as_a_hint_whether_it_hears_its_bell(sqlite_url: str,
                                                                              mosquitto: MosquittoServer):
    async with ringing_hub(sqlite_url, BrokerOptions(mosquitto.host, mosquitto.port)) as hub:
        assert (await hub.status()).doorbell == Listening.UNKNOWN
        async with aiomqtt.Client(mosquitto.host, mosquitto.port) as store:
            for payload, listening in ((b"online", Listening.ONLINE), (b"offline", Listening.OFFLINE)):
                await store.publish("stores/store-1/presence", payload, qos=1, retain=True)
                await becomes(listening, hub)
        mosquitto.stop()
        await becomes(Listening.UNKNOWN, hub)


async def test_p11_the_hub_trusts_only_the_authority_it_was_given_and_works_with_the_shipped_access_list(
        sqlite_url: str, tmp_path: Path):
    with MosquittoServer(passwords={"hub": "its word", "store-1": "another"}, as_shipped=True) as server:
        options = BrokerOptions(server.host, server.port, tls=True, username="hub", password="its word",
                                certificate_authority=server.authority)
        tls = ssl.create_default_context(cafile=server.authority)
        async with ringing_hub(sqlite_url, options) as hub, aiomqtt.Client(
                server.host, server.port, username="store-1", password="another", tls_context=tls) as store:
            await store.subscribe("stores/store-1/doorbell")
            await store.publish("stores/store-1/presence", b"online", qos=1, retain=True)
            await becomes(Listening.ONLINE, hub)
            await hub.sets_items(MILK)
            async with asyncio.timeout(20):
                assert (await anext(aiter(store.messages))).payload == b'{"feeds":{"items":1}}'
        stranger = tmp_path / "stranger.pem"
        trustme.CA().cert_pem.write_to_path(str(stranger))
        for wrong in (replace(options, certificate_authority=stranger), replace(options, password="a guess")):
            with pytest.raises(aiomqtt.MqttError):
                async with mqtt_connect(wrong)():
                    pass
