"""The clocks of one box under virtual time: they count while it is switched on, and the wall clock may be put wrong."""

import asyncio
from bisect import bisect_right

POWER_ON_MS = 1_000
"""What a boot-time clock shows by the time the daemon starts."""


class BoxClock:
    """Implements `edge.clock.Clock`. `start_wall_ms`: what the world's calendar says at the loop's time 0."""

    def __init__(self, start_wall_ms: int) -> None:
        self.switched_on = asyncio.Event()
        self.was_wrong = False
        self._start_wall_ms = start_wall_ms
        self._boots = 0
        self._booted_s = 0.0
        self._wrong_ms = 0
        self._changed_at_s = [0.0]
        self._powered_then_s = [0.0]
        self._on_since = [False]

    @property
    def on(self) -> bool:
        """Whether the box has power."""
        return self.switched_on.is_set()

    @property
    def boot_id(self) -> str:
        """Changes with every boot."""
        return f"boot-{self._boots}"

    @property
    def boots(self) -> int:
        """How often it was switched on."""
        return self._boots

    def wall_ms(self) -> int:
        """As the box has it."""
        return self.true_ms() + self._wrong_ms

    def boot_ms(self) -> int:
        """Since this boot."""
        return POWER_ON_MS + int((_now_s() - self._booted_s) * 1000)

    def synchronised(self) -> bool:
        """Whether NTP agrees with the wall clock."""
        return self._wrong_ms == 0

    def true_ms(self) -> int:
        """What the world's calendar says."""
        return self._start_wall_ms + int(_now_s() * 1000)

    def powered_s(self) -> float:
        """How long the box has been switched on in all; stands still while it is off."""
        return self.powered_at(_now_s())

    def powered_at(self, loop_s: float) -> float:
        """The same at a moment of the loop's time that has passed."""
        place = bisect_right(self._changed_at_s, loop_s) - 1
        since_s = loop_s - self._changed_at_s[place] if self._on_since[place] else 0.0
        return self._powered_then_s[place] + since_s

    def powered_at_wall_ms(self, wall_ms: int) -> float:
        """The same at a moment of a wall clock that was never wrong; the end of its millisecond."""
        return self.powered_at((wall_ms + 1 - self._start_wall_ms) / 1000)

    def switch_on(self) -> None:
        """A new boot."""
        self._boots += 1
        self._booted_s = _now_s()
        self._switch(on=True)

    def switch_off(self) -> None:
        """The power is gone."""
        self._switch(on=False)

    @property
    def wrong_ms(self) -> int:
        """How far the wall clock stands beside the truth."""
        return self._wrong_ms

    def put_wrong(self, wrong_ms: int) -> None:
        """The wall clock jumps to so much beside the truth; 0 is NTP putting it right."""
        self._wrong_ms = wrong_ms
        self.was_wrong = self.was_wrong or wrong_ms != 0

    def _switch(self, *, on: bool) -> None:
        powered_s = self.powered_s()
        if on:
            self.switched_on.set()
        else:
            self.switched_on.clear()
        self._changed_at_s.append(_now_s())
        self._powered_then_s.append(powered_s)
        self._on_since.append(on)


def _now_s() -> float:
    return asyncio.get_running_loop().time()
