"""`GET /v1/events`: what changed, told as it happens and resumed where it broke off (DESIGN.md section 8)."""

import asyncio
from collections.abc import AsyncIterator

import msgspec
import pytest

from edge.limits import EVENT_HEARTBEAT_S, EVENT_SUBJECTS_MAX
from edge.pos import events as events_module
from edge.pos.access import Role
from edge.pos.events import Events
from edge.pos.problems import ProblemAnswer
from tests.store_kit import StoreKit


class Follower:
    """A till that follows, as its maker would write it."""

    def __init__(self, events: Events, last_id: str = "", role: Role = Role.TILL) -> None:
        self._stream: AsyncIterator[bytes] = events.stream(role, last_id)
        self.last_id = last_id

    async def hears(self) -> tuple[str, dict[str, object]]:
        """The next event; comments and `retry` are passed over."""
        while True:
            fields = dict(line.split(": ", 1) for line in (await anext(self._stream)).decode().splitlines() if line)
            if "event" in fields:
                self.last_id = fields["id"]
                return fields["event"], msgspec.json.decode(fields["data"])


@pytest.fixture
async def events(store: StoreKit) -> AsyncIterator[Events]:
    following = Events(store.store)
    store.store.listeners.append(following.follow_news)
    running = asyncio.create_task(following.run())
    await store.a_moment()
    yield following
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def test_a_till_hears_which_prices_changed(store: StoreKit, events: Events) -> None:
    till = Follower(events)
    assert await till.hears() == ("reset", {}), "a new client asks for everything first"
    await store.hub.sets_price("milk", "1.09")
    assert await till.hears() == ("prices", {"subjects": ["milk"]})


async def test_a_client_that_was_away_hears_what_it_missed(store: StoreKit, events: Events) -> None:
    till = Follower(events)
    await till.hears()
    await store.hub.sets_price("milk", "1.09")
    await store.hub.sets_price("bread", "1.99")
    again = Follower(events, till.last_id)
    assert [await again.hears() for _ in range(2)] == [("prices", {"subjects": ["milk"]}),
                                                       ("prices", {"subjects": ["bread"]})]


async def test_one_that_was_away_for_too_long_asks_for_everything(
        store: StoreKit, events: Events, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events_module, "EVENTS_KEPT_MAX", 2)
    short = Events(store.store)
    store.store.listeners.append(short.follow_news)
    till = Follower(short)
    await till.hears()
    for price in ("1.01", "1.02", "1.03", "1.04"):
        await store.hub.sets_price("milk", price)
    again = Follower(short, till.last_id)
    assert (await again.hears())[0] == "reset"
    await store.hub.sets_price("milk", "1.05")
    assert await again.hears() == ("prices", {"subjects": ["milk"]})


@pytest.mark.parametrize("last_id", ["", "another life.7", "rubbish", "x" * 5000, ".", "1.99999999999999999999"])
async def test_an_id_of_another_life_is_a_reset(store: StoreKit, events: Events, last_id: str) -> None:
    assert (await Follower(events, last_id).hears())[0] == "reset"


async def test_a_stream_without_news_says_that_it_is_there(store: StoreKit, events: Events) -> None:
    stream = events.stream(Role.TILL, "")
    said = [await anext(stream) for _ in range(2)]
    began_s = asyncio.get_running_loop().time()
    said.append(await anext(stream))
    assert said[-1].startswith(b":")
    assert asyncio.get_running_loop().time() - began_s >= EVENT_HEARTBEAT_S


async def test_p11_a_display_hears_of_prices_and_of_no_orders(store: StoreKit, events: Events) -> None:
    till, display = Follower(events), Follower(events, role=Role.LOOKUP_ONLY)
    for each in (till, display):
        await each.hears()
    await store.hub.places_order("A-1", {"milk": 1})
    await store.hub.sets_price("milk", "1.09")
    assert (await till.hears())[0] == "pickups"
    assert (await display.hears())[0] == "prices"


async def test_p10_of_very_many_it_says_only_that(store: StoreKit, events: Events) -> None:
    till = Follower(events)
    await till.hears()
    await store.hub.has_items(*(f"sku{number}" for number in range(EVENT_SUBJECTS_MAX + 1)))
    assert await till.hears() == ("prices", {"more": True})


async def test_p10_so_many_follow_at_most_and_one_that_left_makes_room(
        store: StoreKit, events: Events, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events_module, "EVENT_STREAMS_MAX", 1)
    first = events.stream(Role.TILL, "")
    await anext(first)
    with pytest.raises(ProblemAnswer, match="Too many"):
        events.stream(Role.TILL, "")
    await first.aclose()  # type: ignore[attr-defined]
    assert (await Follower(events).hears())[0] == "reset"


async def test_when_the_store_stops_the_streams_end(store: StoreKit) -> None:
    following = Events(store.store)
    running = asyncio.create_task(following.run())
    await store.a_moment()
    stream = following.stream(Role.TILL, "")
    await anext(stream)
    await anext(stream)
    waiting = asyncio.create_task(anext(stream, b"the end"))
    await store.a_moment()
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert await waiting == b"the end"
