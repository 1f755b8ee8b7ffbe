"""The doorbell over MQTT: topic `stores/{id}/doorbell` says "pull now"; `stores/{id}/presence` says that we listen.

What a message carries is not read: nothing depends on it, so nothing can be smuggled in by it, and any number of
them mean the same. MQTT 3.1.1 with a clean session, which every broker speaks. aiomqtt needs real sockets and a
thread to connect; a simulator passes another `port.Doorbell`.
"""

import asyncio
import random
import ssl
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import aiomqtt

from cloud_sync.client.errors import BellLost
from cloud_sync.client.limits import BELL_CALL_S, BELL_GOODBYE_S, BELL_HINTS_MAX, BELL_KEEPALIVE_S

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
    """Implements `port.Doorbell`. The client id has a random end, so that no two boxes throw each other out."""

    def __init__(self, broker: Broker, store_id: str, randomness: random.Random) -> None:
        self._broker = broker
        self._store_id = store_id
        self._randomness = randomness

    async def listen(self, connected: Callable[[], None], ring: Callable[[], None]) -> None:
        """One connection to the broker. Raises `BellLost` when there is none, or no longer."""
        try:
            async with self._client() as client:
                await self._subscribe(client)
                connected()
                try:
                    async for _ in client.messages:
                        ring()
                finally:
                    await self._say_goodbye(client)
        except (aiomqtt.MqttError, OSError, ValueError) as error:
            raise BellLost(f"{self._broker.host}:{self._broker.port}: {str(error) or type(error).__name__}") from error

    def _client(self) -> aiomqtt.Client:
        broker = self._broker
        tls = ssl.create_default_context(cafile=broker.certificate_authority) if broker.tls else None
        return aiomqtt.Client(
            broker.host, broker.port, username=broker.username or None, password=broker.password or None,
            identifier=f"trastienda-{self._store_id}-{self._randomness.getrandbits(32):08x}", tls_context=tls,
            will=aiomqtt.Will(presence_topic(self._store_id), ABSENT, qos=1, retain=True),
            keepalive=BELL_KEEPALIVE_S, timeout=BELL_CALL_S, clean_session=True,
            queue_type=_Hints, max_queued_incoming_messages=BELL_HINTS_MAX)

    async def _subscribe(self, client: aiomqtt.Client) -> None:
        granted = await client.subscribe(doorbell_topic(self._store_id), qos=0)
        if any(code == _REFUSED for code in granted):
            raise BellLost(f"{self._broker.host} does not let us hear {doorbell_topic(self._store_id)}")
        await client.publish(presence_topic(self._store_id), PRESENT, qos=1, retain=True)

    async def _say_goodbye(self, client: aiomqtt.Client) -> None:
        """A proper end sends no last will; where the connection is gone, the broker sends it for us."""
        client.timeout = BELL_GOODBYE_S
        with suppress(aiomqtt.MqttError):
            await client.publish(presence_topic(self._store_id), ABSENT, qos=1, retain=True)


class _Hints(asyncio.Queue[aiomqtt.Message]):
    """Rings that nobody has heard yet. aiomqtt's own queue would log each one that it drops."""

    def put_nowait(self, item: aiomqtt.Message) -> None:
        if not self.full():
            super().put_nowait(item)
