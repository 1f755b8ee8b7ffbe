"""What everybody on the stage shares: who watches, whether the store stands, how long it goes on."""

import asyncio
from collections import Counter
from dataclasses import dataclass, field

from edge.clock import Clock
from edge.proving.sightings import Span
from edge.proving.witness import Witness


@dataclass(slots=True)
class Play:
    """One run. `lives`: how often the daemon was started; `store_up`: it has not been killed since."""

    witness: Witness
    clock: Clock
    ending: asyncio.Event = field(default_factory=asyncio.Event)
    store_up: bool = False
    lives: int = 0
    line_up: bool = True
    happened: Counter[str] = field(default_factory=Counter)
    """What there is to count beside what the witness counts, for the display."""

    @staticmethod
    def now_s() -> float:
        """The witness's clock: the loop's."""
        return asyncio.get_running_loop().time()

    def since(self, began_s: float) -> Span:
        """From then until now."""
        return Span(began_s, self.now_s())

    async def pause(self, seconds: float) -> bool:
        """Wait; returns at once, and false, when the play ends."""
        try:
            async with asyncio.timeout(max(0.0, seconds)):
                await self.ending.wait()
        except TimeoutError:
            return True
        return False
