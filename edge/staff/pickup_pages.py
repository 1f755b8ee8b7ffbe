"""Pickups at the desk: who is here, the customer's code, one order from picking to hand-over."""

from collections.abc import Iterator, Mapping

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from cloud_sync.contract.pickup import PickupState, ShortReason, Step
from edge.db.connection import Connection
from edge.errors import Rejected
from edge.limits import CODE_SEARCH_MISSES_MAX
from edge.pickups.planned import Act
from edge.pickups.requests import StepRequest
from edge.pos.access import Role
from edge.pos.app import Handler
from edge.pos.problems import ProblemAnswer
from edge.staff.acts import act_id_of, acted
from edge.staff.door import Form, form_of, session_of, words_for
from edge.staff.orders import STAGES, PickupCard, PickupView
from edge.staff.page import StaffPage
from edge.staff.picking_pages import PICKUPS_PATH, begin, gone_without, order_path, said, scanned, short_reason
from edge.staff.sessions import Message, Tone
from edge.staff.view import quantity_milli_of
from edge.staff.words import Words, marked

CODE_CHARACTERS_MAX = 64
ORDER_ENDING_MIN = 4
"""Last characters of an order's number that are enough to find it by."""

STEPS = (Step.PICK, Step.SHORT, Step.STAGE, Step.READY, Step.HAND_OVER, Step.REFUSE, Step.NO_SHOW, Step.PUT_BACK)
"""The steps that a person takes on the page."""

WITHOUT_CODE = (marked("Showed an identity card"), marked("Showed the order on the telephone"),
                marked("We know the customer"))
"""Why goods may go without a code."""


def pickup_handlers(page: StaffPage) -> Mapping[str, Handler]:
    """The handlers of pickups, by the names in `edge.staff.routes.STAFF_RULES`."""
    view, orders, desk, picking = page.view, page.board.orders, page.parts.pickups, page.parts.picking

    def cards(request: Request) -> dict[str, object]:
        every = orders.cards()
        here = [card for card in every if card.arrived_ms is not None and card.state is not PickupState.HANDED_OVER]
        others = [card for card in every if card not in here]
        return {"here": here, "to_do": [card for card in others if card.state is not PickupState.READY],
                "ready": [card for card in others if card.state is PickupState.READY],
                "to_pick": len(picking.waiting()),
                "going_on": picking.current(session_of(request).principal.id) is not None}

    def order(found: PickupView, code: str = "", phone: str = "") -> dict[str, object]:
        return {"view": found, "stages": STAGES, "code": code, "phone": phone, "short_reasons": tuple(ShortReason),
                "without_code": WITHOUT_CODE}

    async def pickups(request: Request) -> Response:
        return view.page(request, session_of(request), "pickups.html", cards(request))

    async def pickups_fragment(request: Request) -> Response:
        return view.part(request, session_of(request), "parts/pickups.html", cards(request))

    async def pickup(request: Request) -> Response:
        return view.page(request, session_of(request), "pickup.html", order(_found(page, request)))

    async def pickup_fragment(request: Request) -> Response:
        return view.part(request, session_of(request), "parts/pickup.html", order(_found(page, request)))

    async def find(request: Request) -> Response:
        """The order under a customer's code, with the code filled in: a page, because a code stands in no address. An
        order's own number, or its end, finds it too; one that is to be picked begins. The last digits of the customer's
        number find the one that is ready, and stand where the lost code's reason is asked for."""
        form, session, words = await form_of(request), session_of(request), words_for(request)
        code = form.get("code", "").strip()[:CODE_CHARACTERS_MAX]
        every = orders.cards()
        named = next((card for card in every if card.order_id.casefold() == code.casefold()), None)
        if named is not None and named.state in (PickupState.ACCEPTED, PickupState.PICKING) and not named.awaits_hub:
            return await begin(page, request, page.parts.store.mint(), named.order_id)
        tries = session.code_misses < CODE_SEARCH_MISSES_MAX
        order_id = desk.order_with_code(code) if code and tries and named is None else None
        found = orders.view(order_id) if order_id else None
        if found is not None:
            return view.page(request, session, "pickup.html", order(found, code))
        if named := named or _ending_in(every, code):
            return RedirectResponse(order_path(named.order_id), 303)
        under = orders.ready_under(code) if tries else []
        found = orders.view(under[0]) if len(under) == 1 else None
        if found is not None:
            return view.page(request, session, "pickup.html", order(found, phone=code))
        if under:
            told = words.say("Several orders are ready under these digits: ask for the name.")
        elif tries:
            session.code_misses += 1
            told = words.say("No order that is ready has this code.")
        else:
            told = words.say("Too many codes without an order. Open the order and type its code there.")
        session.messages.append(Message(told, Tone.REFUSED))
        return RedirectResponse(PICKUPS_PATH, 303)

    async def step(request: Request) -> Response:
        form, found, words = await form_of(request), _found(page, request), words_for(request)
        chosen = _step(form)
        back = PICKUPS_PATH if chosen in (Step.READY, Step.HAND_OVER) else order_path(found.card.order_id)

        async def take() -> Message:
            act = await _take(page, request, form, found, chosen)
            return said(page, act, words, back)
        return await acted(request, back, take, refused_back=order_path(found.card.order_id))

    async def scan(request: Request) -> Response:
        form, found, words = await form_of(request), _found(page, request), words_for(request)
        back, code = order_path(found.card.order_id), form.get("code", "").strip()

        async def pick() -> Message:
            listed = picking.single(found.card.order_id)
            act_id = act_id_of(form, found.card.order_id, "scan", code)
            return said(page, await scanned(page, act_id, session_of(request).principal.id, listed, code, words), words,
                        back)
        return await acted(request, back, pick)

    return {"staff_pickups": pickups, "staff_pickups_fragment": pickups_fragment, "staff_pickup": pickup,
            "staff_pickup_fragment": pickup_fragment, "staff_find_pickup": find, "staff_pickup_step": step,
            "staff_pickup_scan": scan}


async def _take(page: StaffPage, request: Request, form: Form, found: PickupView, step: Step) -> Act:
    """The step, planned. Raises `Rejected`, and a 400 problem for a form that this page did not make."""
    picking, person = page.parts.picking, session_of(request).principal.id
    order_id, line = found.card.order_id, _line(form)
    act_id = act_id_of(form, order_id, step.value, str(line))
    sku = next((each.sku for each in found.lines if each.line == line), "")
    place = form.get("place") if form.get("place") in found.places else None
    if step is Step.PICK:
        return await picking.pick(act_id, person, (order_id,), sku, line)
    if step is Step.SHORT and form.get("from_staged") != "yes":
        return await gone_without(page, request, form, picking.single(order_id), sku)
    if step is Step.STAGE:
        return await picking.stage(act_id, person, order_id, place)
    if step is Step.READY:
        return await picking.ready(act_id, person, (order_id,), place)
    request_of = _hand_over(request, form, found) if step is Step.HAND_OVER else StepRequest(
        order_id, "", step, person, line, from_staged=step is Step.SHORT,
        short_reason=short_reason(form) if step is Step.SHORT else None)

    def choose(_connection: Connection) -> Iterator[StepRequest]:
        yield request_of
    meaning = () if step is not Step.HAND_OVER else tuple(f"{key}={form[key]}" for key in sorted(form)
                                                          if key not in ("act_id", "form_token"))
    return await page.parts.pickups.plan(act_id_of(form, order_id, step.value, str(line), *meaning), person, choose)


def _hand_over(request: Request, form: Form, found: PickupView) -> StepRequest:
    """With the code; without it with a reason, by the last digits of the customer's number or by a supervisor."""
    words, principal, code = words_for(request), session_of(request).principal, form.get("code", "").strip()
    phone, reason = form.get("phone", "").strip()[:CODE_CHARACTERS_MAX], _reason(form, words)
    supervised = principal.role is Role.SUPERVISOR and bool(reason) and not code and not phone
    if form.get("without_code") == "yes" and not phone and not supervised:
        raise Rejected(words.say("Ask for the last digits of the customer's telephone number."))
    return StepRequest(found.card.order_id, "", Step.HAND_OVER, principal.id, code=code[:CODE_CHARACTERS_MAX],
                       phone=phone, reason=reason, supervised=supervised, quantities=_given(form, found, words))


def _given(form: Form, found: PickupView, words: Words) -> tuple[tuple[int, int], ...]:
    """What the customer takes with her now, where that is not all of it."""
    if form.get("part") != "yes":
        return ()
    given = []
    for line in found.lines:
        typed = form.get(f"give-{line.line}", "").strip()
        quantity_milli = quantity_milli_of(typed) if typed and typed != "0" else 0
        if quantity_milli is None:
            raise Rejected(words.say("Say how many of each the customer takes: a number such as 1 or 0.35."))
        if quantity_milli:
            given.append((line.line, quantity_milli))
    if not given:
        raise Rejected(words.say("Say how many of each the customer takes: a number such as 1 or 0.35."))
    return tuple(given)


def _reason(form: Form, words: Words) -> str:
    """Why goods go without a code, as it is kept: in English, whatever the person reads."""
    chosen = form.get("reason", "")
    return next((f"no code: {each}" for each in WITHOUT_CODE if chosen in (each, words.say(each))), "")


def _ending_in(cards: list[PickupCard], text: str) -> PickupCard | None:
    """The one open order whose number ends so."""
    wanted = text.casefold()
    found = [card for card in cards if card.order_id.casefold().endswith(wanted)]
    return found[0] if len(found) == 1 and len(wanted) >= ORDER_ENDING_MIN else None


def _line(form: Form) -> int | None:
    line = form.get("line", "")
    return int(line) if line.isdecimal() and line.isascii() and len(line) <= 9 else None


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
