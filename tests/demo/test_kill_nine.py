"""kill -9 of the daemon, again and again, at random moments of a running store: what was said stays said.

Hub, daemon, lines, radios and labels are the demo's; only the outage is another: the daemon dies without a word,
sometimes while it is still starting, and is started again as systemd would.
"""

import asyncio
import random
import tempfile
from pathlib import Path

import pytest

from edge.clock import SystemClock
from edge.proving.sightings import LedgerEntry
from edge.proving.stage.books import open_claims, store_books
from edge.proving.stage.premises import STORE_ID, free_port
from edge.proving.stage.show import Script, Show, violations_of

KILLS = 22
KILLED_WHILE_STARTING_EVERY = 5
SEED = 20261122
TIME_LIMIT_S = 600
"""Far above what it takes (a minute and a half on a machine with nothing else to do is already slow)."""


class Box:
    """The store's computer: kills the daemon and looks at what the disk holds before it is started again."""

    def __init__(self, show: Show) -> None:
        self._show = show
        self._randomness = random.Random(SEED)
        self._ledger: tuple[LedgerEntry, ...] = ()
        self.kills = 0
        self.lost_claims: list[str] = []
        self.lost_entries: list[str] = []

    async def kill(self) -> None:
        await self._show.kill_store()
        self.kills += 1
        premises = self._show.premises
        books = store_books(premises.state_directory, premises.database_key, STORE_ID)
        if books.entries[:len(self._ledger)] != self._ledger:
            self.lost_entries.append(f"kill {self.kills}: an entry that stood in the ledger before is gone or another")
        self._ledger = books.entries
        self._show.look_at_shelf()
        claims = open_claims(premises.state_directory, premises.database_key, SystemClock())
        self.lost_claims += self._show.play.witness.claims_stand(claims)

    async def kill_while_it_starts(self) -> None:
        await self._show.premises.store.start()
        await asyncio.sleep(self._randomness.uniform(0.0, 1.2))
        await self.kill()

    async def live_on(self) -> None:
        await self._show.start_store()
        await asyncio.sleep(self._randomness.uniform(0.1, 1.6))
        self._show.check()


@pytest.mark.slow
@pytest.mark.timeout(TIME_LIMIT_S)
@pytest.mark.xdist_group("whole store")
async def test_p1_kill_nine_at_random_moments_loses_nothing_that_was_acknowledged_proven_or_shown():
    directory = Path(tempfile.mkdtemp(prefix="demo-"))  # a short path, for sockets; the show removes it
    show = Show(Script(labels=24, port=free_port(), seed=SEED), directory, SystemClock())
    box = Box(show)
    try:
        await show.open()
        show.begin()
        await asyncio.sleep(4.0)
        while box.kills < KILLS:
            await box.kill()
            if box.kills % KILLED_WHILE_STARTING_EVERY == 0:
                await box.kill_while_it_starts()
            await box.live_on()
        ending = await show.end()
    finally:
        await show.close()
    checked = {finding.promise: finding.checked for finding in ending.findings}
    broken = [each for each in violations_of(ending) if each != "P8: never put to the test"]

    assert broken == []
    assert box.lost_entries == []
    assert box.lost_claims == []
    assert all(checked[promise] > 0 for promise in ("P1", "P2", "P3", "P4", "P5", "P7")), checked
    assert sum(1 for entry in ending.store.entries if entry.kind == "proof") > 24, "labels went on being changed"
