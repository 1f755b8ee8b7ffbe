"""A hub restored to before what the store still keeps: said plainly, never tried in a loop, nothing more forgotten."""

import asyncio
from pathlib import Path

import pytest
import structlog
import structlog.testing

from cloud_sync.client.limits import HELLO_EVERY_S, PUSH_ENTRIES_MAX
from cloud_sync.client.link_state import FenceReason
from edge import forgetting
from edge.db.ledger import entries_after
from edge.limits import LEDGER_KEEP_DAYS
from edge.virtual_time import run
from tests.daemon.test_trouble import put
from tests.daemon.virtual_box import VirtualBox, virtual_box

DAY_MS, SOME_PRUNINGS_S = 86_400_000, 240.0


def oldest_and_newest(box: VirtualBox) -> tuple[int, int]:
    oldest, newest = box.daemon.rooms.store.books.ledger_reader.execute(
        "SELECT MIN(sequence), MAX(sequence) FROM entry").fetchone()
    return oldest, newest


async def months_pass(box: VirtualBox) -> None:
    """Switched off meanwhile; only the calendar moves, for the label beside it would check in half a million times."""
    await box.stop()
    box.clock.switch_off()
    box.clock._start_wall_ms += (LEDGER_KEEP_DAYS + 1) * DAY_MS
    box.clock.switch_on()
    box.start()


def test_p1_p9_a_hub_restored_to_before_the_anchor_is_told_which_entries_are_gone(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forgetting, "PRUNE_EVERY_S", 60.0)

    async def scene() -> None:
        async with virtual_box(tmp_path) as box:
            box.sells_milk_at(99)
            await box.until(lambda: box.daemon.rooms.link.state.up)
            for sequence in range(20):
                await put(box, sequence)
            await box.until(lambda: len(box.hub.ledgers.get(1, ())) == 20)
            await months_pass(box)
            await asyncio.sleep(SOME_PRUNINGS_S)
            assert oldest_and_newest(box) == (20, 20)
            for sequence in range(20, 30):
                await put(box, sequence)
            await box.until(lambda: len(box.hub.ledgers[1]) == 30)

            backup, box.hub.ledgers[1] = box.hub.ledgers[1], box.hub.ledgers[1][:7]
            asked, pushed = len(box.hub.requests), len(box.hub.pushes)
            with structlog.testing.capture_logs() as said:
                await asyncio.sleep(3 * HELLO_EVERY_S)
            link = box.daemon.rooms.link.state
            assert link.fence is not None
            assert link.fence.reason is FenceReason.PRUNED
            assert [each["reason"] for each in said if "FENCED" in each["event"]] == ["pruned"]
            assert len(box.hub.pushes) - pushed <= 1
            hellos = [path for _, path in box.hub.requests[asked:] if "hello" in path]
            assert len(hellos) <= 3 + 2
            issues = {issue.key: issue.what for issue in box.daemon.rooms.issues.now()}
            assert issues["ledger-forgotten"] == (
                "The hub lost entries of this store that are no longer kept here: 8 to 19")
            assert "ledger-fenced" not in issues
            assert (await put(box, 30))[0] == 201, "it sells on"

            await months_pass(box)
            await asyncio.sleep(3 * HELLO_EVERY_S)
            assert oldest_and_newest(box) == (20, 31), "what the hub does not hold is not forgotten, however old"

            _, entries = entries_after(box.daemon.rooms.store.books.ledger_reader,
                                       box.daemon.rooms.store.books.chain, 20, PUSH_ENTRIES_MAX)
            box.hub.ledgers[1] = backup[:25]
            await box.until(lambda: len(box.hub.ledgers[1]) == 31, within_s=2 * HELLO_EVERY_S)
            assert box.hub.ledgers[1][20:] == tuple(entries)
            assert "ledger-forgotten" not in {issue.key for issue in box.daemon.rooms.issues.now()}

    run(scene())
