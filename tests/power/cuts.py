"""Many power cuts out of one recording: rebuilt, opened, judged."""

import random
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tests.power.disk import Cut, Disk, write_out
from tests.power.judge import Said, complaints
from tests.power.marks import decode_mark
from tests.power.recording import Kind, Record

_IN_MEMORY = Path("/dev/shm")
_STALE_INDEX_BYTES = 32768


@dataclass(slots=True)
class Verdict:
    """How many states were judged, by kind of cut, and what was wrong: cut, place in the recording, complaint."""

    states: Counter[Cut] = field(default_factory=Counter)
    wrong: list[tuple[Cut, int, str]] = field(default_factory=list)

    def kinds(self) -> Counter[str]:
        """How many complaints there were of a kind."""
        return Counter(complaint.split(":", 1)[0] for _, _, complaint in self.wrong)

    def states_with(self, kind: str) -> int:
        """How many states have a complaint of the kind."""
        return len({(cut, place) for cut, place, complaint in self.wrong if complaint.startswith(kind)})


def cut_everywhere(records: list[Record], seed: int, states: int) -> Verdict:
    """Cut the power at `states` random places of the recording, each in one of the ways, and judge what is left."""
    randomness = random.Random(seed)
    disk, said, verdict = Disk(randomness), Said(), Verdict()
    places = Counter(randomness.randrange(len(records) + 1) for _ in range(states))
    for place in range(len(records) + 1):
        for _ in range(places[place]):
            how = randomness.choice(list(Cut))
            verdict.states[how] += 1
            verdict.wrong += [(how, place, complaint) for complaint in _judge(disk.cut(how), said, randomness)]
        if place < len(records):
            if records[place].kind is Kind.MARK:
                said.hear(decode_mark(records[place].data))
            else:
                disk.follow(records[place])
    return verdict


def _judge(files: dict[str, bytes], said: Said, randomness: random.Random) -> list[str]:
    for directory in _directories():
        write_out(files, directory)
        if randomness.random() < 0.2:  # what SQLite shares between processes survives too, and is worth nothing
            (directory / "ledger.db-shm").write_bytes(randomness.randbytes(_STALE_INDEX_BYTES))
        return complaints(directory, said)
    raise AssertionError


def _directories() -> Iterator[Path]:
    """One directory in memory, if there is such a place; it goes away afterwards."""
    parent = Path(tempfile.mkdtemp(prefix="power-", dir=_IN_MEMORY if _IN_MEMORY.is_dir() else None))
    try:
        yield parent / "state"
    finally:
        shutil.rmtree(parent)
