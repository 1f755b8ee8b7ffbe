"""A row of a price list."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from edge.domain.barcode import CODE_LENGTH_MAX
from edge.files.file_map import FileMap
from edge.files.rows import BadRow, Row
from edge.files.values import end_of, moment, number


@dataclass(frozen=True, slots=True)
class PriceRow:
    """`price` is `None` where the price is to go. `currency` may be empty; times are naive where no zone is named."""

    where: str
    code: str
    price: Decimal | None
    currency: str
    valid_from: datetime | None
    valid_until: datetime | None


def read_price(row: Row, file_map: FileMap) -> PriceRow:
    """Raises `BadRow`."""
    columns = file_map.prices
    assert columns is not None
    code = row.text(columns.code)
    if not code or len(code) > CODE_LENGTH_MAX:
        raise BadRow("there is no code" if not code else f"the code {code[:40]!r}... is too long")
    goes = row.text(columns.action) in file_map.deletes if columns.action else False
    begins, ends = row.text(columns.valid_from), row.text(columns.valid_until)
    valid_from = moment(begins, "beginning", file_map) if begins else None
    valid_until = end_of(ends, "end", file_map) if ends else None
    if goes:
        return PriceRow(row.where, code, None, "", valid_from, valid_until)
    price = number(row.text(columns.price), "price", file_map, file_map.price_decimals)
    return PriceRow(row.where, code, price, row.text(columns.currency), valid_from, valid_until)
