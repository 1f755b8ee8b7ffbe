"""Who comes in at the page's door: the session cookie, forms of our own pages only, and where to go otherwise.

`Door` is the `Authenticate` hook of `edge.pos.app.build_app`, so roles stand in the one table and a signed-in person
may call the API too. A form carries the session's token; a call of the API a header that no foreign page can send
without being asked first; both must come from this origin (staff-and-operations.md A.8; DESIGN.md section 8).
"""

from collections.abc import Iterable, Mapping
from urllib.parse import parse_qsl, quote, urlsplit

import structlog
from starlette.requests import HTTPConnection, Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import compile_path

from edge.domain.card_data import masked
from edge.errors import Corrupt, Transient
from edge.limits import FORM_FIELDS_MAX
from edge.pos.access import Principal, Rule, same
from edge.pos.app import Handler, body_of
from edge.pos.problems import ProblemAnswer
from edge.staff.sessions import Session, Sessions
from edge.staff.view import View, guarded
from edge.staff.words import Words, words_of

API_HEADER = "X-Trastienda"
"""Must stand in every API call that changes something and is made with a session; any value."""

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
FETCHED_BY_PAGES = ("/staff/events", "/staff/fragments/", "/staff/pictures/")
"""What a page fetches by itself: no sign of a person, and no use for a sign-in page in its place."""

NOT_TYPED = frozenset({"pin", "form_token"})
"""Compared and never kept; in whatever else people type, card data is masked. Ids are the page's own."""

SIGN_IN_PATH = "/staff/sign-in"
HOME_PATH = "/staff"
_SCOPE_KEY = "staff_session"
_log = structlog.get_logger(__name__)

Form = Mapping[str, str]


class PageAnswer(ProblemAnswer):
    """A problem that a browser is shown as a page."""

    def __init__(self, status: int, kind: str, title: str, page: Response) -> None:
        super().__init__(status, kind, title)
        self._page = page

    def response(self) -> Response:
        return guarded(self._page)


class Door:
    """Tells who calls by the session cookie."""

    def __init__(self, sessions: Sessions, rules: Iterable[Rule], view: View) -> None:
        self._sessions = sessions
        self._view = view
        self._rules = [(rule, compile_path(rule.path)[0]) for rule in rules if rule.roles is not None]

    def __call__(self, request: HTTPConnection) -> Principal | None:
        """The signed-in person. Raises `ProblemAnswer` for a request from elsewhere, and on the page itself one that
        leads to the sign-in or says that the role does not do."""
        refuse_foreign(request)
        path, by_page = request.url.path, request.url.path.startswith(FETCHED_BY_PAGES)
        on_page = path == HOME_PATH or path.startswith(f"{HOME_PATH}/")
        session = self.session(request, by_person=not by_page)
        if session is None:
            if on_page and not by_page:
                raise PageAnswer(401, "unauthenticated", "Sign in first", sign_in_first(request))
            return None
        if on_page:
            self._check_role(request, session)
        elif request.scope["method"] not in SAFE_METHODS and API_HEADER not in request.headers:
            raise ProblemAnswer(403, "forbidden", "Not from a page of this store", f"send the header {API_HEADER}")
        request.scope[_SCOPE_KEY] = session
        return session.principal

    def session(self, request: HTTPConnection, *, by_person: bool) -> Session | None:
        """The session of the request's cookie."""
        token = self.cookie(request, "session")
        return self._sessions.find(token, by_person=by_person) if token else None

    @staticmethod
    def cookie(request: HTTPConnection, what: str) -> str:
        """What the browser holds for us under this name; empty for nothing."""
        return request.cookies.get(cookie_name(request, what), "")

    def _check_role(self, request: HTTPConnection, session: Session) -> None:
        for rule, pattern in self._rules:
            if rule.method == request.scope["method"] and pattern.match(request.url.path):
                if rule.roles is not None and session.principal.role not in rule.roles:
                    page = self._view.page(request, session, "trouble.html", {"reason": "role", "detail": ""}, 403)
                    raise PageAnswer(403, "forbidden", "Not with this role", page)
                return


def sign_in_first(request: HTTPConnection) -> Response:
    """To the sign-in, and back here afterwards when that only looks at something."""
    came_for = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    onward = f"?next={quote(came_for, safe='')}" if request.scope["method"] == "GET" and came_for != HOME_PATH else ""
    return RedirectResponse(SIGN_IN_PATH + onward, 303)


def onward_path(wanted: str) -> str:
    """Where to go after signing in: a page of ours or the home page, never another host."""
    parts = urlsplit(wanted)
    ours = parts.path == HOME_PATH or parts.path.startswith(f"{HOME_PATH}/")
    return wanted if ours and not parts.netloc and not parts.scheme and wanted.isprintable() else HOME_PATH


def cookie_name(request: HTTPConnection, what: str) -> str:
    """Over TLS the browser itself holds the cookie to this host (`__Host-`)."""
    return f"__Host-{what}" if request.url.scheme == "https" else f"staff-{what}"


def set_cookie(request: HTTPConnection, response: Response, what: str, value: str) -> None:
    """A cookie for this browser only, gone when it is closed, never sent along from another site."""
    response.set_cookie(cookie_name(request, what), value, path="/", secure=request.url.scheme == "https",
                        httponly=True, samesite="strict")


def drop_cookie(request: HTTPConnection, response: Response, what: str) -> None:
    """Take it back."""
    response.delete_cookie(cookie_name(request, what), path="/", secure=request.url.scheme == "https", httponly=True,
                           samesite="strict")


def refuse_foreign(request: HTTPConnection) -> None:
    """Raises a 403 problem when a browser says that another site's page sends this to change something."""
    if request.scope["method"] in SAFE_METHODS:
        return
    site, origin = request.headers.get("sec-fetch-site"), request.headers.get("origin")
    ours = f"{request.url.scheme}://{request.headers.get('host', '')}"
    if (site is not None and site not in ("same-origin", "none")) or (origin is not None and origin != ours):
        raise ProblemAnswer(403, "forbidden", "Sent by a page of another site", "open the store's own page")


def session_of(request: Request) -> Session:
    """Who was let in. Raises a 401 problem for a caller with a token instead of a session."""
    session = request.scope.get(_SCOPE_KEY)
    if not isinstance(session, Session):
        raise ProblemAnswer(401, "unauthenticated", "The page is for people", "sign in with a PIN")
    return session


def words_for(request: Request) -> Words:
    """The words of the person's language."""
    return words_of(session_of(request).language)


async def form_of(request: Request) -> Form:
    """The fields of a form of this session. Raises a 403 problem for one that is not, 400 for no form at all."""
    form = await open_form_of(request)
    if not same(form.get("form_token", ""), session_of(request).form_token):
        raise ProblemAnswer(403, "forbidden", "This form is not from this sign-in", "reload the page and try again")
    return form


async def open_form_of(request: Request) -> Form:
    """The fields of a form, whoever made it, without card data; the last of a name counts. Raises a 400 problem."""
    if request.headers.get("content-type", "").partition(";")[0].strip() != "application/x-www-form-urlencoded":
        raise ProblemAnswer(400, "malformed", "This is no form", recorded=False)
    try:
        text = (await body_of(request)).decode("ascii")
        fields = parse_qsl(text, keep_blank_values=True, errors="strict", max_num_fields=FORM_FIELDS_MAX)
        return {name: value if name in NOT_TYPED or name.endswith("_id") else masked(value) for name, value in fields}
    except ValueError:
        raise ProblemAnswer(400, "malformed", "This form cannot be read", recorded=False) from None


def shown(handler: Handler, view: View) -> Handler:
    """The handler with its problems shown as pages."""

    def trouble(request: Request, status: int, reason: str, detail: str) -> PageAnswer:
        values = {"reason": reason, "detail": detail, "messages": []}
        return PageAnswer(status, "page", detail,
                          view.part(request, request.scope.get(_SCOPE_KEY), "trouble.html", values, status))

    async def page(request: Request) -> Response:
        try:
            return guarded(await handler(request))
        except PageAnswer:
            raise
        except ProblemAnswer as answer:
            status = answer.problem.status
            raise trouble(request, status, _REASONS.get(status, "other"), answer.problem.title) from answer
        except (Transient, Corrupt) as error:
            raise trouble(request, 503, "other", str(error)) from error
        except Exception as error:
            _log.error("a page failed", method=request.method, path=request.url.path, exc_info=error)
            raise trouble(request, 500, "bug", "") from error
    return page


_REASONS = {403: "form", 404: "gone"}
