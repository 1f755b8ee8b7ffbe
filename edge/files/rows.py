"""Text → rows, whatever the shape, and the trailer that says how many there are. Rows are read one at a time."""

import csv
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import BinaryIO

from edge.errors import Rejected
from edge.files.file_map import FileMap, Places
from edge.files.text import lines_of, text_of
from edge.files.xml_rows import xml_rows


class BadRow(ValueError):
    """A row that cannot be read; `str()` says what is wrong with it."""


@dataclass(frozen=True, slots=True)
class Row:
    """A row. `where`: for people; `at`: what stands at a place, without spaces around it."""

    where: str
    at: Callable[[str], str]

    def text(self, places: Places) -> str:
        """The first of the places that says something; empty where none does."""
        for place in places:
            if found := place[1:] if place.startswith("=") else self.at(place):
                return found
        return ""


def read_rows(file: BinaryIO, file_map: FileMap) -> Iterator[Row]:
    """Every row from the beginning to the end, where the trailer is checked.

    Raises `Rejected` for what is no such file, or not all of it: a caller that wants whole files reads to the end
    before it believes anything.
    """
    pieces = text_of(file, file_map.encodings)
    readers = {"csv": lambda: _csv_rows(lines_of(pieces), file_map),
               "fixed": lambda: _fixed_rows(lines_of(pieces), file_map),
               "xml": lambda: _xml_rows(pieces, file_map)}
    count, said = 0, ""
    for row in readers[file_map.shape]():
        if isinstance(row, _End):
            said = row.count
        else:
            count += 1
            yield row
    _check_trailer(file_map, count, said)


@dataclass(frozen=True, slots=True)
class _End:
    """The trailer, and what it says."""

    count: str


def _check_trailer(file_map: FileMap, count: int, said: str) -> None:
    trailer = file_map.trailer
    if trailer is not None and not said:
        raise Rejected(f"there is no trailer {trailer.at!r} with a count after {count} rows: the file was cut off; "
                       "send it again")
    if trailer is not None and (not said.isascii() or not said.isdecimal() or len(said) > 12 or int(said) != count):
        raise Rejected(f"its trailer says {said[:20]!r} rows, and there are {count}: the file was cut off or "
                       "changed; send it again")
    if trailer is None and not count:
        raise Rejected("it holds no row: is it the right map? An empty list needs a trailer that says 0")


def _csv_records(lines: Iterator[str], file_map: FileMap) -> Iterator[tuple[int, list[str]]]:
    """Each record with the line that it ends in."""
    reader = csv.reader(lines, delimiter=file_map.separator, quotechar=file_map.quote, strict=True)
    try:
        for fields in reader:
            yield reader.line_num, fields
    except csv.Error as error:
        raise Rejected(f"line {reader.line_num}: {error}: check the quotes") from error


def _csv_rows(lines: Iterator[str], file_map: FileMap) -> Iterator[Row | _End]:
    columns: dict[str, int] | None = None if file_map.header else {}
    ended = 0
    for line, fields in _csv_records(lines, file_map):
        if not any(fields) or fields[0].startswith(file_map.skip):
            continue
        _nothing_after(ended, line)
        if columns is None:
            columns = _columns(fields, file_map, line)
            width = len(fields)
        elif file_map.trailer is not None and fields[0].strip() == file_map.trailer.at:
            ended = line
            yield _End(Row("", _field_at(fields, columns)).text(file_map.trailer.count))
        elif file_map.header and len(fields) != width:
            raise Rejected(f"line {line} has {len(fields)} columns, the header has {width}: mend the line, or "
                           f"check that {file_map.separator!r} separates and {file_map.quote} quotes")
        else:
            yield Row(f"line {line}", _field_at(fields, columns))


def _columns(fields: list[str], file_map: FileMap, line: int) -> dict[str, int]:
    """Column by name. Raises `Rejected` when one that the map names is missing or there twice."""
    names = [field.strip() for field in fields]
    columns = {name: index for index, name in enumerate(names)}
    struct = file_map.prices or file_map.sales
    for key in struct.__struct_fields__ if struct is not None else ():
        wanted = [place for place in getattr(struct, key) if not place.startswith(("=", "#"))]
        if wanted and not any(name in columns for name in wanted) and len(wanted) == len(getattr(struct, key)):
            raise Rejected(f"line {line} names no column {' or '.join(map(repr, wanted))}; it has: "
                           f"{', '.join(map(repr, names))[:300]}")
        if twice := [name for name in wanted if names.count(name) > 1]:
            raise Rejected(f"line {line} names the column {twice[0]!r} twice; say in the map which by its number")
    return columns


def _field_at(fields: list[str], columns: dict[str, int]) -> Callable[[str], str]:
    def at(place: str) -> str:
        index = int(place[1:]) - 1 if place.startswith("#") else columns.get(place, -1)
        return fields[index].strip() if 0 <= index < len(fields) else ""
    return at


def _fixed_rows(lines: Iterator[str], file_map: FileMap) -> Iterator[Row | _End]:
    ended = 0
    for number, line in enumerate(lines, start=1):
        if not line.strip(" \n\x1a") or line.startswith(file_map.skip):  # DOS ends a file with 0x1a
            continue
        _nothing_after(ended, number)
        row = Row(f"line {number}", _slice_at(line.rstrip("\n")))
        if file_map.trailer is not None and line.startswith(file_map.trailer.at):
            ended = number
            yield _End(row.text(file_map.trailer.count))
        else:
            yield row


def _slice_at(line: str) -> Callable[[str], str]:
    def at(place: str) -> str:
        first, _, last = place.partition("-")
        return line[int(first) - 1 : int(last)].strip()
    return at


def _nothing_after(ended: int, line: int) -> None:
    if ended:
        raise Rejected(f"line {line} comes after the trailer in line {ended}: two files were joined, or it is no "
                       "trailer")


def _xml_rows(pieces: Iterator[str], file_map: FileMap) -> Iterator[Row | _End]:
    trailer = file_map.trailer
    for each in xml_rows(pieces, file_map.row, trailer.at if trailer is not None else ""):
        if not each.is_trailer:
            yield Row(f"line {each.line}", each.at)
        elif trailer is not None and (said := Row("", each.at).text(trailer.count)):
            yield _End(said)
