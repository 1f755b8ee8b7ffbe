"""The line between store and hub, with everything that lines do: cut, slow, lost, doubled, late, cut short.

An httpx transport in the store's hands. Requests travel as a network carries them: once sent, one may arrive although
its sender has given up or died, twice, or after a later one.
"""

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

import httpx

from edge.proving.asgi import Answer, Question
from edge.proving.process import Gone
from edge.proving.servers import HubServer
from edge.proving.tally import Tally

PAGE_WITH_RECORDS_BYTES = 200
"""A feed page of a checkpoint alone is shorter."""

GHOST_DELAY_S_MAX = 30.0
"""A copy of a request arrives at most this long after its original."""

NEVER_S = 3600.0
"""How long a request hangs in a line that is cut in silence; the client has given up long before."""


class Fate(StrEnum):
    """What may happen to one exchange; the names are those of the report."""

    LOST = "hub_request_lost"
    REPLY_LOST = "hub_reply_lost"
    DUPLICATED = "hub_request_duplicated"
    LATE = "hub_request_late"
    SLOW = "hub_slow"
    CUT_SHORT = "hub_reply_cut_short"


@dataclass(frozen=True, slots=True)
class Weather:
    """`shares` of exchanges that meet each fate; `latency_s`: one way."""

    latency_s: tuple[float, float] = (0.005, 0.04)
    slow_s: tuple[float, float] = (1.0, 70.0)
    shares: tuple[tuple[Fate, float], ...] = ()


FINE = Weather()


class HubLine(httpx.AsyncBaseTransport):
    """See the module. `weather` may change at any time; `page_arrives` is called when a feed page brings something."""

    def __init__(self, hub: HubServer, randomness: random.Random, tally: Tally) -> None:
        self.weather = FINE
        self.page_arrives: Callable[[], None] = lambda: None
        self._hub = hub
        self._randomness = randomness
        self._tally = tally
        self._cut = False
        self._silent = False
        self._under_way: dict[asyncio.Future[Answer], None] = {}

    def cut(self, *, silent: bool) -> None:
        """Nothing passes. `silent`: nobody notices but by waiting."""
        self._cut, self._silent = True, silent
        if not silent:
            for exchange in tuple(self._under_way):
                _settle(exchange, httpx.ReadError("connection reset"))

    @property
    def is_cut(self) -> bool:
        """Whether the store stands alone."""
        return self._cut

    def mend(self) -> None:
        """The line is whole again; what hung in it stays lost."""
        self._cut = False

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """One exchange. Raises what httpx raises on a bad line."""
        question = Question(request.method, request.url.raw_path.decode(),
                            tuple((name.lower(), value) for name, value in request.headers.raw), await request.aread())
        await self._travel()
        fate = self._fate()
        if fate is Fate.LOST:
            raise httpx.ReadError("connection lost")
        if fate is Fate.LATE:
            self._arrive_later(question)
            raise httpx.ReadTimeout("no answer")
        if fate is Fate.DUPLICATED:
            self._arrive_later(question)
        answer = await self._exchange(question)
        if fate is Fate.SLOW:
            await asyncio.sleep(self._randomness.uniform(*self.weather.slow_s))
        await self._travel()
        if fate is Fate.REPLY_LOST:
            raise httpx.ReadError("connection lost")
        if request.method == "GET" and len(answer.body) >= PAGE_WITH_RECORDS_BYTES:
            self.page_arrives()
        return self._response(request, answer, fate)

    async def aclose(self) -> None:
        """Belongs to the world, not to one client."""

    async def _travel(self) -> None:
        await asyncio.sleep(self._randomness.uniform(*self.weather.latency_s))
        if self._cut:
            if self._silent:
                await asyncio.sleep(NEVER_S)
            raise httpx.ConnectError("no route")

    def _fate(self) -> Fate | None:
        point = self._randomness.random()
        for fate, share in self.weather.shares:
            point -= share
            if point < 0:
                self._tally.count(fate)
                return fate
        return None

    async def _exchange(self, question: Question) -> Answer:
        """The request at the hub. A hub that crashes breaks it, and so does a cut."""
        exchange: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        try:
            task = self._hub.take(question)
        except Gone:
            raise httpx.ConnectError("connection refused") from None
        task.add_done_callback(lambda done: self._arrived(exchange, done))
        self._under_way[exchange] = None
        try:
            return await exchange
        finally:
            self._under_way.pop(exchange, None)

    def _arrived(self, exchange: "asyncio.Future[Answer]", task: "asyncio.Task[Answer]") -> None:
        if task.cancelled():
            _settle(exchange, httpx.RemoteProtocolError("server disconnected"))
        elif (error := task.exception()) is not None:
            _settle(exchange, error)
        elif not self._cut and not exchange.done():
            exchange.set_result(task.result())

    def _arrive_later(self, question: Question) -> None:
        delay_s = self._randomness.uniform(0, GHOST_DELAY_S_MAX)
        asyncio.get_running_loop().call_later(delay_s, self._arrive, question)

    def _arrive(self, question: Question) -> None:
        try:
            self._hub.take(question)
        except Gone:
            return

    def _response(self, request: httpx.Request, answer: Answer, fate: Fate | None) -> httpx.Response:
        body = answer.body
        headers = [(name, value) for name, value in answer.headers if name != b"content-length"]
        if fate is Fate.CUT_SHORT and len(body) > 1:
            body = body[:self._randomness.randrange(1, len(body))]
        return httpx.Response(answer.status, headers=headers, content=body, request=request)


def _settle(exchange: "asyncio.Future[Answer]", error: BaseException) -> None:
    if not exchange.done():
        exchange.set_exception(error)
        exchange.exception()  # retrieved: its asker may have died
