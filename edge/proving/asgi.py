"""Calling an ASGI application as a caller on the network would, without sockets and without a client library.

A simulator asks a hundred thousand questions; this costs a tenth of an HTTP client.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from starlette.types import ASGIApp, Message

JSON = {"content-type": "application/json"}


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer; header names are lower case."""

    status: int
    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes


@dataclass(frozen=True, slots=True)
class Question:
    """A whole request. `target` is the path with its query, percent-encoded as on the wire; header names lower case."""

    method: str
    target: str
    headers: tuple[tuple[bytes, bytes], ...] = ()
    body: bytes = b""

    @classmethod
    def of(cls, method: str, target: str, token: str, body: bytes = b"") -> "Question":
        """A request with a bearer token and a JSON body."""
        headers = [(b"authorization", f"Bearer {token}".encode())]
        if body:
            headers += [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
        return cls(method, target, tuple(headers), body)


async def ask(app: ASGIApp, question: Question) -> Answer:
    """One request to its end. Raises what the application raises."""
    path, _, query = question.target.partition("?")
    scope = {"type": "http", "asgi": {"version": "3.0", "spec_version": "2.4"}, "http_version": "1.1",
             "method": question.method, "scheme": "http", "path": _unquoted(path), "raw_path": path.encode(),
             "query_string": query.encode(), "root_path": "", "headers": list(question.headers),
             "client": ("store", 1), "server": ("hub", 80)}
    inbox: list[Message] = [{"type": "http.request", "body": question.body, "more_body": False}]
    status, headers, body = 0, (), bytearray()

    async def receive() -> Message:
        return inbox.pop() if inbox else {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        nonlocal status, headers
        if message["type"] == "http.response.start":
            status, headers = message["status"], tuple(message.get("headers", ()))
        else:
            body.extend(message.get("body", b""))

    await app(scope, receive, send)
    return Answer(status, headers, bytes(body))


def header(headers: Mapping[str, str]) -> tuple[tuple[bytes, bytes], ...]:
    """Headers as they stand on the wire."""
    return tuple((name.lower().encode(), value.encode()) for name, value in headers.items())


def _unquoted(path: str) -> str:
    if "%" not in path:
        return path
    from urllib.parse import unquote

    return unquote(path)
