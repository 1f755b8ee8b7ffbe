"""What tills sent and what they were answered (P1, P2, P4)."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from enum import Enum

from edge.proving.sightings import LedgerEntry, SentLine, TillTransaction, WitnessedTransaction, read_payload


@dataclass(frozen=True, slots=True)
class Meaning:
    """What a transaction says: its kind and, per line, what was scanned, how many, for how much."""

    kind: str
    lines: tuple[tuple[str, int, int], ...]

    @property
    def is_void(self) -> bool:
        """A void has no lines of its own; its ledger entry carries its original's."""
        return self.kind == "void"


FINISHED_KEPT_MAX = 1_000_000
"""Finished sendings that are remembered; the oldest is let go, and is no longer looked for in the ledgers."""


class _End(Enum):
    OPEN = "open"
    TAKEN = "taken"
    CONFLICT = "conflict"


@dataclass(slots=True)
class Sending:
    """One meaning that a till sends under one key, as often as it must."""

    fact_key: str
    meaning: Meaning
    end: _End = field(default=_End.OPEN)


class TillRecord:
    """Everything tills sent, by key and meaning."""

    def __init__(self) -> None:
        self._sendings: dict[str, dict[Meaning, Sending]] = {}
        self.refusals: list[str] = []
        self.lines_offered = 0
        self.lines_taken = 0
        self.let_go = 0

    def sent(self, transaction: TillTransaction, kind: str, lines: Iterable[SentLine]) -> Sending:
        """A till sends a transaction; sending the same again gives the same `Sending`."""
        meaning = Meaning(kind, tuple((line.code, line.quantity_milli, line.amount_minor) for line in lines))
        known = self._sendings.setdefault(transaction.fact_key, {})
        if len(self._sendings) > FINISHED_KEPT_MAX:
            self._let_go()
        self.lines_offered += len(meaning.lines)
        return known.setdefault(meaning, Sending(transaction.fact_key, meaning))

    def answered(self, sending: Sending, status: int, recorded: bool | None) -> bool:
        """What the till was told; returns whether it may stop sending this. 5xx and 429 mean "keep it"."""
        if 200 <= status < 300:
            if sending.end is _End.OPEN:
                self.lines_taken += len(sending.meaning.lines)
            sending.end = _End.TAKEN
        elif status == 409 and recorded:
            sending.end = _End.CONFLICT
        elif status < 500 and status != 429:
            self.refusals.append(f"{sending.fact_key} was answered {status}")
        return sending.end is not _End.OPEN

    def acknowledged(self) -> Iterator[tuple[str, Meaning]]:
        """Every key that was acknowledged, and with which meaning."""
        return ((sending.fact_key, sending.meaning) for sending in self._all() if sending.end is _End.TAKEN)

    def conflicts(self) -> Iterator[str]:
        """Keys of which another meaning was kept as a conflict."""
        return (sending.fact_key for sending in self._all() if sending.end is _End.CONFLICT)

    def lines_in_conflict(self) -> int:
        """Lines of meanings that were kept as conflicts."""
        return sum(len(sending.meaning.lines) for sending in self._all() if sending.end is _End.CONFLICT)

    def unfinished(self) -> Iterator[str]:
        """Keys that were sent and not answered for good."""
        return (sending.fact_key for sending in self._all() if sending.end is _End.OPEN)

    def finished_count(self) -> int:
        """How many ended well."""
        return sum(1 for sending in self._all() if sending.end is not _End.OPEN)

    def was_sent(self, fact_key: str) -> bool:
        """Whether a till ever sent anything under this key, as far as that is remembered."""
        return self.let_go > 0 or self.is_known(fact_key)

    def was_taken(self, fact_key: str) -> bool:
        """Whether what was sent first under this key was acknowledged."""
        return any(sending.end is _End.TAKEN for sending in list(self._sendings.get(fact_key, {}).values())[:1])

    def is_known(self, fact_key: str) -> bool:
        """Whether anything that was sent under this key is remembered."""
        return fact_key in self._sendings

    def _let_go(self) -> None:
        """Forget the oldest key, unless it is still being sent."""
        oldest = next(iter(self._sendings))
        if all(sending.end is not _End.OPEN for sending in self._sendings[oldest].values()):
            del self._sendings[oldest]
            self.let_go += 1

    def _all(self) -> Iterator[Sending]:
        return (sending for known in self._sendings.values() for sending in known.values())


def meaning_in_ledger(entry: LedgerEntry) -> Meaning | None:
    """What an entry says, in the words of the till: the code as scanned, else the SKU."""
    fact = read_payload(entry)
    if not isinstance(fact, WitnessedTransaction):
        return None
    return Meaning(fact.type, tuple((line.code or line.sku, line.quantity_milli, line.amount_minor)
                                    for line in fact.lines))
