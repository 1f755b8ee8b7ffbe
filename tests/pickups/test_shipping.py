"""Ship from store: picked like any order, packed in parcels, gone when the carrier has them (DESIGN.md section 9)."""

import random

import msgspec
import pytest

from cloud_sync.contract.documents import Address, Order, OrderLine, OrderMethod, ParcelLabel, Person
from cloud_sync.contract.facts import ParcelStep, PickupStep, StepLine, decode_fact
from cloud_sync.contract.feeds import Feed
from cloud_sync.contract.parcels import (
    Packing,
    Parcel,
    ParcelState,
    after,
    handed,
    label_refusal,
    packed_milli,
    to_pack,
)
from cloud_sync.contract.pickup import PickupState, Step
from cloud_sync.contract.pickup_order import Line, PickupOrder
from edge.db.queries import LEDGER
from edge.errors import Rejected
from edge.pickups.parcels import parcels_of
from edge.pos.access import Role
from tests.store_kit import StoreKit

STREET, NAME = "Calle de la Luna 14", "Marta Ruiz de Alarcon"
ADDRESS = Address((STREET, "2º B"), "Madrid", "ES", "28004", phone="600123456")
CARD = "4111111111111111"


async def sent(store: StoreKit, until: Step | None = Step.STAGE, **pieces: int) -> None:
    """An order that a carrier is to bring, brought so far."""
    wanted = pieces or {"milk": 2}
    for sku, count in wanted.items():
        await store.receives(sku, count)
    lines = tuple(OrderLine(number, sku, 1000 * count, 100) for number, (sku, count) in enumerate(wanted.items(), 1))
    store.hub._orders["A-1"] = Order("A-1", 1, store.clock.wall_ms(), lines, "EUR", "person-1",
                                     Person(NAME, "", ADDRESS), method=OrderMethod.SHIP)
    await store.hub.sends(Feed.ORDERS, {"A-1": store.hub._orders["A-1"]})
    for step in (Step.PICK, Step.STAGE):
        if until is None:
            return
        await store.takes_step("A-1", step)
        if step is until:
            return


async def asks(store: StoreKit, path: str, body: dict[str, object], role: Role = Role.STAFF) -> int:
    async with store.caller(role, "luis") as caller:
        return (await caller.post(f"/v1/pickups/A-1/parcels{path}", json=body)).status_code


async def packs(store: StoreKit, parcel: str = "p1", *lines: tuple[int, int], weight_g: int = 800) -> int:
    return await asks(store, "", {"parcel_id": parcel, "weight_g": weight_g, "lines": [
        {"line": line, "quantity_milli": milli} for line, milli in lines or ((1, 2000),)]})


async def labels(store: StoreKit, parcel: str = "p1", tracking: str = "ES 1234/5678", **more: object) -> int:
    return await asks(store, f"/{parcel}/label", {"step_id": store.new_id("label"), "carrier": "Correos",
                                                  "tracking": tracking, **more})


async def goes(store: StoreKit, parcel: str = "p1", role: Role = Role.STAFF, **more: object) -> int:
    return await asks(store, f"/{parcel}/hand-over", {"step_id": store.new_id("send"), **more}, role)


def state_of(store: StoreKit) -> PickupState:
    found = store.pickups.find("A-1")
    assert found is not None
    return found.row.state


def parcels(store: StoreKit) -> dict[str, ParcelState]:
    return {each.parcel_id: each.state for each in parcels_of(store.books.ledger_reader, "A-1")}


async def test_an_order_is_packed_labelled_and_leaves_with_its_carrier(store: StoreKit) -> None:
    await sent(store)
    assert (await packs(store), await labels(store, service="48h")) == (201, 201)
    assert store.stock("milk") == (0, 0, 2, 0), "packed goods are still in the store"
    async with store.caller(Role.STAFF, "luis") as luis:
        label = (await luis.get("/v1/pickups/A-1/parcels/p1/label")).json()
    assert (label["name"], label["to"]["lines"], label["number"], label["of"], label["weight_g"]) == (
        NAME, [STREET, "2º B"], 1, 1, 800)
    assert (label["code128"], label["qr"], label["service"]) == ("ES 1234/5678", "TRASTIENDA:PARCEL:p1", "48h")
    assert await goes(store) == 200
    assert (state_of(store), store.stock("milk"), parcels(store)) == (
        PickupState.HANDED_OVER, (0, 0, 0, 0), {"p1": ParcelState.HANDED})
    fact = decode_fact(store.entries()[-1].payload)
    assert isinstance(fact, PickupStep)
    assert (fact.step, fact.parcel_id, fact.lines) == ("hand_over", "p1", (StepLine(1, 2000),))


async def test_an_order_may_leave_in_several_parcels_at_several_times(store: StoreKit) -> None:
    await sent(store, milk=3, bread=1)
    assert await packs(store, "p1", (1, 1000)) == 201
    assert await packs(store, "p2", (1, 2000), (2, 1000)) == 201
    assert await packs(store, "p3", (1, 1000)) == 422
    await labels(store, "p1")
    assert (await goes(store, "p1"), state_of(store)) == (200, PickupState.PARTIALLY_HANDED_OVER)
    assert (store.stock("milk"), store.stock("bread")) == ((0, 0, 2, 0), (0, 0, 1, 0))
    await labels(store, "p2")
    assert (await goes(store, "p2"), state_of(store), store.stock("milk")) == (
        200, PickupState.HANDED_OVER, (0, 0, 0, 0))


@pytest.mark.parametrize("lines", [((1, 3000),), ((1, 1000), (1, 1000)), ((9, 1000),)])
async def test_no_more_is_packed_than_was_picked(store: StoreKit, lines: tuple[tuple[int, int], ...]) -> None:
    await sent(store)
    assert await packs(store, "p1", *lines) == 422
    assert parcels(store) == {}


async def test_p2_every_step_of_a_parcel_counts_once_also_after_a_restart(store: StoreKit) -> None:
    await sent(store)
    for _ in range(2):
        assert await packs(store) == 201
        await store.restarts()
    assert await packs(store, weight_g=900) == 409
    for _ in range(2):
        assert await asks(store, "/p1/label", {"step_id": "l1", "carrier": "Correos", "tracking": "ES1"}) == 201
        assert await asks(store, "/p1/label", {"step_id": "l1", "carrier": "Correos", "tracking": "ES2"}) == 409
    for _ in range(2):
        assert await asks(store, "/p1/hand-over", {"step_id": "s1"}) == 200
        await store.restarts()
    assert (store.stock("milk"), parcels(store)) == ((0, 0, 0, 0), {"p1": ParcelState.HANDED})
    steps = [fact.step for entry in store.entries() if isinstance(fact := decode_fact(entry.payload), ParcelStep)]
    assert steps == ["pack", "label"]


async def test_an_id_of_one_parcels_hand_over_is_none_for_another(store: StoreKit) -> None:
    await sent(store)
    await packs(store, "p1", (1, 1000))
    await packs(store, "p2", (1, 1000))
    for parcel, status in (("p1", 200), ("p1", 200), ("p2", 422)):
        await labels(store, parcel)
        assert await asks(store, f"/{parcel}/hand-over", {"step_id": "s1"}) == status
    assert parcels(store) == {"p1": ParcelState.HANDED, "p2": ParcelState.PACKED}


async def test_nothing_leaves_without_a_label_or_twice_or_without_its_parcel(store: StoreKit) -> None:
    await sent(store)
    await packs(store)
    assert await goes(store) == 422
    with pytest.raises(Rejected, match="which parcel"):
        await store.takes_step("A-1", Step.HAND_OVER, supervised=True, reason="no")
    for tracking in ("", "x", CARD, "ES\n1"):
        assert await labels(store, tracking=tracking) in (400, 422)
    await labels(store)
    assert (await goes(store), await goes(store), await labels(store)) == (200, 422, 422)
    assert CARD.encode() not in b"".join(bytes(entry.payload) for entry in store.entries())


@pytest.mark.parametrize("step", [Step.READY, Step.NO_SHOW, Step.REFUSE])
async def test_what_is_sent_is_not_collected(store: StoreKit, step: Step) -> None:
    await sent(store)
    with pytest.raises(Rejected, match="nobody collects it"):
        await store.takes_step("A-1", step)


async def test_an_order_that_is_collected_is_not_packed(store: StoreKit) -> None:
    await store.receives("milk", 2)
    await store.hub.places_order("A-1", {"milk": 2})
    await store.takes_step("A-1", Step.PICK)
    assert await packs(store) == 422


async def test_p6_a_cancel_counts_until_the_carrier_has_it(store: StoreKit) -> None:
    await sent(store)
    await packs(store)
    await labels(store)
    await store.hub.changes_order("A-1", cancel_requested=True)
    assert state_of(store) is PickupState.CANCELLED
    assert (await goes(store), await packs(store, "p2")) == (422, 422)
    with pytest.raises(Rejected, match="unpack its parcels first"):
        await store.takes_step("A-1", Step.PUT_BACK)
    assert await asks(store, "/p1/unpack", {"step_id": "u1"}) == 201
    await store.takes_step("A-1", Step.PUT_BACK)
    assert (store.stock("milk"), parcels(store)) == ((2, 0, 0, 0), {"p1": ParcelState.UNPACKED})


async def test_p6_a_parcel_that_had_left_when_the_cancel_came_is_a_refund(store: StoreKit) -> None:
    await sent(store)
    await packs(store)
    await labels(store)
    await store.hub.changes_order("A-1", cancel_requested=True)
    assert await goes(store, role=Role.SUPERVISOR) == 422
    assert await goes(store, role=Role.SUPERVISOR, reason="the driver took it at noon") == 200
    assert (state_of(store), store.stock("milk"), store.exceptions()) == (
        PickupState.HANDED_OVER, (0, 0, 0, 0), ["late-cancel"])


async def test_the_hub_gives_a_parcel_its_label_as_long_as_it_is_here(store: StoreKit) -> None:
    await sent(store)
    await packs(store)
    for tracking in ("ES1111", "ES2222", "no\nnumber"):
        await store.hub.changes_order("A-1", labels=(
            ParcelLabel("p1", "Correos", tracking), ParcelLabel("p9", "x", "E")))
    (parcel,) = parcels_of(store.books.ledger_reader, "A-1")
    assert (parcel.carrier, parcel.tracking) == ("Correos", "ES2222")
    await goes(store)
    await store.hub.changes_order("A-1", labels=(ParcelLabel("p1", "Other", "ES3333"),))
    (parcel,) = parcels_of(store.books.ledger_reader, "A-1")
    assert parcel.tracking == "ES2222"


async def test_an_order_that_is_sent_never_waits_for_somebody_to_collect_it(store: StoreKit) -> None:
    await sent(store)
    await store.time_passes(store.policy.hold_max_s + 86_400)
    assert state_of(store) is PickupState.STAGED
    assert store.pickups.find("A-1").expires_ms is None  # type: ignore[union-attr]


async def test_p11_an_address_is_sealed_and_erased_like_a_name(store: StoreKit) -> None:
    await sent(store)
    await packs(store)
    await labels(store)
    (sealed,) = store.books.ledger_reader.execute(LEDGER.person, ("person-1",)).fetchone()
    everything = sealed + b"".join(bytes(entry.payload) for entry in store.entries())
    for secret in (STREET, "Madrid", "28004", "600123456", NAME):
        assert secret.encode() not in everything
    assert STREET not in repr(Person(NAME, "", ADDRESS)) + repr(ADDRESS)
    await goes(store)
    await store.time_passes(store.policy.person_keep_s + 3600)
    await store.pickups.erase_people()
    async with store.caller(Role.STAFF) as luis:
        label = (await luis.get("/v1/pickups/A-1/parcels/p1/label")).json()
    assert (label["name"], label["to"], label["tracking"]) == ("", None, "ES 1234/5678")


async def test_p11_a_card_in_an_address_is_masked(store: StoreKit) -> None:
    person = Person(NAME, "", msgspec.structs.replace(ADDRESS, lines=(f"card {CARD}",)))
    sealed = store.pickups._vault.seal(person)
    assert CARD not in repr(msgspec.to_builtins(store.pickups._vault.unseal(sealed)))


async def test_p9_an_order_offered_to_this_store_is_let_go_when_the_hub_does_not_confirm(store: StoreKit) -> None:
    await store.receives("milk", 2)
    by_ms = store.clock.wall_ms() + 1_800_000
    order = Order("A-1", 1, store.clock.wall_ms(), (OrderLine(1, "milk", 1000, 100),), "EUR", offer=1,
                  accept_by_ms=by_ms)
    store.hub._orders["A-1"] = order
    await store.hub.sends(Feed.ORDERS, {"A-1": order})
    found = store.pickups.find("A-1")
    assert found is not None
    assert (found.row.state, found.row.awaits_hub, store.stock("milk")) == (PickupState.ACCEPTED, True, (1, 1, 0, 0))
    await store.time_passes(1_800 + 120)
    assert (state_of(store), store.stock("milk")) == (PickupState.EXPIRED, (2, 0, 0, 0))
    await store.hub.changes_order("A-1", confirmed=True)      # too late: its revision tells the hub
    assert (state_of(store), store.stock("milk")) == (PickupState.EXPIRED, (2, 0, 0, 0))


async def test_p9_a_confirmed_order_stays_and_an_offer_that_comes_too_late_is_rejected(store: StoreKit) -> None:
    await store.receives("milk", 2)
    now_ms = store.clock.wall_ms()
    order = Order("A-1", 1, now_ms, (OrderLine(1, "milk", 1000, 100),), "EUR", offer=1, accept_by_ms=now_ms + 60_000)
    store.hub._orders["A-1"] = order
    await store.hub.sends(Feed.ORDERS, {"A-1": order})
    await store.hub.changes_order("A-1", confirmed=True)
    await store.time_passes(3_600)
    assert state_of(store) is PickupState.ACCEPTED
    late = Order("A-2", 1, now_ms, (OrderLine(1, "milk", 1000, 100),), "EUR", offer=2, accept_by_ms=now_ms)
    await store.hub.sends(Feed.ORDERS, {"A-2": late})
    found = store.pickups.find("A-2")
    assert found is not None
    assert (found.row.state, store.stock("milk")) == (PickupState.REJECTED, (1, 1, 0, 0))


@pytest.mark.parametrize("seed", range(20))
def test_p6_whatever_is_heard_first_a_parcel_that_left_has_left(seed: int) -> None:
    """Labels and unpacking may be heard after it went to the carrier."""
    chance = random.Random(seed)
    parcel: Parcel | None = None
    steps = [ParcelStep("p1", "A-1", "s", step, 1, "ana", (StepLine(1, 1000),), 5, "Correos", "", "ES1")
             for step in (Packing.PACK, Packing.LABEL, Packing.UNPACK, "sing")]
    chance.shuffle(steps)
    left_at = chance.randrange(5)
    for place, step in enumerate([*steps, None]):
        if place == left_at:
            parcel = handed(parcel or Parcel("p1", "A-1", 0))
        if step is not None:
            was_handed = parcel is not None and parcel.state is ParcelState.HANDED
            parcel = after(parcel, step)
            assert not was_handed or parcel.state is ParcelState.HANDED


@pytest.mark.parametrize("seed", range(20))
def test_what_is_packed_and_what_waits_add_up_to_what_was_picked(seed: int) -> None:
    chance = random.Random(seed)
    order = PickupOrder("A-1", tuple(Line(number, "milk", 9000, 1, staged_milli=chance.randint(0, 5) * 1000)
                                     for number in (1, 2)), PickupState.STAGED)
    every: list[Parcel] = []
    for number in range(6):
        left = to_pack(order, every)
        lines = tuple((line, chance.randint(1, milli)) for line, milli in left.items() if chance.random() < 0.7)
        parcel = Parcel(f"p{number}", "A-1", number, chance.choice((ParcelState.PACKED, ParcelState.UNPACKED)), lines)
        every.append(parcel)
        packed, waits = packed_milli(every), to_pack(order, every)
        assert all(packed[line.line] + waits.get(line.line, 0) == line.staged_milli for line in order.lines)


def test_a_label_of_a_parcel_that_is_gone_is_refused() -> None:
    gone = Parcel("p1", "A-1", 1, ParcelState.UNPACKED)
    assert label_refusal(gone, "Correos", "", "ES1234") != ""
    assert label_refusal(Parcel("p1", "A-1", 1), "Correos", "", "ES1234") == ""
