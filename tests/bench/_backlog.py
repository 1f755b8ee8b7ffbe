"""A store's backlog: hash-chained facts in a stated mix, and the store side that the real client engine pushes from."""

import asyncio
import random
from collections.abc import Iterator

import msgspec

from cloud_sync.client.port import Stretch
from cloud_sync.contract.facts import (
    Fact,
    LineKind,
    Movement,
    PickupStep,
    Proof,
    SaleLine,
    StockMove,
    Transaction,
    TransactionKind,
    encode_fact,
)
from cloud_sync.contract.feeds import Batch, Cursor, Feed
from cloud_sync.contract.ledger import GENESIS_HASH, SCHEMA_VERSION, Entry, Head, Hello, entry_hash

SKUS = 5_000
MIX = "70% sales of 3 to 5 lines, 18% proofs, 8% pickup steps, 4% receipts of 20 moves, 5,000 SKUs, three days"
DAYS = ("2026-01-05", "2026-01-06", "2026-01-07")
EPOCH = 1
MONDAY_MS = 1_767_600_000_000


def backlog(store: str, count: int, seed: int) -> tuple[Entry, ...]:
    """The ledger of a store that was offline for three days."""
    chooser, hash_ = random.Random(seed), GENESIS_HASH
    entries: list[Entry] = []
    for sequence, (kind, key, fact) in enumerate(_facts(chooser, count), start=1):
        payload, day = encode_fact(fact), DAYS[sequence * len(DAYS) // (count + 1)]
        at_ms = MONDAY_MS + sequence * 2_500
        hash_ = entry_hash(hash_, store, EPOCH, sequence, key, kind, at_ms, day, payload)
        entries.append(Entry(sequence, key, kind, at_ms, day, msgspec.Raw(payload), hash_))
    return tuple(entries)


def _facts(chooser: random.Random, count: int) -> Iterator[tuple[str, str, Fact]]:
    """Kind, fact key, fact."""
    def sku() -> str:
        return f"sku-{min(chooser.randrange(SKUS), chooser.randrange(SKUS)):05}"  # some sell better than others

    for number in range(1, count + 1):
        die = chooser.random()
        day = DAYS[number * len(DAYS) // (count + 1)]
        if die < 0.70:
            lines = tuple(SaleLine(line, LineKind.SALE, 1000, 199, sku=sku(), code="4006381333931",
                                   unit_price_minor=199, charge_minor=199, scanned_ms=MONDAY_MS + number)
                          for line in range(1, chooser.randint(3, 5) + 1))
            till = str(chooser.randint(1, 6))
            yield "transaction", f"{till}/{day}/{number}", Transaction(
                till, day, number, TransactionKind.SALE, "EUR", 199 * len(lines), lines, actor="ana")
        elif die < 0.88:
            yield "proof", f"proof/{number}", Proof(f"{number % 3000:012x}", f"{number:016x}", sku(), 199, "EUR")
        elif die < 0.96:
            step = (("accept", "accepted"), ("pick", "picked"), ("hand-over", "handed-over"))[number % 3]
            yield "pickup", f"pickup/{number}", PickupStep(
                f"order-{number // 40}", f"{number}", *step, 1, "luis", (StockMove(sku(), -1000, 1000),))
        else:
            moves = tuple(StockMove(one, 24_000) for one in {sku() for _ in range(20)})
            yield "movement", f"receipt/{number}", Movement("receipt", moves, "luis", f"delivery {number}")


class OfflineStore:
    """See `cloud_sync.client.port.StoreSide`: a ledger in memory, no feeds. `done` is set when all is acknowledged."""

    def __init__(self, entries: tuple[Entry, ...]) -> None:
        self.new_entries = asyncio.Event()
        self.done = asyncio.Event()
        self._entries = entries

    async def hello(self) -> Hello:
        return Hello(EPOCH, await self.head(), SCHEMA_VERSION)

    async def cursor(self, feed: Feed) -> Cursor | None:
        raise NotImplementedError(feed)

    async def apply(self, feed: Feed, batches: list[Batch]) -> None:
        raise NotImplementedError(feed)

    async def forget(self, feed: Feed) -> None:
        raise NotImplementedError(feed)

    async def caught_up(self, feed: Feed) -> None:
        raise NotImplementedError(feed)

    async def head(self) -> Head:
        return Head(len(self._entries), self._entries[-1].hash)

    async def entries_after(self, sequence: int, count_max: int) -> Stretch | None:
        before = self._entries[sequence - 1].hash if sequence else GENESIS_HASH
        return Stretch(EPOCH, before, self._entries[sequence:sequence + count_max])

    async def acknowledged(self, epoch: int, sequence: int) -> None:
        if (epoch, sequence) == (EPOCH, len(self._entries)):
            self.done.set()
