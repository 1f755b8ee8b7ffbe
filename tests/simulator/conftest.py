"""What the simulator found is told here once more as scenes."""

from tests.store_kit import pytest_asyncio_loop_factories, store  # noqa: F401  pytest finds them here by name
