"""The doorbell of the simulated world: a broker that rings, loses rings, and is not there at times.

What rings is the hub of the moment; who hears is the daemon of the moment. Implements the client's `port.Doorbell`.
"""

import asyncio
import random
from collections.abc import Callable

RING_LOST_SHARE = 0.3
RING_S = (0.005, 2.0)


class WorldBell:
    """One store's bell. `lost` makes what the client raises when the broker is gone."""

    def __init__(self, randomness: random.Random, lost: Callable[[str], Exception]) -> None:
        self._randomness = randomness
        self._lost = lost
        self._listeners: dict[asyncio.Future[None], Callable[[], None]] = {}
        self._broker_up = True

    async def listen(self, connected: Callable[[], None], ring: Callable[[], None]) -> None:
        """One connection, until the broker goes. Raises what `lost` makes."""
        if not self._broker_up:
            raise self._lost("the simulated broker is down")
        ends: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._listeners[ends] = ring
        try:
            connected()
            await ends
        finally:
            self._listeners.pop(ends, None)
        raise self._lost("the simulated broker went away")

    def ring(self) -> None:
        """The hub has something: whoever listens hears it a little later, if at all."""
        if self._broker_up and self._listeners and self._randomness.random() >= RING_LOST_SHARE:
            delay_s = self._randomness.uniform(*RING_S)
            asyncio.get_running_loop().call_later(delay_s, self._heard, tuple(self._listeners))

    def break_down(self) -> None:
        """The broker is gone, and every connection with it."""
        self._broker_up = False
        for ends in tuple(self._listeners):
            if not ends.done():
                ends.set_result(None)

    def mend(self) -> None:
        """The broker is back; clients connect again when they like."""
        self._broker_up = True

    def _heard(self, listeners: tuple[asyncio.Future[None], ...]) -> None:
        for listener in listeners:
            ring = self._listeners.get(listener)
            if ring is not None:
                ring()
