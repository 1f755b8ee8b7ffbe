"""What each base station has on air, and which labels wait for one of its slots. Pure bookkeeping of the planner."""

from collections import Counter, defaultdict
from dataclasses import dataclass

from edge.labels.due_labels import DueLabels, Urgency
from edge.limits import LABELS_ON_AIR_PER_STATION_MAX, OFFER_STALE_S, PLACES_KEPT_FOR_URGENT


@dataclass(frozen=True, slots=True)
class OnAir:
    """What a label was last offered. `version` is empty until the picture is drawn."""

    station: str
    content_hash: str
    since_s: float
    version: str = ""


class AirTime:
    """A label holds at most one slot of one station."""

    def __init__(self) -> None:
        self._on_air: dict[str, OnAir] = {}
        self._taken: Counter[str] = Counter()
        self._waiting: dict[str, DueLabels] = defaultdict(DueLabels)

    def of(self, label: str) -> OnAir | None:
        """What the label has on air."""
        return self._on_air.get(label)

    def holds(self, label: str, version: str) -> bool:
        """Whether this very picture is on air."""
        on_air = self._on_air.get(label)
        return on_air is not None and on_air.version == version

    def is_full(self, station: str, urgency: Urgency) -> bool:
        """Whether another label must wait; some places are kept for those that hold a till."""
        kept = 0 if urgency is Urgency.HOLDS_TILL else PLACES_KEPT_FOR_URGENT
        return self._taken[station] >= LABELS_ON_AIR_PER_STATION_MAX - kept

    def wait(self, station: str, label: str, urgency: Urgency) -> None:
        """The label comes back from `end` when a slot of the station is free and it is its turn."""
        self._waiting[station].add(label, urgency)

    def waits(self, station: str, label: str) -> bool:
        """Whether the label waits for a slot of the station."""
        return station in self._waiting and label in self._waiting[station]

    def begin(self, label: str, on_air: OnAir) -> None:
        """The label takes a slot, or keeps its own for another picture."""
        before = self._on_air.get(label)
        if before is not None:
            self._taken[before.station] -= 1
        self._taken[on_air.station] += 1
        self._on_air[label] = on_air

    def end(self, label: str) -> tuple[str, Urgency] | None:
        """The label's slot is free; returns who may have it now."""
        on_air = self._on_air.pop(label, None)
        if on_air is None:
            return None
        self._taken[on_air.station] -= 1
        waiting = self._waiting[on_air.station]
        return waiting.pop() if waiting else None

    def stale(self, now_s: float) -> list[str]:
        """Labels whose offer came to nothing for too long."""
        return [label for label, on_air in self._on_air.items() if now_s - on_air.since_s > OFFER_STALE_S]

    def forget_station(self, name: str) -> list[str]:
        """The station is gone; returns the labels that were on air there."""
        self._waiting.pop(name, None)
        self._taken.pop(name, None)
        labels = [label for label, on_air in self._on_air.items() if on_air.station == name]
        for label in labels:
            del self._on_air[label]
        return labels

    def forget_waiting(self, station: str) -> None:
        """All labels of the station are looked at again anyway."""
        self._waiting.pop(station, None)

    def clear(self) -> None:
        """Forget all."""
        self._on_air.clear()
        self._taken.clear()
        self._waiting.clear()
