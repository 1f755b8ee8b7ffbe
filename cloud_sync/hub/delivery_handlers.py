"""The hub over HTTP, for whoever plans what goods go where."""

from typing import TYPE_CHECKING

from starlette.requests import Request
from starlette.responses import Response

from cloud_sync.contract.feeds import Feed
from cloud_sync.hub.answers import body_of, json_answer
from cloud_sync.hub.bells import Bells
from cloud_sync.hub.deliveries import DeliveryIn
from cloud_sync.hub.feeds import FeedId
from cloud_sync.hub.incoming import decode
from cloud_sync.hub.storage import HubStorage

if TYPE_CHECKING:
    from cloud_sync.hub.app import Run


class DeliveryHandlers:
    """Part of `HubApp`."""

    _storage: HubStorage
    _run: "Run"
    _bells: Bells

    async def put_delivery(self, request: Request) -> Response:
        store, delivery_id = request.path_params["store"], request.path_params["delivery"]
        written = await self._run(self._storage.deliveries.put, store, delivery_id,
                                  decode(await body_of(request), DeliveryIn))
        if written.changed:
            self._bells.ring(FeedId(Feed.DELIVERIES, store), written.offset)
        return json_answer(written)

    async def withdraw_delivery(self, request: Request) -> Response:
        store, delivery_id = request.path_params["store"], request.path_params["delivery"]
        written = await self._run(self._storage.deliveries.withdraw, store, delivery_id)
        self._bells.ring(FeedId(Feed.DELIVERIES, store), written.offset)
        return json_answer(written)

    async def list_transfers(self, request: Request) -> Response:
        """What is in transit; `?store=` from or to one store, `?all=1` also what has arrived."""
        asked = request.query_params
        everything = asked.get("all", "") == "1"

        def listed() -> object:
            return self._storage.deliveries.transfers(asked.get("store"), everything=everything)
        return json_answer(await self._run(listed))
