"""The hub over HTTP: Starlette and msgspec, every database call through an injected executor.

Under the simulator the executor runs inline and time is virtual; nothing here knows a thread or a clock.
"""

import asyncio
import gzip
import hashlib
from collections.abc import Awaitable, Callable
from functools import partial
from http import HTTPStatus
from typing import Protocol, TypeVar

import msgspec
import structlog
from sqlalchemy.exc import InterfaceError, OperationalError
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from cloud_sync.contract.documents import Item, Policy, SubstituteAnswer
from cloud_sync.contract.feeds import Cursor, Feed, encode_page
from cloud_sync.contract.ledger import Hello, Push
from cloud_sync.contract.rebase import Enrol, EpochRequest, Probes
from cloud_sync.hub.access import ENDPOINTS, Endpoint
from cloud_sync.hub.answers import body_of, json_answer
from cloud_sync.hub.bells import Bells
from cloud_sync.hub.catalogue import Catalogue, Imported, PriceEntry, PromotionIn
from cloud_sync.hub.connector_handlers import ConnectorHandlers
from cloud_sync.hub.delivery_handlers import DeliveryHandlers
from cloud_sync.hub.enrolment import CodeRequest
from cloud_sync.hub.errors import Forbidden, HubError, NotFound
from cloud_sync.hub.feeds import STORE_FEED_NAMES, FeedId, Page, Written
from cloud_sync.hub.incoming import cursor, decode, decode_or_default, number, zone
from cloud_sync.hub.limits import AUDIT_ENTRIES_MAX, COMPRESS_FROM_BYTES, INLINE_RECORDS_MAX, RECHECK_S, WAIT_MAX_S
from cloud_sync.hub.orders import Arrival, CancelRequest, OrderStatus, ParcelLabelIn, Placement
from cloud_sync.hub.principals import Principal
from cloud_sync.hub.problems import problem, problem_of, unavailable
from cloud_sync.hub.sourcing_handlers import SourcingHandlers
from cloud_sync.hub.storage import HubStorage
from cloud_sync.hub.stores import Registration
from cloud_sync.hub.tasks import TaskIn
from cloud_sync.hub.webhook_handlers import WebhookHandlers

NDJSON = "application/x-ndjson"
IMMUTABLE = "public, max-age=31536000, immutable"
_GZIP_LEVEL = 6
_BUCKET_DIGITS_MAX = 4

Answer = TypeVar("Answer")


class Run(Protocol):
    """Runs a storage call: on a thread in production, inline in the simulator."""

    def __call__(self, function: Callable[..., Answer], *arguments: object) -> Awaitable[Answer]: ...


async def run_inline(function: Callable[..., Answer], *arguments: object) -> Answer:
    """The executor for simulators and tests: no thread, no time."""
    return function(*arguments)


class HubApp(SourcingHandlers, WebhookHandlers, DeliveryHandlers, ConnectorHandlers):
    """One handler per row of `access.ENDPOINTS`."""

    def __init__(self, storage: HubStorage, run: Run, bells: Bells, recheck_s: float = RECHECK_S, *,
                 trial: bool = False) -> None:
        """`recheck_s`: how often a waiting poll looks again without a bell; needless where none can be missed.

        `trial`: this hub serves its own machine only, so events may be sent there, and in clear.
        """
        super().__init__(storage, run)
        self._trial = trial
        self._recheck_s = recheck_s
        self._bells = bells
        self._looking: dict[tuple[FeedId, Cursor | None, int], asyncio.Future[Page]] = {}
        self._log = structlog.get_logger("hub")

    def asgi(self) -> Starlette:
        """The ASGI application."""
        routes = [Route(endpoint.path, self._guarded(endpoint), methods=[endpoint.method]) for endpoint in ENDPOINTS]
        return Starlette(routes=routes, exception_handlers={HTTPException: _http_problem})

    async def healthz(self, _request: Request) -> Response:
        await self._run(self._storage.ping)
        return json_answer({"status": "ok"})

    async def register_store(self, request: Request) -> Response:
        registration = decode_or_default(await body_of(request), Registration)
        registered = await self._run(self._storage.stores.register, request.path_params["store"], registration)
        return json_answer(registered, HTTPStatus.CREATED if registered.created else HTTPStatus.OK)

    async def store_status(self, request: Request) -> Response:
        store = request.path_params["store"]
        status = await self._run(self._storage.stores.status, store)
        return json_answer(msgspec.structs.replace(status, doorbell=self._bells.presences.of(store).value))

    async def hello(self, request: Request) -> Response:
        hello = decode(await body_of(request), Hello)
        store, enrolment = request.path_params["store"], request.state.principal.enrolment
        return json_answer(await self._run(self._storage.stores.hello, store, hello, enrolment))

    async def make_enrolment_code(self, request: Request) -> Response:
        valid_s = decode_or_default(await body_of(request), CodeRequest).valid_s
        made = await self._run(self._storage.enrolments.make_code, request.path_params["store"], valid_s)
        return json_answer(made, HTTPStatus.CREATED)

    async def enrol(self, request: Request) -> Response:
        """Nobody is asked who he is: the code says it."""
        return json_answer(await self._run(self._storage.enrolments.trade, decode(await body_of(request), Enrol)))

    async def locate_common(self, request: Request) -> Response:
        store, enrolment = request.path_params["store"], request.state.principal.enrolment
        probes = decode(await body_of(request), Probes)
        return json_answer(await self._run(self._storage.rebases.locate, store, enrolment, probes))

    async def grant_epoch(self, request: Request) -> Response:
        store, enrolment = request.path_params["store"], request.state.principal.enrolment
        asked = decode(await body_of(request), EpochRequest)
        return json_answer(await self._run(self._storage.rebases.grant, store, enrolment, asked))

    async def read_history(self, request: Request) -> Response:
        store, enrolment = request.path_params["store"], request.state.principal.enrolment
        after = (number(request, "after_epoch", 0), number(request, "after_sequence", 0))
        before = number(request, "before_epoch", 0)
        return json_answer(await self._run(self._storage.rebases.history, store, enrolment, after, before))

    async def read_feed(self, request: Request) -> Response:
        """A page as NDJSON; waits up to `wait_s` for one that is not empty."""
        store, feed = request.path_params["store"], _feed(request)
        if feed is Feed.ORDERS and request.state.principal.superseded:
            raise Forbidden("another box was enrolled after this one: orders go to that one")
        after = cursor(request)
        wait_s = min(number(request, "wait_s", 0), WAIT_MAX_S)
        snapshots = bool(number(request, "snapshots", 0))
        page = await self._page_when_grown(store, feed, after, wait_s, snapshots=snapshots)
        if not page.records:
            return _page_response(page, compress=False)
        compress = "gzip" in request.headers.get("accept-encoding", "")
        if len(page.records) <= INLINE_RECORDS_MAX:
            return _page_response(page, compress)
        return await self._run(_page_response, page, compress)

    async def read_manifest(self, request: Request) -> Response:
        """What the feed's snapshot consists of."""
        log = await self._log_of(request)
        body = await self._run(self._storage.manifest, log)
        return _tagged(request, body, f'"{hashlib.sha256(body).hexdigest()}"', "application/json", "no-cache")

    async def read_chunk(self, request: Request) -> Response:
        """A chunk of a snapshot: the same bytes for ever, so whatever lies in between may keep them."""
        log = await self._log_of(request)
        sha256 = request.path_params["sha256"]
        body = await self._run(self._storage.chunk, log, sha256)
        return _tagged(request, body, f'"{sha256}"', "application/gzip", IMMUTABLE)

    async def read_vector(self, request: Request) -> Response:
        log = await self._log_of(request)
        return json_answer(await self._run(self._storage.vector, log, request.query_params.get("generation", "")))

    async def read_bucket(self, request: Request) -> Response:
        log = await self._log_of(request)
        generation, bucket = request.query_params.get("generation", ""), request.path_params["bucket"]
        if not (bucket.isascii() and bucket.isdecimal() and len(bucket) <= _BUCKET_DIGITS_MAX):
            raise NotFound("a bucket is a number")
        return json_answer(await self._run(self._storage.bucket_rows, log, generation, int(bucket)))

    async def push_ledger(self, request: Request) -> Response:
        push = await self._run(decode, await body_of(request), Push)
        store, enrolment = request.path_params["store"], request.state.principal.enrolment
        return json_answer(await self._run(self._storage.ledgers.push, store, push, enrolment))

    async def audit_ledger(self, request: Request) -> Response:
        store, limit = request.path_params["store"], number(request, "limit", AUDIT_ENTRIES_MAX)
        epoch, after = number(request, "epoch", 1), number(request, "after", 0)
        return json_answer(await self._run(self._storage.ledgers.audit, store, epoch, after, limit))

    async def read_quarantine(self, request: Request) -> Response:
        store, limit = request.path_params["store"], number(request, "limit", AUDIT_ENTRIES_MAX)
        after = (number(request, "epoch", 0), number(request, "after", 0))
        return json_answer(await self._run(self._storage.ledgers.quarantined, store, after, limit))

    async def read_stock(self, request: Request) -> Response:
        store, sku = request.path_params["store"], request.path_params["sku"]
        return json_answer(await self._run(self._storage.ledgers.stock, store, sku))

    async def place_order(self, request: Request) -> Response:
        store, order_id = request.path_params["store"], request.path_params["order_id"]
        placement = decode(await body_of(request), Placement)
        placed = await self._run(self._storage.orders.place, store, order_id, placement)
        if not placed.changed:
            return json_answer(placed)
        await self._ring(FeedId(Feed.ORDERS, store))
        return json_answer(placed, HTTPStatus.CREATED if placed.revision == 1 else HTTPStatus.OK)

    async def read_order(self, request: Request) -> Response:
        store, order_id = request.path_params["store"], request.path_params["order_id"]
        return json_answer(await self._run(self._storage.orders.status, store, order_id))

    async def request_cancel(self, request: Request) -> Response:
        lines = decode_or_default(await body_of(request), CancelRequest).lines
        return await self._say_of_order(request, partial(self._storage.orders.request_cancel, lines=lines))

    async def order_arrival(self, request: Request) -> Response:
        arrival = decode(await body_of(request), Arrival)
        return await self._say_of_order(request, partial(self._storage.orders.arrive, arrival=arrival))

    async def order_answer(self, request: Request) -> Response:
        answer = decode(await body_of(request), SubstituteAnswer)
        return await self._say_of_order(request, partial(self._storage.orders.answer, answer=answer))

    async def reassign_order(self, request: Request) -> Response:
        return await self._say_of_order(request, self._storage.orders.reassign)

    async def label_parcel(self, request: Request) -> Response:
        label, parcel = decode(await body_of(request), ParcelLabelIn), request.path_params["parcel"]
        return await self._say_of_order(request, partial(self._storage.orders.label_parcel, parcel_id=parcel,
                                                         label=label))

    async def _say_of_order(self, request: Request, say: Callable[[str, str], OrderStatus]) -> Response:
        """Something the hub says of an order; the store hears it by its feed."""
        store = request.path_params["store"]
        status = await self._run(say, store, request.path_params["order_id"])
        await self._ring(FeedId(Feed.ORDERS, store))
        return json_answer(status)

    async def put_catalogue(self, request: Request) -> Response:
        """Items and prices in one transaction."""
        catalogue = await self._run(decode, await body_of(request), Catalogue)
        return json_answer(await self._put(zone(request), catalogue))

    async def put_items(self, request: Request) -> Response:
        items = await self._run(decode, await body_of(request), tuple[Item, ...])
        return json_answer((await self._put(zone(request), Catalogue(items=items))).items)

    async def put_prices(self, request: Request) -> Response:
        prices = await self._run(decode, await body_of(request), tuple[PriceEntry, ...])
        return json_answer((await self._put(zone(request), Catalogue(prices=prices))).prices)

    async def put_promotions(self, request: Request) -> Response:
        promotions = await self._run(decode, await body_of(request), tuple[PromotionIn, ...])
        return json_answer((await self._put(zone(request), Catalogue(promotions=promotions))).promotions)

    async def put_overlay(self, request: Request) -> Response:
        """Rows of this store that win over its zone's."""
        catalogue, store = await self._run(decode, await body_of(request), Catalogue), request.path_params["store"]
        written = await self._run(self._storage.catalogue.put_overlay, store, catalogue)
        self._ring_written(FeedId(Feed.OVERLAY, store), written)
        return json_answer(written)

    async def delete_overlay(self, request: Request) -> Response:
        """The zone's row holds again."""
        store, key = request.path_params["store"], request.path_params["key"]
        return await self._delete(FeedId(Feed.OVERLAY, store), f"{request.path_params['feed']}/{key}")

    async def put_task(self, request: Request) -> Response:
        store, task_id = request.path_params["store"], request.path_params["task_id"]
        written = await self._run(self._storage.tasks.put, store, task_id, decode(await body_of(request), TaskIn))
        self._ring_written(FeedId(Feed.TASKS, store), written)
        return json_answer(written)

    async def withdraw_task(self, request: Request) -> Response:
        store, task_id = request.path_params["store"], request.path_params["task_id"]
        written = await self._run(self._storage.tasks.withdraw, store, task_id)
        self._ring_written(FeedId(Feed.TASKS, store), written)
        return json_answer(written)

    async def delete_promotion(self, request: Request) -> Response:
        return await self._delete(FeedId(Feed.PROMOTIONS, zone(request)), request.path_params["key"])

    async def delete_item(self, request: Request) -> Response:
        return await self._delete(FeedId(Feed.ITEMS, zone(request)), request.path_params["key"])

    async def delete_price(self, request: Request) -> Response:
        return await self._delete(FeedId(Feed.PRICES, zone(request)), request.path_params["key"])

    async def put_policy(self, request: Request) -> Response:
        policy = decode(await body_of(request), Policy)
        written = await self._run(self._storage.catalogue.put_policy, zone(request), policy)
        self._ring_written(FeedId(Feed.POLICY, zone(request)), written)
        return json_answer(written)

    async def _put(self, zone_id: str, catalogue: Catalogue) -> Imported:
        imported = await self._run(self._storage.catalogue.put, zone_id, catalogue)
        self._ring_written(FeedId(Feed.ITEMS, zone_id), imported.items)
        self._ring_written(FeedId(Feed.PRICES, zone_id), imported.prices)
        self._ring_written(FeedId(Feed.PROMOTIONS, zone_id), imported.promotions)
        return imported

    async def _delete(self, feed: FeedId, key: str) -> Response:
        written = await self._run(self._storage.catalogue.delete, feed, key)
        self._ring_written(feed, written)
        return json_answer(written)

    def _ring_written(self, feed: FeedId, written: Written) -> None:
        if written.changed:
            self._bells.ring(feed, written.offset)

    async def _ring(self, feed: FeedId) -> None:
        self._bells.ring(feed, (await self._run(self._storage.head, feed)).offset)

    async def _log_of(self, request: Request) -> FeedId:
        """The log that the path names. Raises `NotFound`."""
        return await self._run(self._storage.log_of, request.path_params["store"], _feed(request))

    async def _page_when_grown(self, store: str, feed: Feed, after: Cursor | None, wait_s: int, *,
                               snapshots: bool) -> Page:
        """The next page, or an empty one after `wait_s`."""
        clock = asyncio.get_running_loop().time
        deadline_s = clock() + wait_s
        rings = self._bells.rings
        log, page = await self._run(self._storage.poll, store, feed, after, snapshots)
        while not (page.records or page.checkpoint.whole) and (left_s := deadline_s - clock()) > 0:
            ring = self._bells.next_ring(log, page.checkpoint.offset)
            if self._bells.rings == rings:  # none while the database was asked
                if not await self._bells.wait(ring, min(left_s, self._recheck_s)):
                    return page
                if not ring.is_set() and clock() >= deadline_s:
                    return page
            rings = self._bells.rings
            page = await self._look_again(log, after, rings)
        return page

    async def _look_again(self, log: FeedId, after: Cursor | None, rings: int) -> Page:
        """What has come to a log. Stores of a zone that wait at one place share a look, begun after that ring."""
        if log.feed in STORE_FEED_NAMES:
            return await self._run(self._storage.poll_again, log, after)
        place = (log, after, rings)
        looking = self._looking.get(place)
        if looking is None:
            looking = self._looking[place] = asyncio.ensure_future(self._run(self._storage.poll_again, log, after))
            looking.add_done_callback(lambda _: self._looking.pop(place, None))
        return await asyncio.shield(looking)

    def _guarded(self, endpoint: Endpoint) -> Callable[[Request], Awaitable[Response]]:
        """The handler behind its access check, its body limit and the translation of errors."""
        handler: Callable[[Request], Awaitable[Response]] = getattr(self, endpoint.handler)

        async def guarded(request: Request) -> Response:
            try:
                request.state.body_max_bytes = endpoint.body_max_bytes
                if any("\0" in part for part in request.path_params.values()):
                    raise NotFound("nothing here has a NUL character in its name")
                refusal = await self._refusal(endpoint, request)
                return refusal if refusal else await handler(request)
            except HubError as error:
                return problem_of(error)
            except (OperationalError, InterfaceError) as error:
                self._log.error("database does not answer", path=endpoint.path, error=type(error.orig).__name__)
                return unavailable()

        return guarded

    async def _refusal(self, endpoint: Endpoint, request: Request) -> Response | None:
        principal = await self._principal(request) if endpoint.roles else None
        request.state.principal = principal
        if endpoint.admits(principal, request.path_params.get("store"), request.path_params.get("connector")):
            return None
        if principal is None:
            return problem(HTTPStatus.UNAUTHORIZED, "a bearer token that this hub knows is needed",
                           headers={"WWW-Authenticate": "Bearer"})
        return problem(HTTPStatus.FORBIDDEN, f"a {principal.role} may not do this here")

    async def _principal(self, request: Request) -> Principal | None:
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not token:
            return None
        stores = self._storage.stores
        return stores.recognize(token.strip()) or await self._run(stores.authenticate, token.strip())


def _feed(request: Request) -> Feed:
    """Raises `NotFound`."""
    try:
        return Feed(request.path_params["feed"])
    except ValueError as error:
        raise NotFound(f"there is no feed of that name: {', '.join(Feed)}") from error


def _page_response(page: Page, compress: bool) -> Response:
    """Called through the executor when there are many records: a page may be megabytes."""
    body = encode_page(page.with_checkpoint())
    if compress and len(body) >= COMPRESS_FROM_BYTES:
        headers = {"Content-Encoding": "gzip", "Vary": "Accept-Encoding"}
        return Response(gzip.compress(body, _GZIP_LEVEL, mtime=0), headers=headers, media_type=NDJSON)
    return Response(body, media_type=NDJSON)


def _tagged(request: Request, body: bytes, tag: str, media_type: str, caching: str) -> Response:
    """Bytes that are named by their content; who has them already gets 304."""
    headers = {"ETag": tag, "Cache-Control": caching}
    if tag in request.headers.get("if-none-match", ""):
        return Response(status_code=int(HTTPStatus.NOT_MODIFIED), headers=headers)
    return Response(body, headers=headers, media_type=media_type)


async def _http_problem(_request: Request, error: Exception) -> Response:
    """No such route, or not with this method."""
    assert isinstance(error, HTTPException)
    return problem(HTTPStatus(error.status_code), error.detail, headers=error.headers)
