"""Byte links to base stations: serial ports through pyserial, and pairs in memory.

A link is bytes in, bytes out and a speed; who speaks on it does not know which kind it is. pyserial also opens
`socket://host:port` and `rfc2217://host:port` (DESIGN.md section 7). One thread per port does the blocking calls.
"""

import asyncio
import contextlib
import threading
from collections import deque
from collections.abc import Callable
from typing import Any, Protocol, Self

import serial

UNREAD_BYTES_MAX = 1 << 20  # a reader that far behind has lost the line anyhow: the link closes
UNWRITTEN_CHUNKS_MAX = 256  # callers beyond that wait in `write`; here it bounds a bug, and closes the link
WRITE_TIMEOUT_S = 5.0  # a device that takes no bytes for so long is gone
IDLE_S = 1.0  # longest sleep of a port's thread where a pending write can wake it
POLL_S = 0.02  # the same where it cannot (sockets)
READ_BYTES_MAX = 4096
BITS_PER_BYTE = 10  # 8N1


class LinkLost(Exception):
    """The line is gone, or never came: open a new one."""


class ByteLink(Protocol):
    """One open line. `close` may be called at any time and any number of times, and makes the others raise."""

    async def read(self) -> bytes:
        """At least one byte, as soon as there is one. Raises `LinkLost`."""
        ...

    async def write(self, data: bytes) -> None:
        """Returns when the line has taken all of it. Raises `LinkLost`."""
        ...

    async def set_baud_rate(self, baud_rate: int) -> None:
        """Changes the speed of both directions, after what was written. Raises `LinkLost`."""
        ...

    def close(self) -> None:
        """Gives the line back; never raises."""
        ...


class Inbox:
    """Bytes that have arrived for one reader: bounded, closable, loop-bound (not for other threads)."""

    def __init__(self) -> None:
        self._chunks: deque[bytes] = deque()
        self._held = 0
        self._reason: str | None = None
        self._changed = asyncio.Event()

    @property
    def closed(self) -> bool:
        """Whether the line has ended; what arrived before can still be read."""
        return self._reason is not None

    def put(self, data: bytes) -> None:
        """Bytes from the line. Beyond `UNREAD_BYTES_MAX` the inbox closes: the reader is not coming back."""
        if self.closed or not data:
            return
        self._held += len(data)
        if self._held > UNREAD_BYTES_MAX:
            self.close(f"more than {UNREAD_BYTES_MAX} bytes unread")
            return
        self._chunks.append(data)
        self._changed.set()

    def close(self, reason: str) -> None:
        """No more bytes will come. The first reason stands."""
        if self._reason is None:
            self._reason = reason
        self._changed.set()

    async def get(self) -> bytes:
        """Everything that has arrived, at least one byte. Raises `LinkLost` once closed and empty."""
        while not self._chunks:
            self.check()
            self._changed.clear()
            await self._changed.wait()
        data = b"".join(self._chunks)
        self._chunks.clear()
        self._held = 0
        return data

    def check(self) -> None:
        """Raises `LinkLost` once closed."""
        if self._reason is not None:
            raise LinkLost(self._reason)


class MemoryLink:
    """One end of a pair in memory; runs under virtual time. `baud_rate` is what this end is set to."""

    def __init__(self, *, paced: bool) -> None:
        self.baud_rate = 115_200
        self.inbox = Inbox()
        self._paced = paced
        self._peer: MemoryLink | None = None

    def join(self, peer: "MemoryLink") -> None:
        """Everything written here arrives there. Call once for each end."""
        self._peer = peer

    async def read(self) -> bytes:
        """See `ByteLink`."""
        return await self.inbox.get()

    async def write(self, data: bytes) -> None:
        """See `ByteLink`; takes the time the line would take when the pair is paced."""
        self.inbox.check()
        if self._paced:
            await asyncio.sleep(len(data) * BITS_PER_BYTE / self.baud_rate)
        self.send(data)

    def send(self, data: bytes) -> None:
        """Writes without waiting. Raises `LinkLost`."""
        self.inbox.check()
        assert self._peer is not None, "join both ends before use"
        self._peer.inbox.put(data)

    async def set_baud_rate(self, baud_rate: int) -> None:
        """See `ByteLink`."""
        self.inbox.check()
        self.baud_rate = baud_rate

    def close(self) -> None:
        """Closes both ends."""
        self.inbox.close("closed")
        if self._peer is not None:
            self._peer.inbox.close("the other end closed")


def memory_link_pair(*, paced: bool = False) -> tuple[MemoryLink, MemoryLink]:
    """Two joined ends. `paced`: `write` takes as long as the bytes take at the end's baud rate."""
    first, second = MemoryLink(paced=paced), MemoryLink(paced=paced)
    first.join(second)
    second.join(first)
    return first, second


class SerialLink:
    """A pyserial port with its own thread. Get one from `SerialLink.open`; bound to the loop that opened it."""

    def __init__(self, url: str, baud_rate: int) -> None:
        self._url = url
        self._baud_rate = baud_rate
        self._loop = asyncio.get_running_loop()
        self._inbox = Inbox()
        self._jobs: deque[tuple[Callable[[Any], None], asyncio.Future[None]]] = deque()
        self._closing = threading.Event()
        self._opened: asyncio.Future[None] = self._loop.create_future()
        self._port: Any = None  # pyserial is untyped; only this class touches it
        self._thread = threading.Thread(target=self._run, name=f"serial {url}", daemon=True)

    @classmethod
    async def open(cls, url: str, baud_rate: int = 115_200) -> Self:
        """Opens a device path or a pyserial URL. Raises `LinkLost`, also when the device is not there."""
        link = cls(url, baud_rate)
        link._thread.start()
        try:
            await asyncio.shield(link._opened)
        except BaseException:
            link.close()
            raise
        return link

    async def read(self) -> bytes:
        """See `ByteLink`."""
        return await self._inbox.get()

    async def write(self, data: bytes) -> None:
        """See `ByteLink`."""
        await self._submit(lambda port: _write_all(port, data))

    async def set_baud_rate(self, baud_rate: int) -> None:
        """See `ByteLink`. A pty takes any speed and ignores it."""
        await self._submit(lambda port: _set_baud_rate(port, baud_rate))

    def close(self) -> None:
        """See `ByteLink`; the thread lets go of the device within `IDLE_S`, at once on a real port."""
        self._inbox.close(f"{self._url} closed")
        self._closing.set()
        self._wake()

    async def _submit(self, job: Callable[[Any], None]) -> None:
        """Runs `job` on the port's thread. A caller that is cancelled leaves the job to finish: half a frame on a
        wire cannot be un-sent."""
        self._inbox.check()
        if len(self._jobs) >= UNWRITTEN_CHUNKS_MAX:
            self.close()
            raise LinkLost(f"{self._url} takes no bytes")
        finished: asyncio.Future[None] = self._loop.create_future()
        self._jobs.append((job, finished))
        self._wake()
        await asyncio.shield(finished)

    def _wake(self) -> None:
        cancel_read = getattr(self._port, "cancel_read", None)
        if cancel_read is not None:
            with contextlib.suppress(OSError, TypeError, ValueError):  # closing at this very moment
                cancel_read()

    def _ended(self, reason: str) -> None:
        """The thread is gone: nothing submitted after this, and nothing submitted before stays unanswered."""
        self._inbox.close(reason)
        while self._jobs:
            _settle(self._jobs.popleft()[1], LinkLost(reason))

    # From here on: the port's thread.

    def _run(self) -> None:
        try:
            port = serial.serial_for_url(
                self._url, baudrate=self._baud_rate, timeout=IDLE_S, write_timeout=WRITE_TIMEOUT_S, exclusive=True
            )
        except Exception as error:  # pyserial raises OSError, ValueError, termios.error and its own
            self._tell(_settle, self._opened, LinkLost(f"{self._url}: {error}"))
            return
        if not hasattr(port, "cancel_read"):
            port.timeout = POLL_S
        self._port = port
        self._tell(_settle, self._opened, None)
        reason = f"{self._url} closed"
        try:
            while not self._closing.is_set():
                self._write_waiting(port)
                self._read_once(port)
        except Exception as error:  # a device that is pulled out raises almost anything
            reason = f"{self._url}: {error}"
        self._finish(port, reason)

    def _read_once(self, port: Any) -> None:
        if self._jobs:
            return
        data = port.read(1)
        if data:
            more = port.read(min(port.in_waiting, READ_BYTES_MAX)) if port.in_waiting else b""
            self._tell(self._inbox.put, data + more)

    def _write_waiting(self, port: Any) -> None:
        while self._jobs and not self._closing.is_set():
            job, finished = self._jobs.popleft()
            try:
                job(port)
            except Exception as error:
                self._tell(_settle, finished, LinkLost(f"{self._url}: {error}"))
                raise
            self._tell(_settle, finished, None)

    def _finish(self, port: Any, reason: str) -> None:
        with contextlib.suppress(Exception):  # closing a device that is gone
            port.close()
        self._tell(self._ended, reason)

    def _tell(self, function: Callable[..., None], *arguments: object) -> None:
        with contextlib.suppress(RuntimeError):  # the loop has closed: nobody is left to tell
            self._loop.call_soon_threadsafe(function, *arguments)


def _settle(future: "asyncio.Future[None]", error: Exception | None) -> None:
    if future.done():
        return
    if error is None:
        future.set_result(None)
    else:
        future.set_exception(error)
        future.exception()  # retrieved: the caller may have been cancelled meanwhile


def _write_all(port: Any, data: bytes) -> None:
    written = 0
    while written < len(data):
        written += port.write(data[written:])


def _set_baud_rate(port: Any, baud_rate: int) -> None:
    port.baudrate = baud_rate
