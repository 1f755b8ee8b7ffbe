"""How much room the disk under the state directory has, and what is given up for the ledger (DESIGN.md section 4).

Shed in this order: telemetry, chatter in the logs, label and price history; the ledger never. Below the last bound
facts are answered 503, which means "not acknowledged, keep it", and lookups go on. Everything comes back by itself.
Knows no file: how much is free is asked of a function, so that a simulator can fill the disk.
"""

import asyncio
from collections.abc import Callable
from enum import IntEnum

import structlog

from edge.errors import Transient
from edge.limits import (
    DISK_BACK_PERCENT,
    DISK_CHATTER_BYTES,
    DISK_FACTS_BYTES,
    DISK_HISTORY_BYTES,
    DISK_LOOK_EVERY_S,
    DISK_TELEMETRY_BYTES,
)

_log = structlog.get_logger(__name__)

FreeBytes = Callable[[], int]
"""How many bytes may still be written; raises `OSError` when nobody knows."""


class Shed(IntEnum):
    """What is given up; each level keeps giving up what stands above it here."""

    NOTHING = 0
    TELEMETRY = 1
    CHATTER = 2
    HISTORY = 3
    FACTS = 4

    @property
    def word(self) -> str:
        """For machines: metrics, status, logs."""
        return self.name.lower()


BOUNDS = {Shed.TELEMETRY: DISK_TELEMETRY_BYTES, Shed.CHATTER: DISK_CHATTER_BYTES, Shed.HISTORY: DISK_HISTORY_BYTES,
          Shed.FACTS: DISK_FACTS_BYTES}


def shed_at(room_bytes: int, before: Shed) -> Shed:
    """What to give up with so much room. A level once reached ends only at `DISK_BACK_PERCENT` of its bound."""
    for level, bound_bytes in reversed(BOUNDS.items()):
        if room_bytes < bound_bytes or (level <= before and room_bytes < bound_bytes * DISK_BACK_PERCENT // 100):
            return level
    return Shed.NOTHING


class DiskBudget:
    """Looks at the disk now and then; rooms ask `sheds` before they write what can be done without."""

    def __init__(self, free_bytes: FreeBytes = lambda: 2**60) -> None:
        self._free_bytes = free_bytes
        self._unreadable = False
        self.level = Shed.NOTHING
        self.room_bytes = 0
        self.progress = 0
        self.listeners: list[Callable[[Shed], None]] = []

    def sheds(self, what: Shed) -> bool:
        """Whether this is given up now."""
        return self.level >= what

    def must_take_facts(self) -> None:
        """Raises `Transient` while facts are not taken."""
        if self.sheds(Shed.FACTS):
            raise Transient(f"not stored, keep it and send again: the disk is nearly full, {self.room_mib} MiB left")

    @property
    def room_mib(self) -> int:
        """For people."""
        return self.room_bytes // 2**20

    def look(self) -> None:
        """Ask how much is free and say what that means; a disk that does not tell leaves everything as it is."""
        try:
            self.room_bytes = self._free_bytes()
            self._unreadable = False
        except OSError as error:
            if not self._unreadable:
                _log.error("nobody can say how full the disk is", error=str(error))
            self._unreadable = True
            return
        level = shed_at(self.room_bytes, self.level)
        if level is not self.level:
            self._turn(level)

    async def run(self) -> None:
        """Look until cancelled."""
        while True:
            self.look()
            self.progress += 1
            await asyncio.sleep(DISK_LOOK_EVERY_S)

    def _turn(self, level: Shed) -> None:
        """Once in the log for each level that is reached, once when room is back."""
        before, self.level = self.level, level
        for listener in self.listeners:
            listener(level)
        for reached in (each for each in Shed if before < each <= level):
            say = _log.error if reached is Shed.FACTS else _log.warning
            say("the disk fills up", shed=reached.word, room_mib=self.room_mib, bound_mib=BOUNDS[reached] // 2**20)
        if level < before:
            _log.warning("the disk has room again", back=[each.word for each in Shed if level < each <= before],
                         room_mib=self.room_mib)
