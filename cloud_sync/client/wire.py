"""The hub's calls by name: contract values in, contract values out (DESIGN.md section 10)."""

from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import TypeVar
from urllib.parse import quote

import msgspec

from cloud_sync.client.errors import BadAnswer
from cloud_sync.client.limits import (
    ANSWER_BYTES_MAX,
    BUCKET_BYTES_MAX,
    CHUNK_PACKED_BYTES_MAX,
    FEED_CONNECTIONS_MAX,
    HISTORY_BYTES_MAX,
    LEDGER_CONNECTIONS_MAX,
    MANIFEST_BYTES_MAX,
    PAGE_BYTES_MAX,
)
from cloud_sync.client.transport import Channel, HubAddress, Reply
from cloud_sync.contract.feeds import Cursor, Feed
from cloud_sync.contract.ledger import Fenced, Gap, Hello, Place, Push, Pushed, Welcome
from cloud_sync.contract.rebase import EpochRequest, Grant, Located, PastPage, Probes
from cloud_sync.contract.snapshots import BucketRows, Vector

Value = TypeVar("Value")


class Refetch(msgspec.Struct, frozen=True):
    """409 on a feed: its cursor belongs to no log the hub has; the feed goes on from the start of `refetch`."""

    refetch: str


@dataclass(frozen=True, slots=True)
class Page:
    """A feed page as it came, NDJSON."""

    body: bytes


class HubCalls:
    """What a store asks of its hub. Everything raises `LineDown`, `Refused`, `BadAnswer`."""

    def __init__(self, address: HubAddress, store: str) -> None:
        self._feeds = Channel(address, "feeds", FEED_CONNECTIONS_MAX)
        self._ledger = Channel(address, "ledger", LEDGER_CONNECTIONS_MAX)
        self.store = store
        self._path = f"/v1/stores/{quote(store, safe='')}"

    async def hello(self, hello: Hello) -> Welcome:
        reply = await self._ledger.request("POST", f"{self._path}/hello", body=msgspec.json.encode(hello))
        return _decode(reply, Welcome, HTTPStatus.OK)

    async def page(self, feed: Feed, after: Cursor | None, wait_s: int, arrived: Callable[[], None]) -> Page | Refetch:
        """What follows the cursor; the hub may take `wait_s` when nothing does. `arrived`: a piece came in."""
        query = {"wait_s": str(wait_s)}
        if after is not None:
            query |= {"generation": after.generation, "after": str(after.offset)}
        else:
            query["snapshots"] = "1"
        reply = await self._feeds.request("GET", f"{self._path}/feeds/{feed.value}", query=query, hold_s=wait_s,
                                          bytes_max=PAGE_BYTES_MAX, arrived=arrived)
        return Page(reply.body) if reply.status == HTTPStatus.OK else _decode(reply, Refetch, HTTPStatus.CONFLICT)

    async def manifest(self, feed: Feed) -> bytes:
        """What the feed's snapshot consists of."""
        return await self._part(feed, "snapshot", {}, MANIFEST_BYTES_MAX, _nothing)

    async def chunk(self, feed: Feed, sha256: str, arrived: Callable[[], None]) -> bytes:
        """A chunk of a snapshot, as it came."""
        return await self._part(feed, f"chunks/{sha256}", {}, CHUNK_PACKED_BYTES_MAX, arrived)

    async def vector(self, feed: Feed, generation: str) -> Vector | Refetch:
        """The feed's fingerprint at the hub, as of now."""
        return await self._compared(feed, "buckets", generation, Vector, ANSWER_BYTES_MAX)

    async def bucket(self, feed: Feed, generation: str, bucket: int) -> BucketRows | Refetch:
        """The rows of one bucket at the hub, as of now."""
        return await self._compared(feed, f"buckets/{bucket}", generation, BucketRows, BUCKET_BYTES_MAX)

    async def _part(self, feed: Feed, part: str, query: dict[str, str], bytes_max: int,
                    arrived: Callable[[], None]) -> bytes:
        reply = await self._feeds.request("GET", f"{self._path}/feeds/{feed.value}/{part}", query=query,
                                          bytes_max=bytes_max, arrived=arrived)
        if reply.status != HTTPStatus.OK:
            raise BadAnswer(reply.said)
        return reply.body

    async def _compared(self, feed: Feed, part: str, generation: str, type_: type[Value],
                        bytes_max: int) -> Value | Refetch:
        reply = await self._feeds.request("GET", f"{self._path}/feeds/{feed.value}/{part}",
                                          query={"generation": generation}, bytes_max=bytes_max)
        if reply.status == HTTPStatus.OK:
            return _decode(reply, type_, HTTPStatus.OK)
        return _decode(reply, Refetch, HTTPStatus.CONFLICT)

    async def push(self, push: Push) -> Pushed | Gap | Fenced:
        """Entries for the hub's copy of the ledger."""
        reply = await self._ledger.request("POST", f"{self._path}/ledger", body=msgspec.json.encode(push))
        if reply.status == HTTPStatus.OK:
            return _decode(reply, Pushed, HTTPStatus.OK)
        return _fenced(reply) or _decode(reply, Gap, HTTPStatus.CONFLICT)

    async def locate(self, probes: Probes) -> Located:
        """The last entry that both sides have in common."""
        reply = await self._ledger.request("POST", f"{self._path}/common", body=msgspec.json.encode(probes))
        return _decode(reply, Located, HTTPStatus.OK)

    async def ask_epoch(self, asked: EpochRequest) -> Grant | Fenced:
        """A new epoch; `Fenced`, with an empty verdict where only the request is out of date, for none."""
        reply = await self._ledger.request("POST", f"{self._path}/epochs", body=msgspec.json.encode(asked))
        if reply.status == HTTPStatus.CONFLICT:
            return _fenced(reply) or Fenced("")
        return _decode(reply, Grant, HTTPStatus.OK)

    async def history(self, after: Place, before: int, arrived: Callable[[], None]) -> PastPage:
        """What the hub holds behind a place."""
        query = {"after_epoch": str(after[0]), "after_sequence": str(after[1]), "before_epoch": str(before)}
        reply = await self._ledger.request("GET", f"{self._path}/history", query=query, bytes_max=HISTORY_BYTES_MAX,
                                           arrived=arrived)
        return _decode(reply, PastPage, HTTPStatus.OK)

    async def close(self) -> None:
        await self._feeds.close()
        await self._ledger.close()


def _fenced(reply: Reply) -> Fenced | None:
    try:
        return msgspec.json.decode(reply.body, type=Fenced) if reply.status == HTTPStatus.CONFLICT else None
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None


def _decode(reply: Reply, type_: type[Value], status: HTTPStatus) -> Value:
    """Raises `BadAnswer`, which repeats nothing of the body but a problem's own words."""
    if reply.status != status:
        raise BadAnswer(reply.said)
    try:
        return msgspec.json.decode(reply.body, type=type_)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise BadAnswer(f"{reply.said or 'the answer'} is no {type_.__name__}: {error}") from error


def _nothing() -> None:
    """Small answers are no progress of their own."""
