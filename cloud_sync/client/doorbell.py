"""The doorbell over MQTT: topic `stores/{id}/doorbell` says "pull now"; `stores/{id}/presence` says that we listen.

What a ring carries is not read: nothing depends on it, so nothing can be smuggled in by it, and any number of them
mean the same. MQTT 3.1.1 with a clean session, which every broker speaks. aiomqtt needs real sockets and a thread to
connect; a simulator passes another `port.Doorbell`.
"""

import asyncio
import random
import ssl
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import cast

import aiomqtt

from cloud_sync.client.errors import BellLost
from cloud_sync.client.limits import (
    BELL_CALL_S,
    BELL_FLOOD_MESSAGES,
    BELL_FLOOD_S,
    BELL_GOODBYE_S,
    BELL_HINTS_MAX,
    BELL_KEEPALIVE_S,
    BELL_PRESENCE_S,
)
from cloud_sync.client.loop import now_s

PRESENT = b"online"
ABSENT = b"offline"
_REFUSED = 0x80
"""Return code of a SUBACK for a topic that the broker does not let us hear (MQTT 3.1.1, section 3.9.3)."""


@dataclass(frozen=True, slots=True)
class Broker:
    """Where the MQTT broker is. `certificate_authority`: PEM file that vouches for it, `None` for the system's."""

    host: str
    port: int = 8883
    tls: bool = True
    username: str = ""
    password: str = field(default="", repr=False)
    certificate_authority: Path | None = None


def doorbell_topic(store_id: str) -> str:
    return f"stores/{store_id}/doorbell"


def presence_topic(store_id: str) -> str:
    """Retained: `PRESENT` while a doorbell listens, `ABSENT` by last will or by a proper end."""
    return f"stores/{store_id}/presence"


class MqttDoorbell:
    """Implements `port.Doorbell`.

    The client id has a random end, so that no two boxes throw each other out, and stays the same for this object's
    life: a connection that comes back ends the old one at the broker, and its last will with it.
    """

    def __init__(self, broker: Broker, store_id: str, randomness: random.Random) -> None:
        self._broker = broker
        self._store_id = store_id
        self._client_id = f"trastienda-{store_id}-{randomness.getrandbits(32):08x}"

    async def listen(self, connected: Callable[[], None], ring: Callable[[], None]) -> None:
        """One connection to the broker. Raises `BellLost` when there is none, or no longer."""
        tally = _Tally()
        try:
            async with self._client(tally) as client:
                await self._subscribe(client)
                connected()
                try:
                    await self._hear(client, tally, ring)
                finally:
                    await self._say_goodbye(client)
        except (aiomqtt.MqttError, OSError, ValueError) as error:
            raise BellLost(f"{self._broker.host}:{self._broker.port}: {str(error) or type(error).__name__}") from error

    def _client(self, tally: "_Tally") -> aiomqtt.Client:
        broker = self._broker
        tls = ssl.create_default_context(cafile=broker.certificate_authority) if broker.tls else None
        hints = cast("type[asyncio.Queue[aiomqtt.Message]]", partial(_Hints, tally))
        return aiomqtt.Client(
            broker.host, broker.port, username=broker.username or None, password=broker.password or None,
            identifier=self._client_id, tls_context=tls,
            will=aiomqtt.Will(presence_topic(self._store_id), ABSENT, qos=1, retain=True),
            keepalive=BELL_KEEPALIVE_S, timeout=BELL_CALL_S, clean_session=True,
            queue_type=hints, max_queued_incoming_messages=BELL_HINTS_MAX)

    async def _subscribe(self, client: aiomqtt.Client) -> None:
        """Hear the bell, and what is said of our presence; the second only where the broker lets us."""
        granted = await client.subscribe([(doorbell_topic(self._store_id), 0), (presence_topic(self._store_id), 0)])
        if granted[0] == _REFUSED:
            raise BellLost(f"{self._broker.host} does not let us hear {doorbell_topic(self._store_id)}")
        await self._say_present(client)

    async def _hear(self, client: aiomqtt.Client, tally: "_Tally", ring: Callable[[], None]) -> None:
        """Until the connection ends. Raises `BellLost` at a flood: the tills need the time it would take."""
        bell, corrected_s = doorbell_topic(self._store_id), now_s()
        async for message in client.messages:
            if tally.floods():
                raise BellLost(f"{self._broker.host} floods us: more than {BELL_FLOOD_MESSAGES} messages within "
                               f"{BELL_FLOOD_S:.0f} s")
            if message.topic.value == bell:
                ring()
            elif message.payload == ABSENT and now_s() - corrected_s >= BELL_PRESENCE_S:
                corrected_s = now_s()  # the last will of a connection that died before this one began
                await self._say_present(client)

    async def _say_present(self, client: aiomqtt.Client) -> None:
        await client.publish(presence_topic(self._store_id), PRESENT, qos=1, retain=True)

    async def _say_goodbye(self, client: aiomqtt.Client) -> None:
        """A proper end sends no last will; where the connection is gone, the broker sends it for us."""
        client.timeout = BELL_GOODBYE_S
        with suppress(aiomqtt.MqttError):
            await client.publish(presence_topic(self._store_id), ABSENT, qos=1, retain=True)


class _Tally:
    """Counts what a broker sends in windows of `BELL_FLOOD_S`."""

    def __init__(self) -> None:
        self._began_s = now_s()
        self._count = 0

    def count(self) -> None:
        if now_s() - self._began_s > BELL_FLOOD_S:
            self._began_s, self._count = now_s(), 0
        self._count += 1

    def floods(self) -> bool:
        return self._count > BELL_FLOOD_MESSAGES


class _Hints(asyncio.Queue[aiomqtt.Message]):
    """What nobody has heard yet, one message per topic. aiomqtt's own queue would log each one that it drops."""

    def __init__(self, tally: _Tally, maxsize: int = 0) -> None:
        super().__init__(maxsize)
        self._tally = tally
        self._topics: set[str] = set()

    def put_nowait(self, item: aiomqtt.Message) -> None:
        self._tally.count()
        if item.topic.value not in self._topics and not self.full():
            self._topics.add(item.topic.value)
            super().put_nowait(item)

    def get_nowait(self) -> aiomqtt.Message:
        message = super().get_nowait()
        self._topics.discard(message.topic.value)
        return message
