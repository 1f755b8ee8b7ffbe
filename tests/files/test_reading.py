"""Reading files through a map: what is read, and what is refused with the line and what to do (retail.md 1.2)."""

import codecs
import gzip
import io
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest

from edge.errors import ConfigurationError, Rejected
from edge.files import text
from edge.files.file_map import MAP_BYTES_MAX, FileMap, PriceColumns, Trailer, load_map
from edge.files.price_rows import PriceRow, read_price
from edge.files.rows import BadRow, read_rows
from edge.files.sale_rows import read_key, read_sale
from edge.files.values import end_of, moment, number
from edge.shipped import shipped, shipped_files
from edge.yaml_reader import read_yaml
from tests.files.samples import DIRECTORY, PRICES, SAMPLES, SKUS
from tests.store_kit import gtin_of

CSV = FileMap(shape="csv", prices=PriceColumns(code=("code",), price=("price",)))
XML = FileMap(shape="xml", row="Item", prices=PriceColumns(code=("Code", "@code"), price=("Price/Gross",)))


def rows_of(content: str | bytes, file_map: FileMap) -> list[PriceRow]:
    file = io.BytesIO(content.encode() if isinstance(content, str) else content)
    return [read_price(row, file_map) for row in read_rows(file, file_map)]


def changed(file_map: FileMap, **fields: Any) -> FileMap:
    return msgspec.structs.replace(file_map, **fields)


def codes(content: str | bytes, file_map: FileMap = CSV) -> list[str]:
    return [row.code for row in rows_of(content, file_map)]


@pytest.mark.parametrize(("name", "map_name"), [("prices.csv", "prices-csv"), ("prices.txt", "prices-fixed"),
                                                ("prices-il.xml", "prices-il"), ("prices-hr.xml", "prices-hr")])
def test_every_shape_of_price_list_is_read_by_its_shipped_map(name: str, map_name: str) -> None:
    rows = rows_of((DIRECTORY / name).read_bytes(), load_map(map_name, "prices"))
    assert [(row.code, row.price) for row in rows] == [(gtin_of(sku), Decimal(PRICES[sku]) / 100) for sku in SKUS]


def test_the_samples_that_ship_are_those_that_are_generated() -> None:
    assert {path.name: path.read_bytes() for path in DIRECTORY.iterdir()} == SAMPLES


@pytest.mark.parametrize("name", ["sales.csv", "sales.txt"])
def test_both_shapes_of_sales_are_read_by_their_shipped_maps(name: str) -> None:
    file_map = load_map("sales-csv" if name.endswith("csv") else "sales-fixed", "sales")
    rows = list(read_rows(io.BytesIO((DIRECTORY / name).read_bytes()), file_map))
    first = read_sale(rows[0], file_map)
    assert (str(read_key(rows[0], file_map))[-2:].strip("/"), first.code, first.quantity, first.amount) == (
        "17" if name.endswith("csv") else "1", gtin_of("milk"), 2, Decimal("1.98"))


def test_every_shipped_map_is_read() -> None:
    for path in shipped_files("config/files", "*.yaml").values():
        read_yaml(path, FileMap, bytes_max=MAP_BYTES_MAX)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "windows-1252", "iso-8859-15", "cp850"])
def test_encodings_and_byte_order_marks(encoding: str) -> None:
    wanted = "utf-8" if encoding == "utf-8-sig" else encoding
    assert codes("code;price\ncafé;1.00\n".encode(encoding), changed(CSV, encodings=(wanted,))) == ["café"]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_any_end_of_line(end: str) -> None:
    assert codes(f"code;price{end}a;1.00{end}{end}b;2.00") == ["a", "b"]


def test_text_is_the_same_however_it_is_cut_into_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    for size in (1, 2, 3, 5, 64):
        monkeypatch.setattr(text, "FILE_CHUNK_BYTES", size)
        assert codes('code;price\r\n"ca;fé ☕";1.00\r\nb;2.00\r\n') == ["ca;fé ☕", "b"]
        assert codes("<I><Item><Code>é☕</Code><Price><Gross>1</Gross></Price></Item></I>", XML) == ["é☕"]


@pytest.mark.parametrize(("content", "said"), [
    (b"code;price\ncaf\xe9;1.00\n", "line 2 is not utf-8: byte 0xe9; write the file as utf-8, or name its encoding"),
    ("code;price\na;1\n".encode("utf-16"), "says of itself that it is utf-16, its map takes utf-8"),
    ("code;price\na;1\n".encode("utf-16-le"), "line 1 holds a NUL character: the file is damaged, or in another"),
    (b"code;price\na;1\n\0\0\0", "line 3 holds a NUL character"),
    (b"code;price\na;1\xc3", "it ends in the middle of a character in line 2: it was cut off"),
    (gzip.compress(b"code;price\na;1\n", mtime=0), "it is a gzip file: unpack it"),
    (b"PK\x03\x04rest", "it is a zip file: unpack it"),
    (b"", "it holds no row: is it the right map?"),
    (b"code;price\n", "it holds no row"),
    (b"x" * 70_000, "line 1 is longer than 65536 characters"),
    (b"ean;price\na;1\n", "line 1 names no column 'code'; it has: 'ean', 'price'"),
    (b"code;price;price\na;1;2\n", "line 1 names the column 'price' twice"),
    (b"code;price\na;1;2\n", "line 2 has 3 columns, the header has 2: mend the line"),
    (b'code;price\n"a;1\n', "line 2: unexpected end of data: check the quotes"),
    (b'code;price\n"a"b;1\n', "line 2: ';' expected after '\"': check the quotes"),
])
def test_what_is_no_such_file_is_refused_with_the_line_and_what_to_do(content: bytes, said: str) -> None:
    with pytest.raises(Rejected, match=r".") as refused:
        codes(content)
    assert said in str(refused.value)


@pytest.mark.parametrize(("content", "said"), [
    ('<?xml version="1.0" encoding="windows-1252"?><I/>', "it is windows-1252, its map takes utf-8"),
    ('<!DOCTYPE I [<!ENTITY a "b">]><I><Item><Code>&a;</Code></Item></I>', "line 1: a document type: entities are not"),
    ("<I><Item></I>", "not XML at line 1, column 11: mismatched tag"),
    ("<I><Item><Code>a</Code>", "not XML at line 1, column 23: no element found"),
    ("<I/>", "it holds no row"),
    ("<a>" * 60, "elements nest deeper than 48"),
    (f"<I><Item a='{'x' * 2_000_000}'/></I>", "a tag is longer than 1048576 bytes"),
    (f"<I><Item>{''.join(f'<b{n}>1</b{n}>' for n in range(600))}</Item></I>", "more than 500 fields in one row"),
    (f"<I>{''.join(f'<b{n}>1</b{n}>' for n in range(1100))}</I>", "more than 1000 fields in one row, or outside"),
    (f"<I><Item><Code>{'x ' * 40_000}</Code></Item></I>", "more than 65536 characters in one row"),
])
def test_hostile_and_broken_xml_is_refused_with_its_line(content: str, said: str) -> None:
    with pytest.raises(Rejected, match=r".") as refused:
        codes(content, XML)
    assert said in str(refused.value)


def test_a_document_type_in_utf_16_is_seen_too() -> None:
    with pytest.raises(Rejected, match="document type"):
        codes('<!DOCTYPE I [<!ENTITY a "b">]><I/>'.encode("utf-16"), changed(XML, encodings=("utf-16",)))


def test_xml_paths_attributes_namespaces_and_what_stands_outside() -> None:
    document = ('<r:I xmlns:r="urn:a"><r:Currency>EUR</r:Currency>'
                '<r:Item code="a"><Price><Gross>1.50</Gross></Price></r:Item>'
                "<Item><Code>b</Code><Code>c</Code><Price><Gross>2</Gross></Price></Item></r:I>")
    rows = rows_of(document, changed(XML, prices=PriceColumns(("Code", "@code"), ("Price/Gross",), ("/I/Currency",))))
    assert [(row.code, row.price, row.currency) for row in rows] == [("a", Decimal("1.50"), "EUR"),
                                                                     ("b", Decimal(2), "EUR")]


TRAILED = changed(CSV, trailer=Trailer("END", ("#2",)))
FIXED = FileMap(shape="fixed", trailer=Trailer("T", ("2-3",)), prices=PriceColumns(("2-4",), ("5-8",)))
COUNTED = changed(XML, trailer=Trailer("Items", ("@Count",)))


@pytest.mark.parametrize(("file_map", "content"), [
    (TRAILED, "code;price\na;1\nb;2\nEND;2\n"), (TRAILED, "code;price\nEND;0\n"),
    (FIXED, "Daaa1.00\nDbbb2.00\nT02\n\x1a"),
    (COUNTED, "<I><Items Count='1'><Item code='a'><Price><Gross>1</Gross></Price></Item></Items></I>"),
    (changed(COUNTED, trailer=Trailer("End", ("Rows", "."))),
     "<I><Item code='a'><Price><Gross>1</Gross></Price></Item><End> 1 </End></I>")])
def test_a_trailer_that_agrees(file_map: FileMap, content: str) -> None:
    codes(content, file_map)


@pytest.mark.parametrize(("file_map", "content", "said"), [
    (TRAILED, "code;price\na;1\n", "there is no trailer 'END' with a count after 1 rows: the file was cut off"),
    (TRAILED, "code;price\na;1\nEND;2\n", "its trailer says '2' rows, and there are 1"),
    (TRAILED, "code;price\na;1\nEND;\n", "there is no trailer 'END' with a count"),
    (TRAILED, "code;price\na;1\nEND;one\n", "its trailer says 'one' rows"),
    (TRAILED, "code;price\na;1\nEND;1\nb;2\n", "line 4 comes after the trailer in line 3"),
    (FIXED, "Daaa1.00\nT02\n", "its trailer says '02' rows, and there are 1"),
    (FIXED, "Daaa1.00\n", "there is no trailer 'T'"),
    (COUNTED, "<I><Items Count='2'><Item code='a'><Price><Gross>1</Gross></Price></Item></Items></I>", "says '2' rows"),
])
def test_a_file_that_was_cut_off_is_seen_by_its_trailer(file_map: FileMap, content: str, said: str) -> None:
    with pytest.raises(Rejected, match=r".") as refused:
        codes(content, file_map)
    assert said in str(refused.value)


@pytest.mark.parametrize(("written", "decimal", "grouping", "value"), [
    ("1.99", ".", "", "1.99"), ("1,99", ",", "", "1.99"), ("1.299,50", ",", ".", "1299.50"),
    ("1 299,5", ",", " ", "1299.5"), ("1\N{NO-BREAK SPACE}299,5", ",", " ", "1299.5"), ("-3", ".", "", "-3"),
    ("+3.", ".", "", "3"), ("0012", ".", "", "12"), ("1'299.50", ".", "'", "1299.50")])
def test_numbers_as_the_map_says(written: str, decimal: Any, grouping: Any, value: str) -> None:
    assert number(written, "price", changed(CSV, decimal=decimal, grouping=grouping), None) == Decimal(value)


@pytest.mark.parametrize(("written", "decimal", "grouping"), [
    ("1,99", ".", ""), ("1.99", ",", ""), ("1.99", ",", "."), ("1,299", ".", ""), ("1.29.9", ",", "."), ("", ".", ""),
    ("NaN", ".", ""), ("1e5", ".", ""), ("٣", ".", ""), ("1_000", ".", ""), ("9" * 30, ".", ""), ("- 3", ".", ""),
    (".5", ".", ""), ("12,34,567", ".", ",")])
def test_a_number_written_otherwise_is_no_guess(written: str, decimal: Any, grouping: Any) -> None:
    with pytest.raises(BadRow):
        number(written, "price", changed(CSV, decimal=decimal, grouping=grouping), None)


def test_digits_without_a_sign() -> None:
    assert number("0000199", "price", CSV, 2) == Decimal("1.99")
    with pytest.raises(BadRow, match="of digits only"):
        number("1.99", "price", CSV, 2)


def test_a_last_day_is_meant_whole_and_a_moment_is_a_moment() -> None:
    days = changed(CSV, dates=("%d.%m.%Y %H:%M", "%d.%m.%Y"))
    assert end_of("24.12.2026", "end", days) == moment("25.12.2026 00:00", "beginning", days)
    assert end_of("24.12.2026 18:00", "end", days) == moment("24.12.2026 18:00", "end", days)
    assert end_of("2026-12-24", "end", CSV).isoformat() == "2026-12-25T00:00:00"
    for wrong in ("12/24/2026", "31.02.2026", "24.12.0001", ""):
        with pytest.raises(BadRow):
            moment(wrong, "beginning", days)


@pytest.mark.parametrize(("lines", "said"), [
    ("shape: csv\nprices: {code: [a], price: [b]}\nsales: {till: [a]}", "map.yaml:3:8: sales.business_day: is missing"),
    ("shape: csv", "a map is of prices, of sales or of a planogram"),
    ("shape: xml\nprices: {code: [a], price: [b]}", "row"),
    ("shape: fixed\nprices: {code: [a], price: [1-2]}", "prices.code[0]: 'a' is no place in a fixed file"),
    ("shape: csv\nheader: false\nprices: {code: [a], price: ['#2']}", "without a header columns have no names"),
    ("shape: csv\nprices: {code: [a], price: [b]}\ndecimal: ','\ngrouping: ','", "is the decimal sign too"),
    ("shape: csv\nprices: {code: [a], price: [b]}\nencodings: [utf-9]", "encodings"),
    ("shape: csv\nprices: {code: [a], price: [b]}\ntrailer: {at: T, count: ['=1', '']}", "trailer.count"),
])
def test_a_wrong_map_is_named_with_its_line(tmp_path: Path, lines: str, said: str) -> None:
    path = tmp_path / "map.yaml"
    path.write_text(lines)
    with pytest.raises(ConfigurationError, match=r"map\.yaml:\d+") as refused:
        read_yaml(path, FileMap, bytes_max=MAP_BYTES_MAX)
    assert said in str(refused.value)


def test_a_map_that_is_not_there_or_is_of_the_other_kind() -> None:
    with pytest.raises(ConfigurationError, match="no file map is called 'nobody'"):
        load_map("nobody", "prices")
    with pytest.raises(ConfigurationError, match="no file map is called"):
        load_map("../poslog/v6", "prices")
    with pytest.raises(ConfigurationError, match="has no section `sales`"):
        load_map("prices-csv", "sales")


def test_an_operators_map_wins_by_name(tmp_path: Path) -> None:
    (tmp_path / "files").mkdir()
    (tmp_path / "files" / "prices-csv.yaml").write_text("mine")
    assert shipped("config/files/prices-csv.yaml", tmp_path).read_text() == "mine"


def test_full_and_changes_are_told_apart_by_name() -> None:
    israeli = load_map("prices-il", "prices")
    assert israeli.is_full("pricefull7290000000000-042-202611230700.xml")
    assert not israeli.is_full("Price7290000000000-042-202611230800.xml")
    assert CSV.is_full("whatever")


def test_a_bom_is_no_part_of_the_first_column() -> None:
    assert codes(codecs.BOM_UTF8 + b"code;price\na;1\n") == ["a"]
