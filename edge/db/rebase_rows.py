"""What a store that takes up its story again has begun, as one row of `meta`; and the epoch it writes in."""

import msgspec

from cloud_sync.contract.facts import PickupStep, decode_fact
from cloud_sync.contract.ledger import GENESIS_HASH, Head, entry_hash
from edge.db.connection import Connection
from edge.db.queries import LEDGER

_KEY = "rebase"
_PICKUP_KIND = "pickup"


class AskingEpoch(msgspec.Struct, frozen=True, tag_field="phase", tag="asking"):
    """A new epoch after `common` of `epoch` is wanted, under a request that the hub takes once."""

    request: str
    epoch: int
    common: Head


class MovingOn(msgspec.Struct, frozen=True, tag_field="phase", tag="moving"):
    """Epoch `epoch` was given; entries of `old_epoch` behind `common` go there."""

    old_epoch: int
    common: Head
    epoch: int


class TakingBack(msgspec.Struct, frozen=True, tag_field="phase", tag="taking"):
    """Everything of the hub's before epoch `before` is here up to this place, with its hash."""

    epoch: int
    sequence: int
    hash: str
    before: int


StoredRebase = AskingEpoch | MovingOn | TakingBack
_decoder: msgspec.json.Decoder[StoredRebase] = msgspec.json.Decoder(StoredRebase)


def read_rebase(connection: Connection) -> StoredRebase | None:
    """What is under way, if anything."""
    row = connection.execute(LEDGER.get_meta, (_KEY,)).fetchone()
    return _decoder.decode(row[0]) if row else None


def put_rebase(connection: Connection, state: StoredRebase) -> None:
    connection.execute(LEDGER.set_meta, (_KEY, msgspec.json.encode(state).decode()))


def end_rebase(connection: Connection) -> None:
    connection.execute(LEDGER.delete_meta, (_KEY,))


def move_some(connection: Connection, store: str, moving: MovingOn, count_max: int) -> bool:
    """Append up to so many entries behind the common one to the new epoch; returns whether the store writes there now.

    An entry is appended and its old row goes in one transaction, so a kill leaves no fact in two places or in none.
    """
    rows = connection.execute(LEDGER.entries_from, (moving.old_epoch, moving.common.sequence + 1, count_max)).fetchall()
    found = connection.execute(LEDGER.head, (moving.epoch,)).fetchone()
    sequence, before = found or (0, GENESIS_HASH)
    for old_sequence, fact_key, kind, occurred_ms, day, payload, *_ in rows:
        sequence += 1
        before = entry_hash(before, store, moving.epoch, sequence, fact_key, kind, occurred_ms, day, payload)
        connection.execute(LEDGER.insert_rebased_entry, (
            moving.epoch, sequence, fact_key, kind, occurred_ms, day, payload, before, moving.old_epoch, old_sequence))
        connection.execute(LEDGER.delete_entry, (moving.old_epoch, old_sequence))
        old, new = (moving.old_epoch, old_sequence), (moving.epoch, sequence)
        connection.execute(LEDGER.move_fact, (*new, fact_key, *old))
        if kind == _PICKUP_KIND and isinstance(step := decode_fact(payload), PickupStep):
            connection.execute(LEDGER.move_pickup_step, (*new, step.order_id, *old))
    if len(rows) == count_max:
        return False
    connection.execute(LEDGER.set_meta, ("epoch", str(moving.epoch)))
    put_rebase(connection, TakingBack(moving.old_epoch, moving.common.sequence, moving.common.hash, moving.epoch))
    return True
