"""What the comparison of hub, tills and labels found, as something to do."""

from collections.abc import Iterable

from edge.health.issues import Issue, Severity
from edge.prices.comparison import NightlyComparison


def comparison_issues(nightly: NightlyComparison) -> Iterable[Issue]:
    """Labels that say another price than tills charge; it ends with a comparison that finds none."""
    latest = nightly.latest
    if latest is not None and latest.differ:
        yield Issue("prices-differ", Severity.WARNING,
                    f"{latest.differ} labels do not say what tills charge, {latest.mismatches[0].label} among them",
                    "Look at them on the shelf: each is brought up to date, replaced or excluded. Compared again every "
                    "hour.")
