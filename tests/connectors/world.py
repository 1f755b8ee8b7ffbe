"""A hub in this process and a connector's view of it; a Vendure that answers what it is told to."""

from collections.abc import Callable

import httpx
import msgspec

from cloud_sync.connectors.hub import Hub
from cloud_sync.connectors.vendure.graphql import Vendure
from tests.hub.world import HubWorld

Answers = Callable[[str, dict[str, object]], object]
"""The document's name and its variables → the data, or an `httpx.Response`."""


async def hub_of(world: HubWorld, holder: str = "one", lease_s: int = 60) -> Hub:
    """A process of connector `vendure`, which the hub knows."""
    token = (await world.operator.put("/v1/connectors/vendure", json={"fresh_token": True})).json()["token"]
    return Hub(world.client(token), "vendure", holder, lease_s, 20.0, lambda: world.now_ms / 1000)


def vendure_of(answers: Answers, asked: list[tuple[str, str]] | None = None) -> Vendure:
    """`asked` takes the names of documents and the session that each was asked with."""
    def answer(request: httpx.Request) -> httpx.Response:
        body = msgspec.json.decode(request.content)
        name = body["query"].split("(")[0].split()[1]
        if asked is not None:
            asked.append((name, request.headers.get("authorization", "")))
        found = answers(name, body["variables"])
        return found if isinstance(found, httpx.Response) else httpx.Response(200, json={"data": found})
    client = httpx.AsyncClient(transport=httpx.MockTransport(answer))
    return Vendure(client, "http://shop/admin-api", "user", "pass word")


def logged_in(session: str = "s1") -> httpx.Response:
    return httpx.Response(200, json={"data": {"login": {}}}, headers={"vendure-auth-token": session})
