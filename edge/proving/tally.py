"""How often what happened: faults by name, for the report, and a running hash of every event, for replays."""

import asyncio
import hashlib
from collections import Counter


class Tally:
    """One run's counts and its event log, of which only the hash is kept."""

    def __init__(self) -> None:
        self._faults: Counter[str] = Counter()
        self._done: Counter[str] = Counter()
        self._log = hashlib.sha256()

    def count(self, fault: str) -> None:
        """A fault happened."""
        self._faults[fault] += 1
        self.note("fault", fault)

    def did(self, what: str, *words: object) -> None:
        """Somebody did something that is worth counting."""
        self._done[what] += 1
        self.note(what, *words)

    def note(self, *words: object) -> None:
        """Something happened now."""
        moment = f"{asyncio.get_running_loop().time():.6f}"
        self._log.update(" ".join((moment, *map(str, words))).encode() + b"\n")

    @property
    def done(self) -> dict[str, int]:
        """By name, in alphabetical order."""
        return dict(sorted(self._done.items()))

    @property
    def faults(self) -> dict[str, int]:
        """By name, in alphabetical order."""
        return dict(sorted(self._faults.items()))

    @property
    def fingerprint(self) -> str:
        """Equal for equal runs, different otherwise."""
        return self._log.hexdigest()
