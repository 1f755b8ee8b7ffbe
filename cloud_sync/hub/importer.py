"""`trastienda import FILE`: a catalogue file into the hub, all or nothing (DESIGN.md section 11).

The whole file is read and checked before anything is sent. Then either one request to a running hub, or one
transaction in its database when it does not run.
"""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import quote

import httpx
import msgspec

from cloud_sync.hub.catalogue import Imported
from cloud_sync.hub.catalogue_file import (
    CatalogueFile,
    ImportOptions,
    Progress,
    no_progress,
    read_catalogue,
)
from cloud_sync.hub.enrolment import CodeMade, CodeRequest
from cloud_sync.hub.errors import HubError, NotFound
from cloud_sync.hub.storage import HubStorage

IMPORT_TIMEOUT_S = 120
CODE_TIMEOUT_S = 20
SEND_CHUNK_BYTES = 64 * 1024


class HubUnreachable(HubError):
    """The hub did not answer, or answered with an error. Importing again is harmless."""


class ImportResult(msgspec.Struct, frozen=True):
    """What happened, for people and machines."""

    file: str
    rows: int
    currency: str
    items_changed: int
    items_unchanged: int
    prices_changed: int
    prices_unchanged: int
    warnings: tuple[str, ...]


def import_into(storage: HubStorage, path: Path, options: ImportOptions,
                progress: Progress = no_progress) -> ImportResult:
    """Import into an open database. Raises `ImportRejected`."""
    file = read_catalogue(path, options, progress)
    progress("write", 0, 1)
    imported = storage.catalogue.put(options.zone, file.catalogue)
    progress("write", 1, 1)
    return _result(file, imported)


async def import_over_http(client: httpx.AsyncClient, path: Path, options: ImportOptions,
                           progress: Progress = no_progress) -> ImportResult:
    """Import through a running hub; `client` has its base URL and the operator's token.

    Raises `ImportRejected`, or `HubUnreachable` when the hub did not take it.
    """
    file = read_catalogue(path, options, progress)
    body = msgspec.json.encode(file.catalogue)
    try:
        answer = await client.put("/v1/catalogue", params={"zone": options.zone}, timeout=IMPORT_TIMEOUT_S,
                                  content=_chunks(body, progress), headers={"Content-Type": "application/json"})
    except httpx.HTTPError as error:
        raise HubUnreachable(f"{client.base_url}: {type(error).__name__} {error}: nothing is known to be imported; "
                             "importing again is harmless") from error
    if answer.status_code != httpx.codes.OK:
        raise HubUnreachable(f"{client.base_url} answered {answer.status_code}: {_detail(answer)}")
    return _result(file, msgspec.json.decode(answer.content, type=Imported))


def import_through_hub(hub_url: str, token: str, path: Path, options: ImportOptions,
                       progress: Progress = no_progress) -> ImportResult:
    """`trastienda import FILE --hub URL`; see `import_over_http` for errors."""
    async def send() -> ImportResult:
        headers = {"Authorization": f"Bearer {token}"}
        async with httpx.AsyncClient(base_url=hub_url, headers=headers) as client:
            return await import_over_http(client, path, options, progress)

    return asyncio.run(send())


def code_through_hub(hub_url: str, token: str, store: str, valid_s: int) -> CodeMade:
    """`trastienda hub-enrolment STORE --hub URL`. Raises `HubUnreachable`, `NotFound`, `Rejected`."""
    path = f"{hub_url.rstrip('/')}/v1/stores/{quote(store, safe='')}/enrolment-codes"
    try:
        answer = httpx.post(path, headers={"Authorization": f"Bearer {token}"}, timeout=CODE_TIMEOUT_S,
                            content=msgspec.json.encode(CodeRequest(valid_s)))
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise HubUnreachable(f"{hub_url}: {type(error).__name__} {error}") from error
    if answer.status_code == httpx.codes.CREATED:
        return msgspec.json.decode(answer.content, type=CodeMade)
    if answer.status_code == httpx.codes.NOT_FOUND:
        raise NotFound(_detail(answer))
    raise HubUnreachable(f"{hub_url} answered {answer.status_code}: {_detail(answer)}")


def _result(file: CatalogueFile, imported: Imported) -> ImportResult:
    items, prices = imported.items, imported.prices
    return ImportResult(str(file.path), len(file.catalogue.items), file.currency, items.changed, items.unchanged,
                        prices.changed, prices.unchanged, file.warnings)


async def _chunks(body: bytes, progress: Progress) -> AsyncIterator[bytes]:
    for start in range(0, len(body), SEND_CHUNK_BYTES):
        yield body[start:start + SEND_CHUNK_BYTES]
        progress("send", min(start + SEND_CHUNK_BYTES, len(body)), len(body))


def _detail(answer: httpx.Response) -> str:
    """What the problem says, or the beginning of whatever came instead."""
    try:
        return str(msgspec.json.decode(answer.content, type=_Problem).detail)
    except msgspec.MsgspecError:
        return answer.text[:200]


class _Problem(msgspec.Struct):
    detail: str
