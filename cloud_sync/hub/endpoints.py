"""Where events may be sent: the rule against requests forged through the hub. Pure.

An operator names the endpoints, so a chain's own networks are allowed; the hub's own machine and whatever answers on a
link only (cloud providers hand out credentials there) are not. Names are judged by the addresses they lead to, at
every attempt, and the connection goes to the address that was judged.
"""

import ipaddress

import httpx

from cloud_sync.hub.errors import Rejected
from cloud_sync.hub.limits import WEBHOOK_URL_MAX_CHARS

HTTPS, HTTP = "https", "http"

METADATA_ADDRESSES = frozenset(map(ipaddress.ip_address, ("100.100.100.200", "fd00:ec2::254")))
"""Where clouds hand out credentials, beside the link-local ones."""


def check_endpoint(url: str, *, trial: bool) -> None:
    """Raises `Rejected`. `trial`: the hub serves this machine only, so plain HTTP and loopback are fine."""
    if len(url) > WEBHOOK_URL_MAX_CHARS:
        raise Rejected(f"url has more than {WEBHOOK_URL_MAX_CHARS} characters")
    try:
        target = httpx.URL(url)
    except (httpx.InvalidURL, TypeError, ValueError) as error:
        raise Rejected("url is none") from error
    if target.scheme != HTTPS and not (trial and target.scheme == HTTP):
        raise Rejected("url: events are sent over https only")
    if not target.host or target.userinfo or target.fragment:
        raise Rejected("url: a host is needed, without user, password and fragment")
    if "\0" in url:
        raise Rejected("url holds a NUL character")
    if not trial and _is_address(target.host) and not may_be_called(target.host):
        raise Rejected(f"url: {target.host} is the hub's own machine or link")


def may_be_called(address: str) -> bool:
    """Whether an IP address may be an endpoint of a hub that serves others."""
    parsed = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(parsed, ipaddress.IPv6Address) and (inner := parsed.ipv4_mapped or parsed.sixtofour):
        parsed = inner
    return not (parsed.is_loopback or parsed.is_link_local or parsed.is_multicast or parsed.is_unspecified
                or parsed.is_reserved or parsed in METADATA_ADDRESSES)


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
