"""What tills and staff ask of stock, pickups and held prices."""

from collections.abc import Mapping
from typing import Annotated

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from cloud_sync.contract.facts import QUANTITY_MILLI_MAX, Movement, StockMove
from cloud_sync.contract.pickup import Step
from edge.db.connection import Connection
from edge.db.ledger import Outcome, draft, record
from edge.db.queries import LEDGER
from edge.limits import KEY_CHARACTERS_MAX, TRANSACTION_LINES_MAX
from edge.pickups.desk import Pickup, PickupDesk, StepRequest
from edge.pos.access import Role
from edge.pos.app import Handler, body_of, json_response, principal_of
from edge.pos.problems import ProblemAnswer
from edge.prices.guard_desk import GuardDesk
from edge.store import Store

_Key = Annotated[str, msgspec.Meta(min_length=1, max_length=KEY_CHARACTERS_MAX, pattern=r"^[^\x00-\x1f\x7f]*$")]
_Text = Annotated[str, msgspec.Meta(max_length=KEY_CHARACTERS_MAX)]


class StockOut(msgspec.Struct, frozen=True):
    """A SKU's disjoint buckets and what may be promised, in thousandths."""

    sku: str
    on_hand_milli: int
    sellable_milli: int
    reserved_milli: int
    staged_milli: int
    quarantine_milli: int
    available_milli: int


class ReceivedLine(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Goods of one SKU; `quantity_milli` in thousandths."""

    sku: _Key
    quantity_milli: Annotated[int, msgspec.Meta(ge=-QUANTITY_MILLI_MAX, le=QUANTITY_MILLI_MAX)]


class MovementIn(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Goods that came in. `movement_id` is minted by the caller: sent twice, it counts once."""

    movement_id: _Key
    lines: list[ReceivedLine]
    reason: _Text = "receipt"
    document: _Text = ""


class StepIn(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A pickup step. `transition_id` is minted by the caller; `line` for one line, absent for all.

    A supervisor hands over without `code`, with a `reason`.
    """

    transition_id: _Key
    step: Step
    line: int | None = None
    code: _Text = ""
    reason: _Text = ""


class PickupOut(msgspec.Struct, frozen=True):
    """An order as a till or the page sees it; the customer's name only as far as a hand-over needs."""

    order_id: str
    state: str
    revision: int
    placed_ms: int
    customer: str
    lines: list["PickupLineOut"]


class PickupLineOut(msgspec.Struct, frozen=True):
    """A line; quantities in thousandths, price per unit in minor units."""

    line: int
    sku: str
    quantity_milli: int
    picked_milli: int
    price_minor: int


class DecisionIn(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A person's word on a held batch."""

    approve: bool
    reason: str = ""


def store_handlers(store: Store, pickups: PickupDesk, guard: GuardDesk) -> Mapping[str, Handler]:
    """The handlers of stock, pickups and held prices, by the names in `edge.pos.access.RULES`."""

    async def stock(request: Request) -> Response:
        return json_response(stock_of(store, request.path_params["sku"]))

    async def post_movement(request: Request) -> Response:
        body = msgspec.json.decode(await body_of(request), type=MovementIn)
        receipt = await receive(store, body, principal_of(request).id)
        return Response(receipt, 201, media_type="application/json")

    async def list_pickups(_request: Request) -> Response:
        return json_response([pickup_out(pickup) for pickup in pickups.open()])

    async def one_pickup(request: Request) -> Response:
        found = pickups.find(request.path_params["order_id"])
        if found is None:
            raise ProblemAnswer(404, "unknown-order", "No such order in this store")
        return json_response(pickup_out(found))

    async def post_pickup_step(request: Request) -> Response:
        body = msgspec.json.decode(await body_of(request), type=StepIn)
        caller = principal_of(request)
        wanted = StepRequest(request.path_params["order_id"], body.transition_id, body.step, caller.id, body.line,
                             body.code, body.reason, supervised=caller.role is Role.SUPERVISOR and not body.code)
        return json_response(pickup_out(await pickups.take_step(wanted)))

    async def held_batches(_request: Request) -> Response:
        return json_response(guard.held())

    async def decide_held_batch(request: Request) -> Response:
        body = msgspec.json.decode(await body_of(request), type=DecisionIn)
        changed = await guard.decide(request.path_params["digest"], body.approve, principal_of(request).id, body.reason)
        return json_response({"prices_changed": changed})

    return {"stock": stock, "post_movement": post_movement, "pickups": list_pickups, "pickup": one_pickup,
            "post_pickup_step": post_pickup_step, "held_batches": held_batches, "decide_held_batch": decide_held_batch}


def stock_of(store: Store, sku: str) -> StockOut:
    """The store's stock of a SKU; zeros for one that never moved."""
    row = store.books.ledger_reader.execute(LEDGER.stock, (sku,)).fetchone() or (0, 0, 0, 0)
    sellable, reserved, staged, quarantine = row
    return StockOut(sku, sellable + reserved + staged, sellable, reserved, staged, quarantine,
                    sellable - store.policy.safety_stock_milli)


async def receive(store: Store, body: MovementIn, actor: str) -> bytes:
    """Record goods that came in; returns the answer's JSON. Raises a 409 problem for another meaning of the same id."""
    if len(body.lines) > TRANSACTION_LINES_MAX:
        raise ProblemAnswer(400, "malformed", "Too many lines", f"at most {TRANSACTION_LINES_MAX}", recorded=False)
    now_ms = store.clock.wall_ms()
    moves = tuple(StockMove(line.sku, sellable_milli=line.quantity_milli) for line in body.lines)
    fact = Movement(reason=body.reason, moves=moves, actor=actor, document=body.document)
    made = draft(f"movement/{body.movement_id}", fact, occurred_ms=now_ms, recorded_ms=now_ms,
                 business_day=store.business_day(now_ms))

    def operation(connection: Connection) -> tuple[Outcome, bytes]:
        receipt = record(connection, store.books.chain, made)
        return receipt.outcome, receipt.answer

    outcome, answer = await store.record(operation)
    if outcome is Outcome.CONFLICT:
        raise ProblemAnswer(409, "conflict", "This movement was sent before with another meaning",
                            "both are kept; a person decides", recorded=True)
    return answer


def pickup_out(pickup: Pickup) -> PickupOut:
    """What an API caller may see of an order."""
    lines = [PickupLineOut(line.line, line.sku, line.quantity_milli, line.picked_milli, line.price_minor)
             for line in pickup.lines]
    return PickupOut(pickup.row.order_id, pickup.row.state, pickup.row.revision, pickup.row.placed_ms,
                     pickup.person.display_name if pickup.person else "", lines)
