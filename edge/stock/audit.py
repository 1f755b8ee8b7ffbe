"""Do the book's reserved and staged figures say what the orders say? Every night, and on demand (retail.md section 3).

A reservation that one missed step leaves behind would take goods off sale for ever. What is found is reported and never
put right silently: a supervisor has it repaired, and that is a fact.
"""

import asyncio

import msgspec
import structlog

from cloud_sync.contract.facts import Movement, StockMove
from edge.db.connection import Connection
from edge.db.ledger import Receipt, draft
from edge.db.queries import LEDGER
from edge.db.rebase_rows import read_rebase
from edge.db.shortages import record_and_tell
from edge.errors import Rejected
from edge.limits import AUDIT_LISTED_MAX, COMPARISON_AGAIN_S
from edge.nightly import Nightly
from edge.stock.answers import OutOfDate, standing
from edge.store import Store, Topic

_log = structlog.get_logger(__name__)
_KEY = "reservation-audit"
REPAIRED = "reservation-repair"
"""The reason of the movement that puts the book right."""


class LeakedSku(msgspec.Struct, frozen=True):
    """A SKU of which the book keeps another quantity for orders than they have, in thousandths."""

    sku: str
    reserved_milli: int
    orders_reserve_milli: int
    staged_milli: int
    orders_staged_milli: int


class LeakedOrder(msgspec.Struct, frozen=True):
    """A line of an order that has ended and still reserves goods."""

    order_id: str
    line: int
    sku: str
    reserved_milli: int


class AuditReport(msgspec.Struct, frozen=True):
    """`settled`: false while the store takes its history back, so that nothing can be told. `made_at`: store's time."""

    made_at: str
    business_day: str
    settled: bool
    skus: tuple[LeakedSku, ...]
    orders: tuple[LeakedOrder, ...]

    @property
    def leaks(self) -> bool:
        return bool(self.skus or self.orders)


class ReservationAudit(Nightly):
    """Audits after each business day, and again while something leaks. `run` is a part for the supervisor.

    `latest` is what people are told of; it survives a restart.
    """

    def __init__(self, store: Store) -> None:
        super().__init__(store, "the audit of reservations")
        self._again_at_s = 0.0
        row = store.books.ledger_reader.execute(LEDGER.get_meta, (_KEY,)).fetchone()
        self.latest = msgspec.json.decode(row[0], type=AuditReport) if row else None

    async def look(self) -> None:
        """Audit if a night is due, or if something leaked a while ago. Raises `Transient`, `Corrupt`."""
        if not self._store.clock.trusted:
            return  # nobody knows what day it is
        day, now_s = self._day_that_is_over(), asyncio.get_running_loop().time()
        is_due = self.latest is None or self.latest.business_day < day or not self.latest.settled
        if is_due or (self.latest is not None and self.latest.leaks and now_s >= self._again_at_s):
            self._again_at_s = now_s + COMPARISON_AGAIN_S
            await self._keep(self.report(day))

    def report(self, business_day: str = "") -> AuditReport:
        """What leaks now."""
        reader = self._store.books.ledger_reader
        settled = _is_settled(reader)
        made_at = self._store.local(self._store.clock.wall_ms()).isoformat(timespec="seconds")
        skus, orders = _leaks(reader) if settled else ((), ())
        return AuditReport(made_at, business_day or made_at[:10], settled, skus, orders)

    async def repair(self, act_id: str, actor: str) -> bytes:
        """Make the book say what the orders say, by a fact; returns its answer's JSON. What nobody reserves is free.

        Raises `OutOfDate` when nothing leaks, `Rejected` while the store takes its history back.
        """
        now_ms, fact_key = self._store.clock.wall_ms(), f"{REPAIRED}/{act_id}"

        def operation(connection: Connection) -> Receipt | Rejected | bytes:
            known = connection.execute(LEDGER.fact, (fact_key,)).fetchone()
            if known is not None:
                return bytes(known[1])
            if not _is_settled(connection):
                return Rejected("the store takes its history back: what orders reserve is not known yet")
            skus, orders = _leaks(connection)
            if not skus and not orders:
                return OutOfDate("nothing leaks")
            connection.execute(LEDGER.release_over_orders)
            made = draft(fact_key, Movement(REPAIRED, tuple(_repair(leaked) for leaked in skus), actor),
                         occurred_ms=now_ms, recorded_ms=now_ms, business_day=self._store.business_day(now_ms))
            return record_and_tell(connection, self._store.books.chain, made)

        done = await self._store.record(operation)
        if isinstance(done, Rejected):
            raise done
        if self.latest is not None:
            await self._keep(self.report(self.latest.business_day))
        return done if isinstance(done, bytes) else standing(done)

    async def _keep(self, report: AuditReport) -> None:
        if report.leaks:
            _log.error("reservations leak", skus=[leaked.sku for leaked in report.skus[:10]],
                       orders=[leaked.order_id for leaked in report.orders[:10]])
        self.latest = report
        stored = msgspec.json.encode(report).decode()
        await self._store.books.ledger.submit(lambda connection: connection.execute(LEDGER.set_meta, (_KEY, stored)))
        self._store.tell(Topic.ISSUE)


def _leaks(connection: Connection) -> tuple[tuple[LeakedSku, ...], tuple[LeakedOrder, ...]]:
    """Recomputed from the orders: goods of an order that has ended may still stand put aside, but reserve nothing."""
    skus = connection.execute(LEDGER.reservations, (AUDIT_LISTED_MAX,)).fetchall()
    orders = connection.execute(LEDGER.over_orders_reserving, (AUDIT_LISTED_MAX,)).fetchall()
    return (tuple(LeakedSku(sku, reserved, kept, staged, put_aside) for sku, reserved, staged, kept, put_aside in skus),
            tuple(LeakedOrder(*row) for row in orders))


def _repair(leaked: LeakedSku) -> StockMove:
    """No unit appears or goes: what is reserved or put aside for nobody is sellable."""
    reserved = leaked.orders_reserve_milli - leaked.reserved_milli
    staged = leaked.orders_staged_milli - leaked.staged_milli
    return StockMove(leaked.sku, -reserved - staged, reserved, staged)


def _is_settled(connection: Connection) -> bool:
    """Whether every order and step of this store is here: not while it takes back what it had before a restore."""
    return read_rebase(connection) is None and connection.execute(LEDGER.any_pickup_past).fetchone() is None
