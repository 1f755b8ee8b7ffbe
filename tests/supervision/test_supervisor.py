"""Parts fail, come back, are given up; the daemon goes on or ends, and stops cleanly. All in virtual time."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from random import Random

import pytest

from edge.errors import Corrupt, Rejected, Transient
from edge.heartbeats import Counter, Heartbeats
from edge.limits import (
    PART_STOP_S,
    RESTART_BASE_S,
    RESTART_CAP_S,
    RESTART_FAILURES_MAX,
    RESTART_WINDOW_S,
    SUPERVISOR_STOP_S,
)
from edge.supervisor import PartState, PartStatus, Supervisor, VitalPartFailed, full_jitter_s
from edge.virtual_time import run

Run = Callable[[], Awaitable[None]]


class Part:
    """Fails with `errors` in turn, then runs; `lasts_s` is how long it runs before each failure."""

    def __init__(self, *errors: BaseException, lasts_s: float = 0.0) -> None:
        self.errors = list(errors)
        self.lasts_s = lasts_s
        self.started_at_s: list[float] = []
        self.stopped_at_s: float | None = None

    async def run(self) -> None:
        loop = asyncio.get_running_loop()
        self.started_at_s.append(loop.time())
        if self.errors:
            await asyncio.sleep(self.lasts_s)
            raise self.errors.pop(0)
        try:
            await asyncio.Event().wait()
        finally:
            self.stopped_at_s = loop.time()


def new_supervisor() -> tuple[Supervisor, Heartbeats]:
    heartbeats = Heartbeats(asyncio.get_running_loop().time)
    return Supervisor(Random(7), heartbeats), heartbeats


@asynccontextmanager
async def running(supervisor: Supervisor) -> AsyncIterator[asyncio.Task[None]]:
    """The supervisor at work; stopped at the end of the scene."""
    task = asyncio.create_task(supervisor.run())
    for _ in range(4):  # rounds of the loop: the supervisor starts, its parts start, the first of them fail
        await asyncio.sleep(0)
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.wait([task])


def status_of(supervisor: Supervisor, name: str) -> PartStatus:
    return next(status for status in supervisor.status() if status.name == name)


@pytest.mark.parametrize("error", [Transient("line down"), KeyError("surprise"), SystemExit(3), ExceptionGroup(
    "several", [ValueError("one")]), RecursionError("deep")])
def test_a_part_that_fails_comes_back_whatever_it_raised(error: BaseException) -> None:
    async def scene() -> None:
        supervisor, _ = new_supervisor()
        part, other = Part(error), Part()
        supervisor.add("labels", part.run)
        supervisor.add("tills", other.run)
        async with running(supervisor):
            assert status_of(supervisor, "labels").state is PartState.WAITING
            assert type(error).__name__ in status_of(supervisor, "labels").last_error
            await asyncio.sleep(RESTART_BASE_S)

            assert status_of(supervisor, "labels").state is PartState.RUNNING
            assert len(part.started_at_s) == 2
            assert len(other.started_at_s) == 1, "nobody else notices"

    run(scene())


def test_a_part_that_returns_or_cancels_itself_comes_back() -> None:
    async def scene() -> None:
        supervisor, _ = new_supervisor()
        runs = []

        async def returns() -> None:
            runs.append("returned")

        async def cancels_itself() -> None:
            runs.append("cancelled")
            raise asyncio.CancelledError

        supervisor.add("returns", returns)
        supervisor.add("cancels", cancels_itself)
        async with running(supervisor):
            await asyncio.sleep(RESTART_BASE_S)
            assert runs.count("returned") > 1
            assert runs.count("cancelled") > 1
            assert "returned although" in status_of(supervisor, "returns").last_error

    run(scene())


def test_pauses_are_shaken_double_and_stay_under_the_cap() -> None:
    random = Random(1)
    for failures in range(1, 20):
        bound_s = min(RESTART_CAP_S, RESTART_BASE_S * 2 ** (failures - 1))
        pauses = [full_jitter_s(random, failures) for _ in range(300)]

        assert 0 <= min(pauses) < bound_s * 0.1
        assert bound_s * 0.9 < max(pauses) <= bound_s


def test_p10_a_part_that_never_works_is_given_up_visibly_and_the_rest_goes_on() -> None:
    async def scene() -> None:
        supervisor, _ = new_supervisor()
        part, other = Part(*[LookupError("no such device")] * 100), Part()
        supervisor.add("scanner", part.run)
        supervisor.add("tills", other.run)
        async with running(supervisor) as task:
            await asyncio.sleep(10 * RESTART_WINDOW_S)

            status = status_of(supervisor, "scanner")
            assert status.state is PartState.FAILED
            assert status.failures == len(part.started_at_s) == RESTART_FAILURES_MAX
            assert "no such device" in status.last_error
            assert status.next_try_s is None
            assert status_of(supervisor, "tills").state is PartState.RUNNING
            assert not task.done()

    run(scene())


def test_what_may_work_the_next_time_is_waited_for_without_end_and_never_more_often_than_the_cap_says() -> None:
    async def scene() -> None:
        supervisor, _ = new_supervisor()
        part = Part(*[Transient("no room on the disk")] * 1000)
        supervisor.add("planner", part.run, vital=True)
        async with running(supervisor) as task:
            await asyncio.sleep(10 * RESTART_WINDOW_S)
            assert status_of(supervisor, "planner").state is PartState.WAITING
            assert not task.done()

            some_tries = len(part.started_at_s)
            assert RESTART_FAILURES_MAX < some_tries < 10 * RESTART_WINDOW_S / (RESTART_CAP_S / 4)

            part.errors.clear()
            await asyncio.sleep(RESTART_CAP_S)
            assert status_of(supervisor, "planner").state is PartState.RUNNING

    run(scene())


def test_failures_far_apart_are_forgiven() -> None:
    async def scene() -> None:
        supervisor, _ = new_supervisor()
        part = Part(*[Transient("once in a while")] * 50, lasts_s=RESTART_WINDOW_S / 4)
        supervisor.add("hub", part.run)
        async with running(supervisor):
            await asyncio.sleep(60 * RESTART_WINDOW_S)
            assert status_of(supervisor, "hub").state is PartState.RUNNING
            assert len(part.started_at_s) == 51

    run(scene())


@pytest.mark.parametrize("error", [Corrupt("ledger.db fails its check"), Rejected("no such channel")])
def test_what_would_only_come_again_is_not_tried_again(error: Exception) -> None:
    async def scene() -> None:
        supervisor, _ = new_supervisor()
        part = Part(error)
        supervisor.add("ledger", part.run)
        async with running(supervisor):
            await asyncio.sleep(RESTART_WINDOW_S)
            assert status_of(supervisor, "ledger").state is PartState.FAILED
            assert len(part.started_at_s) == 1

    run(scene())


def test_without_a_vital_part_the_daemon_ends_and_stops_the_others() -> None:
    async def scene() -> None:
        supervisor, _ = new_supervisor()
        other = Part()
        supervisor.add("tills", other.run)
        supervisor.add("ledger", Part(Corrupt("torn page")).run, vital=True)

        with pytest.raises(VitalPartFailed, match=r"ledger.*torn page") as caught:
            await supervisor.run()

        assert isinstance(caught.value.__cause__, Corrupt)
        assert other.stopped_at_s is not None

    run(scene())


def test_a_person_may_try_a_failed_part_again() -> None:
    async def scene() -> None:
        supervisor, _ = new_supervisor()
        part = Part(*[LookupError("unplugged")] * RESTART_FAILURES_MAX)
        supervisor.add("scanner", part.run)
        async with running(supervisor):
            await asyncio.sleep(RESTART_WINDOW_S / 2)
            assert status_of(supervisor, "scanner").state is PartState.FAILED

            supervisor.restart("scanner")
            await asyncio.sleep(0.1)
            assert status_of(supervisor, "scanner").state is PartState.RUNNING

    run(scene())


def test_stopping_goes_from_the_last_part_to_the_first() -> None:
    async def scene() -> None:
        supervisor, _ = new_supervisor()
        order: list[str] = []

        def part(name: str) -> Run:
            async def run() -> None:
                try:
                    await asyncio.Event().wait()
                finally:
                    await asyncio.sleep(1.0)
                    order.append(name)
            return run

        for name in ("ledger", "labels", "tills"):
            supervisor.add(name, part(name))
        async with running(supervisor):
            pass

        assert order == ["tills", "labels", "ledger"]
        assert {status.state for status in supervisor.status()} == {PartState.STOPPED}

    run(scene())


def test_a_part_that_ends_quietly_or_noisily_when_stopped_is_not_started_again() -> None:
    async def scene() -> None:
        supervisor, _ = new_supervisor()
        starts: list[str] = []

        async def quiet() -> None:
            starts.append("quiet")
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                return

        async def noisy() -> None:
            starts.append("noisy")
            try:
                await asyncio.Event().wait()
            finally:
                raise OSError("port already gone")

        supervisor.add("quiet", quiet)
        supervisor.add("noisy", noisy)
        began_s = asyncio.get_running_loop().time()
        async with running(supervisor):
            pass
        assert asyncio.get_running_loop().time() == began_s
        assert starts == ["quiet", "noisy"]

    run(scene())


def test_p10_parts_that_refuse_to_stop_cannot_hold_the_daemon_for_longer_than_the_bound() -> None:
    async def scene() -> None:
        supervisor, _ = new_supervisor()

        async def stubborn() -> None:
            while True:
                try:
                    await asyncio.sleep(RESTART_WINDOW_S * 1000)
                except asyncio.CancelledError:
                    if asyncio.get_running_loop().time() - began_s > SUPERVISOR_STOP_S * 2:
                        raise

        began_s = asyncio.get_running_loop().time()
        for number in range(20):
            supervisor.add(f"stubborn {number}", stubborn)
        async with running(supervisor):
            pass
        assert PART_STOP_S < asyncio.get_running_loop().time() - began_s <= SUPERVISOR_STOP_S
        await asyncio.sleep(SUPERVISOR_STOP_S * 2)  # only now do they let the loop close

    run(scene())


def test_a_reload_adds_and_removes_parts_while_others_run() -> None:
    async def scene() -> None:
        supervisor, heartbeats = new_supervisor()
        old, new = Part(), Part()
        supervisor.add("aisle", old.run, pulse=Counter(lambda: 1, 60.0))
        async with running(supervisor):
            await supervisor.remove("aisle")
            assert old.stopped_at_s is not None
            assert heartbeats.names() == []

            supervisor.add("counter", new.run)
            await asyncio.sleep(0)
            assert [status.name for status in supervisor.status()] == ["counter"]
            assert len(new.started_at_s) == 1

    run(scene())


def test_a_name_is_taken_once() -> None:
    async def scene() -> None:
        supervisor, _ = new_supervisor()
        supervisor.add("tills", Part().run)
        with pytest.raises(ValueError, match="tills"):
            supervisor.add("tills", Part().run)

    run(scene())


def test_the_watchdog_hears_of_a_part_only_while_it_runs() -> None:
    async def scene() -> None:
        supervisor, heartbeats = new_supervisor()
        supervisor.add("labels", Part(*[LookupError("no")] * 100).run, pulse=Counter(lambda: 1, 5.0))
        supervisor.add("tills", Part().run, pulse=Counter(iter(range(10**6)).__next__, 5.0))
        async with running(supervisor):
            await asyncio.sleep(RESTART_WINDOW_S)
            assert status_of(supervisor, "labels").state is PartState.FAILED
            assert heartbeats.names() == ["tills"]
            assert heartbeats.stalled() == []

    run(scene())
