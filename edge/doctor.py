"""Looking at a store's books by hand: feeds against the hub, files against themselves, the ledger against its chain.

In a running store over HTTP (`/v1/doctor`), otherwise on the files, which are only read.
"""

from collections.abc import Awaitable, Callable, Mapping
from contextlib import closing
from functools import partial
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from cloud_sync.client.errors import BadAnswer, LineDown, Refused
from cloud_sync.client.repairs import rows_of
from cloud_sync.client.session import HubLink
from cloud_sync.client.wire import HubCalls, Refetch
from cloud_sync.contract.feeds import Cursor, Feed
from cloud_sync.contract.fingerprints import bucket_of, differing, row_hash
from cloud_sync.contract.ledger import GENESIS_HASH, chain_breaks_at
from cloud_sync.contract.snapshots import BadSnapshot, Row
from edge.db import copies, replica
from edge.db.books import derive_key
from edge.db.connection import Connection
from edge.db.ledger import Chain, entries_after, head
from edge.db.queries import LEDGER
from edge.intake import Intake
from edge.limits import DOCTOR_BUCKETS_MAX, DOCTOR_ENTRIES_SLICE, DOCTOR_KEYS_MAX
from edge.pos.app import Handler, json_response
from edge.recount import FEEDS, Recount
from edge.store import Store

OpenReader = Callable[[str], Connection]
"""`ledger.db` or `replica.db` → a connection of one's own that only reads."""

Aside = Callable[[Callable[[], Any]], Awaitable[Any]]
"""Does what takes long without holding up the event loop: `asyncio.to_thread`."""


async def in_the_loop(work: Callable[[], Any]) -> Any:
    """An `Aside` where time is virtual: nothing is held up there."""
    return work()



class FeedReport(msgspec.Struct, frozen=True):
    """One feed. `lag`: records the hub is ahead; `equal`: `None` where it could not be compared, `note` says why.

    `buckets` differ, and in them these rows (`keys`, at most a named number).
    """

    feed: str
    generation: str
    offset: int
    lag: int | None
    equal: bool | None
    buckets: tuple[int, ...] = ()
    keys: tuple[str, ...] = ()
    repaired: int = 0
    note: str = ""


class FileReport(msgspec.Struct, frozen=True):
    """One database: what SQLite's own check says, `ok` when nothing."""

    file: str
    integrity: str


class Report(msgspec.Struct, frozen=True):
    """Everything. `recounted`: rows and sums per feed that a recount found wrong; `chain_broken_at`: the first ledger
    entry whose hash does not follow, `None` for a whole chain."""

    running: bool
    feeds: tuple[FeedReport, ...]
    files: tuple[FileReport, ...]
    entries_checked: int
    chain_broken_at: int | None
    recounted: dict[str, int] = {}

    @property
    def healthy(self) -> bool:
        return (all(feed.equal is not False for feed in self.feeds) and self.chain_broken_at is None
                and all(file.integrity == "ok" for file in self.files) and not any(self.recounted.values()))


def technician_token(database_secret: str) -> str:
    """What `trastienda doctor` shows to the daemon of the same box: both can read the store's credentials."""
    return derive_key(database_secret, "local technician").hex()


class Doctor:
    """Examines a running store."""

    def __init__(self, store: Store, intake: Intake, recount: Recount, link: HubLink, open_reader: OpenReader,
                 aside: Aside) -> None:
        self._store = store
        self._intake = intake
        self._recount = recount
        self._link = link
        self._open_reader = open_reader
        self._aside = aside

    async def examine(self, *, repair: bool) -> Report:
        """Look at everything. `repair`: count the copies again first, and fetch what differs."""
        recounted = await self._recount.everything() if repair else {}
        feeds = tuple([await self._feed(feed, repair=repair) for feed in FEEDS])
        files, checked, broken_at = await self._aside(partial(check_books, self._open_reader, self._store.books.chain))
        return Report(True, feeds, files, checked, broken_at, {feed.value: count for feed, count in recounted.items()})

    async def _feed(self, feed: Feed, *, repair: bool) -> FeedReport:
        await self._intake.root(feed)  # takes notice of what somebody else changed
        report, rows = await compare(self._store.books.replica_reader, self._link.hub, feed)
        at = replica.cursor(self._store.books.replica_reader, feed)
        if not (repair and report.buckets and rows and at):
            return report
        changed = await self._intake.repair(feed, at, rows)
        again, _ = await compare(self._store.books.replica_reader, self._link.hub, feed)
        return msgspec.structs.replace(again, keys=report.keys, repaired=changed)


async def compare(reader: Connection, hub: HubCalls, feed: Feed) -> tuple[FeedReport, dict[int, tuple[Row, ...]]]:
    """A copy against the hub; returns also the hub's rows of the buckets that differ."""
    cursor = replica.cursor(reader, feed)
    if cursor is None:
        return FeedReport(feed.value, "", 0, None, None, note="nothing was loaded yet"), {}
    unknown = FeedReport(feed.value, cursor.generation, cursor.offset, None, None)
    try:
        vector = await hub.vector(feed, cursor.generation)
        if isinstance(vector, Refetch):
            return msgspec.structs.replace(unknown, note="the hub has a newer generation; it is about to be loaded"), {}
        lag = vector.offset - cursor.offset
        if lag:
            return msgspec.structs.replace(unknown, lag=lag, note="the feed moved on; ask again"), {}
        touched = copies.touched_keys(reader, feed)
        buckets = sorted({*differing(copies.buckets_of_copy(reader, feed), vector.as_mapping()),
                          *map(bucket_of, touched)})
        rows = await _fetch(hub, feed, cursor, buckets[:DOCTOR_BUCKETS_MAX])
    except (LineDown, Refused, BadAnswer, BadSnapshot) as error:
        return msgspec.structs.replace(unknown, note=f"the hub could not be asked: {error}"), {}
    keys = sorted({*_keys_that_differ(reader, feed, rows), *touched})[:DOCTOR_KEYS_MAX]
    return msgspec.structs.replace(unknown, lag=0, equal=not buckets, buckets=tuple(buckets), keys=tuple(keys)), rows


async def _fetch(hub: HubCalls, feed: Feed, cursor: Cursor, buckets: list[int]) -> dict[int, tuple[Row, ...]]:
    fetched: dict[int, tuple[Row, ...]] = {}
    for bucket in buckets:
        answer = await hub.bucket(feed, cursor.generation, bucket)
        rows = None if isinstance(answer, Refetch) else rows_of(cursor, bucket, answer)
        if rows is not None:
            fetched[bucket] = tuple(rows)
    return fetched


def _keys_that_differ(reader: Connection, feed: Feed, theirs: Mapping[int, tuple[Row, ...]]) -> set[str]:
    ours = {row.key: row.hash for row in copies.rows_of_buckets(reader, feed, theirs)} if theirs else {}
    known = {row.key: row_hash(row.key, row.version, row.doc) for rows in theirs.values() for row in rows}
    return {key for key in ours.keys() | known.keys() if ours.get(key) != known.get(key)}


FILES = ("ledger.db", "replica.db")


def check_books(open_reader: OpenReader, chain: Chain) -> tuple[tuple[FileReport, ...], int, int | None]:
    """Both files, and what `check_chain` says of the ledger."""
    return tuple([check_file(open_reader, name) for name in FILES]), *check_chain(open_reader, chain)


def check_file(open_reader: OpenReader, name: str) -> FileReport:
    """SQLite's own check of a whole file; its pages are authenticated by SQLCipher while it reads them."""
    with closing(open_reader(name)) as reader:
        found = reader.execute("PRAGMA integrity_check(5)").fetchall()
    return FileReport(name, "; ".join(str(line) for (line,) in found))


def check_chain(open_reader: OpenReader, chain: Chain) -> tuple[int, int | None]:
    """How many entries were hashed again, from the oldest that is kept, and where the chain breaks."""
    with closing(open_reader("ledger.db")) as reader:
        anchor = reader.execute(LEDGER.oldest_entry, (chain.epoch,)).fetchone()
        if anchor is None:
            return 0, None
        sequence, previous = (0, GENESIS_HASH) if anchor[0] == 1 else anchor
        checked, last = 0, head(reader, chain).sequence
        while sequence < last:
            _, entries = entries_after(reader, chain, sequence, DOCTOR_ENTRIES_SLICE)
            broken_at = chain_breaks_at(chain.store, chain.epoch, previous, entries)
            if broken_at is not None or not entries:
                return checked, broken_at
            checked += len(entries)
            sequence, previous = entries[-1].sequence, entries[-1].hash
        return checked, None


async def examine_files(open_reader: OpenReader, hub: HubCalls, chain: Chain) -> Report:
    """Look at the books of a store that is not running. Nothing is written."""
    with closing(open_reader("replica.db")) as reader:
        feeds = tuple([(await compare(reader, hub, feed))[0] for feed in FEEDS])
    return Report(False, feeds, *check_books(open_reader, chain))


def doctor_handlers(doctor: Doctor) -> Mapping[str, Handler]:
    """The handlers of the doctor, by the names in `edge.pos.access.RULES`."""

    async def examine(_request: Request) -> Response:
        return json_response(await doctor.examine(repair=False))

    async def examine_and_repair(_request: Request) -> Response:
        return json_response(await doctor.examine(repair=True))

    return {"examine": examine, "examine_and_repair": examine_and_repair}
