"""The hub over HTTP, for operators: endpoints that want to be told, and what had to be given up."""

from http import HTTPStatus
from typing import TYPE_CHECKING

from starlette.requests import Request
from starlette.responses import Response

from cloud_sync.hub.answers import body_of, json_answer
from cloud_sync.hub.endpoints import check_endpoint
from cloud_sync.hub.incoming import decode, decode_or_default
from cloud_sync.hub.storage import HubStorage
from cloud_sync.hub.webhooks import SendAgain, WebhookIn

if TYPE_CHECKING:
    from cloud_sync.hub.app import Run


class WebhookHandlers:
    """Part of `HubApp`. `trial`: see `endpoints`."""

    _storage: HubStorage
    _run: "Run"
    _trial: bool

    async def put_webhook(self, request: Request) -> Response:
        wanted = decode(await body_of(request), WebhookIn)
        check_endpoint(wanted.url, trial=self._trial)
        put = await self._run(self._storage.webhooks.put, request.path_params["webhook"], wanted)
        return json_answer(put, HTTPStatus.CREATED if put.created else HTTPStatus.OK)

    async def list_webhooks(self, _request: Request) -> Response:
        return json_answer(await self._run(self._storage.webhooks.all))

    async def remove_webhook(self, request: Request) -> Response:
        await self._run(self._storage.webhooks.remove, request.path_params["webhook"])
        return Response(status_code=int(HTTPStatus.NO_CONTENT))

    async def read_dead_letters(self, request: Request) -> Response:
        return json_answer(await self._run(self._storage.webhooks.dead_letters, request.path_params["webhook"]))

    async def send_again(self, request: Request) -> Response:
        again, webhook = decode_or_default(await body_of(request), SendAgain), request.path_params["webhook"]
        return json_answer(await self._run(self._storage.webhooks.send_again, webhook, again))
