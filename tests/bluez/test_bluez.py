"""The station over bleak's own BlueZ backend: a private bus, a bluetoothd in software, the virtual air behind it.

Elsewhere bleak is given a backend of ours. Here it is as in a shop, in real time: what BlueZ says differently, and how
the station outlives a bluetoothd, a bus or an adapter that goes.
"""

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

import pytest

from drivers.ble import station as station_module
from drivers.ble.station import BluetoothStation
from drivers.port import DriverEvent, OfferRefused, Seen, Shown, StationChanged, StationState, Telemetry
from drivers.virtual.bluetooth import Reach
from tests.bluez.fake_bluez import FakeBlueZ
from tests.bluez.private_bus import PrivateBus
from tests.drivers.bluetooth_aisle import BluetoothAisle, a_bluetooth_aisle

G, Z = "ffff92000000", "3d0000000000"
WITHIN_S = 60.0  # far more than it takes: only a hang comes near


@pytest.fixture
def bus(monkeypatch: pytest.MonkeyPatch):
    with PrivateBus() as private:
        monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", private.address)
        yield private


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Waits that shops can afford."""
    for name, seconds in {"PROBE_S": 0.5, "CONNECT_TIMEOUT_S": 3.0, "DISCONNECT_S_MAX": 1.0,
                          "START_S_MAX": 2.0}.items():
        monkeypatch.setattr(station_module, name, seconds)
    monkeypatch.setattr("drivers.back_off.BACK_OFF_MAX_S", 0.5)
    monkeypatch.setattr("drivers.ble.queue.RETRY_FIRST_S", 0.2)


@dataclass
class Shop:
    """One box: an adapter, its bluetoothd, a station on it, and labels."""

    aisle: BluetoothAisle
    bluez: FakeBlueZ
    station: BluetoothStation

    @property
    def events(self) -> list[DriverEvent]:
        return self.aisle.events

    async def until(self, true: Callable[[], bool]) -> None:
        await self.aisle.until(true, within_s=WITHIN_S)

    async def listens(self) -> None:
        await self.until(lambda: self.station.state is StationState.READY)

    async def is_away(self) -> None:
        await self.until(lambda: self.station.state is not StationState.READY)

    async def hears(self, *labels: str) -> None:
        await self.until(lambda: set(labels) <= {event.label for event in self.events if isinstance(event, Seen)})

    async def shows(self, label: str, seed: int) -> None:
        """What a planner does: offer until it is proven; then the label shows it."""
        picture, blob = self.aisle.draw(label, seed)
        async with asyncio.timeout(WITHIN_S):
            while Shown(label, blob.version) not in self.events:
                with contextlib.suppress(OfferRefused):
                    await self.station.offer(label, blob)
                with contextlib.suppress(TimeoutError):
                    await self.aisle.until(lambda: Shown(label, blob.version) in self.events, within_s=10)
        assert self.aisle.labels[label].picture == picture


def a_station(aisle: BluetoothAisle, adapter: str) -> BluetoothStation:
    """On bleak's own backend."""
    station = BluetoothStation(f"counter {adapter}", adapter, aisle.hear, random.Random(1))
    for label in aisle.labels:
        station.adopt(label, "gicisky:0033" if label.startswith("ff") else "zhsunyco:62")
    return station


@contextlib.asynccontextmanager
async def a_shop(gicisky_labels: int = 1, easytag_labels: int = 0, *, adapters: int = 1, daemon: bool = True,
                 run: bool = True) -> AsyncIterator[Shop]:
    """`daemon`: whether bluetoothd runs from the beginning; `run`: whether the station on the first adapter does."""
    async with a_bluetooth_aisle(gicisky_labels, easytag_labels, adapters=adapters, run=False) as aisle:
        bluez = FakeBlueZ(*aisle.adapters)
        if daemon:
            await bluez.start()
        station = a_station(aisle, "hci0")
        aisle.stations[:] = [station]
        running = asyncio.create_task(station.run()) if run else None
        try:
            yield Shop(aisle, bluez, station)
            assert running is None or not running.done(), f"ended by itself: {running}"
        finally:
            if running is not None:
                running.cancel()
                await asyncio.gather(running, return_exceptions=True)
            await bluez.die()


async def test_labels_of_two_makers_are_heard_and_show_what_they_are_offered(bus):
    async with a_shop(2, 1) as shop:
        await shop.hears(*shop.aisle.labels)
        assert {event.description.type_name for event in shop.events if isinstance(event, Seen)} == {
            "gicisky:0033", "zhsunyco:62"}
        assert Telemetry(G, 2900, None, -60) in shop.events
        for seed, label in enumerate(shop.aisle.labels):
            await shop.shows(label, seed)
        assert shop.bluez.connected() == []


async def test_a_bluez_that_does_not_tell_the_mtu_gets_small_writes(bus):
    async with a_shop() as shop:
        await shop.hears(G)
        shop.bluez.mood.tells_mtu = False
        await shop.shows(G, 1)
        assert max(map(len, shop.aisle.labels[G].writes)) == 20


async def test_a_bluez_that_tells_the_mtu_gets_whole_parts(bus):
    async with a_shop() as shop:
        await shop.hears(G)
        await shop.shows(G, 1)
        assert max(map(len, shop.aisle.labels[G].writes)) == 244


async def test_a_connection_that_a_killed_program_left_is_closed_at_the_start(bus):
    async with a_shop(run=False) as shop:
        await shop.bluez.connect_for_another(shop.aisle.adapters[0], G)
        assert shop.bluez.connected() == [G]
        running = asyncio.create_task(shop.station.run())
        await shop.hears(G)
        assert shop.bluez.connected() == []
        await shop.shows(G, 1)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def test_without_bluetoothd_the_station_waits_and_says_so_once(bus, capsys):
    async with a_shop(daemon=False) as shop:
        progress = shop.station.progress
        await shop.until(lambda: shop.station.progress > progress + 10)
        assert shop.station.state is not StationState.READY
        await shop.bluez.start()
        await shop.hears(G)
        await shop.shows(G, 1)
    assert capsys.readouterr().out.count("adapter lost") == 1


async def test_an_adapter_that_is_pulled_out_is_missed_and_served_again_when_it_is_back(bus):
    async with a_shop() as shop:
        adapter = shop.aisle.adapters[0]
        await shop.hears(G)
        await shop.bluez.pull_out(adapter)
        await shop.is_away()
        await shop.bluez.plug_in(adapter)
        await shop.listens()
        await shop.shows(G, 1)


async def test_an_adapter_that_is_pulled_out_where_no_label_was_ever_heard_is_missed_too(bus):
    async with a_shop(0) as shop:
        await shop.listens()
        await shop.bluez.pull_out(shop.aisle.adapters[0])
        await shop.is_away()


async def test_an_adapter_that_is_switched_off_is_missed_and_served_again(bus):
    async with a_shop() as shop:
        adapter = shop.aisle.adapters[0]
        await shop.hears(G)
        await shop.bluez.switch(adapter, on=False)
        await shop.is_away()
        await shop.bluez.switch(adapter, on=True)
        await shop.listens()
        await shop.shows(G, 1)


async def test_p7_a_bluetoothd_that_dies_within_a_picture_proves_nothing_and_the_picture_comes_with_the_next_one(bus):
    async with a_shop() as shop:
        await shop.hears(G)
        _, blob = shop.aisle.draw(G, 1)
        await shop.station.offer(G, blob)
        await shop.until(lambda: len(shop.aisle.labels[G].writes) > 3)
        await shop.bluez.die()
        await shop.is_away()
        assert [event for event in shop.events if isinstance(event, Shown)] == []
        await shop.bluez.start()
        await shop.listens()
        await shop.shows(G, 2)


@pytest.mark.parametrize("busy", [False, True], ids=["idle", "within a picture"])
async def test_a_bluetoothd_that_hangs_is_no_hang_of_ours(bus, monkeypatch, busy):
    monkeypatch.setattr(station_module, "DELIVERY_S_MAX", 2.0)
    async with a_shop() as shop:
        await shop.hears(G)
        if busy:
            _, blob = shop.aisle.draw(G, 1)
            await shop.station.offer(G, blob)
            await shop.until(lambda: len(shop.aisle.labels[G].writes) > 3)
        shop.bluez.mood.hangs = True
        await shop.is_away()
        for _ in range(3):
            progress = shop.station.progress
            await asyncio.sleep(2 * station_module.DISCONNECT_S_MAX)
            assert shop.station.progress > progress, "the watchdog would take this for a hang"
        await shop.bluez.die()
        shop.bluez.mood.hangs = False
        await shop.bluez.start()
        await shop.listens()
        await shop.shows(G, 2)


async def test_a_bus_that_dies_is_outlived(bus):
    async with a_shop() as shop:
        await shop.hears(G)
        bus.stop()
        await shop.bluez.die()
        await shop.is_away()
        bus.start()
        await shop.bluez.start()
        await shop.listens()
        await shop.shows(G, 1)


async def test_p7_a_label_that_goes_out_of_reach_within_a_picture_proves_nothing_and_gets_it_when_it_is_back(bus):
    async with a_shop() as shop:
        await shop.hears(G)
        _, blob = shop.aisle.draw(G, 1)
        await shop.station.offer(G, blob)
        await shop.until(lambda: len(shop.aisle.labels[G].writes) > 3)
        shop.aisle.air.set_reach("hci0", G, Reach(loss=1.0))
        await shop.until(lambda: shop.bluez.connected() == [])
        assert [event for event in shop.events if isinstance(event, Shown)] == []
        shop.aisle.air.set_reach("hci0", G, Reach())
        await shop.shows(G, 1)


async def test_a_label_whose_object_bluez_removed_is_heard_anew_and_connected_to(bus):
    async with a_shop() as shop:
        await shop.hears(G)
        shop.bluez.forget(G)
        await shop.shows(G, 1)


@pytest.mark.parametrize("text", ["le-connection-abort-by-local", "Software caused connection abort",
                                  "br-connection-canceled"])
async def test_a_connection_that_bluez_gives_up_is_tried_again(bus, text):
    async with a_shop() as shop:
        await shop.hears(G)
        shop.bluez.mood.connect_refusals = [text]
        await shop.shows(G, 1)


async def test_writes_that_are_refused_while_another_one_is_in_progress_are_written_in_the_end(bus):
    async with a_shop() as shop:
        await shop.hears(G)
        shop.bluez.mood.busy = 5
        await shop.shows(G, 1)


async def test_the_signal_of_a_label_is_unknown_once_discovery_ended(bus, monkeypatch):
    monkeypatch.setattr(station_module, "SEEN_AGAIN_S", 0.0)
    async with a_shop() as shop:
        await shop.hears(G)
        await shop.bluez.switch(shop.aisle.adapters[0], on=False)
        await shop.is_away()
        assert {event.rssi_dbm for event in shop.events if isinstance(event, Telemetry)} == {-60, None}


async def test_two_adapters_of_one_bluetoothd_deliver_side_by_side_each_by_its_own(bus):
    async with a_shop(2, adapters=2) as shop:
        other = a_station(shop.aisle, "hci1")
        running = asyncio.create_task(other.run())
        await shop.hears(*shop.aisle.labels)
        await shop.until(lambda: all(other.describe(label) for label in shop.aisle.labels))
        await shop.until(lambda: other.state is StationState.READY)
        blobs = {}
        for station, label in zip((shop.station, other), shop.aisle.labels, strict=True):
            _, blobs[label] = shop.aisle.draw(label, 1)
            await station.offer(label, blobs[label])
        await shop.until(lambda: len(shop.bluez.connected()) == 2)
        for label, blob in blobs.items():
            await shop.aisle.proven(label, blob, within_s=WITHIN_S)
        assert {path.split("/")[3] for member, path in shop.bluez.log if member == "WriteValue"} == {"hci0", "hci1"}
        assert [adapter.connected_max for adapter in shop.aisle.adapters] == [1, 1]
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def test_a_station_that_is_stopped_within_a_picture_hangs_up_and_stops_listening(bus):
    async with a_shop(run=False) as shop:
        running = asyncio.create_task(shop.station.run())
        await shop.hears(G)
        _, blob = shop.aisle.draw(G, 1)
        await shop.station.offer(G, blob)
        await shop.until(lambda: len(shop.aisle.labels[G].writes) > 3)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        assert shop.bluez.connected() == []
        assert [member for member, _ in shop.bluez.log if "Discovery" in member][-2:] == [
            "StopDiscovery", "SetDiscoveryFilter"]
        assert shop.aisle.kinds(Shown) == []


async def test_a_box_that_may_not_speak_to_bluetoothd_is_told_so(monkeypatch):
    with PrivateBus(deny="org.bluez") as strict:
        monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", strict.address)
        async with a_shop() as shop:
            def said() -> list[str]:
                return [event.detail for event in shop.events if isinstance(event, StationChanged)]

            await shop.until(lambda: any("AccessDenied" in detail for detail in said()))
