"""One easyTag label over one connection: `EasyTagDialect`, what a Bluetooth station needs of this maker (esl.md 4.1).

The label says nothing until it has everything; what it notifies after the last packet is proof. It names no picture,
so only what comes then counts. A connection is for one picture: the caller connects before and disconnects after.
"""

import asyncio

from bleak import BleakClient
from bleak.backends.characteristic import BleakGATTCharacteristic

from drivers.ble.dialect import Advertisement, DeliveryFailed, Heard, PartAsked
from drivers.port import Blob, Colour, LabelDescription, LabelId
from drivers.zhsunyco import easytag
from drivers.zhsunyco.easytag import BadFrame, Command
from drivers.zhsunyco.picture_codec import MAKER, label_types, version_of

AFTER_SUBSCRIBE_S = 0.3
AFTER_HEADER_S = 0.5
BETWEEN_PACKETS_S = 0.020
AFTER_FIFTH_PACKET_S = 0.003
PROOF_S = 30.0

HEARD_TYPE = "zhsunyco:62"
"""Labels do not say their type in what they advertise; this is what the maker's own app uses."""


class EasyTagDialect:
    """See `drivers.ble.dialect.Dialect`. `pace`: share of the waits that a test takes."""

    maker = MAKER
    service_uuids = (easytag.SERVICE_UUID,)

    def __init__(self, *, pace: float = 1.0) -> None:
        self._pace = pace

    def hear(self, advertisement: Advertisement) -> Heard | None:
        """See the dialect. Told by the service that it offers: nothing else is known of what these labels advertise."""
        uuids = {uuid.lower() for uuid in advertisement.service_uuids}
        return Heard(HEARD_TYPE) if easytag.SERVICE_UUID in uuids else None

    def describe(self, label: LabelId, type_name: str) -> LabelDescription | None:
        """See the dialect."""
        label_type = label_types().get(type_name)
        return None if label_type is None else label_type.describe(label)

    async def deliver(self, client: BleakClient, label: LabelDescription, blob: Blob, asked: PartAsked) -> None:
        """See the dialect. Also raises `DeliveryFailed` when the picture was encoded for another type than the label's:
        it would prove what cannot be read on it."""
        if version_of(label.type_name, blob.payload) != blob.version:
            raise DeliveryFailed(f"the picture was not encoded for {label.type_name}")
        address, write, notify = _address_of(label.label), *_characteristics(client)
        key = easytag.image_key(address, blob.encoding)
        proven = _Proof(address)
        await client.start_notify(notify, proven.hear)
        await self._wait(AFTER_SUBSCRIBE_S)
        plain = easytag.header(Command.IMAGE, blob.encoding, len(blob.payload))
        await client.write_gatt_char(write, easytag.scrambled_header(plain, key), response=True)
        await self._wait(AFTER_HEADER_S)
        parts = -(-len(blob.payload) // easytag.PACKET_DATA_BYTES)
        for number, packet in enumerate(easytag.packets(blob.payload), start=1):
            asked(number - 1, parts)
            proven.counts_from_now = number == parts
            await client.write_gatt_char(write, easytag.scrambled(packet, key), response=True)
            await self._wait(BETWEEN_PACKETS_S + (AFTER_FIFTH_PACKET_S if number % 5 == 0 else 0.0))
        try:
            async with asyncio.timeout(PROOF_S * self._pace):
                await proven.wait()
        except TimeoutError:
            raise DeliveryFailed(f"the label has all {parts} packets and said nothing for {PROOF_S:g} s") from None

    async def light(self, client: BleakClient, label: LabelDescription, colour: Colour, seconds: float) -> None:
        """Raises `DeliveryFailed`: no light of these labels is documented."""
        del client, colour, seconds
        raise DeliveryFailed(f"{label.type_name}: these labels have no light that is documented")

    async def _wait(self, seconds: float) -> None:
        await asyncio.sleep(seconds * self._pace)


class _Proof:
    """The label's notification, once the last packet is on its way. Rubbish of another length is passed over."""

    def __init__(self, address: bytes) -> None:
        self.counts_from_now = False
        self._address = address
        self._came = asyncio.Event()

    def hear(self, _: BleakGATTCharacteristic, data: bytearray) -> None:
        try:
            easytag.read_notification(bytes(data), self._address)
        except BadFrame:
            return
        if self.counts_from_now:
            self._came.set()

    async def wait(self) -> None:
        await self._came.wait()


def _address_of(label: LabelId) -> bytes:
    try:
        address = bytes.fromhex(label.replace(":", ""))
        easytag.address_key(address)
    except ValueError as error:
        raise DeliveryFailed(f"{label} is no Bluetooth address") from error
    return address


def _characteristics(client: BleakClient) -> tuple[BleakGATTCharacteristic, BleakGATTCharacteristic]:
    write = client.services.get_characteristic(easytag.WRITE_UUID)
    notify = client.services.get_characteristic(easytag.NOTIFY_UUID)
    if write is None or notify is None:
        raise DeliveryFailed("the label has no easyTag service")
    return write, notify
