"""Bluetooth without a radio: adapters and labels on bumble's controllers, heard through bleak's ordinary API.

`VirtualAir` carries what controllers say to each other and adds what bumble's link has not: who hears whom and how
well, lost packets (sent again at the next connection event, in order), connection events that take time, and the
supervision time-out of a peer that is gone. Runs under virtual time too. bumble is a dependency of tests and the demo
only.
"""

import asyncio
import contextlib
import random
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from bumble import core, gatt, hci, ll
from bumble.controller import Controller
from bumble.device import Connection, Device
from bumble.link import LocalLink

from drivers.virtual.bluetooth_label import Advertised, BluetoothLabel

ACL_BYTES = 251  # of a controller with data length extension; bumble's own 27 make every write ten packets


@dataclass(frozen=True, slots=True)
class BluetoothTiming:
    """How long things take, in seconds. In each connection event a direction carries `packets_per_event`."""

    advertising_s: float
    event_s: float
    packets_per_event: int
    supervision_s: float


REALISTIC = BluetoothTiming(advertising_s=1.0, event_s=0.030, packets_per_event=4, supervision_s=4.0)
FAST = BluetoothTiming(advertising_s=0.1, event_s=0.001, packets_per_event=64, supervision_s=0.5)


@dataclass(frozen=True, slots=True)
class Reach:
    """How one adapter and one label hear each other. `loss`: share of packets that do not arrive, 1: none does."""

    rssi_dbm: int = -60
    loss: float = 0.0


class VirtualAir(LocalLink):
    """See the module. Adapters and labels that are put here hear each other as `reach` says, else as `nearby`."""

    def __init__(self, randomness: random.Random, *, timing: BluetoothTiming = FAST,
                 nearby: Reach | None = None) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.timing = timing
        self._randomness = randomness
        self._nearby = nearby or Reach()
        self._reach: dict[tuple[str, str], Reach] = {}
        self._adapters: dict[str, VirtualAdapter] = {}
        self._labels: dict[str, _LabelHost] = {}
        self._lanes: dict[tuple[str, str], _Lane] = {}

    async def add_adapter(self, name: str) -> "VirtualAdapter":
        """One more adapter, powered."""
        adapter = VirtualAdapter(self, name, f"00:1A:7D:00:00:{len(self._adapters) + 1:02X}")
        self._adapters[adapter.address] = adapter
        await adapter.power_on()
        return adapter

    async def add_label(self, label: BluetoothLabel) -> None:
        """A label begins to advertise, as long as it has power."""
        host = _LabelHost(self, label)
        self._labels[host.address] = host
        await host.begin()

    def set_reach(self, adapter: str, label: str, reach: Reach) -> None:
        """How the adapter of this name and the label of this address hear each other from now on."""
        self._reach[adapter, spelt(label)] = reach

    def reach(self, adapter: str, label: str) -> Reach:
        """How they hear each other; a label without power is heard by nobody."""
        host = self._labels.get(label)
        if host is None or not host.label.powered:
            return Reach(loss=1.0)
        return self._reach.get((adapter, label), self._nearby)

    async def close(self) -> None:
        """Stop all that advertises, scans and is connected."""
        for lane in self._lanes.values():
            lane.drop()
        for host in self._labels.values():
            await host.end()
        for adapter in self._adapters.values():
            await adapter.power_off()

    # What controllers call.

    def find_le_controller(self, address: hci.Address) -> Controller | None:
        """Whose address this is."""
        owner = self._adapters.get(text_of(address)) or self._labels.get(text_of(address))
        return owner.controller if owner is not None else None

    def send_advertising_pdu(self, sender_controller: Controller, packet: ll.AdvertisingPdu) -> None:
        """To every adapter in reach; a connection request to the label it is for."""
        loop = asyncio.get_running_loop()
        if isinstance(packet, ll.ConnectInd):
            adapter, label = text_of(packet.initiator_address), text_of(packet.advertiser_address)
            host = self._labels.get(label)
            if host is not None:
                self._link(adapter, label)
                loop.call_soon(host.controller.on_ll_advertising_pdu, packet)
            return
        host = self._labels.get(text_of(sender_controller.random_address))
        if host is None:
            return
        for each in self._adapters.values():
            if self._arrives(each.address, host.address):
                loop.call_soon(each.controller.on_ll_advertising_pdu, packet)

    def send_acl_data(self, sender_controller: Controller, destination_address: hci.Address,
                      transport: core.PhysicalTransport, data: bytes) -> None:
        """Within a connection: at the next connection event that gets through, in order."""
        source = sender_controller.random_address
        receiver = self.find_le_controller(destination_address)
        lane = self._lanes.get((text_of(source), text_of(destination_address)))
        if receiver is not None and lane is not None:
            lane.put(lambda: receiver.on_link_acl_data(source, transport, data))

    def send_ll_control_pdu(self, sender_address: hci.Address, receiver_address: hci.Address,
                            packet: ll.ControlPdu) -> None:
        """As data; what a peer that hung up still had to say is gone with it."""
        receiver = self.find_le_controller(receiver_address)
        lane = self._lanes.get((text_of(sender_address), text_of(receiver_address)))
        if receiver is None or lane is None:
            return

        def deliver() -> None:
            if sender_address in receiver.le_connections:
                receiver.on_ll_control_pdu(sender_address, packet)

        lane.put(deliver)

    # The inside.

    def _arrives(self, adapter: str, label: str) -> bool:
        loss = self._loss(adapter, label)
        return loss < 1 and (loss <= 0 or self._randomness.random() >= loss)

    def _loss(self, adapter: str, label: str) -> float:
        own = self._adapters[adapter]
        return self.reach(own.name, label).loss if own.powered else 1.0

    def _link(self, adapter: str, label: str) -> None:
        """A connection begins: a lane each way, and somebody who notices when the peer is gone."""
        for way in ((adapter, label), (label, adapter)):
            old = self._lanes.pop(way, None)
            if old is not None:
                old.drop()
            self._lanes[way] = _Lane(self.timing, lambda: self._arrives(adapter, label))
        self._supervise(adapter, label, self._lanes[adapter, label], gone_s=0.0)

    def _supervise(self, adapter: str, label: str, lane: "_Lane", gone_s: float) -> None:
        if self._lanes.get((adapter, label)) is not lane:
            return
        look_s = self.timing.supervision_s / 4
        gone_s = gone_s + look_s if self._loss(adapter, label) >= 1 else 0.0
        if gone_s >= self.timing.supervision_s:
            self._end(adapter, label)
            return
        asyncio.get_running_loop().call_later(look_s, self._supervise, adapter, label, lane, gone_s)

    def _end(self, adapter: str, label: str) -> None:
        """Nothing was heard for the supervision time: both ends say that the connection is gone."""
        for way in ((adapter, label), (label, adapter)):
            self._lanes.pop(way).drop()
        for own, peer in ((self._adapters[adapter], label), (self._labels[label], adapter)):
            for connection in list(own.controller.le_connections.values()):
                if text_of(connection.peer_address) == peer:
                    own.controller.on_le_disconnected(connection, hci.HCI_ErrorCode.CONNECTION_TIMEOUT_ERROR)


class _Lane:
    """One direction of a connection."""

    def __init__(self, timing: BluetoothTiming, arrives: Callable[[], bool]) -> None:
        self._timing = timing
        self._arrives = arrives
        self._packets: deque[Callable[[], None]] = deque()
        self._event: asyncio.TimerHandle | None = None

    def put(self, deliver: Callable[[], None]) -> None:
        """One more packet."""
        self._packets.append(deliver)
        self._arm()

    def drop(self) -> None:
        """The connection is gone."""
        self._packets.clear()
        if self._event is not None:
            self._event.cancel()
            self._event = None

    def _arm(self) -> None:
        if self._event is None and self._packets:
            self._event = asyncio.get_running_loop().call_later(self._timing.event_s, self._carry)

    def _carry(self) -> None:
        self._event = None
        for _ in range(min(self._timing.packets_per_event, len(self._packets))):
            if not self._arrives():
                break
            self._packets.popleft()()
        self._arm()


class _AdapterController(Controller):
    """Hands advertisements to who listens at once: bumble's way through two reports of HCI each costs ten times as much
    and says the same. Can give up a connection attempt, which bumble's controller says yes to and then forgets."""

    le_acl_data_packet_length = ACL_BYTES
    listeners: "list[Callable[[str, bytes], None]]"

    def on_advertising_pdu(self, pdu: ll.AdvInd | ll.AdvExtInd) -> None:
        if self.le_scan_enable:
            for listener in list(self.listeners):
                listener(text_of(pdu.advertiser_address), bytes(pdu.data))
        pending = self.pending_le_connection
        if pending is not None and pending.peer_address == pdu.advertiser_address:
            self.create_le_connection(pdu.advertiser_address)

    def on_hci_le_create_connection_cancel_command(
            self, _command: hci.HCI_LE_Create_Connection_Cancel_Command) -> hci.HCI_StatusReturnParameters:
        pending, self.pending_le_connection = self.pending_le_connection, None
        if pending is not None:
            asyncio.get_running_loop().call_soon(self.send_hci_packet, hci.HCI_LE_Connection_Complete_Event(
                status=hci.HCI_ErrorCode.UNKNOWN_CONNECTION_IDENTIFIER_ERROR, connection_handle=0,
                role=hci.Role.CENTRAL, peer_address_type=pending.peer_address.address_type,
                peer_address=pending.peer_address, connection_interval=0, peripheral_latency=0, supervision_timeout=0,
                central_clock_accuracy=0))
        return hci.HCI_StatusReturnParameters(hci.HCI_ErrorCode.SUCCESS)


class _LabelController(Controller):
    le_acl_data_packet_length = ACL_BYTES


class VirtualAdapter:
    """A Bluetooth adapter; `bluetooth_backend.backends` lets bleak use it."""

    def __init__(self, air: VirtualAir, name: str, address: str) -> None:
        self.name = name
        self.address = address
        self.powered = False
        self.connecting = 0
        self.connected_max = 0
        """Most connections that were open or being opened at once."""
        self._air = air
        self.controller = _AdapterController(name, link=air, public_address=address)
        self.controller.listeners = []
        self.controller.random_address = hci.Address(address)
        self.device = Device.with_hci(name, hci.Address(address), self.controller, self.controller)

    async def power_on(self) -> None:
        """Ready to scan."""
        self.powered = True
        await self.device.power_on()

    async def power_off(self) -> None:
        """Gone: connections end, nothing works until it is back."""
        self.powered = False
        for connection in list(self.device.connections.values()):
            with contextlib.suppress(Exception):
                await connection.disconnect()

    def rssi_dbm(self, label: str) -> int:
        """How well it hears a label."""
        return self._air.reach(self.name, label).rssi_dbm

    def note_connections(self) -> None:
        """Keeps `connected_max`."""
        self.connected_max = max(self.connected_max, self.connecting + len(self.device.connections))

    def peers(self) -> list[str]:
        """The addresses of the labels that are connected."""
        return [text_of(connection.peer_address) for connection in self.device.connections.values()]


class _LabelHost:
    """A label on the air: advertises, and is a GATT server."""

    def __init__(self, air: VirtualAir, label: BluetoothLabel) -> None:
        self.label = label
        self.address = spelt(label.address)
        self.controller = _LabelController(self.address, link=air)
        self.controller.random_address = hci.Address(self.address)
        self.device = Device.with_hci(self.address, hci.Address(self.address), self.controller, self.controller)
        self._air = air
        self._characteristics: dict[str, gatt.Characteristic[bytes]] = {}
        self._connection: Connection | None = None

    async def begin(self) -> None:
        """Power on, offer the services, advertise."""
        for service_uuid, characteristics in self.label.services.items():
            self.device.add_service(gatt.Service(service_uuid, [self._characteristic(uuid, properties)
                                                                for uuid, properties in characteristics.items()]))
        self.device.on(Device.EVENT_CONNECTION, self._connected)
        await self.device.power_on()
        interval_ms = self._air.timing.advertising_s * 1000
        await self.device.start_advertising(
            auto_restart=True, advertising_data=_advertising_data(self.label.advertised),
            advertising_interval_min=interval_ms, advertising_interval_max=interval_ms)

    async def end(self) -> None:
        """Silent for good."""
        await self.device.stop_advertising()

    def _characteristic(self, uuid: str, properties: tuple[str, ...]) -> "gatt.Characteristic[bytes]":
        flags = gatt.Characteristic.Properties(0)
        for each in properties:
            flags |= PROPERTIES[each]

        def write(_: Connection, data: bytes) -> None:
            self._say(self.label.written(uuid, bytes(data)))

        def read(_: Connection) -> bytes:
            return self.label.read(uuid)

        characteristic: gatt.Characteristic[bytes] = gatt.Characteristic(
            uuid, flags, gatt.Characteristic.Permissions.READABLE | gatt.Characteristic.Permissions.WRITEABLE,
            gatt.CharacteristicValue(read=read, write=write))
        self._characteristics[uuid] = characteristic
        return characteristic

    def _say(self, notices: list[tuple[str, bytes]]) -> None:
        for uuid, notice in notices:
            asyncio.get_running_loop().call_later(self.label.answer_s, self._notify, self._connection, uuid, notice)

    def _notify(self, connection: Connection | None, uuid: str, notice: bytes) -> None:
        if connection is None or connection is not self._connection or not self.label.powered:
            return
        task = asyncio.ensure_future(self.device.notify_subscriber(
            connection, self._characteristics[uuid], notice))
        _running.add(task)
        task.add_done_callback(_running.discard)

    def _connected(self, connection: Connection) -> None:
        self._connection = connection
        connection.on(Connection.EVENT_DISCONNECTION, self._disconnected)

    def _disconnected(self, _reason: int) -> None:
        self._connection = None
        self.label.disconnected()


_running: set["asyncio.Future[Any]"] = set()
PROPERTIES = {
    "read": gatt.Characteristic.Properties.READ, "write": gatt.Characteristic.Properties.WRITE,
    "write-without-response": gatt.Characteristic.Properties.WRITE_WITHOUT_RESPONSE,
    "notify": gatt.Characteristic.Properties.NOTIFY,
}


def _advertising_data(advertised: Advertised) -> bytes:
    """At most 31 bytes, as legacy advertising has: flags, manufacturer data, then the name or the service."""
    kinds = core.AdvertisingData.Type
    said = [(kinds.FLAGS, b"\x06")]
    said += [(kinds.MANUFACTURER_SPECIFIC_DATA, company.to_bytes(2, "little") + data)
             for company, data in advertised.manufacturer_data.items()]
    said += [(kinds.COMPLETE_LIST_OF_128_BIT_SERVICE_CLASS_UUIDS, core.UUID(uuid).to_bytes(force_128=True))
             for uuid in advertised.service_uuids]
    if advertised.name:
        said.append((kinds.COMPLETE_LOCAL_NAME, advertised.name.encode()))
    return bytes(core.AdvertisingData(said))


def text_of(address: hci.Address) -> str:
    """`3D:00:00:7B:D5:F8`."""
    return address.to_string(with_type_qualifier=False).upper()


def spelt(label: str) -> str:
    """A label id or an address → `3D:00:00:7B:D5:F8`."""
    plain = label.replace(":", "").upper()
    return ":".join(plain[at : at + 2] for at in range(0, 12, 2))
