"""One hub per test, on SQLite and on PostgreSQL."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.hub.world import HubWorld
from tests.postgres import PostgresServer


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    with PostgresServer() as server:
        yield server


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'hub.db'}"


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest) -> str:
    """An empty database of each kind."""
    if request.param == "sqlite":
        return request.getfixturevalue("sqlite_url")
    return request.getfixturevalue("postgres").new_database()


@pytest.fixture(params=["sqlite", "postgresql"])
def hub(request: pytest.FixtureRequest) -> Iterator[HubWorld]:
    """A hub on each kind; on PostgreSQL in a database that was another test's, emptied: making one costs seconds."""
    if request.param == "sqlite":
        world = HubWorld(request.getfixturevalue("sqlite_url"))
        yield world
        world.stop()
        return
    with request.getfixturevalue("postgres").lent_database() as url:
        world = HubWorld(url)
        yield world
        world.stop()
