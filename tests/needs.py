"""Programs the tests need besides Python: one table, read by `make test` to install them and by tests to skip loudly.

`need("mosquitto")` gives the program or leaves the test out, saying why; with CI=true it fails instead.
`python3 tests/needs.py install [name ...]` installs what is missing from Debian's packages when root, and otherwise
prints the one line that does. It runs before the environment exists, so it uses the standard library only.
"""

import importlib.util
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

LEFT_OUT = "LEFT OUT"
"""How every skip of ours begins; the closing summary in conftest.py collects them by it."""

WITHOUT_QUESTIONS = {"DEBIAN_FRONTEND": "noninteractive"}


@dataclass(frozen=True)
class Need:
    """A part of the machine. `find` gives its place or None; `why` ends the sentence "needed ...".

    `package`: Debian's, or several, with spaces between.
    """

    package: str
    why: str
    find: Callable[[], Path | None]


def need(name: str) -> Path:
    """The program's path. Without it the calling test is left out, or fails when CI=true."""
    import pytest

    wanted = NEEDS[name]
    found = wanted.find()
    if found is None:
        reason = f"{LEFT_OUT}: {name} is missing (Debian package {wanted.package}), needed {wanted.why}"
        if os.environ.get("CI") == "true":
            pytest.fail(reason, pytrace=False)
        pytest.skip(reason)
    return found


def install(names: Iterable[str]) -> bool:
    """Install what is missing, or say how. Returns whether everything is there afterwards."""
    missing = [name for name in names if NEEDS[name].find() is None]
    if not missing:
        return True
    packages = sorted({package for name in missing for package in NEEDS[name].package.split()})
    for name in missing:
        _say(f"{name} is missing: needed {NEEDS[name].why} (Debian package {NEEDS[name].package})")
    if not _can_install():
        _say(f"install with:  sudo apt-get update && sudo apt-get install --yes {' '.join(packages)}")
        return False
    _say(f"installing from Debian: {' '.join(packages)}")
    return _apt("update", "--quiet") and _apt("install", "--yes", "--no-install-recommends", *packages)


def _can_install() -> bool:
    return os.geteuid() == 0 and shutil.which("apt-get") is not None


def _apt(*arguments: str) -> bool:
    """Run apt-get; its own words are shown only when it fails."""
    done = subprocess.run(["apt-get", *arguments], env={**os.environ, **WITHOUT_QUESTIONS}, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    if done.returncode:
        _say(f"apt-get {' '.join(arguments)} failed:\n{done.stdout}")
    return done.returncode == 0


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _program(*names: str) -> Callable[[], Path | None]:
    """Finds the first of these commands; servers stand in /usr/sbin, which a user's PATH may lack."""
    path = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin"])
    return lambda: next((Path(found) for name in names if (found := shutil.which(name, path=path))), None)


def _postgres_server() -> Path | None:
    """The newest server; Debian keeps it outside PATH. `initdb` stands beside it."""
    servers = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"), key=lambda server: int(server.parts[-3]))
    return servers[-1] if servers else _program("postgres")()


def _c_compiler() -> Path | None:
    """Debian's compiler comes without the C library's headers."""
    return _program("cc", "gcc")() if Path("/usr/include/stdio.h").exists() else None


def _venv_module() -> Path | None:
    """Debian splits `venv` off; the sign is that ensurepip is absent."""
    return Path(sys.executable) if importlib.util.find_spec("ensurepip") else None


NEEDS = {
    "venv": Need("python3-venv", "to make .venv", _venv_module),
    "mosquitto": Need("mosquitto", "for the doorbell over a real MQTT broker", _program("mosquitto")),
    "postgres": Need("postgresql", "for the hub's storage on PostgreSQL", _postgres_server),
    "dbus-daemon": Need("dbus-daemon", "for bleak's own BlueZ backend on a private bus", _program("dbus-daemon")),
    "cc": Need("gcc libc6-dev", "for the power cuts under a real store", _c_compiler),
    "chromium": Need("chromium", "for the staff page in a real browser", _program("chromium", "chromium-browser")),
    "systemd-analyze": Need("systemd", "for the hardening of the units", _program("systemd-analyze")),
    "curl": Need("curl", "for the integrators' page, command by command", _program("curl")),
    "udevadm": Need("udev", "for the rules that name base stations", _program("udevadm")),
}


def main(arguments: list[str]) -> int:
    """`install [name ...]`: 1 only when the environment itself cannot be made; a test can still be left out."""
    if arguments[:1] != ["install"] or not set(arguments[1:]) <= set(NEEDS):
        _say(f"usage: needs.py install [{' | '.join(NEEDS)}]")
        return 2
    names = arguments[1:] or [name for name in NEEDS if name != "venv"]
    complete = install(names)
    if not complete and "venv" not in names:
        _say("The tests that need what is missing are LEFT OUT; the end of the run names them.")
    return 0 if complete or "venv" not in names else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
