"""A line that loses answers: what was asked is done over there, but who asked never hears of it."""

import asyncio
from collections.abc import Awaitable, Callable

import httpx
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from edge.proving.stage.premises import free_port

Kind = Callable[[str, str, bytes], str]
"""Method, path, body → what kind of request this is; empty for one that is let alone."""

Strike = Callable[[str], Awaitable[None]]
PASSED_ON = ("authorization", "content-type", "vendure-token")
GIVEN_BACK = ("content-type", "vendure-auth-token", "retry-after")


class LossyLine:
    """Listens on `port`. The answer to the first request of each kind is lost, after `strike` (which may kill whoever
    asked, or whoever was asked) was called; `lost` names the kinds. `calm`: nothing is lost."""

    def __init__(self, upstream: str, kind: Kind, strike: Strike) -> None:
        self.port = free_port()
        self.lost: list[str] = []
        self.seen: dict[str, int] = {}
        self.calm = True
        self._upstream = upstream
        self._kind = kind
        self._strike = strike
        self._client = httpx.AsyncClient(timeout=60)
        app = Starlette(routes=[Route("/{path:path}", self._pass_on, methods=["GET", "PUT", "POST", "DELETE"])])
        self._server = uvicorn.Server(uvicorn.Config(app, "127.0.0.1", self.port, log_config=None, lifespan="off"))
        self._server.install_signal_handlers = lambda: None  # type: ignore[method-assign]
        self._serving: asyncio.Task[None] | None = None

    async def open(self) -> None:
        self._serving = asyncio.create_task(self._server.serve())
        while not self._server.started:  # noqa: ASYNC110 - nothing tells of it
            await asyncio.sleep(0.02)

    async def close(self) -> None:
        self._server.should_exit = True
        self._server.force_exit = True
        if self._serving is not None:
            await asyncio.gather(self._serving, return_exceptions=True)
        await self._client.aclose()

    async def _pass_on(self, request: Request) -> Response:
        body = await request.body()
        kind = self._kind(request.method, request.url.path, body)
        headers = {name: value for name, value in request.headers.items() if name in PASSED_ON}
        target = f"{self._upstream}{request.url.path}"
        try:
            answer = await self._client.request(request.method, target, params=request.query_params, content=body,
                                                headers=headers)
        except httpx.HTTPError:
            return Response(status_code=502)
        if kind:
            self.seen[kind] = self.seen.get(kind, 0) + 1
        if kind and not self.calm and kind not in self.lost and answer.is_success:
            self.lost.append(kind)
            await self._strike(kind)
            return Response(status_code=502)
        back = {name: value for name, value in answer.headers.items() if name in GIVEN_BACK}
        return Response(answer.content, answer.status_code, back)
