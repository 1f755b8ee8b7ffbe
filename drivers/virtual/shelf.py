"""A radio and its labels, living together."""

import asyncio
from collections.abc import Awaitable, Iterable

from drivers.port import LabelId
from drivers.virtual.label import VirtualLabel
from drivers.virtual.radio import VirtualRadio


class VirtualShelf:
    """Runs a radio's housekeeping and every label; labels may be put up and taken away at any time."""

    def __init__(self, radio: VirtualRadio, labels: Iterable[VirtualLabel] = ()) -> None:
        self.radio = radio
        self.labels: dict[LabelId, VirtualLabel] = {label.address: label for label in labels}
        self._tasks: dict[LabelId, asyncio.Task[None]] = {}
        self._running = False
        self._fault: asyncio.Future[None] | None = None

    async def run(self, *beside: Awaitable[None]) -> None:
        """Until cancelled, or until something in it fails; `beside` run with it (a `PtyPort.run()`)."""
        self._running = True
        self._fault = asyncio.get_running_loop().create_future()
        for label in self.labels.values():
            self._start(label)
        try:
            await asyncio.gather(self.radio.run(), self._fault, *beside)
        finally:
            self._running = False
            for task in self._tasks.values():
                task.cancel()
            await asyncio.gather(*self._tasks.values(), return_exceptions=True)
            self._tasks.clear()

    def put_up(self, label: VirtualLabel) -> None:
        """One more label."""
        self.labels[label.address] = label
        if self._running:
            self._start(label)

    def take_away(self, address: LabelId) -> VirtualLabel:
        """The label is out of reach for good; its screen still shows what it showed."""
        task = self._tasks.pop(address, None)
        if task is not None:
            task.cancel()
        return self.labels.pop(address)

    def _start(self, label: VirtualLabel) -> None:
        task = asyncio.create_task(label.run(), name=f"label {label.address} powered")
        task.add_done_callback(self._ended)
        self._tasks[label.address] = task

    def _ended(self, task: "asyncio.Task[None]") -> None:
        """A label that fails is a bug in it, and ends the shelf."""
        fault = None if task.cancelled() else task.exception()
        if fault is not None and self._fault is not None and not self._fault.done():
            self._fault.set_exception(fault)
