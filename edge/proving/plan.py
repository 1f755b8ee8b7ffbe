"""What one seed decides: how large the store is, how busy its day, how bad its lines. Drawn once, before anything runs.

Rates are per virtual hour. A whole day is at least 1,500 sales, 300 labels, 60 price changes, 40 orders and 2 counts;
a short run is a smaller store, so that a twentieth of a day already holds every kind of event. Misfortunes of a whole
day are spread wider: what matters is that they meet everything, not that they come every few minutes.
"""

import random
from dataclasses import dataclass

START_WALL_MS = 1_767_596_400_000
"""Monday 2026-01-05, 08:00 in Madrid."""

START_MINUTE = 480
TIME_ZONE = "Europe/Madrid"
OPENS_MINUTE = 360
MIDNIGHT = 1440
NIGHT_SHARE = 0.3
NIGHT_DAYS_MAX = 0.1
"""Short runs begin at night now and then, before a day on which the store keeps shut."""

CLEAR_OUT_S = 600
HOURS_SHARE = 0.35
CALM_AFTER_S = 120.0
"""The world is set up before the first fault."""


@dataclass(frozen=True, slots=True)
class Size:
    """How large the store is; `calm`: how much rarer misfortunes are and how much longer labels sleep.

    Per hour of a store that is neither busy nor quiet: `baskets`, `price_changes`, `orders`, `counts`.
    """

    items: int
    labels: int
    calm: float
    baskets: float
    price_changes: float
    orders: float
    counts: float


TILLS = 3
CORNER_SHOP = Size(items=48, labels=40, calm=1.0, baskets=110, price_changes=70, orders=22, counts=0.5)
SUPERMARKET = Size(items=320, labels=300, calm=8.0, baskets=110, price_changes=6, orders=4, counts=0.3)
SUPERMARKET_DAYS = 0.5
"""Runs from this length on are of a supermarket."""


@dataclass(frozen=True, slots=True)
class Rates:
    """How often each thing happens, per hour."""

    baskets: float
    shoppers: float
    customers: float
    price_changes: float
    rebinds: float
    exclusions: float
    lights: float
    receipts: float
    counts: float
    rushes: float
    orders: float
    cancels: float
    dark_words: float
    races: float
    counted_late: float


@dataclass(frozen=True, slots=True)
class Waiting:
    """What the policy says about how long orders wait. `closed_tomorrow`: the store keeps shut on the second day."""

    hold_s: int
    hold_max_s: int
    answer_wait_s: int
    substitute_unanswered: bool
    safety_milli: int
    closed_tomorrow: bool


@dataclass(frozen=True, slots=True)
class FaultRates:
    """How often each fault begins, per hour."""

    line_cuts: float
    storms: float
    hub_restarts: float
    power_cuts: float
    daemon_kills: float
    commit_kills: float
    radio_resets: float
    unplugs: float
    label_power_cuts: float
    labels_lost: float
    clock_jumps: float
    full_disks: float
    bell_losses: float
    box_restores: float
    hub_restores: float
    second_boxes: float
    tills_away: float
    till_clock_jumps: float


@dataclass(frozen=True, slots=True)
class Plan:
    """One run. `copying_tills` of its `tills` keep a copy of the price book; `held_price_alert_s`: the policy's.
    `check_in_s`: how often labels ask; `radio_loss`: share of messages lost in the air, each way.

    `slow_air`: a picture takes seconds, as in life, and not milliseconds. `closes_minute`: when the store closes
    every day, after local midnight; `None`: it is always open. `start_minute`: when the run begins.
    """

    seed: int
    days: float
    items: int
    labels: int
    tills: int
    copying_tills: int
    grace_s: int
    held_price_alert_s: int
    check_in_s: float
    radio_loss: float
    line_noise: float
    slow_air: bool
    slow_commits: float
    closes_minute: int | None
    rates: Rates
    faults: FaultRates
    waiting: Waiting
    start_minute: int = START_MINUTE
    scarce_items: int = 3

    @property
    def start_wall_ms(self) -> int:
        """What the world's calendar says at the loop's time 0."""
        return START_WALL_MS + (self.start_minute - START_MINUTE) * 60_000

    @property
    def duration_s(self) -> float:
        """How long the store is busy; setting up and draining come on top."""
        return self.days * 86_400

    def randomness(self, name: str) -> random.Random:
        """A stream of its own for every actor, so that one more draw here moves nothing there."""
        return random.Random(f"{self.seed}/{name}")  # noqa: S311 - replays are the point


def draw_plan(seed: int, days: float) -> Plan:
    """The plan of a seed."""
    draw = random.Random(f"{seed}/plan")  # noqa: S311 - replays are the point
    tills = random.Random(f"{seed}/tills")  # noqa: S311 - replays are the point
    orders = random.Random(f"{seed}/orders")  # noqa: S311 - replays are the point
    night = days < NIGHT_DAYS_MAX and orders.random() < NIGHT_SHARE
    busy = draw.uniform(0.6, 1.6)
    size = SUPERMARKET if days >= SUPERMARKET_DAYS else CORNER_SHOP
    bad = draw.uniform(0.4, 1.6) / size.calm
    return Plan(
        seed=seed, days=days, items=size.items, labels=size.labels, tills=TILLS,
        copying_tills=tills.choice((0, 1, 1, 2)), held_price_alert_s=tills.choice((120, 300, 900)),
        grace_s=draw.choice((30, 90, 240, 600)), check_in_s=size.calm * draw.choice((45.0, 90.0, 150.0)),
        radio_loss=draw.choice((0.0, 0.05, 0.15, 0.3)), line_noise=draw.choice((0.0, 0.0, 0.00002)),
        slow_air=draw.random() < 0.6, slow_commits=draw.choice((0.02, 0.1, 0.3)),
        closes_minute=_closes_minute(draw, days, night=night),
        start_minute=MIDNIGHT - int(days * 1440 * orders.uniform(0.3, 0.9)) if night else START_MINUTE,
        waiting=Waiting(
            hold_s=orders.choice((120, 300, 600)), hold_max_s=orders.choice((600, 1_500)),
            answer_wait_s=orders.choice((40, 120, 400)), substitute_unanswered=orders.random() < 0.5,
            safety_milli=orders.choice((0, 0, 1_000)), closed_tomorrow=night or orders.random() < 0.3),
        rates=Rates(baskets=size.baskets * busy, shoppers=240 * busy / size.calm,
                    customers=120 * busy / size.calm,
                    price_changes=size.price_changes * busy, rebinds=8, exclusions=6, lights=4, receipts=2,
                    counts=size.counts, rushes=6, orders=size.orders * busy, cancels=size.orders * 0.25,
                    dark_words=size.orders * 0.2, races=size.orders * 0.2, counted_late=size.orders * 0.1),
        faults=FaultRates(line_cuts=1.5 * bad, storms=1.5 * bad, hub_restarts=1.0 * bad, power_cuts=2.5 * bad,
                          daemon_kills=1.0 * bad, commit_kills=12 * bad, radio_resets=1.0 * bad, unplugs=0.7 * bad,
                          label_power_cuts=4 * bad, labels_lost=0.4 * bad, clock_jumps=draw.choice((0.0, 1.2 * bad)),
                          full_disks=0.6 * bad, bell_losses=0.6 * bad, box_restores=0.5 * bad,
                          hub_restores=0.5 * bad, second_boxes=0.4 * bad,
                          tills_away=1.5 * bad, till_clock_jumps=tills.choice((0.0, 2.0 * bad))),
    )


def _closes_minute(draw: random.Random, days: float, *, night: bool) -> int | None:
    """Some stores keep hours; the last ones of a short run close before its end, those of a night at midnight."""
    share = draw.uniform(0.4, 0.9)
    if night:
        return MIDNIGHT
    return min(1260, START_MINUTE + int(share * days * 1440)) if draw.random() < HOURS_SHARE else None
