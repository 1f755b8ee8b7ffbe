"""Putting away the files that a hot folder has read: masked where they hold card data, so that none lies in `done/` or
`bad/` and a person can still mend a bad one (DESIGN.md section 8)."""

import base64
import binascii
import os
import re
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from edge.domain.card_data import has_card, masked

PIECE_BYTES = 256 * 1024
"""Looked at at once: tills are answered in between."""
CUT_BYTES_MAX = 64 * 1024
"""So much of a piece waits for the next one, so that nothing is cut in the middle."""
UNPACKED_BYTES_MAX = 4 * 1024 * 1024
"""Of a packed receipt inside of a file; one that is larger is masked unread."""
UNFINISHED_NAME = ".masking.part"

_CUTS = re.compile(rb"[\n<>\",;|]")
_BASE64 = re.compile(r"[A-Za-z0-9+/](?:[A-Za-z0-9+/]|\r?\n){22,}={0,2}")


def put_away(path: Path, target: Path) -> None:
    """Move a file. One with card data is written anew without it, as long as it was, before the original goes; a stop
    in between leaves the original where it was. Raises `OSError`."""
    with _opened(path) as source:
        clean = all(masked_bytes(piece) == piece for piece in _pieces(source))
    if clean:
        path.replace(target)
        return
    unfinished = target.parent / UNFINISHED_NAME
    with _opened(path) as source, unfinished.open("wb") as sink:
        for piece in _pieces(source):
            sink.write(masked_bytes(piece))
        sink.flush()
        os.fsync(sink.fileno())
    unfinished.replace(target)
    path.unlink()


def masked_bytes(data: bytes) -> bytes:
    """A piece of a file without card data: in any encoding whose digits are those of ASCII, in UTF-16, and in base64,
    packed or not. As long as it was."""
    text = _BASE64.sub(_unpacked, masked(data.decode("latin-1")))
    if "\0" in text:
        lanes = [masked(text[0::2]), masked(text[1::2])]
        letters = [""] * len(text)
        letters[0::2], letters[1::2] = lanes
        text = "".join(letters)
    return text.encode("latin-1")


def _unpacked(found: re.Match[str]) -> str:
    """Base64 that holds card data says nothing any more."""
    text = found[0]
    packed = "".join(text.split()).rstrip("=")
    try:
        data = base64.b64decode(packed[:len(packed) // 4 * 4])
        if data[:2] == b"\x1f\x8b":
            data = zlib.decompressobj(zlib.MAX_WBITS | 16).decompress(data, UNPACKED_BYTES_MAX)
    except (binascii.Error, zlib.error):
        return text
    if len(data) < UNPACKED_BYTES_MAX and not has_card(data.decode("latin-1")):
        return text
    return re.sub(r"[A-Za-z0-9+/]", "A", text)


def _pieces(source: BinaryIO) -> Iterator[bytes]:
    """The file in pieces that end where no number, track or word can go on, as far as it has such places."""
    held = b""
    while read := source.read(PIECE_BYTES):
        held += read
        begin = max(0, len(held) - CUT_BYTES_MAX)
        cuts = [found.end() for found in _CUTS.finditer(held, begin)]
        cut = cuts[-1] if cuts else len(held)
        yield held[:cut]
        held = held[cut:]
    if held:
        yield held


def _opened(path: Path) -> BinaryIO:
    """A link is not followed."""
    return os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW), "rb")
