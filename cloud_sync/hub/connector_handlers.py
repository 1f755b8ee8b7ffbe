"""The hub over HTTP, for connectors to commerce systems and for the operators who admit them."""

from http import HTTPStatus
from typing import TYPE_CHECKING

from starlette.requests import Request
from starlette.responses import Response

from cloud_sync.hub.answers import body_of, json_answer
from cloud_sync.hub.connectors import ConnectorRegistration, LeaseRequest, NotesIn
from cloud_sync.hub.incoming import decode, decode_or_default, number
from cloud_sync.hub.limits import NOTES_SHOWN_MAX
from cloud_sync.hub.storage import HubStorage

if TYPE_CHECKING:
    from cloud_sync.hub.app import Run


class ConnectorHandlers:
    """Part of `HubApp`."""

    _storage: HubStorage
    _run: "Run"

    async def list_connectors(self, _request: Request) -> Response:
        return json_answer(await self._run(self._storage.connectors.all))

    async def register_connector(self, request: Request) -> Response:
        registration = decode_or_default(await body_of(request), ConnectorRegistration)
        connector = request.path_params["connector"]
        registered = await self._run(self._storage.connectors.register, connector, registration)
        return json_answer(registered, HTTPStatus.CREATED if registered.created else HTTPStatus.OK)

    async def remove_connector(self, request: Request) -> Response:
        await self._run(self._storage.connectors.remove, request.path_params["connector"])
        return Response(status_code=int(HTTPStatus.NO_CONTENT))

    async def lease_connector(self, request: Request) -> Response:
        asked, connector = decode(await body_of(request), LeaseRequest), request.path_params["connector"]
        return json_answer(await self._run(self._storage.connectors.lease, connector, asked))

    async def put_notes(self, request: Request) -> Response:
        wanted, connector = decode(await body_of(request), NotesIn), request.path_params["connector"]
        await self._run(self._storage.connectors.put, connector, wanted)
        return Response(status_code=int(HTTPStatus.NO_CONTENT))

    async def list_notes(self, request: Request) -> Response:
        connector, kind = request.path_params["connector"], request.path_params["kind"]
        after, limit = request.query_params.get("after", ""), number(request, "limit", NOTES_SHOWN_MAX)
        return json_answer(await self._run(self._storage.connectors.page, connector, kind, after, limit))

    async def read_note(self, request: Request) -> Response:
        connector, kind = request.path_params["connector"], request.path_params["kind"]
        value = await self._run(self._storage.connectors.read, connector, kind, request.path_params["key"])
        return Response(value, media_type="application/json")
