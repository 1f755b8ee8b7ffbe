"""What each kind of hot folder does with its files, by the settings."""

from collections.abc import Iterable
from dataclasses import dataclass

from edge.errors import ConfigurationError, Rejected
from edge.files.file_map import load_map
from edge.pos.hot_folder import FileTaker
from edge.pos.planogram_files import PlanogramFiles
from edge.pos.poslog.desk import PoslogDesk, PoslogFiles
from edge.pos.poslog.dialect import load_dialect
from edge.pos.price_files import PriceFiles
from edge.pos.sales_files import SalesFiles
from edge.pos.transactions import TransactionDesk
from edge.prices.local_prices import LocalPrices
from edge.prices.price_desk import PriceDesk
from edge.settings import HotFolder
from edge.store import Store

STANDARD_DIALECT = "v6"


@dataclass(frozen=True, slots=True)
class FolderDesks:
    """Where what files hold goes to."""

    store: Store
    prices: PriceDesk
    local: LocalPrices
    transactions: TransactionDesk
    poslog: PoslogDesk


def taker_of(folder: HotFolder, desks: FolderDesks) -> FileTaker:
    """Raises `ConfigurationError` for a map or dialect that is not there or is wrong."""
    try:
        if folder.kind == "prices":
            return PriceFiles(desks.store, desks.prices, desks.local, folder.name, load_map(folder.map, "prices"))
        if folder.kind == "sales":
            return SalesFiles(desks.store, desks.transactions, load_map(folder.map, "sales"))
        if folder.kind == "planogram":
            return PlanogramFiles(desks.store, desks.prices, load_map(folder.map, "planogram"))
        return PoslogFiles(desks.poslog, load_dialect(folder.dialect or STANDARD_DIALECT))
    except Rejected as problem:
        raise ConfigurationError(f"hot_folders: {folder.name}: {problem}") from problem


def check_maps(folders: Iterable[HotFolder]) -> None:
    """Read the map or dialect of every folder. Raises `ConfigurationError` with every problem."""
    problems: list[str] = []
    for folder in folders:
        try:
            if folder.kind == "poslog":
                load_dialect(folder.dialect or STANDARD_DIALECT)
            else:
                load_map(folder.map, folder.kind)
        except Rejected as problem:
            problems.append(f"hot_folders: {folder.name}: {problem}")
    if problems:
        raise ConfigurationError("\n".join(problems))
