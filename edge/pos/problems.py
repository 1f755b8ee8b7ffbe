"""RFC 9457 problem answers: what went wrong, for a machine (`type`) and for a person (`title`, `detail`)."""

import msgspec
from starlette.responses import Response

MEDIA_TYPE = "application/problem+json"


class Problem(msgspec.Struct, frozen=True, omit_defaults=True):
    """`recorded`: whether the fact that was sent is durable all the same; then stop sending it."""

    type: str
    title: str
    status: int
    detail: str = ""
    recorded: bool | None = None


class ProblemAnswer(Exception):
    """Raised by a handler to answer with a problem."""

    def __init__(self, status: int, kind: str, title: str, detail: str = "", *, recorded: bool | None = None,
                 retry_after_s: int | None = None) -> None:
        super().__init__(title)
        self.problem = Problem(f"urn:trastienda:problem:{kind}", title, status, detail, recorded)
        self.retry_after_s = retry_after_s

    def response(self) -> Response:
        """The answer itself."""
        headers = {} if self.retry_after_s is None else {"Retry-After": str(self.retry_after_s)}
        if self.problem.status == 401:
            headers["WWW-Authenticate"] = "Bearer"
        return Response(msgspec.json.encode(self.problem), self.problem.status, headers, MEDIA_TYPE)
