"""The ASGI application of a store: every route of the table, guarded, with problem answers for everything else."""

from collections.abc import Awaitable, Callable, Iterable, Mapping

import msgspec
import structlog
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

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
              session: Authenticate | None = None, mounts: Iterable[BaseRoute] = ()) -> Starlette:
    """One application from the table: a rule without a handler is a `KeyError` at start, a handler without a rule
    is never reached."""
    by_path: dict[str, dict[str, Handler]] = {}
    for rule in rules:
        guarded = _guarded(handlers[rule.handler], rule.roles, tokens, session)
        by_path.setdefault(rule.path, {})[rule.method] = guarded
    routes: list[BaseRoute] = [Route(path, _by_method(methods), methods=list(methods))
                               for path, methods in by_path.items()]
    return Starlette(routes=[*routes, *mounts], exception_handlers={HTTPException: _http_problem})


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
    authorization = request.headers.get("authorization")
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
    return Response(msgspec.json.encode(value), status, media_type="application/json")


def _too_large() -> ProblemAnswer:
    return ProblemAnswer(413, "too-large", "The body is too large", f"at most {BODY_BYTES_MAX} bytes", recorded=False)
