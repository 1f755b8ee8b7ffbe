"""Signing in and out, the language, the page's own files."""

import secrets
from collections.abc import Mapping

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from edge.errors import Transient
from edge.pos.access import Principal, same
from edge.pos.app import Handler
from edge.pos.problems import ProblemAnswer
from edge.staff.door import (
    HOME_PATH,
    SIGN_IN_PATH,
    drop_cookie,
    form_of,
    onward_path,
    open_form_of,
    refuse_foreign,
    session_of,
    set_cookie,
)
from edge.staff.page import StaffPage
from edge.staff.sessions import TOKEN_BYTES
from edge.staff.sign_in import NAME_CHARACTERS_MAX, WaitFirst, WrongPin
from edge.staff.words import LANGUAGES, marked, words_of

_DOOR = "door"
_WRONG = marked("This name and PIN do not go together.")
_WAIT = marked("Too many wrong PINs. Try again in %(seconds)s seconds.")
_WAIT_LONG = marked("Too many wrong PINs. Try again in %(minutes)s minutes.")
_BUSY = marked("Too many people sign in at this moment. Try again.")
_OLD = marked("The page was open for too long. Please try again.")


def sign_in_handlers(page: StaffPage) -> Mapping[str, Handler]:
    """The handlers of the door, by the names in `edge.staff.routes.STAFF_RULES`."""
    view = page.view

    async def sign_in_page(request: Request) -> Response:
        onward = onward_path(request.query_params.get("next", ""))
        if page.door.session(request, by_person=True) is not None:
            return RedirectResponse(onward, 303)
        return form_page(request, onward)

    async def sign_in(request: Request) -> Response:
        refuse_foreign(request)
        form = await open_form_of(request)
        onward, name = onward_path(form.get("next", "")), form.get("name", "")
        words = words_of(view.language_of(request))
        token = page.door.cookie(request, _DOOR)
        if not token or not same(token, form.get("form_token", "")):
            return form_page(request, onward, name, words.say(_OLD), 403)
        device = request.client.host if request.client else ""
        try:
            member = await page.sign_in.sign_in(name, form.get("pin", ""), device)
        except WrongPin:
            return form_page(request, onward, name, words.say(_WRONG), 401)
        except WaitFirst as refusal:
            said = (words.say(_WAIT, seconds=refusal.wait_s) if refusal.wait_s < 120
                    else words.say(_WAIT_LONG, minutes=-(-refusal.wait_s // 60)))
            response = form_page(request, onward, name, said, 429)
            response.headers["Retry-After"] = str(refusal.wait_s)
            return response
        except Transient:
            return form_page(request, onward, name, words.say(_BUSY), 503)
        end_session_before(request)
        response = RedirectResponse(onward, 303)
        principal = Principal(member.id, member.role, member.name)
        set_cookie(request, response, "session", page.sessions.open(principal, words.language))
        drop_cookie(request, response, _DOOR)
        return response

    async def sign_out(request: Request) -> Response:
        await form_of(request)
        page.sessions.end(session_of(request))
        response = RedirectResponse(SIGN_IN_PATH, 303)
        drop_cookie(request, response, "session")
        return response

    def form_page(request: Request, onward: str, name: str = "", problem: str = "", status: int = 200) -> Response:
        token = page.door.cookie(request, _DOOR) or secrets.token_urlsafe(TOKEN_BYTES)
        values = {"next": onward, "name": name[:NAME_CHARACTERS_MAX], "problem": problem, "door_token": token}
        response = view.page(request, None, "sign_in.html", values, status)
        set_cookie(request, response, _DOOR, token)
        return response

    def end_session_before(request: Request) -> None:
        before = page.door.session(request, by_person=True)
        if before is not None:
            page.sessions.end(before)

    return {"staff_sign_in_page": sign_in_page, "staff_sign_in": sign_in, "staff_sign_out": sign_out,
            **_open_handlers(page)}


def _open_handlers(page: StaffPage) -> Mapping[str, Handler]:
    """What answers everybody besides the sign-in."""

    async def asset(request: Request) -> Response:
        return page.assets.response(request.path_params["name"])

    async def front_door(_request: Request) -> Response:
        return RedirectResponse(HOME_PATH, 303)

    async def language(request: Request) -> Response:
        refuse_foreign(request)
        form, session = await open_form_of(request), page.door.session(request, by_person=True)
        chosen = form.get("language", "")
        if chosen not in LANGUAGES:
            raise ProblemAnswer(400, "malformed", "The page does not speak this language", recorded=False)
        if session is not None:
            if not same(form.get("form_token", ""), session.form_token):
                raise ProblemAnswer(403, "forbidden", "This form is not from this sign-in")
            session.language = chosen
        response = RedirectResponse(onward_path(form.get("back", "")), 303)
        response.set_cookie("language", chosen, max_age=_LANGUAGE_KEPT_S, path="/staff", httponly=True,
                            secure=request.url.scheme == "https", samesite="strict")
        return response

    return {"staff_asset": asset, "staff_front_door": front_door, "staff_language": language}


_LANGUAGE_KEPT_S = 365 * 86400
