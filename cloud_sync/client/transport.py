"""HTTP to the hub: one bounded client per channel, answers in, three kinds of failure out. Nothing of the protocol.

Cancelling a request can leak a place in httpx's pool for ever (httpcore #1093; engineering.md 1.9). So requests end
by time-outs of httpx; where one hangs all the same, it is given up together with its client.
"""

import asyncio
import contextlib
import gzip
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from pathlib import Path

import httpx
import msgspec
import structlog

from cloud_sync.client.errors import BadAnswer, LineDown, Refused
from cloud_sync.client.limits import (
    ANSWER_BYTES_MAX,
    ANSWER_S,
    BODY_S_MAX,
    CLOSE_S,
    CONNECT_S,
    GZIP_FROM_BYTES,
    POOL_S,
    PROBLEM_CHARACTERS_MAX,
    REQUEST_S_MAX,
    SEND_S,
)
from cloud_sync.client.loop import now_s

_GZIP_LEVEL = 1
_TRY_AGAIN = frozenset({HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_EARLY, HTTPStatus.TOO_MANY_REQUESTS})


@dataclass(frozen=True, slots=True)
class HubAddress:
    """Where the hub is and how to prove who we are.

    `certificate_authority`: PEM file that vouches for the hub, `None` for the system's. `transport`: an in-process
    hub for tests and simulators; it stays the caller's and is never closed here.
    """

    base_url: str
    token: str = field(repr=False)
    certificate_authority: Path | None = None
    transport: httpx.AsyncBaseTransport | None = None


@dataclass(frozen=True, slots=True)
class Reply:
    """A whole answer: 200, or 409, which the protocol gives a meaning. `said`: what a problem document says."""

    status: int
    body: bytes
    said: str = ""


@dataclass(slots=True)
class _Lease:
    """One client and how many requests are on it; once retired, the last one closes it."""

    client: httpx.AsyncClient
    users: int = 0
    retired: bool = False


class Channel:
    """One kind of traffic with its own client, so that no kind can starve another."""

    def __init__(self, address: HubAddress, name: str, connections_max: int) -> None:
        self._address = address
        self._name = name
        self._connections_max = connections_max
        self._lease: _Lease | None = None
        self._log = structlog.get_logger("hub_link")

    async def request(self, method: str, path: str, *, query: Mapping[str, str] | None = None,
                      body: bytes | None = None, hold_s: float = 0, bytes_max: int = ANSWER_BYTES_MAX,
                      arrived: Callable[[], None] = lambda: None) -> Reply:
        """One request and its whole answer. `hold_s`: how long the hub may hold it before it answers at all;
        `arrived` is called at each piece of the answer.

        Raises `LineDown`, `Refused`, `BadAnswer`.
        """
        lease = self._lease = self._lease or _Lease(self._client())
        lease.users += 1
        try:
            request = self._build(lease.client, method, path, query, body, hold_s)
            return await _exchange(lease.client, request, hold_s + REQUEST_S_MAX, bytes_max, arrived)
        except httpx.PoolTimeout as error:
            self._retire(lease)
            raise LineDown("no free connection: the client is replaced") from error
        except TimeoutError as error:
            self._retire(lease)
            raise LineDown("no answer in time") from error
        except (httpx.HTTPError, httpx.StreamError, OSError) as error:
            raise LineDown(_said(error)) from error
        except (LineDown, Refused, BadAnswer):
            raise
        except BaseException:
            self._retire(lease)
            raise
        finally:
            lease.users -= 1
            await self._close_if_done(lease)

    async def close(self) -> None:
        """After the last request."""
        if self._lease is not None:
            lease = self._lease
            self._retire(lease)
            await self._close_if_done(lease)

    def _client(self) -> httpx.AsyncClient:
        """Environment variables (proxies, netrc) are not asked: the store's configuration says it all."""
        address = self._address
        limits = httpx.Limits(max_connections=self._connections_max, max_keepalive_connections=self._connections_max)
        headers = {"Authorization": f"Bearer {address.token}", "User-Agent": "trastienda-store",
                   "Accept": "application/json, application/x-ndjson"}
        verify: ssl.SSLContext | bool = False
        if address.transport is None and address.base_url.startswith("https:"):
            verify = _trust(address.certificate_authority)
        return httpx.AsyncClient(base_url=address.base_url, headers=headers, transport=address.transport,
                                 limits=limits, verify=verify, trust_env=False)

    @staticmethod
    def _build(client: httpx.AsyncClient, method: str, path: str, query: Mapping[str, str] | None,
               body: bytes | None, hold_s: float) -> httpx.Request:
        headers = {}
        if body is not None:
            headers["Content-Type"] = "application/json"
            if len(body) >= GZIP_FROM_BYTES:
                headers["Content-Encoding"] = "gzip"
                body = gzip.compress(body, _GZIP_LEVEL, mtime=0)
        timeout = httpx.Timeout(connect=CONNECT_S, read=hold_s + ANSWER_S, write=SEND_S, pool=POOL_S)
        return client.build_request(method, path, params=query, content=body, headers=headers, timeout=timeout)

    def _retire(self, lease: _Lease) -> None:
        """The next request gets a fresh client; those under way finish on the old one."""
        lease.retired = True
        if self._lease is lease:
            self._lease = None

    async def _close_if_done(self, lease: _Lease) -> None:
        if not lease.retired or lease.users > 0 or self._address.transport is not None:
            return
        with contextlib.suppress(TimeoutError, httpx.HTTPError, OSError):
            async with asyncio.timeout(CLOSE_S):
                await lease.client.aclose()


def _trust(authority: Path | None) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=authority)
    except OSError as error:
        raise LineDown(f"certificate authority {authority}: {_said(error)}") from error


async def _exchange(client: httpx.AsyncClient, request: httpx.Request, begin_s: float, bytes_max: int,
                    arrived: Callable[[], None]) -> Reply:
    """Send and read, with the deadlines that also hold for a transport without time-outs of its own.

    Raises `TimeoutError` when they pass.
    """
    async with asyncio.timeout(begin_s) as deadline:
        response = await client.send(request, stream=True)
        try:
            arrived()
            end_s = now_s() + BODY_S_MAX
            good = response.status_code in (HTTPStatus.OK, HTTPStatus.CONFLICT)
            body = bytearray()
            deadline.reschedule(now_s() + REQUEST_S_MAX)
            async for piece in response.aiter_bytes():
                arrived()
                deadline.reschedule(min(end_s, now_s() + REQUEST_S_MAX))
                body += piece
                if len(body) > (bytes_max if good else ANSWER_BYTES_MAX):
                    break
        finally:
            await response.aclose()
    return _reply(response, bytes(body), bytes_max)


def _reply(response: httpx.Response, body: bytes, bytes_max: int) -> Reply:
    """The answer by its status. Raises `LineDown`, `Refused`, `BadAnswer`."""
    status = response.status_code
    if status in (HTTPStatus.OK, HTTPStatus.CONFLICT):
        if len(body) > bytes_max:
            raise BadAnswer(f"the answer has more than {bytes_max} bytes")
        return Reply(status, body, _problem(response, body) if status == HTTPStatus.CONFLICT else "")
    if status in _TRY_AGAIN or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        raise LineDown(_problem(response, body), _retry_after_s(response))
    if status >= HTTPStatus.BAD_REQUEST:
        raise Refused(status, _problem(response, body))
    raise BadAnswer(f"HTTP {status} is no answer of a hub")


class _Problem(msgspec.Struct):
    """RFC 9457, as far as people read it."""

    title: str = ""
    detail: str = ""


def _problem(response: httpx.Response, body: bytes) -> str:
    """What the hub says is wrong; of anything that is no problem document only the status."""
    said = ""
    if response.headers.get("content-type", "").split(";")[0].endswith("json"):
        with contextlib.suppress(msgspec.MsgspecError, UnicodeDecodeError):
            problem = msgspec.json.decode(body, type=_Problem)
            said = problem.detail or problem.title
    return f"HTTP {response.status_code}{': ' if said else ''}{said[:PROBLEM_CHARACTERS_MAX]}"


def _retry_after_s(response: httpx.Response) -> float:
    """Seconds or a date, the latter against the answer's own Date: our clock may be wrong. 0 for anything else."""
    text = response.headers.get("retry-after", "").strip()
    if text.isascii() and text.isdigit():
        return float(text)
    try:
        asked = parsedate_to_datetime(text) - parsedate_to_datetime(response.headers.get("date", ""))
    except (TypeError, ValueError):
        return 0.0
    return max(0.0, asked.total_seconds())


def _said(error: Exception) -> str:
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
