"""A till whose clock is wrong; the issue ends when its sales bear the right time again."""

from collections.abc import Iterable

from edge.health.issues import Issue, Severity
from edge.pos.till_clocks import TillClocks


def till_clock_issues(clocks: TillClocks) -> Iterable[Issue]:
    """Quick: what was estimated from the last sales."""
    for till, ahead_ms in clocks.wrong():
        yield Issue(f"till-clock-{till}", Severity.WARNING,
                    f"Till {till}'s clock is {_span(abs(ahead_ms))} {'ahead' if ahead_ms > 0 else 'behind'}",
                    "Set the till's clock, or let it follow a time server. Its sales count, and are judged by the "
                    "right time.")


def _span(milliseconds: int) -> str:
    """As on a clock: `1 h 02 min`."""
    hours, minutes = divmod(round(milliseconds / 60_000), 60)
    days, hours = divmod(hours, 24)
    if days:
        return f"{days} d {hours} h"
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min"
