"""A new epoch for a box that lost entries the hub holds, and those entries back (DESIGN.md section 10).

Everything may be asked again: the same request gets the same epoch until something was written in it.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import msgspec
import sqlalchemy as sa
import structlog

from cloud_sync.contract.ledger import Entry, Head, Place
from cloud_sync.contract.rebase import EpochRequest, Grant, Located, PastEntry, PastPage, Probes
from cloud_sync.hub import schema
from cloud_sync.hub.database import Database
from cloud_sync.hub.errors import Conflict, Rejected
from cloud_sync.hub.limits import HISTORY_BYTES_MAX, HISTORY_ENTRIES_MAX, INTEGER_MAX, KEY_MAX_CHARS
from cloud_sync.hub.sessions import Session, check_box, hash_at, read_session, write_session
from cloud_sync.hub.stores import lock_store, read_ledger_head

_log = structlog.get_logger("hub")
_entry_decoder = msgspec.json.Decoder(Entry)


@dataclass(slots=True)
class Rebases:
    """One transaction per call. `enrolment` is that of the caller's credential."""

    database: Database

    def locate(self, store: str, enrolment: int, probes: Probes) -> Located:
        """The highest of the box's entries that stands here too; the ledger's beginning always does."""
        with self.database.transaction() as connection:
            lock_store(connection, store)
            session = read_session(connection, store)
            check_box(session, enrolment, "")
            held = _hashes(connection, store, probes.epoch, [head.sequence for head in probes.heads])
            common = max((head for head in probes.heads if held.get(head.sequence) == head.hash),
                         key=lambda head: head.sequence, default=Head())
            return Located(common, read_ledger_head(connection, store, probes.epoch), probes.epoch < session.epoch)

    def grant(self, store: str, enrolment: int, asked: EpochRequest) -> Grant:
        """Close the box's epoch behind the common entry and give it another.

        Raises `DisplacedError` for a box that does not speak for the store, `Conflict` when the entry is not common or
        the request was used before: then the box says hello and looks again.
        """
        if not (1 <= len(asked.request) <= KEY_MAX_CHARS and 0 <= asked.epoch < INTEGER_MAX):
            raise Rejected("a request has a name, and an epoch a number below 2**63 - 1")
        with self.database.transaction() as connection:
            lock_store(connection, store)
            session = read_session(connection, store)
            check_box(session, enrolment, asked.life)
            if hash_at(connection, store, asked.epoch, asked.common.sequence) != asked.common.hash:
                raise Conflict(f"entry {asked.common.sequence} of epoch {asked.epoch} is not what stands here")
            epoch = self._epoch_for(connection, store, session, asked)
            return Grant(epoch, asked.epoch, asked.common)

    def history(self, store: str, enrolment: int, after: Place, before: int) -> PastPage:
        """What stands behind a place in the epochs before one, whole entries as they came, in order."""
        table = schema.ledger_entry
        with self.database.transaction() as connection:
            check_box(read_session(connection, store), enrolment, "")
            rows = connection.execute(sa.select(table).where(
                table.c.store_id == store, sa.tuple_(table.c.epoch, table.c.sequence) > after,
                table.c.epoch < before).order_by(table.c.epoch, table.c.sequence).limit(HISTORY_ENTRIES_MAX)).all()
            whole = _quarantined(connection, store, after, rows)
            entries = tuple(_fitting(_past_entry(row, whole) for row in rows))
        return PastPage(entries, end=len(rows) < HISTORY_ENTRIES_MAX and len(entries) == len(rows))

    def _epoch_for(self, connection: sa.Connection, store: str, session: Session, asked: EpochRequest) -> int:
        table = schema.ledger_epoch
        given = connection.execute(sa.select(table.c.epoch).where(
            table.c.store_id == store, table.c.request == asked.request)).scalar()
        if given is not None:
            if given != session.epoch or read_ledger_head(connection, store, given).sequence:
                raise Conflict(f"epoch {given} was given for this request and is in use")
            return int(given)
        epoch = self._reserved(connection, store, session, asked) or _next_epoch(connection, store, session, asked)
        connection.execute(table.delete().where(table.c.store_id == store, table.c.epoch == epoch))
        connection.execute(table.insert(), {
            "store_id": store, "epoch": epoch, "enrolment": session.enrolment, "request": asked.request,
            "after_epoch": asked.epoch, "after_sequence": asked.common.sequence,
            "granted_ms": self.database.now_ms()})
        connection.execute(schema.alarm.delete().where(  # what a fork had raised is being settled
            schema.alarm.c.store_id == store, schema.alarm.c.epoch == asked.epoch, schema.alarm.c.reason == "fork"))
        write_session(connection, store, replace(session, epoch=epoch))
        _log.info("a new epoch", store=store, epoch=epoch, after_epoch=asked.epoch, after=asked.common.sequence)
        return epoch

    @staticmethod
    def _reserved(connection: sa.Connection, store: str, session: Session, asked: EpochRequest) -> int | None:
        """The epoch that came with the enrolment, as long as nobody writes in it."""
        table = schema.ledger_epoch
        row = connection.execute(sa.select(table.c.epoch).where(
            table.c.store_id == store, table.c.epoch == session.epoch, table.c.enrolment == session.enrolment,
            table.c.request == "")).scalar()
        if row is None or row <= asked.epoch or read_ledger_head(connection, store, row).sequence:
            return None
        return int(row)


def newest_epoch(connection: sa.Connection, store: str) -> int:
    """The highest epoch that was ever given or written in, 0 for none."""
    return max(int(connection.execute(sa.select(sa.func.coalesce(sa.func.max(table.c.epoch), 0)).where(
        table.c.store_id == store)).scalar_one()) for table in (schema.ledger_head, schema.ledger_epoch))


def _next_epoch(connection: sa.Connection, store: str, session: Session, asked: EpochRequest) -> int:
    return max(newest_epoch(connection, store), session.epoch, asked.epoch) + 1


def _hashes(connection: sa.Connection, store: str, epoch: int, sequences: Sequence[int]) -> dict[int, str]:
    table = schema.ledger_entry
    found: dict[int, str] = {}
    for start in range(0, len(sequences), HISTORY_ENTRIES_MAX):
        rows = connection.execute(sa.select(table.c.sequence, table.c.hash).where(
            table.c.store_id == store, table.c.epoch == epoch,
            table.c.sequence.in_(sequences[start:start + HISTORY_ENTRIES_MAX])))
        found |= {row.sequence: row.hash for row in rows}
    return found


def _quarantined(connection: sa.Connection, store: str, after: Place,
                 rows: Sequence[sa.Row[tuple[object, ...]]]) -> dict[Place, bytes]:
    """Entries that stand shortened in the ledger, whole."""
    if not rows:
        return {}
    table, last = schema.quarantine, rows[-1]
    found = connection.execute(sa.select(table.c.epoch, table.c.sequence, table.c.entry).where(
        table.c.store_id == store, sa.tuple_(table.c.epoch, table.c.sequence) > after,
        sa.tuple_(table.c.epoch, table.c.sequence) <= (last.epoch, last.sequence)))
    return {(row.epoch, row.sequence): row.entry for row in found}


def _past_entry(row: sa.Row[tuple[object, ...]], whole: dict[Place, bytes]) -> PastEntry:
    stored = whole.get((row.epoch, row.sequence))
    if stored is not None:
        return PastEntry(row.epoch, _entry_decoder.decode(stored))
    rebased_from = None if row.rebased_sequence is None else (row.rebased_epoch, row.rebased_sequence)
    return PastEntry(row.epoch, Entry(row.sequence, row.fact_key, row.kind, row.occurred_ms, row.business_day,
                                      msgspec.Raw(row.payload), row.hash, rebased_from))


def _fitting(entries: Iterator[PastEntry]) -> Iterator[PastEntry]:
    """As many as fit into one page, at least one."""
    size = 0
    for count, past in enumerate(entries):
        size += memoryview(past.entry.payload).nbytes
        if count and size > HISTORY_BYTES_MAX:
            return
        yield past
