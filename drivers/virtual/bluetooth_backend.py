"""A virtual adapter behind bleak's ordinary API: scanner, client and adapter to give as `backend=`."""

import asyncio
import contextlib
import functools
from collections.abc import Callable
from typing import Any, Self

from bleak.backends.adapter import BaseBleakAdapter
from bleak.backends.characteristic import BleakGATTCharacteristic
from bleak.backends.client import BaseBleakClient
from bleak.backends.descriptor import BleakGATTDescriptor
from bleak.backends.device import BLEDevice
from bleak.backends.scanner import AdvertisementData, BaseBleakScanner
from bleak.backends.service import BleakGATTService, BleakGATTServiceCollection
from bleak.exc import BleakDeviceNotFoundError, BleakError
from bumble import core, hci
from bumble.device import Connection, Peer
from bumble.gatt_client import CharacteristicProxy

from drivers.ble.station import Backends
from drivers.virtual.bluetooth import PROPERTIES, VirtualAdapter, text_of

ATT_MTU = 247
ATT_WRITE_HEAD_BYTES = 3
GATT_PATIENCE_S = 30.0  # a request that nobody answers ends a connection (Bluetooth Core, ATT transaction)


def backends(adapter: VirtualAdapter) -> Backends:
    """What makes bleak work with this adapter."""
    class Scanner(_Scanner):
        of = adapter

    class Client(_Client):
        of = adapter

    class Adapter(_Adapter):
        of = adapter

    return Backends(Scanner, Client, Adapter)


class _Adapter(BaseBleakAdapter):
    """bleak's adapter on a virtual one."""

    of: VirtualAdapter

    @classmethod
    async def get(cls, **kwargs: Any) -> Self:
        del kwargs
        if not cls.of.powered:
            raise BleakError(f"no such adapter: {cls.of.name}")
        return cls()

    async def get_connected_devices(self, service_uuids: frozenset[str]) -> list[BLEDevice]:
        del service_uuids
        return [BLEDevice(address, None, None) for address in self.of.peers()]


class _Scanner(BaseBleakScanner):
    """bleak's scanner on a virtual adapter."""

    of: VirtualAdapter

    def __init__(self, detection_callback: Any, service_uuids: list[str] | None, *_args: object,
                 **_kwargs: object) -> None:
        super().__init__(detection_callback, service_uuids)

    async def start(self) -> None:
        if not self.of.powered:
            raise BleakError(f"no such adapter: {self.of.name}")
        self.seen_devices = {}
        self.of.controller.listeners.append(self._heard)
        await self.of.device.start_scanning(filter_duplicates=False)

    async def stop(self) -> None:
        self.of.controller.listeners.remove(self._heard)
        await self.of.device.stop_scanning()

    def _heard(self, address: str, payload: bytes) -> None:
        said = _understood(payload)
        if not self.is_allowed_uuid(said.service_uuids):
            return
        data = said._replace(rssi=self.of.rssi_dbm(address))
        device = self.create_or_update_device(address, address, data.local_name, None, data)
        self.call_detection_callbacks(device, data)


class _Client(BaseBleakClient):
    """bleak's client on a virtual adapter."""

    of: VirtualAdapter

    def __init__(self, address_or_ble_device: BLEDevice | str, **kwargs: Any) -> None:
        super().__init__(address_or_ble_device, disconnected_callback=kwargs.get("disconnected_callback"),
                         timeout=kwargs.get("timeout", 10.0))
        self._connection: Connection | None = None
        self._peer: Peer | None = None

    @property
    def name(self) -> str:
        return self.address

    @property
    def mtu_size(self) -> int:
        return self._must().att_mtu

    @property
    def is_connected(self) -> bool:
        return self._connection is not None

    async def connect(self, pair: bool, **kwargs: Any) -> None:
        del pair
        if not self.of.powered:
            raise BleakError(f"no such adapter: {self.of.name}")
        timeout_s = kwargs.get("timeout", self._timeout)
        self.of.connecting += 1
        self.of.note_connections()
        try:
            async with asyncio.timeout(timeout_s + 1):
                self._connection = self._left_behind() or await self.of.device.connect(
                    hci.Address(self.address), core.PhysicalTransport.LE, timeout=timeout_s)
        except (core.TimeoutError, TimeoutError, core.ConnectionError) as error:
            raise BleakDeviceNotFoundError(self.address, f"{self.address} did not answer in {timeout_s:g} s") from error
        finally:
            self.of.connecting -= 1
        self._connection.on(Connection.EVENT_DISCONNECTION, self._disconnected)
        try:
            self._peer = Peer(self._connection)
            await self._carried(self._peer.request_mtu(ATT_MTU))
            self.services = await self._discover(self._peer)
        except BaseException:
            await self.disconnect()
            raise

    def _left_behind(self) -> Connection | None:
        """As BlueZ does: a device that is connected already is taken over."""
        return next((connection for connection in self.of.device.connections.values()
                     if text_of(connection.peer_address) == self.address.upper()), None)

    async def disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with contextlib.suppress(core.ProtocolError, TimeoutError, asyncio.CancelledError):
                async with asyncio.timeout(GATT_PATIENCE_S):
                    await connection.disconnect()

    async def pair(self, *args: Any, **kwargs: Any) -> None:
        raise NotImplementedError("these labels do not pair")

    async def unpair(self) -> None:
        raise NotImplementedError("these labels do not pair")

    async def read_gatt_char(self, characteristic: BleakGATTCharacteristic, *, use_cached: bool = False,
                             **kwargs: Any) -> bytearray:
        del use_cached, kwargs
        return bytearray(await self._carried(self._proxy(characteristic).read_value()))

    async def write_gatt_char(self, characteristic: BleakGATTCharacteristic, data: Any, response: bool) -> None:
        await self._carried(self._proxy(characteristic).write_value(bytes(data), with_response=response))

    async def start_notify(self, characteristic: BleakGATTCharacteristic, callback: Callable[[bytearray], Any],
                           **kwargs: Any) -> None:
        del kwargs
        await self._carried(self._proxy(characteristic).subscribe(lambda value: callback(bytearray(value))))

    async def stop_notify(self, characteristic: BleakGATTCharacteristic) -> None:
        await self._carried(self._proxy(characteristic).unsubscribe())

    async def read_gatt_descriptor(self, descriptor: BleakGATTDescriptor, *, use_cached: bool = False,
                                   **kwargs: Any) -> bytearray:
        raise NotImplementedError("no label here has a descriptor worth reading")

    async def write_gatt_descriptor(self, descriptor: BleakGATTDescriptor, data: Any) -> None:
        raise NotImplementedError("no label here has a descriptor worth writing")

    async def _discover(self, peer: Peer) -> BleakGATTServiceCollection:
        found = BleakGATTServiceCollection()
        for service in await self._carried(peer.discover_services()):
            ours = BleakGATTService(service, service.handle, service.uuid.to_hex_str("-").lower())
            found.add_service(ours)
            for each in await self._carried(service.discover_characteristics()):
                names: Any = [name for name, flag in PROPERTIES.items() if each.properties & flag]
                found.add_characteristic(BleakGATTCharacteristic(
                    each, each.handle, each.uuid.to_hex_str("-").lower(), names,
                    lambda: (self._connection.att_mtu if self._connection else 23) - ATT_WRITE_HEAD_BYTES, ours))
        return found

    async def _carried(self, request: Any) -> Any:
        """What a request gives; `BleakError` when the connection ends or nobody answers."""
        connection = self._must()
        gone: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        def end(_reason: int) -> None:
            if not gone.done():
                gone.set_result(None)

        connection.on(Connection.EVENT_DISCONNECTION, end)
        asked = asyncio.ensure_future(request)
        try:
            await asyncio.wait({asked, gone}, timeout=GATT_PATIENCE_S, return_when=asyncio.FIRST_COMPLETED)
            if not asked.done():
                raise BleakError("the connection was lost" if gone.done() else "the label did not answer")
            return asked.result()
        except core.ProtocolError as error:
            raise BleakError(str(error)) from error
        finally:
            asked.cancel()
            connection.remove_listener(Connection.EVENT_DISCONNECTION, end)

    def _proxy(self, characteristic: BleakGATTCharacteristic) -> "CharacteristicProxy[bytes]":
        self._must()
        proxy: CharacteristicProxy[bytes] = characteristic.obj
        return proxy

    def _must(self) -> Connection:
        if self._connection is None:
            raise BleakError("Not connected")
        return self._connection

    def _disconnected(self, _reason: int) -> None:
        if self._connection is not None:
            self._connection = None
            if self._disconnected_callback is not None:
                self._disconnected_callback()


@functools.lru_cache(maxsize=4096)
def _understood(payload: bytes) -> AdvertisementData:
    said, kinds = core.AdvertisingData.from_bytes(payload), core.AdvertisingData.Type
    manufacturer, name = said.get(kinds.MANUFACTURER_SPECIFIC_DATA), said.get(kinds.COMPLETE_LOCAL_NAME)
    uuids = [uuid.to_hex_str("-").lower() for kind in (kinds.COMPLETE_LIST_OF_128_BIT_SERVICE_CLASS_UUIDS,
                                                       kinds.COMPLETE_LIST_OF_16_BIT_SERVICE_CLASS_UUIDS)
             for uuid in (said.get(kind) or [])]
    return AdvertisementData(
        local_name=str(name) if name else None,
        manufacturer_data={manufacturer[0]: bytes(manufacturer[1])} if manufacturer else {},
        service_data={}, service_uuids=uuids, tx_power=None, rssi=0, platform_data=())
