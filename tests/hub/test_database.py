"""The schema, its migration, the lock and the key."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlcipher3 import dbapi2 as sqlcipher

from cloud_sync.hub import schema
from cloud_sync.hub.database import Database, open_database, parse_url
from cloud_sync.hub.errors import AlreadyRunning, ConfigurationError
from cloud_sync.hub.schema import Owner
from cloud_sync.hub.secrets import HubKey
from tests.hub.world import HUB_KEY, HubWorld


def opened(url: str, key: HubKey = HUB_KEY) -> Database:
    return open_database(url, key, lambda: 0, os.urandom)


@pytest.mark.parametrize("table", schema.metadata.sorted_tables, ids=lambda table: table.name)
def test_every_key_begins_with_its_owner(table: sa.Table):
    """So that the schema distributes over Citus: it asks for the distribution column in every unique key."""
    owner = table.info["owner"]
    keys = [list(table.primary_key.columns), *(list(index.columns) for index in table.indexes)]
    if owner is Owner.HUB:
        assert table.name in {"hub_meta", "credential"}
        return
    for key in keys:
        assert key[0].name == owner.value


def test_the_migrations_make_exactly_the_tables_of_the_metadata(database_url: str):
    def columns(engine: sa.Engine) -> dict[str, object]:
        inspector = sa.inspect(engine)
        return {name: ([(column["name"], str(column["type"]), column["nullable"])
                        for column in inspector.get_columns(name)],
                       inspector.get_pk_constraint(name)["constrained_columns"],
                       [(index["name"], index["column_names"], index["unique"],
                         {name: str(option) for name, option in index.get("dialect_options", {}).items()})
                        for index in inspector.get_indexes(name)])
                for name in sorted(inspector.get_table_names())}

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
    assert set(sa.inspect(database.engine).get_table_names()) == set(schema.metadata.tables)
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
