"""`lookup_loaded_p99_ms`: barcode → price over HTTP at half of the rate that the same store answers when it does
nothing else, while a delta of 5,000 prices arrives from its hub, which reprices all its labels too.

Hub, store and radios are processes of their own, and the store reaches the radios over ptys; hub and radios stand back
for it, as they have machines of their own in a shop. A lookup is timed from the moment it should have been sent, so
that a store which stalls does not go unnoticed for as long as it does.
"""

import asyncio
import os
import random
import tempfile
import time
from collections import deque
from collections.abc import Callable
from functools import partial
from multiprocessing import Pipe, get_context
from multiprocessing.connection import Connection
from pathlib import Path
from typing import cast

import msgspec
import uvloop

from drivers.virtual.own_thread import OwnThread
from edge.proving.stage.goods import Goods, read_goods, write_catalogue
from edge.proving.stage.hub_operator import PriceEntry
from edge.proving.stage.premises import SPAIN, Premises, free_port
from tests.bench._load import drive, request
from tests.bench._shelf import hang_labels, radios_and_labels

ITEMS, DELTA_ROWS = 20_814, 5_000
RADIOS, LABELS = 2, 400
SECONDS, DELTA_AFTER_S, SETTLES_S = 30.0, 5.0, 15.0
CONNECTIONS = 16
STAND_BACK = 10
LIMIT_MS = 5.0
NO_GUARD: dict[str, int | str] = {"guard_share_percent": 100, "guard_decrease_percent": 100,
                                  "guard_increase_percent": 100_000}
_ANSWER = b"HTTP/1.1 200"


def run() -> dict[str, object]:
    """The figure; the peer is the same load on the same store before labels and delta."""
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        catalogue = directory / "items.csv"
        write_catalogue(catalogue, ITEMS, random.Random(20814))
        goods = read_goods(catalogue)
        ours, theirs = Pipe()
        devices = get_context("spawn").Process(target=_devices, args=(theirs,), daemon=True)
        devices.start()
        try:
            return uvloop.run(_measured(directory, catalogue, goods, ours.recv(), partial(_shown, ours)))
        finally:
            devices.terminate()
            devices.join()


def _devices(asked: "Connection[int | list[Path], None]") -> None:
    """The radios' process: tells their ptys, then how many pictures were shown, as often as it is asked."""
    os.nice(STAND_BACK)
    thread = OwnThread()
    paths, shown = thread.start(lambda ready: radios_and_labels(ready, RADIOS, LABELS, 600.0))
    asked.send(paths)
    while True:
        asked.recv()
        asked.send(thread.call(shown))


def _shown(asked: "Connection[None, int]") -> int:
    asked.send(None)
    return asked.recv()


async def _measured(directory: Path, catalogue: Path, goods: list[Goods], paths: list[Path],
                    shown: Callable[[], int]) -> dict[str, object]:
    stations = {f"radio-{number}": path for number, path in enumerate(paths)}
    premises = Premises(directory, free_port(), [str(till) for till in range(1, 33)], stations, SPAIN)
    try:
        await premises.open_hub(NO_GUARD, catalogue)
        os.setpriority(os.PRIO_PROCESS, premises.hub_pid, STAND_BACK)
        await premises.open_store()
        token = premises.token("1")
        await _until_loaded(premises, goods)
        requests = [request("GET", f"/v1/lookup/{each.code}", token) for each in goods]
        random.Random(5).shuffle(requests)
        await drive(premises.port, requests, connections=CONNECTIONS, depth=4)
        rate = await drive(premises.port, requests, connections=CONNECTIONS, depth=4) / 2
        idle = await _paced(premises.port, requests, rate, SECONDS / 3)
        await premises.store.stop()
        hang_labels(premises.state_directory, premises.database_key, RADIOS,
                    [each.sku for each in goods[:LABELS]], "EUR")
        await premises.open_store()
        await asyncio.sleep(SETTLES_S)  # a start draws every picture
        before = shown()
        delta = asyncio.create_task(_delta(premises, goods[:DELTA_ROWS]))
        busy = await _paced(premises.port, requests, rate, SECONDS)
        arrived_s = await delta
        pictures = shown() - before
    finally:
        await premises.close(keep=False)
    value, peer = _p99_ms(busy), _p99_ms(idle)
    return {"name": "lookup_loaded_p99_ms", "value": round(value, 2), "unit": "ms", "limit": LIMIT_MS,
            "peer": round(peer, 2), "ratio": round(value / LIMIT_MS, 2),
            "conditions": f"{ITEMS} items, {rate:.0f} lookups/s over {CONNECTIONS} connections for {SECONDS:.0f} s, a "
                          f"delta of {DELTA_ROWS} prices after {DELTA_AFTER_S:.0f} s (in force {arrived_s:.1f} s after "
                          f"its import began), which reprices {LABELS} labels on {RADIOS} ptys ({pictures} pictures "
                          f"shown meanwhile), {SETTLES_S:.0f} s after a start; peer: the same load, nothing else"}


async def _delta(premises: Premises, goods: list[Goods]) -> float:
    """Seconds from the first byte to the hub until the store charges the last price of it."""
    await asyncio.sleep(DELTA_AFTER_S)
    begin_s = time.perf_counter()
    await premises.operator.set_prices([PriceEntry(f"regular:{each.sku}", each.sku, each.price_minor + 7, "EUR")
                                        for each in goods])
    line = premises.till_line("2")
    try:
        while True:
            answer = await line.ask("GET", f"/v1/lookup/{goods[-1].sku}")
            if msgspec.json.decode(answer.body)["list_price_minor"] == goods[-1].price_minor + 7:
                return time.perf_counter() - begin_s
            await asyncio.sleep(0.05)
    finally:
        line.cut()


async def _until_loaded(premises: Premises, goods: list[Goods]) -> None:
    line = premises.till_line("1")
    try:
        async with asyncio.timeout(120):
            while True:
                if (await line.ask("GET", f"/v1/lookup/{goods[-1].code}")).status == 200:
                    return
                await asyncio.sleep(0.2)
    finally:
        line.cut()


class _Paced(asyncio.Protocol):
    """A connection on which requests are sent when they are due, answers in order."""

    def __init__(self, seen_s: list[float]) -> None:
        self._seen_s = seen_s
        self._due_s: deque[float] = deque()
        self._tail = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)

    def ask(self, request_: bytes, due_s: float) -> None:
        self._due_s.append(due_s)
        self.transport.write(request_)

    @property
    def waits(self) -> int:
        return len(self._due_s)

    def data_received(self, data: bytes) -> None:
        text = self._tail + data
        now_s = time.perf_counter()
        for _ in range(text.count(_ANSWER)):
            self._seen_s.append(now_s - self._due_s.popleft())
        self._tail = b"" if text.endswith(_ANSWER) else text[-len(_ANSWER) + 1:]


async def _paced(port: int, requests: list[bytes], rate: float, seconds: float) -> list[float]:
    """Seconds from when each lookup was due until its answer was there. Raises `AssertionError` for one without."""
    loop, seen_s = asyncio.get_running_loop(), list[float]()
    lines = [(await loop.create_connection(lambda: _Paced(seen_s), "127.0.0.1", port))[1] for _ in range(CONNECTIONS)]
    begin_s, count = time.perf_counter(), int(rate * seconds)
    for number in range(count):
        due_s = begin_s + number / rate
        if due_s > time.perf_counter():
            await asyncio.sleep(due_s - time.perf_counter())
        lines[number % CONNECTIONS].ask(requests[number % len(requests)], due_s)
    await _until_answered(lines)
    assert len(seen_s) == count, f"{count - len(seen_s)} of {count} lookups were not answered 200"
    return seen_s


async def _until_answered(lines: list[_Paced]) -> None:
    async with asyncio.timeout(60):
        while True:
            if not any(line.waits for line in lines):
                break
            await asyncio.sleep(0.01)
    for line in lines:
        line.transport.close()


def _p99_ms(seconds: list[float]) -> float:
    return sorted(seconds)[int(len(seconds) * 0.99)] * 1000
