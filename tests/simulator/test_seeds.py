"""Seeds of the simulator: no promise is broken, and a seed replays exactly."""

import os
import subprocess
import sys

import pytest

from edge.simulate import simulate_store

DAYS = 0.03
QUICK_SEEDS = (1, 2, 3, 4)
SOAK_SEEDS = range(1, 201)
SOAK_DAYS = 1.0
SOAK_DAY_SEEDS = range(1, 501)


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("seed", QUICK_SEEDS)
def test_a_store_under_faults_breaks_no_promise(seed: int) -> None:
    _judge(seed, DAYS)


@pytest.mark.soak
@pytest.mark.timeout(600)
@pytest.mark.parametrize("seed", SOAK_SEEDS)
def test_200_seeds_break_no_promise(seed: int) -> None:
    _judge(seed, DAYS)


@pytest.mark.soak
@pytest.mark.timeout(0)
@pytest.mark.parametrize("seed", SOAK_DAY_SEEDS)
def test_500_whole_days_break_no_promise(seed: int) -> None:
    """A supermarket's day: 1,500 sales, 300 labels, 60 price changes, 40 orders and 2 counts at least."""
    _judge(seed, SOAK_DAYS)


def test_a_seed_replays_exactly_whatever_order_a_process_gives_its_sets() -> None:
    replays = "from edge.simulate import replay; print(replay(11, 0.03).fingerprint)"
    one, other = (subprocess.run([sys.executable, "-c", replays], env={**os.environ, "PYTHONHASHSEED": hash_seed},
                                 check=True, capture_output=True, text=True).stdout for hash_seed in ("1", "2"))
    assert one
    assert one == other


def _judge(seed: int, days: float) -> None:
    report = simulate_store(seed, days)
    assert report.violations == []
    assert all(report.checked[promise] for promise in ("P1", "P2", "P3", "P7"))
