"""A load generator that costs less than what it measures: raw HTTP/1.1 over uvloop, answers only counted."""

import asyncio
import time
from collections.abc import Sequence
from typing import cast

_ANSWER = b"HTTP/1.1 "
_GOOD = b"HTTP/1.1 2"


class _Connection(asyncio.Protocol):
    """Keeps `depth` requests in flight until its share is done."""

    def __init__(self, requests: Sequence[bytes], depth: int, done: asyncio.Event) -> None:
        self._requests = requests
        self._depth = depth
        self._done = done
        self._sent = self._answered = 0
        self._tail = b""
        self.good = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's has the shape, not the base class
        self._send(self._depth)

    def data_received(self, data: bytes) -> None:
        text = self._tail + data
        self._tail = text[-len(_GOOD) + 1:] if not text.endswith(_GOOD) else b""
        answered = text.count(_ANSWER) - self._tail.count(_ANSWER)
        self.good += text.count(_GOOD)
        self._answered += answered
        if self._answered >= len(self._requests):
            self._done.set()
        else:
            self._send(answered)

    def _send(self, count: int) -> None:
        batch = self._requests[self._sent:self._sent + count]
        self._sent += len(batch)
        if batch:
            self._transport.write(b"".join(batch))

    def connection_lost(self, error: Exception | None) -> None:
        self._done.set()


async def drive(port: int, requests: Sequence[bytes], *, connections: int, depth: int) -> float:
    """Send every request once; returns answers per second. Raises `AssertionError` when one was not answered 2xx."""
    loop = asyncio.get_running_loop()
    shares = [requests[index::connections] for index in range(connections)]
    running = [(share, asyncio.Event()) for share in shares if share]
    begin_s = time.perf_counter()
    protocols = [(await loop.create_connection(lambda s=share, d=done: _Connection(s, depth, d), "127.0.0.1", port))[1]
                 for share, done in running]
    for _, done in running:
        await asyncio.wait_for(done.wait(), 300)
    wall_s = time.perf_counter() - begin_s
    good = sum(protocol.good for protocol in protocols)
    assert good == len(requests), f"{len(requests) - good} of {len(requests)} requests were not answered 2xx"
    return len(requests) / wall_s


def request(method: str, path: str, token: str, body: bytes = b"") -> bytes:
    """One request's bytes."""
    head = f"{method} {path} HTTP/1.1\r\nHost: store\r\nAuthorization: Bearer {token}\r\n"
    return (head + (f"Content-Length: {len(body)}\r\n" if body else "") + "\r\n").encode() + body
