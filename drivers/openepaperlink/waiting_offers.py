"""Pictures that are offered and in no slot of the radio: whose turn is next (esl.md 1.2, 8).

A radio holds 250 slots and serves one label in 1.2 s; it turns away whoever asks in between until that label's next
check-in. So a label that will not check in for a while needs no slot yet, and the slots go to those about to: the
urgent first, then whoever is expected soonest. Pure bookkeeping; a label stands in it once.
"""

import heapq
from collections.abc import Callable

from drivers.port import LabelId

Expected = Callable[[LabelId], float]
"""When a label will check in, in seconds on the loop's clock."""

_Key = tuple[bool, float]


class WaitingOffers:
    """A queue by urgency, then by the next check-in; `expected` may change while a label waits."""

    def __init__(self, expected: Expected) -> None:
        self._expected = expected
        self._keys: dict[LabelId, _Key] = {}
        self._heap: list[tuple[_Key, LabelId]] = []
        self.urgent_count = 0

    def add(self, label: LabelId, *, urgent: bool) -> None:
        """The label waits from now on, or with another urgency."""
        self.discard(label)
        self.urgent_count += urgent
        self._push(label, (not urgent, self._expected(label)))

    def discard(self, label: LabelId) -> None:
        """The label does not wait any more."""
        key = self._keys.pop(label, None)
        self.urgent_count -= key is not None and not key[0]

    def heard(self, label: LabelId) -> None:
        """The label checked in: if it waits, it is expected at another time now."""
        key = self._keys.get(label)
        if key is not None:
            self._push(label, (key[0], self._expected(label)))

    def pop(self) -> LabelId:
        """Whose turn it is; it waits no more. Raises `IndexError` when nobody waits."""
        while True:
            key, label = heapq.heappop(self._heap)
            if self._keys.get(label) != key:
                continue  # its place before it was heard, or it left
            now_expected = (key[0], self._expected(label))
            if now_expected > key:
                self._push(label, now_expected)  # it was not heard when it should have been
                continue
            self.discard(label)
            return label

    def clear(self) -> None:
        """Nobody waits."""
        self._keys.clear()
        self._heap.clear()
        self.urgent_count = 0

    def _push(self, label: LabelId, key: _Key) -> None:
        self._keys[label] = key
        heapq.heappush(self._heap, (key, label))

    def __contains__(self, label: LabelId) -> bool:
        return label in self._keys

    def __len__(self) -> int:
        return len(self._keys)
