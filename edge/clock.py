"""The store's clocks: the wall clock that may lie, and the powered clock that grace runs on (DESIGN.md section 5).

Both are injected, so that the whole daemon also runs under virtual time. Nothing else in `edge` asks the system
for the time.
"""

import ctypes
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

WALL_DRIFT_MAX_MS = 120_000
"""How far the wall clock may part from the boot-time clock before it is no longer believed."""

_CORRECTION_MS = 1_000


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

    def synchronised(self) -> bool:
        """Whether a time service says, now, that the wall clock is right."""
        ...


class _Timex(ctypes.Structure):
    """`struct timex` of adjtimex(2) on 64-bit Linux, as far as it is looked at."""

    _fields_ = (("modes", ctypes.c_uint), ("offset", ctypes.c_long), ("frequency", ctypes.c_long),
                ("error_max", ctypes.c_long), ("error_estimated", ctypes.c_long), ("status", ctypes.c_int),
                ("rest", ctypes.c_byte * 160))


_UNSYNCHRONISED = 0x40  # STA_UNSYNC; the kernel sets it whenever somebody sets the clock, a time service clears it
_TIMESYNCD_SAYS_SO = Path("/run/systemd/timesync/synchronized")


class SystemClock:
    """Linux's own clocks."""

    def __init__(self) -> None:
        self.boot_id = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        self._libc = ctypes.CDLL(None)

    def synchronised(self) -> bool:
        """The kernel's word; where the sandbox forbids the question (ProtectClock=), systemd-timesyncd's."""
        answer = _Timex()  # modes 0: only asks
        if self._libc.adjtimex(ctypes.byref(answer)) < 0:
            return _TIMESYNCD_SAYS_SO.exists()
        return not answer.status & _UNSYNCHRONISED

    def wall_ms(self) -> int:
        return time.time_ns() // 1_000_000

    def boot_ms(self) -> int:
        return time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1_000_000


@dataclass(frozen=True, slots=True)
class ClockStamp:
    """A persisted reading: at `boot_ms` of boot `boot_id` the powered clock stood at `powered_ms`.

    `trusted`: whether the wall clock was believed then; doubt outlives a restart.
    """

    boot_id: str
    boot_ms: int
    powered_ms: int
    wall_ms: int
    trusted: bool = True


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
        self._wall_offset_ms = clock.wall_ms() - boot_ms
        self._newest_known_ms = 0
        self.trusted = True
        self.corrections = 0
        if last is not None:
            same_boot = last.boot_id == clock.boot_id and last.boot_ms <= boot_ms
            self._powered_offset_ms = last.powered_ms - (last.boot_ms if same_boot else boot_ms)
            self._newest_known_ms = last.wall_ms
            if same_boot:  # a restart of the daemon does not make a clock that ran away right
                self._wall_offset_ms = last.wall_ms - last.boot_ms
            self.trusted = last.trusted
        self.check()

    def wall_ms(self) -> int:
        """Milliseconds since 1970, UTC."""
        return self._clock.wall_ms()

    def powered_ms(self) -> int:
        """Milliseconds on the powered clock."""
        return self._clock.boot_ms() + self._powered_offset_ms

    def stamp(self) -> ClockStamp:
        """The reading to persist."""
        return ClockStamp(self._clock.boot_id, self._clock.boot_ms(), self.powered_ms(), self.wall_ms(), self.trusted)

    def check(self) -> bool:
        """Compare the wall clock with the boot-time clock; returns whether it may be believed.

        Trust is lost when it ran away from the boot-time clock, or stands behind what was already recorded; it comes
        back when a time service agrees.
        """
        offset_ms = self._clock.wall_ms() - self._clock.boot_ms()
        if abs(offset_ms - self._wall_offset_ms) > WALL_DRIFT_MAX_MS or self._clock.wall_ms() < self._newest_known_ms:
            self.trusted = False
        if not self.trusted and self._clock.synchronised():
            self.believe()
        return self.trusted

    def hear(self, reference_ms: int) -> None:
        """Somebody with a right to say so (the hub) says that it is `reference_ms` now: agree, or doubt."""
        if abs(self._clock.wall_ms() - reference_ms) <= WALL_DRIFT_MAX_MS:
            self.believe()
        elif not self._clock.synchronised():
            self.trusted = False

    def believe(self) -> None:
        """The wall clock is right as it stands.

        `corrections` grows when that is news: what was dated by the wrong time is then looked at again.
        """
        offset_ms = self._clock.wall_ms() - self._clock.boot_ms()
        if not self.trusted or abs(offset_ms - self._wall_offset_ms) > _CORRECTION_MS:
            self.corrections += 1
        self._wall_offset_ms = offset_ms
        self._newest_known_ms = 0
        self.trusted = True
