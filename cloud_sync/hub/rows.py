"""Many rows in one statement: how inserts reach the two engines fast. Statements are compiled once and kept.

SQLite takes `executemany`. PostgreSQL takes one statement over arrays, and a binary COPY for many plain inserts.
Measured on 500 rows: COPY straight into the table was never slower than COPY into a staging table and INSERT …
SELECT, for a fifth of what `executemany` costs in Python; for upserts arrays beat staging up to about a thousand
rows, because emptying a staging table at every commit costs milliseconds.
"""

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import make_url

STATEMENTS_KEPT = 256
"""Compiled inserts per process; there are a few per table."""

COPY_FROM_ROWS = 50
"""From here on PostgreSQL is given inserts by COPY, which costs a round trip more than arrays."""

Row = Mapping[str, object]
"""Column → plain `str`, `int`, `bool`, `bytes` or `None`. All rows of a call have the same columns."""

_POSTGRES = make_url("postgresql+psycopg://").get_dialect()()
_SQLITE = make_url("sqlite://").get_dialect()()


def upsert(connection: sa.Connection, table: sa.Table, rows: Sequence[Row], *, replace: Sequence[str] = (),
           add: Sequence[str] = ()) -> None:
    """Insert rows; where the primary key stands already, replace these columns and add to those.

    No two rows have the same key.
    """
    if not rows:
        return
    arrays = connection.dialect.name == "postgresql" and len(rows) > 1
    text = _upsert_text(connection.dialect.name, table, tuple(rows[0]), tuple(replace), tuple(add), arrays)
    _write(connection, text, rows, arrays)


def insert_rows(connection: sa.Connection, table: sa.Table, rows: Sequence[Row]) -> None:
    """Insert rows whose keys do not stand there yet."""
    arrays = connection.dialect.name == "postgresql" and len(rows) > 1
    if arrays and len(rows) >= COPY_FROM_ROWS:
        _copy(connection, table, rows)
    elif rows:
        _write(connection, _insert_text(connection.dialect.name, table, tuple(rows[0]), arrays), rows, arrays)


@dataclass(frozen=True, slots=True)
class _Text:
    """A compiled statement. `names`: its parameters in their places; empty where the driver takes them by name."""

    sql: str
    names: tuple[str, ...]


def _write(connection: sa.Connection, text: _Text, rows: Sequence[Row], arrays: bool) -> None:
    """One call for many rows, handed to the driver as they are: half the time of a row by row conversion."""
    if arrays:
        connection.exec_driver_sql(text.sql, {name: [row[name] for row in rows] for name in rows[0]})
        return
    parameters = [tuple(row[name] for name in text.names) for row in rows] if text.names else list(rows)
    connection.exec_driver_sql(text.sql, parameters if len(parameters) > 1 else parameters[0])


def _copy(connection: sa.Connection, table: sa.Table, rows: Sequence[Row]) -> None:
    import psycopg  # a store box has none: the extra `hub` brings it

    columns = tuple(rows[0])
    sql, types = _copy_text(table, columns)
    driver = connection.connection.dbapi_connection
    assert isinstance(driver, psycopg.Connection)
    try:
        with driver.cursor() as cursor, cursor.copy(sql) as copy:
            copy.set_types(types)
            for row in rows:
                copy.write_row([row[name] for name in columns])
    except psycopg.OperationalError as error:  # SQLAlchemy did not see this call, its callers expect its errors
        raise sa.exc.OperationalError(sql, None, error) from error


@functools.lru_cache(STATEMENTS_KEPT)
def _upsert_text(dialect: str, table: sa.Table, columns: tuple[str, ...], replace: tuple[str, ...],
                 add: tuple[str, ...], arrays: bool) -> _Text:
    insert = postgresql.insert if dialect == "postgresql" else sqlite.insert
    statement: postgresql.Insert | sqlite.Insert = insert(table)
    values: dict[str, sa.ColumnElement[object]] = {name: statement.excluded[name] for name in replace}
    values |= {name: table.c[name] + statement.excluded[name] for name in add}
    if arrays:
        statement = statement.from_select(list(columns), _unnested(table, columns))
    conflict = statement.on_conflict_do_update(index_elements=list(table.primary_key), set_=values)
    return _compiled(dialect, conflict, columns, arrays)


def _unnested(table: sa.Table, columns: tuple[str, ...]) -> sa.Select[*tuple[object, ...]]:
    """The rows whose columns come as one array each."""
    arrays = [sa.bindparam(name, type_=postgresql.ARRAY(table.c[name].type)) for name in columns]
    rows = sa.func.unnest(*arrays).table_valued(*columns, name="rows").render_derived()
    return sa.select(*(rows.c[name] for name in columns))


@functools.lru_cache(STATEMENTS_KEPT)
def _insert_text(dialect: str, table: sa.Table, columns: tuple[str, ...], arrays: bool) -> _Text:
    statement = table.insert()
    if arrays:
        statement = statement.from_select(list(columns), _unnested(table, columns))
    return _compiled(dialect, statement, columns, arrays)


@functools.lru_cache(STATEMENTS_KEPT)
def _copy_text(table: sa.Table, columns: tuple[str, ...]) -> tuple[str, list[str]]:
    """The statement, and the columns' types: a binary COPY converts nothing."""
    quote = _POSTGRES.identifier_preparer.quote
    names = ", ".join(quote(name) for name in columns)
    types = [str(table.c[name].type.compile(_POSTGRES)).lower() for name in columns]
    return f"COPY {quote(table.name)} ({names}) FROM STDIN (FORMAT BINARY)", types


def _compiled(dialect: str, statement: sa.Insert, columns: tuple[str, ...], arrays: bool) -> _Text:
    """Compiling costs a thousand times what running costs, so it happens once per statement and process."""
    language = _POSTGRES if dialect == "postgresql" else _SQLITE
    compiled = statement.compile(dialect=language, column_keys=list(columns))
    sql = str(compiled).replace(")s::", ")b::") if arrays else str(compiled)  # arrays travel in binary
    return _Text(sql, tuple(compiled.positiontup or ()))
