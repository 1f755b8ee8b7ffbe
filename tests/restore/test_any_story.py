"""Whatever disks die and come back in whatever order: in the end both sides hold the same facts, each once.

Expected are all facts that were on any disk which is still there after the last loss.
"""

import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edge.virtual_time import run
from tests.restore.world import Box, Town, sale_key

ACTIONS = ("sells", "sells", "sells", "settles", "cut", "mend", "copy", "restore", "restart", "replace", "hub copy",
           "hub restore")
STORIES = st.lists(st.tuples(st.sampled_from(ACTIONS), st.integers(0, 5)), min_size=4, max_size=25)


class Story:
    """One town and everything that was promised in it."""

    def __init__(self, directory: Path) -> None:
        self.hub_file = directory / "hub.db"
        self.town = Town(f"sqlite:///{self.hub_file}", directory)
        self.copies: list[Path] = []
        self.hub_copies: list[bytes] = []
        self.expected: set[str] = set()
        self.sold = 0
        self.replaced = 0

    @property
    def box(self) -> Box:
        return self.town.boxes[-1]

    async def play(self, story: list[tuple[str, int]]) -> None:
        await self.town.begin()
        try:
            for action, choice in story:
                await getattr(self, "_" + action.replace(" ", "_"))(choice)
            self.box.wire.cut = False
            await self.town.agree(self.box)
            assert self.expected <= self.box.fact_keys()
        finally:
            await self.town.end()

    async def _sells(self, choice: int) -> None:
        """A new sale; or, at 0, one that some till sends again because its answer was lost."""
        self.sold += choice > 0 or not self.sold
        await self.box.sells(self.sold, ("milk", "bread")[self.sold % 2])
        self.expected.add(sale_key(self.sold))

    async def _settles(self, _choice: int) -> None:
        if not self.box.wire.cut:
            await self.town.agree(self.box)

    async def _cut(self, _choice: int) -> None:
        self.box.wire.cut = True

    async def _mend(self, choice: int) -> None:
        self.box.wire.cut = False
        await self.box.kit.time_passes(choice / 10)

    async def _copy(self, _choice: int) -> None:
        self.copies.append(self.box.backs_up())

    async def _restore(self, choice: int) -> None:
        if not self.copies:
            return
        await self.box.is_restored(self.copies[choice % len(self.copies)])
        await self._lost()

    async def _restart(self, _choice: int) -> None:
        await self.box.restarts()

    async def _replace(self, _choice: int) -> None:
        await self.box.is_killed()
        self.replaced += 1
        box = await self.town.enrols(f"box {self.replaced}")
        await box.starts()
        await self._lost()

    async def _hub_copy(self, _choice: int) -> None:
        self.town.hub.stop()
        self.hub_copies.append(self.hub_file.read_bytes())
        self.town.hub.start()

    async def _hub_restore(self, choice: int) -> None:
        """The operator puts a backup back, says so, and enrolls the box anew: this hub may not know it."""
        if not self.hub_copies:
            return
        content = self.hub_copies[choice % len(self.hub_copies)]
        self.town.hub.stop()
        for leftover in self.hub_file.parent.glob("hub.db-*"):
            leftover.unlink()
        self.hub_file.write_bytes(content)
        self.town.hub.start()
        self.town.hub.storage.database.renew_after_restore()
        self.box.token = f"token {self.town.tick()}"
        await self.town.trades(await self.town.makes_code(), self.box.token)
        await self.box.restarts()
        await self._lost()

    async def _lost(self) -> None:
        """A disk is gone: what is on no other is gone with it."""
        self.expected &= self.box.fact_keys() | set(await self.town.hub_facts())


def tell(story: list[tuple[str, int]]) -> None:
    directory = Path(tempfile.mkdtemp(prefix="trastienda-story-"))
    try:
        run(Story(directory).play(story))
    finally:
        shutil.rmtree(directory, ignore_errors=True)


@pytest.mark.slow
@settings(max_examples=8, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
@given(STORIES)
def test_p9_any_story_ends_in_one_truth(story: list[tuple[str, int]]) -> None:
    tell(story)


@pytest.mark.soak
@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(STORIES)
def test_p9_many_stories_end_in_one_truth(story: list[tuple[str, int]]) -> None:
    tell(story)


def test_p2_a_box_and_its_hub_that_both_go_back_in_time() -> None:
    tell([("sells", 1), ("hub copy", 0), ("sells", 1), ("copy", 0), ("sells", 1), ("settles", 0), ("restore", 0),
          ("sells", 1), ("settles", 0), ("hub restore", 0), ("sells", 1), ("restore", 0), ("replace", 0), ("sells", 1)])
