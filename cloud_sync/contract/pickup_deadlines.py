"""When an order should be accepted and ready, and how long it waits (DESIGN.md section 9, retail.md 2.3 and 2.4.4).

Opening hours are per weekday, in minutes after local midnight; closed days are named. Times go in and come out as
milliseconds since 1970, UTC. Of a local hour that the clock shows twice or skips, opening is read as early and every
deadline as late as it may be meant: for the customer.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from cloud_sync.contract.documents import OpeningHours, Policy

_WEEK_DAYS = 7
DAYS_MAX = 800
"""No deadline is looked for further than this many days ahead; a store that is closed for longer has none."""


@dataclass(frozen=True, slots=True)
class Calendar:
    """When a store is open. `hours`: seven entries from Monday, `None` for a closed weekday; any other number of
    them means always open."""

    zone: ZoneInfo
    hours: tuple[OpeningHours | None, ...] = ()
    closed_days: frozenset[date] = frozenset()

    @classmethod
    def of(cls, policy: Policy, zone: ZoneInfo) -> "Calendar":
        """The store's calendar by its policy. A closed day that is no date closes nothing."""
        return cls(zone, policy.hours, frozenset(_dates(policy.closed_days)))

    def is_closed(self, day: date) -> bool:
        """Whether the store does not open at all on this local day."""
        if day in self.closed_days:
            return True
        return len(self.hours) == _WEEK_DAYS and self.hours[day.weekday()] is None

    def spans(self, since: datetime) -> Iterator[tuple[datetime, datetime]]:
        """Opening and closing, in UTC and in order, of every trading day from the one before `since` on."""
        for offset in range(-1, DAYS_MAX):
            day = since.astimezone(self.zone).date() + timedelta(days=offset)
            if not self.is_closed(day):
                always = OpeningHours(0, 1440)
                hours = (self.hours[day.weekday()] if len(self.hours) == _WEEK_DAYS else None) or always
                past_midnight = 1440 if hours.closes_minute <= hours.opens_minute else 0
                yield (min(self._readings(day, hours.opens_minute)),
                       max(self._readings(day, hours.closes_minute + past_midnight)))

    def _readings(self, day: date, minute: int) -> tuple[datetime, datetime]:
        local = datetime.combine(day, time()) + timedelta(minutes=minute)
        return _in_utc(local, self.zone, 0), _in_utc(local, self.zone, 1)


def accept_by_ms(calendar: Calendar, placed_ms: int, accept_within_s: int) -> int | None:
    """Until when a store should have taken the order; only time in which it is open counts. `None`: never open."""
    return _after_open_time(calendar, placed_ms, accept_within_s)


def promised_ms(calendar: Calendar, placed_ms: int, prepare_s: int) -> int | None:
    """When the order is promised to be ready: after so much time in which the store is open. `None`: never open."""
    return _after_open_time(calendar, placed_ms, prepare_s)


def hold_end_ms(calendar: Calendar, since_ms: int, hold_s: int) -> int | None:
    """When nobody needs to wait for the customer any more: `hold_s` later by the clock on the wall, so that three days
    end at the hour at which they began also when the clocks change; local days on which the store does not open are
    skipped whole. `None`: the store does not open again."""
    local = _local(since_ms, calendar.zone).replace(tzinfo=None, fold=0)
    left = timedelta(seconds=hold_s)
    for _ in range(DAYS_MAX):
        midnight = datetime.combine(local.date() + timedelta(days=1), time())
        if not calendar.is_closed(local.date()):
            if local + left < midnight or (local + left == midnight and not calendar.is_closed(midnight.date())):
                return _ms(max(_in_utc(local + left, calendar.zone, 0), _in_utc(local + left, calendar.zone, 1)))
            left -= midnight - local
        local = midnight
    return None


def expires_ms(calendar: Calendar, policy: Policy, placed_ms: int, notified_ms: int | None) -> int | None:
    """The hold's clock starts when the hub has told the customer; one who was never told is waited for until
    `hold_max_s` after the order was placed (retail.md 2.4.4). `None`: the store does not open again."""
    if notified_ms is not None:
        return hold_end_ms(calendar, max(notified_ms, placed_ms), policy.hold_s)
    return hold_end_ms(calendar, placed_ms, policy.hold_max_s)


def _after_open_time(calendar: Calendar, since_ms: int, wait_s: int) -> int | None:
    at, left = _utc(since_ms), timedelta(seconds=wait_s)
    for opens, closes in calendar.spans(at):
        begins = max(at, opens)
        if begins < closes:
            if begins + left <= closes:
                return _ms(begins + left)
            left -= closes - begins
            at = closes
    return None


def _dates(texts: tuple[str, ...]) -> Iterator[date]:
    for text in texts:
        try:
            yield date.fromisoformat(text)
        except ValueError:
            continue


def _utc(milliseconds: int) -> datetime:
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=milliseconds)


def _local(milliseconds: int, zone: ZoneInfo) -> datetime:
    return _utc(milliseconds).astimezone(zone)


def _in_utc(local: datetime, zone: ZoneInfo, fold: int) -> datetime:
    """What a local time may mean (PEP 495); in UTC adding and comparing mean real time."""
    return local.replace(tzinfo=zone, fold=fold).astimezone(UTC)


def _ms(moment: datetime) -> int:
    return (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)
