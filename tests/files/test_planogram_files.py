"""Planograms by hot folder: where goods lie, for the walk of whoever picks (DESIGN.md section 9)."""

import pytest

from edge.doctor import in_the_loop
from edge.files.file_map import load_map
from edge.pickups.shelf import ShelfPlace, neighbours, places_of
from edge.pos.hot_folder import HotFolder
from edge.pos.planogram_files import PlanogramFiles
from tests.files.conftest import Folder
from tests.store_kit import StoreKit, gtin_of

HEAD = "ean;aisle;bay;shelf;position;walk"


class Planograms(Folder):
    """A folder of planograms by `config/files/planogram-csv.yaml`."""

    def __init__(self, kit: StoreKit) -> None:
        super().__init__(kit, "planogram", "prices", load_map("planogram-csv", "planogram"))

    def starts(self) -> None:
        """The daemon starts."""
        taker = PlanogramFiles(self.kit.store, self.kit.prices, self.map)
        self.folder = HotFolder(self.name, self.path, taker, 7, self.kit.store, in_the_loop)


def rows(*lines: str) -> str:
    return "\n".join([HEAD, *lines, f"TOTAL;{len(lines)};;;;"])


def where(store: StoreKit, *skus: str) -> dict[str, ShelfPlace]:
    return places_of(store.store.books.ledger_reader, skus)


@pytest.fixture
def planograms(store: StoreKit) -> Planograms:
    return Planograms(store)


async def test_a_planogram_says_where_goods_lie_and_the_next_one_replaces_it(store: StoreKit,
                                                                            planograms: Planograms) -> None:
    report = await planograms.takes(rows(f"{gtin_of('milk')};3;12;2;5;", f"{gtin_of('bread')};3;12;1;1;"))
    assert report.splitlines()[1] == "Planogram: 2 products in 2 places, 0 rows left out."
    assert where(store, "milk", "bread", "nothing") == {"milk": ShelfPlace("3", "12", "2", "5"),
                                                        "bread": ShelfPlace("3", "12", "1", "1")}
    assert neighbours(store.store.books.ledger_reader, "milk") == ["bread"]

    await planograms.takes(rows(f"{gtin_of('milk')};Cold;1;;;900"), "again.csv")
    assert where(store, "milk", "bread") == {"milk": ShelfPlace("Cold", "1", walk=900)}


async def test_of_several_places_the_first_on_the_way_counts(store: StoreKit, planograms: Planograms) -> None:
    await planograms.takes(rows(f"{gtin_of('milk')};10;1;;;", f"{gtin_of('milk')};2;1;;;"))
    assert where(store, "milk")["milk"].aisle == "2"


async def test_codes_that_nobody_knows_are_left_out_and_named(store: StoreKit, planograms: Planograms) -> None:
    report = await planograms.takes(rows(f"{gtin_of('milk')};3;;;;", "4006381333931;4;;;;"))
    assert "1 rows left out" in report
    assert "'4006381333931'" in report
    assert list(where(store, "milk")) == ["milk"]


@pytest.mark.parametrize("bad", [";3;;;;", "{milk};;;;;", "{milk};3;;;;x", "{milk};3;;;;-1", "{milk};3;;;;1.5",
                                 "{milk};" + "3" * 21 + ";;;;", "{milk};3\x1b;;;;", "{milk};3;;;;99999999"])
async def test_p10_a_row_that_cannot_be_read_changes_nothing(store: StoreKit, planograms: Planograms, bad: str) -> None:
    milk = gtin_of("milk")
    await planograms.takes(rows(f"{milk};3;;;;"))
    error = await planograms.takes(rows(f"{milk};5;;;;", bad.replace("{milk}", milk)), "bad.csv")
    assert planograms.went_to == "bad"
    assert "Nothing of it counts" in error
    assert where(store, "milk")["milk"].aisle == "3"


@pytest.mark.parametrize("content", [rows(), rows("4006381333931;4;;;;"), HEAD, f"{HEAD}\n4006381333931;4;;;;"])
async def test_a_file_that_names_nothing_or_was_cut_off_takes_no_place_away(store: StoreKit, planograms: Planograms,
                                                                           content: str) -> None:
    await planograms.takes(rows(f"{gtin_of('milk')};3;;;;"))
    await planograms.takes(content, "empty.csv")
    assert planograms.went_to == "bad"
    assert where(store, "milk")
