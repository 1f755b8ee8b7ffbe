"""How quickly the daemon begins to answer a block request, in real time: 8 radios on ptys, 2,000 labels being repriced.

A label waits 140 ms at 2 Mbaud, 550 ms at 115200 (esl.md 1.4); the answer has to begin well within. Radios and labels
run in this process, on a loop of their own; the daemon is `trastienda run` with its ledger, planner and pictures.
"""

import asyncio
import random
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from drivers.openepaperlink import codec
from drivers.openepaperlink.picture_codec import tag_types
from drivers.virtual.own_thread import OwnThread
from drivers.virtual.pty_port import PtyPort
from drivers.virtual.radio import Direction, VirtualRadio
from drivers.virtual.shelf import VirtualShelf
from edge.db.books import derive_key
from edge.db.connection import connect, migrate
from edge.db.queries import LEDGER
from edge.prices.claim_book import Offered, close_by_proof, open_claim
from tests.bench._ports import free_port
from tests.bench._radio_model import TracedLabel, draw_trace, read_model
from tests.bench._store import DATABASE_KEY, ITEMS, fill, running
from tests.bench.footprint import pss_mb

RADIOS = 8
LABELS = 2_000
SECONDS = 300.0
TAG_TYPE = 0x01
ANSWER_LIMIT_MS = 100
PSS_LIMIT_MB = 250
HORIZON_S = 2 * SECONDS


class _Wire:
    """Listens to one line: from the last byte of an `RQB>` to the first of the `>D>` that answers it."""

    def __init__(self) -> None:
        self.answers_s: list[float] = []
        self.unanswered = 0
        self._asked_s: float | None = None

    def heard(self, direction: Direction, data: bytes) -> None:
        now_s = time.perf_counter()
        if direction is Direction.TO_HOST:
            if data.startswith(b"RQB>"):
                self.unanswered += self._asked_s is not None
                self._asked_s = now_s
        elif self._asked_s is not None and codec.LOAD_BLOCK in data:
            self.answers_s.append(now_s - self._asked_s)
            self._asked_s = None


def run() -> list[dict[str, object]]:
    """`block_answer_ms_p999` and `pss_mb` of the same 300 s."""
    wires, devices = [_Wire() for _ in range(RADIOS)], OwnThread()
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        fill(directory)
        _hang_labels(directory)
        paths, shown = devices.start(lambda ready: _devices(wires, ready))
        stations = ", ".join(f"{{name: radio-{number}, driver: openepaperlink, port: {path}, high_speed: true}}"
                             for number, path in enumerate(paths))
        try:
            with running(directory, free_port(), tills=1, base_stations=stations) as (process, _):
                time.sleep(SECONDS)
                memory_mb = pss_mb(process.pid)
                pictures = devices.call(shown)
        finally:
            devices.stop()
    answers = sorted(answer for wire in wires for answer in wire.answers_s)
    p999_ms, median_ms = (1000 * answers[int(len(answers) * share)] for share in (0.999, 0.5))
    conditions = (f"{RADIOS} ptys, {LABELS} labels, {SECONDS:.0f} s of repricing in real time: {pictures} pictures "
                  f"shown, {len(answers)} blocks answered, {sum(wire.unanswered for wire in wires)} not")
    return [{"name": "block_answer_ms_p999", "value": round(p999_ms, 1), "unit": "ms", "limit": ANSWER_LIMIT_MS,
             "peer": round(median_ms, 2), "ratio": round(p999_ms / ANSWER_LIMIT_MS, 3),
             "conditions": f"{conditions}; peer: the median"},
            {"name": "pss_mb_repricing", "value": round(memory_mb, 1), "unit": "MB", "limit": PSS_LIMIT_MB,
             "peer": None, "ratio": round(memory_mb / PSS_LIMIT_MB, 3),
             "conditions": f"the daemon's process tree after {conditions}"}]


async def _devices(wires: list[_Wire], ready: Callable[[tuple[list[Path], Callable[[], int]]], None]) -> None:
    model = read_model()
    begins: asyncio.Future[float] = asyncio.get_running_loop().create_future()
    begins.set_result(asyncio.get_running_loop().time())
    radios = [VirtualRadio(random.Random(number), timing=model.timing, slots_max=model.slots, on_wire=wire.heard)
              for number, wire in enumerate(wires)]
    ports = [PtyPort(radio, paced=True) for radio in radios]
    labels = [TracedLabel(_address(number), tag_types()[TAG_TYPE], radios[number % RADIOS],
                          draw_trace(model, number, HORIZON_S), begins) for number in range(LABELS)]
    shelves = [VirtualShelf(radio, labels[number::RADIOS]) for number, radio in enumerate(radios)]
    ready(([port.path for port in ports], lambda: sum(bool(label.history) for label in labels)))
    await asyncio.gather(*(shelf.run(port.run()) for shelf, port in zip(shelves, ports, strict=True)))


def _hang_labels(directory: Path) -> None:
    """Every label hangs under an item and has proven an old price."""
    ledger = connect(directory / "ledger.db", derive_key(DATABASE_KEY, "ledger.db"), synchronous="FULL")
    migrate(ledger, "ledger")
    ledger.execute("BEGIN IMMEDIATE")
    for number in range(LABELS):
        label, sku = _address(number), f"{1_000_000 + number % ITEMS}"
        ledger.execute(LEDGER.insert_label, (label, f"radio-{number % RADIOS}", "oepl:01", 20_000, 0))
        ledger.execute(LEDGER.bind_label, (sku, None, label))
        offered = Offered(label, f"{number:016x}", "old", sku, 1, "USD")
        order = open_claim(ledger, offered, 0, 0)
        close_by_proof(ledger, label, offered.version, 0, 0, 0, handed_order=order)
    ledger.execute("COMMIT")
    ledger.close()


def _address(number: int) -> str:
    return f"{0x0200_0000_0000 + number:016x}"
