"""Pickups in the store: reserve on order, pick, stage, ready, hand over with a code (DESIGN.md section 9).

Orders arrive by the hub's feed; feed cursor, rows and effect go into one ledger transaction. Every step is a fact
with its own stock moves: reserving moves sellable to reserved, picking moves reserved to staged, goods leave at
hand-over.
"""

import hmac
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import ClassVar

import msgspec

from cloud_sync.contract.documents import Order, Person
from cloud_sync.contract.facts import ExceptionRaised, Fact, PickupStep, StockMove
from cloud_sync.contract.feeds import Batch, Cursor, Feed, Put
from cloud_sync.contract.pickup import FINAL, PickupState, Step, next_state
from edge.db.connection import Connection
from edge.db.ledger import Outcome, draft, fact_of, raise_exception, record
from edge.db.queries import LEDGER
from edge.errors import Rejected
from edge.limits import CODE_ATTEMPTS_MAX, PICKUPS_LISTED_MAX
from edge.pickups.past import replay_past
from edge.pickups.people import PeopleVault
from edge.store import Store, Topic

_order_decoder = msgspec.json.Decoder(Order)
_HUB = "hub"
_OWN = "hub:"
_MAY_BE_HANDED_OVER = frozenset({PickupState.STAGED, PickupState.READY, PickupState.CANCELLED})


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
    """A step somebody takes. `transition_id` makes a repeat harmless; `line` picks one line, `None` all of them.

    `supervised`: a supervisor hands over without a code, with a reason.
    """

    order_id: str
    transition_id: str
    step: Step
    actor: str
    line: int | None = None
    code: str = ""
    reason: str = ""
    supervised: bool = False


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
        """Take a step once; a repeat changes nothing. Raises `Rejected` for a step that may not be taken now.

        Accepting, rejecting and cancelling are not taken here: they follow from what the hub says.
        """
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
        now_ms, books = self._store.clock.wall_ms(), self._store.books
        if books.ledger_reader.execute(LEDGER.people_due, (now_ms,)).fetchone():
            await books.ledger.submit(lambda connection: connection.execute(LEDGER.erase_people, (now_ms,)))

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
                self._cancel(connection, _row(connection.execute(LEDGER.pickup, (order.order_id,)).fetchone()))

    def _accept_new(self, connection: Connection, order: Order, sealed: bytes | None) -> None:
        now_ms = self._store.clock.wall_ms()
        code = self._vault.code_hmac(order.pickup_code) if order.pickup_code else ""
        connection.execute(LEDGER.insert_pickup, (
            order.order_id, order.revision, PickupState.PLACED, order.placed_ms, order.currency, code, order.person_id,
            order.notified_ms, int(order.cancel_requested), now_ms))
        for line in order.lines:
            connection.execute(LEDGER.insert_pickup_line, (order.order_id, line.line, line.sku, line.quantity_milli,
                                                           line.price_minor))
        if sealed and order.person_id:  # whatever becomes of the order, its person is forgotten at last
            forget_ms = now_ms + (self._store.policy.hold_max_s + self._store.policy.person_keep_s) * 1000
            connection.execute(LEDGER.put_person, (order.person_id, sealed, forget_ms))
        if replay_past(connection, order.order_id):
            row = _row(connection.execute(LEDGER.pickup, (order.order_id,)).fetchone())
            if row.state in FINAL:
                self._erase_later(connection, row)
            elif order.cancel_requested:
                self._cancel(connection, row)
            return
        row = _row(connection.execute(LEDGER.pickup, (order.order_id,)).fetchone())
        if order.cancel_requested:
            self._cancel(connection, row)
            return
        request = StepRequest(order.order_id, _own_id(order.order_id, "reserve"), Step.ACCEPT, _HUB)
        reason = self._why_not(connection, order)
        if reason:
            rejected = StepRequest(order.order_id, request.transition_id, Step.REJECT, _HUB, reason=reason)
            self._write(connection, row, rejected, PickupState.REJECTED, ())
        else:
            self._reserve(connection, row, request)

    def _why_not(self, connection: Connection, order: Order) -> str:
        """Why the order cannot be promised: a reservation may not take available-to-promise below zero (P5)."""
        if not order.lines or any(line.quantity_milli <= 0 for line in order.lines):
            return "a line without a quantity"
        if len({line.line for line in order.lines}) < len(order.lines):
            return "two lines of one number"
        wanted: dict[str, int] = defaultdict(int)
        for line in order.lines:
            wanted[line.sku] += line.quantity_milli
        short = sorted(sku for sku, quantity in wanted.items() if self._available_milli(connection, sku) < quantity)
        return f"not available: {', '.join(short)}" if short else ""

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
        if connection.execute(LEDGER.fact, (_fact_key(request.transition_id),)).fetchone() is not None:
            return _as_repeat(request, fact_of(connection, _fact_key(request.transition_id)))
        if request.transition_id.startswith(_OWN):
            return f"no step but our own has an id that begins with {_OWN}"
        row = _row(found)
        carry_out = self._STEPS.get(request.step)
        if carry_out is None:
            return f"{request.step.value} is for the hub to say"
        return carry_out(self, connection, row, request, given_hmac)

    @staticmethod
    def _refusal(row: PickupRow, step: Step) -> str:
        """Why this step does not lead on from where the order is; an empty text if it does."""
        if next_state(row.state, step) is not None:
            return ""
        return f"order {row.order_id} is {row.state}: it cannot {step.value.replace('_', ' ')} now"

    def _pick(self, connection: Connection, row: PickupRow, request: StepRequest, _given_hmac: str) -> str:
        if refusal := self._refusal(row, request.step):
            return refusal
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
        refusal = self._refusal(row, request.step)
        if refusal or left:
            return refusal or f"order {row.order_id}: pick line {', '.join(left)} first"
        self._write(connection, row, request, PickupState.STAGED, ())
        return ""

    def _ready(self, connection: Connection, row: PickupRow, request: StepRequest, _given_hmac: str) -> str:
        if refusal := self._refusal(row, request.step):
            return refusal
        self._write(connection, row, request, PickupState.READY, ())
        return ""

    def _hand_over(self, connection: Connection, row: PickupRow, request: StepRequest, given_hmac: str) -> str:
        """Goods that left have left (P6): a hand-over counts from wherever they were staged, and even when the
        customer's cancelling came in between; then a person is told."""
        if row.state not in _MAY_BE_HANDED_OVER:
            return self._refusal(row, request.step) or f"order {row.order_id} is {row.state}"
        if refusal := self._code_refusal(connection, row, request, given_hmac):
            return refusal
        lines = _lines(connection, row.order_id)
        if row.state is PickupState.CANCELLED:
            moves = tuple(StockMove(line.sku, sellable_milli=-line.quantity_milli) for line in lines)
        else:
            moves = tuple(StockMove(line.sku, staged_milli=-line.picked_milli) for line in lines if line.picked_milli)
        self._write(connection, row, request, PickupState.HANDED_OVER, moves)
        if row.state is PickupState.CANCELLED or row.cancel_requested:
            self._late_cancel(connection, replace(row, state=PickupState.HANDED_OVER))
        return ""

    def _code_refusal(self, connection: Connection, row: PickupRow, request: StepRequest, given_hmac: str) -> str:
        """Why this caller may not take the goods away; counts a wrong code."""
        if request.supervised:
            return "" if request.reason.strip() else "a hand-over without a code needs a reason"
        if row.code_attempts >= CODE_ATTEMPTS_MAX:
            return f"order {row.order_id}: {CODE_ATTEMPTS_MAX} wrong codes; ask a supervisor"
        if not hmac.compare_digest(row.code_hmac, given_hmac):
            connection.execute(LEDGER.count_code_attempt, (row.order_id,))
            return f"wrong code for order {row.order_id}; {CODE_ATTEMPTS_MAX - row.code_attempts - 1} attempts left"
        return ""

    def _cancel(self, connection: Connection, row: PickupRow) -> None:
        """The hub asks to cancel. What was handed over stays handed over and becomes a refund request (P6)."""
        if row.state is PickupState.HANDED_OVER:
            self._late_cancel(connection, row)
        if next_state(row.state, Step.CANCEL) is None:
            return  # it ended before: there is nothing left to cancel
        lines = _lines(connection, row.order_id)
        moves = tuple(StockMove(line.sku, sellable_milli=line.reserved_milli + line.picked_milli,
                                reserved_milli=-line.reserved_milli, staged_milli=-line.picked_milli)
                      for line in lines if line.reserved_milli or line.picked_milli)
        request = StepRequest(row.order_id, _own_id(row.order_id, "cancel"), Step.CANCEL, _HUB)
        self._write(connection, row, request, PickupState.CANCELLED, moves)
        for line in lines:
            connection.execute(LEDGER.set_pickup_line, (0, 0, row.order_id, line.line))

    def _late_cancel(self, connection: Connection, row: PickupRow) -> None:
        raised = ExceptionRaised(reason="late-cancel", about=row.order_id,
                                 detail=f"cancel requested, but the order is {row.state}: refund it")
        raise_exception(connection, self._store.books.chain, raised, self._store.clock.wall_ms(),
                        key=f"late-cancel/{row.order_id}")

    def _erase_later(self, connection: Connection, row: PickupRow) -> None:
        """The person is not needed any more; unless another order of the same person still is open."""
        erase_ms = self._store.clock.wall_ms() + self._store.policy.person_keep_s * 1000
        connection.execute(LEDGER.set_person_erasure, (erase_ms, row.person_id, row.person_id, row.order_id))

    def _write(self, connection: Connection, row: PickupRow, request: StepRequest, target: PickupState,
               moves: tuple[StockMove, ...]) -> None:
        """The step as a fact, with its stock moves, and the order's new state."""
        now_ms = self._store.clock.wall_ms()
        fact = PickupStep(order_id=row.order_id, transition_id=request.transition_id, step=request.step, state=target,
                          order_revision=row.revision, actor=request.actor, moves=moves, reason=request.reason)
        made = draft(_fact_key(request.transition_id), fact, occurred_ms=now_ms, recorded_ms=now_ms,
                     business_day=self._store.business_day(now_ms))
        receipt = record(connection, self._store.books.chain, made)
        assert receipt.outcome is Outcome.NEW, f"{made.fact_key} was taken before, as somebody looked up"
        connection.execute(LEDGER.set_pickup_state, (target, now_ms, receipt.epoch, receipt.sequence, row.order_id))
        if target in FINAL and row.person_id:
            self._erase_later(connection, row)

    _STEPS: ClassVar[dict[Step, Callable[["PickupDesk", Connection, PickupRow, StepRequest, str], str]]] = {
        Step.PICK: _pick, Step.STAGE: _stage, Step.READY: _ready, Step.HAND_OVER: _hand_over}


def _as_repeat(request: StepRequest, taken: Fact | None) -> str:
    """The id was used before, `taken` is what for (`None`: so long ago that only the id is remembered)."""
    if not isinstance(taken, PickupStep) or (taken.order_id, taken.step) == (request.order_id, request.step):
        return ""
    return f"{request.transition_id} was {taken.step} of order {taken.order_id}; mint another id for every step"


def _fact_key(transition_id: str) -> str:
    return f"pickup/{transition_id}"


def _own_id(order_id: str, what: str) -> str:
    """A transition that follows from the hub's word; no caller may give one that begins like it."""
    return f"{_OWN}{order_id}/{what}"


def _row(row: tuple[str, int, str, int, str, str, int, str, int | None, int, int]) -> PickupRow:
    return PickupRow(row[0], row[1], PickupState(row[2]), row[3], row[4], row[5], row[6], row[7], row[8],
                     bool(row[9]), row[10])


def _lines(connection: Connection, order_id: str) -> tuple[PickupLine, ...]:
    return tuple(PickupLine(*row) for row in connection.execute(LEDGER.pickup_lines, (order_id,)).fetchall())
