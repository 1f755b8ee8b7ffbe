"""A row of a sales file: one line of a transaction."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import Enum

from edge.files.file_map import FileMap
from edge.files.rows import BadRow, Row
from edge.files.values import moment, number

TEXT_MAX = 64
_SEQUENCE_DIGITS = 10


class RowKind(Enum):
    """What the row's action says."""

    SALE = "sale"
    RETURN = "return"
    VOID = "void"


@dataclass(frozen=True, slots=True)
class SaleKey:
    """Whose line it is; the business day as ISO 8601."""

    till: str
    business_day: str
    sequence: int

    def __str__(self) -> str:
        return f"{self.till}/{self.business_day}/{self.sequence}"


@dataclass(frozen=True, slots=True)
class SaleRow:
    """A line, or, of kind `VOID`, a transaction that takes back the one of sequence `voids`."""

    where: str
    kind: RowKind
    occurred_at: datetime
    code: str
    quantity: Decimal
    amount: Decimal
    unit_price: Decimal | None
    currency: str
    operator: str
    voids: int | None


def read_key(row: Row, file_map: FileMap) -> SaleKey:
    """Raises `BadRow`."""
    columns = file_map.sales
    assert columns is not None
    till = row.text(columns.till)
    if not till or len(till) > TEXT_MAX:
        raise BadRow("there is no till" if not till else f"the till {till[:40]!r}... is too long")
    day = moment(row.text(columns.business_day), "business day", file_map).date()
    return SaleKey(till, day.isoformat(), _sequence(row.text(columns.sequence), "sequence"))


def read_sale(row: Row, file_map: FileMap) -> SaleRow:
    """Raises `BadRow`."""
    columns = file_map.sales
    assert columns is not None
    action = row.text(columns.action)
    kind = RowKind.VOID if action in file_map.voids else RowKind.RETURN if action in file_map.returns else RowKind.SALE
    occurred_at = moment(row.text(columns.occurred_at), "time", file_map)
    if kind is RowKind.VOID:
        return SaleRow(row.where, kind, occurred_at, "", Decimal(0), Decimal(0), None, row.text(columns.currency),
                       row.text(columns.operator), _sequence(row.text(columns.voids), "voided sequence"))
    unit = row.text(columns.unit_price)
    code = row.text(columns.code)
    if len(code) > TEXT_MAX:
        raise BadRow(f"the code {code[:40]!r}... is too long")
    return SaleRow(row.where, kind, occurred_at, code,
                   number(row.text(columns.quantity), "quantity", file_map, file_map.quantity_decimals),
                   number(row.text(columns.amount), "amount", file_map, file_map.price_decimals),
                   number(unit, "unit price", file_map, file_map.price_decimals) if unit else None,
                   row.text(columns.currency), row.text(columns.operator), None)


def _sequence(text: str, what: str) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) <= _SEQUENCE_DIGITS):
        raise BadRow(f"the {what} {text[:40]!r} is no number of up to ten digits" if text else f"there is no {what}")
    return int(text)
