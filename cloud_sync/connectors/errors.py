"""What can go wrong between two systems, by what helps."""


class ConnectorError(Exception):
    """Base; `str()` says what, where and what to do."""


class Transient(ConnectorError):
    """It may work the next time: a line down, a system restarting. `retry_after_s`: not before, when one said so."""

    def __init__(self, message: str, retry_after_s: float = 0.0) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class Fenced(Transient):
    """Another process works for this connector. Nothing was written; its lease has to end first."""


class Refused(ConnectorError):
    """One thing was refused and will be again as it is. The others go on; a person is told."""


class Absent(Refused):
    """There is no such thing there."""


class Misconfigured(ConnectorError):
    """It cannot work as configured (exit code 2): a wrong token, a name that the other side does not know."""
