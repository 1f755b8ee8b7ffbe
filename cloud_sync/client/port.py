"""What the line needs of its two neighbours: the store it serves (`StoreSide`) and the bell it hears (`Doorbell`).

The daemon implements `StoreSide` over its databases; simulators and tests implement both in memory. Everything is
called in the event loop. Any exception a method raises is logged once, backed off and tried again: raising is the
right answer whenever the store cannot, and nothing is ever acknowledged or skipped because of it.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from cloud_sync.contract.feeds import Batch, Cursor, Feed
from cloud_sync.contract.fingerprints import Bucket
from cloud_sync.contract.ledger import Entry, Head, Hello, Place
from cloud_sync.contract.rebase import Grant, PastPage
from cloud_sync.contract.snapshots import Chunk, Manifest, Row


@dataclass(frozen=True, slots=True)
class Stretch:
    """Neighbouring entries of one epoch's ledger, read together.

    `previous_hash`: hash of the entry before the first one, `GENESIS_HASH` before sequence 1.
    """

    epoch: int
    previous_hash: str
    entries: tuple[Entry, ...]


class StoreSide(Protocol):
    """The store, as the line sees it. Calls for one feed come one after the other, feeds among each other mixed."""

    @property
    def new_entries(self) -> asyncio.Event:
        """Set by the store after each commit that appended to the ledger (from another thread only by
        `loop.call_soon_threadsafe`); cleared by the line. A lost wake-up costs `limits.SLICE_S`, never an entry."""
        ...

    async def hello(self) -> Hello:
        """Who speaks: epoch, ledger head, and the cursor of every feed that has one."""
        ...

    async def cursor(self, feed: Feed) -> Cursor | None:
        """How far the store has come; `None` before its first page and after `forget`."""
        ...

    async def apply(self, feed: Feed, batches: list[Batch]) -> None:
        """Apply batches in order, each whole and in one transaction with the cursor of its checkpoint.

        When it raises, any number of the batches may have been applied: the line asks for the cursor again. A batch
        may be without changes; then only the cursor moves. One whose checkpoint is `whole` replaces all there was.
        """
        ...

    async def forget(self, feed: Feed) -> None:
        """The generation is retired: drop the cursor, durably; the next batches build the copy anew.

        The old copy may go on answering until `caught_up`, so that a store whose line drops in between still
        stands alone (P8). Rows that the new generation does not name are gone at `caught_up`.
        """
        ...

    async def caught_up(self, feed: Feed) -> None:
        """Everything the hub had is applied. Called after every start, every failure and every `forget`, once the
        feed's end was reached; never between the pages of one fetch."""
        ...

    async def root(self, feed: Feed) -> str | None:
        """The fingerprint of the store's copy as of its cursor; `None` where there is nothing to compare."""
        ...

    async def vector(self, feed: Feed) -> Mapping[int, Bucket]:
        """The fingerprint's buckets, of which empty ones may be left out."""
        ...

    async def repair(self, feed: Feed, at: Cursor, buckets: Mapping[int, Sequence[Row]]) -> int:
        """Make these buckets exactly these rows, in one transaction; returns how many rows that changed. Does nothing
        when the copy is no longer `at` that cursor.

        Guard, claims and news as for any batch.
        """
        ...

    async def begin_snapshot(self, feed: Feed, manifest: Manifest) -> frozenset[str]:
        """Make ready to load this copy beside the one in force; returns the names (SHA-256) of the chunks that are here
        already. What an earlier manifest left and this one does not name goes."""
        ...

    async def take_chunk(self, feed: Feed, chunk: Chunk, body: bytes) -> None:
        """Check and keep a chunk, durably, all or nothing. Raises `BadSnapshot` when it is not what was named."""
        ...

    async def switch(self, feed: Feed, manifest: Manifest) -> None:
        """Put the loaded copy in force, in one transaction with its cursor. Raises `BadSnapshot` when it does not add
        up to the manifest's fingerprint; then it is dropped."""
        ...

    async def head(self) -> Head:
        """The ledger's end, in the epoch that `hello` names."""
        ...

    async def entries_after(self, sequence: int, count_max: int) -> Stretch | None:
        """At most `count_max` entries behind entry `sequence`, in order and without gaps; with 0 only the hash.

        `None` when the ledger does not hold entry `sequence` (0 counts as held while entry 1 is): it lies beyond
        the head, or was pruned.
        """
        ...

    async def acknowledged(self, epoch: int, sequence: int) -> None:
        """The hub holds this epoch's entries up to `sequence`, effects included. May be less than before: then the
        hub was restored from a backup, and the entries behind it are sent again."""
        ...


@dataclass(frozen=True, slots=True)
class Asking:
    """A new epoch is wanted: `request` was kept before anything was sent."""

    request: str
    epoch: int
    common: Head


@dataclass(frozen=True, slots=True)
class Moving:
    """A new epoch was given; the store's own later entries are being appended to it."""

    epoch: int


@dataclass(frozen=True, slots=True)
class Taking:
    """The store writes in a new epoch and lacks what the hub holds behind `after`, before epoch `before`."""

    after: Place
    after_hash: str
    before: int


UnderWay = Asking | Moving | Taking


class RebaseSide(Protocol):
    """The store, as far as it can lose entries and take them back. Every call is one bounded transaction at most; what
    it did is kept with it, so that `under_way` tells the truth after a kill at any point."""

    async def under_way(self) -> UnderWay | None:
        """What was begun and is not finished; `None` for a store that is in line."""
        ...

    async def probes(self, epoch: int, sequences: list[int]) -> list[Head]:
        """Sequence and hash of those of its own entries that it still keeps, in order."""
        ...

    async def begin(self, epoch: int, common: Head) -> None:
        """Mint a request for an epoch after this entry and keep it: `Asking`."""
        ...

    async def give_up(self) -> None:
        """The hub does not take the request: forget it."""
        ...

    async def granted(self, grant: Grant) -> None:
        """Keep what was given: `Moving`."""
        ...

    async def move(self) -> None:
        """Append some entries behind the common one to the new epoch; once none is left, write there: `Taking`."""
        ...

    async def take(self, page: PastPage) -> None:
        """Apply a page of history, each fact once, with its local effect; with the last page nothing is under way."""
        ...

    async def older_heads(self) -> list[tuple[int, Head]]:
        """The ends of the epochs before the one it writes in, as far as entries of them are kept; oldest first."""
        ...

    async def older_entries(self, epoch: int, sequence: int, count_max: int) -> Stretch | None:
        """As `StoreSide.entries_after`, of an older epoch."""
        ...


class Doorbell(Protocol):
    """Something that says "pull now" and nothing else. Losing a ring costs at most `limits.LONG_POLL_S`."""

    async def listen(self, connected: Callable[[], None], ring: Callable[[], None]) -> None:
        """One connection: calls `connected` once it hears, `ring` at every ring, until it is lost or cancelled.

        The caller connects again, with back-off. Raises `BellLost` for whatever a broker or a line can do.
        """
        ...
