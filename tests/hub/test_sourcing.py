"""Orders that name no store: offered to one after the other, never promised twice (P5), and what left has left (P6)."""

import itertools
import random

import msgspec
import pytest
import sqlalchemy as sa

from cloud_sync.contract.documents import Person
from cloud_sync.contract.facts import PickupStep
from cloud_sync.contract.pickup import PickupState, Step
from cloud_sync.contract.pickup_order import Taken, state_of
from cloud_sync.hub import schema
from cloud_sync.hub.app import run_inline
from cloud_sync.hub.bells import Bells
from cloud_sync.hub.limits import OFFER_GRACE_S, OFFERS_MAX
from cloud_sync.hub.sourcing import OrderWish, Sourced
from cloud_sync.hub.sourcing_keeper import source_round
from cloud_sync.hub.sourcing_rule import (
    Candidate,
    Next,
    OfferState,
    SourcingState,
    Standing,
    heard,
    is_told,
    next_step,
    ranked,
)
from tests.hub.chain import MINUTE_MS, Chain
from tests.hub.test_orders import NAME, dump
from tests.hub.world import MONDAY_MS, HubWorld

ACCEPT_MS = 30 * MINUTE_MS
LAPSE_MS = ACCEPT_MS + 1000 * OFFER_GRACE_S


@pytest.fixture
def chain(hub: HubWorld) -> Chain:
    return Chain(hub)


async def listens(hub: HubWorld) -> None:
    hub.storage.webhooks.put("shop", webhook())


def webhook():
    from cloud_sync.hub.webhooks import WebhookIn

    return WebhookIn("https://shop.example/hook")


def told(hub: HubWorld) -> list[tuple[str, str, str]]:
    """Everything others are told: kind, order and store, in the order of being written."""
    with hub.storage.database.transaction() as connection:
        rows = connection.execute(sa.select(schema.delivery).order_by(
            schema.delivery.c.created_ms, schema.delivery.c.store_id, schema.delivery.c.sequence)).all()
    events = [msgspec.json.decode(bytes(row.body)) for row in rows]
    return [(event["type"].removeprefix("trastienda.order."), event["subject"], event["data"]["store"])
            for event in events]


async def test_the_store_that_keeps_most_is_asked_and_has_it_once_the_hub_confirmed(chain: Chain):
    await chain.opens("small", milk=2)
    await chain.opens("large", milk=9)
    placed = await chain.places("o1")
    assert (placed.state, placed.store, placed.offer, placed.changed) == ("offered", "large", 1, True)
    assert placed.accept_by_ms == chain.hub.now_ms + ACCEPT_MS
    chain["large"].hears("o1")
    await chain["large"].pushes()
    await chain.rounds()
    chain["large"].hears("o1")
    status = await chain.status("o1")
    assert (status.state, status.status.state, status.status.order.confirmed) == ("taken", "accepted", True)
    assert chain["large"].confirmed == {"o1"}
    assert chain["small"].asked("o1") is None


async def test_p2_an_order_placed_again_changes_nothing_and_with_other_lines_it_is_refused(chain: Chain):
    await chain.opens("a", "b", milk=5)
    first = await chain.places("o1")
    again = await chain.places("o1")
    assert again == msgspec.structs.replace(first, changed=False)
    assert chain.holders("o1") == ["a"]
    body = {"currency": "EUR", "lines": [{"line": 1, "sku": "milk", "quantity_milli": 5, "price_minor": 1}]}
    assert (await chain.hub.operator.put("/v1/orders/o1", json=body)).status_code == 409


@pytest.mark.parametrize(("wish", "status"), [
    ({"store": "elsewhere"}, 422), ({"store": "nowhere"}, 404), ({"only_store": True}, 422), ({"currency": "e"}, 422)])
async def test_a_wish_that_makes_no_sense_is_refused(chain: Chain, wish: dict[str, object], status: int):
    await chain.opens("a", milk=5)
    await chain.hub.store("elsewhere", zone="islands")
    body = {"currency": "EUR", "lines": [{"line": 1, "sku": "milk", "quantity_milli": 5, "price_minor": 1}], **wish}
    assert (await chain.hub.operator.put("/v1/orders/o1", json=body)).status_code == status
    assert (await chain.hub.operator.get("/v1/orders/o1")).status_code == 404
    assert (await chain.hub.operator.post("/v1/orders/o1/cancel-request")).status_code == 404


async def test_the_wished_store_is_asked_first_and_where_it_is_the_only_one_nobody_else(chain: Chain):
    await chain.opens("a", "b", milk=5)
    assert (await chain.places("o1", store="b")).store == "b"
    assert (await chain.places("o2", store="b", only_store=True)).store == "b"
    for order_id in ("o1", "o2"):
        chain["b"].hears(order_id)
        chain["b"].finds_nothing(order_id)
    await chain["b"].pushes()
    await chain.rounds()
    assert (await chain.status("o1")).store == "a"
    second = await chain.status("o2")
    assert (second.state, second.reason) == ("cancelled", "nobody-has-it")


async def test_p5_the_last_unit_is_offered_to_one_order(chain: Chain):
    await chain.opens("a", milk=1)
    await listens(chain.hub)
    assert (await chain.places("o1")).state == "offered"
    second = await chain.places("o2")
    assert (second.state, second.reason, second.store) == ("cancelled", "nobody-has-it", "")
    assert ("cancelled", "o2", "") in told(chain.hub)


async def test_the_deadline_counts_opening_hours_by_the_stores_own_clock(chain: Chain):
    """It is midnight in London on a Monday; the shop in Tokyo is open, the one in Madrid opens at 8."""
    hours = [{"opens_minute": 480, "closes_minute": 1200}] * 7
    await chain.hub.operator.put("/v1/policy", json={"hours": hours})
    await chain.opens("madrid", milk=9)
    await chain.opens("tokyo", milk=5, time_zone="Asia/Tokyo")
    placed = await chain.places("o1")
    assert (placed.store, placed.accept_by_ms) == ("tokyo", MONDAY_MS + ACCEPT_MS)
    chain["tokyo"].hears("o1")
    chain["tokyo"].finds_nothing("o1")
    await chain["tokyo"].pushes()
    await chain.rounds()
    opens_ms = MONDAY_MS + 7 * 60 * MINUTE_MS
    assert (await chain.status("o1")).accept_by_ms == opens_ms + ACCEPT_MS


async def test_a_store_that_does_not_answer_loses_the_order_and_its_customer(chain: Chain):
    await chain.opens("a", "b", milk=5)
    await listens(chain.hub)
    await chain.places("o1", person={"display_name": NAME}, pickup_code="ZX81ZX81")
    chain.hub.now_ms += LAPSE_MS - 1
    await chain.rounds()
    assert chain.holders("o1") == ["a"]
    chain.hub.now_ms += 1
    await chain.rounds()
    assert chain.holders("o1") == ["b"]
    assert chain["a"].asked("o1").reassigned
    (lost,), (given,) = [await chain[name].store.batches("orders") for name in ("a", "b")]
    orders = [msgspec.json.decode(change.doc) for change in (*lost.changes, *given.changes)]
    assert [(order["person"] or {}).get("display_name") for order in orders] == [None, None, NAME]
    assert [order["pickup_code"] for order in orders] == ["", "", "ZX81ZX81"]
    assert told(chain.hub) == [("placed", "o1", ""), ("offered", "o1", "a"), ("offered", "o1", "b")]
    assert NAME not in dump(chain.hub)


async def test_p6_a_yes_that_comes_after_the_order_was_given_away_is_settled_and_told_to_nobody(chain: Chain):
    await chain.opens("a", "b", milk=5)
    await listens(chain.hub)
    await chain.places("o1")
    chain["a"].hears("o1")                                    # its line goes down with the yes in it
    chain.hub.now_ms += LAPSE_MS
    await chain.rounds()
    await chain["a"].pushes()
    await chain.rounds()
    assert (chain.holders("o1"), chain["a"].offer("o1")) == (["b"], OfferState.LOST)
    chain["a"].hears("o1")
    await chain["a"].pushes()
    assert (state_of(chain["a"].orders["o1"]), chain["a"].stock["milk"]) == (PickupState.REASSIGNED, [5000, 0, 0, 0])
    assert [each for each in told(chain.hub) if each[2] == "a"] == [("offered", "o1", "a")]
    assert await chain.hub.stock_milli("milk", "a") == 5000


async def test_a_yes_within_the_grace_still_counts(chain: Chain):
    await chain.opens("a", "b", milk=5)
    await chain.places("o1")
    chain["a"].hears("o1")
    chain.hub.now_ms += LAPSE_MS - 1
    await chain["a"].pushes()
    await chain.rounds()
    assert ((await chain.status("o1")).state, chain.holders("o1")) == ("taken", ["a"])


async def test_a_store_that_gave_up_unconfirmed_loses_it_although_the_hub_had_confirmed(chain: Chain):
    """The confirmation was in the line when the store's time was over: its revision says that it did not know."""
    await chain.opens("a", "b", milk=5)
    await chain.places("o1")
    chain["a"].hears("o1")
    await chain["a"].pushes()
    await chain.rounds()
    chain.hub.now_ms += ACCEPT_MS
    chain["a"].gives_up_unconfirmed()
    await chain["a"].pushes()
    await chain.rounds()
    assert (chain.holders("o1"), chain["a"].offer("o1")) == (["b"], OfferState.LOST)
    assert chain["a"].stock["milk"] == [5000, 0, 0, 0]


async def test_an_order_that_nobody_collected_is_not_offered_again(chain: Chain):
    await chain.opens("a", "b", milk=5)
    await chain.places("o1")
    chain["a"].hears("o1")
    await chain["a"].pushes()
    await chain.rounds()
    chain["a"].hears("o1")
    chain["a"].step("o1", Taken(Step.EXPIRE))
    await chain["a"].pushes()
    await chain.rounds()
    status = await chain.status("o1")
    assert (status.state, status.status.state, chain["b"].asked("o1")) == ("ended", "expired", None)


async def test_p6_goods_that_left_from_a_store_that_had_lost_it_stop_the_other_and_ask_for_a_person(chain: Chain):
    await chain.opens("a", "b", milk=5)
    await listens(chain.hub)
    await chain.places("o1")
    chain["a"].hears("o1")
    chain["a"].step("o1", Taken(Step.PICK))
    chain["a"].step("o1", Taken(Step.STAGE))
    chain["a"].step("o1", Taken(Step.READY))
    chain["a"].step("o1", Taken(Step.HAND_OVER))
    chain.hub.now_ms += LAPSE_MS
    await chain.rounds()
    chain["b"].hears("o1")
    await chain["b"].pushes()
    await chain.rounds()
    await chain["a"].pushes()
    await chain.rounds()
    status = await chain.status("o1")
    assert (status.state, status.reason, chain["b"].asked("o1").cancel_requested) == ("ended", "left-elsewhere", True)
    chain["b"].hears("o1")
    await chain["b"].pushes()
    assert chain["b"].stock["milk"] == [5000, 0, 0, 0]
    assert [alarm.reason for alarm in (await chain.hub.status("a")).alarms] == ["left-elsewhere"]
    assert [each for each in told(chain.hub) if each[2] == "a"] == [("offered", "o1", "a"), ("handed_over", "o1", "a")]


async def test_after_a_bounded_number_of_offers_it_is_cancelled_and_the_customer_forgotten(chain: Chain):
    names = [f"s{number}" for number in range(OFFERS_MAX + 1)]
    await chain.opens(*names, milk=5)
    await listens(chain.hub)
    await chain.places("o1", person={"display_name": NAME})
    for _ in range(OFFERS_MAX):
        (holder,) = chain.holders("o1")
        chain[holder].hears("o1")
        chain[holder].finds_nothing("o1")
        await chain[holder].pushes()
        await chain.rounds()
    status = await chain.status("o1")
    assert (status.state, status.reason, status.offer, chain.holders("o1")) == (
        "cancelled", "offers-used-up", OFFERS_MAX, [])
    assert told(chain.hub)[-1] == ("cancelled", "o1", "") or ("cancelled", "o1", "") in told(chain.hub)
    assert "rejected" not in {kind for kind, _, _ in told(chain.hub)}
    with chain.hub.storage.database.transaction() as connection:
        assert connection.execute(sa.select(sa.func.count()).select_from(schema.person)).scalar_one() == 0


async def test_a_person_gives_it_to_a_store_of_her_choice(chain: Chain):
    await chain.opens("a", "b", "c", milk=5)
    await chain.places("o1")
    chain["a"].hears("o1")
    await chain["a"].pushes()
    await chain.rounds()
    moved = await chain.says("o1", "reassignment", store="c")
    assert (moved.state, moved.store, moved.offers_max) == ("offered", "c", OFFERS_MAX + 1)
    chain["a"].hears("o1")
    assert chain["a"].stock["milk"] == [5000, 0, 0, 0]
    refused = await chain.hub.operator.post("/v1/orders/o1/reassignment", json={"store": "a"})
    assert refused.status_code == 422


async def test_p6_an_order_of_which_some_has_left_is_not_given_to_another_store(chain: Chain):
    await chain.opens("a", "b", milk=5)
    await chain.places("o1", pieces=2)
    chain["a"].hears("o1")
    await chain["a"].pushes()
    await chain.rounds()
    for step in (Step.PICK, Step.STAGE, Step.READY):
        chain["a"].step("o1", Taken(step))
    chain["a"].step("o1", Taken(Step.HAND_OVER, ((1, 1000),)))
    await chain["a"].pushes()
    assert (await chain.hub.operator.post("/v1/orders/o1/reassignment")).status_code == 409
    await chain.hub.operator.post("/v1/stores/a/orders/o1/reassignment")
    await chain.rounds()
    assert chain["b"].asked("o1") is None


async def test_a_reassignment_at_the_stores_own_door_goes_on_with_the_search(chain: Chain):
    await chain.opens("a", "b", milk=5)
    await chain.places("o1")
    assert (await chain.hub.operator.post("/v1/stores/a/orders/o1/reassignment")).status_code == 200
    await chain.rounds()
    assert chain.holders("o1") == ["b"]


async def test_a_cancelled_line_stays_cancelled_at_the_next_store(chain: Chain):
    await chain.opens("a", "b", milk=5, bread=5)
    lines = [{"line": number, "sku": sku, "quantity_milli": 1000, "price_minor": 99}
             for number, sku in enumerate(("milk", "bread"), start=1)]
    await chain.places("o1", lines=lines)
    assert (await chain.says("o1", "cancel-request", lines=[2])).state == "offered"
    assert chain["a"].asked("o1").cancel_lines == (2,)
    chain.hub.now_ms += LAPSE_MS
    await chain.rounds()
    assert (chain.holders("o1"), chain["b"].asked("o1").cancel_lines) == (["b"], (2,))
    assert (await chain.says("o1", "cancel-request", lines=[1])).state == "cancelled"
    unknown = await chain.hub.operator.post("/v1/orders/o1/cancel-request", json={"lines": [9]})
    assert unknown.status_code == 422


async def test_a_cancel_at_the_stores_own_door_ends_the_search(chain: Chain):
    await chain.opens("a", "b", milk=5)
    await chain.places("o1")
    await chain.hub.operator.post("/v1/stores/a/orders/o1/cancel-request")
    chain.hub.now_ms += LAPSE_MS
    await chain.rounds()
    assert ((await chain.status("o1")).state, chain["b"].asked("o1")) == ("cancelled", None)


async def test_an_order_that_was_placed_there_by_itself_is_never_overwritten(chain: Chain):
    await chain.opens("a", milk=9)
    await chain.opens("b", milk=5)
    await chain.hub.operator.put("/v1/stores/a/orders/o1", json={"currency": "EUR", "lines": [
        {"line": 1, "sku": "milk", "quantity_milli": 1000, "price_minor": 99}]})
    assert (await chain.places("o1")).store == "b"
    assert chain["a"].asked("o1").offer == 0


async def test_p1_a_hub_that_dies_between_taking_and_offering_goes_on_after_its_start(chain: Chain):
    await chain.opens("a", milk=5)
    line = [{"line": 1, "sku": "milk", "quantity_milli": 1000, "price_minor": 99}]
    wish = msgspec.convert({"currency": "EUR", "lines": line}, OrderWish)
    assert chain.hub.storage.sourcings._write_down("default", "o1", wish)
    chain.hub.restart()
    assert (await chain.status("o1")).state == "placed"
    await chain.rounds()
    assert ((await chain.status("o1")).state, chain.holders("o1")) == ("offered", ["a"])


WORDS = ("accept", "reject", "lapse", "cancel", "reassign")


async def play(chain: Chain, order_id: str, words: tuple[str, ...]) -> None:
    """Each word as it comes, whoever has the order by then; the first store alone answers."""
    for word in words:
        branch = chain["a"]
        if word == "accept":
            branch.hears(order_id)
            await branch.pushes()
        elif word == "reject":
            branch.hears(order_id)
            if state_of(branch.orders[order_id]) is PickupState.ACCEPTED:
                branch.finds_nothing(order_id)
            await branch.pushes()
        elif word == "lapse":
            chain.hub.now_ms += LAPSE_MS
            await branch.pushes()                             # a box that lives says so
        elif word == "cancel":
            await chain.says(order_id, "cancel-request")
        elif (await chain.status(order_id)).state in ("placed", "offered", "taken"):
            await chain.says(order_id, "reassignment")
        await chain.rounds()


@pytest.mark.timeout(300)
async def test_p5_p6_p9_every_order_of_re_offer_accept_reject_cancel_and_reassignment(sqlite_url: str):
    """All pairs and triples, each on an order of its own: never two stores that have it, a cancelled one is nobody's,
    and the stores' books and the hub's agree in the end."""
    chain = Chain(HubWorld(sqlite_url))
    await chain.opens("a", milk=100_000)
    await chain.opens("b", "c", "d", "e", milk=5_000)
    stories = [*itertools.permutations(WORDS, 2), *itertools.permutations(WORDS, 3)]
    for number, words in enumerate(stories):
        order_id = f"o{number}"
        for branch in chain.branches.values():
            await branch.opens()                              # still alive: the figures are fresh
            await branch.receives("milk", 1)
        placed = await chain.places(order_id, store="a")
        assert placed.store == "a"
        await play(chain, order_id, words)
        for branch in chain.branches.values():
            branch.hears(order_id)
            await branch.pushes()
        await chain.rounds()
        for branch in chain.branches.values():
            branch.hears(order_id)
            await branch.pushes()
        status, holders = await chain.status(order_id), chain.holders(order_id)
        assert len(holders) <= 1, words
        if "cancel" in words:
            assert (status.state, holders) == ("cancelled", []), words
        elif set(words) - {"accept"} and words != ("accept", "lapse"):
            assert holders, words
            assert holders != ["a"] or words[0] == "accept", words
        reserving = [name for name, branch in chain.branches.items()
                     if order_id in branch.orders and any(line.open_milli for line in branch.orders[order_id].lines)]
        assert set(reserving) <= set(holders), words
    for name, branch in chain.branches.items():
        assert await chain.hub.stock_milli("milk", name) == branch.stock["milk"][0]
    chain.hub.stop()


@pytest.mark.timeout(300)
@pytest.mark.parametrize("seed", range(6))
async def test_p5_p9_whatever_happens_units_are_conserved_and_no_customer_is_served_twice(sqlite_url: str, seed: int):
    """Stores hear and push late, lines are down across deadlines, hubs restart, people cancel and reassign."""
    chance, chain = random.Random(seed), Chain(HubWorld(sqlite_url))
    names = ["a", "b", "c"]
    for name in names:
        await chain.opens(name, milk=chance.randint(1, 6), bread=chance.randint(0, 4))
    total = {sku: sum(branch.stock.get(sku, [0])[0] for branch in chain.branches.values()) for sku in ("milk", "bread")}
    orders: list[str] = []
    for number in range(60):
        branch, order_id = chain[chance.choice(names)], chance.choice(orders) if orders else ""
        match chance.choice(("place", "place", "hear", "hear", "push", "push", "round", "time", "clock", "bring",
                             "cancel", "reassign", "restart", "short")):
            case "place" if len(orders) < 8:
                orders.append(f"o{number}")
                await chain.places(orders[-1], chance.choice(("milk", "bread")), chance.randint(1, 2))
            case "hear" if order_id:
                branch.hears(order_id)
            case "push":
                await branch.pushes()
            case "round":
                await chain.rounds()
            case "time":
                chain.hub.now_ms += chance.choice((MINUTE_MS, LAPSE_MS))
            case "clock":
                branch.gives_up_unconfirmed()
            case "bring" if order_id in branch.confirmed:
                bring(chain, branch.name, order_id)
            case "short" if order_id in branch.orders and state_of(
                    branch.orders[order_id]) is PickupState.ACCEPTED:
                branch.finds_nothing(order_id)
            case "cancel" if order_id and chance.random() < 0.4:
                await chain.says(order_id, "cancel-request")
            case "reassign" if order_id and (await chain.status(order_id)).state in ("offered", "taken"):
                await chain.says(order_id, "reassignment")
            case "restart":
                chain.hub.restart()
    for _ in range(4):
        for branch in chain.branches.values():
            for order_id in orders:
                branch.hears(order_id)
            branch.gives_up_unconfirmed()
            await branch.pushes()
        await chain.rounds()
    await check_the_end(chain, orders, total)
    chain.hub.stop()


def bring(chain: Chain, name: str, order_id: str) -> None:
    """A store brings what is its own to its customer."""
    branch = chain[name]
    if state_of(branch.orders[order_id]) is PickupState.ACCEPTED:
        for step in (Step.PICK, Step.STAGE, Step.READY, Step.HAND_OVER):
            branch.step(order_id, Taken(step))


async def check_the_end(chain: Chain, orders: list[str], total: dict[str, int]) -> None:
    for sku, pieces in total.items():
        gone = sum(line.handed_milli + (line.short_milli if line.short_milli else 0)
                   for branch in chain.branches.values() for order in branch.orders.values()
                   for line in order.lines if line.sku == sku)
        left = sum(sum(branch.stock.get(sku, [0])) for branch in chain.branches.values())
        assert gone + left == pieces, "units are conserved"
    for name, branch in chain.branches.items():
        assert all(buckets[0] >= 0 for buckets in branch.stock.values()), "a unit is promised once"
        for sku, buckets in branch.stock.items():
            assert await chain.hub.stock_milli(sku, name) == buckets[0]
    for order_id in orders:
        holders = chain.holders(order_id)
        served = [name for name, branch in chain.branches.items() if order_id in branch.orders
                  and any(line.handed_milli for line in branch.orders[order_id].lines)]
        assert len(holders) <= 1, order_id
        state = (await chain.status(order_id)).state
        if len(served) > 1 or (served and holders and served != holders):
            alarms = [alarm for name in served for alarm in (await chain.hub.status(name)).alarms]
            assert alarms, f"{order_id}: served by {served}, held by {holders}, and nobody was told"
        assert holders or served or state in ("cancelled", "ended"), order_id


STEP = PickupStep("o1", "t", "accept", "accepted", 1, "ana")


@pytest.mark.parametrize("offer", [None, *OfferState])
@pytest.mark.parametrize("state", SourcingState)
def test_every_standing_has_one_next_step_and_a_search_that_is_over_has_none(state: SourcingState,
                                                                            offer: OfferState | None):
    for cancelled, confirmed, late in itertools.product((False, True), repeat=3):
        standing = Standing(state, offer, cancelled, confirmed=confirmed, lapses_ms=100)
        step = next_step(standing, 100 if late else 99)
        assert next_step(msgspec_free(standing), 0) is Next.SETTLE_LEFT
        if state in (SourcingState.CANCELLED, SourcingState.ENDED):
            assert step is Next.WAIT
        elif cancelled:
            assert step in (Next.HAND_CANCEL_ON, Next.CANCEL), "a wish to cancel is never followed by an offer"
        else:
            assert step is not Next.CANCEL
        if step is Next.OFFER:
            assert offer in (None, OfferState.LOST) or (offer is OfferState.OPEN and late)


def msgspec_free(standing: Standing) -> Standing:
    return Standing(standing.state, standing.offer, standing.cancel_requested, has_left=True)


def test_p6_a_lost_offer_stays_lost_and_only_goods_that_left_are_told_of_it():
    for step, state in itertools.product(Step, PickupState):
        fact = PickupStep("o1", "t", step, state, 1, "ana")
        assert heard(OfferState.LOST, 0, fact) is OfferState.LOST
        left = step is Step.HAND_OVER and state in (PickupState.HANDED_OVER, PickupState.PARTIALLY_HANDED_OVER)
        assert is_told(OfferState.LOST, OfferState.LOST, fact) is left
    assert heard(OfferState.OPEN, 0, STEP) is OfferState.TAKEN


def test_who_is_asked_first():
    found = [Candidate("far", 200, 90), Candidate("b", 100, 5), Candidate("a", 100, 5), Candidate("rich", 100, 50)]
    assert [each.store for each in ranked(found, "")] == ["rich", "a", "b", "far"]
    assert [each.store for each in ranked(found, "far")] == ["far", "rich", "a", "b"]


async def test_p10_a_round_is_bounded_and_one_order_that_breaks_stops_no_other(
        chain: Chain, monkeypatch: pytest.MonkeyPatch):
    await chain.opens("a", "b", milk=9)
    for order_id in ("o1", "o2"):
        await chain.places(order_id)
    chain.hub.now_ms += LAPSE_MS
    advance = type(chain.hub.storage.sourcings).advance

    def breaks(self: object, zone: str, order_id: str) -> frozenset[str]:
        if order_id == "o1":
            raise RuntimeError("broken")
        return advance(self, zone, order_id)  # type: ignore[arg-type]
    monkeypatch.setattr(type(chain.hub.storage.sourcings), "advance", breaks)
    assert await source_round(chain.hub.storage, run_inline, Bells()) == 2
    assert (await chain.status("o2")).offer == 2


def test_p11_no_traceback_can_name_a_person_of_a_wish():
    assert NAME not in repr(OrderWish((), "EUR", person=Person(NAME), pickup_code="ZX81"))
    assert isinstance(Sourced, type)
