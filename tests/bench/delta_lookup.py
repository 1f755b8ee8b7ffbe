"""How quickly lookups are answered while a delta of 5,000 rows is applied, beside the same lookups on an idle store.

A lookup is timed as a till would: from the moment it stands in the event loop's queue until its answer is there. The
store is the daemon's own rooms over its own files and writer threads; the delta is one batch of prices, as one
checkpoint, applied again and again with other prices until enough lookups were seen.
"""

import asyncio
import random
import tempfile
import time
from pathlib import Path
from zoneinfo import ZoneInfo

import msgspec

from cloud_sync.contract.documents import Policy, Price
from cloud_sync.contract.feeds import Batch, Checkpoint, Feed, Put
from edge.clock import StoreClock, SystemClock
from edge.db.books import Books, open_books
from edge.db.writer import ThreadWriter
from edge.intake import Intake
from edge.interpreter import tune
from edge.pickups.desk import PickupDesk
from edge.pickups.people import PeopleVault
from edge.prices.guard_desk import GuardDesk
from edge.prices.price_desk import PriceDesk
from edge.stock.deliveries import DeliveryDesk
from edge.store import Identity, Store
from edge.tasks import TaskDesk
from tests.bench._store import DATABASE_KEY, ITEMS, fill, gtin_of

ROWS = 5_000
DELTAS = 3
IDLE_LOOKUPS = 20_000
NO_GUARD = Policy(guard_share_percent=100, guard_decrease_percent=100, guard_increase_percent=100_000)
PAUSE_S = 0.0005
"""Between lookups: thirty-two busy tills ask less often."""


def run() -> dict[str, object]:
    """`delta_lookup_p99_ms`."""
    with tempfile.TemporaryDirectory() as directory:
        fill(Path(directory))
        idle, busy, applied_s = asyncio.run(_measure(Path(directory)))
    idle_ms, busy_ms = _p99_ms(idle), _p99_ms(busy)
    return {"name": "delta_lookup_p99_ms", "value": round(busy_ms, 3), "unit": "ms", "limit": round(2 * idle_ms, 3),
            "peer": round(idle_ms, 3), "ratio": round(busy_ms / idle_ms, 2),
            "conditions": f"{ITEMS} items on disk; {DELTAS} deltas of {ROWS} prices, {applied_s:.2f} s each, "
                          f"{len(busy)} lookups meanwhile; peer: {len(idle)} lookups of the same store, idle"}


async def _measure(directory: Path) -> tuple[list[float], list[float], float]:
    books = open_books(directory, DATABASE_KEY, "bench", ThreadWriter)
    try:
        prices, intake = _rooms(books)
        tune()
        await intake.apply(Feed.POLICY, [Batch((Put(1, "policy", 1, msgspec.Raw(msgspec.json.encode(NO_GUARD))),),
                                               Checkpoint("bench", 1))])
        idle = await _lookups(prices, lambda seen: len(seen) >= IDLE_LOOKUPS // 10)
        idle = await _lookups(prices, lambda seen: len(seen) >= IDLE_LOOKUPS // 4)
        busy: list[float] = []
        began_s = time.perf_counter()
        for number in range(DELTAS):
            task = asyncio.create_task(intake.apply(Feed.PRICES, [_delta(number)]))
            busy += await _lookups(prices, lambda _seen, task=task: task.done())
            await task
            assert prices.by_sku("1000000").list_price_minor == 10_000 + number, "the delta was applied"
        return idle, busy, (time.perf_counter() - began_s) / DELTAS
    finally:
        books.close()


def _rooms(books: Books) -> tuple[PriceDesk, Intake]:
    identity = Identity("bench", "Bench", ZoneInfo("UTC"), "USD", "en", "us", "id.example.com")
    store = Store(identity, books, StoreClock(SystemClock(), books.last_clock), books.policy(),
                  random.Random(1))
    pickups = PickupDesk(store, PeopleVault("store-key-for-benchmarks"))
    return PriceDesk(store), Intake(store, pickups, GuardDesk(store), TaskDesk(store), DeliveryDesk(store))


def _delta(number: int) -> Batch:
    """Other prices for SKUs that `fill` made."""
    first = ITEMS + number * ROWS
    prices = (Price(sku=f"{1_000_000 + row}", price_minor=10_000 + number, currency="USD") for row in range(ROWS))
    return Batch(tuple(Put(first + row, f"regular/{price.sku}", 2 + number, msgspec.Raw(msgspec.json.encode(price)))
                       for row, price in enumerate(prices, start=1)), Checkpoint("bench", first + ROWS))


async def _lookups(prices: PriceDesk, done) -> list[float]:  # type: ignore[no-untyped-def]
    chance, seen = random.Random(7), []
    codes = [gtin_of(chance.randrange(ITEMS)) for _ in range(2_000)]
    while not done(seen):
        code = codes[len(seen) % len(codes)]
        began_s = time.perf_counter()
        await asyncio.sleep(0)
        assert prices.by_code(code) is not None
        seen.append(time.perf_counter() - began_s)
        await asyncio.sleep(PAUSE_S)
    return seen


def _p99_ms(seconds: list[float]) -> float:
    return sorted(seconds)[int(len(seconds) * 0.99)] * 1000
