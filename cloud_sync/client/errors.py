"""What can go wrong on the line. All of it is retried; the kinds differ in how soon, and in what people are told."""


class LineDown(Exception):
    """The hub was not reached, or says that it cannot now. `retry_after_s`: what it asked for, 0 when nothing."""

    def __init__(self, message: str, retry_after_s: float = 0.0) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class Refused(Exception):
    """The hub understood and said no (4xx); `str()` carries its reason. The same again gives the same answer."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status

    @property
    def credential(self) -> bool:
        """Whether it is the credential that was refused."""
        return self.status in (401, 403)


class BadAnswer(Exception):
    """The answer breaks the contract: another machine answered in the hub's place, or the versions do not fit."""


class Diverged(Exception):
    """A copy still differs from the hub's after it was repaired; it is repaired again, and at last fetched anew."""


class BellLost(Exception):
    """The doorbell's broker is out of reach; the store lives by polling until it is back."""
