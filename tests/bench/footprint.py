"""`pss_mb` of the daemon's process tree and `ready_s`, with 20,814 items loaded.

`ready_s` is held against a fresh interpreter that opens the same files and reads every row.
"""

import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil

from tests.bench._ports import free_port
from tests.bench._store import DATABASE_KEY, ITEMS, fill, running

PSS_LIMIT_MB = 300
READY_LIMIT = 3.0
ROUNDS = 3
_READ_ROWS = """
import sys
from pathlib import Path
from edge.db.books import derive_key
from edge.db.connection import connect
connection = connect(Path(sys.argv[1]), derive_key(sys.argv[2], "replica.db"), synchronous="NORMAL")
for table in ("item", "item_code", "price_entry", "list_price"):
    assert len(connection.execute(f"SELECT * FROM {table}").fetchall()) >= 20000
"""


def run() -> list[dict[str, object]]:
    """Memory and start, medians."""
    with tempfile.TemporaryDirectory() as directory:
        fill(Path(directory))
        ready, rows, pss = [], [], []
        for _ in range(ROUNDS):
            with running(Path(directory), free_port()) as (process, ready_s):
                time.sleep(1.0)
                pss.append(pss_mb(process.pid))
            ready.append(ready_s)
            rows.append(_read_rows_s(Path(directory)))
    peer = statistics.median(rows)
    value = statistics.median(ready)
    return [{"name": "pss_mb", "value": round(statistics.median(pss), 1), "unit": "MB", "limit": PSS_LIMIT_MB,
             "peer": None, "ratio": round(statistics.median(pss) / PSS_LIMIT_MB, 3),
             "conditions": f"process tree, {ITEMS} items, idle, one second after ready"},
            {"name": "ready_s", "value": round(value, 3), "unit": "s", "limit": round(READY_LIMIT * peer, 3),
             "peer": round(peer, 3), "ratio": round(value / peer, 3),
             "conditions": f"from process start to /readyz, {ITEMS} items; peer: a fresh interpreter opens the file "
                           f"and reads every row; medians of {ROUNDS}"}]


def pss_mb(pid: int) -> float:
    """Of the process and all below it."""
    root = psutil.Process(pid)
    return sum(each.memory_full_info().pss for each in (root, *root.children(recursive=True))) / 1e6


def _read_rows_s(directory: Path) -> float:
    begin_s = time.perf_counter()
    subprocess.run([sys.executable, "-c", _READ_ROWS, str(directory / "replica.db"), DATABASE_KEY], check=True)
    return time.perf_counter() - begin_s
