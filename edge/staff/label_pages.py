"""The wall of labels, one label with everything that may be done to it, and the labels' pictures."""

import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from edge.db.label_rows import LabelRow, label_row
from edge.db.ledger import is_recorded
from edge.errors import Rejected
from edge.labels.render import CannotDraw
from edge.limits import STAFF_SUBJECTS_MAX, WALL_LABELS_PER_PAGE
from edge.pos.app import Handler
from edge.pos.label_routes import TERM_CHARACTERS_MAX, LabelIn
from edge.pos.problems import ProblemAnswer
from edge.staff.acts import act_id_of, acted
from edge.staff.door import Form, form_of, onward_path, session_of, words_for
from edge.staff.label_index import PENDING, Standing
from edge.staff.page import StaffPage
from edge.staff.products import product_name
from edge.staff.sessions import Message, Session, Undo
from edge.staff.tiles import label_path
from edge.staff.words import Words, marked

LIGHT_S = 10.0
_MEANING = ("code", "by", "reason", "note", "sku", "price_minor")
"""The fields that say what an act is about."""

NOTE_CHARACTERS_MAX = 200
FOR_EVER = "private, max-age=31536000, immutable"

REASONS = (marked("Broken"), marked("Cannot be seen"), marked("Gone"), marked("A paper tag hangs there"),
           marked("Another reason"))
"""Why a label does not count; the last one wants a note."""


@dataclass(frozen=True, slots=True)
class Filter:
    """A choice of labels on the wall. `icon`: empty for none."""

    name: str
    title: str
    icon: str
    standings: frozenset[Standing]
    count: int = 0


FILTERS = (
    Filter("all", marked("All"), "", frozenset(Standing)),
    Filter("failed", marked("failed"), "failed", frozenset({Standing.FAILED})),
    Filter("pending", marked("pending"), "queued", PENDING),
    Filter("shown", marked("shown"), "shown", frozenset({Standing.SHOWN})),
    Filter("excluded", marked("excluded"), "excluded", frozenset({Standing.EXCLUDED})),
    Filter("unbound", marked("not bound"), "unbound", frozenset({Standing.UNBOUND})),
)


def label_handlers(page: StaffPage) -> Mapping[str, Handler]:
    """The handlers of labels, by the names in `edge.staff.routes.STAFF_RULES`."""
    view, index, tiles = page.view, page.index, page.board.tiles

    async def filters(show: str, query: str) -> dict[str, object]:
        await index.catch_up()
        counted = [Filter(each.name, each.title, each.icon, each.standings, index.count(*each.standings))
                   for each in FILTERS]
        return {"filters": counted, "show": show, "query": query}

    async def wall(request: Request) -> Response:
        show, query = _show(request), request.query_params.get("q", "")[:100]
        found = _row_of(page, query.strip().lower())
        if found is not None:
            return RedirectResponse(label_path(found.label), 303)
        counts = await filters(show, query)
        chosen = index.page(_standings(show), _product_of(page, query), _number(request), WALL_LABELS_PER_PAGE)

        def page_path(number: int) -> str:
            return "/staff/labels?" + urlencode({"show": show, "q": query, "page": number})
        values = {"tiles": tiles.of(chosen.labels), "page": chosen, "page_path": page_path, **counts}
        return view.page(request, session_of(request), "wall.html", values)

    async def filters_fragment(request: Request) -> Response:
        values = await filters(_show(request), request.query_params.get("q", "")[:100])
        return view.part(request, session_of(request), "parts/filters.html", values)

    async def tiles_fragment(request: Request) -> Response:
        labels = request.query_params.getlist("label")[:STAFF_SUBJECTS_MAX]
        return view.part(request, session_of(request), "parts/tiles.html", {"tiles": tiles.of(labels)})

    async def label(request: Request) -> Response:
        values = {"view": tiles.label(_row(page, request)), "reasons": REASONS}
        return view.page(request, session_of(request), "label.html", values)

    async def label_fragment(request: Request) -> Response:
        return view.part(request, session_of(request), "parts/label.html", {"view": tiles.label(_row(page, request))})

    async def picture(request: Request) -> Response:
        try:
            file = await page.pictures.png(_row(page, request), request.path_params["picture"])
        except CannotDraw as problem:
            raise ProblemAnswer(404, "no-picture", str(problem)) from problem
        if file is None:
            raise ProblemAnswer(404, "no-picture", "The label shows another picture by now")
        return Response(file, media_type="image/png", headers={"Cache-Control": FOR_EVER})

    return {"staff_wall": wall, "staff_filters_fragment": filters_fragment, "staff_tiles_fragment": tiles_fragment,
            "staff_label": label, "staff_label_fragment": label_fragment, "staff_picture": picture,
            **_act_handlers(page)}


def _act_handlers(page: StaffPage) -> Mapping[str, Handler]:
    desk, store = page.parts.labels, page.parts.store

    def act(doing: "Callable[[LabelRow, Form, str, Session, Words], Awaitable[Message]]", name: str) -> Handler:
        """A form on a label's page: once per act id, then back to the page."""
        async def handler(request: Request) -> Response:
            form, row, words = await form_of(request), _row(page, request), words_for(request)
            act_id = act_id_of(form, name, row.label, *(form.get(each, "") for each in _MEANING))

            async def once() -> Message:
                if is_recorded(store.books.ledger_reader, f"staff/{act_id}"):
                    return Message(words.say("That was done already."))
                return await doing(row, form, act_id, session_of(request), words)
            return await acted(request, onward_path(form.get("back") or label_path(row.label)), once)
        return handler

    async def bind(row: LabelRow, form: Form, act_id: str, session: Session, words: Words) -> Message:
        code = form.get("code", "").strip()
        bound = await desk.bind(row.label, code, session.principal.id, act_id)
        name = product_name(store, bound.sku or "")
        if row.sku is None:
            return Message(words.say("Label %(label)s now hangs under %(name)s.", label=row.label, name=name),
                           undo=Undo(f"{label_path(row.label)}/unbind", words.say("Take it off again")))
        before = product_name(store, row.sku)
        undo = Undo(f"{label_path(row.label)}/bind", words.say("Back to %(name)s", name=before), {"code": row.sku})
        return Message(words.say("Label %(label)s now hangs under %(name)s; before: %(before)s.", label=row.label,
                                 name=name, before=before), undo=undo if row.sku != bound.sku else None)

    async def unbind(row: LabelRow, _form: Form, act_id: str, session: Session, words: Words) -> Message:
        await desk.unbind(row.label, session.principal.id, act_id)
        name = product_name(store, row.sku) if row.sku else ""
        undo = Undo(f"{label_path(row.label)}/bind", words.say("Back to %(name)s", name=name),
                    {"code": row.sku or ""})
        return Message(words.say("Label %(label)s is off %(name)s.", label=row.label, name=name),
                       undo=undo if row.sku else None)

    async def replace(row: LabelRow, form: Form, act_id: str, session: Session, words: Words) -> Message:
        by = form.get("by", "").strip().lower().replace(":", "")
        other = _row_of(page, by)
        if other is None:
            raise Rejected(f"no base station has heard a label {by[:64]}")
        await desk.replace(row.label, other.label, session.principal.id, act_id)
        name = product_name(store, row.sku) if row.sku else ""
        undo = Undo(f"{label_path(other.label)}/replace", words.say("Put %(label)s back", label=row.label),
                    {"by": row.label})
        return Message(words.say("Label %(other)s hangs under %(name)s in place of %(label)s.", other=other.label,
                                 name=name, label=row.label), undo=undo if row.sku and not other.sku else None)

    async def exclude(row: LabelRow, form: Form, act_id: str, session: Session, words: Words) -> Message:
        note = form.get("note", "").strip()[:NOTE_CHARACTERS_MAX]
        reason = _reason(form.get("reason", ""), note, words)
        await desk.exclude(row.label, session.principal.id, act_id, reason)
        return Message(words.say("Label %(label)s no longer counts: %(reason)s.", label=row.label, reason=reason),
                       undo=Undo(f"{label_path(row.label)}/include", words.say("Count it again")))

    async def include(row: LabelRow, _form: Form, act_id: str, session: Session, words: Words) -> Message:
        await desk.include(row.label, session.principal.id, act_id)
        undo = Undo(f"{label_path(row.label)}/exclude", words.say("Exclude it again"),
                    {"reason": row.excluded_reason or "", "note": ""})
        return Message(words.say("Label %(label)s counts again.", label=row.label),
                       undo=undo if row.excluded_reason else None)

    async def strike(row: LabelRow, form: Form, act_id: str, session: Session, words: Words) -> Message:
        price, sku = form.get("price_minor", ""), form.get("sku", "")
        reason = form.get("reason", "").strip()[:NOTE_CHARACTERS_MAX]
        if not re.fullmatch(r"[0-9]{1,15}", price):
            raise ProblemAnswer(400, "malformed", "This form cannot be read", recorded=False)
        term = form.get("term", "")[:TERM_CHARACTERS_MAX]
        body = LabelIn(act_id=act_id, sku=sku, price_minor=int(price), reason=reason, term=term)
        await desk.void_claim(row.label, body, session.principal.id)
        return Message(words.say("Label %(label)s no longer holds %(name)s at this price.",
                                 label=row.label, name=product_name(store, sku)))

    async def light(row: LabelRow, _form: Form, _act_id: str, _session: Session, words: Words) -> Message:
        await desk.light(row.label, LIGHT_S)
        return Message(words.say("Label %(label)s flashes for %(seconds)s seconds when it hears of it.",
                                 label=row.label, seconds=int(LIGHT_S)))

    return {"staff_bind": act(bind, "bind"), "staff_unbind": act(unbind, "unbind"),
            "staff_replace": act(replace, "replace"),
            "staff_exclude": act(exclude, "exclude"), "staff_include": act(include, "include"),
            "staff_strike_claim": act(strike, "strike"), "staff_light": act(light, "light")}


def _reason(chosen: str, note: str, words: Words) -> str:
    """The reason as it is kept. Raises `Rejected` when the one chosen says nothing without a note."""
    chosen = chosen.strip()[:NOTE_CHARACTERS_MAX]
    if chosen == words.say(REASONS[-1]):
        chosen = ""
    if not chosen and not note:
        raise Rejected("an exclusion needs a reason")
    return f"{chosen}: {note}" if chosen and note else chosen or note


def _row(page: StaffPage, request: Request) -> LabelRow:
    row = _row_of(page, request.path_params["label"])
    if row is None:
        raise ProblemAnswer(404, "unknown-label", "No base station has heard this label")
    return row


def _row_of(page: StaffPage, label: str) -> LabelRow | None:
    return label_row(page.parts.store.books.ledger_reader, label) if label else None


def _product_of(page: StaffPage, query: str) -> str:
    """A barcode finds the labels of its product; anything else is searched for as it stands."""
    code = query.strip()
    return (page.parts.prices.sku_of(code) or query) if code.isdecimal() else query


def _show(request: Request) -> str:
    show = request.query_params.get("show", "all")
    return show if any(each.name == show for each in FILTERS) else "all"


def _standings(show: str) -> frozenset[Standing]:
    return next(each.standings for each in FILTERS if each.name == show)


def _number(request: Request) -> int:
    number = request.query_params.get("page", "1")
    return int(number) if number.isdecimal() and number.isascii() and len(number) <= 6 else 1
