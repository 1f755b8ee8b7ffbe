"""The schema, its migration, the lock and the key."""

import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlcipher3 import dbapi2 as sqlcipher

from cloud_sync.contract.feeds import Feed
from cloud_sync.hub import schema
from cloud_sync.hub.database import Database, open_database, parse_url
from cloud_sync.hub.errors import AlreadyRunning, ConfigurationError
from cloud_sync.hub.feeds import FeedId, read_head
from cloud_sync.hub.schema import Owner
from cloud_sync.hub.secrets import HubKey
from cloud_sync.hub.stores import Registration, Stores
from tests.hub.world import HUB_KEY, HubWorld
from tests.postgres import PostgresServer


def opened(url: str, key: HubKey = HUB_KEY) -> Database:
    return open_database(url, key, lambda: 0, os.urandom)


def table_names(engine: sa.Engine) -> set[str]:
    """Without the parts that partitioned tables have."""
    return {name for name in sa.inspect(engine).get_table_names() if "_part_" not in name}


def partitioned_by(engine: sa.Engine) -> dict[str, str]:
    """Table → its partition key."""
    if engine.dialect.name != "postgresql":
        return {}
    query = ("SELECT relname, pg_get_partkeydef(oid) FROM pg_class WHERE relkind = 'p' "
             "AND relnamespace = current_schema()::regnamespace")
    with engine.connect() as connection:
        return dict(connection.exec_driver_sql(query).all())


def test_every_table_of_a_store_is_partitioned_by_its_store_and_no_other(postgres: PostgresServer):
    database = opened(postgres.new_database())
    stores = {name: "HASH (store_id)" for name, table in schema.metadata.tables.items()
              if table.info["owner"] is Owner.STORE}
    assert partitioned_by(database.engine) == stores
    parts = ("SELECT inhparent::regclass::text, count(*) FROM pg_inherits JOIN pg_class ON oid = inhrelid "
             "WHERE relkind = 'r' AND relnamespace = current_schema()::regnamespace GROUP BY inhparent")
    with database.transaction() as connection:
        assert dict(connection.exec_driver_sql(parts).all()) == dict.fromkeys(stores, 8)
    database.close()


@pytest.mark.parametrize("table", schema.metadata.sorted_tables, ids=lambda table: table.name)
def test_every_key_begins_with_its_owner(table: sa.Table):
    """So that the schema distributes over Citus: it asks for the distribution column in every unique key."""
    owner = table.info["owner"]
    keys = [list(table.primary_key.columns), *(list(index.columns) for index in table.indexes)]
    if owner is Owner.HUB:
        assert table.name in {"hub_meta", "credential", "webhook", "connector", "connector_note"}
        return
    for key in keys:
        assert key[0].name == owner.value


def test_the_migrations_make_exactly_the_tables_of_the_metadata(database_url: str):
    def columns(engine: sa.Engine) -> dict[str, object]:
        inspector = sa.inspect(engine)
        return {name: (partitioned_by(engine).get(name), [(column["name"], str(column["type"]), column["nullable"])
                        for column in inspector.get_columns(name)],
                       inspector.get_pk_constraint(name)["constrained_columns"],
                       [(index["name"], index["column_names"], index["unique"],
                         {name: str(option) for name, option in index.get("dialect_options", {}).items()})
                        for index in inspector.get_indexes(name)])
                for name in sorted(table_names(engine))}

    database = opened(database_url)
    migrated = columns(database.engine)
    with database.transaction() as connection:
        schema.metadata.drop_all(connection)
        schema.metadata.create_all(connection)
    assert columns(database.engine) == migrated
    assert set(migrated) == set(schema.metadata.tables)
    database.close()


def test_opening_again_keeps_the_hub_epoch(database_url: str):
    epochs = []
    for _ in range(2):
        database = opened(database_url)
        epochs.append(database.hub_epoch())
        database.close()
    assert epochs[0] == epochs[1] != ""


def test_a_newer_schema_is_left_alone(database_url: str):
    database = opened(database_url)
    with database.transaction() as connection:
        connection.execute(schema.hub_meta.update().where(schema.hub_meta.c.name == "schema_version"), {"value": "99"})
    database.close()
    with pytest.raises(ConfigurationError, match="schema 99"):
        opened(database_url)


def test_a_migration_that_fails_leaves_nothing(database_url: str, monkeypatch: pytest.MonkeyPatch):
    good = schema.migration

    def broken(number: int, dialect: str):
        yield from list(good(number, dialect))[:3]
        yield "CREATE TABLE nonsense ("

    with monkeypatch.context() as broken_release:
        broken_release.setattr(schema, "migration", broken)
        with pytest.raises((sa.exc.DBAPIError, ConfigurationError)):
            opened(database_url)
    database = opened(database_url)
    assert table_names(database.engine) == set(schema.metadata.tables)
    database.close()


def test_a_second_migration_that_fails_in_the_middle_leaves_the_database_as_it_was(
        database_url: str, monkeypatch: pytest.MonkeyPatch):
    """Every statement of an upgrade is tried as the one that fails."""
    upgrade = ["CREATE TABLE novelty (store_id TEXT NOT NULL)", "ALTER TABLE alarm ADD COLUMN seen_ms BIGINT",
               "UPDATE hub_meta SET value = 'lost' WHERE name = 'hub_epoch'", "DROP TABLE zone_document"]
    database = opened(database_url)
    before = (database.hub_epoch(), contents(database))
    database.close()
    now = schema.SCHEMA_VERSION
    monkeypatch.setattr(schema, "SCHEMA_VERSION", now + 1)
    for broken in range(len(upgrade) + 1):
        statements = [*upgrade[:broken], "CREATE TABLE nonsense ("]
        monkeypatch.setattr(schema, "migration", lambda number, dialect, done=statements: iter(done))
        with pytest.raises((sa.exc.DBAPIError, ConfigurationError)):
            opened(database_url)
    with monkeypatch.context() as old_release:
        old_release.setattr(schema, "SCHEMA_VERSION", now)
        database = opened(database_url)
        assert (database.hub_epoch(), contents(database)) == before
        database.close()
    monkeypatch.setattr(schema, "migration", lambda number, dialect: iter(upgrade[:2]))
    database = opened(database_url)
    assert table_names(database.engine) == {*schema.metadata.tables, "novelty"}
    with database.transaction() as connection:
        assert schema.schema_version(connection) == now + 1
    database.close()


def contents(database: Database) -> dict[str, list[tuple[str, int]]]:
    """Every table's columns, and how many rows it has."""
    inspector = sa.inspect(database.engine)
    with database.transaction() as connection:
        return {name: [*((column["name"], 0) for column in inspector.get_columns(name)),
                       ("rows", connection.exec_driver_sql(f"SELECT count(*) FROM {name}").scalar_one())]
                for name in sorted(table_names(database.engine))}


def test_stores_of_an_older_hub_get_the_feed_of_deliveries(database_url: str, monkeypatch: pytest.MonkeyPatch):
    """Schema 2 knew none; without its head a store of the new release would not be greeted."""
    with monkeypatch.context() as old_release:
        old_release.setattr(schema, "SCHEMA_VERSION", 2)
        database = opened(database_url)
        with database.transaction() as connection:
            connection.exec_driver_sql(
                "INSERT INTO store (store_id, zone_id, name, created_ms, last_seen_ms, box_epoch, reported_sequence, "
                "schema_version, ledger_known_ms) VALUES ('store-1', 'default', '', 0, 0, 0, 0, 0, 0)")
        database.close()
    database = opened(database_url)
    with database.transaction() as connection:
        head = read_head(connection, FeedId(Feed.DELIVERIES, "store-1"))
    assert (len(head.generation), head.offset) == (16, 0)
    Stores(database).register("store-1", Registration())
    with database.transaction() as connection:
        assert read_head(connection, FeedId(Feed.DELIVERIES, "store-1")) == head
    database.close()


def test_two_hubs_that_migrate_at_once_end_with_one_schema_and_one_epoch(postgres: PostgresServer):
    url = postgres.new_database()
    start = threading.Barrier(3)

    def migrate() -> Database:
        start.wait()
        return opened(url)

    with ThreadPoolExecutor(3) as pool:
        databases = [waiting.result() for waiting in [pool.submit(migrate) for _ in range(3)]]
    assert len({database.hub_epoch() for database in databases}) == 1
    for database in databases:
        database.close()


def test_another_hub_key_does_not_open_the_database(database_url: str):
    opened(database_url).close()
    with pytest.raises(ConfigurationError, match="key"):
        opened(database_url, HubKey("another key of at least 32 characters"))
    opened(database_url).close()


def test_a_short_hub_key_is_refused():
    with pytest.raises(ConfigurationError, match="32"):
        HubKey("hunter2")


def test_the_sqlite_file_is_encrypted_and_its_owners_only(sqlite_url: str):
    opened(sqlite_url).close()
    path = Path(parse_url(sqlite_url).database or "")
    assert not path.read_bytes().startswith(b"SQLite format 3")
    assert path.stat().st_mode & 0o777 == 0o600


def test_sqlite_is_told_to_keep_what_it_acknowledged(sqlite_url: str):
    database = opened(sqlite_url)
    with database.transaction() as connection:
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 2  # FULL
    database.close()


def test_a_second_process_refuses_to_start(sqlite_url: str):
    database = opened(sqlite_url)
    code = ("import os, sys\nfrom cloud_sync.hub.database import open_database\n"
            "from cloud_sync.hub.secrets import HubKey\n"
            "open_database(sys.argv[1], HubKey('0123456789abcdef' * 4), lambda: 0, os.urandom)\n")
    run = [sys.executable, "-c", code, sqlite_url]
    second = subprocess.run(run, capture_output=True, text=True, check=False, env={**os.environ, "PYTHONPATH": "."})
    assert second.returncode != 0
    assert f"AlreadyRunning: {parse_url(sqlite_url).database}" in second.stderr
    assert f"process {os.getpid()}" in second.stderr
    database.close()
    third = subprocess.run(run, capture_output=True, text=True, check=False, env={**os.environ, "PYTHONPATH": "."})
    assert third.returncode == 0, third.stderr


def test_two_hubs_in_one_process_do_not_share_a_file_either(sqlite_url: str):
    database = opened(sqlite_url)
    with pytest.raises(AlreadyRunning):
        opened(sqlite_url)
    database.close()


@pytest.mark.parametrize("url", ["mysql://host/name", "nonsense", "sqlite+aiosqlite:///x", ""])
def test_other_databases_are_refused_plainly(url: str):
    with pytest.raises(ConfigurationError, match="postgresql://HOST/NAME"):
        parse_url(url)


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path):
    with pytest.raises(ConfigurationError, match="able to write"):
        opened(f"sqlite:///{tmp_path / 'nowhere' / 'hub.db'}")


def test_the_oldest_sqlite_bound_holds_here():
    assert sqlcipher.sqlite_version_info >= (3, 51, 3)


async def test_a_hub_in_memory_is_a_hub():
    hub = HubWorld("sqlite://")
    store = await hub.store()
    await hub.sets_items({"sku": "milk", "name": "Milk"})
    assert len((await store.batches("items"))[0].changes) == 1
    hub.stop()
