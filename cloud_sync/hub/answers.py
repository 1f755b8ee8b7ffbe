"""What handlers share: the bounded body of a request, and an answer in JSON."""

from collections.abc import Mapping
from http import HTTPStatus

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from cloud_sync.hub.incoming import read_body


async def body_of(request: Request) -> bytes:
    """Up to what its endpoint allows. Raises `TooLarge`, `Rejected`."""
    return await read_body(request, request.state.body_max_bytes)


def json_answer(value: object, status: HTTPStatus = HTTPStatus.OK, *,
                headers: Mapping[str, str] | None = None) -> Response:
    return Response(msgspec.json.encode(value), int(status), headers, media_type="application/json")
