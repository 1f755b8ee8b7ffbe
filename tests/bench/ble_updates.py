"""How many Bluetooth labels one adapter updates, in virtual time: 500 labels that all get a new picture at once.

The peer is what the stated times allow: the same labels over the same air, connected to and written one after the other
by a loop that knows nothing of scanning, queues, retries or the store.
"""

import asyncio
import random

from bleak import BleakClient

from drivers.ble.makers import encode_picture
from drivers.ble.station import BluetoothStation
from drivers.gicisky.picture_codec import label_types
from drivers.gicisky.session import AFTER_SUBSCRIBE_S, GiciskyDialect
from drivers.port import Blob, DriverEvent, LabelDescription, LabelId, Picture, Seen, Shown
from drivers.virtual.bluetooth import BluetoothTiming, VirtualAdapter, VirtualAir
from drivers.virtual.bluetooth_backend import backends
from drivers.virtual.bluetooth_label import GiciskyOnAir
from drivers.virtual.gicisky_label import VirtualGiciskyLabel
from edge.virtual_time import run as run_virtually

LABELS = 500
PEER_LABELS = 100
TYPE_ID = 0x0033
REFRESH_S = 25.0
LIMIT = 0.9
TIMING = BluetoothTiming(advertising_s=4.0, event_s=0.030, packets_per_event=4, supervision_s=4.0)


def run() -> dict[str, object]:
    """The figure: updates per second of virtual time."""
    value, stream_bytes = run_virtually(_station_rate())
    peer, _ = run_virtually(_peer_rate())
    return {"name": "ble_updates_rps", "value": round(value, 4), "unit": "updates/s of virtual time", "limit": LIMIT,
            "peer": round(peer, 4), "ratio": round(value / peer, 3),
            "conditions": f"{LABELS} Gicisky labels of 296x128 on one adapter, {stream_bytes} bytes each; advertising "
                          f"every {TIMING.advertising_s:g} s, connection interval {TIMING.event_s:g} s with "
                          f"{TIMING.packets_per_event} packets each way, {AFTER_SUBSCRIBE_S:g} s after subscribing, "
                          f"refresh {REFRESH_S:g} s after the proof; peer: a bare loop over {PEER_LABELS} of them; "
                          f"limit: ratio"}


async def _station_rate() -> tuple[float, int]:
    air, adapter, labels = await _an_air(LABELS)
    loop, heard, shown = asyncio.get_running_loop(), set[LabelId](), set[LabelId]()

    def hear(event: DriverEvent) -> None:
        if isinstance(event, Seen | Shown):
            (heard if isinstance(event, Seen) else shown).add(event.label)

    station = BluetoothStation("bench", adapter.name, hear, random.Random(1), backends=backends(adapter))
    for label in labels:
        station.adopt(label, f"gicisky:{TYPE_ID:04x}")
    running = loop.create_task(station.run())
    while len(heard) < LABELS:  # noqa: ASYNC110
        await asyncio.sleep(0.5)
    began_s, picture = loop.time(), _picture(labels[next(iter(labels))])
    for label in labels:
        description, blob = _offer(label, picture)
        await station.offer(description.label, blob)
    while len(shown) < LABELS:  # noqa: ASYNC110
        await asyncio.sleep(0.5)
    taken_s = loop.time() - began_s
    await asyncio.sleep(REFRESH_S)
    assert all(label.picture == picture for label in labels.values())
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    await air.close()
    return LABELS / taken_s, len(blob.payload)


async def _peer_rate() -> tuple[float, int]:
    air, adapter, labels = await _an_air(PEER_LABELS)
    loop = asyncio.get_running_loop()
    began_s, picture = loop.time(), _picture(labels[next(iter(labels))])
    for label in labels:
        description, blob = _offer(label, picture)
        address = ":".join(label[at : at + 2] for at in range(0, 12, 2)).upper()
        async with BleakClient(address, backend=backends(adapter).client) as client:
            await GiciskyDialect().deliver(client, description, blob, lambda part, parts: None)
    taken_s = loop.time() - began_s
    await air.close()
    return PEER_LABELS / taken_s, len(blob.payload)


async def _an_air(count: int) -> tuple[VirtualAir, VirtualAdapter, dict[LabelId, VirtualGiciskyLabel]]:
    air = VirtualAir(random.Random(5), timing=TIMING)
    now, labels = asyncio.get_running_loop().time, dict[LabelId, VirtualGiciskyLabel]()
    for number in range(count):
        label = VirtualGiciskyLabel(f"ffff9200{number:04x}", label_types()[TYPE_ID], now, refresh_s=REFRESH_S)
        labels[label.address] = label
        await air.add_label(GiciskyOnAir(label))
        await asyncio.sleep(TIMING.advertising_s / count)  # labels were not all switched on at once
    return air, await air.add_adapter("hci0"), labels


def _picture(label: VirtualGiciskyLabel) -> Picture:
    width, height = label.label_type.width, label.label_type.height
    return Picture(width, height, bytes(random.Random(2).choices((0, 1, 2), k=width * height)))


def _offer(label: LabelId, picture: Picture) -> tuple[LabelDescription, Blob]:
    description = label_types()[TYPE_ID].describe(label, label_types()[TYPE_ID].format)
    return description, encode_picture(description, picture)
