"""What the station writes, byte by byte, to a radio that a test plays by hand (esl.md 1.2, 1.4, 1.5, 1.9)."""

import asyncio
import contextlib
import hashlib
import random

import pytest

from drivers.openepaperlink.session import OpenEPaperLinkStation
from drivers.port import Ambiguous, Blob, Colour, Failed, OfferRefused, Progress, Shown, StationState
from drivers.serial_link import LinkLost, memory_link_pair
from tests.drivers.aisle import virtually

LABEL = "0000021b1ad03b17"
PAYLOAD = bytes(index & 0xFF for index in range(5000))
VERSION = "d00321d3eb208674"
BLOB = Blob(VERSION, 0x21, PAYLOAD)
NEWER = Blob("1122334455667788", 0x20, b"newer picture")

OFFER = bytes.fromhex("5344413e87d00321d3eb20867488130000210100" "00a005173bd01a1b020000")
CHECK_IN = b"ADR>" + bytes.fromhex("b9173bd01a1b02000030c8c415540b00fc0227000b000000000000000000")
NEXT_CHECK_IN = b"ADR>" + bytes.fromhex("bd173bd01a1b02000030c8c415540b00000227000b000000000000000000")
ASK_BLOCK = [
    b"RQB>" + bytes.fromhex("25d00321d3eb20867400173bd01a1b020000"),
    b"RQB>" + bytes.fromhex("26d00321d3eb20867401173bd01a1b020000"),
]
DONE = bytes.fromhex("5846433e59173bd01a1b020000")
EXPIRED = b"XTO>" + DONE[4:]
CANCEL = bytes.fromhex("4358443e59" + "00" * 18 + "173bd01a1b020000")
GREETING = b"RDY?" + b"NFO?" + bytes.fromhex("5343503e150b0a")
INFO = b"TYP>C6VER>001EMAC>00C6EDFE00000000ZCH>0BZPW>0APEN>00NOP>00"


class RadioByHand:
    """Answers as told and keeps what it got. `answers` maps the beginning of a write to what is sent back."""

    def __init__(self):
        self.writes = []
        self.answers = {b"NFO?": [b"ACK>" + INFO]}
        self.mute = False
        self.opened = 0
        self._end = None

    async def open(self):
        self.opened += 1
        host, self._end = memory_link_pair()
        self._pump = asyncio.create_task(self._obey(self._end))
        return host

    def say(self, data):
        self._end.send(data)

    def take(self):
        taken = b"".join(self.writes)
        self.writes.clear()
        return taken

    async def _obey(self, end):
        with contextlib.suppress(LinkLost):
            while True:
                data = await end.read()
                self.writes.append(data)
                if self.mute or len(data) == 4100:
                    continue
                queue = next((queue for start, queue in self.answers.items() if data.startswith(start) and queue), None)
                end.send(queue.pop(0) if queue else b"ACK>")


@contextlib.asynccontextmanager
async def a_station(adopt=True):
    radio = RadioByHand()
    events = []
    station = OpenEPaperLinkStation("aisle 4", radio.open, events.append, random.Random(1))
    if adopt:
        station.adopt(LABEL, "oepl:00")
    task = asyncio.create_task(station.run())
    async with asyncio.timeout(30):
        while station.state is not StationState.READY:  # noqa: ASYNC110 - states are not awaitable
            await asyncio.sleep(0.001)
    try:
        yield station, radio, events
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def of(kind, events):
    return [event for event in events if isinstance(event, kind)]


async def a_moment():
    await asyncio.sleep(0.05)


@virtually
async def test_the_conversation_of_1_9_byte_by_byte():
    async with a_station() as (station, radio, events):
        assert radio.take() == GREETING
        await station.offer(LABEL, BLOB)
        assert radio.take() == OFFER
        radio.say(CHECK_IN)
        await a_moment()
        assert radio.take() == b""
        for block, digest in enumerate([
            "356e564169f303c30d7f321fdeab21d4a7ae4399ab205c4637a3241259b95726",
            "46164c3d390cb7d2e090e059101cc1eec9dbadcb01bbb9ba9cf47ec16b94db47",
        ]):  # fmt: skip
            radio.say(ASK_BLOCK[block])
            await a_moment()
            assert [len(write) for write in radio.writes] == [3, 4100]
            assert hashlib.sha256(radio.take()).hexdigest() == digest
        assert of(Shown, events) == []
        radio.say(DONE)
        await a_moment()
        assert of(Shown, events) == [], "its panel changes only now"
        radio.say(NEXT_CHECK_IN)
        await a_moment()
        assert of(Shown, events) == [Shown(LABEL, VERSION)]
        assert [(event.part, event.parts) for event in of(Progress, events)] == [(0, 2), (1, 2)]
        assert radio.take() == b""


@virtually
async def test_a_block_number_past_the_end_is_clamped_1_4():
    async with a_station() as (station, radio, _):
        await station.offer(LABEL, BLOB)
        radio.take()
        request = bytearray(ASK_BLOCK[0][4:])
        request[9] = 200
        request[0] = sum(request[1:]) & 0xFF
        radio.say(b"RQB>" + bytes(request))
        await a_moment()
        assert radio.take()[3:7].hex() == "22a9f608"


@virtually
async def test_a_block_is_answered_within_a_moment_even_while_offers_queue():
    async with a_station() as (station, radio, _):
        await station.offer(LABEL, BLOB)
        labels = [f"{number:016x}" for number in range(100)]
        for label in labels:
            station.adopt(label, "oepl:00")
        offers = [asyncio.create_task(station.offer(label, NEWER)) for label in labels]
        await asyncio.sleep(0)
        radio.take()
        radio.say(ASK_BLOCK[0])
        await asyncio.gather(*offers)
        await a_moment()
        order = [bytes(write[:3]) for write in radio.writes if len(write) != 31][:1]
        position = next(index for index, write in enumerate(radio.writes) if write == b">D>")
        assert order == [b">D>"]
        assert position <= 5


@virtually
async def test_load_is_never_repeated_1_2():
    async with a_station() as (station, radio, _):
        await station.offer(LABEL, BLOB)
        radio.take()
        radio.mute = True
        radio.say(ASK_BLOCK[0])
        await asyncio.sleep(0.9)
        assert radio.take() == b">D>"


@virtually
async def test_a_block_request_that_waited_too_long_is_let_go():
    async with a_station() as (station, radio, _):
        await station.offer(LABEL, BLOB)
        radio.take()
        radio.mute = True
        radio.say(ASK_BLOCK[0])
        await asyncio.sleep(0.3)
        radio.say(ASK_BLOCK[1])  # while the station gives the radio time to recover from the first
        await asyncio.sleep(0.9)
        radio.mute = False
        await asyncio.sleep(2)
        assert b">D>" not in radio.take()[3:]


@virtually
async def test_an_offer_is_tried_five_times_200_ms_apart_and_then_refused_1_2():
    async with a_station() as (station, radio, _):
        radio.take()
        radio.mute = True
        started = asyncio.get_running_loop().time()
        with pytest.raises(OfferRefused, match="no answer"):
            await station.offer(LABEL, BLOB)
        assert asyncio.get_running_loop().time() - started == pytest.approx(5 * 0.2, abs=0.1)
        assert radio.take() == OFFER * 5
        radio.mute = False
        await asyncio.sleep(5)
        assert OFFER not in radio.take()


@virtually
async def test_a_spoilt_offer_is_sent_again():
    async with a_station() as (station, radio, _):
        radio.take()
        radio.answers[b"SDA>"] = [b"NOK>", b"NOK>", b"ACK>"]
        await station.offer(LABEL, BLOB)
        assert radio.take() == OFFER * 3


@virtually
async def test_p7_an_acknowledgement_that_comes_late_does_not_count_for_the_next_command():
    async with a_station() as (station, radio, _):
        radio.mute = True
        with pytest.raises(OfferRefused):
            await station.offer(LABEL, NEWER)
        radio.take()
        offering = asyncio.create_task(station.offer(LABEL, BLOB))
        await a_moment()
        radio.say(b"ACK>")  # of the one before
        await a_moment()
        assert radio.take() == b""
        radio.mute = False
        await offering
        assert radio.take() == OFFER


@virtually
async def test_debug_text_and_half_frames_in_between():
    async with a_station() as (station, radio, events):
        await station.offer(LABEL, BLOB)
        for frame in (CHECK_IN, ASK_BLOCK[0], ASK_BLOCK[1], DONE, NEXT_CHECK_IN):
            for value in b"BUSY!\nSending parts: 01..\n" + frame:
                radio.say(bytes((value,)))
            await a_moment()
        assert of(Shown, events) == [Shown(LABEL, VERSION)]


@virtually
async def test_a_check_in_that_breaks_off_is_dropped_after_a_second_and_hides_nothing():
    async with a_station() as (station, radio, events):
        await station.offer(LABEL, BLOB)
        radio.say(CHECK_IN + ASK_BLOCK[1] + b"ADR>" + DONE)
        await asyncio.sleep(3)
        radio.say(NEXT_CHECK_IN)
        await a_moment()
        assert of(Shown, events) == [Shown(LABEL, VERSION)]


@virtually
async def test_an_unknown_version_is_cancelled_and_the_offer_put_back_1_5():
    async with a_station() as (station, radio, events):
        await station.offer(LABEL, NEWER)
        radio.take()
        radio.say(ASK_BLOCK[0])
        await a_moment()
        written = radio.take()
        assert written.startswith(CANCEL)
        assert written[len(CANCEL) :].startswith(b"SDA>")
        assert bytes.fromhex(NEWER.version) in written
        assert of(Progress, events) == []


@virtually
async def test_an_unknown_label_asking_for_blocks_is_cancelled_once_at_a_time():
    async with a_station(adopt=False) as (_, radio, events):
        radio.take()
        radio.say(ASK_BLOCK[0] * 50 + DONE + EXPIRED + CHECK_IN)
        await a_moment()
        assert radio.take() == CANCEL
        assert len([event for event in events if not hasattr(event, "station")]) == 1


@virtually
async def test_p7_a_repeated_done_is_no_proof_of_the_next_picture():
    async with a_station() as (station, radio, events):
        await station.offer(LABEL, BLOB)
        radio.say(CHECK_IN + ASK_BLOCK[0] + ASK_BLOCK[1])
        await a_moment()
        radio.say(DONE)
        await a_moment()
        await station.offer(LABEL, NEWER)
        radio.say(DONE)  # the radio's answer to the first one was lost in the air
        await a_moment()
        radio.say(NEXT_CHECK_IN)
        await a_moment()
        assert of(Shown, events) == []
        assert of(Ambiguous, events)[-1:] == [Ambiguous(LABEL)]


@virtually
async def test_p7_overwriting_the_slot_of_a_label_that_fetches_is_ambiguous():
    async with a_station() as (station, radio, events):
        await station.offer(LABEL, BLOB)
        radio.say(CHECK_IN + ASK_BLOCK[0] + ASK_BLOCK[1])
        await a_moment()
        await station.offer(LABEL, NEWER)
        events.clear()
        radio.say(DONE)
        await a_moment()
        assert of(Shown, events) == []
        assert of(Ambiguous, events) == [Ambiguous(LABEL)]
        await station.offer(LABEL, NEWER)
        radio.say(CHECK_IN + DONE + NEXT_CHECK_IN)
        await a_moment()
        assert of(Shown, events) == [Shown(LABEL, NEWER.version)]


@virtually
async def test_p7_a_label_that_finds_the_picture_in_its_own_memory_proves_it_by_its_check_in():
    async with a_station() as (station, radio, events):
        await station.offer(LABEL, BLOB)
        radio.say(CHECK_IN + DONE + NEXT_CHECK_IN)
        await a_moment()
        assert of(Shown, events) == [Shown(LABEL, VERSION)]


@virtually
async def test_p7_done_without_a_check_in_after_a_start_of_the_daemon_proves_nothing():
    async with a_station() as (station, radio, events):
        await station.offer(LABEL, BLOB)
        radio.say(DONE)
        await a_moment()
        assert of(Shown, events) == []
        assert of(Ambiguous, events) == [Ambiguous(LABEL)]


@virtually
async def test_an_offer_that_waits_is_not_sent_once_it_is_replaced():
    async with a_station() as (station, radio, _):
        other = "0000021b1ad03b18"
        station.adopt(other, "oepl:00")
        radio.take()
        first = asyncio.create_task(station.offer(other, NEWER))
        second = asyncio.create_task(station.offer(LABEL, NEWER))
        third = asyncio.create_task(station.offer(LABEL, BLOB))
        await asyncio.gather(first, second, third)
        written = radio.take()
        assert written.count(bytes.fromhex(NEWER.version)) == 1
        assert written.endswith(OFFER)


@virtually
async def test_a_slot_that_expires_is_a_failed_offer():
    async with a_station() as (station, radio, events):
        await station.offer(LABEL, BLOB)
        radio.take()
        radio.say(EXPIRED)
        await a_moment()
        assert of(Failed, events) == [Failed(LABEL, VERSION, "the label did not fetch it in time")]
        assert radio.take() == b""


@virtually
async def test_a_restart_brings_channel_and_offers_back_in_this_order_1_2():
    async with a_station() as (station, radio, _):
        await station.offer(LABEL, BLOB)
        radio.take()
        radio.say(b"ets Jun  8 2016\r\nRES>")
        await a_moment()
        assert station.state is StationState.CONNECTING
        assert radio.take() == b""
        radio.say(b"RDY>")
        await a_moment()
        assert radio.take() == GREETING[8:] + OFFER
        assert station.state is StationState.READY


@virtually
async def test_a_silent_line_is_pinged_after_thirty_seconds_1_2():
    async with a_station() as (_, radio, _):
        radio.take()
        await asyncio.sleep(29)
        assert radio.take() == b""
        await asyncio.sleep(3)
        assert radio.take() == b"RDY?"


@virtually
async def test_a_dead_radio_is_reset_and_the_line_opened_again_1_2():
    async with a_station() as (station, radio, _):
        radio.take()
        radio.mute = True
        await asyncio.sleep(60)
        written = radio.take()
        assert b"RSET" in written
        assert radio.opened > 1
        radio.mute = False
        await asyncio.sleep(60)
        assert station.state is StationState.READY


@virtually
async def test_hostile_bytes_never_cost_more_than_the_line():
    async with a_station() as (station, radio, _):
        randomness = random.Random(11)
        for _ in range(200):
            tokens = [b"ADR>", b"RQB>", b"XFC>", b"TRD>", b"XTO>", b"TYP>", b"MAC>", b"NOP>", b"RDY>"]
            radio.say(b"".join(randomness.choice(tokens) + randomness.randbytes(20) for _ in range(50)))
            await a_moment()
        await asyncio.sleep(10)
        radio.take()
        await station.offer(LABEL, BLOB)
        assert OFFER in radio.take()


@virtually
async def test_a_light_is_a_command_with_four_as_argument_1_6():
    async with a_station() as (station, radio, _):
        led_capable = bytearray(CHECK_IN[4:])
        led_capable[9 + 8] |= 0x01
        led_capable[0] = sum(led_capable[1:]) & 0xFF
        radio.say(b"ADR>" + bytes(led_capable))
        await a_moment()
        radio.take()
        await station.light(LABEL, Colour.RED, 10)
        written = radio.take()
        assert written[:4] == b"SDA>"
        assert written[5:17].hex() == "81e03204" + "00" * 6 + "0900"
        assert written[17:19].hex() == "af04"
