"""Everything that goes wrong in the simulated store, when the seed says so; each with a count in the report.

A fault that is over leaves the world able to heal; `heal` mends whatever is still broken when the day is over.
"""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from edge.proving.hub_line import FINE, Fate, Weather
from edge.proving.plan import CALM_AFTER_S
from edge.proving.restores import Restores
from edge.proving.staff import Staff
from edge.proving.tills import Till
from edge.proving.world import World

CUT_S = (2.0, 900.0)
STORM_S = (30.0, 600.0)
HUB_DOWN_S = (0.5, 120.0)
BOX_OFF_S = (1.0, 400.0)
DAEMON_DOWN_S = (0.1, 60.0)
UNPLUGGED_S = (1.0, 120.0)
LABEL_OFF_S = (5.0, 900.0)
CLOCK_WRONG_S = (10.0, 600.0)
DISK_FULL_S = (5.0, 600.0)
BELL_LOST_S = (5.0, 1800.0)
CLOCK_JUMPS_S = (-7200, -300, -90, 60, 100, 400, 3600, 40_000)
TILL_AWAY_S = (5.0, 3 * 3600.0)
TILL_CLOCK_WRONG_S = (60.0, 7200.0)
TILL_CLOCK_WRONG_BY_S = (-800_000_000, -200_000, -3_600, -120, 90, 5_400, 90_000, 900_000_000)
"""A battery that is empty says 2001; others were set by hand."""

NOTICED_SHARE = 0.5
"""Labels that are gone are seen by somebody who passes; the others when the store says that a price waits for them."""

COPY_EVERY_S = (20.0, 400.0)
REPLICA_LOST_SHARE = 0.1
REPLICA_BACK_SHARE = 0.7
RADIO_TOO_SHARE = 0.7
"""A power cut usually takes the radio, which hangs on the box's USB port, with it."""

AIM_COMMITS_MAX = 4
AIM_AT_PAGES_SHARE = 0.6
AIM_S_MAX = 300.0
COMMIT_WINDOW_S = 0.005
"""How near to a commit an aimed kill strikes."""

STORM = Weather(latency_s=(0.01, 3.0), shares=(
    (Fate.LOST, 0.08), (Fate.REPLY_LOST, 0.12), (Fate.DUPLICATED, 0.12), (Fate.LATE, 0.08), (Fate.SLOW, 0.05),
    (Fate.CUT_SHORT, 0.08)))
DRIZZLE = Weather(shares=((Fate.LOST, 0.005), (Fate.REPLY_LOST, 0.01), (Fate.DUPLICATED, 0.01), (Fate.LATE, 0.005),
                          (Fate.CUT_SHORT, 0.005)))


class Faults:
    """The day's misfortunes. `commit_begins` is to be called by the writers whenever a commit is under way."""

    def __init__(self, world: World, staff: Staff, restores: Restores, tills: Sequence[Till]) -> None:
        self._world = world
        self._staff = staff
        self._restores = restores
        self._tills = tills
        self._randomness = world.plan.randomness("faults")
        self._aim: asyncio.Future[float] | None = None
        self._aim_commits = 0
        self._aim_needs_page = False
        self._box_hands = asyncio.Lock()
        self._hub_hands = asyncio.Lock()

    async def run(self) -> None:
        """Until the busy time is over."""
        await asyncio.sleep(CALM_AFTER_S)
        self._world.line.weather = DRIZZLE
        rates = self._world.plan.faults
        await asyncio.gather(
            self._strike(rates.line_cuts, self._cut_line), self._strike(rates.storms, self._storm),
            self._strike(rates.hub_restarts, self._restart_hub), self._strike(rates.power_cuts, self._cut_power),
            self._strike(rates.daemon_kills, self._kill_daemon), self._strike(rates.commit_kills, self._kill_at_commit),
            self._strike(rates.radio_resets, self._reset_radio), self._strike(rates.unplugs, self._unplug),
            self._strike(rates.label_power_cuts, self._cut_label_power),
            self._strike(rates.labels_lost, self._lose_label), self._strike(rates.clock_jumps, self._jump_clock),
            self._strike(rates.full_disks, self._fill_disk), self._strike(rates.bell_losses, self._lose_bell),
            self._strike(rates.box_restores, self._restore_box), self._strike(rates.hub_restores, self._restore_hub),
            self._strike(rates.second_boxes, self._double_box), self._strike(rates.tills_away, self._send_till_away),
            self._strike(rates.till_clock_jumps, self._put_till_clock_wrong),
            self._restores.back_up(), self._copy_replica())

    async def heal(self) -> None:
        """Mend everything: what follows must drain by itself."""
        world = self._world
        world.line.mend()
        world.line.weather = FINE
        world.bell.mend()
        world.disk.fill(full=False)
        world.clock.put_wrong(0)
        world.floor.port.plug_in()
        for noise in world.floor.noise:
            noise.flip = noise.drop = 0.0
        if not world.hub.up:
            world.hub.start()
        if not world.clock.on:
            world.box.power_up()
        elif not world.box.up:
            world.box.start_daemon()
        for till in self._tills:
            till.line.mend()
            till.wrong_ms = 0
        for label in world.floor.labels.values():
            label.restore_power()

    def page_arrives(self) -> None:
        """The store got something new from the hub: an aim that waits for it looks at commits from now on."""
        self._aim_needs_page = False

    def commit_begins(self, commit_s: float) -> None:
        """A commit is under way and ends in `commit_s`: an aimed kill strikes just before or just after its end."""
        if self._aim is None or self._aim.done() or self._aim_needs_page:
            return
        self._aim_commits -= 1
        if self._aim_commits == 0:
            self._aim.set_result(max(0.0, commit_s + self._randomness.uniform(-COMMIT_WINDOW_S, COMMIT_WINDOW_S)))

    async def _strike(self, per_hour: float, fault: Callable[[], Coroutine[Any, Any, None]]) -> None:
        while await self._world.pause(per_hour, self._randomness):
            await fault()

    # --- the line and the hub -----------------------------------------------------------------------------------

    async def _cut_line(self) -> None:
        silent = self._randomness.random() < 0.4
        self._world.tally.count("line_cut")
        self._world.line.cut(silent=silent)
        await self._lasts(CUT_S)
        self._world.line.mend()

    async def _storm(self) -> None:
        self._world.tally.count("line_storm")
        self._world.line.weather = STORM
        await self._lasts(STORM_S)
        self._world.line.weather = DRIZZLE

    async def _restart_hub(self) -> None:
        self._world.tally.count("hub_restart")
        async with self._hub_hands:
            await self._world.hub.crash()
            await self._lasts(HUB_DOWN_S)
            self._world.hub.start()

    # --- the box --------------------------------------------------------------------------------------------------

    async def _cut_power(self) -> None:
        async with self._box_hands:
            world, draw = self._world, self._randomness
            world.tally.count("box_power_cut")
            world.eyes.look()
            lost = draw.random() < REPLICA_LOST_SHARE
            went_back = await world.box.lose_power(replica_back=not lost and draw.random() < REPLICA_BACK_SHARE)
            if lost:
                world.tally.count("replica_lost")
                world.box.lose_replica()
            elif went_back:
                world.tally.count("replica_back_in_time")
            if lost or went_back:
                world.holds.begin_anew()  # an older list price ends a hold for a moment, and its age with it
            if draw.random() < RADIO_TOO_SHARE:
                world.floor.radio.power_off()
            await self._lasts(BOX_OFF_S)
            await world.floor.radio.restart()
            world.clock.put_wrong(min(0, world.clock.wrong_ms))  # a clock that ran on a tired battery lags, if anything
            world.box.power_up()

    async def _restore_box(self) -> None:
        async with self._box_hands:
            await self._restores.restore_box()

    async def _double_box(self) -> None:
        if await self._restores.double_box():
            async with self._box_hands:
                await self._world.box.kill_daemon()
                self._world.box.start_daemon()

    async def _restore_hub(self) -> None:
        async with self._hub_hands:
            await self._restores.restore_hub()

    async def _kill_daemon(self) -> None:
        async with self._box_hands:
            self._world.tally.count("daemon_kill")
            await self._world.box.kill_daemon()
            await self._lasts(DAEMON_DOWN_S)
            self._world.box.start_daemon()

    async def _kill_at_commit(self) -> None:
        """One of the next commits is the one to strike at; often of those that take in what the hub sent."""
        self._aim = asyncio.get_running_loop().create_future()
        self._aim_commits = self._randomness.randint(1, AIM_COMMITS_MAX)
        self._aim_needs_page = self._randomness.random() < AIM_AT_PAGES_SHARE
        try:
            async with asyncio.timeout(AIM_S_MAX):
                at_s = await self._aim
        except TimeoutError:
            return
        await asyncio.sleep(at_s)
        if not self._box_hands.locked():
            self._world.tally.count("daemon_kill_at_commit")
            await self._kill_daemon()

    async def _copy_replica(self) -> None:
        while not self._world.over:
            await asyncio.sleep(self._randomness.uniform(*COPY_EVERY_S))
            if self._world.box.up:
                self._world.box.copy_replica()

    async def _jump_clock(self) -> None:
        self._world.tally.count("wall_clock_jump")
        self._world.clock.put_wrong(1000 * self._randomness.choice(CLOCK_JUMPS_S))
        await self._lasts(CLOCK_WRONG_S)
        self._world.clock.put_wrong(0)

    async def _fill_disk(self) -> None:
        """Something else eats the disk: the books find no room for one more page, until somebody clears it."""
        self._world.tally.count("disk_full")
        self._world.disk.fill(full=True)
        await self._lasts(DISK_FULL_S)
        self._world.disk.fill(full=False)

    async def _lose_bell(self) -> None:
        self._world.tally.count("doorbell_lost")
        self._world.bell.break_down()
        await self._lasts(BELL_LOST_S)
        self._world.bell.mend()

    # --- tills ----------------------------------------------------------------------------------------------------

    async def _send_till_away(self) -> None:
        """Its line to the store is cut; it sells on, by its copy of the price book or by its own prices."""
        till = self._randomness.choice(self._tills)
        if not till.line.there:
            return
        self._world.tally.count("till_line_cut")
        till.line.cut()
        low_s, high_s = TILL_AWAY_S
        await self._lasts((low_s, min(high_s, max(low_s + 1, self._world.plan.duration_s))))
        till.line.mend()

    async def _put_till_clock_wrong(self) -> None:
        till = self._randomness.choice(self._tills)
        self._world.tally.count("till_clock_jump")
        till.wrong_ms = 1000 * self._randomness.choice(TILL_CLOCK_WRONG_BY_S)
        await self._lasts(TILL_CLOCK_WRONG_S)
        till.wrong_ms = 0

    # --- radio and labels -----------------------------------------------------------------------------------------

    async def _reset_radio(self) -> None:
        self._world.tally.count("radio_reset")
        await self._world.floor.radio.restart()

    async def _unplug(self) -> None:
        world = self._world
        world.tally.count("serial_unplugged")
        world.floor.port.unplug()
        if self._randomness.random() < RADIO_TOO_SHARE:
            world.floor.radio.power_off()
        await self._lasts(UNPLUGGED_S)
        await world.floor.radio.restart()
        world.floor.port.plug_in()

    async def _cut_label_power(self) -> None:
        """A battery falls out. One that falls out while its label draws leaves a screen that no proof speaks of:
        a person takes that label off until it has drawn again."""
        world = self._world
        label = self._randomness.choice(list(world.floor.labels.values()))
        if label.address in world.floor.off_shelf or label.address in world.floor.lost:
            return
        world.tally.count("label_power_cut")
        world.eyes.look()
        drawing = bool(label.said_done) and (not label.history or label.history[-1].at_s < label.said_done[-1].at_s)
        drawn = len(label.history)
        label.cut_power()
        if drawing:
            world.tally.count("label_power_cut_while_drawing")
            await self._staff.take_off(label.address, "its battery fell out while it drew")
        await self._lasts(LABEL_OFF_S)
        label.restore_power()
        if drawing:
            await asyncio.sleep(world.plan.check_in_s * 4)
            if len(label.history) > drawn and label.address not in world.floor.lost:
                await self._staff.put_back(label.address)

    async def _lose_label(self) -> None:
        """Gone for good, with its price on it; after a while somebody notices, and takes it off the books."""
        world = self._world
        address = self._randomness.choice(list(world.floor.labels))
        if address in world.floor.off_shelf or len(world.floor.labels) < world.plan.labels // 2:
            return
        world.tally.count("label_lost")
        world.eyes.look()
        world.floor.lost[address] = world.floor.shelf.take_away(address)
        if self._randomness.random() < NOTICED_SHARE:
            await asyncio.sleep(self._randomness.uniform(60, 1200))
        elif not await self._staff.told_of(address):
            return
        await self._staff.take_off(address, "lost")

    async def _lasts(self, bounds_s: tuple[float, float]) -> None:
        """Most things are over soon."""
        low_s, high_s = bounds_s
        await asyncio.sleep(min(high_s, low_s + self._randomness.expovariate(4 / (high_s - low_s))))
