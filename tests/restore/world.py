"""A hub and the boxes of one store: disks that are copied, put back, lost; boxes that are replaced, doubled, killed."""

import asyncio
import hashlib
import random
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import httpx
import msgspec
import structlog

from cloud_sync.client.session import HubLink
from cloud_sync.client.transport import HubAddress
from cloud_sync.contract.facts import decode_fact, stock_moves
from cloud_sync.contract.rebase import Enrol, Enrolled
from cloud_sync.hub import schema
from edge.db.backup import copy_ledger, mark_restored
from edge.db.books import derive_key
from edge.db.rebase_rows import read_rebase
from edge.rebase import RebaseBooks
from tests.hub.world import HubWorld
from tests.store_kit import BUSINESS_DAY, DATABASE_SECRET, StoreKit

STORE = "0042"
SKUS = ("milk", "bread")
KEY = derive_key(DATABASE_SECRET, "ledger.db")

Meets = Callable[[httpx.Request], bool]


class Wire(httpx.AsyncBaseTransport):
    """A line to the hub. `loses_reply`: asked of every request that was carried out; `cut`: nothing passes."""

    def __init__(self, hub: HubWorld) -> None:
        self.hub = hub
        self.cut = False
        self.loses_reply: Meets = lambda request: False
        self.before: Meets = lambda request: False
        self.paths: Counter[str] = Counter()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        await asyncio.sleep(0.01)
        if self.cut:
            raise httpx.ConnectError("no route", request=request)
        self.paths[request.url.path.rsplit("/", 1)[-1]] += 1
        self.before(request)
        answer = await httpx.ASGITransport(self.hub.app).handle_async_request(request)
        await asyncio.sleep(0.01)
        if self.cut or self.loses_reply(request):
            raise httpx.ReadError("connection reset", request=request)
        return answer


class Box:
    """One computer that believes it is store 0042."""

    def __init__(self, town: "Town", name: str, token: str, epoch: int = 1) -> None:
        self.town, self.name, self.token, self.epoch = town, name, token, epoch
        self.directory = town.directory / name
        self.directory.mkdir(parents=True, exist_ok=True)
        self.wire = Wire(town.hub)
        self.kit = StoreKit(self.directory)
        self.kit.first_epoch = epoch
        self._lives = 0
        self._task: asyncio.Task[None] | None = None

    async def starts(self) -> None:
        await self.kit.open()
        self._lives += 1
        address = HubAddress("http://hub", self.token, transport=self.wire)
        seed = random.Random(f"{self.name}/{self._lives}/{self.town.tick()}")
        self.link = HubLink(store_id=STORE, address=address, store=self.kit.intake, randomness=seed,
                            wall_ms=self.kit.clock.wall_ms, rebase=RebaseBooks(self.kit.store))
        self._task = asyncio.create_task(self.link.run())

    async def stops(self) -> None:
        await self._end_link()
        await self.kit.close()

    async def is_killed(self) -> None:
        """kill -9: nothing is finished, what was committed stays."""
        await self._end_link()
        await self.kit._stop_parts()
        self.kit.books.abandon()

    async def restarts(self) -> None:
        await self.is_killed()
        await self.starts()

    def backs_up(self) -> Path:
        """A copy of the ledger as it stands, while the daemon runs."""
        copy = self.town.directory / f"copy-{self.town.tick()}.db"
        copy_ledger(self.directory / "ledger.db", copy, KEY)
        return copy

    async def is_restored(self, copy: Path) -> None:
        """Its disk died; the copy is put on a new one."""
        if self._task is not None:
            await self.is_killed()
        for file in self.directory.glob("*.db*"):
            file.unlink()
        shutil.copyfile(copy, self.directory / "ledger.db")
        mark_restored(self.directory / "ledger.db", KEY)
        await self.starts()

    async def sells(self, sequence: int, sku: str = "milk", pieces: int = 1, till: int = 1) -> None:
        answer = await self.kit.till(till).sells(sequence, sku, pieces)
        assert answer.status_code == 201, answer.text

    @property
    def epoch_now(self) -> int:
        return self.kit.books.chain.epoch

    @property
    def in_line(self) -> bool:
        """Nothing of a restore is under way, and the hub holds the whole ledger."""
        state = self.link.state
        return (state.hub_epoch == self.town.hub.storage.database.hub_epoch()  # it has heard of this hub's restore
                and read_rebase(self.kit.books.ledger_reader) is None and state.fence is None and not state.rebasing
                and self.kit.store.acked_sequence == self._last_sequence())

    async def settles(self, within_s: float = 1500) -> None:
        async with asyncio.timeout(within_s):
            await asyncio.sleep(1)
            while not self.in_line:  # noqa: ASYNC110 - nothing tells of it
                await asyncio.sleep(0.5)

    async def until(self, true: Callable[[], bool], within_s: float = 1500, look_every_s: float = 0.02) -> None:
        async with asyncio.timeout(within_s):
            while not true():  # noqa: ASYNC110 - nothing tells of it
                await asyncio.sleep(look_every_s)

    def fact_keys(self) -> set[str]:
        """Every fact the box knows."""
        return {row[0] for row in self.kit.books.ledger_reader.execute("SELECT fact_key FROM fact")}

    def stock(self) -> dict[str, tuple[int, ...]]:
        rows = self.kit.books.ledger_reader.execute("SELECT * FROM stock ORDER BY sku").fetchall()
        return {row[0]: tuple(row[1:5]) for row in rows}

    def _last_sequence(self) -> int:
        row = self.kit.books.ledger_reader.execute("SELECT MAX(sequence) FROM entry WHERE epoch = ?",
                                                   (self.epoch_now,)).fetchone()
        return int(row[0] or 0)

    async def _end_link(self) -> None:
        task, self._task = self._task, None
        assert task is not None
        if task.done():
            task.result()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


class Town:
    """The hub of a chain, and whatever boxes speak for its store."""

    def __init__(self, url: str, directory: Path) -> None:
        self.directory = directory / "boxes"
        self.hub = HubWorld(url)
        self.boxes: list[Box] = []
        self._ticks = 0

    async def begin(self) -> None:
        structlog.configure(processors=[_drop])
        answer = await self.hub.operator.put(f"/v1/stores/{STORE}", json={})
        self.box = self.add("box", answer.json()["token"])
        catalogue = await self.hub.operator.put("/v1/catalogue", json={
            "items": [{"sku": sku, "name": sku} for sku in SKUS],
            "prices": [{"id": sku, "sku": sku, "price_minor": 100, "currency": "EUR"} for sku in SKUS]})
        assert catalogue.status_code == 200, catalogue.text
        await self.box.starts()
        await self.box.until(lambda: self.box.kit.till().asks("milk") == "1.00")

    async def end(self) -> None:
        for box in self.boxes:
            if box._task is not None:
                await box.stops()
        self.hub.stop()
        structlog.reset_defaults()

    def hub_backs_up(self) -> dict[str, list[dict[str, object]]]:
        """Every row the hub has, whatever database it is on."""
        with self.hub.storage.database.transaction() as connection:
            return {table.name: [dict(row) for row in connection.execute(table.select()).mappings()]
                    for table in schema.metadata.sorted_tables}

    def hub_is_restored(self, copy: dict[str, list[dict[str, object]]]) -> None:
        """Its disk died; the copy is put back, and the operator says so."""
        with self.hub.storage.database.transaction() as connection:
            for table in reversed(schema.metadata.sorted_tables):
                connection.execute(table.delete())
            for table in schema.metadata.sorted_tables:
                if copy[table.name]:
                    connection.execute(table.insert(), copy[table.name])
        self.hub.storage.database.renew_after_restore()

    def add(self, name: str, token: str, epoch: int = 1) -> Box:
        box = Box(self, name, token, epoch)
        self.boxes.append(box)
        return box

    def tick(self) -> int:
        self._ticks += 1
        return self._ticks

    async def enrols(self, name: str) -> Box:
        """A technician unpacks another box and types a fresh code into it."""
        token = f"token of {name}"
        enrolled = await self.trades((await self.makes_code()), token)
        return self.add(name, token, enrolled.epoch)

    async def makes_code(self, **body: int) -> str:
        answer = await self.hub.operator.post(f"/v1/stores/{STORE}/enrolment-codes", json=body)
        assert answer.status_code == 201, answer.text
        return str(answer.json()["code"])

    async def trades(self, code: str, token: str, store: str = STORE) -> Enrolled:
        answer = await self.asks_to_enrol(code, token, store)
        assert answer.status_code == 200, answer.text
        return msgspec.json.decode(answer.content, type=Enrolled)

    async def asks_to_enrol(self, code: str, token: str, store: str = STORE) -> httpx.Response:
        body = msgspec.json.encode(Enrol(store, code, hashlib.sha256(token.encode()).hexdigest()))
        return await self.hub.client(None).post("/v1/enrol", content=body)

    async def hub_stock(self) -> dict[str, tuple[int, ...]]:
        found = {}
        for sku in SKUS:
            row = (await self.hub.operator.get(f"/v1/stores/{STORE}/stock/{sku}")).json()
            found[sku] = tuple(row[name] for name in ("sellable_milli", "reserved_milli", "staged_milli",
                                                      "quarantine_milli"))
        return {sku: row for sku, row in found.items() if any(row)}

    async def hub_facts(self) -> Counter[str]:
        """How often each fact counts at the hub."""
        counted: Counter[str] = Counter()
        for head in (await self.hub.status(STORE)).heads:
            after: int | None = 0
            while after is not None:
                page = (await self.hub.operator.get(
                    f"/v1/stores/{STORE}/ledger?epoch={head.epoch}&after={after}")).json()
                counted.update(entry["fact_key"] for entry in page["entries"] if not entry.get("repeat_of"))
                after = page["next_after"]
        return counted

    async def agree(self, box: Box) -> None:
        """Box and hub hold the same facts, each once, and the same stock, which is that of the facts."""
        await box.settles()
        counted = await self.hub_facts()
        assert set(counted) == box.fact_keys()
        assert set(counted.values()) <= {1}
        stock = {sku: row for sku, row in box.stock().items() if any(row)}
        assert stock == await self.hub_stock()
        assert (await self.hub.status(STORE)).quarantined == 0
        assert stock == await self._stock_of_facts()

    async def _stock_of_facts(self) -> dict[str, tuple[int, ...]]:
        sums: dict[str, list[int]] = {}
        for head in (await self.hub.status(STORE)).heads:
            page = (await self.hub.operator.get(f"/v1/stores/{STORE}/ledger?epoch={head.epoch}")).json()
            for entry in page["entries"]:
                if entry.get("repeat_of"):
                    continue
                for move in stock_moves(decode_fact(msgspec.json.encode(entry["payload"]))):
                    row = sums.setdefault(move.sku, [0, 0, 0, 0])
                    for place, quantity in enumerate((move.sellable_milli, move.reserved_milli, move.staged_milli,
                                                      move.quarantine_milli)):
                        row[place] += quantity
        return {sku: tuple(row) for sku, row in sums.items() if any(row)}


def sale_key(sequence: int, till: int = 1) -> str:
    return f"till/{till}/{BUSINESS_DAY}/{sequence:010d}"


def _drop(*_arguments: object) -> str:
    raise structlog.DropEvent
