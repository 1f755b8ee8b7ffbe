"""Recording a POSLog: each transaction like one that a till sent, each by itself, so that a bad one harms no other."""

from collections import Counter
from collections.abc import AsyncIterator

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from cloud_sync.contract.facts import ExceptionRaised
from edge.db.ledger import Outcome, raise_exception
from edge.domain.transaction import fact_key
from edge.errors import Rejected
from edge.limits import POSLOG_BYTES_MAX, POSLOG_PROBLEMS_MAX, TRANSACTION_LINES_MAX
from edge.pos.access import Role
from edge.pos.app import Handler, json_response, principal_of
from edge.pos.hot_folder import HotFile, Taken
from edge.pos.logged_sales import within_bounds
from edge.pos.poslog.dialect import Dialect, load_dialect
from edge.pos.poslog.reading import Read, Unreadable, read_transaction
from edge.pos.poslog.xml_stream import transactions
from edge.pos.problems import ProblemAnswer
from edge.pos.transactions import TillDay, TransactionDesk
from edge.store import Store

STATED_SHOWN_MAX = 20
"""Goods of an inventory control that people are shown at once; all stand in the ledger."""


class PoslogProblem(msgspec.Struct, frozen=True):
    """A transaction that was not recorded: the how manyth it is, counted from 1, and why."""

    transaction: int
    reason: str


class PoslogReport(msgspec.Struct, frozen=True):
    """What became of a log. `recorded`, `repeated`, `conflicts`: transactions; `not_sales`: by name, such as training
    or control; `lines`: of the recorded ones, by name. `stopped`: why the rest was not read, empty when all was."""

    transactions: int
    recorded: int
    repeated: int
    conflicts: int
    not_sales: dict[str, int]
    lines: dict[str, int]
    problems: list[PoslogProblem]
    problems_left_out: int
    stopped: str = ""


class PoslogDesk:
    """Takes logs. `only_till`: whose transactions a caller may send; `None`: everybody's."""

    def __init__(self, store: Store, desk: TransactionDesk) -> None:
        self._store = store
        self._desk = desk

    async def take(self, chunks: AsyncIterator[bytes], dialect: Dialect, only_till: str | None = None) -> PoslogReport:
        """Record what can be; `Transient` and `Corrupt` pass through: then the same log is to be sent again."""
        outcomes, not_sales, lines = Counter[str](), Counter[str](), Counter[str]()
        problems: list[PoslogProblem] = []
        count, stopped = 0, ""
        try:
            async for element in transactions(chunks):
                count += 1
                try:
                    read = read_transaction(element, dialect, self._store.identity.currency)
                    if read.stated:
                        await self._tell_people(read, only_till)
                    if read.sale is None:
                        not_sales[read.reason] += 1
                        continue
                    outcomes[(await self._record(read, only_till)).value] += 1
                    lines.update(read.lines)
                except (Unreadable, Rejected, msgspec.MsgspecError) as problem:
                    problems.append(PoslogProblem(count, str(problem)))
        except Rejected as problem:
            stopped = str(problem)
        shown = problems[:POSLOG_PROBLEMS_MAX]
        return PoslogReport(count, outcomes[Outcome.NEW.value], outcomes[Outcome.REPEATED.value],
                            outcomes[Outcome.CONFLICT.value], dict(not_sales), dict(lines), shown,
                            len(problems) - len(shown), stopped)

    async def _tell_people(self, read: Read, only_till: str | None) -> None:
        """Goods that a till says were received, counted or moved: a person enters what is right. Once for each log."""
        if only_till is not None and read.till != only_till:
            raise Rejected(f"till {read.till!r} is not the one that sent this")
        key = fact_key(read.till, read.business_day, read.sequence)
        shown = "; ".join(f"{each.kind}: {each.code}, {each.quantity}" for each in read.stated[:STATED_SHOWN_MAX])
        left_out = len(read.stated) - STATED_SHOWN_MAX
        raised = ExceptionRaised(reason="inventory-control", about=key, till=read.till, business_day=read.business_day,
                                 detail=shown + (f"; and {left_out} more" if left_out > 0 else ""),
                                 document=msgspec.json.encode(read.stated[:TRANSACTION_LINES_MAX]).decode())
        chain, now_ms = self._store.books.chain, self._store.clock.wall_ms()
        await self._store.record(lambda connection: raise_exception(connection, chain, raised, now_ms,
                                                                    key=f"inventory-control/{key}"))

    async def _record(self, read: Read, only_till: str | None) -> Outcome:
        assert read.sale is not None
        if only_till is not None and read.till != only_till:
            raise Rejected(f"till {read.till!r} is not the one that sent this")
        sale = within_bounds(read.till, read.sale)
        receipt = await self._desk.take(TillDay(read.till, read.business_day), read.sequence, sale)
        return receipt.outcome


class PoslogFiles:
    """Takes the POSLog files of one hot folder."""

    mend = ("What it holds beside the following was recorded; mend it and put it into inbox again, nothing counts "
            "twice.")
    only_newest_repeats = False

    def __init__(self, desk: PoslogDesk, dialect: Dialect) -> None:
        self._desk = desk
        self._dialect = dialect

    async def take(self, file: HotFile) -> Taken:
        """See `edge.pos.hot_folder.FileTaker`."""
        report = await self._desk.take(file.chunks(), self._dialect)
        problems = [f"transaction {problem.transaction}: {problem.reason}" for problem in report.problems]
        if report.problems_left_out:
            problems.append(f"and {report.problems_left_out} transactions more")
        if report.stopped:
            problems.append(f"the rest was not read: {report.stopped}")
        others = "".join(f", {count} of {name}" for name, count in report.not_sales.items())
        return Taken(problems, [f"{report.recorded} transactions recorded, {report.repeated} known before{others}."])


def poslog_handlers(desk: PoslogDesk) -> dict[str, Handler]:
    """The handler of POSLogs, by its name in `edge.pos.access.RULES`."""

    async def take(request: Request) -> Response:
        dialect = load_dialect(request.query_params.get("dialect", "v6"))
        principal = principal_of(request)
        only_till = principal.id if principal.role is Role.TILL else None
        return json_response(await desk.take(_bounded(request), dialect, only_till))

    return {"take_poslog": take}


async def _bounded(request: Request) -> AsyncIterator[bytes]:
    size = 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > POSLOG_BYTES_MAX:
            raise ProblemAnswer(413, "too-large", "The log is too large", f"at most {POSLOG_BYTES_MAX} bytes; what was "
                                "recorded stays recorded", recorded=True)
        if chunk:
            yield chunk
