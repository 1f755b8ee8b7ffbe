"""Counting a shelf: scans, quantities by hand, "none here", and the end of a count.

Who counts sees what was counted, never what the book expects; every scan is kept at once, there is nothing to save
(staff-and-operations.md A.2 and A.3).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import Response

from edge.errors import Rejected
from edge.pos.app import Handler
from edge.pos.problems import ProblemAnswer
from edge.staff.acts import act_id_of, acted
from edge.staff.door import form_of, session_of, words_for
from edge.staff.page import StaffPage
from edge.staff.products import product_name
from edge.staff.sessions import Message, Undo
from edge.staff.stock_forms import PIECE_MILLI, STOCK_PATH, actor_of, code_of, is_minted, note_of, quantity_milli
from edge.staff.view import quantity_text, typed_quantity
from edge.stock.answers import Unknown
from edge.stock.count_sessions import How, ScanRequest, SessionView


@dataclass(frozen=True, slots=True)
class Counted:
    """What was found of a product so far."""

    sku: str
    name: str
    counted_milli: int


def count_page_handlers(page: StaffPage) -> Mapping[str, Handler]:
    """The handlers of counts, by the names in `edge.staff.routes.STAFF_RULES`."""
    return {**_counting_handlers(page), **_ending_handlers(page)}


def _counting_handlers(page: StaffPage) -> Mapping[str, Handler]:
    view, store, sessions = page.view, page.parts.store, page.parts.stock.sessions

    async def begin(request: Request) -> Response:
        """One tap: the form's own id names the session, so that a second tap leads to the same."""
        form = await form_of(request)
        place = note_of(form, "place")
        session_id = act_id_of(form, "count", place)

        async def begun() -> Message:
            await sessions.open(session_id, How.FULL if form.get("how") == "full" else How.CYCLE, actor_of(request),
                                place=place)
            return Message(words_for(request).say("Scan what is on the shelf."))
        return await acted(request, _count_path(session_id), begun, refused_back=STOCK_PATH)

    async def count(request: Request) -> Response:
        seen = _found(page, request)
        counted = [Counted(each.sku, product_name(store, each.sku), each.counted_milli) for each in
                   sorted(seen.tallies, key=lambda each: each.counted_ms, reverse=True)]
        uncounted = [Counted(sku, product_name(store, sku), 0) for sku in seen.uncounted]
        return view.page(request, session_of(request), "count.html", {
            "view": seen, "counted": counted, "uncounted": uncounted, "base": _count_path(seen.session.session_id)})

    async def scan(request: Request) -> Response:
        form, words, seen = await form_of(request), words_for(request), _found(page, request)

        async def scanned() -> Message:
            code = code_of(form)
            typed = form.get("quantity", "").strip()
            sets = bool(typed) or form.get("none") == "yes"
            milli = 0 if form.get("none") == "yes" else (
                quantity_milli(typed, words, least_milli=0) if typed else PIECE_MILLI)
            scan_id = act_id_of(form, code, str(milli), str(sets))
            session_id, before = seen.session.session_id, {each.sku: each.counted_milli for each in seen.tallies}
            sku = await sessions.scan(ScanRequest(session_id, scan_id, code, milli, actor_of(request), sets))
            if not sku:
                raise Rejected(words.say("No product has the code %(code)s.", code=code))
            counted = next(each.counted_milli for each in _found(page, request).tallies if each.sku == sku)
            text = words.say("%(name)s: %(quantity)s counted.", name=product_name(store, sku),
                             quantity=quantity_text(counted, words.language))
            undo, back, title = None, _count_path(session_id), words.say("Take it back")
            if not sets:
                undo = Undo(f"{back}/undo", title, {"scan": scan_id, "code": code})
            elif sku in before and before[sku] != counted:
                undo = Undo(f"{back}/scan", title, {"code": sku, "quantity": typed_quantity(before[sku])})
            return Message(text, undo=undo)
        return await acted(request, _count_path(seen.session.session_id), scanned)

    async def undo_scan(request: Request) -> Response:
        form, words, seen = await form_of(request), words_for(request), _found(page, request)

        async def undone() -> Message:
            code, scan_id = code_of(form), form.get("scan", "")
            if not is_minted(scan_id):
                raise ProblemAnswer(400, "malformed", "This form cannot be read", recorded=False)
            await sessions.scan(ScanRequest(seen.session.session_id, f"{scan_id}-undo", code, -PIECE_MILLI,
                                            actor_of(request)))
            return Message(words.say("Taken back: %(quantity)s × %(name)s.", quantity="1",
                                     name=product_name(store, page.parts.prices.sku_of(code) or code)))
        return await acted(request, _count_path(seen.session.session_id), undone)

    return {"staff_begin_count": begin, "staff_count": count, "staff_count_scan": scan,
            "staff_undo_count_scan": undo_scan}


def _ending_handlers(page: StaffPage) -> Mapping[str, Handler]:
    sessions = page.parts.stock.sessions

    async def submit(request: Request) -> Response:
        form, words, seen = await form_of(request), words_for(request), _found(page, request)

        async def submitted() -> Message:
            rest_is_none = form.get("rest") == "yes"
            ids = await sessions.submit(seen.session.session_id, actor_of(request), rest_is_none=rest_is_none)
            lines = [row for count_id in ids for row in page.parts.stock.counts.lines(count_id)]
            waiting = sum(row.state == "waiting" for row in lines)
            said = words.count("Counted: %(num)s product.", "Counted: %(num)s products.", len(lines))
            if waiting:
                said += " " + words.count("%(num)s of them waits for a supervisor.",
                                          "%(num)s of them wait for a supervisor.", waiting)
            return Message(said)
        return await acted(request, STOCK_PATH, submitted, refused_back=_count_path(seen.session.session_id))

    async def give_up(request: Request) -> Response:
        await form_of(request)
        seen = _found(page, request)

        async def given_up() -> Message:
            await sessions.give_up(seen.session.session_id)
            return Message(words_for(request).say("The count was given up. Nothing changed."))
        return await acted(request, STOCK_PATH, given_up)

    return {"staff_submit_count": submit, "staff_give_up_count": give_up}


def _found(page: StaffPage, request: Request) -> SessionView:
    try:
        return page.parts.stock.sessions.view(request.path_params["session_id"])
    except Unknown as error:
        raise ProblemAnswer(404, "unknown", "No such count in this store") from error


def _count_path(session_id: str) -> str:
    return f"/staff/counts/{quote(session_id, safe='')}"
