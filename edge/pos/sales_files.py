"""Sales from a file: read to its end once, then recorded transaction by transaction like any till's.

A transaction that cannot be read harms no other; its file goes to `bad/`. What was recorded is a repeat when the mended
file comes, so that nothing counts twice.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import msgspec

from cloud_sync.contract.facts import LineKind, TransactionKind
from edge.db.ledger import Outcome
from edge.domain.money import UnknownCurrency, currency_exponent
from edge.errors import Rejected
from edge.files.file_map import FileMap
from edge.files.rows import BadRow, Row
from edge.files.sale_rows import RowKind, SaleKey, SaleRow, read_key, read_sale
from edge.files.values import whole
from edge.limits import SALES_FILE_TRANSACTIONS_MAX, TRANSACTION_LINES_MAX
from edge.pos.hot_folder import HotFile, Taken
from edge.pos.logged_sales import is_card, within_bounds
from edge.pos.price_files import row_slices
from edge.pos.transactions import LineIn, TillDay, TransactionDesk, TransactionIn
from edge.store import Store


@dataclass(slots=True)
class _Group:
    """Rows that follow one another and are of one transaction; `broken`: why it cannot be recorded."""

    key: SaleKey | None
    where: str
    rows: list[SaleRow] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)

    def add(self, row: Row, file_map: FileMap) -> None:
        try:
            if len(self.rows) < TRANSACTION_LINES_MAX + 1:
                self.rows.append(read_sale(row, file_map))
        except BadRow as problem:
            self.broken.append(f"{row.where}: {problem}")


class SalesFiles:
    """Takes the sales files of one folder."""

    mend = ("What it holds beside the following was recorded, or nothing where the file itself is wrong; mend it and "
            "put the whole file into inbox again, nothing counts twice.")
    only_newest_repeats = False

    def __init__(self, store: Store, desk: TransactionDesk, file_map: FileMap) -> None:
        self._store = store
        self._desk = desk
        self._map = file_map

    async def take(self, file: HotFile) -> Taken:
        """See `edge.pos.hot_folder.FileTaker`."""
        problems, count = list[str](), 0
        begun: dict[SaleKey, str] = {}
        broken: set[SaleKey | None] = {None}
        async for group in self._groups(file):  # to the end, before anything is believed
            count += 1
            if count > SALES_FILE_TRANSACTIONS_MAX:
                raise Rejected(f"it has more than {SALES_FILE_TRANSACTIONS_MAX} transactions: split it")
            if found := self._problems_of(group, begun):
                broken.add(group.key)
                problems += found
        outcomes = Counter[Outcome]()
        async for group in self._groups(file):
            if group.key is not None and group.key not in broken:
                try:
                    outcomes[await self._record(group.key, self._sale(group))] += 1
                except Rejected as problem:
                    problems.append(f"{group.where}: transaction {group.key} was not recorded: {problem}")
        report = [f"{outcomes[Outcome.NEW]} transactions recorded, {outcomes[Outcome.REPEATED]} known before."]
        if outcomes[Outcome.CONFLICT]:
            report.append(f"{outcomes[Outcome.CONFLICT]} known before with another meaning: see the exceptions.")
        return Taken(problems, report)

    def _problems_of(self, group: _Group, begun: dict[SaleKey, str]) -> list[str]:
        """Why nothing of the transaction can be recorded; empty when it can."""
        if group.key is None:
            return group.broken
        if group.key in begun:
            return [f"{group.where}: transaction {group.key} began at {begun[group.key]} already: its rows must "
                    "follow one another; none of them was recorded"]
        begun[group.key] = group.where
        if group.broken:
            return [f"{problem}; transaction {group.key} was not recorded" for problem in group.broken]
        try:
            self._sale(group)
        except (BadRow, Rejected, msgspec.ValidationError) as problem:
            return [f"{group.where}: transaction {group.key} was not recorded: {problem}"]
        return []

    async def _groups(self, file: HotFile) -> AsyncIterator[_Group]:
        group: _Group | None = None
        async for part in row_slices(file, self._map):
            for row in part:
                try:
                    key = read_key(row, self._map)
                except BadRow as problem:
                    if group is not None:
                        yield group
                    yield _Group(None, row.where, broken=[f"{row.where}: {problem}; the row was not recorded"])
                    group = None
                    continue
                if group is None or group.key != key:
                    if group is not None:
                        yield group
                    group = _Group(key, row.where)
                group.add(row, self._map)
            await asyncio.sleep(0)
        if group is not None:
            yield group

    def _sale(self, group: _Group) -> TransactionIn:
        """Raises `BadRow`, `Rejected`, `msgspec.ValidationError`."""
        assert group.key is not None
        first = group.rows[0]
        currency = first.currency or self._store.identity.currency
        try:
            exponent = currency_exponent(currency)
        except UnknownCurrency as error:
            raise BadRow(str(error)) from error
        if any((row.currency or currency) != currency for row in group.rows):
            raise BadRow("its lines are of more than one currency")
        operator = "" if is_card(first.operator) else first.operator[:64]
        if any(row.kind is RowKind.VOID for row in group.rows):
            if len(group.rows) > 1:
                raise BadRow("what takes a transaction back is one row alone")
            sale = TransactionIn(TransactionKind.VOID, currency, 0, first.occurred_at, [], first.voids, operator)
            return within_bounds(group.key.till, sale)
        lines = [_line(number, row, exponent) for number, row in enumerate(group.rows, start=1)]
        total = sum(-line.amount_minor if line.kind is LineKind.RETURN else line.amount_minor for line in lines)
        returned = all(line.kind is LineKind.RETURN for line in lines)
        kind = TransactionKind.RETURN if returned else TransactionKind.SALE
        sale = TransactionIn(kind, currency, total, first.occurred_at, lines, None, operator)
        return within_bounds(group.key.till, sale)

    async def _record(self, key: SaleKey, sale: TransactionIn) -> Outcome:
        return (await self._desk.take(TillDay(key.till, key.business_day), key.sequence, sale)).outcome


def _line(number: int, row: SaleRow, exponent: int) -> LineIn:
    """A line of a negative quantity or amount is a return."""
    quantity, amount = whole(row.quantity, 3, "quantity"), whole(row.amount, exponent, "amount")
    returned = row.kind is RowKind.RETURN or quantity < 0 or amount < 0
    unit = None if row.unit_price is None else whole(abs(row.unit_price), exponent, "unit price")
    return LineIn(line=number, quantity_milli=abs(quantity) if returned else quantity,
                  amount_minor=abs(amount) if returned else amount, code="" if is_card(row.code) else row.code,
                  kind=LineKind.RETURN if returned else LineKind.SALE, unit_price_minor=unit)
