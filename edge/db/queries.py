"""Named SQL: `ledger.sql` and `replica.sql` hold every statement of a hot path under a `-- name:` line."""

import re
from pathlib import Path

_NAME = re.compile(r"^-- name: (\w+)\s*$", re.MULTILINE)


class Queries:
    """The statements of one file as attributes: `queries.insert_entry`."""

    def __init__(self, path: Path) -> None:
        parts = _NAME.split(path.read_text())
        self._statements = {name: body.strip() for name, body in zip(parts[1::2], parts[2::2], strict=True)}

    def __getattr__(self, name: str) -> str:
        try:
            return self._statements[name]
        except KeyError:
            raise AttributeError(f"no statement named {name}") from None


_DIRECTORY = Path(__file__).parent / "sql"
LEDGER = Queries(_DIRECTORY / "ledger.sql")
REPLICA = Queries(_DIRECTORY / "replica.sql")
