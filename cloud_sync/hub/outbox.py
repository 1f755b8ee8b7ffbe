"""The outbox: events written in the transaction of their cause, taken out by whichever hub process claims the endpoint.

At least once, and in order within a subject: of each subject only the oldest event is taken. An endpoint is called by
one process at a time; a claim that its holder did not renew ends by itself. Every function works in its caller's
transaction.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import msgspec
import sqlalchemy as sa

from cloud_sync.hub import schema
from cloud_sync.hub.database import Database, in_groups
from cloud_sync.hub.happenings import Happening, encode_event
from cloud_sync.hub.limits import (
    CLAIM_S,
    DEAD_LETTER_KEEP_S,
    DELIVERIES_AT_ONCE_MAX,
    DELIVERY_DEAD_AFTER_S,
    ERROR_MAX_CHARS,
)
from cloud_sync.hub.rows import Row, insert_rows

_WEBHOOK, _DELIVERY = schema.webhook, schema.delivery
ORDERS_OF_ZONE = "orders:"
"""Before a zone's name: whose the events of orders are that no store has. No store can be named so; the caller locks
the order instead of a store."""
_LISTENERS = sa.select(_WEBHOOK.c.webhook_id, _WEBHOOK.c.event_types)
_AT_MS, _ENDPOINT_ID = sa.bindparam("at_ms", type_=sa.BigInteger), sa.bindparam("endpoint", type_=sa.Text)
_BEFORE = _DELIVERY.alias("before")
_EARLIER = sa.select(sa.literal(1)).where(
    _BEFORE.c.store_id == _DELIVERY.c.store_id, _BEFORE.c.webhook_id == _DELIVERY.c.webhook_id,
    _BEFORE.c.subject == _DELIVERY.c.subject, _BEFORE.c.sequence < _DELIVERY.c.sequence, _BEFORE.c.dead.is_(False))
_MAY_GO = sa.and_(_DELIVERY.c.dead.is_(False), _DELIVERY.c.due_ms <= _AT_MS, ~_EARLIER.correlate(_DELIVERY).exists())
"""A delivery that is due, and the oldest of its subject."""

_MAY_BE_CALLED = (_WEBHOOK.c.disabled_ms == 0, _WEBHOOK.c.due_ms <= _AT_MS, _WEBHOOK.c.claimed_until_ms <= _AT_MS)
_CLAIMABLE = sa.select(_WEBHOOK.c.webhook_id).where(*_MAY_BE_CALLED, sa.select(sa.literal(1)).where(
    _DELIVERY.c.webhook_id == _WEBHOOK.c.webhook_id, _MAY_GO).exists()).order_by(_WEBHOOK.c.webhook_id)
_CLAIM = _WEBHOOK.update().where(_WEBHOOK.c.webhook_id == _ENDPOINT_ID, *_MAY_BE_CALLED).values(
    claimed_by=sa.bindparam("holder"), claimed_until_ms=sa.bindparam("until_ms"))
_ENDPOINT = sa.select(_WEBHOOK).where(_WEBHOOK.c.webhook_id == _ENDPOINT_ID)
_OLDEST = sa.select(_DELIVERY).where(_DELIVERY.c.webhook_id == _ENDPOINT_ID, _MAY_GO).order_by(
    _DELIVERY.c.created_ms, _DELIVERY.c.store_id, _DELIVERY.c.subject).limit(sa.bindparam("count_max"))
_HEARD = _DELIVERY.delete().where(
    _DELIVERY.c.store_id == sa.bindparam("of_store"), _DELIVERY.c.webhook_id == _ENDPOINT_ID,
    _DELIVERY.c.subject == sa.bindparam("of_subject"), _DELIVERY.c.sequence == sa.bindparam("number"),
    _DELIVERY.c.event_id == sa.bindparam("event"))
"""Statements are built once: every hub asks for them every second."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """An event on its way to an endpoint."""

    store: str
    webhook_id: str
    subject: str
    sequence: int
    event_id: str
    body: bytes
    attempts: int
    dead_after_ms: int

    def where(self) -> sa.ColumnElement[bool]:
        """This row, and no later one that has its number."""
        columns = _DELIVERY.c
        return sa.and_(columns.store_id == self.store, columns.webhook_id == self.webhook_id,
                       columns.subject == self.subject, columns.sequence == self.sequence,
                       columns.event_id == self.event_id)


@dataclass(frozen=True, slots=True)
class Round:
    """What one process may send to an endpoint now. `failures`: of the endpoint in a row, before this round."""

    webhook_id: str
    url: str
    sealed_secret: bytes
    failures: int
    deliveries: tuple[Delivery, ...]


@dataclass(frozen=True, slots=True)
class Settled:
    """What became of a delivery. `error` is empty when it was heard; else it comes again at `due_ms`."""

    delivery: Delivery
    error: str = ""
    due_ms: int = 0


def tell(connection: sa.Connection, database: Database, store: str, happenings: Iterable[Happening]) -> None:
    """Write what happened for everybody who wants to hear it; unread when there is nobody. The caller holds the store's
    lock."""
    listeners = [(webhook_id, set(event_types(types)))
                 for webhook_id, types in connection.execute(_LISTENERS).all()]
    if not listeners:
        return
    wanted = [(webhook_id, happening) for happening in happenings for webhook_id, types in listeners
              if not types or happening.type in types]
    if not wanted:
        return
    now_ms = database.now_ms()
    last = _last_sequences(connection, store, sorted({happening.subject for _, happening in wanted}))
    bodies = {id(happening): (event_id, encode_event(event_id, store, happening, now_ms))
              for _, happening in wanted for event_id in (database.mint(),)}
    rows: list[Row] = []
    for webhook_id, happening in wanted:
        event_id, body = bodies[id(happening)]
        last[webhook_id, happening.subject] += 1
        rows.append({
            "store_id": store, "webhook_id": webhook_id, "subject": happening.subject,
            "sequence": last[webhook_id, happening.subject], "event_id": event_id, "event_type": happening.type.value,
            "body": body, "created_ms": now_ms, "attempts": 0, "due_ms": now_ms,
            "dead_after_ms": now_ms + 1000 * DELIVERY_DEAD_AFTER_S, "dead": False, "last_error": ""})
    insert_rows(connection, _DELIVERY, rows)


def event_types(text: str) -> tuple[str, ...]:
    """What an endpoint wants to hear, as its row has it; none: everything."""
    return _types_decoder.decode(text)


_types_decoder = msgspec.json.Decoder(tuple[str, ...])


def claimable(connection: sa.Connection, now_ms: int) -> list[str]:
    """Endpoints that nobody calls now and for which something is due."""
    return list(connection.execute(_CLAIMABLE, {"at_ms": now_ms}).scalars())


def claim(connection: sa.Connection, webhook_id: str, holder: str, now_ms: int) -> Round | None:
    """Take the endpoint for this process, with the oldest due event of each subject; `None` when nothing is to be done.

    An event that waits for its next attempt holds back the later ones of its subject.
    """
    taken = connection.execute(_CLAIM, {"endpoint": webhook_id, "at_ms": now_ms, "holder": holder,
                                        "until_ms": now_ms + 1000 * CLAIM_S})
    if not taken.rowcount:
        return None
    endpoint = connection.execute(_ENDPOINT, {"endpoint": webhook_id}).one()
    deliveries = _oldest(connection, webhook_id, now_ms, 1 if endpoint.failures else DELIVERIES_AT_ONCE_MAX)
    if not deliveries:
        _release(connection, webhook_id, holder, {})
        return None
    return Round(webhook_id, endpoint.url, bytes(endpoint.sealed_secret), endpoint.failures, deliveries)


def settle(connection: sa.Connection, webhook_id: str, holder: str, settled: Sequence[Settled],
           endpoint: dict[str, object], now_ms: int) -> None:
    """Note what became of a round, and let the endpoint go. `endpoint`: what is new in its own row."""
    for one in settled:
        if not one.error:
            connection.execute(_HEARD, {
                "of_store": one.delivery.store, "endpoint": one.delivery.webhook_id,
                "of_subject": one.delivery.subject, "number": one.delivery.sequence, "event": one.delivery.event_id})
            continue
        dead = now_ms >= one.delivery.dead_after_ms
        connection.execute(_DELIVERY.update().where(one.delivery.where()), {
            "attempts": one.delivery.attempts + 1, "due_ms": one.due_ms, "dead": dead,
            "last_error": one.error[:ERROR_MAX_CHARS]})
    _release(connection, webhook_id, holder, endpoint)


def keep_outbox(connection: sa.Connection, now_ms: int) -> int:
    """Give up what is too old, forget what was given up long ago or has no endpoint. Returns how many were given up."""
    columns = _DELIVERY.c
    connection.execute(_DELIVERY.delete().where(sa.or_(
        columns.webhook_id.not_in(sa.select(_WEBHOOK.c.webhook_id)),
        sa.and_(columns.dead, columns.dead_after_ms <= now_ms - 1000 * DEAD_LETTER_KEEP_S))))
    return connection.execute(_DELIVERY.update().where(
        columns.dead.is_(False), columns.dead_after_ms <= now_ms), {"dead": True}).rowcount


def _release(connection: sa.Connection, webhook_id: str, holder: str, endpoint: dict[str, object]) -> None:
    connection.execute(_WEBHOOK.update().where(_WEBHOOK.c.webhook_id == webhook_id, _WEBHOOK.c.claimed_by == holder),
                       {"claimed_by": "", "claimed_until_ms": 0, **endpoint})


def _oldest(connection: sa.Connection, webhook_id: str, now_ms: int, count_max: int) -> tuple[Delivery, ...]:
    rows = connection.execute(_OLDEST, {"endpoint": webhook_id, "at_ms": now_ms, "count_max": count_max})
    return tuple(Delivery(row.store_id, row.webhook_id, row.subject, row.sequence, row.event_id, bytes(row.body),
                          row.attempts, row.dead_after_ms) for row in rows)


def _last_sequences(connection: sa.Connection, store: str, subjects: Sequence[str]) -> dict[tuple[str, str], int]:
    """(endpoint, subject) → the number of the newest event that is still here."""
    columns = _DELIVERY.c
    last: dict[tuple[str, str], int] = defaultdict(int)
    for group in in_groups(subjects):
        for webhook_id, subject, sequence in connection.execute(sa.select(
                columns.webhook_id, columns.subject, sa.func.max(columns.sequence)).where(
                columns.store_id == store, columns.subject.in_(group)).group_by(columns.webhook_id, columns.subject)):
            last[webhook_id, subject] = sequence
    return last
