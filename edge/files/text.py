"""Bytes → text and lines, in an encoding that is checked: what a file says of itself must agree with its map."""

import codecs
import io
import re
from collections.abc import Iterator
from typing import BinaryIO

from edge.errors import Rejected
from edge.limits import FILE_CHUNK_BYTES, FILE_LINE_CHARACTERS_MAX

_ARCHIVES = {b"\x1f\x8b": "gzip", b"PK\x03\x04": "zip", b"7z\xbc\xaf": "7-Zip", b"%PDF": "PDF"}
_BOMS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))
_DECLARED = re.compile(rb"""^\s*<\?xml[^>]{0,200}?encoding\s*=\s*["']([A-Za-z0-9._-]{1,40})["']""")


def text_of(file: BinaryIO, encodings: tuple[str, ...]) -> Iterator[str]:
    """The file's text in pieces, from its beginning, with `\\n` as the end of a line. Raises `Rejected`."""
    file.seek(0)
    chunk = file.read(FILE_CHUNK_BYTES)
    encoding = _encoding(chunk, encodings)
    decode = codecs.getincrementaldecoder("utf-8-sig" if encoding == "utf-8" else encoding)("strict")
    lines = io.IncrementalNewlineDecoder(decode, translate=True)
    line = 1
    while chunk:
        text = _decoded(lines, chunk, encoding, line)
        if "\0" in text:
            place = line + text[: text.index("\0")].count("\n")
            raise Rejected(f"line {place} holds a NUL character: the file is damaged, or in another encoding than "
                           f"{encoding}; write it anew")
        line += text.count("\n")
        yield text
        chunk = file.read(FILE_CHUNK_BYTES)
    yield _decoded(lines, b"", encoding, line)


def lines_of(pieces: Iterator[str]) -> Iterator[str]:
    """Lines with their end. Raises `Rejected` for one that is longer than anybody's."""
    rest, number = "", 0
    for piece in pieces:
        *whole, rest = (rest + piece).split("\n")
        for line in whole:
            number += 1
            yield line + "\n"
        if len(rest) > FILE_LINE_CHARACTERS_MAX:
            raise Rejected(f"line {number + 1} is longer than {FILE_LINE_CHARACTERS_MAX} characters: is it the right "
                           "map?")
    if rest:
        yield rest


def _encoding(head: bytes, encodings: tuple[str, ...]) -> str:
    for magic, what in _ARCHIVES.items():
        if head.startswith(magic):
            raise Rejected(f"it is a {what} file: unpack it and put in what is inside")
    said = next((name for bom, name in _BOMS if head.startswith(bom)), "")
    if not said and (declared := _DECLARED.match(head)):
        said = declared[1].decode()
    if not said:
        return encodings[0]
    found = next((each for each in encodings if _same(each, said)), None)
    if found is None:
        raise Rejected(f"it says of itself that it is {said}, its map takes {' or '.join(encodings)}: write it so, or "
                       "add the encoding to the map")
    return found


def _same(one: str, other: str) -> bool:
    try:
        return codecs.lookup(one).name == codecs.lookup(other).name
    except LookupError:
        return False


def _decoded(lines: io.IncrementalNewlineDecoder, chunk: bytes, encoding: str, line: int) -> str:
    try:
        return str(lines.decode(chunk, final=not chunk))
    except UnicodeDecodeError as error:
        before = error.object[: error.start].decode(encoding, "ignore")
        place = line + before.replace("\r\n", "\n").replace("\r", "\n").count("\n")
        if not chunk:
            raise Rejected(f"it ends in the middle of a character in line {place}: it was cut off") from error
        raise Rejected(f"line {place} is not {encoding}: byte 0x{error.object[error.start]:02x}; write the file as "
                       f"{encoding}, or name its encoding in the map") from error
    except UnicodeError as error:  # UTF-16 that ends or begins in the middle
        raise Rejected(f"it is not {encoding}: {error}") from error
