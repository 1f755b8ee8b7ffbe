"""Pickups in the store: reserve on order, pick, stage, ready, hand over with a code (DESIGN.md section 9).

Orders arrive by the hub's feed; feed cursor, rows and effect go into one ledger transaction. Every step is a fact
with its own stock moves: reserving moves sellable to reserved, picking moves reserved to staged, goods leave at
hand-over.
"""

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import msgspec

from cloud_sync.contract.documents import Order, Person
from cloud_sync.contract.facts import ExceptionRaised, PickupStep, StockMove
from cloud_sync.contract.feeds import Batch, Cursor, Feed, Put
from cloud_sync.contract.pickup import FINAL, PickupState, Step, next_state
from edge.db.connection import Connection
from edge.db.ledger import Outcome, draft, raise_exception, record
from edge.db.queries import LEDGER
from edge.errors import Rejected
from edge.limits import CODE_ATTEMPTS_MAX, PICKUPS_LISTED_MAX
from edge.pickups.people import PeopleVault
from edge.store import Store, Topic

_order_decoder = msgspec.json.Decoder(Order)
_HUB = "hub"


@dataclass(frozen=True, slots=True)
class PickupRow:
    """One row of table `pickup`."""

    order_id: str
    revision: int
    state: PickupState
    placed_ms: int
    currency: str
    code_hmac: str
    code_attempts: int
    person_id: str
    notified_ms: int | None
    cancel_requested: bool
    changed_ms: int


@dataclass(frozen=True, slots=True)
class PickupLine:
    """One row of table `pickup_line`; quantities in thousandths, the price per unit."""

    line: int
    sku: str
    quantity_milli: int
    price_minor: int
    reserved_milli: int
    picked_milli: int


@dataclass(frozen=True, slots=True)
class Pickup:
    """An order as the store sees it."""

    row: PickupRow
    lines: tuple[PickupLine, ...]
    person: Person | None


@dataclass(frozen=True, slots=True)
class StepRequest:
    """A step somebody takes. `transition_id` makes a repeat harmless; `line` picks one line, `None` all of them."""

    order_id: str
    transition_id: str
    step: Step
    actor: str
    line: int | None = None
    code: str = ""
    reason: str = ""


class PickupDesk:
    """Orders to be picked and handed over in this store."""

    def __init__(self, store: Store, vault: PeopleVault) -> None:
        self._store = store
        self._vault = vault

    def cursor(self) -> Cursor | None:
        """How far this store has come in the orders feed."""
        row = self._store.books.ledger_reader.execute(LEDGER.cursor, (Feed.ORDERS,)).fetchone()
        return Cursor(*row) if row else None

    async def apply(self, batch: Batch) -> None:
        """Take orders from the hub: rows, reservation and cursor in one transaction, each revision once."""
        orders = [_order_decoder.decode(change.doc) for change in batch.changes if isinstance(change, Put)]
        sealed = {order.order_id: self._vault.seal(order.person) for order in orders if order.person}

        def operation(connection: Connection) -> None:
            for order in orders:
                self._take(connection, order, sealed.get(order.order_id))
            connection.execute(LEDGER.put_cursor, (Feed.ORDERS, batch.checkpoint.generation, batch.checkpoint.offset))

        await self._store.record(operation)
        self._store.tell(Topic.PICKUP, *(order.order_id for order in orders))

    def open(self) -> list[Pickup]:
        """Orders not finished yet, oldest first, at most a named number."""
        reader = self._store.books.ledger_reader
        rows = reader.execute(LEDGER.pickups_open, (PICKUPS_LISTED_MAX,)).fetchall()
        return [self._with_lines(_row(row)) for row in rows]

    def find(self, order_id: str) -> Pickup | None:
        """One order, finished or not."""
        row = self._store.books.ledger_reader.execute(LEDGER.pickup, (order_id,)).fetchone()
        return self._with_lines(_row(row)) if row else None

    def order_with_code(self, code: str) -> str | None:
        """The order that is ready under this pickup code: one indexed read."""
        reader = self._store.books.ledger_reader
        row = reader.execute(LEDGER.pickup_by_code, (self._vault.code_hmac(code),)).fetchone()
        return str(row[0]) if row else None

    async def take_step(self, request: StepRequest) -> Pickup:
        """Take a step once; a repeat changes nothing. Raises `Rejected` for a step that may not be taken now."""
        given = self._vault.code_hmac(request.code) if request.code else ""
        refusal = await self._store.record(lambda connection: self._step(connection, request, given))
        if refusal:
            raise Rejected(refusal)
        self._store.tell(Topic.PICKUP, request.order_id)
        found = self.find(request.order_id)
        assert found is not None
        return found

    async def erase_people(self) -> None:
        """Forget people whose time has come."""
        now_ms = self._store.clock.wall_ms()
        await self._store.books.ledger.submit(lambda connection: connection.execute(LEDGER.erase_people, (now_ms,)))

    def _with_lines(self, row: PickupRow) -> Pickup:
        reader = self._store.books.ledger_reader
        person = reader.execute(LEDGER.person, (row.person_id,)).fetchone() if row.person_id else None
        return Pickup(row, _lines(reader, row.order_id), self._vault.unseal(person[0]) if person else None)

    def _take(self, connection: Connection, order: Order, sealed: bytes | None) -> None:
        known = connection.execute(LEDGER.pickup, (order.order_id,)).fetchone()
        if known is None:
            self._accept_new(connection, order, sealed)
        elif order.revision > _row(known).revision:
            connection.execute(LEDGER.update_pickup_from_hub, (order.revision, order.notified_ms,
                                                               int(order.cancel_requested), order.order_id))
            if order.cancel_requested:
                self._cancel(connection, _row(known), order.revision)

    def _accept_new(self, connection: Connection, order: Order, sealed: bytes | None) -> None:
        now_ms = self._store.clock.wall_ms()
        code = self._vault.code_hmac(order.pickup_code) if order.pickup_code else ""
        connection.execute(LEDGER.insert_pickup, (
            order.order_id, order.revision, PickupState.PLACED, order.placed_ms, order.currency, code, order.person_id,
            order.notified_ms, int(order.cancel_requested), now_ms))
        for line in order.lines:
            connection.execute(LEDGER.insert_pickup_line, (order.order_id, line.line, line.sku, line.quantity_milli,
                                                           line.price_minor))
        if sealed and order.person_id:
            connection.execute(LEDGER.put_person, (order.person_id, sealed, None))
        row = _row(connection.execute(LEDGER.pickup, (order.order_id,)).fetchone())
        short = [] if order.cancel_requested else self._short_skus(connection, order)
        request = StepRequest(order.order_id, f"{order.order_id}/reserve", Step.ACCEPT, _HUB)
        if order.cancel_requested:
            self._cancel(connection, row, order.revision)
        elif short:
            reason = f"not available: {', '.join(short)}"
            rejected = StepRequest(order.order_id, request.transition_id, Step.REJECT, _HUB, reason=reason)
            self._write(connection, row, rejected, PickupState.REJECTED, ())
        else:
            self._reserve(connection, row, request)

    def _short_skus(self, connection: Connection, order: Order) -> list[str]:
        """SKUs whose reservation would take available-to-promise below zero (P5)."""
        wanted: dict[str, int] = defaultdict(int)
        for line in order.lines:
            wanted[line.sku] += line.quantity_milli
        return sorted(sku for sku, quantity in wanted.items() if self._available_milli(connection, sku) < quantity)

    def _available_milli(self, connection: Connection, sku: str) -> int:
        row = connection.execute(LEDGER.stock, (sku,)).fetchone()
        return (row[0] if row else 0) - self._store.policy.safety_stock_milli

    def _reserve(self, connection: Connection, row: PickupRow, request: StepRequest) -> None:
        lines = _lines(connection, row.order_id)
        moves = tuple(StockMove(line.sku, sellable_milli=-line.quantity_milli, reserved_milli=line.quantity_milli)
                      for line in lines)
        self._write(connection, row, request, PickupState.ACCEPTED, moves)
        for line in lines:
            connection.execute(LEDGER.set_pickup_line, (line.quantity_milli, 0, row.order_id, line.line))

    def _step(self, connection: Connection, request: StepRequest, given_hmac: str) -> str:
        """Take the step inside the writer; returns why not, or an empty text. A counted code attempt is kept."""
        found = connection.execute(LEDGER.pickup, (request.order_id,)).fetchone()
        if found is None:
            return f"no order {request.order_id} in this store"
        row = _row(found)
        if connection.execute(LEDGER.fact, (_fact_key(request.transition_id),)).fetchone():
            return ""
        target = next_state(row.state, request.step)
        if target is None:
            return f"order {row.order_id} is {row.state}: it cannot {request.step.value.replace('_', ' ')} now"
        carry_out = self._PHYSICAL.get(request.step)
        if carry_out is None:
            self._write(connection, row, request, target, ())
            return ""
        return carry_out(self, connection, row, request, given_hmac)

    def _pick(self, connection: Connection, row: PickupRow, request: StepRequest, _given_hmac: str) -> str:
        lines = _lines(connection, row.order_id)
        picked = [line for line in lines if request.line in (None, line.line) and line.reserved_milli]
        if not picked:
            return f"order {row.order_id} has nothing left to pick on line {request.line}"
        moves = tuple(StockMove(line.sku, reserved_milli=-line.reserved_milli, staged_milli=line.reserved_milli)
                      for line in picked)
        self._write(connection, row, request, PickupState.PICKING, moves)
        for line in picked:
            connection.execute(LEDGER.set_pickup_line, (0, line.picked_milli + line.reserved_milli, row.order_id,
                                                        line.line))
        return ""

    def _stage(self, connection: Connection, row: PickupRow, request: StepRequest, _given_hmac: str) -> str:
        left = [str(line.line) for line in _lines(connection, row.order_id) if line.reserved_milli]
        if left:
            return f"order {row.order_id}: pick line {', '.join(left)} first"
        self._write(connection, row, request, PickupState.STAGED, ())
        return ""

    def _hand_over(self, connection: Connection, row: PickupRow, request: StepRequest, given_hmac: str) -> str:
        if row.code_attempts >= CODE_ATTEMPTS_MAX:
            return f"order {row.order_id}: {CODE_ATTEMPTS_MAX} wrong codes; ask a supervisor"
        if row.code_hmac != given_hmac:
            connection.execute(LEDGER.count_code_attempt, (row.order_id,))
            return f"wrong code for order {row.order_id}; {CODE_ATTEMPTS_MAX - row.code_attempts - 1} attempts left"
        lines = _lines(connection, row.order_id)
        moves = tuple(StockMove(line.sku, staged_milli=-line.picked_milli) for line in lines if line.picked_milli)
        self._write(connection, row, request, PickupState.HANDED_OVER, moves)
        self._erase_later(connection, row)
        return ""

    def _cancel(self, connection: Connection, row: PickupRow, revision: int) -> None:
        """The hub asks to cancel. What was handed over stays handed over and becomes a refund request (P6)."""
        chain, now_ms = self._store.books.chain, self._store.clock.wall_ms()
        if next_state(row.state, Step.CANCEL) is None:
            raised = ExceptionRaised(reason="late-cancel", about=row.order_id,
                                     detail=f"cancel requested, but the order is {row.state}: refund it")
            raise_exception(connection, chain, raised, now_ms, key=f"late-cancel/{row.order_id}/{revision}")
            return
        lines = _lines(connection, row.order_id)
        moves = tuple(StockMove(line.sku, sellable_milli=line.reserved_milli + line.picked_milli,
                                reserved_milli=-line.reserved_milli, staged_milli=-line.picked_milli)
                      for line in lines if line.reserved_milli or line.picked_milli)
        request = StepRequest(row.order_id, f"{row.order_id}/cancel/{revision}", Step.CANCEL, _HUB)
        self._write(connection, row, request, PickupState.CANCELLED, moves)
        for line in lines:
            connection.execute(LEDGER.set_pickup_line, (0, 0, row.order_id, line.line))
        self._erase_later(connection, row)

    def _erase_later(self, connection: Connection, row: PickupRow) -> None:
        erase_ms = self._store.clock.wall_ms() + self._store.policy.person_keep_s * 1000
        connection.execute(LEDGER.set_person_erasure, (erase_ms, row.person_id))

    def _write(self, connection: Connection, row: PickupRow, request: StepRequest, target: PickupState,
               moves: tuple[StockMove, ...]) -> None:
        """The step as a fact, with its stock moves, and the order's new state."""
        now_ms = self._store.clock.wall_ms()
        fact = PickupStep(order_id=row.order_id, transition_id=request.transition_id, step=request.step, state=target,
                          order_revision=row.revision, actor=request.actor, moves=moves, reason=request.reason)
        made = draft(_fact_key(request.transition_id), fact, occurred_ms=now_ms, recorded_ms=now_ms,
                     business_day=self._store.business_day(now_ms))
        if record(connection, self._store.books.chain, made).outcome is Outcome.NEW:
            connection.execute(LEDGER.set_pickup_state, (target, now_ms, row.order_id))
        if target in FINAL and row.person_id:
            self._erase_later(connection, row)

    _PHYSICAL: ClassVar[dict[Step, Callable[["PickupDesk", Connection, PickupRow, StepRequest, str], str]]] = {
        Step.PICK: _pick, Step.STAGE: _stage, Step.HAND_OVER: _hand_over}


def _fact_key(transition_id: str) -> str:
    return f"pickup/{transition_id}"


def _row(row: tuple[str, int, str, int, str, str, int, str, int | None, int, int]) -> PickupRow:
    return PickupRow(row[0], row[1], PickupState(row[2]), row[3], row[4], row[5], row[6], row[7], row[8],
                     bool(row[9]), row[10])


def _lines(connection: Connection, order_id: str) -> tuple[PickupLine, ...]:
    return tuple(PickupLine(*row) for row in connection.execute(LEDGER.pickup_lines, (order_id,)).fetchall())
