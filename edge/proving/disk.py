"""The box's disk, as far as the books notice it: SQLite itself says that there is no room for one more page."""

from edge.db.connection import Connection

PAGES_MAX = 2**32 - 2
"""SQLite's own limit."""

COMPLAINT = "database or disk is full"
"""SQLite's own words."""


class Disk:
    """Full or not, for every file that the present daemon writes."""

    def __init__(self) -> None:
        self.full = False
        self._connections: list[Connection] = []

    def take(self, connection: Connection) -> None:
        """Another file that is written."""
        self._connections.append(connection)
        self._limit(connection)

    def forget(self) -> None:
        """The daemon that had the files open is gone."""
        self._connections.clear()

    def fill(self, *, full: bool) -> None:
        """No room, or room again."""
        self.full = full
        for connection in self._connections:
            self._limit(connection)

    def explains(self, complaint: str) -> bool:
        """Whether somebody rightly says that there is no room."""
        return self.full and COMPLAINT in complaint

    def _limit(self, connection: Connection) -> None:
        """SQLite never sets the limit below the pages that the file has."""
        connection.execute(f"PRAGMA max_page_count = {1 if self.full else PAGES_MAX}")
