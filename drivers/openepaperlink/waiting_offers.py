"""Pictures that are offered and in no slot of the radio: whose turn is next (esl.md 1.2, 8).

A label that will not check in for a while needs no slot yet: the urgent go first, then whoever is expected soonest.
Pure bookkeeping; a label stands in it once.
"""

import heapq
from collections.abc import Callable

from drivers.port import LabelId

Rank = tuple[bool, float]
"""Not urgent, and when the label is expected, in seconds on the loop's clock: the smallest goes first."""


class WaitingOffers:
    """A queue by rank. A rank that falls while its label waits must be said (`heard`); one that rises is noticed."""

    def __init__(self, rank: Callable[[LabelId], Rank]) -> None:
        self._rank = rank
        self._ranks: dict[LabelId, Rank] = {}
        self._heap: list[tuple[Rank, LabelId]] = []

    def add(self, label: LabelId) -> None:
        """The label waits from now on, or with another rank."""
        self._push(label, self._rank(label))

    def heard(self, label: LabelId) -> None:
        """The label checked in: if it waits, it is expected at another time now."""
        if label in self._ranks:
            self._push(label, self._rank(label))

    def discard(self, label: LabelId) -> None:
        """The label does not wait any more."""
        self._ranks.pop(label, None)

    def pop(self) -> LabelId:
        """Whose turn it is; it waits no more. Raises `IndexError` when nobody waits."""
        while True:
            rank, label = heapq.heappop(self._heap)
            if self._ranks.get(label) != rank:
                continue  # its place before it was heard, or it left
            rank_now = self._rank(label)
            if rank_now > rank:
                self._push(label, rank_now)  # it was not heard when it should have been, or is urgent no more
                continue
            del self._ranks[label]
            return label

    def clear(self) -> None:
        """Nobody waits."""
        self._ranks.clear()
        self._heap.clear()

    def _push(self, label: LabelId, rank: Rank) -> None:
        self._ranks[label] = rank
        heapq.heappush(self._heap, (rank, label))

    def __contains__(self, label: LabelId) -> bool:
        return label in self._ranks

    def __len__(self) -> int:
        return len(self._ranks)
