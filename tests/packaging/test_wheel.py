"""What a store box gets: a wheel made from the source archive, in an empty environment, run from nowhere in particular.

One worker builds and installs once for all these tests.
"""

import os
import subprocess
import sys
import tarfile
import venv
import zipfile
from dataclasses import dataclass
from pathlib import Path

import pytest

from edge.credentials import variable_name
from edge.settings import credentials_of, load
from edge.shipped import shipped

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("wheel"), pytest.mark.timeout(400)]

ROOT = Path(__file__).resolve().parents[2]
ROOMS = ("edge", "cloud_sync", "drivers")
DEMO_S = 10


@dataclass(frozen=True)
class Installed:
    """The two archives, the command in its own environment, and a home that was empty before."""

    source: Path
    wheel: Path
    command: Path
    home: Path

    def run(self, *arguments: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run the command from `/`, with nothing of this environment but PATH."""
        return subprocess.run([self.command, *arguments], cwd="/", capture_output=True, text=True, check=False,
                              timeout=240, env={"PATH": os.environ["PATH"], "HOME": str(self.home), **environment})


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Installed:
    place = tmp_path_factory.mktemp("box")
    pinned = {**os.environ, "PIP_CONSTRAINT": str(ROOT / "constraints.txt"),
              "PIP_BUILD_CONSTRAINT": str(ROOT / "constraints.txt"), "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    _done([sys.executable, "-m", "build", "--outdir", place / "dist", ROOT], pinned)
    (source,), (wheel,) = (list((place / "dist").glob(pattern)) for pattern in ("*.tar.gz", "*.whl"))
    venv.create(place / "environment", with_pip=True)
    programs = place / "environment" / "bin"
    _done([programs / "python", "-m", "pip", "install", "--quiet", f"{wheel}[ble,demo]"], pinned)
    (place / "home").mkdir()
    return Installed(source, wheel, programs / "trastienda", place / "home")


def _done(command: list[str | Path], environment: dict[str, str]) -> None:
    done = subprocess.run(command, cwd="/", env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_wheel_holds_every_file_of_every_room_and_what_is_shipped(installed: Installed) -> None:
    inside = set(zipfile.ZipFile(installed.wheel).namelist())
    wanted = {str(path.relative_to(ROOT)) for room in ROOMS for path in files(ROOT / room)}
    wanted |= {f"edge/_shipped/{path.relative_to(ROOT)}"
               for data in ("config", "systemd") for path in files(ROOT / data)}

    assert wanted - inside == set()
    assert [name for name in inside if name.startswith(("tests/", "config/", "systemd/"))] == []


def test_the_source_archive_can_be_tested_and_installed_by_itself(installed: Installed) -> None:
    with tarfile.open(installed.source) as archive:
        inside = {name.partition("/")[2] for name in archive.getnames()}

    assert {"pyproject.toml", "constraints.txt", "Makefile", "LICENSE", "README.md", "CHANGELOG.md"} <= inside
    assert str(Path(__file__).relative_to(ROOT)) in inside


def test_the_licence_travels_with_the_wheel(installed: Installed) -> None:
    archive = zipfile.ZipFile(installed.wheel)
    (licence,) = [name for name in archive.namelist() if name.endswith("licenses/LICENSE")]

    assert archive.read(licence) == (ROOT / "LICENSE").read_bytes()


def test_it_runs_from_its_own_place_not_from_the_checkout(installed: Installed) -> None:
    python = installed.command.parent / "python"
    done = subprocess.run([python, "-c", "import edge.shipped as s; print(s.__file__); print(s.shipped('config'))"],
                          cwd="/", capture_output=True, text=True, check=True)

    code, config = (Path(line) for line in done.stdout.splitlines())
    assert not code.is_relative_to(ROOT)
    assert config == code.parent / "_shipped" / "config"


def test_check_reads_the_shipped_example_when_its_credentials_are_given(installed: Installed) -> None:
    example = shipped("config/stores/example.yaml")
    secrets = {variable_name(credential): "0" * 64 for _, credential in credentials_of(load(example))}

    done = installed.run("check", example, **secrets)

    assert done.returncode == 0, done.stdout + done.stderr


def test_check_names_every_missing_credential_and_leaves_with_2(installed: Installed) -> None:
    example = shipped("config/stores/example.yaml")

    done = installed.run("check", example)

    assert done.returncode == 2, done.stdout + done.stderr
    assert all(credential.name in done.stderr for _, credential in credentials_of(load(example)))


def test_a_demo_of_ten_seconds_runs_from_the_root_directory(installed: Installed) -> None:
    done = installed.run("demo", "--seconds", str(DEMO_S), "--port", "0")

    assert done.returncode == 0, done.stdout + done.stderr


def files(directory: Path) -> list[Path]:
    """Every file below, without what Python leaves behind."""
    return [path for path in directory.rglob("*") if path.is_file() and "__pycache__" not in path.parts]
