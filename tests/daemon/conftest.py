"""A box that really runs, ended with the test."""

import os
import tty
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


@pytest.fixture
def terminal() -> Iterator[tuple[int, str]]:
    """A serial line: what is written into the first is read from the second."""
    master, slave = os.openpty()
    tty.setraw(slave)
    yield master, os.ttyname(slave)
    os.close(master)
    os.close(slave)
