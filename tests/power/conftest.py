"""The recorder, compiled once, and recordings of a store's hours."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

from tests.needs import need
from tests.power.recording import Record, build_recorder, read_log, run_recorded


@dataclass(frozen=True)
class Recording:
    """What was done, and the directory as the programs left it."""

    records: list[Record]
    directory: Path


MakeRecording = Callable[..., Recording]


@pytest.fixture(scope="session")
def record(tmp_path_factory: pytest.TempPathFactory) -> MakeRecording:
    """Runs programs one after the other in one fresh directory, each under the recorder; the same again is known."""
    library = build_recorder(need("cc"), tmp_path_factory.mktemp("recorder"))

    @cache
    def run(*programs: tuple[str, ...], swallow: bool = False) -> Recording:
        parent = tmp_path_factory.mktemp("recording")
        for module, *arguments in programs:
            run_recorded(library, parent / "state", parent / "log", module, str(parent / "state"), *arguments,
                         swallow=swallow)
        return Recording(read_log(parent / "log"), parent / "state")
    return run


@pytest.fixture(scope="session")
def hours(record: MakeRecording) -> Recording:
    """A store that is killed in its first hour, comes back, works on and closes."""
    return record(("tests.power.workload", "1", "7", "short-log", "killed"),
                  ("tests.power.workload", "2", "4", "short-log"))
