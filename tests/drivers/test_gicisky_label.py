"""The Gicisky label in software, byte for byte (esl.md 3.1 to 3.5), without any radio."""

import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drivers.gicisky.codec import LabelReport, compress
from drivers.gicisky.picture_codec import label_types, planes_of
from drivers.port import Colour, Picture
from drivers.virtual.gicisky_label import LabelFaults, VirtualGiciskyLabel
from tests.drivers.gicisky_air import a_picture

ADDRESS = "ff:ff:92:10:4c:01"


class Clock:
    def __init__(self):
        self.now_s = 0.0

    def __call__(self):
        return self.now_s


@pytest.fixture
def clock():
    return Clock()


def a_label(clock, type_id=0x004B, **how):
    return VirtualGiciskyLabel(ADDRESS, label_types()[type_id], clock, **how)


def announced(stream, tail=bytes(3)):
    return b"\x02" + struct.pack("<I", len(stream)) + tail


def give(label, stream, tail=bytes(3)):
    """Tells and gives it everything; returns all that it notified."""
    said = [*label.command(announced(stream, tail)), *label.command(b"\x03")]
    for part, at in enumerate(range(0, len(stream), 240)):
        said += label.image_write(struct.pack("<I", part) + stream[at : at + 240])
    return said


@pytest.mark.parametrize(("type_id", "how", "payload"), [
    (0x010B, {"firmware": 0x8101, "compresses": False}, "0b1d810141"),
    (0x022B, {"firmware": 0x8101, "battery_mv": 3000}, "2b1e810102"),
    (0x008B, {"battery_mv": 3100}, "8b1f010100"),
])  # fmt: skip
def test_it_advertises_what_real_labels_do_3_1(clock, type_id, how, payload):
    label = a_label(clock, type_id, **how)
    assert label.name == "NEMR92104c01"
    assert label.manufacturer_data == {0x5053: bytes.fromhex(payload)}
    assert LabelReport.from_bytes(label.manufacturer_data[0x5053]).type_id == type_id


def test_it_speaks_the_sequence_of_3_3(clock):
    label = a_label(clock)
    stream = compress(b"\xff" * 15_000, bytes(15_000))
    assert label.command(b"\x01") == [b"\x01\xf4\x00"]
    said = give(label, stream)
    assert said[0].hex() == "0200"
    assert [answer.hex() for answer in said[1:3]] == ["050000000000", "050001000000"]
    assert said[-2:] == [b"\x05\x00\x23\x00\x00\x00", b"\x05\x08"]
    assert label.picture == Picture(400, 300, bytes(120_000))


@pytest.mark.parametrize("tail", [b"", b"\x00", bytes(3)])
def test_it_takes_every_form_of_announcement_that_is_in_use_3_3(clock, tail):
    label = a_label(clock)
    give(label, compress(bytes(15_000), b"\xff" * 15_000), tail)
    assert label.picture == Picture(400, 300, bytes((Colour.RED,)) * 120_000)


def test_a_large_label_reads_a_stream_as_compressed_only_when_it_was_announced_so_3_3(clock):
    label = a_label(clock, 0x012B)
    picture = a_picture(label.label_type)
    planes = planes_of(label.label_type, picture)
    give(label, compress(*planes), bytes(3))
    assert label.picture is None
    give(label, compress(*planes), b"\x01")
    assert label.picture == picture
    give(label, b"".join(planes), bytes(3))
    assert [change.picture for change in label.history] == [None, picture, picture]


@pytest.mark.parametrize("command", [b"\x02", b"\x02\x00\x00\x00\x00", b"\x02\x01\x00\x00\x00\x00\x00",
                                     b"\x02\xff\xff\xff\xff\x00\x00\x00"])  # fmt: skip
def test_it_refuses_announcements_that_are_none(clock, command):
    label = a_label(clock)
    assert label.command(command) == [b"\x02\x01"]
    assert label.command(b"\x03") == []


def test_it_draws_when_its_panel_has_refreshed_and_not_before(clock):
    label = a_label(clock, 0x0028, refresh_s=10.0)
    assert give(label, bytes(4736))[-1] == b"\x05\x08"
    clock.now_s = 9.9
    assert (label.picture, label.history) == (None, [])
    clock.now_s = 10.0
    assert label.picture == Picture(296, 128, bytes((Colour.BLACK,)) * (296 * 128))
    assert [change.at_s for change in label.history] == [10.0]


def test_without_power_it_says_nothing_and_never_draws_what_it_had_begun(clock):
    label = a_label(clock, 0x0028, refresh_s=10.0)
    give(label, b"\xff" * 4736)
    label.cut_power()
    assert (label.manufacturer_data, label.command(b"\x01"), label.image_write(bytes(5))) == ({}, [], [])
    label.restore_power()
    clock.now_s = 60.0
    assert label.history == []
    assert label.command(b"\x03") == []


def test_what_is_no_picture_shows_as_rubbish(clock):
    label = a_label(clock)
    assert give(label, bytes.fromhex("00000000") + bytes(500))[-1] == b"\x05\x08"
    assert len(label.history) == 1
    assert label.picture is None


def test_a_stream_that_was_cancelled_or_lost_its_connection_is_forgotten(clock):
    label = a_label(clock)
    for forget in (lambda: label.command(b"\x04"), label.disconnected):
        label.command(announced(bytes(500)))
        label.command(b"\x03")
        assert label.image_write(bytes(4) + bytes(240)) == [b"\x05\x00\x01\x00\x00\x00"]
        forget()
        assert label.image_write(b"\x01\x00\x00\x00" + bytes(240)) == []
    assert label.command(b"\x04") == [b"\x04\x00"]


def test_a_part_that_it_did_not_ask_for_is_not_taken(clock):
    label = a_label(clock)
    label.command(announced(bytes(500)))
    label.command(b"\x03")
    assert label.image_write(b"\x01\x00\x00\x00" + bytes(240)) == [b"\x05\x01\x00\x00\x00\x00"]


def test_its_faults_are_as_described(clock):
    faults = LabelFaults(loses_once={0}, asks_instead={1: 9}, noise=b"\xee", refuses_streams=True)
    label = a_label(clock, faults=faults)
    assert label.command(announced(bytes(500))) == [b"\xee", b"\x02\x01", b"\xee"]
    faults.refuses_streams, faults.noise = False, None
    label.command(announced(bytes(500)))
    assert label.command(b"\x03") == [b"\x05\x00\x00\x00\x00\x00"]
    assert label.image_write(bytes(244)) == [b"\x05\x01\x00\x00\x00\x00"]
    assert label.image_write(bytes(244)) == [b"\x05\x00\x09\x00\x00\x00"]
    faults.silent_after_parts = 2
    assert label.image_write(b"\x01\x00\x00\x00" + bytes(240)) == []


WRITES = st.one_of(st.binary(max_size=20), st.sampled_from([b"\x03", announced(b"x" * 9)]))


@given(st.lists(st.tuples(st.booleans(), WRITES)))
@settings(deadline=None)
def test_nothing_that_is_written_to_it_makes_it_stumble(writes):
    label = a_label(Clock())
    for is_command, data in writes:
        said = label.command(data) if is_command else label.image_write(data)
        assert all(2 <= len(answer) <= 6 for answer in said)
    assert label.picture is None
