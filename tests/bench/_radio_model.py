"""Radios and labels that follow a fixed model and fixed traces, so that a planner and a clairvoyant can be compared.

A trace is one label's check-ins, each heard or lost, drawn before anything runs. `clairvoyant_makespan_s` gives every
label a slot from the start and serves, whenever a radio is free, whoever checks in: what no host can beat that has to
send each picture once, because a radio serves one label per gate.
"""

import asyncio
import heapq
import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from drivers.openepaperlink.picture_codec import TagType
from drivers.virtual.label import VirtualLabel
from drivers.virtual.radio import REALISTIC, AirTiming, VirtualRadio

MODEL = Path(__file__).parent / "radio_model.json"


class RadioModel(msgspec.Struct, frozen=True):
    """The model file. Times in seconds, a block's transfer being `exchange_s` + `line_s` + `block_s`; `line_s` is what
    4100 bytes take from host to radio at 2 Mbaud. `loss`: share of check-ins that nobody hears.
    """

    radios: int
    labels: int
    slots: int
    gate_s: float
    exchange_s: float
    line_s: float
    block_s: float
    check_in_s: tuple[float, ...]
    check_in_spread: float
    loss: float

    @property
    def transfer_s(self) -> float:
        """What one block takes."""
        return self.exchange_s + self.line_s + self.block_s

    @property
    def timing(self) -> AirTiming:
        """For the virtual radios: a refused label asks again at its next check-in."""
        return AirTiming(self.gate_s, self.exchange_s, self.block_s, REALISTIC.block_wait_s, None, REALISTIC.boot_s)


@dataclass(frozen=True, slots=True)
class CheckIn:
    """One waking of a label."""

    at_s: float
    heard: bool


def read_model() -> RadioModel:
    """The model that ships with the benchmark."""
    return msgspec.json.decode(MODEL.read_bytes(), type=RadioModel)


def draw_trace(model: RadioModel, number: int, horizon_s: float) -> tuple[CheckIn, ...]:
    """The check-ins of label `number` (from 0) until `horizon_s`."""
    chance = random.Random(f"trace {number}")
    mean_s = model.check_in_s[number % len(model.check_in_s)]
    at_s, trace = chance.uniform(0, mean_s), []
    while at_s < horizon_s:
        trace.append(CheckIn(at_s, chance.random() >= model.loss))
        at_s += mean_s * chance.uniform(1 - model.check_in_spread, 1 + model.check_in_spread)
    return tuple(trace)


def clairvoyant_makespan_s(model: RadioModel, traces: Sequence[Sequence[CheckIn]], parts: Sequence[int]) -> float:
    """When one radio has served all its labels; `parts`: the blocks of each label's picture."""
    waking = [(check_ins[0].at_s, label, 0) for label, check_ins in enumerate(traces)]
    heapq.heapify(waking)
    free_s = end_s = 0.0
    while waking:
        at_s, label, turn = heapq.heappop(waking)
        if traces[label][turn].heard and at_s >= free_s:
            last_block_s = at_s + (parts[label] - 1) * model.transfer_s
            end_s = last_block_s + model.transfer_s
            free_s = max(end_s, last_block_s + model.gate_s)
            continue
        heapq.heappush(waking, (traces[label][turn + 1].at_s, label, turn + 1))
    return end_s


class TracedLabel(VirtualLabel):
    """Wakes when its trace says, until it has a picture on its screen. The trace begins when `begins_s` is set."""

    def __init__(self, address: str, tag_type: TagType, radio: VirtualRadio, trace: Sequence[CheckIn],
                 begins: "asyncio.Future[float]") -> None:
        super().__init__(address, tag_type, radio, random.Random(address))
        self._trace = trace
        self._begins = begins

    async def _live(self) -> None:
        began_s = await asyncio.shield(self._begins)
        loop = asyncio.get_running_loop()
        for check_in in self._trace:
            await asyncio.sleep(max(0.0, began_s + check_in.at_s - loop.time()))
            if check_in.heard:
                await self._wake()
            if self.history:
                break
        await loop.create_future()  # what a label that is through says costs a radio nothing
