"""A hub in this process, and stores with honest ledgers that talk to it. Clock and randomness belong to the test."""

import random
from collections.abc import Iterable
from dataclasses import dataclass, field

import httpx
import msgspec

from cloud_sync.contract.facts import Fact, LineKind, SaleLine, Transaction, TransactionKind, encode_fact
from cloud_sync.contract.feeds import Batch, Cursor, batches_of, records_of
from cloud_sync.contract.ledger import GENESIS_HASH, Entry, Push, entry_hash
from cloud_sync.hub.app import HubApp, Run, run_inline
from cloud_sync.hub.bells import Bells
from cloud_sync.hub.secrets import HubKey
from cloud_sync.hub.storage import HubStorage, open_storage
from cloud_sync.hub.stores import StoreStatus

OPERATOR_TOKEN = "the operator of all these tests"
HUB_KEY = HubKey("0123456789abcdef" * 4)
MONDAY_MS = 1_767_225_600_000


def decode_page(page: bytes, after: Cursor | None) -> list[Batch]:
    """A page as a store reads it."""
    return list(batches_of(records_of(page), after))


class HubWorld:
    """A hub that can be stopped and started; `now_ms` is its clock."""

    def __init__(self, url: str, run: Run = run_inline, seed: int = 20260105) -> None:
        self.url = url
        self.trial = False
        self.now_ms = MONDAY_MS
        self._run = run
        self._random = random.Random(seed)
        self._clients: list[httpx.AsyncClient] = []
        self.start()

    def start(self) -> None:
        self.storage: HubStorage = open_storage(self.url, HUB_KEY, lambda: self.now_ms, self._random.randbytes)
        self.storage.stores.ensure_operator(OPERATOR_TOKEN)
        self.bells = Bells()
        self.app = HubApp(self.storage, self._run, self.bells, trial=self.trial).asgi()
        self.operator = self.client(OPERATOR_TOKEN)

    def stop(self) -> None:
        self.storage.close()

    def restart(self) -> None:
        """Everything in memory is lost; clients made before go on talking to the new process."""
        self.stop()
        self.start()
        for client in self._clients:
            client._transport = httpx.ASGITransport(self.app)

    def client(self, token: str | None) -> httpx.AsyncClient:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        client = httpx.AsyncClient(transport=httpx.ASGITransport(self.app), base_url="http://hub", headers=headers)
        self._clients.append(client)
        return client

    async def store(self, name: str = "store-1", **registration: object) -> "StoreWorld":
        """Register a store and speak as it."""
        answer = await self.operator.put(f"/v1/stores/{name}", json=registration)
        assert answer.status_code == 201, answer.text
        return StoreWorld(name, self.client(answer.json()["token"]))

    async def shop(self, name: str = "web") -> httpx.AsyncClient:
        """Register a web shop and speak as it."""
        answer = await self.operator.put(f"/v1/shops/{name}")
        assert answer.status_code == 201, answer.text
        return self.client(answer.json()["token"])

    async def connector(self, name: str = "vendure") -> httpx.AsyncClient:
        """Register a connector and speak as it."""
        answer = await self.operator.put(f"/v1/connectors/{name}")
        assert answer.status_code == 201, answer.text
        return self.client(answer.json()["token"])

    async def status(self, store: str = "store-1") -> StoreStatus:
        answer = await self.operator.get(f"/v1/stores/{store}/status")
        return msgspec.json.decode(answer.content, type=StoreStatus)

    async def stock_milli(self, sku: str, store: str = "store-1") -> int:
        return int((await self.operator.get(f"/v1/stores/{store}/stock/{sku}")).json()["sellable_milli"])

    async def sets_items(self, *items: dict[str, object]) -> dict[str, int]:
        answer = await self.operator.put("/v1/catalogue/items", json=list(items))
        assert answer.status_code == 200, answer.text
        return answer.json()


@dataclass(slots=True)
class StoreWorld:
    """The store's end of the line."""

    name: str
    http: httpx.AsyncClient

    def ledger(self, epoch: int = 1) -> "Ledger":
        return Ledger(self.name, epoch)

    async def push(self, push: Push) -> httpx.Response:
        return await self.http.post(f"/v1/stores/{self.name}/ledger", content=msgspec.json.encode(push))

    async def feed(self, feed: str, after: Cursor | None = None, wait_s: int = 0) -> httpx.Response:
        parameters: dict[str, str | int] = {"wait_s": wait_s} if wait_s else {}
        if after:
            parameters |= {"generation": after.generation, "after": after.offset}
        return await self.http.get(f"/v1/stores/{self.name}/feeds/{feed}", params=parameters)

    async def batches(self, feed: str, after: Cursor | None = None) -> list[Batch]:
        answer = await self.feed(feed, after)
        assert answer.status_code == 200, answer.text
        return decode_page(answer.content, after)


@dataclass(slots=True)
class Ledger:
    """A chain as a store's box writes it. `Ledger("s", 1).sells("milk")` appends one transaction of one line."""

    store: str
    epoch: int
    entries: list[Entry] = field(default_factory=list)

    def appends(self, fact: Fact, fact_key: str) -> Entry:
        return self.appends_bytes(encode_fact(fact), fact_key, "fact")

    def appends_bytes(self, payload: bytes, fact_key: str, kind: str = "odd") -> Entry:
        sequence = len(self.entries) + 1
        hash_ = entry_hash(self.hash_at(sequence - 1), self.store, self.epoch, sequence, fact_key, kind, MONDAY_MS,
                           "2026-01-05", payload)
        entry = Entry(sequence, fact_key, kind, MONDAY_MS, "2026-01-05", msgspec.Raw(payload), hash_)
        self.entries.append(entry)
        return entry

    def sells(self, *skus: str, sequence: int | None = None, till: str = "1") -> Entry:
        number = sequence or len(self.entries) + 1
        lines = tuple(SaleLine(line, LineKind.SALE, 1000, 99, sku=sku) for line, sku in enumerate(skus, start=1))
        sale = Transaction(till, "2026-01-05", number, TransactionKind.SALE, "EUR", 99 * len(lines), lines)
        return self.appends(sale, f"{till}/2026-01-05/{number}")

    def hash_at(self, sequence: int) -> str:
        return self.entries[sequence - 1].hash if sequence else GENESIS_HASH

    def push(self, first: int = 1, last: int | None = None) -> Push:
        """The entries from `first` to `last`, both included."""
        return self.push_of(self.entries[first - 1:last], first)

    def push_of(self, entries: Iterable[Entry], first: int) -> Push:
        return Push(self.epoch, first, self.hash_at(first - 1), tuple(entries))
