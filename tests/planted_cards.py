"""Card numbers that a test plants, and the search for them, and for any other, over everything a store has on its disk.

The search shares no code with what masks them.
"""

import base64
import binascii
import re
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path

from edge.db.books import derive_key
from edge.db.connection import connect

BEGINNINGS = {"4": 16, "51": 16, "37": 15, "6011": 16, "3530": 16, "2221": 16, "402": 19}
"""Of Visa, Mastercard, American Express, Discover, JCB, Mastercard again, and Visa of nineteen digits; and how long
their numbers are."""

_DIGITS = re.compile(r"(?<![0-9])[0-9]{13,19}(?![0-9])")
_BASE64 = re.compile(rb"[A-Za-z0-9+/\r\n]{20,}={0,2}")


class Cards:
    """Mints card numbers, another one for each door, so that one that survives names the door it came in by."""

    def __init__(self) -> None:
        self.doors: dict[str, str] = {}

    def by(self, door: str) -> str:
        """A number with a right Luhn digit that nobody has."""
        count = len(self.doors)
        beginning, length = list(BEGINNINGS.items())[count % len(BEGINNINGS)]
        body = f"{beginning}{7_000_001 + count * 97}".ljust(length - 1, "8")
        number = next(f"{body}{digit}" for digit in range(10) if luhn(f"{body}{digit}"))
        self.doors[number] = door
        return number

    def survivors(self, things: Iterable[tuple[str, bytes]]) -> list[str]:
        """Where a planted number still stands: whole, parted by spaces or dashes, in UTF-16, or in base64."""
        found = []
        for place, data in things:
            for form in _forms(data):
                found += [f"{place}: {door}" for number, door in self.doors.items() if number.encode() in form]
        return found


def luhn(digits: str) -> bool:
    """ISO/IEC 7812-1 annex B."""
    total = 0
    for place, digit in enumerate(reversed(digits)):
        value = int(digit) * (1 + place % 2)
        total += value // 10 + value % 10
    return total % 10 == 0


def parted(number: str, by: str = " ") -> str:
    """As it stands on a card."""
    places = (4, 10, 15) if len(number) == 15 else (4, 8, 12, 16, 19)
    return by.join(number[begin:end] for begin, end in zip((0, *places), places, strict=False) if number[begin:end])


def everything(directory: Path, database_secret: str) -> Iterator[tuple[str, bytes]]:
    """Every file below, byte for byte, its path too; and every value of every row of the databases, unlocked."""
    for path in sorted(directory.rglob("*")):
        place = str(path.relative_to(directory))
        yield f"the name of {place}", place.encode()
        if path.is_file():
            yield place, path.read_bytes()
            if path.suffix == ".db":
                yield from _cells(path, database_secret)


def card_like(text: str) -> list[str]:
    """Numbers that a card could have: thirteen to nineteen digits, a scheme's beginning, a right Luhn digit; bar codes
    are none."""
    return [number for number in _DIGITS.findall(text) if number[0] in "23456" and luhn(number) and not _is_gtin(number)
            and re.match(r"4|5[0-9]|2[2-7]|3[0-9]|6", number)]


def _cells(path: Path, database_secret: str) -> Iterator[tuple[str, bytes]]:
    connection = connect(path, derive_key(database_secret, path.name), synchronous="NORMAL", read_only=True)
    try:
        tables = [name for (name,) in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")]
        assert tables, f"{path} holds nothing"
        for table in tables:
            rows = connection.execute(f'SELECT * FROM "{table}"')
            names = [column[0] for column in rows.description]
            for row in rows:
                for name, value in zip(names, row, strict=True):
                    if value is not None:
                        yield (f"{path.name} {table}.{name}",
                               value if isinstance(value, bytes) else str(value).encode())
    finally:
        connection.close()


def _forms(data: bytes) -> Iterator[bytes]:
    yield data
    yield re.sub(rb"[ \-.]", b"", data)
    if b"\0" in data:
        yield data.replace(b"\0", b"")
    for found in _BASE64.findall(data):
        packed = b"".join(found.split()).rstrip(b"=")
        try:
            plain = base64.b64decode(packed[:len(packed) // 4 * 4])
            yield plain
            yield zlib.decompress(plain, zlib.MAX_WBITS | 32)
        except (binascii.Error, zlib.error):
            continue


def _is_gtin(number: str) -> bool:
    weighted = sum(int(digit) * (1 + place % 2 * 2) for place, digit in enumerate(reversed(number)))
    return len(number) in (13, 14) and weighted % 10 == 0
