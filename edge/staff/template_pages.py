"""The label templates, each on every size of label there is: so that a shop sees what it will hang up."""

import asyncio
from collections.abc import Mapping

from starlette.requests import Request
from starlette.responses import Response

from drivers.known_labels import known_geometries
from edge.labels.contact_sheet import contact_sheet_png
from edge.labels.samples import sample
from edge.pos.app import Handler
from edge.pos.problems import ProblemAnswer
from edge.staff.door import session_of
from edge.staff.page import StaffPage


def template_handlers(page: StaffPage) -> Mapping[str, Handler]:
    """The handlers of templates, by the names in `edge.staff.routes.STAFF_RULES`."""
    templates, identity = page.parts.wanted.templates, page.parts.store.identity
    drawing = asyncio.Lock()  # one sheet at a time: it takes the interpreter from the tills for some tenths of a second

    def draw(name: str) -> bytes:
        content = sample(name, identity.language, identity.currency, identity.unit_system,
                         identity.link_domain or "id.example.com")
        return contact_sheet_png(templates, name, content, known_geometries())

    async def overview(request: Request) -> Response:
        name = request.query_params.get("name", "")
        chosen = name if name in templates.names else next(iter(templates.names), "")
        return page.view.page(request, session_of(request), "templates.html",
                              {"names": templates.names, "chosen": chosen})

    async def sheet(request: Request) -> Response:
        name = request.path_params["name"]
        if name not in templates.names:
            raise ProblemAnswer(404, "unknown-template", "There is no such template", name[:64])
        async with drawing:
            png = await asyncio.to_thread(draw, name)
        return Response(png, media_type="image/png", headers={"Cache-Control": "private, max-age=60"})

    return {"staff_templates": overview, "staff_template_sheet": sheet}
