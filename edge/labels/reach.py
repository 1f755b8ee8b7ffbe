"""Which base station hears a label best. Pure bookkeeping: told who heard whom, and how well.

A label that is connected to hears everybody's adapters and is heard by several; one that polls speaks to one radio at a
time. So two things count: a signal that is clearly stronger, and being heard again and again while the label's own
station hears nothing.
"""

from collections.abc import Callable
from dataclasses import dataclass

from drivers.port import LabelId
from edge.limits import HEARD_ALONE_MIN, HEARD_BEFORE_COMPARED_MIN, LABELS_MAX, STRONGER_BY_DB

NEWEST_SHARE = 0.3
"""How much the newest signal counts in the mean: one that a trolley shadows for a moment moves nothing."""


@dataclass(slots=True)
class _Ear:
    """What one station heard of one label. `alone`: how often since the label's own station heard it last."""

    times: int = 0
    alone: int = 0
    signal_dbm: float | None = None

    def hear(self, rssi_dbm: int | None) -> None:
        self.times += 1
        self.alone += 1
        if rssi_dbm is not None:
            before = rssi_dbm if self.signal_dbm is None else self.signal_dbm
            self.signal_dbm = before + NEWEST_SHARE * (rssi_dbm - before)


class Reach:
    """Who hears whom. Above `LABELS_MAX` labels a new one is not followed until another is forgotten."""

    def __init__(self) -> None:
        self._ears: dict[LabelId, dict[str, _Ear]] = {}

    def hear(self, label: LabelId, home: str, station: str, rssi_dbm: int | None) -> None:
        """`station` heard the label, which is served by `home`. RSSI in dBm, `None` where nothing says it."""
        if label not in self._ears and len(self._ears) >= LABELS_MAX:
            return
        ears = self._ears.setdefault(label, {})
        ears.setdefault(station, _Ear()).hear(rssi_dbm)
        if station == home:
            for ear in ears.values():
                ear.alone = 0

    def better(self, label: LabelId, home: str, *, home_is_away: bool, can_serve: Callable[[str], bool]) -> str | None:
        """The station that should serve the label instead of `home`; `None`: it is well served.

        `home_is_away`: nobody expects its own station to come back soon, so that being heard once is enough.
        """
        ears = self._ears.get(label)
        if ears is None or (len(ears) == 1 and home in ears):
            return None
        alone_min = 1 if home_is_away else HEARD_ALONE_MIN
        own = ears.get(home, _Ear())
        found = [(ear, name) for name, ear in ears.items() if name != home
                 and (ear.alone >= alone_min or _is_stronger(ear, own)) and can_serve(name)]
        return max(found, key=lambda each: (each[0].signal_dbm or float("-inf"), each[1]))[1] if found else None

    def moved(self, label: LabelId) -> None:
        """Another station serves the label: comparing begins anew, so that it does not go to and fro."""
        self._ears.pop(label, None)

    def forget_station(self, name: str) -> None:
        """The station is gone."""
        for ears in self._ears.values():
            ears.pop(name, None)

    def clear(self) -> None:
        """Forget all."""
        self._ears.clear()


def _is_stronger(ear: _Ear, own: _Ear) -> bool:
    if ear.signal_dbm is None or own.signal_dbm is None or min(ear.times, own.times) < HEARD_BEFORE_COMPARED_MIN:
        return False
    return ear.signal_dbm >= own.signal_dbm + STRONGER_BY_DB
