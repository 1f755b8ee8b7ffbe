"""Connectors at the hub: who may be one, the one process that works for it, and notes that no death of it loses."""

import httpx
import pytest

from cloud_sync.hub import connectors
from cloud_sync.hub.connectors import NotesIn
from tests.hub.world import HubWorld

SELF = "/v1/connectors/vendure"


async def leased(client: httpx.AsyncClient, holder: str = "one", lease_s: int = 60) -> int:
    return (await client.post(f"{SELF}/lease", json={"holder": holder, "lease_s": lease_s})).status_code


async def noted(client: httpx.AsyncClient, *notes: tuple[str, str, object], holder: str = "one") -> int:
    body = {"holder": holder, "notes": [{"kind": kind, "key": key, **({} if value is None else {"value": value})}
                                        for kind, key, value in notes]}
    return (await client.put(f"{SELF}/notes", json=body)).status_code


async def keys(client: httpx.AsyncClient, kind: str) -> list[str]:
    return [note["key"] for note in (await client.get(f"{SELF}/notes/{kind}")).json()["notes"]]


async def test_notes_are_kept_over_a_restart_of_the_hub_and_read_as_they_were_written(hub: HubWorld):
    vendure = await hub.connector()
    assert await leased(vendure) == 200
    assert await noted(vendure, ("order", "vendure-A/1", {"b": 1, "a": [2]}), ("cursor", "orders", 7)) == 204
    hub.restart()
    assert (await vendure.get(f"{SELF}/notes/order/vendure-A/1")).text == '{"b":1,"a":[2]}'
    assert await noted(vendure, ("order", "vendure-A/1", None), ("cursor", "orders", 8)) == 204
    assert (await vendure.get(f"{SELF}/notes/order/vendure-A/1")).status_code == 404
    assert (await vendure.get(f"{SELF}/notes/cursor/orders")).json() == 8


async def test_p2_notes_are_written_all_or_none(hub: HubWorld):
    vendure = await hub.connector()
    await leased(vendure)
    assert await noted(vendure, ("order", "a", 1), ("bad kind", "b", 1)) == 422
    assert await noted(vendure, ("order", "a", 1), ("order", "a", 2)) == 422
    assert await noted(vendure, ("order", "a", 1), ("order", "", 2)) == 422
    assert await noted(vendure, ("order", "a", 1), ("order", "n\0l", 2)) == 422
    assert await noted(vendure, ("order", "a", 1), ("order", "b", "x" * connectors.NOTE_MAX_BYTES)) == 413
    assert await keys(vendure, "order") == []


async def test_p2_one_process_works_at_a_time_and_one_that_was_thought_dead_writes_nothing(hub: HubWorld):
    vendure = await hub.connector()
    assert await leased(vendure, "one") == 200
    answer = await vendure.post(f"{SELF}/lease", json={"holder": "two", "lease_s": 60})
    assert (answer.status_code, "60 s" in answer.json()["detail"]) == (409, True)
    assert await noted(vendure, ("order", "a", 1), holder="two") == 409
    hub.now_ms += 59_000
    assert await leased(vendure, "one") == 200, "it goes on"
    hub.now_ms += 60_000
    assert await noted(vendure, ("order", "a", 1), holder="one") == 409, "its lease has ended"
    assert await leased(vendure, "two") == 200
    assert await leased(vendure, "one") == 409
    assert await noted(vendure, ("order", "a", 2), holder="two") == 204
    assert await leased(vendure, "two", 0) == 200, "given back"
    assert await noted(vendure, ("order", "a", 3), holder="two") == 409
    assert await leased(vendure, "one") == 200
    assert (await vendure.get(f"{SELF}/notes/order/a")).json() == 2


@pytest.mark.parametrize("asked", [{"holder": "", "lease_s": 5}, {"holder": "one", "lease_s": -1},
                                   {"holder": "one", "lease_s": 10_000}, {"holder": "n\0l", "lease_s": 5}, {}])
async def test_a_lease_that_makes_no_sense_is_refused(hub: HubWorld, asked: dict[str, object]):
    vendure = await hub.connector()
    assert (await vendure.post(f"{SELF}/lease", json=asked)).status_code == 422


async def test_notes_come_page_by_page_in_the_order_of_their_keys(hub: HubWorld):
    vendure = await hub.connector()
    await leased(vendure)
    await noted(vendure, *(("order", f"o{number}", number) for number in (3, 1, 2)), ("other", "o0", 0))
    first = (await vendure.get(f"{SELF}/notes/order", params={"limit": 2})).json()
    assert ([note["key"] for note in first["notes"]], first["next_after"]) == (["o1", "o2"], "o2")
    rest = (await vendure.get(f"{SELF}/notes/order", params={"limit": 2, "after": "o2"})).json()
    assert ([note["key"] for note in rest["notes"]], rest["next_after"]) == (["o3"], None)
    assert (await vendure.get(f"{SELF}/notes/order", params={"after": "n\0l"})).status_code == 422


async def test_p10_what_connectors_keep_is_bounded(hub: HubWorld, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(connectors, "NOTES_MAX", 2)
    monkeypatch.setattr(connectors, "CONNECTORS_MAX", 1)
    vendure = await hub.connector()
    assert (await hub.operator.put("/v1/connectors/another")).status_code == 413
    await leased(vendure)
    assert await noted(vendure, ("order", "a", 1), ("order", "b", 1)) == 204
    assert await noted(vendure, ("order", "c", 1)) == 413
    assert await keys(vendure, "order") == ["a", "b"]
    assert await noted(vendure, ("order", "b", 2), ("order", "a", None)) == 204


async def test_p11_a_token_is_shown_once_and_ends_with_its_connector(hub: HubWorld):
    vendure = await hub.connector()
    again = (await hub.operator.put(SELF)).json()
    assert (again["created"], again["token"]) == (False, None)
    await leased(vendure)
    await noted(vendure, ("order", "a", 1))
    [status] = (await hub.operator.get("/v1/connectors")).json()
    assert (status["connector"], status["notes"], status["held_until_ms"]) == (
        "vendure", {"order": 1}, hub.now_ms + 60_000)
    fresh = hub.client((await hub.operator.put(SELF, json={"fresh_token": True})).json()["token"])
    assert (await vendure.get(f"{SELF}/notes/order")).status_code == 401
    assert await keys(fresh, "order") == ["a"]
    assert (await hub.operator.delete(SELF)).status_code == 204
    assert (await fresh.get(f"{SELF}/notes/order")).status_code == 401
    assert (await hub.operator.delete(SELF)).status_code == 404
    assert await keys(await hub.connector(), "order") == []


def test_a_registered_connector_shows_its_token_to_nobody_who_logs_it(hub: HubWorld):
    registered = hub.storage.connectors.register("vendure", connectors.ConnectorRegistration())
    assert registered.token
    assert registered.token not in repr(registered)
    with pytest.raises(connectors.Conflict):
        hub.storage.connectors.put("vendure", NotesIn("nobody", ()))
