"""One `Transaction` element after the other from a POSLog document of any size, whatever its namespaces.

Hostile documents are refused: no document type, so no entities; depth and size of a transaction are bounded.
"""

from collections.abc import AsyncIterator, Iterator
from xml.etree.ElementTree import Element, ParseError, XMLPullParser

from edge.errors import Rejected
from edge.limits import POSLOG_DEPTH_MAX, POSLOG_ELEMENTS_MAX

TRANSACTION = "Transaction"
_FORBIDDEN = (b"<!DOCTYPE", b"<!ENTITY")
_OVERLAP = 32


async def transactions(chunks: AsyncIterator[bytes]) -> AsyncIterator[Element]:
    """Every transaction, complete; what was given before is forgotten. Raises `Rejected` with line and column."""
    parser = _Parser()
    async for chunk in chunks:
        for element in parser.feed(chunk):
            yield element
    parser.close()


class _Parser:
    """Fed with bytes; gives transactions and forgets them."""

    def __init__(self) -> None:
        self._parser: XMLPullParser[Element] = XMLPullParser(("start", "end"))
        self._root: Element | None = None
        self._depth = self._elements = 0
        self._tail = b""

    def feed(self, chunk: bytes) -> Iterator[Element]:
        """Every transaction that these bytes complete. Raises `Rejected`."""
        seen = self._tail + chunk
        if any(word in seen.replace(b"\0", b"").upper() for word in _FORBIDDEN):  # in UTF-16 too
            raise Rejected("a POSLog has no document type and no entities")
        self._tail = seen[-_OVERLAP:]
        try:
            self._parser.feed(chunk)
            yield from self._completed()
        except ParseError as error:
            line, column = error.position
            raise Rejected(f"not XML at line {line}, column {column}: {error}") from error

    def close(self) -> None:
        """Raises `Rejected` for a document that is not whole."""
        try:
            self._parser.close()
        except ParseError as error:
            raise Rejected(f"the document ends too early: {error}") from error

    def _completed(self) -> Iterator[Element]:
        events: Iterator[tuple[str, Element]] = self._parser.read_events()  # type: ignore[assignment]  # nothing else
        for event, element in events:
            if event == "start":
                self._begins(element)
                continue
            self._depth -= 1
            if self._depth == 1 and local_name(element.tag) == TRANSACTION:
                yield element
                assert self._root is not None
                self._root.clear()
                self._elements = 0

    def _begins(self, element: Element) -> None:
        self._depth, self._elements = self._depth + 1, self._elements + 1
        self._root = element if self._root is None else self._root
        if self._depth > POSLOG_DEPTH_MAX or self._elements > POSLOG_ELEMENTS_MAX:
            raise Rejected(f"a transaction has more than {POSLOG_ELEMENTS_MAX} elements, or nests deeper than "
                           f"{POSLOG_DEPTH_MAX}")


def local_name(tag: object) -> str:
    """A tag without its namespace; a comment has none."""
    return tag.rpartition("}")[2] if isinstance(tag, str) else ""
