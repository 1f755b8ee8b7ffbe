"""One system call for an answer: the server writes head and body apart, and each write of its own costs as much as
looking up a price (`lookup_rps`)."""

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from edge.limits import JOINED_WRITES_BYTES


class JoinedWrites(asyncio.Transport):
    """Everything that is written within one turn of the event loop leaves together, in its order.

    What waits is bounded, so that the connection's own flow control sees a large answer as it is written.
    """

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__()
        self._transport = transport
        self._loop = loop
        self._waiting = bytearray()

    def write(self, data: "bytes | bytearray | memoryview[Any]") -> None:
        """Wait for what is still written in this turn."""
        if not self._waiting:
            self._loop.call_soon(self._flush)
        self._waiting += data
        if len(self._waiting) >= JOINED_WRITES_BYTES:
            self._flush()

    def close(self) -> None:
        """What was written still leaves."""
        self._flush()
        self._transport.close()

    def abort(self) -> None:
        """At once, whatever waits."""
        self._waiting.clear()
        self._transport.abort()

    def is_closing(self) -> bool:
        return self._transport.is_closing()

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return self._transport.get_extra_info(name, default)

    def pause_reading(self) -> None:
        self._transport.pause_reading()

    def resume_reading(self) -> None:
        self._transport.resume_reading()

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self._transport.set_protocol(protocol)

    def get_protocol(self) -> asyncio.BaseProtocol:
        return self._transport.get_protocol()

    def _flush(self) -> None:
        if self._waiting:
            data = bytes(self._waiting)
            self._waiting.clear()
            self._transport.write(data)


class JoiningProtocol(HttpToolsProtocol):
    """The server's protocol on such a transport."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as the base has it
        super().connection_made(JoinedWrites(transport, self.loop))
