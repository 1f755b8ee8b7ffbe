"""The store of the scenes on a line to a real hub, in one process and under virtual time."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import structlog

from tests.feeds.line import Shop, open_shop
from tests.store_kit import pytest_asyncio_loop_factories  # noqa: F401  pytest finds it here by name


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    with structlog.testing.capture_logs():
        yield


@pytest.fixture
async def shop(tmp_path: Path) -> AsyncIterator[Shop]:
    """An empty store, its hub, and the line between them, which is up."""
    async with open_shop(tmp_path, "sqlite://") as opened:
        yield opened
