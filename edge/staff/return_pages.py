"""Returns of online orders, and grading what waits in quarantine."""

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import Response

from cloud_sync.contract.facts import ReturnedLine
from cloud_sync.contract.returns import Grade
from edge.domain.barcode import CODE_LENGTH_MAX
from edge.errors import Rejected
from edge.limits import KEY_CHARACTERS_MAX
from edge.pickups.returns import GradingRequest, ReturnDesk, ReturnRequest
from edge.pos.app import Handler
from edge.pos.problems import ProblemAnswer
from edge.staff.acts import act_id_of, acted
from edge.staff.door import Form, form_of, session_of, words_for
from edge.staff.page import StaffPage
from edge.staff.price_pages import wanted_quantity_milli
from edge.staff.products import product_name
from edge.staff.sessions import Message
from edge.staff.view import quantity_text, typed_quantity
from edge.staff.words import marked

REASON_CHARACTERS_MAX = 64


@dataclass(frozen=True, slots=True)
class LineBack:
    """A line that left from here, with its product's name. `left_milli` may still come back."""

    line: int
    name: str
    handed_milli: int
    left_milli: int

    @property
    def typed(self) -> str:
        """All that may come back, as a person would type it."""
        return typed_quantity(self.left_milli)


@dataclass(frozen=True, slots=True)
class Waiting:
    """A product in quarantine."""

    sku: str
    name: str
    quantity_milli: int

    @property
    def typed(self) -> str:
        """All of it, as a person would type it."""
        return typed_quantity(self.quantity_milli)


def return_handlers(page: StaffPage) -> Mapping[str, Handler]:
    """The handlers of returns, by the names in `edge.staff.routes.STAFF_RULES`."""
    view, store, desk = page.view, page.parts.store, ReturnDesk(page.parts.store, page.parts.pickups)

    async def returns(request: Request) -> Response:
        order_id = request.query_params.get("order", "").strip()[:KEY_CHARACTERS_MAX]
        lines = tuple(LineBack(each.line, product_name(store, each.sku), each.handed_milli, each.left_milli)
                      for each in desk.returnable(order_id)) if order_id else ()
        waiting = tuple(Waiting(each.sku, product_name(store, each.sku), each.quantity_milli)
                        for each in desk.quarantined())
        return view.page(request, session_of(request), "returns.html", {
            "order": order_id, "lines": lines, "waiting": waiting, "grades": tuple(Grade)})

    async def take_back(request: Request) -> Response:
        form = await form_of(request)
        order_id = form.get("order", "").strip()[:KEY_CHARACTERS_MAX]

        async def take() -> Message:
            return await _take(page, desk, request, form, order_id)
        back = "/staff/returns?" + urlencode({"order": order_id}) if order_id else "/staff/returns"
        return await acted(request, back, take)

    async def grade(request: Request) -> Response:
        form = await form_of(request)

        async def say() -> Message:
            return await _grade(page, desk, request, form)
        return await acted(request, "/staff/returns", say)

    return {"staff_returns": returns, "staff_take_back": take_back, "staff_grade": grade}


async def _take(page: StaffPage, desk: ReturnDesk, request: Request, form: Form, order_id: str) -> Message:
    words, store = words_for(request), page.parts.store
    line, code = form.get("line", ""), form.get("code", "").strip()[:CODE_LENGTH_MAX]
    number = int(line) if line.isdecimal() and line.isascii() and len(line) <= 9 else 0
    sku = page.parts.prices.sku_of(code) if code else ""
    if not order_id:
        raise Rejected(words.say("Say which order it was."))
    if not number and not sku:
        raise Rejected(words.say("No product has the code %(code)s.", code=code))
    quantity_milli = wanted_quantity_milli(form.get("quantity", ""), words)
    reason = form.get("reason", "").strip()[:REASON_CHARACTERS_MAX]
    return_id = act_id_of(form, order_id, str(number), sku or "", str(quantity_milli), reason)
    named = sku or next((each.sku for each in desk.returnable(order_id) if each.line == number), "")
    await desk.take(ReturnRequest(return_id, order_id, (ReturnedLine(sku or "", quantity_milli, number),),
                                  session_of(request).principal.id, reason))
    return Message(words.say("Back from order %(order)s: %(quantity)s × %(name)s. It waits to be graded.",
                             order=order_id, name=product_name(store, named),
                             quantity=quantity_text(quantity_milli, words.language)))


async def _grade(page: StaffPage, desk: ReturnDesk, request: Request, form: Form) -> Message:
    words, sku = words_for(request), form.get("sku", "")[:KEY_CHARACTERS_MAX]
    chosen = next((each for each in Grade if each.value == form.get("grade")), None)
    if chosen is None or not sku:
        raise ProblemAnswer(400, "malformed", "This is no grade of goods", recorded=False)
    quantity_milli = wanted_quantity_milli(form.get("quantity", ""), words)
    reason = form.get("reason", "").strip()[:REASON_CHARACTERS_MAX]
    grading_id = act_id_of(form, sku, str(quantity_milli), chosen.value, reason)
    await desk.grade(GradingRequest(grading_id, sku, quantity_milli, chosen, session_of(request).principal.id, reason))
    return Message(words.say(_GRADED[chosen], name=product_name(page.parts.store, sku),
                             quantity=quantity_text(quantity_milli, words.language)))


_GRADED: Mapping[Grade, str] = {
    Grade.SELLABLE: marked("Back on the shelf: %(quantity)s × %(name)s."),
    Grade.REDUCED: marked("To be sold reduced: %(quantity)s × %(name)s."),
    Grade.WASTE: marked("Thrown away: %(quantity)s × %(name)s."),
    Grade.SUPPLIER: marked("Back to the supplier: %(quantity)s × %(name)s."),
}
