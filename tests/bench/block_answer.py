"""How quickly the daemon begins to answer a block request, in real time: 8 radios on ptys, 2,000 labels being repriced.

A label waits 140 ms at 2 Mbaud, 550 ms at 115200 (esl.md 1.4); the answer has to begin well within. Radios and labels
run in this process, on a loop of their own; the daemon is `trastienda run` with its ledger, planner and pictures.
"""

import tempfile
import time
from pathlib import Path

from drivers.openepaperlink import codec
from drivers.virtual.own_thread import OwnThread
from drivers.virtual.radio import Direction
from tests.bench._ports import free_port
from tests.bench._shelf import hang_labels, radios_and_labels
from tests.bench._store import DATABASE_KEY, ITEMS, fill, running
from tests.bench.footprint import pss_mb

RADIOS = 8
LABELS = 2_000
SECONDS = 300.0
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
        hang_labels(directory, DATABASE_KEY, RADIOS, [f"{1_000_000 + number % ITEMS}" for number in range(LABELS)])
        paths, shown = devices.start(lambda ready: radios_and_labels(ready, RADIOS, LABELS, HORIZON_S,
                                                                     lambda number: wires[number].heard))
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
