"""What a label shows: the proven picture, and the one that is to come, drawn again as PNG files for pages.

The ledger keeps what was proven (content, product, price), not the pixels. Where the proven content is the wanted one
the picture is exactly that; otherwise it is the product as it is now at the proven price, and said to be redrawn (P7).
"""

import asyncio
import hashlib
from collections import OrderedDict
from dataclasses import dataclass

from drivers.port import BaseStation, Blob, LabelDescription, Picture
from edge.db.label_rows import LabelRow
from edge.db.queries import LEDGER
from edge.labels.artist import Artist
from edge.labels.planner import LabelPlanner
from edge.labels.render import preview_png
from edge.labels.wanted import NothingToShow, Wanted, WantedPictures
from edge.limits import STAFF_DRAWS_AT_ONCE_MAX, STAFF_PICTURES_MAX
from edge.store import Store


@dataclass(frozen=True, slots=True)
class Proven:
    """What a label proved to show, from the ledger. `proven_ms`: when."""

    sku: str
    price_minor: int
    currency: str
    proven_ms: int | None


@dataclass(frozen=True, slots=True)
class Drawing:
    """A picture that can be drawn. `key` names its pixels; `exact`: it is the content itself, not redrawn."""

    key: str
    exact: bool
    wanted: Wanted
    description: LabelDescription


def as_png(_description: LabelDescription, picture: Picture) -> Blob:
    """An encoder for `edge.labels.artist`, so that the file is made where the picture is drawn."""
    return Blob("page", 0, preview_png(picture))


class LabelPictures:
    """Finds and draws the pictures of labels. Keeps a named number of PNG files by the name of their pixels."""

    def __init__(self, store: Store, planner: LabelPlanner, wanted: WantedPictures,
                 stations: dict[str, BaseStation], artist: Artist) -> None:
        self._store = store
        self._planner = planner
        self._wanted = wanted
        self._stations = stations
        self._artist = artist
        self._files: OrderedDict[str, bytes] = OrderedDict()
        self._drawing = asyncio.Semaphore(STAFF_DRAWS_AT_ONCE_MAX)

    def proven(self, row: LabelRow) -> Proven | None:
        """What the label proved last; `None` before its first proof."""
        if row.proven_version is None:
            return None
        found = self._store.books.ledger_reader.execute(LEDGER.picture, (row.label, row.proven_version)).fetchone()
        if found is None:
            return None
        _, _, sku, price_minor, currency, *_ = found
        return Proven(sku, price_minor, currency, row.proven_ms)

    def shown(self, row: LabelRow) -> Drawing | None:
        """The picture the label proved; `None` before its first proof, or when the product is gone."""
        proven, description = self.proven(row), self._description(row)
        if proven is None or description is None:
            return None
        coming = self._planner.wanted_of(row)
        if coming is not None and coming.content_hash == row.proven_content:
            return _drawing(coming, description, exact=True)
        try:
            redrawn = self._wanted.at_price(proven.sku, proven.price_minor, proven.currency, description)
        except (NothingToShow, LookupError, ValueError):
            return None
        return _drawing(redrawn, description, exact=redrawn.content_hash == row.proven_content)

    def coming(self, row: LabelRow) -> Drawing | None:
        """The picture the label should show; `None` while that cannot be said."""
        wanted, description = self._planner.wanted_of(row), self._description(row)
        if wanted is None or description is None:
            return None
        return _drawing(wanted, description, exact=True)

    async def png(self, row: LabelRow, key: str) -> bytes | None:
        """The file of this name; `None` when the label neither shows it nor is to show it.

        Raises `edge.labels.render.CannotDraw`.
        """
        if key in self._files:
            self._files.move_to_end(key)
            return self._files[key]
        drawing = next((each for each in (self.shown(row), self.coming(row)) if each and each.key == key), None)
        if drawing is None:
            return None
        async with self._drawing:
            _, blob = await self._artist.draw(drawing.wanted.template, drawing.wanted.content, drawing.description,
                                              as_png)
        self._files[key] = blob.payload
        if len(self._files) > STAFF_PICTURES_MAX:
            self._files.popitem(last=False)
        return blob.payload

    def _description(self, row: LabelRow) -> LabelDescription | None:
        station = self._stations.get(row.station)
        return station.describe(row.label) if station else None


def _drawing(wanted: Wanted, description: LabelDescription, *, exact: bool) -> Drawing:
    """The content's hash knows nothing of the label; which colours it has is part of the pixels."""
    colours = "".join(sorted(colour.name[0] for colour in description.colours))
    key = hashlib.sha256(f"{wanted.content_hash} {colours}".encode()).hexdigest()[:24]
    return Drawing(key, exact, wanted, description)
