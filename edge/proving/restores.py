"""Disks that die, backups that are put back, and a second box that believes it is this store.

Backups are made all day; what is put back is older than what was lost. Nobody in the world knows by how much: the
systems must find out, and people do only what people would (send again what they still hold, start what was fenced).
"""

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence

from edge.proving.box_clock import BoxClock
from edge.proving.process import Gone
from edge.proving.servers import DiskCopy, StoreBox
from edge.proving.world import World

BACK_UP_EVERY_S = (60.0, 900.0)
BACKUPS_MAX = 4
"""Of each computer; the oldest goes."""

NEW_DISK_S = (70.0, 600.0)
"""Long enough for every label to have drawn what it had fetched."""

TWIN_LIVES_S = (30.0, 900.0)
TWIN_WORKS_EVERY_S = 20.0

MakeTwin = Callable[[BoxClock, int], StoreBox]
"""Another box with this store's settings and credential, its own clock, line and disk."""

FactKeys = Callable[[], set[str]]
"""What the ledger on the box's disk holds, read while no daemon runs."""


class Restores:
    """What goes on around backups. `send_again`: whoever holds what the hub lost sends it once more."""

    def __init__(self, world: World, make_twin: MakeTwin, fact_keys: FactKeys,
                 send_again: Sequence[Callable[[], Awaitable[None]]]) -> None:
        self._world = world
        self._make_twin = make_twin
        self._fact_keys = fact_keys
        self._send_again = send_again
        self._randomness: random.Random = world.plan.randomness("restores")
        self._box_backups: list[DiskCopy] = []
        self._hub_backups: list[DiskCopy] = []
        self._twins = 0

    async def back_up(self) -> None:
        """Until the busy time is over."""
        world = self._world
        while not world.over:
            await asyncio.sleep(self._randomness.uniform(*BACK_UP_EVERY_S))
            if world.box.up:
                self._box_backups = [*self._box_backups, world.box.back_up()][-BACKUPS_MAX:]
            self._hub_backups = [*self._hub_backups, world.hub.back_up()][-BACKUPS_MAX:]

    async def restore_box(self) -> None:
        """The box's disk dies. The caller holds whatever keeps others from the box meanwhile."""
        world = self._world
        if not self._box_backups:
            return
        world.tally.count("box_restored")
        world.restored = True
        await world.box.lose_power(replica_back=False)
        before = self._fact_keys()
        world.box.put_in(self._randomness.choice(self._box_backups), restored=True)
        lost = before - self._fact_keys()
        self._box_backups.clear()
        world.tally.note("lost with the disk", len(lost))
        world.floor.radio.power_off()
        await asyncio.sleep(self._randomness.uniform(*NEW_DISK_S))
        world.eyes.look()
        world.witness.disk_died(lost)
        world.holds.begin_anew()
        await world.floor.radio.restart()
        world.box.power_up()

    async def restore_hub(self) -> None:
        """The hub's disk dies; what it had acknowledged since the backup is sent to it again."""
        world = self._world
        if not self._hub_backups or not world.hub.up:
            return
        world.tally.count("hub_restored")
        await world.hub.restore(self._randomness.choice(self._hub_backups))
        self._hub_backups.clear()
        await asyncio.sleep(self._randomness.uniform(1.0, 60.0))
        world.hub.start()
        for again in self._send_again:
            await again()

    async def double_box(self) -> bool:
        """Somebody clones the disk and starts a second box: it goes on for a while, is found, and is switched off.

        Returns whether it happened; then a person restarts the box that was fenced.
        """
        world = self._world
        if not world.box.up:
            return False
        world.tally.count("second_box")
        world.doubled = True
        self._twins += 1
        twin = self._make_twin(BoxClock(world.plan.start_wall_ms), self._twins)
        twin.put_in(world.box.clone(), restored=False)
        twin.power_up()
        until_s = asyncio.get_running_loop().time() + self._randomness.uniform(*TWIN_LIVES_S)
        deliveries = 0
        while asyncio.get_running_loop().time() < until_s and not world.over:
            await asyncio.sleep(TWIN_WORKS_EVERY_S)
            deliveries += 1
            await self._receive_at(twin, f"twin-{self._twins}-{deliveries}")
        await twin.kill_daemon()
        return True

    async def _receive_at(self, twin: StoreBox, movement_id: str) -> None:
        sku = self._randomness.choice(list(self._world.truth.items))
        try:
            await twin.do(lambda store: store.receive(movement_id, {sku: 1000}))
        except Gone:
            return
