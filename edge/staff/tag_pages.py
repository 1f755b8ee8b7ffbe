"""Paper tags: what is to be printed, the sheet that comes out of the printer, and the scan of what hangs there."""

import io
from collections.abc import Mapping
from dataclasses import dataclass

import zxingcpp
from PIL import Image
from starlette.requests import Request
from starlette.responses import Response

from drivers.paper.codec import size_mm, size_names
from drivers.paper.session import PaperStation, WaitingTag
from edge.db.label_rows import label_row, label_rows
from edge.db.ledger import is_recorded
from edge.domain.money import format_money
from edge.errors import Rejected
from edge.labels.binding_csv import as_csv
from edge.pos.app import Handler
from edge.pos.problems import ProblemAnswer
from edge.staff.acts import act_id_of, acted
from edge.staff.door import form_of, session_of, words_for
from edge.staff.page import StaffPage
from edge.staff.products import product_name
from edge.staff.sessions import Message, Undo
from edge.staff.tiles import label_path

TAGS_PATH = "/staff/tags"
CODE_SCALE = 4
"""Pixels of a module in the file; the sheet makes it as large as its millimetres say."""


@dataclass(frozen=True, slots=True)
class TagView:
    """A tag to be printed: `width_mm` and `height_mm` of its picture; `since_ms` on the wall clock."""

    label: str
    version: str
    name: str
    width_mm: int
    height_mm: int
    urgent: bool
    since_ms: int


def tag_handlers(page: StaffPage) -> Mapping[str, Handler]:
    """The handlers of paper tags, by the names in `edge.staff.routes.STAFF_RULES`."""
    desk, store = page.parts.labels, page.parts.store

    def station() -> PaperStation:
        found = desk.paper()
        if found is None:
            raise ProblemAnswer(404, "no-paper", "This store has no station for paper tags",
                                "add one to its settings: driver: paper")
        return found

    def tags() -> list[TagView]:
        return [_view(page, tag) for tag in station().waiting()]

    async def overview(request: Request) -> Response:
        values = {"tags": tags(), "sizes": size_names(), "code": request.query_params.get("code", "")[:512]}
        return page.view.page(request, session_of(request), "tags.html", values)

    async def sheet(request: Request) -> Response:
        chosen = set(request.query_params.getlist("tag"))
        printed = [tag for tag in tags() if not chosen or tag.label in chosen]
        return page.view.page(request, session_of(request), "tag_sheet.html", {"tags": printed})

    async def picture(request: Request) -> Response:
        tag = station().to_print(request.path_params["label"], request.path_params["version"])
        if tag is None:
            raise ProblemAnswer(404, "no-picture", "This tag waits for another print by now; reload the page")
        return Response(tag.blob.payload, media_type="image/png", headers={"Cache-Control": "private, no-cache"})

    async def proof_code(request: Request) -> Response:
        label, version = request.path_params["label"], request.path_params["version"]
        tag = next((each for each in station().waiting() if (each.label, each.blob.version) == (label, version)), None)
        if tag is None:
            raise ProblemAnswer(404, "no-picture", "This tag waits for another print by now; reload the page")
        return Response(_code_png(tag), media_type="image/png", headers={"Cache-Control": "private, no-cache"})

    async def add(request: Request) -> Response:
        form, words = await form_of(request), words_for(request)
        code, size = form.get("code", "").strip(), form.get("size", "")
        act_id = act_id_of(form, "paper-tag", code, size)

        async def once() -> Message:
            if is_recorded(store.books.ledger_reader, f"staff/{act_id}"):
                return Message(words.say("That was done already."))
            tag = await desk.add_paper(code, size, session_of(request).principal.id, act_id)
            return Message(words.say("A paper tag for %(name)s waits to be printed.",
                                     name=product_name(store, tag.sku or "")),
                           undo=Undo(f"{label_path(tag.label)}/unbind", words.say("Take it off again")))
        return await acted(request, TAGS_PATH, once)

    async def scan(request: Request) -> Response:
        form, words = await form_of(request), words_for(request)

        async def once() -> Message:
            proven = desk.scan_paper(form.get("code", ""))
            values = {"name": product_name(store, proven.sku),
                      "price": format_money(proven.price_minor, proven.currency, store.identity.language).text}
            if proven.newest:
                return Message(words.say("The tag of %(name)s shows %(price)s: seen.", **values))
            raise Rejected(words.say("That is an old tag of %(name)s (%(price)s): print the new one and hang it there.",
                                     **values))
        return await acted(request, TAGS_PATH, once)

    async def export(_request: Request) -> Response:
        rows = ((row.label, row.sku) for row in label_rows(store.books.ledger_reader) if row.sku is not None)
        return Response(as_csv(rows), media_type="text/csv; charset=utf-8",
                        headers={"Content-Disposition": 'attachment; filename="labels.csv"'})

    return {"staff_tags": overview, "staff_tag_sheet": sheet, "staff_tag_picture": picture,
            "staff_tag_code": proof_code, "staff_add_tag": add, "staff_scan_tag": scan, "staff_export_labels": export}


def _view(page: StaffPage, tag: WaitingTag) -> TagView:
    store = page.parts.store
    row, size = label_row(store.books.ledger_reader, tag.label), size_mm(tag.label)
    assert size is not None, "the station serves paper tags only"
    name = product_name(store, row.sku) if row is not None and row.sku else tag.label
    return TagView(tag.label, tag.blob.version, name, *size, tag.urgent,
                   (row.offered_ms or 0) if row is not None else 0)


def _code_png(tag: WaitingTag) -> bytes:
    symbol = zxingcpp.create_barcode(tag.code.text, zxingcpp.BarcodeFormat.QRCode, ec_level="M")
    file = io.BytesIO()
    Image.fromarray(symbol.to_image(scale=CODE_SCALE, add_hrt=False, add_quiet_zones=True)).save(file, "PNG")
    return file.getvalue()
