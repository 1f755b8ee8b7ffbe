"""Reading requests: bounded bodies, numbers, cursors. Every mistake is the caller's and is told plainly."""

import re
import zlib
from typing import TypeVar

import msgspec
from starlette.requests import Request

from cloud_sync.contract.feeds import Cursor
from cloud_sync.hub.errors import Rejected, TooLarge
from cloud_sync.hub.limits import INTEGER_MAX
from cloud_sync.hub.names import DEFAULT_ZONE

_GZIP_WINDOW = 31  # zlib's number for "gzip header, largest window"
_NUMBER = re.compile(r"[0-9]{1,19}")

Body = TypeVar("Body")


async def read_body(request: Request, bytes_max: int) -> bytes:
    """The body, unpacked when it came as gzip. Raises `TooLarge` beyond `bytes_max` after unpacking."""
    encoding = request.headers.get("content-encoding", "identity").lower()
    if encoding not in ("identity", "gzip"):
        raise Rejected(f"content encoding {encoding[:20]!r} is not understood: send gzip or none")
    unpacker = zlib.decompressobj(_GZIP_WINDOW) if encoding == "gzip" else None
    body = bytearray()
    async for chunk in request.stream():
        try:
            body += unpacker.decompress(chunk, bytes_max + 1 - len(body)) if unpacker else chunk
        except zlib.error as error:
            raise Rejected(f"body: not gzip ({error})") from error
        if len(body) > bytes_max:
            raise TooLarge(f"the body has more than {bytes_max} bytes")
    if unpacker and not unpacker.eof:
        raise Rejected("body: the gzip stream ends early")
    return bytes(body)


def decode(body: bytes, type_: type[Body]) -> Body:
    """Raises `Rejected` saying where the body is not what is wanted, without repeating any of it."""
    try:
        return msgspec.json.decode(body, type=type_)
    except msgspec.MsgspecError as error:
        raise Rejected(f"body: {error}") from error
    except UnicodeDecodeError as error:
        raise Rejected("body: not UTF-8") from error


def decode_or_default(body: bytes, type_: type[Body]) -> Body:
    """The same; nothing at all means what the type says by itself."""
    return decode(body or b"{}", type_)


def number(request: Request, name: str, otherwise: int) -> int:
    """A query parameter from 0 to 2**63 - 1. Raises `Rejected`."""
    text = request.query_params.get(name, "")
    if not text:
        return otherwise
    if not _NUMBER.fullmatch(text) or int(text) > INTEGER_MAX:
        raise Rejected(f"{name} is not a whole number from 0 to 2**63 - 1")
    return int(text)


def cursor(request: Request) -> Cursor | None:
    """`generation` and `after`, or neither: then the feed starts from its beginning. Raises `Rejected`."""
    generation = request.query_params.get("generation", "")
    if not generation and not request.query_params.get("after"):
        return None
    if not generation or not request.query_params.get("after"):
        raise Rejected("a cursor is `generation` and `after` together")
    if "\0" in generation:
        raise Rejected("a generation holds no NUL character")
    return Cursor(generation, number(request, "after", 0))


def zone(request: Request) -> str:
    """Which zone's catalogue or policy is meant."""
    return request.query_params.get("zone") or DEFAULT_ZONE
