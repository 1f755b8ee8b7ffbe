"""Paper tags in a store: hung by people, proven by a scan, and binding the till like any other label (P3, P7)."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from drivers.paper.session import PaperStation, WaitingTag
from edge.errors import Rejected
from edge.labels.planner import LabelState
from tests.store_kit import StoreKit


class Paper:
    """A paper tag under the milk."""

    def __init__(self, store: StoreKit, station: PaperStation) -> None:
        self.store = store
        self.station = station
        self.label = ""

    async def is_made(self) -> None:
        made = await self.store.labels.add_paper("milk", "70x37", "ana", "act-1")
        self.label = made.label
        await self.store.a_moment()

    def print(self) -> WaitingTag:
        (tag,) = self.station.waiting()
        assert self.station.to_print(tag.label, tag.blob.version) is tag
        return tag

    async def scan(self, tag: WaitingTag) -> bool:
        newest = self.store.labels.scan_paper(tag.code.text).newest
        await self.store.a_moment()
        return newest

    async def every_shopper_is_gone(self) -> None:
        await self.store.time_passes(self.store.policy.grace_s + 1)

    def asks(self) -> str:
        return self.store.till().asks("milk")


@pytest.fixture
async def paper(store: StoreKit) -> AsyncIterator[Paper]:
    """The store has a station for paper tags."""
    station = PaperStation("paper", lambda event: store.planner.hear(event, "paper"))
    store.stations["paper"] = station
    running = asyncio.create_task(station.run())
    await store.a_moment()
    yield Paper(store, station)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def test_p7_a_tag_is_shown_once_it_was_scanned_where_it_hangs(store: StoreKit, paper: Paper) -> None:
    await paper.is_made()
    assert store.label(paper.label).state() is LabelState.ON_AIR
    assert await paper.scan(paper.print())
    assert store.label(paper.label).state() is LabelState.SHOWN


async def test_p3_an_increase_reaches_the_till_only_after_the_new_tag_was_hung_and_scanned(
        store: StoreKit, paper: Paper) -> None:
    await paper.is_made()
    old = paper.print()
    await paper.scan(old)
    await store.hub.sets_price("milk", "1.09")
    await paper.every_shopper_is_gone()
    assert paper.asks() == "0.99"
    new = paper.print()
    assert not await paper.scan(old)
    await paper.every_shopper_is_gone()
    assert paper.asks() == "0.99"
    assert await paper.scan(new)
    assert paper.asks() == "0.99"
    await paper.every_shopper_is_gone()
    assert paper.asks() == "1.09"


async def test_p3_a_tag_that_was_printed_and_never_hung_holds_the_till(store: StoreKit, paper: Paper) -> None:
    """A printed tag lies somewhere in the store: whoever hangs it makes it the shelf's word."""
    await paper.is_made()
    await paper.scan(paper.print())
    await store.hub.sets_price("milk", "0.79")
    forgotten = paper.print()
    await store.hub.sets_price("milk", "1.09")
    await paper.every_shopper_is_gone()
    assert paper.asks() == "0.79"
    await paper.scan(paper.print())
    await paper.every_shopper_is_gone()
    assert paper.asks() == "1.09"
    assert not await paper.scan(forgotten)
    assert paper.asks() == "0.79", "it hangs there now"


async def test_sent_twice_it_is_one_tag(store: StoreKit, paper: Paper) -> None:
    await paper.is_made()
    first = paper.label
    await paper.is_made()
    assert paper.label == first
    assert len(paper.station.waiting()) == 1


async def test_what_cannot_be_is_refused_with_a_reason(store: StoreKit, paper: Paper) -> None:
    with pytest.raises(Rejected, match="no product under 'nothing'"):
        await store.labels.add_paper("nothing", "70x37", "ana", "act-2")
    with pytest.raises(Rejected, match="no paper tag of '1x1'"):
        await store.labels.add_paper("milk", "1x1", "ana", "act-2")
    with pytest.raises(Rejected, match="not the code of a paper tag"):
        store.labels.scan_paper("4006381333948")
    with pytest.raises(Rejected, match="did not print tag"):
        store.labels.scan_paper("TAG:PAPER-70X37-00112233:0011223344556677")
    del store.stations["paper"]
    with pytest.raises(Rejected, match="driver: paper"):
        await store.labels.add_paper("milk", "70x37", "ana", "act-2")


async def test_a_tag_whose_station_has_another_name_now_is_printed_there(store: StoreKit, paper: Paper) -> None:
    await paper.is_made()
    del store.stations["paper"]
    store.planner.forget_station("paper")
    paper.station = PaperStation("tags", lambda event: store.planner.hear(event, "tags"))
    store.stations["tags"] = paper.station
    running = asyncio.create_task(paper.station.run())
    await store.a_moment()
    store.planner.adopt_all()
    await store.a_moment()
    assert [tag.label for tag in paper.station.waiting()] == [paper.label]
    running.cancel()
