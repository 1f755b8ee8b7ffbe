"""The four kinds of error (STYLE.md): `Transient`, `Rejected`, `Corrupt`; anything else is a bug and crashes its part.

Only `Transient` is tried again. `edge.supervisor` acts on the kind, the command turns it into an exit code.
"""

from collections.abc import Iterable
from dataclasses import dataclass


class Transient(Exception):
    """It may work the next time: a line down, a busy port, a time-out. The only kind that is retried."""


class Rejected(Exception):
    """The caller's fault, told plainly; the same again gives the same answer."""


class Corrupt(Exception):
    """Stored data is not what it must be: stop writing and say so; a retry would only hide it."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong with a configuration. `line` and `column` count from 1, 0 where there is no place to point at.

    `path` names the key (`listeners.tills.port`); `allowed` and `nearest` are empty where there is nothing to say.
    """

    file: str
    line: int
    column: int
    path: str
    what: str
    allowed: str = ""
    nearest: str = ""

    def __str__(self) -> str:
        """`file:line:column: path: what; what is allowed; nearest key`, without the parts that are empty."""
        place = f"{self.file}:{self.line}:{self.column}" if self.line else self.file
        said = "; ".join(part for part in (self.what, self.allowed, self.nearest) if part)
        return ": ".join(part for part in (place, self.path, said) if part)


class ConfigurationError(Rejected):
    """The configuration cannot be used. Carries every problem found in one run; `str()` gives one line for each."""

    def __init__(self, problems: str | Iterable[Problem]) -> None:
        self.problems = () if isinstance(problems, str) else tuple(problems)
        super().__init__(problems if isinstance(problems, str) else "\n".join(map(str, self.problems)))
