"""The station against a virtual radio with virtual labels, under virtual time (esl.md 1.2, 1.4, 1.5)."""

import asyncio
import random

import pytest

from drivers.openepaperlink.codec import BAUD_RATE_HIGH, RadioSettings
from drivers.openepaperlink.session import OpenEPaperLinkStation
from drivers.port import (
    Ambiguous,
    Colour,
    Failed,
    OfferRefused,
    Progress,
    Seen,
    Shown,
    StationState,
    Telemetry,
)
from drivers.serial_link import LinkLost
from drivers.virtual.line_faults import LineFaults
from drivers.virtual.radio import FAST, REALISTIC
from tests.drivers.aisle import BREAD, MILK, address, an_aisle, virtually


@virtually
async def test_p7_a_label_is_shown_when_it_said_so_and_holds_exactly_what_was_offered():
    async with an_aisle() as aisle:
        await aisle.ready()
        picture, blob = await aisle.offer(1)
        assert aisle.heard(Shown) == []
        await aisle.proven(blob)
        await aisle.shows(picture)
        assert aisle.label().version == blob.version
        assert [event.part for event in aisle.heard(Progress)] == [0, 1, 2]
        assert {event.parts for event in aisle.heard(Progress)} == {3}


@virtually
async def test_p3_a_screen_changes_up_to_its_settle_time_after_the_labels_word_and_is_proven_then():
    async with an_aisle(settle_s=20.0, check_in_s=2.0) as aisle:
        await aisle.ready()
        picture, blob = await aisle.offer(1)
        await aisle.until(lambda: bool(aisle.label().said_done))
        said_at = asyncio.get_running_loop().time()
        assert aisle.label().picture is None
        await aisle.shows(picture)
        assert 0 < aisle.label().history[-1].at_s - said_at <= 20.0
        assert aisle.heard(Shown) == []
        await aisle.proven(blob)


@virtually
async def test_p3_a_label_that_dies_while_it_draws_proves_nothing():
    async with an_aisle(settle_s=20.0) as aisle:
        await aisle.ready()
        await aisle.offer(1)
        await aisle.until(lambda: bool(aisle.label().said_done))
        aisle.label().cut_power()
        await asyncio.sleep(3600)
        assert aisle.heard(Shown) == []


@virtually
async def test_p3_what_a_label_drew_while_the_line_was_down_is_doubtful():
    async with an_aisle(settle_s=20.0, check_in_s=10.0) as aisle:
        await aisle.ready()
        await aisle.until(lambda: aisle.label().check_ins > 1)
        _, blob = await aisle.offer(1)
        await aisle.until(lambda: bool(aisle.label().said_done))
        aisle.events.clear()
        aisle.port.unplug()
        await asyncio.sleep(60)
        aisle.port.plug_in()
        await aisle.until(lambda: aisle.heard(Ambiguous) == [Ambiguous(MILK)])
        assert aisle.heard(Shown) == []
        await aisle.station.offer(MILK, blob)
        await aisle.proven(blob)


@virtually
async def test_a_new_picture_replaces_the_shown_one_and_going_back_costs_no_block():
    async with an_aisle() as aisle:
        await aisle.ready()
        first_picture, first = await aisle.offer(1)
        await aisle.proven(first)
        second_picture, second = await aisle.offer(2)
        await aisle.proven(second)
        await aisle.shows(second_picture)
        blocks = len(aisle.heard(Progress))
        aisle.events.clear()
        await aisle.station.offer(MILK, first)
        await aisle.proven(first)
        await aisle.shows(first_picture)
        assert aisle.heard(Progress) == []
        assert blocks == 6


@virtually
async def test_what_a_label_says_of_itself_becomes_telemetry_and_a_description():
    async with an_aisle(tag_type=0x33) as aisle:
        await aisle.ready()
        description = aisle.station.describe(MILK)
        assert description is not None
        assert description.type_name == "oepl:33"
        await aisle.until(lambda: bool(aisle.heard(Telemetry)))
        assert aisle.heard(Telemetry)[0] == Telemetry(MILK, 2950, 21, -60)
        heard = aisle.heard(Seen)[0].description
        assert heard is not None
        assert heard.type_name == "oepl:33/zlib"
        assert (heard.width, heard.height) == (384, 168)


@virtually
async def test_a_label_with_new_firmware_gets_a_compressed_picture_and_one_with_old_firmware_a_plain_one():
    for firmware, encoding in ((0x26, 0x21), (0x27, 0x30)):
        async with an_aisle(tag_type=0x33, firmware_version=firmware) as aisle:
            await aisle.ready()
            await aisle.until(lambda: bool(aisle.heard(Seen)))
            description = aisle.station.describe(MILK)
            stripes, _ = aisle.draw(1)
            sparse = bytes(len(stripes.pixels) - 9) + bytes((Colour.RED,)) * 9
            picture = type(stripes)(stripes.width, stripes.height, sparse)
            blob = aisle.station.encode(description, picture)
            assert blob.encoding == encoding
            await aisle.station.offer(MILK, blob)
            await aisle.proven(blob)
            await aisle.shows(picture)


@virtually
async def test_an_unknown_label_is_reported_and_otherwise_ignored_until_adopted():
    async with an_aisle(adopt=False) as aisle:
        await aisle.ready()
        await aisle.until(lambda: len(aisle.heard(Seen)) > 3)
        assert {type(event) for event in aisle.events if not hasattr(event, "station")} == {Seen}
        assert aisle.heard(Seen)[0].label == MILK
        assert aisle.station.describe(MILK) is not None
        with pytest.raises(OfferRefused, match="adopted"):
            await aisle.offer(1)
        aisle.station.adopt(MILK, "oepl:01")
        picture, blob = await aisle.offer(1)
        await aisle.proven(blob)
        await aisle.shows(picture)


@virtually
async def test_a_label_adopted_under_a_name_nobody_knows_tells_its_type_itself():
    async with an_aisle(adopt=False) as aisle:
        aisle.station.adopt(MILK, "oepl:fe")
        assert aisle.station.describe(MILK) is None
        await aisle.ready()
        await aisle.until(lambda: aisle.station.describe(MILK) is not None)
        picture, _blob = await aisle.offer(1)
        await aisle.shows(picture)


@virtually
async def test_a_radio_without_a_free_slot_refuses_and_takes_the_offer_later():
    async with an_aisle(2, slots_max=1, check_in_s=20.0) as aisle:
        await aisle.ready()
        _, milk = await aisle.offer(1, MILK)
        with pytest.raises(OfferRefused, match="no free slot"):
            await aisle.offer(2, BREAD)
        await aisle.proven(milk, MILK)
        picture, bread = await aisle.offer(2, BREAD)
        await aisle.proven(bread, BREAD)
        await aisle.shows(picture, BREAD)


@virtually
async def test_an_offer_while_the_line_is_down_is_refused_and_forgotten():
    async with an_aisle(plugged_in=False) as aisle:
        _picture, blob = aisle.draw(1)
        with pytest.raises(OfferRefused, match="offline"):
            await aisle.station.offer(MILK, blob)
        aisle.port.plug_in()
        await aisle.ready()
        await asyncio.sleep(10)
        assert aisle.label().picture is None


@virtually
async def test_an_absent_device_is_waited_for_and_said_once(capsys):
    async with an_aisle(plugged_in=False) as aisle:
        progress = aisle.station.progress
        for _ in range(60):
            await asyncio.sleep(10)
            assert aisle.station.progress > progress, "the watchdog would take this for a hang"
            progress = aisle.station.progress
        assert aisle.station.state is StationState.OFFLINE
        aisle.port.plug_in()
        await aisle.ready()
        picture, _blob = await aisle.offer(1)
        await aisle.shows(picture)
    log = capsys.readouterr().out
    assert log.count("base station lost") == 1
    assert log.count("base station back") == 1


@virtually
async def test_a_cable_that_comes_and_goes_loses_no_offer_that_is_made_again_after_every_doubt():
    async with an_aisle(4, check_in_s=5.0) as aisle:
        await aisle.ready()
        offered = {address(int(MILK, 16) + index): await aisle.offer(index, address(int(MILK, 16) + index))
                   for index in range(4)}  # fmt: skip
        for _ in range(5):
            await asyncio.sleep(0.7)
            aisle.port.unplug()
            await asyncio.sleep(3)
            aisle.port.plug_in()
            await aisle.ready()
        for _ in range(5):
            await aisle.offers_again({label: blob for label, (_, blob) in offered.items()})
            await asyncio.sleep(10)
        for label, (picture, blob) in offered.items():
            await aisle.proven(blob, label)
            assert aisle.label(label).picture == picture
        assert not aisle.wrong_proofs


@virtually
async def test_a_radio_that_restarts_is_told_everything_again():
    async with an_aisle(3, check_in_s=10.0) as aisle:
        await aisle.ready()
        first = int(MILK, 16)
        offered = [await aisle.offer(index, address(first + index)) for index in range(3)]
        await aisle.radio.restart()
        assert aisle.radio.slots == {}
        await aisle.ready()
        await aisle.until(lambda: len(aisle.radio.slots) == 3, within_s=1)
        for index, (picture, blob) in enumerate(offered):
            await aisle.proven(blob, address(first + index))
            await aisle.shows(picture, address(first + index))


@virtually
async def test_a_radio_that_restarts_while_a_label_fetches_costs_only_time():
    async with an_aisle(timing=REALISTIC, check_in_s=10.0) as aisle:
        await aisle.ready()
        picture, blob = await aisle.offer(1)
        await aisle.until(lambda: any(event.part == 1 for event in aisle.heard(Progress)))
        await aisle.radio.restart()
        await aisle.proven(blob)
        await aisle.shows(picture)
        assert StationState.CONNECTING in aisle.states()[2:]


@virtually
async def test_a_radio_that_restarts_without_saying_that_it_is_ready_is_served_all_the_same():
    async with an_aisle(check_in_s=10.0) as aisle:
        await aisle.ready()
        picture, _blob = await aisle.offer(1)
        aisle.radio.power_off()
        aisle.radio.powered = True
        aisle.radio._say(b"RES>")
        await asyncio.sleep(0.1)
        await aisle.ready()
        await aisle.shows(picture)


@virtually
async def test_a_battery_that_falls_out_while_the_label_fetches_costs_only_time():
    async with an_aisle(timing=REALISTIC, check_in_s=10.0) as aisle:
        await aisle.ready()
        picture, blob = await aisle.offer(1)
        await aisle.until(lambda: any(event.part == 1 for event in aisle.heard(Progress)))
        aisle.label().cut_power()
        await asyncio.sleep(60)
        assert aisle.heard(Shown) == []
        aisle.label().restore_power()
        await aisle.proven(blob)
        await aisle.shows(picture)


@virtually
async def test_p7_a_label_whose_power_failed_while_it_drew_becomes_doubtful_and_shows_it_when_offered_again():
    async with an_aisle(settle_s=20.0, seed=3) as aisle:
        await aisle.ready()
        await aisle.until(lambda: aisle.label().check_ins > 1)
        aisle.events.clear()
        picture, blob = await aisle.offer(1)
        await aisle.until(lambda: bool(aisle.label().said_done))
        aisle.label().cut_power()
        await asyncio.sleep(30)
        assert aisle.label().picture is None
        aisle.label().restore_power()
        await aisle.until(lambda: aisle.heard(Ambiguous) == [Ambiguous(MILK)])
        await aisle.station.offer(MILK, blob)
        await aisle.shows(picture)
        assert aisle.heard(Shown) == []
        await aisle.proven(blob)


@virtually
async def test_a_label_that_is_gone_holds_nobody_up():
    async with an_aisle(2) as aisle:
        await aisle.ready()
        aisle.shelf.take_away(MILK)
        await aisle.offer(1, MILK)
        _picture, blob = await aisle.offer(2, BREAD)
        await aisle.proven(blob, BREAD)
        assert aisle.heard(Shown) == [Shown(BREAD, blob.version)]


@virtually
async def test_an_offer_that_nobody_fetches_expires_with_a_reason():
    async with an_aisle() as aisle:
        await aisle.ready()
        aisle.label().cut_power()
        _, blob = await aisle.offer(1)
        await aisle.until(lambda: bool(aisle.heard(Failed)), within_s=1441 * 60 + 120)
        assert aisle.heard(Failed) == [Failed(MILK, blob.version, "the label did not fetch it in time")]
        aisle.label().restore_power()
        await asyncio.sleep(30)
        assert aisle.heard(Shown) == []


@virtually
async def test_a_superseded_picture_is_cancelled_and_the_newer_one_shown():
    async with an_aisle(timing=REALISTIC, check_in_s=10.0) as aisle:
        await aisle.ready()
        await aisle.offer(1)
        await aisle.until(lambda: bool(aisle.heard(Progress)))
        picture, blob = await aisle.offer(2)
        await aisle.proven(blob)
        await aisle.shows(picture)
        assert [event.version for event in aisle.heard(Shown)] == [blob.version]
        assert not aisle.wrong_proofs


@virtually
async def test_a_picture_left_in_the_radio_by_an_earlier_daemon_is_cancelled():
    async with an_aisle() as aisle:
        await aisle.ready()
        aisle.label().cut_power()
        await aisle.offer(1)
        events = []
        successor = OpenEPaperLinkStation("aisle 4", aisle.port.open, events.append, random.Random(2))
        successor.adopt(MILK, "oepl:01")
        task = asyncio.create_task(successor.run())
        await aisle.until(lambda: successor.state is StationState.READY)
        assert MILK in aisle.radio.slots
        aisle.label().restore_power()
        await aisle.until(lambda: MILK not in aisle.radio.slots)
        assert not [event for event in events if isinstance(event, Shown)]
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


# Picking by light.


@virtually
async def test_a_light_flashes_and_proves_nothing():
    async with an_aisle(tag_type=0x33) as aisle:
        await aisle.ready()
        await aisle.until(lambda: aisle.label().check_ins > 1)
        aisle.events.clear()
        await aisle.station.light(MILK, Colour.RED, 10)
        await aisle.until(lambda: bool(aisle.label().flashes))
        flash = aisle.label().flashes[0].pattern
        assert (flash.mode, flash.colour, flash.repeats) == (1, 0xE0, 9)
        await asyncio.sleep(5)
        assert aisle.heard(Shown) == aisle.heard(Ambiguous) == []


@virtually
async def test_a_light_does_not_cost_the_picture_that_was_offered_before_or_after_it():
    async with an_aisle(tag_type=0x33, check_in_s=10.0) as aisle:
        await aisle.ready()
        _, _first = await aisle.offer(1)
        await aisle.station.light(MILK, Colour.YELLOW, 5)
        picture, blob = await aisle.offer(2)
        await aisle.proven(blob)
        await aisle.shows(picture)
        assert len(aisle.label().flashes) == 1
        assert aisle.label().flashes[0].at_s < aisle.label().history[0].at_s
        assert aisle.heard(Ambiguous) == []


@virtually
async def test_a_light_waits_for_a_picture_that_is_being_fetched():
    async with an_aisle(tag_type=0x33, timing=REALISTIC, check_in_s=10.0) as aisle:
        await aisle.ready()
        _picture, blob = await aisle.offer(1)
        await aisle.until(lambda: bool(aisle.heard(Progress)))
        await aisle.station.light(MILK, Colour.RED, 5)
        await aisle.proven(blob)
        await aisle.until(lambda: bool(aisle.label().flashes))
        assert aisle.heard(Ambiguous) == []


@virtually
async def test_a_light_for_a_label_that_gave_up_fetching_is_sent_all_the_same():
    async with an_aisle(tag_type=0x33, timing=REALISTIC, check_in_s=30.0) as aisle:
        await aisle.ready()
        await aisle.offer(1)
        await aisle.until(lambda: bool(aisle.heard(Progress)))
        aisle.label().cut_power()
        await aisle.station.light(MILK, Colour.RED, 5)
        await asyncio.sleep(20)
        assert aisle.radio.slots[MILK].data_type == 0xAF
        aisle.label().restore_power()
        await aisle.until(lambda: bool(aisle.label().flashes) and bool(aisle.heard(Shown)))
        assert not aisle.wrong_proofs


@virtually
async def test_a_light_that_nobody_sees_expires_and_the_picture_comes():
    async with an_aisle(tag_type=0x33) as aisle:
        await aisle.ready()
        aisle.label().cut_power()
        _, blob = await aisle.offer(1)
        await aisle.station.light(MILK, Colour.RED, 5)
        await asyncio.sleep(11 * 60)
        assert aisle.radio.slots[MILK].version.hex() == blob.version
        aisle.label().restore_power()
        await aisle.proven(blob)
        assert aisle.heard(Failed) == []
        assert aisle.label().flashes == []


@virtually
async def test_a_label_without_an_led_is_not_asked_to_flash():
    async with an_aisle(tag_type=0x80) as aisle:
        await aisle.ready()
        with pytest.raises(OfferRefused, match="no LED"):
            await aisle.station.light(MILK, Colour.RED, 5)


# Bad air and bad cables.


@virtually
async def test_p7_half_of_all_radio_messages_lost_costs_only_time():
    async with an_aisle(6, radio_loss=0.5) as aisle:
        await aisle.ready()
        first = int(MILK, 16)
        wanted = {address(first + index): aisle.draw(index, address(first + index)) for index in range(6)}
        blobs = {label: blob for label, (_, blob) in wanted.items()}
        for _ in range(100):
            await aisle.offers_again(blobs)
            await asyncio.sleep(10)
        for label, (picture, blob) in wanted.items():
            assert aisle.label(label).picture == picture
            assert Shown(label, blob.version) in aisle.events
        assert not aisle.wrong_proofs


@virtually
async def test_debug_text_between_frames_is_no_trouble():
    async with an_aisle(5, chatter=0.7, newlines=True) as aisle:
        await aisle.ready()
        first = int(MILK, 16)
        offered = [await aisle.offer(index, address(first + index)) for index in range(5)]
        for index, (picture, blob) in enumerate(offered):
            await aisle.proven(blob, address(first + index))
            await aisle.shows(picture, address(first + index))
        assert StationState.DEGRADED not in aisle.states()


@virtually
async def test_a_label_that_gets_a_spoilt_block_asks_for_it_again():
    spoiling = LineFaults(random.Random(4))
    async with an_aisle(to_radio=spoiling) as aisle:
        await aisle.ready()
        picture, blob = await aisle.offer(1)
        spoiling.flip = 0.0004
        await aisle.until(lambda: aisle.label().bad_blocks > 2)
        spoiling.flip = 0.0
        await aisle.proven(blob)
        await aisle.shows(picture)


@virtually
async def test_p7_a_line_that_spoils_half_of_all_blocks_never_makes_a_wrong_proof():
    faults = [LineFaults(random.Random(seed), flip=0.0001, drop=0.00005, garbage=0.02) for seed in (1, 2)]
    async with an_aisle(3, to_host=faults[0], to_radio=faults[1], chatter=0.2) as aisle:
        first = int(MILK, 16)
        labels = [address(first + index) for index in range(3)]
        wanted = {}
        for round_number in range(60):
            for label in labels:
                wanted[label] = aisle.draw(round_number % 7, label)[1]
            await aisle.offers_again(wanted)
            await asyncio.sleep(7)
        for fault in faults:
            fault.flip = fault.drop = fault.garbage = 0.0
        for _ in range(30):
            await aisle.offers_again(wanted)
            await asyncio.sleep(5)
        for label in labels:
            assert aisle.label(label).version == wanted[label].version
        assert len(aisle.heard(Shown)) > 20
        assert not aisle.wrong_proofs


@virtually
async def test_a_mute_radio_is_noticed_and_its_return_too(capsys):
    async with an_aisle(2) as aisle:
        await aisle.ready()
        aisle.radio.powered = False
        await aisle.until(lambda: aisle.station.state is StationState.OFFLINE, within_s=120)
        await asyncio.sleep(300)
        aisle.radio.powered = True
        await aisle.ready()
        picture, _blob = await aisle.offer(1)
        await aisle.shows(picture)
    log = capsys.readouterr().out
    assert log.count("base station lost") == 1
    assert log.count("base station back") == 1


@virtually
async def test_a_quiet_shop_is_no_fault():
    async with an_aisle(0) as aisle:
        await aisle.ready()
        await asyncio.sleep(24 * 3600)
        assert aisle.states() == [StationState.CONNECTING, StationState.READY]


# High speed.


@virtually
async def test_a_c6_radio_is_taken_to_high_speed_and_back_after_it_restarts():
    async with an_aisle(high_speed=True, paced=True) as aisle:
        await aisle.ready()
        assert aisle.radio.baud_rate == BAUD_RATE_HIGH
        picture, _ = await aisle.offer(1)
        await aisle.shows(picture)
        await aisle.radio.restart()
        await aisle.until(lambda: aisle.station.state is not StationState.READY, within_s=120)
        await aisle.ready()
        assert aisle.radio.baud_rate == BAUD_RATE_HIGH
        picture, _blob = await aisle.offer(2)
        await aisle.shows(picture)


@virtually
async def test_a_radio_left_at_high_speed_is_found():
    async with an_aisle(high_speed=True) as aisle:
        await aisle.ready()
        aisle.port.unplug()
        await asyncio.sleep(1)
        aisle.port.plug_in()
        await aisle.ready()
        assert aisle.radio.baud_rate == BAUD_RATE_HIGH
        picture, _ = await aisle.offer(1)
        await aisle.shows(picture)


@virtually
async def test_realistic_air_and_line_at_the_low_speed():
    async with an_aisle(3, timing=REALISTIC, check_in_s=50.0, paced=True) as aisle:
        await aisle.ready()
        first = int(MILK, 16)
        offered = [await aisle.offer(index, address(first + index)) for index in range(3)]
        for index, (picture, blob) in enumerate(offered):
            await aisle.proven(blob, address(first + index))
            await aisle.shows(picture, address(first + index))
        assert StationState.DEGRADED not in aisle.states()


# Links that misbehave.


class Surprise(BaseException):
    """Of no type that anybody expects."""


class FaultyLink:
    """Passes everything on until it is told to raise."""

    def __init__(self, link, faults):
        self._link, self._faults = link, faults

    async def read(self):
        data = await self._link.read()
        self._faults.strike("read")
        return data

    async def write(self, data):
        self._faults.strike("write")
        await self._link.write(data)

    async def set_baud_rate(self, baud_rate):
        await self._link.set_baud_rate(baud_rate)

    def close(self):
        self._link.close()
        self._faults.strike("close")


class Faults:
    def __init__(self):
        self.where = self.what = None
        self.struck = 0

    def strike(self, where):
        if where == self.where:
            self.where = None
            self.struck += 1
            raise self.what

    def wrapped(self, opener):
        async def open_link():
            self.strike("open")
            return FaultyLink(await opener(), self)

        return open_link


@pytest.mark.parametrize("where", ["open", "read", "write", "close"])
@pytest.mark.parametrize(
    "what",
    [LinkLost("gone"), OSError(5, "input/output error"), RuntimeError("bug"), Surprise("what"),
     asyncio.CancelledError(), TimeoutError(), StopAsyncIteration(), MemoryError()],
    ids=lambda what: type(what).__name__,
)  # fmt: skip
def test_no_exception_of_any_type_ends_the_reconnect_loop(where, what):
    if where == "close" and not isinstance(what, Exception):
        what = RuntimeError("closing")

    @virtually
    async def scene():
        faults = Faults()
        async with an_aisle(wrap=faults.wrapped) as aisle:
            await aisle.ready()
            faults.where, faults.what = where, what
            if where in ("open", "close"):
                aisle.port.unplug()
                aisle.port.plug_in()
            picture, blob = aisle.draw(1)
            await aisle.offer_until_taken(blob)
            await aisle.until(lambda: faults.struck == 1, within_s=120)
            await asyncio.sleep(0.1)
            await aisle.ready()
            await aisle.offer_until_taken(blob)
            await aisle.shows(picture)

    scene()


@virtually
async def test_a_hanging_link_stops_the_progress_that_the_watchdog_reads():
    forever = asyncio.Event()

    def hang(opener):
        async def open_link():
            await forever.wait()
            return await opener()

        return open_link

    async with an_aisle(wrap=hang) as aisle:
        await asyncio.sleep(1)
        progress = aisle.station.progress
        await asyncio.sleep(600)
        assert aisle.station.progress == progress
        forever.set()
        await aisle.ready()
        assert aisle.station.progress > progress


@virtually
async def test_a_sink_that_raises_costs_nothing():
    async with an_aisle() as aisle:
        await aisle.ready()
        def grumble(event):
            aisle.hear(event)
            raise RuntimeError("sink")

        aisle.sink = grumble
        _picture, blob = await aisle.offer(1)
        await aisle.proven(blob)
        assert aisle.station.state is StationState.READY


@virtually
async def test_a_cancelled_station_leaves_nothing_running():
    async with an_aisle() as aisle:
        await aisle.ready()
        own = [task for task in asyncio.all_tasks() if task.get_name().startswith("aisle 4")]
        assert len(own) == 3
        station_task = aisle.running.pop()
        station_task.cancel()
        await asyncio.gather(station_task, return_exceptions=True)
        assert station_task.cancelled()
        assert all(task.done() for task in own)
        assert aisle.station.state is StationState.OFFLINE
        with pytest.raises(OfferRefused):
            await aisle.offer(1)
        aisle.running.append(asyncio.create_task(aisle.station.run()))
        await aisle.ready()
        picture, _ = await aisle.offer(1)
        await aisle.shows(picture)


def test_a_channel_no_radio_knows_is_refused_at_once():
    with pytest.raises(ValueError, match="channel 12"):
        OpenEPaperLinkStation("aisle", None, print, random.Random(1), channel=12)


@virtually
async def test_five_hundred_labels_are_proven_in_twenty_seconds_of_fast_air():
    async with an_aisle(500, timing=FAST, check_in_s=1.5) as aisle:
        await aisle.ready()
        started = asyncio.get_running_loop().time()
        first = int(MILK, 16)
        labels = [address(first + index) for index in range(500)]
        _, blob = aisle.draw(1)
        for label in labels:
            await aisle.offer_until_taken(blob, label)
        await aisle.until(lambda: len(aisle.heard(Shown)) == 500)
        assert asyncio.get_running_loop().time() - started < 20


@pytest.mark.parametrize("newlines", [False, True])
@virtually
async def test_a_radio_with_a_sub_ghz_part_gets_its_fourth_byte_and_keeps_its_channel_1_2(newlines):
    async with an_aisle(radio_sub_ghz_channel=7, newlines=newlines) as aisle:
        await aisle.ready()
        assert aisle.radio.settings == RadioSettings(11, 10, 7)
        picture, blob = await aisle.offer(1)
        await aisle.proven(blob)
        await aisle.shows(picture)


@virtually
async def test_a_sub_ghz_channel_that_is_asked_for_is_set_1_2():
    async with an_aisle(radio_sub_ghz_channel=7, sub_ghz_channel=200) as aisle:
        await aisle.ready()
        assert aisle.radio.settings == RadioSettings(11, 10, 200)


@virtually
async def test_a_radio_without_a_sub_ghz_part_is_not_sent_a_byte_too_many_1_2():
    async with an_aisle(sub_ghz_channel=200) as aisle:
        await aisle.ready()
        assert aisle.radio.settings == RadioSettings(11, 10)
        assert aisle.radio.bad_commands == 0


def test_the_settings_of_a_sub_ghz_radio_have_four_bytes_under_one_checksum_1_3():
    assert RadioSettings(11, 10, 7).to_bytes() == bytes((28, 11, 10, 7))
    assert RadioSettings.from_bytes(bytes((28, 11, 10, 7))) == RadioSettings(11, 10, 7)
    assert RadioSettings.from_bytes(RadioSettings(25, 10).to_bytes()) == RadioSettings(25, 10)


@virtually
async def test_a_label_in_a_drawer_sleeps_for_an_hour_each_time_and_wakes_for_its_picture_1_5():
    async with an_aisle(check_in_s=40.0) as aisle:
        await aisle.ready()
        await aisle.until(lambda: aisle.label().check_ins > 1)
        await aisle.station.sleep(MILK, 60)
        await asyncio.sleep(120)
        before = aisle.label().check_ins
        await asyncio.sleep(12 * 3600)
        assert 20 <= aisle.label().check_ins - before <= 26, "two in each hour, not ninety"
        assert aisle.heard(Shown) == aisle.heard(Failed) == []
        picture, blob = await aisle.offer(1)
        await aisle.proven(blob, within_s=3700)
        await aisle.shows(picture)
        before = aisle.label().check_ins
        await asyncio.sleep(3600)
        assert aisle.label().check_ins - before > 60, "awake again"


@virtually
async def test_p7_a_label_that_sleeps_proves_nothing_and_is_woken_by_a_zero():
    async with an_aisle(check_in_s=40.0) as aisle:
        await aisle.ready()
        await aisle.station.sleep(MILK, 60)
        await asyncio.sleep(600)
        await aisle.station.sleep(MILK, 0)
        await asyncio.sleep(3700)
        before = aisle.label().check_ins
        await asyncio.sleep(3600)
        assert aisle.label().check_ins - before > 60
        assert aisle.wrong_proofs == []


@virtually
async def test_a_label_with_a_picture_on_its_way_is_not_put_to_sleep():
    async with an_aisle(check_in_s=40.0) as aisle:
        await aisle.ready()
        _, blob = await aisle.offer(1)
        with pytest.raises(OfferRefused, match="something waits"):
            await aisle.station.sleep(MILK, 60)
        with pytest.raises(ValueError, match="0 to 1440"):
            await aisle.station.sleep(MILK, 1441)
        await aisle.proven(blob)


@virtually
async def test_sleepers_take_no_slot_from_those_that_wait_for_pictures():
    async with an_aisle(200, check_in_s=40.0) as aisle:
        await aisle.ready()
        labels = list(aisle.shelf.labels)
        for label in labels[:100]:
            await aisle.station.sleep(label, 60)
        wanted = {label: aisle.draw(seed, label)[1] for seed, label in enumerate(labels[100:])}
        for label, blob in wanted.items():
            await aisle.station.offer(label, blob)
        for label, blob in wanted.items():
            await aisle.proven(blob, label, within_s=900)
