"""INTEGRATORS.md, command by command, against a running store: what it says works."""

import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.daemon.real_box import DAY, MILK_GTIN, RealBox
from tests.needs import need
from tests.service import Service

PAGE = Path(__file__).parents[2] / "INTEGRATORS.md"


@pytest.fixture
def box(tmp_path: Path) -> Iterator[RealBox]:
    service = Service(tmp_path)
    box = RealBox(tmp_path, service)
    box.stock_milk()
    box.start()
    yield box
    assert service.stop() == 0
    service.close()


def test_every_command_of_the_page_works_in_its_order(box: RealBox) -> None:
    need("curl")
    commands = re.findall(r"```sh\n(.*?)```", PAGE.read_text(), re.DOTALL)
    assert len(commands) >= 8
    script = "set -euo pipefail\n" + "\necho\n".join(commands[:-1])
    environment = {"PATH": os.environ["PATH"], "STORE": box.url, "TOKEN": box.secrets["TRASTIENDA_TILL_1"], "TILL": "1",
                   "CODE": MILK_GTIN, "DAY": DAY}
    done = _run(script, environment)
    assert done.returncode == 0, done.stdout + done.stderr
    assert '"charge_minor":99' in done.stdout
    assert done.stdout.count('"fact_key":"till/1/' + DAY + '/0000000001"') == 2, "sent twice, the same answer"
    assert '"missing":[3]' in done.stdout
    assert '"whole":false' in done.stdout

    assert "event: reset" in _run(commands[0] + commands[-1], environment).stdout


def _run(script: str, environment: dict[str, str]) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(["bash", "-c", script], env=environment, capture_output=True, text=True, timeout=60,
                          check=False)
