"""A label whose battery ends, or that is heard no more, is an issue that ends by itself."""

import asyncio
from pathlib import Path

from edge.limits import LABEL_SILENT_S, TELEMETRY_ALL_S
from edge.virtual_time import run
from tests.daemon.virtual_box import LABEL, VirtualBox, virtual_box


def issue(box: VirtualBox, key: str) -> str | None:
    return next((each.what for each in box.daemon.rooms.issues.now() if each.key == key), None)


def test_a_low_battery_is_said_until_it_is_replaced(tmp_path: Path) -> None:
    async def scene() -> None:
        async with virtual_box(tmp_path) as box:
            box.sells_milk_at(99)
            await box.label_shows_milk()
            assert issue(box, "labels-battery") is None
            box.label.battery_mv = 2350
            await box.until(lambda: issue(box, "labels-battery") is not None, within_s=2 * TELEMETRY_ALL_S)
            assert issue(box, "labels-battery") == f"1 labels have a low battery, {LABEL} among them"
            box.label.battery_mv = 3050
            await box.until(lambda: issue(box, "labels-battery") is None, within_s=2 * TELEMETRY_ALL_S)

    run(scene())


def test_a_silent_label_is_said_until_it_is_heard_again(tmp_path: Path) -> None:
    async def scene() -> None:
        async with virtual_box(tmp_path) as box:
            box.sells_milk_at(99)
            await box.label_shows_milk()
            await asyncio.sleep(LABEL_SILENT_S + TELEMETRY_ALL_S)
            assert issue(box, "labels-silent") is None
            box.label.cut_power()
            await asyncio.sleep(LABEL_SILENT_S / 2)
            assert issue(box, "labels-silent") is None
            await box.until(lambda: issue(box, "labels-silent") is not None, within_s=LABEL_SILENT_S)
            assert issue(box, "labels-silent") == f"1 labels were not heard for 4 hours, {LABEL} among them"
            box.label.restore_power()
            await box.until(lambda: issue(box, "labels-silent") is None, within_s=2 * TELEMETRY_ALL_S)

    run(scene())


def test_a_label_that_somebody_excluded_is_nobodys_issue(tmp_path: Path) -> None:
    async def scene() -> None:
        async with virtual_box(tmp_path) as box:
            box.sells_milk_at(99)
            await box.label_shows_milk()
            box.label.cut_power()
            await box.daemon.rooms.labels.exclude(LABEL, "ana", "gone", "Gone")
            await asyncio.sleep(2 * LABEL_SILENT_S)
            assert issue(box, "labels-silent") is None

    run(scene())


def test_after_a_night_without_power_nothing_is_silent_before_the_store_listened_long_enough(tmp_path: Path) -> None:
    async def scene() -> None:
        async with virtual_box(tmp_path) as box:
            box.sells_milk_at(99)
            await box.label_shows_milk()
            box.label.cut_power()
            await box.stop()
            await asyncio.sleep(3 * LABEL_SILENT_S)
            box.start()
            await asyncio.sleep(LABEL_SILENT_S / 2)
            assert issue(box, "labels-silent") is None
            await box.until(lambda: issue(box, "labels-silent") is not None, within_s=LABEL_SILENT_S)

    run(scene())
