"""The ledger on the line, store → hub: entries, their hash chain, and the push (DESIGN.md sections 4 and 10).

One gapless sequence per `(store, box_epoch)`, from 1. Each entry's hash covers the one before it and the exact
stored payload bytes, so that equal heads mean equal histories.
"""

import hashlib
from collections.abc import Iterable
from enum import StrEnum

import msgspec

GENESIS_HASH = "0" * 64
"""What the first entry of an epoch hangs on."""


Place = tuple[int, int]
"""Epoch and sequence of an entry."""


class Entry(msgspec.Struct, frozen=True, omit_defaults=True):
    """One fact in its place. `payload` is JSON (see `facts`); `hash` is lower-case hex SHA-256.

    `rebased_from`: where it stood before its epoch ended below it; a link for people, outside the hash.
    """

    sequence: int
    fact_key: str
    kind: str
    occurred_ms: int
    business_day: str
    payload: msgspec.Raw
    hash: str
    rebased_from: Place | None = None


class Head(msgspec.Struct, frozen=True):
    """The end of a ledger: `sequence` 0 and `GENESIS_HASH` when it is empty."""

    sequence: int = 0
    hash: str = GENESIS_HASH


class Push(msgspec.Struct, frozen=True, omit_defaults=True):
    """`POST /v1/stores/{store}/ledger`.

    `box_epoch`: the epoch the box writes in, where that is not `epoch` (it sends a restored hub older entries again).
    `life`: see `Hello`. Both are left out by stores that do not know them.
    """

    epoch: int
    first_sequence: int
    previous_hash: str
    entries: tuple[Entry, ...]
    box_epoch: int = 0
    life: str = ""


class Pushed(msgspec.Struct, frozen=True):
    """The answer: everything up to `acked_sequence` is committed at the hub, effects included."""

    acked_sequence: int


class Gap(msgspec.Struct, frozen=True):
    """409: the hub's head is not where the push begins; send again from `expected_sequence`."""

    expected_sequence: int
    head_hash: str
    reason: str


class Fenced(msgspec.Struct, frozen=True):
    """409: this box may not write now, whatever it sends; a hello says more. `fenced` is a `Verdict`."""

    fenced: str


class Verdict(StrEnum):
    """What the hub makes of a box that says hello. None of them stops it from selling."""

    CONTINUE = "continue"
    """Push from the head that the welcome names."""
    AGAIN = "again"
    """A process the hub does not know yet: say hello again with the welcome's `turn`, which proves that it lives."""
    REBASE = "rebase"
    """This box was restored or replaced: push nothing, ask for a new epoch (`rebase`)."""
    SUPERSEDED = "superseded"
    """Another box was enrolled after this one; that one speaks for the store."""
    TWIN = "twin"
    """Another process began later with this very credential; that one speaks for the store."""


class Hello(msgspec.Struct, frozen=True):
    """`POST /v1/stores/{store}/hello`: who speaks and how far its ledger goes.

    `life`: random, minted at each start of a process; `answered`: the `turn` of the last welcome it heard. A request
    that was late in the line can repeat neither, so only a living box can take a turn. `enrolment` is for people: the
    credential decides. `time_zone`: where the store's hours hold, an IANA name.
    """

    box_epoch: int
    head: Head
    schema_version: int
    cursors: dict[str, tuple[str, int]] = {}
    enrolment: int = 0
    life: str = ""
    answered: str = ""
    time_zone: str = ""


class Welcome(msgspec.Struct, frozen=True):
    """The hub's answer: its own incarnation, the ledger head it holds for this epoch, its time.

    `verdict`, with `detail` for people · `heads`: where each older epoch ends here, by epoch as text · `feeds`: the
    head of every feed.
    """

    hub_epoch: str
    head: Head
    schema_version: int
    hub_time_ms: int
    verdict: str = Verdict.CONTINUE
    detail: str = ""
    turn: str = ""
    enrolment: int = 0
    heads: dict[str, Head] = {}
    feeds: dict[str, tuple[str, int]] = {}


SCHEMA_VERSION = 1


def entry_hash(previous_hash: str, store: str, epoch: int, sequence: int, fact_key: str, kind: str, occurred_ms: int,
               business_day: str, payload: bytes) -> str:
    """SHA-256 over the previous hash, the entry's header (newline-separated) and the payload bytes."""
    header = f"{previous_hash}\n{store}\n{epoch}\n{sequence}\n{fact_key}\n{kind}\n{occurred_ms}\n{business_day}\n"
    return hashlib.sha256(header.encode() + payload).hexdigest()


def chain_breaks_at(store: str, epoch: int, previous_hash: str, entries: Iterable[Entry]) -> int | None:
    """Sequence of the first entry whose hash does not follow from the one before it, or `None`."""
    for entry in entries:
        computed = entry_hash(previous_hash, store, epoch, entry.sequence, entry.fact_key, entry.kind,
                              entry.occurred_ms, entry.business_day, bytes(entry.payload))
        if computed != entry.hash:
            return entry.sequence
        previous_hash = entry.hash
    return None
