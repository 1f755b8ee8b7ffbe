"""Moments as others write them. Pure."""

from datetime import UTC, datetime


def rfc3339(time_ms: int) -> str:
    """In UTC, to the millisecond. `time_ms`: from 0, before the year 10000."""
    return datetime.fromtimestamp(time_ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
