"""Text → numbers and times, as a map says that they are written. What is written otherwise is a `BadRow`, no guess."""

import re
from datetime import datetime, timedelta
from decimal import Decimal

from edge.files.file_map import FileMap
from edge.files.rows import BadRow

_NUMBERS = {(decimal, grouping): re.compile(
    rf"[+-]?(?:\d+|\d{{1,3}}(?:{re.escape(grouping)}\d{{3}})+)(?:{re.escape(decimal)}\d*)?" if grouping else
    rf"[+-]?\d+(?:{re.escape(decimal)}\d*)?", re.ASCII) for decimal in ".," for grouping in ("", ".", ",", " ", "'")}
_DIGITS = re.compile(r"[+-]?\d+", re.ASCII)
_DIGITS_MAX = 18
_DAY_CHARACTERS = 10
_HOURS = ("%H", "%I", "%X", "%c")
YEARS = range(1971, 2201)
"""Anything else is a mistake, and no time zone's arithmetic ends in between."""


def number(text: str, what: str, file_map: FileMap, decimals: int | None) -> Decimal:
    """`decimals`: how many digits are behind a decimal sign that is not written. Raises `BadRow`."""
    compact = text.replace("\N{NO-BREAK SPACE}", " ").strip()
    pattern = _NUMBERS[file_map.decimal, file_map.grouping] if decimals is None else _DIGITS
    if not pattern.fullmatch(compact) or len(compact) > 2 * _DIGITS_MAX:
        how = f"with {file_map.decimal!r} as its decimal sign" if decimals is None else "of digits only"
        raise BadRow(f"the {what} {text[:40]!r} is no number {how}" if text else f"there is no {what}")
    plain = compact.replace(file_map.grouping, "") if file_map.grouping else compact
    value = Decimal(plain.replace(",", "."))
    if value.adjusted() >= _DIGITS_MAX:
        raise BadRow(f"the {what} {text[:40]!r} is beyond all measure")
    return value.scaleb(-decimals) if decimals else value


def whole(value: Decimal, exponent: int, what: str) -> int:
    """In units of 10**-exponent. Raises `BadRow` for more decimals."""
    scaled = value.scaleb(exponent)
    if scaled != scaled.to_integral_value():
        raise BadRow(f"the {what} {value} has more than {exponent} decimals")
    return int(scaled)


def moment(text: str, what: str, file_map: FileMap) -> datetime:
    """A time, naive where the file names no zone; a day alone is its midnight. Raises `BadRow`."""
    return _read(text, what, file_map)[0]


def end_of(text: str, what: str, file_map: FileMap) -> datetime:
    """The end of a time that is said by its last day, or by a moment. Raises `BadRow`."""
    at, by_day = _read(text, what, file_map)
    return at + timedelta(days=1) if by_day else at


def _read(text: str, what: str, file_map: FileMap) -> tuple[datetime, bool]:
    """The time, and whether it is a day alone."""
    if not text:
        raise BadRow(f"there is no {what}")
    for pattern in file_map.dates or ("",):
        try:
            at = datetime.strptime(text, pattern) if pattern else datetime.fromisoformat(text)
        except ValueError:
            continue
        if at.year not in YEARS:
            raise BadRow(f"the {what} {text[:40]!r} is not of our time")
        return at, len(text) <= _DAY_CHARACTERS if not pattern else not any(each in pattern for each in _HOURS)
    raise BadRow(f"the {what} {text[:40]!r} is no time written as {' or '.join(file_map.dates) or 'ISO 8601'}")
