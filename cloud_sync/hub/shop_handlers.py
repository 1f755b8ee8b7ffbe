"""The hub over HTTP, for web shops: what may be sold online, who may ask, and what is kept back."""

from http import HTTPStatus
from typing import TYPE_CHECKING

from starlette.requests import Request
from starlette.responses import Response

from cloud_sync.hub.answers import body_of, json_answer
from cloud_sync.hub.availability import AvailabilityQuestion, SafetyStock
from cloud_sync.hub.incoming import decode, decode_or_default, zone
from cloud_sync.hub.limits import AVAILABILITY_MAX_AGE_S
from cloud_sync.hub.shops import ShopRegistration
from cloud_sync.hub.storage import HubStorage

if TYPE_CHECKING:
    from cloud_sync.hub.app import Run

SHORTLY = {"Cache-Control": f"private, max-age={AVAILABILITY_MAX_AGE_S}"}


class ShopHandlers:
    """Part of `HubApp`."""

    def __init__(self, storage: HubStorage, run: "Run") -> None:
        self._storage = storage
        self._run = run

    async def read_availability(self, request: Request) -> Response:
        """`?sku=…&sku=…&store=…`, both as often as needed."""
        asked = request.query_params
        question = AvailabilityQuestion(tuple(asked.getlist("sku")), tuple(asked.getlist("store")))
        return await self._available(question)

    async def ask_availability(self, request: Request) -> Response:
        """The same for many SKUs."""
        return await self._available(decode(await body_of(request), AvailabilityQuestion))

    async def register_shop(self, request: Request) -> Response:
        registration = decode_or_default(await body_of(request), ShopRegistration)
        registered = await self._run(self._storage.shops.register, request.path_params["shop"], registration)
        return json_answer(registered, HTTPStatus.CREATED if registered.created else HTTPStatus.OK)

    async def remove_shop(self, request: Request) -> Response:
        await self._run(self._storage.shops.remove, request.path_params["shop"])
        return Response(status_code=int(HTTPStatus.NO_CONTENT))

    async def put_safety_stock(self, request: Request) -> Response:
        wanted, sku = decode(await body_of(request), SafetyStock), request.path_params["sku"]
        return json_answer(await self._run(self._storage.availabilities.put_safety_stock, zone(request), sku, wanted))

    async def read_safety_stock(self, request: Request) -> Response:
        sku = request.path_params["sku"]
        return json_answer(await self._run(self._storage.availabilities.safety_stock, zone(request), sku))

    async def delete_safety_stock(self, request: Request) -> Response:
        sku = request.path_params["sku"]
        return json_answer(await self._run(self._storage.availabilities.delete_safety_stock, zone(request), sku))

    async def _available(self, question: AvailabilityQuestion) -> Response:
        return json_answer(await self._run(self._storage.availabilities.answer, question), headers=SHORTLY)
