"""Long work in short stretches: what is worked on stays the same, and only a thread that has time rests."""

import threading
import time

import pytest

from edge.db import unhurried as module
from edge.db.unhurried import take_time, unhurried
from edge.limits import UNHURRIED_REST, UNHURRIED_STRETCH_S


@pytest.fixture
def rests(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """How long each rest was to take."""
    taken: list[float] = []
    monkeypatch.setattr(module.time, "sleep", taken.append)
    return taken


def _work(count: int, seconds: float) -> list[int]:
    done = []
    for value in unhurried(range(count)):
        until_s = time.perf_counter() + seconds
        while time.perf_counter() < until_s:
            pass
        done.append(value)
    return done


def test_a_thread_that_has_time_rests_after_every_stretch_of_work(rests: list[float]) -> None:
    done: list[int] = []

    def work() -> None:
        take_time()
        done.extend(_work(160, UNHURRIED_STRETCH_S / 8))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert done == list(range(160))
    assert len(rests) >= 5
    assert set(rests) == {UNHURRIED_REST * UNHURRIED_STRETCH_S}


def test_everybody_else_works_on(rests: list[float]) -> None:
    assert _work(160, UNHURRIED_STRETCH_S / 8) == list(range(160))
    assert rests == []
