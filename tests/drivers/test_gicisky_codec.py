"""Gicisky labels byte for byte: vectors of esl.md, each with the section that prints it."""

import hashlib
import random
import struct
import tracemalloc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drivers.gicisky import codec
from drivers.gicisky.codec import (
    Announced,
    BadFrame,
    BadStream,
    BlockSize,
    Cancelled,
    Complete,
    LabelReport,
    PartWanted,
    compress,
    decompress,
)
from drivers.virtual import gicisky_screen
from drivers.virtual.gicisky_screen import Rubbish

PLANE_BYTES = 15000  # 400 × 300 (3.7)
WHITE, BLACK = b"\xff", b"\x00"

# 3.7: captures of the vendor's app, from gicisky_vectors.csv: content, stream bytes, parts of 240, MD5 of the stream,
# MD5 of both planes. A pair is one black pixel on white.
CAPTURES = [
    ((100, 100), 8467, 36, "8002b2dd19904799d34a01e34ebf1662", "18ea775f2aa23d2f173d9dcf939eb820"),
    ((0, 299), 8469, 36, "5e7e153edae986b228784f23f9ef2b04", "bddd8dab3d9d1ce0aab3ba362e75d1c1"),
    ((399, 299), 8462, 36, "bbf8b13ccd41c363a6145674658f17da", "a209beec73ee7f698f23107c1b714964"),
    ((101, 100), 8467, 36, "425e433bbd1df7ffc18820b6faf1a40c", "783b3f3b7b67a958a1a9a2acef97c328"),
    ((0, 0), 8462, 36, "03adcdb5e2f13fd4f74cd9b03dc12641", "d967c58e1a186dc7b1a2d110d44eef10"),
    ((256, 0), 8469, 36, "09681e7b91f57927bd2f8504f925981c", "1e9096028dbfb54107dfc7cd54b274e1"),
    ((100, 1), 8462, 36, "380d4e3e09febc875bb2f98c8c824622", "b313fb33f00e4424ff3ab43f3af4a1f6"),
    ((399, 0), 8465, 36, "8fe98a7e38b887d21c87b9e4cf794c19", "5114d61ac97f73470af69e30b7666231"),
    ("black", 8462, 36, "6604f3d25617820fc1d91e650d5ffde6", "429243242c23867fefa7eab7438747f8"),
    ("red", 8462, 36, "9da095f9696cfac7796ab906ec12458c", "590b0c1385262fe8290d2ea071d57604"),
    ("white", 8462, 36, "95d7a3de3bab6cfcb54d71965d85192e", "922b824726b7f235ea0b9351507e700f"),
]

# 3.6: chunks of the captures, with what they hold.
CHUNKS = [
    (WHITE * 64, "75124010000080ffffffff000038ffffffff"),
    (BLACK * 64, "751240100000800000000000003800000000"),
    (WHITE * 24, "75111810000080ffffffff0e00ffffffff"),
    (WHITE * 20 + b"\xf7" + WHITE * 43, "751740d0000080ffffffff0e00f70e00000017ffffffff"),
]

# 3.1: advertisements of labels in use.
REPORTS = [
    ("0b1d810141", LabelReport(0x010B, 2900, 0x8101, compresses=False)),
    ("331d810140", LabelReport(0x0033, 2900, 0x8101, compresses=False)),
    ("2b1e810102", LabelReport(0x022B, 3000, 0x8101, compresses=True)),
    ("4b1e810140", LabelReport(0x004B, 3000, 0x8101, compresses=False)),
    ("2b1e010101", LabelReport(0x012B, 3000, 0x0101, compresses=True)),
    ("8b1f010100", LabelReport(0x008B, 3100, 0x0101, compresses=True)),
]

# Planes as pictures have them: runs, repeats and a few strays rather than noise.
RUN = st.tuples(st.sampled_from((0, 255, 0x0F, 0x80, 1)) | st.integers(0, 255), st.integers(1, 90))
RUNS = st.lists(RUN, max_size=12)
PLANES = st.one_of(
    st.binary(max_size=200),
    RUNS.map(lambda runs: b"".join(bytes((byte,)) * count for byte, count in runs)),
    st.tuples(st.binary(min_size=1, max_size=7), st.integers(1, 30)).map(lambda motif: motif[0] * motif[1]),
)  # fmt: skip


def planes_of(content):
    if content == "red":
        return BLACK * PLANE_BYTES, WHITE * PLANE_BYTES
    plane = bytearray((BLACK if content == "black" else WHITE) * PLANE_BYTES)
    if isinstance(content, tuple):
        place = content[1] * 400 + content[0]
        plane[place // 8] ^= 0x80 >> place % 8
    return bytes(plane), BLACK * PLANE_BYTES


def chunks_of(stream):
    at = 4
    while at < len(stream):
        yield stream[at : at + stream[at + 1]]
        at += stream[at + 1]


@pytest.mark.parametrize(("content", "stream_bytes", "parts", "stream_md5", "planes_md5"), CAPTURES)
def test_the_vendors_stream_comes_out_byte_for_byte_3_7(content, stream_bytes, parts, stream_md5, planes_md5):
    planes = planes_of(content)
    assert hashlib.md5(b"".join(planes)).hexdigest() == planes_md5
    stream = compress(*planes)
    assert (len(stream), -(-len(stream) // 240)) == (stream_bytes, parts)
    assert hashlib.md5(stream).hexdigest() == stream_md5
    assert decompress(stream) == planes
    assert gicisky_screen.inflated(stream) == b"".join(planes)


@pytest.mark.parametrize(("content", "chunk"), CHUNKS)
def test_a_chunk_is_what_the_vendor_sends_3_6(content, chunk):
    assert compress(content, b"").hex() == "00000000" + chunk
    assert decompress(bytes(4) + bytes.fromhex(chunk)) == (content, b"")


def test_a_stream_begins_with_the_length_of_the_second_plane_and_has_470_chunks_for_4_2_inch_3_7():
    stream = compress(*planes_of("white"))
    assert stream[:4].hex() == "983a0000"
    lengths = [chunk[2] for chunk in chunks_of(stream)]
    assert len(lengths) == 470
    assert lengths == ([64] * 234 + [24]) * 2


@pytest.mark.parametrize("lengths", [(0, 0), (0, 1), (1, 0), (64, 64), (65, 3), (10, 200), (200, 10), (2756, 2756)])
def test_planes_may_have_any_length_and_need_not_be_equal(lengths):
    planes = random.Random(3).randbytes(lengths[0]), b"\xaa" * lengths[1]
    stream = compress(*planes)
    assert stream[:4] == struct.pack("<I", lengths[1])
    assert [chunk[2] for chunk in chunks_of(stream)] == [
        min(64, length - at) for length in lengths for at in range(0, length, 64)
    ]
    assert decompress(stream) == planes
    assert gicisky_screen.inflated(stream) == b"".join(planes)


@pytest.mark.parametrize("length", range(1, 12))
def test_a_chunk_of_less_than_11_bytes_is_all_literals_3_6(length):
    (chunk,) = chunks_of(compress(WHITE * length, b""))
    if length < 11:
        assert chunk == bytes((0x75, 7 + length, length, 0, 0, 0, 0x80)) + WHITE * length
    else:
        assert chunk.endswith(WHITE * 4)


def test_a_last_chunk_of_4_bytes_as_212x104_leaves_it_is_all_literals_3_6():
    plane = random.Random(5).randbytes(212 * 104 // 8)
    assert list(chunks_of(compress(plane, b"")))[-1] == b"\x75\x0b\x04\x00\x00\x00\x80" + plane[-4:]


def test_a_chunk_that_does_not_shrink_is_sent_compressed_all_the_same_3_6():
    noise = bytes(range(64))
    (chunk,) = chunks_of(compress(noise, b""))
    assert chunk[0] == 0x75
    assert len(chunk) == 3 + 3 * 4 + 64
    assert [chunk[at : at + 4].hex() for at in (3, 38, 73)] == ["00000080"] * 3


@pytest.mark.parametrize(("length", "token"), [(17, "0f00"), (18, "000012"), (30, "00001e")])
def test_a_match_of_18_or_more_has_its_length_in_a_third_byte_3_6(length, token):
    (chunk,) = chunks_of(compress(WHITE * (4 + length) + bytes(range(12)), b""))
    assert chunk[3:].hex().startswith("10000080" + "ffffffff" + token + "00" + "01")


def test_what_three_equal_bytes_in_a_row_do_not_prove_is_no_match_3_6():
    """A neighbour matches only inside seven equal bytes: the decoder could not yet have it in its table."""
    run = b"\x01\x02\xff\xff\xff\xff\xff\x03" + bytes(range(16, 40))
    (chunk,) = chunks_of(compress(run, b""))
    assert chunk[3:7] == struct.pack("<I", 0x80000000)


def test_a_run_begins_three_literals_behind_a_match_at_the_earliest_3_6():
    """No bucket means a place inside a match, so a neighbour two bytes back would be unknown to the decoder."""
    content = b"xyz\xff\xff\x01xyz" + WHITE * 12 + bytes(range(12))
    (chunk,) = chunks_of(compress(content, b""))
    assert chunk[3:7] == struct.pack("<I", 0x80000000 | 1 << 6 | 1 << 10)
    assert decompress(compress(content, b"")) == (content, b"")


@pytest.mark.parametrize(("more", "matches"), [(b"", 0), (b"!", 1 << 5)])
def test_eleven_bytes_before_the_end_is_the_last_place_for_a_match_3_6(more, matches):
    (chunk,) = chunks_of(compress(b"abc--abc1234567" + more, b""))
    assert chunk[3:7] == struct.pack("<I", 0x80000000 | matches)


@given(PLANES, PLANES)
@settings(deadline=None)
def test_any_planes_come_back_through_both_decoders(first, second):
    stream = compress(first, second)
    assert decompress(stream) == (first, second)
    assert gicisky_screen.inflated(stream) == first + second
    assert all(chunk[0] == 0x75 and len(chunk) <= 3 + 12 + 64 for chunk in chunks_of(stream))


def test_bytes_of_any_kind_are_taken():
    planes = random.Random(7).randbytes(300)
    assert compress(bytearray(planes), memoryview(planes)) == compress(planes, planes)


def test_a_stored_chunk_is_understood_3_5():
    assert decompress(bytes.fromhex("02000000 7406 03 aabbcc 7405 02 ddee".replace(" ", ""))) == (
        bytes.fromhex("aabbcc"), bytes.fromhex("ddee"),
    )  # fmt: skip


@pytest.mark.parametrize("stream", [
    "", "000000", "01000000", "ffffffff",  # no header, or a second plane of nothing
    "00000000 75", "00000000 7512", "00000000 750340", "00000000 750000", "00000000 75ff40 00",  # no whole chunk
    "00000000 760801 00000080 ff", "00000000 740502 aa", "00000000 740703 aabbccdd",  # neither kind
    "00000000 750800 00000080 ff", "00000000 7508 02 00000080 ff", "00000000 7509 01 00000080 ffff",  # wrong lengths
    "00000000 7504 01 00", "00000000 7509 20 01000080 0f00", "00000000 750d20 10000080 ffffffff f0ff",  # empty buckets
    "00000000 750e08 10000080 ffffffff 000000", "00000000 750e08 10000080 ffffffff 0000ff",  # too short, too long
    "02000000 740603 aabbcc",  # the second plane begins inside a chunk
])  # fmt: skip
def test_a_stream_that_is_none_is_refused(stream):
    with pytest.raises(BadStream):
        decompress(bytes.fromhex(stream))


def test_a_stream_larger_than_any_panel_is_refused_before_anything_is_unpacked():
    bomb = bytes(4) + bytes.fromhex("75124010000080ffffffff000038ffffffff") * 20_000
    tracemalloc.start()
    try:
        with pytest.raises(BadStream, match="at most"):
            decompress(bomb)
        assert tracemalloc.get_traced_memory()[1] < 100_000
    finally:
        tracemalloc.stop()


@given(st.binary(max_size=400))
@settings(max_examples=300, deadline=None)
def test_any_bytes_are_planes_or_refused(data):
    for stream in (data, bytes(4) + b"\x75" + data, bytes(4) + bytes((0x75, min(255, 3 + len(data)), 64)) + data):
        try:
            first, second = decompress(stream)
        except BadStream:
            continue
        assert len(first) + len(second) == sum(chunk[2] for chunk in chunks_of(stream))
        assert gicisky_screen.inflated(stream) == first + second


@given(PLANES, PLANES, st.integers(0, 10_000), st.integers(1, 255))
@settings(max_examples=300, deadline=None)
def test_a_spoilt_stream_is_read_by_both_decoders_alike_or_refused_by_ours(first, second, place, change):
    stream = bytearray(compress(first, second))
    stream[place % len(stream)] ^= change
    try:
        planes = decompress(bytes(stream))
    except BadStream:
        return
    assert gicisky_screen.inflated(bytes(stream)) == b"".join(planes)


def test_a_line_stream_has_a_head_for_every_line_3_5():
    assert codec.lines((b"\x01\x02\x03\x04", b"\x05\x06\x07\x08"), 2).hex() == (
        "28000000" "750902000000000102" "750902000000000304" "750902000000000506" "750902000000000708"
    )  # fmt: skip
    assert codec.lines((), 5).hex() == "04000000"


@pytest.mark.parametrize("line_bytes", [0, 249])
def test_a_line_length_that_has_no_head_is_refused(line_bytes):
    with pytest.raises(ValueError, match="line"):
        codec.lines((b"\x00",), line_bytes)


@given(st.lists(st.binary(max_size=100), max_size=3), st.integers(1, 248))
@settings(deadline=None)
def test_any_planes_come_back_from_lines(planes, line_bytes):
    stream = codec.lines(planes, line_bytes)
    assert codec.from_lines(stream) == gicisky_screen.unlined(stream) == b"".join(planes)


def test_a_line_is_also_a_chunk_of_nothing_but_literals_3_5():
    line = codec.lines((WHITE * 52,), 52)
    assert decompress(bytes(4) + line[4:]) == (WHITE * 52, b"")


@given(st.binary(max_size=60))
@settings(deadline=None)
def test_any_bytes_are_lines_or_refused(data):
    begun = b"\x75\x09\x02" + data
    for stream in (data, struct.pack("<I", 4 + len(data)) + data, struct.pack("<I", 4 + len(begun)) + begun):
        try:
            content = codec.from_lines(stream)
        except BadStream:
            continue
        assert gicisky_screen.unlined(stream) == content


@pytest.mark.parametrize(("payload", "report"), REPORTS)
def test_an_advertisement_names_type_battery_and_firmware_3_1(payload, report):
    assert LabelReport.from_bytes(bytes.fromhex(payload)) == report
    assert report.to_bytes().hex() == payload


@pytest.mark.parametrize("length", [0, 4, 6, 27])
def test_manufacturer_data_of_another_length_is_refused_3_1(length):
    with pytest.raises(BadFrame):
        LabelReport.from_bytes(bytes(length))


def test_commands_are_the_bytes_of_3_3():
    assert codec.ask_block_size().hex() == "01"
    assert codec.announce(30000).hex() == "0230750000000000"
    assert codec.announce(0x00012A4B, short=True).hex() == "024b2a010001"
    assert codec.start().hex() == "03"
    assert codec.cancel().hex() == "04"
    assert codec.part_write(258, b"\xaa\xbb").hex() == "02010000aabb"


@pytest.mark.parametrize(("payload", "notice"), [
    ("01f400", BlockSize(244)),
    ("0200", Announced(0)),
    ("0201", Announced(1)),
    ("0400", Cancelled(0)),
    ("050000000000", PartWanted(0, 0)),
    ("050223010000", PartWanted(0x123, 2)),
    ("0508", Complete()),
    ("050824000000", Complete()),
])  # fmt: skip
def test_notifications_are_read_as_3_3_writes_them(payload, notice):
    assert codec.notice_from_bytes(bytes.fromhex(payload)) == notice


@pytest.mark.parametrize("payload", ["", "01", "01f4", "02", "03", "04", "05", "0500", "0500000000", "06aabbccddee"])
def test_a_notification_that_is_none_is_refused(payload):
    with pytest.raises(BadFrame):
        codec.notice_from_bytes(bytes.fromhex(payload))


@given(st.binary(max_size=24))
@settings(deadline=None)
def test_any_bytes_are_a_notification_or_refused(payload):
    try:
        notice = codec.notice_from_bytes(payload)
    except BadFrame:
        return
    assert isinstance(notice, BlockSize | Announced | Cancelled | PartWanted | Complete)


@given(st.binary(min_size=5, max_size=5))
@settings(deadline=None)
def test_any_five_bytes_are_a_report_and_come_back(payload):
    payload = bytes((*payload[:4], payload[4] & 0x7F))  # the top bit means nothing and is dropped
    assert LabelReport.from_bytes(payload).to_bytes() == payload


def test_the_witness_refuses_a_match_with_nothing_too():
    with pytest.raises(Rubbish):
        gicisky_screen.inflated(bytes(4) + b"\x75\x09\x20\x01\x00\x00\x80\x0f\x00")
