"""The store of the scenes, under virtual time (tests/store_kit.py)."""

from tests.store_kit import pytest_asyncio_loop_factories, store  # noqa: F401  pytest finds them here by name
