"""The whole line in virtual time: a store, a hub, and everything that goes wrong between them."""

import asyncio
import random
from collections.abc import Callable, Iterator

import pytest
import structlog
from structlog.typing import EventDict

from cloud_sync.client.errors import BellLost
from cloud_sync.client.limits import (
    BACKOFF_CAP_S,
    BELL_PACE_RINGS,
    BELL_PACE_S,
    BELL_STABLE_S,
    HELLO_EVERY_S,
    LONG_POLL_S,
    PUSH_ENTRIES_MAX,
    QUIET_S_MAX,
    REFETCH_SPREAD_S,
    REQUEST_S_MAX,
    RETRY_AFTER_SPREAD_S,
    RING_SPREAD_S,
    SLICE_S,
)
from cloud_sync.client.link_state import DoorbellState, FenceReason, LinkState, TroubleKind
from cloud_sync.client.loop import Backoff
from cloud_sync.contract.feeds import Cursor, Feed
from tests.client.fakes import (
    TOKEN,
    FakeBell,
    Fault,
    Log,
    Scene,
    answers,
    arrives_twice,
    chain,
    cuts_the_answer,
    loses_the_reply,
    never_answers,
    raises,
    refuses_connection,
    takes_a_while,
    virtually,
)


@pytest.fixture(autouse=True)
def logged() -> Iterator[list[EventDict]]:
    with structlog.testing.capture_logs() as entries:
        yield entries


def said(logged: list[EventDict], event: str) -> int:
    return sum(entry["event"].startswith(event) for entry in logged)


def fence_of(scene: Scene) -> FenceReason | None:
    fence = scene.link.state.fence
    return fence.reason if fence else None


def time_s() -> float:
    return asyncio.get_running_loop().time()


class Unheard(Exception):
    """An exception of a type that nobody has heard of."""


# --- the ordinary day ------------------------------------------------------------------------------------------


@virtually
async def test_a_store_says_hello_before_anything_else() -> None:
    async with Scene() as scene:
        scene.store.sells("milk")
        await scene.until(scene.in_step)
        assert scene.hub.requests[0][1].endswith("/hello")
        assert scene.link.state.up


@virtually
async def test_a_sale_reaches_the_hub_and_a_price_the_store_at_once() -> None:
    async with Scene() as scene:
        await scene.until(scene.in_step)
        await asyncio.sleep(1000)
        scene.store.sells("milk", "bread")
        scene.hub.logs[Feed.PRICES].put({"milk": 99})
        await scene.until(scene.in_step, within_s=0.5)
        assert scene.store.rows[Feed.PRICES] == {"milk": 99}
        assert scene.store.acked[-1] == (1, 2)


@virtually
async def test_a_long_backlog_goes_in_bounded_pushes_one_behind_the_other() -> None:
    async with Scene() as scene:
        scene.store.sells(*(f"sale {number}" for number in range(3 * PUSH_ENTRIES_MAX + 1)))
        await scene.until(scene.in_step, within_s=5)
        sizes = [len(push.entries) for push in scene.hub.pushes]
        assert sizes == [PUSH_ENTRIES_MAX] * 3 + [1]


@virtually
async def test_a_quiet_store_asks_little() -> None:
    async with Scene() as scene:
        await scene.until(scene.in_step)
        before = len(scene.hub.requests)
        await asyncio.sleep(3600)
        polls, hellos = len(Feed) * 3600 / LONG_POLL_S, 3600 / HELLO_EVERY_S
        assert len(scene.hub.requests) - before <= polls + 2 * hellos + len(Feed)


@virtually
async def test_a_quiet_store_reads_its_ledger_rarely() -> None:
    async with Scene() as scene:
        scene.store.sells("milk")
        await scene.until(scene.in_step)
        before = scene.store.calls["entries_after"]
        await asyncio.sleep(3600)
        assert scene.store.calls["entries_after"] - before <= 2 * 3600 / SLICE_S


@virtually
async def test_many_pages_are_followed_to_the_end_and_the_end_is_told_once() -> None:
    async with Scene() as scene:
        for number in range(7):
            scene.hub.logs[Feed.ITEMS].put({f"item {number}": number, f"other {number}": number})
        await scene.until(scene.in_step, within_s=5)
        assert len(scene.store.rows[Feed.ITEMS]) == 14
        await asyncio.sleep(300)
        assert scene.store.complete.count(Feed.ITEMS) == 1
        assert scene.link.state.feeds[Feed.ITEMS].caught_up


@virtually
async def test_a_deleted_item_goes() -> None:
    async with Scene() as scene:
        scene.hub.logs[Feed.ITEMS].put({"milk": 1, "bread": 2})
        await scene.until(scene.in_step)
        scene.hub.logs[Feed.ITEMS].delete("milk")
        await scene.until(scene.in_step)
        assert scene.store.rows[Feed.ITEMS] == {"bread": 2}


# --- P2: once, whatever happens to a request -------------------------------------------------------------------


@pytest.mark.parametrize("fault", [
    loses_the_reply, refuses_connection, cuts_the_answer, never_answers, raises(Unheard("?")),
    raises(RuntimeError("client has been closed")), answers(500), answers(502, "<html>bad gateway</html>"),
    answers(503, headers={"retry-after": "7"}), answers(200, "<html>log in to the guest network</html>"),
    answers(302, headers={"location": "http://portal"}), answers(204), answers(408), answers(404), answers(200, "{}"),
    answers(409, '{"refetch": 5, "expected_sequence": -3, "head_hash": "", "reason": ""}'), answers(409, "null"),
], ids=["reply lost", "refused", "cut", "hangs", "unknown", "closed", "500", "502", "503", "portal", "redirect", "204",
        "408", "404", "empty object", "impossible 409", "409 null"])
@pytest.mark.parametrize("path", ["hello", "ledger", "feeds/prices"])
@virtually
async def test_p2_p9_a_fault_at_any_request_costs_time_and_nothing_else(path: str, fault: Fault) -> None:
    async with Scene() as scene:
        scene.hub.meets(path, fault, fault)
        scene.store.sells("milk")
        scene.hub.logs[Feed.PRICES].put({"milk": 99})
        await scene.until(scene.in_step, within_s=4 * REQUEST_S_MAX)
        scene.store.sells("bread")
        scene.hub.logs[Feed.PRICES].put({"bread": 199})
        scene.hub.meets(path, fault)
        await scene.until(scene.in_step, within_s=LONG_POLL_S + 4 * REQUEST_S_MAX)
        await asyncio.sleep(HELLO_EVERY_S + 4 * REQUEST_S_MAX)
        assert scene.in_step()
        assert scene.link.state.up
        assert scene.link.state.troubles == ()


@virtually
async def test_p2_a_push_whose_answer_was_lost_is_not_counted_twice() -> None:
    async with Scene() as scene:
        await scene.until(scene.in_step)
        scene.hub.meets("ledger", loses_the_reply)
        scene.store.sells("milk")
        await scene.until(lambda: scene.store.acked[-1:] == [(1, 1)])
        assert scene.hub.effects == ["fact/milk"]


@virtually
async def test_p2_a_push_that_arrives_twice_has_one_effect() -> None:
    async with Scene() as scene:
        await scene.until(scene.in_step)
        scene.hub.meets("ledger", arrives_twice)
        scene.store.sells("milk", "bread")
        await scene.until(scene.in_step)
        assert scene.hub.effects == ["fact/milk", "fact/bread"]


@pytest.mark.parametrize("method", ["hello", "cursor", "apply", "applied", "forget", "caught_up", "head",
                                    "entries_after", "acknowledged"])
@pytest.mark.parametrize("error", [Unheard("?"), asyncio.CancelledError("inside"), TimeoutError(), KeyError("price")],
                         ids=["unknown", "cancelled inside", "time-out", "bug"])
@virtually
async def test_no_exception_of_the_store_ends_the_line(method: str, error: BaseException,
                                                       logged: list[EventDict]) -> None:
    async with Scene() as scene:
        scene.store.fails(method, error, error)
        scene.hub.logs[Feed.ITEMS].put({"milk": 1})
        scene.store.sells("milk")
        await asyncio.sleep(5)
        scene.hub.logs[Feed.ITEMS] = Log("g2")
        scene.hub.logs[Feed.ITEMS].put({"bread": 1})
        scene.store.sells("bread")
        await scene.until(scene.in_step, within_s=HELLO_EVERY_S)
        assert not scene.store.failing[method], "the scene never came to the failing call"
        await scene.until(lambda: scene.link.state.up and not scene.link.state.troubles, within_s=HELLO_EVERY_S)
    assert said(logged, "trouble on the hub line is over") >= 1


@virtually
async def test_a_page_applied_by_a_store_that_failed_afterwards_is_not_applied_again() -> None:
    async with Scene() as scene:
        scene.store.fails("applied", Unheard("after the commit"))
        scene.hub.logs[Feed.ITEMS].put({"milk": 1})
        await scene.until(scene.in_step)
        await asyncio.sleep(60)
        with_changes = [feed for feed, batches in scene.store.applied if any(batch.changes for batch in batches)]
        assert with_changes == [Feed.ITEMS]


@virtually
async def test_an_acknowledgement_that_the_store_could_not_keep_is_told_again_soon() -> None:
    async with Scene() as scene:
        await scene.until(scene.in_step)
        await asyncio.sleep(60)
        scene.store.fails("acknowledged", Unheard("disk full"))
        scene.store.sells("milk")
        await scene.until(lambda: scene.store.acked[-1:] == [(1, 1)], within_s=3)


# --- the hub is away -------------------------------------------------------------------------------------------


@virtually
async def test_p9_after_an_outage_everything_drains_within_bounded_time(logged: list[EventDict]) -> None:
    async with Scene() as scene:
        await scene.until(scene.in_step)
        scene.hub.broken = {"": answers(500)}
        scene.store.sells("milk")
        await asyncio.sleep(3600)
        scene.store.sells("bread", "eggs")
        scene.hub.logs[Feed.PRICES].put({"milk": 99})
        await asyncio.sleep(LONG_POLL_S)
        assert not scene.link.state.up
        assert scene.link.state.backlog == 3
        assert "HTTP 500" in scene.link.state.last_error
        scene.hub.broken = {}
        healed_s = time_s()
        await scene.until(scene.in_step, within_s=2 * BACKOFF_CAP_S)
        await scene.until(lambda: scene.link.state.up, within_s=2 * BACKOFF_CAP_S)
        assert time_s() - healed_s <= 2 * BACKOFF_CAP_S
        assert scene.link.state.backlog == 0
    assert said(logged, "hub lost") == 1
    assert said(logged, "hub back") == 1


@virtually
async def test_while_the_hub_is_away_only_hello_knocks_and_ever_more_rarely() -> None:
    async with Scene() as scene:
        await scene.until(scene.in_step)
        scene.hub.broken = {"": refuses_connection}
        await asyncio.sleep(LONG_POLL_S + 5)
        before = len(scene.hub.requests)
        await asyncio.sleep(3600)
        knocks = scene.hub.requests[before:]
        assert {path.rsplit("/", 1)[1] for _, path in knocks} <= {"hello", *Feed}
        assert sum("hello" not in path for _, path in knocks) <= len(Feed)
        assert 3600 / BACKOFF_CAP_S <= len(knocks) <= 4 * 3600 / BACKOFF_CAP_S


@virtually
async def test_retry_after_is_obeyed_by_every_loop_and_not_even_the_doorbell_cuts_it() -> None:
    bell = FakeBell()
    async with Scene(bell=bell) as scene:
        await scene.until(scene.in_step)
        await asyncio.sleep(LONG_POLL_S)
        scene.hub.meets("ledger", answers(429, headers={"retry-after": "200"}))
        scene.store.sells("milk")
        await scene.until(lambda: bool(scene.link.state.troubles))
        asked_s = scene.hub.times("ledger")[-1]
        await asyncio.sleep(LONG_POLL_S + 1)
        before = len(scene.hub.requests)
        scene.store.sells("bread")
        bell.pull()
        await scene.until(lambda: scene.link.state.backlog == 2, within_s=SLICE_S + 1)
        await scene.until(scene.in_step)
        assert [at_s for at_s in scene.hub.times("hello") if asked_s < at_s < asked_s + 200] == []
        assert asked_s + 200 <= time_s() <= asked_s + 200 + RETRY_AFTER_SPREAD_S + BACKOFF_CAP_S
        assert min(at_s for at_s, _ in scene.hub.requests[before:]) >= asked_s + 200


@virtually
async def test_a_hello_that_was_already_under_way_does_not_undo_retry_after() -> None:
    async with Scene() as scene:
        await scene.until(scene.in_step)
        scene.hub.meets("ledger", takes_a_while(3, answers(429, headers={"retry-after": "200"})))
        scene.hub.meets("hello", takes_a_while(5))
        scene.store.sells("milk")
        await asyncio.sleep(1)
        scene.hub.meets("feeds/policy", answers(500))
        scene.hub.logs[Feed.POLICY].put({"policy": 1})
        await scene.until(lambda: "429" in scene.link.state.last_error)
        said_s = time_s()
        await asyncio.sleep(190)
        assert "hello" not in {trouble.part for trouble in scene.link.state.troubles}, "the hello did come through"
        assert [path for at_s, path in scene.hub.requests if at_s > said_s] == []


@virtually
async def test_after_an_outage_one_failure_is_a_short_pause_again() -> None:
    async with Scene() as scene:
        scene.hub.broken = {"": answers(500)}
        await asyncio.sleep(3600)
        scene.hub.broken = {}
        await scene.until(scene.in_step)
        for number in range(10):
            await asyncio.sleep(30)
            scene.hub.meets("ledger", answers(500))
            scene.hub.meets("hello", answers(500))
            scene.store.sells(f"sale {number}")
            await scene.until(scene.in_step, within_s=3)


@virtually
async def test_every_outage_is_said_once(logged: list[EventDict]) -> None:
    async with Scene() as scene:
        for _ in range(3):
            await scene.until(lambda: scene.link.state.up)
            scene.hub.broken = {"": answers(500)}
            await asyncio.sleep(600)
            scene.hub.broken = {}
        await scene.until(lambda: scene.link.state.up)
    assert said(logged, "hub lost") == said(logged, "hub back") == 3


@virtually
async def test_a_page_that_the_store_cannot_apply_is_not_the_lines_fault() -> None:
    async with Scene() as scene:
        await scene.until(scene.in_step)
        scene.hub.meets("feeds/items", refuses_connection)
        scene.store.fails("apply", *[Unheard("disk full")] * 1000)
        scene.hub.logs[Feed.ITEMS].put({"milk": 1})
        await asyncio.sleep(LONG_POLL_S + 30)
        assert scene.link.state.up
        assert [trouble.kind for trouble in scene.link.state.troubles] == [TroubleKind.STORE]


@virtually
async def test_one_broken_feed_harms_no_other_and_not_the_ledger() -> None:
    async with Scene() as scene:
        scene.hub.broken = {"feeds/items": answers(200, "not a page")}
        for _ in range(20):
            scene.store.sells(f"sale {time_s()}")
            scene.hub.logs[Feed.PRICES].put({"milk": int(time_s())})
            await asyncio.sleep(30)
            assert scene.hub.ledgers[1] == scene.store.entries
            assert scene.store.cursors[Feed.PRICES].offset == scene.hub.logs[Feed.PRICES].head
        [trouble] = scene.link.state.troubles
        assert (trouble.part, trouble.kind) == ("feed items", TroubleKind.NONSENSE)
        assert scene.link.state.up
        assert scene.store.rows[Feed.ITEMS] == {}


@virtually
async def test_a_garbage_page_is_said_once_and_never_applied(logged: list[EventDict]) -> None:
    async with Scene() as scene:
        await scene.until(scene.in_step)
        garbage = '{"op":"put","offset":1,"key":"milk","version":1,"doc":0}\n???'
        scene.hub.broken = {"feeds/prices": answers(200, garbage)}
        await asyncio.sleep(3600)
        assert scene.store.rows[Feed.PRICES] == {}
        polls = scene.hub.times("feeds/prices")
        assert len([at_s for at_s in polls if at_s > 100]) <= 5 * 3600 / BACKOFF_CAP_S
        scene.hub.broken = {}
        scene.hub.logs[Feed.PRICES].put({"milk": 99})
        await scene.until(scene.in_step)
    assert said(logged, "trouble on the hub line") == 2, "once when it began, once when it was over"


@virtually
async def test_a_refused_credential_is_tried_rarely_and_works_once_it_is_let_in() -> None:
    async with Scene() as scene:
        scene.hub.broken = {"": answers(401, '{"detail": "a bearer token that this hub knows is needed"}',
                                        {"content-type": "application/problem+json"})}
        await asyncio.sleep(3600)
        assert not scene.link.state.up
        assert "bearer token that this hub knows" in scene.link.state.last_error
        assert len(scene.hub.requests) <= 4 * 3600 / BACKOFF_CAP_S
        scene.hub.broken = {}
        await scene.until(lambda: scene.link.state.up, within_s=BACKOFF_CAP_S + 1)


@pytest.mark.parametrize("seeds", [range(10)])
def test_a_refused_credential_does_not_knock_again_at_once(seeds: range) -> None:
    knocks = 0

    @virtually
    async def first_minute(seed: int) -> None:
        nonlocal knocks
        async with Scene(seed=seed) as scene:
            scene.hub.broken = {"": answers(403)}
            await asyncio.sleep(60)
            knocks += len(scene.hub.requests)

    for seed in seeds:
        first_minute(seed)
    assert knocks <= 4 * len(seeds), "about three in a minute, where any other failure would make six"


@virtually
async def test_p11_no_log_line_and_no_state_holds_the_token(logged: list[EventDict]) -> None:
    async with Scene() as scene:
        scene.hub.meets("", answers(500), answers(401), raises(Unheard("?")), answers(200, "?"))
        scene.store.fails("head", Unheard("?"))
        scene.store.sells("milk")
        await scene.until(scene.in_step)
        assert TOKEN not in repr(scene.link.state) + repr(scene.states)
    assert TOKEN not in repr(logged)


# --- the hub and the store disagree ----------------------------------------------------------------------------


@virtually
async def test_p2_a_restored_hub_is_sent_again_what_it_lost() -> None:
    async with Scene() as scene:
        scene.store.sells(*(f"sale {number}" for number in range(10)))
        await scene.until(scene.in_step)
        scene.hub.epoch, scene.hub.ledgers[1] = "hub-epoch-2", scene.hub.ledgers[1][:4]
        del scene.hub.effects[4:]
        scene.store.sells("one more")
        await scene.until(scene.in_step, within_s=5)
        assert len(scene.hub.effects) == 11
        assert (1, 4) in scene.store.acked, "what the hub lost is no longer acknowledged"


@virtually
async def test_a_restored_hub_is_served_even_if_the_store_sells_nothing_more() -> None:
    async with Scene() as scene:
        scene.store.sells("milk", "bread")
        await scene.until(scene.in_step)
        scene.hub.epoch, scene.hub.ledgers[1] = "hub-epoch-2", ()
        scene.hub.effects.clear()
        scene.hub.meets("feeds", refuses_connection)
        await scene.until(scene.in_step, within_s=2 * LONG_POLL_S)
        await asyncio.sleep(HELLO_EVERY_S)
        assert scene.link.state.hub_epoch == "hub-epoch-2"


@virtually
async def test_a_fork_fences_the_push_while_everything_else_goes_on(logged: list[EventDict]) -> None:
    async with Scene() as scene:
        scene.store.sells("milk", "bread")
        await scene.until(scene.in_step)
        scene.hub.ledgers[1] = chain(["milk", "wine", "cork"])
        scene.store.sells("eggs", "salt")
        await scene.until(lambda: fence_of(scene) is FenceReason.FORK)
        scene.store.sells("soap")
        scene.hub.logs[Feed.PRICES].put({"milk": 99})
        pushes = len(scene.hub.pushes)
        await asyncio.sleep(3600)
        assert scene.hub.ledgers[1] == chain(["milk", "wine", "cork"])
        assert scene.store.rows[Feed.PRICES] == {"milk": 99}
        assert scene.link.state.up
        assert scene.link.state.backlog > 0
        assert len(scene.hub.pushes) - pushes <= 3600 / HELLO_EVERY_S + 1
    assert said(logged, "ledger push FENCED") == 1


@virtually
async def test_a_fence_that_moves_is_not_said_again(logged: list[EventDict]) -> None:
    async with Scene() as scene:
        for count in range(1, 5):
            scene.hub.ledgers[1] = chain([f"wine {number}" for number in range(count)])
            await asyncio.sleep(HELLO_EVERY_S + 30)
            fence = scene.link.state.fence
            assert fence is not None
            assert (fence.reason, fence.sequence) == (FenceReason.AHEAD, count)
    assert said(logged, "ledger push FENCED") == 1


@virtually
async def test_a_fence_falls_by_itself_when_the_hub_agrees_again() -> None:
    async with Scene() as scene:
        scene.hub.ledgers[1] = chain(["wine"])
        scene.store.sells("milk")
        await scene.until(lambda: scene.link.state.fence is not None)
        scene.hub.ledgers[1] = ()
        await scene.until(scene.in_step, within_s=HELLO_EVERY_S + 60)
        assert scene.link.state.fence is None


@virtually
async def test_a_box_restored_from_a_backup_does_not_push() -> None:
    async with Scene() as scene:
        scene.hub.ledgers[1] = chain(["milk", "bread", "eggs"])
        scene.store.sells("milk")
        await scene.until(lambda: fence_of(scene) is FenceReason.AHEAD)
        scene.store.sells("wine", "cork", "salt")
        await asyncio.sleep(2 * HELLO_EVERY_S)
        assert fence_of(scene) is FenceReason.FORK
        assert scene.hub.ledgers[1] == chain(["milk", "bread", "eggs"])


@virtually
async def test_a_new_epoch_begins_a_ledger_of_its_own() -> None:
    async with Scene() as scene:
        scene.store.sells("milk")
        await scene.until(scene.in_step)
        scene.store.epoch, scene.store.entries = 2, ()
        scene.store.sells("bread", "eggs")
        await scene.until(lambda: scene.hub.ledgers.get(2) == scene.store.entries, within_s=HELLO_EVERY_S + 60)
        assert scene.store.acked[-1] == (2, 2)


@virtually
async def test_a_store_that_contradicts_itself_about_its_epoch_does_not_make_it_hail_hellos() -> None:
    async with Scene() as scene:
        scene.store.sells("milk")
        scene.store.claims_epoch = 5
        await asyncio.sleep(3600)
        assert len(scene.hub.times("hello")) <= 4 * 3600 / BACKOFF_CAP_S
        scene.store.claims_epoch = None
        await scene.until(scene.in_step, within_s=2 * BACKOFF_CAP_S)


@virtually
async def test_a_hub_that_takes_little_at_once_gets_it_all() -> None:
    async with Scene() as scene:
        scene.hub.entries_max = 3
        scene.store.sells(*(f"sale {number}" for number in range(50)))
        await scene.until(scene.in_step, within_s=60)
        assert scene.link.state.up


@pytest.mark.parametrize("generation", ["g1", "g2"], ids=["same generation, older head", "new generation"])
@virtually
async def test_a_retired_generation_is_forgotten_and_fetched_anew(generation: str) -> None:
    async with Scene() as scene:
        scene.hub.logs[Feed.ITEMS].put({"milk": 1, "bread": 2, "eggs": 3})
        await scene.until(scene.in_step)
        log = scene.hub.logs[Feed.ITEMS]
        scene.hub.logs[Feed.ITEMS] = Log(generation)
        scene.hub.logs[Feed.ITEMS].put({"milk": 7})
        log.grown.set()
        await scene.until(scene.in_step, within_s=LONG_POLL_S + 15)
        assert scene.store.forgotten == [Feed.ITEMS]
        assert scene.store.cursors[Feed.ITEMS] == Cursor(generation, 1)
        await scene.until(lambda: scene.store.complete.count(Feed.ITEMS) == 2)


def test_a_generation_retired_for_all_stores_is_not_fetched_by_all_in_one_second() -> None:
    waited_s: list[float] = []

    @virtually
    async def refetches(seed: int) -> None:
        async with Scene(seed=seed, feeds=(Feed.ITEMS,)) as scene:
            await scene.until(scene.in_step)
            scene.hub.meets("feeds/items", answers(409, '{"refetch": "g2"}'))
            await scene.until(lambda: bool(scene.store.forgotten))
            told_s = scene.hub.times("feeds/items")[-1]
            scene.hub.logs[Feed.ITEMS] = Log("g2")
            await scene.until(scene.in_step)
            waited_s.append(scene.hub.times("feeds/items")[scene.hub.times("feeds/items").index(told_s) + 1] - told_s)

    for seed in range(10):
        refetches(seed)
    assert max(waited_s) - min(waited_s) > REFETCH_SPREAD_S / 3
    assert max(waited_s) <= REFETCH_SPREAD_S + 1


@virtually
async def test_a_hub_that_always_says_refetch_is_not_asked_without_a_pause() -> None:
    async with Scene() as scene:
        scene.hub.broken = {"feeds/items": answers(409, '{"refetch": "g9"}')}
        await asyncio.sleep(3600)
        assert len(scene.hub.times("feeds/items/snapshot")) <= 4 * 3600 / BACKOFF_CAP_S
        assert len(scene.hub.times("feeds/items")) <= 2 * len(scene.hub.times("feeds/items/snapshot"))


# --- polling and the doorbell ----------------------------------------------------------------------------------


@virtually
async def test_a_hub_that_does_not_hold_polls_is_asked_once_per_interval() -> None:
    async with Scene(feeds=(Feed.PRICES,)) as scene:
        scene.hub.holds_polls = False
        await scene.until(scene.in_step)
        before = len(scene.hub.times("feeds"))
        await asyncio.sleep(100 * LONG_POLL_S)
        assert 100 <= len(scene.hub.times("feeds")) - before <= 200
        scene.hub.logs[Feed.PRICES].put({"milk": 99})
        await scene.until(scene.in_step, within_s=LONG_POLL_S + 1)


@virtually
async def test_the_doorbell_brings_the_next_poll_forward() -> None:
    bell = FakeBell()
    async with Scene(bell=bell) as scene:
        scene.hub.holds_polls = False
        await scene.until(lambda: scene.link.state.doorbell is DoorbellState.CONNECTED)
        for number in range(20):
            await asyncio.sleep(37)
            scene.hub.logs[Feed.PRICES].put({"milk": number})
            bell.pull()
            await scene.until(scene.in_step, within_s=RING_SPREAD_S + 0.5)


@virtually
async def test_the_doorbell_ends_a_back_off() -> None:
    bell = FakeBell()
    async with Scene(bell=bell) as scene:
        await scene.until(scene.in_step)
        scene.hub.broken = {"": refuses_connection}
        await asyncio.sleep(3600)
        scene.hub.broken = {}
        bell.pull()
        await scene.until(lambda: scene.link.state.up, within_s=3 * RING_SPREAD_S)


@virtually
async def test_a_bell_gone_mad_does_not_make_us_ask_without_a_pause() -> None:
    bell = FakeBell()
    async with Scene(bell=bell) as scene:
        scene.hub.holds_polls = False
        await scene.until(lambda: scene.link.state.doorbell is DoorbellState.CONNECTED)
        before = len(scene.hub.requests)
        for _ in range(6000):
            bell.pull()
            await asyncio.sleep(0.01)
        rings = BELL_PACE_RINGS + 60 / BELL_PACE_S + 1
        assert len(scene.hub.requests) - before <= len(Feed) * (rings + 60 / LONG_POLL_S + 1)
        scene.hub.logs[Feed.PRICES].put({"milk": 99})
        bell.pull()
        await scene.until(scene.in_step, within_s=BELL_PACE_S + RING_SPREAD_S + 0.5)


@virtually
async def test_p8_a_broker_that_throws_us_out_for_an_hour_is_lost_once_and_back_once(logged: list[EventDict]) -> None:
    bell = FakeBell()
    connections = 0

    async def throws_out(connected: Callable[[], None], ring: Callable[[], None]) -> None:
        nonlocal connections
        connections += 1
        connected()
        await asyncio.sleep(1)
        raise BellLost("thrown out")

    listen, bell.listen = bell.listen, throws_out  # type: ignore[method-assign]
    async with Scene(bell=bell) as scene:
        await asyncio.sleep(3600)
        assert connections < 3600 / 20
        assert said(logged, "trouble on the hub line") == 1
        bell.listen = listen  # type: ignore[method-assign]
        await scene.until(lambda: said(logged, "trouble on the hub line is over") == 1,
                          within_s=BACKOFF_CAP_S + BELL_STABLE_S + 2)
        assert scene.link.state.doorbell is DoorbellState.CONNECTED


@virtually
async def test_without_a_broker_the_store_lives_by_polling_and_says_so_once(logged: list[EventDict]) -> None:
    bell = FakeBell()
    bell.connects = False
    async with Scene(bell=bell) as scene:
        await scene.until(scene.in_step)
        await asyncio.sleep(3600)
        assert scene.link.state.doorbell is DoorbellState.LOST
        assert scene.link.state.up, "a doorbell is not the line"
        bell.connects = True
        await scene.until(lambda: scene.link.state.doorbell is DoorbellState.CONNECTED)
    assert said(logged, "trouble on the hub line") == 2


@virtually
async def test_what_rang_while_the_broker_was_away_is_made_up_for_when_it_is_back() -> None:
    bell = FakeBell()
    bell.connects = False
    async with Scene(bell=bell) as scene:
        scene.hub.holds_polls = False
        await scene.until(scene.in_step)
        for number in range(5):
            scene.hub.logs[Feed.PRICES].put({"milk": number})
            bell.connects = True
            await scene.until(lambda: scene.link.state.doorbell is DoorbellState.CONNECTED)
            await scene.until(scene.in_step, within_s=RING_SPREAD_S + 0.5)
            bell.connects = False
            bell.lose()
            await asyncio.sleep(30)


@virtually
async def test_a_bell_that_hung_well_for_long_is_soon_hung_again() -> None:
    bell = FakeBell()
    bell.connects = False
    async with Scene(bell=bell) as scene:
        await asyncio.sleep(3600)
        bell.connects = True
        for _ in range(10):
            await scene.until(lambda: scene.link.state.doorbell is DoorbellState.CONNECTED)
            await asyncio.sleep(3600)
            bell.lose()
            await scene.until(lambda: scene.link.state.doorbell is DoorbellState.LOST)
            await scene.until(lambda: scene.link.state.doorbell is DoorbellState.CONNECTED, within_s=1.5)


@virtually
async def test_a_broker_that_throws_us_out_at_once_is_tried_ever_more_rarely() -> None:
    bell = FakeBell()
    async with Scene(bell=bell) as scene:
        scene.link.observe(lambda state: bell.lose() if state.doorbell is DoorbellState.CONNECTED else None)
        lost: list[float] = []
        scene.link.observe(lambda state: lost.append(time_s()) if state.doorbell is DoorbellState.LOST else None)
        await asyncio.sleep(3600)
        assert len(set(lost)) <= 2 * 4 * 3600 / BACKOFF_CAP_S


# --- watched, and bounded --------------------------------------------------------------------------------------


async def longest_standstill_s(scene: Scene, for_s: float) -> float:
    """The longest time that any loop counted no progress."""
    seen, moved_s, longest_s = dict(scene.link.progress), dict.fromkeys(scene.link.progress, time_s()), 0.0
    end_s = time_s() + for_s
    while time_s() < end_s:
        await asyncio.sleep(1)
        for name, count in scene.link.progress.items():
            if count != seen[name]:
                seen[name], moved_s[name] = count, time_s()
            longest_s = max(longest_s, time_s() - moved_s[name])
    return longest_s


@pytest.mark.parametrize("fault", [None, answers(500), answers(401), answers(200, "?"), refuses_connection,
                                   never_answers, answers(429, headers={"retry-after": "3000"})],
                         ids=["fine", "500", "401", "garbage", "refused", "hangs", "Retry-After"])
@virtually
async def test_a_living_line_makes_progress_whatever_the_hub_does(fault: Fault | None) -> None:
    async with Scene() as scene:
        await scene.until(scene.in_step)
        scene.hub.broken = {"": fault} if fault else {}
        assert await longest_standstill_s(scene, 4000) < QUIET_S_MAX


@pytest.mark.parametrize(("method", "part"), [("apply", "feed items"), ("cursor", "feed items"), ("hello", "hello"),
                                              ("entries_after", "ledger"), ("acknowledged", "ledger")])
@virtually
async def test_progress_stops_where_the_store_hangs(method: str, part: str) -> None:
    async with Scene() as scene:
        let_go = scene.store.hanging[method] = asyncio.Event()
        scene.hub.logs[Feed.ITEMS].put({"milk": 1})
        scene.store.sells("milk")
        await asyncio.sleep(5)
        before = scene.link.progress[part]
        await asyncio.sleep(QUIET_S_MAX + 1)
        assert scene.link.progress[part] == before
        del scene.store.hanging[method]
        let_go.set()
        await scene.until(lambda: scene.in_step() and scene.link.progress[part] > before)


@virtually
async def test_a_line_that_was_stopped_can_run_again() -> None:
    async with Scene() as scene:
        scene.store.sells("milk")
        await scene.until(scene.in_step)
        await scene.stop()
        scene.store.sells("bread")
        scene.hub.logs[Feed.PRICES].put({"milk": 99})
        hellos = len(scene.hub.times("hello"))
        requests = len(scene.hub.requests)
        scene.hub.meets("hello", answers(500), answers(500))
        scene.start()
        await scene.until(scene.in_step, within_s=5)
        assert len(scene.hub.times("hello")) == hellos + 3
        assert all(path.endswith("/hello") for _, path in scene.hub.requests[requests:requests + 3])


@virtually
async def test_a_line_that_runs_again_asks_the_store_where_it_stands() -> None:
    async with Scene() as scene:
        scene.hub.logs[Feed.ITEMS].put({"milk": 1})
        await scene.until(scene.in_step)
        await scene.stop()
        scene.store.cursors.clear()
        scene.store.rows[Feed.ITEMS].clear()
        scene.start()
        await scene.until(lambda: scene.in_step() and scene.store.rows[Feed.ITEMS] == {"milk": 1}, within_s=1)


@virtually
async def test_a_line_ends_when_it_is_told_to_even_if_a_part_of_it_swallows_the_word() -> None:
    class Deaf:
        async def listen(self, connected: object, ring: object) -> None:
            try:
                await asyncio.sleep(10**6)
            except asyncio.CancelledError:
                raise Unheard("time-out while saying goodbye") from None

    async with Scene(bell=Deaf()) as scene:
        await scene.until(scene.in_step)
        async with asyncio.timeout(1):
            await scene.stop()
        scene.start()


@virtually
async def test_an_observer_that_fails_harms_nobody(logged: list[EventDict]) -> None:
    def fails(_state: LinkState) -> None:
        raise Unheard("in an observer")

    async with Scene() as scene:
        scene.link.observe(fails)
        scene.store.sells("milk")
        await scene.until(scene.in_step)
        assert scene.states[-1].up
    assert said(logged, "an observer of the hub line failed") >= 1


def test_a_back_off_takes_any_pause_up_to_a_bound_that_doubles_to_the_cap() -> None:
    backoff = Backoff(random.Random(1), base_s=1, cap_s=60)
    bounds = [1, 2, 4, 8, 16, 32, 60, 60, 60]
    pauses = [backoff.next_s() for _ in bounds]
    assert all(0 <= pause <= bound for pause, bound in zip(pauses, bounds, strict=True))
    assert len(set(pauses)) == len(pauses)
    backoff.reset()
    assert backoff.next_s() <= 1


@pytest.mark.parametrize("seed", range(5))
@virtually
async def test_p2_p9_a_day_of_random_faults_leaves_both_sides_equal(seed: int) -> None:
    chance = random.Random(seed)
    faults: list[Fault] = [answers(500), refuses_connection, loses_the_reply, cuts_the_answer, never_answers,
                           answers(429, headers={"retry-after": "90"}), raises(Unheard("?")), answers(200, "?")]
    async with Scene(seed=seed) as scene:
        for number in range(300):
            await asyncio.sleep(chance.expovariate(1 / 60))
            scene.store.sells(*(f"sale {number}.{line}" for line in range(chance.randrange(4))))
            scene.hub.logs[chance.choice(tuple(Feed))].put({f"key {chance.randrange(9)}": number})
            if chance.random() < 0.5:
                scene.hub.meets(chance.choice(["hello", "ledger", "feeds", ""]), chance.choice(faults))
            if chance.random() < 0.2:
                method = chance.choice(["apply", "applied", "entries_after", "acknowledged", "cursor", "hello"])
                scene.store.fails(method, Unheard(method))
        scene.hub.faults.clear()
        scene.store.failing.clear()
        await scene.until(scene.in_step, within_s=2 * (BACKOFF_CAP_S + LONG_POLL_S + REQUEST_S_MAX))
        await asyncio.sleep(HELLO_EVERY_S)
        assert scene.in_step()
        assert scene.link.state.backlog == 0
