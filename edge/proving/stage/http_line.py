"""One kept-alive HTTP connection, as a till has it: one request at a time, little work for each.

httpx costs about a millisecond a request, which a crowd of tills on a small machine would notice more than the store.
"""

import asyncio
from dataclasses import dataclass
from typing import cast

import httptools

CONNECT_S = 5.0
"""A connection that takes longer is none."""

ANSWER_S = 15.0
"""A server that is silent for longer has not answered."""


class LineBroken(Exception):
    """No answer came: the request may have been carried out or not."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer; header names in lower case."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes

    def cookies(self) -> dict[str, str]:
        """What it sets, by name; an empty value takes a cookie back."""
        set_cookies = (value.partition(";")[0].partition("=") for name, value in self.headers if name == "set-cookie")
        return {name.strip(): value.strip().strip('"') for name, _, value in set_cookies}


class HttpLine:
    """Connects when it must. `headers` go with every request. Use one task per line."""

    def __init__(self, host: str, port: int, headers: dict[str, str] | None = None) -> None:
        self.headers = headers or {}
        self._host = host
        self._port = port
        self._protocol: _Protocol | None = None

    async def ask(self, method: str, path: str, body: bytes | None = None, *,
                  content_type: str = "application/json") -> Answer:
        """One request and its answer. A connection that the server closed while idle is opened again, once. Raises
        `LineBroken`."""
        protocol = await self._connected()
        protocol.write(self._request(method, path, body, content_type))
        try:
            async with asyncio.timeout(ANSWER_S):
                return await protocol.answer()
        except TimeoutError:
            self.cut()
            raise LineBroken(f"no answer to {method} {path} in {ANSWER_S:.0f} s") from None

    async def say(self, method: str, path: str, body: bytes) -> None:
        """Send a request and hang up without hearing the answer: a reply that is lost. Raises `LineBroken`."""
        protocol = await self._connected()
        protocol.write(self._request(method, path, body, "application/json"))
        await asyncio.sleep(0)
        protocol.finish_writing()
        self._protocol = None

    def cut(self) -> None:
        """Drop the connection at once."""
        if self._protocol is not None:
            self._protocol.abort()
            self._protocol = None

    async def _connected(self) -> "_Protocol":
        if self._protocol is None or self._protocol.lost:
            try:
                async with asyncio.timeout(CONNECT_S):
                    _, self._protocol = await asyncio.get_running_loop().create_connection(
                        _Protocol, self._host, self._port)
            except OSError as error:
                raise LineBroken(f"{self._host}:{self._port}: {error.strerror or error}") from error
            except TimeoutError:
                raise LineBroken(f"{self._host}:{self._port}: no connection in {CONNECT_S:.0f} s") from None
        return self._protocol

    def _request(self, method: str, path: str, body: bytes | None, content_type: str) -> bytes:
        lines = [f"{method} {path} HTTP/1.1", f"Host: {self._host}:{self._port}"]
        lines += [f"{name}: {value}" for name, value in self.headers.items()]
        if body is not None:
            lines += [f"Content-Type: {content_type}", f"Content-Length: {len(body)}"]
        return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1") + (body or b"")


class _Protocol(asyncio.Protocol):
    """Feeds the parser; one answer is awaited at a time."""

    def __init__(self) -> None:
        self.lost = False
        self._transport: asyncio.Transport | None = None
        self._parser = httptools.HttpResponseParser(self)
        self._answer: asyncio.Future[Answer] | None = None
        self._headers: list[tuple[str, str]] = []
        self._body = bytearray()

    def write(self, data: bytes) -> None:
        assert self._transport is not None
        self._answer = asyncio.get_running_loop().create_future()
        self._transport.write(data)

    async def answer(self) -> Answer:
        assert self._answer is not None
        return await self._answer

    def finish_writing(self) -> None:
        """What was written still goes out; what comes back is not heard."""
        assert self._transport is not None
        self.lost = True
        self._forget_answer()
        self._transport.close()

    def abort(self) -> None:
        self.lost = True
        if self._transport is not None:
            self._transport.abort()

    # asyncio's side

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's own are no subclass

    def data_received(self, data: bytes) -> None:
        if self.lost:
            return
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            self._fail(f"an answer that is no HTTP: {error}")

    def connection_lost(self, error: Exception | None) -> None:
        self.lost = True
        self._fail(f"connection lost: {error}" if error else "connection closed")

    # the parser's side

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers.append((name.decode("latin-1").lower(), value.decode("latin-1")))

    def on_body(self, body: bytes) -> None:
        self._body += body

    def on_message_complete(self) -> None:
        answer = Answer(self._parser.get_status_code(), tuple(self._headers), bytes(self._body))
        self._headers, self._body = [], bytearray()
        if not self._parser.should_keep_alive():
            self.lost = True
        if self._answer is not None and not self._answer.done():
            self._answer.set_result(answer)

    def _fail(self, why: str) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(LineBroken(why))
        self.lost = True

    def _forget_answer(self) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.cancel()
