"""Seeds of the simulator: no promise is broken, and a seed replays exactly."""

import os
import subprocess
import sys

import msgspec
import pytest
from click.testing import CliRunner

from edge import simulate_seeds as simulate_seeds_module
from edge.cli import main
from edge.proving.report import SimulationReport
from edge.proving.unit_books import SHORT_REASONS
from edge.simulate import simulate_store
from edge.simulate_seeds import SeedsReport

DAYS = 0.03
SCENES = (
    "races for the last unit", "counts before a late sale", "orders changed in the dark", "orders cancelled",
    "lines of orders cancelled", "orders reassigned", "customers at the kerb", "substitutes answered",
    *(f"pickups: short {reason}" for reason in SHORT_REASONS), "pickups: hand_over", "pickups: refuse",
    "pickups: no_show", "pickups: put_back",
    *(f"orders that ended {state}" for state in ("handed_over", "rejected", "cancelled", "expired", "no_show",
                                                 "refused", "reassigned")))
"""What orders go through (DESIGN.md section 9)."""

QUICK_SEEDS = (1, 2, 3, 4)
SOAK_SEEDS = range(1, 201)
PRICE_SEEDS = 500
PRICE_DAYS = 0.01
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
def test_p3_p5_p6_no_price_no_unit_and_no_order_goes_wrong_in_500_seeds() -> None:
    """And every scene was played: what never happened proves nothing."""
    report = simulate_seeds_module.simulate_seeds(range(1, PRICE_SEEDS + 1), PRICE_DAYS, os.cpu_count() or 1,
                                                  lambda: None, lambda _broken: None)
    assert report.broken == []
    assert all(report.checked[kind] for kind in ("customers", "receipts", "holds", "refunds"))
    assert all(report.checked[kind] for kind in ("P5", "P6", "units", "goods", "events", "expiries"))
    assert all(report.done[scene] for scene in SCENES)


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


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_many_seeds_are_one_command_and_their_sums_are_those_of_the_seeds() -> None:
    done = CliRunner().invoke(main, ["simulate", "--seed", "3", "--seeds", "2", "--days", "0.004", "--json"])
    assert done.exit_code == 0, done.output
    report = msgspec.json.decode(done.stdout, type=SeedsReport)
    alone = [simulate_store(seed, 0.004) for seed in (3, 4)]
    assert (report.first_seed, report.seeds, report.broken) == (3, 2, [])
    assert report.facts == sum(each.facts for each in alone)
    assert report.checked["P3"] == sum(each.checked["P3"] for each in alone)


def test_a_seed_that_breaks_something_or_down_is_named_and_the_others_run_on(monkeypatch: pytest.MonkeyPatch) -> None:
    fine = SimulationReport(1, 60.0, 1.0, 5, {}, {}, {"P3": 2}, [])
    ends = [(2, msgspec.structs.replace(fine, seed=2, violations=["P3: too much", "P1: gone"])),
            (1, fine), (3, "AssertionError('the store did not come up')")]
    monkeypatch.setattr(simulate_seeds_module, "_runs", lambda *_: iter(ends))
    ended: list[None] = []
    lines: list[str] = []
    report = simulate_seeds_module.simulate_seeds(range(1, 4), 0.01, 1, lambda: ended.append(None),
                                                  lambda broken: lines.append(broken.as_line()))
    assert len(ended) == 3
    assert lines == ["BROKEN seed 2: P3: too much (and 1 more)",
                     "BROKEN seed 3: simulator: AssertionError('the store did not come up')"]
    assert (report.facts, report.checked) == (10, {"P3": 4})
    assert report.as_text().endswith("BROKEN in 2 of 3 seeds: 2 3")


def _judge(seed: int, days: float) -> None:
    report = simulate_store(seed, days)
    assert report.violations == []
    assert all(report.checked[promise] for promise in (
        "P1", "P2", "P3", "P4", "P5", "P6", "P7", "customers", "receipts", "units", "goods", "events"))
