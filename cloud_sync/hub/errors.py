"""What can go wrong at the hub, by whose fault it is."""

from cloud_sync.contract.ledger import Gap, Verdict


class HubError(Exception):
    """Base of the hub's own errors; `str()` says what and where."""


class Rejected(HubError):
    """The caller's fault. `problems` names each mistake, at most `PROBLEMS_SHOWN_MAX`."""

    def __init__(self, message: str, problems: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.problems = problems


class TooLarge(Rejected):
    """More than a named bound allows."""


class NotFound(HubError):
    """There is no such thing here."""


class Conflict(HubError):
    """It contradicts what already stands."""


class Refetch(HubError):
    """The cursor belongs to no log this feed has; start again from the beginning of `generation`."""

    def __init__(self, generation: str) -> None:
        super().__init__(f"the feed goes on in generation {generation}: drop the copy and fetch it from the start")
        self.generation = generation


class OutOfLine(HubError):
    """A push that does not continue the hub's copy of the ledger; `gap` is the answer."""

    def __init__(self, gap: Gap, detail: str) -> None:
        super().__init__(detail)
        self.gap = gap


class DisplacedError(HubError):
    """This box may not write: another one speaks for the store, or it has to say hello first."""

    def __init__(self, verdict: Verdict, detail: str) -> None:
        super().__init__(detail)
        self.verdict = verdict


class Forbidden(HubError):
    """What was shown does not open this."""


class ConfigurationError(HubError):
    """The hub cannot start as told; exit code 2."""


class AlreadyRunning(HubError):
    """Another hub process holds the SQLite database."""
