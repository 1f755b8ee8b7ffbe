"""The simulator must notice: each patch plants one bug in a copy of the real source, and some seed must catch it.

A patch that no longer applies fails too: then the bug it plants has to be planted anew. What was caught at which seed
is printed (`pytest -rA`).
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

ROOT = Path(__file__).parents[2]
PATCHES = sorted(Path(__file__).parent.glob("*.patch"))
SOURCE = ("edge", "cloud_sync", "drivers", "config")
SEEDS_MAX = 200
DAYS = 0.05
PLANTED_MIN = 10

_HUNT = """
import sys
import msgspec
from edge.simulate import simulate_store
for seed in range(1, int(sys.argv[1]) + 1):
    report = simulate_store(seed, float(sys.argv[2]))
    if report.violations:
        print(msgspec.json.encode([seed, report.violations[0]]).decode())
        break
"""


class Caught(msgspec.Struct, array_like=True):
    """The first seed that noticed, and what it said."""

    seed: int
    violation: str


def test_there_are_enough_planted_bugs() -> None:
    assert len(PATCHES) >= PLANTED_MIN


@pytest.mark.soak  # minutes for each bug until the simulator is faster; `make soak` hunts them
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("patch", PATCHES, ids=lambda patch: patch.stem)
def test_a_planted_bug_is_caught(patch: Path, tmp_path: Path) -> None:
    caught = _hunt(patch, tmp_path)
    assert caught is not None, f"{patch.stem}: not caught within {SEEDS_MAX} seeds"
    sys.stdout.write(f"{patch.stem:34} seed {caught.seed:3}  {caught.violation[:110]}\n")


def _hunt(patch: Path, directory: Path) -> Caught | None:
    for name in SOURCE:
        shutil.copytree(ROOT / name, directory / name, ignore=shutil.ignore_patterns("__pycache__"))
    subprocess.run(["git", "apply", str(patch)], cwd=directory, check=True,
                   env={**os.environ, "GIT_CEILING_DIRECTORIES": str(directory.parent)})
    answer = subprocess.run([sys.executable, "-c", _HUNT, str(SEEDS_MAX), str(DAYS)], cwd=directory, check=False,
                            env={**os.environ, "PYTHONPATH": str(directory)}, capture_output=True, text=True)
    if answer.returncode:
        return Caught(0, f"the store broke down: {answer.stderr.strip().splitlines()[-1]}")
    return msgspec.json.decode(answer.stdout, type=Caught) if answer.stdout else None
