"""Installs what the live tests run against: `python -m tests.live.install`. Into a cache outside the repository.

Versions stand in each package.json; no lock file is written, so nothing says where packages came from.
"""

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
INSTALL = ["npm", "install", "--no-package-lock", "--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error"]
DONE = ".installed"


def place(system: str) -> Path:
    """Where a system's packages are, or will be: another folder for other versions."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    versions = hashlib.sha256((HERE / system / "package.json").read_bytes()).hexdigest()[:12]
    return cache / "trastienda-live" / f"{system}-{versions}"


def install(system: str) -> Path:
    """Raises `CalledProcessError`, `FileNotFoundError` without npm."""
    target = place(system)
    if (target / DONE).exists():
        return target
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    shutil.copy(HERE / system / "package.json", target)
    subprocess.run(INSTALL, cwd=target, check=True)
    (target / DONE).touch()
    return target


if __name__ == "__main__":
    if shutil.which("npm") is None:
        sys.exit("npm is missing: install Node.js 20 or later with npm")
    for each in ("vendure",):
        sys.stdout.write(f"{each}: {install(each)}\n")
