"""One row element after the other from an XML document of any size, whatever its namespaces.

Hostile documents are refused: no document type, so no entities; depth, size of a row and of a tag are bounded.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from xml.parsers import expat

from edge.errors import Rejected
from edge.limits import FILE_LINE_CHARACTERS_MAX, XML_DEPTH_MAX, XML_OUTSIDE_MAX, XML_ROW_FIELDS_MAX, XML_TAG_BYTES_MAX


@dataclass(slots=True)
class XmlRow:
    """A row, or the element that says how many there are. `fields`: text by path below it; `outside`: by path from the
    root, of what stands before it."""

    line: int
    outside: dict[str, str]
    is_trailer: bool = False
    fields: dict[str, str] = field(default_factory=dict)

    def at(self, place: str) -> str:
        """What stands at a path; the first of elements of one name."""
        return self.outside.get(place[1:], "") if place.startswith("/") else self.fields.get(place, "")


def xml_rows(pieces: Iterator[str], row: str, trailer: str) -> Iterator[XmlRow]:
    """Every element called `row`, complete, and every one called `trailer`. Raises `Rejected` with line and column."""
    reading = _Reading(row, trailer)
    for piece in pieces:
        yield from reading.feed(piece, final=False)
    yield from reading.feed("", final=True)


class _Reading:
    def __init__(self, row: str, trailer: str) -> None:
        self._names = (row, trailer)
        self._row: XmlRow | None = None
        self._row_depth = 0
        self._path: list[str] = []
        self._text: list[str] = []
        self._characters = self._given_bytes = 0
        self._outside: dict[str, str] = {}
        self._done: list[XmlRow] = []
        self._parser = expat.ParserCreate(namespace_separator="}")
        self._parser.buffer_text = True
        self._parser.StartDoctypeDeclHandler = self._doctype
        self._parser.StartElementHandler = self._begins
        self._parser.EndElementHandler = self._ends
        self._parser.CharacterDataHandler = self._says

    def feed(self, piece: str, *, final: bool) -> Iterator[XmlRow]:
        """What is complete with this piece."""
        self._given_bytes += len(piece.encode())
        try:
            self._parser.Parse(piece, final)  # as text: what the document says of its encoding was looked at before
        except expat.ExpatError as error:
            why = expat.ErrorString(error.code)
            raise Rejected(f"not XML at line {error.lineno}, column {error.offset}: {why}") from error
        if self._given_bytes - max(self._parser.CurrentByteIndex, 0) > XML_TAG_BYTES_MAX and not final:
            self._refuse(f"a tag is longer than {XML_TAG_BYTES_MAX} bytes")
        done, self._done = self._done, []
        yield from done

    def _doctype(self, *_: object) -> None:
        self._refuse("a document type: entities are not taken; write the file without it")

    def _begins(self, tag: str, attributes: dict[str, str]) -> None:
        name = tag.rpartition("}")[2]
        self._path.append(name)
        self._text, self._characters = [], self._characters if self._row else 0
        if len(self._path) > XML_DEPTH_MAX:
            self._refuse(f"elements nest deeper than {XML_DEPTH_MAX}")
        if self._row is None and name == self._names[0]:
            self._row, self._row_depth = XmlRow(self._parser.CurrentLineNumber, self._outside), len(self._path)
        for key, value in attributes.items():
            self._note([*self._path, f"@{key.rpartition('}')[2]}"], value)

    def _says(self, text: str) -> None:
        self._characters += len(text)
        if self._characters > FILE_LINE_CHARACTERS_MAX:
            self._refuse(f"more than {FILE_LINE_CHARACTERS_MAX} characters in one row")
        self._text.append(text)

    def _ends(self, _tag: str) -> None:
        self._note(self._path, "".join(self._text))
        self._text, self._characters = [], self._characters if self._row else 0
        if self._row is not None and len(self._path) == self._row_depth:
            self._done.append(self._row)
            self._row = None
        elif self._row is None and self._path[-1] == self._names[1]:
            self._done.append(self._trailer("/".join(self._path)))
        self._path.pop()

    def _trailer(self, itself: str) -> XmlRow:
        """What stands in and below it; its own text is `.`."""
        below = {path.removeprefix(f"{itself}/"): text for path, text in self._outside.items()
                 if path.startswith(f"{itself}/")}
        own = {".": self._outside.get(itself, "")}
        return XmlRow(self._parser.CurrentLineNumber, self._outside, True, {**below, **own})

    def _refuse(self, why: str) -> None:
        raise Rejected(f"line {self._parser.CurrentLineNumber}: {why}")

    def _note(self, path: list[str], text: str) -> None:
        if not (text := text.strip()):
            return
        fields, below, most = (self._outside, path, XML_OUTSIDE_MAX) if self._row is None else (
            self._row.fields, path[self._row_depth :], XML_ROW_FIELDS_MAX)
        if len(fields) >= most:
            self._refuse(f"more than {most} fields in one row, or outside of rows")
        fields.setdefault("/".join(below), text)
