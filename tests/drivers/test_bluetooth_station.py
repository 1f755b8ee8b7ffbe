"""A Bluetooth station over a virtual air: bleak's ordinary API, bumble's controllers, the makers' labels."""

import asyncio
from dataclasses import replace

import pytest
from bleak import BleakClient, BleakScanner
from bleak.backends.device import BLEDevice
from bleak.backends.scanner import AdvertisementData
from bleak.exc import BleakDeviceNotFoundError, BleakError

from drivers.ble import station as station_module
from drivers.ble.drawing import SILENT_S_MAX
from drivers.ble.queue import ATTEMPTS_MAX, UNHEARD_S_MAX
from drivers.ble.station import CONNECT_TIMEOUT_S, HEARD_MAX, PROBE_S, QUIET_S_MAX, SEEN_AGAIN_S
from drivers.gicisky.session import GiciskyDialect
from drivers.port import (
    Ambiguous,
    Colour,
    Failed,
    OfferRefused,
    Progress,
    Seen,
    Shown,
    StationChanged,
    StationState,
    Telemetry,
)
from drivers.virtual.bluetooth import FAST, REALISTIC, Reach
from drivers.virtual.bluetooth_backend import backends
from tests.drivers.aisle import virtually
from tests.drivers.bluetooth_aisle import a_bluetooth_aisle

G, Z = "ffff92000000", "3d0000000000"
G_ADDRESS = "FF:FF:92:00:00:00"


@virtually
async def test_labels_of_two_makers_show_what_they_are_offered():
    async with a_bluetooth_aisle(3, 2) as aisle:
        await aisle.heard()
        wanted = {label: await aisle.offer(label, seed) for seed, label in enumerate(aisle.labels)}
        for label, (picture, blob) in wanted.items():
            await aisle.proven(label, blob)
            assert aisle.labels[label].picture == picture
        assert aisle.kinds(Failed) == []
        assert {event.label for event in aisle.kinds(Progress)} == set(aisle.labels)


@virtually
async def test_an_adapter_has_one_connection_at_a_time_and_several_adapters_work_side_by_side():
    async with a_bluetooth_aisle(6, adapters=2, timing=REALISTIC) as aisle:
        await aisle.heard()
        await asyncio.sleep(5)
        for number, label in enumerate(aisle.labels):
            _, blob = aisle.draw(label)
            await aisle.stations[number % 2].offer(label, blob)
        await asyncio.sleep(4)
        assert [len(adapter.peers()) for adapter in aisle.adapters] == [1, 1]
        await aisle.until(lambda: len(aisle.kinds(Shown)) == 6)
        assert [adapter.connected_max for adapter in aisle.adapters] == [1, 1]


@virtually
async def test_a_label_that_was_not_adopted_is_reported_and_not_served():
    async with a_bluetooth_aisle(1, 1, adopt=False) as aisle:
        await aisle.heard()
        assert {event.label for event in aisle.kinds(Seen)} == {G, Z}
        assert {event.description.type_name for event in aisle.kinds(Seen)} == {"gicisky:0033", "zhsunyco:62"}
        assert Telemetry(G, 2900, None, -60) in aisle.events
        with pytest.raises(OfferRefused, match="not adopted"):
            await aisle.offer(G)


@virtually
async def test_the_store_hears_of_a_label_now_and_then_not_every_second():
    async with a_bluetooth_aisle(1) as aisle:
        await aisle.heard()
        await asyncio.sleep(10 * SEEN_AGAIN_S)
        assert 9 <= len(aisle.kinds(Seen)) <= 11


@virtually
async def test_a_label_out_of_reach_does_not_keep_the_others_waiting():
    async with a_bluetooth_aisle(3) as aisle:
        await aisle.heard()
        aisle.air.set_reach("hci0", G, Reach(loss=1.0))
        await asyncio.sleep(60)
        offered = {label: await aisle.offer(label) for label in aisle.labels}
        began_s = asyncio.get_running_loop().time()
        for label in list(aisle.labels)[1:]:
            await aisle.proven(label, offered[label][1], within_s=30)
        assert asyncio.get_running_loop().time() - began_s < CONNECT_TIMEOUT_S
        aisle.air.set_reach("hci0", G, Reach())
        await aisle.proven(G, offered[G][1], within_s=30)


@virtually
async def test_labels_that_lost_power_just_now_hold_the_adapter_for_one_try_each_however_urgent_they_are():
    async with a_bluetooth_aisle(4) as aisle:
        await aisle.heard()
        *dead, alive = aisle.labels
        for label in dead:
            aisle.labels[label].cut_power()
            await aisle.offer(label, urgent=True)
        _, blob = await aisle.offer(alive)
        await aisle.proven(alive, blob, within_s=(len(dead) + 0.5) * CONNECT_TIMEOUT_S)
        await asyncio.sleep(UNHEARD_S_MAX)
        assert {event.reason for event in aisle.kinds(Failed)} == {"the label is not heard"}


@virtually
async def test_an_offer_to_a_label_that_is_gone_fails_in_the_end():
    async with a_bluetooth_aisle(1) as aisle:
        await aisle.heard()
        aisle.labels[G].cut_power()
        await asyncio.sleep(60)
        _, blob = await aisle.offer(G)
        await asyncio.sleep(UNHEARD_S_MAX + 10)
        assert aisle.kinds(Failed) == [Failed(G, blob.version, "the label is not heard")]


@virtually
async def test_p7_a_label_that_takes_no_picture_is_tried_three_times_and_then_has_failed():
    async with a_bluetooth_aisle(2) as aisle:
        await aisle.heard()
        aisle.labels[G].faults.refuses_streams = True
        _, blob = await aisle.offer(G)
        await aisle.until(lambda: bool(aisle.kinds(Failed)))
        (failed,) = aisle.kinds(Failed)
        assert failed == Failed(G, blob.version, failed.reason)
        assert "refuses" in failed.reason
        assert aisle.labels[G].picture is None
        assert aisle.kinds(Shown) == []
        assert ATTEMPTS_MAX == 3


@virtually
async def test_p7_power_lost_within_a_picture_proves_nothing_and_it_is_given_again():
    async with a_bluetooth_aisle(1, timing=REALISTIC) as aisle:
        await aisle.heard()
        picture, blob = await aisle.offer(G)
        await aisle.until(lambda: len(aisle.kinds(Progress)) > 5)
        aisle.labels[G].cut_power()
        await asyncio.sleep(20)
        assert aisle.kinds(Shown) == []
        aisle.labels[G].restore_power()
        await aisle.proven(G, blob)
        assert aisle.labels[G].picture == picture


@virtually
async def test_p7_a_label_that_falls_silent_while_it_draws_is_doubted_once_for_each_picture():
    async with a_bluetooth_aisle(2) as aisle:
        await aisle.heard()
        for seed in (1, 2):
            aisle.events.clear()
            for label in aisle.labels:
                _, blob = await aisle.offer(label, seed)
                await aisle.proven(label, blob)
            for _ in range(2):
                aisle.labels[G].cut_power()
                await asyncio.sleep(2 * SILENT_S_MAX)
                assert aisle.kinds(Ambiguous) == [Ambiguous(G)]
                aisle.events.remove(Shown(G, blob.version))
                aisle.labels[G].restore_power()
                _, blob = await aisle.offer(G, seed)
                await aisle.proven(G, blob)


@virtually
async def test_p7_a_label_that_draws_while_the_adapter_is_gone_is_doubted():
    async with a_bluetooth_aisle(1) as aisle:
        await aisle.heard()
        _, blob = await aisle.offer(G)
        await aisle.proven(G, blob)
        await aisle.adapters[0].power_off()
        await aisle.until(lambda: aisle.kinds(Ambiguous) == [Ambiguous(G)], within_s=2 * SILENT_S_MAX)
        assert aisle.station.state is not StationState.READY


@virtually
async def test_labels_that_are_heard_while_they_draw_are_not_doubted():
    async with a_bluetooth_aisle(3, timing=replace(FAST, advertising_s=15.24)) as aisle:
        await aisle.heard()
        for label in aisle.labels:
            _, blob = await aisle.offer(label)
            await aisle.proven(label, blob)
        await asyncio.sleep(600)
        for label in aisle.labels:
            aisle.labels[label].cut_power()
        await asyncio.sleep(600)
        assert aisle.kinds(Ambiguous) == []


@virtually
async def test_a_lossy_air_costs_time_and_no_picture():
    async with a_bluetooth_aisle(4, 2, timing=REALISTIC, nearby=Reach(-88, loss=0.3)) as aisle:
        await aisle.heard()
        wanted = {label: await aisle.offer(label, seed) for seed, label in enumerate(aisle.labels)}
        await aisle.until(lambda: all(aisle.labels[label].picture == picture
                                      for label, (picture, _) in wanted.items()), within_s=1800)
        assert Telemetry(G, 2900, None, -88) in aisle.events


@virtually
async def test_what_is_offered_anew_while_the_old_is_on_its_way_follows_it():
    async with a_bluetooth_aisle(1, timing=REALISTIC) as aisle:
        await aisle.heard()
        _, old = await aisle.offer(G, 1)
        await aisle.until(lambda: len(aisle.kinds(Progress)) > 5)
        picture, new = await aisle.offer(G, 2)
        await aisle.proven(G, new)
        assert [event.version for event in aisle.kinds(Shown)] == [old.version, new.version]
        assert aisle.labels[G].picture == picture


@virtually
async def test_an_urgent_picture_goes_before_those_that_wait():
    async with a_bluetooth_aisle(6) as aisle:
        await aisle.heard()
        *plain, urgent = aisle.labels
        for label in plain:
            await aisle.offer(label)
        await aisle.offer(urgent, urgent=True)
        await aisle.until(lambda: len(aisle.kinds(Shown)) == 6)
        assert urgent in [event.label for event in aisle.kinds(Shown)][:2]


@virtually
async def test_an_adapter_that_is_unplugged_is_waited_for_and_said_once(capsys):
    async with a_bluetooth_aisle(1, run=False) as aisle:
        (adapter,) = aisle.adapters
        await adapter.power_off()
        running = asyncio.create_task(aisle.station.run())
        for _ in range(30):
            progress = aisle.station.progress
            await asyncio.sleep(10)
            assert aisle.station.progress > progress, "the watchdog would take this for a hang"
        _, blob = aisle.draw(G)
        with pytest.raises(OfferRefused, match=r"offline|connecting"):
            await aisle.station.offer(G, blob)
        await adapter.power_on()
        await aisle.heard()
        _, blob = await aisle.offer(G)
        await aisle.proven(G, blob)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        said = capsys.readouterr().out
        assert said.count("adapter lost") == 1
        assert said.count("adapter back") == 1
        assert StationChanged(aisle.station.name, StationState.OFFLINE, "stopped") in aisle.events


@virtually
async def test_an_adapter_that_went_deaf_is_listened_to_anew():
    async with a_bluetooth_aisle(1) as aisle:
        await aisle.heard()
        await aisle.adapters[0].device.stop_scanning()
        heard = len(aisle.kinds(Seen))
        await aisle.until(lambda: len(aisle.kinds(Seen)) > heard, within_s=PROBE_S + SEEN_AGAIN_S)
        assert [event.state for event in aisle.kinds(StationChanged)][-1] is StationState.READY
        _, blob = await aisle.offer(G)
        await aisle.proven(G, blob)


@virtually
async def test_an_adapter_that_hears_nothing_although_it_is_listened_to_anew_is_started_again():
    async with a_bluetooth_aisle(1) as aisle:
        await aisle.heard()
        aisle.labels[G].cut_power()
        await asyncio.sleep(QUIET_S_MAX + 2 * PROBE_S)
        assert f"nothing heard for {QUIET_S_MAX:.0f} s" in [event.detail for event in aisle.kinds(StationChanged)]
        aisle.labels[G].restore_power()
        await aisle.until(lambda: aisle.station.state is StationState.READY)
        _, blob = await aisle.offer(G)
        await aisle.proven(G, blob)


def test_an_only_label_that_is_written_to_for_long_is_no_sign_of_a_deaf_adapter(monkeypatch):
    monkeypatch.setattr(station_module, "QUIET_S_MAX", 4.0)

    @virtually
    async def scene():
        async with a_bluetooth_aisle(1, timing=REALISTIC) as aisle:
            await aisle.heard()
            _, blob = await aisle.offer(G)
            began_s = asyncio.get_running_loop().time()
            await aisle.proven(G, blob)
            assert asyncio.get_running_loop().time() - began_s > 4.0
            await asyncio.sleep(10)
            assert StationState.OFFLINE not in [event.state for event in aisle.kinds(StationChanged)]

    scene()


@virtually
async def test_labels_that_are_reported_as_seldom_as_bluez_does_are_served_and_the_adapter_is_not_taken_for_gone():
    """The kernel scans for 10.24 s, reports what does not change once, and bluetoothd scans again 5 s later."""
    async with a_bluetooth_aisle(3, timing=replace(FAST, advertising_s=15.24)) as aisle:
        await aisle.heard()
        await asyncio.sleep(600)
        for label in aisle.labels:
            _, blob = await aisle.offer(label)
            await aisle.proven(label, blob)
        assert [event.state for event in aisle.kinds(StationChanged)] == [StationState.CONNECTING, StationState.READY]


@virtually
async def test_a_connection_that_an_earlier_run_left_behind_is_closed_at_the_start():
    async with a_bluetooth_aisle(1, run=False) as aisle:
        client = BleakClient(G_ADDRESS, backend=backends(aisle.adapters[0]).client)
        await client.connect()
        assert aisle.adapters[0].peers() == [G_ADDRESS]
        running = asyncio.create_task(aisle.station.run())
        await aisle.heard()
        _, blob = await aisle.offer(G)
        await aisle.proven(G, blob)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        assert aisle.adapters[0].peers() == []


class _Surprising(GiciskyDialect):
    """A dialect with a bug in it."""

    def __init__(self, fault):
        super().__init__()
        self.fault = fault

    async def deliver(self, client, label, blob, asked):
        fault, self.fault = self.fault, None
        if fault is not None:
            raise fault
        await super().deliver(client, label, blob, asked)


@pytest.mark.parametrize("fault", [RuntimeError("x"), KeyError("x"), asyncio.CancelledError(), BaseException("x"),
                                   RecursionError(), BleakError("x"), ZeroDivisionError()])
def test_a_fault_of_any_type_in_a_conversation_costs_one_attempt(fault):
    @virtually
    async def try_it():
        async with a_bluetooth_aisle(1, dialects=(_Surprising(fault),)) as aisle:
            await aisle.heard()
            _, blob = await aisle.offer(G)
            await aisle.proven(G, blob)
            assert aisle.adapters[0].peers() == []

    try_it()


@virtually
async def test_p10_thousands_of_addresses_that_pretend_to_be_labels_are_forgotten_and_ours_are_served():
    async with a_bluetooth_aisle(2) as aisle:
        await aisle.heard()
        data = AdvertisementData("NEMR00000000", aisle.labels[G].manufacturer_data, {}, [], None, -60, ())
        spelt = [f"C0:00:00:00:{number // 256:02X}:{number % 256:02X}" for number in range(2 * HEARD_MAX)]
        for address in spelt:
            aisle.station._heard(BLEDevice(address, None, None), data)
        strangers = {address.replace(":", "").lower() for address in spelt}
        assert sum(aisle.station.describe(label) is not None for label in strangers) == HEARD_MAX - len(aisle.labels)
        assert len(aisle.station._queue._heard_s) == HEARD_MAX
        for label in aisle.labels:
            _, blob = await aisle.offer(label)
            await aisle.proven(label, blob)


@virtually
async def test_these_labels_have_no_light():
    async with a_bluetooth_aisle(1) as aisle:
        await aisle.heard()
        with pytest.raises(OfferRefused, match="no LED"):
            await aisle.station.light(G, Colour.RED, 5.0)


@virtually
async def test_the_air_is_bleaks_own_to_anybody_else_too():
    """A program that knows bleak and nothing of ours scans, connects and talks."""
    async with a_bluetooth_aisle(1, run=False) as aisle:
        backend = backends(aisle.adapters[0])
        found = await BleakScanner.discover(timeout=3, backend=backend.scanner)
        assert [device.address for device in found] == [G_ADDRESS]
        heard: list[bytes] = []
        async with BleakClient(found[0], backend=backend.client) as client:
            await client.start_notify("0000fef1-0000-1000-8000-00805f9b34fb", lambda _, data: heard.append(bytes(data)))
            await client.write_gatt_char("0000fef1-0000-1000-8000-00805f9b34fb", b"\x01", response=True)
            await asyncio.sleep(1)
        assert heard == [bytes.fromhex("01f400")]
        with pytest.raises(BleakDeviceNotFoundError):
            await BleakClient("11:22:33:44:55:66", timeout=5, backend=backend.client).connect()
        assert asyncio.get_running_loop().time() < 30


@virtually
async def test_a_label_that_goes_silent_within_a_connection_ends_it_after_the_supervision_time():
    async with a_bluetooth_aisle(1, run=False, timing=REALISTIC) as aisle:
        gone = asyncio.Event()
        client = BleakClient(G_ADDRESS, lambda _: gone.set(), backend=backends(aisle.adapters[0]).client)
        await client.connect()
        aisle.labels[G].cut_power()
        began_s = asyncio.get_running_loop().time()
        await gone.wait()
        assert asyncio.get_running_loop().time() - began_s == pytest.approx(REALISTIC.supervision_s, abs=1.1)
        assert not client.is_connected
