"""What the simulated people have begun and are not through with: shoppers on their way, sales not answered for."""

import asyncio
from collections.abc import Coroutine

from edge.proving.world import World


class Errands:
    """Tasks of one kind, in the order in which they began; one that breaks down is a mistake of the simulator."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._begun: dict[asyncio.Task[None], None] = {}

    def __len__(self) -> int:
        return len(self._begun)

    def begin(self, errand: Coroutine[None, None, None], name: str) -> "asyncio.Task[None]":
        """Goes on by itself; `name` is for people."""
        task = asyncio.get_running_loop().create_task(errand, name=name)
        self._begun[task] = None
        task.add_done_callback(self._ended)
        return task

    async def done(self, within_s: float | None = None) -> None:
        """Wait for all of them, and those that they begin; at most so long."""
        loop = asyncio.get_running_loop()
        ends_s = None if within_s is None else loop.time() + within_s
        while self._begun and (ends_s is None or loop.time() < ends_s):
            await asyncio.wait(tuple(self._begun), timeout=None if ends_s is None else ends_s - loop.time())

    def _ended(self, task: "asyncio.Task[None]") -> None:
        self._begun.pop(task, None)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._world.violations.append(f"simulator: {task.get_name()}: {error!r}")
