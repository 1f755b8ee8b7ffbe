"""A virtual Gicisky label behind an object with bleak's methods: what `deliver` is given when no radio is needed."""

import asyncio

import numpy as np
from bleak.backends.characteristic import BleakGATTCharacteristic
from bleak.backends.service import BleakGATTService, BleakGATTServiceCollection
from bleak.exc import BleakError

from drivers.port import Picture

ANSWER_S = 0.03

BATTERY_SERVICE = "0000180f-0000-1000-8000-00805f9b34fb"
BATTERY_LEVEL = "00002a19-0000-1000-8000-00805f9b34fb"


def a_picture(label_type, seed=1):
    """Noise in blocks of two columns, which also a stretched panel can show."""
    randomness = np.random.default_rng(seed)
    blocks = randomness.choice(sorted(label_type.colours), (label_type.height, label_type.width // 2))
    return Picture(label_type.width, label_type.height, np.repeat(blocks, 2, axis=1).astype(np.uint8).tobytes())


class Air:
    """Stands in for a connected `BleakClient`. `told` is every write as (UUID, bytes, with response)."""

    def __init__(self, label, *, write_bytes_max=244, layout=None, answer_s=ANSWER_S):
        self.label = label
        self.connected = True
        self.told = []
        self.services = services_of(layout or the_usual_layout(label), lambda: write_bytes_max)
        self._answer_s = answer_s
        self._written = asyncio.Event()
        self._callback = None
        self._characteristic = None

    async def start_notify(self, characteristic, callback, **_):
        self._must_be_connected()
        self._characteristic, self._callback = characteristic, callback

    async def write_gatt_char(self, characteristic, data, response=None):
        self._must_be_connected()
        assert response is not None, "bleak warns where it has to guess"
        if not response:
            assert len(data) <= characteristic.max_write_without_response_size
        self.told.append((characteristic.uuid, bytes(data), response))
        command = characteristic is self._characteristic
        await asyncio.sleep(0)
        self.notify(*(self.label.command if command else self.label.image_write)(bytes(data)))
        self._written.set()

    def notify(self, *answers):
        """As the radio would, a moment later."""
        loop = asyncio.get_running_loop()
        for answer in answers:
            loop.call_later(self._answer_s, self._callback, self._characteristic, bytearray(answer))

    def notify_at_once(self, answer):
        self._callback(self._characteristic, bytearray(answer))

    async def given(self, parts):
        """Waits until so many parts were written to the label."""
        while len(self.label.writes) < parts:
            self._written.clear()
            await self._written.wait()

    def hang_up(self):
        """The connection is lost."""
        self.connected = False
        self.label.disconnected()

    def commands(self):
        return [data for uuid, data, _ in self.told if uuid == self._characteristic.uuid]

    def _must_be_connected(self):
        if not self.connected:
            raise BleakError("Not connected")


def the_usual_layout(label):
    """Services with their characteristics; a real label has others too."""
    return {
        BATTERY_SERVICE: [(BATTERY_LEVEL, ["read"])],
        label.service_uuid: [
            (label.image_uuid, ["write-without-response"]),
            (label.command_uuid, ["write", "notify"]),
        ],
    }


def services_of(layout, write_bytes_max):
    services = BleakGATTServiceCollection()
    handle = 1
    for service_uuid, characteristics in layout.items():
        service = BleakGATTService(None, handle, service_uuid)
        services.add_service(service)
        for uuid, properties in characteristics:
            handle += 2
            characteristic = BleakGATTCharacteristic(None, handle, uuid, properties, write_bytes_max, service)
            services.add_characteristic(characteristic)
        handle += 2
    return services
