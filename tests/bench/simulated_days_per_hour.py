"""How many whole store-days the simulator lives through in an hour of one core, everything checked."""

import time

from edge.simulate import simulate_store

SEEDS = (1, 2)
DAYS = 1.0
LIMIT_PER_HOUR = 1_000
HOUR_S = 3600


def run() -> dict[str, object]:
    """`simulated_days_per_hour`, by processor time; the interpreter's start and the imports do not count."""
    began_s = time.process_time()
    reports = [simulate_store(seed, DAYS) for seed in SEEDS]
    taken_s = time.process_time() - began_s
    assert not any(report.violations for report in reports), [report.violations for report in reports]
    checked = sum(sum(report.checked.values()) for report in reports)
    value = len(SEEDS) * DAYS * HOUR_S / taken_s
    return {"name": "simulated_days_per_hour", "value": round(value, 1), "unit": "1/h", "limit": LIMIT_PER_HOUR,
            "peer": None, "ratio": round(value / LIMIT_PER_HOUR, 3),
            "conditions": f"seeds {SEEDS}, {DAYS} day each, 300 labels, {sum(each.facts for each in reports)} facts, "
                          f"{checked} checks, {sum(sum(each.faults.values()) for each in reports)} faults; one core"}
