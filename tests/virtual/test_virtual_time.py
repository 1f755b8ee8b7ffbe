"""Virtual time: a month in seconds, the same every run, and nothing real hangs in it."""

import asyncio
import time

import pytest

from edge.virtual_time import Idle, NotVirtual, run


def test_a_month_passes_in_no_time_and_timers_fire_in_their_order():
    rung: list[tuple[str, float]] = []

    async def day(name: str, seconds: float) -> None:
        await asyncio.sleep(seconds)
        rung.append((name, asyncio.get_running_loop().time()))

    async def month() -> None:
        await asyncio.gather(day("last", 30 * 86_400), day("first", 1), day("middle", 3_600))

    began = time.perf_counter()
    run(month())
    assert rung == [("first", 1.0), ("middle", 3_600.0), ("last", 30 * 86_400.0)]
    assert time.perf_counter() - began < 5


def test_a_timer_beyond_the_longest_real_wait_still_fires_exactly_once():
    """asyncio waits at most a day at a time."""
    async def main() -> float:
        await asyncio.sleep(100 * 86_400)
        return asyncio.get_running_loop().time()
    assert run(main()) == pytest.approx(100 * 86_400, abs=1e-6)


def test_years_later_short_pauses_still_end():
    """A float that counts seconds loses its small digits: after 97 days nanoseconds are gone."""
    async def main() -> float:
        await asyncio.sleep(50 * 365 * 86_400)
        began_s = asyncio.get_running_loop().time()
        for _ in range(1000):
            await asyncio.sleep(0.001)
        return asyncio.get_running_loop().time() - began_s
    assert run(main()) == pytest.approx(1.0, abs=0.01)


def test_waiting_for_what_never_comes_is_an_error_that_names_who_waits():
    async def main() -> None:
        await asyncio.get_running_loop().create_task(asyncio.Event().wait(), name="the till")
    with pytest.raises(Idle, match="the till in wait"):
        run(main())


def test_a_thread_is_refused_instead_of_hanging():
    async def main() -> None:
        await asyncio.to_thread(time.sleep, 0)
    with pytest.raises(NotVirtual):
        run(main())


def test_a_socket_is_refused_instead_of_hanging():
    async def main() -> None:
        server = await asyncio.start_server(lambda reader, writer: None, "127.0.0.1", 0)
        server.close()
    with pytest.raises(NotVirtual):
        run(main())


def test_cancelled_work_is_cleaned_up_at_the_end():
    ended: list[str] = []

    async def part() -> None:
        try:
            await asyncio.sleep(1_000_000)
        finally:
            ended.append("part")

    async def main() -> str:
        task = asyncio.get_running_loop().create_task(part())
        await asyncio.sleep(5)
        assert not task.done()
        return "done"

    assert run(main()) == "done"
    assert ended == ["part"]
