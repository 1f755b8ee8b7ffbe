"""A store delivers to Gicisky labels, good ones and bad ones (esl.md 3.1 to 3.3). In virtual time."""

import asyncio
import functools
import random
import struct
import tracemalloc

import pytest
from bleak.exc import BleakError
from hypothesis import given, settings
from hypothesis import strategies as st

from drivers.ble.dialect import Advertisement, DeliveryFailed, Dialect, Heard
from drivers.gicisky.picture_codec import encode_picture, label_types
from drivers.gicisky.session import GiciskyDialect
from drivers.port import Colour
from drivers.virtual.gicisky_label import LabelFaults, VirtualGiciskyLabel
from edge import virtual_time
from tests.drivers.gicisky_air import Air, a_picture

ADDRESS = "ff:ff:92:10:4c:01"
DIALECT = GiciskyDialect()
NOTIFY_TIMEOUT_S = 5.0


def in_virtual_time(test):
    @functools.wraps(test)
    def run(*arguments, **named):
        virtual_time.run(test(*arguments, **named))

    return run


def a_label(type_id=0x0033, **how):
    """Refreshes within the loop's time."""
    return VirtualGiciskyLabel(ADDRESS, label_types()[type_id], asyncio.get_running_loop().time, **how)


def advertisement(label):
    return Advertisement(ADDRESS, label.name, label.manufacturer_data, (), -60)


def description_of(label):
    return DIALECT.describe(ADDRESS, DIALECT.hear(advertisement(label)).type_name)


class Parts(list):
    """What a delivery tells of its progress."""

    def __call__(self, part, parts):
        self.append((part, parts))


async def deliver(label, *, seed=1, air=None, parts=None):
    """Delivers a picture; returns it and the air it went through."""
    description = description_of(label)
    picture = a_picture(label.label_type, seed)
    air = air or Air(label)
    await DIALECT.deliver(air, description, encode_picture(description, picture), Parts() if parts is None else parts)
    return picture, air


def test_it_is_a_dialect():
    dialect: Dialect = DIALECT
    assert dialect.maker == "gicisky"


@in_virtual_time
async def test_a_label_that_advertises_is_understood_3_1():
    label = a_label(0x004B, compresses=False, battery_mv=2950)
    assert DIALECT.hear(advertisement(label)) == Heard("gicisky:004b/raw", 2900)
    described = description_of(label)
    assert (described.label, described.type_name) == (ADDRESS, "gicisky:004b/raw")
    assert (described.width, described.height, described.features) == (400, 300, frozenset())
    assert described.settle_s >= 60


@pytest.mark.parametrize("data", [
    {}, {0x5053: b""}, {0x5053: b"\x33\x1d\x81\x01"}, {0x5053: bytes(6)}, {0x004C: bytes(5)},
])  # fmt: skip
def test_what_other_makers_advertise_is_not_ours_3_1(data):
    assert DIALECT.hear(Advertisement(ADDRESS, "PICKSMART", data, (), -60)) is None


def test_a_type_that_nobody_knows_is_heard_without_its_name():
    heard = DIALECT.hear(Advertisement(ADDRESS, None, {0x5053: b"\xff\x1d\x81\x01\x00"}, (), -60))
    assert heard == Heard(None, 2900)


@given(st.dictionaries(st.sampled_from((0x5053, 0x004C)), st.binary(max_size=30)), st.text() | st.none())
@settings(deadline=None)
def test_nothing_that_is_advertised_makes_it_stumble(data, name):
    heard = DIALECT.hear(Advertisement(ADDRESS, name, data, (), -60))
    assert heard is None or len(data[0x5053]) == 5


@pytest.mark.parametrize("name", ["", "gicisky:", "gicisky:ffff", "oepl:33", "zhsunyco:0033"])
def test_a_type_name_that_is_not_ours_has_no_description(name):
    assert DIALECT.describe(ADDRESS, name) is None


@pytest.mark.parametrize("type_id", sorted(label_types()))
@pytest.mark.parametrize(("firmware", "compresses"), [(0x0101, True), (0x8101, True), (0x8101, False)])
@in_virtual_time
async def test_p7_a_label_of_every_type_shows_what_was_delivered(type_id, firmware, compresses):
    label = a_label(type_id, firmware=firmware, compresses=compresses)
    picture, _ = await deliver(label)
    assert label.picture == picture


@in_virtual_time
async def test_the_sequence_is_that_of_3_3():
    label = a_label(0x0033)
    _, air = await deliver(label)
    assert air.commands() == [b"\x01", b"\x02" + (9472).to_bytes(4, "little") + bytes(3), b"\x03"]
    assert [len(write) for write in label.writes] == [244] * 39 + [4 + 9472 % 240]
    assert [int.from_bytes(write[:4], "little") for write in label.writes] == list(range(40))
    assert {response for uuid, _, response in air.told if uuid == label.command_uuid} == {True}
    assert {response for uuid, _, response in air.told if uuid == label.image_uuid} == {False}


@pytest.mark.parametrize("type_id", [0x012B, 0x008B])
@in_virtual_time
async def test_large_labels_get_six_bytes_of_announcement_for_a_compressed_stream_3_3(type_id):
    label = a_label(type_id)
    _, air = await deliver(label)
    announced = air.commands()[1]
    assert (len(announced), announced[5:]) == (6, b"\x01")


@pytest.mark.parametrize(("type_id", "firmware"), [(0x012B, 0x8101), (0x004B, 0x0101)])
@in_virtual_time
async def test_lines_and_smaller_labels_are_announced_with_eight_bytes_3_3(type_id, firmware):
    _, air = await deliver(a_label(type_id, firmware=firmware))
    assert (len(air.commands()[1]), air.commands()[1][5:]) == (8, bytes(3))


@in_virtual_time
async def test_p7_proof_comes_before_the_panel_has_changed():
    label = a_label(refresh_s=25.0)
    picture, _ = await deliver(label)
    assert label.picture is None
    await asyncio.sleep(25.0)
    assert label.picture == picture
    assert description_of(label).settle_s > 25.0


@in_virtual_time
async def test_every_part_that_is_asked_for_is_told():
    parts = Parts()
    await deliver(a_label(), parts=parts)
    assert parts == [(part, 40) for part in range(40)]


@in_virtual_time
async def test_a_lost_part_is_given_again_when_the_label_asks_for_it():
    parts = Parts()
    label = a_label(faults=LabelFaults(loses_once={0, 7, 39}))
    picture, _ = await deliver(label, parts=parts)
    assert label.picture == picture
    assert [part for part, _ in parts].count(7) == 2
    assert len(parts) == 43


@in_virtual_time
async def test_the_label_is_followed_where_it_asks_for_another_part_than_the_next():
    label = a_label(faults=LabelFaults(asks_instead={5: 2, 9: 11}))
    parts = Parts()
    picture, _ = await deliver(label, parts=parts)
    assert label.picture == picture
    assert [part for part, _ in parts][4:8] == [4, 2, 5, 6]


@in_virtual_time
async def test_p7_a_label_that_asks_for_one_part_for_ever_is_given_up_at_the_third_time():
    parts = Parts()
    label = a_label(faults=LabelFaults(never_accepts=3))
    with pytest.raises(DeliveryFailed, match="part 3 of 40 again and again"):
        await deliver(label, parts=parts)
    assert [part for part, _ in parts] == [0, 1, 2, 3, 3]
    assert label.history == []


@pytest.mark.parametrize(("opcode", "step"), [(1, "command 01"), (2, "command 02"), (3, "command 03"), (5, "part 0")])
@in_virtual_time
async def test_a_label_that_does_not_answer_is_given_up_after_five_seconds_3_3(opcode, step):
    began_s = asyncio.get_running_loop().time()
    with pytest.raises(DeliveryFailed, match=f"no answer to {step}"):
        await deliver(a_label(faults=LabelFaults(silent_to={opcode})))
    assert NOTIFY_TIMEOUT_S < asyncio.get_running_loop().time() - began_s < NOTIFY_TIMEOUT_S + 2


@in_virtual_time
async def test_a_label_that_falls_silent_half_way_is_given_up():
    label = a_label(faults=LabelFaults(silent_after_parts=20))
    with pytest.raises(DeliveryFailed, match="no answer to part 20"):
        await deliver(label)
    assert label.history == []


@in_virtual_time
async def test_a_label_that_refuses_the_stream_is_told_of():
    with pytest.raises(DeliveryFailed, match="refuses a stream of 9472 bytes: status 0x01"):
        await deliver(a_label(faults=LabelFaults(refuses_streams=True)))


@pytest.mark.parametrize("after", [1, 39])
@in_virtual_time
async def test_p7_complete_before_every_part_was_given_is_no_proof(after):
    with pytest.raises(DeliveryFailed, match=f"complete after {after} of 40 parts"):
        await deliver(a_label(faults=LabelFaults(completes_after=after)))


@in_virtual_time
async def test_p7_complete_at_the_start_is_no_proof():
    label = a_label()
    label.command = lambda data: [b"\x05\x08"] if data == b"\x03" else VirtualGiciskyLabel.command(label, data)
    with pytest.raises(DeliveryFailed, match="complete after 0 of 40 parts"):
        await deliver(label)


@in_virtual_time
async def test_p7_asking_for_a_part_behind_the_last_is_no_proof():
    with pytest.raises(DeliveryFailed, match="no answer to the last part"):
        await deliver(a_label(faults=LabelFaults(never_completes=True)))


@in_virtual_time
async def test_a_label_that_asks_for_a_part_behind_the_last_may_still_say_that_it_is_complete():
    label = a_label(faults=LabelFaults(never_completes=True))
    air = Air(label)
    delivery = asyncio.create_task(deliver(label, air=air))
    await air.given(40)
    await asyncio.sleep(1.0)
    air.notify(b"\x05\x08")
    await delivery


@in_virtual_time
async def test_a_label_that_goes_on_asking_for_parts_behind_the_last_is_given_up():
    label = a_label(faults=LabelFaults(never_completes=True))
    air = Air(label)
    delivery = asyncio.create_task(deliver(label, air=air))
    while not delivery.done():
        await asyncio.sleep(0.5)
        air.notify(b"\x05\x00" + random.Random(len(air.told)).randbytes(3) + b"\x7f")
    with pytest.raises(DeliveryFailed):
        await delivery


@in_virtual_time
async def test_rubbish_between_notifications_is_skipped():
    label = a_label(faults=LabelFaults(noise=b"\x06\xff\xff"))
    picture, _ = await deliver(label)
    assert label.picture == picture


@in_virtual_time
async def test_an_answer_that_comes_twice_changes_nothing():
    label = a_label()
    label.command = lambda data: VirtualGiciskyLabel.command(label, data) * 2
    label.image_write = lambda data: VirtualGiciskyLabel.image_write(label, data) * 2
    parts = Parts()
    picture, _ = await deliver(label, parts=parts)
    assert label.picture == picture
    assert len(parts) == 40


@in_virtual_time
async def test_a_label_that_floods_the_store_is_given_up_and_costs_no_memory():
    label = a_label(faults=LabelFaults(silent_to={2}))
    air = Air(label)
    delivery = asyncio.create_task(deliver(label, air=air))
    await asyncio.sleep(3.0)
    tracemalloc.start()
    try:
        for _ in range(20_000):
            air.notify_at_once(bytes(244))
        assert tracemalloc.get_traced_memory()[1] < 100_000
    finally:
        tracemalloc.stop()
    with pytest.raises(DeliveryFailed, match="no answer to command 02"):
        await delivery


@in_virtual_time
async def test_a_label_that_is_slow_for_ever_is_given_up_in_the_end():
    """It always answers in time, and never makes progress worth the name."""
    label = a_label(block_bytes=5)
    began_s = asyncio.get_running_loop().time()
    with pytest.raises(DeliveryFailed, match="not complete within 49 s"):
        await deliver(label, air=Air(label, answer_s=4.0))
    assert asyncio.get_running_loop().time() - began_s == pytest.approx(30 + 9472 / 500, abs=0.1)


@pytest.mark.parametrize(("block_bytes", "write_bytes_max", "written"), [
    (244, 244, 244), (100, 244, 100), (244, 20, 20), (600, 600, 512), (65_535, 185, 185),
])  # fmt: skip
@in_virtual_time
async def test_a_part_is_as_long_as_label_and_line_both_take_3_3(block_bytes, write_bytes_max, written):
    label = a_label(block_bytes=block_bytes)
    picture, _ = await deliver(label, air=Air(label, write_bytes_max=write_bytes_max))
    assert len(label.writes[0]) == written
    assert label.picture == picture


@pytest.mark.parametrize("block_bytes", [0, 4])
@in_virtual_time
async def test_a_label_that_takes_no_data_at_all_is_given_up(block_bytes):
    with pytest.raises(DeliveryFailed, match=f"writes of {block_bytes} bytes"):
        await deliver(a_label(block_bytes=block_bytes))


@in_virtual_time
async def test_another_pair_of_characteristics_is_found_by_its_lowest_numbers_3_2():
    label = a_label()
    layout = {
        "0000FFE0-0000-1000-8000-00805F9B34FB": [
            ("0000ffe2-0000-1000-8000-00805f9b34fb", ["write-without-response"]),
            ("0000ffe9-0000-1000-8000-00805f9b34fb", ["read"]),
            ("0000ffe1-0000-1000-8000-00805f9b34fb", ["write-without-response", "notify"]),
        ],
        "0000180f-0000-1000-8000-00805f9b34fb": [("00002a19-0000-1000-8000-00805f9b34fb", ["read"])],
    }
    picture, air = await deliver(label, air=Air(label, layout=layout))
    assert label.picture == picture
    assert {(uuid[:8], response) for uuid, _, response in air.told} == {("0000ffe1", False), ("0000ffe2", False)}


@pytest.mark.parametrize("layout", [
    {"0000180f-0000-1000-8000-00805f9b34fb": [("00002a19-0000-1000-8000-00805f9b34fb", ["read"])]},
    {"0000fef0-0000-1000-8000-00805f9b34fb": [("0000fef1-0000-1000-8000-00805f9b34fb", ["write", "notify"])]},
])  # fmt: skip
@in_virtual_time
async def test_a_label_without_the_characteristics_is_given_up(layout):
    label = a_label()
    with pytest.raises(DeliveryFailed, match="no characteristics"):
        await deliver(label, air=Air(label, layout=layout))


@in_virtual_time
async def test_a_lost_connection_is_told_as_bleak_tells_it():
    label = a_label()
    air = Air(label)
    delivery = asyncio.create_task(deliver(label, air=air))
    await air.given(10)
    air.hang_up()
    with pytest.raises(BleakError):
        await delivery
    assert label.history == []


@in_virtual_time
async def test_a_time_out_of_bleaks_own_is_passed_on():
    air = Air(a_label())

    async def never(*_, **__):
        raise TimeoutError("from the bus")

    air.write_gatt_char = never
    with pytest.raises(TimeoutError, match="from the bus"):
        await deliver(air.label, air=air)


@in_virtual_time
async def test_a_delivery_that_is_cancelled_ends():
    label = a_label(faults=LabelFaults(silent_to={5}))
    delivery = asyncio.create_task(deliver(label))
    await asyncio.sleep(3.0)
    delivery.cancel()
    with pytest.raises(asyncio.CancelledError):
        await delivery


@in_virtual_time
async def test_p7_a_picture_that_was_encoded_for_another_type_is_not_delivered():
    """The label's firmware was updated in between, and now it takes another stream."""
    label = a_label(0x012B)
    blob = encode_picture(description_of(label), a_picture(label.label_type))
    label.firmware = 0x8101
    air = Air(label)
    with pytest.raises(DeliveryFailed, match="not encoded for gicisky:012b/lines"):
        await DIALECT.deliver(air, description_of(label), blob, Parts())
    assert air.told == []


@in_virtual_time
async def test_p7_a_power_cut_between_proof_and_refresh_leaves_the_old_picture():
    """Why a claim outlives its proof by the settle time, and nothing else may be concluded from silence."""
    label = a_label()
    old, _ = await deliver(label, seed=1)
    label.refresh_s = 25.0
    await deliver(label, seed=2)
    label.cut_power()
    assert DIALECT.hear(advertisement(label)) is None
    label.restore_power()
    await asyncio.sleep(60)
    assert label.picture == old


@in_virtual_time
async def test_a_power_cut_in_the_middle_loses_the_stream_and_the_next_delivery_works():
    label = a_label()
    air = Air(label)
    delivery = asyncio.create_task(deliver(label, air=air))
    await air.given(10)
    label.cut_power()
    with pytest.raises(DeliveryFailed, match="no answer"):
        await delivery
    label.restore_power()
    picture, _ = await deliver(label, seed=2)
    assert label.picture == picture


@in_virtual_time
async def test_no_light_is_documented():
    label = a_label()
    with pytest.raises(DeliveryFailed, match="no light"):
        await DIALECT.light(Air(label), description_of(label), Colour.RED, 5.0)


class Hostile:
    """A label that answers whatever it was taught, and then nothing."""

    service_uuid = VirtualGiciskyLabel.service_uuid
    command_uuid = VirtualGiciskyLabel.command_uuid
    image_uuid = VirtualGiciskyLabel.image_uuid

    def __init__(self, answers):
        self.answers = list(answers)

    def command(self, data):
        return self.answers.pop(0) if self.answers else []

    image_write = command


ASKS = st.tuples(st.integers(0, 3), st.integers(0, 50)).map(lambda said: b"\x05" + struct.pack("<BI", *said))
ANSWERS = st.one_of(
    st.binary(max_size=12),
    st.sampled_from([b"\x01\xf4\x00", b"\x02\x00", b"\x05\x08"]),
    ASKS,
)
STORIES = st.lists(st.lists(ANSWERS, max_size=3), max_size=20)
GOOD_START = st.just([[b"\x01\xf4\x00"], [b"\x02\x00"]])


@given(st.one_of(STORIES, st.tuples(GOOD_START, STORIES).map(lambda both: both[0] + both[1])))
@settings(max_examples=300, deadline=None)
def test_p7_whatever_a_label_says_a_delivery_ends_and_proof_needs_every_part(story):
    async def tell():
        try:
            parts = await deliver_to_story(Hostile(story))
        except DeliveryFailed:
            return
        assert {part for part, _ in parts} == set(range(parts[0][1]))

    virtual_time.run(tell())


def a_story(*asked):
    """A label that asks for these parts, one after the other, and then says that it is complete."""
    asks = [[b"\x05\x00" + struct.pack("<I", part)] for part in asked]
    return Hostile([[b"\x01\xf4\x00"], [b"\x02\x00"], *asks, [b"\x05\x08"]])


async def deliver_to_story(label):
    description = DIALECT.describe(ADDRESS, "gicisky:0033")
    parts = Parts()
    blob = encode_picture(description, a_picture(label_types()[0x0033]))
    await DIALECT.deliver(Air(label), description, blob, parts)
    return parts


@in_virtual_time
async def test_an_honest_label_can_be_told_as_a_story_too():
    """So the hostile one above can also succeed, and its assertion is reached."""
    assert await deliver_to_story(a_story(*range(40))) == [(part, 40) for part in range(40)]


@in_virtual_time
async def test_p7_a_part_behind_the_last_does_not_stand_for_one_that_was_never_asked_for():
    label = a_story(*range(39))
    label.answers[-1].insert(0, b"\x05\x00\x28\x00\x00\x00")
    with pytest.raises(DeliveryFailed, match="complete after 39 of 40 parts"):
        await deliver_to_story(label)
