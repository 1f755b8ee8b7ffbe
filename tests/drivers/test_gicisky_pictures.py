"""Pictures as Gicisky labels take them (esl.md 3.1, 3.4, 3.5), judged by the panel in software."""

import hashlib
import pickle

import pytest

from drivers.gicisky.codec import LabelReport, StreamFormat, decompress
from drivers.gicisky.picture_codec import encode_picture, label_type_named, label_types, planes_of, type_name_heard
from drivers.port import Colour, Picture
from drivers.virtual import gicisky_screen
from drivers.virtual.gicisky_screen import Rubbish
from tests.drivers.gicisky_air import a_picture

LABEL = "ff:ff:92:10:4c:01"
ALL_TYPES = sorted(label_types())
ALL_NAMES = [label_types()[number].type_name(stream) for number in ALL_TYPES for stream in StreamFormat]


def one_pixel(label_type, x, y, colour=Colour.BLACK):
    pixels = bytearray(label_type.width * label_type.height)
    pixels[y * label_type.width + x] = colour
    return Picture(label_type.width, label_type.height, bytes(pixels))


def described(type_name):
    label_type, stream_format = label_type_named(type_name)
    return label_type.describe(LABEL, stream_format)


def planes_in(blob):
    match blob.encoding:
        case StreamFormat.LINES:
            return gicisky_screen.unlined(blob.payload)
        case StreamFormat.CHUNKS:
            return gicisky_screen.inflated(blob.payload)
    return blob.payload


def test_the_types_of_3_1():
    types = label_types()
    sizes = {number: (label_type.width, label_type.height) for number, label_type in types.items()}
    assert sizes == {
        0x00A0: (250, 132), 0x000B: (212, 104), 0x010B: (250, 128), 0x0028: (296, 128), 0x0033: (296, 128),
        0x002E: (296, 128), 0x022B: (240, 416), 0x004E: (400, 300), 0x004B: (400, 300), 0x012B: (800, 480),
        0x008B: (960, 640),
    }  # fmt: skip
    turns = {number: label_type.quarter_turns for number, label_type in types.items() if label_type.quarter_turns}
    assert turns == {0x00A0: 1, 0x000B: 3, 0x010B: 3, 0x0028: 1, 0x0033: 1, 0x002E: 1, 0x022B: 2}
    assert {number for number in types if types[number].mirror_x} == {0x00A0, 0x000B, 0x010B, 0x022B}
    assert {number for number in types if types[number].mirror_y} == {0x012B}
    assert {number for number in types if types[number].inverted} == {0x012B}
    assert {number for number in types if types[number].packed} == {0x002E, 0x004E}
    assert {number for number in types if types[number].stretched} == {0x00A0}
    assert {number for number in types if types[number].short_announcement} == {0x012B, 0x008B}
    assert {number for number in types if Colour.RED not in types[number].colours} == {0x00A0, 0x0028}
    assert {number for number in types if Colour.YELLOW in types[number].colours} == {0x002E, 0x004E}


def test_a_red_label_may_take_a_minute_from_proof_to_picture_3_7():
    assert all(kind.settle_s >= 60 for kind in label_types().values() if Colour.RED in kind.colours)


@pytest.mark.parametrize(("payload", "type_name"), [
    ("0b1d810141", "gicisky:010b"),
    ("331d810140", "gicisky:0033"),
    ("2b1e810102", "gicisky:022b"),
    ("4b1e810140", "gicisky:004b/raw"),
    ("4b1e810100", "gicisky:004b"),
    ("2b1e010101", "gicisky:012b"),
    ("2b1e810101", "gicisky:012b/lines"),
    ("2b1e810141", "gicisky:012b/raw"),
    ("8b1f010100", "gicisky:008b"),
    ("ff1f010100", None),
])  # fmt: skip
def test_a_label_says_its_type_and_which_stream_it_takes_3_1(payload, type_name):
    assert type_name_heard(LabelReport.from_bytes(bytes.fromhex(payload))) == type_name


def test_every_name_that_is_heard_can_be_adopted():
    for type_id in ALL_TYPES:
        for firmware in (0x0101, 0x8101):
            for compresses in (False, True):
                name = type_name_heard(LabelReport(type_id, 3000, firmware, compresses))
                assert label_type_named(name)[0].type_id == type_id


@pytest.mark.parametrize("name", ["", "0033", "gicisky:", "gicisky:33", "gicisky:0033/raw", "gicisky:ffff", "oepl:33",
                                  "gicisky:0033/", "gicisky:012b/zlib", "gicisky:012B"])  # fmt: skip
def test_a_name_that_is_no_type_is_refused(name):
    with pytest.raises(ValueError, match="no Gicisky label type"):
        label_type_named(name)


@pytest.mark.parametrize("name", ALL_NAMES)
def test_what_is_encoded_is_what_the_panel_shows(name):
    label_type, stream_format = label_type_named(name)
    picture = a_picture(label_type)
    blob = encode_picture(described(name), picture)
    assert blob.encoding == stream_format
    assert gicisky_screen.shown(label_type, planes_in(blob)) == picture


@pytest.mark.parametrize("type_id", ALL_TYPES)
def test_every_corner_is_where_it_was_drawn(type_id):
    label_type = label_types()[type_id]
    corners = [(x, y) for x in (0, label_type.width - 1) for y in (0, label_type.height - 1)]
    shown = [
        gicisky_screen.shown(label_type, b"".join(planes_of(label_type, one_pixel(label_type, *corner))))
        for corner in corners
    ]
    assert [picture.pixels[y * label_type.width + x] for picture, (x, y) in zip(shown, corners, strict=True)] == [1] * 4
    assert len({picture.pixels for picture in shown}) == 4


def test_white_is_1_in_plane_1_and_red_is_1_in_plane_2_and_0_in_plane_1_3_4():
    label_type = label_types()[0x004B]
    first, second = planes_of(label_type, one_pixel(label_type, 1, 0, Colour.RED))
    assert (first[:2].hex(), second[:2].hex()) == ("bfff", "4000")
    all_red = Picture(400, 300, bytes((Colour.RED,)) * 120_000)
    assert planes_of(label_type, all_red) == (bytes(15000), b"\xff" * 15000)


def test_the_captured_pixel_of_3_7_is_a_picture_of_400x300():
    label_type = label_types()[0x004B]
    blob = encode_picture(described("gicisky:004b"), one_pixel(label_type, 100, 100))
    assert hashlib.md5(blob.payload).hexdigest() == "8002b2dd19904799d34a01e34ebf1662"
    assert decompress(blob.payload) == planes_of(label_type, one_pixel(label_type, 100, 100))


def test_a_quarter_turn_is_counter_clockwise_3_1():
    """296 × 128 turned by 90°: the top right corner comes first, then downwards along the right edge."""
    label_type = label_types()[0x0033]
    assert planes_of(label_type, one_pixel(label_type, 295, 0))[0][0] == 0x7F
    assert planes_of(label_type, one_pixel(label_type, 295, 1))[0][0] == 0xBF
    assert planes_of(label_type, one_pixel(label_type, 294, 0))[0][128 // 8] == 0x7F


def test_three_quarter_turns_and_a_mirror_begin_at_the_top_left_and_go_down_3_1():
    label_type = label_types()[0x010B]
    assert planes_of(label_type, one_pixel(label_type, 0, 0))[0][0] == 0x7F
    assert planes_of(label_type, one_pixel(label_type, 0, 1))[0][0] == 0xBF
    assert planes_of(label_type, one_pixel(label_type, 1, 0))[0][128 // 8] == 0x7F


def test_the_7_5_inch_label_begins_at_the_bottom_and_has_black_for_white_3_1():
    label_type = label_types()[0x012B]
    first, _ = planes_of(label_type, one_pixel(label_type, 0, 479))
    assert first == b"\x80" + bytes(47_999)
    assert planes_of(label_type, one_pixel(label_type, 0, 0))[0][47_900] == 0x80


def test_four_colours_are_packed_in_two_bits_3_4():
    label_type = label_types()[0x004E]
    pixels = bytes((Colour.BLACK, Colour.WHITE, Colour.YELLOW, Colour.RED)) + bytes(119_996)
    packed, none = planes_of(label_type, Picture(400, 300, pixels))
    assert packed[:3].hex() == "1b5555"
    assert (len(packed), none) == (30_000, b"")


def test_a_stretched_panel_keeps_a_stroke_of_one_column():
    label_type = label_types()[0x00A0]
    for column in (10, 11):
        stroke = Picture(250, 132, bytes(int(x == column) for _ in range(132) for x in range(250)))
        panel = gicisky_screen.shown(label_type, planes_of(label_type, stroke)[0])
        assert {x for x in range(250) if panel.pixels[x]} == {10, 11}


def test_lines_are_as_long_as_an_eighth_of_the_height_3_5():
    blob = encode_picture(described("gicisky:022b"), a_picture(label_types()[0x022B]))
    assert blob.payload[4:11].hex() == "753b3400000000"
    assert len(blob.payload) == 4 + 2 * 240 * (7 + 52)
    older = encode_picture(described("gicisky:012b/lines"), a_picture(label_types()[0x012B]))
    assert len(older.payload) == 4 + 2 * 800 * (7 + 60)


def test_a_picture_of_another_size_is_refused():
    with pytest.raises(ValueError, match="shows 400x300"):
        encode_picture(described("gicisky:004b"), Picture(300, 400, bytes(120_000)))


def test_a_colour_that_the_label_lacks_is_refused():
    label_type = label_types()[0x004B]
    with pytest.raises(ValueError, match="no colour"):
        encode_picture(described("gicisky:004b"), one_pixel(label_type, 0, 0, Colour.YELLOW))


def test_a_version_names_one_picture_on_one_type():
    label_type = label_types()[0x0033]
    picture, other = one_pixel(label_type, 5, 5), one_pixel(label_type, 5, 6)
    blob = encode_picture(described("gicisky:0033"), picture)
    assert blob == encode_picture(described("gicisky:0033"), picture)
    assert len(bytes.fromhex(blob.version)) == 8
    assert blob.version != encode_picture(described("gicisky:0033"), other).version
    blank = Picture(296, 128, bytes(296 * 128))
    on_red, on_black = (encode_picture(described(name), blank) for name in ("gicisky:0033", "gicisky:0028"))
    assert on_red.version != on_black.version


def test_a_process_pool_can_be_given_the_encoder():
    assert pickle.loads(pickle.dumps(encode_picture)) is encode_picture


@pytest.mark.parametrize(("battery_mv", "percent"), [(0, 0), (2200, 0), (2600, 50), (3000, 100), (25_500, 100)])
def test_a_battery_is_full_at_what_its_type_says_3_1(battery_mv, percent):
    assert label_types()[0x004B].battery_percent(battery_mv) == percent


def test_planes_of_another_length_show_nothing():
    with pytest.raises(Rubbish):
        gicisky_screen.shown(label_types()[0x004B], bytes(15_000))
