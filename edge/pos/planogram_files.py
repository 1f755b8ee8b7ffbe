"""A planogram from a file: where goods lie on the sales floor, all of it in place of what was known before.

Picking walks by it (`edge.pickups.shelf`). It is no fact and travels nowhere: a box that was replaced is given the file
again.
"""

import asyncio
import re

from edge.domain.barcode import CODE_LENGTH_MAX
from edge.errors import Rejected
from edge.files.file_map import FileMap
from edge.files.rows import BadRow, Row
from edge.limits import HOT_FOLDER_PROBLEMS_MAX, SHELF_PLACES_MAX
from edge.pickups.shelf import ShelfPlace, put_planogram
from edge.pos.hot_folder import HotFile, Taken
from edge.pos.price_files import row_slices
from edge.prices.price_desk import PriceDesk
from edge.store import Store, Topic

PART_CHARACTERS_MAX = 20
_WALK = re.compile(r"[0-9]{1,6}", re.ASCII)
_PARTS = ("aisle", "bay", "shelf", "position")


class PlanogramFiles:
    """Takes the planograms of one folder."""

    mend = "Nothing of it counts. Mend it and put it into inbox again."
    only_newest_repeats = True

    def __init__(self, store: Store, prices: PriceDesk, file_map: FileMap) -> None:
        self._store = store
        self._prices = prices
        self._map = file_map

    async def take(self, file: HotFile) -> Taken:
        """See `edge.pos.hot_folder.FileTaker`."""
        places, problems, notes = list[tuple[str, ShelfPlace]](), list[str](), list[str]()
        async for part in row_slices(file, self._map):
            for row in part:
                self._read(row, places, problems, notes)
            if len(places) > SHELF_PLACES_MAX:
                raise Rejected(f"it has more than {SHELF_PLACES_MAX} rows")
            if len(problems) > HOT_FOLDER_PROBLEMS_MAX:
                break  # it is hopeless, and says so often enough
            await asyncio.sleep(0)
        if problems:
            return Taken(problems)
        if not places:
            raise Rejected("it names no product of this store")
        await self._store.books.ledger.submit(lambda connection: put_planogram(connection, places))
        self._store.tell(Topic.PICKUP)
        products = len({sku for sku, _ in places})
        return Taken(report=[f"Planogram: {products} products in {len(places)} places, {len(notes)} rows left out.",
                             *notes[:HOT_FOLDER_PROBLEMS_MAX]])

    def _read(self, row: Row, places: list[tuple[str, ShelfPlace]], problems: list[str], notes: list[str]) -> None:
        try:
            code, place = read_place(row, self._map)
        except BadRow as problem:
            problems.append(f"{row.where}: {problem}")
            return
        sku = self._prices.sku_of(code)
        if sku:
            places.append((sku, place))
        else:
            notes.append(f"{row.where}: left out {code[:40]!r}: no product has this code")


def read_place(row: Row, file_map: FileMap) -> tuple[str, ShelfPlace]:
    """A row's code and place. Raises `BadRow`."""
    columns = file_map.planogram
    assert columns is not None
    code, walk = row.text(columns.code), row.text(columns.walk)
    if not code or len(code) > CODE_LENGTH_MAX:
        raise BadRow("there is no code" if not code else f"the code {code[:40]!r}... is too long")
    parts = {part: row.text(getattr(columns, part)) for part in _PARTS}
    for part, text in parts.items():
        if len(text) > PART_CHARACTERS_MAX or not text.isprintable():
            raise BadRow(f"the {part} {text[:40]!r} is no place")
    if not parts["aisle"]:
        raise BadRow("there is no aisle")
    if walk and not _WALK.fullmatch(walk):
        raise BadRow(f"{walk[:40]!r} is no place in the walk: a whole number from 1")
    return code, ShelfPlace(**parts, walk=int(walk or 0))
