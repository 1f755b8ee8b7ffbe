"""Offers that name their last day: what a label that still says so next week promises nobody (DESIGN.md section 5).

Told by what the hub took, not by what the store believes. A label that shows the offer's price without its day is held
against the store no longer either: one that names no day is proven elsewhere (`tests/prices/test_p3_terms.py`).
"""

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

from edge.proving.box_clock import BoxClock
from edge.proving.catalogue import Entry
from edge.proving.picture_reader import ItemKey


class LastDays:
    """When the last day of an item's offer at a price was over, in powered seconds of the box."""

    def __init__(self, clock: BoxClock, time_zone: str) -> None:
        self._clock = clock
        self._zone = ZoneInfo(time_zone)
        self._over_ms: dict[tuple[ItemKey, int], int] = {}

    def offered(self, item: ItemKey, entry: Entry) -> None:
        """The hub took an entry; one that is no offer, or has no end, names no day."""
        if entry.kind == "regular" or entry.valid_until_ms is None:
            return
        last_day = datetime.fromtimestamp((entry.valid_until_ms - 1) / 1000, UTC).astimezone(self._zone).date()
        midnight = datetime.combine(last_day + timedelta(days=1), time(), self._zone)
        said = item, entry.price_minor
        self._over_ms[said] = max(self._over_ms.get(said, 0), int(midnight.timestamp() * 1000))

    def over_s(self, item: ItemKey, price_minor: int) -> float | None:
        """`None`: the day is not over, or no offer at this price named one."""
        over_ms = self._over_ms.get((item, price_minor))
        if over_ms is None or self._clock.true_ms() <= over_ms:
            return None
        return self._clock.powered_at_wall_ms(over_ms)
