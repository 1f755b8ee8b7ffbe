"""What is looked into once after every business day, and again while something is wrong."""

import asyncio
from abc import ABC, abstractmethod
from datetime import timedelta

import structlog

from edge.errors import Corrupt, Transient
from edge.limits import COMPARISON_FROM_HOUR, COMPARISON_LOOK_S
from edge.store import Store

_log = structlog.get_logger(__name__)


class Nightly(ABC):
    """`run` is a part for the supervisor; `progress` its pulse. `what`: said where it has to wait."""

    def __init__(self, store: Store, what: str) -> None:
        self._store = store
        self._what = what
        self.progress = 0

    async def run(self) -> None:
        """Look at the clock until cancelled."""
        while True:
            self.progress += 1
            try:
                await self.look()
            except (Transient, Corrupt) as trouble:
                _log.warning(f"{self._what} waits", reason=str(trouble))
            await asyncio.sleep(COMPARISON_LOOK_S)

    @abstractmethod
    async def look(self) -> None:
        """Do it if a night is due. Raises `Transient`, `Corrupt`."""

    def _day_that_is_over(self) -> str:
        """The last business day whose shoppers are surely gone."""
        local = self._store.local(self._store.clock.wall_ms())
        return (local - timedelta(days=1, hours=COMPARISON_FROM_HOUR)).date().isoformat()
