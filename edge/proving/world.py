"""What everybody in the simulated store shares: plan, clock, computers, line, shelf, witness, the hub's truth."""

import asyncio
import random
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from drivers.port import LabelId
from drivers.virtual.label import VirtualLabel
from drivers.virtual.line_faults import LineFaults
from drivers.virtual.memory_port import MemoryPort
from drivers.virtual.radio import VirtualRadio
from drivers.virtual.shelf import VirtualShelf
from edge.proving.box_clock import BoxClock
from edge.proving.catalogue import Truth
from edge.proving.disk import Disk
from edge.proving.held_prices import HeldPrices
from edge.proving.hub_line import HubLine
from edge.proving.order_record import OrderRecord
from edge.proving.plan import TIME_ZONE, Plan
from edge.proving.servers import HubServer, StoreBox
from edge.proving.shelf_eyes import ShelfEyes
from edge.proving.sightings import Span
from edge.proving.tally import Tally
from edge.proving.witness import Witness
from edge.proving.world_bell import WorldBell

HOUR_S = 3600.0
LOOK_EVERY_S = 5.0
"""How often labels' screens are looked at for the witness."""

RECENT_SKUS_MAX = 3
"""Products a label hung under, of which a screen may still show one."""


@dataclass(slots=True)
class Floor:
    """The radio in the back room and the labels on the shelves.

    `hangs`: label → SKU it is bound to; `recent`: the last SKUs that it was bound to, the present one last.
    """

    radio: VirtualRadio
    port: MemoryPort
    shelf: VirtualShelf
    noise: list[LineFaults]
    hangs: dict[LabelId, str] = field(default_factory=dict)
    recent: dict[LabelId, list[str]] = field(default_factory=dict)
    off_shelf: set[LabelId] = field(default_factory=set)
    lost: dict[LabelId, VirtualLabel] = field(default_factory=dict)

    @property
    def labels(self) -> dict[LabelId, VirtualLabel]:
        """Labels within reach."""
        return self.shelf.labels

    def bound(self, label: LabelId, sku: str) -> None:
        """A person hung the label under a product."""
        self.hangs[label] = sku
        recent = [each for each in self.recent.get(label, []) if each != sku]
        self.recent[label] = [*recent, sku][-RECENT_SKUS_MAX:]

    def read_by_shoppers(self) -> list[LabelId]:
        """Labels that hang and count, in a stable order."""
        return [label for label in self.hangs if label not in self.off_shelf]


@dataclass(slots=True)
class World:
    """One run. `ends_s`: when the busy time ends, on the loop's clock; then nobody begins anything new.

    `stood_alone`: how many answers tills got while the line was cut. `doubled`: a second box believed
    that it was this store. `restored`: a disk of the box was lost. `refused`: SKUs whose
    prices a supervisor refused, until head office has put them right. `delivered`: movement → SKU → thousandths.
    """

    plan: Plan
    tally: Tally
    clock: BoxClock
    hub: HubServer
    box: StoreBox
    line: HubLine
    bell: WorldBell
    disk: Disk
    floor: Floor
    truth: Truth
    witness: Witness
    eyes: ShelfEyes
    violations: list[str] = field(default_factory=list)
    stood_alone: int = 0
    doubled: bool = False
    restored: bool = False
    refused: list[str] = field(default_factory=list)
    orders: OrderRecord = field(default_factory=OrderRecord)
    delivered: dict[str, dict[str, int]] = field(default_factory=dict)
    holds: HeldPrices = field(default_factory=HeldPrices)
    ends_s: float = float("inf")

    @property
    def scarce(self) -> list[str]:
        """SKUs of which the store never has more than a few units."""
        return list(self.truth.items)[-self.plan.scarce_items:]

    @property
    def closed_days(self) -> list[date]:
        """Days on which the store keeps shut."""
        if not self.plan.waiting.closed_tomorrow:
            return []
        began = datetime.fromtimestamp(self.plan.start_wall_ms / 1000, ZoneInfo(TIME_ZONE))
        return [began.date() + timedelta(days=1)]

    @property
    def over(self) -> bool:
        """Whether the busy time has ended."""
        return asyncio.get_running_loop().time() >= self.ends_s

    def begun(self) -> float:
        """Powered seconds now: the beginning of something that is asked."""
        return self.clock.powered_s()

    def asked(self, began_s: float) -> Span:
        """From then until now."""
        return Span(began_s, self.clock.powered_s())

    async def pause(self, per_hour: float, randomness: random.Random) -> bool:
        """Wait for the next of so many an hour, of 0 for none; false when the busy time is over by then."""
        left_s = self.ends_s - asyncio.get_running_loop().time()
        wait_s = randomness.expovariate(per_hour / HOUR_S) if per_hour else float("inf")
        await asyncio.sleep(min(wait_s, left_s) if left_s > 0 else 0)
        return wait_s < left_s

    async def powered_until(self, powered_s: float) -> None:
        """Wait until the box has been switched on for so long in all."""
        while True:
            left_s = powered_s - self.clock.powered_s()
            if left_s <= 0:
                return
            await self.clock.switched_on.wait()
            await asyncio.sleep(max(left_s, 0.001))

