"""Rounds: what is away is waited for, troubles are told once, and one process works at a time."""

import random
from collections.abc import Callable

import pytest
import structlog

from cloud_sync.connectors.errors import Fenced, Misconfigured, Refused, Transient
from cloud_sync.connectors.hub import Hub
from cloud_sync.connectors.port import Round, Trouble
from cloud_sync.connectors.runner import TROUBLE_KIND, Runner, TroubleNote
from cloud_sync.connectors.settings import Rhythm
from tests.connectors.world import hub_of
from tests.hub.world import HubWorld


class Ended(Exception):
    """The play is over."""


class Scripted:
    """A connector whose rounds go as they are told to."""

    def __init__(self, *rounds: Exception | list[Trouble]) -> None:
        self.rounds = list(rounds)
        self.closed = False

    async def round(self, _hub: Hub) -> Round:
        if not self.rounds:
            raise Ended
        now = self.rounds.pop(0)
        if isinstance(now, Exception):
            raise now
        return Round({"orders_placed": 1}, now)

    async def close(self) -> None:
        self.closed = True


async def played(world: HubWorld, connector: Scripted, **rhythm: float) -> tuple[list[float], list[str]]:
    """The pauses it made, and what it said."""
    pauses: list[float] = []

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)
        world.now_ms += round(1000 * seconds)

    runner = Runner(connector, await hub_of(world), Rhythm(**rhythm), random.Random(1), sleep=sleep)
    with structlog.testing.capture_logs() as logs, pytest.raises(Ended):
        await runner.run()
    return pauses, [line["event"] for line in logs]


async def test_what_is_away_is_waited_for_with_jitter_and_never_before_it_asked(hub: HubWorld):
    connector = Scripted(Transient("down"), Refused("odd"), Transient("later", retry_after_s=50), [], [])
    pauses, said = await played(hub, connector, every_s=10, retry_first_s=1, retry_max_s=2)
    assert (pauses[0] <= 1, pauses[1] <= 2, pauses[2], pauses[3:]) == (True, True, 50, [10, 10])
    assert said == ["away, waiting", "back again", "carried", "carried"]
    assert connector.closed


async def test_a_trouble_is_told_when_it_begins_and_when_it_is_over_and_operators_can_read_it(hub: HubWorld):
    trouble = Trouble("vendure-A", "somebody is modifying the order")
    _, said = await played(hub, Scripted([trouble], [trouble]))
    assert said == ["a person should look", "carried", "carried"]
    assert await (await hub_of(hub)).note(TROUBLE_KIND, "vendure-A", TroubleNote) == TroubleNote(trouble.what)
    _, said = await played(hub, Scripted([trouble], []))
    assert "a person should look" not in said, "the process before told it"
    assert said.count("no trouble any more") == 1
    assert await (await hub_of(hub)).note(TROUBLE_KIND, "vendure-A", TroubleNote) is None


async def test_p2_a_second_process_waits_for_the_end_of_the_firsts_lease(hub: HubWorld):
    first = await hub_of(hub, "first", lease_s=60)
    await first.hold()
    second = Hub(first.client, "vendure", "second", 60, 20.0, lambda: hub.now_ms / 1000)
    with pytest.raises(Fenced, match="another process"):
        await second.hold()
    hub.now_ms += 60_000
    await second.hold()
    with pytest.raises(Fenced):
        await first.put_notes([])


async def test_a_lease_is_given_back_at_the_end(hub: HubWorld):
    _, _ = await played(hub, Scripted([]))
    await Hub((await hub_of(hub)).client, "vendure", "next", 60, 20.0).hold()


@pytest.mark.parametrize("spoil", [lambda hub: hub.client.headers.update({"Authorization": "Bearer wrong"})])
async def test_a_wrong_token_is_no_reason_to_try_again(hub: HubWorld, spoil: Callable[[Hub], None]):
    mine = await hub_of(hub)
    spoil(mine)
    with pytest.raises(Misconfigured, match="token"):
        await mine.hold()
