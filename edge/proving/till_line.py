"""A till's line to the store: it loses and doubles things, and is cut for hours, while the till sells on."""

import asyncio
import random

from edge.proving.asgi import Answer, Question
from edge.proving.process import Gone
from edge.proving.world import World

RETRY_S = (0.5, 8.0)
"""How long a till waits before it sends again."""

ANSWER_WAIT_S = 15.0
"""A till that was not answered for so long takes the request for lost."""

REQUEST_LOST_SHARE = 0.02
REPLY_LOST_SHARE = 0.06
SENT_TWICE_SHARE = 0.04
ALL_AT_ONCE_S = 30.0
"""When a line is back, everything that waited for it goes out within so long, in any order."""


class TillLine:
    """One till's. `randomness` is the till's own."""

    def __init__(self, world: World, name: str, randomness: random.Random) -> None:
        self._world = world
        self._name = name
        self._randomness = randomness
        self._there = asyncio.Event()
        self._there.set()

    @property
    def there(self) -> bool:
        """Whether it is not cut."""
        return self._there.is_set()

    def cut(self) -> None:
        """Nothing goes out or comes in."""
        self._there.clear()

    def mend(self) -> None:
        """It is back."""
        self._there.set()

    async def is_back(self) -> None:
        """Wait for it, and then a moment more: not everything goes first."""
        if not self._there.is_set():
            await self._there.wait()
            await asyncio.sleep(self._randomness.uniform(0.0, ALL_AT_ONCE_S))

    async def ask(self, question: Question) -> Answer | None:
        """One attempt; `None`: no answer came."""
        if not self.there:
            return None
        point = self._randomness.random()
        if point < REQUEST_LOST_SHARE:
            self._world.tally.count("till_request_lost")
            return None
        lost = point < REQUEST_LOST_SHARE + REPLY_LOST_SHARE
        twice = point > 1 - SENT_TWICE_SHARE
        alone, life = self._world.line.is_cut, self._world.box.lives
        try:
            async with asyncio.timeout(ANSWER_WAIT_S):
                answer = await self._sent(question, twice=twice)
        except Gone:
            return None
        except TimeoutError:
            self._nobody_answered(life)
            return None
        if alone and self._world.line.is_cut:
            self._world.stood_alone += 1
        if lost or not self.there:
            self._world.tally.count("till_reply_lost")
            return None
        return answer

    async def insist(self, question: Question) -> Answer:
        """Until there is an answer that lasts."""
        while True:
            await self.is_back()
            answer = await self.ask(question)
            if answer is not None and answer.status < 500:
                return answer
            await asyncio.sleep(self._randomness.uniform(*RETRY_S))

    async def _sent(self, question: Question, *, twice: bool) -> Answer:
        if not twice:
            return await self._world.box.request(question)
        self._world.tally.count("till_request_duplicated")
        both = await asyncio.gather(self._world.box.request(question), self._world.box.request(question))
        return both[self._randomness.randrange(2)]

    def _nobody_answered(self, life: int) -> None:
        """P8: a store that runs and has room answers its tills, whatever the line does."""
        world = self._world
        if world.box.up and world.box.lives == life and not world.disk.full:
            world.violations.append(f"P8: till {self._name} waited {ANSWER_WAIT_S:.0f} s for a store that runs")
