"""People who collect: sealed when they come in, joined only for the store that serves them, erased in time (P11)."""

from collections.abc import Iterable, Sequence

import msgspec
import sqlalchemy as sa

from cloud_sync.contract.documents import Order, Person, Policy
from cloud_sync.contract.feeds import Delete, Feed, Put
from cloud_sync.hub import schema
from cloud_sync.hub.catalogue import POLICY_KEY
from cloud_sync.hub.database import Database, in_groups
from cloud_sync.hub.feeds import FeedId, read_documents
from cloud_sync.hub.limits import PERSON_KEEP_OPEN_MS
from cloud_sync.hub.rows import upsert
from cloud_sync.hub.secrets import Sealer

_encoder = msgspec.json.Encoder()


class Collector(msgspec.Struct, frozen=True):
    """What is sealed for an order: who collects, and the code that proves it."""

    person: Person | None
    pickup_code: str

    def __repr__(self) -> str:
        """Names nobody, so that no log line or traceback can."""
        return "Collector(...)"


_order_decoder = msgspec.json.Decoder(Order)
_collector_decoder = msgspec.json.Decoder(Collector)
_policy_decoder = msgspec.json.Decoder(Policy)


def keep(connection: sa.Connection, database: Database, store: str, person_id: str, collector: Collector) -> None:
    """Seal a collector; without an end of the order, it is erased `PERSON_KEEP_OPEN_MS` from now."""
    sealed = database.sealer.seal(_encoder.encode(collector), _place(store, person_id))
    upsert(connection, schema.person, [{
        "store_id": store, "person_id": person_id, "sealed": sealed,
        "erase_after_ms": database.now_ms() + PERSON_KEEP_OPEN_MS}], replace=["sealed", "erase_after_ms"])


def recall(connection: sa.Connection, sealer: Sealer, store: str, person_ids: Sequence[str]) -> dict[str, Collector]:
    """The collectors that were not erased yet."""
    table = schema.person
    found = {}
    for group in in_groups(person_ids):
        for person_id, sealed in connection.execute(sa.select(table.c.person_id, table.c.sealed).where(
                table.c.store_id == store, table.c.person_id.in_(group))):
            plain = sealer.open(sealed, _place(store, person_id))
            if plain is not None:
                found[person_id] = _collector_decoder.decode(plain)
    return found


def join(connection: sa.Connection, sealer: Sealer, store: str,
         records: Iterable[Put | Delete]) -> tuple[Put | Delete, ...]:
    """The records of an orders feed with people and pickup codes in them, for the store's own eyes."""
    records = tuple(records)
    orders = {record.offset: _order_decoder.decode(record.doc) for record in records if isinstance(record, Put)}
    collectors = recall(connection, sealer, store, sorted({order.person_id for order in orders.values()}))
    return tuple(_joined(record, orders[record.offset], collectors) if isinstance(record, Put) else record
                 for record in records)


def let_go(connection: sa.Connection, store: str, zone: str, orders: frozenset[str], now_ms: int) -> None:
    """These orders have ended: their people are erased when the policy's time for complaints is over."""
    documents = read_documents(connection, FeedId(Feed.ORDERS, store), sorted(orders))
    people = [_order_decoder.decode(document.doc).person_id for document in documents.values() if document.doc]
    keep_ms = 1000 * read_policy(connection, zone).person_keep_s
    table = schema.person
    for group in in_groups(people):
        connection.execute(table.update().where(table.c.store_id == store, table.c.person_id.in_(group)),
                           {"erase_after_ms": now_ms + keep_ms})


def forget(connection: sa.Connection, store: str, person_id: str) -> None:
    """Erase a collector of this store now."""
    table = schema.person
    connection.execute(table.delete().where(table.c.store_id == store, table.c.person_id == person_id))


def erase_due(database: Database) -> int:
    """Erase everyone whose time is over; returns how many."""
    table = schema.person
    with database.transaction() as connection:
        return connection.execute(table.delete().where(table.c.erase_after_ms <= database.now_ms())).rowcount


def _joined(record: Put, order: Order, collectors: dict[str, Collector]) -> Put:
    collector = collectors.get(order.person_id)
    if collector is None:
        return record
    order = msgspec.structs.replace(order, person=collector.person, pickup_code=collector.pickup_code)
    return Put(record.offset, record.key, record.version, msgspec.Raw(_encoder.encode(order)))


def _place(store: str, person_id: str) -> str:
    return f"{store}/{person_id}"


def read_policy(connection: sa.Connection, zone: str) -> Policy:
    """What holds in a zone; the defaults before anybody said anything."""
    document = read_documents(connection, FeedId(Feed.POLICY, zone), [POLICY_KEY]).get(POLICY_KEY)
    return _policy_decoder.decode(document.doc) if document and document.doc else Policy()
