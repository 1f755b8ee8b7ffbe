"""The ASGI application of a store: every route of the table, guarded, with problem answers for everything else."""

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence

import msgspec
import structlog
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route, compile_path
from starlette.types import Receive, Scope, Send

from edge.db.connection import DatabaseError, Trouble, trouble_of
from edge.errors import Corrupt, Rejected, Transient
from edge.limits import BODY_BYTES_MAX
from edge.pos.access import Authenticate, Principal, Role, Rule, Tokens
from edge.pos.problems import ProblemAnswer
from edge.prices.price_desk import NoPrice

Handler = Callable[[Request], Awaitable[Response]]

_log = structlog.get_logger(__name__)
RETRY_AFTER_S = 2
"""How soon a caller may try again when the store could not take something."""


def build_app(rules: Iterable[Rule], handlers: Mapping[str, Handler], tokens: Tokens,
              session: Authenticate | None = None, mounts: Iterable[BaseRoute] = ()) -> "StoreApp":
    """One application from the table: a rule without a handler is a `KeyError` at start, a handler without a rule
    is never reached."""
    by_path: dict[str, dict[str, Handler]] = {}
    quick: list[_QuickRoute] = []
    for rule in rules:
        guarded = _guarded(handlers[rule.handler], rule.roles, tokens, session)
        by_path.setdefault(rule.path, {})[rule.method] = guarded
        if rule.quick:
            quick.append(_QuickRoute(rule, guarded))
    routes: list[BaseRoute] = [Route(path, _by_method(methods), methods=list(methods))
                               for path, methods in by_path.items()]
    return StoreApp(quick, Starlette(routes=[*routes, *mounts], exception_handlers={HTTPException: _http_problem}))


class _QuickRoute:
    """A rule whose path has parameters only behind a beginning of its own."""

    def __init__(self, rule: Rule, handler: Handler) -> None:
        self.method = rule.method
        self.beginning = rule.path.partition("{")[0]
        self.match = compile_path(rule.path)[0].match
        self.handler = handler


class StoreApp:
    """Answers the quick rules; everything else, and whatever is odd about a path, goes the framework's way.

    Routes, middleware and their wrappers cost as much again as what is left of a request without them
    (`lookup_rps`). A guarded handler needs none of them: it answers its own errors.
    """

    def __init__(self, quick: Sequence[_QuickRoute], app: Starlette) -> None:
        self._quick = quick
        self._app = app
        self.routes = app.routes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            path, method = scope["path"], scope["method"]
            for route in self._quick:
                if path.startswith(route.beginning) and method == route.method:
                    found = route.match(path)
                    if found is not None:
                        scope["path_params"] = found.groupdict()
                        response = await route.handler(Request(scope, receive))
                        return await response(scope, receive, send)
        return await self._app(scope, receive, send)


class JsonBytes(Response):
    """JSON that is encoded already, with no other header than it needs."""

    def __init__(self, body: bytes, status: int = 200) -> None:
        self.status_code = status
        self.body = body
        self.background = None
        self.raw_headers = [(b"content-length", b"%d" % len(body)), (b"content-type", b"application/json")]

    async def __call__(self, _scope: Scope, _receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        await send({"type": "http.response.body", "body": self.body})


def _by_method(handlers: Mapping[str, Handler]) -> Handler:
    """One endpoint for a path, so that a method it does not know is answered with all that it does."""
    async def endpoint(request: Request) -> Response:
        return await handlers["GET" if request.method == "HEAD" else request.method](request)
    return endpoint


def _guarded(handler: Handler, roles: frozenset[Role] | None, tokens: Tokens, session: Authenticate | None) -> Handler:
    async def endpoint(request: Request) -> Response:
        try:
            if roles is not None:
                request.scope["principal"] = _authorised(request, roles, tokens, session)
            return await handler(request)
        except ProblemAnswer as answer:
            return answer.response()
        except Exception as error:
            return _problem_of(error, request).response()
    return endpoint


def _authorised(request: Request, roles: frozenset[Role], tokens: Tokens, session: Authenticate | None) -> Principal:
    authorization = None
    for name, value in request.scope["headers"]:
        if name == b"authorization":
            authorization = value.decode("latin-1")
            break
    principal = tokens.principal(authorization) if authorization else None
    if principal is None and session is not None and authorization is None:
        principal = session(request)
    if principal is None:
        raise ProblemAnswer(401, "unauthenticated", "Who is calling?", "send a bearer token, or sign in")
    if principal.role not in roles:
        raise ProblemAnswer(403, "forbidden", "Not with this role", f"{principal.role.value} may not do this")
    return principal


def _problem_of(error: Exception, request: Request) -> ProblemAnswer:
    if isinstance(error, NoPrice):
        return ProblemAnswer(409, "no-price", "The item has no list price", str(error))
    if isinstance(error, msgspec.MsgspecError):
        return ProblemAnswer(400, "malformed", "The body is not what this route takes", str(error), recorded=False)
    if isinstance(error, Rejected):
        return ProblemAnswer(422, "rejected", "Not possible", str(error))
    if isinstance(error, Transient):
        return ProblemAnswer(503, "not-stored", "Not stored", str(error), recorded=False, retry_after_s=RETRY_AFTER_S)
    if isinstance(error, Corrupt):
        return ProblemAnswer(503, "not-stored", "The store can no longer write", str(error), recorded=False,
                             retry_after_s=60)
    if trouble_of(error) is not Trouble.STATEMENT:
        _log.error("the books cannot be read", method=request.method, path=request.url.path, error=str(error))
        return ProblemAnswer(503, "unreadable", "The store's books cannot be read", str(error), recorded=False,
                             retry_after_s=60)
    if isinstance(error, DatabaseError):
        _log.error("the books could not be read", path=request.url.path, error=str(error))
        return ProblemAnswer(503, "not-readable", "The books cannot be read now", str(error), retry_after_s=60)
    _log.error("a request failed", method=request.method, path=request.url.path, exc_info=error)
    return ProblemAnswer(500, "bug", "The store made a mistake", "it is in the log; send the request again")


async def _http_problem(_request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    kind = {404: "not-found", 405: "method-not-allowed"}.get(error.status_code, "http")
    answer = ProblemAnswer(error.status_code, kind, error.detail).response()
    answer.headers.update(error.headers or {})
    return answer


async def body_of(request: Request) -> bytes:
    """The whole body; raises a 413 problem beyond the bound, unread."""
    declared = request.headers.get("content-length", "0")
    if declared.isdecimal() and int(declared) > BODY_BYTES_MAX:
        raise _too_large()
    chunks = bytearray()
    async for chunk in request.stream():
        chunks += chunk
        if len(chunks) > BODY_BYTES_MAX:
            raise _too_large()
    return bytes(chunks)


def principal_of(request: Request) -> Principal:
    """Who was let in."""
    principal = request.scope["principal"]
    assert isinstance(principal, Principal)
    return principal


def json_response(value: object, status: int = 200) -> Response:
    """A msgspec value as JSON."""
    return JsonBytes(msgspec.json.encode(value), status)


def _too_large() -> ProblemAnswer:
    return ProblemAnswer(413, "too-large", "The body is too large", f"at most {BODY_BYTES_MAX} bytes", recorded=False)
