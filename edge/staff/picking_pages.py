"""Picking by scan, stop by stop, for several orders at once; and taking the last action back."""

from collections.abc import Awaitable, Callable, Collection, Mapping
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from cloud_sync.contract.pickup import ShortReason, Step
from edge.domain.barcode import CODE_LENGTH_MAX
from edge.errors import Rejected
from edge.limits import KEY_CHARACTERS_MAX, UNDO_S
from edge.pickups.picking_desk import PickList
from edge.pickups.planned import Act
from edge.pickups.requests import StepRequest
from edge.pos.app import Handler
from edge.pos.problems import ProblemAnswer
from edge.staff.acts import act_id_of, acted
from edge.staff.door import Form, form_of, onward_path, session_of, words_for
from edge.staff.page import StaffPage
from edge.staff.sessions import Message, Tone, Undo
from edge.staff.view import quantity_milli_of, quantity_text
from edge.staff.words import Words, marked

PICKING_PATH = "/staff/picking"
PICKUPS_PATH = "/staff/pickups"
SHORT_REASONS = tuple(ShortReason)


def picking_handlers(page: StaffPage) -> Mapping[str, Handler]:
    """The handlers of picking, by the names in `edge.staff.routes.STAFF_RULES`."""
    view, picking = page.view, page.parts.picking

    def values(listed: PickList) -> dict[str, object]:
        return {"list": page.picks.view(listed), "short_reasons": SHORT_REASONS}

    async def the_list(request: Request) -> Response:
        listed = picking.current(session_of(request).principal.id)
        if listed is None:
            return RedirectResponse(PICKUPS_PATH, 303)
        return view.page(request, session_of(request), "picking.html", values(listed))

    async def fragment(request: Request) -> Response:
        listed = picking.current(session_of(request).principal.id)
        if listed is None:
            raise ProblemAnswer(404, "no-pick-list", "Nothing is being picked")
        return view.part(request, session_of(request), "parts/picking.html", values(listed))

    async def start(request: Request) -> Response:
        form = await form_of(request)
        return await begin(page, request, act_id_of(form, "start"), form.get("order", "")[:KEY_CHARACTERS_MAX] or None)

    def act(doing: Callable[[Request, Form, PickList, Words], Awaitable[Message]]) -> Handler:
        """A form of the list: once per act, then on with the list, or to the orders when nothing is left of it."""
        async def handler(request: Request) -> Response:
            form, words, person = await form_of(request), words_for(request), session_of(request).principal.id
            listed = picking.current(person)
            if listed is None or form.get("list_id", "") != listed.list_id:
                session_of(request).messages.append(Message(words.say("This list is not being picked any more."),
                                                            Tone.REFUSED))
                return RedirectResponse(PICKING_PATH if listed else PICKUPS_PATH, 303)

            async def once() -> Message:
                message = await doing(request, form, listed, words)
                page.pick_lights.show(picking.current(person), listed.list_id)
                return message
            response = await acted(request, PICKING_PATH, once)
            if picking.current(person) is None:
                response.headers["location"] = PICKUPS_PATH
            return response
        return handler

    async def scan(request: Request, form: Form, listed: PickList, words: Words) -> Message:
        code = form.get("code", "").strip()[:CODE_LENGTH_MAX]
        act_id, person = act_id_of(form, listed.list_id, code), session_of(request).principal.id
        sku, place = page.parts.prices.sku_of(code), picking.place_called(code)
        if not sku and place is not None:
            here = [order.order_id for order in listed.staged if order.place == place.name]
            if not here:
                raise Rejected(words.say("No order of this list goes to %(place)s now.", place=place.name))
            return said(page, await picking.ready(act_id, person, here), words, PICKING_PATH)
        return said(page, await scanned(page, act_id, person, listed, code, words), words, PICKING_PATH)

    async def pick(request: Request, form: Form, listed: PickList, words: Words) -> Message:
        sku, person = form.get("sku", "")[:KEY_CHARACTERS_MAX], session_of(request).principal.id
        act = await picking.pick(act_id_of(form, "pick", sku), person, orders_of(listed), sku)
        return said(page, act, words, PICKING_PATH)

    async def short(request: Request, form: Form, listed: PickList, words: Words) -> Message:
        sku = form.get("sku", "")[:KEY_CHARACTERS_MAX]
        act = await gone_without(page, request, form, listed, sku)
        return said(page, act, words, PICKING_PATH)

    async def ready(request: Request, form: Form, listed: PickList, words: Words) -> Message:
        staged = [order.order_id for order in listed.staged]
        act = await picking.ready(act_id_of(form, "ready", listed.list_id), session_of(request).principal.id, staged)
        return said(page, act, words, PICKING_PATH)

    return {"staff_picking": the_list, "staff_picking_fragment": fragment, "staff_picking_start": start,
            "staff_picking_scan": act(scan), "staff_picking_pick": act(pick), "staff_picking_short": act(short),
            "staff_picking_ready": act(ready), **_ending_handlers(page)}


def _ending_handlers(page: StaffPage) -> Mapping[str, Handler]:
    picking = page.parts.picking

    async def leave(request: Request) -> Response:
        form, words, person = await form_of(request), words_for(request), session_of(request).principal.id

        async def put_down() -> Message:
            await picking.leave(person)
            page.pick_lights.show(None, form.get("list_id", ""))
            return Message(words.say("The list is put down: others may go on with it."))
        return await acted(request, PICKUPS_PATH, put_down)

    async def undo(request: Request) -> Response:
        form, words, person = await form_of(request), words_for(request), session_of(request).principal.id

        async def take_back() -> Message:
            act = await page.parts.pickups.take_back(form.get("planned_id", "")[:KEY_CHARACTERS_MAX], person)
            listed = picking.current(person)
            if listed is not None:
                page.pick_lights.show(listed, listed.list_id)
            if act is None:
                return Message(words.say("It is too late to take that back: it has been passed on."), Tone.REFUSED)
            return Message(words.say("Taken back. Nothing has left the box."))
        response = await acted(request, onward_path(form.get("back", "")), take_back)
        if response.headers["location"] == PICKING_PATH and picking.current(person) is None:
            response.headers["location"] = PICKUPS_PATH
        return response

    return {"staff_picking_leave": leave, "staff_undo_step": undo}


async def begin(page: StaffPage, request: Request, list_id: str, order_id: str | None) -> Response:
    """Begin to pick, and light the way."""
    picking, person, words = page.parts.picking, session_of(request).principal.id, words_for(request)

    async def take() -> Message:
        listed = await picking.start(list_id, person, order_id)
        page.pick_lights.show(listed, listed.list_id)
        return Message(words.count("%(num)s order to pick.", "%(num)s orders to pick.", len(listed.orders)))
    return await acted(request, PICKING_PATH, take, refused_back=PICKUPS_PATH)


async def scanned(page: StaffPage, act_id: str, person: str, listed: PickList, code: str, words: Words) -> Act:
    """One unit of what was scanned. Raises `Rejected`, in the person's language, for what nobody wants (any more)."""
    sku = page.parts.prices.sku_of(code)
    if not sku:
        raise Rejected(words.say("No product has the code %(code)s.", code=code))
    try:
        return await page.parts.picking.scan(act_id, person, orders_of(listed), sku)
    except Rejected:
        name, stop = page.board.orders.name_of(sku)[0], next((each for each in listed.stops if each.sku == sku), None)
        if stop is None:
            raise Rejected(words.say("%(name)s is not on this list: put it back.", name=name)) from None
        if not stop.left_milli:
            raise Rejected(words.say("%(name)s is picked already: put it back.", name=name)) from None
        raise


async def gone_without(page: StaffPage, request: Request, form: Form, listed: PickList, sku: str) -> Act:
    """Goods that do not come, and what may come instead. All that is left of them, unless the form says how much."""
    words, stop = words_for(request), next((each for each in listed.stops if each.sku == sku), None)
    typed, instead = form.get("quantity", ""), form.get("instead_code", "").strip() or form.get("instead", "")
    quantity_milli = quantity_milli_of(typed) if typed.strip() else stop.left_milli if stop else 0
    if quantity_milli is None:
        raise Rejected(words.say("Say how many are missing: a number such as 1 or 0.35."))
    other = page.parts.prices.sku_of(instead[:CODE_LENGTH_MAX]) if instead else ""
    if instead and not other:
        raise Rejected(words.say("No product has the code %(code)s.", code=instead[:CODE_LENGTH_MAX]))
    act_id = act_id_of(form, "short", sku, str(quantity_milli), form.get("short_reason", ""), other)
    return await page.parts.picking.short(act_id, session_of(request).principal.id, orders_of(listed), sku,
                                          quantity_milli, short_reason(form), other)


def short_reason(form: Form) -> ShortReason:
    """Raises a 400 problem for a reason that there is not."""
    reason = next((each for each in ShortReason if each.value == form.get("short_reason")), None)
    if reason is None:
        raise ProblemAnswer(400, "malformed", "This is no reason for goods that do not come", recorded=False)
    return reason


def orders_of(listed: PickList) -> Collection[str]:
    """The list's orders."""
    return [order.order_id for order in listed.orders]


def said(page: StaffPage, act: Act, words: Words, back: str) -> Message:
    """What an act came to, in the shop's words, and the one tap that takes it back."""
    if act.taken_back:
        return Message(words.say("That was taken back."), Tone.REFUSED)
    texts = list(dict.fromkeys(text for step in act.steps if (text := _said(page, act, step, words))))
    undo = Undo("/staff/pickups/undo", words.say("Undo"), {"planned_id": act.act_id, "back": back}, lasts_s=UNDO_S)
    return Message(" ".join(texts) or words.say("That was done already."), undo=undo if act.steps else None)


def order_path(order_id: str) -> str:
    """An order's own page."""
    return f"{PICKUPS_PATH}/{quote(order_id, safe='')}"


def _said(page: StaffPage, act: Act, step: StepRequest, words: Words) -> str:
    pickup = page.parts.pickups.find(step.order_id)
    if pickup is None:
        return ""
    customer = pickup.person.display_name if pickup.person else step.order_id
    lines = {line.line: line for line in pickup.lines}
    named = [(page.board.orders.name_of(lines[number].sku)[0], quantity) for number, quantity in step.quantities
             if number in lines]
    name, quantity = named[0] if named else (step.order_id, 0)
    amount = quantity_text(quantity, words.language)
    where = page.parts.picking.single(step.order_id).orders[0].where
    if step.step is Step.OFFER:
        other = page.board.orders.name_of(step.substitute.sku)[0] if step.substitute else ""
        return words.say("%(customer)s is asked whether %(other)s may come instead of %(name)s.", customer=customer,
                         other=other, name=name)
    if step.step is Step.STAGE:
        if any(other.step is Step.READY and other.order_id == step.order_id for other in act.steps):
            return ""
        return words.say("Order %(order)s is complete: put it at %(place)s.", order=step.order_id,
                         place=step.place) if step.place else words.say(
            "Order %(order)s is complete: put it aside.", order=step.order_id)
    values = {"quantity": amount, "name": name, "place": where, "order": step.order_id, "customer": customer}
    return words.say(_WORDS[step.step], **values)


_WORDS: Mapping[Step, str] = {
    Step.PICK: marked("%(quantity)s × %(name)s into %(place)s."),
    Step.SHORT: marked("Will not come: %(quantity)s × %(name)s."),
    Step.READY: marked("Ready for %(customer)s: order %(order)s."),
    Step.REFUSE: marked("Not taken: %(name)s. It is to be put back."),
    Step.PUT_BACK: marked("Order %(order)s is back on the shelf."),
    Step.NO_SHOW: marked("Nobody came for order %(order)s: put it back."),
    Step.HAND_OVER: marked("Handed over to %(customer)s: order %(order)s."),
}
"""How a step is said that somebody took."""
