"""Boxes and a hub that lose their disks, under virtual time, on both databases of the hub."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.hub.conftest import database_url, postgres, sqlite_url  # noqa: F401
from tests.restore.world import Town
from tests.store_kit import pytest_asyncio_loop_factories  # noqa: F401


@pytest.fixture
async def town(sqlite_url: str, tmp_path: Path) -> AsyncIterator[Town]:  # noqa: F811
    """A hub on SQLite, and store 0042 with one box that is open."""
    async with opened(Town(sqlite_url, tmp_path)) as town:
        yield town


@pytest.fixture
async def any_town(database_url: str, tmp_path: Path) -> AsyncIterator[Town]:  # noqa: F811
    """The same on each kind of database, for what its queries and locks decide."""
    async with opened(Town(database_url, tmp_path)) as town:
        yield town


@asynccontextmanager
async def opened(town: Town) -> AsyncIterator[Town]:
    await town.begin()
    yield town
    await town.end()
