"""Radios and labels in software: several OpenEPaperLink radios on pseudo terminals, each with its share of the labels.

They speak the real protocol byte for byte; only time is shortened, and `SpeedUp` says how much.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from drivers.openepaperlink.picture_codec import TagType, tag_types
from drivers.port import LabelId
from drivers.virtual.label import VirtualLabel
from drivers.virtual.pty_port import PtyPort
from drivers.virtual.radio import FAST, REALISTIC, Direction, VirtualRadio
from drivers.virtual.shelf import VirtualShelf
from edge.proving.stage.chance import chance

LABELS_PER_RADIO_MAX = 200
"""Below the radio's 250 slots and the store's 240 offers a station."""

LARGE_LABEL_EVERY = 5
"""Every so many labels is a 4.2 inch one, the others are 2.9 inch."""

SMALL, LARGE = 0x01, 0x02
REAL_CHECK_IN_S = 40.0
FIRST_ADDRESS = 0x0000021B1A000001

OnLine = Callable[[str, bytes], None]
"""Called with a radio's name and bytes that it sent to its host."""


@dataclass(frozen=True, slots=True)
class SpeedUp:
    """`check_in_s`: how often a label looks for a new picture. `settle_s`: its longest refresh. Real ones take 40 and
    30 s."""

    check_in_s: float
    settle_s: float

    def in_words(self) -> str:
        """What is not as it is with real labels."""
        return (f"labels check in every {self.check_in_s:g} s instead of {REAL_CHECK_IN_S:g} "
                f"({REAL_CHECK_IN_S / self.check_in_s:g} times as often), refresh within {self.settle_s:g} s, and a "
                f"block takes {FAST.block_s * 1000:g} ms on air instead of {REALISTIC.block_s * 1000:g}; the serial "
                "line is a pseudo terminal without its speed limit")


class Aisle:
    """Every radio and label of the store. `ports` are valid from construction on; `run()` gives them life."""

    def __init__(self, labels: int, speed_up: SpeedUp, seed: int, on_line: OnLine) -> None:
        self.labels: dict[LabelId, VirtualLabel] = {}
        self.ports: dict[str, Path] = {}
        self._shelves: list[tuple[VirtualShelf, PtyPort]] = []
        for number in range(-(-labels // LABELS_PER_RADIO_MAX)):
            name = f"aisle-{number + 1}"
            radio = VirtualRadio(chance(seed, name), timing=FAST, on_wire=partial(_hear, on_line, name))
            port = PtyPort(radio)
            first = number * LABELS_PER_RADIO_MAX
            shelf = VirtualShelf(radio, [_label(position, radio, speed_up, seed) for position
                                         in range(first, min(labels, first + LABELS_PER_RADIO_MAX))])
            self.labels |= shelf.labels
            self.ports[name] = port.device
            self._shelves.append((shelf, port))

    async def run(self) -> None:
        """Until cancelled."""
        await asyncio.gather(*(shelf.run(port.run()) for shelf, port in self._shelves))

    def close(self) -> None:
        """The devices are gone."""
        for _, port in self._shelves:
            port.close()


def _hear(on_line: OnLine, name: str, direction: Direction, data: bytes) -> None:
    if direction is Direction.TO_HOST:
        on_line(name, data)


def _label(position: int, radio: VirtualRadio, speed_up: SpeedUp, seed: int) -> VirtualLabel:
    address = f"{FIRST_ADDRESS + position:016x}"
    tag_type: TagType = tag_types()[LARGE if position % LARGE_LABEL_EVERY == LARGE_LABEL_EVERY - 1 else SMALL]
    return VirtualLabel(address, tag_type, radio, chance(seed, address), check_in_s=speed_up.check_in_s,
                        settle_s=min(speed_up.settle_s, tag_type.settle_s))
