"""Where goods lie on the sales floor, and in which order one comes by: what a planogram says (DESIGN.md section 9)."""

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass

from edge.db.connection import Connection
from edge.db.queries import LEDGER, many

_NUMBERS = re.compile(r"(\d+)")
BAY_SKUS_MAX = 60
"""Neighbours of one product that are looked at for a substitute."""

WalkKey = tuple[object, ...]


@dataclass(frozen=True, slots=True)
class ShelfPlace:
    """A place on the shelf, as the store numbers it; parts that the store does not use are empty.

    `walk`: when one comes by, from 1; 0 where the planogram does not say: such places follow by their numbers.
    """

    aisle: str
    bay: str = ""
    shelf: str = ""
    position: str = ""
    walk: int = 0

    @property
    def text(self) -> str:
        """As it is read out: `3 · 12 · 2 · 5`."""
        return " · ".join(part for part in (self.aisle, self.bay, self.shelf, self.position) if part)


def walk_key(place: ShelfPlace | None) -> WalkKey:
    """Sorts places as one walks: by `walk`, then by the numbers in their names; what has no place comes last."""
    if place is None:
        return (2,)
    parts = tuple(_natural(part) for part in (place.aisle, place.bay, place.shelf, place.position))
    return (0, place.walk, *parts) if place.walk else (1, *parts)


def places_of(connection: Connection, skus: Collection[str]) -> dict[str, ShelfPlace]:
    """Where each of these products lies: of several places the first that one comes by. Unknown ones are left out."""
    found: dict[str, ShelfPlace] = {}
    for sku, *place in connection.execute(LEDGER.shelf_places, (many(skus),)).fetchall():
        other = ShelfPlace(*place)
        if sku not in found or walk_key(other) < walk_key(found[sku]):
            found[sku] = other
    return found


def neighbours(connection: Connection, sku: str) -> list[str]:
    """Products of the same bay, in no order: where one looks for a substitute."""
    place = places_of(connection, [sku]).get(sku)
    if place is None:
        return []
    rows = connection.execute(LEDGER.skus_of_bay, (place.aisle, place.bay, BAY_SKUS_MAX)).fetchall()
    return [other for (other,) in rows if other != sku]


def put_planogram(connection: Connection, rows: Iterable[tuple[str, ShelfPlace]]) -> None:
    """The whole planogram, in place of what was known. Runs inside the writer."""
    connection.execute(LEDGER.delete_shelf_places)
    connection.execute(LEDGER.put_shelf_places, (many(
        (sku, place.aisle, place.bay, place.shelf, place.position, place.walk) for sku, place in rows),))


def _natural(text: str) -> tuple[tuple[int, int, str], ...]:
    """`A2` before `A10`."""
    return tuple((0, int(part), "") if part.isdecimal() else (1, 0, part.casefold())
                 for part in _NUMBERS.split(text) if part)
