"""What a full basket costs: 60 lines with 200 promotions that touch them, from the body's bytes to the answer's.

The store's books are real, with a catalogue of 10,000 items; the peer is the same basket without any promotion.
"""

import asyncio
import random
import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from zoneinfo import ZoneInfo

import msgspec

from cloud_sync.contract.documents import Item, Policy, Price, Promotion
from cloud_sync.contract.feeds import Batch, Change, Checkpoint, Feed, Put
from edge.clock import StoreClock, SystemClock
from edge.db.books import open_books
from edge.db.replica import Moment, apply_batch
from edge.db.writer import ThreadWriter
from edge.interpreter import tune
from edge.pos.basket_routes import BasketDesk, BasketIn
from edge.prices.price_desk import PriceDesk
from edge.store import Identity, Store

ITEMS, LINES, PROMOTIONS, ROUNDS = 10_000, 60, 200, 400
LIMIT_MS = 2.0


def run() -> dict[str, object]:
    """The figure; `ratio` is with promotions over without."""
    tune()  # as the daemon does
    with tempfile.TemporaryDirectory() as directory:
        return asyncio.run(_measured(Path(directory)))


async def _measured(directory: Path) -> dict[str, object]:
    books = open_books(directory, "a database key", "0042", ThreadWriter)
    try:
        identity = Identity("0042", "Bench", ZoneInfo("Europe/Madrid"), "EUR", "es", "metric", "")
        store = Store(identity, books, StoreClock(SystemClock(), books.last_clock), Policy(), random.Random(1))
        chance = random.Random(60)
        skus = [f"sku{number:05}" for number in range(ITEMS)]
        await _feed(store, Feed.ITEMS, [(sku, Item(sku, sku, codes=(f"84{number:011}",)))
                                        for number, sku in enumerate(skus)])
        await _feed(store, Feed.PRICES, [(f"regular/{sku}", Price(sku, chance.randrange(49, 2000), "EUR"))
                                         for sku in skus])
        bought = chance.sample(skus, LINES)
        lines = [{"line": number, "sku": sku, "quantity_milli": chance.randint(1, 4) * 1000}
                 for number, sku in enumerate(bought)]
        body = msgspec.json.encode({"lines": lines})
        plain = _times_ms(store, body)
        await _feed(store, Feed.PROMOTIONS, [(f"p{number}", _promotion(number, chance, bought))
                                             for number in range(PROMOTIONS)])
        value, peer = statistics.median(_times_ms(store, body)), statistics.median(plain)
    finally:
        books.abandon()
    return {"name": "basket_60_ms", "value": round(value, 3), "unit": "ms", "limit": LIMIT_MS, "peer": round(peer, 3),
            "ratio": round(value / peer, 2),
            "conditions": f"median of {ROUNDS}: {LINES} lines, {PROMOTIONS} promotions of five kinds that hold now and "
                          f"each touch 1 to 6 of the lines, {ITEMS} items in SQLite; decode, price, encode; peer: the "
                          "same without promotions"}


async def _feed(store: Store, feed: Feed, documents: Sequence[tuple[str, msgspec.Struct]]) -> None:
    changes: tuple[Change, ...] = tuple(Put(offset + 1, key, 1, msgspec.Raw(msgspec.json.encode(document)))
                                        for offset, (key, document) in enumerate(documents))
    batch, moment = Batch(changes, Checkpoint("one", len(changes))), Moment(store.clock.wall_ms(), True)
    await store.books.replica.submit(lambda connection: apply_batch(connection, feed, batch, moment, {}))


def _promotion(number: int, chance: random.Random, bought: Sequence[str]) -> Promotion:
    skus = chance.sample(bought, chance.randint(1, 6))
    kind, terms = chance.choice([
        ("percent", {"percent": 20}), ("amount", {"amount_minor": 30}),
        ("multi-buy", {"pieces": 3, "price_minor": 400}),
        ("multi-buy", {"pieces": 2, "price_minor": 500, "mixed": True}), ("buy-get", {"buy": 2, "get": 1})])
    said = {"skus": skus, "priority": chance.randint(0, 2), **terms}
    return Promotion(f"p{number}", 1, kind, msgspec.Raw(msgspec.json.encode(said)))


def _times_ms(store: Store, body: bytes) -> list[float]:
    desk, decoder = BasketDesk(store, PriceDesk(store)), msgspec.json.Decoder(BasketIn)
    times: list[float] = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        msgspec.json.encode(desk.price(decoder.decode(body)))
        times.append((time.perf_counter() - began) * 1000)
    return times
