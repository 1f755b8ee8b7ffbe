"""A hub on SQLite; what it keeps where is tested in tests/hub."""

from collections.abc import Iterator

import pytest

from tests.hub.world import HubWorld


@pytest.fixture
def hub() -> Iterator[HubWorld]:
    world = HubWorld("sqlite://")
    yield world
    world.stop()
