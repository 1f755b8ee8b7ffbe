"""The doorbell: an MQTT message per store that says "pull now" and carries feed names and heads, nothing else.

Losing every one costs at most one poll interval (DESIGN.md section 10), so nothing here may ever hold up the hub:
growths coalesce per feed and rings per store, and a broker that is away is tried again with full jitter, for ever.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Protocol

import msgspec
import structlog

from cloud_sync.hub.app import Run
from cloud_sync.hub.feeds import STORE_FEED_NAMES, FeedId
from cloud_sync.hub.limits import BROKER_STABLE_S, DOORBELL_PENDING_MAX, RING_PAUSE_S
from cloud_sync.hub.presence import PRESENCE_TOPICS, Presences
from cloud_sync.hub.stores import Stores

RETRY_FIRST_S = 1.0
RETRY_MAX_S = 60.0
CONNECT_TIMEOUT_S = 10
PUBLISH_TIMEOUT_S = 10
KEEPALIVE_S = 30


class BrokerLine(Protocol):
    """What is needed of an MQTT connection."""

    async def publish(self, topic: str, payload: bytes) -> None: ...

    async def lost(self) -> None:
        """Waits until the connection ends; then raises."""
        ...


Connect = Callable[[], AbstractAsyncContextManager[BrokerLine]]
"""Opens a connection to the broker; raises any exception when it cannot."""


class Ring(msgspec.Struct, frozen=True):
    """The payload: feed name → head offset."""

    feeds: dict[str, int]


@dataclass(frozen=True, slots=True)
class BrokerOptions:
    """Where the MQTT broker is. Without `password`, the credential `TRASTIENDA_HUB_BROKER_PASSWORD` is used.

    `certificate_authority`: PEM file that vouches for it, `None` for the system's.
    """

    host: str
    port: int = 1883
    tls: bool = False
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    certificate_authority: Path | None = None


def topic(store: str) -> str:
    return f"stores/{store}/doorbell"


class Doorbell:
    """Collects growths from `Bells.listen` and publishes them to every store concerned."""

    def __init__(self, stores: Stores, run: Run, connect: Connect, random: Random,
                 presences: Presences | None = None) -> None:
        self._stores = stores
        self._run = run
        self._connect = connect
        self._random = random
        self._presences = presences or Presences()
        self._pending: dict[FeedId, int] = {}
        self._rings: dict[str, dict[str, int]] = {}
        self._news = asyncio.Event()
        self._log = structlog.get_logger("doorbell")
        self._said_connected: bool | None = None

    def grown(self, feed: FeedId, head: int) -> None:
        """Note a growth; only the newest head of a feed is kept. Beyond `DOORBELL_PENDING_MAX` feeds it is dropped."""
        if feed in self._pending or len(self._pending) < DOORBELL_PENDING_MAX:
            self._pending[feed] = head
            self._news.set()

    async def run(self) -> None:
        """Until cancelled. No exception of the broker's or the library's ends it.

        Only a connection that lasted ends the back-off, and only after one is the next worth a word at once: a broker
        that throws us out again and again is neither stormed nor fills the log.
        """
        loop, failures, lasting = asyncio.get_running_loop(), 0, True
        while True:
            connected_s: float | None = None
            try:
                async with self._connect() as line:
                    connected_s = loop.time()
                    await self._serve(line, 0.0 if lasting else BROKER_STABLE_S)
            except Exception as error:
                self._say_connected(False, f"{type(error).__name__}: {error}")
            self._presences.forget()
            if connected_s is not None:
                lasting = loop.time() - connected_s >= BROKER_STABLE_S
                failures = 0 if lasting else failures
            await asyncio.sleep(self._random.uniform(0, min(RETRY_MAX_S, RETRY_FIRST_S * 2 ** min(failures, 16))))
            failures += 1

    async def _serve(self, line: BrokerLine, say_after_s: float) -> None:
        """Ring until the connection ends; raises what ended it."""
        tasks = [asyncio.create_task(each) for each in (
            self._publish_all(line), line.lost(), self._say_connected_after(say_after_s))]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
            for task in done:
                task.result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _publish_all(self, line: BrokerLine) -> None:
        """One ring per store with all of its feeds, at most one every `RING_PAUSE_S`; what fails stays for the next."""
        while True:
            if not self._rings:
                await self._news.wait()
            await self._find_stores()
            while self._rings:
                store, feeds = next(iter(self._rings.items()))
                await line.publish(topic(store), msgspec.json.encode(Ring(feeds)))
                self._rings.pop(store, None)
            await asyncio.sleep(RING_PAUSE_S)

    async def _find_stores(self) -> None:
        """Turn growths into rings. A database that does not answer now costs its stores one poll interval."""
        self._news.clear()
        pending, self._pending = self._pending, {}
        for feed, head in pending.items():
            try:
                stores = [feed.owner] if feed.feed in STORE_FEED_NAMES else await self._run(
                    self._stores.stores_in, feed.owner)
            except Exception as error:
                self._log.warning("a zone was not rung", zone=feed.owner, error=type(error).__name__)
                continue
            for store in stores:
                self._rings.setdefault(store, {})[feed.feed.value] = head

    async def _say_connected_after(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
        self._say_connected(True)

    def _say_connected(self, connected: bool, why: str = "") -> None:
        """Once when lost, once when back."""
        if connected is not self._said_connected:
            self._said_connected = connected
            if connected:
                self._log.info("doorbell broker connected")
            else:
                self._log.warning("doorbell broker away: stores hear of changes at their next poll", why=why)


def mqtt_connect(broker: BrokerOptions, presences: Presences | None = None) -> Connect:
    """Connections to this broker by aiomqtt, which is imported only when a broker is configured.

    `presences` hears what the broker says of who listens, where it lets us.
    """
    import ssl

    import aiomqtt

    class Heard(asyncio.Queue[aiomqtt.Message]):
        """Keeps nothing: what is heard is taken at once, so that no number of messages can pile up."""

        def put_nowait(self, item: aiomqtt.Message) -> None:
            if presences is not None and isinstance(item.payload, bytes):
                presences.hear(item.topic.value, item.payload)

    class Line:
        def __init__(self, client: aiomqtt.Client) -> None:
            self._client = client

        async def publish(self, topic: str, payload: bytes) -> None:
            await self._client.publish(topic, payload, qos=0, timeout=PUBLISH_TIMEOUT_S)

        async def lost(self) -> None:
            if presences is not None:
                await self._client.subscribe(PRESENCE_TOPICS, timeout=PUBLISH_TIMEOUT_S)
            async for _ in self._client.messages:
                pass

    @asynccontextmanager
    async def connect() -> AsyncIterator[BrokerLine]:
        tls = ssl.create_default_context(cafile=broker.certificate_authority) if broker.tls else None
        async with aiomqtt.Client(broker.host, broker.port, username=broker.username, password=broker.password,
                                  tls_context=tls, keepalive=KEEPALIVE_S, timeout=CONNECT_TIMEOUT_S,
                                  queue_type=Heard) as client:
            yield Line(client)

    return connect
