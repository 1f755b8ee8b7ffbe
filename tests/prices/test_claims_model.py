"""P3 against an independent model: what every shopper may have read, kept as plain history of screens.

Hypothesis plays hub, planner, radio, labels, staff and time in any order; the books answer what a till may charge.
The model knows nothing of claims, orders or caps: it only remembers what stood on which screen, and when.
"""

import random
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace
from typing import cast

import msgspec
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from cloud_sync.contract.documents import Item, Policy, Price
from cloud_sync.contract.feeds import Batch, Checkpoint, Feed, Put
from cloud_sync.contract.promotions import BuyGet
from edge.db.connection import attach, connect, migrate
from edge.db.label_rows import must_have
from edge.db.ledger import Chain, load_chain
from edge.db.queries import LEDGER
from edge.db.replica import Moment, apply_batch
from edge.domain.claims import grace_end
from edge.domain.promotion import ActivePromotion
from edge.labels import bindings
from edge.labels.bindings import Act
from edge.prices.claim_book import Offered, ShownTerm, TooManyClaims, close_by_proof, doubt, expire, open_claim
from edge.prices.price_desk import PriceDesk
from edge.prices.promotion_book import PromotionBook, shown_term
from edge.store import Store

SKUS, LABELS, PRICES = ("milk", "bread"), ("aisle", "fridge"), (89, 99, 109, 119)
SETTLE_MS, GRACE_MS = 15_000, 60_000
CHAIN = Chain("0042", 1)


@dataclass(frozen=True, slots=True)
class Picture:
    """What a version shows: it is named by exactly that."""

    sku: str
    price_minor: int
    has_term: bool = False

    @property
    def version(self) -> str:
        return f"{self.sku}-{self.price_minor}" + ("-three" if self.has_term else "")


@dataclass(slots=True)
class Label:
    """A real label: what stands on its screen since when, what it draws, what its radio holds for it."""

    bound: str | None = None
    excluded: bool = False
    screen: Picture | None = None
    drawing: tuple[Picture, int] | None = None
    slot: Picture | None = None
    handed: int = 0
    heard: deque[tuple[str, int]] = field(default_factory=deque)
    read: list[tuple[Picture, int]] = field(default_factory=list)
    """Pictures that could be read on the shelf, each with the last moment at which it could."""


def three_for_two(sku: str) -> ShownTerm:
    """A promotion of this product alone."""
    return shown_term(ActivePromotion(f"three-{sku}", 1, BuyGet(skus=(sku,), buy=2, get=1)))


class ShoppersAndTills(RuleBasedStateMachine):
    """The machine."""

    def __init__(self) -> None:
        super().__init__()
        self.now_ms, self.acts, self.offset = 1_000, 0, 0
        self.labels = {name: Label() for name in LABELS}
        self.promoted: set[str] = set()
        self.directory = TemporaryDirectory()
        ledger_path = Path(self.directory.name) / "ledger.db"
        self.ledger = connect(ledger_path, bytes(32), synchronous="FULL")
        self.replica = connect(Path(":memory:"), bytes(32), synchronous="NORMAL")
        self.ledger.execute("PRAGMA synchronous = OFF")  # no power is cut here
        migrate(self.ledger, "ledger")
        attach(self.replica, ledger_path, bytes(32), "ledger")
        load_chain(self.ledger, CHAIN.store)
        migrate(self.replica, "replica")
        clock = SimpleNamespace(wall_ms=lambda: self.now_ms, powered_ms=lambda: self.now_ms, trusted=True)
        books = SimpleNamespace(ledger_reader=self.ledger, replica_reader=self.replica, both_reader=self.replica)
        self.store = cast(Store, SimpleNamespace(books=books, clock=clock, policy=Policy()))
        self.prices = PriceDesk(self.store)
        for name in LABELS:
            self.ledger.execute(LEDGER.insert_label, (name, "radio", "M3", SETTLE_MS, 0))

    def teardown(self) -> None:
        self.replica.close()
        self.ledger.close()
        self.directory.cleanup()

    @initialize()
    def the_shelf_is_stocked(self) -> None:
        self.feed(Feed.ITEMS, {sku: Item(sku, sku) for sku in SKUS})
        self.feed(Feed.PRICES, {sku: Price(sku, 99, "EUR") for sku in SKUS})
        for name, sku in zip(LABELS, SKUS, strict=True):
            self.bind(name, sku)

    # --- hub and planner --------------------------------------------------------------------------------------

    @rule(sku=st.sampled_from(SKUS), price=st.sampled_from(PRICES))
    def hub_sets_price(self, sku: str, price: int) -> None:
        self.feed(Feed.PRICES, {sku: Price(sku, price, "EUR")})

    @rule(sku=st.sampled_from(SKUS))
    def hub_begins_or_ends_three_for_two(self, sku: str) -> None:
        """Its feed holds none: whatever a basket knows of it, it knows from what labels may show."""
        self.promoted ^= {sku}

    @rule(name=st.sampled_from(LABELS), taken=st.sampled_from(["taken", "refused", "killed before"]))
    def planner_offers(self, name: str, taken: str) -> None:
        """The claim is committed; then the radio takes the picture, refuses it, or never hears of it."""
        label = self.labels[name]
        if label.bound is None:
            return
        price = self.prices.list_price(label.bound)
        assert price is not None
        picture = Picture(label.bound, price[0], label.bound in self.promoted)
        offered = Offered(name, picture.version, picture.version, picture.sku, picture.price_minor, "EUR",
                          three_for_two(picture.sku) if picture.has_term else None)
        try:
            order = open_claim(self.ledger, offered, self.now_ms, self.now_ms)
        except TooManyClaims:
            return
        if taken == "taken":
            label.slot, label.handed = picture, order
        elif taken == "killed before":
            self.daemon_restarts()

    @rule()
    def daemon_restarts(self) -> None:
        """What it had heard and not yet stored is gone; the radio holds what it held."""
        for label in self.labels.values():
            label.handed = 0
            label.heard.clear()

    @rule()
    def housekeeping(self) -> None:
        expire(self.ledger, self.now_ms, 1)

    @rule(name=st.sampled_from(LABELS))
    @precondition(lambda self: any(label.heard for label in self.labels.values()))
    def planner_reads_a_proof(self, name: str) -> None:
        label = self.labels[name]
        if label.heard:
            version, handed = label.heard.popleft()
            closes_ms = grace_end(self.now_ms, SETTLE_MS, GRACE_MS, None)
            close_by_proof(self.ledger, name, version, closes_ms, self.now_ms, self.now_ms, handed_order=handed)

    # --- labels and radio -------------------------------------------------------------------------------------

    @rule(name=st.sampled_from(LABELS), draws_ms=st.integers(0, SETTLE_MS), lost=st.booleans())
    def label_fetches(self, name: str, draws_ms: int, lost: bool) -> None:
        """Its proof goes out before its screen has changed, and may be lost on the way."""
        label = self.labels[name]
        if label.slot is None or label.drawing is not None:
            return
        label.drawing, label.slot = (label.slot, self.now_ms + draws_ms), None
        if not lost:
            label.heard.append((label.drawing[0].version, label.handed))
        self.screens_change()

    @rule(name=st.sampled_from(LABELS))
    def label_says_again_what_it_shows(self, name: str) -> None:
        label = self.labels[name]
        if label.screen is not None and label.drawing is None:
            label.heard.append((label.screen.version, label.handed))

    @rule(name=st.sampled_from(LABELS))
    def label_restarts(self, name: str) -> None:
        """What it was drawing never comes; the driver says at once that nobody knows what it shows."""
        label = self.labels[name]
        if label.drawing is not None:
            label.drawing = None
            while label.heard:
                self.planner_reads_a_proof(name)
            doubt(self.ledger, name, self.now_ms)

    # --- staff and time ---------------------------------------------------------------------------------------

    @rule(name=st.sampled_from(LABELS), sku=st.sampled_from(SKUS))
    def bind(self, name: str, sku: str) -> None:
        self.shoppers_look()
        bindings.bind(self.ledger, CHAIN, name, sku, self.act())
        self.labels[name].bound = sku
        self.shoppers_look()

    @rule(name=st.sampled_from(LABELS))
    def unbind(self, name: str) -> None:
        self.shoppers_look()
        bindings.unbind(self.ledger, CHAIN, name, self.act())
        self.labels[name].bound = None

    @rule(name=st.sampled_from(LABELS))
    def exclude(self, name: str) -> None:
        self.shoppers_look()
        bindings.exclude(self.ledger, CHAIN, name, self.act())
        self.labels[name].excluded = True

    @rule(name=st.sampled_from(LABELS))
    def include(self, name: str) -> None:
        bindings.include(self.ledger, CHAIN, name, self.act())
        self.labels[name].excluded = False
        self.shoppers_look()

    @rule(passes_ms=st.sampled_from([1, 1_000, SETTLE_MS - 1, SETTLE_MS, GRACE_MS - 1, GRACE_MS, 200_000]))
    def time_passes(self, passes_ms: int) -> None:
        until_ms = self.now_ms + passes_ms
        due_ms = sorted(label.drawing[1] for label in self.labels.values()
                        if label.drawing is not None and label.drawing[1] <= until_ms)
        for moment_ms in (*due_ms, until_ms):
            self.shoppers_look(moment_ms)
            self.now_ms = moment_ms
            self.screens_change()

    # --- the promise ------------------------------------------------------------------------------------------

    @invariant()
    def p3_no_till_asks_more_than_any_shopper_may_have_read(self) -> None:
        self.shoppers_look()
        for sku in SKUS:
            quote = self.prices.by_sku(sku)
            if quote is None:
                continue
            lowest = min((picture.price_minor for label in self.labels.values() for picture, until_ms in label.read
                          if picture.sku == sku and until_ms + GRACE_MS > self.now_ms), default=None)
            assert lowest is None or quote.charge_minor <= lowest, f"{sku}: {quote.charge_minor} > {lowest}"
            assert quote.charge_minor <= quote.list_price_minor

    @invariant()
    def p3_terms_that_any_shopper_may_have_read_hold(self) -> None:
        self.shoppers_look()
        for sku in SKUS:
            read = any(picture.sku == sku and picture.has_term and until_ms + GRACE_MS > self.now_ms
                       for label in self.labels.values() for picture, until_ms in label.read)
            held = PromotionBook(self.store).active_for([sku])
            assert held or not read, f"a label said 3 for 2 of {sku}, and a basket does not know of it"

    @invariant()
    def the_stored_cap_is_what_the_claims_say(self) -> None:
        """The cap is a cache: dropping it may never change an answer."""
        stored = self.ledger.execute("SELECT sku, cap_minor, valid_until_powered_ms FROM price_cap").fetchall()
        for sku, cap_minor, valid_until_ms in stored:
            rows = self.ledger.execute(LEDGER.claims_of_sku, (sku,)).fetchall()
            ends = [(row[2], min((end for end in (row[4], row[6], row[7]) if end is not None), default=None))
                    for row in rows]
            lowest = min((price for price, end in ends if end is None or end > self.now_ms), default=None)
            if valid_until_ms is None or self.now_ms < valid_until_ms:
                assert cap_minor == lowest

    # --- helpers ----------------------------------------------------------------------------------------------

    def feed(self, feed: Feed, documents: dict[str, Item] | dict[str, Price]) -> None:
        self.offset += 1
        changes = tuple(Put(self.offset, key, self.offset, msgspec.Raw(msgspec.json.encode(document)))
                        for key, document in documents.items())
        apply_batch(self.replica, feed, Batch(changes, Checkpoint("one", self.offset)), Moment(self.now_ms), {})

    def act(self) -> Act:
        self.acts += 1
        return Act(f"act-{self.acts}", "ana", self.now_ms, self.now_ms, "2026-11-23", GRACE_MS, "a reason")

    def shoppers_look(self, moment_ms: int | None = None) -> None:
        """Whatever stands on a shelf's screen can be read at this moment."""
        moment_ms = self.now_ms if moment_ms is None else moment_ms
        for label in self.labels.values():
            label.read = [(picture, until_ms) for picture, until_ms in label.read
                          if until_ms + GRACE_MS > self.now_ms and picture != label.screen] + [
                         (picture, until_ms) for picture, until_ms in label.read if picture == label.screen]
            if label.screen is not None and label.bound is not None and not label.excluded:
                label.read = [entry for entry in label.read if entry[0] != label.screen] + [(label.screen, moment_ms)]

    def screens_change(self) -> None:
        for label in self.labels.values():
            if label.drawing is not None and label.drawing[1] <= self.now_ms:
                label.screen, label.drawing = label.drawing[0], None
        self.shoppers_look()


TestP3 = ShoppersAndTills.TestCase
TestP3.settings = settings(max_examples=150, stateful_step_count=40, deadline=None,
                           suppress_health_check=list(HealthCheck))


@pytest.mark.parametrize("seeds", [range(12), pytest.param(range(12, 5_000), marks=pytest.mark.soak)])
def test_p3_long_random_days_of_one_shelf(seeds: range):
    """The same machine driven by plain chance: longer runs than hypothesis would try."""
    for seed in seeds:
        chance = random.Random(seed)
        machine = ShoppersAndTills()
        machine.the_shelf_is_stocked()
        for _ in range(400):
            play(machine, chance)
            machine.p3_no_till_asks_more_than_any_shopper_may_have_read()
            machine.p3_terms_that_any_shopper_may_have_read_hold()
            machine.the_stored_cap_is_what_the_claims_say()
        assert max(must_have(machine.ledger, name).offer_order for name in LABELS) > 10
        machine.teardown()


def play(machine: ShoppersAndTills, chance: random.Random) -> None:
    """One thing happens."""
    name, sku = chance.choice(LABELS), chance.choice(SKUS)
    match chance.choices(range(12), weights=(4, 8, 3, 4, 4, 1, 1, 1, 1, 4, 2, 1))[0]:
        case 0:
            machine.hub_sets_price(sku, chance.choice(PRICES))
        case 1:
            machine.planner_offers(name, chance.choice(["taken", "taken", "refused", "refused", "killed before"]))
        case 2:
            machine.label_fetches(name, chance.randint(0, SETTLE_MS), chance.random() < 0.3)
        case 3:
            machine.planner_reads_a_proof(name)
        case 4:
            machine.label_says_again_what_it_shows(name)
        case 5:
            machine.label_restarts(name)
        case 6:
            machine.bind(name, sku)
        case 7:
            chance.choice([machine.exclude, machine.include, machine.include])(name)
        case 8:
            machine.unbind(name)
        case 9:
            machine.time_passes(chance.choice([1_000, SETTLE_MS, GRACE_MS, 200_000]))
        case 10:
            machine.hub_begins_or_ends_three_for_two(sku)
        case _:
            chance.choice([machine.housekeeping, machine.daemon_restarts])()
