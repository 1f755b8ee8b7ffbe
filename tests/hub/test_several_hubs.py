"""Several hub processes on one PostgreSQL, killed at random under load (DESIGN.md section 10)."""

import asyncio
import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import msgspec
import psycopg
import pytest
import sqlalchemy as sa

from cloud_sync.contract.facts import Transaction, decode_fact
from cloud_sync.contract.feeds import Cursor
from cloud_sync.hub import rows
from cloud_sync.hub.ledgers import AuditPage
from cloud_sync.hub.rows import COPY_FROM_ROWS
from tests.hub.processes import HubProcesses
from tests.hub.world import HubWorld, Ledger, decode_page
from tests.postgres import PostgresServer

ENTRIES_PER_PUSH_MAX = 60
AGAIN_AFTER_S = 0.02
SKUS = 20


@dataclass
class Shop:
    """A store that talks to whichever hub chance names, and remembers what was acknowledged."""

    name: str
    http: httpx.AsyncClient
    urls: Sequence[str]
    chance: random.Random
    ledger: Ledger
    acked: int = 0
    cursor: Cursor | None = None
    items: set[str] = field(default_factory=set)

    async def pushes_everything(self) -> None:
        while self.acked < len(self.ledger.entries):
            first, count = self.acked + 1, self.chance.randint(1, ENTRIES_PER_PUSH_MAX)
            body = msgspec.json.encode(self.ledger.push(first, first + count - 1))
            urls = self.urls if self.chance.random() < 0.2 else [self.chance.choice(self.urls)]  # sometimes to all
            await asyncio.gather(*(self._push(url, body) for url in urls))

    async def follows_items_until(self, sku: str) -> None:
        while sku not in self.items:
            query = {"wait_s": "2"}
            if self.cursor:
                query |= {"generation": self.cursor.generation, "after": str(self.cursor.offset)}
            answer = await self._ask("GET", self.chance.choice(self.urls), "feeds/items", params=query)
            if answer is not None:
                for batch in decode_page(answer.content, self.cursor):
                    self.items |= {change.key for change in batch.changes}
                    self.cursor = Cursor(batch.checkpoint.generation, batch.checkpoint.offset)

    async def _push(self, url: str, body: bytes) -> None:
        answer = await self._ask("POST", url, "ledger", content=body)
        if answer is None:
            return
        said = answer.json()
        here = said["expected_sequence"] - 1 if answer.status_code == 409 else said["acked_sequence"]
        assert answer.status_code == 200 or (said["reason"] == "gap" and here >= self.acked), f"lost: {said}"
        self.acked = max(self.acked, here)

    async def _ask(self, method: str, url: str, path: str, **what: object) -> httpx.Response | None:
        """`None` when that hub is away."""
        try:
            answer = await self.http.request(method, f"{url}/v1/stores/{self.name}/{path}", **what)
        except httpx.TransportError:
            await asyncio.sleep(AGAIN_AFTER_S)
            return None
        assert answer.status_code in (200, 409), answer.text
        return answer


def opened(hubs: HubProcesses, number: int, facts: int, chance: random.Random) -> Shop:
    """Register a store that has sold something already."""
    name = f"store-{number}"
    with hubs.operator() as operator:
        token = operator.put(f"/v1/stores/{name}").json()["token"]
    ledger = Ledger(name, 1)
    for _ in range(facts):
        ledger.sells(*(f"sku-{chance.randrange(SKUS)}" for _ in range(chance.randint(1, 4))))
    http = httpx.AsyncClient(headers={"Authorization": f"Bearer {token}"}, timeout=60, trust_env=False)
    return Shop(name, http, hubs.urls, chance, ledger)


async def kill_at_random(hubs: HubProcesses, shops: Sequence[Shop], kills: int, chance: random.Random) -> int:
    """Kill a hub whenever the stores have come so far, and start it again. Returns how many died."""
    total = sum(len(shop.ledger.entries) for shop in shops)
    done = 0
    for at in sorted(chance.randrange(total // 10, total * 9 // 10) for _ in range(kills)):
        while sum(shop.acked for shop in shops) < at:  # noqa: ASYNC110 - nothing tells of it
            await asyncio.sleep(AGAIN_AFTER_S)
        number = chance.randrange(len(hubs.urls))
        await asyncio.to_thread(hubs.kill, number)
        hubs.start(number)
        await asyncio.to_thread(hubs.wait_until_it_answers, number)
        done += 1
    return done


def check_against_the_ledger(hubs: HubProcesses, shop: Shop) -> None:
    """What the hub holds, against the store's own entries and a recomputation of its stock."""
    with hubs.operator() as operator:
        page = msgspec.json.decode(operator.get(f"/v1/stores/{shop.name}/status").content)
        assert (page["entries"], page["facts"], page["transactions"]) == (len(shop.ledger.entries),) * 3
        assert (page["quarantined"], page["alarms"]) == (0, [])
        after, hashes = 0, []
        while len(hashes) < len(shop.ledger.entries):
            audit = msgspec.json.decode(operator.get(f"/v1/stores/{shop.name}/ledger", params={
                "epoch": 1, "after": after, "limit": 1000}).content, type=AuditPage)
            hashes += [entry.hash for entry in audit.entries]
            after = audit.entries[-1].sequence
        assert hashes == [entry.hash for entry in shop.ledger.entries]
        sold = Counter[str]()
        for entry in shop.ledger.entries:
            fact = decode_fact(entry.payload)
            assert isinstance(fact, Transaction)
            sold.update({line.sku: 0 for line in fact.lines})
            for line in fact.lines:
                sold[line.sku] += line.quantity_milli
        for sku, quantity_milli in sold.items():
            stock = operator.get(f"/v1/stores/{shop.name}/stock/{sku}").json()
            assert stock["sellable_milli"] == -quantity_milli, (shop.name, sku)


async def the_scene(url: str, directory: Path, *, hubs: int, stores: int, facts: int, kills: int, seed: int) -> None:
    chance = random.Random(seed)
    with HubProcesses(url, hubs, directory) as processes:
        shops = [opened(processes, number, facts, chance) for number in range(stores)]
        following = asyncio.gather(*(shop.follows_items_until("last") for shop in shops))
        died, *_ = await asyncio.gather(kill_at_random(processes, shops, kills, chance),
                                        *(shop.pushes_everything() for shop in shops))
        assert died == kills
        with processes.operator(hubs - 1) as operator:
            assert operator.put("/v1/catalogue/items", json=[{"sku": "last", "name": "Last"}]).status_code == 200
        await following
        for shop in shops:
            check_against_the_ledger(processes, shop)
            await shop.http.aclose()


@pytest.mark.slow
async def test_p1_p2_hubs_killed_under_load_lose_nothing_and_double_nothing(postgres: PostgresServer, tmp_path: Path):
    await the_scene(postgres.new_database(), tmp_path, hubs=2, stores=2, facts=200, kills=2, seed=20260105)


async def test_p1_a_database_that_hangs_up_in_the_middle_of_a_push_is_said_and_nothing_is_kept(
        postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch):
    url = postgres.new_database()
    hub = HubWorld(url)
    store = await hub.store()
    ledger = store.ledger()
    for _ in range(2 * COPY_FROM_ROWS):
        ledger.sells("milk")
    copy_text = rows._copy_text

    def hang_up(table: sa.Table, columns: tuple[str, ...]) -> tuple[str, list[str]]:
        with psycopg.connect(url, autocommit=True) as other:
            other.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() "
                          "AND state = 'idle in transaction'")
        return copy_text(table, columns)

    with monkeypatch.context() as outage:
        outage.setattr(rows, "_copy_text", hang_up)
        answer = await store.push(ledger.push())
    assert answer.status_code == 503
    assert (await hub.status()).entries == 0
    assert (await store.push(ledger.push())).json() == {"acked_sequence": 2 * COPY_FROM_ROWS}
    assert await hub.stock_milli("milk") == -2000 * COPY_FROM_ROWS
    hub.stop()


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(5))
async def test_p1_p2_hubs_killed_over_and_over_lose_nothing_and_double_nothing(postgres: PostgresServer,
                                                                              tmp_path: Path, seed: int):
    await the_scene(postgres.new_database(), tmp_path, hubs=3, stores=20, facts=2_000, kills=15, seed=seed)
