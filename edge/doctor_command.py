"""`trastienda doctor CONFIG`: asks the running daemon of this box, or else looks at its files without changing them."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import msgspec

from cloud_sync.client.transport import HubAddress
from cloud_sync.client.wire import HubCalls
from edge import settings as configuration
from edge.box_door import box_door
from edge.credentials import Credentials
from edge.db.books import derive_key
from edge.db.connection import Connection, connect
from edge.db.ledger import load_chain
from edge.doctor import Report, examine_files
from edge.enrolment import hub_credential
from edge.errors import Rejected
from edge.settings import Settings

EXAMINE_TIMEOUT_S = 600.0
"""Reading whole databases takes its time on a small box."""


async def examine(config: Path, credentials: Credentials, *, repair: bool) -> Report:
    """The report of the store that this file describes.

    Raises `Rejected` for a repair of a store that does not run, `ConfigurationError`, `ConnectionError`.
    """
    settings = configuration.load(config)
    credentials.require(configuration.credentials_of(settings))
    secret = credentials.text(settings.database_key)
    try:
        return await _ask(settings, credentials, repair=repair)
    except httpx.ConnectError as error:
        if repair:
            raise Rejected("the store is not running: start it, it repairs by itself; or run `doctor --repair` "
                           "while it runs") from error
    return await _look_at_files(settings, credentials, secret)


def as_text(report: Report) -> str:
    """The report for a person."""
    return "\n".join(_lines(report))


async def _ask(settings: Settings, credentials: Credentials, *, repair: bool) -> Report:
    async with box_door(settings, credentials, EXAMINE_TIMEOUT_S) as door:
        try:
            answer = await door.request("POST" if repair else "GET", "/v1/doctor")
            answer.raise_for_status()
            return msgspec.json.decode(answer.content, type=Report)
        except httpx.ConnectError:
            raise
        except (httpx.HTTPError, msgspec.MsgspecError) as error:
            raise ConnectionError(f"{door.base_url}: {error}: is this store's daemon running there?") from error


async def _look_at_files(settings: Settings, credentials: Credentials, secret: str) -> Report:
    directory = Path(settings.state_directory)

    def open_reader(name: str) -> Connection:
        path = directory / name
        if not path.exists():
            raise Rejected(f"{path}: there is no such file: this store has not run here yet")
        return connect(path, derive_key(secret, name), synchronous="NORMAL", read_only=True)

    ledger = open_reader("ledger.db")
    try:
        chain = load_chain(ledger, settings.store.id)
    finally:
        ledger.close()
    authority = Path(settings.hub.certificate_authority) if settings.hub.certificate_authority else None
    token = hub_credential(settings, credentials).token
    hub = HubCalls(HubAddress(settings.hub.url, token, authority), settings.store.id)
    try:
        return await examine_files(open_reader, hub, chain)
    finally:
        await hub.close()


def _lines(report: Report) -> Iterator[str]:
    yield "The store is running." if report.running else "The store is not running; its files were only read."
    for feed in report.feeds:
        state = {True: "equal", False: "DIFFERS", None: "not compared"}[feed.equal]
        lag = "" if feed.lag is None else f", {feed.lag} behind"
        yield f"{feed.feed}: {state}, at {feed.offset} of {feed.generation or 'nothing'}{lag}" + (
            f" ({feed.note})" if feed.note else "")
        if feed.buckets:
            yield f"  {len(feed.buckets)} buckets differ: {', '.join(feed.keys) or 'their sums alone'}"
        if feed.repaired:
            yield f"  {feed.repaired} rows were put right: {', '.join(feed.keys)}"
    for name, count in report.recounted.items():
        yield f"  recount of {name}: {count} rows or sums were wrong"
    for file in report.files:
        yield f"{file.file}: {file.integrity}"
    chain = "whole" if report.chain_broken_at is None else f"BROKEN at entry {report.chain_broken_at}"
    yield f"ledger: {report.entries_checked} entries hashed again, the chain is {chain}"
