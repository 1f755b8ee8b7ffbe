"""Prepares the pictures of dated prices in time, so that no radio idles when they begin (DESIGN.md section 6).

Nothing is offered early: a picture that is only drawn claims nothing. Which price will hold is asked again for each
change, by the rule that also decides it when its time has come.
"""

import asyncio
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import structlog

from drivers.port import BaseStation, Encoder, LabelDescription
from edge.db.label_rows import label_row
from edge.db.queries import LEDGER, REPLICA
from edge.db.replica import entries_of
from edge.domain.pricing import select
from edge.errors import Transient
from edge.labels.artist import Artist
from edge.labels.prepared import PreparedPictures
from edge.labels.render import CannotDraw
from edge.labels.wanted import NothingToShow, Wanted, WantedPictures
from edge.limits import AHEAD_LOOK_S, AHEAD_S, AHEAD_SKUS_AT_ONCE, AHEAD_SKUS_MAX
from edge.store import News, Store, Topic

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class _Coming:
    """A picture that a label will want, and how its station encodes it."""

    wanted: Wanted
    description: LabelDescription
    encode: Encoder


class PicturesAhead:
    """Looks every minute for prices that begin or end within `AHEAD_S`, and draws what labels will show then."""

    def __init__(self, store: Store, wanted: WantedPictures, artist: Artist, stations: Mapping[str, BaseStation],
                 prepared: PreparedPictures) -> None:
        self._store = store
        self._wanted = wanted
        self._artist = artist
        self._stations = stations
        self._prepared = prepared
        self._looked: dict[str, int] = {}
        self.progress = 0

    def follow_news(self, news: News) -> None:
        """The store's listener: a price list that changed is looked at again."""
        if news.topic is Topic.PRICES:
            for sku in news.subjects:
                self._looked.pop(sku, None)

    async def run(self) -> None:
        """Prepare until cancelled."""
        while True:
            self._prepared.forget_old(_now_s())
            await self.look()
            self.progress += 1
            await asyncio.sleep(AHEAD_LOOK_S)

    async def look(self) -> None:
        """Prepare what is due soon. While the clock is not believed nobody knows what that is."""
        if not self._store.clock.trusted:
            return
        now_ms = self._store.clock.wall_ms()
        until_ms = now_ms + int(AHEAD_S * 1000)
        rows = self._store.books.replica_reader.execute(REPLICA.list_prices_expired,
                                                        (until_ms, until_ms, AHEAD_SKUS_MAX)).fetchall()
        for count, (sku,) in enumerate(rows):
            if count % AHEAD_SKUS_AT_ONCE == 0:
                self.progress += 1
                await asyncio.sleep(0)  # tills ask in between
            for coming in self._coming(sku, now_ms, until_ms):
                if self._prepared.is_full:
                    return
                await self._prepare(coming)

    def _coming(self, sku: str, now_ms: int, until_ms: int) -> Iterator[_Coming]:
        """What the labels of the SKU will want when its next price begins; nothing when that was looked at before."""
        reader = self._store.books.replica_reader
        begins_ms = select(entries_of(reader, sku), now_ms).until_ms
        if begins_ms is None or begins_ms > until_ms or self._looked.get(sku) == begins_ms:
            return
        for (label,) in self._store.books.ledger_reader.execute(LEDGER.labels_of_sku, (sku,)).fetchall():
            row = label_row(self._store.books.ledger_reader, label)
            station = self._stations.get(row.station) if row else None
            description = station.describe(label) if station else None
            if station is None or description is None:
                continue
            try:
                yield _Coming(self._wanted.at(sku, begins_ms, description), description, station.encode)
            except (NothingToShow, LookupError, ValueError):
                continue
        self._looked[sku] = begins_ms

    async def _prepare(self, coming: _Coming) -> None:
        wanted, description = coming.wanted, coming.description
        if self._prepared.get(wanted.content_hash, description) is not None:
            return
        try:
            _, blob = await self._artist.draw(wanted.template, wanted.content, description, coming.encode)
        except (CannotDraw, Transient, ValueError) as problem:  # said when its time has come, to whom it concerns
            _log.debug("not prepared", sku=wanted.content.sku, reason=str(problem))
            return
        self.progress += 1
        self._prepared.put(wanted.content_hash, description, blob, _now_s())


def _now_s() -> float:
    return asyncio.get_running_loop().time()
