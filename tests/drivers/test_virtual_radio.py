"""The virtual radio from its host's side: any program that speaks esl.md section 1 can drive it."""

import asyncio
import hashlib
import random

import pytest

from drivers.openepaperlink import codec
from drivers.openepaperlink.codec import CheckIn, PendingData, RadioSettings, ReturnData
from drivers.openepaperlink.picture_codec import tag_types
from drivers.port import Feature
from drivers.virtual.label import VirtualLabel
from drivers.virtual.line_faults import LineFaults
from drivers.virtual.radio import FAST, REALISTIC, Direction, Refusal, VirtualRadio
from drivers.virtual.shelf import VirtualShelf
from tests.drivers.aisle import virtually

LABEL = "0000021b1ad03b17"
OTHER = "0000021b1ad03b18"
PAYLOAD = bytes(index & 0xFF for index in range(5000))
VERSION = "d00321d3eb208674"
OFFER = bytes.fromhex("5344413e87d00321d3eb20867488130000210100" "00a005173bd01a1b020000")
CHECK_IN = CheckIn(200, -60, 21, 2900, 0, 0xFC, 2, 0x27, 11, inner_checksum=0x30)
DONE = bytes.fromhex("5846433e59173bd01a1b020000")


class Host:
    """Sends and receives bytes, nothing more."""

    def __init__(self, **settings):
        self.heard = bytearray()
        self.radio = VirtualRadio(random.Random(1), **settings)
        self.radio.connect(self.heard.extend)

    def says(self, data):
        self.heard.clear()
        self.radio.receive(data)
        return bytes(self.heard)

    def answers_blocks(self, payload):
        """Loads every block it is asked for, as soon as it is asked."""
        blocks = _wire_blocks(payload)
        heard = bytearray()

        def line(data):
            heard.extend(data)
            if data.startswith(b"RQB>"):
                number = codec.BlockRequest.from_bytes(data[4:]).block
                self.radio.receive(codec.LOAD_BLOCK)
                self.radio.receive(blocks[number])

        self.radio.connect(line)
        return heard


@virtually
async def test_commands_and_their_answers_1_2():
    host = Host(slots_max=1)
    assert host.says(b"RDY?") == b"ACK>"
    assert host.says(b"RSET") == b"ACK>"
    assert host.says(b"NFO?") == b"ACK>TYP>C6VER>001EMAC>00C6EDFE00000000ZCH>0BZPW>0APEN>00NOP>00"
    assert host.says(codec.set_channel(RadioSettings(25, 8))) == b"ACK>"
    assert host.radio.settings == RadioSettings(25, 8)
    assert host.says(codec.set_channel(RadioSettings(12, 8))) == b"NOK>"
    assert host.says(OFFER) == b"ACK>"
    assert host.says(OFFER) == b"ACK>"  # its own slot is overwritten
    assert host.says(codec.send_data(PendingData.idle(OTHER, 30, 70))) == b"NOQ>"
    assert host.says(OFFER[:-1] + b"\x01") == b"NOK>"
    assert host.says(codec.cancel_data(LABEL)) == b"ACK>"
    assert host.radio.slots == {}
    assert host.says(b">D>") == b"ACK>"


@virtually
async def test_it_counts_full_and_idle_slots_1_2():
    host = Host()
    host.says(OFFER)
    host.says(codec.send_data(PendingData.idle(OTHER, 30, 70)))
    assert host.says(b"NFO?").endswith(b"PEN>01NOP>01")


@virtually
async def test_half_a_command_is_forgotten_after_a_second_of_silence_1_2():
    host = Host()
    host.says(OFFER[:20])
    await asyncio.sleep(1.0)
    assert host.says(b"RDY?") == b"ACK>"


@virtually
async def test_a_label_is_told_and_fetches_1_9():
    host = Host(timing=FAST)
    host.says(OFFER)
    heard = host.answers_blocks(PAYLOAD)
    told = await host.radio.check_in(LABEL, CHECK_IN)
    assert told.version.hex() == VERSION
    blocks = [await host.radio.fetch_block(LABEL, VERSION, number) for number in range(2)]
    assert b"".join(map(codec.block_from_wire, blocks)) == PAYLOAD
    assert await host.radio.complete(LABEL)
    assert host.radio.slots == {}
    expected = (
        b"ADR>" + bytes.fromhex("b9173bd01a1b02000030c8c415540b00fc0227000b000000000000000000")
        + b"RQB>" + bytes.fromhex("25d00321d3eb20867400173bd01a1b020000") + b"ACK>"
        + b"RQB>" + bytes.fromhex("26d00321d3eb20867401173bd01a1b020000") + b"ACK>"
        + DONE
    )  # fmt: skip
    assert bytes(heard) == expected


@virtually
async def test_a_label_with_nothing_to_fetch_is_cancelled():
    host = Host()
    assert await host.radio.check_in(LABEL, CHECK_IN) is None
    assert await host.radio.fetch_block(LABEL, VERSION, 0) is Refusal.CANCELLED


@virtually
async def test_a_second_label_is_refused_within_the_gate_1_2():
    host = Host(timing=REALISTIC, chatter=0.0001)
    host.says(OFFER)
    host.says(codec.send_data(PendingData(OTHER, bytes(8), 5000, 0x21, 0, 0, 10)))
    heard = host.answers_blocks(PAYLOAD)
    assert isinstance(await host.radio.fetch_block(LABEL, VERSION, 0), bytes)
    assert await host.radio.fetch_block(OTHER, "00" * 8, 0) is Refusal.BUSY
    assert b"BUSY!\n" in heard
    await asyncio.sleep(1.2)
    assert isinstance(await host.radio.fetch_block(OTHER, "00" * 8, 0), bytes)


@virtually
async def test_a_host_that_does_not_answer_costs_the_label_its_wait():
    host = Host(timing=REALISTIC)
    host.says(OFFER)
    started = asyncio.get_running_loop().time()
    assert await host.radio.fetch_block(LABEL, VERSION, 0) is Refusal.NOT_LOADED
    assert asyncio.get_running_loop().time() - started == pytest.approx(0.565, abs=0.01)


@virtually
async def test_a_repeated_request_is_answered_from_the_buffer_1_4():
    host = Host()
    host.says(OFFER)
    heard = host.answers_blocks(PAYLOAD)
    for _ in range(3):
        assert isinstance(await host.radio.fetch_block(LABEL, VERSION, 0), bytes)
    assert heard.count(b"RQB>") == 1
    await asyncio.sleep(0.4)
    assert isinstance(await host.radio.fetch_block(LABEL, VERSION, 0), bytes)
    assert heard.count(b"RQB>") == 2


@virtually
async def test_slots_expire_by_the_minute_1_2():
    host = Host()
    host.says(codec.send_data(PendingData(LABEL, bytes(8), 10, 0x20, 0, 0, 2)))
    host.says(codec.send_data(PendingData.idle(OTHER, 30, 1)))
    housekeeping = asyncio.create_task(host.radio.run())
    host.heard.clear()
    await asyncio.sleep(61)
    assert list(host.radio.slots) == [LABEL]
    assert bytes(host.heard) == b""  # nothing was in the idle one
    await asyncio.sleep(60)
    assert bytes(host.heard) == b"XTO>" + DONE[4:]
    housekeeping.cancel()


@virtually
async def test_a_restart_forgets_and_says_so_1_2():
    host = Host()
    host.says(OFFER)
    host.heard.clear()
    await host.radio.restart()
    assert host.radio.slots == {}
    assert host.heard.endswith(b"RES>RDY>")


@virtually
async def test_high_speed_in_the_order_of_1_1():
    host = Host()
    assert host.says(b"HSPD") == b"ACK>"
    await asyncio.sleep(0.09)
    assert host.radio.baud_rate == 115_200
    await asyncio.sleep(0.02)
    assert host.radio.baud_rate == 2_000_000
    assert bytes(host.heard) == b"ACK>"
    await asyncio.sleep(0.1)
    assert bytes(host.heard) == b"ACK>ACK>"


@virtually
async def test_done_said_twice_is_passed_on_twice_once_another_label_was_heard_in_between():
    host = Host()
    for _ in range(2):
        await host.radio.complete(LABEL)
    assert host.heard.count(DONE) == 1
    await host.radio.check_in(OTHER, CHECK_IN)
    await host.radio.complete(LABEL)
    assert host.heard.count(DONE) == 2


@virtually
async def test_a_label_can_send_data_of_its_own():
    host = Host()
    data = ReturnData(LABEL, 0, "00" * 8, 0x40, b"pressed")
    assert await host.radio.return_data(data)
    assert bytes(host.heard) == b"TRD>" + data.to_bytes()


@virtually
async def test_a_witness_sees_every_byte_both_ways_in_order():
    seen = []
    host = Host(on_wire=lambda direction, data: seen.append((direction, data)))
    host.says(b"RDY?")
    assert seen == [(Direction.TO_RADIO, b"RDY?"), (Direction.TO_HOST, b"ACK>")]


@virtually
async def test_a_radio_without_power_is_deaf_and_dumb():
    host = Host()
    host.radio.power_off()
    assert host.says(b"RDY?") == b""
    assert await host.radio.check_in(LABEL, CHECK_IN) is None
    assert not await host.radio.complete(LABEL)


# Labels.


def a_label(radio, **settings):
    return VirtualLabel(LABEL, tag_types()[0x54], radio, random.Random(3), check_in_s=10.0, **settings)


@virtually
async def test_a_label_reports_its_type_battery_and_abilities():
    host = Host()
    label = a_label(host.radio, battery_mv=2400, firmware_version=0x28, features=frozenset({Feature.BUTTON}))
    life = asyncio.create_task(label.run())
    await asyncio.sleep(11)
    heard = codec.CheckInHeard.from_bytes(bytes(host.heard[4:34])).check_in
    assert (heard.battery_mv, heard.hardware_type, heard.firmware_version) == (2400, 0x54, 0x28)
    assert heard.capabilities == 0x01 | 0x02 | 0x20
    assert heard.wakeup_reason == 0xFC
    await asyncio.sleep(13)
    later = codec.CheckInHeard.from_bytes(bytes(host.heard[-30:])).check_in
    assert later.wakeup_reason == 0x00
    life.cancel()


@virtually
async def test_a_label_told_to_come_back_later_does():
    host = Host()
    label = a_label(host.radio)
    life = asyncio.create_task(label.run())
    host.says(codec.send_data(PendingData.idle(LABEL, 30, 70)))
    await asyncio.sleep(1800)
    assert label.check_ins == 1
    await asyncio.sleep(30)
    assert label.check_ins == 2
    life.cancel()


@virtually
async def test_rubbish_that_a_host_sends_as_a_picture_stands_as_rubbish():
    host = Host()
    label = a_label(host.radio)
    life = asyncio.create_task(label.run())
    host.answers_blocks(b"this is no picture")
    version = codec.version_of(b"this is no picture")
    host.radio.receive(codec.send_data(PendingData(LABEL, bytes.fromhex(version), 18, 0x20, 1, 0, 10)))
    await asyncio.sleep(15)
    assert label.version == version
    assert label.picture is None
    life.cancel()


@virtually
async def test_a_shelf_ends_with_the_fault_of_a_label():
    host = Host()
    label = a_label(host.radio)
    label.check_in_s = None  # a bug, for the sake of the test
    with pytest.raises(TypeError):
        await VirtualShelf(host.radio, [label]).run()


def test_a_good_cable_spoils_nothing_and_a_bad_one_what_it_should():
    data = bytes(range(256)) * 100
    assert LineFaults(random.Random(1)).spoil(data) == data
    dropped = LineFaults(random.Random(1), drop=0.1).spoil(data)
    assert 0.88 < len(dropped) / len(data) < 0.92
    flipped = LineFaults(random.Random(1), flip=0.1).spoil(data)
    assert 0.08 < sum(a != b for a, b in zip(data, flipped, strict=True)) / len(data) < 0.12
    assert LineFaults(random.Random(1), garbage=1.0).spoil(data).endswith(data)
    assert hashlib.sha256(data).digest() != hashlib.sha256(flipped).digest()


def _wire_blocks(payload: bytes) -> list[bytes]:
    return [codec.wire_block_of(payload, number) for number in range(codec.block_count(payload))]
