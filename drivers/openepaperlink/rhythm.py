"""When a label checks in next, learnt from when it did: it sleeps about as long each time (esl.md 1.5)."""

from dataclasses import dataclass

INTERVAL_FIRST_S = 60.0  # until two check-ins were heard
REPEAT_S = 3.0  # heard again within this, a label repeats itself
LEARN_SHARE = 0.25  # of a new interval in the estimate
OVERDUE_SHARE = 0.3  # of the interval: a label overdue by more was not heard, and is awaited one interval later


@dataclass(slots=True)
class Rhythm:
    """One label's check-ins, in seconds on the loop's clock."""

    interval_s: float = INTERVAL_FIRST_S
    last_s: float | None = None
    _learnt: bool = False

    def checked_in(self, now_s: float) -> None:
        """It was heard."""
        if self.last_s is not None:
            since_s = now_s - self.last_s
            if since_s < REPEAT_S:
                return
            self._learn(since_s)
        self.last_s = now_s

    def next_s(self, now_s: float) -> float:
        """When it is expected: may be a little past. `now_s` for one that was never heard."""
        if self.last_s is None:
            return now_s
        patience_s = self.interval_s * (1 + OVERDUE_SHARE)
        missed = max(0, int((now_s - self.last_s - patience_s) // self.interval_s) + 1)
        return self.last_s + self.interval_s * (1 + missed)

    def _learn(self, since_s: float) -> None:
        if not self._learnt:
            self.interval_s, self._learnt = since_s, True
            return
        intervals = max(1, round(since_s / self.interval_s))  # check-ins between were not heard
        self.interval_s += LEARN_SHARE * (since_s / intervals - self.interval_s)
