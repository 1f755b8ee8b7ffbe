"""A fuzzer that reads `/openapi.json` against a running store: no server error, and no answer that is not described.

All checks of schemathesis are on. What a rule of the store refuses (400, 422) counts as an answer to valid data: a
schema cannot say that `last` lies behind `first`, or which labels there are.
"""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge.doctor import technician_token
from tests.daemon.real_box import RealBox
from tests.service import Service

EXAMPLES = 20
CONFIG = """
[checks.positive_data_acceptance]
expected-statuses = ["2xx", 400, 401, 403, 404, 409, 422, 503]
"""


@pytest.fixture(scope="module")
def box(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealBox]:
    """A store that sells milk and hangs paper tags."""
    directory = tmp_path_factory.mktemp("described")
    service = Service(directory)
    box = RealBox(directory, service)
    box.base_stations = "{name: paper, driver: paper}"
    box.stock_milk()
    box.start()
    yield box
    assert service.stop() == 0
    service.close()


@pytest.mark.timeout(600)
@pytest.mark.parametrize("role", ["till", "technician"])
def test_whatever_the_description_allows_is_answered_as_it_says(box: RealBox, tmp_path: Path, role: str) -> None:
    token = box.secrets["TRASTIENDA_TILL_1"] if role == "till" else \
        technician_token(box.secrets["TRASTIENDA_DATABASE_KEY"])
    (tmp_path / "schemathesis.toml").write_text(CONFIG)
    done = subprocess.run(
        [Path(sys.executable).with_name("schemathesis"), "--config-file", tmp_path / "schemathesis.toml", "run",
         f"{box.url}/openapi.json", "-H", f"Authorization: Bearer {token}", "--checks", "all", "--phases",
         "examples,coverage,fuzzing", "--max-examples", str(EXAMPLES), "--generation-database", "none", "--seed", "7",
         "--exclude-path", "/v1/events",  # a stream that does not end: tests/pos/test_events.py
         "--request-timeout", "20", "--no-color"],
        cwd=tmp_path, capture_output=True, text=True, timeout=580, check=False)
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
