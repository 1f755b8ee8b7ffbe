"""Problem answers (RFC 9457), so that every refusal says what, where and what to do next.

Bodies are never echoed: they may hold people's data. A ledger gap carries `contract.ledger.Gap`'s fields as extension
members, a retired feed cursor carries `refetch`, the generation to fetch from its start; a displaced box is told
`fenced`, a verdict.
"""

from collections.abc import Mapping
from http import HTTPStatus

import msgspec
from starlette.responses import Response

from cloud_sync.hub.errors import (
    Conflict,
    DisplacedError,
    Forbidden,
    HubError,
    NotFound,
    OutOfLine,
    Refetch,
    Rejected,
    TooLarge,
)

PROBLEM_MEDIA_TYPE = "application/problem+json"
RETRY_AFTER_S = 5

Extension = str | int | tuple[str, ...]


def problem(status: HTTPStatus, detail: str, *, headers: Mapping[str, str] | None = None,
            **extensions: Extension) -> Response:
    """The answer to a request that could not be done."""
    body = {"type": "about:blank", "title": status.phrase, "status": int(status), "detail": detail, **extensions}
    return Response(msgspec.json.encode(body), int(status), headers, PROBLEM_MEDIA_TYPE)


def problem_of(error: HubError) -> Response:
    """Every error of the hub, as its answer."""
    detail = str(error)
    if isinstance(error, OutOfLine):
        gap = error.gap
        return problem(HTTPStatus.CONFLICT, detail, expected_sequence=gap.expected_sequence, head_hash=gap.head_hash,
                       reason=gap.reason)
    if isinstance(error, DisplacedError):
        return problem(HTTPStatus.CONFLICT, detail, fenced=error.verdict.value)
    if isinstance(error, Refetch):
        return problem(HTTPStatus.CONFLICT, detail, refetch=error.generation)
    if isinstance(error, Rejected):
        status = HTTPStatus.REQUEST_ENTITY_TOO_LARGE if isinstance(error, TooLarge) else HTTPStatus.UNPROCESSABLE_ENTITY
        return problem(status, detail, errors=error.problems)
    statuses = {NotFound: HTTPStatus.NOT_FOUND, Conflict: HTTPStatus.CONFLICT, Forbidden: HTTPStatus.FORBIDDEN}
    return problem(statuses.get(type(error), HTTPStatus.INTERNAL_SERVER_ERROR), detail)


def unavailable() -> Response:
    """The database does not answer: nothing was acknowledged, keep it and come again."""
    return problem(HTTPStatus.SERVICE_UNAVAILABLE, "the hub's database does not answer: nothing of this was kept",
                   headers={"Retry-After": str(RETRY_AFTER_S)})
