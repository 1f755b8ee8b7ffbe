"""When an order should be accepted and ready, and how long it waits (DESIGN.md section 9, retail.md 2.3 and 2.4.4).

Times go in and come out as milliseconds since 1970, UTC. Of a local hour that the clock shows twice or skips every
deadline is read as late as it may be meant: for the customer.
"""

from datetime import UTC, datetime, time, timedelta, tzinfo

from cloud_sync.contract.documents import Policy
from cloud_sync.contract.opening_hours import DAYS_MAX, Calendar, readings


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
                return _ms(max(readings(local + left, calendar.zone)))
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


def _utc(milliseconds: int) -> datetime:
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=milliseconds)


def _local(milliseconds: int, zone: tzinfo) -> datetime:
    return _utc(milliseconds).astimezone(zone)


def _ms(moment: datetime) -> int:
    return (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)
