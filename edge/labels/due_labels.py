"""Labels that may be due, most urgent first. Pure; no label stands in it twice."""

import heapq
from enum import IntEnum


class Urgency(IntEnum):
    """Order of work: an increase that holds a till comes before everything (DESIGN.md section 6)."""

    HOLDS_TILL = 0
    DECREASE = 1
    COSMETIC = 2


class DueLabels:
    """A queue by urgency, then by turn. A label named again keeps its most urgent place."""

    def __init__(self) -> None:
        self._heap: list[tuple[Urgency, int, str]] = []
        self._urgency: dict[str, Urgency] = {}
        self._turns = 0

    def add(self, label: str, urgency: Urgency) -> None:
        """The label may be due."""
        known = self._urgency.get(label)
        if known is None or urgency < known:
            self._urgency[label] = urgency
            self._turns += 1
            heapq.heappush(self._heap, (urgency, self._turns, label))  # its former place, if any, is passed over

    def pop(self) -> tuple[str, Urgency]:
        """The most urgent label. Raises `IndexError` when there is none."""
        while True:
            urgency, _, label = heapq.heappop(self._heap)
            if self._urgency.get(label) == urgency:
                del self._urgency[label]
                return label, urgency

    def clear(self) -> None:
        """Forget all."""
        self._heap.clear()
        self._urgency.clear()

    def __contains__(self, label: str) -> bool:
        return label in self._urgency

    def __len__(self) -> int:
        return len(self._urgency)
