"""Which files of hot folders were taken before, in `ledger.db`, so that a restart knows them too."""

from dataclasses import dataclass

from edge.db.connection import Connection
from edge.db.queries import LEDGER
from edge.limits import HOT_FOLDER_NAMES_KEPT


@dataclass(frozen=True, slots=True)
class TakenFile:
    """A file as it was taken. `newest`: no other one was since."""

    name: str
    taken_ms: int
    newest: bool


def taken_file(reader: Connection, folder: str, digest: str) -> TakenFile | None:
    """The file with these contents, `None` when it is not known."""
    row = reader.execute(LEDGER.taken_file, (folder, digest)).fetchone()
    return TakenFile(row[1], row[2], row[0] == _newest(reader, folder)) if row else None


def remember_file(connection: Connection, folder: str, digest: str, name: str, now_ms: int) -> None:
    """The file was taken. Runs in the writer's transaction."""
    number = _newest(connection, folder) + 1
    connection.execute(LEDGER.put_taken_file, (folder, digest, number, name, now_ms))
    connection.execute(LEDGER.forget_taken_files, (folder, number - HOT_FOLDER_NAMES_KEPT))


def _newest(connection: Connection, folder: str) -> int:
    return connection.execute(LEDGER.newest_taken_file, (folder,)).fetchone()[0] or 0
