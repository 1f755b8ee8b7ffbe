"""Receiving a delivery that was announced: scan by scan, damaged goods, the rest at once, and closing it."""

import re
from collections.abc import Mapping
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import Response

from edge.errors import Rejected
from edge.pos.app import Handler
from edge.pos.goods_routes import sku_in
from edge.pos.problems import ProblemAnswer
from edge.staff.acts import act_id_of, acted
from edge.staff.door import form_of, session_of, words_for
from edge.staff.page import StaffPage
from edge.staff.products import product_name
from edge.staff.sessions import Message, Undo
from edge.staff.stock_forms import STOCK_PATH, actor_of, code_of, is_minted, note_of, quantity_milli
from edge.staff.view import quantity_text
from edge.staff.words import marked
from edge.stock.deliveries import Differs, Expected, ReceiptRequest

DIFFERENCES: Mapping[Differs, str] = {
    Differs.SHORT: marked("Short"),
    Differs.OVER: marked("Too many"),
    Differs.UNEXPECTED: marked("Not announced"),
    Differs.DAMAGED: marked("Damaged"),
}
"""What people call each way in which a delivery differs."""



def delivery_page_handlers(page: StaffPage) -> Mapping[str, Handler]:
    """The handlers of deliveries, by the names in `edge.staff.routes.STAFF_RULES`."""
    view, store, desk = page.view, page.parts.store, page.parts.stock

    def found(request: Request) -> Expected:
        delivery = desk.deliveries.find(request.path_params["delivery_id"])
        if delivery is None:
            raise ProblemAnswer(404, "unknown", "No such delivery in this store")
        return delivery

    async def delivery(request: Request) -> Response:
        seen = found(request)
        names = {line.sku: product_name(store, line.sku) for line in seen.lines}
        return view.page(request, session_of(request), "delivery.html", {
            "delivery": seen, "names": names, "differences": DIFFERENCES, "base": _delivery_path(seen)})

    async def receive(request: Request) -> Response:
        form, words, seen = await form_of(request), words_for(request), found(request)

        async def received() -> Message:
            code = code_of(form)
            try:
                sku = sku_in(desk, seen, code)
            except Rejected as error:
                raise Rejected(words.say("No product has the code %(code)s.", code=code)) from error
            milli = quantity_milli(form.get("quantity", "").strip() or "1", words)
            damaged = milli if form.get("damaged") == "yes" else 0
            receipt_id = act_id_of(form, sku, str(milli), str(damaged))
            await desk.deliveries.receive(ReceiptRequest(receipt_id, seen.delivery_id, sku, milli, actor_of(request),
                                                         damaged))
            line = next(line for line in found(request).lines if line.sku == sku)
            undo = Undo(f"{_delivery_path(seen)}/undo", words.say("Take it back"), {
                "receipt": receipt_id, "sku": sku, "milli": str(milli), "damaged": str(damaged)})
            return Message(words.say("%(name)s: %(received)s of %(expected)s came in.", name=product_name(store, sku),
                                     received=quantity_text(line.received_milli, words.language),
                                     expected=quantity_text(line.expected_milli, words.language)), undo=undo)
        return await acted(request, _delivery_path(seen), received)

    async def undo_receipt(request: Request) -> Response:
        form, words, seen = await form_of(request), words_for(request), found(request)

        async def undone() -> Message:
            receipt, milli, damaged = form.get("receipt", ""), form.get("milli", ""), form.get("damaged", "")
            numbers = re.fullmatch(r"[0-9]{1,9}", milli) and re.fullmatch(r"[0-9]{1,9}", damaged)
            if not numbers or not is_minted(receipt):
                raise ProblemAnswer(400, "malformed", "This form cannot be read", recorded=False)
            sku = form.get("sku", "")
            await desk.deliveries.receive(ReceiptRequest(f"{receipt}-undo", seen.delivery_id, sku, -int(milli),
                                                         actor_of(request), -int(damaged)))
            return Message(words.say("Taken back: %(quantity)s × %(name)s.", name=product_name(store, sku),
                                     quantity=quantity_text(int(milli), words.language)))
        return await acted(request, _delivery_path(seen), undone)

    async def receive_rest(request: Request) -> Response:
        form, words, seen = await form_of(request), words_for(request), found(request)

        async def received() -> Message:
            await desk.deliveries.receive_rest(act_id_of(form, seen.delivery_id, "rest"), seen.delivery_id,
                                               actor_of(request))
            return Message(words.say("Everything that was missing came in."))
        return await acted(request, _delivery_path(seen), received)

    async def close(request: Request) -> Response:
        form, words, seen = await form_of(request), words_for(request), found(request)

        async def closed() -> Message:
            note = note_of(form)
            act_id = act_id_of(form, seen.delivery_id, note)
            await desk.deliveries.close(act_id, seen.delivery_id, actor_of(request), note)
            differing = sum(bool(line.differs) for line in found(request).lines)
            if not differing:
                return Message(words.say("The delivery is closed. All came as announced."))
            return Message(words.count("The delivery is closed. %(num)s product differs.",
                                       "The delivery is closed. %(num)s products differ.", differing))
        return await acted(request, STOCK_PATH, closed, refused_back=_delivery_path(seen))

    return {"staff_delivery": delivery, "staff_receive_delivery": receive, "staff_undo_delivery": undo_receipt,
            "staff_receive_rest": receive_rest, "staff_close_delivery": close}


def _delivery_path(delivery: Expected) -> str:
    return f"/staff/deliveries/{quote(delivery.delivery_id, safe='')}"
