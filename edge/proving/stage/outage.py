"""The line between store and hub: a TCP relay that can be cut and mended."""

import asyncio
import contextlib

RELAY_BYTES_MAX = 65_536


class CuttableLine:
    """Relays every connection to `(host, port)`. While cut, connections break and new ones are refused at once."""

    def __init__(self, host: str, port: int) -> None:
        self.port = 0
        self._target = (host, port)
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._cut = False

    async def open(self) -> None:
        """Listen on a free port of this machine; it stays the same while cut."""
        self._server = await asyncio.start_server(self._relay, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    def cut(self) -> None:
        """Break everything that is connected, and whatever connects from now on."""
        self._cut = True
        for writer in tuple(self._writers):
            writer.transport.abort()

    def mend(self) -> None:
        """Relay again."""
        self._cut = False

    def close(self) -> None:
        """The end."""
        self.cut()
        if self._server is not None:
            self._server.close()

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._cut:
            writer.transport.abort()
            return
        self._writers.add(writer)
        try:
            away_reader, away_writer = await asyncio.open_connection(*self._target)
        except OSError:
            writer.transport.abort()
            self._writers.discard(writer)
            return
        self._writers.add(away_writer)
        try:
            await asyncio.gather(_carry(reader, away_writer), _carry(away_reader, writer))
        finally:
            for each in (writer, away_writer):
                self._writers.discard(each)
                each.transport.abort()


async def _carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """One direction, until its end; a broken connection is one."""
    with contextlib.suppress(OSError, RuntimeError):  # uvloop's word for a connection that is gone
        while data := await reader.read(RELAY_BYTES_MAX):
            writer.write(data)
            await writer.drain()
    with contextlib.suppress(OSError, RuntimeError):
        writer.write_eof()
