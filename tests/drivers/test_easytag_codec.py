"""easyTag byte for byte: the vectors of esl.md 4.1, and hostile input."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.zhsunyco import easytag
from drivers.zhsunyco.easytag import BadFrame, Command

ADDRESS = bytes.fromhex("3D00007BD5F8")
OTHER_ADDRESS = bytes.fromhex("3D0000E57D76")
WHITE, BLACK = bytes(4736), b"\xff" * 4736


@pytest.mark.parametrize(("data", "crc"), [
    (b"123456789", 0xAEE7), (b"\x00", 0xFD02), (b"\x01", 0x7D07), (b"\xff", 0xFF00), (b"123", 0x217D),
    (b"hello", 0x1CC5), (b"abc", 0x44D8), (bytes.fromhex("DEAD"), 0x47EF)])
def test_the_checksum_4_1(data: bytes, crc: int) -> None:
    assert easytag.crc16(data) == crc


def test_the_checksum_of_nothing_is_its_initial_value_4_1() -> None:
    assert easytag.crc16(b"") == 0xFFFF


def test_keys_come_from_the_address_and_the_type_4_1() -> None:
    assert easytag.address_key(ADDRESS) == 0x6B
    assert easytag.image_key(ADDRESS, 0x5C) == 0x08
    assert easytag.image_key(OTHER_ADDRESS, 0x62) == 0xE2
    assert easytag.image_key(OTHER_ADDRESS, 0x5C) == 0xB0
    assert easytag.notification_key(OTHER_ADDRESS) == 0xB1


@pytest.mark.parametrize(("payload_bytes", "crc", "wire"), [
    (32, 0x28E0, "f7f46d697b715c696f5c0808082808094a5c20e8"),
    (904, 0x9070, "f7f46d697b715c696f5c08080b80080d4a5c9878")])
def test_headers_that_were_captured_4_1(payload_bytes: int, crc: int, wire: str) -> None:
    plain = easytag.header(Command.IMAGE, 0x5C, payload_bytes)
    assert int.from_bytes(plain[-2:], "big") == crc
    assert easytag.scrambled_header(plain, 0x08).hex() == wire
    assert easytag.scrambled_header(bytes.fromhex(wire), 0x08) == plain


def test_headers_of_a_query_and_of_a_configuration_4_1() -> None:
    assert easytag.header(Command.QUERY, 0x5C, len(easytag.QUERY_PAYLOAD))[-2:].hex() == "0f68"
    assert easytag.header(Command.CONFIG, 0x5C, easytag.CONFIG_KEY_BYTES)[-2:].hex() == "9934"


def test_an_all_white_and_an_all_black_picture_4_1() -> None:
    white = "fc00000000007f012700000003000094"
    white_red = "fc80000000807f012700000003000094"
    assert easytag.image_payload(296, 128, WHITE, WHITE).hex() == white + white_red
    assert easytag.image_payload(296, 128, BLACK, WHITE).hex() == white[:-6] + "400094" + white_red


def test_their_packets_4_1() -> None:
    (white,) = easytag.packets(easytag.image_payload(296, 128, WHITE, WHITE))
    assert white[-2:].hex() == "12b9"
    wire = easytag.scrambled(white, 0x08)
    assert len(wire) == 204
    assert wire.hex().startswith("0809f408")
    assert wire.hex().endswith("1ab1")
    (black,) = easytag.packets(easytag.image_payload(296, 128, BLACK, WHITE))
    assert easytag.scrambled(black, 0x08).hex().endswith("5131")


@pytest.mark.parametrize(("run", "encoded"), [
    (6, "fe"), (7, "47"), (31, "5f"), (32, "4120"), (255, "41ff"), (256, "400001"), (65_535, "40ffff"),
    (65_536, "40ffffc0"), (65_542, "40ffff47"), (131_070, "40ffff40ffff")])
def test_run_lengths_at_their_borders_4_1(run: int, encoded: str) -> None:
    plane = (b"\xff" * (run // 8 + 1))
    assert easytag.compress(plane, run).hex() == encoded
    pixels = int.from_bytes(easytag.decompress(bytes.fromhex(encoded), run), "big") >> -run % 8
    assert pixels == (1 << run) - 1


def test_a_run_goes_on_from_row_to_row_and_a_short_one_is_seven_pixels_as_they_are_4_1() -> None:
    assert easytag.compress(bytes.fromhex("00000fffff"), 40).hex() == "1454"
    assert easytag.compress(b"\xa5", 8).hex() == "d2c0"


@given(st.binary(min_size=1, max_size=600))
def test_run_lengths_are_undone(plane: bytes) -> None:
    assert easytag.decompress(easytag.compress(plane, len(plane) * 8), len(plane) * 8) == plane


@given(st.lists(st.tuples(st.booleans(), st.integers(1, 3000)), min_size=1, max_size=20))
def test_long_runs_are_undone(runs: list[tuple[bool, int]]) -> None:
    bits = "".join(str(int(colour)) * run for colour, run in runs)
    padded = bits.ljust(-(-len(bits) // 8) * 8, "0")
    plane = int(padded, 2).to_bytes(len(padded) // 8, "big")
    assert easytag.decompress(easytag.compress(plane, len(bits)), len(bits)) == plane


@given(st.binary(max_size=700))
def test_packets_are_read_back(payload: bytes) -> None:
    numbers, data = zip(*(easytag.read_packet(each) for each in easytag.packets(payload)), strict=True) \
        if payload else ((), ())
    assert list(numbers) == list(range(1, len(numbers) + 1))
    assert b"".join(data).rstrip(b"\0") == payload.rstrip(b"\0")


def test_a_header_says_what_it_announces() -> None:
    assert easytag.read_header(easytag.header(Command.IMAGE, 0x62, 904)) == \
        easytag.Header(Command.IMAGE, 0x62, 904, 5)


@pytest.mark.parametrize("payload_bytes", [0, -1, 0xFFFF * 200 + 1])
def test_a_payload_that_no_count_reaches_is_refused(payload_bytes: int) -> None:
    with pytest.raises(ValueError, match="a payload has"):
        easytag.header(Command.IMAGE, 0x5C, payload_bytes)


def test_a_notification_4_1() -> None:
    plain = bytes.fromhex("fff01efb").ljust(20, b"\0")
    wire = easytag.scrambled(plain, easytag.notification_key(ADDRESS))
    assert easytag.read_notification(wire, ADDRESS) == easytag.Notification(3000, -5)


@given(st.binary(max_size=400))
def test_hostile_bytes_raise_what_is_documented(data: bytes) -> None:
    for read in (easytag.read_header, easytag.read_packet, easytag.read_image_payload,
                 lambda each: easytag.decompress(each, 2000), lambda each: easytag.read_notification(each, ADDRESS)):
        try:
            read(data)
        except BadFrame:
            continue


@given(st.integers(0, 31), st.integers(0, 255))
def test_hostile_sections_raise_what_is_documented(at: int, value: int) -> None:
    payload = bytearray(easytag.image_payload(296, 128, WHITE, BLACK))
    payload[at] = value
    try:
        sections = easytag.read_image_payload(bytes(payload))
    except BadFrame:
        return
    assert all(len(plane) * 8 == easytag.padded(width) * easytag.padded(height) for width, height, plane in sections)


@given(st.binary(min_size=1, max_size=203).flatmap(lambda data: st.tuples(st.just(data), st.integers(0, 7))))
def test_a_flipped_bit_is_noticed(data_and_bit: tuple[bytes, int]) -> None:
    data, bit = data_and_bit
    packet = bytearray(next(iter(easytag.packets(data))))
    packet[len(data) % easytag.PACKET_BYTES] ^= 1 << bit
    with pytest.raises(BadFrame):
        easytag.read_packet(bytes(packet))
