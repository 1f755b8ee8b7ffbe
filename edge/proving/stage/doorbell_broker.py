"""The MQTT broker inside the demo: amqtt, on a free loopback port, with one name and password for all."""

import asyncio
import logging
from typing import Any

START_S = 10.0
"""A broker that takes longer to listen is none."""


class DoorbellBroker:
    """`start()`, then `port`; amqtt is imported only here, so that the store box does without it."""

    host = "127.0.0.1"

    def __init__(self, port: int) -> None:
        self.port = port
        self._broker: Any = None  # amqtt ships no types

    async def start(self) -> None:
        """Listen. Raises `TimeoutError` or amqtt's own error when it cannot."""
        from amqtt.broker import Broker

        logging.getLogger("amqtt").setLevel(logging.CRITICAL)
        logging.getLogger("transitions").setLevel(logging.CRITICAL)
        self._broker = Broker({
            "listeners": {"default": {"type": "tcp", "bind": f"{self.host}:{self.port}"}},
            "plugins": {"amqtt.plugins.authentication.AnonymousAuthPlugin": {"allow_anonymous": True}},
        })
        async with asyncio.timeout(START_S):
            await self._broker.start()

    async def stop(self) -> None:
        """The end."""
        if self._broker is not None:
            broker, self._broker = self._broker, None
            await broker.shutdown()
