"""A box that really runs, ended with the test."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.daemon.real_box import RealBox
from tests.service import Service


@pytest.fixture
def box(tmp_path: Path) -> Iterator[RealBox]:
    service = Service(tmp_path)
    yield RealBox(tmp_path, service)
    service.close()
