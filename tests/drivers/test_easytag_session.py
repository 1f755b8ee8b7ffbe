"""An easyTag label is delivered to, and nothing but its word after the last packet is proof (P7, esl.md 4.1)."""

import asyncio
import itertools

import numpy as np
import pytest
from bleak.backends.characteristic import BleakGATTCharacteristic
from bleak.exc import BleakError

from drivers.ble.dialect import Advertisement, DeliveryFailed
from drivers.port import Blob, Colour, Picture
from drivers.virtual.easytag_label import VirtualEasyTag
from drivers.zhsunyco import easytag
from drivers.zhsunyco.picture_codec import encode_picture, label_types
from drivers.zhsunyco.session import PROOF_S, EasyTagDialect
from tests.drivers.aisle import virtually
from tests.drivers.gicisky_air import services_of

LABEL = "3d00007bd5f8"
TYPE = label_types()["zhsunyco:5c"]
DESCRIPTION = TYPE.describe(LABEL)


def a_picture(seed: int = 1) -> Picture:
    pixels = np.random.default_rng(seed).choice(sorted(TYPE.colours), TYPE.width * TYPE.height // 16)
    return Picture(TYPE.width, TYPE.height, np.repeat(pixels, 16).astype(np.uint8).tobytes())


class Air:
    """Stands in for a connected `BleakClient`; `told` is every write with the time it came at."""

    def __init__(self, label: VirtualEasyTag) -> None:
        self.label = label
        self.connected = True
        self.told: list[tuple[float, bytes]] = []
        self.services = services_of({label.service_uuid: [(label.write_uuid, ["write"]),
                                                          (label.notify_uuid, ["notify"])]}, lambda: 244)
        self._callback = None

    async def start_notify(self, characteristic, callback, **_):
        assert characteristic.uuid == self.label.notify_uuid
        self._characteristic, self._callback = characteristic, callback

    async def write_gatt_char(self, characteristic: BleakGATTCharacteristic, data, response=None):
        if not self.connected:
            raise BleakError("Not connected")
        assert response is True
        loop = asyncio.get_running_loop()
        self.told.append((loop.time(), bytes(data)))
        await asyncio.sleep(0.01)
        for answer in self.label.write(bytes(data)):
            loop.call_soon(self._callback, self._characteristic, bytearray(answer))


def a_label(**settings) -> VirtualEasyTag:
    return VirtualEasyTag(LABEL, TYPE, asyncio.get_running_loop().time, **settings)


async def deliver(label: VirtualEasyTag, blob: Blob, air: Air | None = None) -> list[tuple[int, int]]:
    asked: list[tuple[int, int]] = []
    await EasyTagDialect().deliver(air or Air(label), DESCRIPTION, blob,
                                   lambda part, parts: asked.append((part, parts)))
    return asked


@virtually
async def test_a_picture_is_shown_pixel_by_pixel():
    label, picture = a_label(), a_picture()
    blob = encode_picture(DESCRIPTION, picture)
    asked = await deliver(label, blob)
    assert label.picture == picture
    assert asked == [(part, -(-len(blob.payload) // 200)) for part in range(len(asked))]
    assert len(asked) == asked[0][1]


@virtually
async def test_the_waits_of_the_protocol_are_kept_4_1():
    label = a_label()
    air = Air(label)
    await deliver(label, encode_picture(DESCRIPTION, a_picture()), air)
    times = [at_s for at_s, _ in air.told]
    assert times[0] == pytest.approx(0.3)
    assert times[1] - times[0] == pytest.approx(0.51)
    gaps = [round((after - before) * 1000) for before, after in itertools.pairwise(times[1:])]
    assert gaps[:10] == [30, 30, 30, 30, 33, 30, 30, 30, 30, 33]


@virtually
async def test_p7_a_label_that_lost_a_packet_says_nothing_and_proves_nothing():
    label = a_label()
    label.faults.loses.add(3)
    with pytest.raises(DeliveryFailed, match="said nothing for 30 s"):
        await deliver(label, encode_picture(DESCRIPTION, a_picture()))
    assert label.picture is None
    assert asyncio.get_running_loop().time() > PROOF_S


@virtually
async def test_p7_a_word_before_the_last_packet_is_no_proof():
    label = a_label()
    label.faults.notifies_after = 2
    label.faults.never_notifies = True
    with pytest.raises(DeliveryFailed, match="said nothing"):
        await deliver(label, encode_picture(DESCRIPTION, a_picture()))


@virtually
async def test_p7_a_picture_encoded_for_another_type_is_refused():
    label = a_label()
    blob = encode_picture(label_types()["zhsunyco:62"].describe(LABEL), a_picture())
    with pytest.raises(DeliveryFailed, match="not encoded for"):
        await deliver(label, blob)
    assert label.bad_frames == 0


@virtually
async def test_rubbish_that_a_label_notifies_is_passed_over():
    label, picture = a_label(), a_picture()
    label.faults.noise = b"\x00" * 7
    await deliver(label, encode_picture(DESCRIPTION, picture))
    assert label.picture == picture


@virtually
async def test_a_label_that_loses_its_power_within_a_picture_keeps_the_old_one_and_takes_the_next():
    label, old, new = a_label(), a_picture(1), a_picture(2)
    await deliver(label, encode_picture(DESCRIPTION, old))
    air = Air(label)
    delivery = asyncio.create_task(deliver(label, encode_picture(DESCRIPTION, new), air))
    await asyncio.sleep(1.0)
    label.cut_power()
    air.connected = False
    with pytest.raises(BleakError):
        await delivery
    assert label.picture == old
    label.restore_power()
    await deliver(label, encode_picture(DESCRIPTION, new))
    assert label.picture == new


@virtually
async def test_there_is_no_light():
    with pytest.raises(DeliveryFailed, match="no light"):
        await EasyTagDialect().light(Air(a_label()), DESCRIPTION, Colour.RED, 5.0)


def test_a_label_is_told_by_its_service():
    dialect = EasyTagDialect()
    ours = Advertisement("3d:00:00:7b:d5:f8", None, {}, (easytag.SERVICE_UUID.upper(),), -60)
    heard = dialect.hear(ours)
    assert heard is not None
    assert heard.type_name is not None
    assert dialect.describe(LABEL, heard.type_name) is not None
    assert dialect.hear(Advertisement("3d:00:00:7b:d5:f8", "easyTag", {0x5053: b"12345"}, (), -60)) is None
    assert dialect.describe(LABEL, "gicisky:004b") is None


@pytest.mark.parametrize("address", ["", "zz", "3d00007bd5", "paper:17"])
def test_an_address_that_is_none_is_a_failed_delivery(address: str):
    description = TYPE.describe(address)
    blob = encode_picture(description, a_picture())

    async def try_it() -> None:
        await EasyTagDialect().deliver(Air(a_label()), description, blob, lambda part, parts: None)

    with pytest.raises(DeliveryFailed, match="no Bluetooth address"):
        asyncio.run(try_it())


def test_a_colour_that_a_label_has_not_is_refused():
    pixels = bytes((Colour.YELLOW,)) * (TYPE.width * TYPE.height)
    with pytest.raises(ValueError, match="has no"):
        encode_picture(DESCRIPTION, Picture(TYPE.width, TYPE.height, pixels))
