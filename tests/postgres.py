"""A private PostgreSQL for tests: its own directory, a unix socket only, no fsync, gone afterwards.

Debian's server refuses to run as root, so root starts it as the user `postgres`.
"""

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

import psycopg
from psycopg import sql

from tests.needs import need

START_TIMEOUT_S = 30
STOP_TIMEOUT_S = 10
_SERVER_USER = "postgres"
_TABLES = ("SELECT relname FROM pg_class WHERE relkind IN ('r', 'p') AND NOT relispartition "
           "AND relnamespace = current_schema()::regnamespace")


class PostgresServer:
    """`with PostgresServer() as server: server.new_database()`. Without PostgreSQL the test is left out, loudly."""

    def __init__(self) -> None:
        self._programs = need("postgres").parent
        self._made = 0
        self._spare: list[str] = []

    def __enter__(self) -> Self:
        self._directory = Path(tempfile.mkdtemp(prefix="pg-"))  # short: a socket's path has at most 107 characters
        self._as_user = {"user": _SERVER_USER, "group": _SERVER_USER, "extra_groups": []} if os.geteuid() == 0 else {}
        if self._as_user:
            shutil.chown(self._directory, _SERVER_USER, _SERVER_USER)
        self._call("initdb", "-D", "data", "-U", "test", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync")
        self._process = subprocess.Popen(
            [self._programs / "postgres", "-D", "data", "-k", self._directory, "-h", "", "-F", "-c",
             "full_page_writes=off", "-c", "max_connections=60"],
            cwd=self._directory, stdout=subprocess.DEVNULL, stderr=(self._directory / "log").open("w"),
            **self._as_user)
        self._wait_until_it_answers()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
                 ) -> None:
        self._process.send_signal(signal.SIGQUIT)  # PostgreSQL's immediate shutdown: nothing here is worth a checkpoint
        try:
            self._process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        finally:
            shutil.rmtree(self._directory, ignore_errors=True)

    def new_database(self) -> str:
        """The URL of an empty schema that its connections take for the whole database.

        A database of its own would be a copy of several megabytes for every test.
        """
        self._made += 1
        name = f"test{self._made}"
        with psycopg.connect(host=str(self._directory), user="test", dbname="postgres", autocommit=True) as connection:
            connection.execute(sql.SQL("CREATE SCHEMA {}").format(sql.Identifier(name)))
        return f"postgresql://test@/postgres?host={self._directory}&options=-csearch_path%3D{name}"

    @contextmanager
    def lent_database(self) -> Iterator[str]:
        """A database that a hub has migrated before, or an empty one; taken back without rows for the next."""
        url = self._spare.pop() if self._spare else self.new_database()
        yield url
        with psycopg.connect(url) as connection:
            connection.execute(f"SET lock_timeout = '{STOP_TIMEOUT_S}s'")
            tables = connection.execute(_TABLES).fetchall()
            for (table,) in tables:
                if table != "hub_meta":  # which says what version the rest has
                    connection.execute(sql.SQL("DELETE FROM {}").format(sql.Identifier(table)))
        self._spare.append(url)

    def _call(self, program: str, *arguments: str) -> None:
        done = subprocess.run([self._programs / program, *arguments], cwd=self._directory, text=True, check=False,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **self._as_user)
        assert done.returncode == 0, f"{program} failed:\n{done.stdout}"

    def _wait_until_it_answers(self) -> None:
        deadline = time.monotonic() + START_TIMEOUT_S
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"PostgreSQL did not start:\n{(self._directory / 'log').read_text()}")
            time.sleep(0.05)

    def _answers(self) -> bool:
        try:
            psycopg.connect(host=str(self._directory), user="test", dbname="postgres").close()
        except psycopg.OperationalError:
            return False
        return True
