"""P7 under everything at once: seeds of bad days. Failing seeds can be run again by their number."""

import asyncio
import contextlib
import dataclasses
import random

import pytest

from drivers.port import OfferRefused, Progress, Shown
from drivers.virtual.line_faults import LineFaults
from drivers.virtual.radio import FAST
from tests.drivers.aisle import MILK, address, an_aisle, virtually

LABELS = [address(int(MILK, 16) + index) for index in range(5)]
MISHAPS = 60
PICTURES = 6
SLOW_AIR = dataclasses.replace(FAST, exchange_s=0.02, block_s=0.2)  # so that much can happen while a label fetches
PIXELS_OFF_MAX = 8
"""A block's checksum is a sum: two flipped bits on a spoilt line can cancel out (esl.md 1.3), and then a few pixels
are wrong. Parts of another picture would be thousands, and so is one lost byte whose like follows the block."""

BLOCK_BYTES = 4096


async def a_mishap(aisle, chance, faults, wanted, pictures):
    label = chance.choice(LABELS)
    match chance.randrange(9):
        case 0:
            aisle.port.unplug()
            await asyncio.sleep(chance.uniform(0, 5))
            aisle.port.plug_in()
        case 1:
            await aisle.radio.restart()
        case 2:
            aisle.label(label).cut_power()
            await asyncio.sleep(chance.uniform(0, 10))
            aisle.label(label).restore_power()
        case 3:
            for fault in faults:
                fault.flip = chance.choice([0.0, 0.00005, 0.0005])
                fault.drop = chance.choice([0.0, 0.00005])
                fault.garbage = chance.choice([0.0, 0.1])
        case 4:
            aisle.label(label).radio_loss = chance.choice([0.0, 0.2, 0.6])
        case _:
            wanted[label] = chance.choice(pictures[label])


def hasty(aisle, chance, wanted, pictures):
    """A planner that changes its mind at the worst moments: while a label fetches, and right after its proof."""

    async def offer(label, blob):
        with contextlib.suppress(OfferRefused):
            await aisle.station.offer(label, blob)

    offering = set()

    def hear(event):
        aisle.hear(event)
        if isinstance(event, Progress | Shown) and chance.random() < 0.3:
            wanted[event.label] = chance.choice(pictures[event.label])
            task = asyncio.get_running_loop().create_task(offer(event.label, wanted[event.label]))
            offering.add(task)
            task.add_done_callback(offering.discard)

    return hear


def pixels_off(change, picture):
    if change.picture is None:
        return len(picture.pixels)
    return sum(shown != drawn for shown, drawn in zip(change.picture.pixels, picture.pixels, strict=True))


def is_as_sent(change, picture, payload):
    """Whether the label shows this picture, as far as the protocol can tell that it does."""
    if pixels_off(change, picture) <= PIXELS_OFF_MAX:
        return True
    first = next(at for at, (shown, sent) in enumerate(zip(change.payload, payload, strict=True)) if shown != sent)
    end = (first // BLOCK_BYTES + 1) * BLOCK_BYTES
    return change.payload[first : end - 1][: len(payload) - first - 1] == payload[first + 1 : end]


def heal(aisle, faults):
    for fault in faults:
        fault.flip = fault.drop = fault.garbage = 0.0
    for label in LABELS:
        aisle.label(label).radio_loss = 0.0


@pytest.mark.parametrize("seed", range(12))
def test_p7_no_day_is_bad_enough_for_a_wrong_proof_and_every_day_ends_well(seed):
    @virtually
    async def day():
        chance = random.Random(seed)
        faults = [LineFaults(random.Random(seed + 1)), LineFaults(random.Random(seed + 2))]
        tag_type = chance.choice([0x01, 0x33])
        async with an_aisle(len(LABELS), timing=SLOW_AIR, check_in_s=3.0, settle_s=1.0, chatter=0.1,
                            tag_type=tag_type, to_host=faults[0], to_radio=faults[1], seed=seed) as aisle:  # fmt: skip
            drawn = {label: [aisle.draw(number, label) for number in range(PICTURES)] for label in LABELS}
            pictures = {label: [blob for _, blob in drawn[label]] for label in LABELS}
            by_version = {blob.version: (picture, blob.payload) for pairs in drawn.values() for picture, blob in pairs}
            wanted = {label: chance.choice(pictures[label]) for label in LABELS}
            aisle.sink = hasty(aisle, chance, wanted, pictures)
            for _ in range(MISHAPS):
                await aisle.offers_again(wanted)
                await asyncio.sleep(chance.uniform(0, 8))
                await a_mishap(aisle, chance, faults, wanted, pictures)
            aisle.sink = aisle.hear
            heal(aisle, faults)
            for _ in range(40):
                await aisle.offers_again(wanted)
                await asyncio.sleep(5)
            assert not aisle.wrong_proofs
            for label in LABELS:
                assert aisle.label(label).version == wanted[label].version
                assert Shown(label, wanted[label].version) in aisle.events
                for change in aisle.label(label).history:
                    assert is_as_sent(change, *by_version[change.version])

    day()
