"""Price check and receiving goods."""

import re
from collections.abc import Mapping
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from edge.db.label_rows import label_row
from edge.domain.barcode import CODE_LENGTH_MAX
from edge.errors import Rejected
from edge.pos.app import Handler
from edge.pos.problems import ProblemAnswer
from edge.pos.stock_routes import MovementIn, ReceivedLine, receive, stock_of
from edge.staff.acts import act_id_of, acted
from edge.staff.door import Form, form_of, session_of, words_for
from edge.staff.page import StaffPage
from edge.staff.products import product_name
from edge.staff.sessions import Message, Undo
from edge.staff.tiles import label_path
from edge.staff.view import quantity_milli_of, quantity_text
from edge.staff.words import Words

FIELDS = ("code", "quantity", "document")
DOCUMENT_CHARACTERS_MAX = 64


def price_handlers(page: StaffPage) -> Mapping[str, Handler]:
    """The handlers of prices and goods, by the names in `edge.staff.routes.STAFF_RULES`."""
    view, board, store = page.view, page.board, page.parts.store

    async def price(request: Request) -> Response:
        code = request.query_params.get("code", "").strip()[:CODE_LENGTH_MAX]
        found = board.price_check(code) if code else None
        if found is None and code and label_row(store.books.ledger_reader, code.lower()):
            return RedirectResponse(label_path(code.lower()), 303)
        return view.page(request, session_of(request), "price.html", {"code": code, "found": found})

    async def price_fragment(request: Request) -> Response:
        found = board.price_check(request.query_params.get("code", "")[:CODE_LENGTH_MAX])
        if found is None:
            raise ProblemAnswer(404, "unknown-item", "No product under this code")
        return view.part(request, session_of(request), "parts/price.html", {"found": found})

    async def receive_page(request: Request) -> Response:
        values = {name: request.query_params.get(name, "")[:CODE_LENGTH_MAX] for name in FIELDS}
        return view.page(request, session_of(request), "receive.html", values)

    async def receive_goods(request: Request) -> Response:
        form = await form_of(request)
        kept = {name: form.get(name, "")[:CODE_LENGTH_MAX] for name in FIELDS}

        async def take_in() -> Message:
            return await _receive(page, request, form)
        again = "/staff/receive?" + urlencode({"document": kept["document"]}) if kept["document"] else "/staff/receive"
        return await acted(request, again, take_in, refused_back="/staff/receive?" + urlencode(kept))

    async def undo_receipt(request: Request) -> Response:
        form = await form_of(request)

        async def take_back() -> Message:
            return await _take_back(page, request, form)
        return await acted(request, "/staff/receive", take_back)

    return {"staff_price": price, "staff_price_fragment": price_fragment, "staff_receive_page": receive_page,
            "staff_receive": receive_goods, "staff_undo_receipt": undo_receipt}


async def _receive(page: StaffPage, request: Request, form: Form) -> Message:
    words, store = words_for(request), page.parts.store
    code, document = form.get("code", "").strip(), form.get("document", "").strip()[:DOCUMENT_CHARACTERS_MAX]
    sku, quantity_milli = page.parts.prices.sku_of(code), _quantity_milli(form.get("quantity", ""), words)
    if not sku:
        raise Rejected(words.say("No product has the code %(code)s.", code=code))
    movement_id = act_id_of(form, sku, str(quantity_milli), document)
    await receive(store, MovementIn(movement_id, [ReceivedLine(sku, quantity_milli)], document=document),
                  session_of(request).principal.id)
    undo = Undo("/staff/receive/undo", words.say("Take it back"),
                {"movement": movement_id, "sku": sku, "quantity_milli": str(quantity_milli), "document": document})
    text = words.say("Received: %(quantity)s × %(name)s. In stock now: %(stock)s.",
                     quantity=quantity_text(quantity_milli, words.language), name=product_name(store, sku),
                     stock=quantity_text(stock_of(store, sku).on_hand_milli, words.language))
    return Message(text, undo=undo)


async def _take_back(page: StaffPage, request: Request, form: Form) -> Message:
    """The opposite movement, once per receipt; it names the receipt it takes back."""
    words, store = words_for(request), page.parts.store
    movement, sku, quantity = form.get("movement", ""), form.get("sku", ""), form.get("quantity_milli", "")
    if not re.fullmatch(r"[0-9a-f-]{37}", movement) or not re.fullmatch(r"[0-9]{1,9}", quantity):
        raise ProblemAnswer(400, "malformed", "This form cannot be read", recorded=False)
    lines = [ReceivedLine(sku, -int(quantity))]
    await receive(store, MovementIn(f"{movement}-undo", lines, "receipt-undone", f"movement/{movement}"),
                  session_of(request).principal.id)
    return Message(words.say("Taken back: %(quantity)s × %(name)s.", name=product_name(store, sku),
                             quantity=quantity_text(int(quantity), words.language)))


def _quantity_milli(text: str, words: Words) -> int:
    """`"12"`, `"0,350"` or `"0.35"` in thousandths. Raises `Rejected`."""
    quantity_milli = quantity_milli_of(text)
    if quantity_milli is None:
        raise Rejected(words.say("Say how many came in: a number such as 12 or 0.35."))
    return quantity_milli


def wanted_quantity_milli(text: str, words: Words) -> int:
    """How many a form is about. Raises `Rejected`."""
    quantity_milli = quantity_milli_of(text)
    if quantity_milli is None:
        raise Rejected(words.say("Say how many: a number such as 12 or 0.35."))
    return quantity_milli
