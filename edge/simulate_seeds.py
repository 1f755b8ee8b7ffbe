"""`trastienda simulate --seeds`: many seeds of the simulator, each in a process of its own, judged together."""

import multiprocessing
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import msgspec

from edge.proving.report import SimulationReport, counted
from edge.simulate import simulate_store

SEEDS_PER_PROCESS = 25
"""Then another process takes over: what a library keeps for ever does not add up over hundreds of runs."""


class BrokenSeed(msgspec.Struct, frozen=True):
    """A seed that broke promises, or the simulator itself: which, and how."""

    seed: int
    violations: list[str]

    def as_line(self) -> str:
        """One line for a terminal."""
        more = f" (and {len(self.violations) - 1} more)" if len(self.violations) > 1 else ""
        return f"BROKEN seed {self.seed}: {self.violations[0]}{more}"


class SeedsReport(msgspec.Struct, frozen=True):
    """All runs together: sums of what `SimulationReport` says of each, and every seed that broke something."""

    first_seed: int
    seeds: int
    days: float
    virtual_s: float
    facts: int
    done: dict[str, int]
    faults: dict[str, int]
    checked: dict[str, int]
    broken: list[BrokenSeed]

    def as_text(self) -> str:
        """A few lines for a terminal; broken seeds were named as they ended."""
        lines = [f"Seeds {self.first_seed} to {self.first_seed + self.seeds - 1}, {self.days} days each: "
                 f"{self.virtual_s / 3600:.0f} virtual hours, {self.facts} facts at the hubs.",
                 *counted(self.done, self.faults, self.checked)]
        if not self.broken:
            return "\n".join((*lines, f"No promise was broken in {self.seeds} seeds."))
        return "\n".join((*lines, f"BROKEN in {len(self.broken)} of {self.seeds} seeds: "
                                  + " ".join(str(each.seed) for each in self.broken)))


@dataclass(slots=True)
class _Sums:
    virtual_s: float = 0.0
    facts: int = 0
    done: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    checked: Counter[str] = field(default_factory=Counter)

    def add(self, report: SimulationReport) -> None:
        self.virtual_s += report.virtual_s
        self.facts += report.facts
        self.done.update(report.done)
        self.faults.update(report.faults)
        self.checked.update(report.checked)


def simulate_seeds(seeds: Sequence[int], days: float, workers: int, ended: Callable[[], None],
                   broke: Callable[[BrokenSeed], None]) -> SeedsReport:
    """Run all of them. `ended` is called after every run, `broke` at once for each that broke something."""
    sums, broken = _Sums(), list[BrokenSeed]()
    for seed, report in _runs(seeds, days, workers):
        if isinstance(report, SimulationReport):
            sums.add(report)
        said = report.violations if isinstance(report, SimulationReport) else [f"simulator: {report}"]
        if said:
            broken.append(BrokenSeed(seed, said))
            broke(broken[-1])
        ended()
    broken.sort(key=lambda each: each.seed)
    return SeedsReport(min(seeds), len(seeds), days, round(sums.virtual_s, 3), sums.facts, _sorted(sums.done),
                       _sorted(sums.faults), _sorted(sums.checked), broken)


def _runs(seeds: Sequence[int], days: float, workers: int) -> Iterator[tuple[int, SimulationReport | str]]:
    """In the order in which they end; a text: how the run itself broke down, which is no reason to stop the others."""
    processes = multiprocessing.get_context("spawn")
    with processes.Pool(min(workers, len(seeds)), maxtasksperchild=SEEDS_PER_PROCESS) as pool:
        yield from pool.imap_unordered(_run, ((seed, days) for seed in seeds))


def _run(task: tuple[int, float]) -> tuple[int, SimulationReport | str]:
    seed, days = task
    try:
        return seed, simulate_store(seed, days)
    except Exception as error:
        return seed, repr(error)


def _sorted(counts: Counter[str]) -> dict[str, int]:
    return dict(sorted(counts.items()))
