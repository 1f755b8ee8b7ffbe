"""A store box for real: `trastienda run` in a process and on a directory of its own; its hub is absent unless named."""

import http.client
import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import httpx
import msgspec

from cloud_sync.contract.documents import Item, Price
from cloud_sync.contract.feeds import Batch, Change, Checkpoint, Feed, Put
from edge.db.books import derive_key
from edge.db.connection import connect, migrate
from edge.db.replica import Moment, apply_batch
from tests.service import Service, free_port

MILK, MILK_GTIN, PRICE_MINOR = "1001", "4006381333931", 99
DAY = datetime.now(UTC).date().isoformat()
"""Today: a sale of another day would be a late one."""
SECRETS = {"TRASTIENDA_HUB_TOKEN": "the hub's token", "TRASTIENDA_DATABASE_KEY": "a database key",
           "TRASTIENDA_STORE_KEY": "a store key", "TRASTIENDA_MONITOR": "monitor", "TRASTIENDA_TILL_1": "till 1",
           "TRASTIENDA_TILL_2": "till 2"}
STORE = '{id: "7", name: Corner, time_zone: Europe/Madrid, currency: EUR, language: en}'


@dataclass
class RealBox:
    """What its settings say, and how to start it and talk to it. Changing a field changes the next file written."""

    directory: Path
    service: Service
    port: int = field(default_factory=free_port)
    hub: str = "http://127.0.0.1:9"
    store: str = STORE
    listener: str = ""
    tills: str = '{id: "1", token: !credential till-1}'
    base_stations: str = ""
    more: str = ""
    secrets: dict[str, str] = field(default_factory=lambda: dict(SECRETS))

    @property
    def config(self) -> Path:
        return self.directory / "store.yaml"

    @property
    def state(self) -> Path:
        return self.directory / "state"

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def write(self) -> Path:
        """The settings file."""
        listener = self.listener or f"{{host: 127.0.0.1, port: {self.port}}}"
        self.config.write_text(f"""\
store: {self.store}
state_directory: {self.state}
hub: {{url: "{self.hub}", token: !credential hub-token}}
listeners:
  tills: {listener}
  staff: {listener}
database_key: !credential database-key
store_key: !credential store-key
monitors: [{{id: prometheus, token: !credential monitor}}]
tills: [{self.tills}]
base_stations: [{self.base_stations}]
{self.more}""")
        return self.config

    def start(self) -> None:
        """Start and wait until it is ready."""
        self.service.start("run", self.write(), **self.secrets)
        self.service.hears("READY=1")

    def exit_code(self, *, prefix: tuple[str, ...] = ()) -> int:
        """Start what is not going to run."""
        self.service.start("run", self.write(), prefix=prefix, **self.secrets)
        return self.service.ends()

    def get(self, path: str, token: str = "till 1") -> httpx.Response:
        return httpx.get(f"{self.url}{path}", headers={"Authorization": f"Bearer {token}"}, timeout=10)

    def put_sale(self, sequence: int, **changes: object) -> httpx.Response:
        """One carton of milk at till 1."""
        return httpx.put(f"{self.url}{sale_path(sequence)}", content=sale(**changes), timeout=10,
                         headers={"Authorization": "Bearer till 1"})

    def connection(self) -> http.client.HTTPConnection:
        """A till's kept-alive connection."""
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)

    def stock_milk(self) -> None:
        """The catalogue as the hub would have sent it; while the daemon is down."""
        self.state.mkdir(exist_ok=True)
        key = derive_key(self.secrets["TRASTIENDA_DATABASE_KEY"], "replica.db")
        connection = connect(self.state / "replica.db", key, synchronous="NORMAL")
        migrate(connection, "replica")
        connection.execute("BEGIN IMMEDIATE")
        for feed, key_, document in ((Feed.ITEMS, MILK, Item(MILK, "Milk", (MILK_GTIN,), package_size="1 L")),
                                     (Feed.PRICES, f"regular:{MILK}", Price(MILK, PRICE_MINOR, "EUR"))):
            changes: tuple[Change, ...] = (Put(1, key_, 1, msgspec.Raw(msgspec.json.encode(document))),)
            apply_batch(connection, feed, Batch(changes, Checkpoint("g1", 1)), Moment(1_700_000_000_000), {})
        connection.execute("COMMIT")
        connection.close()

    def ledger_rows(self, query: str) -> list[tuple[object, ...]]:
        """Straight from ledger.db; while the daemon is down."""
        key = derive_key(self.secrets["TRASTIENDA_DATABASE_KEY"], "ledger.db")
        connection = connect(self.state / "ledger.db", key, synchronous="FULL", read_only=True)
        try:
            return connection.execute(query).fetchall()
        finally:
            connection.close()

    def files(self) -> dict[str, bytes]:
        """Every file of the state directory."""
        return {path.name: path.read_bytes() for path in self.state.iterdir()} if self.state.exists() else {}


def sale_path(sequence: int) -> str:
    return f"/v1/transactions/1/{DAY}/{sequence}"


def sale(**changes: object) -> bytes:
    """The body of a sale of one carton of milk."""
    line = {"line": 1, "sku": MILK, "quantity_milli": 1000, "amount_minor": PRICE_MINOR}
    return json.dumps({"type": "sale", "currency": "EUR", "total_minor": PRICE_MINOR,
                       "occurred_at": datetime.now(UTC).isoformat(), "lines": [line], **changes}).encode()
