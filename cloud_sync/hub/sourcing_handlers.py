"""The hub over HTTP: orders that name no store."""

from collections.abc import Awaitable, Callable, Iterable
from functools import partial
from http import HTTPStatus

from starlette.requests import Request
from starlette.responses import Response

from cloud_sync.hub.answers import body_of, json_answer
from cloud_sync.hub.feeds import FeedId
from cloud_sync.hub.incoming import decode, decode_or_default, zone
from cloud_sync.hub.orders import CancelRequest
from cloud_sync.hub.shop_handlers import ShopHandlers
from cloud_sync.hub.sourcing import OrderWish, ReassignTo, Sourced, orders_feed

Say = Callable[[str, str], tuple[Sourced, frozenset[str]]]


class SourcingHandlers(ShopHandlers):
    """Part of `HubApp`, which rings."""

    _ring: Callable[[FeedId], Awaitable[None]]

    async def place_anywhere(self, request: Request) -> Response:
        wish, order_id = decode(await body_of(request), OrderWish), request.path_params["order_id"]
        sourced, grown = await self._run(self._storage.sourcings.place, zone(request), order_id, wish)
        await self._ring_orders(grown)
        return json_answer(sourced, HTTPStatus.CREATED if sourced.changed else HTTPStatus.OK)

    async def read_sourcing(self, request: Request) -> Response:
        order_id = request.path_params["order_id"]
        return json_answer(await self._run(self._storage.sourcings.status, zone(request), order_id))

    async def cancel_anywhere(self, request: Request) -> Response:
        lines = decode_or_default(await body_of(request), CancelRequest).lines
        return await self._said(request, partial(self._storage.sourcings.request_cancel, lines=lines))

    async def reassign_anywhere(self, request: Request) -> Response:
        to = decode_or_default(await body_of(request), ReassignTo).store
        return await self._said(request, partial(self._storage.sourcings.reassign, to=to))

    async def _said(self, request: Request, say: Say) -> Response:
        sourced, grown = await self._run(say, zone(request), request.path_params["order_id"])
        await self._ring_orders(grown)
        return json_answer(sourced)

    async def _ring_orders(self, stores: Iterable[str]) -> None:
        for store in sorted(stores):
            await self._ring(orders_feed(store))
