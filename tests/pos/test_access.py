"""One table decides who may do what (P11): every route × every role, and no route outside the table."""

import re
from collections.abc import Iterable

import httpx
import pytest
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from edge.pos.access import RULES, Principal, Role, Rule, Tokens
from edge.pos.app import Handler, build_app
from edge.pos.basket_routes import basket_handlers
from edge.pos.book_routes import book_handlers
from edge.pos.count_routes import count_handlers
from edge.pos.goods_routes import goods_handlers
from edge.pos.label_routes import label_handlers
from edge.pos.return_routes import return_handlers
from edge.pos.ship_routes import ship_handlers
from edge.pos.stock_routes import stock_handlers
from edge.pos.store_routes import store_handlers
from edge.pos.till_routes import till_handlers
from tests.store_kit import EveryToken, StoreKit

PUBLIC = {"/healthz", "/readyz"}
"""Without an identity; whoever adds one must say so here."""
SUPERVISORS_ONLY = {"/v1/labels/{label}/void-claim", "/v1/held-batches/{digest}", "/v1/counts/waiting",
                    "/v1/counts/review", "/v1/reservation-audit/repair"}
TILLS_ONLY = {"/v1/transactions/{till}/{business_day}/{sequence}", "/v1/tills/{till}/close",
              "/v1/tills/{till}/pricebook"}
LOOKUPS = {"/v1/lookup/{code:path}", "/v1/baskets/price", "/v1/pricebook", "/v1/events", "/openapi.json"}
MONITORS = {"/v1/status", "/metrics", "/openapi.json"}

HEALTH = {"healthz", "readyz", "metrics", "status", "examine", "examine_and_repair", "openapi",
          "events", "take_poslog", "report_accuracy", "report_holds", "report_not_announced", "report_comparison",
          "report_comparisons"}
"""Answered by `edge.health.routes`, `edge.doctor` and `edge.api_description`, which are built with the whole daemon
(tests of the daemon serve them)."""


async def answers(_request: Request) -> Response:
    return Response(status_code=204)


def stub_client(rules: Iterable[Rule] = RULES) -> httpx.AsyncClient:
    handlers: dict[str, Handler] = {rule.handler: answers for rule in rules}
    app = build_app(rules, handlers, EveryToken())
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://store")


def some_path(rule: Rule) -> str:
    """The route's path with something in each place."""
    return re.sub(r"{(\w+)(:path)?}", "7", rule.path)


@pytest.mark.parametrize("role", [*Role, None], ids=str)
@pytest.mark.parametrize("rule", RULES, ids=lambda rule: f"{rule.method} {rule.path}")
async def test_p11_every_route_answers_every_role_as_the_table_says(rule: Rule, role: Role | None):
    headers = {"authorization": f"Bearer {role.value}:7"} if role else {}
    async with stub_client() as client:
        answer = await client.request(rule.method, some_path(rule), headers=headers)
    if rule.roles is None:
        expected = 204
    elif role is None:
        expected = 401
    else:
        expected = 204 if role in rule.roles else 403
    assert answer.status_code == expected
    if expected >= 400:
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json()["status"] == expected
    assert ("www-authenticate" in answer.headers) == (expected == 401)


def test_p11_the_table_is_what_was_decided():
    assert {rule.path for rule in RULES if rule.roles is None} == PUBLIC
    assert {rule.path for rule in RULES if rule.roles == {Role.SUPERVISOR}} == SUPERVISORS_ONLY
    assert {rule.path for rule in RULES if rule.roles == {Role.TILL}} == TILLS_ONLY
    assert {rule.path for rule in RULES if rule.roles and Role.LOOKUP_ONLY in rule.roles} == LOOKUPS
    assert {rule.path for rule in RULES if rule.roles and Role.MONITOR in rule.roles} == MONITORS


async def test_p11_there_is_no_route_outside_the_table_and_none_in_it_unanswered(store: StoreKit):
    built = {**till_handlers(store.store, store.prices, store.tills),
             **stock_handlers(store.store), **count_handlers(store.desk), **goods_handlers(store.desk),
             **store_handlers(store.pickups, store.guard, store.tasks),
             **return_handlers(store.store, store.prices, store.pickups),
             **label_handlers(store.labels), **ship_handlers(store.store, store.pickups),
             **book_handlers(store.book), **basket_handlers(store.baskets)}
    assert set(built) | HEALTH == {rule.handler for rule in RULES}
    served = {(method, route.path) for route in store.app.routes if isinstance(route, Route)
              for method in route.methods or () if method != "HEAD"}
    assert served <= {(rule.method, rule.path) for rule in RULES}
    assert len(store.app.routes) == len({path for _, path in served})


def test_a_rule_without_an_answer_is_found_at_start():
    with pytest.raises(KeyError):
        build_app(RULES, {}, Tokens({}))


@pytest.mark.parametrize("authorization", ["", "Bearer", "Bearer ", "Basic dGlsbDox", "bearer secret2", "secret",
                                           "Bearer secret ", "Bearer secrét"])
def test_p11_only_the_very_token_is_somebody(authorization: str):
    tokens = Tokens({"secret": Principal("1", Role.TILL)})
    assert tokens.principal(authorization) is None
    assert tokens.principal("Bearer secret") == Principal("1", Role.TILL)
    assert tokens.principal("bearer secret") == Principal("1", Role.TILL)


def test_p11_tokens_are_replaced_all_at_once_and_kept_only_as_digests():
    tokens = Tokens({"secret": Principal("1", Role.TILL)})
    tokens.replace({"other": Principal("1", Role.TILL)})
    assert tokens.principal("Bearer secret") is None
    assert tokens.principal("Bearer other") is not None
    assert "other" not in repr(vars(tokens))


@pytest.mark.parametrize(("method", "path", "status"), [("GET", "/v1/nothing", 404), ("DELETE", "/healthz", 405),
                                                        ("GET", "/v1/transactions/1/2/3", 405)])
async def test_what_is_not_there_is_a_problem_too(method: str, path: str, status: int):
    async with stub_client() as client:
        answer = await client.request(method, path)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"


async def test_a_mistake_of_ours_is_a_problem_that_tells_nothing(store: StoreKit):
    async def breaks(_request: Request) -> Response:
        raise RuntimeError("Marta Ruiz lives in Calle Mayor 3")
    rule = Rule("GET", "/v1/broken", None, "breaks")
    app = build_app([rule], {"breaks": breaks}, Tokens({}))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://store") as client:
        answer = await client.get("/v1/broken")
    assert answer.status_code == 500
    assert "Marta" not in answer.text
