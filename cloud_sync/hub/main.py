"""The hub process: composition of storage, HTTP server, housekeeping and doorbell. `edge/cli.py` calls what is here."""

import asyncio
import contextlib
import ipaddress
import os
import random
import signal
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

import msgspec
import structlog
import uvicorn
from starlette.applications import Starlette

from cloud_sync.hub.app import HubApp, Run
from cloud_sync.hub.bells import Bells
from cloud_sync.hub.catalogue_file import ImportOptions, Progress, no_progress
from cloud_sync.hub.courier import Courier
from cloud_sync.hub.credentials import BROKER_PASSWORD, OPERATOR_TOKEN, Credentials, find_credential, load_credentials
from cloud_sync.hub.database import POSTGRES_CONNECTIONS, parse_url
from cloud_sync.hub.doorbell import BrokerOptions, Doorbell, mqtt_connect
from cloud_sync.hub.enrolment import CodeMade
from cloud_sync.hub.errors import ConfigurationError
from cloud_sync.hub.feed_keeper import keep_feeds
from cloud_sync.hub.importer import ImportResult, code_through_hub, import_into, import_through_hub
from cloud_sync.hub.limits import CONNECTIONS_MAX, ERASE_EVERY_S, KEEP_ALIVE_S, RECHECK_S, WAIT_MAX_S
from cloud_sync.hub.sender import Sender
from cloud_sync.hub.silence import Silences, watch_silence
from cloud_sync.hub.sourcing_keeper import keep_sourcing
from cloud_sync.hub.storage import HubStorage, open_storage

DEFAULT_DATABASE = "sqlite:///trastienda-hub.db"
DEFAULT_PORT = 8470
SHUTDOWN_TIMEOUT_S = 5
LISTEN_BACKLOG = 2_048

Answer = TypeVar("Answer")


class HubRunning(msgspec.Struct, frozen=True):
    """The hub answers at `url`. `credentials_file`: where its key and token were minted, when that was just now."""

    url: str
    database: str
    credentials_file: str | None


Ready = Callable[[HubRunning], None]


@dataclass(frozen=True, slots=True)
class HubOptions:
    """How to run a hub. TLS is needed on anything but loopback, unless `insecure_lan` says otherwise.

    `port` 0 lets the system choose. `signals`: whether SIGINT and SIGTERM end it; not when it shares a process.
    """

    database: str = DEFAULT_DATABASE
    host: str = "127.0.0.1"
    port: int = DEFAULT_PORT
    tls_certificate: Path | None = None
    tls_key: Path | None = None
    insecure_lan: bool = False
    broker: BrokerOptions | None = None
    signals: bool = True


def run_hub(options: HubOptions, ready: Ready | None = None) -> None:
    """`trastienda hub`: until SIGINT or SIGTERM. Raises `ConfigurationError` (exit 2), `AlreadyRunning` (exit 1)."""
    import uvloop

    uvloop.run(serve(options, ready))


async def serve(options: HubOptions, ready: Ready | None = None) -> None:
    """The hub in the running loop, until a signal or cancellation. See `run_hub` for errors."""
    check_options(options)
    credentials = load_credentials(options.database, os.environ, os.urandom)
    storage = open_storage(options.database, credentials.hub_key, wall_ms, os.urandom)
    try:
        async with _executor(options.database) as run:
            await run(storage.stores.ensure_operator, credentials.operator_token)
            await run(storage.ledgers.retry_quarantine)
            await _serve(options, storage, run, lambda url: _say_ready(ready, url, options, credentials))
    finally:
        storage.close()


def import_file(path: Path, options: ImportOptions, *, hub: str | None = None, database: str | None = None,
                progress: Progress = no_progress) -> ImportResult:
    """`trastienda import FILE`: through a running hub (token from the environment), or into a database directly.

    Raises `ImportRejected` and `ConfigurationError` (exit 2), `HubUnreachable` and `AlreadyRunning` (exit 1).
    """
    if hub:
        token = find_credential(OPERATOR_TOKEN, os.environ)
        if not token:
            raise ConfigurationError(f"{OPERATOR_TOKEN} is not set: the hub wrote it into the .credentials file "
                                     "beside its database")
        return import_through_hub(hub, token, path, options, progress)
    url = database or DEFAULT_DATABASE
    storage = open_storage(url, load_credentials(url, os.environ, os.urandom).hub_key, wall_ms, os.urandom)
    try:
        return import_into(storage, path, options, progress)
    finally:
        storage.close()


def make_code(store: str, valid_s: int, *, hub: str | None = None, database: str | None = None) -> CodeMade:
    """`trastienda hub-enrolment STORE`: through a running hub (token from the environment), or its database.

    Raises `Rejected`, `NotFound`, `ConfigurationError`, `HubUnreachable`, `AlreadyRunning`.
    """
    if hub:
        token = find_credential(OPERATOR_TOKEN, os.environ)
        if not token:
            raise ConfigurationError(f"{OPERATOR_TOKEN} is not set: the hub wrote it into the .credentials file "
                                     "beside its database")
        return code_through_hub(hub, token, store, valid_s)
    with _opened(database) as storage:
        return storage.enrolments.make_code(store, valid_s)


def renew_restored(database: str | None = None) -> str:
    """`trastienda hub-restored`: once, on a database that was put back from a backup, before the hub starts.

    Returns the new hub epoch. Raises `ConfigurationError`, `AlreadyRunning`.
    """
    with _opened(database) as storage:
        storage.database.renew_after_restore()
        return storage.database.hub_epoch()


@contextlib.contextmanager
def _opened(database: str | None) -> Generator[HubStorage, None, None]:
    url = database or DEFAULT_DATABASE
    storage = open_storage(url, load_credentials(url, os.environ, os.urandom).hub_key, wall_ms, os.urandom)
    try:
        yield storage
    finally:
        storage.close()


def check_options(options: HubOptions) -> None:
    """Raises `ConfigurationError` for a listener that would send tokens in clear over a network."""
    parse_url(options.database)
    if bool(options.tls_certificate) != bool(options.tls_key):
        raise ConfigurationError("TLS needs both a certificate and its key")
    authority = options.broker.certificate_authority if options.broker else None
    for path in filter(None, (options.tls_certificate, options.tls_key, authority)):
        if not path.is_file():
            raise ConfigurationError(f"{path}: there is no such file")
    if not (options.tls_certificate or options.insecure_lan or _is_loopback(options.host)):
        raise ConfigurationError(f"{options.host} is reachable from outside: give --tls-certificate and --tls-key, "
                                 "or --insecure-lan to send tokens in clear")


def wall_ms() -> int:
    """Milliseconds since 1970, UTC."""
    return time.time_ns() // 1_000_000


@contextlib.asynccontextmanager
async def _executor(database: str) -> AsyncIterator[Run]:
    """SQLite has one thread of its own; PostgreSQL as many as connections."""
    threads = POSTGRES_CONNECTIONS if parse_url(database).get_backend_name() == "postgresql" else 1
    pool = ThreadPoolExecutor(threads, "hub-storage")
    loop = asyncio.get_running_loop()

    def run(function: Callable[..., Answer], *arguments: object) -> Awaitable[Answer]:
        return loop.run_in_executor(pool, function, *arguments)

    try:
        yield run
    finally:
        pool.shutdown(wait=True)


async def _serve(options: HubOptions, storage: HubStorage, run: Run, ready: Callable[[str], None]) -> None:
    """HTTP in the foreground; housekeeping and doorbell beside it, ended with it."""
    bells = Bells()
    listener = _listen(options.host, options.port)
    trial = _is_loopback(options.host) and not options.tls_certificate
    tasks = [asyncio.create_task(_erase_people(storage, run), name="erase people"),
             asyncio.create_task(keep_feeds(storage, run), name="keep feeds"),
             asyncio.create_task(watch_silence(Silences(storage.database), run), name="watch silence"),
             asyncio.create_task(_tell(storage, run, trial), name="webhooks"),
             asyncio.create_task(keep_sourcing(storage, run, bells), name="sourcing")]
    if options.broker:
        password = options.broker.password or find_credential(BROKER_PASSWORD, os.environ)
        connect = mqtt_connect(replace(options.broker, password=password), bells.presences)
        doorbell = Doorbell(storage.stores, run, connect, random.SystemRandom(), bells.presences)
        bells.listen(doorbell.grown)
        tasks.append(asyncio.create_task(doorbell.run(), name="doorbell"))
    if storage.database.shared:
        tasks.append(asyncio.create_task(_watch_feeds(storage, run, bells), name="watch feeds"))
    app = HubApp(storage, run, bells, recheck_s=WAIT_MAX_S, trial=trial).asgi()
    server = _Server(_config(options, app), bells, options.signals, lambda: ready(_url(options, listener)))
    serving = asyncio.create_task(server.serve([listener]), name="http")
    try:
        await asyncio.shield(serving)
    finally:
        server.should_exit = True
        await asyncio.gather(serving, return_exceptions=True)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        listener.close()


async def _tell(storage: HubStorage, run: Run, trial: bool) -> None:
    """Call endpoints until cancelled."""
    sender = Sender(trial=trial)
    try:
        await Courier(storage.webhooks, run, sender, random.SystemRandom(), wall_ms).run()
    finally:
        await sender.close()


async def _watch_feeds(storage: HubStorage, run: Run, bells: Bells) -> None:
    """Wake the polls whose feed another hub process let grow: one look every `RECHECK_S` for all of them."""
    log = structlog.get_logger("hub")
    while True:
        await asyncio.sleep(RECHECK_S)
        try:
            for feed in await run(storage.grown, bells.awaited):
                bells.wake(feed)
        except Exception as error:
            log.error("feeds could not be watched, trying again", error=type(error).__name__)


async def _erase_people(storage: HubStorage, run: Run) -> None:
    """Every `ERASE_EVERY_S`. A database that is away for a while does not end it."""
    log = structlog.get_logger("hub")
    while True:
        try:
            erased = await run(storage.erase_due_people)
            if erased:
                log.info("people erased", count=erased)
        except Exception as error:
            log.error("people could not be erased, trying again", error=type(error).__name__)
        await asyncio.sleep(ERASE_EVERY_S)


def _config(options: HubOptions, app: Starlette) -> uvicorn.Config:
    return uvicorn.Config(
        app, options.host, options.port, http="httptools", lifespan="off", log_config=None, access_log=False,
        server_header=False, limit_concurrency=CONNECTIONS_MAX, timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=SHUTDOWN_TIMEOUT_S,
        ssl_certfile=options.tls_certificate, ssl_keyfile=options.tls_key)


class _Server(uvicorn.Server):
    """Lets long polls go before it waits for them, and ends on a signal without killing the process.

    `started`: called once it serves and hears signals.
    """

    def __init__(self, config: uvicorn.Config, bells: Bells, signals: bool, started: Callable[[], None]) -> None:
        super().__init__(config)
        self._bells = bells
        self._tell_started = started
        self._signals = (signal.SIGINT, signal.SIGTERM) if signals else ()

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """uvicorn's own raises the signal again at the end, which would leave the database open."""
        loop = asyncio.get_running_loop()
        for number in self._signals:
            loop.add_signal_handler(number, self.handle_exit, number, None)
        try:
            yield
        finally:
            for number in self._signals:
                loop.remove_signal_handler(number)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._tell_started()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._bells.close()
        await super().shutdown(sockets)


def _listen(host: str, port: int) -> socket.socket:
    """Raises `ConfigurationError` when the address cannot be had."""
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        return socket.create_server((str(address[0]), port), family=family, backlog=LISTEN_BACKLOG)
    except OSError as error:
        raise ConfigurationError(f"{host} port {port}: {error.strerror}: is another hub running there?") from error


def _url(options: HubOptions, listener: socket.socket) -> str:
    host = f"[{options.host}]" if ":" in options.host else options.host
    return f"{'https' if options.tls_certificate else 'http'}://{host}:{listener.getsockname()[1]}"


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _say_ready(ready: Ready | None, url: str, options: HubOptions, credentials: Credentials) -> None:
    minted = str(credentials.minted_into) if credentials.minted_into else None
    running = HubRunning(url, parse_url(options.database).render_as_string(hide_password=True), minted)
    structlog.get_logger("hub").info("hub is running", url=url, database=running.database)
    if ready:
        ready(running)
