"""A store and a hub in memory, each able to fail in every way that a test needs."""

import asyncio
import functools
import gzip
import random
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import ParamSpec

import httpx
import msgspec

from cloud_sync.client.errors import BellLost
from cloud_sync.client.link_state import LinkState
from cloud_sync.client.port import Doorbell, Stretch
from cloud_sync.client.session import HubLink
from cloud_sync.client.transport import HubAddress
from cloud_sync.contract.feeds import Batch, Change, Checkpoint, Cursor, Delete, Feed, Put, encode_page
from cloud_sync.contract.fingerprints import Bucket
from cloud_sync.contract.ledger import (
    GENESIS_HASH,
    SCHEMA_VERSION,
    Entry,
    Gap,
    Head,
    Hello,
    Push,
    Pushed,
    Welcome,
    chain_breaks_at,
    entry_hash,
)
from cloud_sync.contract.snapshots import Chunk, Manifest, Row
from edge.virtual_time import run

STORE = "store-7"
TOKEN = "a token that no log may ever show"
START_MS = 1_790_000_000_000

Arguments = ParamSpec("Arguments")


def virtually(test: Callable[Arguments, Coroutine[object, object, None]]) -> Callable[Arguments, None]:
    """Runs an asynchronous test in virtual time."""

    @functools.wraps(test)
    def in_virtual_time(*args: Arguments.args, **kwargs: Arguments.kwargs) -> None:
        run(test(*args, **kwargs))

    return in_virtual_time


def chain(texts: Iterable[str], entries: tuple[Entry, ...] = (), epoch: int = 1) -> tuple[Entry, ...]:
    """The entries with one more for each text, hash-chained."""
    grown = list(entries)
    for text in texts:
        sequence = len(grown) + 1
        payload = msgspec.json.encode({"text": text})
        before = grown[-1].hash if grown else GENESIS_HASH
        key = f"fact/{text}"
        hashed = entry_hash(before, STORE, epoch, sequence, key, "note", START_MS, "2026-09-21", payload)
        grown.append(Entry(sequence, key, "note", START_MS, "2026-09-21", msgspec.Raw(payload), hashed))
    return tuple(grown)


def head_of(entries: tuple[Entry, ...]) -> Head:
    return Head(entries[-1].sequence, entries[-1].hash) if entries else Head()


class FakeStore:
    """A store in memory. `failing`: method → exceptions to raise, one per call; `hanging`: method → until when."""

    def __init__(self) -> None:
        self.new_entries = asyncio.Event()
        self.epoch = 1
        self.claims_epoch: int | None = None
        self.entries: tuple[Entry, ...] = ()
        self.pruned_to = 0
        self.acked: list[tuple[int, int]] = []
        self.cursors: dict[Feed, Cursor] = {}
        self.rows: dict[Feed, dict[str, object]] = {feed: {} for feed in Feed}
        self.applied: list[tuple[Feed, list[Batch]]] = []
        self.forgotten: list[Feed] = []
        self.complete: list[Feed] = []
        self.calls: Counter[str] = Counter()
        self.failing: dict[str, deque[BaseException]] = {}
        self.hanging: dict[str, asyncio.Event] = {}

    def sells(self, *texts: str) -> None:
        self.entries = chain(texts, self.entries, self.epoch)
        self.new_entries.set()

    def fails(self, method: str, *errors: BaseException) -> None:
        self.failing.setdefault(method, deque()).extend(errors)

    async def hello(self) -> Hello:
        await self._call("hello")
        cursors = {feed.value: (cursor.generation, cursor.offset) for feed, cursor in self.cursors.items()}
        return Hello(self.claims_epoch or self.epoch, head_of(self.entries), SCHEMA_VERSION, cursors)

    async def cursor(self, feed: Feed) -> Cursor | None:
        await self._call("cursor")
        return self.cursors.get(feed)

    async def apply(self, feed: Feed, batches: list[Batch]) -> None:
        await self._call("apply")
        for batch in batches:
            if batch.checkpoint.whole:
                self.rows[feed].clear()
            for change in batch.changes:
                if isinstance(change, Put):
                    self.rows[feed][change.key] = msgspec.json.decode(change.doc)
                else:
                    self.rows[feed].pop(change.key, None)
        last = batches[-1].checkpoint
        self.cursors[feed] = Cursor(last.generation, last.offset)
        self.applied.append((feed, batches))
        await self._call("applied")

    async def forget(self, feed: Feed) -> None:
        await self._call("forget")
        self.cursors.pop(feed, None)
        self.forgotten.append(feed)

    async def caught_up(self, feed: Feed) -> None:
        await self._call("caught_up")
        self.complete.append(feed)

    async def root(self, feed: Feed) -> str | None:
        await self._call("root")
        return None

    async def vector(self, feed: Feed) -> Mapping[int, Bucket]:
        raise AssertionError("there is nothing to compare")

    async def repair(self, feed: Feed, at: Cursor, buckets: Mapping[int, Sequence[Row]]) -> int:
        raise AssertionError("there is nothing to repair")

    async def begin_snapshot(self, feed: Feed, manifest: Manifest) -> frozenset[str]:
        raise AssertionError("these feeds are small")

    async def take_chunk(self, feed: Feed, chunk: Chunk, body: bytes) -> None:
        raise AssertionError("these feeds are small")

    async def switch(self, feed: Feed, manifest: Manifest) -> None:
        raise AssertionError("these feeds are small")

    async def head(self) -> Head:
        await self._call("head")
        return head_of(self.entries)

    async def entries_after(self, sequence: int, count_max: int) -> Stretch | None:
        await self._call("entries_after")
        if sequence > len(self.entries) or sequence < self.pruned_to:
            return None
        before = self.entries[sequence - 1].hash if sequence else GENESIS_HASH
        return Stretch(self.epoch, before, self.entries[sequence:sequence + count_max])

    async def acknowledged(self, epoch: int, sequence: int) -> None:
        await self._call("acknowledged")
        self.acked.append((epoch, sequence))

    async def _call(self, method: str) -> None:
        self.calls[method] += 1
        await asyncio.sleep(0)
        if self.failing.get(method):
            raise self.failing[method].popleft()
        if method in self.hanging:
            await self.hanging[method].wait()


Handle = Callable[[], Awaitable[httpx.Response]]
Fault = Callable[[httpx.Request, Handle], Awaitable[httpx.Response]]
"""What happens to a request instead of, or around, its ordinary handling."""


def answers(status: int, text: str = "", headers: dict[str, str] | None = None) -> Fault:
    async def fault(_request: httpx.Request, _handle: Handle) -> httpx.Response:
        return httpx.Response(status, text=text, headers=headers)

    return fault


async def refuses_connection(request: httpx.Request, _handle: Handle) -> httpx.Response:
    raise httpx.ConnectError("connection refused", request=request)


async def loses_the_reply(request: httpx.Request, handle: Handle) -> httpx.Response:
    """The hub commits; the store never hears of it."""
    await handle()
    raise httpx.ReadError("connection reset", request=request)


async def arrives_twice(_request: httpx.Request, handle: Handle) -> httpx.Response:
    await handle()
    return await handle()


def takes_a_while(seconds: float, then: Fault | None = None) -> Fault:
    async def fault(request: httpx.Request, handle: Handle) -> httpx.Response:
        await asyncio.sleep(seconds)
        return await (then(request, handle) if then else handle())

    return fault


async def never_answers(_request: httpx.Request, _handle: Handle) -> httpx.Response:
    await asyncio.sleep(10**9)
    raise AssertionError("a very long time has passed")


async def cuts_the_answer(_request: httpx.Request, handle: Handle) -> httpx.Response:
    """Half of the body arrives, and nothing says that it is only half."""
    whole = (await handle()).content
    return httpx.Response(200, content=whole[:len(whole) // 2])


def raises(error: BaseException) -> Fault:
    async def fault(_request: httpx.Request, _handle: Handle) -> httpx.Response:
        raise error

    return fault


@dataclass
class Log:
    """One feed at the hub. Each group of changes ends with a checkpoint."""

    generation: str = "g1"
    groups: list[tuple[Change, ...]] = field(default_factory=list)
    grown: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def head(self) -> int:
        return sum(len(group) for group in self.groups)

    def put(self, documents: dict[str, object]) -> None:
        offset = self.head
        self.groups.append(tuple(Put(offset + place, key, 1, msgspec.Raw(msgspec.json.encode(document)))
                                 for place, (key, document) in enumerate(documents.items(), start=1)))
        self._grow()

    def delete(self, key: str) -> None:
        self.groups.append((Delete(self.head + 1, key, 2),))
        self._grow()

    def _grow(self) -> None:
        self.grown.set()
        self.grown = asyncio.Event()


class FakeHub:
    """A hub in memory behind `httpx.MockTransport`. `faults`: part of a path → what happens to the next requests."""

    def __init__(self) -> None:
        self.epoch = "hub-epoch-1"
        self.logs = {feed: Log() for feed in Feed}
        self.ledgers: dict[int, tuple[Entry, ...]] = {}
        self.effects: list[str] = []
        self.groups_per_page = 2
        self.holds_polls = True
        self.entries_max = 10_000
        self.requests: list[tuple[float, str]] = []
        self.pushes: list[Push] = []
        self.faults: dict[str, deque[Fault]] = {}
        self.broken: dict[str, Fault] = {}
        self.transport = httpx.MockTransport(self._handle)

    def meets(self, part: str, *faults: Fault) -> None:
        """The next requests to a path with `part` in it each meet one fault."""
        self.faults.setdefault(part, deque()).extend(faults)

    def times(self, part: str) -> list[float]:
        """When requests to a path with `part` in it came."""
        return [at_s for at_s, path in self.requests if part in path]

    async def _handle(self, request: httpx.Request) -> httpx.Response:
        await asyncio.sleep(0.01)
        path = request.url.path
        self.requests.append((asyncio.get_running_loop().time(), path))
        for part, queue in self.faults.items():
            if part in path and queue:
                return await queue.popleft()(request, lambda: self._answer(request))
        for part, fault in self.broken.items():
            if part in path:
                return await fault(request, lambda: self._answer(request))
        return await self._answer(request)

    async def _answer(self, request: httpx.Request) -> httpx.Response:
        assert request.headers["authorization"] == f"Bearer {TOKEN}"
        body = request.content
        if request.headers.get("content-encoding") == "gzip":
            body = gzip.decompress(body)
        match request.url.path.removeprefix(f"/v1/stores/{STORE}/").split("/"):
            case ["hello"]:
                return self._hello(msgspec.json.decode(body, type=Hello))
            case ["ledger"]:
                return self._push(msgspec.json.decode(body, type=Push))
            case ["feeds", name]:
                return await self._page(self.logs[Feed(name)], request.url.params)
        return httpx.Response(404, json={"title": "Not Found"})

    def _hello(self, hello: Hello) -> httpx.Response:
        head = head_of(self.ledgers.get(hello.box_epoch, ()))
        return _json(Welcome(self.epoch, head, SCHEMA_VERSION, START_MS))

    def _push(self, push: Push) -> httpx.Response:
        self.pushes.append(push)
        held = self.ledgers.get(push.epoch, ())
        if len(push.entries) > self.entries_max:
            return httpx.Response(413, json={"detail": f"at most {self.entries_max} entries"})
        assert all(entry.sequence == push.first_sequence + place for place, entry in enumerate(push.entries))
        known = held[push.first_sequence - 1:]
        ends = head_of(held)
        if push.first_sequence > ends.sequence + 1:
            return _json(Gap(ends.sequence + 1, ends.hash, "gap"), 409)
        before = held[push.first_sequence - 2].hash if push.first_sequence > 1 else GENESIS_HASH
        forks = any(theirs.hash != ours.hash for theirs, ours in zip(push.entries, known, strict=False))
        broken = chain_breaks_at(STORE, push.epoch, push.previous_hash, push.entries)
        if before != push.previous_hash or forks or broken:
            return _json(Gap(ends.sequence + 1, ends.hash, "fork"), 409)
        new = push.entries[len(known):]
        self.ledgers[push.epoch] = held + new
        self.effects += [entry.fact_key for entry in new]
        return _json(Pushed(push.first_sequence - 1 + len(push.entries)))

    async def _page(self, log: Log, query: httpx.QueryParams) -> httpx.Response:
        generation, after, wait_s = query.get("generation"), int(query.get("after", 0)), int(query["wait_s"])
        if generation and (generation != log.generation or after > log.head):
            return httpx.Response(409, json={"detail": "gone", "refetch": log.generation})
        if after == log.head and self.holds_polls and wait_s:
            try:
                async with asyncio.timeout(wait_s):
                    await log.grown.wait()
            except TimeoutError:
                pass
        return httpx.Response(200, content=encode_page(self._records(log, after)))

    def _records(self, log: Log, after: int) -> list[Change | Checkpoint]:
        records: list[Change | Checkpoint] = []
        offset = after
        behind = [group for group in log.groups if group[-1].offset > after]
        for group in behind[:self.groups_per_page]:
            offset = group[-1].offset
            records += [*group, Checkpoint(log.generation, offset)]
        return records or [Checkpoint(log.generation, after)]


def _json(value: object, status: int = 200) -> httpx.Response:
    return httpx.Response(status, content=msgspec.json.encode(value), headers={"content-type": "application/json"})


class FakeBell:
    """A doorbell that the test pulls. `connects`: whether there is a broker; `lose()` ends the connection."""

    def __init__(self) -> None:
        self.connects = True
        self._ring: Callable[[], None] | None = None
        self._lost = asyncio.Event()

    async def listen(self, connected: Callable[[], None], ring: Callable[[], None]) -> None:
        await asyncio.sleep(0.1)
        if not self.connects:
            raise BellLost("no broker")
        self._ring, self._lost = ring, asyncio.Event()
        connected()
        try:
            await self._lost.wait()
        finally:
            self._ring = None

    def lose(self) -> None:
        self._lost.set()

    def pull(self) -> None:
        assert self._ring is not None, "nobody hears the bell"
        self._ring()


class Scene:
    """A store and a hub with a line between them, in virtual time. `async with` runs the line."""

    def __init__(self, seed: int = 1, bell: Doorbell | None = None, feeds: tuple[Feed, ...] = tuple(Feed)) -> None:
        self.store, self.hub = FakeStore(), FakeHub()
        self.states: list[LinkState] = []
        self._seed, self._bell, self._feeds = seed, bell, feeds

    async def __aenter__(self) -> "Scene":
        loop = asyncio.get_running_loop()
        self.link = HubLink(
            store_id=STORE, address=HubAddress("http://hub", TOKEN, transport=self.hub.transport), store=self.store,
            randomness=random.Random(self._seed), wall_ms=lambda: START_MS + int(loop.time() * 1000),
            doorbell=self._bell, feeds=self._feeds)
        self.link.observe(self.states.append)
        self.start()
        return self

    async def __aexit__(self, *_exc: object) -> None:
        assert not self._task.done(), "the line ended by itself"
        await self.stop()

    def start(self) -> None:
        self._task = asyncio.create_task(self.link.run())

    async def stop(self) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def until(self, true: Callable[[], bool], within_s: float = 600) -> float:
        """Wait for something to become true; returns when it did. Fails when it takes longer."""
        loop = asyncio.get_running_loop()
        end_s = loop.time() + within_s
        while not true():
            assert loop.time() < end_s, f"not within {within_s} s; the line says {self.link.state}"
            await asyncio.sleep(0.05)
        return loop.time()

    def in_step(self) -> bool:
        """Whether the hub holds the whole ledger, each fact once, and the store every feed's end."""
        feeds = all(self.store.cursors.get(feed) == Cursor(log.generation, log.head)
                    for feed, log in self.hub.logs.items() if feed in self._feeds)
        keys = [entry.fact_key for entry in self.store.entries]
        return feeds and self.hub.ledgers.get(self.store.epoch, ()) == self.store.entries and self.hub.effects == keys
