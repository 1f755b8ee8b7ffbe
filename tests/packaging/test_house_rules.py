"""Rules of the house that a reader should not have to check: who imports whom, exact pins, one list of needs."""

import importlib.metadata
import re
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
PINS = dict(line.split("==") for line in (ROOT / "constraints.txt").read_text().splitlines()
            if line and not line.startswith("#"))


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def test_everybody_imports_only_whom_they_may() -> None:
    program = Path(sys.executable).parent / "lint-imports"
    done = subprocess.run([program, "--no-logo"], cwd=ROOT, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stdout + done.stderr


def test_every_pin_is_exact_and_says_nothing_of_where_it_came_from() -> None:
    for name, version in PINS.items():
        assert re.fullmatch(r"[A-Za-z0-9._-]+", name)
        assert re.fullmatch(r"[0-9][0-9A-Za-z.]*", version), "no hashes, addresses or ranges"


def test_everything_declared_is_pinned() -> None:
    extras = PROJECT["project"]["optional-dependencies"].values()
    declared = [*PROJECT["build-system"]["requires"], *PROJECT["project"]["dependencies"],
                *(line for lines in extras for line in lines)]
    names = {canonical(re.split(r"[^A-Za-z0-9._-]", line)[0]) for line in declared} - {"trastienda"}

    assert names - {canonical(name) for name in PINS} == set()


def test_what_is_installed_is_what_is_pinned() -> None:
    installed = {canonical(one.name): one.version for one in importlib.metadata.distributions()}
    pins = {canonical(name): version for name, version in PINS.items()}

    unpinned = installed.keys() - pins.keys() - {"pip", "setuptools", "wheel", "trastienda"}
    assert unpinned == set(), "add it to constraints.txt"
    assert {name: installed[name] for name in pins if name in installed and installed[name] != pins[name]} == {}
