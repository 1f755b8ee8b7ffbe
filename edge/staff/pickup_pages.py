"""Pickups: the list, the customer's code, one order from picking to hand-over."""

from collections.abc import Mapping
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from cloud_sync.contract.pickup import PickupState, ShortReason, Step
from edge.errors import Rejected
from edge.limits import CODE_SEARCH_MISSES_MAX
from edge.pickups.desk import StepRequest
from edge.pos.app import Handler
from edge.pos.problems import ProblemAnswer
from edge.staff.acts import act_id_of, acted
from edge.staff.door import Form, form_of, session_of, words_for
from edge.staff.orders import STAGES, PickupView
from edge.staff.page import StaffPage
from edge.staff.sessions import Message, Tone

CODE_CHARACTERS_MAX = 64
STEPS = (Step.PICK, Step.SHORT, Step.STAGE, Step.READY, Step.HAND_OVER, Step.NO_SHOW, Step.PUT_BACK)
"""The steps that a person takes on the page."""


def pickup_handlers(page: StaffPage) -> Mapping[str, Handler]:
    """The handlers of pickups, by the names in `edge.staff.routes.STAFF_RULES`."""
    view, orders, desk = page.view, page.board.orders, page.parts.pickups

    def cards() -> dict[str, object]:
        every = orders.cards()
        return {"to_do": [card for card in every if card.state is not PickupState.READY],
                "ready": [card for card in every if card.state is PickupState.READY]}

    def order(found: PickupView, code: str = "") -> dict[str, object]:
        return {"view": found, "stages": STAGES, "code": code, "short_reasons": tuple(ShortReason)}

    async def pickups(request: Request) -> Response:
        return view.page(request, session_of(request), "pickups.html", cards())

    async def pickups_fragment(request: Request) -> Response:
        return view.part(request, session_of(request), "parts/pickups.html", cards())

    async def pickup(request: Request) -> Response:
        return view.page(request, session_of(request), "pickup.html", order(_found(page, request)))

    async def pickup_fragment(request: Request) -> Response:
        return view.part(request, session_of(request), "parts/pickup.html", order(_found(page, request)))

    async def find(request: Request) -> Response:
        """The order under a customer's code, with the code filled in: a page, because a code stands in no address."""
        form, session, words = await form_of(request), session_of(request), words_for(request)
        code = form.get("code", "")[:CODE_CHARACTERS_MAX]
        if session.code_misses >= CODE_SEARCH_MISSES_MAX:
            said = words.say("Too many codes without an order. Open the order and type its code there.")
        else:
            order_id = desk.order_with_code(code) if code.strip() else None
            found = orders.view(order_id) if order_id else None
            if found is not None:
                return view.page(request, session, "pickup.html", order(found, code))
            session.code_misses += 1
            said = words.say("No order that is ready has this code.")
        session.messages.append(Message(said, Tone.REFUSED))
        return RedirectResponse("/staff/pickups", 303)

    async def step(request: Request) -> Response:
        form, found = await form_of(request), _found(page, request)
        chosen = _step(form)
        line = form.get("line", "")
        line_number = int(line) if line.isdecimal() and line.isascii() and len(line) <= 9 else None

        async def take() -> Message:
            if chosen is Step.READY and found.can_stage:
                await _take(page, request, form, found, Step.STAGE)
            await _take(page, request, form, found, chosen, line_number)
            return Message(_said(request, found, chosen, line_number))
        back = "/staff/pickups" if chosen in (Step.READY, Step.HAND_OVER) else _path(found)
        return await acted(request, back, take, refused_back=_path(found))

    async def scan(request: Request) -> Response:
        form, found = await form_of(request), _found(page, request)

        async def pick() -> Message:
            line = _scanned_line(page, found, form.get("code", "").strip(), request)
            await _take(page, request, form, found, Step.PICK, line)
            return Message(_said(request, found, Step.PICK, line))
        return await acted(request, _path(found), pick)

    return {"staff_pickups": pickups, "staff_pickups_fragment": pickups_fragment, "staff_pickup": pickup,
            "staff_pickup_fragment": pickup_fragment, "staff_find_pickup": find, "staff_pickup_step": step,
            "staff_pickup_scan": scan}


async def _take(page: StaffPage, request: Request, form: Form, found: PickupView, step: Step,
                line: int | None = None) -> None:
    transition_id = act_id_of(form, found.card.order_id, step.value, str(line))
    await page.parts.pickups.take_step(StepRequest(
        found.card.order_id, transition_id, step, session_of(request).principal.id, line,
        form.get("code", "")[:CODE_CHARACTERS_MAX] if step is Step.HAND_OVER else "",
        short_reason=_short_reason(form) if step is Step.SHORT else None))


def _said(request: Request, found: PickupView, step: Step, line: int | None) -> str:
    """What happened, in the shop's words."""
    words, order, customer = words_for(request), found.card.order_id, found.card.customer or found.card.order_id
    if step is Step.PICK:
        name = next((each.name for each in found.lines if each.line == line), order)
        return words.say("Picked: %(name)s.", name=name)
    if step is Step.SHORT:
        name = next((each.name for each in found.lines if each.line == line), order)
        return words.say("Will not come: %(name)s.", name=name)
    if step is Step.PUT_BACK:
        return words.say("Order %(order)s is back on the shelf.", order=order)
    if step is Step.NO_SHOW:
        return words.say("Nobody came for order %(order)s: put it back.", order=order)
    if step is Step.STAGE:
        return words.say("Order %(order)s is put aside.", order=order)
    if step is Step.READY:
        return words.say("Ready for %(customer)s: order %(order)s.", order=order, customer=customer)
    return words.say("Handed over to %(customer)s: order %(order)s.", order=order, customer=customer)


def _scanned_line(page: StaffPage, found: PickupView, code: str, request: Request) -> int:
    """The line to pick for a scanned product. Raises `Rejected` for one that is not in the order, or picked already."""
    words, sku = words_for(request), page.parts.prices.sku_of(code)
    lines = [line for line in found.lines if sku and line.sku == sku]
    if not lines:
        raise Rejected(words.say("%(code)s is not in this order: put it back.", code=code))
    left = next((line for line in lines if not line.is_picked), None)
    if left is None:
        raise Rejected(words.say("%(name)s is picked already: put it back.", name=lines[0].name))
    return left.line


def _short_reason(form: Form) -> ShortReason:
    reason = next((each for each in ShortReason if each.value == form.get("short_reason")), None)
    if reason is None:
        raise ProblemAnswer(400, "malformed", "This is no reason for goods that do not come", recorded=False)
    return reason


def _step(form: Form) -> Step:
    step = next((each for each in STEPS if each.value == form.get("step")), None)
    if step is None:
        raise ProblemAnswer(400, "malformed", "This is no step of an order", recorded=False)
    return step


def _found(page: StaffPage, request: Request) -> PickupView:
    found = page.board.orders.view(request.path_params["order_id"])
    if found is None:
        raise ProblemAnswer(404, "unknown-order", "No such order in this store")
    return found


def _path(found: PickupView) -> str:
    return f"/staff/pickups/{quote(found.card.order_id, safe='')}"
