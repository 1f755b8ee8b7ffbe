"""Pictures as labels store them (esl.md 1.7)."""

import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.openepaperlink.codec import BadFrame, DataType, version_of
from drivers.openepaperlink.picture_codec import (
    compress_image,
    decode_picture,
    encode_picture,
    tag_type_named,
    tag_types,
)
from drivers.port import Colour, Feature, Picture

LABEL = "0000021b1ad03b17"


def a_picture(tag_type, seed, colours=None):
    randomness = np.random.default_rng(seed)
    palette = sorted(colours if colours is not None else tag_type.colours)
    pixels = randomness.choice(palette, tag_type.width * tag_type.height).astype(np.uint8)
    return Picture(tag_type.width, tag_type.height, pixels.tobytes())


def test_the_types_of_1_7():
    types = tag_types()
    assert (types[0x01].width, types[0x01].height, types[0x01].rotate_buffer, types[0x01].planes) == (296, 128, 1, 2)
    assert (types[0x33].width, types[0x33].height, types[0x33].rotate_buffer) == (384, 168, 3)
    assert types[0x33].zlib_from_firmware == 0x27
    assert (types[0x54].width, types[0x54].height, types[0x54].planes) == (256, 128, 1)
    assert (types[0x80].width, types[0x80].height, types[0x80].rotate_buffer) == (640, 384, 0)
    assert (types[0xB1].width, types[0xB1].height, types[0xB1].rotate_buffer) == (250, 128, 3)
    assert [types[number].plane_bytes for number in (0x00, 0x01, 0x02)] == [2888, 4736, 15000]


def test_a_type_is_named_with_and_without_compression():
    assert tag_type_named("oepl:33") == (tag_types()[0x33], False)
    assert tag_type_named("oepl:33/zlib") == (tag_types()[0x33], True)
    assert tag_types()[0xB1].type_name() == "oepl:b1"


@pytest.mark.parametrize("name", ["", "01", "oepl:", "oepl:ff", "oepl:zz", "gicisky:01"])
def test_a_name_that_is_no_type_is_refused(name):
    with pytest.raises(ValueError, match="no OpenEPaperLink label type"):
        tag_type_named(name)


def test_a_label_says_what_it_can_do_on_top_of_its_type():
    description = tag_types()[0x01].describe(LABEL, frozenset({Feature.LED}))
    assert description.features == {Feature.LED, Feature.BUTTON}
    assert description.colours == {Colour.WHITE, Colour.BLACK, Colour.RED}


def test_the_8x8_vector_of_1_7_is_what_a_label_inflates():
    vector = bytes.fromhex("1600000048c763e360e06060626064626661656387d10003840051")
    content = bytes((6, 8, 0, 8, 0, 2)) + bytes(range(8)) * 2
    assert zlib.decompress(vector[4:]) == content
    ours = compress_image(content)
    assert ours[:6] == vector[:6]  # length, CMF 48, FLG C7; the rest may differ from one zlib build to another
    assert zlib.decompress(ours[4:]) == content


def test_planes_lie_as_1_7_says():
    tag_type = tag_types()[0x02]  # not rotated
    pixels = bytearray(tag_type.width * tag_type.height)
    pixels[0], pixels[1], pixels[9] = Colour.BLACK, Colour.RED, Colour.BLACK
    blob = encode_picture(tag_type.describe(LABEL), Picture(tag_type.width, tag_type.height, bytes(pixels)))
    assert blob.encoding == DataType.IMAGE_RAW_2_BPP
    assert len(blob.payload) == 2 * 15000
    assert blob.payload[:2] == bytes((0b1000_0000, 0b0100_0000))
    assert blob.payload[15000:15002] == bytes((0b0100_0000, 0))
    assert blob.version == version_of(blob.payload)


@pytest.mark.parametrize(
    ("number", "corner_bit"),
    [(0x01, 295 * 128), (0x33, 167), (0x54, 255 * 128), (0xB1, 127)],
)
def test_a_turned_buffer_has_the_top_left_pixel_where_the_access_point_puts_it_1_7(number, corner_bit):
    tag_type = tag_types()[number]
    pixels = bytearray(tag_type.width * tag_type.height)
    pixels[0] = Colour.BLACK
    blob = encode_picture(tag_type.describe(LABEL), Picture(tag_type.width, tag_type.height, bytes(pixels)))
    bits = np.unpackbits(np.frombuffer(blob.payload, np.uint8))
    assert list(np.flatnonzero(bits)) == [corner_bit]


def test_a_picture_without_colour_needs_one_plane():
    tag_type = tag_types()[0x01]
    blob = encode_picture(tag_type.describe(LABEL), a_picture(tag_type, 1, [Colour.WHITE, Colour.BLACK]))
    assert (blob.encoding, len(blob.payload)) == (DataType.IMAGE_RAW_1_BPP, 4736)


def test_a_compressed_picture_says_its_turned_size_1_7():
    tag_type = tag_types()[0x33]
    blank = Picture(384, 168, bytes(384 * 168))
    blob = encode_picture(tag_type.describe(LABEL, compressed=True), blank)
    content = zlib.decompress(blob.payload[4:])
    assert blob.encoding == DataType.IMAGE_ZLIB
    assert blob.payload[4] == 0x48
    assert int.from_bytes(blob.payload[:4], "little") == len(content)
    assert content[:6] == bytes((6, 168, 0, 384 & 0xFF, 384 >> 8, 1))


def test_a_picture_that_does_not_shrink_is_sent_as_it_is():
    tag_type = tag_types()[0x33]
    blob = encode_picture(tag_type.describe(LABEL, compressed=True), a_picture(tag_type, 5))
    raw = encode_picture(tag_type.describe(LABEL), a_picture(tag_type, 5))
    assert blob == raw or len(blob.payload) < len(raw.payload)


@given(st.sampled_from(sorted(tag_types())), st.booleans(), st.integers(0, 2**32), st.integers(1, 3))
def test_p7_the_label_shows_every_pixel_that_was_encoded(number, compressed, seed, colours):
    tag_type = tag_types()[number]
    picture = a_picture(tag_type, seed, sorted(tag_type.colours)[:colours])
    blob = encode_picture(tag_type.describe(LABEL, compressed=compressed), picture)
    assert decode_picture(tag_type, blob.encoding, blob.payload) == picture


def test_a_picture_of_the_wrong_size_or_colour_is_an_error_and_never_sent():
    tag_type = tag_types()[0x54]
    with pytest.raises(ValueError, match="256x128"):
        encode_picture(tag_type.describe(LABEL), Picture(128, 256, bytes(256 * 128)))
    with pytest.raises(ValueError, match="no colour"):
        encode_picture(tag_type.describe(LABEL), Picture(256, 128, bytes((Colour.RED,)) * (256 * 128)))
    with pytest.raises(ValueError, match="no colour"):
        encode_picture(tag_types()[0x01].describe(LABEL), Picture(296, 128, b"\xff" * (296 * 128)))


@pytest.mark.parametrize("number", [0x01, 0x33])
@given(st.sampled_from([0x20, 0x21, 0x30, 0xFF]), st.binary(max_size=300))
def test_rubbish_is_no_picture(number, encoding, payload):
    with pytest.raises(BadFrame):
        decode_picture(tag_types()[number], encoding, payload)


def test_a_compressed_picture_that_swells_without_end_is_refused():
    bomb = compress_image(bytes(50_000_000))
    with pytest.raises(BadFrame, match="length"):
        decode_picture(tag_types()[0x33], DataType.IMAGE_ZLIB, bomb)
