"""Connectors: ties to commerce systems. Who may be one, which process works for it now, and what it must not forget.

A connector keeps nothing of its own: how far it has read and what is called what outside stand here as notes, bytes
that only the connector understands. Notes that belong together are written together, and only by the process that
holds the lease, so that one that was thought dead and wakes up changes nothing. One transaction per call.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec
import sqlalchemy as sa

from cloud_sync.hub import schema
from cloud_sync.hub.catalogue import storable_mistake, text_mistakes
from cloud_sync.hub.database import Database
from cloud_sync.hub.errors import Conflict, NotFound, Rejected, TooLarge
from cloud_sync.hub.limits import (
    CONNECTORS_MAX,
    KEY_MAX_CHARS,
    LEASE_S_MAX,
    LEASE_S_MIN,
    NOTE_MAX_BYTES,
    NOTES_MAX,
    NOTES_PER_REQUEST_MAX,
    NOTES_SHOWN_MAX,
)
from cloud_sync.hub.names import check_name
from cloud_sync.hub.principals import KnownTokens, Role
from cloud_sync.hub.rows import upsert
from cloud_sync.hub.secrets import mint_token, token_hash

_NULL = b"null"
_CONNECTOR, _NOTE = schema.connector, schema.connector_note


class ConnectorRegistration(msgspec.Struct, frozen=True):
    """`PUT /v1/connectors/{connector}`. `fresh_token`: give one that exists a new token; its old one ends."""

    fresh_token: bool = False


class ConnectorRegistered(msgspec.Struct, frozen=True):
    """`token` is shown this once; `None` when the connector keeps the one it has."""

    connector: str
    created: bool
    token: str | None

    def __repr__(self) -> str:
        """Without the token."""
        return f"ConnectorRegistered(connector={self.connector!r})"


class ConnectorStatus(msgspec.Struct, frozen=True):
    """One of `GET /v1/connectors`. `held_until_ms`: until when a process works for it, in the past when none does.

    `notes`: kind → how many.
    """

    connector: str
    created_ms: int
    held_until_ms: int
    notes: dict[str, int]


class LeaseRequest(msgspec.Struct, frozen=True):
    """`POST …/lease`: `holder` names one process of a connector; 0 s gives the lease back."""

    holder: str
    lease_s: int


class Lease(msgspec.Struct, frozen=True):
    """The process may work until then, by the hub's clock."""

    held_until_ms: int
    now_ms: int


class NoteIn(msgspec.Struct, frozen=True):
    """A note to be kept, or forgotten when `value` is absent or null."""

    kind: str
    key: str
    value: msgspec.Raw = msgspec.Raw(_NULL)

    @property
    def kept(self) -> bool:
        """Whether there is anything to keep."""
        return bytes(self.value).strip() != _NULL


class NotesIn(msgspec.Struct, frozen=True):
    """`PUT …/notes`: all of them or none."""

    holder: str
    notes: tuple[NoteIn, ...]


class Note(msgspec.Struct, frozen=True):
    """A note as it was written."""

    key: str
    value: msgspec.Raw
    updated_ms: int


class NotePage(msgspec.Struct, frozen=True):
    """`GET …/notes/{kind}`, by key. `next_after` is `None` on the last page."""

    notes: tuple[Note, ...]
    next_after: str | None


@dataclass(slots=True)
class Connectors:
    """`known`: what forgets whose token is whose."""

    database: Database
    known: KnownTokens

    def register(self, connector: str, registration: ConnectorRegistration) -> ConnectorRegistered:
        """Let a connector be known. Raises `Rejected` for no name, `TooLarge` when there are too many."""
        check_name(connector)
        table, token = schema.credential, mint_token(self.database.random_bytes)
        with self.database.transaction() as connection:
            known = set(connection.execute(sa.select(_CONNECTOR.c.connector_id)).scalars())
            if connector in known and not registration.fresh_token:
                return ConnectorRegistered(connector, created=False, token=None)
            if connector not in known:
                if len(known) >= CONNECTORS_MAX:
                    raise TooLarge(f"there are {len(known)} connectors, at most {CONNECTORS_MAX}")
                connection.execute(_CONNECTOR.insert(), {
                    "connector_id": connector, "created_ms": self.database.now_ms(), "holder": "",
                    "held_until_ms": 0})
            connection.execute(table.delete().where(_is(connector)))
            connection.execute(table.insert(), {
                "token_hash": token_hash(token), "role": Role.CONNECTOR.value, "name": connector, "store_id": None,
                "created_ms": self.database.now_ms(), "enrolment": 0})
        self.known.forget()
        return ConnectorRegistered(connector, created=connector not in known, token=token)

    def remove(self, connector: str) -> None:
        """Its token ends and its notes go. Raises `NotFound`."""
        with self.database.transaction() as connection:
            _need(connection, connector)
            connection.execute(schema.credential.delete().where(_is(connector)))
            connection.execute(_NOTE.delete().where(_NOTE.c.connector_id == connector))
            connection.execute(_CONNECTOR.delete().where(_CONNECTOR.c.connector_id == connector))
        self.known.forget()

    def all(self) -> tuple[ConnectorStatus, ...]:
        counts = sa.select(_NOTE.c.connector_id, _NOTE.c.kind, sa.func.count()).group_by(
            _NOTE.c.connector_id, _NOTE.c.kind)
        with self.database.transaction() as connection:
            rows = connection.execute(sa.select(_CONNECTOR).order_by(_CONNECTOR.c.connector_id)).all()
            notes: dict[str, dict[str, int]] = {}
            for connector, kind, number in connection.execute(counts):
                notes.setdefault(connector, {})[kind] = number
        return tuple(ConnectorStatus(row.connector_id, row.created_ms, row.held_until_ms,
                                     notes.get(row.connector_id, {})) for row in rows)

    def lease(self, connector: str, asked: LeaseRequest) -> Lease:
        """Be the only process of a connector, from now on for so long; again before it ends, to go on.

        Raises `Conflict` while another process holds it, `Rejected`, `NotFound`.
        """
        mistakes = [*text_mistakes({"holder": asked.holder}, KEY_MAX_CHARS, filled=True),
                    *([] if asked.lease_s == 0 or LEASE_S_MIN <= asked.lease_s <= LEASE_S_MAX else
                      [f"lease_s is neither 0 nor {LEASE_S_MIN} to {LEASE_S_MAX}"])]
        if mistakes:
            raise Rejected(mistakes[0], tuple(mistakes))
        now_ms = self.database.now_ms()
        until_ms = now_ms + 1000 * asked.lease_s if asked.lease_s else 0
        with self.database.transaction() as connection:
            taken = connection.execute(_CONNECTOR.update().where(
                _CONNECTOR.c.connector_id == connector,
                sa.or_(_CONNECTOR.c.holder == asked.holder, _CONNECTOR.c.held_until_ms <= now_ms)),
                {"holder": asked.holder, "held_until_ms": until_ms}).rowcount
            if not taken:
                row = _need(connection, connector)
                raise Conflict(f"another process works for connector {connector!r} for the next "
                               f"{max(1, -(-(row.held_until_ms - now_ms) // 1000))} s unless it goes on: only one may")
        return Lease(until_ms, now_ms)

    def put(self, connector: str, wanted: NotesIn) -> None:
        """Write or forget notes, all or none. Raises `Conflict` for a process without the lease, `Rejected`,
        `TooLarge`, `NotFound`."""
        _check(wanted.notes)
        now_ms = self.database.now_ms()
        with self.database.transaction() as connection:
            row = _need(connection, connector, lock=True)
            if row.holder != wanted.holder or row.held_until_ms <= now_ms:
                raise Conflict(f"this process does not hold the lease of connector {connector!r} (any more)")
            for note in wanted.notes:
                if not note.kept:
                    connection.execute(_NOTE.delete().where(_place(connector, note.kind, note.key)))
            kept = [{"connector_id": connector, "kind": note.kind, "key": note.key, "value": bytes(note.value),
                     "updated_ms": now_ms} for note in wanted.notes if note.kept]
            upsert(connection, _NOTE, kept, replace=["value", "updated_ms"])
            number = connection.execute(sa.select(sa.func.count()).select_from(_NOTE).where(
                _NOTE.c.connector_id == connector)).scalar_one() if kept else 0
            if number > NOTES_MAX:
                raise TooLarge(f"connector {connector!r} would keep {number} notes, at most {NOTES_MAX}")

    def read(self, connector: str, kind: str, key: str) -> bytes:
        """A note as it was written. Raises `NotFound`."""
        with self.database.transaction() as connection:
            value = connection.execute(sa.select(_NOTE.c.value).where(_place(connector, kind, key))).scalar()
        if value is None:
            raise NotFound(f"connector {connector!r} has no note {kind}/{key}")
        return bytes(value)

    def page(self, connector: str, kind: str, after: str, limit: int) -> NotePage:
        """Notes of a kind whose keys come after one. Raises `NotFound` for no such connector."""
        if "\0" in after:
            raise Rejected("a key holds no NUL character")
        limit = max(1, min(limit, NOTES_SHOWN_MAX))
        with self.database.transaction() as connection:
            _need(connection, connector)
            rows = connection.execute(sa.select(_NOTE.c.key, _NOTE.c.value, _NOTE.c.updated_ms).where(
                _NOTE.c.connector_id == connector, _NOTE.c.kind == kind, _NOTE.c.key > after).order_by(
                _NOTE.c.key).limit(limit)).all()
        notes = tuple(Note(row.key, msgspec.Raw(bytes(row.value)), row.updated_ms) for row in rows)
        return NotePage(notes, notes[-1].key if len(notes) == limit else None)


def _check(notes: Sequence[NoteIn]) -> None:
    if len(notes) > NOTES_PER_REQUEST_MAX:
        raise TooLarge(f"{len(notes)} notes in one request, at most {NOTES_PER_REQUEST_MAX}")
    if len({(note.kind, note.key) for note in notes}) < len(notes):
        raise Rejected("one note stands twice in this list")
    for note in notes:
        check_name(note.kind)
        if not note.key or (mistake := storable_mistake(note.key, KEY_MAX_CHARS)):
            raise Rejected(f"key of a note of kind {note.kind!r} {mistake if note.key else 'is empty'}")
        if len(bytes(note.value)) > NOTE_MAX_BYTES:
            raise TooLarge(f"note {note.kind}/{note.key} is longer than {NOTE_MAX_BYTES} bytes")


def _need(connection: sa.Connection, connector: str, *, lock: bool = False) -> sa.Row[tuple[str, int, str, int]]:
    """Raises `NotFound`."""
    asked = sa.select(_CONNECTOR).where(_CONNECTOR.c.connector_id == connector)
    row = connection.execute(asked.with_for_update() if lock else asked).one_or_none()
    if row is None:
        raise NotFound(f"there is no connector {connector!r}")
    return row


def _place(connector: str, kind: str, key: str) -> sa.ColumnElement[bool]:
    return sa.and_(_NOTE.c.connector_id == connector, _NOTE.c.kind == kind, _NOTE.c.key == key)


def _is(connector: str) -> sa.ColumnElement[bool]:
    return sa.and_(schema.credential.c.role == Role.CONNECTOR.value, schema.credential.c.name == connector)
