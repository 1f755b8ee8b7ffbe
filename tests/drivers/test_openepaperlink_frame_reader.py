"""Frames come out of any stream of bytes that contains them; nothing that comes in can hurt (esl.md 1.2)."""

import itertools
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.openepaperlink import codec
from drivers.openepaperlink.codec import (
    BlockRequest,
    CheckIn,
    CheckInHeard,
    PendingData,
    RadioField,
    RadioSettings,
    ReturnData,
    TransferComplete,
    TransferTimedOut,
)
from drivers.openepaperlink.frame_reader import BadCommand, Command, CommandReader, FrameReader, LoadedBlock

LABEL = "0000021b1ad03b17"
CHECK_IN = CheckIn(200, -60, 21, 2900, 1, 0, 2, 0x27, 11)

WIRE = [
    (codec.ACKNOWLEDGED, b"ACK>"),
    (codec.RADIO_RESET, b"RES>"),
    (codec.NO_SLOT, b"NOQ>"),
    (CheckInHeard(LABEL, CHECK_IN), b"ADR>" + CheckInHeard(LABEL, CHECK_IN).to_bytes()),
    (BlockRequest(LABEL, "d00321d3eb208674", 1), b"RQB>" + BlockRequest(LABEL, "d00321d3eb208674", 1).to_bytes()),
    (TransferComplete(LABEL), b"XFC>" + TransferComplete(LABEL).to_bytes()),
    (TransferTimedOut(LABEL), b"XTO>" + TransferTimedOut(LABEL).to_bytes()),
    (ReturnData(LABEL, 1, "00" * 8, 7, b"x" * 90), b"TRD>" + ReturnData(LABEL, 1, "00" * 8, 7, b"x" * 90).to_bytes()),
    (RadioField("TYP", "C6"), b"TYP>C6"),
]
FRAMES = st.lists(st.sampled_from(WIRE), max_size=8)
# Debug text as the radio prints it holds no '>' (1.2), so it cannot be mistaken for a token.
DEBUG_TEXT = st.sampled_from([b"BUSY!\n", b"Sending parts: 01..\n", b"FORCED\n", b"IGNORED\n", b"\r\n", b"", b"ADR"])


def cut(data: bytes, points: list[int]) -> list[bytes]:
    edges = sorted({0, len(data), *(point % (len(data) + 1) for point in points)})
    return [data[start:end] for start, end in itertools.pairwise(edges)]


@given(FRAMES, st.lists(DEBUG_TEXT, min_size=9, max_size=9), st.lists(st.integers(0, 5000), max_size=12))
def test_every_frame_comes_out_whole_however_the_stream_is_cut_and_whatever_text_is_between(frames, texts, points):
    stream = b"".join(text + wire for text, (_, wire) in zip(texts, frames, strict=False))
    reader = FrameReader()
    heard = [frame for chunk in cut(stream, points) for frame in reader.feed(chunk)]
    assert heard == [record for record, _ in frames]
    assert reader.bad_frames == 0


@given(st.binary(max_size=2000), FRAMES)
def test_after_any_garbage_and_a_silence_frames_are_heard_again(garbage, frames):
    reader = FrameReader()
    reader.feed(garbage)
    reader.silence()
    reader.feed(b"\n" * codec.TOKEN_BYTES)
    assert reader.feed(b"".join(wire for _, wire in frames)) == [record for record, _ in frames]


@given(st.binary(max_size=5000))
def test_garbage_never_raises_and_never_leaves_more_than_one_payload_behind(garbage):
    reader = FrameReader()
    frames = reader.feed(garbage)
    assert len(frames) <= len(garbage) // 4
    assert len(reader._window) <= codec.TOKEN_BYTES
    assert len(reader._payload) <= codec.RETURN_DATA_HEAD_BYTES + codec.RETURN_DATA_BODY_BYTES_MAX


@pytest.mark.parametrize("lost", range(4, 34))
def test_a_byte_lost_in_a_check_in_does_not_cost_the_proof_that_follows(lost):
    check_in = b"ADR>" + CheckInHeard(LABEL, CHECK_IN).to_bytes()
    done = b"XFC>" + TransferComplete(LABEL).to_bytes()
    reader = FrameReader()
    heard = reader.feed(check_in[:lost] + check_in[lost + 1 :] + done) + reader.silence()
    assert TransferComplete(LABEL) in heard


def test_p7_a_proof_with_one_flipped_bit_is_no_proof():
    wire = b"XFC>" + TransferComplete(LABEL).to_bytes()
    for bit in range(8 * 4, 8 * len(wire)):
        spoilt = bytearray(wire)
        spoilt[bit // 8] ^= 1 << bit % 8
        reader = FrameReader()
        assert reader.feed(bytes(spoilt)) == []
        assert reader.bad_frames == 1


def test_half_a_payload_is_dropped_after_a_second_of_silence_and_what_it_swallowed_is_found():
    done = b"XFC>" + TransferComplete(LABEL).to_bytes()
    reader = FrameReader()
    assert reader.feed(b"ADR>" + done) == []
    assert reader.in_payload
    assert reader.silence() == [TransferComplete(LABEL)]
    assert not reader.in_payload


def test_a_stream_of_nothing_but_tokens_takes_no_longer_than_it_should():
    hostile = b"TRD>" * 20_000
    reader = FrameReader()
    reader.feed(hostile)
    assert reader.bad_frames > 1000


@pytest.mark.parametrize("end", [b"", b"\n", b"\r\n"])
def test_radio_information_with_and_without_newlines_1_2(end):
    fields = ["TYP>C6", "VER>001E", "MAC>00C6EDFE00000000", "ZCH>0B", "ZPW>0A", "PEN>03", "NOP>00"]
    heard = FrameReader().feed(b"".join(text.encode() + end for text in fields))
    assert heard == [RadioField(*text.split(">")) for text in fields]


def test_a_field_that_is_no_number_is_skipped():
    reader = FrameReader()
    assert reader.feed(b"TYP>zzACK>") == [codec.ACKNOWLEDGED]
    assert reader.bad_frames == 1


# The radio's side.


def test_a_host_is_understood_byte_by_byte():
    pending = PendingData.idle(LABEL, 30, 70)
    block = codec.wire_block(b"picture")
    stream = (
        codec.PING + codec.send_data(pending) + b"noise" + codec.LOAD_BLOCK + block + codec.cancel_data(LABEL)
        + codec.set_channel(RadioSettings(11, 10)) + codec.ASK_RADIO_INFO + codec.LOAD_BLOCK
    )  # fmt: skip
    reader = CommandReader()
    heard = [frame for value in stream for frame in reader.feed(bytes((value,)))]
    assert heard == [
        Command(codec.PING, None),
        Command(codec.SEND_DATA_AVAILABLE, pending),
        Command(codec.LOAD_BLOCK, None),
        LoadedBlock(block),
        Command(codec.CANCEL_DATA, PendingData.cancelling(LABEL)),
        Command(codec.SET_CHANNEL_AND_POWER, RadioSettings(11, 10)),
        Command(codec.ASK_RADIO_INFO, None),
        Command(codec.LOAD_BLOCK, None),
    ]


def test_a_command_with_a_wrong_checksum_is_named():
    wire = bytearray(codec.send_data(PendingData.idle(LABEL, 30, 70)))
    wire[10] ^= 1
    (heard,) = CommandReader().feed(bytes(wire))
    assert isinstance(heard, BadCommand)
    assert heard.token == b"SDA>"


def test_half_a_command_is_dropped_after_a_silence():
    reader = CommandReader()
    reader.feed(b"SDA>abc")
    assert reader.in_body
    reader.silence()
    assert reader.feed(codec.PING) == [Command(codec.PING, None)]


def test_the_radios_side_survives_any_bytes():
    randomness = random.Random(7)
    reader = CommandReader()
    for _ in range(200):
        reader.feed(randomness.randbytes(randomness.randrange(1, 3000)))
    assert len(reader._body) < codec.WIRE_BLOCK_BYTES
