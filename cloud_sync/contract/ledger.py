"""The ledger on the line, store → hub: entries, their hash chain, and the push (DESIGN.md sections 4 and 10).

One gapless sequence per `(store, box_epoch)`, from 1. Each entry's hash covers the one before it and the exact
stored payload bytes, so that equal heads mean equal histories.
"""

import hashlib
from collections.abc import Iterable

import msgspec

GENESIS_HASH = "0" * 64
"""What the first entry of an epoch hangs on."""


class Entry(msgspec.Struct, frozen=True):
    """One fact in its place. `payload` is JSON (see `facts`); `hash` is lower-case hex SHA-256."""

    sequence: int
    fact_key: str
    kind: str
    occurred_ms: int
    business_day: str
    payload: msgspec.Raw
    hash: str


class Head(msgspec.Struct, frozen=True):
    """The end of a ledger: `sequence` 0 and `GENESIS_HASH` when it is empty."""

    sequence: int = 0
    hash: str = GENESIS_HASH


class Push(msgspec.Struct, frozen=True):
    """`POST /v1/stores/{store}/ledger`."""

    epoch: int
    first_sequence: int
    previous_hash: str
    entries: tuple[Entry, ...]


class Pushed(msgspec.Struct, frozen=True):
    """The answer: everything up to `acked_sequence` is committed at the hub, effects included."""

    acked_sequence: int


class Gap(msgspec.Struct, frozen=True):
    """409: the hub's head is not where the push begins; send again from `expected_sequence`."""

    expected_sequence: int
    head_hash: str
    reason: str


class Hello(msgspec.Struct, frozen=True):
    """`POST /v1/stores/{store}/hello`: who speaks and how far its ledger goes."""

    box_epoch: int
    head: Head
    schema_version: int
    cursors: dict[str, tuple[str, int]] = {}


class Welcome(msgspec.Struct, frozen=True):
    """The hub's answer: its own incarnation, the ledger head it holds for this epoch, its time."""

    hub_epoch: str
    head: Head
    schema_version: int
    hub_time_ms: int


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
