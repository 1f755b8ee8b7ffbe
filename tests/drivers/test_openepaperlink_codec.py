"""The radio line byte for byte: vectors of esl.md, each with the section that prints it."""

import hashlib

import pytest

from drivers.openepaperlink import codec
from drivers.openepaperlink.codec import (
    BadFrame,
    BlockRequest,
    CheckIn,
    CheckInHeard,
    DataType,
    LabelCommand,
    LedFlash,
    PendingData,
    RadioSettings,
    ReturnData,
    TransferComplete,
    TransferTimedOut,
)

LABEL = "0000021b1ad03b17"  # as printed on the label (1.9)
PAYLOAD = bytes(index & 0xFF for index in range(5000))  # 1.9
VERSION = "d00321d3eb208674"  # 1.9

CHECK_IN_BYTES = bytes.fromhex("b9173bd01a1b02000030c8c415540b00fc0227000b000000000000000000")  # 1.9
CHECK_IN = CheckInHeard(
    LABEL,
    CheckIn(lqi=200, rssi_dbm=-60, temperature_c=21, battery_mv=2900, hardware_type=0, wakeup_reason=0xFC,
            capabilities=0x02, firmware_version=0x27, channel=11, inner_checksum=0x30),
)  # fmt: skip


def test_an_address_is_printed_backwards_1_2():
    assert codec.address_to_wire(LABEL).hex() == "173bd01a1b020000"
    assert codec.address_from_wire(bytes.fromhex("173bd01a1b020000")) == LABEL


@pytest.mark.parametrize("label", ["", "17", "0000021b1ad03b1", "0000021b1ad03b1g", "00 00 02 1b 1a d0 3b 17"])
def test_an_address_that_is_none_is_refused(label):
    with pytest.raises(ValueError, match="hex"):
        codec.address_to_wire(label)


def test_a_version_is_the_first_half_of_the_payloads_md5_1_9():
    assert codec.version_of(PAYLOAD) == VERSION


def test_a_check_in_1_9():
    assert CheckInHeard.from_bytes(CHECK_IN_BYTES) == CHECK_IN
    assert CHECK_IN.to_bytes() == CHECK_IN_BYTES
    assert not CHECK_IN.check_in.is_short


def test_a_short_check_in_says_nothing_but_that_the_label_is_there_1_3():
    heard = CheckInHeard.from_bytes(codec.sealed(codec.address_to_wire(LABEL) + bytes(21)))
    assert heard.label == LABEL
    assert heard.check_in.is_short


def test_an_offer_1_9():
    pending = PendingData(LABEL, bytes.fromhex(VERSION), len(PAYLOAD), DataType.IMAGE_RAW_2_BPP, 1, 0, 1440)
    wire = bytes.fromhex("5344413e87d00321d3eb20867488130000210100" "00a005173bd01a1b020000")
    assert codec.send_data(pending) == wire
    assert PendingData.from_bytes(wire[4:]) == pending


def test_an_idle_offer_of_thirty_minutes_1_9():
    wire = "5344413ebd00000000000000000000000000001e004600173bd01a1b020000"
    assert codec.send_data(PendingData.idle(LABEL, 30, 70)).hex() == wire


def test_a_reboot_command_1_9():
    wire = "5344413e12000000000000000000000000af0000000a00173bd01a1b020000"
    assert codec.send_data(PendingData.command(LABEL, LabelCommand.REBOOT, 10)).hex() == wire


def test_cancelling_a_label_1_9():
    assert codec.cancel_data(LABEL).hex() == "4358443e59" + "00" * 18 + "173bd01a1b020000"


@pytest.mark.parametrize(("channel", "wire"), [(11, "5343503e150b0a"), (25, "5343503e23190a")])
def test_channel_and_power_1_9(channel, wire):
    assert codec.set_channel(RadioSettings(channel, 10)).hex() == wire
    assert RadioSettings.from_bytes(bytes.fromhex(wire)[4:]) == RadioSettings(channel, 10)


@pytest.mark.parametrize(
    ("block", "wire"),
    [(0, "25d00321d3eb20867400173bd01a1b020000"), (1, "26d00321d3eb20867401173bd01a1b020000")],
)
def test_a_label_asks_for_a_block_1_9(block, wire):
    assert BlockRequest.from_bytes(bytes.fromhex(wire)) == BlockRequest(LABEL, VERSION, block)
    assert BlockRequest(LABEL, VERSION, block).to_bytes().hex() == wire


def test_a_label_is_done_1_9():
    wire = bytes.fromhex("5846433e59173bd01a1b020000")
    assert TransferComplete.from_bytes(wire[4:]) == TransferComplete(LABEL)
    assert b"XFC>" + TransferComplete(LABEL).to_bytes() == wire
    assert TransferTimedOut.from_bytes(wire[4:]).label == LABEL


def test_both_blocks_as_two_other_hosts_sent_them_1_9():
    first, second = _wire_blocks(PAYLOAD)
    assert (len(first), len(second)) == (4100, 4100)
    assert first.hex().startswith("aabaaa52aaaba8a9aeafacada2a3a0a1a6a7a4a5")
    assert second.hex().startswith("22a9f608aaaba8a9")
    assert second.hex().endswith("aaaa")
    assert [hashlib.sha256(codec.LOAD_BLOCK + block).hexdigest() for block in (first, second)] == [
        "356e564169f303c30d7f321fdeab21d4a7ae4399ab205c4637a3241259b95726",
        "46164c3d390cb7d2e090e059101cc1eec9dbadcb01bbb9ba9cf47ec16b94db47",
    ]


def test_block_checksums_1_9():
    assert codec.sum16(PAYLOAD[:4096]) == 0xF800
    assert codec.sum16(PAYLOAD[4096:]) == 0xA25C


def test_a_label_reads_back_what_was_sent():
    assert b"".join(codec.block_from_wire(block) for block in _wire_blocks(PAYLOAD)) == PAYLOAD


@pytest.mark.parametrize("at", [0, 1, 2, 3, 4, 2000])
def test_a_spoilt_block_is_noticed(at):
    wire = bytearray(codec.wire_block(PAYLOAD[:3000]))
    wire[at] ^= 0x10
    with pytest.raises(BadFrame, match="block"):
        codec.block_from_wire(bytes(wire))


@pytest.mark.parametrize("payload", [b"", bytes(4096 * 256 + 1)])
def test_a_payload_that_no_block_number_reaches_is_refused(payload):
    with pytest.raises(ValueError, match="payload"):
        _wire_blocks(payload)


def test_return_data_carries_its_own_length_1_2():
    data = ReturnData(LABEL, 3, VERSION, 0x40, b"hello")
    wire = data.to_bytes()
    assert wire[9] + 10 == len(wire)
    assert ReturnData.from_bytes(wire) == data


@pytest.mark.parametrize("body", [0, 10, 102, 255])
def test_return_data_of_an_impossible_length_is_refused(body):
    with pytest.raises(BadFrame, match="TRD>"):
        codec.return_data_length(bytes(9) + bytes((body,)))


def test_a_flash_travels_in_version_and_size_1_3():
    flash = LedFlash(colour=0xE0, count=2, speed=3, delay=4, repeats=9)
    raw = flash.to_bytes()
    assert raw.hex() == "81e03204" + "00" * 6 + "0900"
    pending = PendingData.command(LABEL, LabelCommand.LED_FLASH, 10, raw)
    assert (pending.data_type, pending.argument) == (0xAF, 4)
    assert LedFlash.from_bytes(pending.version + pending.size.to_bytes(4, "little")) == flash


@pytest.mark.parametrize(
    ("decode", "good"),
    [
        (CheckInHeard.from_bytes, CHECK_IN_BYTES),
        (BlockRequest.from_bytes, bytes.fromhex("25d00321d3eb20867400173bd01a1b020000")),
        (TransferComplete.from_bytes, bytes.fromhex("59173bd01a1b020000")),
        (PendingData.from_bytes, PendingData.idle(LABEL, 30, 70).to_bytes()),
        (RadioSettings.from_bytes, RadioSettings(11, 10, 7).to_bytes()),
        (ReturnData.from_bytes, ReturnData(LABEL, 1, VERSION, 2, b"abc").to_bytes()),
    ],
)
def test_a_wrong_checksum_or_length_is_a_bad_frame(decode, good):
    for spoilt in (bytes((good[0] ^ 1,)) + good[1:], good[:-1] + bytes((good[-1] ^ 0x80,)), good[:-1], good + b"\0"):
        with pytest.raises(BadFrame):
            decode(spoilt)


def _wire_blocks(payload: bytes) -> list[bytes]:
    return [codec.wire_block_of(payload, number) for number in range(codec.block_count(payload))]
