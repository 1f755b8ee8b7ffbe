"""Labels over the API: what people decide about them counts once, by whom it may, with a reason."""

from typing import Any

import httpx
import pytest

from edge.pos.access import Role
from tests.store_kit import StoreKit


async def act(store: StoreKit, what: str, role: Role = Role.STAFF, label: str = "aisle 4",
              **body: Any) -> httpx.Response:
    async with store.caller(role, "ana") as client:
        return await client.post(f"/v1/labels/{label}/{what}", json=body)


async def test_p2_a_repeated_binding_does_not_undo_the_one_after_it(store: StoreKit) -> None:
    """The answer to the first was lost; the till's queue sends it again, late."""
    await store.label("aisle 4").shows("milk", "0.99")
    await act(store, "bind", act_id="tap-1", code="bread")
    await act(store, "bind", act_id="tap-2", code="milk")
    again = await act(store, "bind", act_id="tap-1", code="bread")
    assert (again.status_code, again.json()["sku"]) == (200, "milk")
    facts = [entry for entry in store.entries() if entry.kind == "staff-act"]
    assert len(facts) == 3


async def test_p2_an_act_id_that_meant_something_else_is_refused(store: StoreKit) -> None:
    await store.label("aisle 4").shows("milk", "0.99")
    await act(store, "bind", act_id="tap-1", code="bread")
    other = await act(store, "bind", act_id="tap-1", code="milk")
    assert (other.status_code, store.label("aisle 4").row().sku) == (422, "bread")  # type: ignore[union-attr]  # it has a row


async def test_p2_a_repeated_unbinding_does_not_lengthen_anything(store: StoreKit) -> None:
    await store.label("aisle 4").shows("milk", "0.99")
    await store.hub.sets_price("milk", "1.09")
    await act(store, "unbind", act_id="tap-1")
    await store.time_passes(3000)
    await act(store, "unbind", act_id="tap-1")
    await store.time_passes(601)
    assert store.till().asks("milk") == "1.09"


@pytest.mark.parametrize(("what", "role"), [("exclude", Role.STAFF), ("void-claim", Role.SUPERVISOR)])
@pytest.mark.parametrize("reason", ["", "   "])
async def test_what_lets_a_price_rise_needs_a_reason(store: StoreKit, what: str, role: Role, reason: str) -> None:
    await store.label("aisle 4").shows("milk", "0.99")
    answer = await act(store, what, role, sku="milk", price_minor=99, reason=reason)
    assert (answer.status_code, "needs a reason" in answer.json()["detail"]) == (422, True)


async def test_p3_only_a_supervisor_strikes_a_claim_and_it_is_a_fact(store: StoreKit) -> None:
    await store.label("aisle 4").shows("milk", "0.99")
    await store.hub.sets_price("milk", "1.09")
    for role, status in ((Role.STAFF, 403), (Role.TECHNICIAN, 403), (Role.SUPERVISOR, 200)):
        answer = await act(store, "void-claim", role, sku="milk", price_minor=99, reason="fell off the shelf")
        assert answer.status_code == status
    assert store.till().asks("milk") == "1.09"
    assert b"void-claim" in bytes(store.entries()[-1].payload)
    assert b"fell off the shelf" in bytes(store.entries()[-1].payload)


async def test_a_claim_that_is_not_there_cannot_be_struck(store: StoreKit) -> None:
    await store.label("aisle 4").shows("milk", "0.99")
    facts = len(store.entries())
    answer = await act(store, "void-claim", Role.SUPERVISOR, sku="milk", price_minor=98, reason="a slip")
    assert (answer.status_code, len(store.entries())) == (422, facts)


@pytest.mark.parametrize("what", ["bind", "unbind", "exclude", "include", "light", "void-claim"])
async def test_a_label_nobody_heard_is_told(store: StoreKit, what: str) -> None:
    answer = await act(store, what, Role.SUPERVISOR, label="nowhere", code="milk", reason="x", sku="milk")
    assert answer.status_code in (404, 422)
    assert answer.headers["content-type"] == "application/problem+json"


async def test_a_product_nobody_knows_cannot_be_bound(store: StoreKit) -> None:
    await store.label("aisle 4").shows("milk", "0.99")
    assert (await act(store, "bind", code="no such thing")).status_code == 422
    assert store.label("aisle 4").row().sku == "milk"  # type: ignore[union-attr]  # it has a row


async def test_the_list_says_where_each_label_stands_and_why(store: StoreKit) -> None:
    await store.label("a").shows("milk", "0.99")
    await store.label("b").hangs_under("bread")
    await store.label("b").fails(reason="not fetched")
    store.station.is_heard("c")
    await store.a_moment()
    async with store.caller(Role.STAFF) as client:
        rows = {row["label"]: (row["sku"], row["state"], row["why"]) for row in (await client.get("/v1/labels")).json()}
    assert rows == {"a": ("milk", "shown", ""), "b": ("bread", "failed", "not fetched"), "c": (None, "unbound", "")}


async def test_a_light_flashes_or_says_that_it_cannot(store: StoreKit) -> None:
    await store.label("aisle 4").hangs_under("milk")
    assert (await act(store, "light", seconds=3)).status_code == 204
    assert store.station.lit == ["aisle 4"]
    store.station.refuses = "line down"
    refused = await act(store, "light")
    assert (refused.status_code, refused.headers["retry-after"]) == (503, "2")
    for seconds in (-1, 61, "1e999"):
        assert (await act(store, "light", seconds=seconds)).status_code == 400


async def test_a_picture_is_a_png_or_a_plain_no(store: StoreKit) -> None:
    await store.label("aisle 4").hangs_under("milk")
    store.station.is_heard("unbound")
    await store.a_moment()
    async with store.caller(Role.STAFF) as client:
        picture = await client.get("/v1/labels/aisle 4.png")
        nothing = await client.get("/v1/labels/unbound.png")
        nowhere = await client.get("/v1/labels/nowhere.png")
    assert picture.headers["content-type"] == "image/png"
    assert picture.content.startswith(b"\x89PNG")
    assert (nothing.status_code, nowhere.status_code) == (404, 404)


async def test_held_prices_are_listed_and_decided_by_a_supervisor(store: StoreKit) -> None:
    await store.hub.sets_price("milk", "0.09")
    async with store.caller(Role.STAFF) as client:
        (held,) = (await client.get("/v1/held-batches")).json()
        refused = await client.post(f"/v1/held-batches/{held['digest']}", json={"approve": True})
    async with store.caller(Role.SUPERVISOR) as client:
        decided = await client.post(f"/v1/held-batches/{held['digest']}", json={"approve": True, "reason": "sale"})
        gone = await client.post(f"/v1/held-batches/{held['digest']}", json={"approve": True})
    assert (refused.status_code, decided.json(), gone.status_code) == (403, {"prices_changed": 1}, 422)
    assert store.till().asks("milk") == "0.09"
