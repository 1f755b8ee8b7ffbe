"""A store with 20,814 generated items on disk, for benchmarks: the shapes of a real grocery catalogue."""

import http.client
import os
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from cloud_sync.contract.documents import Item, Price
from cloud_sync.contract.feeds import Batch, Checkpoint, Feed, Put
from edge.db.books import derive_key
from edge.db.connection import connect, migrate
from edge.db.replica import Moment, apply_batch

ITEMS = 20_814
TOKEN = "till-token-for-benchmarks"
MONITOR_TOKEN = "monitor-token-for-benchmarks"
DATABASE_KEY = "database-key-for-benchmarks"
ENVIRONMENT = {"TRASTIENDA_DATABASE_KEY": DATABASE_KEY, "TRASTIENDA_STORE_KEY": "store-key-for-benchmarks",
               "TRASTIENDA_HUB_TOKEN": "hub-token-for-benchmarks", "TRASTIENDA_MONITOR": MONITOR_TOKEN}


def gtin_of(number: int) -> str:
    """A valid in-store EAN-13."""
    body = f"04{number:010d}"
    total = sum(int(digit) * (3 if index % 2 else 1) for index, digit in enumerate(body))
    return f"{body}{-total % 10}"


def fill(directory: Path) -> None:
    """Load the items and prices into `replica.db` by the daemon's own path."""
    chance = random.Random(20814)
    key = derive_key(DATABASE_KEY, "replica.db")
    connection = connect(directory / "replica.db", key, synchronous="NORMAL")
    migrate(connection, "replica")
    items = tuple(Put(index + 1, f"{1_000_000 + index}", 1, msgspec.Raw(msgspec.json.encode(Item(
        sku=f"{1_000_000 + index}", name=f"ITEM {index} OF A LONG SHELF", codes=(gtin_of(index),), category="CEREAL",
        department="GROCERY", brand="National", package_size="14.5 OZ")))) for index in range(ITEMS))
    prices = tuple(Put(index + 1, f"regular/{1_000_000 + index}", 1, msgspec.Raw(msgspec.json.encode(Price(
        sku=f"{1_000_000 + index}", price_minor=chance.randint(3, 12_999), currency="USD")))) for index in range(ITEMS))
    connection.execute("BEGIN IMMEDIATE")
    for feed, changes in ((Feed.ITEMS, items), (Feed.PRICES, prices)):
        apply_batch(connection, feed, Batch(changes, Checkpoint("bench", ITEMS)), Moment(1_700_000_000_000), {})
    connection.execute("COMMIT")
    connection.close()


def write_settings(directory: Path, port: int, tills: int, base_stations: str = "") -> Path:
    """The YAML of the benchmark's store; its hub is a closed port, as in an outage."""
    lines = "\n".join(f'  - {{id: "{till}", token: !credential till-{till}}}' for till in range(1, tills + 1))
    path = directory / "store.yaml"
    path.write_text(f"""store: {{id: bench, name: Bench, time_zone: UTC, currency: USD, language: en, unit_system: us}}
state_directory: {directory}
hub: {{url: "http://127.0.0.1:9", token: !credential hub-token}}
listeners:
  tills: {{host: 127.0.0.1, port: {port}}}
  staff: {{host: 127.0.0.1, port: {port}}}
database_key: !credential database-key
store_key: !credential store-key
monitors: [{{id: monitor, token: !credential monitor}}]
base_stations: [{base_stations}]
tills:
{lines}
""")
    return path


@contextmanager
def running(directory: Path, port: int, tills: int = 32,
            base_stations: str = "") -> Iterator[tuple[subprocess.Popen[bytes], float]]:
    """`trastienda run` on a filled store; yields the process and the seconds from its start until it was ready."""
    path = write_settings(directory, port, tills, base_stations)
    tokens = {f"TRASTIENDA_TILL_{till}": f"{TOKEN}-{till}" for till in range(1, tills + 1)}
    begin_s = time.perf_counter()
    process = subprocess.Popen([sys.executable, "-m", "edge.cli", "run", str(path)],
                               env={**os.environ, **ENVIRONMENT, **tokens}, stderr=subprocess.DEVNULL)
    try:
        yield process, _ready_after_s(port, process, begin_s)
    finally:
        process.terminate()
        process.wait(30)


def live_once(directory: Path, port: int) -> None:
    """A first life of a filled store, in which it writes down what it charges: what starts after it starts again."""
    with running(directory, port, tills=1):
        ledger = connect(directory / "ledger.db", derive_key(DATABASE_KEY, "ledger.db"), synchronous="FULL",
                         read_only=True)
        end_s = time.perf_counter() + 60
        while ledger.execute("SELECT COUNT(*) FROM price_interval").fetchone()[0] < ITEMS:
            assert time.perf_counter() < end_s, "the store did not write down its prices within 60 s"
            time.sleep(0.05)
        ledger.close()


def _ready_after_s(port: int, process: "subprocess.Popen[bytes]", begin_s: float) -> float:
    while time.perf_counter() - begin_s < 60:
        assert process.poll() is None, f"the store ended with exit code {process.returncode}"
        if _is_ready(port):
            return time.perf_counter() - begin_s
        time.sleep(0.01)
    raise AssertionError("the store was not ready within 60 s")


def _is_ready(port: int) -> bool:
    """Asked the cheapest way: what asks must not take the processor from what starts."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/readyz")
        return connection.getresponse().status == http.HTTPStatus.OK
    except OSError:
        return False
    finally:
        connection.close()
