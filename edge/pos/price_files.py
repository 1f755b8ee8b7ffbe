"""A price list from a file: all of it or nothing, into the local price book that has the folder's name."""

import asyncio
import re
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import islice

from cloud_sync.contract.documents import Price
from edge.domain.barcode import check_digit_holds
from edge.domain.local_book import PRIORITY, entry_id
from edge.domain.money import currency_exponent
from edge.errors import Rejected
from edge.files.file_map import FileMap
from edge.files.price_rows import PriceRow, read_price
from edge.files.rows import BadRow, Row, read_rows
from edge.files.values import whole as whole_units
from edge.limits import AMOUNT_MINOR_MAX, FILE_ROWS_AT_ONCE, HOT_FOLDER_PROBLEMS_MAX, LOCAL_PRICE_ROWS_MAX
from edge.pos.hot_folder import HotFile, Taken
from edge.prices.local_prices import LocalPrices, PriceList, Took
from edge.prices.price_desk import PriceDesk
from edge.store import Store

_SHORT_GTIN = re.compile(r"[1-9]\d{8,12}", re.ASCII)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


async def row_slices(file: HotFile, file_map: FileMap) -> AsyncIterator[list[Row]]:
    """The rows, so many at a time, read aside. Raises `Rejected` as `read_rows` does."""
    rows = read_rows(file.file, file_map)
    while part := await file.aside(partial(_some, rows)):
        yield part


def _some(rows: Iterator[Row]) -> list[Row]:
    return list(islice(rows, FILE_ROWS_AT_ONCE))


class PriceFiles:
    """Takes the price lists of one folder."""

    mend = "Nothing of it is in force. Mend it and put it into inbox again."
    only_newest_repeats = True

    def __init__(self, store: Store, prices: PriceDesk, local: LocalPrices, book: str, file_map: FileMap) -> None:
        self._store = store
        self._prices = prices
        self._local = local
        self._book = book
        self._map = file_map

    async def take(self, file: HotFile) -> Taken:
        """See `edge.pos.hot_folder.FileTaker`."""
        reading = _Reading(self._store, self._prices, self._book, self._map, whole=self._map.is_full(file.name))
        async for part in row_slices(file, self._map):
            for row in part:
                reading.add(row)
            if len(reading.problems) > HOT_FOLDER_PROBLEMS_MAX:
                break  # it is hopeless, and says so often enough
            await asyncio.sleep(0)
        if reading.problems:
            return Taken(reading.problems)
        took = await self._local.take(self._book, reading.said)
        return Taken(report=[*_summary(reading, took), *reading.notes], waits=bool(took.held))


class _Reading:
    """A file as far as it was read: what it says, what is wrong with it, and what was left out."""

    def __init__(self, store: Store, prices: PriceDesk, book: str, file_map: FileMap, *, whole: bool) -> None:
        self._identity = store.identity
        self._now_ms = store.clock.wall_ms() if store.clock.trusted else 0
        self._prices = prices
        self._book = book
        self._map = file_map
        self.said = PriceList(whole)
        self.problems: list[str] = []
        self.notes: list[str] = []
        self.rows = 0

    def add(self, row: Row) -> None:
        """Raises `Rejected` for more rows than a list has."""
        self.rows += 1
        if self.rows > LOCAL_PRICE_ROWS_MAX:
            raise Rejected(f"it has more than {LOCAL_PRICE_ROWS_MAX} rows")
        try:
            self._add(read_price(row, self._map))
        except BadRow as problem:
            self.problems.append(f"{row.where}: {problem}")

    def _add(self, row: PriceRow) -> None:
        sku = self._sku_of(row.code)
        if not sku:
            self._left_out(row, "no product has this code")
        elif row.price is None:
            self._take_out(row, sku)
        elif row.price <= 0:
            self.said.unusable.add(sku)
            self._left_out(row, f"{row.price} is no price; what was in force stays")
        else:
            price = self._price_of(row, sku)
            if price.valid_until_ms is not None and price.valid_until_ms <= self._now_ms:
                self._left_out(row, "its price is over already")
            else:
                self._put(row, sku, price)

    def _take_out(self, row: PriceRow, sku: str) -> None:
        """A row with dates names one price, one without all of its product's."""
        if row.valid_from is None and row.valid_until is None:
            self.said.goes[sku] = set()
        elif self.said.goes.get(sku, {""}):
            self.said.goes.setdefault(sku, set()).add(self._id(sku, *self._span_ms(row)))

    def _id(self, sku: str, from_ms: int, until_ms: int | None) -> str:
        return entry_id(self._book, Price(sku, 0, "", valid_from_ms=from_ms, valid_until_ms=until_ms))

    def _put(self, row: PriceRow, sku: str, price: Price) -> None:
        entries, key = self.said.rows.setdefault(sku, {}), entry_id(self._book, price)
        other = entries.get(key)
        if other is not None and other.price_minor != price.price_minor:
            self._left_out(row, f"{sku} has another price in this file; the lowest counts")
        if other is None or price.price_minor < other.price_minor:
            entries[key] = price

    def _left_out(self, row: PriceRow, why: str) -> None:
        self.notes.append(f"{row.where}: left out {row.code[:40]!r}: {why}")

    def _price_of(self, row: PriceRow, sku: str) -> Price:
        """The price list entry of a row that has a price. Raises `BadRow`."""
        assert row.price is not None
        currency = self._identity.currency
        if row.currency and row.currency != currency:
            raise BadRow(f"the currency is {row.currency[:10]!r}, the store's is {currency}")
        price_minor = whole_units(row.price, currency_exponent(currency), "price")
        if price_minor > AMOUNT_MINOR_MAX:
            raise BadRow(f"the price {row.price} is beyond all measure")
        from_ms, until_ms = self._span_ms(row)
        return Price(sku, price_minor, currency, priority=PRIORITY, valid_from_ms=from_ms, valid_until_ms=until_ms)

    def _span_ms(self, row: PriceRow) -> tuple[int, int | None]:
        """From when until when, by the store's own time where the file names no zone. Raises `BadRow`."""
        from_ms = self._milliseconds(row.valid_from) if row.valid_from else 0
        until_ms = self._milliseconds(row.valid_until) if row.valid_until else None
        if until_ms is not None and until_ms <= from_ms:
            raise BadRow("its price ends before it begins")
        return from_ms, until_ms

    def _milliseconds(self, moment: datetime) -> int:
        aware = moment if moment.tzinfo else moment.replace(tzinfo=self._identity.time_zone)
        return max(0, (aware - _EPOCH) // timedelta(milliseconds=1))

    def _sku_of(self, code: str) -> str:
        """Empty for a code that the catalogue does not know. Zeros that a spreadsheet or a statutory list left off a
        GTIN are put back."""
        found = self._prices.sku_of(code)
        if not found and _SHORT_GTIN.fullmatch(code) and check_digit_holds(code.zfill(14)):
            found = self._prices.sku_of(code.zfill(14))
        return found


def _summary(reading: _Reading, took: Took) -> list[str]:
    kind = "Whole price list" if reading.said.whole else "Changes"
    lines = [f"{kind} of {reading.rows} rows: {took.put} prices put in force, {took.gone} taken out, "
             f"{len(reading.notes)} rows left out; all others are as before."]
    if took.held:
        lines.append(f"{took.held} prices wait for a supervisor on the page of held prices: {took.reason}.")
    return lines
