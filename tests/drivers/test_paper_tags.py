"""Paper tags: what is printed, what a scan names, and what waits (DESIGN.md sections 2 and 7)."""

import asyncio
import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from drivers.paper import codec, session
from drivers.paper.codec import DOTS_PER_MM, ProofCode, describe, encode_picture, new_label, size_mm, size_names
from drivers.paper.session import PaperStation
from drivers.port import (
    Blob,
    Colour,
    DriverEvent,
    OfferRefused,
    Picture,
    Progress,
    Shown,
    StationChanged,
    StationState,
)
from tests.drivers.aisle import virtually

TAG = new_label("70x37", "an act")


def a_picture(seed: int) -> Picture:
    description = describe(TAG)
    assert description is not None
    pixels = np.random.default_rng(seed).choice([0, 1], description.width * description.height).astype(np.uint8)
    return Picture(description.width, description.height, pixels.tobytes())


def drawn(seed: int) -> Blob:
    description = describe(TAG)
    assert description is not None
    return encode_picture(description, a_picture(seed))


def test_a_tag_says_its_own_size_and_looks_like_no_radios_label() -> None:
    for size in size_names():
        label = new_label(size, "an act")
        assert label == new_label(size, "an act") != new_label(size, "another")
        description, millimetres = describe(label), size_mm(label)
        assert description is not None
        assert millimetres is not None
        assert (description.width, description.height) == tuple(each * DOTS_PER_MM for each in millimetres)
        assert description.type_name == f"paper:{size}"
    for stranger in ("0000021b1ad03b17", "ffff92000001", "paper-1x1-3f9a2b1c", "paper-70x37-", ""):
        assert describe(stranger) is None
    with pytest.raises(ValueError, match="there are 50x25, 70x37, 105x57"):
        new_label("1x1", "an act")


def test_the_file_holds_every_pixel_and_the_version_names_them() -> None:
    blob = drawn(1)
    with Image.open(io.BytesIO(blob.payload)) as image:
        back = np.asarray(image.convert("L")) == 0
    assert (back.ravel() == (np.frombuffer(a_picture(1).pixels, np.uint8) == Colour.BLACK)).all()
    assert blob.version == drawn(1).version != drawn(2).version


def test_a_code_is_read_as_a_scanner_says_it() -> None:
    code = ProofCode(TAG, drawn(1).version)
    for text in (code.text, code.text.lower(), f" {code.text}\r\n"):
        assert ProofCode.read(text) == code
    for text in ("", "TAG:", "4006381333948", code.text[:-1], f"{code.text}0", "TAG:0000021b1ad03b17:0011223344556677"):
        assert ProofCode.read(text) is None


@given(st.text(max_size=400))
def test_p10_whatever_is_scanned_is_read_or_not(text: str) -> None:
    code = ProofCode.read(text)
    assert code is None or ProofCode.read(code.text) == code


class Room:
    """A station and what it said."""

    def __init__(self) -> None:
        self.events: list[DriverEvent] = []
        self.station = PaperStation("paper", self.events.append)

    async def __aenter__(self) -> "Room":
        self.task = asyncio.create_task(self.station.run())
        await asyncio.sleep(0)
        return self

    async def __aexit__(self, *_: object) -> None:
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)


@virtually
async def test_p7_a_tag_shows_what_was_scanned_on_the_shelf_and_nothing_before() -> None:
    async with Room() as room:
        room.station.adopt(TAG, "paper:70x37")
        await room.station.offer(TAG, drawn(1))
        await room.station.offer(TAG, drawn(2))
        assert [tag.blob.version for tag in room.station.waiting()] == [drawn(2).version]
        assert room.station.to_print(TAG, drawn(1).version) is None
        assert room.station.to_print(TAG, drawn(2).version) is not None
        assert Progress(TAG, drawn(2).version, 0, 1) in room.events
        assert not any(isinstance(event, Shown) for event in room.events)

        room.station.scanned(ProofCode(TAG, drawn(1).version))  # the old one still hangs there
        assert Shown(TAG, drawn(1).version) in room.events
        assert len(room.station.waiting()) == 1
        room.station.scanned(ProofCode(TAG, drawn(2).version))
        assert Shown(TAG, drawn(2).version) in room.events
        assert room.station.waiting() == []


@virtually
async def test_what_a_till_waits_for_is_printed_first_then_the_oldest() -> None:
    tags = [new_label("50x25", str(number)) for number in range(3)]
    async with Room() as room:
        for tag in tags:
            room.station.adopt(tag, "")
            await room.station.offer(tag, drawn(1), urgent=tag == tags[2])
            await asyncio.sleep(1)
        await room.station.offer(tags[0], drawn(2))  # another picture, and it waits no shorter for that
        assert [tag.label for tag in room.station.waiting()] == [tags[2], tags[0], tags[1]]


@virtually
async def test_what_paper_cannot_do_is_refused_with_a_reason() -> None:
    async with Room() as room:
        with pytest.raises(OfferRefused, match="adopted"):
            await room.station.offer(TAG, drawn(1))
        with pytest.raises(OfferRefused, match="no LED"):
            await room.station.light(TAG, Colour.RED, 5.0)
        with pytest.raises(OfferRefused, match="may be hung"):
            await room.station.withdraw(TAG)
        room.station.adopt("0000021b1ad03b17", "oepl:33")
        with pytest.raises(OfferRefused, match="adopted"):
            await room.station.offer("0000021b1ad03b17", drawn(1))
    assert room.station.state is StationState.OFFLINE
    assert [event.state for event in room.events if isinstance(event, StationChanged)] == [
        StationState.READY, StationState.OFFLINE]


@virtually
async def test_p10_so_many_tags_wait_at_most() -> None:
    before, session.OFFERS_MAX = session.OFFERS_MAX, 2
    try:
        async with Room() as room:
            tags = [new_label("50x25", str(number)) for number in range(3)]
            for tag in tags:
                room.station.adopt(tag, "")
            await room.station.offer(tags[0], drawn(1))
            await room.station.offer(tags[1], drawn(1))
            with pytest.raises(OfferRefused, match="2 tags wait"):
                await room.station.offer(tags[2], drawn(1))
            await room.station.offer(tags[1], drawn(2))
    finally:
        session.OFFERS_MAX = before
    assert codec.SIZES_MM
