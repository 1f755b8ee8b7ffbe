"""P3 and P9 for labels that are carried about between two radios, on seeds of bad days.

Real drivers and virtual radios: lines are cut while the radios stay on, and labels remember pictures, so that a radio
may give a label an old price long after another one served it. Failing seeds can be run again by their number.
"""

import asyncio
import random
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from drivers.openepaperlink.picture_codec import tag_types
from drivers.openepaperlink.session import OpenEPaperLinkStation
from drivers.port import Blob, Colour, DriverEvent, Encoder, LabelDescription, Picture
from drivers.virtual.label import VirtualLabel
from drivers.virtual.memory_port import MemoryPort
from drivers.virtual.radio import FAST, VirtualRadio
from edge.labels.content import LabelContent
from edge.labels.template import Template
from edge.limits import STATION_AWAY_S
from tests.store_kit import StoreKit, minor

SKUS = {"0000000000000a01": "milk", "0000000000000a02": "bread", "0000000000000a03": "salt"}
PRICES = ["0.89", "0.99", "1.09"]
GRACE_S = 60
MISHAPS = 60
SEEDS = range(6)
HEALS_WITHIN_S = 3600
TAG_TYPE = 0x01
PRICE_BITS = 16


class BitArtist:
    """Draws a price as black and white pixels, which `price_on` reads."""

    async def draw(self, template: Template, content: LabelContent, description: LabelDescription,
                   encoder: Encoder) -> tuple[Picture, Blob]:
        bits = [content.price_minor >> bit & 1 for bit in range(PRICE_BITS)]
        pixels = bytes(Colour.BLACK if bit else Colour.WHITE for bit in bits)
        picture = Picture(description.width, description.height,
                          pixels + bytes(description.width * description.height - PRICE_BITS))
        return picture, encoder(description, picture)

    def close(self) -> None:
        """Nothing to close."""


def price_on(label: VirtualLabel) -> int | None:
    """In minor units; `None` while blank."""
    picture = label.picture
    return None if picture is None else sum(bool(picture.pixels[bit]) << bit for bit in range(PRICE_BITS))


class Shop:
    """A store with two radios, labels that somebody carries about, and a shopper who looks all the time."""

    def __init__(self, kit: StoreKit, seed: int) -> None:
        self.kit = kit
        self.chance = random.Random(seed)
        self.radios = {name: VirtualRadio(random.Random(f"{seed}/{name}"), timing=FAST)
                       for name in ("aisles", "back wall")}
        self.ports = {name: MemoryPort(radio) for name, radio in self.radios.items()}
        self.labels = {address: VirtualLabel(address, tag_types()[TAG_TYPE], self.radios["aisles"],
                                             random.Random(f"{seed}/{address}"), check_in_s=10.0, radio_loss=0.02)
                       for address in SKUS}
        self.read: dict[str, deque[tuple[float, int]]] = {address: deque() for address in SKUS}
        self.overcharged: list[str] = []
        self.moves = 0

    def stations(self) -> dict[str, OpenEPaperLinkStation]:
        return {name: OpenEPaperLinkStation(name, port.open, self._sink(name), random.Random(name))
                for name, port in self.ports.items()}

    def _sink(self, name: str) -> "Sink":
        return Sink(self.kit, name)

    async def a_shopper_looks(self) -> None:
        """Whoever read a price within the grace must not be asked for more."""
        while True:
            await asyncio.sleep(1)
            now_s = asyncio.get_running_loop().time()
            for address, sku in SKUS.items():
                read, price = self.read[address], price_on(self.labels[address])
                while read and read[0][0] < now_s - GRACE_S + 2:
                    read.popleft()
                if price is not None:
                    read.append((now_s, price))
                asked = self.kit.till().asks(sku)
                lowest = min((price for _, price in read), default=None)
                if lowest is not None and minor(asked) > lowest:
                    self.overcharged.append(f"{sku} at {now_s:.0f} s: {asked} asked, {lowest} read")

    async def a_mishap(self) -> None:
        name, label = self.chance.choice(list(self.radios)), self.labels[self.chance.choice(list(SKUS))]
        match self.chance.randrange(10):
            case 0 | 1 | 2:
                await self.hub_changes_a_price()
            case 3 | 4 | 5:
                self.moves += 1
                label.radio, label.radio_loss = self.radios[name], 0.02
            case 6:
                label.radio_loss = 1.0  # in somebody's trolley
            case 7:
                self.ports[name].unplug()
            case 8:
                self.ports[name].plug_in()
            case 9 if self.chance.random() < 0.3:
                await self.radios[name].restart()

    async def hub_changes_a_price(self) -> None:
        await self.kit.hub.sets_price(self.chance.choice(list(SKUS.values())), self.chance.choice(PRICES))


class Sink:
    """What a station says, to whoever plans now."""

    def __init__(self, kit: StoreKit, name: str) -> None:
        self._kit = kit
        self._name = name

    def __call__(self, event: DriverEvent) -> None:
        self._kit.planner.hear(event, self._name)


@asynccontextmanager
async def a_shop(directory: Path, seed: int) -> AsyncIterator[Shop]:
    kit = StoreKit(directory)
    shop = Shop(kit, seed)
    kit.artist, stations = BitArtist(), shop.stations()
    kit.other_stations = {**stations}
    await kit.open()
    await kit.hub.has_items(*SKUS.values())
    await kit.hub.sets_prices(dict.fromkeys(SKUS.values(), "0.99"))
    await kit.hub.sets_policy(grace_s=GRACE_S, guard_share_percent=100)
    running = [asyncio.create_task(part.run()) for part in
               (*stations.values(), *shop.radios.values(), *shop.labels.values())]
    try:
        while any(kit.label(address).row() is None for address in SKUS):  # noqa: ASYNC110 - looks from outside
            await asyncio.sleep(1)
        for address, sku in SKUS.items():
            await kit.labels.bind(address, sku, "ana", kit.new_id("act"))
        running.append(asyncio.create_task(shop.a_shopper_looks()))
        yield shop
        assert not any(task.done() for task in running)
    finally:
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        await kit.close()


async def _until_all_is_well(shop: Shop) -> None:
    """Every label shows its list price, and the tills ask it."""
    async with asyncio.timeout(HEALS_WITHIN_S):
        while not all(_is_well(shop, address) for address in SKUS):  # noqa: ASYNC110 - looks from outside
            await asyncio.sleep(5)


def _is_well(shop: Shop, address: str) -> bool:
    listed = shop.kit.till().list_price(SKUS[address])
    return price_on(shop.labels[address]) == minor(listed) and shop.kit.till().asks(SKUS[address]) == listed


@pytest.mark.parametrize("seed", SEEDS)
async def test_p3_p9_labels_are_carried_about_between_two_radios_whose_lines_fail(tmp_path: Path, seed: int) -> None:
    async with a_shop(tmp_path, seed) as shop:
        await _until_all_is_well(shop)
        for _ in range(MISHAPS):
            await shop.a_mishap()
            await asyncio.sleep(shop.chance.choice([5, 20, 70, 150]))
        for port in shop.ports.values():
            port.plug_in()
        for label in shop.labels.values():
            label.radio_loss = 0.02
        await _until_all_is_well(shop)
        assert shop.moves > 0
        assert shop.overcharged == []


async def test_p3_a_label_that_was_carried_away_and_back_reads_an_old_price_from_a_radio_whose_line_is_down(
        tmp_path: Path) -> None:
    """The radio keeps its slots, and the label finds the picture in its own memory (esl.md 1.2)."""
    async with a_shop(tmp_path, 1) as shop:
        label, radios = shop.labels[next(iter(SKUS))], shop.radios
        for price in ("0.89", "0.99"):
            await shop.kit.hub.sets_price("milk", price)
            await _until_all_is_well(shop)
        label.radio_loss = 1.0
        await asyncio.sleep(30)
        await shop.kit.hub.sets_price("milk", "0.89")
        await asyncio.sleep(5)
        assert label.address in radios["aisles"].slots
        shop.ports["aisles"].unplug()
        label.radio, label.radio_loss = radios["back wall"], 0.0
        await shop.kit.hub.sets_price("milk", "0.99")
        await asyncio.sleep(STATION_AWAY_S + 5 * GRACE_S)
        assert price_on(label) == minor("0.99")
        label.radio = radios["aisles"]
        await asyncio.sleep(GRACE_S)
        assert price_on(label) == minor("0.89")  # while the list price is 0.99, and nobody in the store can know
        assert shop.overcharged == []

        shop.ports["aisles"].plug_in()
        await _until_all_is_well(shop)
        assert shop.overcharged == []
