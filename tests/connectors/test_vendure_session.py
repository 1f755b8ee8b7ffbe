"""Vendure's admin API: a session, and failures told apart by what helps."""

import httpx
import msgspec
import pytest

from cloud_sync.connectors.errors import Misconfigured, Refused, Transient
from cloud_sync.connectors.vendure import queries
from cloud_sync.connectors.vendure.graphql import Outcome, Result
from cloud_sync.connectors.vendure.records import LocationPage
from tests.connectors.world import logged_in, vendure_of

LOCATIONS = {"stockLocations": {"items": [{"id": "1", "name": "Store 42"}], "totalItems": 1}}


def failing(code: str) -> httpx.Response:
    return httpx.Response(200, json={"errors": [{"message": "no", "extensions": {"code": code}}], "data": None})


async def test_it_logs_in_when_needed_and_again_when_its_session_has_ended():
    asked: list[tuple[str, str]] = []
    sessions = iter(["s1", "s2"])

    def answers(name: str, _variables: dict[str, object]) -> object:
        if name == "Login":
            return logged_in(next(sessions))
        return failing("FORBIDDEN") if asked[-1][1] == "Bearer s1" else LOCATIONS

    vendure = vendure_of(answers, asked)
    page = await vendure.ask(queries.LOCATIONS, LocationPage, skip=0)
    assert page.stock_locations.items[0].name == "Store 42"
    assert asked == [("Login", ""), ("Locations", "Bearer s1"), ("Login", ""), ("Locations", "Bearer s2")]


@pytest.mark.parametrize(("answer", "error"), [
    (failing("FORBIDDEN"), Misconfigured),
    (failing("INTERNAL_SERVER_ERROR"), Refused),
    (httpx.Response(502, text="<html>bad gateway"), Transient),
    (httpx.Response(503, json={}), Transient),
    (httpx.Response(200, json={"data": {"stockLocations": {}}}), Refused),
], ids=["no permission", "its own failure", "a proxy's page", "starting", "another answer"])
async def test_failures_are_told_apart(answer: httpx.Response, error: type[Exception]):
    vendure = vendure_of(lambda name, _: logged_in() if name == "Login" else answer)
    with pytest.raises(error):
        await vendure.ask(queries.LOCATIONS, LocationPage, skip=0)


async def test_p11_a_wrong_password_is_said_without_it():
    vendure = vendure_of(lambda *_: {"login": {"errorCode": "INVALID_CREDENTIALS_ERROR"}})
    with pytest.raises(Misconfigured, match="INVALID_CREDENTIALS_ERROR") as raised:
        await vendure.ask(queries.LOCATIONS, LocationPage, skip=0)
    assert "pass word" not in str(raised.value)


async def test_a_line_that_is_down_and_retry_after():
    def down(_request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused")

    vendure = vendure_of(lambda name, _: logged_in() if name == "Login" else httpx.Response(
        429, text="slowly", headers={"retry-after": "7"}))
    with pytest.raises(Transient) as raised:
        await vendure.ask(queries.LOCATIONS, LocationPage, skip=0)
    assert raised.value.retry_after_s == 7
    vendure._client = httpx.AsyncClient(transport=httpx.MockTransport(down))
    with pytest.raises(Transient, match="ConnectError"):
        await vendure.ask(queries.LOCATIONS, LocationPage, skip=0)


def test_what_a_mutation_refuses_is_said():
    refused = msgspec.json.decode(b'''{"result": {"__typename": "RefundAmountError", "errorCode": "REFUND_AMOUNT_ERROR",
                                      "message": "too much"}}''', type=Result)
    with pytest.raises(Refused, match="refund: REFUND_AMOUNT_ERROR too much"):
        refused.result.raise_for("refund")
    Outcome(typename="Refund", id="1").raise_for("refund")
