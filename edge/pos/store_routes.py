"""What tills and staff ask of pickups, tasks and held prices."""

from collections.abc import Mapping
from typing import Annotated

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from cloud_sync.contract.pickup import ShortReason, Step
from cloud_sync.contract.pickup_order import Line
from edge.limits import KEY_CHARACTERS_MAX
from edge.pickups.desk import PickupDesk, StepRequest
from edge.pickups.rows import Pickup
from edge.pos.access import Role
from edge.pos.app import Handler, body_of, json_response, principal_of
from edge.pos.problems import ProblemAnswer
from edge.prices.guard_desk import GuardDesk
from edge.tasks import TaskDesk

_Key = Annotated[str, msgspec.Meta(min_length=1, max_length=KEY_CHARACTERS_MAX, pattern=r"^[^\x00-\x1f\x7f]*$")]
_Text = Annotated[str, msgspec.Meta(max_length=KEY_CHARACTERS_MAX)]


class StepLineIn(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Part of a line, in thousandths."""

    line: int
    quantity_milli: int


class SubstituteIn(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is offered instead; price per unit in minor units."""

    sku: _Key
    quantity_milli: int
    price_minor: int


class StepIn(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A pickup step. `transition_id` is minted by the caller; `line` for one line, absent for all; `quantities` for
    part of some.

    A supervisor hands over without `code`, with a `reason`. `short` and `offer` need a `short_reason`
    (`from_staged`: of goods that had been put aside), an offer its `substitute`, `decide` whether to `accept`.
    `expected_rev`: refuse what is no physical fact if the order has another revision by now. `place`: where the order
    stands from now on, put aside.
    """

    transition_id: _Key
    step: Step
    line: int | None = None
    code: _Text = ""
    reason: _Text = ""
    quantities: tuple[StepLineIn, ...] = ()
    short_reason: ShortReason | None = None
    substitute: SubstituteIn | None = None
    accept: bool = False
    from_staged: bool = False
    expected_rev: int | None = None
    place: Annotated[str, msgspec.Meta(max_length=64)] = ""


class PickupOut(msgspec.Struct, frozen=True):
    """An order as a till or the page sees it; the customer's name only as far as a hand-over needs.

    `arrived_ms`, `bay`: the customer is here. `promised_ms`, `expires_ms`: until when it should be ready, and is kept.
    `awaits_hub`: the hub has not confirmed yet that it is this store's; it is let go at `accept_by_ms`. `place`: where
    it stands put aside.
    """

    order_id: str
    state: str
    revision: int
    placed_ms: int
    customer: str
    lines: list["PickupLineOut"]
    arrived_ms: int | None = None
    bay: str = ""
    cancel_requested: bool = False
    promised_ms: int | None = None
    expires_ms: int | None = None
    awaits_hub: bool = False
    accept_by_ms: int | None = None
    method: str = "pickup"
    place: str = ""


class PickupLineOut(msgspec.Struct, frozen=True):
    """A line; quantities in thousandths, price per unit in minor units.

    `picked_milli`: picked so far, `staged_milli` of it still put aside, `handed_milli` gone. `short_milli` will not
    come. `replaces`, `answer`: a substitute, and what the customer said.
    """

    line: int
    sku: str
    quantity_milli: int
    picked_milli: int
    price_minor: int
    staged_milli: int
    handed_milli: int
    short_milli: int
    cancelled: bool
    replaces: int | None
    answer: str


class DoneIn(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A task was done, as it stood at `revision`."""

    revision: int
    note: _Text = ""


class DecisionIn(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A person's word on a held batch."""

    approve: bool
    reason: str = ""


class Decided(msgspec.Struct, frozen=True):
    """How many prices a decision let through."""

    prices_changed: int


class Recorded(msgspec.Struct, frozen=True):
    """It is durable."""

    recorded: bool


def store_handlers(pickups: PickupDesk, guard: GuardDesk, tasks: TaskDesk) -> Mapping[str, Handler]:
    """The handlers of pickups, tasks and held prices, by the names in `edge.pos.access.RULES`."""

    async def list_pickups(_request: Request) -> Response:
        return json_response([pickup_out(pickup) for pickup in pickups.open()])

    async def one_pickup(request: Request) -> Response:
        found = pickups.find(request.path_params["order_id"])
        if found is None:
            raise ProblemAnswer(404, "unknown-order", "No such order in this store")
        return json_response(pickup_out(found))

    async def post_pickup_step(request: Request) -> Response:
        body = msgspec.json.decode(await body_of(request), type=StepIn)
        if pickups.find(request.path_params["order_id"]) is None:
            raise ProblemAnswer(404, "unknown-order", "No such order in this store")
        caller = principal_of(request)
        instead = body.substitute
        wanted = StepRequest(request.path_params["order_id"], body.transition_id, body.step, caller.id, body.line,
                             body.code, body.reason, caller.role is Role.SUPERVISOR and not body.code,
                             tuple((part.line, part.quantity_milli) for part in body.quantities), body.short_reason,
                             Line(0, instead.sku, instead.quantity_milli, instead.price_minor) if instead else None,
                             body.accept, body.from_staged, body.expected_rev, place=body.place)
        return json_response(pickup_out(await pickups.take_step(wanted)))

    async def held_batches(_request: Request) -> Response:
        return json_response(guard.held())

    async def decide_held_batch(request: Request) -> Response:
        body = msgspec.json.decode(await body_of(request), type=DecisionIn)
        changed = await guard.decide(request.path_params["digest"], body.approve, principal_of(request).id, body.reason)
        return json_response(Decided(changed))

    async def list_tasks(_request: Request) -> Response:
        return json_response(tasks.open())

    async def task_done(request: Request) -> Response:
        body = msgspec.json.decode(await body_of(request), type=DoneIn)
        await tasks.done(request.path_params["task_id"], body.revision, principal_of(request).id, body.note)
        return json_response(Recorded(True))

    return {"tasks": list_tasks, "task_done": task_done, "pickups": list_pickups, "pickup": one_pickup,
            "post_pickup_step": post_pickup_step,
            "held_batches": held_batches, "decide_held_batch": decide_held_batch}


def pickup_out(pickup: Pickup) -> PickupOut:
    """What an API caller may see of an order."""
    lines = [PickupLineOut(line.line, line.sku, line.ordered_milli, line.staged_milli + line.handed_milli,
                           line.price_minor, line.staged_milli, line.handed_milli, line.short_milli, line.cancelled,
                           line.replaces, line.answer)
             for line in pickup.lines]
    row = pickup.row
    return PickupOut(row.order_id, row.state, row.revision, row.placed_ms,
                     pickup.person.display_name if pickup.person else "", lines, row.arrived_ms, row.bay,
                     row.cancel_requested, pickup.promised_ms, pickup.expires_ms, row.awaits_hub,
                     row.accept_by_ms if row.awaits_hub else None, row.method, row.place)
