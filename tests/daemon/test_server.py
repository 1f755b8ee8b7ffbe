"""A listener on its way out: what it began it finishes, within a bound, and nobody new is let in."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from edge.limits import JOINED_WRITES_BYTES, PART_STOP_S, SHUTDOWN_S
from edge.pos.joined_writes import JoinedWrites
from edge.pos.server import HttpServer, bind


class Shop:
    """Answers once it is told to."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()
        self.answer = asyncio.Event()

    async def handle(self, _request: Request) -> Response:
        self.asked.set()
        await self.answer.wait()
        return Response("sold")


@contextlib.asynccontextmanager
async def serving(shop: Shop) -> AsyncIterator[tuple["asyncio.Task[None]", httpx.AsyncClient]]:
    """A server at work, and somebody who may ask it."""
    listener = bind("127.0.0.1", 0)
    server = HttpServer(Starlette(routes=[Route("/", shop.handle)]), listener, None)
    task = asyncio.create_task(server.run())
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{listener.getsockname()[1]}", timeout=20) as client:
        yield task, client
    listener.close()


async def test_what_was_asked_before_the_stop_is_answered() -> None:
    shop = Shop()
    async with serving(shop) as (server, client):
        asking = asyncio.create_task(client.get("/"))
        await shop.asked.wait()

        server.cancel()
        await asyncio.sleep(0.5)
        assert not server.done()
        shop.answer.set()

        assert (await asking).text == "sold"
        with pytest.raises(asyncio.CancelledError):
            await server


async def test_p10_a_request_that_does_not_end_cannot_hold_the_stop_for_longer_than_its_bound() -> None:
    shop, loop = Shop(), asyncio.get_running_loop()
    async with serving(shop) as (server, client):
        asking = asyncio.create_task(client.get("/"))
        await shop.asked.wait()

        began_s = loop.time()
        server.cancel()
        with pytest.raises(asyncio.CancelledError):
            await server

        assert SHUTDOWN_S <= loop.time() - began_s < PART_STOP_S
        with pytest.raises(httpx.HTTPError):
            (await asking).raise_for_status()


async def test_an_idle_connection_holds_nothing_up() -> None:
    shop, loop = Shop(), asyncio.get_running_loop()
    shop.answer.set()
    async with serving(shop) as (server, client):
        assert (await client.get("/")).text == "sold"
        began_s = loop.time()
        server.cancel()
        await asyncio.wait([server])
        assert loop.time() - began_s < 1.0


class Wire(asyncio.Transport):
    """What the connection was given, write by write."""

    def __init__(self) -> None:
        super().__init__()
        self.writes: list[bytes] = []
        self.closed_after: int | None = None

    def write(self, data: "bytes | bytearray | memoryview") -> None:
        self.writes.append(bytes(data))

    def close(self) -> None:
        self.closed_after = len(self.writes)

    def abort(self) -> None:
        self.closed_after = len(self.writes)


async def test_what_is_written_in_one_turn_leaves_in_one_piece_and_in_order() -> None:
    wire = Wire()
    joined = JoinedWrites(wire, asyncio.get_running_loop())
    joined.write(b"head ")
    joined.write(b"body")
    assert wire.writes == []
    await asyncio.sleep(0)
    joined.write(b" more")
    await asyncio.sleep(0)
    assert wire.writes == [b"head body", b" more"]


async def test_what_was_written_leaves_before_a_connection_closes() -> None:
    wire = Wire()
    joined = JoinedWrites(wire, asyncio.get_running_loop())
    joined.write(b"bye")
    joined.close()
    await asyncio.sleep(0)
    assert (wire.writes, wire.closed_after) == ([b"bye"], 1)


async def test_p10_an_answer_in_many_pieces_does_not_pile_up() -> None:
    wire = Wire()
    joined = JoinedWrites(wire, asyncio.get_running_loop())
    for _ in range(20):
        joined.write(bytes(JOINED_WRITES_BYTES // 4))
    assert [len(each) for each in wire.writes] == [JOINED_WRITES_BYTES] * 5
    joined.write(b"never")
    joined.abort()
    await asyncio.sleep(0)
    assert len(wire.writes) == 5
