"""One attempt to tell one endpoint of one event. I/O only; what follows from the outcome is the courier's to say."""

import asyncio
import socket
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from http import HTTPStatus

import httpx

from cloud_sync.hub.endpoints import HTTPS, may_be_called
from cloud_sync.hub.happenings import MEDIA_TYPE
from cloud_sync.hub.limits import CONNECT_TIMEOUT_S, RETRY_AFTER_MAX_S, SEND_TIMEOUT_S

ADDRESSES_MAX = 4
"""Of a name; one after the other is tried until one takes the connection."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """`status` is 0 when there was no answer, and `error` says why. `retry_after_s`: for how long it wants peace."""

    status: int
    error: str = ""
    retry_after_s: float = 0.0

    @property
    def heard(self) -> bool:
        return self.status // 100 == 2

    @property
    def away(self) -> bool:
        """The endpoint, not the event, is what does not work."""
        return self.status in (0, HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.BAD_GATEWAY,
                               HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.GATEWAY_TIMEOUT)

    def __str__(self) -> str:
        return self.error or f"answered {self.status}"


class Sender:
    """`trial`: plain HTTP and this machine are fine. `trust`: who vouches for endpoints, `None` for the system's."""

    def __init__(self, *, trial: bool, trust: ssl.SSLContext | None = None) -> None:
        self._trial = trial
        # no connection is kept: the next name at the same address would be served over one that was proved to another
        limits = httpx.Limits(max_connections=None, max_keepalive_connections=0)
        self._http = httpx.AsyncClient(
            verify=trust or ssl.create_default_context(), follow_redirects=False, trust_env=False, limits=limits,
            timeout=httpx.Timeout(SEND_TIMEOUT_S, connect=CONNECT_TIMEOUT_S), headers={"User-Agent": "trastienda-hub"})

    async def close(self) -> None:
        await self._http.aclose()

    async def send(self, url: str, headers: Mapping[str, str], body: bytes, now_ms: int) -> Outcome:
        """At most `SEND_TIMEOUT_S`. Raises nothing of the network's. `now_ms`: for a `Retry-After` that is a date."""
        try:
            async with asyncio.timeout(SEND_TIMEOUT_S):
                return await self._send(httpx.URL(url), headers, body, now_ms)
        except TimeoutError:
            return Outcome(0, f"no answer within {SEND_TIMEOUT_S:g} s")
        except (httpx.HTTPError, OSError, ssl.SSLError) as error:
            return Outcome(0, f"{type(error).__name__}: {error}")

    async def _send(self, url: httpx.URL, headers: Mapping[str, str], body: bytes, now_ms: int) -> Outcome:
        if url.scheme != HTTPS and not self._trial:
            return Outcome(0, "events are sent over https only")
        addresses = await _resolve(url.host, url.port or (443 if url.scheme == HTTPS else 80))
        if not self._trial:
            addresses = [address for address in addresses if may_be_called(address)]
        if not addresses:
            return Outcome(0, f"{url.host} leads to no address that may be called")
        for address in addresses[:-1]:
            try:
                return await self._ask(url, address, headers, body, now_ms)
            except (httpx.ConnectError, httpx.ConnectTimeout):
                continue
        return await self._ask(url, addresses[-1], headers, body, now_ms)

    async def _ask(self, url: httpx.URL, address: str, headers: Mapping[str, str], body: bytes, now_ms: int) -> Outcome:
        """To this address, which was judged, whatever the name leads to by now; the certificate is the name's."""
        request = self._http.build_request(
            "POST", url.copy_with(host=address), content=body,
            headers={**headers, "Host": url.netloc.decode(), "Content-Type": MEDIA_TYPE},
            extensions={"sni_hostname": url.host})
        answer = await self._http.send(request, stream=True)
        await answer.aclose()  # nobody reads what it says: it may be endless
        return Outcome(answer.status_code, retry_after_s=retry_after_s(answer.headers.get("retry-after", ""), now_ms))


def retry_after_s(text: str, now_ms: int) -> float:
    """RFC 9110 section 10.2.3, in seconds from now, at most `RETRY_AFTER_MAX_S`; 0 for nothing or nonsense."""
    text = text.strip()
    if text.isascii() and text.isdecimal():
        wait_s = float(text[:12])
    else:
        try:
            wait_s = parsedate_to_datetime(text).timestamp() - now_ms / 1000
        except (TypeError, ValueError, OverflowError):
            return 0.0
    return max(0.0, min(wait_s, RETRY_AFTER_MAX_S))


async def _resolve(host: str, port: int) -> list[str]:
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(address[0]) for *_, address in found))[:ADDRESSES_MAX]
