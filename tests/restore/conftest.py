"""Boxes and a hub that lose their disks, under virtual time, on both databases of the hub."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.hub.conftest import database_url, postgres, sqlite_url  # noqa: F401
from tests.restore.world import Town
from tests.store_kit import pytest_asyncio_loop_factories  # noqa: F401


@pytest.fixture
async def town(database_url: str, tmp_path: Path) -> AsyncIterator[Town]:  # noqa: F811
    """A hub, and store 0042 with one box that is enrolled and open."""
    town = Town(database_url, tmp_path)
    await town.begin()
    yield town
    await town.end()
