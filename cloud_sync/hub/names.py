"""Names of stores and zones: what can stand in a path, a topic and a file name."""

import re

from cloud_sync.hub.errors import Rejected
from cloud_sync.hub.limits import STORE_ID_MAX_CHARS

DEFAULT_ZONE = "default"
_NAME = re.compile(rf"[A-Za-z0-9][A-Za-z0-9._-]{{0,{STORE_ID_MAX_CHARS - 1}}}")


def check_name(name: str) -> None:
    """Raises `Rejected` for what cannot be the name of a store or a zone."""
    if not _NAME.fullmatch(name):
        raise Rejected(f"{name[:STORE_ID_MAX_CHARS]!r} is no name for a store or a zone: 1 to {STORE_ID_MAX_CHARS} "
                       "letters, digits, dots, dashes and underscores")
