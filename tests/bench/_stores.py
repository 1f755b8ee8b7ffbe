"""A thousand stores in one process: raw HTTP/1.1 over kept connections, so that the load costs less than the hub."""

import asyncio
import random
import time
from dataclasses import dataclass, field

import msgspec

from cloud_sync.contract.facts import LineKind, SaleLine, Transaction, TransactionKind, encode_fact
from cloud_sync.contract.ledger import GENESIS_HASH, Entry, Push, entry_hash

WAIT_S = 25
PUSH_EVERY_S = 20.0
SALES_PER_PUSH_MAX = 3
_TIMEOUT_S = 120


class Connection:
    """One kept connection; one request at a time."""

    def __init__(self, port: int, token: str) -> None:
        self._port = port
        self._head = f"Host: hub\r\nAuthorization: Bearer {token}\r\n"
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(self, method: str, path: str, body: bytes = b"") -> bytes:
        """The body of a 200. Raises `AssertionError` for another answer."""
        if self._streams is None:
            self._streams = await asyncio.open_connection("127.0.0.1", self._port)
        reader, writer = self._streams
        length = f"Content-Length: {len(body)}\r\n" if body else ""
        writer.write(f"{method} {path} HTTP/1.1\r\n{self._head}{length}\r\n".encode() + body)
        async with asyncio.timeout(_TIMEOUT_S):
            head = (await reader.readuntil(b"\r\n\r\n")).lower()
            answer = await reader.readexactly(int(head.partition(b"content-length:")[2].split(b"\r\n")[0]))
        assert head.startswith(b"http/1.1 200"), answer
        return answer

    def close(self) -> None:
        if self._streams is not None:
            self._streams[1].close()


@dataclass
class SimulatedStore:
    """Sells, pushes what it sold, and follows its items."""

    name: str
    port: int
    token: str = field(repr=False)
    chance: random.Random
    sequence: int = 0
    hash: str = GENESIS_HASH
    push_ms: list[float] = field(default_factory=list)
    rows: list[tuple[object, ...]] = field(default_factory=list)
    polls: int = 0
    changes: int = 0

    async def pushes(self, until_s: float) -> None:
        line = Connection(self.port, self.token)
        await asyncio.sleep(self.chance.uniform(0, PUSH_EVERY_S))
        while time.monotonic() < until_s:
            body = msgspec.json.encode(self._sells(self.chance.randint(1, SALES_PER_PUSH_MAX)))
            began_s = time.monotonic()
            await line.ask("POST", f"/v1/stores/{self.name}/ledger", body)
            self.push_ms.append(1000 * (time.monotonic() - began_s))
            await asyncio.sleep(self.chance.uniform(0.5, 1.5) * PUSH_EVERY_S)
        line.close()

    async def follows(self) -> None:
        """Until cancelled."""
        line, query = Connection(self.port, self.token), ""
        try:
            while True:
                page = await line.ask("GET", f"/v1/stores/{self.name}/feeds/items?wait_s={WAIT_S}{query}")
                records = page.splitlines()
                last = msgspec.json.decode(records[-1])
                query = f"&generation={last['generation']}&after={last['offset']}"
                self.polls += 1
                self.changes += len(records) - 1
        finally:
            line.close()

    def _sells(self, count: int) -> Push:
        before, first, entries = self.hash, self.sequence + 1, []
        for self.sequence in range(first, first + count):
            lines = tuple(SaleLine(line, LineKind.SALE, 1000, 199, sku=f"sku-{self.chance.randrange(5000)}")
                          for line in range(1, self.chance.randint(3, 5) + 1))
            payload = encode_fact(Transaction("1", "2026-01-05", self.sequence, TransactionKind.SALE, "EUR",
                                              199 * len(lines), lines))
            key = f"1/2026-01-05/{self.sequence}"
            self.hash = entry_hash(self.hash, self.name, 1, self.sequence, key, "transaction", 0, "2026-01-05", payload)
            entries.append(Entry(self.sequence, key, "transaction", 0, "2026-01-05", msgspec.Raw(payload), self.hash))
            self.rows.append((self.name, 1, self.sequence, key, "transaction", 0, "2026-01-05", payload, self.hash, 0))
        return Push(1, first, before, tuple(entries))
