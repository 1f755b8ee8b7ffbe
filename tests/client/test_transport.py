"""HTTP over real sockets: what a server, a proxy or a bad line can do to one request."""

import asyncio
import gzip
import random
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest
import trustme

from cloud_sync.client import transport
from cloud_sync.client.errors import BadAnswer, LineDown, Refused
from cloud_sync.client.session import HubLink
from cloud_sync.client.transport import Channel, HubAddress
from tests.client.fakes import FakeStore

Serve = Callable[[bytes, bytes, asyncio.StreamWriter], Awaitable[None]]
"""Gets a request's head and body, and writes whatever it likes."""


@asynccontextmanager
async def server(serve: Serve, tls: ssl.SSLContext | None = None) -> AsyncIterator[str]:
    """A server on a free loopback port; gives its base URL."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                lengths = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
                body = await reader.readexactly(int(lengths[0].split(b":")[1])) if lengths else b""
                await serve(head, body, writer)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass
        finally:
            writer.close()

    running = await asyncio.start_server(handle, "127.0.0.1", 0, ssl=tls)
    port = running.sockets[0].getsockname()[1]
    try:
        yield f"{'https' if tls else 'http'}://127.0.0.1:{port}"
    finally:
        running.close()


@asynccontextmanager
async def channel(url: str, connections_max: int = 4, authority: Path | None = None) -> AsyncIterator[Channel]:
    made = Channel(HubAddress(url, "token", certificate_authority=authority), "test", connections_max)
    try:
        yield made
    finally:
        await made.close()


def answer(body: bytes = b"{}", status: str = "200 OK", *headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def saying(*pieces: bytes) -> Serve:
    async def serve(_head: bytes, _body: bytes, writer: asyncio.StreamWriter) -> None:
        for piece in pieces:
            writer.write(piece)

    return serve


def saying_and_closing(*pieces: bytes) -> Serve:
    async def serve(_head: bytes, _body: bytes, writer: asyncio.StreamWriter) -> None:
        for piece in pieces:
            writer.write(piece)
        writer.close()

    return serve


async def test_a_request_carries_the_credential_and_packs_a_long_body() -> None:
    seen: list[tuple[bytes, bytes]] = []

    async def serve(head: bytes, body: bytes, writer: asyncio.StreamWriter) -> None:
        seen.append((head.lower(), body))
        writer.write(answer(b'{"a":1}'))

    async with server(serve) as url, channel(url) as line:
        reply = await line.request("POST", "/v1/short", body=b"{}", query={"after": "7", "generation": "a b&c"})
        assert (reply.status, reply.body) == (200, b'{"a":1}')
        await line.request("POST", "/v1/long", body=b"x" * 5000)
    (short_head, short), (long_head, long) = seen
    assert short_head.startswith(b"post /v1/short?after=7&generation=a+b%26c ")
    assert b"authorization: bearer token" in short_head
    assert b"content-encoding" not in short_head
    assert short == b"{}"
    assert b"content-encoding: gzip" in long_head
    assert gzip.decompress(long) == b"x" * 5000


async def test_a_packed_answer_is_unpacked() -> None:
    packed = gzip.compress(b"page" * 1000)
    async with server(saying(answer(packed, "200 OK", "Content-Encoding: gzip"))) as url, channel(url) as line:
        assert (await line.request("GET", "/")).body == b"page" * 1000


@pytest.mark.parametrize("pieces", [
    (answer(b"x" * 100_000),),
    (answer(gzip.compress(b"\0" * 2**26), "200 OK", "Content-Encoding: gzip"),),
], ids=["long", "gzip bomb"])
async def test_p10_an_answer_beyond_its_bound_is_no_answer(pieces: tuple[bytes, ...]) -> None:
    async with server(saying(*pieces)) as url, channel(url) as line:
        with pytest.raises(BadAnswer, match="more than 50000 bytes"):
            await line.request("GET", "/", bytes_max=50_000)


async def test_p10_of_an_endless_error_only_the_beginning_is_read() -> None:
    endless = b"HTTP/1.1 500 Oh\r\nContent-Length: 99999999999\r\n\r\n" + b"x" * 2**20
    async with server(saying(endless)) as url, channel(url) as line:
        with pytest.raises(LineDown, match="HTTP 500"):
            await line.request("GET", "/")


@pytest.mark.parametrize("cut", [
    b"", b"HTTP/1.1 200", b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n",
    answer(gzip.compress(b"page" * 1000)[:-4] + b"????", "200 OK", "Content-Encoding: gzip"),
    b"SSH-2.0-OpenSSH\r\n",
], ids=["nothing", "status cut", "body cut", "chunks cut", "bad gzip", "not HTTP"])
async def test_an_answer_cut_in_the_middle_is_a_line_down(cut: bytes) -> None:
    async with server(saying_and_closing(cut)) as url, channel(url) as line:
        with pytest.raises(LineDown):
            await line.request("GET", "/")


async def test_nobody_there_is_a_line_down() -> None:
    async with server(saying(b"")) as url:
        pass
    async with channel(url) as line:
        with pytest.raises(LineDown, match="ConnectError"):
            await line.request("GET", "/")


async def test_a_silent_hub_ends_by_time_out_and_the_client_lives_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport, "ANSWER_S", 0.1)
    silent = True

    async def serve(_head: bytes, _body: bytes, writer: asyncio.StreamWriter) -> None:
        if not silent:
            writer.write(answer())

    async with server(serve) as url, channel(url, connections_max=1) as line:
        for _ in range(5):
            with pytest.raises(LineDown, match="ReadTimeout"):
                await line.request("GET", "/")
        silent = False
        assert (await line.request("GET", "/")).status == 200


async def test_a_poll_may_be_held_as_long_as_it_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport, "ANSWER_S", 0.1)

    async def serve(_head: bytes, _body: bytes, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(0.3)
        writer.write(answer())

    async with server(serve) as url, channel(url) as line:
        assert (await line.request("GET", "/", hold_s=1)).status == 200


async def test_a_body_that_drips_for_ever_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport, "BODY_S_MAX", 0.3)
    arrived = []

    async def serve(_head: bytes, _body: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
        for _ in range(1000):
            writer.write(b".")
            await asyncio.sleep(0.02)

    async with server(serve) as url, channel(url) as line:
        with pytest.raises(LineDown, match="no answer in time"):
            await line.request("GET", "/", arrived=lambda: arrived.append(1))
    assert len(arrived) > 3, "each piece counts as progress"


async def test_httpcore_1093_a_leaked_place_in_the_pool_costs_one_request(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport, "POOL_S", 0.1)
    async with server(saying(answer())) as url, channel(url, connections_max=1) as line:
        await line.request("GET", "/")
        assert line._lease is not None
        client = line._lease.client
        leaked = await client.send(client.build_request("GET", "/"), stream=True)  # nobody ever closes this answer
        with pytest.raises(LineDown, match="the client is replaced"):
            await line.request("GET", "/")
        for _ in range(3):
            assert (await line.request("GET", "/")).status == 200
        assert client.is_closed
        assert leaked.status_code == 200


async def test_httpcore_1093_a_client_whose_request_had_to_be_cancelled_is_not_used_again(
        monkeypatch: pytest.MonkeyPatch) -> None:
    async with server(saying(b"")) as url, channel(url) as line:
        told_to_stop = asyncio.create_task(line.request("GET", "/"))
        await asyncio.sleep(0.1)
        told_to_stop.cancel()
        with pytest.raises(asyncio.CancelledError):
            await told_to_stop
        assert line._lease is None
        monkeypatch.setattr(transport, "REQUEST_S_MAX", 0.1)
        with pytest.raises(LineDown, match="no answer in time"):
            await line.request("GET", "/")
        assert line._lease is None


async def test_a_replaced_client_lets_its_other_requests_finish(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport, "POOL_S", 0.1)

    async def serve(_head: bytes, _body: bytes, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(0.4)
        writer.write(answer(b'"late"'))

    async with server(serve) as url, channel(url, connections_max=1) as line:
        slow = asyncio.create_task(line.request("GET", "/slow"))
        await asyncio.sleep(0.05)
        with pytest.raises(LineDown, match="the client is replaced"):
            await line.request("GET", "/")
        again = asyncio.create_task(line.request("GET", "/"))
        assert (await slow).body == b'"late"'
        assert (await again).body == b'"late"'


@pytest.mark.parametrize(("status", "headers", "retry_after_s"), [
    ("429 Slow Down", ["Retry-After: 17"], 17),
    ("503 Later", ["Retry-After: Wed, 21 Oct 2026 07:28:00 GMT", "Date: Wed, 21 Oct 2026 07:27:30 GMT"], 30),
    ("503 Later", ["Retry-After: Wed, 21 Oct 2026 07:28:00 GMT", "Date: Wed, 21 Oct 2026 07:29:30 GMT"], 0),
    ("503 Later", ["Retry-After: Wed, 21 Oct 2026 07:28:00 GMT"], 0),
    ("503 Later", ["Retry-After: soon"], 0),
    ("503 Later", ["Retry-After: -5"], 0),
    ("503 Later", ["Retry-After: \u00b2".encode("latin-1").decode("latin-1")], 0),
    ("500 Oh", [], 0),
    ("408 Too Slow", [], 0),
    ("599 Whatever", [], 0),
])
async def test_what_may_work_later_is_a_line_down(status: str, headers: list[str], retry_after_s: float) -> None:
    async with server(saying(answer(b"", status, *headers))) as url, channel(url) as line:
        with pytest.raises(LineDown, match=f"HTTP {status[:3]}") as caught:
            await line.request("GET", "/")
    assert caught.value.retry_after_s == retry_after_s


@pytest.mark.parametrize(("status", "credential"), [("401 Who", True), ("403 No", True), ("400 What", False),
                                                    ("404 Where", False), ("413 Much", False), ("422 Why", False)])
async def test_a_refusal_carries_the_hubs_own_words(status: str, credential: bool) -> None:
    problem = answer(b'{"title":"T","detail":"because of this","errors":[1]}', status,
                     "Content-Type: application/problem+json; charset=utf-8")
    async with server(saying(problem)) as url, channel(url) as line:
        with pytest.raises(Refused, match="because of this") as caught:
            await line.request("GET", "/")
    assert caught.value.status == int(status[:3])
    assert caught.value.credential is credential


@pytest.mark.parametrize("body", [b"<html>no</html>", b"\xff\xfe", b"[1]", b'{"detail":5}'])
async def test_a_problem_that_is_none_leaves_the_status(body: bytes) -> None:
    sent = answer(body, "403 No", "Content-Type: application/problem+json")
    async with server(saying(sent)) as url, channel(url) as line:
        with pytest.raises(Refused, match=r"^HTTP 403$"):
            await line.request("GET", "/")


@pytest.mark.parametrize("status", ["302 Found", "204 No Content", "201 Created", "206 Partial"])
async def test_any_other_status_is_no_answer_of_a_hub(status: str) -> None:
    async with server(saying(answer(b"", status, "Location: http://portal/"))) as url, channel(url) as line:
        with pytest.raises(BadAnswer, match=f"HTTP {status[:3]}"):
            await line.request("GET", "/")


async def test_p11_only_a_hub_that_our_own_authority_vouches_for_is_spoken_to(tmp_path: Path) -> None:
    authority, other = trustme.CA(), trustme.CA()
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1").configure_cert(tls)
    authority.cert_pem.write_to_path(str(tmp_path / "ours.pem"))
    other.cert_pem.write_to_path(str(tmp_path / "other.pem"))
    async with server(saying(answer()), tls) as url:
        async with channel(url, authority=tmp_path / "ours.pem") as line:
            assert (await line.request("GET", "/")).status == 200
        for path in (tmp_path / "other.pem", None):
            async with channel(url, authority=path) as line:
                with pytest.raises(LineDown, match="certificate verify failed"):
                    await line.request("GET", "/")
        async with channel(url, authority=tmp_path / "missing.pem") as line:
            with pytest.raises(LineDown, match="FileNotFoundError"):
                await line.request("GET", "/")


async def test_proxies_and_netrc_of_the_environment_are_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:9")
    async with server(saying(answer())) as url, channel(url) as line:
        assert (await line.request("GET", "/")).status == 200


async def test_an_in_process_hub_that_never_answers_is_given_up_and_stays_the_callers() -> None:
    closed = False

    class Stuck(httpx.AsyncBaseTransport):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            if "stuck" in request.url.path:
                await asyncio.sleep(3600)
            return httpx.Response(200, content=b"{}")

        async def aclose(self) -> None:
            nonlocal closed
            closed = True

    line = Channel(HubAddress("http://hub", "token", transport=Stuck()), "test", 1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(transport, "REQUEST_S_MAX", 0.1)
        with pytest.raises(LineDown, match="no answer in time"):
            await line.request("GET", "/stuck")
    assert (await line.request("GET", "/")).status == 200
    await line.close()
    assert not closed


async def test_a_line_that_ends_leaves_no_connection_open() -> None:
    open_now: set[asyncio.StreamWriter] = set()

    async def serve(_head: bytes, _body: bytes, writer: asyncio.StreamWriter) -> None:
        open_now.add(writer)
        writer.write(answer(b"", "503 Later"))

    store = FakeStore()
    async with server(serve) as url:
        link = HubLink(store_id="s", address=HubAddress(url, "token"), store=store, randomness=random.Random(1),
                       wall_ms=lambda: 0)
        task = asyncio.create_task(link.run())
        async with asyncio.timeout(5):
            while not open_now:  # noqa: ASYNC110 - the server tells nobody
                await asyncio.sleep(0.01)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        async with asyncio.timeout(5):
            while not all(writer.is_closing() for writer in open_now):  # noqa: ASYNC110 - the server tells nobody
                await asyncio.sleep(0.01)


def test_p11_an_address_does_not_show_its_token() -> None:
    assert "secret" not in repr(HubAddress("https://hub", "secret"))
