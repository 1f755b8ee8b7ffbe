"""Pickups in the store: from the reservation to the hand-over, or back to the shelf (DESIGN.md section 9).

Orders arrive by the hub's feed; feed cursor, rows and effect go into one ledger transaction. What a step does is the
contract's to say (`pickup_order`, `pickup_rules`); here every step becomes a fact with its own stock moves.
"""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial

import msgspec

from cloud_sync.contract.documents import Order
from cloud_sync.contract.facts import ExceptionRaised, Fact, PickupStep
from cloud_sync.contract.feeds import Batch, Cursor, Feed, Put
from cloud_sync.contract.opening_hours import Calendar
from cloud_sync.contract.pickup import FINAL, HubStep, PickupState, ShortReason, Step
from cloud_sync.contract.pickup_deadlines import expires_ms, promised_ms
from cloud_sync.contract.pickup_order import (
    Applied,
    PickupOrder,
    Said,
    Taken,
    is_to_charge_again,
    refund_milli,
    said,
    state_of,
    taken,
)
from cloud_sync.contract.pickup_rules import complete, is_refused_by_revision, refusal
from edge.db.connection import Connection
from edge.db.ledger import Chain, Draft, Outcome, draft, fact_of, is_recorded, raise_exception, record
from edge.db.queries import LEDGER
from edge.db.shortages import tell_short
from edge.errors import Rejected
from edge.limits import PICKUPS_LISTED_MAX, PLANNED_LOOK_EVERY_S
from edge.pickups.collectors import Collectors
from edge.pickups.deadlines import Deadlines
from edge.pickups.parcels import hear_labels, note_handed, read_parcel, ship_refusal
from edge.pickups.past import HUB, REASSIGNED, replay_past
from edge.pickups.people import PeopleVault
from edge.pickups.planned import Act, Chooser, PlannedSteps
from edge.pickups.requests import OWN, StepRequest, fact_key, own_id
from edge.pickups.rows import (
    Pickup,
    PickupRow,
    fact_of_step,
    order_of,
    read_lines,
    read_row,
    row_of,
    words_of,
    write_order,
)
from edge.store import Store, Topic

__all__ = ["PickupDesk", "StepRequest"]

_order_decoder = msgspec.json.Decoder(Order)
_NOT_FOR_PEOPLE = frozenset({Step.ACCEPT, Step.REJECT, Step.CANCEL, Step.EXPIRE})
_FACTS_OF_WORDS: Mapping[HubStep, Step] = {
    HubStep.NOTIFY: Step.READY, HubStep.ARRIVE: Step.READY, HubStep.ANSWER: Step.DECIDE,
    HubStep.REQUEST_CANCEL: Step.CANCEL, HubStep.REASSIGN: Step.CANCEL}
"""As what a word of the hub that changed something stands in the ledger."""


LateFact = Callable[[Connection, Chain, Draft, int], None]
"""What a fact means for counts that are newer than itself; `edge.stock.late_facts.let_counts_stand`."""


class PickupDesk:
    """Orders to be picked and handed over in this store."""

    def __init__(self, store: Store, vault: PeopleVault, late: LateFact | None = None) -> None:
        """`late`: told of a step that became a fact some seconds after it was taken, inside the writer."""
        self._store = store
        self._vault = vault
        self._late = late
        self._collectors = Collectors(vault)
        self.planned = PlannedSteps(store, self)
        self._deadlines = Deadlines(store, self, self.planned)
        self._plans = asyncio.Event()
        self._plans.set()  # an earlier run may have left some

    def cursor(self) -> Cursor | None:
        """How far this store has come in the orders feed."""
        row = self._store.books.ledger_reader.execute(LEDGER.cursor, (Feed.ORDERS,)).fetchone()
        return Cursor(*row) if row else None

    async def apply(self, batch: Batch) -> None:
        """Take orders from the hub: rows, reservation and cursor in one transaction. Heard again it changes nothing."""
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
        listed = [self._with_lines(row_of(row)) for row in rows]
        return [each for each in listed if not each.planned or each.row.state not in FINAL
                or any(line.staged_milli for line in each.lines)]

    def find(self, order_id: str) -> Pickup | None:
        """One order, finished or not."""
        row = read_row(self._store.books.ledger_reader, order_id)
        return self._with_lines(row) if row else None

    def order_with_code(self, code: str) -> str | None:
        """The order that is ready under this pickup code: one indexed read."""
        reader = self._store.books.ledger_reader
        row = reader.execute(LEDGER.pickup_by_code, (self._vault.code_hmac(code),)).fetchone()
        return str(row[0]) if row else None

    async def take_step(self, request: StepRequest) -> Pickup:
        """Take a step once; a repeat changes nothing. Raises `Rejected` for a step that may not be taken now.

        Accepting, rejecting and cancelling are not taken here: they follow from what the hub says.
        """
        why_not = await self._store.record(lambda connection: self._step(connection, request))
        if why_not:
            raise Rejected(why_not)
        self._store.tell(Topic.PICKUP, request.order_id)
        found = self.find(request.order_id)
        assert found is not None
        return found

    async def plan(self, act_id: str, actor: str, choose: Chooser) -> Act:
        """Take steps that the person may take back for `UNDO_S` (`edge.pickups.planned`), once. Raises `Rejected`."""
        act = await self._store.record(lambda connection: self.planned.plan(connection, act_id, actor, choose))
        if isinstance(act, str):
            raise Rejected(act)
        self._plans.set()
        self._store.tell(Topic.PICKUP, *act.orders)
        return act

    async def take_back(self, act_id: str, actor: str) -> Act | None:
        """Undo an act of this person; `None` when it is too late."""
        act = await self._store.record(lambda connection: self.planned.take_back(connection, act_id, actor))
        if act is not None:
            self._store.tell(Topic.PICKUP, *act.orders)
        return act

    async def settle_due(self) -> None:
        """What can be taken back no longer becomes facts."""
        for act_id in self.planned.due(self._store.books.ledger_reader):
            act = await self._store.record(partial(self.planned.settle, act_id=act_id))
            if act is not None:
                self._store.tell(Topic.PICKUP, *act.orders)

    async def run(self) -> None:
        """Let steps become facts when their time is over, until cancelled. Raises `Transient`, `Corrupt`."""
        while True:
            await self._plans.wait()
            self._plans.clear()
            while self.planned.is_waiting(self._store.books.ledger_reader):
                await self.settle_due()
                await asyncio.sleep(PLANNED_LOOK_EVERY_S)

    async def erase_people(self) -> None:
        """Forget people whose time has come."""
        now_ms, books = self._store.clock.wall_ms(), self._store.books
        if books.ledger_reader.execute(LEDGER.people_due, (now_ms,)).fetchone():
            await books.ledger.submit(lambda connection: connection.execute(LEDGER.erase_people, (now_ms,)))
        if self.planned.has_forgotten(books.ledger_reader):
            await books.ledger.submit(self.planned.forget)

    async def keep_deadlines(self) -> None:
        """Do what the time asks for, by the store's clock (`edge.pickups.deadlines`)."""
        await self._deadlines.keep(self.open())

    def _with_lines(self, row: PickupRow) -> Pickup:
        reader, policy = self._store.books.ledger_reader, self._store.policy
        person = reader.execute(LEDGER.person, (row.person_id,)).fetchone() if row.person_id else None
        calendar = Calendar.of(policy, self._store.identity.time_zone)
        lines = read_lines(reader, row.order_id)
        value, act, place = self.planned.seen(reader, row, order_of(row, lines))
        if act:
            row = replace(row, state=state_of(value), progress=value.progress, ended=value.end, place=place)
        return Pickup(row, value.lines, self._vault.unseal(person[0]) if person else None,
                      promised_ms(calendar, row.placed_ms, policy.prepare_s),
                      None if row.is_shipped else expires_ms(calendar, policy, row.placed_ms, row.notified_ms), act)

    def _take(self, connection: Connection, order: Order, sealed: bytes | None) -> None:
        known = read_row(connection, order.order_id)
        if known is None:
            self._accept_new(connection, order, sealed)
        else:  # by its words, not by its revision: a hub that was restored counts revisions anew
            self.planned.settle_order(connection, order.order_id)
            said = order.revision, order.cancel_requested, order.confirmed
            if said != (known.revision, known.cancel_requested, known.confirmed):
                connection.execute(LEDGER.update_pickup_from_hub, (order.revision, int(order.cancel_requested),
                                                                   int(order.confirmed), order.order_id))
            self._hear(connection, order)
            now_ms = self._store.clock.wall_ms()
            hear_labels(connection, self._store.books.chain, order, now_ms, self._store.business_day(now_ms))

    def _accept_new(self, connection: Connection, order: Order, sealed: bytes | None) -> None:
        now_ms = self._store.clock.wall_ms()
        code = self._vault.code_hmac(order.pickup_code) if order.pickup_code else ""
        connection.execute(LEDGER.insert_pickup, (
            order.order_id, order.revision, PickupState.PLACED, order.placed_ms, order.currency, code, order.person_id,
            order.notified_ms, int(order.cancel_requested), now_ms, order.offer, order.accept_by_ms,
            int(order.confirmed), order.method))
        for line in order.lines:
            connection.execute(LEDGER.insert_pickup_line, (order.order_id, line.line, line.sku, line.quantity_milli,
                                                           line.price_minor, int(line.may_substitute)))
        if sealed and order.person_id:  # whatever becomes of the order, its person is forgotten at last
            forget_ms = now_ms + (self._store.policy.hold_max_s + self._store.policy.person_keep_s) * 1000
            connection.execute(LEDGER.put_person, (order.person_id, sealed, forget_ms))
        known_before = replay_past(connection, order.order_id)
        self._hear(connection, order)
        row, value = self._value(connection, order.order_id)
        if known_before:
            if row.state in FINAL:
                self._erase_later(connection, row)
        elif row.state is PickupState.PLACED:
            request = StepRequest(order.order_id, own_id(order.order_id, "reserve"), Step.ACCEPT, HUB)
            reason = self._why_not(connection, order, value)
            step = Taken(Step.REJECT) if reason else complete(value, Taken(Step.ACCEPT))
            self._write(connection, row, replace(request, reason=reason), step, value, taken(value, step))

    def _hear(self, connection: Connection, order: Order) -> None:
        """What the hub says about the order; what that changes here stands in the ledger as a step of its own."""
        for word in words_of(order):
            row, value = self._value(connection, order.order_id)
            after = said(value, word)
            step_id = own_id(order.order_id, _name_of(word))
            nothing_new = state_of(after.order) is row.state and not after.moves
            if nothing_new or is_recorded(connection, fact_key(step_id)):
                write_order(connection, value, after.order, self._store.clock.wall_ms())
                self._tell_owed(connection, after.order)
            else:
                changed = tuple((line.line, line.ordered_milli) for line in value.lines
                                if line != after.order.line(line.line))
                step = Taken(_FACTS_OF_WORDS[word.step], changed, accept=word.accept)
                reason = REASSIGNED if word.step is HubStep.REASSIGN else ""
                request = StepRequest(order.order_id, step_id, step.step, HUB, reason=reason)
                self._write(connection, row, request, step, value, after)

    def _value(self, connection: Connection, order_id: str) -> tuple[PickupRow, PickupOrder]:
        found = self.order_now(connection, order_id)
        assert found is not None, "it was looked up, or written, before"
        return found

    def _why_not(self, connection: Connection, order: Order, value: PickupOrder) -> str:
        """Why the order cannot be promised: a reservation may not take available-to-promise below zero (P5)."""
        late = order.accept_by_ms is not None and self._store.clock.wall_ms() >= order.accept_by_ms
        if order.offer and not order.confirmed and late and self._store.clock.trusted:
            return "offered too long ago: the hub asks another store"
        if not order.lines or any(line.quantity_milli <= 0 for line in order.lines):
            return "a line without a quantity"
        if len({line.line for line in order.lines}) < len(order.lines):
            return "two lines of one number"
        whole = Taken(Step.ACCEPT, tuple((line.line, line.ordered_milli) for line in value.lines))
        return refusal(value, whole, {line.sku: self._available_milli(connection, line.sku) for line in value.lines})

    def _available_milli(self, connection: Connection, sku: str) -> int:
        row = connection.execute(LEDGER.stock, (sku,)).fetchone()
        return (row[0] if row else 0) - self._store.policy.safety_stock_milli

    def _step(self, connection: Connection, request: StepRequest) -> str:
        """Take the step inside the writer; returns why not, or an empty text. A counted code attempt is kept."""
        self.planned.settle_order(connection, request.order_id)
        found = self.order_now(connection, request.order_id)
        if found is None:
            return f"no order {request.order_id} in this store"
        if self.was_taken(connection, request.transition_id):
            return _as_repeat(request, fact_of(connection, fact_key(request.transition_id)))
        row, value = found
        why_not, step = self.judged(connection, row, value, request)
        if not why_not and request.step is Step.HAND_OVER:
            why_not = self.code_refusal(connection, row, request)
        if not why_not:
            self._write(connection, row, request, step, value, taken(value, step))
        return why_not

    # --- what planned steps ask of the desk (`edge.pickups.planned.StepBooks`) ------------------------------------

    def order_now(self, connection: Connection, order_id: str) -> tuple[PickupRow, PickupOrder] | None:
        """The order as the ledger has it."""
        row = read_row(connection, order_id)
        return (row, order_of(row, read_lines(connection, order_id))) if row else None

    def customer(self, connection: Connection, row: PickupRow) -> str:
        """Who collects; empty when that is not known, or forgotten."""
        return self._collectors.customer(connection, row)

    def was_taken(self, connection: Connection, transition_id: str) -> bool:
        """Whether a fact of this id is there."""
        return is_recorded(connection, fact_key(transition_id))

    def fact_taken(self, connection: Connection, transition_id: str) -> PickupStep | None:
        """The fact of this id, while its entry is kept."""
        fact = fact_of(connection, fact_key(transition_id))
        return fact if isinstance(fact, PickupStep) else None

    def judged(self, connection: Connection, row: PickupRow, value: PickupOrder, request: StepRequest
               ) -> tuple[str, Taken]:
        """The step with every quantity named, and why it may not be taken; an empty text if it may."""
        step = self._asked(connection, value, request)
        if request.transition_id.startswith(OWN):
            return f"no step but our own has an id that begins with {OWN}", step
        if request.step in _NOT_FOR_PEOPLE:
            return f"{request.step.value} is for the hub to say", step
        if is_refused_by_revision(request.step, request.expected_rev, row.revision):
            return f"order {row.order_id} has changed: look at it again", step
        if row.is_shipped:
            told_why = request.supervised and bool(request.reason.strip())
            if why_not := ship_refusal(connection, row, step, request.parcel_id, told_why):
                return why_not, step
        available = {step.offer.sku: self._available_milli(connection, step.offer.sku)} if step.offer else {}
        return refusal(value, step, available), step

    def write(self, connection: Connection, row: PickupRow, request: StepRequest, step: Taken, value: PickupOrder,
              occurred_ms: int) -> None:
        """The step as a fact, as of when it was taken."""
        self._write(connection, row, request, step, value, taken(value, step), occurred_ms)

    def restate(self, connection: Connection, row: PickupRow, request: StepRequest, step: Taken, value: PickupOrder
                ) -> None:
        """A step that was taken before, as a fact once more: it says where the order stands and moves nothing."""
        self._write(connection, row, request, step, value, Applied(value, ()))

    def _asked(self, connection: Connection, value: PickupOrder, request: StepRequest) -> Taken:
        """The request in the contract's words, with every quantity named."""
        parcel = read_parcel(connection, request.parcel_id) if request.parcel_id else None
        whole_parcel = parcel is not None and parcel.order_id == value.order_id
        asked = Taken(request.step, parcel.lines if parcel is not None and whole_parcel else request.quantities,
                      request.short_reason, None, request.accept, request.from_staged)
        step = complete(value, asked, () if request.line is None else (request.line,))
        original = value.line(step.quantities[0][0]) if step.quantities else None
        if original is not None and request.short_reason is ShortReason.NOT_IN_STOCK and len(step.quantities) == 1:
            stock = connection.execute(LEDGER.stock, (original.sku,)).fetchone()
            step = replace(step, written_off_milli=max(0, stock[0] if stock else 0))
        if request.substitute is not None and original is not None:
            number = max(line.line for line in value.lines) + 1
            step = replace(step, offer=replace(request.substitute, line=number, replaces=original.line))
        return step

    def code_refusal(self, connection: Connection, row: PickupRow, request: StepRequest) -> str:
        """Why this caller may not take the goods away; counts a wrong code."""
        return self._collectors.refusal(connection, row, request)

    def _tell_owed(self, connection: Connection, order: PickupOrder) -> None:
        """Goods that left against a wish, or with an order that had ended: a person sees to the money (P6)."""
        state = state_of(order)
        owed = {"late-cancel": f"cancel requested, but the order is {state}: refund it" if refund_milli(order) else "",
                "left-after-end": f"the order had ended and is {state}: charge it again"
                if is_to_charge_again(order) else ""}
        for reason, detail in owed.items():
            if detail:
                raise_exception(connection, self._store.books.chain,
                                ExceptionRaised(reason=reason, about=order.order_id, detail=detail),
                                self._store.clock.wall_ms(), key=f"{reason}/{order.order_id}")

    def _erase_later(self, connection: Connection, row: PickupRow) -> None:
        """The person is not needed any more; unless another order of the same person still is open."""
        erase_ms = self._store.clock.wall_ms() + self._store.policy.person_keep_s * 1000
        connection.execute(LEDGER.set_person_erasure, (erase_ms, row.person_id, row.person_id, row.order_id))

    def _write(self, connection: Connection, row: PickupRow, request: StepRequest, step: Taken, before: PickupOrder,
               applied: Applied, occurred_ms: int | None = None) -> None:
        """The step as a fact, with its stock moves, and what became of the order. `occurred_ms`: now if `None`."""
        now_ms, after = self._store.clock.wall_ms(), applied.order
        occurred_ms = now_ms if occurred_ms is None else occurred_ms
        state = state_of(after)
        fact = msgspec.structs.replace(
            fact_of_step(row, request.transition_id, step, state, request.actor, request.reason),
            moves=applied.moves, place=request.place,
            parcel_id=request.parcel_id if row.is_shipped and step.step is Step.HAND_OVER else "")
        made = draft(fact_key(request.transition_id), fact, occurred_ms=occurred_ms, recorded_ms=now_ms,
                     business_day=self._store.business_day(occurred_ms))
        receipt = record(connection, self._store.books.chain, made)
        assert receipt.outcome is Outcome.NEW, f"{made.fact_key} was taken before, as somebody looked up"
        write_order(connection, before, after, now_ms)
        taken_off = {move.sku for move in applied.moves if move.sellable_milli < 0}
        tell_short(connection, self._store.books.chain, made, [sku for sku in receipt.short_skus if sku in taken_off])
        if fact.parcel_id:
            note_handed(connection, fact.parcel_id)
        connection.execute(LEDGER.set_pickup_state, (state, now_ms, receipt.epoch, receipt.sequence, row.order_id))
        if request.place:
            connection.execute(LEDGER.set_pickup_place, (request.place, row.order_id))
        if state in FINAL and row.state not in FINAL and row.person_id:
            self._erase_later(connection, row)
        self._tell_owed(connection, after)
        if self._late is not None and occurred_ms < now_ms:
            self._late(connection, self._store.books.chain, made, occurred_ms)


def _as_repeat(request: StepRequest, taken_before: Fact | None) -> str:
    """The id was used before, `taken_before` is what for (`None`: so long ago that only the id is remembered)."""
    if not isinstance(taken_before, PickupStep):
        return ""
    before = (taken_before.order_id, taken_before.step, taken_before.parcel_id)
    if before == (request.order_id, request.step, request.parcel_id):
        return ""
    return (f"{request.transition_id} was {taken_before.step} of order {taken_before.order_id}; "
            "mint another id for every step")


def _name_of(word: Said) -> str:
    """What a word's own step is called: the same word again has the same name."""
    name = "cancel" if word.step is HubStep.REQUEST_CANCEL else word.step.value
    return "-".join((name, *(str(line) for line in word.lines), *((str(word.at_ms),) if word.at_ms else ())))
