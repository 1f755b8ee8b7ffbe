"""What tills and staff ask of pickups, tasks and held prices."""

from collections.abc import Mapping
from typing import Annotated

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from cloud_sync.contract.pickup import Step
from edge.limits import KEY_CHARACTERS_MAX
from edge.pickups.desk import Pickup, PickupDesk, StepRequest
from edge.pos.access import Role
from edge.pos.app import Handler, body_of, json_response, principal_of
from edge.pos.problems import ProblemAnswer
from edge.prices.guard_desk import GuardDesk
from edge.tasks import TaskDesk

_Key = Annotated[str, msgspec.Meta(min_length=1, max_length=KEY_CHARACTERS_MAX, pattern=r"^[^\x00-\x1f\x7f]*$")]
_Text = Annotated[str, msgspec.Meta(max_length=KEY_CHARACTERS_MAX)]


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
        wanted = StepRequest(request.path_params["order_id"], body.transition_id, body.step, caller.id, body.line,
                             body.code, body.reason, supervised=caller.role is Role.SUPERVISOR and not body.code)
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
    lines = [PickupLineOut(line.line, line.sku, line.quantity_milli, line.picked_milli, line.price_minor)
             for line in pickup.lines]
    return PickupOut(pickup.row.order_id, pickup.row.state, pickup.row.revision, pickup.row.placed_ms,
                     pickup.person.display_name if pickup.person else "", lines)
