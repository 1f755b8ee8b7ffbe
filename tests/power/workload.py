"""A store's busy hour, run under the recorder: `python -m tests.power.workload DIRECTORY SEED ROUNDS [how ...]`.

The real rooms over the real books and their real writer threads; the time is virtual, so that claims close and grace
ends. What was acknowledged, offered or sent is marked in the log after it left the store, never before. `how`:
`normal` opens the ledger with synchronous=NORMAL, `killed` ends without closing anything, like kill -9; `short-log`
moves the write-ahead logs into their files sixteen times as often, so that a few minutes hold many checkpoints.
"""

import asyncio
import hashlib
import os
import queue
import random
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import msgspec

from cloud_sync.contract.feeds import Feed
from cloud_sync.contract.pickup import Step
from edge.db import write_group
from edge.db.connection import Connection
from edge.db.ledger import head, load_clock
from edge.db.queries import LEDGER
from edge.db.write_group import Operation
from edge.db.writer import ThreadWriter
from edge.errors import Rejected
from edge.proving.box_clock import BoxClock
from edge.virtual_time import VirtualTimeLoop
from tests.power.marks import Acknowledged, Closing, Committed, Mark, Offered, SentByHub
from tests.power.recording import Recorder
from tests.store_kit import MONDAY_NOON_MS, Hub, Offer, StoreKit, money

SKUS = tuple(f"item-{number}" for number in range(24))
LABELS = tuple(f"aisle {number}" for number in range(6))
CODE = "K7P3XQ2M"
TILLS = 3
SALES_A_ROUND = 4
FIRSTS_A_SEED = 10_000
"""An hour of another seed in the same store begins its numbers elsewhere."""
ANSWER_S_MAX = 60


class PatientLoop(VirtualTimeLoop):
    """Virtual time that stands still while a writer's thread is at work."""

    def __init__(self) -> None:
        self.waiting = 0
        self._calls: queue.SimpleQueue[tuple[Callable[..., object], tuple[Any, ...]]] = queue.SimpleQueue()
        super().__init__()

    def call_soon_threadsafe(self, callback: Any, *args: Any, context: Any = None) -> Any:
        if threading.get_ident() == self._thread:
            return self.call_soon(callback, *args, context=context)
        self._calls.put((callback, args))
        return None

    def jump(self, seconds: float) -> None:
        if not self.waiting:
            return super().jump(seconds)
        callback, arguments = self._calls.get(timeout=ANSWER_S_MAX)
        self.call_soon(callback, *arguments)
        return None


class MarkedWriter(ThreadWriter):
    """The store's own writer; what it answered is marked once it is answered."""

    def __init__(self, connection: Connection, name: str, store: "MarkedStore") -> None:
        super().__init__(connection, name)
        self._store = store
        self._is_ledger = name == "ledger"

    async def submit(self, operation: Operation[Any], *, short: bool = False) -> Any:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, PatientLoop)
        loop.waiting += 1
        try:
            result, seen = await super().submit(lambda connection: (operation(connection), self._look(connection)),
                                                short=short)
        finally:
            loop.waiting -= 1
        if seen is not None:
            self._store.mark(seen)
        return result

    def _work(self) -> None:
        asyncio._set_running_loop(self._loop)  # the clock of a virtual box asks the loop of the thread that it is in
        super()._work()

    def _look(self, connection: Connection) -> Committed | None:
        if not self._is_ledger:
            return None
        chain = self._store.books.chain
        last, clock = head(connection, chain), load_clock(connection)
        cursor = connection.execute(LEDGER.cursor, (Feed.ORDERS,)).fetchone()
        return Committed(last.sequence, last.hash, clock.powered_ms if clock else 0, cursor[1] if cursor else 0)


class MarkedHub(Hub):
    """The chain's side; what it sends is marked before the store can have it."""

    async def sends(self, feed: Feed, documents: Any) -> None:
        kit = self._kit
        assert isinstance(kit, MarkedStore)
        kit.mark(SentByHub(feed, self._offsets[feed] + len(documents), {
            key: msgspec.Raw(msgspec.json.encode(document)) for key, document in documents.items()}))
        await super().sends(feed, documents)

    def goes_on_after(self, feed: Feed, offset: int) -> None:
        """The store was here before."""
        self._offsets[feed] = offset
        for key in (*SKUS, *(f"regular/{sku}" for sku in SKUS)):
            self._versions[key] = offset


class MarkedStore(StoreKit):
    """The store of the scenes, with marks."""

    def __init__(self, directory: Path, seed: int = 1, synchronous: str = "FULL") -> None:
        super().__init__(directory, self._make_marked_writer)
        self.clock = BoxClock(MONDAY_NOON_MS + seed * 3_600_000)  # the store mints its ids from the time it opens
        self._ids = FIRSTS_A_SEED * seed
        self.recorder = Recorder()
        self.hub = MarkedHub(self)
        self.station.before_offer = self._mark_offer
        self._synchronous = synchronous

    async def close(self) -> None:
        self.mark(Closing())
        await super().close()

    def mark(self, mark: Mark) -> None:
        self.recorder.mark(msgspec.json.encode(mark))

    def acknowledged(self, response: httpx.Response) -> None:
        """A till was told so."""
        if response.is_success:
            self.mark(Acknowledged(response.json()["fact_key"], hashlib.sha256(response.content).hexdigest()))

    def _mark_offer(self, offer: Offer) -> None:
        self.mark(Offered(offer.label, offer.version, offer.sku, offer.price_minor))

    def _make_marked_writer(self, connection: Connection, name: str) -> MarkedWriter:
        if name == "ledger" and self._synchronous != "FULL":
            connection.execute(f"PRAGMA synchronous = {self._synchronous}")
        return MarkedWriter(connection, name, self)


class BusyHour:
    """What happens in the store, by the seed."""

    def __init__(self, kit: MarkedStore, seed: int) -> None:
        self._kit = kit
        self._randomness = random.Random(seed)
        self._prices = dict.fromkeys(SKUS, 200)
        self._sequences = [FIRSTS_A_SEED * seed] * TILLS
        self._orders = FIRSTS_A_SEED * seed

    async def opens(self) -> None:
        """Products, their prices, labels, goods."""
        if await self._has_been_here():
            return
        await self._kit.hub.has_items(*SKUS)
        await self._kit.hub.sets_prices({sku: money(price) for sku, price in self._prices.items()})
        for label, sku in zip(LABELS, SKUS, strict=False):
            await self._kit.label(label).hangs_under(sku)
        for sku in SKUS:
            await self._kit.receives(sku, 50)

    async def _has_been_here(self) -> bool:
        """Whether this is the second hour of a store; then hub and shelves go on from the first."""
        cursors = {feed: await self._kit.intake.cursor(feed) for feed in (Feed.ITEMS, Feed.PRICES, Feed.ORDERS)}
        if None in cursors.values():
            return False
        for feed, cursor in cursors.items():
            assert cursor is not None
            self._kit.hub.goes_on_after(feed, cursor.offset)
        reader = self._kit.books.replica_reader
        self._prices.update(reader.execute("SELECT sku, price_minor FROM list_price").fetchall())
        for label in LABELS:
            self._kit.station.is_heard(label)
        return True

    async def goes_by(self, rounds: int) -> None:
        """So many rounds of everything at once."""
        for _ in range(rounds):
            await asyncio.gather(*(self._till(number) for number in range(TILLS)), self._prices_change(),
                                 self._goods_come(), self._order())
            await self._labels_prove()
            await self._kit.time_passes(self._randomness.choice((1, 30, 90)))

    async def ends(self) -> None:
        """The tills count their day; what they say need not be what the store has."""
        for number, last in enumerate(self._sequences, start=1):
            response = await self._kit.till(number).closes(last - 3, last, 4, "8.00")
            assert response.is_success

    async def _till(self, number: int) -> None:
        till = self._kit.till(number + 1)
        for _ in range(SALES_A_ROUND):
            self._sequences[number] += 1
            last, chance = self._sequences[number], self._randomness.random()
            if chance < 0.1:
                response = await till.voids(last, last - 1)
            elif chance < 0.2:
                response = await till.sells(last - 1, "item-1", 1)  # again, or with another meaning
            else:
                response = await till.sells(last, self._randomness.choice(SKUS), self._randomness.randint(1, 3))
            self._kit.acknowledged(response)

    async def _prices_change(self) -> None:
        changed = self._randomness.sample(SKUS, self._randomness.randint(3, 6))
        for sku in changed:
            self._prices[sku] += self._randomness.choice((-7, 5)) if self._prices[sku] > 150 else 5
        await self._kit.hub.has_items(*changed, brand=f"brand {self._randomness.random()}" + "." * 5000)
        await self._kit.hub.sets_prices({sku: money(self._prices[sku]) for sku in changed})

    async def _goods_come(self) -> None:
        await self._kit.receives(self._randomness.choice(SKUS), self._randomness.randint(1, 30))

    async def _order(self) -> None:
        self._orders += 1
        order = f"A-{self._orders}"
        wanted = {sku: self._randomness.randint(1, 2) for sku in self._randomness.sample(SKUS, 2)}
        await self._kit.hub.places_order(order, wanted, code=CODE)
        if self._randomness.random() < 0.2:
            await self._kit.hub.changes_order(order, cancel_requested=True)
            return
        try:
            for step in (Step.PICK, Step.STAGE, Step.READY, Step.HAND_OVER)[:self._randomness.randint(0, 4)]:
                await self._kit.takes_step(order, step, code=CODE)
        except Rejected:
            return  # nothing left to promise

    async def _labels_prove(self) -> None:
        for name in LABELS:
            if self._kit.station.offers[name] and self._randomness.random() < 0.7:
                await self._kit.label(name).proves()


def shorten_the_log() -> None:
    """Checkpoints come sooner than in life."""
    write_group.WRITER_LOG_PAGES = write_group.WRITER_LOG_PAGES // 16


def run(main: Any) -> None:
    """Run a scene under patient virtual time."""
    with asyncio.Runner(loop_factory=PatientLoop) as runner:
        runner.run(main)


async def _main(directory: Path, seed: int, rounds: int, how: list[str]) -> None:
    if "short-log" in how:
        shorten_the_log()
    kit = MarkedStore(directory, seed, "NORMAL" if "normal" in how else "FULL")
    await kit.open()
    hour = BusyHour(kit, seed)
    await hour.opens()
    await hour.goes_by(rounds)
    await hour.ends()
    if "killed" in how:
        os._exit(0)
    await kit.close()


if __name__ == "__main__":
    run(_main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), sys.argv[4:]))
