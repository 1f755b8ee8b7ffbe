"""The planner: wanted against shown, urgent first, claims before offers, nothing stuck for ever (P3, P7, P8, P10)."""

import asyncio
import random
from itertools import pairwise
from pathlib import Path

import pytest
import structlog

from drivers.port import Ambiguous, Progress, Seen, Shown, StationState, Telemetry
from edge.db.books import derive_key
from edge.db.connection import Connection, connect
from edge.db.queries import LEDGER
from edge.errors import Rejected, Transient
from edge.labels import air_time
from edge.labels.air_time import AirTime, OnAir
from edge.labels.due_labels import DueLabels, Urgency
from edge.labels.planner import LabelState
from edge.limits import (
    DRIVER_EVENTS_MAX,
    LABELS_ON_AIR_PER_STATION_MAX,
    OFFER_EVERY_S,
    OFFER_RETRY_CAP_S,
    OFFER_STALE_S,
    PICTURES_PER_LABEL_MAX,
)
from tests.store_kit import DATABASE_SECRET, Offer, StoreKit, money

A_WALK_S = 3600 + 15


def second_reader(store: StoreKit) -> Connection:
    """Somebody else's connection: sees only what is committed."""
    return connect(store.directory / "ledger.db", derive_key(DATABASE_SECRET, "ledger.db"), synchronous="FULL",
                   read_only=True)


async def test_p3_nothing_is_offered_before_its_claim_is_committed(store: StoreKit) -> None:
    """A spy at the radio reads the ledger over a connection of its own at the moment of each offer."""
    spy, seen = second_reader(store), []

    def looks(offer: Offer) -> None:
        rows = spy.execute(LEDGER.claims_of_label, (offer.label,)).fetchall()
        assert (offer.sku, offer.price_minor) in {(row[1], row[2]) for row in rows if row[4] is None}
        assert spy.execute(LEDGER.picture, (offer.label, offer.version)).fetchone() is not None
        cap = spy.execute(LEDGER.price_cap, (offer.sku,)).fetchone()
        assert cap[0] <= offer.price_minor
        seen.append(offer.price_minor)

    store.station.before_offer = looks
    await store.label("aisle 4").hangs_under("milk")
    for price in ("0.89", "1.09", "0.89", "0.79"):
        await store.hub.sets_price("milk", price)
    assert seen == [99, 89, 109, 89, 79]
    assert store.label("aisle 4").state() is LabelState.ON_AIR
    spy.close()


async def test_p7_a_label_is_green_only_after_its_own_proof_of_the_wanted_picture(store: StoreKit) -> None:
    label = store.label("aisle 4")
    await label.hangs_under("milk")
    assert label.state() is LabelState.ON_AIR
    await label.proves()
    assert label.state() is LabelState.SHOWN
    await store.hub.sets_price("milk", "1.09")
    assert label.state() is LabelState.ON_AIR
    await label.proves("0.99")
    assert label.state() is LabelState.ON_AIR
    await label.proves("1.09")
    assert label.state() is LabelState.SHOWN
    await label.is_ambiguous()
    assert label.state() is LabelState.ON_AIR


async def test_an_unchanged_screen_costs_nothing(store: StoreKit) -> None:
    await store.label("aisle 4").shows("milk", "0.99")
    before = len(store.station.all_offers())
    await store.hub.sends_again()
    await store.restarts()
    for _ in range(5):
        store.station.is_heard("aisle 4")
        await store.time_passes(60)
    assert len(store.station.all_offers()) == before


async def test_changes_coalesce_while_a_picture_is_drawn(store: StoreKit) -> None:
    await store.label("aisle 4").shows("milk", "0.99")
    store.artist.takes_s = 30.0
    for price in ("1.01", "1.02", "1.03", "1.04"):
        await store.hub.sets_price("milk", price)
    await store.time_passes(300)
    assert store.label("aisle 4").offers() == ["0.99", "1.04"]
    assert store.claims("milk") == [("aisle 4", "0.99"), ("aisle 4", "1.04")]   # what never flew holds no till


async def test_offers_of_one_label_follow_one_another_in_the_order_of_their_claims(store: StoreKit) -> None:
    """A slow offer is not overtaken by a later one: the radio ends with what the books call the last."""
    await store.label("aisle 4").shows("milk", "0.99")
    store.station.takes_s = 20.0
    await store.hub.sets_price("milk", "1.09")
    store.station.takes_s = 0.0
    await store.hub.sets_price("milk", "0.89")
    assert store.label("aisle 4").offers() == ["0.99"]
    await store.time_passes(60)
    assert store.label("aisle 4").offers() == ["0.99", "1.09", "0.89"]
    row = store.label("aisle 4").row()
    assert row is not None
    assert row.offer_order == 3


async def test_p8_a_restart_resumes_with_claims_and_labels_as_they_were(store: StoreKit) -> None:
    await store.label("aisle 4").shows("milk", "0.99")
    await store.label("aisle 5").shows("bread", "1.89")
    await store.hub.sets_price("milk", "1.09")
    await store.restarts()
    await store.a_moment()
    assert store.station.adopted == {"aisle 4", "aisle 5"}
    assert store.label("aisle 4").offers()[-1] == "1.09"
    assert store.label("aisle 5").offers() == ["1.89"]
    assert store.till().asks("milk") == "0.99"
    await store.label("aisle 4").proves()
    assert store.label("aisle 4").state() is LabelState.SHOWN


async def test_increases_that_hold_a_till_fly_first_then_decreases_then_the_cosmetic(store: StoreKit) -> None:
    for name, sku in (("a", "milk"), ("b", "bread"), ("c", "cherries")):
        if sku == "cherries":
            await store.hub.has_items(sku)
            await store.hub.sets_price(sku, "4.99")
        await store.label(name).hangs_under(sku)
        await store.label(name).proves()
    store.station.goes(StationState.OFFLINE)
    await store.hub.has_items("cherries", brand="Picota")           # same price
    await store.hub.sets_price("bread", "1.79")                      # decrease
    await store.hub.sets_price("milk", "1.09")                       # increase
    order: list[str] = []
    store.station.before_offer = lambda offer: order.append(offer.label)
    await store.label("c").is_ambiguous()
    store.station.goes(StationState.READY)
    store.station.heard.add("c")
    await store.a_moment()
    assert order == ["a", "b", "c"]


async def test_p8_labels_go_on_air_one_after_the_other_so_that_tills_are_answered(store: StoreKit) -> None:
    names = [f"label {number:03}" for number in range(40)]
    for name in names:
        await store.label(name).hangs_under("bread")
        await store.label(name).proves()
    at_s: list[float] = []
    store.station.before_offer = lambda _: at_s.append(asyncio.get_running_loop().time())
    await store.hub.sets_price("bread", "1.79")
    await store.time_passes(50 * OFFER_EVERY_S)
    assert len(at_s) == 40
    assert all(later - earlier >= OFFER_EVERY_S / 2 for earlier, later in pairwise(at_s))


async def test_p7_a_label_that_becomes_doubtful_while_it_waits_for_its_turn_goes_on_air_all_the_same(
        store: StoreKit) -> None:
    for name in ("a", "b"):
        await store.label(name).hangs_under("bread")
        await store.label(name).proves()
    offered: list[str] = []

    def doubt_the_other(offer: Offer) -> None:
        if not offered:
            store.station.says(Ambiguous("b" if offer.label == "a" else "a"))
        offered.append(offer.label)

    store.station.before_offer = doubt_the_other
    with structlog.testing.capture_logs() as logs:
        await store.hub.sets_price("bread", "1.79")
        await store.time_passes(10 * OFFER_EVERY_S)
    assert [each for each in logs if each["log_level"] == "error"] == []
    assert set(offered) == {"a", "b"}
    assert {store.label(name).state() for name in ("a", "b")} == {LabelState.ON_AIR}


async def test_p3_a_label_that_proved_just_before_a_start_is_doubted_and_given_its_picture_again(
        store: StoreKit) -> None:
    await store.label("aisle 4").shows("milk", "0.99")
    await store.hub.sets_price("milk", "1.09")
    await store.label("aisle 4").proves()
    await store.restarts()
    assert store.label("aisle 4").state() is not LabelState.SHOWN
    await store.time_passes(store.settle_s + store.policy.grace_s + 1)
    assert store.till().asks("milk") == "0.99", "it may never have drawn"
    await store.label("aisle 4").proves()
    await store.time_passes(store.settle_s + store.policy.grace_s + 1)
    assert store.till().asks("milk") == "1.09"


async def test_a_label_that_has_long_drawn_is_believed_after_a_start(store: StoreKit) -> None:
    await store.label("aisle 4").shows("milk", "0.99")
    await store.time_passes(store.settle_s + 1)
    await store.restarts()
    await store.a_moment()
    assert store.label("aisle 4").state() is LabelState.SHOWN


async def test_p10_a_full_station_takes_the_next_label_when_a_slot_is_free_the_urgent_first(
        store: StoreKit, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(air_time, "LABELS_ON_AIR_PER_STATION_MAX", 60)
    monkeypatch.setattr(air_time, "PLACES_KEPT_FOR_URGENT", 1)
    await store.label("urgent").shows("milk", "0.99")
    names = [f"label {number:03}" for number in range(80)]
    for name in names:
        store.station.is_heard(name)
    await store.a_moment()
    for name in names:
        await store.labels.bind(name, "bread", "ana", store.new_id("act"))
    await store.time_passes(80 * OFFER_EVERY_S)
    offered = {offer.label for offer in store.station.all_offers()} - {"urgent"}
    assert len(offered) == 59
    await store.hub.sets_price("milk", "1.09")
    assert store.label("urgent").is_offered() == "1.09"  # one place was kept for it
    await store.label("urgent").proves()
    await store.label(names[0]).proves()
    for name in sorted(offered):
        await store.label(name).proves()
    assert {offer.label for offer in store.station.all_offers()} == {*names, "urgent"}


async def test_a_refused_offer_is_made_again_with_growing_pauses_and_at_once_when_the_label_is_heard(
        store: StoreKit) -> None:
    await store.label("aisle 4").shows("milk", "0.99")
    tries: list[float] = []
    store.station.before_offer = lambda offer: tries.append(asyncio.get_running_loop().time())
    store.station.refuses = "no free slot"
    await store.hub.sets_price("milk", "1.09")
    await store.time_passes(3600)
    pauses = [later - earlier for earlier, later in pairwise(tries)]
    assert 2.5 <= pauses[0] <= 8
    assert max(pauses) <= OFFER_RETRY_CAP_S * 1.5 + 1
    assert 10 < len(tries) < 60
    store.station.refuses = ""
    store.station.is_heard("aisle 4")
    await store.a_moment()
    assert store.label("aisle 4").is_offered() == "1.09"


async def test_a_failed_offer_is_told_to_people_and_made_again(store: StoreKit) -> None:
    label = store.label("aisle 4")
    await label.shows("milk", "0.99")
    await store.hub.sets_price("milk", "1.09")
    await label.fails(reason="the label did not fetch it")
    assert label.state() is LabelState.FAILED
    assert store.planner.failed_count() == 1
    await store.time_passes(10)
    assert label.offers() == ["0.99", "1.09", "1.09"]
    assert label.state() is LabelState.ON_AIR
    assert store.till().asks("milk") == "0.99"


async def test_the_end_of_an_old_offer_is_no_news_of_the_new_one(store: StoreKit) -> None:
    """A driver may tell of each picture that was replaced: that must not start a new offer each time."""
    label = store.label("aisle 4")
    await label.shows("milk", "0.99")
    await store.hub.sets_price("milk", "1.09")
    await store.hub.sets_price("milk", "1.19")
    for _ in range(3):
        await label.is_withdrawn("1.09")
        await label.fails("1.09")
    await store.time_passes(60)
    assert label.offers() == ["0.99", "1.09", "1.19"]
    assert label.state() is LabelState.ON_AIR
    await label.is_withdrawn("1.19")
    assert label.offers() == ["0.99", "1.09", "1.19", "1.19"]


async def test_an_offer_nobody_ever_answers_is_made_again(store: StoreKit) -> None:
    await store.label("aisle 4").hangs_under("milk")
    await store.time_passes(OFFER_STALE_S + 120)
    assert store.label("aisle 4").offers() == ["0.99", "0.99"]


async def test_a_label_whose_product_has_no_price_says_so_and_catches_up(store: StoreKit) -> None:
    await store.hub.has_items("caviar")
    label = store.label("aisle 4")
    await label.hangs_under("caviar")
    assert label.state() is LabelState.FAILED
    assert label.row().failure == "product caviar has no list price"  # type: ignore[union-attr]  # it has a row
    assert store.till().asks("caviar") == "no price"
    await store.hub.sets_price("caviar", "40.00")
    assert label.is_offered() == "40.00"
    assert label.state() is LabelState.ON_AIR


async def test_a_label_keeps_its_picture_when_its_product_goes_and_the_till_knows_no_price(store: StoreKit) -> None:
    await store.label("aisle 4").shows("milk", "0.99")
    await store.hub.removes_price("milk")
    assert store.till().asks("milk") == "no price"
    assert store.label("aisle 4").state() is LabelState.FAILED
    await store.hub.sets_price("milk", "1.09")
    assert store.till().asks("milk") == "0.99"


async def test_a_picture_that_cannot_be_drawn_is_told_and_opens_no_claim(store: StoreKit) -> None:
    await store.label("aisle 4").shows("milk", "0.99")
    store.artist.troubles = [ValueError("the price does not fit")]
    await store.hub.sets_price("milk", "0.89")
    assert store.label("aisle 4").row().failure == "the price does not fit"  # type: ignore[union-attr]  # it has a row
    assert store.claims("milk") == [("aisle 4", "0.99")]


@pytest.mark.parametrize("trouble", [Transient("the pool died"), RuntimeError("a bug"), OSError("no memory")])
async def test_an_accident_while_drawing_delays_the_label_and_nothing_else(
        store: StoreKit, trouble: Exception) -> None:
    for name, sku in (("aisle 4", "milk"), ("aisle 5", "bread")):
        await store.label(name).hangs_under(sku)
        await store.label(name).proves()
    store.artist.troubles = [trouble]
    await store.hub.sets_prices({"milk": "1.09", "bread": "1.99"})
    offers = [store.label(name).offers() for name in ("aisle 4", "aisle 5")]
    assert sorted(len(each) for each in offers) == [1, 2]
    await store.time_passes(10)
    assert (store.label("aisle 4").is_offered(), store.label("aisle 5").is_offered()) == ("1.09", "1.99")


async def test_p1_proofs_wait_in_their_order_while_the_ledger_takes_nothing(store: StoreKit) -> None:
    label = store.label("aisle 4")
    await label.shows("milk", "0.99")
    await store.hub.sets_price("milk", "1.09")
    store.books._connections[0].execute("PRAGMA busy_timeout = 0")
    somebody = connect(store.directory / "ledger.db", derive_key(DATABASE_SECRET, "ledger.db"), synchronous="FULL")
    somebody.execute("BEGIN IMMEDIATE")
    await label.proves()
    await store.hub.sets_price("milk", "1.19")
    await store.time_passes(600)
    assert label.state() is not LabelState.SHOWN
    assert label.offers() == ["0.99", "1.09"]                       # no claim, no offer
    progress = store.planner.progress
    somebody.execute("ROLLBACK")
    somebody.close()
    await store.time_passes(30)
    assert store.planner.progress > progress
    assert label.offers() == ["0.99", "1.09", "1.19"]
    await store.time_passes(A_WALK_S)
    assert store.till().asks("milk") == "1.09"                      # the proof that waited was read


async def test_an_event_nobody_can_read_is_passed_over(store: StoreKit) -> None:
    await store.label("aisle 4").hangs_under("milk")
    store.planner.hear(Shown(("aisle 4",), "x"))  # type: ignore[arg-type]  # a driver's bug
    await store.label("aisle 4").proves()
    assert store.label("aisle 4").state() is LabelState.SHOWN


async def test_p10_sightings_are_dropped_above_the_bound_and_proofs_never(store: StoreKit) -> None:
    await store.label("aisle 4").hangs_under("milk")
    for number in range(DRIVER_EVENTS_MAX * 2):
        store.planner.hear(Telemetry(f"label {number}", 2900, 20, -60) if number % 2 else
                           Progress("aisle 4", "x", 0, 4))
    store.planner.hear(Seen("stranger", None))
    await store.label("aisle 4").proves()
    await store.time_passes(120)
    assert store.label("aisle 4").state() is LabelState.SHOWN


async def test_telemetry_is_written_once_a_while_the_last_of_each_label(store: StoreKit) -> None:
    await store.label("aisle 4").hangs_under("milk")
    for battery_mv in (2900, 2890, 2880):
        store.planner.hear(Telemetry("aisle 4", battery_mv, None, -60))
    await store.time_passes(120)
    store.planner.hear(Telemetry("aisle 4", None, 21, None))
    await store.time_passes(120)
    row = store.label("aisle 4").row()
    assert row is not None
    assert (row.battery_mv, row.temperature_c, row.rssi_dbm) == (2880, 21, -60)


async def test_a_label_moves_in_with_the_station_that_hears_it_when_its_own_is_gone(store: StoreKit) -> None:
    """The station has another name after a restart."""
    await store.label("aisle 4").shows("milk", "0.99")
    store.station.name = "radio 2"
    store.station.heard.clear()
    await store.restarts()
    await store.hub.sets_price("milk", "1.09")
    assert store.label("aisle 4").offers() == ["0.99"]
    store.station.is_heard("aisle 4")
    await store.a_moment()
    assert store.label("aisle 4").is_offered() == "1.09"
    await store.label("aisle 4").proves()
    await store.time_passes(A_WALK_S)
    assert store.till().asks("milk") == "1.09"


async def test_a_station_that_is_taken_away_forgets_its_offers(store: StoreKit) -> None:
    await store.label("aisle 4").hangs_under("milk")
    store.planner.forget_station("aisles")
    assert store.label("aisle 4").state() is LabelState.QUEUED
    store.planner.adopt_all()
    await store.a_moment()
    assert store.label("aisle 4").offers() == ["0.99", "0.99"]


async def test_a_stopped_planner_leaves_nothing_running(store: StoreKit) -> None:
    store.artist.takes_s = 100.0
    await store.label("aisle 4").hangs_under("milk")
    store.station.refuses = "no"
    await store.label("aisle 5").hangs_under("bread")
    await store.parts_stop()
    assert {task for task in asyncio.all_tasks() if task is not asyncio.current_task()} == set()
    assert store.planner.offering_since_s() is None
    before = len(store.station.all_offers())
    await store.time_passes(1000)
    assert len(store.station.all_offers()) == before


async def test_p10_pictures_that_were_never_proven_are_bounded(store: StoreKit) -> None:
    await store.label("aisle 4").hangs_under("milk")
    for cents in range(100, 100 + 2 * PICTURES_PER_LABEL_MAX):
        await store.hub.sets_price("milk", money(cents))
    count = store.books.ledger_reader.execute("SELECT COUNT(*) FROM picture").fetchone()[0]
    assert count == PICTURES_PER_LABEL_MAX
    await store.label("aisle 4").proves("0.99")                     # forgotten: it closes nothing
    await store.time_passes(A_WALK_S)
    assert store.till().asks("milk") == "0.99"
    await store.label("aisle 4").proves()
    await store.time_passes(A_WALK_S)
    assert store.till().asks("milk") == money(99 + 2 * PICTURES_PER_LABEL_MAX)


async def test_the_planner_says_since_when_an_offer_is_being_made(store: StoreKit) -> None:
    assert store.planner.offering_since_s() is None
    store.artist.takes_s = 100.0
    await store.label("aisle 4").hangs_under("milk")
    since_s = store.planner.offering_since_s()
    assert since_s is not None
    assert 0 < asyncio.get_running_loop().time() - since_s < 5
    await store.time_passes(100)
    assert store.planner.offering_since_s() is None


@pytest.mark.parametrize("seed", [
    *range(4), *(pytest.param(seed, marks=pytest.mark.soak) for seed in range(4, 200))])
async def test_p3_random_hours_of_a_shelf_with_a_bad_radio(tmp_path: Path, seed: int) -> None:
    """Everything at once: lost and late proofs, refusals, doubts, rebinding, exclusion, kills, power cuts. A shopper
    looks at every screen every few seconds, and no till ever asks more than was read within the hour."""
    chance = random.Random(seed)
    store = StoreKit(tmp_path)
    await store.open()
    await store.hub.stocks_the_catalogue()
    await store.hub.sets_policy(grace_s=600)
    shelf = Shelf(store, chance)
    for name, sku in (("a", "milk"), ("b", "milk"), ("c", "bread")):
        await store.label(name).hangs_under(sku)
    for _ in range(250):
        await shelf.something_happens()
        for _ in range(chance.randint(1, 12)):
            shelf.radios_work()
            await store.time_passes(chance.uniform(0.5, 9))
            shelf.shoppers_read_and_pay()
    assert shelf.reads > 500
    await store.close()


class Shelf:
    """Labels that fetch, draw and lose, and shoppers who read them."""

    def __init__(self, store: StoreKit, chance: random.Random) -> None:
        self.store, self.chance = store, chance
        self.screens: dict[str, Offer] = {}
        self.drawing: dict[str, tuple[Offer, float]] = {}
        self.fetched: dict[str, int] = {}
        self.off_shelf: set[str] = set()
        self.read: dict[tuple[str, str], list[tuple[int, float]]] = {}
        self.reads = 0

    async def something_happens(self) -> None:
        """Hub, staff, or bad luck."""
        store, chance = self.store, self.chance
        label = store.label(chance.choice("abc"))
        match chance.choices(range(8), weights=(8, 2, 1, 2, 1, 1, 3, 1))[0]:
            case 0 | 6:
                sku = chance.choice(["milk", "bread"])
                await store.hub.sets_price(sku, chance.choice(["1.09", "1.19", "1.29", "1.39"]))
            case 1:
                await label.hangs_under(chance.choice(["milk", "bread"]))
            case 2 if label.name not in self.off_shelf:
                await label.is_excluded()
                self.off_shelf.add(label.name)
            case 3 if label.name in self.off_shelf:
                await label.is_included()
                self.off_shelf.discard(label.name)
            case 4:
                await store.restarts()
            case 5:
                await store.power_fails(chance.uniform(1, 2000))
                self.read.clear()                                  # whoever read it has gone home
            case 7:
                store.station.refuses = "" if store.station.refuses else "line down"
                store.station.takes_s = chance.choice([0.0, 3.0])
            case _:
                await store.a_moment()

    def radios_work(self) -> None:
        """A label may fetch what the station holds for it; the proof goes out first, or never."""
        now_s = asyncio.get_running_loop().time()
        self._screens_change(now_s)
        for name, offers in self.store.station.offers.items():
            fresh = len(offers) > self.fetched.get(name, 0)
            if fresh and name not in self.drawing and self.chance.random() < 0.3:
                self.fetched[name] = len(offers)
                self.drawing[name] = (offers[-1], now_s + self.chance.uniform(0, self.store.settle_s - 1))
                if self.chance.random() < 0.75:
                    self.store.station.says(Shown(name, offers[-1].version))
            elif name in self.screens and name not in self.drawing and self.chance.random() < 0.02:
                self.store.station.says(Shown(name, self.screens[name].version))

    def shoppers_read_and_pay(self) -> None:
        """P3, as a shopper sees it."""
        now_s, grace_s = asyncio.get_running_loop().time(), self.store.policy.grace_s
        self._screens_change(now_s)
        for name, offer in self.screens.items():
            if name not in self.off_shelf:
                self.read.setdefault((name, offer.sku), []).append((offer.price_minor, now_s))
                self.reads += 1
        for (name, sku), reads in self.read.items():
            reads[:] = [read for read in reads if read[1] > now_s - grace_s]
            for price_minor, _ in reads:
                quote = self.store.prices.by_sku(sku)
                assert quote is not None
                assert quote.charge_minor <= price_minor, f"{sku} on {name} said {price_minor} within the hour"


    def _screens_change(self, now_s: float) -> None:
        for name, (offer, until_s) in list(self.drawing.items()):
            if now_s >= until_s:
                self.screens[name] = offer
                del self.drawing[name]


def test_due_labels_keep_their_most_urgent_place():
    due = DueLabels()
    for label, urgency in (("a", Urgency.COSMETIC), ("b", Urgency.DECREASE), ("a", Urgency.HOLDS_TILL),
                           ("b", Urgency.COSMETIC), ("c", Urgency.DECREASE), ("a", Urgency.COSMETIC)):
        due.add(label, urgency)
    assert len(due) == 3
    assert [due.pop()[0] for _ in range(3)] == ["a", "b", "c"]
    assert not due
    with pytest.raises(IndexError):
        due.pop()
    due.add("a", Urgency.COSMETIC)
    assert due.pop() == ("a", Urgency.COSMETIC)


def test_a_label_has_one_slot_whatever_it_shows():
    air = AirTime()
    for content in ("one", "two", "three"):
        air.begin("a", OnAir("radio", content, 0.0))
    for number in range(LABELS_ON_AIR_PER_STATION_MAX - 1):
        assert not air.is_full("radio", Urgency.HOLDS_TILL)
        air.begin(f"label {number}", OnAir("radio", "x", 0.0))
    assert air.is_full("radio", Urgency.HOLDS_TILL)
    assert not air.is_full("other", Urgency.COSMETIC)
    air.wait("radio", "late", Urgency.COSMETIC)
    air.wait("radio", "urgent", Urgency.HOLDS_TILL)
    assert air.end("a") == ("urgent", Urgency.HOLDS_TILL)
    assert air.end("a") is None


async def test_p3_a_label_that_was_replaced_holds_its_price_for_the_shoppers_walk_and_then_no_longer(
        store: StoreKit) -> None:
    await store.label("old").shows("milk", "0.99")
    store.station.is_heard("new")
    await store.a_moment()
    act = store.new_id("act")
    for _ in range(2):  # sent twice it counts once
        await store.labels.replace("old", "new", "ana", act)
    assert [row.sku for each in ("old", "new") if (row := store.label(each).row())] == [None, "milk"]
    await store.hub.sets_price("milk", "1.29")
    await store.label("new").proves()
    assert store.till().asks("milk") == "0.99"
    await store.time_passes(store.settle_s + store.policy.grace_s + 60)
    await store.label("new").proves()
    await store.time_passes(store.settle_s + store.policy.grace_s + 60)
    assert store.till().asks("milk") == "1.29"
    with pytest.raises(Rejected, match="hangs under no product"):
        await store.labels.replace("old", "new", "ana", store.new_id("act"))
    with pytest.raises(Rejected, match="its own place"):
        await store.labels.replace("new", "new", "ana", store.new_id("act"))
