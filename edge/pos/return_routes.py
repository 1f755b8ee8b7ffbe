"""What tills and staff ask of returns of online orders, and of goods in quarantine."""

from collections.abc import Mapping
from typing import Annotated

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from cloud_sync.contract.facts import QUANTITY_MILLI_MAX, ReturnedLine
from cloud_sync.contract.returns import Grade
from edge.db.ledger import Outcome, Receipt
from edge.errors import Rejected
from edge.limits import KEY_CHARACTERS_MAX
from edge.pickups.desk import PickupDesk
from edge.pickups.returns import GradingRequest, Quarantined, Returnable, ReturnDesk, ReturnRequest
from edge.pos.app import Handler, JsonBytes, body_of, json_response, principal_of
from edge.pos.problems import ProblemAnswer
from edge.prices.price_desk import PriceDesk
from edge.store import Store

_Key = Annotated[str, msgspec.Meta(min_length=1, max_length=KEY_CHARACTERS_MAX, pattern=r"^[^\x00-\x1f\x7f]*$")]
_Text = Annotated[str, msgspec.Meta(max_length=KEY_CHARACTERS_MAX, pattern=r"^[^\x00-\x1f\x7f]*$")]
_Quantity = Annotated[int, msgspec.Meta(ge=1, le=QUANTITY_MILLI_MAX)]


class ReturnLineIn(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Goods that come back, in thousandths: by the order's `line`, by `sku`, or by `code` as scanned."""

    quantity_milli: _Quantity
    line: Annotated[int, msgspec.Meta(ge=0, le=2**31)] = 0
    sku: _Text = ""
    code: _Text = ""


class ReturnIn(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A return of an online order. `return_id` is minted by the caller: sent twice, it counts once."""

    return_id: _Key
    order_id: _Key
    lines: tuple[ReturnLineIn, ...]
    reason: _Text = ""


class ReturnableOut(msgspec.Struct, frozen=True):
    """What may come back of an order. `known`: it left from this store; else whatever the customer brings is taken in,
    and the hub decides about the money."""

    order_id: str
    known: bool
    lines: tuple[Returnable, ...]


class GradingIn(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What becomes of so much of a product in quarantine. `grading_id` is minted by the caller.

    `as_sku`: the article that reduced goods are sold as, if they have one of their own. `return_id`: which return.
    """

    grading_id: _Key
    sku: _Key
    quantity_milli: _Quantity
    grade: Grade
    reason: _Text = ""
    as_sku: _Text = ""
    return_id: _Text = ""


def return_handlers(store: Store, prices: PriceDesk, pickups: PickupDesk) -> Mapping[str, Handler]:
    """The handlers of returns and grading, by the names in `edge.pos.access.RULES`."""
    desk = ReturnDesk(store, pickups)

    async def returnable(request: Request) -> Response:
        order_id = request.path_params["order_id"]
        lines = desk.returnable(order_id)
        return json_response(ReturnableOut(order_id, bool(lines), lines))

    async def post_return(request: Request) -> Response:
        body = msgspec.json.decode(await body_of(request), type=ReturnIn)
        lines = tuple(ReturnedLine(_sku(prices, line), line.quantity_milli, line.line) for line in body.lines)
        taken = await desk.take(ReturnRequest(body.return_id, body.order_id, lines, principal_of(request).id,
                                              body.reason))
        return _answered(taken)

    async def post_grading(request: Request) -> Response:
        body = msgspec.json.decode(await body_of(request), type=GradingIn)
        return _answered(await desk.grade(GradingRequest(
            body.grading_id, body.sku, body.quantity_milli, body.grade, principal_of(request).id, body.reason,
            body.as_sku, body.return_id)))

    async def quarantine(_request: Request) -> Response:
        found: tuple[Quarantined, ...] = desk.quarantined()
        return json_response(found)

    return {"returnable": returnable, "post_return": post_return, "post_grading": post_grading,
            "quarantine": quarantine}


def _sku(prices: PriceDesk, line: ReturnLineIn) -> str:
    if line.sku or not line.code:
        return line.sku
    sku = prices.sku_of(line.code)
    if not sku:
        raise Rejected(f"no product under {line.code!r} in the catalogue")
    return sku


def _answered(receipt: Receipt) -> Response:
    if receipt.outcome is Outcome.CONFLICT:
        raise ProblemAnswer(409, "conflict", "This id was sent before with another meaning",
                            "both are kept; a person decides", recorded=True)
    return JsonBytes(receipt.answer, 201)
