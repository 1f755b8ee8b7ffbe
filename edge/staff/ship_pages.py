"""Packing, labelling and sending orders: forms on the order's page, and the label that is printed."""

import io
import re
from collections.abc import Mapping
from urllib.parse import quote

import zxingcpp
from PIL import Image
from starlette.requests import Request
from starlette.responses import Response

from cloud_sync.contract.parcels import CARRIER_MAX_CHARS, Packing
from edge.errors import Rejected
from edge.pickups.parcels import read_parcel
from edge.pickups.shipping import QR_PREFIX, ParcelRequest, ShippingDesk
from edge.pos.access import Role
from edge.pos.app import Handler
from edge.pos.problems import ProblemAnswer
from edge.staff.acts import act_id_of, acted
from edge.staff.door import Form, form_of, session_of, words_for
from edge.staff.orders import PickupView
from edge.staff.page import StaffPage
from edge.staff.price_pages import wanted_quantity_milli
from edge.staff.sessions import Message

CODE_SCALE = 3
"""Pixels of a module in the file; the label makes it as large as its millimetres say."""
REASON_CHARACTERS_MAX = 64
_GRAMS = re.compile(r"[0-9]{1,7}", re.ASCII)
_FORMATS = {"bars": zxingcpp.BarcodeFormat.Code128, "square": zxingcpp.BarcodeFormat.QRCode}


def ship_handlers(page: StaffPage) -> Mapping[str, Handler]:
    """The handlers of parcels, by the names in `edge.staff.routes.STAFF_RULES`."""
    store, desk = page.parts.store, ShippingDesk(page.parts.store, page.parts.pickups)

    async def pack(request: Request) -> Response:
        form, found = await form_of(request), _found(page, request)

        async def once() -> Message:
            return await _pack(desk, request, form, found)
        return await acted(request, _path(found), once)

    async def label(request: Request) -> Response:
        form, found = await form_of(request), _found(page, request)

        async def once() -> Message:
            said = [form.get(name, "").strip()[:CARRIER_MAX_CHARS] for name in ("carrier", "service", "tracking")]
            await desk.take(_request(request, form, found, Packing.LABEL, *said))
            return Message(words_for(request).say("The parcel has its label: print it."))
        return await acted(request, _path(found), once)

    async def unpack(request: Request) -> Response:
        form, found = await form_of(request), _found(page, request)

        async def once() -> Message:
            await desk.take(_request(request, form, found, Packing.UNPACK))
            return Message(words_for(request).say("Unpacked. Its goods are put aside."))
        return await acted(request, _path(found), once)

    async def send(request: Request) -> Response:
        form, found = await form_of(request), _found(page, request)

        async def once() -> Message:
            parcel, caller = request.path_params["parcel"], session_of(request).principal
            step_id = act_id_of(form, found.card.order_id, parcel, "send")
            await desk.hand_over(found.card.order_id, parcel, step_id, caller.id,
                                 supervised=caller.role is Role.SUPERVISOR,
                                 reason=form.get("reason", "").strip()[:REASON_CHARACTERS_MAX])
            return Message(words_for(request).say("With the carrier: a parcel of order %(order)s.",
                                                  order=found.card.order_id))
        return await acted(request, _path(found), once)

    async def sheet(request: Request) -> Response:
        found = desk.label(request.path_params["order_id"], request.path_params["parcel"])
        if found is None:
            raise ProblemAnswer(404, "unknown-parcel", "No such parcel in this store")
        return page.view.page(request, session_of(request), "parcel_label.html", {"label": found})

    async def code(request: Request) -> Response:
        parcel = read_parcel(store.books.ledger_reader, request.path_params["parcel"])
        kind = request.path_params["kind"]
        text = "" if parcel is None else parcel.tracking if kind == "bars" else QR_PREFIX + parcel.parcel_id
        if not text or kind not in _FORMATS:
            raise ProblemAnswer(404, "no-picture", "This parcel has no such code")
        return Response(_png(text, kind), media_type="image/png", headers={"Cache-Control": "private, no-cache"})

    return {"staff_pack": pack, "staff_label_parcel": label, "staff_unpack": unpack, "staff_send": send,
            "staff_parcel_sheet": sheet, "staff_parcel_code": code}


async def _pack(desk: ShippingDesk, request: Request, form: Form, found: PickupView) -> Message:
    words = words_for(request)
    lines = tuple((each.line, wanted_quantity_milli(text, words)) for each in found.to_pack
                  if (text := form.get(f"line-{each.line}", "").strip()) not in ("", "0"))
    weight = form.get("weight_g", "").strip()
    if not _GRAMS.fullmatch(weight):
        raise Rejected(words.say("Say what the parcel weighs, in grams."))
    parcel_id = act_id_of(form, found.card.order_id, repr(lines), weight)
    await desk.take(ParcelRequest(found.card.order_id, parcel_id, f"pack/{parcel_id}", Packing.PACK,
                                  session_of(request).principal.id, lines, int(weight)))
    return Message(words.say("Packed: a parcel of order %(order)s.", order=found.card.order_id))


def _request(request: Request, form: Form, found: PickupView, step: Packing, carrier: str = "", service: str = "",
             tracking: str = "") -> ParcelRequest:
    parcel = request.path_params["parcel"]
    step_id = act_id_of(form, found.card.order_id, parcel, step.value, carrier, service, tracking)
    return ParcelRequest(found.card.order_id, parcel, step_id, step, session_of(request).principal.id,
                         carrier=carrier, service=service, tracking=tracking)


def _png(text: str, kind: str) -> bytes:
    symbol = zxingcpp.create_barcode(text, _FORMATS[kind])
    file = io.BytesIO()
    Image.fromarray(symbol.to_image(scale=CODE_SCALE, add_hrt=False, add_quiet_zones=True)).save(file, "PNG")
    return file.getvalue()


def _found(page: StaffPage, request: Request) -> PickupView:
    found = page.board.orders.view(request.path_params["order_id"])
    if found is None:
        raise ProblemAnswer(404, "unknown-order", "No such order in this store")
    return found


def _path(found: PickupView) -> str:
    return f"/staff/pickups/{quote(found.card.order_id, safe='')}"
