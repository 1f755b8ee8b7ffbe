"""A virtual radio behind a link in memory: for the simulator and for tests under virtual time."""

import asyncio
import contextlib

from drivers.serial_link import ByteLink, LinkLost, MemoryLink, memory_link_pair
from drivers.virtual.line_faults import LineFaults
from drivers.virtual.radio import VirtualRadio


class MemoryPort:
    """Plugs a radio in and out. `open` is what a station takes as `open_link`.

    `paced` makes bytes take the time they take at the baud rate; `to_host` and `to_radio` spoil them on the way.
    Opening again takes the port away from whoever had it. While host and radio run at different speeds, nothing of
    what they send is understood.
    """

    def __init__(self, radio: VirtualRadio, *, paced: bool = False, plugged_in: bool = True,
                 to_host: LineFaults | None = None, to_radio: LineFaults | None = None) -> None:  # fmt: skip
        self.radio = radio
        self.opened = 0
        self._paced = paced
        self._plugged_in = plugged_in
        self._to_host = to_host
        self._to_radio = to_radio
        self._host_end: MemoryLink | None = None
        self._radio_end: MemoryLink | None = None
        self._pump: asyncio.Task[None] | None = None

    async def open(self) -> ByteLink:
        """A new link to the radio. Raises `LinkLost` while unplugged."""
        if not self._plugged_in:
            raise LinkLost("no such device")
        self._hang_up()
        self.opened += 1
        self._host_end, self._radio_end = memory_link_pair(paced=self._paced)
        self.radio.connect(self._send_to_host)
        self._pump = asyncio.create_task(self._carry(self._radio_end), name="memory port")
        return self._host_end

    def unplug(self) -> None:
        """The device is gone: the open link is lost, opening fails."""
        self._plugged_in = False
        self._hang_up()

    def plug_in(self) -> None:
        """The device is back; the radio's own state is its own affair."""
        self._plugged_in = True

    async def _carry(self, radio_end: MemoryLink) -> None:
        with contextlib.suppress(LinkLost):
            while True:
                data = await radio_end.read()
                self.radio.receive(self._spoiled(data, self._to_radio))

    def _send_to_host(self, data: bytes) -> None:
        if self._radio_end is not None:
            with contextlib.suppress(LinkLost):
                self._radio_end.send(self._spoiled(data, self._to_host))

    def _spoiled(self, data: bytes, faults: LineFaults | None) -> bytes:
        if self._host_end is not None and self._host_end.baud_rate != self.radio.baud_rate:
            return bytes(len(data))
        return data if faults is None else faults.spoil(data)

    def _hang_up(self) -> None:
        self.radio.connect(None)
        if self._host_end is not None:
            self._host_end.close()
        if self._pump is not None:
            self._pump.cancel()
