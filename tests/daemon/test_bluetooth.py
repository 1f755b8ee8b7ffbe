"""The whole daemon with a Bluetooth adapter: what a shop with labels of that kind lives with."""

import asyncio
import contextlib
import random
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from drivers.ble.drawing import SILENT_S_MAX
from drivers.ble.makers import dialects
from drivers.ble.station import BluetoothStation
from drivers.gicisky.picture_codec import label_types
from drivers.port import BaseStation, EventSink
from drivers.virtual.bluetooth import REALISTIC, VirtualAir
from drivers.virtual.bluetooth_backend import backends
from drivers.virtual.bluetooth_label import GiciskyOnAir
from drivers.virtual.gicisky_label import VirtualGiciskyLabel
from edge import settings as configuration
from edge.errors import ConfigurationError
from edge.virtual_time import run
from tests.daemon.virtual_box import MILK, TILL, YAML, VirtualBox

COUNTER = "base_stations: [{name: counter, driver: bluetooth, adapter: hci0}]\n"
LABEL = "ffff92000001"
REFRESH_S = 25.0
GRACE_S = 600.0


@contextlib.asynccontextmanager
async def a_box_with_bluetooth(directory: Path, counter: str = COUNTER
                               ) -> AsyncIterator[tuple[VirtualBox, VirtualGiciskyLabel]]:
    air = VirtualAir(random.Random(3), timing=REALISTIC)
    adapter = await air.add_adapter("hci0")
    label = VirtualGiciskyLabel(LABEL, label_types()[0x0033], asyncio.get_running_loop().time, refresh_s=REFRESH_S)
    await air.add_label(GiciskyOnAir(label))
    box = VirtualBox(directory, yaml=YAML + TILL + counter)

    def station(settings: configuration.BluetoothStation, on_event: EventSink, randomness: random.Random
                ) -> BaseStation:
        return BluetoothStation(settings.name, settings.adapter, on_event, randomness, backends=backends(adapter),
                                dialects=dialects(settings.makers))

    box.bluetooth_station = station
    box.start()
    try:
        yield box, label
    finally:
        await box.close()
        await air.close()


def test_p3_a_till_asks_more_only_after_the_panel_changed_and_the_shopper_walked(tmp_path: Path) -> None:
    async def scene() -> None:
        async with a_box_with_bluetooth(tmp_path) as (box, label):
            box.sells_milk_at(99)
            await box.label_shows_milk(LABEL)
            await asyncio.sleep(2 * GRACE_S)
            before = label.picture
            box.sells_milk_at(129)
            await box.until(lambda: box.label_out(LABEL).state != "shown")
            await box.until(lambda: box.label_out(LABEL).state == "shown")
            assert label.picture == before, "the proof comes before the panel changes (esl.md 3.3)"
            await asyncio.sleep(REFRESH_S + GRACE_S)
            assert label.picture != before
            assert await box.charge(MILK) == 99, "the type's settle time is longer than this panel's refresh"
            await asyncio.sleep(label_types()[0x0033].settle_s + SILENT_S_MAX)
            assert await box.charge(MILK) == 129

    run(scene())


def test_p7_a_label_without_power_holds_the_old_price_and_catches_up(tmp_path: Path) -> None:
    async def scene() -> None:
        async with a_box_with_bluetooth(tmp_path) as (box, label):
            box.sells_milk_at(99)
            await box.label_shows_milk(LABEL)
            label.cut_power()
            box.sells_milk_at(129)
            await asyncio.sleep(3600)
            assert box.label_out(LABEL).state != "shown"
            assert await box.charge(MILK) == 99
            label.restore_power()
            await box.until(lambda: box.label_out(LABEL).state == "shown", within_s=1200)
            await asyncio.sleep(60 + SILENT_S_MAX + GRACE_S + 60)
            assert await box.charge(MILK) == 129

    run(scene())


def test_p3_a_label_whose_power_fails_between_its_proof_and_its_new_panel_holds_the_old_price(tmp_path: Path) -> None:
    async def scene() -> None:
        async with a_box_with_bluetooth(tmp_path) as (box, label):
            box.sells_milk_at(99)
            await box.label_shows_milk(LABEL)
            await asyncio.sleep(2 * GRACE_S)
            before = label.picture
            box.sells_milk_at(129)
            await box.until(lambda: box.label_out(LABEL).state != "shown")
            await box.until(lambda: box.label_out(LABEL).state == "shown")
            label.cut_power()
            await asyncio.sleep(6 * GRACE_S)
            label.restore_power()
            assert label.picture == before
            assert box.label_out(LABEL).state != "shown"
            assert await box.charge(MILK) == 99
            await box.until(lambda: box.label_out(LABEL).state == "shown", within_s=1200)
            await asyncio.sleep(REFRESH_S + label_types()[0x0033].settle_s + SILENT_S_MAX + GRACE_S)
            assert label.picture != before
            assert await box.charge(MILK) == 129

    run(scene())


def test_a_store_whose_daemon_was_killed_while_it_delivered_shows_the_price_after_the_start(tmp_path: Path) -> None:
    async def scene() -> None:
        async with a_box_with_bluetooth(tmp_path) as (box, label):
            box.sells_milk_at(99)
            await box.until(lambda: any(each.label == LABEL for each in box.daemon.rooms.labels.all()))
            await box.daemon.rooms.labels.bind(LABEL, MILK, "ana", "bound")
            await asyncio.sleep(3)
            await box.kill()
            assert label.picture is None
            box.start()
            await box.until(lambda: box.label_out(LABEL).state == "shown")
            await asyncio.sleep(REFRESH_S)
            assert label.picture is not None

    run(scene())


@pytest.mark.parametrize(("makers", "proposed"), [("gicisky", [LABEL]), ("zhsunyco", [])])
def test_only_labels_of_the_makers_that_a_station_serves_are_proposed(tmp_path: Path, makers: str,
                                                                       proposed: list[str]) -> None:
    async def scene() -> None:
        counter = COUNTER.replace("hci0", f"hci0, makers: [{makers}]")
        async with a_box_with_bluetooth(tmp_path, counter) as (box, _):
            await asyncio.sleep(120)
            assert [each.label for each in box.daemon.rooms.labels.all()] == proposed

    run(scene())


def test_the_settings_know_every_maker_there_is() -> None:
    station = configuration.BluetoothStation(name="counter", adapter="hci0")
    assert station.makers == tuple(each.maker for each in dialects())


def test_a_bluetooth_station_without_bleak_is_one_clear_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "drivers.ble.station", None)

    async def scene() -> None:
        box = VirtualBox(tmp_path, yaml=YAML + TILL + COUNTER)
        try:
            with pytest.raises(ConfigurationError, match=r"counter: Bluetooth needs .*trastienda\[ble\]"):
                box.start()
        finally:
            await box.close()

    run(scene())
