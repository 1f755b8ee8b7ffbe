"""Goods over HTTP: expected deliveries, transfers to other stores, adjustments, and the audit of reservations."""

from collections.abc import Mapping
from typing import Annotated

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from cloud_sync.contract.facts import QUANTITY_MILLI_MAX, TransferLine
from edge.domain.barcode import CODE_LENGTH_MAX
from edge.errors import Rejected
from edge.limits import KEY_CHARACTERS_MAX, TRANSACTION_LINES_MAX
from edge.pos.access import Role
from edge.pos.app import Handler, JsonBytes, body_of, json_response, principal_of
from edge.pos.problems import ProblemAnswer
from edge.pos.stock_answers import told
from edge.stock.deliveries import Differs, Expected, ReceiptRequest
from edge.stock.desk import StockDesk
from edge.stock.moves import AdjustmentRequest, Reason

_Key = Annotated[str, msgspec.Meta(min_length=1, max_length=KEY_CHARACTERS_MAX, pattern=r"^[^\x00-\x1f\x7f]*$")]
NAME_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"
"""What a store and a transfer may be called."""

_Name = Annotated[str, msgspec.Meta(pattern=NAME_PATTERN)]
_Text = Annotated[str, msgspec.Meta(max_length=KEY_CHARACTERS_MAX)]
_Code = Annotated[str, msgspec.Meta(min_length=1, max_length=CODE_LENGTH_MAX)]
_Change = Annotated[int, msgspec.Meta(ge=-QUANTITY_MILLI_MAX, le=QUANTITY_MILLI_MAX)]
_Some = Annotated[int, msgspec.Meta(ge=1, le=QUANTITY_MILLI_MAX)]


class DeliveryLineOut(msgspec.Struct, frozen=True):
    """A SKU of a delivery. `received_milli`: all that came, `damaged_milli` of it cannot be sold."""

    sku: str
    expected_milli: int
    received_milli: int
    damaged_milli: int
    differs: list[Differs]


class DeliveryOut(msgspec.Struct, frozen=True):
    """A delivery and how far it came in. `from_store`: another store sent it."""

    delivery_id: str
    supplier: str
    reference: str
    due_ms: int | None
    from_store: str
    withdrawn: bool
    closed_ms: int | None
    lines: list[DeliveryLineOut]


class ReceiptIn(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Units that came in. `receipt_id` is minted by the caller: sent twice, they count once. `code`: a barcode or SKU.

    Negative ones take a mistake back.
    """

    receipt_id: _Key
    code: _Code
    quantity_milli: _Change = 1000
    damaged_milli: _Change = 0


class ActIn(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Something that is done once per `act_id`, minted by the caller."""

    act_id: _Key
    note: _Text = ""


class TransferLineIn(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Units of a SKU, in thousandths."""

    sku: _Key
    quantity_milli: _Some


class TransferIn(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Goods that leave for another store. `transfer_id` is minted by the caller: sent twice, they leave once."""

    transfer_id: _Name
    to_store: _Name
    lines: Annotated[list[TransferLineIn], msgspec.Meta(min_length=1, max_length=TRANSACTION_LINES_MAX)]
    note: _Text = ""


class AdjustmentIn(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Stock that is otherwise than the book says, and why; the reason says which way it goes."""

    act_id: _Key
    code: _Code
    quantity_milli: _Some
    reason: Reason
    note: _Text = ""


def goods_handlers(desk: StockDesk) -> Mapping[str, Handler]:
    """The handlers of goods, by the names in `edge.pos.access.RULES`."""

    async def deliveries(_request: Request) -> Response:
        return json_response([_delivery(each) for each in desk.deliveries.open()])

    async def delivery(request: Request) -> Response:
        return json_response(_delivery(_found(desk, request)))

    async def receive_delivery(request: Request) -> Response:
        body = msgspec.json.decode(await body_of(request), type=ReceiptIn)
        found = _found(desk, request)
        sku = sku_in(desk, found, body.code)
        return JsonBytes(await told(desk.deliveries.receive(ReceiptRequest(
            body.receipt_id, found.delivery_id, sku, body.quantity_milli, principal_of(request).id,
            body.damaged_milli))), 201)

    async def receive_rest(request: Request) -> Response:
        body = msgspec.json.decode(await body_of(request), type=ActIn)
        return JsonBytes(await told(desk.deliveries.receive_rest(
            body.act_id, request.path_params["delivery_id"], principal_of(request).id)), 201)

    async def close_delivery(request: Request) -> Response:
        body = msgspec.json.decode(await body_of(request), type=ActIn)
        return JsonBytes(await told(desk.deliveries.close(
            body.act_id, request.path_params["delivery_id"], principal_of(request).id, body.note)), 201)

    async def send_transfer(request: Request) -> Response:
        body = msgspec.json.decode(await body_of(request), type=TransferIn)
        lines = [TransferLine(line.sku, line.quantity_milli) for line in body.lines]
        return JsonBytes(await told(desk.moves.send(body.transfer_id, body.to_store, lines, principal_of(request).id,
                                                    body.note)), 201)

    async def post_adjustment(request: Request) -> Response:
        body, caller = msgspec.json.decode(await body_of(request), type=AdjustmentIn), principal_of(request)
        sku = desk.prices.sku_of(body.code)
        if not sku:
            raise Rejected(f"no product under {body.code!r} in the catalogue")
        return JsonBytes(await told(desk.moves.adjust(AdjustmentRequest(
            body.act_id, sku, body.quantity_milli, body.reason, caller.id, body.note,
            caller.role is Role.SUPERVISOR))), 201)

    async def reservation_audit(_request: Request) -> Response:
        return json_response(desk.audit.report())

    async def repair_reservations(request: Request) -> Response:
        body = msgspec.json.decode(await body_of(request), type=ActIn)
        return JsonBytes(await told(desk.audit.repair(body.act_id, principal_of(request).id)), 201)

    return {"deliveries": deliveries, "delivery": delivery, "receive_delivery": receive_delivery,
            "receive_rest": receive_rest, "close_delivery": close_delivery, "send_transfer": send_transfer,
            "post_adjustment": post_adjustment, "reservation_audit": reservation_audit,
            "repair_reservations": repair_reservations}


def sku_in(desk: StockDesk, delivery: Expected, code: str) -> str:
    """The SKU a code means; one of the delivery may not be in the catalogue yet. Raises `Rejected`."""
    sku = desk.prices.sku_of(code) or next((line.sku for line in delivery.lines if line.sku == code), "")
    if not sku:
        raise Rejected(f"no product under {code!r} in the catalogue")
    return sku


def _found(desk: StockDesk, request: Request) -> Expected:
    found = desk.deliveries.find(request.path_params["delivery_id"])
    if found is None:
        raise ProblemAnswer(404, "unknown", "There is no such delivery in this store")
    return found


def _delivery(each: Expected) -> DeliveryOut:
    lines = [DeliveryLineOut(line.sku, line.expected_milli, line.received_milli, line.damaged_milli, list(line.differs))
             for line in each.lines]
    return DeliveryOut(each.delivery_id, each.supplier, each.reference, each.due_ms, each.from_store, each.withdrawn,
                       each.closed_ms, lines)
