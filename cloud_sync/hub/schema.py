"""The hub's tables. What belongs to a store begins its keys with `store_id`, what belongs to a zone with `zone_id`.

So the same schema distributes over Citus without change (DESIGN.md section 10); tables of owner `hub` are small
and would be reference tables. The tables are made by the numbered files in `sql/`, never from here; a test holds
the two equal. Feed documents and ledger payloads are the exact bytes that were received or encoded.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from importlib import resources

import sqlalchemy as sa

from cloud_sync.hub.errors import ConfigurationError

SCHEMA_VERSION = 5
_MIGRATION_LOCK = 0x7472_6173  # any constant; it keeps two starting hub processes from migrating at once


class Owner(StrEnum):
    """Whose rows a table holds; the value is the column every key of it begins with, if any."""

    STORE = "store_id"
    ZONE = "zone_id"
    HUB = ""


metadata = sa.MetaData()


def _table(name: str, owner: Owner, *columns: sa.schema.SchemaItem) -> sa.Table:
    """On SQLite rows live in their primary key's tree, which spares a second tree per table.

    On PostgreSQL what belongs to stores is partitioned by the hash of its owner.
    """
    partition = f"HASH ({owner.value})" if owner is Owner.STORE else None
    return sa.Table(name, metadata, *columns, info={"owner": owner}, sqlite_with_rowid=False,
                    postgresql_partition_by=partition)


def _key(name: str) -> sa.Column[str]:
    return sa.Column(name, sa.Text, primary_key=True)


def _key_number(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger, primary_key=True, autoincrement=False)


def _text(name: str) -> sa.Column[str]:
    return sa.Column(name, sa.Text, nullable=False)


def _number(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger, nullable=False)


def _bytes(name: str) -> sa.Column[bytes]:
    return sa.Column(name, sa.LargeBinary, nullable=False)


hub_meta = _table("hub_meta", Owner.HUB, _key("name"), _text("value"))
"""`schema_version`; `hub_epoch`: random, new only after a restore; `key_check`: derived from the hub key."""

credential = _table(
    "credential", Owner.HUB, _key("token_hash"), _text("role"), _text("name"), sa.Column("store_id", sa.Text),
    _number("created_ms"), _number("enrolment"))
"""Who may speak. Tokens are kept as SHA-256; they are random, so nothing slower is needed. `enrolment`: a store's, by
number; those before its newest are heard, so that their boxes learn of it, and may write nothing."""

store = _table(
    "store", Owner.STORE, _key("store_id"), _text("zone_id"), _text("name"), _number("created_ms"),
    _number("last_seen_ms"), _number("box_epoch"), _number("reported_sequence"), _number("schema_version"),
    _number("ledger_known_ms"), _text("time_zone"))
"""A shop, with what its last hello said. `ledger_known_ms`: when a hello last named the very end that is held here.
`time_zone`: an IANA name, empty until a box said it."""

enrolment_code = _table(
    "enrolment_code", Owner.STORE, _key("store_id"), _key("code_hash"), _number("created_ms"), _number("expires_ms"),
    _text("token_hash"), _number("enrolment"), _number("epoch"))
"""One-time codes, as SHA-256. `token_hash` is empty until the code is used; then the rest is what was given for it."""

box_session = _table(
    "box_session", Owner.STORE, _key("store_id"), _number("enrolment"), _number("epoch"), _text("life"),
    _text("past_lives"), _text("turn"), _text("displaced_turn"))
"""Who speaks for a store: its newest enrolment, the epoch it writes in, the life of its process; see `sessions`."""

ledger_epoch = _table(
    "ledger_epoch", Owner.STORE, _key("store_id"), _key_number("epoch"), _number("enrolment"), _text("request"),
    _number("after_epoch"), _number("after_sequence"), _number("granted_ms"))
"""Epochs that were given: the epoch before ended for that box behind `after_sequence`."""

store_cursor = _table(
    "store_cursor", Owner.STORE, _key("store_id"), _key("feed"), _text("generation"), _number("feed_offset"))
"""How far a store said it had come in each feed."""


@dataclass(frozen=True, slots=True)
class FeedTables:
    """The tables of a family of feeds, and the column that says whose they are."""

    owner: Owner
    head: sa.Table
    record: sa.Table
    document: sa.Table
    bucket: sa.Table
    snapshot: sa.Table
    chunk: sa.Table


def _feed_tables(prefix: str, owner: Owner) -> FeedTables:
    """`head`: the log's incarnation, end and fingerprint; records up to `tail_offset` are pruned. `record`: the log,
    with the fingerprint at each checkpoint. `document`: what stands under each key now. `bucket`: see
    `contract.fingerprints`. `snapshot`, `chunk`: the last snapshot that was built (`contract.snapshots`).

    A NULL `doc` is a deletion; a deleted key keeps its row, so that its version goes on growing, until the log
    forgets the deletion.
    """
    document = _table(f"{prefix}_document", owner, _key(owner), _key("feed"), _key("key"), _number("version"),
                      sa.Column("doc", sa.LargeBinary), _number("bucket"), _number("hash"))
    sa.Index(f"{prefix}_document_by_bucket", document.c[owner.value], document.c.feed, document.c.bucket)
    return FeedTables(
        owner,
        _table(f"{prefix}_feed", owner, _key(owner), _key("feed"), _text("generation"), _number("head_offset"),
               _number("tail_offset"), _text("root")),
        _table(f"{prefix}_feed_record", owner, _key(owner), _key("feed"), _key_number("feed_offset"),
               _text("key"), _number("version"), sa.Column("doc", sa.LargeBinary),
               sa.Column("checkpoint", sa.Boolean, nullable=False), _text("root")),
        document,
        _table(f"{prefix}_feed_bucket", owner, _key(owner), _key("feed"), _key_number("bucket"),
               _number("row_count"), _number("total")),
        _table(f"{prefix}_snapshot", owner, _key(owner), _key("feed"), _text("generation"), _number("base_offset"),
               _bytes("manifest")),
        _table(f"{prefix}_snapshot_chunk", owner, _key(owner), _key("feed"), _key("sha256"), _bytes("body")),
    )


ZONE_FEEDS = _feed_tables("zone", Owner.ZONE)
STORE_FEEDS = _feed_tables("store", Owner.STORE)

ledger_head = _table(
    "ledger_head", Owner.STORE, _key("store_id"), _key_number("epoch"), _number("sequence"), _text("hash"),
    _number("repeats"), _number("updated_ms"))
"""Where each epoch ends; its entries are gapless from 1, so `sequence` is also their number."""

ledger_entry = _table(
    "ledger_entry", Owner.STORE, _key("store_id"), _key_number("epoch"), _key_number("sequence"),
    _text("fact_key"), _text("kind"), _number("occurred_ms"), _text("business_day"), _bytes("payload"), _text("hash"),
    _number("received_ms"), sa.Column("repeat_of_epoch", sa.BigInteger),
    sa.Column("repeat_of_sequence", sa.BigInteger), sa.Column("rebased_epoch", sa.BigInteger),
    sa.Column("rebased_sequence", sa.BigInteger))
"""Every entry of every epoch. A fact key that stands elsewhere already is linked by `repeat_of_*`, without effect."""

sa.Index(
    "ledger_entry_fact", ledger_entry.c.store_id, ledger_entry.c.fact_key, unique=True,
    sqlite_where=ledger_entry.c.repeat_of_sequence.is_(None),
    postgresql_where=ledger_entry.c.repeat_of_sequence.is_(None))

quarantine = _table(
    "quarantine", Owner.STORE, _key("store_id"), _key_number("epoch"), _key_number("sequence"),
    _text("reason"), _bytes("entry"), _number("received_ms"))
"""Entries without effect because this hub could not read them; `entry` is the whole entry as it came."""

alarm = _table(
    "alarm", Owner.STORE, _key("store_id"), _key_number("epoch"), _key("reason"), _text("detail"),
    _number("first_ms"), _number("last_ms"), _number("count"))

stock = _table(
    "stock", Owner.STORE, _key("store_id"), _key("sku"), _number("sellable_milli"), _number("reserved_milli"),
    _number("staged_milli"), _number("quarantine_milli"))
"""Projection of the ledger; the store owns its quantities (DESIGN.md section 9)."""

till_day = _table(
    "till_day", Owner.STORE, _key("store_id"), _key("business_day"), _key("till"), _key("currency"),
    _number("transactions"), _number("voids"), _number("sale_lines"), _number("return_lines"),
    _number("total_minor"))
"""What each till's distinct transactions add up to."""

pickup = _table(
    "pickup", Owner.STORE, _key("store_id"), _key("order_id"), _text("state"), _text("step"), _text("reason"),
    _number("order_revision"), _number("occurred_ms"), _number("epoch"), _number("sequence"))
"""Where the store says an order is. The order itself is the store feed's document."""

unanswered_line = _table(
    "unanswered_line", Owner.STORE, _key("store_id"), _key("order_id"), _key("sku"), _number("quantity_milli"))
"""What placed orders ask for, until the first step of theirs in the store's ledger: by then its stock says it."""

safety_stock = _table(
    "safety_stock", Owner.ZONE, _key("zone_id"), _key("sku"), _number("safety_stock_milli"))
"""SKUs of which more is kept from the web than the zone's policy says."""

webhook = _table(
    "webhook", Owner.HUB, _key("webhook_id"), _text("url"), _bytes("sealed_secret"), _text("event_types"),
    _number("created_ms"), _number("disabled_ms"), _number("failures"), _number("due_ms"), _number("delivered_ms"),
    _text("last_error"), _text("claimed_by"), _number("claimed_until_ms"))
"""Who wants to be told. `due_ms`: not called before; `claimed_*`: the hub process that calls it now (see `outbox`)."""

delivery = _table(
    "delivery", Owner.STORE, _key("store_id"), _key("webhook_id"), _key("subject"), _key_number("sequence"),
    _text("event_id"), _text("event_type"), _bytes("body"), _number("created_ms"), _number("attempts"),
    _number("due_ms"), _number("dead_after_ms"), sa.Column("dead", sa.Boolean, nullable=False), _text("last_error"))
"""The outbox: what is still to be told to whom, written with its cause, gone once it was heard. `sequence` counts
within a subject. `dead`: given up, until somebody has it sent again."""

sourcing = _table(
    "sourcing", Owner.ZONE, _key("zone_id"), _key("order_id"), _text("state"), _text("store_id"), _number("offer"),
    _number("offers_max"), _number("due_ms"), sa.Column("cancel_requested", sa.Boolean, nullable=False),
    _text("wished_store"), sa.Column("only_wished", sa.Boolean, nullable=False), _text("tried"), _text("left_store"),
    _text("reason"), _bytes("doc"))
"""Orders for which the hub finds the store, see `sourcing`. `store_id`: who was offered it last, `offer` being the how
manyth; `tried`: all who were, as JSON; `left_store`: goods left from a store that had lost it; `due_ms`: when to look
next, 0 for never; `doc`: the order without people, as the next store is given it."""

sa.Index("sourcing_by_due", sourcing.c.zone_id, sourcing.c.due_ms)

order_offer = _table(
    "order_offer", Owner.STORE, _key("store_id"), _key("order_id"), _text("zone_id"), _number("offer"), _text("state"),
    _number("accept_by_ms"), _number("confirmed_revision"))
"""What a store was offered and what became of it. `confirmed_revision`: of the order, 0 before the hub said so."""

parcel = _table(
    "parcel", Owner.STORE, _key("store_id"), _key("order_id"), _key("parcel_id"), _number("number"), _text("state"),
    _text("lines"), _number("weight_g"), _text("carrier"), _text("service"), _text("tracking"))
"""Parcels of orders that stores send, as their ledgers tell (`contract.parcels`). `lines`: JSON."""

sold_line = _table(
    "sold_line", Owner.ZONE, _key("zone_id"), _key("order_id"), _key_number("line"), _key("sku"), _number("out_milli"),
    _number("returned_milli"), _number("refunded_milli"))
"""What left of an order's lines, what came back in whichever store, and for what money was asked back; see
`contract.returns`. The row of line -1 is what a transaction locks to change an order's others."""

silent_store = _table("silent_store", Owner.STORE, _key("store_id"), _number("since_ms"))
"""Stores of which it was told that they are silent."""

transfer_line = _table(
    "transfer_line", Owner.STORE, _key("store_id"), _key("transfer_id"), _key("to_store"), _key("sku"),
    _number("sent_milli"), _number("received_milli"), _number("missing_milli"), _number("changed_ms"))
"""Goods that left `store_id` for another store; in transit is what was sent and neither received nor missed for good.
Only sums, which both stores' ledgers add to, so that it does not matter whose is heard first."""

connector = _table(
    "connector", Owner.HUB, _key("connector_id"), _number("created_ms"), _text("holder"), _number("held_until_ms"))
"""Commerce systems that the hub is tied to. `holder`: the one process that works for it now, and until when it may."""

connector_note = _table(
    "connector_note", Owner.HUB, _key("connector_id"), _key("kind"), _key("key"), _bytes("value"),
    _number("updated_ms"))
"""What a connector must not forget: how far it has read, and what is called what outside (`connectors`)."""

person = _table(
    "person", Owner.STORE, _key("store_id"), _key("person_id"), _bytes("sealed"), _number("erase_after_ms"))
"""Who collects and with which code, sealed; the only place of the hub that holds a person."""

sa.Index("person_order_of_erasure", person.c.store_id, person.c.erase_after_ms)


def migrate(connection: sa.Connection, new_epoch: str, key_check: str) -> None:
    """Bring an empty or older database to `SCHEMA_VERSION`, within the caller's transaction: all or nothing.

    `new_epoch` becomes the hub epoch of a database that has none. Raises `ConfigurationError` for a newer one, or one
    that was made with another hub key: the people in it could not be read.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(sa.text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _MIGRATION_LOCK})
    version = schema_version(connection)
    if version > SCHEMA_VERSION:
        raise ConfigurationError(f"the database has schema {version}, this hub knows {SCHEMA_VERSION}: "
                                 "start the newer hub, or restore the backup made before the upgrade")
    for number in range(version + 1, SCHEMA_VERSION + 1):
        for statement in migration(number, connection.dialect.name):
            connection.exec_driver_sql(statement)
    if version == 0:
        connection.execute(hub_meta.insert(), [{"name": "schema_version", "value": str(SCHEMA_VERSION)},
                                               {"name": "hub_epoch", "value": new_epoch},
                                               {"name": "key_check", "value": key_check}])
    elif version < SCHEMA_VERSION:
        connection.execute(hub_meta.update().where(hub_meta.c.name == "schema_version"),
                           {"value": str(SCHEMA_VERSION)})
    if _meta(connection, "key_check") != key_check:
        raise ConfigurationError("this database was made with another hub key: give the hub that key")


def schema_version(connection: sa.Connection) -> int:
    """The database's schema, 0 when it has none."""
    if not sa.inspect(connection).has_table(hub_meta.name):
        return 0
    return int(_meta(connection, "schema_version"))


def migration(number: int, dialect: str) -> Iterator[str]:
    """The statements of one migration. The files never change once released."""
    text = resources.files(__package__).joinpath(f"sql/{number:04}.{dialect}.sql").read_text("utf-8")
    statement = ""
    for line in text.splitlines(keepends=True):
        if not line.startswith("--"):
            statement += line
        if line.rstrip().endswith(";") and statement.count("$$") % 2 == 0:  # not within a DO block
            yield statement.strip()
            statement = ""
    if statement.strip():
        yield statement.strip()


def _meta(connection: sa.Connection, name: str) -> str:
    return str(connection.execute(sa.select(hub_meta.c.value).where(hub_meta.c.name == name)).scalar_one())
