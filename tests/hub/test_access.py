"""Least authority (P11): every route × every kind of caller, bounded bodies, tokens that end."""

import gzip

import pytest

from cloud_sync.hub import principals
from cloud_sync.hub.access import ENDPOINTS, Endpoint
from cloud_sync.hub.limits import TOKEN_LIFE_S
from cloud_sync.hub.principals import KnownTokens, Principal, Role
from tests.hub.world import HubWorld
from tests.postgres import PostgresServer

EVERYBODY = {"nobody", "stranger", "store itself", "other store", "shop", "connector itself", "other connector",
             "operator"}
CONNECTORS = {"operator", "connector itself", "other connector"}
EXPECTED: dict[tuple[str, str], set[str]] = {
    ("GET", "/healthz"): EVERYBODY,
    ("PUT", "/v1/stores/{store}"): {"operator"},
    ("GET", "/v1/stores/{store}/status"): CONNECTORS | {"store itself"},
    ("POST", "/v1/stores/{store}/enrolment-codes"): {"operator"},
    ("POST", "/v1/enrol"): EVERYBODY,
    ("POST", "/v1/stores/{store}/hello"): {"store itself"},
    ("POST", "/v1/stores/{store}/common"): {"store itself"},
    ("POST", "/v1/stores/{store}/epochs"): {"store itself"},
    ("GET", "/v1/stores/{store}/history"): {"store itself"},
    ("GET", "/v1/stores/{store}/feeds/{feed}"): {"store itself"},
    ("GET", "/v1/stores/{store}/feeds/{feed}/snapshot"): {"store itself"},
    ("GET", "/v1/stores/{store}/feeds/{feed}/chunks/{sha256}"): {"store itself"},
    ("GET", "/v1/stores/{store}/feeds/{feed}/buckets"): {"store itself"},
    ("GET", "/v1/stores/{store}/feeds/{feed}/buckets/{bucket}"): {"store itself"},
    ("POST", "/v1/stores/{store}/ledger"): {"store itself"},
    ("GET", "/v1/stores/{store}/ledger"): CONNECTORS,
    ("GET", "/v1/stores/{store}/quarantine"): {"operator"},
    ("GET", "/v1/stores/{store}/stock/{sku:path}"): {"operator", "store itself"},
    ("PUT", "/v1/stores/{store}/orders/{order_id}"): CONNECTORS,
    ("GET", "/v1/stores/{store}/orders/{order_id}"): CONNECTORS,
    ("POST", "/v1/stores/{store}/orders/{order_id}/cancel-request"): CONNECTORS,
    ("POST", "/v1/stores/{store}/orders/{order_id}/arrival"): CONNECTORS,
    ("POST", "/v1/stores/{store}/orders/{order_id}/answers"): CONNECTORS,
    ("POST", "/v1/stores/{store}/orders/{order_id}/reassignment"): {"operator"},
    ("PUT", "/v1/stores/{store}/orders/{order_id}/parcels/{parcel}/label"): {"operator"},
    ("PUT", "/v1/orders/{order_id}"): {"operator"},
    ("GET", "/v1/orders/{order_id}"): {"operator"},
    ("POST", "/v1/orders/{order_id}/cancel-request"): {"operator"},
    ("POST", "/v1/orders/{order_id}/reassignment"): {"operator"},
    ("PUT", "/v1/catalogue"): CONNECTORS,
    ("PUT", "/v1/catalogue/items"): {"operator"},
    ("PUT", "/v1/catalogue/prices"): {"operator"},
    ("PUT", "/v1/catalogue/promotions"): {"operator"},
    ("DELETE", "/v1/catalogue/promotions/{key:path}"): {"operator"},
    ("PUT", "/v1/stores/{store}/overlay"): {"operator"},
    ("DELETE", "/v1/stores/{store}/overlay/{feed}/{key:path}"): {"operator"},
    ("PUT", "/v1/stores/{store}/tasks/{task_id}"): {"operator"},
    ("DELETE", "/v1/stores/{store}/tasks/{task_id}"): {"operator"},
    ("PUT", "/v1/stores/{store}/deliveries/{delivery}"): {"operator"},
    ("DELETE", "/v1/stores/{store}/deliveries/{delivery}"): {"operator"},
    ("GET", "/v1/transfers"): {"operator"},
    ("DELETE", "/v1/catalogue/items/{key:path}"): CONNECTORS,
    ("DELETE", "/v1/catalogue/prices/{key:path}"): CONNECTORS,
    ("PUT", "/v1/policy"): {"operator"},
    ("GET", "/v1/availability"): CONNECTORS | {"shop"},
    ("POST", "/v1/availability"): CONNECTORS | {"shop"},
    ("PUT", "/v1/shops/{shop}"): {"operator"},
    ("DELETE", "/v1/shops/{shop}"): {"operator"},
    ("GET", "/v1/webhooks"): {"operator"},
    ("PUT", "/v1/webhooks/{webhook}"): {"operator"},
    ("DELETE", "/v1/webhooks/{webhook}"): {"operator"},
    ("GET", "/v1/webhooks/{webhook}/dead-letters"): {"operator"},
    ("POST", "/v1/webhooks/{webhook}/send-again"): {"operator"},
    ("PUT", "/v1/safety-stock/{sku:path}"): {"operator"},
    ("GET", "/v1/safety-stock/{sku:path}"): {"operator"},
    ("DELETE", "/v1/safety-stock/{sku:path}"): {"operator"},
    ("GET", "/v1/connectors"): {"operator"},
    ("PUT", "/v1/connectors/{connector}"): {"operator"},
    ("DELETE", "/v1/connectors/{connector}"): {"operator"},
    ("POST", "/v1/connectors/{connector}/lease"): {"connector itself"},
    ("PUT", "/v1/connectors/{connector}/notes"): {"connector itself"},
    ("GET", "/v1/connectors/{connector}/notes/{kind}"): {"connector itself", "operator"},
    ("GET", "/v1/connectors/{connector}/notes/{kind}/{key:path}"): {"connector itself", "operator"},
}


def filled(path: str) -> str:
    names = {"{store}": "store-1", "{feed}": "items", "{sku:path}": "milk", "{order_id}": "o1", "{key:path}": "milk",
             "{sha256}": "0" * 64, "{bucket}": "7", "{task_id}": "t1", "{delivery}": "D-1", "{shop}": "another-shop",
             "{webhook}": "erp", "{parcel}": "p1", "{connector}": "vendure", "{kind}": "order"}
    for name, value in names.items():
        path = path.replace(name, value)
    return path


def test_every_route_of_the_app_stands_in_the_table_and_in_this_test(hub: HubWorld):
    routes = {(method, route.path) for route in hub.app.routes for method in route.methods - {"HEAD"}}
    assert routes == {(endpoint.method, endpoint.path) for endpoint in ENDPOINTS} == set(EXPECTED)


@pytest.mark.parametrize("endpoint", ENDPOINTS, ids=lambda endpoint: f"{endpoint.method} {endpoint.path}")
async def test_every_route_admits_exactly_its_roles(hub: HubWorld, endpoint: Endpoint):
    itself, other = await hub.store("store-1"), await hub.store("store-2")
    callers = {"nobody": hub.client(None), "stranger": hub.client("made up"), "store itself": itself.http,
               "other store": other.http, "shop": await hub.shop(), "connector itself": await hub.connector("vendure"),
               "other connector": await hub.connector("tryton"), "operator": hub.operator}
    admitted = set()
    for name, client in callers.items():
        answer = await client.request(endpoint.method, filled(endpoint.path), content=b"{}")
        if answer.status_code not in (401, 403):
            admitted.add(name)
        else:
            assert answer.status_code == (401 if name in ("nobody", "stranger") else 403)
            assert answer.headers["content-type"] == "application/problem+json"
    assert admitted == EXPECTED[endpoint.method, endpoint.path]


async def test_a_store_cannot_tell_whether_another_exists(hub: HubWorld):
    store = await hub.store("store-1")
    await hub.store("store-2")
    answers = [await store.http.get(f"/v1/stores/{name}/status") for name in ("store-2", "never-there")]
    assert [answer.status_code for answer in answers] == [403, 403]
    assert answers[0].content == answers[1].content


@pytest.mark.parametrize("header", ["", "Bearer", "Bearer ", "Basic abc", "bearer\tx", "Bearer x y"])
async def test_an_odd_authorization_header_is_nobody(hub: HubWorld, header: str):
    await hub.store()
    answer = await hub.client(None).get("/v1/stores/store-1/status", headers={"Authorization": header})
    assert answer.status_code == 401


async def test_a_store_gets_its_token_once_and_a_fresh_one_ends_the_old(hub: HubWorld):
    store = await hub.store()
    again = (await hub.operator.put("/v1/stores/store-1")).json()
    assert (again["created"], again["token"]) == (False, None)
    assert (await store.feed("items")).status_code == 200
    fresh = (await hub.operator.put("/v1/stores/store-1", json={"fresh_token": True})).json()["token"]
    assert (await store.feed("items")).status_code == 401
    assert (await hub.client(fresh).get("/v1/stores/store-1/feeds/items")).status_code == 200


async def test_a_new_operator_token_ends_the_old(hub: HubWorld):
    hub.storage.stores.ensure_operator("another operator token")
    assert (await hub.operator.put("/v1/stores/store-9")).status_code == 401
    assert hub.storage.stores.authenticate("another operator token").role is Role.OPERATOR


async def test_p11_a_token_ended_by_one_hub_process_is_soon_refused_by_the_others(postgres: PostgresServer):
    url = postgres.new_database()
    one, other = HubWorld(url), HubWorld(url)
    store = await one.store()
    old = other.client(store.http.headers["Authorization"].removeprefix("Bearer "))
    assert (await old.get("/v1/stores/store-1/feeds/items")).status_code == 200
    fresh = (await one.operator.put("/v1/stores/store-1", json={"fresh_token": True})).json()["token"]
    assert (await store.feed("items")).status_code == 401
    assert (await other.client(fresh).get("/v1/stores/store-1/feeds/items")).status_code == 200
    other.now_ms += 1000 * TOKEN_LIFE_S
    assert (await old.get("/v1/stores/store-1/feeds/items")).status_code == 401
    one.stop()
    other.stop()


def test_p11_what_was_read_before_a_token_ended_is_not_remembered_after(hub: HubWorld):
    known = hub.storage.stores.known
    asked = known.ask()
    known.forget()
    known.remember("hash", Principal(Role.OPERATOR), asked, hub.now_ms)
    assert known.recall("hash", hub.now_ms, shared=False) is None


def test_p10_known_tokens_are_bounded(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(principals, "TOKENS_KNOWN_MAX", 2)
    known = KnownTokens()
    for name in ("a", "b", "c"):
        known.remember(name, Principal(Role.STORE, name), known.ask(), 0)
    assert [known.recall(name, 0, shared=True) for name in ("a", "b", "c")] == [
        None, Principal(Role.STORE, "b"), Principal(Role.STORE, "c")]


@pytest.mark.parametrize("name", ["a b", "a/b", "+", "#", "ä", "x" * 65, ".hidden", "nul\0"])
async def test_names_that_cannot_stand_in_a_path_or_a_topic_are_refused(hub: HubWorld, name: str):
    from urllib.parse import quote

    answer = await hub.operator.put(f"/v1/stores/{quote(name, safe='')}")
    assert answer.status_code in (404, 422)
    assert (await hub.operator.put("/v1/stores/fine", json={"zone": name})).status_code == 422


async def test_a_body_beyond_its_bound_is_refused_packed_or_not(hub: HubWorld):
    await hub.store()

    async def answered(content: bytes, encoding: str = "gzip") -> int:
        headers = {"Content-Encoding": encoding}
        return (await hub.operator.put("/v1/stores/store-1", content=content, headers=headers)).status_code

    large = b'{"name":"' + b"x" * 2**20 + b'"}'
    assert await answered(large, "identity") == 413
    assert await answered(gzip.compress(large)) == 413
    small = gzip.compress(b'{"name":"Corner shop"}')
    assert await answered(small) == 200
    assert (await hub.status()).name == "Corner shop"
    assert await answered(small[:-9]) == 422
    assert await answered(b"no gzip") == 422
    assert await answered(small, "br") == 422


async def test_what_does_not_exist_is_a_problem_answer(hub: HubWorld):
    for method, path, status in (("GET", "/v2", 404), ("DELETE", "/healthz", 405),
                                 ("GET", "/v1/stores/nowhere/status", 404)):
        answer = await hub.operator.request(method, path)
        assert (answer.status_code, answer.json()["status"]) == (status, status)
        assert answer.headers["content-type"] == "application/problem+json"


async def test_a_database_that_does_not_answer_is_said_and_nothing_is_acknowledged(hub: HubWorld, monkeypatch):
    from sqlalchemy.exc import OperationalError

    store = await hub.store()
    ledger = store.ledger()
    ledger.sells("milk")

    def away(*_arguments: object) -> None:
        raise OperationalError("secret statement", {}, Exception("disk full"))

    monkeypatch.setattr("cloud_sync.hub.ledgers.lock_store", away)
    answer = await store.push(ledger.push())
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
    assert "secret statement" not in answer.text
