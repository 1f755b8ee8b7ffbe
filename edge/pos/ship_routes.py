"""What staff asks of parcels: orders that this store sends."""

from collections.abc import Mapping
from typing import Annotated

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from cloud_sync.contract.facts import QUANTITY_MILLI_MAX
from cloud_sync.contract.parcels import CARRIER_MAX_CHARS, WEIGHT_G_MAX, Packing
from edge.db.ledger import Outcome
from edge.limits import KEY_CHARACTERS_MAX, TRANSACTION_LINES_MAX
from edge.pickups.desk import PickupDesk
from edge.pickups.shipping import LabelData, ParcelRequest, ShippingDesk
from edge.pos.access import Role
from edge.pos.app import Handler, JsonBytes, body_of, json_response, principal_of
from edge.pos.problems import ProblemAnswer
from edge.pos.store_routes import pickup_out
from edge.store import Store

_Key = Annotated[str, msgspec.Meta(min_length=1, max_length=KEY_CHARACTERS_MAX, pattern=r"^[^\x00-\x1f\x7f/]*$")]
_Text = Annotated[str, msgspec.Meta(max_length=KEY_CHARACTERS_MAX, pattern=r"^[^\x00-\x1f\x7f]*$")]
_Short = Annotated[str, msgspec.Meta(max_length=CARRIER_MAX_CHARS, pattern=r"^[^\x00-\x1f\x7f]*$")]


class PackedLineIn(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How much of a line is in the parcel, in thousandths."""

    line: Annotated[int, msgspec.Meta(ge=0, le=2**31)]
    quantity_milli: Annotated[int, msgspec.Meta(ge=1, le=QUANTITY_MILLI_MAX)]


class PackIn(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A new parcel. `parcel_id` is minted by the caller: sent twice, it counts once."""

    parcel_id: _Key
    lines: Annotated[tuple[PackedLineIn, ...], msgspec.Meta(max_length=TRANSACTION_LINES_MAX)]
    weight_g: Annotated[int, msgspec.Meta(ge=1, le=WEIGHT_G_MAX)]


class ParcelLabelIn(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Who carries a parcel, and under which number."""

    step_id: _Key
    carrier: _Short
    tracking: _Short
    service: _Short = ""


class ParcelStepIn(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A parcel is unpacked, or its carrier takes it. `step_id` is minted by the caller.

    A supervisor with a `reason` says that one has left although its order had ended.
    """

    step_id: _Key
    reason: _Text = ""


def ship_handlers(store: Store, pickups: PickupDesk) -> Mapping[str, Handler]:
    """The handlers of parcels, by the names in `edge.pos.access.RULES`."""
    desk = ShippingDesk(store, pickups)

    async def parcels(request: Request) -> Response:
        return json_response(desk.parcels(_order(request)))

    async def pack_parcel(request: Request) -> Response:
        body = msgspec.json.decode(await body_of(request), type=PackIn)
        lines = tuple((line.line, line.quantity_milli) for line in body.lines)
        return await _taken(ParcelRequest(_order(request), body.parcel_id, f"pack/{body.parcel_id}",
                                                   Packing.PACK, principal_of(request).id, lines, body.weight_g))

    async def label_parcel(request: Request) -> Response:
        body = msgspec.json.decode(await body_of(request), type=ParcelLabelIn)
        return await _taken(ParcelRequest(
            _order(request), request.path_params["parcel"], body.step_id, Packing.LABEL, principal_of(request).id,
            carrier=body.carrier, service=body.service, tracking=body.tracking))

    async def unpack_parcel(request: Request) -> Response:
        body = msgspec.json.decode(await body_of(request), type=ParcelStepIn)
        return await _taken(ParcelRequest(
            _order(request), request.path_params["parcel"], body.step_id, Packing.UNPACK, principal_of(request).id,
            reason=body.reason))

    async def parcel_label(request: Request) -> Response:
        found: LabelData | None = desk.label(_order(request), request.path_params["parcel"])
        if found is None:
            raise ProblemAnswer(404, "unknown-parcel", "No such parcel in this store")
        return json_response(found)

    async def hand_parcel_over(request: Request) -> Response:
        body, caller = msgspec.json.decode(await body_of(request), type=ParcelStepIn), principal_of(request)
        return json_response(pickup_out(await desk.hand_over(
            _order(request), request.path_params["parcel"], body.step_id, caller.id,
            supervised=caller.role is Role.SUPERVISOR, reason=body.reason)))

    def _order(request: Request) -> str:
        order_id: str = request.path_params["order_id"]
        if pickups.find(order_id) is None:
            raise ProblemAnswer(404, "unknown-order", "No such order in this store")
        return order_id

    async def _taken(wanted: ParcelRequest) -> Response:
        receipt = await desk.take(wanted)
        if receipt.outcome is Outcome.CONFLICT:
            raise ProblemAnswer(409, "conflict", "This id was sent before with another meaning",
                                "both are kept; a person decides", recorded=True)
        return JsonBytes(receipt.answer, 201)

    return {"parcels": parcels, "pack_parcel": pack_parcel, "label_parcel": label_parcel,
            "unpack_parcel": unpack_parcel, "parcel_label": parcel_label, "hand_parcel_over": hand_parcel_over}
