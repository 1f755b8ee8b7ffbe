"""A machine without Mosquitto: nothing is left out quietly, and nothing is installed without a word."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests import needs

ROOT = Path(__file__).resolve().parents[2]

SCENE = """
from tests import needs

needs.NEEDS["abacus"] = needs.Need("abacus-utils", "for counting", lambda: None)

def test_one():
    needs.need("abacus")

def test_two():
    needs.need("abacus")

def test_needs_nothing():
    pass
"""


def run_scene(directory: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    (directory / "test_scene.py").write_text(SCENE)
    without_ci = {name: value for name, value in os.environ.items() if name != "CI" and "PYTEST" not in name}
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-n", "2", "-p", "tests.conftest", "-c", ROOT / "pyproject.toml",
         directory / "test_scene.py"],
        cwd=ROOT, env={**without_ci, **environment}, capture_output=True, text=True, check=False, timeout=100)


def test_what_is_left_out_is_named_loudly_at_the_end(tmp_path: Path) -> None:
    done = run_scene(tmp_path)

    assert done.returncode == 0, done.stdout + done.stderr
    assert "TESTS LEFT OUT" in done.stdout
    assert "2 tests: abacus is missing (Debian package abacus-utils), needed for counting" in done.stdout
    assert "1 passed, 2 skipped" in done.stdout


def test_in_ci_a_missing_part_is_a_failure(tmp_path: Path) -> None:
    done = run_scene(tmp_path, CI="true")

    assert done.returncode == 1
    assert "2 failed" in done.stdout
    assert "abacus is missing" in done.stdout


@pytest.fixture
def abacus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(needs.NEEDS, "abacus", needs.Need("abacus-utils", "for counting", lambda: None))


@pytest.fixture
def apt(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """What would be run, instead of running it."""
    calls: list[list[str]] = []

    def record(command: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        calls.append(command)
        return subprocess.CompletedProcess(command, 0, "", "")

    monkeypatch.setattr(needs.subprocess, "run", record)
    monkeypatch.setattr(needs.shutil, "which", lambda *_, **__: "/usr/bin/apt-get")
    return calls


@pytest.mark.usefixtures("abacus")
def test_a_user_is_told_the_one_line_and_nothing_is_installed(
        apt: list[list[str]], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(needs.os, "geteuid", lambda: 1000)

    assert needs.main(["install", "abacus"]) == 0

    assert apt == []
    said = capsys.readouterr().err
    assert "sudo apt-get update && sudo apt-get install --yes abacus-utils" in said
    assert "LEFT OUT" in said


@pytest.mark.usefixtures("abacus")
def test_root_is_told_what_is_installed_and_why(
        apt: list[list[str]], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(needs.os, "geteuid", lambda: 0)

    assert needs.install(["abacus"])

    assert [command[1] for command in apt] == ["update", "install"]
    assert apt[1][-1] == "abacus-utils"
    assert "abacus is missing: needed for counting" in capsys.readouterr().err


def test_what_is_there_is_neither_installed_nor_mentioned(
        apt: list[list[str]], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setitem(needs.NEEDS, "abacus", needs.Need("abacus-utils", "for counting", lambda: Path("/abacus")))

    assert needs.main(["install", "abacus"]) == 0
    assert apt == []
    assert capsys.readouterr().err == ""


def test_without_venv_there_is_no_environment_and_make_stops(
        apt: list[list[str]], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(needs.os, "geteuid", lambda: 1000)
    monkeypatch.setitem(needs.NEEDS, "venv", needs.Need("python3-venv", "to make .venv", lambda: None))

    assert needs.main(["install", "venv"]) == 1
