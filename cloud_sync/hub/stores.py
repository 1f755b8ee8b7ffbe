"""Who the stores are, who may speak for whom, and how far each store has come."""

from dataclasses import dataclass, field, replace

import msgspec
import sqlalchemy as sa
from sqlalchemy import bindparam

from cloud_sync.contract.feeds import Cursor, Feed
from cloud_sync.contract.ledger import SCHEMA_VERSION, Head, Hello, Verdict, Welcome
from cloud_sync.contract.pickup import FINAL
from cloud_sync.hub import schema
from cloud_sync.hub.database import Database
from cloud_sync.hub.errors import NotFound, Rejected
from cloud_sync.hub.feeds import STORE_FEED_NAMES, FeedId, ensure_feeds, read_head
from cloud_sync.hub.limits import INTEGER_MAX, KEY_MAX_CHARS, SEEN_EVERY_MS
from cloud_sync.hub.names import DEFAULT_ZONE, check_name
from cloud_sync.hub.principals import KnownTokens, Principal, Role
from cloud_sync.hub.rows import upsert
from cloud_sync.hub.schema import Owner
from cloud_sync.hub.secrets import mint_token, token_hash
from cloud_sync.hub.sessions import greet, read_heads, read_session, write_session

_OPERATOR = "operator"

# Built once: building a statement costs more than running it.
_PRINCIPAL = sa.select(
    schema.credential.c.role, schema.credential.c.name, schema.credential.c.store_id, schema.credential.c.enrolment,
    sa.func.coalesce(schema.box_session.c.enrolment, 0).label("newest"),
).select_from(schema.credential.outerjoin(
    schema.box_session, schema.box_session.c.store_id == schema.credential.c.store_id,
)).where(schema.credential.c.token_hash == bindparam("hash"))
_ZONE = sa.select(schema.store.c.zone_id).where(schema.store.c.store_id == bindparam("store"))
_LOCK = sa.select(schema.store.c.store_id).where(schema.store.c.store_id == bindparam("store")).with_for_update()
_SEEN = schema.store.update().where(schema.store.c.store_id == bindparam("of_store")).values(
    last_seen_ms=bindparam("now_ms"))
_LEDGER_HEAD = sa.select(schema.ledger_head.c.sequence, schema.ledger_head.c.hash).where(
    schema.ledger_head.c.store_id == bindparam("store"), schema.ledger_head.c.epoch == bindparam("epoch"))
_CURSOR = sa.select(schema.store_cursor.c.generation, schema.store_cursor.c.feed_offset).where(
    schema.store_cursor.c.store_id == bindparam("store"), schema.store_cursor.c.feed == bindparam("feed"))
_MEET = sa.select(
    schema.store.c.zone_id, schema.store.c.last_seen_ms, schema.store_cursor.c.generation,
    schema.store_cursor.c.feed_offset,
).select_from(schema.store.outerjoin(schema.store_cursor, sa.and_(
    schema.store_cursor.c.store_id == schema.store.c.store_id, schema.store_cursor.c.feed == bindparam("feed"),
))).where(schema.store.c.store_id == bindparam("store"))


class Registration(msgspec.Struct, frozen=True):
    """`PUT /v1/stores/{store}`. `fresh_token`: give a store that exists a new token; its old one ends."""

    name: str = ""
    zone: str = DEFAULT_ZONE
    fresh_token: bool = False


class Registered(msgspec.Struct, frozen=True):
    """`token` is shown this once; `None` when the store keeps the one it has."""

    store: str
    zone: str
    created: bool
    token: str | None


class FeedLag(msgspec.Struct, frozen=True):
    """A feed's head against where the store said it was. `store_offset` is `None` before it said anything."""

    generation: str
    head_offset: int
    store_offset: int | None
    lag: int


class EpochHead(msgspec.Struct, frozen=True):
    """The end of one epoch's ledger here; `repeats` of its entries were known facts."""

    epoch: int
    sequence: int
    hash: str
    repeats: int
    updated_ms: int


class Alarm(msgspec.Struct, frozen=True):
    """Something about a store's ledger that a person must look at."""

    epoch: int
    reason: str
    detail: str
    first_ms: int
    last_ms: int
    count: int


class StoreStatus(msgspec.Struct, frozen=True):
    """`GET /v1/stores/{store}/status`. `backlog`: entries the last hello reported that are not here yet.

    `entries` stand in the ledger, `facts` of them for the first time; `quarantined` ones had no effect. `doorbell`:
    whether the broker says that the store listens (online, offline, unknown), a hint and nothing more.
    """

    store: str
    name: str
    zone: str
    created_ms: int
    last_seen_ms: int
    box_epoch: int
    backlog: int
    heads: tuple[EpochHead, ...]
    feeds: dict[str, FeedLag]
    entries: int
    facts: int
    quarantined: int
    transactions: int
    sale_lines: int
    return_lines: int
    open_orders: int
    alarms: tuple[Alarm, ...]
    enrolment: int = 0
    epoch: int = 0
    doorbell: str = "unknown"


@dataclass(slots=True)
class Stores:
    """Stores, credentials and cursors in the database; one transaction per call."""

    database: Database
    known: KnownTokens = field(default_factory=KnownTokens)

    def ensure_operator(self, token: str) -> None:
        """Make this the operator's token, the only one."""
        table = schema.credential
        row = {"token_hash": token_hash(token), "role": Role.OPERATOR.value, "name": _OPERATOR, "store_id": None,
               "created_ms": self.database.now_ms(), "enrolment": 0}
        with self.database.transaction() as connection:
            upsert(connection, table, [row], replace=["role", "name", "store_id"])  # several hubs may start at once
            connection.execute(table.delete().where(
                table.c.role == Role.OPERATOR.value, table.c.name == _OPERATOR,
                table.c.token_hash != token_hash(token)))
        self.known.forget()

    def authenticate(self, token: str) -> Principal | None:
        """Whose token this is. Known ones are answered from memory, see `recognize`."""
        asked = self.known.ask()
        with self.database.reading() as connection:
            row = connection.execute(_PRINCIPAL, {"hash": token_hash(token)}).one_or_none()
        if row is None:
            return None
        role = Role(row.role)
        principal = Principal(role, row.store_id or "", row.enrolment, superseded=row.enrolment < row.newest,
                              connector=row.name if role is Role.CONNECTOR else "")
        self.known.remember(token_hash(token), principal, asked, self.database.now_ms())
        return principal

    def recognize(self, token: str) -> Principal | None:
        """Whose token this is, as far as memory knows; `None` says nothing. Needs no database, so no thread."""
        return self.known.recall(token_hash(token), self.database.now_ms(), self.database.shared)

    def register(self, store: str, registration: Registration) -> Registered:
        """Let a store be known. Raises `Rejected` for names that cannot stand in a path or a topic."""
        for name in (store, registration.zone):
            check_name(name)
        with self.database.transaction() as connection:
            created = _write_store(connection, store, registration, self.database.now_ms())
            ensure_feeds(connection, Owner.ZONE, registration.zone, self.database.mint())
            ensure_feeds(connection, Owner.STORE, store, self.database.mint())
            token = mint_token(self.database.random_bytes) if created or registration.fresh_token else None
            if token:
                _replace_token(connection, store, token, self.database.now_ms())
        if token:
            self.known.forget()
        return Registered(store, registration.zone, created, token)

    def hello(self, store: str, hello: Hello, enrolment: int = 0) -> Welcome:
        """Note who speaks; answer with the ledger heads held, and whether it may go on. See `sessions`."""
        _check_hello(hello)
        database = self.database
        now_ms = database.now_ms()
        with database.transaction() as connection:
            lock_store(connection, store)
            greeting = greet(connection, database, store, enrolment, hello)
            head = read_ledger_head(connection, store, hello.box_epoch)
            if not greeting.displaced and greeting.verdict is not Verdict.AGAIN:
                whole = greeting.verdict is Verdict.CONTINUE and hello.head == head
                _note_hello(connection, store, hello, now_ms, whole=whole)
            heads = {str(epoch): one for epoch, one in read_heads(connection, store, hello.box_epoch).items()}
            zone = read_zone(connection, store)
            feeds = {feed.value: (at.generation, at.offset) for feed in Feed
                     for at in (read_head(connection, feed_id(feed, store, zone)),)}
        return Welcome(database.hub_epoch(), head, SCHEMA_VERSION, now_ms, greeting.verdict, greeting.detail,
                       greeting.turn, enrolment, heads, feeds)

    def stores_in(self, zone: str) -> list[str]:
        """Ids of a zone's stores."""
        with self.database.transaction() as connection:
            return list(connection.execute(sa.select(schema.store.c.store_id).where(
                schema.store.c.zone_id == zone).order_by(schema.store.c.store_id)).scalars())

    def status(self, store: str) -> StoreStatus:
        """How a store stands with the hub. Raises `NotFound`."""
        with self.database.transaction() as connection:
            return _status(connection, store)


def feed_id(feed: Feed, store: str, zone: str) -> FeedId:
    return FeedId(feed, store if feed in STORE_FEED_NAMES else zone)


def meet_store(connection: sa.Connection, store: str, feed: Feed, cursor: Cursor | None, now_ms: int) -> str:
    """Note that a store lives and how far it has come, writing only what is news; returns its zone.

    Raises `NotFound`.
    """
    row = connection.execute(_MEET, {"store": store, "feed": feed.value}).one_or_none()
    if row is None:
        raise _no_store(store)
    zone, seen_ms, generation, offset = row
    if cursor is not None and (generation, offset) != (cursor.generation, cursor.offset):
        _write_cursor(connection, store, feed, cursor)
    if seen_ms < now_ms - SEEN_EVERY_MS:
        connection.execute(_SEEN, {"of_store": store, "now_ms": now_ms})
    return str(zone)


def read_zone(connection: sa.Connection, store: str) -> str:
    """Raises `NotFound` for a store that is not registered."""
    zone = connection.execute(_ZONE, {"store": store}).scalar()
    if zone is None:
        raise _no_store(store)
    return str(zone)


def lock_store(connection: sa.Connection, store: str) -> None:
    """Let one transaction at a time change what hangs on this store. Raises `NotFound`."""
    if connection.execute(_LOCK, {"store": store}).one_or_none() is None:
        raise _no_store(store)


def read_ledger_head(connection: sa.Connection, store: str, epoch: int) -> Head:
    """The end of this epoch as the hub holds it."""
    row = connection.execute(_LEDGER_HEAD, {"store": store, "epoch": epoch}).one_or_none()
    return Head(row.sequence, row.hash) if row else Head()


def _no_store(store: str) -> NotFound:
    return NotFound(f"there is no store {store!r}: register it first")


def _write_store(connection: sa.Connection, store: str, registration: Registration, now_ms: int) -> bool:
    """Returns whether it is new."""
    table = schema.store
    found = connection.execute(sa.select(table.c.store_id).where(table.c.store_id == store).with_for_update()).first()
    row = {"store_id": store, "zone_id": registration.zone, "name": registration.name, "created_ms": now_ms,
           "last_seen_ms": 0, "box_epoch": 0, "reported_sequence": 0, "schema_version": 0,
           "ledger_known_ms": 0, "time_zone": ""}
    upsert(connection, table, [row], replace=["zone_id", "name"])
    return found is None


def _replace_token(connection: sa.Connection, store: str, token: str, now_ms: int) -> None:
    """By hand, for a box that stays the one it is: the old token ends, the epoch goes on."""
    table, session = schema.credential, read_session(connection, store)
    connection.execute(table.delete().where(table.c.store_id == store))
    connection.execute(table.insert(), {"token_hash": token_hash(token), "role": Role.STORE.value, "name": store,
                                        "store_id": store, "created_ms": now_ms,
                                        "enrolment": session.enrolment + 1})
    write_session(connection, store, replace(session, enrolment=session.enrolment + 1))


def _note_hello(connection: sa.Connection, store: str, hello: Hello, now_ms: int, *, whole: bool) -> None:
    """`whole`: the store's ledger ends where the hub's copy of it does."""
    known: dict[str, object] = {"ledger_known_ms": now_ms} if whole else {}
    if hello.time_zone:
        known["time_zone"] = hello.time_zone
    connection.execute(schema.store.update().where(schema.store.c.store_id == store), {
        "last_seen_ms": now_ms, "box_epoch": hello.box_epoch, "reported_sequence": hello.head.sequence,
        "schema_version": hello.schema_version, **known})
    for feed, (generation, offset) in hello.cursors.items():
        if feed in set(Feed):
            _write_cursor(connection, store, Feed(feed), Cursor(generation, offset))


def _check_hello(hello: Hello) -> None:
    numbers = (hello.box_epoch, hello.head.sequence, hello.schema_version,
               *(offset for _, offset in hello.cursors.values()))
    if not all(0 <= number <= INTEGER_MAX for number in numbers):
        raise Rejected("epochs, sequences and offsets are whole numbers from 0 to 2**63 - 1")
    if any("\0" in generation for generation, _ in hello.cursors.values()):
        raise Rejected("a generation holds no NUL character")
    if len(hello.time_zone) > KEY_MAX_CHARS or "\0" in hello.time_zone:
        raise Rejected("time_zone is no name of a time zone")


def _read_cursor(connection: sa.Connection, store: str, feed: Feed) -> Cursor | None:
    row = connection.execute(_CURSOR, {"store": store, "feed": feed.value}).one_or_none()
    return Cursor(row.generation, row.feed_offset) if row else None


def _write_cursor(connection: sa.Connection, store: str, feed: Feed, cursor: Cursor) -> None:
    upsert(connection, schema.store_cursor, [{"store_id": store, "feed": feed.value, "generation": cursor.generation,
                                              "feed_offset": cursor.offset}], replace=["generation", "feed_offset"])


def _status(connection: sa.Connection, store: str) -> StoreStatus:
    zone = read_zone(connection, store)
    row = connection.execute(sa.select(schema.store).where(schema.store.c.store_id == store)).one()
    heads, alarms = _epoch_heads(connection, store), _alarms(connection, store)
    session = read_session(connection, store)
    days = connection.execute(sa.select(*(
        sa.cast(sa.func.coalesce(sa.func.sum(schema.till_day.c[name]), 0), sa.BigInteger)
        for name in ("transactions", "sale_lines", "return_lines"))).where(schema.till_day.c.store_id == store)).one()
    here = read_ledger_head(connection, store, row.box_epoch).sequence
    entries = sum(head.sequence for head in heads)
    return StoreStatus(
        store=store, name=row.name, zone=zone, created_ms=row.created_ms, last_seen_ms=row.last_seen_ms,
        box_epoch=row.box_epoch, backlog=max(0, row.reported_sequence - here), heads=heads,
        feeds={feed.value: _lag(connection, store, feed, feed_id(feed, store, zone)) for feed in Feed},
        entries=entries, facts=entries - sum(head.repeats for head in heads),
        quarantined=_count(connection, schema.quarantine, store), transactions=days[0], sale_lines=days[1],
        return_lines=days[2], open_orders=_open_orders(connection, store), alarms=alarms,
        enrolment=session.enrolment, epoch=session.epoch)


def _epoch_heads(connection: sa.Connection, store: str) -> tuple[EpochHead, ...]:
    table = schema.ledger_head
    rows = connection.execute(sa.select(table).where(table.c.store_id == store).order_by(table.c.epoch))
    return tuple(EpochHead(row.epoch, row.sequence, row.hash, row.repeats, row.updated_ms) for row in rows)


def _alarms(connection: sa.Connection, store: str) -> tuple[Alarm, ...]:
    table = schema.alarm
    rows = connection.execute(sa.select(table).where(table.c.store_id == store).order_by(table.c.epoch))
    # `count` is also a method of a row, so the columns are named by mapping
    return tuple(Alarm(row.epoch, row.reason, row.detail, row.first_ms, row.last_ms, row._mapping["count"])
                 for row in rows)


def _count(connection: sa.Connection, table: sa.Table, store: str, *conditions: sa.ColumnElement[bool]) -> int:
    return connection.execute(sa.select(sa.func.count()).select_from(table).where(
        table.c.store_id == store, *conditions)).scalar_one()


def _lag(connection: sa.Connection, store: str, feed: Feed, log: FeedId) -> FeedLag:
    head = read_head(connection, log)
    cursor = _read_cursor(connection, store, feed)
    if cursor is None or cursor.generation != head.generation:
        return FeedLag(head.generation, head.offset, None, head.offset)
    return FeedLag(head.generation, head.offset, cursor.offset, head.offset - cursor.offset)


def _open_orders(connection: sa.Connection, store: str) -> int:
    """Orders of the store that no step of its has ended yet."""
    orders, steps = schema.STORE_FEEDS.document, schema.pickup
    ended = sa.select(steps.c.order_id).where(
        steps.c.store_id == store, steps.c.state.in_([state.value for state in FINAL]))
    return _count(connection, orders, store, orders.c.feed == Feed.ORDERS.value, orders.c.doc.is_not(None),
                  orders.c.key.not_in(ended))
