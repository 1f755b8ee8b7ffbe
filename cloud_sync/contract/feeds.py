"""Feeds, hub → store: what stands on the line and how far a reader has come (DESIGN.md section 10).

A feed is a log of PUT and DEL records. A page is NDJSON, one record per line, and always ends with a
checkpoint: only records up to a checkpoint may be applied, together with the cursor, in one transaction.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum

import msgspec


class Feed(StrEnum):
    """The feeds a store follows. Those with a local effect live in `ledger.db`, the rest in `replica.db`.

    Items, prices, promotions and policy are a zone's, shared by its stores; the others are the store's own. The
    overlay's rows stand under `FEED/KEY` and win over the zone's row of that feed and key.
    """

    ITEMS = "items"
    PRICES = "prices"
    PROMOTIONS = "promotions"
    POLICY = "policy"
    OVERLAY = "overlay"
    ORDERS = "orders"
    TASKS = "tasks"
    DELIVERIES = "deliveries"


OVERLAID = (Feed.ITEMS, Feed.PRICES, Feed.PROMOTIONS)
"""The feeds whose rows a store's overlay may replace."""

WITH_LOCAL_EFFECT = (Feed.ORDERS, Feed.TASKS, Feed.DELIVERIES)
"""Applied by revision; their copies hold what the store made of them, so they have no fingerprint."""


def overlay_key(feed: Feed, key: str) -> str:
    """Where an overlay holds its row of another feed."""
    return f"{feed.value}/{key}"


def overlaid(key: str) -> tuple[Feed, str] | None:
    """The feed and key that an overlay's row stands for; `None` for a key this version does not know."""
    feed, _, own = key.partition("/")
    return (Feed(feed), own) if own and feed in OVERLAID else None


class Cursor(msgspec.Struct, frozen=True):
    """How far a reader has come: the log's incarnation and the last offset applied."""

    generation: str
    offset: int


class Put(msgspec.Struct, frozen=True, tag_field="op", tag="put"):
    """`doc` (JSON) is the whole new value of `key`; `version` grows with every change of the key."""

    offset: int
    key: str
    version: int
    doc: msgspec.Raw


class Delete(msgspec.Struct, frozen=True, tag_field="op", tag="del"):
    """`key` is gone as of `version`."""

    offset: int
    key: str
    version: int


class Checkpoint(msgspec.Struct, frozen=True, tag_field="op", tag="checkpoint", omit_defaults=True):
    """Everything up to `offset` belongs together and may be applied.

    `root`: fingerprint of the feed's rows there, empty from a hub that keeps none. `whole`: the records before it are
    all there is; a key they do not name is gone.
    """

    generation: str
    offset: int
    root: str = ""
    whole: bool = False


Change = Put | Delete
Record = Put | Delete | Checkpoint

_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(Record)


class BadPage(ValueError):
    """The page breaks the contract; `str()` says which line and why. Nothing of it may be applied."""


@dataclass(frozen=True, slots=True)
class Batch:
    """The changes between two checkpoints, in order of offset."""

    changes: tuple[Change, ...]
    checkpoint: Checkpoint


def encode_page(records: Iterable[Record]) -> bytes:
    """Records → NDJSON."""
    return _encoder.encode_lines(list(records))


def records_of(page: bytes) -> Iterator[Record]:
    """NDJSON → records, as they are asked for. Raises `BadPage` for anything malformed."""
    for number, line in enumerate(page.splitlines(), start=1):
        if not line.strip():
            continue
        try:
            yield _decoder.decode(line)
        except msgspec.MsgspecError as error:
            raise BadPage(f"line {number}: {error}") from error


def batches_of(records: Iterable[Record], after: Cursor | None) -> Iterator[Batch]:
    """Records, in the order of the page → whole batches after the cursor; what follows the last checkpoint is left out.

    Raises `BadPage` for what is out of order, or of another generation than the cursor's.
    """
    offset = after.offset if after else 0
    changes: list[Change] = []
    for record in records:
        if isinstance(record, Checkpoint):
            if record.offset < offset:
                raise BadPage(f"checkpoint {record.offset} lies before offset {offset}")
            if after and record.generation != after.generation:
                raise BadPage(f"generation {record.generation} does not continue {after.generation}")
            offset = record.offset
            yield Batch(tuple(changes), record)
            changes = []
        else:
            if record.offset <= offset:
                raise BadPage(f"offset {record.offset} does not follow {offset}")
            offset = record.offset
            changes.append(record)
