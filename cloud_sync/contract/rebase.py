"""A box that lost entries the hub holds: the last common one, a new epoch, history back (DESIGN.md section 10).

`POST …/common` finds the last common entry, `POST …/epochs` closes the epoch there and gives another, `GET …/history`
sends back page by page what the hub holds behind it. Each may be repeated without harm.
"""

import msgspec

from cloud_sync.contract.ledger import Entry, Head, Place

PROBES_MAX = 64
"""Hashes compared in one question."""


class Probes(msgspec.Struct, frozen=True):
    """Some entries of the box's ledger in one epoch, in order."""

    epoch: int
    heads: tuple[Head, ...]


class Located(msgspec.Struct, frozen=True):
    """`common`: the highest probe that the hub holds too. `head`: the epoch's end here. `closed`: it is over."""

    common: Head
    head: Head
    closed: bool


class EpochRequest(msgspec.Struct, frozen=True):
    """`request`: minted once and kept until the epoch is written in, so that a lost reply costs no second epoch."""

    request: str
    life: str
    epoch: int
    common: Head


class Grant(msgspec.Struct, frozen=True):
    """From now on the box writes in `epoch`; it lacks what stands behind `common` in `after_epoch`."""

    epoch: int
    after_epoch: int
    common: Head


class PastEntry(msgspec.Struct, frozen=True):
    """An entry as the hub holds it, with its epoch."""

    epoch: int
    entry: Entry


class PastPage(msgspec.Struct, frozen=True):
    """Entries in order of their place. `end`: nothing follows before the epoch that was named."""

    entries: tuple[PastEntry, ...]
    end: bool


class Enrol(msgspec.Struct, frozen=True):
    """`POST /v1/enrol`: a one-time code for a credential. The box mints the token and sends only its SHA-256 (hex)."""

    store: str
    code: str
    token_hash: str

    def __repr__(self) -> str:
        """Without the code, so that no log line or traceback can hold it."""
        return f"Enrol(store={self.store!r})"


class Enrolled(msgspec.Struct, frozen=True):
    """The number of this enrolment (the newest speaks for the store), and the epoch a new ledger begins with."""

    store: str
    enrolment: int
    epoch: int


def probe_sequences(low: int, high: int) -> list[int]:
    """At most `PROBES_MAX` sequences behind `low` up to `high`, evenly, the last one included."""
    span = high - low
    count = min(span, PROBES_MAX)
    return [low + span * step // count for step in range(1, count + 1)]


def place_of(past: PastEntry) -> Place:
    return (past.epoch, past.entry.sequence)
