"""`trastienda import FILE`: the whole file or nothing, and one clear message (DESIGN.md section 11)."""

import random
from pathlib import Path

import httpx
import msgspec
import pytest

from cloud_sync.contract.documents import Item, Price
from cloud_sync.hub import catalogue_file
from cloud_sync.hub.catalogue_file import ImportOptions, ImportRejected, check_digit_fits, read_catalogue
from cloud_sync.hub.currencies import BadAmount, minor_units
from cloud_sync.hub.importer import HubUnreachable, import_into, import_over_http
from tests.hub.world import HubWorld

HEADER = "sku,gtin,name,category,department,brand,manufacturer_id,package_size,price"
MILK = "1,4006381333931,Milk,DAIRY,GROCERY,National,7,1 L,0.99"
BREAD = '2,,"Bread, rye",,,,,,4.96'


@pytest.fixture
def file(tmp_path: Path):
    def write(*lines: str, encoding: str = "utf-8") -> Path:
        path = tmp_path / "catalogue.csv"
        path.write_bytes("".join(f"{line}\n" for line in lines).encode(encoding))
        return path

    return write


async def test_a_file_becomes_items_and_regular_prices(hub: HubWorld, file):
    store = await hub.store()
    result = import_into(hub.storage, file(HEADER, MILK, BREAD), ImportOptions(currency="EUR"))
    assert (result.rows, result.items_changed, result.prices_changed, result.warnings) == (2, 2, 2, ())
    items = [msgspec.json.decode(change.doc, type=Item) for change in (await store.batches("items"))[0].changes]
    assert items == [Item("1", "Milk", ("4006381333931",), "DAIRY", "GROCERY", "National", "1 L"),
                     Item("2", "Bread, rye")]
    (milk, bread) = (await store.batches("prices"))[0].changes
    assert (milk.key, bread.key) == ("regular:1", "regular:2")
    assert msgspec.json.decode(bread.doc, type=Price) == Price("2", 496, "EUR")


async def test_importing_again_changes_only_what_is_new(hub: HubWorld, file):
    await hub.store()
    import_into(hub.storage, file(HEADER, MILK, BREAD), ImportOptions())
    result = import_into(hub.storage, file(HEADER, MILK.replace("0.99", "1.09"), BREAD), ImportOptions())
    assert (result.items_changed, result.items_unchanged) == (0, 2)
    assert (result.prices_changed, result.prices_unchanged) == (1, 1)


@pytest.mark.parametrize(("lines", "says"), [
    ([], "1: the file is empty"),
    ([HEADER], "1: the file has a header but no rows"),
    (["sku,name", "1,Milk"], "1: no column 'price'; the header has sku, name"),
    (["sku,name,price,price", "1,Milk,1,2"], "1: column 'price' stands twice"),
    ([HEADER, MILK, "1" + BREAD[1:]], "3: sku '1' stands already on line 2"),
    ([HEADER, MILK, BREAD[1:]], "3: sku is empty"),
    ([HEADER, MILK, BREAD.replace("4.96", "4,96")], "3: 10 fields, the header has 9"),
    ([HEADER, MILK, BREAD.replace("4.96", '"4,96"')], "3: price '4,96' is not a decimal number like 4.96: write"),
    ([HEADER, BREAD.replace("4.96", "-1")], "2: price '-1' is not a decimal number"),
    ([HEADER, BREAD.replace("4.96", "1e3")], "2: price '1e3' is not a decimal number"),
    ([HEADER, BREAD.replace("4.96", "NaN")], "2: price 'NaN' is not a decimal number"),
    ([HEADER, BREAD.replace("4.96", "")], "2: price is empty"),
    ([HEADER, BREAD.replace("4.96", "4.965")], "2: price 4.965 has more than 2 decimals"),
    ([HEADER, MILK.replace("4006381333931", "40063813339X1")], "2: gtin '40063813339X1' is not 1 to 14 digits"),
    ([HEADER, MILK, '3,,"never closed,,,,,,1'], "3: unexpected end of data"),
    ([HEADER, '1,,"two\nlines",,,,,,1.00', "", BREAD[:-4] + "x"], "5: price 'x'"),
])
async def test_a_bad_file_says_where_and_nothing_is_imported(hub: HubWorld, file, lines: list[str], says: str):
    store = await hub.store()
    path = file(*lines)
    with pytest.raises(ImportRejected) as rejected:
        import_into(hub.storage, path, ImportOptions())
    assert str(rejected.value).startswith(f"{path}:{says}")
    assert (await store.batches("items"))[0].changes == ()


def test_another_encoding_is_told_with_its_line(file):
    with pytest.raises(ImportRejected, match=r"catalogue\.csv:3: byte 0xf1 is not UTF-8: save"):
        read_catalogue(file(HEADER, MILK, "3,,Piña,,,,,,1.00", encoding="latin-1"), ImportOptions())
    assert read_catalogue(file(HEADER, MILK, encoding="utf-8-sig"), ImportOptions()).catalogue.items[0].sku == "1"


def test_a_file_that_is_not_there_or_too_large_is_told(tmp_path: Path, file, monkeypatch: pytest.MonkeyPatch):
    with pytest.raises(ImportRejected, match="No such file"):
        read_catalogue(tmp_path / "nothing.csv", ImportOptions())
    monkeypatch.setattr(catalogue_file, "IMPORT_FILE_MAX_BYTES", 10)
    with pytest.raises(ImportRejected, match="larger than 10 bytes"):
        read_catalogue(file(HEADER, MILK), ImportOptions())
    monkeypatch.undo()
    monkeypatch.setattr(catalogue_file, "DOCUMENTS_PER_REQUEST_MAX", 1)
    with pytest.raises(ImportRejected, match="2 rows, at most 1"):
        read_catalogue(file(HEADER, MILK, BREAD), ImportOptions())


@pytest.mark.parametrize(("row", "warning", "message"), [
    (MILK.replace("4006381333931", "4006381333932"), "1 rows: wrong GTIN check digit (line 2)", "wrong check digit"),
    (MILK.replace("Milk", ""), "1 rows: without a name, named after category, department or SKU (line 2)", "name"),
])
def test_what_is_odd_is_a_warning_or_an_error_when_strict(file, row: str, warning: str, message: str):
    path = file(HEADER, row)
    assert read_catalogue(path, ImportOptions()).warnings == (warning,)
    with pytest.raises(ImportRejected, match=rf"catalogue\.csv:2: .*{message}"):
        read_catalogue(path, ImportOptions(strict=True))


def test_a_shared_barcode_is_a_warning(file):
    path = file(HEADER, MILK, "3,4006381333931,Cream,,,,,,2.00")
    assert read_catalogue(path, ImportOptions()).warnings == ("1 rows: barcode shared with another SKU (line 3)",)


def test_a_row_without_a_name_takes_the_best_there_is(file):
    names = [item.name for item in read_catalogue(file(
        HEADER, "1,,,SOCKS,DRUG,,,,1", "2,,,,DRUG,,,,1", "3,,,,,,,,1"), ImportOptions()).catalogue.items]
    assert names == ["SOCKS", "DRUG", "3"]


def test_columns_may_be_mapped_and_optional_ones_missing(file):
    path = file("Article,Price EUR,Text,color", "7,1.50,Nails,grey")
    options = ImportOptions(columns={"sku": "article", "price": "Price EUR", "name": "Text"})
    (item,) = read_catalogue(path, options).catalogue.items
    assert item == Item("7", "Nails")
    with pytest.raises(ImportRejected, match="no such column to map: colour"):
        read_catalogue(path, ImportOptions(columns={"colour": "color"}))
    with pytest.raises(ImportRejected, match="no column 'maker'"):
        read_catalogue(path, ImportOptions(columns={**options.columns, "brand": "maker"}))


@pytest.mark.parametrize(("text", "currency", "minor"), [
    ("4.96", "USD", 496), ("0", "EUR", 0), ("19.9", "EUR", 1990), ("120", "JPY", 120), ("120.0", "JPY", 120),
    ("1.234", "KWD", 1234), ("0.290000", "EUR", 29), ("1.15", "EUR", 115), ("999999999.99", "EUR", 99999999999),
])
def test_prices_are_exact(text: str, currency: str, minor: int):
    assert minor_units(text, currency) == minor


@pytest.mark.parametrize("text", ["120.5", "1" * 13, "", ".5", "5.", "٣", "1_0", " 1", "+1"])
def test_what_is_no_price_is_not_guessed(text: str):
    with pytest.raises(BadAmount):
        minor_units(text, "JPY")


def test_check_digits_agree_with_a_slow_reading_of_the_rule():
    rng = random.Random(7)
    for length in (8, 12, 13, 14):
        body = "".join(rng.choice("0123456789") for _ in range(length - 1))
        total = sum(int(digit) * (3 if (length - 2 - place) % 2 == 0 else 1) for place, digit in enumerate(body))
        good = str(-total % 10)
        assert [digit for digit in "0123456789" if check_digit_fits(body + digit)] == [good]
    assert check_digit_fits("4006381333931")


async def test_through_a_running_hub_in_one_request(hub: HubWorld, file):
    store = await hub.store()
    progress: list[tuple[str, int, int]] = []
    result = await import_over_http(hub.operator, file(HEADER, MILK, BREAD), ImportOptions(),
                                    lambda *step: progress.append(step))
    assert (result.items_changed, result.prices_changed) == (2, 2)
    assert len((await store.batches("prices"))[0].changes) == 2
    assert {phase for phase, _, _ in progress} == {"read", "send"}
    assert all(0 <= done <= total for _, done, total in progress)


async def test_a_hub_that_refuses_or_is_away_is_told(hub: HubWorld, file):
    path = file(HEADER, MILK)
    with pytest.raises(HubUnreachable, match="answered 401: a bearer token"):
        await import_over_http(hub.client("wrong"), path, ImportOptions())

    def away(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("connection refused", request=request)

    async with httpx.AsyncClient(transport=httpx.MockTransport(away), base_url="http://hub") as client:
        with pytest.raises(HubUnreachable, match="ConnectError connection refused"):
            await import_over_http(client, path, ImportOptions())
