"""Home, last sales, exceptions, lines, held prices, and the live stream."""

from collections.abc import Mapping

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from edge.pos.app import Handler
from edge.staff.acts import acted
from edge.staff.door import form_of, session_of, words_for
from edge.staff.page import StaffPage
from edge.staff.sessions import Message

LAST_SALES_AT_HOME = 6


def home_handlers(page: StaffPage) -> Mapping[str, Handler]:
    """The handlers of what one looks at first, by the names in `edge.staff.routes.STAFF_RULES`."""
    view, board, store = page.view, page.board, page.parts.store

    async def home_values() -> dict[str, object]:
        return {"figures": await board.figures(), "issues": board.issues(),
                "sales": board.sales.newest(LAST_SALES_AT_HOME)}

    def link_values() -> dict[str, object]:
        return {"link": board.link(), "stations": board.stations()}

    async def home(request: Request) -> Response:
        return view.page(request, session_of(request), "home.html", await home_values())

    async def home_fragment(request: Request) -> Response:
        return view.part(request, session_of(request), "parts/home.html", await home_values())

    async def sales(request: Request) -> Response:
        return view.page(request, session_of(request), "sales.html", {"sales": board.sales.newest()})

    async def sales_fragment(request: Request) -> Response:
        return view.part(request, session_of(request), "parts/sales_card.html", {"sales": board.sales.newest()})

    async def exceptions(request: Request) -> Response:
        return view.page(request, session_of(request), "exceptions.html", {"exceptions": board.exceptions()})

    async def link(request: Request) -> Response:
        return view.page(request, session_of(request), "link.html", link_values())

    async def link_fragment(request: Request) -> Response:
        return view.part(request, session_of(request), "parts/link.html", link_values())

    async def held(request: Request) -> Response:
        values = {"held": board.held(), "now_ms": store.clock.wall_ms()}
        return view.page(request, session_of(request), "held.html", values)

    async def decide_held(request: Request) -> Response:
        form, words = await form_of(request), words_for(request)
        approved = form.get("approve") == "yes"

        async def decide() -> Message:
            changed = await page.parts.guard.decide(request.path_params["digest"], approved,
                                                    session_of(request).principal.id, form.get("reason", "")[:200])
            if not approved:
                return Message(words.say("The held prices are dropped. Nothing changed in the store."))
            return Message(words.count("Let through: %(num)s price changed now. Its labels follow.",
                                       "Let through: %(num)s prices changed now. Their labels follow.", changed))
        return await acted(request, "/staff/held", decide)

    async def events(request: Request) -> Response:
        since = request.headers.get("last-event-id") or request.query_params.get("since", "")
        return StreamingResponse(page.live.stream(session_of(request), since), media_type="text/event-stream",
                                 headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"})

    return {"staff_home": home, "staff_home_fragment": home_fragment, "staff_sales": sales,
            "staff_sales_fragment": sales_fragment, "staff_exceptions": exceptions, "staff_link": link,
            "staff_link_fragment": link_fragment, "staff_held": held, "staff_decide_held": decide_held,
            "staff_events": events}
