"""The doorbell: an MQTT message per store that says "pull now" and carries feed names and heads, nothing else.

Losing every one costs at most one poll interval (DESIGN.md section 10), so nothing here may ever hold up the hub:
growths coalesce per feed, and a broker that is away is tried again with full jitter, for ever.
"""

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from random import Random
from typing import Protocol

import msgspec
import structlog

from cloud_sync.hub.app import Run
from cloud_sync.hub.feeds import STORE_FEED_NAMES, FeedId
from cloud_sync.hub.limits import DOORBELL_PENDING_MAX
from cloud_sync.hub.stores import Stores

RETRY_FIRST_S = 1.0
RETRY_MAX_S = 60.0
CONNECT_TIMEOUT_S = 10
PUBLISH_TIMEOUT_S = 10
KEEPALIVE_S = 30


class Publisher(Protocol):
    """What is needed of an MQTT connection."""

    async def publish(self, topic: str, payload: bytes) -> None: ...


Connect = Callable[[], AbstractAsyncContextManager[Publisher]]
"""Opens a connection to the broker; raises any exception when it cannot."""


class Ring(msgspec.Struct, frozen=True):
    """The payload: feed name → head offset."""

    feeds: dict[str, int]


@dataclass(frozen=True, slots=True)
class BrokerOptions:
    """Where the MQTT broker is. Without `password`, the credential `TRASTIENDA_HUB_BROKER_PASSWORD` is used."""

    host: str
    port: int = 1883
    tls: bool = False
    username: str | None = None
    password: str | None = field(default=None, repr=False)


def topic(store: str) -> str:
    return f"stores/{store}/doorbell"


class Doorbell:
    """Collects growths from `Bells.listen` and publishes them to every store concerned."""

    def __init__(self, stores: Stores, run: Run, connect: Connect, random: Random) -> None:
        self._stores = stores
        self._run = run
        self._connect = connect
        self._random = random
        self._pending: dict[FeedId, int] = {}
        self._news = asyncio.Event()
        self._log = structlog.get_logger("doorbell")
        self._connected: bool | None = None

    def grown(self, feed: FeedId, head: int) -> None:
        """Note a growth; only the newest head of a feed is kept. Beyond `DOORBELL_PENDING_MAX` feeds it is dropped."""
        if feed in self._pending or len(self._pending) < DOORBELL_PENDING_MAX:
            self._pending[feed] = head
            self._news.set()

    async def run(self) -> None:
        """Until cancelled. No exception of the broker's or the library's ends it."""
        failures = 0
        while True:
            try:
                async with self._connect() as publisher:
                    failures = 0
                    self._say_connected(True)
                    await self._publish_all(publisher)
            except Exception as error:
                self._say_connected(False, f"{type(error).__name__}: {error}")
            await asyncio.sleep(self._random.uniform(0, min(RETRY_MAX_S, RETRY_FIRST_S * 2 ** min(failures, 16))))
            failures += 1

    async def _publish_all(self, publisher: Publisher) -> None:
        while True:
            await self._news.wait()
            self._news.clear()
            while self._pending:
                feed, head = next(iter(self._pending.items()))
                await self._publish(publisher, feed, head)
                if self._pending.get(feed) == head:
                    del self._pending[feed]

    async def _publish(self, publisher: Publisher, feed: FeedId, head: int) -> None:
        payload = msgspec.json.encode(Ring({feed.feed.value: head}))
        stores = [feed.owner] if feed.feed in STORE_FEED_NAMES else await self._run(self._stores.stores_in, feed.owner)
        for store in stores:
            await publisher.publish(topic(store), payload)

    def _say_connected(self, connected: bool, why: str = "") -> None:
        """Once when lost, once when back."""
        if connected is not self._connected:
            self._connected = connected
            if connected:
                self._log.info("doorbell broker connected")
            else:
                self._log.warning("doorbell broker away: stores hear of changes at their next poll", why=why)


def mqtt_connect(broker: BrokerOptions) -> Connect:
    """Connections to this broker by aiomqtt, which is imported only when a broker is configured."""
    import aiomqtt

    class Connection:
        def __init__(self, client: aiomqtt.Client) -> None:
            self._client = client

        async def publish(self, topic: str, payload: bytes) -> None:
            await self._client.publish(topic, payload, qos=0, timeout=PUBLISH_TIMEOUT_S)

    @asynccontextmanager
    async def connect() -> AsyncIterator[Publisher]:
        tls = ssl.create_default_context() if broker.tls else None
        async with aiomqtt.Client(broker.host, broker.port, username=broker.username, password=broker.password,
                                  tls_context=tls, keepalive=KEEPALIVE_S, timeout=CONNECT_TIMEOUT_S) as client:
            yield Connection(client)

    return connect
