"""The list of what is wrong now, each with what a person can do about it; an issue clears itself when its check does.

Issues are derived from the store's state at the moment they are asked for, so that none can be stale.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import Enum


class Severity(Enum):
    """How bad it is. `ERROR`: something is not done; `WARNING`: something will not be, unless a person acts."""

    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True, slots=True)
class Issue:
    """One thing that is wrong: `key` names it for machines, `what` and `action` are for a person."""

    key: str
    severity: Severity
    what: str
    action: str


Check = Callable[[], Iterable[Issue]]


class IssueList:
    """Runs the checks that the rooms bring along."""

    def __init__(self) -> None:
        self._checks: list[Check] = []

    def add(self, check: Check) -> None:
        """Ask this check from now on; it must be quick. What it found before it raised counts."""
        self._checks.append(check)

    def now(self) -> list[Issue]:
        """Everything that is wrong at this moment, the worst first."""
        found: list[Issue] = []
        for check in self._checks:
            try:
                for issue in check():
                    found.append(issue)
            except Exception as error:  # a store that cannot even be looked at has more to say than that
                found.append(Issue("check-failed", Severity.ERROR, f"Not everything could be checked: {error}",
                                   "See the journal, and call support if this stays."))
        return sorted(found, key=lambda issue: (issue.severity.value, issue.key))
