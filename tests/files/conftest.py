"""A store with hot folders of prices and sales, under virtual time."""

from typing import Literal

import pytest

from edge.doctor import in_the_loop
from edge.files.file_map import FileMap, load_map
from edge.pos.hot_folder import FileTaker, HotFolder
from edge.pos.price_files import PriceFiles
from edge.pos.sales_files import SalesFiles
from tests.store_kit import StoreKit, pytest_asyncio_loop_factories, store  # noqa: F401  pytest finds them by name


class Folder:
    """A folder in the hands of the test; its book has its name."""

    def __init__(self, kit: StoreKit, name: str, kind: Literal["prices", "sales"], file_map: FileMap) -> None:
        self.kit = kit
        self.path = kit.directory / name
        self.name, self.kind, self.map = name, kind, file_map
        (self.path / "inbox").mkdir(parents=True)
        self.starts()

    def starts(self) -> None:
        """The daemon starts, anew or for the first time."""
        kit = self.kit
        taker: FileTaker = (PriceFiles(kit.store, kit.prices, kit.local, self.name, self.map) if self.kind == "prices"
                            else SalesFiles(kit.store, kit.tills, self.map))
        self.folder = HotFolder(self.name, self.path, taker, 7, kit.store, in_the_loop)

    async def takes(self, content: str | bytes, name: str = "full.csv") -> str:
        """A file is put in and taken; returns what the store wrote beside it: `.err` or `.report`."""
        for place in ("done", "bad"):
            for path in (self.path / place).glob("*"):
                path.unlink()
        (self.path / "inbox" / name).write_bytes(content.encode() if isinstance(content, str) else content)
        for _ in range(2):
            await self.folder.look()
        await self.kit.a_moment()
        (beside,) = [path for place in ("done", "bad") for path in (self.path / place).iterdir()
                     if path.name.endswith((".err", ".report"))]
        self.went_to = beside.parent.name
        return beside.read_text()


@pytest.fixture
def prices(store: StoreKit) -> Folder:  # noqa: F811  the fixture of the kit
    """Price lists by `config/files/prices-csv.yaml`."""
    return Folder(store, "local", "prices", load_map("prices-csv", "prices"))


@pytest.fixture
def sales(store: StoreKit) -> Folder:  # noqa: F811  the fixture of the kit
    """Sales by `config/files/sales-csv.yaml`."""
    return Folder(store, "sales", "sales", load_map("sales-csv", "sales"))
