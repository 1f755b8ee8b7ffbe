"""Named SQL: `ledger.sql` and `replica.sql` hold every statement of a hot path under a `-- name:` line."""

import re
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

_rows_decoder: msgspec.json.Decoder[list[list[Any]]] = msgspec.json.Decoder(list[list[Any]])
_NAME = re.compile(r"^-- name: (\w+)\s*$", re.MULTILINE)


class Queries:
    """The statements of one file as attributes: `queries.insert_entry`. An unknown name is an `AttributeError`."""

    def __init__(self, path: Path) -> None:
        parts = _NAME.split(path.read_text())
        self.__dict__.update(zip(parts[1::2], (body.strip() for body in parts[2::2]), strict=True))

    if TYPE_CHECKING:  # every name is a statement; at run time they are plain attributes, found without a detour
        def __getattr__(self, name: str) -> str: ...


def many(values: Iterable[object]) -> str:
    """Many keys or rows as one parameter, for a statement that reads them by `json_each`.

    Thousands of statements, or of steps of one, would each give back the interpreter's lock and wait for it again,
    while tills are answered.
    """
    return msgspec.json.encode(list(values)).decode()


def rows_in_one(row: tuple[str]) -> list[list[Any]]:
    """What a statement with `json_group_array` gives: all its rows in one step, for the same reason."""
    return _rows_decoder.decode(row[0])


_DIRECTORY = Path(__file__).parent / "sql"
LEDGER = Queries(_DIRECTORY / "ledger.sql")
REPLICA = Queries(_DIRECTORY / "replica.sql")
