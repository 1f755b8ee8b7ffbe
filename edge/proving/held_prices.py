"""Prices that tills are held low for: whoever holds one for too long must have told a person (P3).

Told by what tills were answered: below the list price, of one and the same price list entry, since when.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edge.proving.tills import Till
    from edge.proving.world import World

LOOK_EVERY_S = 30.0
TOLERANCE_S = 90.0
"""Between what tills were told and what the store's housekeeping noticed."""

STAMP_S = 35.0
"""How much of the powered clock a power cut may cost the store."""

WAITS_ISSUE = "prices-wait"
"""The issue by which the store tells people."""


@dataclass(slots=True)
class _Hold:
    price_version: str
    since_s: float
    boots: int


class HeldPrices:
    """Since when which SKU has been held low, as tills were told."""

    def __init__(self) -> None:
        self._holds: dict[str, _Hold] = {}

    def told(self, sku: str, price_version: str, *, held: bool, now_s: float, boots: int) -> None:
        """A till was told a price, by a box that was switched on so often."""
        before = self._holds.get(sku)
        if not held:
            self._holds.pop(sku, None)
        elif before is None or before.price_version != price_version:
            self._holds[sku] = _Hold(price_version, now_s, boots)

    def begin_anew(self, *skus: str) -> None:
        """A label of it was put back, so that a hold may have ended and begun unseen; no SKU: that may be any."""
        for sku in skus or tuple(self._holds):
            self._holds.pop(sku, None)

    async def watch(self, world: "World", tills: "Sequence[Till]") -> None:
        """Look again and again whether every price that is held for too long is known to somebody."""
        while True:
            await asyncio.sleep(LOOK_EVERY_S)
            for sku in tuple(self._holds):
                began_s = world.begun()
                told = [await till.price(world.truth.items[sku].code) for till in tills if till.line.there][-1:]
                if world.box.up and told not in ([], [None]) and began_s == world.clock.powered_s():
                    self._judge(world, sku)

    def _judge(self, world: "World", sku: str) -> None:
        """A till was told just now; nothing has happened since."""
        store, now_s = world.box.store, world.clock.powered_s()
        listed = store.held_prices()
        told = {sku for sku, late in listed.items() if late} if WAITS_ISSUE in store.issues() else set[str]()
        bound_s = world.plan.grace_s + world.plan.held_price_alert_s + TOLERANCE_S
        hold = self._holds.get(sku)
        if hold is None:
            return
        held_s = now_s - hold.since_s - STAMP_S * (world.clock.boots - hold.boots)
        if held_s > bound_s:
            world.witness.held_and_told(sku, held_s, told=sku in told)
