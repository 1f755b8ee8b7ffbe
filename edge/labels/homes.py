"""Which base station serves a label: the one that hears it best. A label moves when that changes.

A picture that was offered through one station may be fetched from it long after the label moved. So its old station
takes back what is outstanding before the new one offers anything; one that cannot (its line is down) leaves claims
behind, which hold the price low until it answers again (`edge.prices.claim_book: leave_claims`, P3).
"""

import asyncio
from collections.abc import Mapping

import structlog

from drivers.port import BaseStation, OfferRefused, Seen, StationChanged, StationState
from edge.db.connection import Connection
from edge.db.label_rows import LabelRow, must_have
from edge.db.queries import LEDGER
from edge.labels.reach import Reach
from edge.limits import STATION_AWAY_S
from edge.prices.claim_book import leave_claims, take_claims_back
from edge.store import Store

SERVING = frozenset({StationState.READY, StationState.DEGRADED})
_log = structlog.get_logger(__name__)


class Homes:
    """Where labels are served. Told everything that is heard; moves a label only in `settle`."""

    def __init__(self, store: Store, stations: Mapping[str, BaseStation]) -> None:
        self._store = store
        self._stations = stations
        self._reach = Reach()
        self._away_since_s: dict[str, float] = {}
        self._began_s = 0.0

    def hear(self, row: LabelRow, station: str, event: Seen) -> bool:
        """A label that the store knows was heard; returns whether it should be settled anew."""
        if event.description is not None and station in self._stations:
            self._reach.hear(row.label, row.station, station, event.rssi_dbm)
        return self._better(row) is not None

    def station_changed(self, event: StationChanged) -> None:
        """A station came or went."""
        if event.state in SERVING:
            self._away_since_s.pop(event.station, None)
        else:
            self._away_since_s.setdefault(event.station, _now_s())

    def labels_to_settle(self, station: str) -> list[str]:
        """Labels that left something behind at this station."""
        return [label for label, left_at in self._left() if left_at == station]

    def begin_anew(self) -> list[str]:
        """Nothing of an earlier run is believed. Returns the labels whose old station this store no longer has."""
        self._reach.clear()
        self._away_since_s.clear()
        self._began_s = _now_s()
        return [label for label, left_at in self._left() if left_at not in self._stations]

    def forget_station(self, name: str) -> list[str]:
        """A person took the station out of the configuration, so it gives nothing to anybody: the labels that left
        something behind there may be settled."""
        self._reach.forget_station(name)
        self._away_since_s.pop(name, None)
        return self.labels_to_settle(name)

    async def settle(self, row: LabelRow) -> LabelRow:
        """Take back what the label left behind, where that can be said now, and move it to who hears it better. Returns
        its row as it is then. Not to be called while an offer for the label is being made."""
        for (station,) in self._store.books.ledger_reader.execute(LEDGER.stations_left_by, (row.label,)).fetchall():
            await self._take_back(row, station)
        better = self._better(row)
        if better is not None:
            await self._move(row, better)
        return must_have(self._store.books.ledger_reader, row.label)

    async def _take_back(self, row: LabelRow, left_at: str) -> None:
        station = self._stations.get(left_at)
        is_its_own = left_at == row.station  # which replaces what is old with the next offer
        if not is_its_own and not await _is_withdrawn(station, row.label):
            return
        now_powered_ms, now_ms = self._store.clock.powered_ms(), self._store.clock.wall_ms()
        await self._store.books.ledger.submit(
            lambda connection: take_claims_back(connection, row.label, left_at, now_powered_ms, now_ms))

    async def _move(self, row: LabelRow, to: str) -> None:
        home, station = self._stations.get(row.station), self._stations[to]
        description = station.describe(row.label)
        if description is None:
            return
        withdrawn = await _is_withdrawn(home, row.label)
        if not withdrawn and home is not None and home.state in SERVING:
            return  # it is fetching; there will be another time
        station.adopt(row.label, description.type_name)

        def move(connection: Connection) -> None:
            if not withdrawn:
                leave_claims(connection, row.label, row.station)
            connection.execute(LEDGER.move_label, (to, description.type_name, row.label))

        await self._store.books.ledger.submit(move)
        self._reach.moved(row.label)
        _log.info("a label is served by another base station", label=row.label, before=row.station, now=to,
                  withdrawn=withdrawn)

    def _better(self, row: LabelRow) -> str | None:
        return self._reach.better(row.label, row.station, home_is_away=self._is_away(row.station),
                                  can_serve=lambda name: self._can_serve(name, row.label))

    def _is_away(self, name: str) -> bool:
        station = self._stations.get(name)
        if station is None:
            return True
        since_s = self._away_since_s.get(name, self._began_s)
        return station.state not in SERVING and _now_s() - since_s >= STATION_AWAY_S

    def _can_serve(self, name: str, label: str) -> bool:
        station = self._stations.get(name)
        return station is not None and station.state in SERVING and station.describe(label) is not None

    def _left(self) -> list[tuple[str, str]]:
        return [(label, left_at) for label, left_at in
                self._store.books.ledger_reader.execute(LEDGER.labels_that_left).fetchall()]


async def _is_withdrawn(station: BaseStation | None, label: str) -> bool:
    """Whether nothing old can come from there any more; a station that this store no longer has was taken down."""
    try:
        if station is not None:
            await station.withdraw(label)
    except OfferRefused as refusal:
        _log.debug("nothing could be taken back", label=label, reason=str(refusal))
        return False
    return True


def _now_s() -> float:
    return asyncio.get_running_loop().time()
