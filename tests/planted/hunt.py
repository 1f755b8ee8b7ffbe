"""Plants one bug in a copy of the real source and runs seeds of the simulator until one notices.

`python -m tests.planted.hunt [PATCH ...]` hunts from seed 1 and writes the first seed that noticed into the patch's
head (`Caught: seed 7`), where the test begins to look.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import msgspec

ROOT = Path(__file__).parents[2]
PATCHES = sorted(Path(__file__).parent.glob("*.patch"))
SOURCE = ("edge", "cloud_sync", "drivers", "config")
SEEDS_MAX = 200
DAYS = 0.03

_HUNT = """
import sys
import msgspec
from edge.simulate import simulate_store
for seed in map(int, sys.argv[2].split(",")):
    report = simulate_store(seed, float(sys.argv[1]))
    if report.violations:
        print(msgspec.json.encode([seed, report.violations[0]]).decode())
        break
"""


@dataclass(frozen=True, slots=True)
class PlantedBug:
    """A patch file: `Bug:` says what is wrong with it, `Promise:` what it breaks, `Caught:` where to look first."""

    path: Path

    @property
    def name(self) -> str:
        return self.path.stem

    @property
    def promise(self) -> str:
        return self._head("Promise") or "?"

    @property
    def caught_seed(self) -> int | None:
        """The seed that noticed it last time somebody hunted from seed 1."""
        found = self._head("Caught")
        return int(found.removeprefix("seed ")) if found else None

    def note_caught(self, seed: int) -> None:
        """Write where it was caught into the patch's head."""
        text = re.sub(r"^Caught: .*\n", "", self.path.read_text(), flags=re.MULTILINE)
        noted = re.sub(r"^(Promise: .*\n)", rf"\1Caught: seed {seed}\n", text, count=1, flags=re.MULTILINE)
        self.path.write_text(noted)

    def _head(self, name: str) -> str | None:
        found = re.search(rf"^{name}: (.+)$", self.path.read_text(), flags=re.MULTILINE)
        return found[1].strip() if found else None


class Caught(msgspec.Struct, array_like=True):
    """The first of the seeds that noticed, and what it said. Seed 0: the store did not even run."""

    seed: int
    violation: str


def hunt(bug: PlantedBug, seeds: Iterable[int], directory: Path) -> Caught | None:
    """Run seeds one after the other over a copy of the source with the bug in it, made in `directory`."""
    if not (directory / "edge").exists():
        _plant(bug, directory)
    answer = subprocess.run([sys.executable, "-c", _HUNT, str(DAYS), ",".join(map(str, seeds))], cwd=directory,
                            check=False, env={**os.environ, "PYTHONPATH": str(directory)}, capture_output=True,
                            text=True)
    if answer.returncode:
        return Caught(0, f"the store broke down: {answer.stderr.strip().splitlines()[-1]}")
    return msgspec.json.decode(answer.stdout, type=Caught) if answer.stdout else None


def _plant(bug: PlantedBug, directory: Path) -> None:
    for name in SOURCE:
        shutil.copytree(ROOT / name, directory / name, ignore=shutil.ignore_patterns("__pycache__"))
    subprocess.run(["git", "apply", str(bug.path)], cwd=directory, check=True,
                   env={**os.environ, "GIT_CEILING_DIRECTORIES": str(directory.parent)})


def _hunt_from_the_first_seed(bug: PlantedBug) -> None:
    with tempfile.TemporaryDirectory() as directory:
        caught = hunt(bug, range(1, SEEDS_MAX + 1), Path(directory))
    if caught is not None and caught.seed:
        bug.note_caught(caught.seed)
    sys.stdout.write(f"{bug.name:36} {caught or f'not within {SEEDS_MAX} seeds'}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    for path in map(Path, sys.argv[1:] or map(str, PATCHES)):
        _hunt_from_the_first_seed(PlantedBug(path))
