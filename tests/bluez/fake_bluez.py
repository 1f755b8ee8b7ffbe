"""`org.bluez` on a private bus, with a virtual air behind it: what bleak's own BlueZ backend talks to, without a radio.

Says and refuses what bluetoothd does, as far as bleak and our station depend on it. Source: BlueZ's documents
org.bluez.Adapter, org.bluez.Device and org.bluez.GattCharacteristic. What is modelled because it bites:

* a device is reported when it is new or when something changed, its signal included; there are no "advertisements";
* a connection outlives the program that asked for it;
* characteristics tell their `MTU` since BlueZ 5.62 only;
* an adapter that is pulled out takes its objects away; one that is switched off stays and is not ready;
* a daemon that died said good-bye to nobody.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from bleak import BleakClient, BleakScanner
from bleak.backends.device import BLEDevice
from bleak.backends.scanner import AdvertisementData
from bleak.exc import BleakError
from dbus_fast import BusType, Message, MessageType, Variant
from dbus_fast.aio import MessageBus

from drivers.virtual.bluetooth import VirtualAdapter
from drivers.virtual.bluetooth_backend import backends

SERVICE = "org.bluez"
OBJECT_MANAGER = "org.freedesktop.DBus.ObjectManager"
PROPERTIES = "org.freedesktop.DBus.Properties"
ADAPTER = "org.bluez.Adapter1"
DEVICE = "org.bluez.Device1"
GATT_SERVICE = "org.bluez.GattService1"
CHARACTERISTIC = "org.bluez.GattCharacteristic1"
UNKNOWN_OBJECT = "org.freedesktop.DBus.Error.UnknownObject"

Interfaces = dict[str, dict[str, Variant]]
SIGNATURES = {"Adapter": "o", "Device": "o", "Service": "o", "UUIDs": "as", "Flags": "as", "Roles": "as", "RSSI": "n",
              "MTU": "q", "Value": "ay", "ManufacturerData": "a{qv}"}


class Refused(Exception):
    """A method call that fails: the D-Bus name of the error, and its text."""

    def __init__(self, name: str, text: str) -> None:
        super().__init__(text)
        self.name = name


@dataclass
class Mood:
    """What this bluetoothd does wrong or otherwise; may be changed at any time."""

    tells_mtu: bool = True
    busy: int = 0
    """So many of the next writes are refused because another one is in progress."""
    hangs: bool = False
    """Answers nobody and reports nothing, yet is there."""
    connect_refusals: list[str] = field(default_factory=list)
    """Texts of `org.bluez.Error.Failed` that the next calls of Connect get, the last one first."""


@dataclass
class _Connected:
    client: BleakClient
    uuid_of: dict[str, str]


class FakeBlueZ:
    """One bluetoothd and its adapters. `log`: every method that was called, with the object's path."""

    def __init__(self, *adapters: VirtualAdapter) -> None:
        self.mood = Mood()
        self.log: list[tuple[str, str]] = []
        self._adapters = {f"/org/bluez/{adapter.name}": adapter for adapter in adapters}
        self._objects: dict[str, Interfaces] = {}
        self._scanners: dict[str, BleakScanner] = {}
        self._sessions: set[tuple[str, str]] = set()
        self._connected: dict[str, _Connected] = {}
        self._bus: MessageBus | None = None
        self._answering: set[asyncio.Task[None]] = set()

    # What a test does.

    async def start(self) -> None:
        """Takes the name on the bus; knows its powered adapters and no device."""
        self._objects = {}
        for path, adapter in self._adapters.items():
            if adapter.powered:
                self._objects[path] = {ADAPTER: _adapter_properties(adapter)}
        self._bus = MessageBus(bus_type=BusType.SYSTEM)
        await self._bus.connect()
        self._bus.add_message_handler(self._hear)
        await self._bus.request_name(SERVICE)
        for path, interfaces in self._objects.items():
            self._signal("/", OBJECT_MANAGER, "InterfacesAdded", "oa{sa{sv}}", [path, interfaces])

    async def die(self) -> None:
        """Gone without a word; its connections and scans end with it."""
        bus, self._bus = self._bus, None
        if bus is not None:
            bus.disconnect()
        for path in list(self._scanners):
            await self._stop_scanning(path)
        self._sessions.clear()
        for task in self._answering:
            task.cancel()
        await asyncio.gather(*self._answering, return_exceptions=True)
        connected, self._connected = self._connected, {}
        for each in connected.values():
            with contextlib.suppress(BleakError, asyncio.CancelledError):
                await each.client.disconnect()

    async def pull_out(self, adapter: VirtualAdapter) -> None:
        """The adapter and everything that was heard by it is gone."""
        path = _path_of(adapter)
        await adapter.power_off()
        await self._stop_scanning(path)
        self._sessions = {each for each in self._sessions if each[1] != path}
        for below in sorted(self._objects, reverse=True):
            if below.startswith(f"{path}/"):
                self._remove(below)
        self._remove(path)

    async def plug_in(self, adapter: VirtualAdapter) -> None:
        """The adapter is back, and powered."""
        await adapter.power_on()
        self._add(_path_of(adapter), {ADAPTER: _adapter_properties(adapter)})

    async def switch(self, adapter: VirtualAdapter, *, on: bool) -> None:
        """As rfkill or a person does: the adapter stays where it is. Off ends discovery for everybody."""
        path = _path_of(adapter)
        if not on:
            await self._stop_scanning(path)
            self._sessions = {each for each in self._sessions if each[1] != path}
        await (adapter.power_on() if on else adapter.power_off())
        self._change(path, ADAPTER, {"Powered": on, "Discovering": False})
        self._forget_signals(path)

    def forget(self, label: str) -> None:
        """What happens to a device that nobody paired: after some minutes its object is removed."""
        path = next(path for path, interfaces in self._objects.items()
                    if DEVICE in interfaces and _plain(interfaces[DEVICE]["Address"].value) == label)
        for below in sorted(self._objects, reverse=True):
            if below.startswith(f"{path}/"):
                self._remove(below)
        self._remove(path)

    async def connect_for_another(self, adapter: VirtualAdapter, label: str) -> None:
        """A program connected to this label, and ended without hanging up."""
        await self._start_scanning(_path_of(adapter))
        path = f"{_path_of(adapter)}/dev_{_spelt(label).replace(':', '_')}"
        while path not in self._objects:  # noqa: ASYNC110 - whatever is heard, when it is heard
            await asyncio.sleep(0.02)
        await self._connect(path, "")
        await self._stop_scanning(_path_of(adapter))

    def connected(self) -> list[str]:
        """The labels that are connected now."""
        return [_plain(self._objects[path][DEVICE]["Address"].value) for path in self._connected]

    # What programs call.

    def _hear(self, message: Message) -> Message | bool:
        if message.message_type is not MessageType.METHOD_CALL or message.interface == "org.freedesktop.DBus.Peer":
            return False
        if self.mood.hangs:
            return True
        if (message.interface, message.member) == (OBJECT_MANAGER, "GetManagedObjects"):
            return Message.new_method_return(message, "a{oa{sa{sv}}}", [self._objects])
        self.log.append((str(message.member), str(message.path)))
        task = asyncio.get_running_loop().create_task(self._answer(message))
        self._answering.add(task)
        task.add_done_callback(self._answering.discard)
        return True

    async def _answer(self, message: Message) -> None:
        methods: Mapping[tuple[str, str], Callable[..., Awaitable[tuple[str, list[Any]] | None]]] = {
            (ADAPTER, "SetDiscoveryFilter"): self._set_filter, (ADAPTER, "StartDiscovery"): self._start_discovery,
            (ADAPTER, "StopDiscovery"): self._stop_discovery, (DEVICE, "Connect"): self._connect,
            (DEVICE, "Disconnect"): self._disconnect, (CHARACTERISTIC, "WriteValue"): self._write,
            (CHARACTERISTIC, "ReadValue"): self._read, (CHARACTERISTIC, "StartNotify"): self._start_notify,
            (CHARACTERISTIC, "StopNotify"): self._stop_notify}
        path, interface, bus = str(message.path), str(message.interface), self._bus
        try:
            if path not in self._objects or interface not in self._objects[path]:
                raise Refused(UNKNOWN_OBJECT, f"no {interface} at {path}")
            said = await methods[interface, str(message.member)](path, str(message.sender), *message.body)
            reply = Message.new_method_return(message, *(said or ()))
        except Refused as refusal:
            reply = Message.new_error(message, refusal.name, str(refusal))
        except BleakError as error:
            reply = Message.new_error(message, "org.bluez.Error.Failed", str(error))
        if bus is not None and bus is self._bus:
            bus.send(reply)

    # Adapter1.

    async def _set_filter(self, path: str, sender: str, wanted: dict[str, Variant]) -> None:
        del sender, wanted
        self._must_be_ready(path)

    async def _start_discovery(self, path: str, sender: str) -> None:
        self._must_be_ready(path)
        if (sender, path) in self._sessions:
            raise Refused("org.bluez.Error.InProgress", "Operation already in progress")
        self._sessions.add((sender, path))
        await self._start_scanning(path)
        self._change(path, ADAPTER, {"Discovering": True})

    async def _stop_discovery(self, path: str, sender: str) -> None:
        self._must_be_ready(path)
        if (sender, path) not in self._sessions:
            raise Refused("org.bluez.Error.Failed", "No discovery started")
        self._sessions.remove((sender, path))
        if not any(each == path for _, each in self._sessions):
            await self._stop_scanning(path)
            self._change(path, ADAPTER, {"Discovering": False})
            self._forget_signals(path)

    def _forget_signals(self, path: str) -> None:
        """Discovery ended, and how well a device is heard is no longer known: that, too, is a change of it."""
        for below, interfaces in self._objects.items():
            if below.startswith(f"{path}/") and "RSSI" in interfaces.get(DEVICE, {}):
                self._change(below, DEVICE, {}, gone=["RSSI"])

    def _must_be_ready(self, path: str) -> None:
        if not self._adapters[path].powered:
            raise Refused("org.bluez.Error.NotReady", "Resource Not Ready")

    async def _start_scanning(self, path: str) -> None:
        if path not in self._scanners:
            def heard(device: BLEDevice, data: AdvertisementData) -> None:
                self._found(path, device, data)

            scanner = BleakScanner(heard, backend=backends(self._adapters[path]).scanner)
            await scanner.start()
            self._scanners[path] = scanner

    async def _stop_scanning(self, path: str) -> None:
        scanner = self._scanners.pop(path, None)
        if scanner is not None:
            await scanner.stop()

    def _found(self, adapter_path: str, device: BLEDevice, data: AdvertisementData) -> None:
        path = f"{adapter_path}/dev_{device.address.replace(':', '_')}"
        if adapter_path not in self._objects:
            return
        known = self._objects.get(path)
        if known is None:
            said = {"Address": device.address, "AddressType": "random", "Adapter": adapter_path, "Paired": False,
                    "Alias": data.local_name or device.address.replace(":", "-"), "Connected": False,
                    "ServicesResolved": False, "RSSI": data.rssi, "UUIDs": data.service_uuids}
            if data.local_name:
                said["Name"] = data.local_name
            if data.manufacturer_data:
                said["ManufacturerData"] = _manufacturer_data(data)
            self._add(path, {DEVICE: _variants(said)})
            return
        self._change(path, DEVICE, {"RSSI": data.rssi})  # a filter is set, so every step of it is told

    # Device1.

    async def _connect(self, path: str, sender: str) -> None:
        del sender
        if self.mood.connect_refusals:
            raise Refused("org.bluez.Error.Failed", self.mood.connect_refusals.pop())
        if path in self._connected:
            raise Refused("org.bluez.Error.AlreadyConnected", "Already Connected")
        adapter = self._adapters[path.rpartition("/")[0]]
        client = BleakClient(self._objects[path][DEVICE]["Address"].value, lambda _: self._hung_up(path),
                             backend=backends(adapter).client)
        await client.connect()
        self._connected[path] = _Connected(client, {})
        self._change(path, DEVICE, {"Connected": True})
        for service in client.services:
            service_path = f"{path}/service{service.handle:04x}"
            self._add(service_path, {GATT_SERVICE: _variants(
                {"UUID": service.uuid, "Device": path, "Primary": True})})
            for each in service.characteristics:
                said: dict[str, Any] = {"UUID": each.uuid, "Service": service_path, "Flags": list(each.properties),
                                        "Notifying": False}
                if self.mood.tells_mtu:
                    said["MTU"] = client.mtu_size
                characteristic_path = f"{service_path}/char{each.handle:04x}"
                self._connected[path].uuid_of[characteristic_path] = each.uuid
                self._add(characteristic_path, {CHARACTERISTIC: _variants(said)})
        self._change(path, DEVICE, {"ServicesResolved": True, "UUIDs": [each.uuid for each in client.services]})

    async def _disconnect(self, path: str, sender: str) -> None:
        del sender
        connected = self._connected.get(path)
        if connected is None:
            raise Refused("org.bluez.Error.NotConnected", "Not Connected")
        await connected.client.disconnect()
        self._hung_up(path)

    def _hung_up(self, path: str) -> None:
        connected = self._connected.pop(path, None)
        if connected is None or path not in self._objects:
            return
        self._change(path, DEVICE, {"ServicesResolved": False})
        for below in sorted(self._objects, reverse=True):
            if below.startswith(f"{path}/"):
                self._remove(below)
        self._change(path, DEVICE, {"Connected": False})

    # GattCharacteristic1.

    async def _write(self, path: str, sender: str, data: bytes, options: dict[str, Variant]) -> None:
        del sender
        if self.mood.busy:
            self.mood.busy -= 1
            raise Refused("org.bluez.Error.InProgress", "Operation already in progress")
        client, uuid = self._at(path)
        await client.write_gatt_char(uuid, bytes(data), response=options["type"].value == "request")

    async def _read(self, path: str, sender: str, options: dict[str, Variant]) -> tuple[str, list[Any]]:
        del sender, options
        client, uuid = self._at(path)
        return "ay", [bytes(await client.read_gatt_char(uuid))]

    async def _start_notify(self, path: str, sender: str) -> None:
        del sender
        client, uuid = self._at(path)
        await client.start_notify(uuid, lambda _, data: self._change(path, CHARACTERISTIC, {"Value": bytes(data)}))
        self._change(path, CHARACTERISTIC, {"Notifying": True})

    async def _stop_notify(self, path: str, sender: str) -> None:
        del sender
        client, uuid = self._at(path)
        await client.stop_notify(uuid)
        self._change(path, CHARACTERISTIC, {"Notifying": False})

    def _at(self, path: str) -> tuple[BleakClient, str]:
        connected = self._connected.get(path.rsplit("/", 2)[0])
        if connected is None:
            raise Refused("org.bluez.Error.Failed", "Not connected")
        return connected.client, connected.uuid_of[path]

    # The tree of objects.

    def _add(self, path: str, interfaces: Interfaces) -> None:
        self._objects[path] = interfaces
        self._signal("/", OBJECT_MANAGER, "InterfacesAdded", "oa{sa{sv}}", [path, interfaces])

    def _remove(self, path: str) -> None:
        self._connected.pop(path, None)
        interfaces = self._objects.pop(path, {})
        self._signal("/", OBJECT_MANAGER, "InterfacesRemoved", "oas", [path, list(interfaces)])

    def _change(self, path: str, interface: str, said: dict[str, Any], gone: list[str] | None = None) -> None:
        if path not in self._objects:
            return
        changed, properties = _variants(said), self._objects[path][interface]
        properties.update(changed)
        for name in gone or ():
            properties.pop(name, None)
        self._signal(path, PROPERTIES, "PropertiesChanged", "sa{sv}as", [interface, changed, gone or []])

    def _signal(self, path: str, interface: str, member: str, signature: str, body: list[Any]) -> None:
        if self._bus is not None and self._bus.connected and not self.mood.hangs:
            self._bus.send(Message.new_signal(path, interface, member, signature, body))


def _adapter_properties(adapter: VirtualAdapter) -> dict[str, Variant]:
    return _variants({"Address": adapter.address, "Name": adapter.name, "Powered": adapter.powered,
                      "Discovering": False, "Roles": ["central", "peripheral"]})


def _manufacturer_data(data: AdvertisementData) -> dict[int, Variant]:
    return {company: Variant("ay", said) for company, said in data.manufacturer_data.items()}


def _variants(said: dict[str, Any]) -> dict[str, Variant]:
    return {name: Variant(SIGNATURES.get(name) or ("b" if isinstance(value, bool) else "s"), value)
            for name, value in said.items()}


def _path_of(adapter: VirtualAdapter) -> str:
    return f"/org/bluez/{adapter.name}"


def _plain(address: str) -> str:
    return address.replace(":", "").lower()


def _spelt(label: str) -> str:
    return ":".join(label[at : at + 2] for at in range(0, 12, 2)).upper()
