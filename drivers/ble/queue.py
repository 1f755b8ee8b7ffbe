"""What waits to be delivered over one adapter, and whose turn it is. Pure bookkeeping; times in seconds.

Only labels heard a short while ago have a turn: connecting to one that is away holds the adapter for the whole
time-out. Urgent offers go first, then the oldest; a label that failed goes to the back and waits longer each time.
"""

from dataclasses import dataclass

from drivers.port import Blob, LabelId

HEARD_S = 30.0  # a label heard within this is there
RETRY_FIRST_S = 5.0
RETRY_DOUBLINGS_MAX = 6
ATTEMPTS_MAX = 3  # in a row, then the offer has failed (esl.md 4.1)
UNHEARD_S_MAX = 900.0  # an offer to a label that is not heard for so long has failed


@dataclass(slots=True)
class Delivery:
    """One offer. `attempts`: how often it was tried; `not_before_s`: when it may be tried again."""

    label: LabelId
    blob: Blob
    urgent: bool
    turn: int
    offered_s: float
    attempts: int = 0
    not_before_s: float = 0.0

    def failed(self, now_s: float, jitter: float) -> bool:
        """One attempt failed; true when it was the last. `jitter`: 0 to 1."""
        self.attempts += 1
        pause_s = RETRY_FIRST_S * 2.0 ** min(self.attempts - 1, RETRY_DOUBLINGS_MAX)
        self.not_before_s = now_s + pause_s * (0.5 + jitter)
        return self.attempts >= ATTEMPTS_MAX


class DeliveryQueue:
    """At most one offer for each label."""

    def __init__(self) -> None:
        self._waiting: dict[LabelId, Delivery] = {}
        self._heard_s: dict[LabelId, float] = {}
        self._turns = 0

    def offer(self, label: LabelId, blob: Blob, now_s: float, *, urgent: bool) -> None:
        """Replaces whatever is outstanding for the label."""
        self._turns += 1
        self._waiting[label] = Delivery(label, blob, urgent, self._turns, now_s)

    def withdraw(self, label: LabelId) -> None:
        """Nothing is offered to the label any more."""
        self._waiting.pop(label, None)

    def holds(self, delivery: Delivery) -> bool:
        """Whether this offer stands still: it was not replaced while it was being delivered."""
        return self._waiting.get(delivery.label) is delivery

    def heard(self, label: LabelId, now_s: float) -> None:
        """The label advertised."""
        self._heard_s[label] = now_s

    def forget(self, label: LabelId) -> None:
        """When it was heard is no longer known; it has no turn until it is heard again."""
        self._heard_s.pop(label, None)

    def next_one(self, now_s: float) -> Delivery | None:
        """Whose turn it is; it stays in the queue. `None` while nobody's is."""
        ready = [each for each in self._waiting.values()
                 if each.not_before_s <= now_s and now_s - self._heard_s.get(each.label, -HEARD_S) < HEARD_S]
        return min(ready, key=lambda each: (not each.urgent, each.attempts, each.turn), default=None)

    def unheard(self, now_s: float) -> list[Delivery]:
        """Offers to labels that are gone; they are taken out."""
        gone = [each for each in self._waiting.values()
                if now_s - max(each.offered_s, self._heard_s.get(each.label, 0.0)) > UNHEARD_S_MAX]
        for each in gone:
            del self._waiting[each.label]
        return gone

    def __len__(self) -> int:
        return len(self._waiting)
