"""The store of the scenes (tests/store_kit.py); only these run under virtual time, the writer's thread is real."""

import asyncio
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from edge.db.connection import Connection, connect
from edge.virtual_time import VirtualTimeLoop
from tests.store_kit import store  # noqa: F401  pytest finds it here by name

KEY = b"k" * 32
VIRTUAL = ("test_pruning", "test_disk_budget")


def pytest_asyncio_loop_factories(config: pytest.Config, item: pytest.Item) -> Mapping[str, Any] | None:
    """Real threads need a real loop."""
    return {"virtual": VirtualTimeLoop} if item.path.stem in VIRTUAL else {"real": asyncio.new_event_loop}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "scratch.db"


@pytest.fixture
def connection(path: Path) -> Iterator[Connection]:
    opened = connect(path, KEY, synchronous="FULL")
    opened.execute("CREATE TABLE note (id INTEGER PRIMARY KEY, text TEXT NOT NULL) STRICT")
    yield opened
    opened.close()
