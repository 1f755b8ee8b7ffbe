"""What labels say of themselves, until it is worth a write: flash wears by what is written (engineering.md 5.2)."""

from collections.abc import Callable

from drivers.port import Telemetry
from edge.db.connection import Connection
from edge.db.queries import LEDGER
from edge.limits import (
    BATTERY_STEP_MV,
    LABELS_MAX,
    SIGNAL_STEP_DBM,
    TELEMETRY_ALL_S,
    TELEMETRY_NEWER_S,
    TEMPERATURE_STEP_C,
)


class SaidByLabels:
    """The last words of each label. A figure that moved by a step is written soon, everything else now and then."""

    def __init__(self) -> None:
        self._heard: dict[str, Telemetry] = {}
        self._news = False
        self._all_due_s: float | None = None

    def hear(self, said: Telemetry) -> None:
        """The last word counts. Above `LABELS_MAX` labels a new one waits for those that are written."""
        if said.label in self._heard or len(self._heard) < LABELS_MAX:
            self._heard[said.label] = said
            self._news = True

    def due(self, now_s: float, now_ms: int) -> Callable[[Connection], None] | None:
        """An operation for the ledger's writer; it changes only rows that are worth it. `None`: nothing was heard."""
        if self._all_due_s is None:
            self._all_due_s = now_s + TELEMETRY_ALL_S
        everything, heard = now_s >= self._all_due_s, self._heard
        if not heard or not (self._news or everything):
            return None
        self._news = False
        if everything:
            self._heard, self._all_due_s = {}, now_s + TELEMETRY_ALL_S
        seen_before_ms = now_ms - int(TELEMETRY_NEWER_S * 1000) if everything else 0
        rows = [_row(said, now_ms, seen_before_ms) for said in heard.values()]

        def write(connection: Connection) -> None:
            connection.executemany(LEDGER.hear_label, rows)

        return write


def _row(said: Telemetry, now_ms: int, seen_before_ms: int) -> dict[str, object]:
    return {"label": said.label, "battery_mv": said.battery_mv, "temperature_c": said.temperature_c,
            "rssi_dbm": said.rssi_dbm, "now_ms": now_ms, "seen_before_ms": seen_before_ms,
            "battery_step_mv": BATTERY_STEP_MV, "temperature_step_c": TEMPERATURE_STEP_C,
            "rssi_step_dbm": SIGNAL_STEP_DBM}
