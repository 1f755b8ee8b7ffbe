"""When a store is open: hours per weekday, in minutes after local midnight, and closed days by name.

Of a local hour that the clock shows twice or skips, opening is read as early and closing as late as it may be meant.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo

from cloud_sync.contract.documents import OpeningHours, Policy

WEEK_DAYS = 7
ALWAYS = OpeningHours(0, 1440)
DAYS_MAX = 800
"""Nothing is looked for further than this many days ahead; a store that is closed for longer has no deadlines."""


@dataclass(frozen=True, slots=True)
class Calendar:
    """When a store is open. `hours`: seven entries from Monday, `None` for a closed weekday; any other number of
    them means always open."""

    zone: tzinfo
    hours: tuple[OpeningHours | None, ...] = ()
    closed_days: frozenset[date] = frozenset()

    @classmethod
    def of(cls, policy: Policy, zone: tzinfo) -> "Calendar":
        """The store's calendar by its policy. A closed day that is no date closes nothing."""
        return cls(zone, policy.hours, frozenset(_dates(policy.closed_days)))

    def is_closed(self, day: date) -> bool:
        """Whether the store does not open at all on this local day."""
        if day in self.closed_days:
            return True
        return len(self.hours) == WEEK_DAYS and self.hours[day.weekday()] is None

    def spans(self, since: datetime) -> Iterator[tuple[datetime, datetime]]:
        """Opening and closing, in UTC and in order, of every trading day from the one before `since` on."""
        today = since.astimezone(self.zone).date()
        for offset in range(-1, DAYS_MAX):
            day = today + timedelta(days=offset)
            if not self.is_closed(day):
                hours = (self.hours[day.weekday()] if len(self.hours) == WEEK_DAYS else None) or ALWAYS
                past_midnight = 1440 if hours.closes_minute <= hours.opens_minute else 0
                yield (min(self._readings(day, hours.opens_minute)),
                       max(self._readings(day, hours.closes_minute + past_midnight)))

    def _readings(self, day: date, minute: int) -> tuple[datetime, datetime]:
        return readings(datetime.combine(day, time()) + timedelta(minutes=minute), self.zone)


def readings(local: datetime, zone: tzinfo) -> tuple[datetime, datetime]:
    """What a local time may mean (PEP 495), in UTC, where adding and comparing mean real time."""
    earlier, later = (local.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1))
    return earlier, later


def _dates(texts: tuple[str, ...]) -> Iterator[date]:
    for text in texts:
        try:
            yield date.fromisoformat(text)
        except ValueError:
            continue
