"""The live streams: gathered, bounded, honest about what they missed, and over when they should be."""

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any, cast

import msgspec
import pytest

from edge.limits import (
    SESSION_IDLE_S,
    STAFF_COALESCE_S,
    STAFF_HEARTBEAT_S,
    STAFF_STREAM_EVENTS_MAX,
    STAFF_STREAM_S,
    STAFF_STREAMS_MAX,
    STAFF_SUBJECTS_MAX,
    STAFF_SWEEP_S,
)
from edge.pos.access import Principal, Role
from edge.pos.problems import ProblemAnswer
from edge.staff.label_index import LabelIndex
from edge.staff.live import FETCH_ALL, HEARTBEAT, Event, Live
from edge.staff.sessions import Session, Sessions
from edge.store import News, Topic
from edge.virtual_time import run


class Index:
    """A label index of nothing, which counts how it is asked."""

    def __init__(self) -> None:
        self.caught_up = 0
        self.moved: list[str] = []

    async def fill(self) -> None:
        """Nothing to look at."""

    async def catch_up(self) -> None:
        self.caught_up += 1

    async def sweep(self) -> list[str]:
        moved, self.moved = self.moved, []
        return moved

    def labels_of(self, sku: str) -> list[str]:
        return [f"label of {sku}"]


class Scene:
    """Live pages under virtual time."""

    def __init__(self) -> None:
        self.index = Index()
        self.sessions = Sessions(lambda: int(asyncio.get_running_loop().time() * 1000))
        self.live = Live(cast(LabelIndex, self.index), self.sessions, "life")
        self.sessions.ended.append(self.live.end)

    def session(self) -> Session:
        token = self.sessions.open(Principal("ana", Role.STAFF), "en")
        session = self.sessions.find(token, by_person=True)
        assert session is not None
        return session

    async def page(self, session: Session | None = None) -> AsyncIterator[bytes]:
        """A page that has everything up to now, and listens."""
        stream = self.live.stream(session or self.session(), self.live.version)
        assert HEARTBEAT in await anext(stream)
        return stream

    def tell(self, topic: Topic, *subjects: str) -> None:
        self.live.follow_news(News(topic, frozenset(subjects)))


def scene(play: Callable[[Scene], Coroutine[Any, Any, None]]) -> None:
    """Play it while the live part runs."""
    async def all_of_it() -> None:
        stage = Scene()
        running = asyncio.create_task(stage.live.run())
        await asyncio.sleep(0)
        try:
            await play(stage)
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
    run(all_of_it())


def event_of(sent: bytes) -> Event:
    found = re.search(rb"event: changed\ndata: (.*)\n\n", sent)
    assert found is not None, sent
    return msgspec.json.decode(found[1], type=Event)


def test_news_of_a_moment_are_one_event() -> None:
    async def play(stage: Scene) -> None:
        page = await stage.page()
        begin_s = asyncio.get_running_loop().time()
        for number in range(20):
            stage.tell(Topic.LABEL, f"label {number % 3}")
        stage.tell(Topic.FACT)
        stage.tell(Topic.PRICES, "milk")

        event = event_of(await anext(page))
        assert event == Event(("fact", "label", "prices"), ("label 0", "label 1", "label 2", "label of milk"))
        assert asyncio.get_running_loop().time() - begin_s == pytest.approx(STAFF_COALESCE_S)
        assert stage.index.caught_up == 1, "pages that fetch now find the index fresh"
    scene(play)


def test_p10_a_storm_of_news_names_no_label_and_stays_one_event() -> None:
    async def play(stage: Scene) -> None:
        page = await stage.page()
        for number in range(STAFF_SUBJECTS_MAX + 1):
            stage.tell(Topic.LABEL, f"label {number}")
        stage.tell(Topic.PRICES, *(f"sku {number}" for number in range(STAFF_SUBJECTS_MAX + 1)))

        assert event_of(await anext(page)) == Event(("label", "prices"), None)
    scene(play)


def test_p10_a_page_that_does_not_keep_up_is_told_to_fetch_everything_and_nothing_piles_up() -> None:
    async def play(stage: Scene) -> None:
        slow = await stage.page()
        for _ in range(STAFF_STREAM_EVENTS_MAX + 3):
            stage.tell(Topic.FACT)
            await asyncio.sleep(STAFF_COALESCE_S * 2)
        got = [await anext(slow) for _ in range(3)]

        assert got[0] == FETCH_ALL
        assert [event_of(sent).topics for sent in got[1:]] == [("fact",), ("fact",)]
    scene(play)


def test_p10_one_page_too_many_is_told_to_ask_instead() -> None:
    async def play(stage: Scene) -> None:
        pages = [await stage.page() for _ in range(STAFF_STREAMS_MAX)]
        with pytest.raises(ProblemAnswer) as refused:
            stage.live.stream(stage.session(), "")
        assert refused.value.problem.status == 503
        await pages[0].aclose()  # type: ignore[attr-defined]  # a generator

        await stage.page()
    scene(play)


def test_a_page_from_before_hears_that_it_missed_something() -> None:
    async def play(stage: Scene) -> None:
        before = stage.live.version
        listening = await stage.page()
        stage.tell(Topic.FACT)
        told = await anext(listening)
        for since in (before, "another life.0", ""):
            assert FETCH_ALL in await anext(stage.live.stream(stage.session(), since))

        number = re.search(rb"id: (.*)\n", told)
        assert number is not None
        assert FETCH_ALL not in await anext(stage.live.stream(stage.session(), number[1].decode()))
    scene(play)


def test_a_quiet_stream_says_that_it_is_alive_and_ends_in_time() -> None:
    async def play(stage: Scene) -> None:
        page = await stage.page()
        begin_s = asyncio.get_running_loop().time()
        beats = [sent async for sent in page]

        assert set(beats) == {HEARTBEAT}
        assert len(beats) == STAFF_STREAM_S / STAFF_HEARTBEAT_S
        assert asyncio.get_running_loop().time() - begin_s == pytest.approx(STAFF_STREAM_S)
    scene(play)


def test_p11_signing_out_ends_the_sessions_streams_and_no_other() -> None:
    async def play(stage: Scene) -> None:
        ana, luis = stage.session(), stage.session()
        of_ana, of_luis = await stage.page(ana), await stage.page(luis)
        stage.sessions.end(ana)
        assert [sent async for sent in of_ana] == []
        stage.tell(Topic.FACT)
        assert event_of(await anext(of_luis)).topics == ("fact",)
    scene(play)


def test_p11_a_page_left_alone_hears_nothing_once_its_session_is_over() -> None:
    async def play(stage: Scene) -> None:
        session = stage.session()
        await asyncio.sleep(SESSION_IDLE_S - STAFF_HEARTBEAT_S)
        page = await stage.page(session)
        assert len([sent async for sent in page]) <= 1
    scene(play)


def test_stopping_ends_every_stream_so_that_the_server_can_stop() -> None:
    async def all_of_it() -> None:
        stage = Scene()
        running = asyncio.create_task(stage.live.run())
        await asyncio.sleep(0)
        page = await stage.page()
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        assert [sent async for sent in page] == []
        with pytest.raises(ProblemAnswer):
            stage.live.stream(stage.session(), "")
    run(all_of_it())


def test_a_label_that_moved_without_news_is_told_by_the_sweep() -> None:
    async def play(stage: Scene) -> None:
        page = await stage.page()
        stage.index.moved = ["silent label"]
        assert event_of(await anext(page)) == Event(("label",), ("silent label",))
        assert asyncio.get_running_loop().time() <= STAFF_SWEEP_S + STAFF_COALESCE_S
        progress = stage.live.progress
        await asyncio.sleep(STAFF_SWEEP_S * 10)
        assert stage.live.progress >= progress + 9, "the watchdog sees it work in a quiet shop too"
    scene(play)


def test_a_counters_scan_goes_to_the_page_that_its_person_came_to_last_and_to_no_other() -> None:
    async def play(stage: Scene) -> None:
        ana, luis = stage.session(), stage.session()
        luis.principal = Principal("luis", Role.STAFF)
        first, second, other = await stage.page(ana), await stage.page(ana), await stage.page(luis)
        assert stage.live.scanned("ana", "]C10104006381333931\x1d10AB")
        assert await anext(second) == b'event: scan\ndata: {"code":"]C10104006381333931\\u001d10AB"}\n\n'
        await cast(Any, second).aclose()
        assert stage.live.scanned("ana", "back on the first")
        assert b"back on the first" in await anext(first)
        assert not stage.live.scanned("eva", "nobody looks"), "a scan is for now: it waits for no page"
        assert stage.live.scanned("luis", "his own")
        assert b"his own" in await anext(other)
        stage.sessions.end(ana)
        assert not stage.live.scanned("ana", "signed out")
    scene(play)
