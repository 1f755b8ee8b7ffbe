"""The store's clocks: the wall clock that may lie, and the powered clock that grace runs on (DESIGN.md section 5).

Both are injected, so that the whole daemon also runs under virtual time. Nothing else in `edge` asks the system
for the time.
"""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

WALL_DRIFT_MAX_MS = 120_000
"""How far the wall clock may part from the boot-time clock before it is no longer believed."""


class Clock(Protocol):
    """What the machine offers. `boot_id` changes with every boot; `boot_ms` counts from it, asleep or not."""

    @property
    def boot_id(self) -> str: ...

    def wall_ms(self) -> int:
        """Milliseconds since 1970, UTC, as the wall clock has it."""
        ...

    def boot_ms(self) -> int:
        """Milliseconds since boot."""
        ...


class SystemClock:
    """Linux's own clocks."""

    def __init__(self) -> None:
        self.boot_id = Path("/proc/sys/kernel/random/boot_id").read_text().strip()

    def wall_ms(self) -> int:
        return time.time_ns() // 1_000_000

    def boot_ms(self) -> int:
        return time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1_000_000


@dataclass(frozen=True, slots=True)
class ClockStamp:
    """A persisted reading: at `boot_ms` of boot `boot_id` the powered clock stood at `powered_ms`."""

    boot_id: str
    boot_ms: int
    powered_ms: int
    wall_ms: int


class StoreClock:
    """The wall clock with its trust, and the powered clock: time this box has been switched on since its ledger began.

    Grace deadlines are powered times. After a restart within one boot the powered clock goes on exactly; after
    another boot it goes on from the last stamp, so that time switched off, and the little that was not stamped,
    counts zero: a deadline can only move later, never earlier.
    """

    def __init__(self, clock: Clock, last: ClockStamp | None) -> None:
        self._clock = clock
        boot_ms = clock.boot_ms()
        self._powered_offset_ms = -boot_ms
        if last is not None:
            same_boot = last.boot_id == clock.boot_id and last.boot_ms <= boot_ms
            self._powered_offset_ms = last.powered_ms - (last.boot_ms if same_boot else boot_ms)
        self._newest_known_ms = last.wall_ms if last else 0
        self._wall_offset_ms = clock.wall_ms() - boot_ms
        self.trusted = clock.wall_ms() >= self._newest_known_ms

    def wall_ms(self) -> int:
        """Milliseconds since 1970, UTC."""
        return self._clock.wall_ms()

    def powered_ms(self) -> int:
        """Milliseconds on the powered clock."""
        return self._clock.boot_ms() + self._powered_offset_ms

    def stamp(self) -> ClockStamp:
        """The reading to persist."""
        return ClockStamp(self._clock.boot_id, self._clock.boot_ms(), self.powered_ms(), self.wall_ms())

    def check(self) -> bool:
        """Compare the wall clock with the boot-time clock; returns whether it may be believed.

        Trust is lost when it ran away from the boot-time clock, or stands behind what was already recorded.
        """
        offset_ms = self._clock.wall_ms() - self._clock.boot_ms()
        if abs(offset_ms - self._wall_offset_ms) > WALL_DRIFT_MAX_MS or self._clock.wall_ms() < self._newest_known_ms:
            self.trusted = False
        return self.trusted

    def believe(self) -> None:
        """Somebody with a right to say so (NTP, the hub) agrees with the wall clock as it stands."""
        self._wall_offset_ms = self._clock.wall_ms() - self._clock.boot_ms()
        self._newest_known_ms = 0
        self.trusted = True
