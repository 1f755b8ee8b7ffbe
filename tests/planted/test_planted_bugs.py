"""The simulator must notice: each patch plants one bug in a copy of the real source, and some seed must catch it.

A patch that no longer applies fails too: then the bug it plants has to be planted anew. The test run ends with a table
of what was caught where. Looked at first is the seed that caught it last (`tests/planted/hunt.py`), then all others.
"""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.planted.hunt import PATCHES, SEEDS_MAX, PlantedBug, hunt

PLANTED_MIN = 50
CAUGHT_MIN = 45
BUGS = [pytest.param(bug, id=bug.name, marks=() if bug.caught_seed is not None else pytest.mark.soak)
        for bug in map(PlantedBug, PATCHES)]
"""One whose seed nobody knows yet is hunted by `make soak`: that takes up to 200 seeds."""


def test_there_are_enough_planted_bugs() -> None:
    assert len(PATCHES) >= PLANTED_MIN
    assert sum(PlantedBug(path).caught_seed is not None for path in PATCHES) >= CAUGHT_MIN


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("bug", BUGS)
def test_a_planted_bug_is_caught(bug: PlantedBug, tmp_path: Path,
                                 record_property: Callable[[str, object], None]) -> None:
    first = [bug.caught_seed] if bug.caught_seed is not None else []
    caught = hunt(bug, [*first, *(seed for seed in range(1, SEEDS_MAX + 1) if seed not in first)], tmp_path)
    assert caught is not None, f"{bug.name}: not caught within {SEEDS_MAX} seeds"
    assert caught.seed, caught.violation
    record_property("planted", f"{bug.name:34} {bug.promise:4} seed {caught.seed:3}  {caught.violation[:100]}")
