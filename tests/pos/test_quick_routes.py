"""What is answered before the framework's routing is answered as the framework would have it."""

import dataclasses
import json

import httpx
import pytest

from edge.pos.access import RULES, Principal, Role, Tokens
from edge.pos.app import build_app
from edge.pos.till_routes import till_handlers
from tests.store_kit import BUSINESS_DAY as DAY
from tests.store_kit import StoreKit, gtin_of

TOKENS = Tokens({"till-1": Principal("1", Role.TILL), "screen": Principal("m", Role.MONITOR)})
EAN = gtin_of("milk")
SALE = {"type": "sale", "currency": "EUR", "total_minor": 99, "occurred_at": f"{DAY}T10:00:00Z",
        "lines": [{"line": 1, "code": EAN, "quantity_milli": 1000, "amount_minor": 99}]}

REQUESTS = [
    ("GET", f"/v1/lookup/{EAN}", None),
    ("GET", f"/v1/lookup/https%3A%2F%2Fid.example.com%2F01%2F{EAN.zfill(14)}", None),
    ("GET", f"/v1/lookup/https://id.example.com/01/{EAN.zfill(14)}", None),
    ("GET", "/v1/lookup/", None),
    ("GET", "/v1/lookup", None),
    ("GET", "/v1/lookup/0000", None),
    ("GET", "/v1/lookup/%00", None),
    ("GET", "/v1/lookup/%0A", None),
    ("HEAD", f"/v1/lookup/{EAN}", None),
    ("POST", f"/v1/lookup/{EAN}", {}),
    ("PUT", f"/v1/transactions/1/{DAY}/7", SALE),
    ("PUT", f"/v1/transactions/2/{DAY}/7", SALE),
    ("PUT", f"/v1/transactions/1/{DAY}/x", SALE),
    ("PUT", f"/v1/transactions/1/{DAY}/7/8", SALE),
    ("PUT", f"/v1/transactions/1/{DAY}", SALE),
    ("PUT", f"/v1/transactions/1/{DAY}/8", {"type": "sale"}),
    ("PUT", f"/v1/transactions/1/{DAY}/7", {**SALE, "total_minor": 98}),
    ("GET", f"/v1/transactions/1/{DAY}/7", None),
]


def client(store: StoreKit, *, quick: bool) -> httpx.AsyncClient:
    handlers = till_handlers(store.store, store.prices, store.tills)
    rules = [rule if quick else dataclasses.replace(rule, quick=False) for rule in RULES if rule.handler in handlers]
    app = build_app(rules, handlers, TOKENS)
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://store")


@pytest.mark.parametrize(("method", "path", "body"), REQUESTS)
@pytest.mark.parametrize("token", ["till-1", "screen", "nobody", None])
async def test_p11_a_quick_answer_is_the_framework_s_own(
        store: StoreKit, method: str, path: str, body: dict[str, object] | None, token: str | None):
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    content = None if body is None else json.dumps(body)
    answers = []
    for quick in (False, True):
        async with client(store, quick=quick) as line:
            answer = await line.request(method, path, headers=headers, content=content)
            answers.append((answer.status_code, dict(answer.headers), answer.content))
    assert answers[0] == answers[1]


async def test_a_quick_answer_is_one(store: StoreKit):
    async with client(store, quick=True) as line:
        answer = await line.get(f"/v1/lookup/{EAN}", headers={"Authorization": "Bearer till-1"})
    assert (answer.status_code, answer.json()["charge_minor"]) == (200, 99)


def test_only_what_a_queue_waits_for_is_quick():
    assert {rule.handler for rule in RULES if rule.quick} == {"lookup", "put_transaction"}
