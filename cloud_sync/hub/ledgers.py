"""Every store's ledger in, exactly once: entries, effects and the new head in one transaction (DESIGN.md section 10).

One integer per store and epoch removes every repeated push, without a window; the fact key, unique per store for
ever, removes facts that come again under another epoch. Nothing well-formed is refused: what this hub cannot read
goes to quarantine and is tried again by the next version (`retry_quarantine`).
"""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import msgspec
import sqlalchemy as sa
from sqlalchemy import bindparam
from sqlalchemy.dialects import postgresql

from cloud_sync.contract.ledger import GENESIS_HASH, Entry, Gap, Head, Place, Push, Pushed, chain_breaks_at
from cloud_sync.hub import schema
from cloud_sync.hub.catalogue import storable_mistake
from cloud_sync.hub.database import Database, in_groups
from cloud_sync.hub.effects import Effects, Readable, Unreadable, read_fact
from cloud_sync.hub.errors import OutOfLine, Rejected, TooLarge
from cloud_sync.hub.limits import AUDIT_ENTRIES_MAX, INTEGER_MAX, KEY_MAX_CHARS, PUSH_ENTRIES_MAX, RETRY_ENTRIES_MAX
from cloud_sync.hub.offers import OffersHeard
from cloud_sync.hub.outbox import tell
from cloud_sync.hub.people import let_go
from cloud_sync.hub.quarantine import QuarantinePage, read_quarantine
from cloud_sync.hub.rows import Row, insert_rows, upsert
from cloud_sync.hub.sessions import check_push, raise_alarm
from cloud_sync.hub.stores import lock_store, read_ledger_head, read_zone

GAP = "gap"
FORK = "fork"

# Built once: building a statement costs more than running it.
_HASHES = sa.select(schema.ledger_entry.c.sequence, schema.ledger_entry.c.hash).where(
    schema.ledger_entry.c.store_id == bindparam("store"), schema.ledger_entry.c.epoch == bindparam("epoch"),
    schema.ledger_entry.c.sequence.between(bindparam("first"), bindparam("last"))).order_by(
    schema.ledger_entry.c.sequence)
_ORIGINALS = sa.select(
    schema.ledger_entry.c.fact_key, schema.ledger_entry.c.epoch, schema.ledger_entry.c.sequence).where(
    schema.ledger_entry.c.store_id == bindparam("store"), schema.ledger_entry.c.repeat_of_sequence.is_(None))
_KNOWN_FACTS = _ORIGINALS.where(schema.ledger_entry.c.fact_key.in_(bindparam("keys", expanding=True)))
_KNOWN_FACTS_OF_ARRAY = _ORIGINALS.where(
    schema.ledger_entry.c.fact_key == sa.any_(bindparam("keys", type_=postgresql.ARRAY(sa.Text))))

_encoder = msgspec.json.Encoder()
_entry_decoder = msgspec.json.Decoder(Entry)


class AuditEntry(msgspec.Struct, frozen=True, omit_defaults=True):
    """One entry as the hub holds it. `repeat_of`: epoch and sequence of the entry that had the effect.

    With `reason`, the entry stands in quarantine and had none.
    """

    sequence: int
    fact_key: str
    kind: str
    occurred_ms: int
    business_day: str
    payload: msgspec.Raw
    hash: str
    received_ms: int
    repeat_of: Place | None = None
    reason: str = ""
    rebased_from: Place | None = None


class AuditPage(msgspec.Struct, frozen=True):
    """`GET /v1/stores/{store}/ledger`. `next_after` is `None` on the last page."""

    epoch: int
    entries: tuple[AuditEntry, ...]
    next_after: int | None


class StockFigure(msgspec.Struct, frozen=True):
    """A SKU's stock as of the ledger position `(epoch, sequence)`: what the hub was sent, and nothing else."""

    sku: str
    sellable_milli: int
    reserved_milli: int
    staged_milli: int
    quarantine_milli: int
    epoch: int
    sequence: int


@dataclass(slots=True)
class Ledgers:
    """The ledgers in the database; one transaction per call."""

    database: Database

    def push(self, store: str, push: Push, enrolment: int | None = None) -> Pushed:
        """Take what continues the ledger; what is known already is skipped after comparing its hashes.

        `enrolment` is the credential's. Raises `DisplacedError` for a box that may not write, `OutOfLine` for a gap or
        a fork (which is noted as an alarm), `Rejected` for what is no push at all.
        """
        _check_push(push)
        fork = self._apply(store, push, enrolment)
        if fork is not None:
            raise fork
        return Pushed(push.first_sequence - 1 + len(push.entries))

    def retry_quarantine(self) -> int:
        """Give every quarantined entry that this version can read its effect. Returns how many those were."""
        table = schema.quarantine
        with self.database.transaction() as connection:
            stores = connection.execute(sa.select(table.c.store_id).distinct()).scalars().all()
        readable = 0
        for store in stores:
            after: Place | None = (-1, 0)
            while after is not None:
                count, after = self._retry_some(store, after)
                readable += count
        return readable

    def stock(self, store: str, sku: str) -> StockFigure:
        """The projection of one SKU, zeros when nothing ever moved."""
        table = schema.stock
        with self.database.transaction() as connection:
            read_zone(connection, store)
            query = sa.select(table).where(table.c.store_id == store, table.c.sku == sku)
            row = connection.execute(query).one_or_none()
            epoch, sequence = _newest_place(connection, store)
        if row is None:
            return StockFigure(sku, 0, 0, 0, 0, epoch, sequence)
        return StockFigure(sku, row.sellable_milli, row.reserved_milli, row.staged_milli, row.quarantine_milli,
                           epoch, sequence)

    def audit(self, store: str, epoch: int, after: int, limit: int) -> AuditPage:
        """Entries in order, `limit` (at most `AUDIT_ENTRIES_MAX`) of them after a sequence."""
        limit = max(1, min(limit, AUDIT_ENTRIES_MAX))
        with self.database.transaction() as connection:
            read_zone(connection, store)
            entries = tuple(_audit_entries(connection, store, epoch, after, limit))
        full = len(entries) == limit
        return AuditPage(epoch, entries, entries[-1].sequence if full else None)

    def quarantined(self, store: str, after: Place, limit: int) -> QuarantinePage:
        """Facts that could not be read, `limit` (at most `AUDIT_ENTRIES_MAX`) of them after a place."""
        with self.database.transaction() as connection:
            read_zone(connection, store)
            return read_quarantine(connection, store, after, max(1, min(limit, AUDIT_ENTRIES_MAX)))

    def _apply(self, store: str, push: Push, enrolment: int | None) -> OutOfLine | None:
        """A fork is returned, not raised: its alarm must be committed."""
        with self.database.transaction() as connection:
            lock_store(connection, store)
            check_push(connection, store, enrolment, push)
            head = read_ledger_head(connection, store, push.epoch)
            if push.first_sequence > head.sequence + 1:
                gap = Gap(head.sequence + 1, head.hash, GAP)
                raise OutOfLine(gap, f"epoch {push.epoch} ends here at sequence {head.sequence}")
            detail = _fork(connection, store, head, push)
            if detail is not None:
                raise_alarm(connection, store, (push.epoch, push.first_sequence), FORK, detail,
                            self.database.now_ms())
                return OutOfLine(Gap(head.sequence + 1, head.hash, FORK), detail)
            new = push.entries[head.sequence + 1 - push.first_sequence:]
            if new:
                self._take(connection, store, push.epoch, new)
        return None

    def _take(self, connection: sa.Connection, store: str, epoch: int, entries: Sequence[Entry]) -> None:
        """Write entries that continue the ledger, with their effects and the new head."""
        now_ms = self.database.now_ms()
        known = _known_facts(connection, store, [_stored_key(entry) for entry in entries])
        rows: list[Row] = []
        bad: list[Row] = []
        effects = Effects()
        repeats = 0
        for entry in entries:
            key = _stored_key(entry)
            original = known.get(key)
            rows.append({**_entry_row(entry, key, original), "store_id": store, "epoch": epoch, "received_ms": now_ms})
            if original is not None:
                repeats += 1
                continue
            known[key] = (epoch, entry.sequence)
            try:
                effects.add(_admit(entry), epoch, entry)
            except Unreadable as reason:
                bad.append({"store_id": store, "epoch": epoch, "sequence": entry.sequence, "reason": str(reason),
                            "entry": _encoder.encode(entry), "received_ms": now_ms})
        insert_rows(connection, schema.ledger_entry, rows)
        insert_rows(connection, schema.quarantine, bad)
        self._write_effects(connection, store, effects, now_ms)
        head = {"store_id": store, "epoch": epoch, "sequence": entries[-1].sequence, "hash": entries[-1].hash,
                "repeats": repeats, "updated_ms": now_ms}
        upsert(connection, schema.ledger_head, [head], replace=["sequence", "hash", "updated_ms"], add=["repeats"])

    def _write_effects(self, connection: sa.Connection, store: str, effects: Effects, now_ms: int) -> None:
        offers = OffersHeard.of(connection, store, [(change.place, change.step) for change in effects.steps])
        parcels = effects.parcels.write(connection, store)
        if effects.steps or effects.raised:
            tell(connection, self.database, store, effects.happenings(connection, store, offers.untold, parcels))
        ended = effects.write(connection, store, now_ms)
        offers.write(connection, now_ms)
        if effects.returns.says_something:
            happened = list(effects.returns.write(connection, store, read_zone(connection, store)))
            tell(connection, self.database, store, happened)
        if ended:
            let_go(connection, store, read_zone(connection, store), ended, now_ms)

    def _retry_some(self, store: str, after: Place) -> tuple[int, Place | None]:
        """One transaction's worth after a place: how many were readable, and where to go on, if anywhere."""
        table = schema.quarantine
        effects, readable = Effects(), []
        with self.database.transaction() as connection:
            lock_store(connection, store)
            rows = connection.execute(sa.select(table.c.epoch, table.c.sequence, table.c.entry).where(
                table.c.store_id == store, sa.tuple_(table.c.epoch, table.c.sequence) > after).order_by(
                table.c.epoch, table.c.sequence).limit(RETRY_ENTRIES_MAX)).all()
            for epoch, sequence, stored in rows:
                entry = _entry_decoder.decode(stored)
                try:
                    effects.add(_admit(entry), epoch, entry)
                except Unreadable:
                    continue
                readable.append((epoch, sequence))
            self._write_effects(connection, store, effects, self.database.now_ms())
            for epoch, sequence in readable:
                connection.execute(table.delete().where(
                    table.c.store_id == store, table.c.epoch == epoch, table.c.sequence == sequence))
        return len(readable), (rows[-1].epoch, rows[-1].sequence) if rows else None


def _check_push(push: Push) -> None:
    if len(push.entries) > PUSH_ENTRIES_MAX:
        raise TooLarge(f"{len(push.entries)} entries in one push, at most {PUSH_ENTRIES_MAX}")
    last = push.first_sequence + len(push.entries)
    if not (0 <= push.epoch <= INTEGER_MAX and push.first_sequence >= 1 and last <= INTEGER_MAX):
        raise Rejected("epochs count from 0 and sequences from 1, up to 2**63 - 1")
    for expected, entry in enumerate(push.entries, start=push.first_sequence):
        if entry.sequence != expected:
            raise Rejected(f"entry {entry.sequence} stands where {expected} belongs: a push is without gaps")


def _fork(connection: sa.Connection, store: str, head: Head, push: Push) -> str | None:
    """Why the push cannot be a continuation of the ledger held here, if so. The push begins within head + 1."""
    broken = chain_breaks_at(store, push.epoch, push.previous_hash, push.entries)
    if broken is not None:
        return f"the hash of entry {broken} does not follow from the one before it"
    stored = _stored_hashes(connection, store, push.epoch, push.first_sequence - 1, head)
    sent = {push.first_sequence - 1: push.previous_hash, **{entry.sequence: entry.hash for entry in push.entries}}
    for sequence, hash_ in stored.items():
        if sent.get(sequence, hash_) != hash_:
            return f"entry {sequence} has hash {hash_} here and {sent[sequence]} there"
    return None


def _stored_hashes(connection: sa.Connection, store: str, epoch: int, first: int, head: Head) -> dict[int, str]:
    """Hashes held from a sequence on, the head's included without a look into the entries."""
    hashes = {0: GENESIS_HASH} if first == 0 else {}
    if first < head.sequence:
        rows = connection.execute(_HASHES, {"store": store, "epoch": epoch, "first": first,
                                            "last": first + PUSH_ENTRIES_MAX})
        hashes |= {row.sequence: row.hash for row in rows}
    hashes[head.sequence] = head.hash
    return hashes


def _stored_key(entry: Entry) -> str:
    """The fact key, or its digest where the database could not take it; such an entry is quarantined as well."""
    if storable_mistake(entry.fact_key, KEY_MAX_CHARS) is None:
        return entry.fact_key
    return f"sha256:{hashlib.sha256(entry.fact_key.encode()).hexdigest()}"


def _known_facts(connection: sa.Connection, store: str, keys: list[str]) -> dict[str, Place]:
    """Where these facts stand already."""
    groups = [keys] if connection.dialect.name == "postgresql" else in_groups(keys)
    statement = _KNOWN_FACTS_OF_ARRAY if connection.dialect.name == "postgresql" else _KNOWN_FACTS
    return {key: (epoch, sequence) for group in groups
            for key, epoch, sequence in connection.execute(statement, {"store": store, "keys": group})}


def _admit(entry: Entry) -> Readable:
    """The fact, when the whole entry can stand and have its effect. Raises `Unreadable`."""
    for name, text in (("fact_key", entry.fact_key), ("kind", entry.kind), ("business_day", entry.business_day)):
        if mistake := storable_mistake(text, KEY_MAX_CHARS):
            raise Unreadable(f"{name} {mistake}")
    if abs(entry.occurred_ms) > INTEGER_MAX:
        raise Unreadable("occurred_ms does not fit 64 bits")
    return read_fact(entry)


def _entry_row(entry: Entry, key: str, original: Place | None) -> Row:
    """The entry as stored. What the database cannot take stands shortened here and whole in quarantine."""
    return {
        "sequence": entry.sequence, "fact_key": key, "kind": _storable(entry.kind),
        "occurred_ms": max(-INTEGER_MAX, min(entry.occurred_ms, INTEGER_MAX)),
        "business_day": _storable(entry.business_day), "payload": bytes(entry.payload), "hash": entry.hash,
        "repeat_of_epoch": original[0] if original else None,
        "repeat_of_sequence": original[1] if original else None,
        "rebased_epoch": entry.rebased_from[0] if entry.rebased_from else None,
        "rebased_sequence": entry.rebased_from[1] if entry.rebased_from else None,
    }


def _storable(text: str) -> str:
    return text.replace("\0", "")[:KEY_MAX_CHARS]


def _newest_place(connection: sa.Connection, store: str) -> Place:
    table = schema.ledger_head
    row = connection.execute(sa.select(table.c.epoch, table.c.sequence).where(
        table.c.store_id == store).order_by(table.c.epoch.desc()).limit(1)).one_or_none()
    return (row.epoch, row.sequence) if row else (0, 0)


def _audit_entries(connection: sa.Connection, store: str, epoch: int, after: int, limit: int) -> Iterator[AuditEntry]:
    entry, bad = schema.ledger_entry, schema.quarantine
    joined = entry.outerjoin(bad, sa.and_(
        bad.c.store_id == entry.c.store_id, bad.c.epoch == entry.c.epoch, bad.c.sequence == entry.c.sequence))
    query = (sa.select(entry, bad.c.reason).select_from(joined)
             .where(entry.c.store_id == store, entry.c.epoch == epoch, entry.c.sequence > after)
             .order_by(entry.c.sequence).limit(limit))
    for row in connection.execute(query):
        original = None if row.repeat_of_sequence is None else (row.repeat_of_epoch, row.repeat_of_sequence)
        yield AuditEntry(row.sequence, row.fact_key, row.kind, row.occurred_ms, row.business_day,
                         msgspec.Raw(row.payload), row.hash, row.received_ms, original, row.reason or "",
                         None if row.rebased_sequence is None else (row.rebased_epoch, row.rebased_sequence))
