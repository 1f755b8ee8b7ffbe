"""A virtual radio on a pseudo terminal: what any serial program can open. Needs a real event loop."""

import asyncio
import contextlib
import os
import tty
from collections import deque
from pathlib import Path

from drivers.serial_link import BITS_PER_BYTE
from drivers.virtual.line_faults import LineFaults
from drivers.virtual.radio import VirtualRadio

READ_BYTES_MAX = 65_536
UNSENT_BYTES_MAX = 1 << 20  # beyond it bytes are lost, as on a line whose host does not read


class PtyPort:
    """Serves one radio on a pty while `run()` runs; use it in the radio's own loop.

    `path` is the device to open, valid from construction to `close()`. With `link` a symbolic link of that name
    leads to it while the port is plugged in, so that a device can come, go and come back under one name. `paced`:
    bytes take the time they take at the radio's baud rate; a pty itself ignores speeds.
    """

    def __init__(self, radio: VirtualRadio, *, link: Path | None = None, paced: bool = False,
                 to_host: LineFaults | None = None, to_radio: LineFaults | None = None) -> None:  # fmt: skip
        self.radio = radio
        self._link = link
        self._paced = paced
        self._to_host = to_host
        self._to_radio = to_radio
        self._unsent: deque[bytes] = deque()
        self._unsent_bytes = 0
        self._something_to_send = asyncio.Event()
        self._master, self._slave = os.openpty()
        tty.setraw(self._slave)  # no echo before a host has set the line up
        os.set_blocking(self._master, False)
        self.path = Path(os.ttyname(self._slave))
        if link is not None:
            link.unlink(missing_ok=True)
            link.symlink_to(self.path)

    @property
    def device(self) -> Path:
        """What a host should open: the link where there is one."""
        return self.path if self._link is None else self._link

    async def run(self) -> None:
        """Carries bytes both ways until cancelled."""
        self.radio.connect(self._queue)
        try:
            await asyncio.gather(self._from_host(), self._to_the_host())
        finally:
            self.radio.connect(None)

    def close(self) -> None:
        """The device is gone: its host gets a hang-up. Cancel `run()` first."""
        if self._link is not None:
            self._link.unlink(missing_ok=True)
        for descriptor in (self._master, self._slave):
            with contextlib.suppress(OSError):
                os.close(descriptor)

    def _queue(self, data: bytes) -> None:
        data = data if self._to_host is None else self._to_host.spoil(data)
        if self._unsent_bytes + len(data) > UNSENT_BYTES_MAX:
            return
        self._unsent.append(data)
        self._unsent_bytes += len(data)
        self._something_to_send.set()

    async def _from_host(self) -> None:
        while True:
            await self._ready(for_writing=False)
            with contextlib.suppress(BlockingIOError):
                data = os.read(self._master, READ_BYTES_MAX)
                await self._pace(len(data))
                self.radio.receive(data if self._to_radio is None else self._to_radio.spoil(data))

    async def _to_the_host(self) -> None:
        while True:
            await self._something_to_send.wait()
            self._something_to_send.clear()
            while self._unsent:
                data = self._unsent.popleft()
                self._unsent_bytes -= len(data)
                await self._pace(len(data))
                await self._write(data)

    async def _write(self, data: bytes) -> None:
        while data:
            try:
                data = data[os.write(self._master, data) :]
            except BlockingIOError:
                await self._ready(for_writing=True)

    async def _ready(self, *, for_writing: bool) -> None:
        loop = asyncio.get_running_loop()
        ready = asyncio.Event()
        add, remove = (
            (loop.add_writer, loop.remove_writer) if for_writing else (loop.add_reader, loop.remove_reader)
        )
        add(self._master, ready.set)
        try:
            await ready.wait()
        finally:
            remove(self._master)

    async def _pace(self, count: int) -> None:
        if self._paced:
            await asyncio.sleep(count * BITS_PER_BYTE / self.radio.baud_rate)
